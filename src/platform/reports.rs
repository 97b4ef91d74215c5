//! Reports over REST: what the room keeps and what PostgreSQL has, put together.

use super::messages::{self, read};
use super::room_link;
use crate::protocol::call::{Ask, Caller, PageQuery, ReportQuery};
use crate::protocol::report::{CONTEXT, Report, ReportStatus, opened_report, placed_page, report_page};
use crate::protocol::{ChatError, ErrorCode, MessageId, RoomId};
use crate::sinks::history;
use serde_json::value::RawValue;
use tokio_postgres::types::Type;
use worker::{Context, Env};

/// A page of a room's reports. The room keeps all that are open; of the others PostgreSQL is asked too.
pub(super) async fn page(
    env: &Env,
    ctx: &Context,
    room: &RoomId,
    caller: Caller,
    query: ReportQuery,
) -> Result<Box<RawValue>, ChatError> {
    let held: Vec<Report> = room_link::ask(env, room, caller, Ask::Reports(query)).await?;
    let stored = match query.status {
        ReportStatus::Open => Vec::new(),
        status => {
            let before = query.before.map(|id| id.to_string()).unwrap_or_default();
            let (id, status, limit) = (room.as_str(), status.as_str(), i64::try_from(query.limit).unwrap_or(50));
            let arguments = [
                (&id as _, Type::TEXT),
                (&status as _, Type::TEXT),
                (&before as _, Type::TEXT),
                (&limit as _, Type::INT8),
            ];
            let answer = read(env, ctx, history::REPORTS, &arguments).await?;
            history::read_reports(&answer.unwrap_or_default()).map_err(messages::unavailable)?
        }
    };
    Ok(report_page(room, held, stored, query.limit))
}

/// A page of the reports of all direct rooms, as far as PostgreSQL has them: moderators are in none of these.
pub(super) async fn direct(env: &Env, ctx: &Context, query: ReportQuery) -> Result<Box<RawValue>, ChatError> {
    let before = query.before.map(|id| id.to_string()).unwrap_or_default();
    let (status, limit) = (query.status.as_str(), i64::try_from(query.limit).unwrap_or(50));
    let arguments = [(&status as _, Type::TEXT), (&before as _, Type::TEXT), (&limit as _, Type::INT8)];
    let answer = read(env, ctx, history::DIRECT_REPORTS, &arguments).await?;
    let placed = history::read_direct_reports(&answer.unwrap_or_default()).map_err(messages::unavailable)?;
    Ok(placed_page(&placed))
}

/// One report with the messages around it.
pub(super) async fn open(
    env: &Env,
    ctx: &Context,
    room: &RoomId,
    caller: Caller,
    report_id: String,
) -> Result<Box<RawValue>, ChatError> {
    let ask = Ask::OpenReport { report_id: report_id.clone() };
    let held: Option<Report> = room_link::ask(env, room, caller.clone(), ask).await?;
    let report = match held {
        Some(report) => report,
        None => stored(env, ctx, room, &report_id).await?,
    };
    let around = match report.no {
        // What is around it in a direct room nobody gave away.
        Some(no) if !room.is_direct() => {
            let query = PageQuery::After { no: no.saturating_sub(CONTEXT + 1), limit: 2 * CONTEXT + 1 };
            messages::joined(env, ctx, room, caller, query).await?.messages
        }
        _ => Vec::new(),
    };
    Ok(opened_report(room, &report, around))
}

async fn stored(env: &Env, ctx: &Context, room: &RoomId, id: &str) -> Result<Report, ChatError> {
    let not_found = || ChatError::new(ErrorCode::ReportNotFound, "There is no such report.").field("report_id");
    let report = MessageId::parse(id).ok_or_else(not_found)?.to_string();
    let room = room.as_str();
    let answer = read(env, ctx, history::REPORT, &[(&room, Type::TEXT), (&report, Type::TEXT)]).await?;
    history::read_report(&answer.ok_or_else(not_found)?).map_err(messages::unavailable)
}
