//! The operations of legal holds and exports.

use super::{Doc, Who, json, string};
use crate::protocol::ErrorCode;
use crate::rest::Route;
use crate::sinks::holds::{Hold, HoldPage, PlaceHold};

const LINES: &str = "JSON objects, one a line. Each that has a `cursor` can be gone on after; the last one is of the kind \
    `end`, and where it is missing the export was cut.";

/// What such a route does; none for other routes.
pub(super) fn describe(route: &Route) -> Option<Doc> {
    let lines = || Some(("application/x-ndjson", string().into()));
    let export = |doc: Doc| {
        doc.text_query("after", "The `cursor` of the last line that arrived.")
            .answer(200, LINES, lines())
            .errors(&[ErrorCode::InvalidParameter])
    };
    Some(match route {
        Route::ExportRoom(_) => export(
            Doc::new("exportRoom", "All that is kept of a room; for the owner, admins and services.", Who::Bearer).room(),
        ),
        Route::ExportUser(_) => export(Doc::new(
            "exportUser",
            "All that is kept of a user; for the user, admins and services.",
            Who::Bearer,
        ))
        .errors(&[ErrorCode::BadRequest]),
        Route::Holds => Doc::new("listHolds", "Legal holds, newest first; for admins and services.", Who::Bearer)
            .text_query("before", "Holds placed before this one, by its id.")
            .query("limit", "Holds a page; 50 without it.", 1, Some(100))
            .answer(200, "The page.", json::<HoldPage>()),
        Route::PlaceHold => Doc::new(
            "placeHold",
            "Keeps what a room, a user, or a user in a room said from expiring and being erased; for admins and services.",
            Who::Bearer,
        )
        .body::<PlaceHold>()
        .answer(201, "The hold.", json::<Hold>())
        .errors(&[ErrorCode::InvalidRoomId]),
        Route::LiftHold(_) => {
            Doc::new("liftHold", "Lifts a hold; it stays in the list. Twice is once.", Who::Bearer)
                .answer(200, "The hold.", json::<Hold>())
                .errors(&[ErrorCode::HoldNotFound])
        }
        _ => return None,
    })
}
