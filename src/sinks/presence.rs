//! Who is in a room now, as PostgreSQL keeps it for back ends: coarse, and a matter of the moment.

use crate::protocol::UserId;
use crate::protocol::wire::json;
use serde::Serialize;

/// `chat_presence` with the reports of many rooms at once: one statement, one row back, which says how many it took.
pub const PRESENCE: &str = "select chat_presence($1)::text";

/// One room's report: all who are here at `at` (ms), each with one of their sockets, or the gateway that has it.
pub fn presence<'a>(room_id: &str, at: u64, here: impl Iterator<Item = (&'a UserId, String)>) -> String {
    #[derive(Serialize)]
    struct Report<'a> {
        room_id: &'a str,
        at: u64,
        users: Vec<(&'a UserId, String)>,
    }
    json(&Report { room_id, at, users: here.collect() })
}
