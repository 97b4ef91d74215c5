//! Everything that crosses a wire, defined once: ids, codes, frames, events, REST bodies, calls between objects.

mod code;
mod ids;

pub use code::{ChatError, ErrorCode};
pub use ids::{MessageId, RoomId, UserId};
