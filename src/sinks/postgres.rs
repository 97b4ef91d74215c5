//! The batches that `chat_apply` folds into PostgreSQL's tables, and its answers.

use super::audit::{Audit, audit};
use super::refused::unreadable;
use crate::auth::Role;
use crate::content::Reason;
use crate::host::Batch;
use crate::protocol::act::Terms;
use crate::protocol::report::{ReportId, ReportReason, ReportStatus};
use crate::protocol::wire::json;
use crate::protocol::{Audience, Body, LogEvent, Mention, Message, MessageId, RoomInfo, json_fault};
use crate::room::Row;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

/// The longest batch in bytes of JSON, one row's overshoot apart.
const MOST_BYTES: usize = 1 << 20;

#[derive(Serialize)]
struct BatchBody<'a> {
    v: u32,
    room_id: &'a str,
    epoch: u64,
    start: u64,
    from: u64,
    to: u64,
    ops: Vec<Box<RawValue>>,
}

#[derive(Serialize)]
struct Op<'a> {
    seq: u64,
    #[serde(flatten)]
    kind: Kind<'a>,
}

#[derive(Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Kind<'a> {
    Room {
        at: u64,
        #[serde(flatten)]
        room: &'a RoomInfo,
    },
    Message {
        no: u64,
        id: MessageId,
        user_id: &'a str,
        username: &'a str,
        avatar: Option<&'a str>,
        roles: &'a [Role],
        content: &'a str,
        text: Option<&'a str>,
        r#type: &'static str,
        metadata: &'a Map<String, Value>,
        mentions: &'a [Mention],
        reply_to: Option<MessageId>,
        client_id: Option<&'a str>,
        created_at: u64,
        edited_at: Option<u64>,
        deleted_at: Option<u64>,
        audience: String,
        visible_at: u64,
    },
    Edit {
        id: MessageId,
        content: &'a str,
        text: Option<&'a str>,
        mentions: &'a [Mention],
        edited_at: u64,
    },
    Delete {
        ids: &'a [MessageId],
        deleted_at: u64,
        by: &'a str,
    },
    Erase {
        ids: &'a [MessageId],
        tombstones: bool,
        at: u64,
        #[serde(skip_serializing_if = "<[MessageId]>::is_empty")]
        quotes: &'a [MessageId],
    },
    Reaction {
        id: MessageId,
        user_id: &'a str,
        reaction: &'a str,
        remove: bool,
        at: u64,
    },
    Ban {
        user_id: &'a str,
        username: Option<&'a str>,
        reason: Option<&'a str>,
        shadow: bool,
        by: &'a str,
        created_at: u64,
        ends_at: Option<u64>,
    },
    Unban {
        user_id: &'a str,
    },
    Pins {
        pinned: &'a [MessageId],
    },
    Original {
        id: MessageId,
        original: Option<&'a str>,
        reasons: &'a [Reason],
        #[serde(skip_serializing_if = "Option::is_none")]
        held_id: Option<MessageId>,
    },
    Franking {
        id: MessageId,
        franking: &'a str,
    },
    Held {
        id: MessageId,
        user_id: &'a str,
        message: &'a Message,
        reasons: &'a [Reason],
        created_at: u64,
        expires_at: u64,
    },
    HeldEnd {
        id: MessageId,
    },
    Terms {
        terms: &'a Terms,
    },
    Report {
        id: ReportId,
        message_id: MessageId,
        reporter_id: &'a str,
        reason: ReportReason,
        details: Option<&'a str>,
        quoted: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        proved: Option<bool>,
        at: u64,
    },
    ResolveReport {
        id: ReportId,
        status: ReportStatus,
        resolution: Option<&'a str>,
        by: &'a str,
        at: u64,
    },
    ForgetQuotes {
        before: u64,
    },
    Expire {
        before_no: u64,
    },
    Audit(Audit<'a>),
    Role {
        user_id: &'a str,
        username: Option<&'a str>,
        role: Option<Role>,
        at: u64,
    },
}

