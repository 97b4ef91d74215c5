//! History and messages by id: what the room's log and PostgreSQL know, put together.

use super::drain_link::within;
use super::log;
use super::postgres::{Argument, connect, one};
use super::room_link;
use super::util::now;
use crate::auth::Role;
use crate::protocol::call::{Ask, Caller, KnownMessage, Nothing, Page, PageQuery};
use crate::protocol::wire::{History, raw_json};
use crate::protocol::{ChatError, ErrorCode, MessageId, RoomId};
use crate::room::Viewer;
use crate::sinks::history::{self, Older};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_postgres::types::Type;
use worker::{Context, Delay, Env};

/// A read may take this long, ms.
const READ_WITHIN: u64 = 3_000;
/// An id younger than this, ms, may not have been drained yet, and is waited for this long.
const YOUNG: u64 = 30_000;
const WAIT: u64 = 3_000;
const LOOK_EVERY: u64 = 200;

pub(super) fn unavailable(error: impl std::fmt::Display) -> ChatError {
    log::error(&[], format_args!("postgres: {error}"));
    let message = "The history cannot be reached now; try again in a moment.";
    ChatError::new(ErrorCode::Unavailable, message).retry_after(3_000)
}

/// One row of PostgreSQL's, as JSON text.
///
/// # Errors
/// `unavailable`.
pub(super) async fn read(
    env: &Env,
    ctx: &Context,
    query: &str,
    arguments: &[Argument<'_>],
) -> Result<Option<String>, ChatError> {
    let read = async {
        let client = connect(env, |driver| ctx.wait_until(driver)).await?;
        one(&client, query, arguments).await
    };
    within(READ_WITHIN, read).await.map_err(unavailable)?.map_err(unavailable)
}

/// A page of a room's history.
pub(super) async fn page(
    env: &Env,
    ctx: &Context,
    room: &RoomId,
    caller: Caller,
    query: PageQuery,
    mine: bool,
) -> Result<Box<RawValue>, ChatError> {
    let Joined { messages, mine: my_reactions, total, has_more, epoch } = joined(env, ctx, room, caller, query).await?;
    let (number, limit) = match query {
        PageQuery::Page { page, limit } => (page, limit),
        PageQuery::Before { limit, .. } | PageQuery::After { limit, .. } => (1, limit),
    };
    let my_reactions = mine.then_some(my_reactions);
    let history =
        History { room_id: room.as_str(), messages, page: number, limit, total, has_more, epoch, my_reactions };
    Ok(raw_json(&history))
}

/// What both know of a page.
pub(super) struct Joined {
    /// As the query's order has them.
    pub(super) messages: Vec<Box<RawValue>>,
    mine: BTreeMap<String, Vec<String>>,
    total: u64,
    has_more: bool,
    epoch: u64,
}

/// The log's part of a page, and what only PostgreSQL still has of it.
pub(super) async fn joined(
    env: &Env,
    ctx: &Context,
    room: &RoomId,
    caller: Caller,
    query: PageQuery,
) -> Result<Joined, ChatError> {
    let page: Page = room_link::ask(env, room, caller, Ask::Messages(query)).await?;
    let (mut messages, mut my_reactions) = (page.held, page.my_reactions);
    if let Some((low, high)) = page.missing {
        let role = if page.moderator { Role::Moderator } else { Role::Guest };
        let viewer = Viewer { user_id: page.user_id.as_deref(), role, blocks: &page.blocks };
        let Older { messages: mut older, mine } = missing(env, ctx, room, low, high, viewer).await?;
        my_reactions.extend(mine);
        if page.newest_first {
            older.reverse();
            messages.append(&mut older);
        } else {
            older.append(&mut messages);
            messages = older;
        }
    }
    let Page { total, has_more, epoch, .. } = page;
    Ok(Joined { messages, mine: my_reactions, total, has_more, epoch })
}

async fn missing(
    env: &Env,
    ctx: &Context,
    room: &RoomId,
    low: u64,
    high: u64,
    viewer: Viewer<'_>,
) -> Result<Older, ChatError> {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let (low, high, id, user) = (number(low), number(high), room.as_str(), viewer.user_id.unwrap_or_default());
    let arguments =
        [(&id as _, Type::TEXT), (&low as _, Type::INT8), (&high as _, Type::INT8), (&user as _, Type::TEXT)];
    let answer = read(env, ctx, history::PAGE, &arguments).await?;
    history::read_page(&answer.unwrap_or_default(), room, viewer, now()).map_err(unavailable)
}

/// In which room a message is, and what PostgreSQL knows of it; a young one is waited for.
///
/// # Errors
/// `message_not_found`, `unavailable`.
pub(super) async fn find(env: &Env, ctx: &Context, id: &str) -> Result<(RoomId, KnownMessage), ChatError> {
    let not_found = || ChatError::new(ErrorCode::MessageNotFound, "There is no such message.").field("message_id");
    let message = MessageId::parse(id).ok_or_else(not_found)?;
    let started = now();
    let young = message.time() <= started && started - message.time() < YOUNG;
    let text = message.to_string();
    let read = async {
        let client = connect(env, |driver| ctx.wait_until(driver)).await?;
        loop {
            let found = one(&client, history::MESSAGE, &[(&text, Type::TEXT)]).await?;
            if found.is_some() || !young || now() - started >= WAIT {
                return Ok::<_, String>(found);
            }
            Delay::from(Duration::from_millis(LOOK_EVERY)).await;
        }
    };
    let found = within(WAIT + READ_WITHIN, read).await.map_err(unavailable)?.map_err(unavailable)?;
    history::read_message(&found.ok_or_else(not_found)?).map_err(unavailable)
}

/// A page of a room's audit, for who may read it.
pub(super) async fn audit(
    env: &Env,
    ctx: &Context,
    room: &RoomId,
    caller: Caller,
    before: u64,
    limit: u64,
) -> Result<Box<RawValue>, ChatError> {
    room_link::ask::<()>(env, room, caller, Ask::MayReadAudit(Nothing {})).await?;
    // A year that every calendar has: "before the end of time" is before then.
    let before = i64::try_from(before).unwrap_or(i64::MAX).min(32_503_680_000_000);
    let (id, limit) = (room.as_str(), i64::try_from(limit).unwrap_or(50));
    let arguments = [(&id as _, Type::TEXT), (&before as _, Type::INT8), (&limit as _, Type::INT8)];
    let answer = read(env, ctx, history::AUDIT, &arguments).await?;
    let audit = history::read_audit(&answer.unwrap_or_default()).map_err(unavailable)?;
    Ok(raw_json(&audit))
}
