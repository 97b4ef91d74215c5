//! From method and path to what is asked for.

use crate::protocol::{ChatError, ErrorCode, RoomId};
use percent_encoding::percent_decode_str;

/// The methods that some path knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /api/rooms/{id}/ws`.
    Socket(RoomId),
    /// `POST /api/rooms`.
    CreateRoom,
    /// `GET /api/rooms/{id}`.
    Room(RoomId),
    /// `PATCH /api/rooms/{id}`.
    PatchRoom(RoomId),
    /// `DELETE /api/rooms/{id}`.
    DeleteRoom(RoomId),
    /// `GET /api/rooms/{id}/messages`.
    Messages(RoomId),
    /// `POST /api/rooms/{id}/messages`.
    Post(RoomId),
    /// `GET /api/rooms/{id}/members`.
    Members(RoomId),
    /// `GET /api/rooms/{id}/stats`.
    Stats(RoomId),
    /// `GET /api/rooms/{id}/bans`.
    Bans(RoomId),
    /// `POST /api/rooms/{id}/ban`.
    Ban(RoomId),
    /// `DELETE /api/rooms/{id}/ban/{user}`.
    Unban(RoomId, String),
    /// `DELETE /api/rooms/{id}/users/{user}/messages`.
    DeleteUserMessages(RoomId, String),
    /// `POST /api/rooms/{id}/clear`.
    Clear(RoomId),
    /// `POST /api/rooms/{id}/announce`.
    Announce(RoomId),
    /// `PUT` and `DELETE /api/rooms/{id}/pins/{message}`; true for `DELETE`.
    Pin(RoomId, String, bool),
    /// `PUT` and `DELETE /api/rooms/{id}/roles/{user}`; true for `DELETE`.
    Role(RoomId, String, bool),
    /// `GET /api/rooms/{id}/held`.
    Held(RoomId),
    /// `POST /api/rooms/{id}/held/{held_id}/allow` and `…/deny`; true for `deny`.
    ReviewHeld(RoomId, String, bool),
    /// `GET /api/rooms/{id}/terms`.
    Terms(RoomId),
    /// `PUT /api/rooms/{id}/terms`.
    SetTerms(RoomId),
    /// `POST /api/rooms/{id}/terms/test`.
    TryTerms(RoomId),
    /// `GET /api/rooms/{id}/audit`.
    Audit(RoomId),
    /// `GET /api/rooms/{id}/export`.
    ExportRoom(RoomId),
    /// `GET /api/users/{user}/export`.
    ExportUser(String),
    /// `GET /api/holds`.
    Holds,
    /// `POST /api/holds`.
    PlaceHold,
    /// `DELETE /api/holds/{hold}`.
    LiftHold(String),
    /// `GET /api/rooms/{id}/reports`.
    Reports(RoomId),
    /// `GET /api/reports`.
    DirectReports,
    /// `GET /api/rooms/{id}/reports/{report}`.
    Report(RoomId, String),
    /// `PATCH /api/rooms/{id}/reports/{report}`.
    ResolveReport(RoomId, String),
    /// `POST /api/messages/{id}/report`.
    ReportMessage(String),
    /// `GET /api/me/blocks`.
    Blocks,
    /// `PUT` and `DELETE /api/users/{user}/block`; true for `DELETE`.
    Block(String, bool),
    /// `PUT /api/users/{user}/direct`.
    Direct(String),
    /// `POST /api/users/{user}/erasure`.
    Erase(String),
    /// `GET /api/erasures/{erasure}`.
    Erasure(String),
    /// `PUT /api/devices/{device}/keys`.
    PublishKeys(String),
    /// `PATCH /api/devices/{device}`.
    NameDevice(String),
    /// `DELETE /api/devices/{device}`.
    RemoveDevice(String),
    /// `GET /api/me/devices`.
    OwnDevices,
    /// `GET /api/me/ws`.
    Inbox,
    /// `PUT /api/me/key-backup`.
    SetBackup,
    /// `GET /api/me/key-backup`.
    Backup,
    /// `DELETE /api/me/key-backup`.
    RemoveBackup,
    /// `GET /api/users/{user}/devices`.
    Devices(String),
    /// `POST /api/users/{user}/keys/claim`.
    ClaimKeys(String),
    /// `POST /api/me/sign-out`.
    SignOut,
    /// `PATCH /api/messages/{id}`.
    EditMessage(String),
    /// `DELETE /api/messages/{id}`.
    DeleteMessage(String),
    /// `POST /dev/token`.
    DevToken,
    /// `GET /healthz`.
    Health,
    /// `GET /metrics`.
    Metrics,
    /// `GET /openapi.json`.
    OpenApi,
    /// `GET /problems/{code}`.
    Problem(String),
    /// Nothing is here.
    NotFound,
    /// Something is here, for these methods.
    MethodNotAllowed(&'static str),
}

