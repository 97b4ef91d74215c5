//! Calls from the Worker to rooms and their followers: each a request of our own, with one identity header.

use super::shard_link::members;
use super::util::now;
use super::{link, log};
use crate::host::Members;
use crate::protocol::call::{
    Answer, Ask, CALLER_HEADER, Caller, Heard, Nothing, ROOM_CALL, ROOM_SOCKET, ROOM_USER, RoomCall, Standing,
    UserPush, VERSION,
};
use crate::protocol::shard::{Follower, Shape, parse_gateway, parse_shard};
use crate::protocol::wire::{json, raw_json};
use crate::protocol::{ChatError, ErrorCode, RoomId};
use futures::future::join_all;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;
use worker::{Delay, Env, Response};

/// Longer than the 3 s that a room waits for PostgreSQL when it is first asked.
const WITHIN: u64 = 5_000;
/// How long the shape of a room that is split is believed, ms; then one asks while others still believe it. So long those
/// who come while nothing is known yet wait for the first one's answer, and look for it so often.
const BELIEVED: u64 = 10_000;
const ASKING: u64 = 2_000;
const LOOKS: u64 = 20;
/// Of so many rooms.
const MOST_SHAPES: usize = 1_000;
/// How often an upgrade is sent elsewhere.
const ELSEWHERE: usize = 3;
/// Of the users in a split room so many are listed.
const MOST_LISTED: usize = 1_000;

thread_local! {
    /// How rooms are split, so that those who join at once do not all ask the room: until when, and how, where that is known.
    static SHAPES: RefCell<HashMap<String, (u64, Option<Shape>)>> = RefCell::default();
}

/// What an isolate knows of a room's shape.
enum Belief {
    Known(Shape),
    /// Nothing, or nothing new: the room is to be asked.
    Asks,
    /// Somebody is asking.
    Waits,
}

fn believed(room: &RoomId) -> Belief {
    SHAPES.with_borrow_mut(|shapes| {
        let now = now();
        match shapes.get_mut(room.as_str()) {
            Some((until, Some(shape))) if shape.shards == 0 || now < *until => return Belief::Known(*shape),
            Some((until, None)) if now < *until => return Belief::Waits,
            Some((until, _)) => *until = now + ASKING,
            None => keep(shapes, room, (now + ASKING, None)),
        }
        Belief::Asks
    })
}

fn keep(shapes: &mut HashMap<String, (u64, Option<Shape>)>, room: &RoomId, what: (u64, Option<Shape>)) {
    if shapes.len() >= MOST_SHAPES && !shapes.contains_key(room.as_str()) {
        let now = now();
        shapes.retain(|_, (until, _)| now < *until);
    }
    if shapes.len() < MOST_SHAPES || shapes.contains_key(room.as_str()) {
        shapes.insert(room.as_str().to_owned(), what);
    }
}

fn believe(room: &RoomId, shape: Shape) {
    SHAPES.with_borrow_mut(|shapes| keep(shapes, room, (now() + BELIEVED, Some(shape))));
}

/// Whoever asked was not answered: the next one asks.
fn nothing_learnt(room: &RoomId) {
    SHAPES.with_borrow_mut(|shapes| {
        if shapes.get(room.as_str()).is_some_and(|(_, shape)| shape.is_none()) {
            shapes.remove(room.as_str());
        }
    });
}

/// How the room is split, as far as this isolate knows; without shards where the room itself is to be asked.
async fn shape_of(room: &RoomId) -> Shape {
    let since = now();
    loop {
        match believed(room) {
            Belief::Known(shape) => return shape,
            Belief::Waits if now() < since.saturating_add(ASKING) => {
                Delay::from(Duration::from_millis(LOOKS)).await;
            }
            Belief::Waits | Belief::Asks => return Shape::default(),
        }
    }
}

fn unavailable(room: &RoomId, error: impl std::fmt::Display) -> ChatError {
    log::error(&[("room", room.as_str())], format_args!("call to room {room}: {error}"));
    ChatError::new(ErrorCode::Unavailable, "The room does not answer now; try again in a moment.").retry_after(1_000)
}

/// The class and name of a room's object, or of its shard of this number.
fn object(room: &RoomId, shard: Option<u32>) -> (&'static str, String) {
    match shard {
        Some(n) => ("SHARD", Follower::Shard(n).name(room.as_str())),
        None => ("ROOM", room.as_str().to_owned()),
    }
}

async fn call<T: DeserializeOwned>(env: &Env, room: &RoomId, caller: Caller, ask: Ask) -> Result<Answer<T>, ChatError> {
    let call = json(&RoomCall { v: VERSION, caller, ask });
    let answer = link::ask(env, ("ROOM", room.as_str()), ROOM_CALL, link::body(&call), WITHIN).await;
    answer.map_err(|e| unavailable(room, e))
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
    match call(env, room, caller, ask).await? {
        Answer::Ok(value) => Ok(value),
        Answer::Error(error) => Err(error),
        Answer::Elsewhere(_) => Err(unavailable(room, "a room does not answer for itself")),
    }
}

