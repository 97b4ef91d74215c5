//! A user in all rooms: whom they block, since when they are signed out, where they were lately, and who has to be told.
//!
//! Calls and time go in; what is to be written, and that somebody has to be told, comes out. The adapter carries the
//! pushes and batches and says what became of them.

mod blocks;
mod devices;
mod direct;
mod erasure;
mod inbox;
mod outbox;

pub use blocks::{Blocks, hash};

use crate::host::{Batch, Drained};
use crate::protocol::call::{Coming, Standing, UserAsk, UserCall};
use crate::protocol::erasure::Mode;
use crate::protocol::inbox::{DevicesChanged, Inbox, MarkRead};
use crate::protocol::shard::{parse_gateway, parse_shard};
use crate::protocol::wire::{Line, event, json, raw_json};
use crate::protocol::{ChatError, ErrorCode, Rate, UserId, rfc3339};
use crate::room::Window;
use devices::Devices;
pub use devices::check_backup;
use direct::Directs;
use erasure::Erasure;
pub use erasure::{Done, Task};
use inbox::Places;
use outbox::{Act, Outbox};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Users that one may block.
const MOST_BLOCKS: usize = 1_000;
/// Rooms that are remembered and told of changes: those that the user entered last.
const MOST_ROOMS: usize = 64;
/// So often a room that does not answer is told whom the user blocks, the first time counted; of a sign-out it is told
/// until it answers.
const TRIES: u32 = 6;
/// The wait after the first try, ms; each next one is twice as long, up to the longest.
const RETRY: u64 = 1_000;
const LONGEST: u64 = 300_000;
/// How often a user blocks and unblocks; attempts count. Forgotten with the memory.
const CHANGES: Rate = Rate { messages: 60, window_ms: 60_000 };
/// When a push that the object did not survive is tried again, ms: later than its own time limit.
const LOST: u64 = 10_000;
/// Entering a room again is written down only this long after the last time that was, ms: where everybody comes back at
/// once, after a deploy, nobody's storage has to be waited for.
const KNOWN: u64 = 3_600_000;
/// A room in which the user is not is forgotten, but not while a socket may still be on its way there, ms.
const ON_ITS_WAY: u64 = 60_000;

const KEY_BLOCK: &str = "block:";
const KEY_ROOM: &str = "room:";
const KEY_ABOUT: &str = "about";
const KEY_CLAIMS: &str = "claims";
/// How often a user claims keys of others, one of each of their devices at a time.
const CLAIMS: Rate = Rate { messages: 200, window_ms: 3_600_000 };
/// Those of whom one has direct rooms, so many of them, hear of other devices; the rest sees it when it looks.
const TOLD: usize = 100;
/// How often a user publishes keys or backs them up.
const PUBLISHED: Rate = Rate { messages: 30, window_ms: 60_000 };

/// What a step asks of the adapter.
#[derive(Debug, Default)]
pub struct Step {
    /// State to set, or to remove, in one transaction.
    pub write: Vec<(String, Option<String>)>,
    /// When to look again for pushes and batches even after sleep, ms.
    pub alarm: Option<u64>,
    /// To all sockets of the inbox.
    pub say: Vec<Line>,
    /// Users who have to hear of it that this one has other devices.
    pub tell: Vec<(UserId, DevicesChanged)>,
}

/// A block as its owner sees it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Block"))]
pub struct BlockData<'a> {
    /// Who is blocked.
    user_id: &'a str,
    /// Since when, RFC 3339.
    created_at: String,
}

/// Whom a user blocks.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BlockList<'a> {
    /// By user id.
    blocks: Vec<BlockData<'a>>,
}

/// The answer to a sign-out.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedOut {
    /// RFC 3339: tokens made until then are refused for good.
    signed_out_at: String,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct About {
    /// When this storage began, ms: the outbox counts from 1 in it.
    epoch: u64,
    /// Counts the changes that rooms have to hear of.
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signed_out_at: Option<u64>,
    /// The version with which that came: a room that knows an earlier one has not heard of it.
    #[serde(default)]
    signed_out_in: u64,
}

