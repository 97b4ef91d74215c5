//! Calls between the Worker and its objects: one table that both ends share.
//!
//! Bodies carry a version and tolerate unknown fields, since two builds talk to each other during a deploy.

use super::act::{Act, Ban, ReportMessage, Terms, TryTerms};
use super::erasure::Erase;
use super::report::{Report, ReportId, ReportStatus};
pub use super::user::{
    BackupAsk, BackupCall, Coming, Heard, ROOM_USER, Standing, USER_BACKUP, USER_CALL, USER_COMES, USER_MAKES_ROOM,
    USER_OPENS_DIRECT, USER_SOCKET, UserAsk, UserCall, UserPush,
};
use super::{Audience, ChatError, CreateRoom, Held, MessageId, PatchRoom, RoomInfo, SendMessage, UserId};
use crate::auth::{Identity, Role};
use crate::user::Blocks;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The header that carries [`Caller`] as JSON; only the Worker writes it, a client's own never gets inside.
pub const CALLER_HEADER: &str = "x-chat-caller";
/// Where a room accepts a socket.
pub const ROOM_SOCKET: &str = "/socket";
/// Where a room takes a [`RoomCall`] as JSON.
pub const ROOM_CALL: &str = "/call";
/// The header beside a call to a drain that carries a room's [`crate::metrics::Report`] as JSON.
pub const METRICS_HEADER: &str = "x-chat-metrics";
/// Where a drain answers a [`crate::metrics::DrainState`].
pub const DRAIN_METRICS: &str = "/metrics";
/// Where a drain takes one room's batch, as JSON text.
pub const DRAIN_APPLY: &str = "/apply";
/// Where a drain takes one room's command for Redis.
pub const DRAIN_BRIDGE: &str = "/bridge";
/// Where a drain takes a [`crate::sinks::webhook::Delivery`] as JSON, and answers a [`crate::sinks::webhook::Delivered`].
pub const DRAIN_WEBHOOK: &str = "/webhook";
/// Where a drain takes who is in a room, as JSON text: an [`Answer`] of nothing, before PostgreSQL has it.
pub const DRAIN_PRESENCE: &str = "/presence";
/// Where a drain takes one call of `chat_erase`, as JSON text, and answers what that does.
pub const DRAIN_ERASE: &str = "/erase";
/// Where a drain answers up to which epoch PostgreSQL has a room: `?room=<id>`, a number, or null for one it does not know.
pub const DRAIN_EPOCH: &str = "/epoch";
/// Where a drain closes that epoch and answers what PostgreSQL knows of the room: `?room=<id>&epoch=<n>`, a [`Remembered`].
pub const DRAIN_ROOM: &str = "/room";

/// Where a drain takes an [`ExpiryAsk`] as JSON, and answers an [`Expiry`].
pub const DRAIN_EXPIRY: &str = "/expiry";

/// The version of these bodies.
pub const VERSION: u32 = 1;

/// Who asks, as the Worker has verified it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Caller {
    /// The token's identity; without it a guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// A guest's random name: 22 base64url characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub guest: String,
    /// Where a socket comes from, as [`crate::rest::client_address`] has it; empty where that is not known. It is
    /// counted in memory, and neither stored nor logged.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// What the user's object says, where it was asked and answered in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// The shape of the room by which the Worker chose the object that it asks, as
    /// [`super::shard::Shape::version`] has it.
    #[serde(default)]
    pub shape: u64,
    /// The key that a client was given for its next upgrade; believed for routing alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u64>,
}

impl Caller {
    /// The key that decides which shard serves this viewer.
    pub fn shard_key(&self) -> u64 {
        let own = || crate::user::hash(self.identity.as_ref().map_or(&self.guest, |who| &who.user_id));
        self.key.unwrap_or_else(own)
    }
}

