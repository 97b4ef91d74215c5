//! Calls to the drains, from rooms; each with a time limit.

use super::link::text;
use super::log;
use super::util::settings;
use crate::host::Drained;
use crate::metrics::DrainState;
use crate::protocol::call::{
    Answer, DRAIN_APPLY, DRAIN_BRIDGE, DRAIN_METRICS, DRAIN_PRESENCE, DRAIN_ROOM, METRICS_HEADER, Remembered,
};
use crate::protocol::{ChatError, ErrorCode, json_fault};
use crate::sinks::{Applied, Sink, drain_name, drain_of};
use futures::future::{Either, select};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use std::pin::pin;
use std::time::Duration;
use worker::*;

/// A batch may take this long, ms.
const APPLY_WITHIN: u64 = 20_000;
/// A room that is asked for the first time waits this long, ms.
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

/// What a call to a drain brings.
#[derive(Default)]
struct Load<'a> {
    body: Option<String>,
    metrics: Option<&'a str>,
}

async fn ask<T: DeserializeOwned>(
    env: &Env,
    room: &str,
    path: &str,
    load: Load<'_>,
    ms: u64,
) -> std::result::Result<Answer<T>, String> {
    let drains = settings(env).map_err(|error| error.message)?.drains;
    ask_drain(env, &drain_of(room, drains), path, load, ms).await
}

async fn ask_drain<T: DeserializeOwned>(
    env: &Env,
    drain: &str,
    path: &str,
    Load { body, metrics }: Load<'_>,
    ms: u64,
) -> std::result::Result<Answer<T>, String> {
    let call = async {
        let stub = env.durable_object("DRAIN")?.get_by_name(drain)?;
        let mut init = RequestInit::new();
        if let Some(metrics) = metrics {
            init.headers.set(METRICS_HEADER, metrics)?;
        }
        if let Some(body) = &body {
            init.with_method(Method::Post).with_body(Some(body.into()));
        }
        let request = Request::new_with_init(&format!("https://drain{path}"), &init)?;
        text(stub.fetch_with_request(request).await?).await
    };
    let text = within(ms, call).await?.map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| json_fault(&error))
}

/// Hands one batch to the room's drain, and `metrics` beside it; whether these arrived.
pub(super) async fn apply(env: &Env, room: &str, sink: Sink, body: String, metrics: Option<&str>) -> (Drained, bool) {
    let path = match sink {
        Sink::Postgres => DRAIN_APPLY,
        Sink::Redis => DRAIN_BRIDGE,
    };
    let answer = ask::<Applied>(env, room, path, Load { body: Some(body), metrics }, APPLY_WITHIN).await;
    let arrived = answer.is_ok();
    let drained = match answer {
        Ok(Answer::Ok(Applied::Cursor { epoch, seq })) => Drained::Cursor { epoch, seq },
        Ok(Answer::Ok(Applied::Error { error, sqlstate })) => {
            Drained::Failed(format!("{sqlstate} {error}").trim().to_owned())
        }
        Ok(Answer::Error(ChatError { retry_after_ms: Some(wait), .. })) => Drained::Busy(wait),
        Ok(Answer::Error(error)) => Drained::Failed(error.to_string()),
        Ok(Answer::Elsewhere(_)) => Drained::Failed("a drain is not split".into()),
        Err(error) => Drained::Failed(error),
    };
    (drained, arrived)
}

/// Hands on who is in a room, and `metrics` beside it; whether it arrived. Where it did not the next report makes up for
/// it.
pub(super) async fn presence(env: &Env, room: &str, report: String, metrics: &str) -> bool {
    let load = Load { body: Some(report), metrics: Some(metrics) };
    let told = ask::<()>(env, room, DRAIN_PRESENCE, load, PRESENCE_WITHIN).await;
    if let Err(error) = &told {
        log::error(&[("room", room)], format_args!("room {room}: presence: {error}"));
    }
    told.is_ok()
}

/// What a drain says of itself and its rooms; none, and a line in the log, where it does not answer in time.
pub(super) async fn metrics(env: &Env, drain: u32) -> Option<DrainState> {
    let name = drain_name(drain);
    let error = match ask_drain(env, &name, DRAIN_METRICS, Load::default(), METRICS_WITHIN).await {
        Ok(Answer::Ok(state)) => return Some(state),
        Ok(Answer::Elsewhere(_)) => "a drain is not split".into(),
        Ok(Answer::Error(error)) => error.to_string(),
        Err(error) => error,
    };
    log::error(&[("drain", &name)], format_args!("metrics: {error}"));
    None
}

/// What PostgreSQL remembers of a room.
///
/// # Errors
/// `unavailable` where it does not answer.
pub(super) async fn remembered(env: &Env, room: &str) -> std::result::Result<Option<Remembered>, ChatError> {
    let path = format!("{DRAIN_ROOM}?room={}", utf8_percent_encode(room, NON_ALPHANUMERIC));
    let why = match ask::<Option<Remembered>>(env, room, &path, Load::default(), ROOM_WITHIN).await {
        Ok(Answer::Ok(remembered)) => return Ok(remembered),
        Ok(Answer::Error(error)) => return Err(error),
        Ok(Answer::Elsewhere(_)) => "a drain is not split".into(),
        Err(error) => error,
    };
    log::error(&[("room", room)], format_args!("room {room}: what PostgreSQL remembers cannot be had: {why}"));
    let message = "The room's history cannot be reached now; try again in a moment.";
    Err(ChatError::new(ErrorCode::Unavailable, message).retry_after(3_000))
}
