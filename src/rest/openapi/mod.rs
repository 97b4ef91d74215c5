//! The OpenAPI description of REST: paths from the router's own rules, bodies from the structs that are read and
//! served, errors from the table of codes. Built natively; the Worker serves the JSON that a test keeps in step.

mod acts;
mod bounds;
mod doc;
mod keep;
mod links;
mod private;

use super::problem::Problem;
use super::route::{Method, Route, route};
use crate::host::{Bans, Members, Stats};
use crate::protocol::act::{
    Announcement, Appointed, BanUser, Denial, Reasoned, ReportBody, ResolveBody, SetTerms, Terms, TryTerms,
};
use crate::protocol::call::{EditBody, SendBody, TokenBody, TokenData};
use crate::protocol::device::{
    ClaimKeys, ClaimedDevice, ClaimedKey, ClaimedKeys, DeviceData, DeviceList, KeptBackup, KeyBackup, NameDevice,
    PublishKeys, PublishedKeys, SignedKey,
};
use crate::protocol::erasure::{ErasureBody, ErasureData};
use crate::protocol::report::{OpenedData, OpenedReport, Opening, ReportData, ReportPage, ReportedData};
use crate::protocol::wire::{History, MessageData, RoomData};
use crate::protocol::{CreateRoom, ErrorCode, PatchRoom, RoomSettings};
use crate::room::{
    Allowed, BanData, Deleted, DeletedData, Edited, HeldData, HeldList, PinnedData, RoleData, Sent, Tried,
};
use crate::sinks::history::AuditPage;
use crate::sinks::holds::{Hold, HoldPage, PlaceHold};
use crate::user::{BlockList, SignedOut};
use doc::{Doc, Who, json, string};
use utoipa::OpenApi;
use utoipa::openapi::schema::Object;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{HttpMethod, RefOr};

/// Every path with its methods; what each means is asked of [`route`].
const PATHS: &[(&str, &[Method])] = &[
    ("/api/rooms", &[Method::Post]),
    ("/api/rooms/{room_id}", &[Method::Get, Method::Patch, Method::Delete]),
    ("/api/rooms/{room_id}/ws", &[Method::Get]),
    ("/api/rooms/{room_id}/messages", &[Method::Get, Method::Post]),
    ("/api/rooms/{room_id}/members", &[Method::Get]),
    ("/api/rooms/{room_id}/stats", &[Method::Get]),
    ("/api/rooms/{room_id}/bans", &[Method::Get]),
    ("/api/rooms/{room_id}/ban", &[Method::Post]),
    ("/api/rooms/{room_id}/ban/{user_id}", &[Method::Delete]),
    ("/api/rooms/{room_id}/users/{user_id}/messages", &[Method::Delete]),
    ("/api/rooms/{room_id}/clear", &[Method::Post]),
    ("/api/rooms/{room_id}/announce", &[Method::Post]),
    ("/api/rooms/{room_id}/pins/{message_id}", &[Method::Put, Method::Delete]),
    ("/api/rooms/{room_id}/roles/{user_id}", &[Method::Put, Method::Delete]),
    ("/api/rooms/{room_id}/held", &[Method::Get]),
    ("/api/rooms/{room_id}/held/{held_id}/allow", &[Method::Post]),
    ("/api/rooms/{room_id}/held/{held_id}/deny", &[Method::Post]),
    ("/api/rooms/{room_id}/terms", &[Method::Get, Method::Put]),
    ("/api/rooms/{room_id}/terms/test", &[Method::Post]),
    ("/api/rooms/{room_id}/audit", &[Method::Get]),
    ("/api/rooms/{room_id}/export", &[Method::Get]),
    ("/api/users/{user_id}/export", &[Method::Get]),
    ("/api/holds", &[Method::Get, Method::Post]),
    ("/api/holds/{hold_id}", &[Method::Delete]),
    ("/api/rooms/{room_id}/reports", &[Method::Get]),
    ("/api/rooms/{room_id}/reports/{report_id}", &[Method::Get, Method::Patch]),
    ("/api/messages/{message_id}/report", &[Method::Post]),
    ("/api/reports", &[Method::Get]),
    ("/api/me/blocks", &[Method::Get]),
    ("/api/me/sign-out", &[Method::Post]),
    ("/api/users/{user_id}/block", &[Method::Put, Method::Delete]),
    ("/api/users/{user_id}/direct", &[Method::Put]),
    ("/api/users/{user_id}/erasure", &[Method::Post]),
    ("/api/erasures/{erasure_id}", &[Method::Get]),
    ("/api/users/{user_id}/devices", &[Method::Get]),
    ("/api/users/{user_id}/keys/claim", &[Method::Post]),
    ("/api/me/devices", &[Method::Get]),
    ("/api/me/ws", &[Method::Get]),
    ("/api/me/key-backup", &[Method::Get, Method::Put, Method::Delete]),
    ("/api/devices/{device_id}", &[Method::Patch, Method::Delete]),
    ("/api/devices/{device_id}/keys", &[Method::Put]),
    ("/api/messages/{message_id}", &[Method::Patch, Method::Delete]),
    ("/dev/token", &[Method::Post]),
    ("/healthz", &[Method::Get]),
    ("/metrics", &[Method::Get]),
    ("/openapi.json", &[Method::Get]),
    ("/problems/{code}", &[Method::Get]),
];