/// A call to a room, with who asks.
#[derive(Debug, Serialize, Deserialize)]
pub struct RoomCall {
    /// [`VERSION`] of the caller.
    pub v: u32,
    /// Who asks.
    pub caller: Caller,
    /// What.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What can be asked of a room.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", content = "with", rename_all = "snake_case")]
pub enum Ask {
    /// Make it.
    Create(CreateRoom),
    /// Open a direct room: an [`Opened`].
    Direct {
        /// Its two users.
        two: [UserId; 2],
        /// What each of them says, in that order.
        standings: [Standing; 2],
        /// Make it where it is not there.
        make: bool,
    },
    /// Show it.
    Get(Nothing),
    /// Change it.
    Patch(PatchRoom),
    /// Delete it.
    Delete(Nothing),
    /// A page of its history, as far as the log reaches: a [`Page`].
    Messages(PageQuery),
    /// Who is there.
    Members {
        /// At most so many, 1–100.
        limit: usize,
        /// After so many.
        skip: usize,
    },
    /// Say something.
    Send(SendBody),
    /// Change a message.
    Edit {
        /// Which.
        message_id: String,
        /// What it should say.
        content: String,
        /// The tag of an encrypted message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        franking: Option<String>,
        /// What PostgreSQL knows of it, for messages that have left the log.
        known: Option<KnownMessage>,
    },
    /// Make a message a tombstone.
    DeleteMessage {
        /// Which.
        message_id: String,
        /// What PostgreSQL knows of it.
        known: Option<KnownMessage>,
    },
    /// React to a message, or take that back.
    React {
        /// Which.
        message_id: String,
        /// With what.
        reaction: String,
        /// Take it back.
        remove: bool,
    },
    /// Set the room's modes.
    SetModes(serde_json::Map<String, serde_json::Value>),
    /// Keep order.
    Act(Act),
    /// Who is banned.
    Bans(Nothing),
    /// What waits for a moderator.
    Held(Nothing),
    /// The room's own words and phrases.
    Terms(Nothing),
    /// What would become of a message.
    TryTerms(TryTerms),
    /// Tell moderators of a message: a [`Reported`].
    Report {
        /// Which, and why.
        body: ReportMessage,
        /// What PostgreSQL knows of the message.
        known: Option<KnownMessage>,
    },
    /// The reports of one status that the room keeps, newest first: [`Report`]s.
    Reports(ReportQuery),
    /// One report, if the room keeps it: a [`Report`] or null.
    OpenReport {
        /// Which.
        report_id: String,
    },
    /// Whether the caller may read the audit, which PostgreSQL keeps.
    MayReadAudit(Nothing),
    /// Whether the caller may export the room: where its log ends, a [`super::Position`].
    Export(Nothing),
    /// The room's counters.
    Stats(Nothing),
    /// Take a user out of the room, a part of its log at a time: a [`super::erasure::Erased`]. Whoever asks is not looked at.
    Erase(Erase),
    /// Where a user still stands in a part of the log: a [`super::erasure::Named`].
    Names(Erase),
}

/// An empty body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

/// A message to be said, as `send_message` and `POST …/messages` have it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SendBody {
    /// What was typed.
    pub content: String,
    /// `text` (the default), `emote`, `encrypted` (direct rooms only, and there nothing else), `system` (services only).
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A random name of at most 64 characters: the same one within 24 h is the same message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The message that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Ids of users, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// An object of at most 1,024 bytes, given back as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub metadata: Option<serde_json::Value>,
    /// The tag of an encrypted message: 32 bytes in unpadded base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub franking: Option<String>,
    /// In whose name; services only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_user: Option<AsUser>,
}

/// Somebody in whose name a service speaks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AsUser {
    /// 1–255 bytes.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub user_id: UserId,
    /// 1–64 characters.
    pub username: String,
    /// An https URL of at most 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
}

/// The body of `PATCH /api/messages/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EditBody {
    /// The room, where it is known: the act then needs no PostgreSQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_id: Option<String>,
    /// What it should say.
    pub content: String,
    /// The tag of an encrypted message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub franking: Option<String>,
}

impl From<SendMessage> for SendBody {
    fn from(frame: SendMessage) -> Self {
        let SendMessage { room_id: _, took: _, content, kind, client_id, reply_to, mentions, metadata, franking } =
            frame;
        Self { content, kind, client_id, reply_to, mentions, metadata, franking, as_user: None }
    }
}

/// The body of `POST /dev/token`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenBody {
    /// The user's id.
    pub user: String,
    /// The name to show.
    pub name: String,
    /// Member without it.
    #[serde(default)]
    pub role: Option<Role>,
    /// The one room where the role holds; everywhere without it.
    #[serde(default)]
    pub room: Option<String>,
}

/// A token for trying out.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Token))]
pub struct TokenData<'a> {
    /// For `Authorization: Bearer`, the subprotocol entry `bearer.<token>` or `user_token`.
    pub token: &'a str,
    /// Whom it is for.
    pub user_id: &'a str,
    /// The name as others see it.
    pub username: &'a str,
    /// When it ends, RFC 3339.
    pub expires_at: String,
}

/// A room's answer to [`Ask::Direct`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Opened {
    /// Whether it is a new room.
    pub made: bool,
    /// The room.
    pub room: Box<RawValue>,
}

/// A room's answer to [`Ask::Report`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Reported {
    /// Whether it is a new report; else it is the first one of the same user.
    pub made: bool,
    /// The report, as whoever made it sees it.
    pub report: Box<RawValue>,
}

