//! The operations of private messages.

use super::{Doc, Who, json};
use crate::protocol::ErrorCode;
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
        .answer(200, "The room; 201 where it is new.", json::<RoomData<'static>>())
        .errors(&[ErrorCode::Blocked, ErrorCode::BadRequest, ErrorCode::RoomDeleted]),
        _ => return None,
    })
}
