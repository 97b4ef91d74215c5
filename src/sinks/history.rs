//! What is read back from PostgreSQL: each query answers one row of JSON, since poolers fail on more.

use crate::auth::Role;
use crate::protocol::act::{Ban, Terms};
use crate::protocol::call::{KnownMessage, Remembered};
use crate::protocol::report::{Placed, Report};
use crate::protocol::wire::{Counts, MessageData, raw_json};
use crate::protocol::{
    Audience, Body, Held, LogEvent, Mention, Message, MessageId, MessageType, RoomId, RoomInfo, User, json_fault,
};
use crate::room::{Viewer, view};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Messages of room `$1` numbered `$2` to `$3`, oldest first, with what user `$4` reacted with.
pub const PAGE: &str = "
select coalesce(json_agg(m order by m.no), '[]')::text from (
  select id, no, user_id, username, avatar, roles, content, text, type, metadata, mentions, reply_to, client_id,
    original, reasons, held_id, franking, audience, epoch, seq, (extract(epoch from created_at) * 1000)::bigint as created_at,
    (extract(epoch from visible_at) * 1000)::bigint as visible_at,
    (extract(epoch from edited_at) * 1000)::bigint as edited_at,
    (extract(epoch from deleted_at) * 1000)::bigint as deleted_at,
    (select json_object_agg(r.reaction, r.n) from (
      select reaction, count(*) as n from reactions where message_id = messages.id group by reaction) r) as reactions,
    (select json_agg(reaction) from reactions where message_id = messages.id and user_id = $4) as mine
  from messages where room_id = $1 and no between $2 and $3) m";

/// Where message `$1` (uuid as text) is, whose, and what it says.
pub const MESSAGE: &str = "
select json_build_object('room_id', room_id, 'no', no, 'user_id', user_id, 'roles', roles,
  'text', coalesce(text, content), 'stored_audience', audience,
  'at', (extract(epoch from created_at) * 1000)::bigint, 'deleted', deleted_at is not null,
  'system', type = 'system', 'client_id', client_id, 'franking', franking)::text
from messages where id = $1::text::uuid";

/// `$3` lines of room `$1`'s audit, newest first, older than `$2` (ms); more where the last ones are of the same ms, so
/// that the next page begins behind them.
pub const AUDIT: &str = "
select coalesce(json_agg(a order by a.at desc, a.id), '[]')::text from (
  select id, actor_id, action, target, details, (extract(epoch from created_at) * 1000)::bigint as at
  from audit where room_id = $1 and created_at < to_timestamp($2::float8 / 1000) order by created_at desc
  fetch first ($3) rows with ties) a";

/// Report `r` as [`Report`] has it, with its message `m`.
macro_rules! report {
    () => {
        "json_build_object('report_id', r.id, 'message_id', r.message_id, 'no', m.no,
  'author', coalesce(m.user_id, ''), 'reporter_id', r.reporter_id, 'reason', r.reason, 'details', r.details,
  'quoted', r.quoted, 'proved', r.proved, 'status', r.status, 'resolved_at', (extract(epoch from r.resolved_at) * 1000)::bigint,
  'resolved_by', r.resolved_by, 'resolution', r.resolution)"
    };
}