/// Which reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportQuery {
    /// Those that stand so.
    pub status: ReportStatus,
    /// Those made before this one; the newest without it.
    pub before: Option<ReportId>,
    /// At most so many, 1–100.
    pub limit: u64,
}

/// What PostgreSQL knows of a message that the log may not hold any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownMessage {
    /// Its number.
    pub no: u64,
    /// Its author.
    pub user_id: UserId,
    /// The author's roles when it was said.
    pub roles: Vec<Role>,
    /// When it was said, ms.
    pub at: u64,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Its plain text.
    #[serde(default)]
    pub text: String,
    /// Who may see it.
    #[serde(default)]
    pub audience: Audience,
    /// Whether it is of type `system`.
    #[serde(default)]
    pub system: bool,
    /// What its sender called it.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The tag of an encrypted message.
    #[serde(default)]
    pub franking: Option<String>,
}

/// Which part of the history: numbers of messages, never offsets. `limit` is 1–100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageQuery {
    /// The `page`-th page, newest first; 1 is the newest.
    Page {
        /// From 1.
        page: u64,
        /// Messages a page.
        limit: u64,
    },
    /// Those numbered below `no`, newest first.
    Before {
        /// Exclusive.
        no: u64,
        /// Messages at most.
        limit: u64,
    },
    /// Those numbered above `no`, oldest first.
    After {
        /// Exclusive.
        no: u64,
        /// Messages at most.
        limit: u64,
    },
}

/// A room's answer to [`Ask::Messages`]: what the log holds of the range, and what PostgreSQL has to add.
#[derive(Debug, Serialize, Deserialize)]
pub struct Page {
    /// The log's incarnation.
    pub epoch: u64,
    /// How many messages there are, tombstones included.
    pub total: u64,
    /// Whether there are more beyond this page.
    pub has_more: bool,
    /// The newest first, or the oldest.
    pub newest_first: bool,
    /// Messages out of the log, in the order asked for.
    pub held: Vec<Box<RawValue>>,
    /// The numbers, first and last, that only PostgreSQL has; older than all of `held`.
    pub missing: Option<(u64, u64)>,
    /// What the viewer reacted with, by message, for those in `held`.
    pub my_reactions: BTreeMap<String, Vec<String>>,
    /// Whether the viewer sees what only moderators see.
    pub moderator: bool,
    /// The viewer.
    pub user_id: Option<UserId>,
    /// Whom the viewer blocks.
    #[serde(default)]
    pub blocks: Blocks,
}

/// What PostgreSQL remembers of a room whose object has lost its storage, or never had any.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// The room.
    pub info: RoomInfo,
    /// Roles in it.
    pub roles: BTreeMap<UserId, Role>,
    /// Who is banned.
    #[serde(default)]
    pub bans: Vec<Ban>,
    /// What is pinned, newest first.
    #[serde(default)]
    pub pinned: Vec<MessageId>,
    /// Who of a direct room's two blocks the other, and whom.
    #[serde(default)]
    pub blocks: BTreeMap<UserId, UserId>,
    /// Its own words and phrases.
    #[serde(default)]
    pub terms: Terms,
    /// What waits for a moderator.
    #[serde(default)]
    pub held: Vec<Held>,
    /// Reports that are open, or whose quote is still kept.
    #[serde(default)]
    pub reports: Vec<Report>,
    /// The number of its oldest message that has not expired, or that the next one has.
    #[serde(default)]
    pub first_no: u64,
    /// The number of its last message.
    pub last_no: u64,
    /// The epoch up to which it was drained; a new one has to be larger.
    pub epoch: u64,
}

/// A room asks PostgreSQL which of its messages are over their time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiryAsk {
    /// The room.
    pub room_id: String,
    /// The oldest number that has not expired.
    pub first_no: u64,
    /// What was said before this, ms, is over its time.
    pub before_ms: Option<u64>,
    /// So is what has a number below this one.
    pub keep_from: Option<u64>,
    /// At most so many messages are wanted.
    pub most: u64,
}

/// PostgreSQL's answer to [`ExpiryAsk`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiry {
    /// Those below this number are over their time, and nothing forbids that they go.
    pub before_no: u64,
    /// When the first one of the others was said, ms; null where there is none.
    #[serde(default)]
    pub oldest_at: Option<u64>,
    /// There may be more to take away at once.
    #[serde(default)]
    pub more: bool,
    /// A legal hold keeps some of it.
    #[serde(default)]
    pub held: bool,
}

/// An answer of an object: what was asked for, or why not.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer<T> {
    /// What was asked for.
    Ok(T),
    /// Why not, in words that may be shown to the client.
    Error(ChatError),
    /// Another object serves this caller: the room is split like this.
    Elsewhere(super::shard::Shape),
}