/// A room where the user was lately.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Visited {
    /// When it was entered, at most [`KNOWN`] behind.
    at: u64,
    /// When it was entered last, as far as the memory goes back.
    #[serde(skip)]
    entered: u64,
    /// Until when a socket may be on its way there of which the room knows nothing yet, ms.
    #[serde(skip)]
    awaited_until: u64,
    /// The version that the room knows.
    told: u64,
    /// How often it did not answer since the last change.
    #[serde(default)]
    tries: u32,
    #[serde(skip)]
    retry_at: u64,
    #[serde(skip)]
    in_flight: bool,
}

impl Visited {
    /// Whether the room has still to be told.
    fn is_behind(&self, about: &About) -> bool {
        self.told < about.version && (self.tries < TRIES || self.told < about.signed_out_in)
    }
}

/// One user, as their object's storage has them.
#[derive(Debug)]
pub struct User {
    id: UserId,
    about: About,
    /// Who is blocked, since when, ms.
    blocks: BTreeMap<UserId, u64>,
    /// The same for rooms; made anew when it changes.
    packed: Blocks,
    rooms: BTreeMap<String, Visited>,
    /// Rooms that are not remembered any more; they hear of it once, so that they ask when the user comes back.
    unseen: Vec<String>,
    directs: Directs,
    devices: Devices,
    places: Places,
    erasure: Erasure,
    /// Keys of others that the user claimed.
    claims: Window,
    /// How often the user published keys; forgotten with the memory.
    published: Window,
    outbox: Outbox,
    changes: Window,
}

impl User {
    /// The user as stored; empty storage is a user of whom nothing is known yet.
    ///
    /// # Errors
    /// The storage holds what cannot be read; the text is for the operator's log.
    pub fn load(id: UserId, state: Vec<(String, String)>, now: u64) -> Result<Self, String> {
        let fault = |key: &str| format!("the state under {key} cannot be read");
        let about = About { epoch: now, ..About::default() };
        let (blocks, rooms) = (BTreeMap::new(), BTreeMap::new());
        let (packed, outbox, changes) = (Blocks::default(), Outbox::default(), Window::default());
        let mut user = Self {
            id,
            about,
            blocks,
            packed,
            rooms,
            unseen: Vec::new(),
            directs: Directs::default(),
            devices: Devices::default(),
            places: Places::default(),
            erasure: Erasure::default(),
            claims: Window::default(),
            published: Window::default(),
            outbox,
            changes,
        };
        for (key, value) in state {
            if let Some(blocked) = key.strip_prefix(KEY_BLOCK) {
                user.blocks.insert(blocked.to_owned(), value.parse().map_err(|_| fault(&key))?);
            } else if let Some(room) = key.strip_prefix(KEY_ROOM) {
                let mut visited: Visited = serde_json::from_str(&value).map_err(|_| fault(&key))?;
                visited.entered = visited.at;
                user.rooms.insert(room.to_owned(), visited);
            } else if key == KEY_ABOUT {
                user.about = serde_json::from_str(&value).map_err(|_| fault(&key))?;
            } else if key == KEY_CLAIMS {
                user.claims = serde_json::from_str(&value).map_err(|_| fault(&key))?;
            } else if !user.directs.load(&key, &value).map_err(|()| fault(&key))?
                && !user.devices.load(&key, &value).map_err(|()| fault(&key))?
                && !user.places.load(&key, &value).map_err(|()| fault(&key))?
                && !user.erasure.load(&key, &value).map_err(|()| fault(&key))?
            {
                user.outbox.load(&key, &value, now).map_err(|()| fault(&key))?;
            }
        }
        user.devices.loaded().map_err(|()| fault("device-keys"))?;
        user.pack();
        Ok(user)
    }