/// At most `$4` reports of room `$1` with status `$2`, newest first, made before report `$3` (uuid as text, or empty).
pub const REPORTS: &str = concat!(
    "
select coalesce(json_agg(",
    report!(),
    " order by r.id desc), '[]')::text
from (
  select * from reports where room_id = $1 and status = $2
    and id < coalesce(nullif($3::text, '')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  order by id desc limit $4) r
left join messages m on m.id = r.message_id"
);

/// At most `$3` reports of direct rooms with status `$1`, newest first, made before report `$2` (uuid as text, or empty).
pub const DIRECT_REPORTS: &str = concat!(
    "
select coalesce(json_agg(json_build_object('room_id', r.room_id, 'report', ",
    report!(),
    ") order by r.id desc), '[]')::text
from (
  select * from reports where room_id like 'dm:%' and status = $1
    and id < coalesce(nullif($2::text, '')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  order by id desc limit $3) r
left join messages m on m.id = r.message_id"
);

/// Report `$2` (uuid as text) of room `$1`.
pub const REPORT: &str = concat!(
    "select ",
    report!(),
    "::text
from reports r left join messages m on m.id = r.message_id where r.room_id = $1 and r.id = $2::text::uuid"
);

/// Up to which epoch room `$1` was drained, 0 where nothing was; no row where the room is not known.
pub const EPOCH: &str = "
select coalesce((select epoch from room_cursor where room_id = rooms.id), 0)::text from rooms where id = $1";

/// Closes epoch `$2` of room `$1`, before [`ROOM`] is asked, and says whether it was the one: the room's object has lost
/// its storage and goes on in a new epoch, and a batch of the old one that is still under way must not write what the
/// new one does not know of. One that names an older epoch comes from an earlier life of the object, too late.
pub const CLOSE: &str = "
with closed as (
  insert into room_cursor select id, $2 + 1, 0 from rooms where id = $1
  on conflict (room_id) do update set epoch = room_cursor.epoch + 1, seq = 0 where room_cursor.epoch = $2 returning 1
)
select exists (select from closed)::text";

/// What is remembered of room `$1`.
pub const ROOM: &str = concat!(
    "
select json_build_object('info', json_build_object('name', rooms.name, 'type', rooms.type, 'settings', rooms.settings,
    'owner_id', rooms.owner_id, 'created_at', (extract(epoch from rooms.created_at) * 1000)::bigint,
    'updated_at', (extract(epoch from rooms.updated_at) * 1000)::bigint,
    'deleted_at', (extract(epoch from rooms.deleted_at) * 1000)::bigint),
  'roles', coalesce((select json_object_agg(user_id, role) from room_roles where room_id = rooms.id), '{}'),
  'bans', coalesce((select json_agg(json_build_object('user_id', user_id, 'username', username, 'reason', reason,
    'shadow', shadow, 'by', banned_by, 'created_at', (extract(epoch from created_at) * 1000)::bigint,
    'ends_at', (extract(epoch from ends_at) * 1000)::bigint))
    from bans where room_id = rooms.id and (ends_at is null or ends_at > now())), '[]'),
  'blocks', coalesce((select json_object_agg(b.user_id, b.blocked_id) from room_roles r, room_roles o, blocks b
    where rooms.type = 'direct' and r.room_id = rooms.id and o.room_id = rooms.id
      and b.user_id = r.user_id and b.blocked_id = o.user_id), '{}'),
  'pinned', rooms.pinned, 'terms', nullif(rooms.terms, '{}'),
  'held', coalesce((select json_agg(json_build_object('message', message, 'reasons', reasons,
    'expires_at', (extract(epoch from expires_at) * 1000)::bigint) order by created_at, id)
    from held where room_id = rooms.id), '[]'),
  'reports', (select coalesce(json_agg(",
    report!(),
    "), '[]') from (
      select * from reports where room_id = rooms.id and (status = 'open' or quoted is not null)
      order by id desc limit 1000) r
    left join messages m on m.id = r.message_id),
  'first_no', rooms.first_no,
  'last_no', greatest((select max(no) from messages where room_id = rooms.id), rooms.first_no - 1),
  'epoch', coalesce((select epoch from room_cursor where room_id = rooms.id), 0))::text
from rooms where id = $1"
);

/// What of room `$1` from number `$2` on is over its time: said before `$3` (ms), or numbered below `$4`, each null where
/// that does not count; at most `$5` messages.
pub const EXPIRY: &str = "select chat_expiry($1, $2, $3, $4, $5)::text";

#[derive(Deserialize)]
struct Stored {
    id: MessageId,
    no: u64,
    user_id: String,
    username: String,
    avatar: Option<String>,
    roles: Vec<Value>,
    content: String,
    text: Option<String>,
    r#type: String,
    metadata: Map<String, Value>,
    mentions: Vec<Mention>,
    reply_to: Option<MessageId>,
    client_id: Option<String>,
    original: Option<String>,
    reasons: Option<Vec<Value>>,
    held_id: Option<MessageId>,
    franking: Option<String>,
    audience: String,
    seq: u64,
    created_at: u64,
    visible_at: u64,
    edited_at: Option<u64>,
    deleted_at: Option<u64>,
    reactions: Option<Counts>,
    mine: Option<Vec<String>>,
}

/// A page out of PostgreSQL.
#[derive(Debug, Default)]
pub struct Older {
    /// Oldest first.
    pub messages: Vec<Box<RawValue>>,
    /// What the viewer reacted with, by message.
    pub mine: BTreeMap<String, Vec<String>>,
}

fn audience(text: &str) -> Audience {
    match text {
        "all" => Audience::All,
        "moderators" => Audience::Moderators,
        other => other.strip_prefix("user:").map_or(Audience::Internal, |user| Audience::User(user.to_owned())),
    }
}

impl Stored {
    fn event(self) -> (LogEvent, Counts) {
        let audience = audience(&self.audience);
        let kind =
            serde_json::from_value::<MessageType>(Value::String(self.r#type)).unwrap_or(MessageType::Unavailable);
        let message = Message {
            message_id: self.id,
            no: self.no,
            user: User {
                user_id: self.user_id,
                username: self.username,
                avatar: self.avatar,
                roles: self.roles.iter().filter_map(|role| role.as_str().and_then(Role::parse)).collect(),
            },
            content: self.content,
            text: self.text,
            kind,
            mentions: self.mentions,
            reply_to: self.reply_to,
            answers: None,
            sent_by: None,
            client_id: self.client_id,
            metadata: self.metadata,
            franking: self.franking,
            original: self.original,
            // One that another build wrote may not be known here.
            reasons: self.reasons.into_iter().flatten().filter_map(|why| serde_json::from_value(why).ok()).collect(),
            held_id: self.held_id,
            edited_at: self.edited_at,
            edit_seq: None,
            deleted_at: self.deleted_at,
        };
        let body = Body::NewMessage(Box::new(message));
        let event = LogEvent { seq: self.seq, at: self.created_at, visible_at: self.visible_at, audience, body };
        (event, self.reactions.unwrap_or_default())
    }
}

/// The answer to [`PAGE`] as a viewer sees it at `now` (ms), oldest first.
///
/// # Errors
/// It is not what this build's query yields; the text is for the operator's log.
pub fn read_page(answer: &str, room_id: &RoomId, viewer: Viewer<'_>, now: u64) -> Result<Older, String> {
    let stored: Vec<Stored> = serde_json::from_str(answer).map_err(|error| json_fault(&error))?;
    let mut older = Older::default();
    for mut stored in stored {
        let mine = stored.mine.take();
        let (event, counts) = stored.event();
        let (Some(_), Body::NewMessage(message)) = (view(&event, viewer, now), &event.body) else { continue };
        let mut data = MessageData::new(room_id.as_str(), event.at, message, &counts);
        data.seq = Some(event.seq);
        if viewer.role.at_least(Role::Moderator) {
            data.unmask(message);
        }
        older.messages.push(raw_json(&data));
        older.mine.extend(mine.map(|mine| (message.message_id.to_string(), mine)));
    }
    Ok(older)
}

/// The answer to [`MESSAGE`]: the room, and what is known of the message.
///
/// # Errors
/// It is not what this build's query yields.
pub fn read_message(answer: &str) -> Result<(RoomId, KnownMessage), String> {
    #[derive(Deserialize)]
    struct Found {
        room_id: RoomId,
        stored_audience: String,
        #[serde(flatten)]
        known: KnownMessage,
    }
    let Found { room_id, stored_audience, known } = serde_json::from_str(answer).map_err(|error| json_fault(&error))?;
    Ok((room_id, KnownMessage { audience: audience(&stored_audience), ..known }))
}

/// The answer to [`ROOM`].
///
/// # Errors
/// It is not what this build's query yields.
pub fn read_room(answer: &str) -> Result<Remembered, String> {
    #[derive(Deserialize)]
    struct Found {
        info: RoomInfo,
        roles: BTreeMap<String, String>,
        #[serde(default)]
        bans: Vec<Ban>,
        #[serde(default)]
        blocks: BTreeMap<String, String>,
        #[serde(default)]
        pinned: Vec<MessageId>,
        terms: Option<Terms>,
        #[serde(default)]
        held: Vec<Held>,
        #[serde(default)]
        reports: Vec<Report>,
        #[serde(default)]
        first_no: u64,
        last_no: u64,
        epoch: u64,
    }
    let found: Found = serde_json::from_str(answer).map_err(|error| json_fault(&error))?;
    let roles = found.roles.into_iter().filter_map(|(user, role)| Some((user, Role::parse(&role)?))).collect();
    Ok(Remembered {
        info: found.info,
        roles,
        bans: found.bans,
        blocks: found.blocks,
        pinned: found.pinned,
        terms: found.terms.unwrap_or_default(),
        held: found.held,
        reports: found.reports,
        first_no: found.first_no,
        last_no: found.last_no,
        epoch: found.epoch,
    })
}

/// The answer to [`REPORTS`].
///
/// # Errors
/// It is not what this build's query yields.
pub fn read_reports(answer: &str) -> Result<Vec<Report>, String> {
    serde_json::from_str(answer).map_err(|error| error.to_string())
}

/// The answer to [`DIRECT_REPORTS`].
///
/// # Errors
/// It is not what this build's query yields.
pub fn read_direct_reports(answer: &str) -> Result<Vec<Placed>, String> {
    serde_json::from_str(answer).map_err(|error| json_fault(&error))
}

/// The answer to [`REPORT`].
///
/// # Errors
/// It is not what this build's query yields.
pub fn read_report(answer: &str) -> Result<Report, String> {
    serde_json::from_str(answer).map_err(|error| error.to_string())
}

/// A line of the audit, as moderators read it.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditLine {
    /// The line's id, a UUID.
    id: String,
    /// Who did it.
    actor_id: String,
    /// What: the name of the event that asks for it, such as `ban_user`.
    action: String,
    /// To whom: a user's id, where it was done to one.
    target: Option<String>,
    /// The actor's role, the reason, and what else belongs to the act.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    details: Value,
    /// When, ms since 1970: what `before` takes.
    at: u64,
}

/// A page of the audit.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditPage {
    /// Newest first.
    pub audit: Vec<AuditLine>,
}

/// The answer to [`AUDIT`].
///
/// # Errors
/// It is not what this build's query yields.
pub fn read_audit(answer: &str) -> Result<AuditPage, String> {
    serde_json::from_str(answer).map(|audit| AuditPage { audit }).map_err(|error| json_fault(&error))
}
