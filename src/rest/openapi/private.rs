//! The operations of private messages.

use super::{Doc, Who, json};
use crate::protocol::ErrorCode;
use crate::protocol::device::{
    ClaimKeys, ClaimedKeys, DeviceList, KeptBackup, KeyBackup, NameDevice, PublishKeys, PublishedKeys,
};
use crate::protocol::report::ReportPage;
use crate::protocol::wire::RoomData;
use crate::rest::Route;

/// What a route of private messages does; none for other routes.
pub(super) fn describe(route: &Route) -> Option<Doc> {
    let doc = |id, summary| Doc::new(id, summary, Who::Bearer);
    Some(match route {
        Route::Direct(_) => doc(
            "openDirect",
            "Opens the direct room with a user: the same one from both sides, made when it is first opened; of new ones 20 \
             an hour.",
        )
        .answer(201, "The room, which is new; `Location` is its path.", json::<RoomData<'static>>())
        .also(200, "The room, which was there.")
        .errors(&[ErrorCode::Blocked, ErrorCode::BadRequest, ErrorCode::RoomDeleted]),
        Route::PublishKeys(_) => doc(
            "publishKeys",
            "Makes a device of one's own, or tops its keys up. At most 10 devices, 100 one-time keys each that wait; a key \
             that was published before is left out, and so are those that do not fit: the answer counts what is there.",
        )
        .body::<PublishKeys>()
        .answer(200, "Published.", json::<PublishedKeys>())
        .errors(&[
            ErrorCode::BadRequest,
            ErrorCode::DeviceKeysDiffer,
            ErrorCode::DeviceRemoved,
            ErrorCode::TooManyDevices,
        ]),
        Route::NameDevice(_) => doc("nameDevice", "Calls a device of one's own something else.")
            .body::<NameDevice>()
            .answer(200, "One's devices.", json::<DeviceList<'static>>())
            .errors(&[ErrorCode::BadRequest, ErrorCode::DeviceNotFound]),
        Route::RemoveDevice(_) => doc("removeDevice", "Forgets a device of one's own, with its keys.")
            .answer(204, "Forgotten.", None)
            .errors(&[ErrorCode::DeviceNotFound]),
        Route::DirectReports => {
            doc("listDirectReports", "Reports of all direct rooms, newest first; for moderators and above everywhere.")
                .text_query("status", "`open`, the default, `resolved` or `dismissed`.")
                .text_query("before", "Reports made before this one, by its id.")
                .query("limit", "Reports a page; 50 without it.", 1, Some(100))
                .answer(200, "The page.", json::<ReportPage<'static>>())
                .errors(&[ErrorCode::InvalidParameter])
        }
        Route::Inbox => Doc::new(
            "openInbox",
            "Opens the WebSocket of one's own inbox: subprotocol `chat.v1`, and `bearer.<token>` beside it, which is where \
             the token is looked for. A refusal is as for a room's.",
            Who::Open,
        )
        .answer(101, "The socket is open; `inbox` comes first.", None)
        .errors(&[ErrorCode::BadRequest, ErrorCode::TooManySockets, ErrorCode::TokenRequired, ErrorCode::TokenInvalid])
        .errors(&[ErrorCode::TokenExpired, ErrorCode::Forbidden, ErrorCode::RateLimited, ErrorCode::Unavailable]),
        Route::SetBackup => doc(
            "setKeyBackup",
            "Keeps a backup of one's keys, encrypted by the client; it replaces the one before.",
        )
        .body::<KeyBackup>()
        .answer(204, "Kept.", None)
        .errors(&[ErrorCode::FrameTooLarge, ErrorCode::BadRequest]),
        Route::Backup => doc("getKeyBackup", "Gives the backup of one's keys back.")
            .answer(200, "As it was sent.", json::<KeptBackup>())
            .errors(&[ErrorCode::BackupNotFound]),
        Route::RemoveBackup => doc("removeKeyBackup", "Forgets the backup of one's keys.")
            .answer(204, "Forgotten.", None)
            .errors(&[ErrorCode::BackupNotFound]),
        Route::OwnDevices => {
            doc("listOwnDevices", "One's own devices, with their names and how many one-time keys are left.")
                .answer(200, "By id.", json::<DeviceList<'static>>())
        }
        Route::Devices(_) => doc("listDevices", "A user's devices and their identity keys.")
            .answer(200, "By id.", json::<DeviceList<'static>>())
            .errors(&[ErrorCode::BadRequest]),
        Route::ClaimKeys(_) => doc(
            "claimKeys",
            "Hands out a key of each of a user's devices, or of those named: a one-time key, which nobody else gets, or \
             where none is left the fallback key. 200 an hour. A body is optional.",
        )
        .optional_body::<ClaimKeys>()
        .answer(200, "The keys.", json::<ClaimedKeys<'static>>())
        .errors(&[ErrorCode::BadRequest, ErrorCode::Blocked]),
        _ => return None,
    })
}
