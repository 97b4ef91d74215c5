//! Followers that leave the room: what each is told of a log, what its answers mean, what is read back.

mod audit;
pub mod export;
pub mod history;
pub mod holds;
mod postgres;
mod presence;
pub mod redis;
mod refused;
mod shown;
pub mod turns;
pub mod webhook;

use postgres::audience;
pub use postgres::{Applied, batch, question, read_applied};
pub use presence::{PRESENCE, presence};
pub use refused::{Halving, Next};

/// A follower of rooms' logs; each has a cursor of its own in every room, and none waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// The final state, by `chat_apply`.
    Postgres,
    /// What everyone sees, by the bridge.
    Redis,
    /// Some of it, posted to a back end.
    Webhook,
}

/// `chat_apply` with all batches at once: one statement, one row back.
pub const APPLY: &str = "select chat_apply($1)::text";

/// One call of an erasure, as JSON text.
pub const ERASE: &str = "select chat_erase($1::text::jsonb)::text";

/// The drain that a room's batches go to: highest hash wins, so that a changed number moves few rooms.
pub fn drain_of(room_id: &str, drains: u32) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let weight = |drain: &u32| {
        let mut hasher = DefaultHasher::new();
        (room_id, drain).hash(&mut hasher);
        hasher.finish()
    };
    drain_name((0..drains.max(1)).max_by_key(weight).unwrap_or_default())
}

/// A drain's name by its number.
pub fn drain_name(number: u32) -> String {
    format!("drain~{number}")
}
