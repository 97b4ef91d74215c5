//! Who did what to whom: the line that PostgreSQL's audit keeps of an event, if it keeps one.

use crate::auth::Role;
use crate::protocol::report::Report;
use crate::protocol::{Body, LogEvent, MessageType, Outcome, RoomInfo};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One act, as the audit keeps it. Nothing that somebody said stands in it.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Audit<'a> {
    actor: &'a str,
    action: &'static str,
    target: Option<String>,
    details: Value,
    at: u64,
}

/// What has changed of a room, as it is now, by the same names.
fn now_are(room: &RoomInfo, changed: &[String]) -> Map<String, Value> {
    let settings = serde_json::to_value(&room.settings).unwrap_or_default();
    let value = |name: &str| match name.strip_prefix("settings.") {
        Some(setting) => settings.get(setting).cloned(),
        None => (name == "name").then(|| json!(room.name)),
    };
    changed.iter().filter_map(|name| Some((name.clone(), value(name)?))).collect()
}

pub(super) fn audit(event: &LogEvent) -> Option<Audit<'_>> {
    let at = event.at;
    let line = |actor, action, target, details| Some(Audit { actor, action, target, details, at });
    match &event.body {
        Body::MessageDeleted { message_id, by, role, author, .. } if by != author => {
            line(by, "delete_message", Some(author.clone()), json!({"message_id": message_id, "role": role}))
        }
        Body::MessagesDeleted { message_ids, user_id, by, role, reason, .. } => {
            let action = if user_id.is_some() { "delete_user_messages" } else { "clear_room" };
            let details = json!({"messages": message_ids.len(), "role": role, "reason": reason});
            line(by, action, user_id.clone(), details)
        }
        Body::Banned { ban, role } => {
            let details = json!({"role": role, "reason": ban.reason, "ends_at": ban.ends_at, "shadow": ban.shadow});
            line(&ban.by, "ban_user", Some(ban.user_id.clone()), details)
        }
        Body::Unbanned { user_id, by, role, reason } => {
            line(by, "unban_user", Some(user_id.clone()), json!({"role": role, "reason": reason}))
        }
        Body::HeldEnded { held_id, author, outcome, message_id, by: Some(by), role, reason } => {
            let action = if *outcome == Outcome::Allowed { "allow_message" } else { "deny_message" };
            let details = json!({"held_id": held_id, "message_id": message_id, "role": role, "reason": reason});
            line(by, action, Some(author.clone()), details)
        }
        Body::TermsUpdated { terms, by, role } => {
            let (blocked, allowed) = (terms.blocked.len(), terms.allowed.len());
            let details = json!({"blocked": blocked, "allowed": allowed, "action": terms.action, "role": role});
            line(by, "set_terms", None, details)
        }
        Body::Pinned { message_id, unpinned, by, role, .. } => {
            let action = if *unpinned { "unpin_message" } else { "pin_message" };
            line(by, action, None, json!({"message_id": message_id, "role": role}))
        }
        Body::Reported { report } => {
            let target = (!report.author.is_empty()).then(|| report.author.clone());
            let Report { report_id, message_id, reason, .. } = &**report;
            let details = json!({"report_id": report_id, "message_id": message_id, "reason": reason});
            line(&report.reporter_id, "report_message", target, details)
        }
        Body::ReportResolved { report_id, message_id, author, status, resolution, by, role } => {
            let target = (!author.is_empty()).then(|| author.clone());
            let details = json!({"report_id": report_id, "message_id": message_id, "status": status, "role": role,
                "resolution": resolution});
            line(by, "resolve_report", target, details)
        }
        Body::Room { room, changed, by: Some(by), role } => {
            let action = if room.deleted_at.is_some() { "delete_room" } else { "update_room" };
            line(by, action, None, json!({"changed": changed, "to": now_are(room, changed), "role": role}))
        }
        Body::Role { user_id, role, by: Some(by), by_role, .. } => {
            line(by, "set_role", Some(user_id.clone()), json!({"role": role, "by_role": by_role}))
        }
        Body::NewMessage(message) if message.kind == MessageType::System => {
            let speaks_for = message.sent_by.as_ref().map(|_| Role::Service);
            let role = speaks_for.or_else(|| message.user.roles.iter().copied().max());
            line(message.sender(), "announce", None, json!({"message_id": message.message_id, "role": role}))
        }
        _ => None,
    }
}