    fn pack(&mut self) {
        self.packed = Blocks::of(self.blocks.keys().map(String::as_str));
    }

    /// What a room has to know of this user.
    pub fn standing(&self) -> Standing {
        let About { version, signed_out_at, .. } = self.about;
        Standing { version, signed_out_at, blocks: self.packed.clone() }
    }

    /// Answers a call; what is to be written comes first.
    pub fn call(&mut self, call: UserCall, now: u64) -> (Result<Box<RawValue>, ChatError>, Step) {
        let UserCall { v: _, iat_ms, ask } = call;
        let mut step = Step::default();
        let answer = match ask {
            UserAsk::Standing { room } => {
                if let Some(room) = room {
                    self.enter(room, now, &mut step);
                }
                Ok(raw_json(&self.standing()))
            }
            UserAsk::Opens(room) => {
                self.directs.opens(room.as_str(), now);
                Ok(raw_json(&self.standing()))
            }
            UserAsk::Opened { room, with } => {
                let new = self.directs.opened(room.as_str(), &with, now, &mut step);
                if new && self.blocks.contains_key(&with) {
                    self.directs.owe(&self.id, &with, now, &mut step);
                }
                Ok(raw_json(&()))
            }
            UserAsk::Note(note) => {
                if !self.blocks.contains_key(&note.by) {
                    let changed = self.places.note(&self.id, note, now, &mut step);
                    step.say.extend(changed.map(|changed| event(None, "inbox_changed", &changed)));
                }
                Ok(raw_json(&()))
            }
            UserAsk::DevicesChanged(changed) => {
                step.say.push(event(None, "devices_changed", &changed));
                Ok(raw_json(&()))
            }
            UserAsk::Erase { erasure_id, mode } => {
                self.erase(&erasure_id, mode, now, &mut step);
                Ok(raw_json(&()))
            }
            UserAsk::Erasure(_) => Ok(raw_json(&self.erasure.progress())),
            UserAsk::Forget(user_id) => {
                self.forget_user(&user_id, now, &mut step);
                Ok(raw_json(&()))
            }
            UserAsk::DevicesFor(_) => Ok(raw_json(&self.devices.list(&self.id, false))),
            UserAsk::ClaimedBy { by, device_ids } => {
                if self.blocks.contains_key(&by) {
                    Err(crate::room::blocked())
                } else {
                    Ok(raw_json(&self.devices.claim(&self.id, device_ids.as_deref(), &mut step)))
                }
            }
            ask => self.standing().check(iat_ms).and_then(|()| self.act(ask, now, &mut step)),
        };
        (answer, self.finish(step, now))
    }

