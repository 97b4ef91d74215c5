//! Calls to users' objects, from the Worker and from rooms; each with a time limit.

use super::link::{self, Load, body};
use super::log;
use super::room_link::ascii;
use crate::auth::Identity;
use crate::protocol::call::{
    Answer, BackupCall, CALLER_HEADER, Coming, Standing, USER_BACKUP, USER_CALL, USER_COMES, USER_MAKES_ROOM,
    USER_OPENS_DIRECT, USER_SOCKET, UserAsk, UserCall, VERSION,
};
use crate::protocol::inbox::Note;
use crate::protocol::wire::json;
use crate::protocol::{ChatError, ErrorCode, RoomId, json_fault};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::time::Duration;
use worker::{Delay, Env, Response};

const USER: &str = "USER";
const WITHIN: u64 = 5_000;
/// How long a join or a request waits to hear what holds for its user, ms; after that it goes on without.
const STANDING_WITHIN: u64 = 300;

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
    told(link::ask(env, (USER, user_id), USER_CALL, body(&json(call)), WITHIN).await)
}

/// What holds for a user; a room that has let them in names itself.
///
/// # Errors
/// As [`ask`].
pub(super) async fn standing(env: &Env, user_id: &str, room: Option<String>) -> Result<Standing, ChatError> {
    ask(env, user_id, &standing_of(room)).await
}

const fn standing_of(room: Option<String>) -> UserCall {
    UserCall { v: VERSION, iat_ms: None, ask: UserAsk::Standing { room } }
}

/// The same, for who cannot wait: none, and a line in the log, where there is no answer in time.
pub(super) async fn standing_in_time(env: &Env, user_id: &str) -> Option<Standing> {
    let call = json(&standing_of(None));
    in_time(link::ask(env, (USER, user_id), USER_CALL, body(&call), STANDING_WITHIN).await)
}

/// The same for a user who is on the way to the room's object of this name.
pub(super) async fn comes(env: &Env, user_id: &str, object: &str) -> Option<Coming> {
    in_time(link::ask(env, (USER, user_id), &format!("{USER_COMES}{object}"), Load::default(), STANDING_WITHIN).await)
}

fn in_time<T>(answer: Result<Answer<T>, String>) -> Option<T> {
    let why = match answer {
        Ok(Answer::Ok(value)) => return Some(value),
        Ok(Answer::Error(error)) => error.to_string(),
        Ok(Answer::Elsewhere(_)) => "a user is not split".into(),
        Err(error) => error,
    };
    log::error(&[], format_args!("what holds for a user is not known yet: {why}"));
    None
}

/// Counts a room that this user wants to make.
///
/// # Errors
/// `rate_limited` after ten in an hour, `unavailable`.
pub(super) async fn makes_room(env: &Env, user_id: &str) -> Result<(), ChatError> {
    told(link::ask(env, (USER, user_id), USER_MAKES_ROOM, body(""), WITHIN).await)
}

/// Asks a user's object about the backup of their keys.
///
/// # Errors
/// `backup_not_found`, `rate_limited`, `token_expired`, `unavailable`.
pub(super) async fn backup(env: &Env, user_id: &str, call: &BackupCall) -> Result<Box<RawValue>, ChatError> {
    told(link::ask(env, (USER, user_id), USER_BACKUP, body(&json(call)), WITHIN).await)
}

/// Tells a user's object that something was said for the user, or that somebody has other devices: a second time where
/// it did not answer.
pub(super) async fn hint(env: &Env, user_id: &str, hint: UserAsk) {
    let call = UserCall { v: VERSION, iat_ms: None, ask: hint };
    if ask::<()>(env, user_id, &call).await.is_err() {
        Delay::from(Duration::from_secs(1)).await;
        let _ = ask::<()>(env, user_id, &call).await;
    }
}

/// The same of a message.
pub(super) async fn note(env: &Env, user_id: &str, note: Note) {
    hint(env, user_id, UserAsk::Note(note)).await;
}

/// Opens a socket of the user's inbox.
///
/// # Errors
/// What the object answers, or `unavailable`.
pub(super) async fn open(env: &Env, who: &Identity, protocol: Option<&str>) -> Result<Response, ChatError> {
    let caller = ascii(&json(who));
    let mut headers = vec![("upgrade", "websocket"), (CALLER_HEADER, caller.as_str())];
    headers.extend(protocol.map(|protocol| ("sec-websocket-protocol", protocol)));
    let opened = link::open(env, (USER, &who.user_id), USER_SOCKET, &headers, WITHIN).await;
    let mut response = match opened {
        Ok(response) if response.status_code() == 101 => return Ok(response),
        Ok(response) => response,
        Err(error) => return told(Err(error)),
    };
    let text = response.text().await.map_err(|error| error.to_string());
    let answer = text.and_then(|text| serde_json::from_str::<Answer<()>>(&text).map_err(|error| json_fault(&error)));
    told(answer).and_then(|()| told(Err("an upgrade was neither taken nor refused".into())))
}

/// Counts a direct room that this user wants to open.
///
/// # Errors
/// `rate_limited` after 20 in an hour, `unavailable`.
pub(super) async fn opens_direct(env: &Env, user_id: &str) -> Result<(), ChatError> {
    told(link::ask(env, (USER, user_id), USER_OPENS_DIRECT, body(""), WITHIN).await)
}

/// What holds for a user of whom a direct room is being opened.
///
/// # Errors
/// As [`ask`].
pub(super) async fn opens(env: &Env, user_id: &str, room: &RoomId) -> Result<Standing, ChatError> {
    ask(env, user_id, &UserCall { v: VERSION, iat_ms: None, ask: UserAsk::Opens(room.clone()) }).await
}

/// A direct room of this user is open.
///
/// # Errors
/// As [`ask`].
pub(super) async fn opened(env: &Env, user_id: &str, room: &RoomId, with: &str) -> Result<(), ChatError> {
    let ask_ = UserAsk::Opened { room: room.clone(), with: with.to_owned() };
    ask(env, user_id, &UserCall { v: VERSION, iat_ms: None, ask: ask_ }).await
}
