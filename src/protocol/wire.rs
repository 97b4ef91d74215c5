//! What the server says: replies, events, positions, as lines of JSON, each encoded once.

use super::{
    ChatError, ErrorCode, FrameId, Mention, Message, MessageId, RoomInfo, RoomSettings, RoomType, User, UserId, rfc3339,
};
use crate::auth::Role;
use crate::content::Reason;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use std::collections::BTreeMap;
use std::rc::Rc;

/// One line of a frame; frames are lines joined by `\n`.
pub type Line = Rc<str>;

/// Reaction → how many users.
pub type Counts = BTreeMap<String, u32>;

/// JSON text of anything that serialises; what cannot, which the types here do not allow, becomes `null`.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}

/// The same, to be passed on as it is.
pub fn raw_json(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_default()
}

/// JSON text that is passed on as it is.
pub fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).unwrap_or_default()
}

#[derive(Serialize)]
struct ReplyLine<'a, T: Serialize> {
    reply: &'a FrameId,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a ChatError>,
}

/// The reply to the frame with this id.
pub fn reply(id: &FrameId, data: &impl Serialize) -> Line {
    json(&ReplyLine { reply: id, data: Some(data), error: None }).into()
}

/// The refusal of the frame with this id.
pub fn refusal(id: &FrameId, error: &ChatError) -> Line {
    json(&ReplyLine { reply: id, data: None::<&()>, error: Some(error) }).into()
}

#[derive(Serialize)]
struct EventLine<'a, T: Serialize> {
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    event: &'a str,
    data: &'a T,
}

/// An event; `seq` where it stands in the log.
pub fn event(seq: Option<u64>, event: &str, data: &impl Serialize) -> Line {
    json(&EventLine { seq, event, data }).into()
}

/// The `goodbye` event.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Goodbye<'a> {
    /// Why.
    code: ErrorCode,
    /// The same as a sentence.
    reason: &'a str,
    /// Whether coming back helps.
    retry: bool,
    /// Not before so many ms.
    after_ms: u64,
    /// Of a fault of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_id: Option<&'a str>,
    /// What to put into the next upgrade as `?k=`.
    #[serde(skip_serializing_if = "Option::is_none")]
    shard_key: Option<String>,
}

/// What is said before a close: why, and whether and when (ms) the client may come back.
pub fn goodbye(error: &ChatError, retry: bool, after_ms: u64) -> Line {
    goodbye_to(error, retry, after_ms, None)
}

/// The same to a viewer who is served elsewhere: what to put into the next upgrade as `?k=`.
pub fn goodbye_to(error: &ChatError, retry: bool, after_ms: u64, shard_key: Option<String>) -> Line {
    let (reason, error_id) = (error.message.as_str(), error.error_id.as_deref());
    event(None, "goodbye", &Goodbye { code: error.code, reason, retry, after_ms, error_id, shard_key })
}

/// "Everything in (from, to] that is for you is in this frame."
pub fn position(epoch: u64, from: u64, to: u64) -> Line {
    sampled(epoch, from, to, 0)
}

/// The same, but that `left_out` messages were sampled away.
pub fn sampled(epoch: u64, from: u64, to: u64, left_out: u64) -> Line {
    #[derive(Serialize)]
    struct At {
        epoch: u64,
        from: u64,
        to: u64,
        left_out: u64,
    }
    #[derive(Serialize)]
    struct AtLine {
        at: At,
    }
    json(&AtLine { at: At { epoch, from, to, left_out } }).into()
}

/// The `data` of `new_message`; in a page of history also `seq`, `edited_at` and `deleted_at`.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Message))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Message"))]
pub struct MessageData<'a> {
    /// Its place in the log, in lists only: an event has it outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Its id, for edits, deletions, reactions and replies.
    message_id: MessageId,
    /// Its number in the room: 1, 2, 3 … without a hole; pages of history are ranges of it.
    no: u64,
    /// The room.
    room_id: &'a str,
    /// Who said it, as they were then.
    user: &'a User,
    /// Safe as the content of an HTML element (not in an attribute); empty in a tombstone.
    content: &'a str,
    /// The plain text where it differs from `content`; never to be put into a page as HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    /// `text`, `emote`, `encrypted` (its `content` is JSON that only the two users' devices open), `system` or
    /// `unavailable`.
    #[serde(rename = "type")]
    #[cfg_attr(test, schemars(with = "super::MessageType"))]
    kind: &'static str,
    /// When it was said: RFC 3339, UTC, with milliseconds.
    timestamp: String,
    /// Reaction → how many users.
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, u32>))]
    reactions: &'a Counts,
    /// Whom it mentions.
    mentions: &'a [Mention],
    /// The message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<MessageId>,
    /// What its sender called it.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    /// As it was sent; never HTML.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    metadata: &'a Map<String, Value>,
    /// The sender's tag of an encrypted message, whose key is inside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    franking: Option<&'a str>,
    /// The id under which it waited for a moderator.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_id: Option<MessageId>,
    /// What was typed, where a filter masked some of it; plain text, in lists that a moderator asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<&'a str>,
    /// Why it was masked, in lists that a moderator asks for.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    reasons: &'a [Reason],
    /// When it was last edited, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<String>,
    /// When it was deleted, RFC 3339: a tombstone from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<String>,
}