    fn act(&mut self, ask: UserAsk, now: u64, step: &mut Step) -> Result<Box<RawValue>, ChatError> {
        match ask {
            UserAsk::Blocks(_) => {
                let blocks = self.blocks.iter();
                let blocks = blocks.map(|(user_id, at)| BlockData { user_id, created_at: rfc3339(*at) }).collect();
                return Ok(raw_json(&BlockList { blocks }));
            }
            UserAsk::Block(user_id) => {
                self.count_change(now)?;
                self.block(user_id, now, step)?;
            }
            UserAsk::Unblock(user_id) => {
                self.count_change(now)?;
                self.unblock(user_id, now, step)?;
            }
            UserAsk::SignOut(_) => {
                let at = self.about.signed_out_at.map_or(now, |before| now.max(before));
                (self.about.signed_out_at, self.about.signed_out_in) = (Some(at), self.about.version + 1);
                self.changed(Act::SignOut, now, step);
                return Ok(raw_json(&SignedOut { signed_out_at: rfc3339(at) }));
            }
            UserAsk::Publish { device_id, keys } => {
                self.published.check(PUBLISHED, now)?;
                self.published.accepted(now);
                let (published, fresh) = self.devices.publish(&self.id, &device_id, keys, now, step)?;
                if fresh {
                    self.devices_changed(step);
                }
                return Ok(raw_json(&published));
            }
            UserAsk::Backup { set } => {
                if set {
                    self.published.check(PUBLISHED, now)?;
                    self.published.accepted(now);
                }
            }
            UserAsk::Devices(_) => return Ok(raw_json(&self.devices.list(&self.id, true))),
            UserAsk::NameDevice { device_id, name } => {
                self.devices.name(&device_id, &name, step)?;
                return Ok(raw_json(&self.devices.list(&self.id, true)));
            }
            UserAsk::RemoveDevice(device_id) => {
                self.devices.remove(&device_id, step)?;
                self.devices_changed(step);
            }
            UserAsk::MarkRead(MarkRead { room_id, seq }) => {
                let changed = self.places.read(&room_id, seq, step);
                step.say.extend(changed.map(|changed| event(None, "inbox_changed", &changed)));
            }
            UserAsk::Claims(whom) => {
                if self.blocks.contains_key(&whom) {
                    return Err(crate::room::blocked());
                }
                self.claims.check(CLAIMS, now)?;
                self.claims.accepted(now);
                step.write.push((KEY_CLAIMS.into(), Some(json(&self.claims))));
            }
            UserAsk::Standing { .. }
            | UserAsk::Opens(_)
            | UserAsk::Opened { .. }
            | UserAsk::DevicesFor(_)
            | UserAsk::Erase { .. }
            | UserAsk::Erasure(_)
            | UserAsk::Forget(_)
            | UserAsk::Note(_)
            | UserAsk::DevicesChanged(_)
            | UserAsk::ClaimedBy { .. } => {}
        }
        Ok(raw_json(&self.standing()))
    }

    /// The inbox as a socket is greeted with it.
    pub fn inbox(&self) -> Line {
        event(None, "inbox", &Inbox { rooms: self.places.list(), devices_version: self.devices.version() })
    }

    /// The user's own inbox hears of it, and those with whom there is a direct room.
    fn devices_changed(&self, step: &mut Step) {
        let changed = DevicesChanged { user_id: self.id.clone(), version: self.devices.version() };
        step.say.push(event(None, "devices_changed", &changed));
        step.tell.extend(self.directs.others(TOLD).map(|other| (other.clone(), changed.clone())));
    }

    fn count_change(&mut self, now: u64) -> Result<(), ChatError> {
        self.changes.check(CHANGES, now)?;
        self.changes.accepted(now);
        Ok(())
    }

    fn block(&mut self, user_id: UserId, now: u64, step: &mut Step) -> Result<(), ChatError> {
        if user_id.is_empty() || user_id.len() > 255 || user_id.chars().any(char::is_control) {
            let message = "`user_id` is 1 to 255 bytes, none of them a control character.";
            return Err(ChatError::new(ErrorCode::BadRequest, message).field("user_id"));
        }
        if user_id == self.id {
            return Err(ChatError::new(ErrorCode::Forbidden, "Nobody blocks themselves.").field("user_id"));
        }
        if self.blocks.contains_key(&user_id) {
            return Ok(());
        }
        if self.blocks.len() >= MOST_BLOCKS {
            let message = "You block 1,000 users already; unblock one first.";
            return Err(ChatError::new(ErrorCode::TooManyBlocks, message));
        }
        self.outbox.check()?;
        step.write.push((format!("{KEY_BLOCK}{user_id}"), Some(now.to_string())));
        self.blocks.insert(user_id.clone(), now);
        self.directs.owe(&self.id, &user_id, now, step);
        self.changed(Act::Block { target: user_id }, now, step);
        Ok(())
    }

    fn unblock(&mut self, user_id: UserId, now: u64, step: &mut Step) -> Result<(), ChatError> {
        if !self.blocks.contains_key(&user_id) {
            return Err(ChatError::new(ErrorCode::UserNotFound, "You do not block this user.").field("user_id"));
        }
        self.outbox.check()?;
        self.blocks.remove(&user_id);
        step.write.push((format!("{KEY_BLOCK}{user_id}"), None));
        self.directs.owe(&self.id, &user_id, now, step);
        self.changed(Act::Unblock { target: user_id }, now, step);
        Ok(())
    }