/// Who is in a room, and who has a role there; put together from all objects that hold some of them.
///
/// # Errors
/// What the room answers, or `unavailable`.
pub(super) async fn list_members(
    env: &Env,
    room: &RoomId,
    mut caller: Caller,
    limit: usize,
    skip: usize,
) -> Result<Box<RawValue>, ChatError> {
    #[derive(Deserialize)]
    struct Online {
        online_users: usize,
    }
    let shape = match call(env, room, caller.clone(), Ask::Members { limit, skip }).await? {
        Answer::Ok(list) => return Ok(list),
        Answer::Error(error) => return Err(error),
        Answer::Elsewhere(shape) => shape,
    };
    believe(room, shape);
    caller.shape = shape.version;
    let Online { online_users } = ask(env, room, caller.clone(), Ask::Get(Nothing {})).await?;
    let own: Members = ask(env, room, caller, Ask::Members { limit: usize::MAX, skip: 0 }).await?;
    let followers: Vec<_> = (0..shape.shards).map(Follower::Shard).chain(own.gateways()).collect();
    let each = MOST_LISTED.div_ceil(followers.len().max(1));
    let there = join_all(followers.into_iter().map(|follower| members(env, room.as_str(), follower, each))).await;
    Ok(raw_json(&own.with_followers(there, online_users, now(), (limit, skip))))
}

/// Opens a socket to the object of a room that serves `caller`; `protocol` is the subprotocol to answer with.
///
/// # Errors
/// What the room answers, or `unavailable`.
pub(super) async fn open(
    env: &Env,
    room: &RoomId,
    mut caller: Caller,
    protocol: Option<&str>,
) -> Result<Response, ChatError> {
    let mut shape = shape_of(room).await;
    for _ in 0..=ELSEWHERE {
        caller.shape = shape.version;
        let opened = open_at(env, room, shape.shard_of(caller.shard_key()), &caller, protocol).await;
        match opened.inspect_err(|_| nothing_learnt(room))? {
            Answer::Ok(response) => {
                if shape.shards == 0 {
                    believe(room, shape);
                }
                return Ok(response);
            }
            Answer::Error(error) => {
                nothing_learnt(room);
                return Err(error);
            }
            Answer::Elsewhere(newer) => {
                believe(room, newer);
                shape = newer;
            }
        }
    }
    Err(unavailable(room, "an upgrade was sent from one object to another"))
}

async fn open_at(
    env: &Env,
    room: &RoomId,
    shard: Option<u32>,
    caller: &Caller,
    protocol: Option<&str>,
) -> Result<Answer<Response>, ChatError> {
    let caller = ascii(&json(caller));
    let mut headers = vec![("upgrade", "websocket"), (CALLER_HEADER, caller.as_str())];
    headers.extend(protocol.map(|protocol| ("sec-websocket-protocol", protocol)));
    let (class, name) = object(room, shard);
    let opened = link::open(env, (class, &name), ROOM_SOCKET, &headers, WITHIN).await;
    let mut response = opened.map_err(|e| unavailable(room, e))?;
    if response.status_code() == 101 {
        return Ok(Answer::Ok(response));
    }
    let text = response.text().await.map_err(|e| unavailable(room, e))?;
    match serde_json::from_str::<Answer<serde_json::Value>>(&text) {
        Ok(Answer::Error(error)) => Ok(Answer::Error(error)),
        Ok(Answer::Elsewhere(shape)) => Ok(Answer::Elsewhere(shape)),
        _ => Err(unavailable(room, "an upgrade was neither taken nor refused")),
    }
}

/// Tells a room, a shard or a gateway by its name, what holds for a user from now on: whether the user is there, or none
/// where there is no answer.
pub(super) async fn tell(env: &Env, name: &str, user_id: String, standing: Standing) -> Option<bool> {
    let class = match (parse_gateway(name), parse_shard(name)) {
        (Some(_), _) => "GATEWAY",
        (None, Some(_)) => "SHARD",
        (None, None) => "ROOM",
    };
    let push = json(&UserPush { v: VERSION, user_id, standing });
    match link::ask(env, (class, name), ROOM_USER, link::body(&push), WITHIN).await {
        Ok(Answer::Ok(Heard { here })) => Some(here),
        Ok(_) => None,
        Err(error) => {
            log::error(&[("room", name)], format_args!("call to {name}: {error}"));
            None
        }
    }
}

/// JSON whose strings hold ASCII only: header values are bytes of another encoding.
pub(super) fn ascii(json: &str) -> String {
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
