//! Calls from the Worker to rooms: each a request of our own, with one identity header.

use super::drain_link::within;
use super::log;
use crate::protocol::call::{
    Answer, Ask, CALLER_HEADER, Caller, Heard, ROOM_CALL, ROOM_SOCKET, ROOM_USER, RoomCall, Standing, UserPush, VERSION,
};
use crate::protocol::wire::json;
use crate::protocol::{ChatError, ErrorCode, RoomId, json_fault};
use serde::de::DeserializeOwned;
use worker::{Env, Method, Request, RequestInit, Response};

/// Longer than the 3 s that a room waits for PostgreSQL when it is first asked.
const WITHIN: u64 = 5_000;

fn unavailable(room: &RoomId, error: impl std::fmt::Display) -> ChatError {
    log::error(&[("room", room.as_str())], format_args!("call to room {room}: {error}"));
    ChatError::new(ErrorCode::Unavailable, "The room does not answer now; try again in a moment.").retry_after(1_000)
}

async fn fetch(env: &Env, room: &RoomId, path: &str, init: &RequestInit) -> Result<Response, ChatError> {
    let call = async {
        let stub = env.durable_object("ROOM")?.get_by_name(room.as_str())?;
        stub.fetch_with_request(Request::new_with_init(&format!("https://room{path}"), init)?).await
    };
    within(WITHIN, call).await.map_err(|e| unavailable(room, e))?.map_err(|e| unavailable(room, e))
}

/// Asks a room.
///
/// # Errors
/// What the room answers, or `unavailable`.
pub(super) async fn ask<T: DeserializeOwned>(
    env: &Env,
    room: &RoomId,
    caller: Caller,
    ask: Ask,
) -> Result<T, ChatError> {
    let mut init = RequestInit::new();
    let call = RoomCall { v: VERSION, caller, ask };
    init.with_method(Method::Post).with_body(Some(json(&call).into()));
    let text = fetch(env, room, ROOM_CALL, &init).await?.text().await.map_err(|e| unavailable(room, e))?;
    match serde_json::from_str(&text).map_err(|e| unavailable(room, json_fault(&e)))? {
        Answer::Ok(value) => Ok(value),
        Answer::Error(error) => Err(error),
    }
}

/// Opens a socket to a room for `caller`; `protocol` is the subprotocol to answer with.
///
/// # Errors
/// What the room answers, or `unavailable`.
pub(super) async fn open(
    env: &Env,
    room: &RoomId,
    caller: &Caller,
    protocol: Option<&str>,
) -> Result<Response, ChatError> {
    let init = RequestInit::new();
    let prepare = || -> worker::Result<()> {
        init.headers.set("upgrade", "websocket")?;
        init.headers.set(CALLER_HEADER, &ascii(&json(caller)))?;
        if let Some(protocol) = protocol {
            init.headers.set("sec-websocket-protocol", protocol)?;
        }
        Ok(())
    };
    prepare().map_err(|e| unavailable(room, e))?;
    let mut response = fetch(env, room, ROOM_SOCKET, &init).await?;
    if response.status_code() == 101 {
        return Ok(response);
    }
    let text = response.text().await.map_err(|e| unavailable(room, e))?;
    match serde_json::from_str::<Answer<serde_json::Value>>(&text) {
        Ok(Answer::Error(error)) => Err(error),
        _ => Err(unavailable(room, "an upgrade was neither taken nor refused")),
    }
}

/// Tells a room what holds for a user from now on: whether the user is there, or none where the room does not answer.
pub(super) async fn tell(env: &Env, room: &str, user_id: String, standing: Standing) -> Option<bool> {
    let room = RoomId::parse(room).ok()?;
    let mut init = RequestInit::new();
    let push = UserPush { v: VERSION, user_id, standing };
    init.with_method(Method::Post).with_body(Some(json(&push).into()));
    let text = fetch(env, &room, ROOM_USER, &init).await.ok()?.text().await.ok()?;
    match serde_json::from_str(&text) {
        Ok(Answer::Ok(Heard { here })) => Some(here),
        _ => None,
    }
}

/// JSON whose strings hold ASCII only: header values are bytes of another encoding.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}
