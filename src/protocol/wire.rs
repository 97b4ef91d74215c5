//! What the server says: replies, events, positions, as lines of JSON, each encoded once.

use super::{ChatError, FrameId, Mention, Message, MessageId, RoomInfo, RoomSettings, RoomType, User, UserId, rfc3339};
use crate::auth::Role;
use serde::Serialize;
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

/// "Everything in (from, to] that is for you is in this frame, `left_out` were sampled away."
pub fn position(epoch: u64, from: u64, to: u64) -> Line {
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
    json(&AtLine { at: At { epoch, from, to, left_out: 0 } }).into()
}

/// The `data` of `new_message`; in a page of history also `seq`, `edited_at` and `deleted_at`.
#[derive(Serialize)]
pub struct MessageData<'a> {
    /// Its place in the log, in lists only: an event has it outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    message_id: MessageId,
    no: u64,
    room_id: &'a str,
    user: &'a User,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    reactions: &'a Counts,
    mentions: &'a [Mention],
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    metadata: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<String>,
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
            edited_at: message.edited_at.map(rfc3339),
            deleted_at: message.deleted_at.map(rfc3339),
        }
    }
}

/// A user who is in the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The user.
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
    pub can: Vec<&'static str>,
}

/// A room as REST and the join reply show it.
#[derive(Debug, Serialize)]
pub struct RoomData<'a> {
    room_id: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    kind: RoomType,
    settings: &'a RoomSettings,
    owner_id: Option<&'a str>,
    created_at: String,
    updated_at: String,
    online_users: usize,
    online_guests: usize,
    message_count: u64,
    pinned: [(); 0],
}

impl<'a> RoomData<'a> {
    /// The room with what is true of it now.
    pub fn new(room_id: &'a str, info: &'a RoomInfo, online: (usize, usize), message_count: u64) -> Self {
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
            pinned: [],
        }
    }
}
