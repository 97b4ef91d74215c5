//! A user's inbox: what rooms tell of, and what its sockets say.

use super::{ChatError, ErrorCode, FrameId, UserId, depth_within, read};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The longest frame in UTF-8 bytes.
const MAX_FRAME: usize = 4_096;

/// Why a room's line in an inbox changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum InboxReason {
    /// A message in a direct room.
    Message,
    /// The user was mentioned.
    Mention,
    /// The user read it, or wrote there.
    Read,
}

/// A room tells a user's object of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The room.
    pub room_id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The other one, in a direct room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<UserId>,
    /// The log's incarnation.
    pub epoch: u64,
    /// The message's place in it.
    pub seq: u64,
    /// Whose message it is.
    pub by: UserId,
    /// Why.
    pub reason: InboxReason,
}

/// A room in the `inbox` event.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InboxRoom<'a> {
    /// Its id.
    pub room_id: &'a str,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// Messages, or mentions where it is no direct room, that are not read; 200 are 200 or more.
    pub unread: usize,
    /// The last of them, or of one's own.
    pub last_seq: u64,
    /// The other one, in a direct room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<&'a str>,
}

/// The `inbox` event.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Inbox<'a> {
    /// Those that changed last come first.
    pub rooms: Vec<InboxRoom<'a>>,
    /// As in the list of one's own devices.
    pub devices_version: u64,
}

/// The `inbox_changed` event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InboxChanged {
    /// The room.
    pub room_id: String,
    /// As in the `inbox` event.
    pub unread: usize,
    /// Why.
    pub reason: InboxReason,
    /// The other one, in a direct room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<UserId>,
    /// As in the `inbox` event.
    pub last_seq: u64,
}

/// The `devices_changed` event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DevicesChanged {
    /// Whose.
    pub user_id: UserId,
    /// As in the list of their devices.
    pub version: u64,
}

/// `mark_read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MarkRead {
    /// The room.
    pub room_id: String,
    /// Up to there.
    pub seq: u64,
}

/// What an inbox can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxCommand {
    /// A room was read.
    MarkRead(MarkRead),
    /// Is anybody there. The exact text `{"event":"ping"}` is answered without waking the inbox.
    Ping,
}

/// Reads one text frame: what the client calls it, and what it wants or why that cannot be read.
///
/// # Errors
/// `frame_too_large`, `bad_frame` where not even an `id` can be had.
pub fn read_command(text: &str) -> Result<(Option<FrameId>, Result<InboxCommand, ChatError>), ChatError> {
    #[derive(Deserialize)]
    struct Frame<'a> {
        #[serde(default)]
        id: Option<FrameId>,
        event: String,
        #[serde(default, borrow)]
        data: Option<&'a RawValue>,
    }
    if text.len() > MAX_FRAME {
        return Err(ChatError::new(ErrorCode::FrameTooLarge, "A frame to an inbox is at most 4,096 bytes."));
    }
    let frame = serde_json::from_str::<Frame<'_>>(text).ok().filter(|_| depth_within(text, 32));
    let Some(Frame { id, event, data }) = frame else {
        let message = "A frame is one JSON object with `event`, and optionally `id` and `data`.";
        return Err(ChatError::new(ErrorCode::BadFrame, message));
    };
    let command = match event.as_str() {
        "mark_read" => read(data.map_or("{}", RawValue::get)).map(InboxCommand::MarkRead),
        "ping" => Ok(InboxCommand::Ping),
        _ => Err(ChatError::new(ErrorCode::UnknownEvent, "An inbox knows `mark_read` and `ping`.")),
    };
    Ok((id, command))
}