pub(super) fn audience(audience: &Audience) -> String {
    match audience {
        Audience::All => "all".into(),
        Audience::Moderators => "moderators".into(),
        Audience::User(user) => format!("user:{user}"),
        Audience::Internal => "internal".into(),
    }
}

fn op(event: &LogEvent) -> Option<Op<'_>> {
    let at = event.at;
    let kind = match &event.body {
        Body::NewMessage(m) => Kind::Message {
            no: m.no,
            id: m.message_id,
            user_id: &m.user.user_id,
            username: &m.user.username,
            avatar: m.user.avatar.as_deref(),
            roles: &m.user.roles,
            content: &m.content,
            text: m.text.as_deref(),
            r#type: m.kind.as_str(),
            metadata: &m.metadata,
            mentions: &m.mentions,
            reply_to: m.reply_to,
            client_id: m.client_id.as_deref(),
            created_at: at,
            edited_at: m.edited_at,
            deleted_at: m.deleted_at,
            audience: audience(&event.audience),
            visible_at: event.visible_at,
        },
        Body::MessageEdited { message_id, content, text, mentions, .. } => {
            Kind::Edit { id: *message_id, content, text: text.as_deref(), mentions, edited_at: at }
        }
        Body::MessageDeleted { message_id, by, .. } => {
            Kind::Delete { ids: std::slice::from_ref(message_id), deleted_at: at, by }
        }
        Body::MessagesDeleted { message_ids, by, .. } => Kind::Delete { ids: message_ids, deleted_at: at, by },
        Body::Banned { ban, .. } => Kind::Ban {
            user_id: &ban.user_id,
            username: ban.username.as_deref(),
            reason: ban.reason.as_deref(),
            shadow: ban.shadow,
            by: &ban.by,
            created_at: ban.created_at,
            ends_at: ban.ends_at,
        },
        Body::Unbanned { user_id, .. } => Kind::Unban { user_id },
        Body::Pinned { pinned, .. } => Kind::Pins { pinned },
        Body::Reported { report } => Kind::Report {
            id: report.report_id,
            message_id: report.message_id,
            reporter_id: &report.reporter_id,
            reason: report.reason,
            details: report.details.as_deref(),
            quoted: report.quoted.as_deref(),
            proved: report.proved,
            at,
        },
        Body::ReportResolved { report_id, status, resolution, by, .. } => {
            Kind::ResolveReport { id: *report_id, status: *status, resolution: resolution.as_deref(), by, at }
        }
        Body::MessagesExpired { before_no, .. } => Kind::Expire { before_no: *before_no },
        Body::QuotesForgotten { before } => Kind::ForgetQuotes { before: *before },
        Body::Reaction { message_id, user_id, reaction, remove, .. } => {
            Kind::Reaction { id: *message_id, user_id, reaction, remove: *remove, at }
        }
        Body::Room { room, .. } => Kind::Room { at, room },
        Body::Role { user_id, username, role, .. } => {
            Kind::Role { user_id, username: username.as_deref(), role: *role, at }
        }
        Body::MessageHeld(held) => Kind::Held {
            id: held.message.message_id,
            user_id: held.message.sender(),
            message: &held.message,
            reasons: &held.reasons,
            created_at: at,
            expires_at: held.expires_at,
        },
        Body::HeldEnded { held_id, .. } => Kind::HeldEnd { id: *held_id },
        Body::TermsUpdated { terms, .. } => Kind::Terms { terms },
        Body::UserErased { message_ids, quotes, .. } if message_ids.is_empty() && quotes.is_empty() => return None,
        Body::UserErased { message_ids, tombstones, quotes, .. } => {
            Kind::Erase { ids: message_ids, tombstones: *tombstones, at, quotes }
        }
        Body::Gone { .. } | Body::Unknown(_) => return None,
    };
    Some(Op { seq: event.seq, kind })
}

