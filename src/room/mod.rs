//! The rules of a room's log: who may append what, in which order, and what each viewer sees of it.
//!
//! Commands and time go in, what is to be written and said comes out. Nothing here knows a clock, a socket or SQLite;
//! the log is read through [`Log`].

mod admin;
mod begin;
mod bridge;
pub(crate) mod change;
mod dedupe;
mod direct;
mod edits;
mod ends;
mod erase;
mod eraser;
mod filters;
mod franking;
mod held;
mod limits;
mod log;
mod mentions;
mod message;
mod moderation;
mod overlay;
mod page;
mod pins;
pub(crate) mod policy;
mod rate;
mod reactions;
mod recent;
mod replica;
mod reports;
mod resume;
mod retention;
mod shape;
pub(crate) mod view;
mod webhook;

pub use admin::{check_create, new_direct, new_info};
pub use bridge::{BRIDGE_AGE, Bridged};
pub use change::{Deleted, Edited, NewText};
pub(crate) use direct::{blocked, no_room};
pub use ends::Ends;
pub use eraser::hidden_id;
pub use filters::{Tried, Why};
pub use held::{Allowed, HeldData, HeldList};
pub use limits::is_apart;
pub use log::{Log, Read, Row, StorageFault, Write, rows_with};
pub use message::{Sender, Sent, check_client_id};
pub use moderation::{BanData, DeletedData, RoleData};
pub use overlay::Overlay;
pub use page::first_held_no;
pub use pins::PinnedData;
pub use policy::{Action, Rule, TABLE, allows};
pub use rate::{Rates, Window};
pub use reactions::key as reaction_key;
pub use replica::{Replica, Tail};
pub use resume::{Resumed, Snapshot};
pub use retention::Bounds;
pub use shape::{KEY_SHAPE, Upgrade, due};
pub use view::{Seen, Viewer, view};
pub use webhook::Hooked;

use crate::auth::{Identity, Role, effective};
use crate::content;
use crate::protocol::act::{Ban, Terms};
use crate::protocol::call::Standing;
use crate::protocol::{
    Audience, Body, ChatError, ErrorCode, LogEvent, Mention, MessageId, Position, RoomId, RoomInfo, UserId, Visibility,
};
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Why a command did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Whoever asked is told.
    #[error(transparent)]
    Refused(#[from] ChatError),
    /// A fault of ours: logged, and told as `internal`.
    #[error(transparent)]
    Fault(#[from] StorageFault),
}

/// Who is in the room now, as far as mentions need it.
pub trait Present {
    /// Everyone present whose name is this one, lower-cased.
    fn by_name(&self, lowercase: &str) -> Vec<Mention>;
    /// The user with this id, if present.
    fn by_id(&self, user_id: &str) -> Option<Mention>;
    /// What that user is here, if present.
    fn role_of(&self, user_id: &str) -> Option<Role>;
    /// Whether others show the log too, who hear of each event later: what was taken away before it was to be seen may
    /// have been seen.
    fn is_split(&self) -> bool;
}

/// What a command is given beside itself.
pub struct Context<'a> {
    /// ms since 1970; never goes back.
    pub now: u64,
    /// Fresh random bytes.
    pub entropy: [u8; 32],
    /// The room's log.
    pub log: &'a dyn Log,
    /// Who is there.
    pub present: &'a dyn Present,
}

/// What one step does: what is written, and the events it appends, in order.
#[derive(Debug, Default)]
pub struct Step {
    /// For the storage, in one transaction.
    pub write: Write,
    /// Appended events, to be shown once they are written.
    pub events: Vec<LogEvent>,
}

/// A room's state between commands: small, and rebuilt from the log at each wake.
#[derive(Debug)]
pub struct Room {
    id: RoomId,
    settings: Rc<Settings>,
    info: RoomInfo,
    roles: BTreeMap<UserId, Role>,
    epoch: u64,
    last_seq: u64,
    last_no: u64,
    last_at: u64,
    visible_at: u64,
    drained: u64,
    bridged: Bridged,
    hooked: Hooked,
    bans: BTreeMap<UserId, Ban>,
    pinned: Vec<MessageId>,
    kept: retention::Kept,
    rates: Rates,
    /// What all members said together.
    said: Window,
    reacted: Rates,
    /// What the filters refused.
    refused: Rates,
    edits: edits::Edits,
    reports: reports::Reports,
    authors: Option<mentions::Authors>,
    dedupe: Option<dedupe::Dedupe>,
    held: held::Queue,
    terms: Terms,
    /// Whether the members of a direct room block each other.
    shut: BTreeMap<UserId, direct::Shut>,
    filters: content::Filters,
    /// What was lately said, for the filters; read from the log when they first need it.
    spoken: Option<content::History>,
    /// The log's end, while viewers come back.
    recent: recent::Recent,
}

