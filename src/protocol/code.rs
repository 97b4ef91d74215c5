//! The error codes a client can meet, with the HTTP status and close code each of them has.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $status:literal, $close:expr;)+) => {
        /// What went wrong, in the one word that a client may branch on. On the wire in snake case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(rename_all = "snake_case"))]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $name,)+
        }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name,)+];

            /// The code as it stands on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$name => $text,)+ }
            }

            /// What it means, in a sentence or two.
            pub const fn meaning(self) -> &'static str {
                match self { $(ErrorCode::$name => concat!($($doc,)+).trim_ascii(),)+ }
            }

            /// The HTTP status that a REST answer with this code has.
            pub const fn status(self) -> u16 {
                match self { $(ErrorCode::$name => $status,)+ }
            }

            /// The WebSocket close code (4400–4499) where this error ends a socket.
            pub const fn close(self) -> u16 {
                match self { $(ErrorCode::$name => $close,)+ }
            }
        }
    };
}

codes! {
    /// The frame is not a JSON object of the documented shape.
    BadFrame = "bad_frame", 400, 4400;
    /// A frame or body above its limit in bytes.
    FrameTooLarge = "frame_too_large", 413, 4413;
    /// A known field has the wrong type or form; `field` names it.
    BadRequest = "bad_request", 400, 4400;
    /// No event has this name.
    UnknownEvent = "unknown_event", 400, 4400;
    /// The first frame has to be `join_room`.
    NotJoined = "not_joined", 400, 4400;
    /// The frame names another room than the socket's.
    WrongRoom = "wrong_room", 400, 4400;
    /// The user has as many sockets in this room as one may have.
    TooManySockets = "too_many_sockets", 429, 4429;
    /// A token is needed here.
    TokenRequired = "token_required", 401, 4401;
    /// The token is malformed, forged, or signed with a key that is not ours.
    TokenInvalid = "token_invalid", 401, 4401;
    /// The token's time is over.
    TokenExpired = "token_expired", 401, 4401;
    /// Two tokens of different users on one socket.
    TokenMismatch = "token_mismatch", 401, 4401;
    /// The role does not allow it.
    Forbidden = "forbidden", 403, 4403;
    /// Banned from this room.
    Banned = "banned", 403, 4403;
    /// One of the two users of a direct room blocks the other.
    Blocked = "blocked", 403, 4403;
    /// No such room.
    RoomNotFound = "room_not_found", 404, 4404;
    /// The room was deleted.
    RoomDeleted = "room_deleted", 410, 4404;
    /// The room id is taken.
    RoomExists = "room_exists", 409, 4400;
    /// No such message in this room.
    MessageNotFound = "message_not_found", 404, 4400;
    /// The message has left the room's log; the act is possible over REST.
    MessageTooOld = "message_too_old", 409, 4400;
    /// No such user here.
    UserNotFound = "user_not_found", 404, 4400;
    /// No such device of this user.
    DeviceNotFound = "device_not_found", 404, 4400;
    /// There is no backup of the user's keys.
    BackupNotFound = "backup_not_found", 404, 4400;
    /// The device is known with other identity keys, which never change.
    DeviceKeysDiffer = "device_keys_differ", 409, 4400;
    /// The device was removed; its id is not taken again.
    DeviceRemoved = "device_removed", 409, 4400;
    /// The user has as many devices as one may.
    TooManyDevices = "too_many_devices", 400, 4400;
    /// No such erasure.
    ErasureNotFound = "erasure_not_found", 404, 4400;
    /// A legal hold keeps what this would change.
    OnHold = "on_hold", 409, 4400;
    /// No such report.
    ReportNotFound = "report_not_found", 404, 4400;
    /// No such legal hold.
    HoldNotFound = "hold_not_found", 404, 4400;
    /// Not a room id: 1–200 bytes of `A-Z a-z 0-9 _ . : -`.
    InvalidRoomId = "invalid_room_id", 400, 4400;
    /// A query parameter is out of range or malformed.
    InvalidParameter = "invalid_parameter", 400, 4400;
    /// A room setting is unknown or out of range.
    InvalidSettings = "invalid_settings", 400, 4400;
    /// No such type of message or room.
    InvalidType = "invalid_type", 400, 4400;
    /// A reaction is one grapheme cluster of at most 32 bytes.
    InvalidReaction = "invalid_reaction", 400, 4400;
    /// The message or the user has as many different reactions as there may be.
    TooManyReactions = "too_many_reactions", 400, 4400;
    /// The user blocks as many users as one may.
    TooManyBlocks = "too_many_blocks", 400, 4400;
    /// Nothing is left of the message.
    MessageEmpty = "message_empty", 400, 4400;
    /// The message is longer than MAX_MESSAGE_LENGTH characters.
    MessageTooLong = "message_too_long", 400, 4400;
    /// `metadata` is above 1,024 bytes or nested too deeply.
    MetadataTooLarge = "metadata_too_large", 400, 4400;
    /// Too many in the window; `retry_after_ms` says when there is room again.
    RateLimited = "rate_limited", 429, 4429;
    /// The room is in slow mode.
    SlowMode = "slow_mode", 429, 4429;
    /// A mode of the room does not allow it.
    RoomMode = "room_mode", 403, 4403;
    /// The filters refused the message.
    ContentRejected = "content_rejected", 422, 4400;
    /// The viewer does not read what is sent to it, or is silent.
    TooSlow = "too_slow", 429, 4408;
    /// More load than can be taken now.
    Overloaded = "overloaded", 503, 4429;
    /// Another part of the room serves this viewer now; come back, with the `shard_key` of the goodbye where it has one.
    Elsewhere = "elsewhere", 421, 4409;
    /// Something that is needed is not to be had now.
    Unavailable = "unavailable", 503, 4429;
    /// The room's storage is nearly full.
    StorageFull = "storage_full", 507, 4429;
    /// The deployment's settings do not allow it to serve.
    Misconfigured = "misconfigured", 503, 4429;
    /// A fault of the service.
    Internal = "internal", 500, 4429;
}

