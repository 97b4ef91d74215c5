//! What people type: cleaned, judged, masked; names, reactions, avatars, metadata.
//!
//! The first byte's bits choose what the filters do; the first line holds terms with commas between them; each line
//! after it is a message.
#![no_main]

use edge_chat::auth::Role;
use edge_chat::content::{
    Action, Filters, History, Links, Message, ProfanitySetting, Severity, SpamSetting, Terms, Verdict, avatar, clean,
    is_emote, judge, mention_names, metadata, reaction, username,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&first, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let (terms, said) = text.split_once('\n').unwrap_or(("", &text));
    let action = |bits: u8| [Action::Off, Action::Mask, Action::Hold, Action::Reject][usize::from(bits % 4)];
    let words = || terms.split(',').map(str::trim);
    let filters = Filters {
        profanity: ProfanitySetting { action: action(first), severity: Severity::Mild },
        spam: SpamSetting { action: action(first >> 2) },
        terms: Terms::compile(words().step_by(2), words().skip(1).step_by(2)).unwrap_or_default(),
        terms_action: action(first >> 4),
        links: if first & 64 == 0 { Links::On } else { Links::Moderators },
        emote_only: false,
        no_repeats: first & 128 != 0,
    };
    let mut history = History::default();
    for (now, line) in said.split('\n').take(16).enumerate() {
        pieces(line);
        let Ok(clean_once) = clean(line, 8_000) else { continue };
        assert!(!clean_once.content.contains(['<', '>']));
        assert_eq!(clean(&clean_once.content, usize::MAX).expect("it is good already"), clean_once);
        let now = 1_000 * now as u64;
        let message = Message {
            text: clean_once.plain(),
            user: "ada",
            role: Role::Member,
            first: &|| now == 0,
            edit: false,
            now,
        };
        if let Verdict::Mask { spans, reasons } = judge(&message, &filters, &mut history) {
            assert!(!reasons.is_empty() && spans.iter().all(|span| span.start < span.end));
            let masked = clean_once.masked(&spans);
            assert_eq!(masked.plain().chars().count(), clean_once.plain().chars().count());
        }
    }
});

fn pieces(line: &str) {
    if let Some(name) = username(line) {
        assert!(!name.contains(['<', '>', '\n']));
        assert_eq!(username(&name), Some(name));
    }
    if let Some(url) = avatar(line) {
        assert_eq!(avatar(&url), Some(url));
    }
    assert!(reaction(line).is_err() || line.len() <= 32);
    is_emote(line);
    assert!(mention_names(line).len() <= 20);
    if let Ok(value) = serde_json::from_str(line) {
        let _ = metadata(&value);
    }
}
