//! Legal holds over REST: placed, listed and lifted in PostgreSQL.

use super::messages::{read, unavailable};
use super::util::{entropy, now};
use crate::protocol::wire::raw_json;
use crate::protocol::{ChatError, ErrorCode, MessageId};
use crate::sinks::holds::{self, HoldPage, PlaceHold, read_holds};
use serde_json::value::RawValue;
use tokio_postgres::types::Type;
use worker::{Context, Env};

fn fresh() -> String {
    MessageId::new(now(), 0, &entropy()).to_string()
}

fn not_found() -> ChatError {
    ChatError::new(ErrorCode::HoldNotFound, "There is no such hold.").field("hold_id")
}

/// The one hold that is answered.
fn one(answer: Option<String>) -> Result<Box<RawValue>, ChatError> {
    let answer = answer.ok_or_else(not_found)?;
    let hold = read_holds(&answer).map_err(unavailable)?.pop();
    hold.map(|hold| raw_json(&hold)).ok_or_else(not_found)
}

/// Places a hold.
pub(super) async fn place(env: &Env, ctx: &Context, by: &str, body: PlaceHold) -> Result<Box<RawValue>, ChatError> {
    let PlaceHold { room_id, user_id, reason } = body.checked()?;
    let id = fresh();
    let arguments = [
        (&id as _, Type::TEXT),
        (&room_id as _, Type::TEXT),
        (&user_id as _, Type::TEXT),
        (&reason as _, Type::TEXT),
        (&by as _, Type::TEXT),
    ];
    one(read(env, ctx, holds::PLACE, &arguments).await?)
}

/// Lifts a hold.
pub(super) async fn lift(env: &Env, ctx: &Context, by: &str, id: &str) -> Result<Box<RawValue>, ChatError> {
    let id = MessageId::parse(id).ok_or_else(not_found)?.to_string();
    let line = fresh();
    let arguments = [(&id as _, Type::TEXT), (&by as _, Type::TEXT), (&line as _, Type::TEXT)];
    one(read(env, ctx, holds::LIFT, &arguments).await?)
}

/// A page of holds.
pub(super) async fn list(
    env: &Env,
    ctx: &Context,
    before: Option<MessageId>,
    limit: u64,
) -> Result<Box<RawValue>, ChatError> {
    let before = before.map(|id| id.to_string()).unwrap_or_default();
    let limit = i64::try_from(limit).unwrap_or(50);
    let answer = read(env, ctx, holds::LIST, &[(&before as _, Type::TEXT), (&limit as _, Type::INT8)]).await?;
    let holds = read_holds(&answer.unwrap_or_default()).map_err(unavailable)?;
    Ok(raw_json(&HoldPage { holds }))
}