/// An error that may be shown to whoever asked: a code, a sentence, and what to do.
///
/// `message` never holds an internal error's text, a token, or what somebody else wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ErrorData"))]
pub struct ChatError {
    /// The code to branch on.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: String,
    /// Milliseconds after which the same request may succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The field that is wrong, as a dotted path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// When a ban ends (RFC 3339), absent where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
    /// Of an internal error, which the log line has too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_id: Option<String>,
}

impl ChatError {
    /// An error with nothing but its code and sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None, field: None, ends_at: None, error_id: None }
    }

    /// A fault of the service, told by an id alone: 16 hexadecimal digits out of `entropy`, to be logged with its cause.
    pub fn internal(entropy: &[u8; 32]) -> Self {
        let message = "The service met a fault of its own; it has been logged.";
        // From the end: messages and probes take theirs from the beginning.
        let id = entropy.iter().rev().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { error_id: Some(id), ..Self::new(ErrorCode::Internal, message) }
    }

    /// When whoever is refused at the door may come back, ms; none where that changes nothing.
    pub fn come_back(&self) -> Option<u64> {
        match self.code {
            ErrorCode::Internal | ErrorCode::Unavailable | ErrorCode::Overloaded => {
                Some(self.retry_after_ms.unwrap_or(5_000))
            }
            ErrorCode::TokenExpired => Some(self.retry_after_ms.unwrap_or(0)),
            _ => self.retry_after_ms,
        }
    }

    /// The same error, naming the field that is wrong.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same error, with a wait in ms.
    pub fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// V9.
    #[test]
    fn v9_what_passes_by_itself_is_come_back_from() {
        let wait = |code| ChatError::new(code, "").come_back();
        assert_eq!(ChatError::internal(&[7; 32]).come_back(), Some(5_000));
        assert_eq!((wait(ErrorCode::Overloaded), wait(ErrorCode::TokenExpired)), (Some(5_000), Some(0)));
        assert_eq!((wait(ErrorCode::Banned), wait(ErrorCode::RoomNotFound)), (None, None));
        assert_eq!(ChatError::new(ErrorCode::RateLimited, "").retry_after(70).come_back(), Some(70));
    }

    #[test]
    fn codes_table_in_the_documentation_is_in_step() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md");
        let text = std::fs::read_to_string(&path).unwrap();
        let row = |code: &ErrorCode| {
            format!("| `{}` | {} | {} | {} |\n", code.as_str(), code.status(), code.close(), code.meaning())
        };
        let rows: String = ErrorCode::ALL.iter().map(row).collect();
        let table = format!("\n| code | HTTP | close | meaning |\n| --- | --- | --- | --- |\n{rows}\n");
        let (before, rest) = text.split_once("writes it -->\n").unwrap();
        let (_, after) = rest.split_once("<!-- /codes -->").unwrap();
        let now = format!("{before}writes it -->\n{table}<!-- /codes -->{after}");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap() == now,
            "the table of codes in docs/protocol.md is not what the code says; run: UPDATE_DOCS=1 cargo test codes_table"
        );
    }
}