const KEY_ROOM: &str = "room";
const KEY_EPOCH: &str = "epoch";
const KEY_DRAINED: &str = "cursor:postgres";
const KEY_BRIDGED: &str = "cursor:redis";
const KEY_PINNED: &str = "pinned";
const KEY_ROLE: &str = "role:";
const KEY_BAN: &str = "ban:";
const KEY_TERMS: &str = "terms";
const KEY_HELD: &str = "held:";
const KEY_BLOCKS: &str = "blocks:";
const KEY_SHUT: &str = "shut:";
/// How long the log keeps what PostgreSQL has, ms, and how large the storage grows before it keeps less, bytes.
const LOG_AGE: u64 = 7 * 24 * 3600 * 1000;
const LOG_BYTES: u64 = 256 << 20;
/// The newest events that it keeps all the same.
const LOG_EVENTS: u64 = 10_000;
/// Nine tenths of what the platform gives an object: beyond it, a write that does not fit would drop every socket.
const STORAGE_BYTES: u64 = 9 << 30;
/// How many rows are read at once while scanning; about 64 KB of a busy log.
const SCAN: u32 = 100;

impl Room {
    /// Appends the room's description, and keeps it as state.
    fn describe(
        &mut self,
        step: &mut Step,
        changed: Vec<String>,
        by: Option<(&str, Role)>,
        now: u64,
        audience: Audience,
    ) {
        step.write.state.push((KEY_ROOM.into(), Some(crate::protocol::wire::json(&self.info))));
        let (by, role) = by.map(|(by, role)| (by.to_owned(), role)).unzip();
        let body = Body::Room { room: Box::new(self.info.clone()), changed, by, role };
        self.refilter();
        self.append(step, now, audience, body);
    }

    fn append(&mut self, step: &mut Step, now: u64, audience: Audience, body: Body) -> u64 {
        self.last_seq += 1;
        self.last_at = self.last_at.max(now);
        let delay = self.info.settings.delay_s.saturating_mul(1000);
        self.visible_at = self.visible_at.max(self.last_at.saturating_add(delay));
        let (seq, at, visible_at) = (self.last_seq, self.last_at, self.visible_at);
        step.events.push(LogEvent { seq, at, visible_at, audience, body });
        seq
    }

    /// Turns the step's events into the row that holds them.
    fn seal(&self, step: &mut Step) {
        if let Some(last) = step.events.last() {
            step.write.append = Some(Row { last: last.seq, no: self.last_no, events: step.events.clone() });
        }
    }

    /// The room's id.
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    /// What the room is.
    pub fn info(&self) -> &RoomInfo {
        &self.info
    }

