//! Calls to the drains, from rooms; each with a time limit.

use super::link::{self, Load};
use super::log;
use super::util::{now, settings};
use crate::host::{Batch, Drained};
use crate::metrics::DrainState;
use crate::protocol::call::{
    Answer, DRAIN_APPLY, DRAIN_BRIDGE, DRAIN_EPOCH, DRAIN_ERASE, DRAIN_EXPIRY, DRAIN_METRICS, DRAIN_PRESENCE,
    DRAIN_ROOM, DRAIN_WEBHOOK, Expiry, ExpiryAsk, Remembered,
};
use crate::protocol::wire::json;
use crate::protocol::{ChatError, ErrorCode};
use crate::sinks::webhook::Delivered;
use crate::sinks::{Applied, Sink, drain_name, drain_of};
use futures::future::{Either, select};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use std::pin::pin;
use std::time::Duration;
use worker::*;

const DRAIN: &str = "DRAIN";

/// A batch may take this long, ms.
const APPLY_WITHIN: u64 = 20_000;
/// A room that is asked for the first time waits this long in all, ms.
const ROOM_WITHIN: u64 = 3_000;

/// The drain answers at once that it has got who is in a room, ms.
const PRESENCE_WITHIN: u64 = 5_000;
/// So does it say what it counted, ms.
const METRICS_WITHIN: u64 = 5_000;

/// Awaits `work`, but no longer than `ms`.
pub(super) async fn within<T>(ms: u64, work: impl Future<Output = T>) -> std::result::Result<T, String> {
    let (work, limit) = (pin!(work), pin!(Delay::from(Duration::from_millis(ms))));
    match select(work, limit).await {
        Either::Left((done, _)) => Ok(done),
        Either::Right(_) => Err(format!("no answer within {ms} ms")),
    }
}

async fn ask<T: DeserializeOwned>(
    env: &Env,
    room: &str,
    path: &str,
    load: Load<'_>,
    ms: u64,
) -> std::result::Result<Answer<T>, String> {
    let drains = settings(env).map_err(|error| error.message)?.drains;
    link::ask(env, (DRAIN, &drain_of(room, drains)), path, load, ms).await
}

/// Hands one batch to the room's drain, and `metrics` beside it; whether these arrived.
pub(super) async fn apply(env: &Env, room: &str, sink: Sink, batch: Batch, metrics: Option<&str>) -> (Drained, bool) {
    let load = Load { body: Some(&batch.body), metrics };
    let path = match sink {
        Sink::Postgres => DRAIN_APPLY,
        Sink::Redis => DRAIN_BRIDGE,
        Sink::Webhook => {
            let answer = ask::<Delivered>(env, room, DRAIN_WEBHOOK, load, APPLY_WITHIN).await;
            let arrived = answer.is_ok();
            let drained = outcome(answer, |delivered| match delivered {
                Delivered::Taken => Drained::Cursor { epoch: batch.epoch, seq: batch.to },
                Delivered::Later { error, wait } => Drained::Later(error, wait),
                Delivered::Refused { status } => Drained::Refused(status),
            });
            return (drained, arrived);
        }
    };
    let answer = ask::<Applied>(env, room, path, load, APPLY_WITHIN).await;
    let arrived = answer.is_ok();
    let drained = outcome(answer, |applied| match applied {
        Applied::Cursor { epoch, seq } => Drained::Cursor { epoch, seq },
        Applied::Error { error, sqlstate } => Drained::Failed(format!("{sqlstate} {error}").trim().to_owned()),
    });
    (drained, arrived)
}

/// What an answer means to the room, where `read` knows what one that is no refusal of the drain's does.
fn outcome<T>(answer: std::result::Result<Answer<T>, String>, read: impl FnOnce(T) -> Drained) -> Drained {
    match answer {
        Ok(Answer::Ok(answer)) => read(answer),
        Ok(Answer::Error(ChatError { retry_after_ms: Some(wait), .. })) => Drained::Busy(wait),
        Ok(Answer::Error(error)) => Drained::Failed(error.to_string()),
        Ok(Answer::Elsewhere(_)) => Drained::Failed("a drain is not split".into()),
        Err(error) => Drained::Failed(error),
    }
}