    /// The user is to be erased: signed out first, since whoever is here goes on writing.
    fn erase(&mut self, id: &str, mode: Mode, now: u64, step: &mut Step) {
        let seen = self.rooms.keys().filter(|name| parse_gateway(name).is_none());
        let seen = seen.map(|name| parse_shard(name).map_or(name.as_str(), |(room, _)| room).to_owned());
        let rooms = seen.chain(self.directs.ids().cloned()).chain(self.places.ids().cloned()).collect();
        let others = self.directs.others(usize::MAX).cloned().collect();
        if self.erasure.begin(id, mode, rooms, others, now, step) {
            let at = self.about.signed_out_at.map_or(now, |before| now.max(before));
            (self.about.signed_out_at, self.about.signed_out_in) = (Some(at), self.about.version + 1);
            self.news(now, step);
        }
    }

    /// What the erasure of this user does next. Do it, and tell [`User::task_done`].
    pub fn task(&self, now: u64) -> Option<Task> {
        self.erasure.next(&self.id, now)
    }

    /// What came of it.
    pub fn task_done(&mut self, done: Done, now: u64) -> Step {
        let mut step = Step::default();
        self.erasure.done(done, now, &mut step);
        self.finish(step, now)
    }

    /// Whether rooms have still to hear that the user is signed out; in the end nobody waits for those that do not answer.
    pub fn waits_for_rooms(&self) -> bool {
        self.erasure.is_patient() && self.rooms.values().any(|visited| visited.is_behind(&self.about))
    }

    /// Somebody else is being erased.
    fn forget_user(&mut self, user_id: &str, now: u64, step: &mut Step) {
        self.directs.forget(user_id, step);
        self.places.forget(user_id, step);
        self.outbox.forget(user_id, step);
        if self.blocks.remove(user_id).is_some() {
            step.write.push((format!("{KEY_BLOCK}{user_id}"), None));
            self.news(now, step);
        }
    }

    /// Something that rooms and PostgreSQL have to hear of.
    fn changed(&mut self, act: Act, now: u64, step: &mut Step) {
        self.news(now, step);
        self.outbox.push(act, now, step);
    }

    /// Something that rooms have to hear of.
    fn news(&mut self, now: u64, step: &mut Step) {
        self.pack();
        self.about.version += 1;
        for visited in self.rooms.values_mut() {
            (visited.tries, visited.retry_at) = (0, now);
        }
        step.write.push((KEY_ABOUT.into(), Some(json(&self.about))));
    }

    /// A room has let the user in. What holds now is in the answer, but until the room was told and said so it does not
    /// count as known there: an answer can be lost. Of too many rooms the one entered longest ago is forgotten.
    fn enter(&mut self, room: String, now: u64, step: &mut Step) {
        let visited = self.rooms.entry(room.clone()).or_default();
        visited.entered = now;
        let behind = visited.told < self.about.version;
        if behind {
            (visited.tries, visited.retry_at) = (0, now);
        } else if visited.at.saturating_add(KNOWN) > now {
            return;
        }
        visited.at = now;
        step.write.push((format!("{KEY_ROOM}{room}"), Some(json(visited))));
        if self.rooms.len() > MOST_ROOMS
            && let Some(oldest) = self.rooms.iter().min_by_key(|(_, visited)| visited.at).map(|(id, _)| id.clone())
        {
            self.forget(&oldest, step);
            self.unseen.push(oldest);
        }
    }

