//! Everything that crosses a wire, defined once: ids, codes, frames, events, REST bodies, calls between objects.

pub mod act;
pub mod call;
mod code;
pub mod device;
pub mod erasure;
mod event;
mod follower;
mod frame;
mod ids;
pub mod inbox;
pub mod report;
mod room;
pub mod shard;
mod time;
mod user;
pub mod wire;

pub use code::{ChatError, ErrorCode};
pub use event::{Audience, Body, Held, LogEvent, Mention, Message, MessageType, Outcome, User};
pub use frame::{
    CatchUp, ClientEvent, ClientFrame, EditMessage, FrameId, JoinRoom, MAX_FRAME, MAX_SEALED_FRAME, MessageRef, Probe,
    React, RefreshToken, RoomRef, SendMessage, SetModes, Took, Typing, depth_within, read, too_large,
};
pub use ids::{MessageId, RoomId, UserId};
pub use room::{CreateRoom, MODES, PatchRoom, Rate, RoomInfo, RoomSettings, RoomType, Visibility, merge_settings};
pub use time::rfc3339;

use serde::{Deserialize, Serialize};

/// What is wrong with JSON, for a log: the error's own text may repeat what somebody said.
pub(crate) fn json_fault(error: &serde_json::Error) -> String {
    format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column())
}

/// A place in a room's log: which incarnation of it, and after which event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Position {
    /// The incarnation of the room's storage (ms since 1970 when it began); compared for equality.
    pub epoch: u64,
    /// The last event seen; 0 is before the first.
    pub seq: u64,
}