/// Hands on who is in a room, and `metrics` beside it; whether it arrived. Where it did not the next report makes up for
/// it.
pub(super) async fn presence(env: &Env, room: &str, report: String, metrics: &str) -> bool {
    let load = Load { body: Some(&report), metrics: Some(metrics) };
    let told = ask::<()>(env, room, DRAIN_PRESENCE, load, PRESENCE_WITHIN).await;
    if let Err(error) = &told {
        log::error(&[("room", room)], format_args!("room {room}: presence: {error}"));
    }
    told.is_ok()
}

/// What PostgreSQL says of a room's messages that are over their time.
pub(super) async fn expiry(env: &Env, asked: &ExpiryAsk) -> std::result::Result<Expiry, String> {
    match ask(env, &asked.room_id, DRAIN_EXPIRY, link::body(&json(asked)), APPLY_WITHIN).await? {
        Answer::Ok(said) => Ok(said),
        Answer::Error(error) => Err(error.to_string()),
        Answer::Elsewhere(_) => Err("a drain is not split".into()),
    }
}

/// One call of `chat_erase`, by the drain of this user's own acts.
///
/// # Errors
/// `unavailable`.
pub(super) async fn erase(
    env: &Env,
    user_id: &str,
    call: &serde_json::Value,
) -> std::result::Result<serde_json::Value, ChatError> {
    let body = call.to_string();
    let load = Load { body: Some(&body), metrics: None };
    let why = match ask::<serde_json::Value>(env, user_id, DRAIN_ERASE, load, APPLY_WITHIN).await {
        Ok(Answer::Ok(answer)) => return Ok(answer),
        Ok(Answer::Error(error)) => return Err(error),
        Ok(Answer::Elsewhere(_)) => "a drain is not split".into(),
        Err(error) => error,
    };
    log::error(&[], format_args!("erasure: {why}"));
    let message = "PostgreSQL cannot be reached now; try again in a moment.";
    Err(ChatError::new(ErrorCode::Unavailable, message).retry_after(3_000))
}

/// What a drain says of itself and its rooms; none, and a line in the log, where it does not answer in time.
pub(super) async fn metrics(env: &Env, drain: u32) -> Option<DrainState> {
    let name = drain_name(drain);
    let error = match link::ask(env, (DRAIN, &name), DRAIN_METRICS, Load::default(), METRICS_WITHIN).await {
        Ok(Answer::Ok(state)) => return Some(state),
        Ok(Answer::Elsewhere(_)) => "a drain is not split".into(),
        Ok(Answer::Error(error)) => error.to_string(),
        Err(error) => error,
    };
    log::error(&[("drain", &name)], format_args!("metrics: {error}"));
    None
}

/// What PostgreSQL remembers of a room, whose drained epoch is closed with that.
///
/// The room says which epoch it closes, as it has just been told: a call that arrives after the room has died and has
/// begun anew closes nothing.
///
/// # Errors
/// `unavailable` where it does not answer, or something else closed that epoch meanwhile.
pub(super) async fn remembered(env: &Env, room: &str) -> std::result::Result<Option<Remembered>, ChatError> {
    let id = utf8_percent_encode(room, NON_ALPHANUMERIC);
    let begun = now();
    let left = || (begun + ROOM_WITHIN).saturating_sub(now());
    let Some(epoch) = look_up::<Option<u64>>(env, room, &format!("{DRAIN_EPOCH}?room={id}"), left()).await? else {
        return Ok(None);
    };
    look_up(env, room, &format!("{DRAIN_ROOM}?room={id}&epoch={epoch}"), left()).await
}

async fn look_up<T: DeserializeOwned>(env: &Env, room: &str, path: &str, ms: u64) -> std::result::Result<T, ChatError> {
    let why = match ask::<T>(env, room, path, Load::default(), ms).await {
        Ok(Answer::Ok(found)) => return Ok(found),
        Ok(Answer::Error(error)) => return Err(error),
        Ok(Answer::Elsewhere(_)) => "a drain is not split".into(),
        Err(error) => error,
    };
    log::error(&[("room", room)], format_args!("room {room}: what PostgreSQL remembers cannot be had: {why}"));
    let message = "The room's history cannot be reached now; try again in a moment.";
    Err(ChatError::new(ErrorCode::Unavailable, message).retry_after(3_000))
}
