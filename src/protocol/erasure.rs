//! Erasing a user: what is asked, of the service and of its objects, and what is answered.

use super::UserId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What becomes of what the user said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Messages become tombstones, by nobody.
    #[default]
    Tombstone,
    /// The text of messages stays, by nobody; what is encrypted becomes tombstones all the same.
    Anonymise,
}

/// The body of `POST /api/users/{user_id}/erasure`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErasureBody {
    /// `tombstone` without it.
    #[serde(default)]
    pub mode: Mode,
    /// Why, at most 500 characters. It is kept for good, so nothing about the user belongs in it.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Who is taken out of a room, how, and after which `seq` of its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erase {
    /// Who.
    pub user_id: UserId,
    /// How.
    pub mode: Mode,
    /// Rows up to here are done; 0 to begin with.
    #[serde(default)]
    pub after: u64,
}

/// What one step of that did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Where the next step begins; none where the log is done.
    pub next: Option<u64>,
    /// The log's incarnation; 0 where there is no such room.
    pub epoch: u64,
    /// Where it ends now: what followers have to have passed.
    pub seq: u64,
    /// Messages that lost their author.
    pub messages: u64,
    /// All that was changed: events of the log, and pieces of the room's state.
    pub entries: u64,
}

/// Where a user still stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Where to go on; none where all was looked at.
    pub next: Option<u64>,
    /// Events and pieces of state.
    pub entries: u64,
}

/// How far an erasure has come in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoomProgress {
    /// The room.
    pub room_id: String,
    /// `waits`, `erased` (its log is, PostgreSQL has not heard of all of it yet), `done`.
    pub state: RoomState,
    /// Messages that lost their author in its log.
    pub messages: u64,
    /// All that was changed there.
    pub entries: u64,
}

/// Where a room stands in an erasure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RoomState {
    /// Its turn has not come, or is not over.
    #[default]
    Waits,
    /// Its log is done, and drains.
    Erased,
    /// PostgreSQL has what its log says.
    Done,
}

/// What an erasure does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Looks in PostgreSQL for the rooms and users that it has to go to.
    #[default]
    Look,
    /// Rooms take the user out of their logs.
    Rooms,
    /// Waits until PostgreSQL has all of that.
    Drain,
    /// Other users' objects forget the user.
    Others,
    /// PostgreSQL's tables.
    Tables,
    /// What the user's own object stores.
    Own,
    /// Searches all tables again.
    Search,
    /// Searches the rooms' logs again.
    Logs,
    /// Writes the proof down.
    Prove,
}

/// How far a running erasure has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Progress {
    /// What it does now.
    pub step: Stage,
    /// The how-many-th time it goes through all of it, from 1: what is found at the end is erased by going again.
    pub pass: u32,
    /// What keeps it from going on, where something does; it tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Its rooms, of many the first 1,000.
    pub rooms: Vec<RoomProgress>,
    /// How many rooms there are.
    pub rooms_total: usize,
}

/// What the last search found: 0 everywhere, or the erasure would not be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Proof {
    /// By table and column of PostgreSQL, how many rows name the user.
    pub tables: BTreeMap<String, u64>,
    /// By table and column, how many rows of tables that are not the chat's hold the id. They are not changed, and do not
    /// count for `status`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub elsewhere: BTreeMap<String, u64>,
    /// Tables among these that could not be searched, with PostgreSQL's code of the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unread: BTreeMap<String, String>,
    /// How many rooms were asked.
    pub rooms: u64,
    /// How many events and pieces of state of theirs name the user.
    pub entries: u64,
    /// Messages that lost their author in rooms' logs, and all that was changed there.
    pub erased_messages: u64,
    /// All that was changed there.
    pub erased_entries: u64,
    /// How often all places were gone through.
    pub passes: u32,
}

/// Whether an erasure goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErasureStatus {
    /// It goes on.
    Running,
    /// Nothing is left: see the proof.
    Done,
    /// Something was found again and again, as where the user goes on writing: see the proof, and ask once more.
    Incomplete,
}

/// An erasure as REST shows it. Whose it was is not in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErasureData {
    /// Its id, a UUID.
    pub erasure_id: String,
    /// How.
    pub mode: Mode,
    /// Whether it goes on.
    pub status: ErasureStatus,
    /// Who asked for it; empty where that was the user who was erased.
    pub asked_by: String,
    /// When, RFC 3339.
    pub asked_at: String,
    /// Why.
    pub reason: Option<String>,
    /// When it ended, RFC 3339.
    pub done_at: Option<String>,
    /// While it goes on, and its object answers: how far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Once it has ended: what the last search found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}