    /// The user is on the way to a room. Where that was entered lately and knows all that changed, it is told of what
    /// changes from now on, with nothing to write.
    pub fn comes(&mut self, room: &str, now: u64) -> Coming {
        let version = self.about.version;
        let known = |visited: &&mut Visited| visited.told == version && visited.at.saturating_add(KNOWN) > now;
        let visited = self.rooms.get_mut(room).filter(known);
        let awaited = visited.is_some();
        if let Some(visited) = visited {
            (visited.entered, visited.awaited_until) = (now, now.saturating_add(ON_ITS_WAY));
        }
        Coming { standing: self.standing(), awaited }
    }

    fn forget(&mut self, room: &str, step: &mut Step) {
        self.rooms.remove(room);
        step.write.push((format!("{KEY_ROOM}{room}"), None));
    }

    /// The rooms that are to be told now, and what. Tell each, and then [`User::pushed`].
    pub fn pushes(&mut self, now: u64) -> Vec<(String, Standing)> {
        let standing = self.standing();
        let about = &self.about;
        let is_due = |visited: &Visited| visited.is_behind(about) && !visited.in_flight && visited.retry_at <= now;
        let due = self.rooms.iter_mut().filter(|(_, visited)| is_due(visited));
        let due = due.map(|(room, visited)| {
            visited.in_flight = true;
            room.clone()
        });
        let due: Vec<_> = due.chain(self.unseen.drain(..)).chain(self.directs.due(now)).collect();
        due.into_iter().map(|room| (room, standing.clone())).collect()
    }

    /// A room was told this version: whether the user is there, or none where it did not answer.
    pub fn pushed(&mut self, room: &str, version: u64, heard: Option<bool>, now: u64) -> Step {
        let mut step = Step::default();
        self.directs.told(room, heard, version == self.about.version, now, &mut step);
        let Some(visited) = self.rooms.get_mut(room) else { return self.finish(step, now) };
        visited.in_flight = false;
        visited.tries = visited.tries.saturating_add(1);
        match heard {
            Some(false) if visited.entered.saturating_add(ON_ITS_WAY) <= now => self.forget(room, &mut step),
            // The room may lose its memory before that socket arrives, and does not ask then.
            answer if answer.is_none() || (answer == Some(false) && now < visited.awaited_until) => {
                let wait = (RETRY << (visited.tries - 1).min(16)).min(LONGEST);
                visited.retry_at = if version == self.about.version { now.saturating_add(wait) } else { now };
                step.write.push((format!("{KEY_ROOM}{room}"), Some(json(visited))));
            }
            _ => {
                visited.told = visited.told.max(version);
                (visited.tries, visited.retry_at) = (0, now);
                step.write.push((format!("{KEY_ROOM}{room}"), Some(json(visited))));
            }
        }
        self.finish(step, now)
    }

    /// What PostgreSQL has not heard of yet, if it is time for it. Deliver it, and tell [`User::drained`].
    pub fn batch(&mut self, now: u64) -> Option<Batch> {
        self.outbox.batch(&self.id, self.about.epoch, now)
    }

    /// What became of the batch. `entropy` spreads the next try; the text is for the operator's log.
    pub fn drained(&mut self, drained: Drained, entropy: u32, now: u64) -> (Option<String>, Step) {
        let mut step = Step::default();
        let fault = self.outbox.drained(drained, self.about.epoch, entropy, now, &mut step);
        (fault, self.finish(step, now))
    }

    /// When to come back, with nothing to write.
    pub fn rest(&self, now: u64) -> Step {
        self.finish(Step::default(), now)
    }

    /// Says when to come back. What is due now is done at once; the alarm is for an object that does not survive that.
    fn finish(&self, mut step: Step, now: u64) -> Step {
        let behind = self.rooms.values().filter(|visited| visited.is_behind(&self.about));
        let later = |ms: u64| now.saturating_add(ms);
        let pushes =
            behind.map(|visited| if visited.in_flight { later(LOST) } else { visited.retry_at.max(later(RETRY)) });
        let directs = self.directs.next(later(LOST), later(RETRY));
        step.alarm = pushes.chain(directs).chain(self.outbox.due()).chain(self.erasure.due(now)).min();
        step
    }
}