impl Route {
    /// Whether it is answered even by a deployment that refuses to serve.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Problem(_) | Self::OpenApi | Self::NotFound)
    }
}

/// Reads a path; `method` is none for methods that no path knows.
///
/// # Errors
/// `invalid_room_id`.
pub fn route(method: Option<Method>, path: &str) -> Result<Route, ChatError> {
    use Method::{Delete, Get, Patch, Post, Put};
    let segments: Vec<_> =
        path.trim_start_matches('/').split('/').map(|s| percent_decode_str(s).decode_utf8()).collect();
    let segments: Vec<&str> = segments.iter().map(|segment| segment.as_deref().unwrap_or("\u{FFFD}")).collect();
    let only = |wanted: Method, route: Route, allow| {
        if method == Some(wanted) { route } else { Route::MethodNotAllowed(allow) }
    };
    Ok(match segments.as_slice() {
        ["api", "rooms"] => only(Post, Route::CreateRoom, "POST"),
        ["api", "rooms", id] => {
            let id = RoomId::parse(id)?;
            match method {
                Some(Get) => Route::Room(id),
                Some(Patch) => Route::PatchRoom(id),
                Some(Delete) => Route::DeleteRoom(id),
                _ => Route::MethodNotAllowed("GET, PATCH, DELETE"),
            }
        }
        ["api", "rooms", id, what @ ("ws" | "messages" | "members" | "stats")] => {
            let id = RoomId::parse(id)?;
            match (*what, method) {
                ("ws", _) => only(Get, Route::Socket(id), "GET"),
                ("messages", Some(Get)) => Route::Messages(id),
                ("messages", Some(Post)) => Route::Post(id),
                ("messages", _) => Route::MethodNotAllowed("GET, POST"),
                ("members", _) => only(Get, Route::Members(id), "GET"),
                _ => only(Get, Route::Stats(id), "GET"),
            }
        }
        [
            "api",
            "rooms",
            id,
            what @ ("ban" | "bans" | "clear" | "announce" | "audit" | "export" | "held" | "reports"),
        ] => {
            let id = RoomId::parse(id)?;
            match *what {
                "ban" => only(Post, Route::Ban(id), "POST"),
                "bans" => only(Get, Route::Bans(id), "GET"),
                "clear" => only(Post, Route::Clear(id), "POST"),
                "reports" => only(Get, Route::Reports(id), "GET"),
                "announce" => only(Post, Route::Announce(id), "POST"),
                "held" => only(Get, Route::Held(id), "GET"),
                "export" => only(Get, Route::ExportRoom(id), "GET"),
                _ => only(Get, Route::Audit(id), "GET"),
            }
        }
        ["api", "rooms", id, what @ ("ban" | "pins" | "roles" | "reports"), whom] => {
            let (id, whom) = (RoomId::parse(id)?, (*whom).to_owned());
            match (*what, method) {
                ("ban", _) => only(Delete, Route::Unban(id, whom), "DELETE"),
                ("pins", Some(Put | Delete)) => Route::Pin(id, whom, method == Some(Delete)),
                ("reports", Some(Get)) => Route::Report(id, whom),
                ("reports", Some(Patch)) => Route::ResolveReport(id, whom),
                ("reports", _) => Route::MethodNotAllowed("GET, PATCH"),
                ("roles", Some(Put | Delete)) => Route::Role(id, whom, method == Some(Delete)),
                _ => Route::MethodNotAllowed("PUT, DELETE"),
            }
        }
        ["api", "rooms", id, "held", held, what @ ("allow" | "deny")] => {
            only(Post, Route::ReviewHeld(RoomId::parse(id)?, (*held).to_owned(), *what == "deny"), "POST")
        }
        ["api", "rooms", id, "terms"] => {
            let id = RoomId::parse(id)?;
            match method {
                Some(Get) => Route::Terms(id),
                Some(Put) => Route::SetTerms(id),
                _ => Route::MethodNotAllowed("GET, PUT"),
            }
        }
        ["api", "rooms", id, "terms", "test"] => only(Post, Route::TryTerms(RoomId::parse(id)?), "POST"),
        ["api", "rooms", id, "users", user, "messages"] => {
            only(Delete, Route::DeleteUserMessages(RoomId::parse(id)?, (*user).to_owned()), "DELETE")
        }
        ["api", "rooms", rest @ ..] => {
            // An id with a slash in it, most likely.
            if rest.len() > 2 { Err(invalid())? } else { Route::NotFound }
        }
        ["api", "messages", id] => match method {
            Some(Patch) => Route::EditMessage((*id).to_owned()),
            Some(Delete) => Route::DeleteMessage((*id).to_owned()),
            _ => Route::MethodNotAllowed("PATCH, DELETE"),
        },
        ["api", "messages", id, "report"] => only(Post, Route::ReportMessage((*id).to_owned()), "POST"),
        ["api", "me", "blocks"] => only(Get, Route::Blocks, "GET"),
        ["api", "me", "sign-out"] => only(Post, Route::SignOut, "POST"),
        ["api", "users", user, "block"] => match method {
            Some(Put | Delete) => Route::Block((*user).to_owned(), method == Some(Delete)),
            _ => Route::MethodNotAllowed("PUT, DELETE"),
        },
        ["api", "me", "key-backup"] => match method {
            Some(Put) => Route::SetBackup,
            Some(Get) => Route::Backup,
            Some(Delete) => Route::RemoveBackup,
            _ => Route::MethodNotAllowed("GET, PUT, DELETE"),
        },
        ["api", "me", "ws"] => only(Get, Route::Inbox, "GET"),
        ["api", "holds"] => match method {
            Some(Get) => Route::Holds,
            Some(Post) => Route::PlaceHold,
            _ => Route::MethodNotAllowed("GET, POST"),
        },
        ["api", "holds", hold] => only(Delete, Route::LiftHold((*hold).to_owned()), "DELETE"),
        ["api", "users", user, "export"] => only(Get, Route::ExportUser((*user).to_owned()), "GET"),
        ["api", "reports"] => only(Get, Route::DirectReports, "GET"),
        ["api", "me", "devices"] => only(Get, Route::OwnDevices, "GET"),
        ["api", "devices", device] => match method {
            Some(Patch) => Route::NameDevice((*device).to_owned()),
            Some(Delete) => Route::RemoveDevice((*device).to_owned()),
            _ => Route::MethodNotAllowed("PATCH, DELETE"),
        },
        ["api", "devices", device, "keys"] => only(Put, Route::PublishKeys((*device).to_owned()), "PUT"),
        ["api", "users", user, "devices"] => only(Get, Route::Devices((*user).to_owned()), "GET"),
        ["api", "users", user, "keys", "claim"] => only(Post, Route::ClaimKeys((*user).to_owned()), "POST"),
        ["api", "users", user, "direct"] => only(Put, Route::Direct((*user).to_owned()), "PUT"),
        ["api", "users", user, "erasure"] => only(Post, Route::Erase((*user).to_owned()), "POST"),
        ["api", "erasures", id] => only(Get, Route::Erasure((*id).to_owned()), "GET"),
        ["dev", "token"] => only(Post, Route::DevToken, "POST"),
        ["metrics"] => only(Get, Route::Metrics, "GET"),
        ["healthz"] => only(Get, Route::Health, "GET"),
        ["openapi.json"] => only(Get, Route::OpenApi, "GET"),
        ["problems", code] => only(Get, Route::Problem((*code).to_owned()), "GET"),
        _ => Route::NotFound,
    })
}