#[derive(OpenApi)]
#[openapi(
    info(description = "Rooms, history and messages over HTTP; live events come over the WebSocket of \
        `/api/rooms/{room_id}/ws`, which docs/protocol.md describes. Errors are problem documents (RFC 9457) whose \
        `code` is the word to branch on. A path or method that does not exist is answered 404 or 405 with the type \
        `about:blank`. Requests are counted by user, or by address without a token; `RateLimit` and `RateLimit-Policy` \
        say what is left, and with 429 `Retry-After` how long to wait."),
    components(schemas(
        Allowed, Announcement, Appointed, AuditPage, BanData<'static>, BanUser, Bans<'static>, BlockList<'static>,
        ClaimKeys, ClaimedDevice, ClaimedKey, ClaimedKeys<'static>, CreateRoom, Deleted, DeletedData, Denial,
        DeviceData<'static>, DeviceList<'static>, EditBody, Edited, ErasureBody, ErasureData, HeldData<'static>, HeldList, History<'static>, Hold, HoldPage,
        KeptBackup, KeyBackup, Members, MessageData<'static>, NameDevice, OpenedData<'static>, OpenedReport<'static>,
        Opening, PatchRoom, PinnedData<'static>, PlaceHold, Problem<'static>, PublishKeys, PublishedKeys, Reasoned,
        ReportBody, ReportData<'static>, ReportPage<'static>, ReportedData<'static>, ResolveBody, RoleData<'static>,
        RoomData<'static>, RoomSettings, SendBody, Sent, SetTerms, SignedKey, SignedOut, Stats, Terms, TokenBody,
        TokenData<'static>, Tried, TryTerms
    ))
)]
struct Schemas;

/// The description as JSON, as it stands in `docs/openapi.json`.
pub fn openapi_json() -> String {
    let mut api = Schemas::openapi();
    for (path, methods) in PATHS {
        for method in *methods {
            let sample = path
                .replace("{room_id}", "video_123")
                .replace("{message_id}", "x")
                .replace("{code}", "x")
                .replace("{report_id}", "x")
                .replace("{user_id}", "x")
                .replace("{device_id}", "x")
                .replace("{erasure_id}", "x")
                .replace("{held_id}", "x")
                .replace("{hold_id}", "x");
            if let Some(doc) = route(Some(*method), &sample).ok().as_ref().and_then(describe) {
                api.paths.add_path_operation(*path, vec![http(*method)], doc.operation(path));
            }
        }
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = api.components.get_or_insert_default();
    components.security_schemes.insert("bearer".to_owned(), SecurityScheme::Http(bearer).into());
    let metrics = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("METRICS_TOKEN.")).build();
    components.security_schemes.insert("metrics".to_owned(), SecurityScheme::Http(metrics).into());
    bounds::put(components);
    api.to_pretty_json().map(|json| json + "\n").unwrap_or_default()
}

fn http(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Put => HttpMethod::Put,
        Method::Patch => HttpMethod::Patch,
        Method::Delete => HttpMethod::Delete,
    }
}

