//! Calls to users' objects, from the Worker and from rooms; each with a time limit.

use super::drain_link::within;
use super::link::text;
use super::log;
use crate::protocol::call::{Answer, Standing, USER_CALL, USER_MAKES_ROOM, UserAsk, UserCall, VERSION};
use crate::protocol::wire::json;
use crate::protocol::{ChatError, ErrorCode};
use serde::de::DeserializeOwned;
use worker::{Env, Method, Request, RequestInit};

const WITHIN: u64 = 5_000;
/// How long a join or a request waits to hear what holds for its user, ms; after that it goes on without.
const STANDING_WITHIN: u64 = 300;

async fn ask_at<T: DeserializeOwned>(
    env: &Env,
    user_id: &str,
    path: &str,
    body: String,
    ms: u64,
) -> Result<Answer<T>, String> {
    let call = async {
        let stub = env.durable_object("USER")?.get_by_name(user_id)?;
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_body(Some(body.into()));
        text(stub.fetch_with_request(Request::new_with_init(&format!("https://user{path}"), &init)?).await?).await
    };
    let text = within(ms, call).await?.map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn told<T>(answer: Result<Answer<T>, String>) -> Result<T, ChatError> {
    let why = match answer {
        Ok(Answer::Ok(value)) => return Ok(value),
        Ok(Answer::Error(error)) => return Err(error),
        Ok(Answer::Elsewhere(_)) => "a user is not split".into(),
        Err(error) => error,
    };
    log::error(&[], format_args!("call to a user's object: {why}"));
    let message = "This cannot be done now; try again in a moment.";
    Err(ChatError::new(ErrorCode::Unavailable, message).retry_after(1_000))
}

/// Asks a user's object.
///
/// # Errors
/// What it answers, or `unavailable`.
pub(super) async fn ask<T: DeserializeOwned>(env: &Env, user_id: &str, call: &UserCall) -> Result<T, ChatError> {
    told(ask_at(env, user_id, USER_CALL, json(call), WITHIN).await)
}

/// What holds for a user; a room that has let them in names itself.
///
/// # Errors
/// As [`ask`].
pub(super) async fn standing(env: &Env, user_id: &str, room: Option<String>) -> Result<Standing, ChatError> {
    ask(env, user_id, &UserCall { v: VERSION, iat_ms: None, ask: UserAsk::Standing { room } }).await
}

/// The same, for who cannot wait: none, and a line in the log, where there is no answer in time.
pub(super) async fn standing_in_time(env: &Env, user_id: &str) -> Option<Standing> {
    match within(STANDING_WITHIN, standing(env, user_id, None)).await {
        Ok(answer) => answer.ok(),
        Err(error) => {
            log::error(&[], format_args!("what holds for a user is not known yet: {error}"));
            None
        }
    }
}

/// Counts a room that this user wants to make.
///
/// # Errors
/// `rate_limited` after ten in an hour, `unavailable`.
pub(super) async fn makes_room(env: &Env, user_id: &str) -> Result<(), ChatError> {
    told(ask_at(env, user_id, USER_MAKES_ROOM, String::new(), WITHIN).await)
}
