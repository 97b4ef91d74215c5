//! Calls between a room, its relays and its followers; each with a time limit.

use super::link::ask;
use super::log;
use crate::host::Outgoing;
use crate::protocol::call::{Answer, Caller};
use crate::protocol::shard::{
    Begin, Down, Follower, Pushed, RELAY_PUSH, ROOM_BEGIN, ROOM_UP, Relayed, SHARD_MEMBERS, SHARD_PUSH, Up, relay_name,
};
use crate::protocol::wire::{Member, json};
use crate::protocol::{ChatError, ErrorCode};
use futures::future::join_all;
use serde_json::value::RawValue;
use worker::Env;

/// ms; a relay answers for its followers in time.
const WITHIN: u64 = 5_000;
const BELOW_RELAY: u64 = 1_000;
const MEMBERS_WITHIN: u64 = 2_000;

const SHARD: &str = "SHARD";
const GATEWAY: &str = "GATEWAY";
const ROOM: &str = "ROOM";

/// Of which class a follower is, and what is asked of it: a gateway is in many rooms, and is told of which this is.
fn call_of(follower: Follower, room: &str, path: &str, query: &str) -> (&'static str, String) {
    let (class, room) = match follower {
        Follower::Shard(_) => (SHARD, None),
        // A room's id has nothing in it that a query would have to escape.
        Follower::Gateway(_) => (GATEWAY, Some(format!("room={room}"))),
    };
    let query = room.into_iter().chain((!query.is_empty()).then(|| query.to_owned())).collect::<Vec<_>>().join("&");
    (class, if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") })
}

fn answered<T>(name: &str, answer: Result<Answer<T>, String>) -> Option<T> {
    let why = match answer {
        Ok(Answer::Ok(value)) => return Some(value),
        Ok(Answer::Error(error)) => error.message,
        Ok(Answer::Elsewhere(_)) => "it is not asked for this".into(),
        Err(error) => error,
    };
    log::error(&[("room", name)], format_args!("call to {name}: {why}"));
    None
}

async fn push_to(env: &Env, room: &str, follower: Follower, body: &str, ms: u64) -> Option<Pushed> {
    let name = follower.name(room);
    let (class, path) = call_of(follower, room, SHARD_PUSH, "");
    answered(&name, ask(env, (class, &name), &path, Some(body), ms).await)
}

/// Hands a push on: what each of its followers answers, in their order.
pub(super) async fn push(env: &Env, room: &str, outgoing: Outgoing) -> Vec<Option<Pushed>> {
    let Outgoing { relay, to, body } = outgoing;
    let Some(relay) = relay else {
        return join_all(to.iter().map(|follower| push_to(env, room, *follower, &body, WITHIN))).await;
    };
    let name = relay_name(room, relay);
    let Ok(push) = RawValue::from_string(body.to_string()) else { return Vec::new() };
    let body = json(&Relayed::to(&to, push));
    answered(&name, ask(env, (SHARD, &name), RELAY_PUSH, Some(&body), WITHIN).await).unwrap_or_default()
}

/// A relay's part of [`push`].
pub(super) async fn relay(env: &Env, room: &str, relayed: &Relayed) -> Vec<Option<Pushed>> {
    let each = |follower| push_to(env, room, follower, relayed.push.get(), BELOW_RELAY);
    join_all(relayed.followers().map(each)).await
}

fn told<T>(room: &str, answer: Result<Answer<T>, String>) -> Result<T, ChatError> {
    match answer {
        Ok(Answer::Error(error)) => Err(error),
        answer => answered(room, answer).ok_or_else(|| {
            let message = "The room does not answer now; try again in a moment.";
            ChatError::new(ErrorCode::Unavailable, message).retry_after(1_000)
        }),
    }
}

/// Asks the room for all that this follower needs; one who is about to come in at a gateway may be who makes the room.
///
/// # Errors
/// What the room answers, or `unavailable`.
pub(super) async fn begin(
    env: &Env,
    room: &str,
    follower: Follower,
    joins: Option<&Caller>,
) -> Result<Begin, ChatError> {
    let path = format!("{ROOM_BEGIN}?{}", follower.query());
    told(room, ask(env, (ROOM, room), &path, joins.map(json).as_deref(), WITHIN).await)
}

/// Hands up what a follower's viewers want.
///
/// # Errors
/// As [`begin`].
pub(super) async fn up(env: &Env, room: &str, up: &Up) -> Result<Down, ChatError> {
    told(room, ask(env, (ROOM, room), ROOM_UP, Some(&json(up)), WITHIN).await)
}

/// At most so many of those who are at a follower; none where it does not answer.
pub(super) async fn members(env: &Env, room: &str, follower: Follower, limit: usize) -> Vec<Member> {
    let name = follower.name(room);
    let (class, path) = call_of(follower, room, SHARD_MEMBERS, &format!("limit={limit}"));
    answered(&name, ask(env, (class, &name), &path, None, MEMBERS_WITHIN).await).unwrap_or_default()
}