/// What is known of a message beside what everyone sees; an edit tells it anew.
fn original(event: &LogEvent) -> Option<Op<'_>> {
    let (id, original, reasons, held_id) = match &event.body {
        Body::NewMessage(m) if m.original.is_some() || m.held_id.is_some() => {
            (m.message_id, &m.original, &m.reasons, m.held_id)
        }
        Body::MessageEdited { message_id, original, reasons, .. } => (*message_id, original, reasons, None),
        _ => return None,
    };
    Some(Op { seq: event.seq, kind: Kind::Original { id, original: original.as_deref(), reasons, held_id } })
}

/// What is pinned once some of that has expired.
fn pins(event: &LogEvent) -> Option<Op<'_>> {
    let Body::MessagesExpired { pinned: Some(pinned), .. } = &event.body else { return None };
    Some(Op { seq: event.seq, kind: Kind::Pins { pinned } })
}

/// The tag of an encrypted message; an edit tells it anew.
fn franking(event: &LogEvent) -> Option<Op<'_>> {
    let (id, franking) = match &event.body {
        Body::NewMessage(m) => (m.message_id, m.franking.as_deref()?),
        Body::MessageEdited { message_id, franking, .. } => (*message_id, franking.as_deref()?),
        _ => return None,
    };
    Some(Op { seq: event.seq, kind: Kind::Franking { id, franking } })
}

/// The batch of what `rows` hold after `from`; none where that is nothing. `start` is the `seq` before the first event
/// that the log still holds.
pub fn batch(room_id: &str, epoch: u64, start: u64, from: u64, rows: &[Row]) -> Option<Batch> {
    let (mut ops, mut to, mut bytes) = (Vec::new(), from, 0);
    for row in rows {
        for event in row.events.iter().filter(|event| event.seq > from) {
            if let Body::Unknown(raw) = &event.body {
                let op = unreadable(event.seq, raw);
                bytes += op.as_ref().map_or(0, |op| op.get().len());
                ops.extend(op);
            }
            let audit = audit(event).map(|audit| Op { seq: event.seq, kind: Kind::Audit(audit) });
            for op in
                op(event).into_iter().chain(original(event)).chain(franking(event)).chain(pins(event)).chain(audit)
            {
                let op = to_raw_value(&op).unwrap_or_default();
                bytes += op.get().len();
                ops.push(op);
            }
            to = event.seq;
        }
        if bytes > MOST_BYTES {
            break;
        }
    }
    // After a trim the log begins later than the cursor; PostgreSQL is told so.
    let from = from.max(start);
    (to > from).then(|| Batch { body: json(&BatchBody { v: 1, room_id, epoch, start, from, to, ops }), epoch, to })
}

/// A batch of nothing: it is answered with the cursor and changes nothing. It does not say that the log begins at `at`,
/// which would move a cursor that is behind.
pub fn question(room_id: &str, epoch: u64, at: u64) -> Batch {
    let body = BatchBody { v: 1, room_id, epoch, start: 0, from: at, to: at, ops: Vec::new() };
    Batch { body: json(&body), epoch, to: at }
}

/// `chat_apply`'s answer for one room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Applied {
    /// The cursor as it is now.
    Cursor {
        /// The incarnation.
        epoch: u64,
        /// Up to here.
        seq: u64,
    },
    /// Nothing of the batch was written.
    Error {
        /// PostgreSQL's words, for the operator.
        error: String,
        /// Its five-character code.
        #[serde(default)]
        sqlstate: String,
    },
}

/// Reads `chat_apply`'s answer: one entry a batch, by index.
///
/// # Errors
/// It is not what `chat_apply` of any known version says.
pub fn read_applied(text: &str, batches: usize) -> Result<Vec<Applied>, String> {
    let applied: Vec<Applied> = serde_json::from_str(text).map_err(|error| json_fault(&error))?;
    if applied.len() == batches { Ok(applied) } else { Err("another number of answers than batches".into()) }
}