impl<'a> MessageData<'a> {
    /// A message said at `at` (ms), with its reactions as they are.
    pub fn new(room_id: &'a str, at: u64, message: &'a Message, reactions: &'a Counts) -> Self {
        Self {
            seq: None,
            message_id: message.message_id,
            no: message.no,
            room_id,
            user: &message.user,
            content: &message.content,
            text: message.text.as_deref(),
            kind: message.kind.as_str(),
            timestamp: rfc3339(at),
            reactions,
            mentions: &message.mentions,
            reply_to: message.reply_to,
            client_id: message.client_id.as_deref(),
            metadata: &message.metadata,
            franking: message.franking.as_deref(),
            held_id: message.held_id,
            original: None,
            reasons: &[],
            edited_at: message.edited_at.map(rfc3339),
            deleted_at: message.deleted_at.map(rfc3339),
        }
    }

    /// Shows what a filter masked, for a moderator.
    pub fn unmask(&mut self, message: &'a Message) {
        self.original = message.original.as_deref();
        self.reasons = &message.reasons;
    }
}

/// A page of a room's history, as REST shows it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct History<'a> {
    /// The room.
    pub room_id: &'a str,
    /// Newest first for `page` and `before`, oldest first for `after`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<MessageData<'static>>))]
    #[cfg_attr(test, schemars(with = "Vec<MessageData<'static>>"))]
    pub messages: Vec<Box<RawValue>>,
    /// Which page this is; 1 for `before` and `after`.
    pub page: u64,
    /// Messages a page.
    pub limit: u64,
    /// How many messages the room has, tombstones included.
    pub total: u64,
    /// Whether there are more beyond this page, in its direction.
    pub has_more: bool,
    /// The incarnation of the room's log.
    pub epoch: u64,
    /// What the viewer reacted with, by `message_id`; with `mine=1` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub my_reactions: Option<BTreeMap<String, Vec<String>>>,
}

/// A user who is in the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Member {
    /// The user.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub user_id: UserId,
    /// The name.
    pub username: String,
    /// The picture.
    pub avatar: Option<String>,
    /// The role in this room.
    pub role: Role,
}

/// The viewer's own self, as the join reply tells it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Viewer"))]
pub struct SelfData {
    /// Null for a guest.
    pub user_id: Option<UserId>,
    /// Null for a guest.
    pub username: Option<String>,
    /// Null where there is none.
    pub avatar: Option<String>,
    /// The role in this room.
    pub role: Role,
    /// The same, as a list.
    pub roles: Vec<Role>,
    /// When the token ends, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// A guest's random name, to be kept and sent as the subprotocol entry `guest.<id>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_id: Option<String>,
    /// What this viewer may do here now.
    #[cfg_attr(test, schemars(with = "Vec<crate::types::Can>"))]
    pub can: Vec<&'static str>,
}

/// A room as REST and the join reply show it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Room))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Room"))]
pub struct RoomData<'a> {
    /// Its id.
    room_id: &'a str,
    /// Its name: plain text, 1–255 characters.
    name: &'a str,
    /// What it belongs to.
    #[serde(rename = "type")]
    kind: RoomType,
    /// All its settings.
    settings: &'a RoomSettings,
    /// Who made it; null where joining made it, and in a direct room.
    owner_id: Option<&'a str>,
    /// When it was made, RFC 3339.
    created_at: String,
    /// When its name or settings last changed, RFC 3339.
    updated_at: String,
    /// Users who are in it now.
    online_users: usize,
    /// Viewers without a token who are in it now.
    online_guests: usize,
    /// How many messages were said in it, tombstones included.
    message_count: u64,
    /// The pinned messages, newest first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<MessageId>))]
    pinned: &'a [MessageId],
    /// The two users of a direct room, by their ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>))]
    members: Option<[&'a UserId; 2]>,
}

impl<'a> RoomData<'a> {
    /// The same, as a room of these two.
    pub fn between(self, members: Option<[&'a UserId; 2]>) -> Self {
        Self { members, ..self }
    }

    /// The room with what is true of it now.
    pub fn new(
        room_id: &'a str,
        info: &'a RoomInfo,
        online: (usize, usize),
        message_count: u64,
        pinned: &'a [MessageId],
    ) -> Self {
        Self {
            room_id,
            name: &info.name,
            kind: info.kind,
            settings: &info.settings,
            owner_id: info.owner_id.as_deref(),
            created_at: rfc3339(info.created_at),
            updated_at: rfc3339(info.updated_at),
            online_users: online.0,
            online_guests: online.1,
            message_count,
            pinned,
            members: None,
        }
    }
}
