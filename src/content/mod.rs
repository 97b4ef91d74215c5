//! Text in, safe text out: what people typed becomes what may stand in a page, or an error that says why not.

mod clean;
mod emoji;
mod fields;
mod markup;
mod mention;
mod scrub;

pub use clean::{Clean, clean, username};
pub use emoji::{is_emote, reaction};
pub use fields::{avatar, metadata};
pub use mention::mention_names;
