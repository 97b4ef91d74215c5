//! Text in, safe text out: what people typed becomes what may stand in a page, or an error that says why not.

mod clean;
mod emoji;
mod fields;
mod links;
mod markup;
mod mention;
mod normal;
mod pattern;
mod profanity;
mod scrub;
mod sealed;
mod spam;
mod terms;
mod verdict;

pub use clean::{Clean, clean, username};
pub use emoji::{is_emote, reaction};
pub use fields::{avatar, metadata};
pub use mention::{mention_names, without_mention};
pub use profanity::{Kind, Severity};
pub use scrub::scrub;
pub use sealed::{franking, is_device_id, sealed, sealed_without, unpadded};
pub use spam::{History, SpamReason};
pub use terms::{BadTerm, MAX_TERM_CHARS, MAX_TERMS, Terms};
pub use verdict::{Action, Filters, Links, Message, ProfanitySetting, Reason, SpamSetting, Verdict, judge};
