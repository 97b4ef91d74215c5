//! Calls to a user's object, and what it tells rooms.

use super::call::Nothing;
use super::device::{KeyBackup, PublishKeys};
use super::erasure::Mode;
use super::inbox::{DevicesChanged, MarkRead, Note};
use super::{ChatError, ErrorCode, RoomId, UserId};
use crate::user::Blocks;
use serde::{Deserialize, Serialize};

/// Where a room takes a [`UserPush`] as JSON, and answers a [`Heard`].
pub const ROOM_USER: &str = "/user";
/// Where a user's object answers what holds, a [`Coming`]: behind it stands the name of the room's object to
/// which the user is on the way. The `@` is there for rooms that are called `..`.
pub const USER_COMES: &str = "/comes/@";
/// Where a user's object takes a [`UserCall`] as JSON.
pub const USER_CALL: &str = "/call";
/// Where a user's object counts a room that its user wants to make: an [`super::call::Answer`] of nothing.
pub const USER_MAKES_ROOM: &str = "/makes-room";
/// Where it counts a direct room that the user wants to open.
pub const USER_OPENS_DIRECT: &str = "/opens-direct";
/// Where it accepts a socket of the user's inbox.
pub const USER_SOCKET: &str = "/socket";
/// Where it keeps a backup of the user's keys, gives it back or forgets it: a [`BackupCall`].
pub const USER_BACKUP: &str = "/backup";

/// What a room has to know of a user: whom they do not want to hear, and which tokens do not count any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Counts the user's changes: of two the larger is the newer.
    pub version: u64,
    /// When the user last signed out everywhere, ms since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_out_at: Option<u64>,
    /// Who is blocked.
    #[serde(default, skip_serializing_if = "Blocks::is_empty")]
    pub blocks: Blocks,
}

impl Standing {
    /// Whether a token that was made at `iat_ms` still counts. Tokens have whole seconds: one of the second of the
    /// sign-out cannot be told from one made before it, and is refused; so is one that does not say when it was made.
    ///
    /// # Errors
    /// `token_expired`.
    pub fn check(&self, iat_ms: Option<u64>) -> Result<(), ChatError> {
        match self.signed_out_at {
            Some(at) if iat_ms.is_none_or(|made| made <= at) => {
                let message = "You signed out everywhere after this token was made; come back with a newer one.";
                Err(ChatError::new(ErrorCode::TokenExpired, message))
            }
            _ => Ok(()),
        }
    }
}

/// What a user's object answers for one who is on the way to a room.
#[derive(Debug, Serialize, Deserialize)]
pub struct Coming {
    /// What holds now.
    pub standing: Standing,
    /// Whether the room is told of what changes from now on, so that it need not ask once it has let the user in.
    pub awaited: bool,
}

/// A call to a user's object.
#[derive(Debug, Serialize, Deserialize)]
pub struct UserCall {
    /// [`super::call::VERSION`] of the caller.
    pub v: u32,
    /// When the token was made with which the user asks, ms since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat_ms: Option<u64>,
    /// What.
    #[serde(flatten)]
    pub ask: UserAsk,
}

/// A call to [`USER_BACKUP`].
#[derive(Serialize, Deserialize)]
pub struct BackupCall {
    /// [`super::call::VERSION`] of the caller.
    pub v: u32,
    /// As in [`UserCall`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat_ms: Option<u64>,
    /// What.
    pub ask: BackupAsk,
}

/// What is to become of a backup. It is not for a log, and has no debug form.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupAsk {
    /// Keep this one.
    Set(KeyBackup),
    /// Give it back: [`super::device::KeptBackup`].
    Get,
    /// Forget it.
    Remove,
}

/// What can be asked of a user's object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", content = "with", rename_all = "snake_case")]
pub enum UserAsk {
    /// What holds for the user now: a [`Standing`], whatever the token.
    Standing {
        /// The room that asks, because it has let them in; it is told of changes from now on.
        room: Option<String>,
    },
    /// Whom the user blocks.
    Blocks(Nothing),
    /// Do not show this one's messages any more: the new [`Standing`].
    Block(UserId),
    /// Show them again: the new [`Standing`].
    Unblock(UserId),
    /// Refuse all tokens made until now.
    SignOut(Nothing),
    /// What holds for the user while a direct room of theirs is being opened: a [`Standing`], whatever the token.
    Opens(RoomId),
    /// It is open: it has to be told whenever the user blocks the other.
    Opened {
        /// The room.
        room: RoomId,
        /// The other one.
        with: UserId,
    },
    /// Take the keys of a device of one's own: [`super::device::PublishedKeys`].
    Publish {
        /// Which device.
        device_id: String,
        /// Its keys.
        keys: PublishKeys,
    },
    /// One's own devices: a [`super::device::DeviceList`].
    Devices(Nothing),
    /// The same as somebody else may see it, whatever the token.
    DevicesFor(Nothing),
    /// Call a device something else: the [`super::device::DeviceList`].
    NameDevice {
        /// Which.
        device_id: String,
        /// How.
        name: String,
    },
    /// Forget a device.
    RemoveDevice(String),
    /// Whether the user may keep a backup now, which the adapter then keeps; reading and deleting it is not counted.
    Backup {
        /// To set it.
        set: bool,
    },
    /// Something was said for the user in a room.
    Note(Note),
    /// The user has read a room.
    MarkRead(MarkRead),
    /// Somebody with whom the user has a direct room has other devices now.
    DevicesChanged(DevicesChanged),
    /// Count that the user claims keys of this one.
    Claims(UserId),
    /// Erase the user, everywhere. Whoever asks is not looked at.
    Erase {
        /// The erasure's id.
        erasure_id: String,
        /// How.
        mode: Mode,
    },
    /// How far that has come: a [`super::erasure::Progress`], or null where nothing is going on.
    Erasure(Nothing),
    /// Forget somebody who is being erased: blocks of theirs, and what names them.
    Forget(UserId),
    /// Hand out keys to somebody, whose own object let that pass: [`super::device::ClaimedKeys`].
    ClaimedBy {
        /// To whom.
        by: UserId,
        /// Of which devices; of all without it.
        device_ids: Option<Vec<String>>,
    },
}

/// A user's object tells a room of a change.
#[derive(Debug, Serialize, Deserialize)]
pub struct UserPush {
    /// [`super::call::VERSION`] of the caller.
    pub v: u32,
    /// Whose.
    pub user_id: UserId,
    /// What holds from now on.
    pub standing: Standing,
}

/// A room's answer to [`UserPush`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Heard {
    /// Whether the user has a socket there.
    pub here: bool,
}