fn invalid() -> ChatError {
    let message = "No such path; a room id holds no slash.";
    ChatError::new(ErrorCode::InvalidRoomId, message).field("room_id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let get = |path| route(Some(Method::Get), path);
        assert_eq!(get("/api/rooms/video_123/ws"), Ok(Route::Socket(RoomId::parse("video_123").unwrap())));
        assert_eq!(get("/api/rooms/a%3Ab"), Ok(Route::Room(RoomId::parse("a:b").unwrap())));
        assert_eq!(route(Some(Method::Post), "/api/rooms"), Ok(Route::CreateRoom));
        assert_eq!(get("/api/rooms"), Ok(Route::MethodNotAllowed("POST")));
        assert_eq!(route(None, "/healthz"), Ok(Route::MethodNotAllowed("GET")));
        assert_eq!(get("/metrics"), Ok(Route::Metrics));
        assert_eq!(get("/nothing"), Ok(Route::NotFound));
        assert_eq!(get("/api/rooms/x/nothing"), Ok(Route::NotFound));
    }

    #[test]
    fn bad_room_ids() {
        let long = "x".repeat(300);
        for id in ["a%2Fb", "a%00b", "%FF", "dm:x", "a~b", "", long.as_str()] {
            let error = route(Some(Method::Get), &format!("/api/rooms/{id}/messages")).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRoomId, "{id}");
        }
        assert_eq!(route(Some(Method::Get), "/api/rooms/a/b/messages").unwrap_err().code, ErrorCode::InvalidRoomId);
    }
}
