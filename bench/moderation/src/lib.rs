//! The filters as the figures are taken: their settings, and in wasm a bare interface for whoever has a clock.

use edge_chat::auth::Role;
use edge_chat::content::{Action, Filters, History, Message, ProfanitySetting, Severity, SpamSetting, Verdict, judge};

/// The settings that the figures are of: swearing is masked from `moderate` on, spam is held.
pub fn filters() -> Filters {
    Filters {
        profanity: ProfanitySetting { action: Action::Mask, severity: Severity::Moderate },
        spam: SpamSetting { action: Action::Hold },
        ..Filters::default()
    }
}

/// What becomes of a member's message.
pub fn verdict(text: &str, user: &str, first: bool, now: u64, filters: &Filters, history: &mut History) -> Verdict {
    judge(&Message { text, user, role: Role::Member, first: &|| first, edit: false, now }, filters, history)
}

#[cfg(target_arch = "wasm32")]
mod wasm {
    use super::*;
    use std::cell::RefCell;

    thread_local! {
        static TEXT: RefCell<Vec<u8>> = RefCell::new(vec![0; 1 << 16]);
        static ROOM: RefCell<(Filters, History)> = RefCell::new((filters(), History::default()));
    }

    /// Where to write the text of the next call of `objects`: 64 KB.
    #[unsafe(no_mangle)]
    extern "C" fn text() -> *mut u8 {
        TEXT.with_borrow_mut(|text| text.as_mut_ptr())
    }

    /// Whether the filters object to what was written there, said by user number `user` at `now` (ms).
    #[unsafe(no_mangle)]
    extern "C" fn objects(bytes: usize, user: u32, now: f64) -> bool {
        TEXT.with_borrow(|text| {
            let text = std::str::from_utf8(&text[..bytes]).unwrap_or_default();
            ROOM.with_borrow_mut(|(filters, history)| {
                verdict(text, &user.to_string(), false, now as u64, filters, history) != Verdict::Pass
            })
        })
    }
}