    /// Where the log ends.
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, seq: self.last_seq }
    }

    /// The time of the last event, ms.
    pub fn last_at(&self) -> u64 {
        self.last_at
    }

    /// The last event that PostgreSQL has.
    pub fn drained(&self) -> u64 {
        self.drained
    }

    /// How many messages there are, tombstones included; those whose time is over are not.
    pub fn message_count(&self) -> u64 {
        (self.last_no + 1).saturating_sub(self.kept.first_no)
    }

    /// Roles given in the room itself.
    pub fn roles(&self) -> &BTreeMap<UserId, Role> {
        &self.roles
    }

    /// Whom those blocked who were here when the object slept.
    ///
    /// # Errors
    /// The storage cannot be read.
    pub fn kept_blocks(log: &dyn Log) -> Read<BTreeMap<UserId, Standing>> {
        let fault = |key: &str| StorageFault(format!("the state under {key} cannot be read"));
        let mut blocks = BTreeMap::new();
        for (key, value) in log.state()? {
            if let Some(user) = key.strip_prefix(KEY_BLOCKS) {
                blocks.insert(user.to_owned(), serde_json::from_str(&value).map_err(|_| fault(&key))?);
            }
        }
        Ok(blocks)
    }

    /// How far PostgreSQL has come, where that is written here.
    pub(super) fn drained_in(write: &Write) -> Option<u64> {
        let (_, seq) = write.state.iter().rev().find(|(key, _)| key == KEY_DRAINED)?;
        seq.as_ref()?.parse().ok()
    }

    /// Whether a piece of state is of [`Room::blocks_state`].
    pub fn is_blocks_key(key: &str) -> bool {
        key.starts_with(KEY_BLOCKS)
    }

    /// The state that keeps whom a user blocks while they are here; none takes it away.
    pub fn blocks_state(user_id: &str, standing: Option<&Standing>) -> (String, Option<String>) {
        (format!("{KEY_BLOCKS}{user_id}"), standing.map(crate::protocol::wire::json))
    }

    /// What `identity` is in this room: the highest of the token's roles, its grant for the room, and the room's own.
    pub fn role_of(&self, identity: Option<&Identity>) -> Role {
        let Some(who) = identity else { return Role::Guest };
        // Between two nobody keeps order.
        if self.is_one_of_two(&who.user_id) {
            return Role::Member;
        }
        let owner = (self.info.owner_id.as_ref() == Some(&who.user_id)).then_some(Role::Owner);
        let given = self.roles.get(&who.user_id).copied();
        effective(&who.roles, who.grant, owner.max(given))
    }

    /// Whether this viewer may join and read at `now`.
    ///
    /// # Errors
    /// `room_not_found` in a direct room of others, `room_deleted`, `token_required` where guests may not, `banned`,
    /// `forbidden` in a private room.
    pub fn may_read(&self, identity: Option<&Identity>, now: u64) -> Result<Role, ChatError> {
        // Anybody can compute the id, so that every other answer would tell who talks to whom.
        if self.is_direct() && !identity.is_some_and(|who| self.is_one_of_two(&who.user_id)) {
            return Err(no_room());
        }
        if self.info.deleted_at.is_some() {
            return Err(ChatError::new(ErrorCode::RoomDeleted, "This room was deleted."));
        }
        let role = self.role_of(identity);
        let private = self.info.settings.visibility == Visibility::Private;
        let Some(who) = identity else {
            return if self.info.settings.guests && !private {
                Ok(role)
            } else {
                Err(ChatError::new(ErrorCode::TokenRequired, "Sign in to read this room."))
            };
        };
        if let Some(ban) = self.ban_of(who, now).filter(|ban| !ban.shadow) {
            return Err(moderation::banned(ban));
        }
        let invited = who.grant.is_some()
            || self.roles.contains_key(&who.user_id)
            || self.info.owner_id.as_ref() == Some(&who.user_id)
            || role.at_least(Role::Moderator);
        if private && !invited {
            return Err(ChatError::new(ErrorCode::Forbidden, "This room is private."));
        }
        Ok(role)
    }

    /// Follows what a step of the room writes, for those who resume; every step's, at its end.
    pub fn follow(&mut self, write: &Write, now: u64) {
        self.recent.follow(write, self.id.as_str(), now);
    }

    /// Takes over how far PostgreSQL has come, also where that is behind what was known: a restored database is
    /// filled again from the log.
    pub fn set_drained(&mut self, seq: u64) -> Step {
        let mut step = Step::default();
        let seq = seq.min(self.last_seq);
        if seq != self.drained {
            self.drained = seq;
            step.write.state.push((KEY_DRAINED.into(), Some(seq.to_string())));
        }
        step
    }

    /// Forgets the oldest rows that PostgreSQL has and Redis and the webhook are not owed, once they are a week old or
    /// the log takes too much room; the newest 10,000 events stay, so that a room that was quiet for long still greets with its last messages.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn trim(&mut self, log: &dyn Log, now: u64) -> Read<Step> {
        let mut step = Step::default();
        let crowded = log.bytes() > LOG_BYTES;
        let is_old = |row: &Row| row.events.last().is_some_and(|event| event.at.saturating_add(LOG_AGE) < now);
        if !crowded && !log.row_with(0)?.is_some_and(|row| is_old(&row)) {
            return Ok(step);
        }
        for row in log.rows_after(0, SCAN)? {
            let old = is_old(&row);
            let newest = row.last.saturating_add(LOG_EVENTS) > self.last_seq;
            if newest || !(old || crowded) || row.last > self.drained || self.is_owed(&row, log, now) {
                break;
            }
            let messages = row.events.iter().filter(|event| matches!(event.body, Body::NewMessage(_)));
            step.write.state.extend(messages.map(|event| (reaction_key(event.seq), None)));
            self.edits.forget(&row, &mut step);
            step.write.forget_to = Some(row.last);
        }
        if let Some(last) = step.write.forget_to {
            self.reports.let_go(self.epoch, last + 1, &mut step);
        }
        Ok(step)
    }
}
