//! Calls between a room, its relays and its shards; each with a time limit.

use super::link::{Load, ask, body as load};
use super::log;
use crate::host::Outgoing;
use crate::protocol::call::Answer;
use crate::protocol::shard::{
    Begin, Down, Pushed, RELAY_PUSH, ROOM_BEGIN, ROOM_UP, Relayed, SHARD_MEMBERS, SHARD_PUSH, Up, relay_name,
    shard_name,
};
use crate::protocol::wire::{Member, json};
use crate::protocol::{ChatError, ErrorCode};
use futures::future::join_all;
use serde_json::value::RawValue;
use worker::Env;

/// ms; a relay answers for its shards in time.
const WITHIN: u64 = 5_000;
const BELOW_RELAY: u64 = 1_000;
const MEMBERS_WITHIN: u64 = 2_000;

const SHARD: &str = "SHARD";
const ROOM: &str = "ROOM";

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

async fn push_to(env: &Env, room: &str, shard: u32, body: &str, ms: u64) -> Option<Pushed> {
    let name = shard_name(room, shard);
    answered(&name, ask(env, (SHARD, &name), SHARD_PUSH, load(body), ms).await)
}

/// Hands a push on: what each of its shards answers, in their order.
pub(super) async fn push(env: &Env, room: &str, outgoing: Outgoing) -> Vec<Option<Pushed>> {
    let Outgoing { relay, shards, body } = outgoing;
    let Some(relay) = relay else {
        return join_all(shards.iter().map(|shard| push_to(env, room, *shard, &body, WITHIN))).await;
    };
    let name = relay_name(room, relay);
    let Ok(push) = RawValue::from_string(body.to_string()) else { return Vec::new() };
    let body = json(&Relayed { shards, push });
    answered(&name, ask(env, (SHARD, &name), RELAY_PUSH, load(&body), WITHIN).await).unwrap_or_default()
}

/// A relay's part of [`push`].
pub(super) async fn relay(env: &Env, room: &str, relayed: &Relayed) -> Vec<Option<Pushed>> {
    let each = |shard: &u32| push_to(env, room, *shard, relayed.push.get(), BELOW_RELAY);
    join_all(relayed.shards.iter().map(each)).await
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

/// Asks the room for all that its `shard`-th shard needs.
///
/// # Errors
/// What the room answers, or `unavailable`.
pub(super) async fn begin(env: &Env, room: &str, shard: u32) -> Result<Begin, ChatError> {
    let path = format!("{ROOM_BEGIN}?shard={shard}");
    told(room, ask(env, (ROOM, room), &path, Load::default(), WITHIN).await)
}

/// Hands up what a shard's viewers want.
///
/// # Errors
/// As [`begin`].
pub(super) async fn up(env: &Env, room: &str, up: &Up) -> Result<Down, ChatError> {
    told(room, ask(env, (ROOM, room), ROOM_UP, load(&json(up)), WITHIN).await)
}

/// At most so many of those who are in a shard; none where it does not answer.
pub(super) async fn members(env: &Env, room: &str, shard: u32, limit: usize) -> Vec<Member> {
    let name = shard_name(room, shard);
    let path = format!("{SHARD_MEMBERS}?limit={limit}");
    answered(&name, ask(env, (SHARD, &name), &path, Load::default(), MEMBERS_WITHIN).await).unwrap_or_default()
}
