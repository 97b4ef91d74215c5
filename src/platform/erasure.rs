//! Erasures of users: asked for over REST, and gone on with by the user's own object.

use super::drain_link;
use super::room_link;
use super::user::Inner;
use super::user_link;
use super::util::{entropy, now};
use crate::auth::{Claims, Role};
use crate::protocol::call::{Ask, Caller, Nothing, UserAsk, UserCall, VERSION};
use crate::protocol::erasure::{Erased, ErasureBody, ErasureData, ErasureStatus, Named, Progress};
use crate::protocol::wire::raw_json;
use crate::protocol::{ChatError, ErrorCode, MessageId, RoomId};
use crate::user::{Done, Task};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;
use std::rc::Rc;
use worker::Env;

/// Steps in one go, so that the object's other work gets its turn.
const STEPS: usize = 500;
const AWAY: Done = Done::Failed("a room");

#[derive(Deserialize)]
struct Kept {
    #[serde(default)]
    user_id: Option<String>,
    #[serde(flatten)]
    data: ErasureData,
}

fn broken() -> ChatError {
    ChatError::internal(&entropy())
}

/// Admins and services erase, and nobody themselves: a token that was stolen must not be enough for that.
fn check_role(claims: &Claims) -> Result<Role, ChatError> {
    let role = claims.roles.iter().copied().filter(|role| matches!(role, Role::Service | Role::Admin)).max();
    role.ok_or_else(|| ChatError::new(ErrorCode::Forbidden, "Admins and services erase users."))
}

/// Begins the erasure of a user, or finds the one that goes on.
///
/// # Errors
/// `forbidden`, `bad_request`, `on_hold`, `unavailable`.
pub(super) async fn ask(
    env: &Env,
    claims: &Claims,
    user_id: &str,
    body: ErasureBody,
) -> Result<Box<RawValue>, ChatError> {
    let role = check_role(claims)?;
    let bad = |field: &str, message: &str| Err(ChatError::new(ErrorCode::BadRequest, message).field(field));
    if user_id.is_empty() || user_id.len() > 255 || user_id.chars().any(char::is_control) {
        return bad("user_id", "A user's id is 1 to 255 bytes, none of them a control character.");
    }
    if body.reason.as_ref().is_some_and(|reason| reason.chars().count() > 500 || reason.chars().any(char::is_control)) {
        return bad("reason", "`reason` is at most 500 characters, none of them a control character.");
    }
    let call = json!({
        "op": "begin", "user_id": user_id, "mode": body.mode, "by": claims.sub, "role": role, "reason": body.reason,
        "erasure_id": MessageId::new(now(), 0, &entropy()).to_string(),
    });
    let answer = drain_link::erase(env, user_id, &call).await?;
    if answer.get("on_hold").is_some() {
        let message = "A legal hold keeps what this user said or did; it has to be lifted first.";
        return Err(ChatError::new(ErrorCode::OnHold, message));
    }
    let data: ErasureData = serde_json::from_value(answer).map_err(|_| broken())?;
    begin(env, user_id, &data).await?;
    Ok(raw_json(&data))
}

/// How far an erasure is, or its proof.
///
/// # Errors
/// `forbidden`, `erasure_not_found`, `unavailable`.
pub(super) async fn read(env: &Env, claims: &Claims, id: &str) -> Result<Box<RawValue>, ChatError> {
    check_role(claims)?;
    let none = || ChatError::new(ErrorCode::ErasureNotFound, "There is no such erasure.");
    let id = MessageId::parse(id).ok_or_else(none)?.to_string();
    let (user_id, mut data) = kept(env, &id).await?.ok_or_else(none)?;
    let Some(user_id) = user_id else { return Ok(raw_json(&data)) };
    match progress(env, &user_id).await {
        // Nobody has this job, unless it ended just now: the object was not reached when it began.
        Ok(None) => {
            (_, data) = kept(env, &id).await?.ok_or_else(none)?;
            if data.status == ErasureStatus::Running {
                begin(env, &user_id, &data).await?;
                data.progress = progress(env, &user_id).await.ok().flatten();
            }
        }
        found => data.progress = found.ok().flatten(),
    }
    Ok(raw_json(&data))
}

/// An erasure as PostgreSQL has it, and whose it is while it runs.
async fn kept(env: &Env, id: &str) -> Result<Option<(Option<String>, ErasureData)>, ChatError> {
    let answer = drain_link::erase(env, id, &json!({"op": "get", "erasure_id": id})).await?;
    if answer.is_null() {
        return Ok(None);
    }
    let Kept { user_id, data } = serde_json::from_value(answer).map_err(|_| broken())?;
    Ok(Some((user_id.filter(|_| data.status == ErasureStatus::Running), data)))
}

async fn progress(env: &Env, user_id: &str) -> Result<Option<Progress>, ChatError> {
    user_link::ask(env, user_id, &UserCall { v: VERSION, iat_ms: None, ask: UserAsk::Erasure(Nothing {}) }).await
}

/// Gives the job to the user's object; again, it changes nothing.
async fn begin(env: &Env, user_id: &str, data: &ErasureData) -> Result<(), ChatError> {
    let ask = UserAsk::Erase { erasure_id: data.erasure_id.clone(), mode: data.mode };
    user_link::ask(env, user_id, &UserCall { v: VERSION, iat_ms: None, ask }).await
}

impl Inner {
    /// Goes on with the erasure of this user, where there is one, as far as that goes now.
    pub(super) async fn erase(self: &Rc<Self>) {
        if self.erasing.replace(true) {
            return;
        }
        for _ in 0..STEPS {
            let Ok(Some(task)) = self.step(|user, now| (user.task(now), user.rest(now))) else { break };
            let done = self.carry_out(task).await;
            if self.step(|user, now| ((), user.task_done(done, now))).is_err() {
                break;
            }
        }
        self.erasing.set(false);
    }

    async fn carry_out(self: &Rc<Self>, task: Task) -> Done {
        match task {
            Task::Sql(call) => {
                let answer = drain_link::erase(&self.env, &self.id(), &call).await;
                answer.map_or(Done::Failed("PostgreSQL"), Done::Sql)
            }
            Task::Erase(room, erase) => {
                self.ask_room::<Erased>(&room, Ask::Erase(erase)).await.map_or(AWAY, Done::Erased)
            }
            Task::Search(room, erase) => {
                self.ask_room::<Named>(&room, Ask::Names(erase)).await.map_or(AWAY, Done::Named)
            }
            Task::Forget(other) => {
                let call = UserCall { v: VERSION, iat_ms: None, ask: UserAsk::Forget(self.id()) };
                let told = user_link::ask::<()>(&self.env, &other, &call).await;
                told.map_or(Done::Failed("another user"), |()| Done::Done)
            }
            Task::Clear => {
                let waits = self.step(|user, now| (user.waits_for_rooms(), user.rest(now))).unwrap_or(true);
                if waits {
                    return Done::Failed("rooms to sign out");
                }
                if self.clear().await.is_ok() { Done::Done } else { Done::Failed("storage") }
            }
        }
    }

    /// Asks a room in nobody's name; none where it does not answer, or as a build that does not know this.
    async fn ask_room<T: DeserializeOwned + Default>(&self, room: &str, ask: Ask) -> Option<T> {
        // What was taken over from another service may be called as no room of ours can be: it has no object.
        let Ok(room) = RoomId::parse(room) else { return Some(T::default()) };
        room_link::ask(&self.env, &room, Caller::default(), ask).await.ok()
    }
}