/// What a route does; none for what is nothing. A new route does not compile until it is described.
fn describe(route: &Route) -> Option<Doc> {
    use Who::{Bearer, Open, Operator, Reader};
    let say = [
        ErrorCode::MessageEmpty,
        ErrorCode::MessageTooLong,
        ErrorCode::RateLimited,
        ErrorCode::RoomMode,
        ErrorCode::ContentRejected,
    ];
    Some(match route {
        Route::Socket(_) => Doc::new(
            "connect",
            "Opens the room's WebSocket: subprotocol `chat.v1`, and `bearer.<token>` beside it. Where `chat.v1` was \
             offered, a refusal is an opened socket that says `goodbye` and closes; else it is a problem.",
            Open,
        )
        .answer(101, "The socket is open; `join_room` comes first.", None)
        .room()
        .errors(&[ErrorCode::BadRequest, ErrorCode::TokenInvalid, ErrorCode::TokenExpired, ErrorCode::Forbidden])
        .errors(&[ErrorCode::RateLimited, ErrorCode::Unavailable, ErrorCode::Overloaded]),
        Route::CreateRoom => Doc::new("createRoom", "Makes a room; whoever makes it owns it.", Bearer)
            .body::<CreateRoom>()
            .answer(201, "The room; `Location` is its path.", json::<RoomData<'static>>())
            .also(200, "A direct room that was there.")
            .errors(&[ErrorCode::InvalidRoomId, ErrorCode::RoomExists, ErrorCode::RoomDeleted])
            .errors(&[ErrorCode::InvalidType, ErrorCode::InvalidSettings, ErrorCode::RateLimited]),
        Route::Room(_) => Doc::new("getRoom", "The room as it is now.", Reader).room().answer(
            200,
            "The room.",
            json::<RoomData<'static>>(),
        ),
        Route::PatchRoom(_) => Doc::new(
            "patchRoom",
            "Changes name and settings: a merge patch, null sets a setting back. For the owner, admins and services.",
            Bearer,
        )
        .room()
        .body::<PatchRoom>()
        .answer(200, "The room as it is now.", json::<RoomData<'static>>())
        .errors(&[ErrorCode::InvalidSettings]),
        Route::DeleteRoom(_) => Doc::new(
            "deleteRoom",
            "Deletes the room for good and closes its sockets. For the owner, admins and services.",
            Bearer,
        )
        .room()
        .answer(204, "Deleted.", None),
        Route::Messages(_) => Doc::new(
            "getMessages",
            "A page of history, tombstones included: by `page`, or `before` or `after` a message's `no`.",
            Reader,
        )
        .room()
        .query("page", "Which page, newest first; 1 is the newest and the default.", 1, None)
        .query("before", "Messages with a smaller `no`, newest first; not with `page` or `after`.", 0, None)
        .query("after", "Messages with a larger `no`, oldest first; not with `page` or `before`.", 0, None)
        .query("limit", "Messages a page; 50 without it.", 1, Some(100))
        .query("mine", "1: with the viewer's own reactions.", 0, Some(1))
        .answer(200, "The page; past the end it is empty.", json::<History<'static>>()),
        Route::Post(_) => Doc::new(
            "postMessage",
            "Says something, by the rules of `send_message`. The header `Idempotency-Key` stands for `client_id`.",
            Bearer,
        )
        .room()
        .header("Idempotency-Key", "Stands for `client_id`, and is bound as that is; where both are given it says nothing.")
        .body::<SendBody>()
        .answer(201, "Stored; or the first message under the same `client_id`.", json::<Sent>())
        .errors(&say)
        .errors(&[ErrorCode::InvalidType, ErrorCode::MetadataTooLarge, ErrorCode::StorageFull])
        .errors(&[ErrorCode::MessageNotFound, ErrorCode::MessageTooOld]),
        Route::Members(_) => Doc::new("getMembers", "Who is in the room, and who has a role in it.", Reader)
            .room()
            .query("limit", "Members a page; 50 without it.", 1, Some(100))
            .query("cursor", "What `next` said.", 0, Some(u64::from(u32::MAX)))
            .answer(200, "The page.", json::<Members>()),
        Route::Stats(_) => Doc::new("getStats", "The room's counters; for moderators and above.", Bearer)
            .room()
            .answer(200, "The counters.", json::<Stats>()),
        Route::Bans(_) | Route::Ban(_) | Route::Unban(..) | Route::DeleteUserMessages(..) | Route::Clear(_) => {
            return acts::describe(route);
        }
        Route::Announce(_) | Route::Pin(..) | Route::Role(..) | Route::Audit(_) => return acts::describe(route),
        Route::Held(_) | Route::ReviewHeld(..) | Route::Terms(_) | Route::SetTerms(_) | Route::TryTerms(_) => {
            return acts::describe(route);
        }
        Route::Reports(_) | Route::Report(..) | Route::ResolveReport(..) | Route::ReportMessage(_) => {
            return acts::describe(route);
        }
        Route::Blocks | Route::Block(..) | Route::SignOut | Route::Erase(_) | Route::Erasure(_) => {
            return acts::describe(route);
        }
        Route::ExportRoom(_) | Route::ExportUser(_) => return keep::describe(route),
        Route::Holds | Route::PlaceHold | Route::LiftHold(_) => return keep::describe(route),
        Route::Direct(_) | Route::PublishKeys(_) | Route::NameDevice(_) | Route::RemoveDevice(_) => {
            return private::describe(route);
        }
        Route::Inbox | Route::SetBackup | Route::Backup | Route::RemoveBackup => return private::describe(route),
        Route::DirectReports | Route::OwnDevices | Route::Devices(_) | Route::ClaimKeys(_) => return private::describe(route),
        Route::EditMessage(_) => Doc::new("editMessage", "Changes what one said oneself.", Bearer)
            .body::<EditBody>()
            .answer(200, "Changed.", json::<Edited>())
            .message()
            .errors(&say),
        Route::DeleteMessage(_) => Doc::new(
            "deleteMessage",
            "Makes a message a tombstone: one's own, or as a moderator that of somebody of a lower role. Twice is once.",
            Bearer,
        )
        .text_query("room_id", "The message's room, where it is known: the act then needs no PostgreSQL.")
        .answer(200, "It is a tombstone.", json::<Deleted>())
        .message(),
        Route::DevToken => Doc::new(
            "makeToken",
            "A token for trying out; only where DEV_TOKENS is true, which no production deployment sets.",
            Open,
        )
        .body::<TokenBody>()
        .answer(200, "The token, for 12 hours.", json::<TokenData<'static>>())
        .errors(&[ErrorCode::UserNotFound, ErrorCode::TokenInvalid, ErrorCode::RateLimited]),
        Route::Health => Doc::new("health", "Whether the service serves; PostgreSQL is not asked.", Open).answer(
            200,
            "It does.",
            Some(("application/json", Object::new().into())),
        ),
        Route::Metrics => Doc::new(
            "metrics",
            "What goes on, as Prometheus reads it, or with `format=json` as JSON with the busiest rooms. The bearer token \
             is METRICS_TOKEN; where that is not set, 404. docs/operations.md says what each figure is.",
            Operator,
        )
        .text_query("format", "`json`; without it Prometheus's text.")
        .answer(200, "The figures.", Some(("text/plain", RefOr::from(string()))))
        .or("application/json", Object::new().into())
        .or_nothing()
        .errors(&[ErrorCode::TokenRequired, ErrorCode::TokenInvalid, ErrorCode::InvalidParameter])
        .errors(&[ErrorCode::RateLimited]),
        Route::OpenApi => Doc::plain("openapi", "This description.", "application/json"),
        Route::Problem(_) => Doc::plain("problem", "What an error code means.", "text/plain").or_nothing(),
        Route::NotFound | Route::MethodNotAllowed(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn docs_openapi_json_is_in_step() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
        let now = openapi_json();
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap() == now,
            "docs/openapi.json is not what the code says; run: UPDATE_OPENAPI=1 cargo test --features openapi openapi"
        );
    }

    #[test]
    fn every_path_and_no_other_method_is_described() {
        let api: serde_json::Value = serde_json::from_str(&openapi_json()).unwrap();
        for (path, methods) in PATHS {
            let sample = path.replace("{room_id}", "r").replace("{message_id}", "m").replace("{code}", "c");
            for (method, name) in [
                (Method::Get, "get"),
                (Method::Post, "post"),
                (Method::Put, "put"),
                (Method::Patch, "patch"),
                (Method::Delete, "delete"),
            ] {
                let known = route(Some(method), &sample).is_ok_and(|route| describe(&route).is_some());
                assert_eq!(known, methods.contains(&method), "{name} {path}");
                assert_eq!(known, api["paths"][*path][name]["responses"].is_object(), "{name} {path}");
            }
        }
    }

    #[test]
    fn references_lead_somewhere_and_codes_are_those_of_the_wire() {
        let text = openapi_json();
        let api: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(api["openapi"], "3.1.0");
        let references: Vec<_> =
            text.split("\"$ref\": \"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > 30);
        let codes = serde_json::to_value(ErrorCode::ALL).unwrap();
        assert_eq!(api["components"]["schemas"]["ErrorCode"]["enum"], codes);
        for reference in references {
            assert!(api.pointer(reference).is_some(), "{reference}");
        }
    }
}
