//! A room that is split: into how many shards, where each of them stands, and what it is told next.
//!
//! The room sees shards, not viewers. Each has a lane with a cursor and one call in flight; what is written meanwhile is
//! the next batch. A shard that stands nowhere is told nothing until it has begun anew, with the log's end.

use super::{Effects, Host, Moment};
use crate::protocol::call::{Ask, RoomCall, VERSION};
use crate::protocol::shard::{Begin, Crowd, Down, MOST_SHARDS, Pushed, RELAY_DEGREE, Shape, Totals, Up};
use crate::protocol::wire::json;
use crate::protocol::{ChatError, ErrorCode};
use crate::room::{Overlay, Tail, Write};
use crate::settings::FrameBudgetPer;
use crate::user::{Blocks, hash};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// State: how the room is split.
const KEY_SHARDS: &str = "shards";
/// A shard is told no more often than this, ms; what cannot wait does not.
const EVERY: u64 = 20;
/// How often shards are told of new totals, ms.
const TOTALS_EVERY: u64 = 2_000;
/// The waits after a shard did not answer, and after one stood nowhere, ms.
const RETRY: (u64, u64) = (100, 5_000);
const GREET: (u64, u64) = (500, 10_000);
/// How long a shard that begins is given to take the answer in, ms.
const AFTER_BEGIN: u64 = 50;
/// Where a shard is behind and the object dies, it wakes again after so many ms.
const LOST: u64 = 10_000;
/// Writes that are kept for shards which are behind, bytes; who is further behind begins anew.
const KEPT: usize = 2 << 20;
/// The shape stays for so long, ms, before the room is split less.
const SETTLED: u64 = 60_000;
/// With more shards than this a relay stands above each 16 of them.
const DIRECT: usize = 6;

/// A push that is to be made: to one shard, or through a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The relay's number; none where the shard is told directly.
    pub relay: Option<u32>,
    /// These shards.
    pub shards: Vec<u32>,
    /// A [`crate::protocol::shard::Push`] as JSON.
    pub body: Rc<str>,
}

#[derive(Debug, Default)]
struct Lane {
    /// Where the shard stands, as far as it said so in this object's life.
    cursor: Option<u64>,
    /// It has to be told the shape or the totals.
    greet: bool,
    in_flight: bool,
    /// It has begun since that push went out, so that its answer may be older.
    begun: bool,
    sent_at: u64,
    not_before: u64,
    failures: u32,
    /// Who is there, once it has said so in this object's life.
    crowd: Crowd,
    heard: bool,
}

#[derive(Debug)]
struct Shipped {
    from: u64,
    to: u64,
    json: Rc<str>,
}

/// How a room is split, as it is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    version: u64,
    shards: u32,
    /// So many may still hold sockets.
    lanes: u32,
    /// Since when, ms.
    #[serde(default)]
    changed_at: u64,
}

/// What the leader knows of its shards.
#[derive(Debug, Default)]
pub(super) struct Spread {
    kept: Kept,
    lanes: Vec<Lane>,
    shipped: VecDeque<Shipped>,
    bytes: usize,
    /// Who is online in the whole room; as shards were told last, and when, ms.
    totals: Totals,
    told: Totals,
    told_at: u64,
    /// Something that cannot wait was written.
    urgent: bool,
    /// Less shards are right, once the shape has stayed for long enough.
    shrinks: bool,
    /// The shape has changed: those whom a shard serves have to leave this object.
    pub(super) moving: bool,
    /// When the next of them go, ms.
    pub(super) move_at: u64,
}

/// Where a shard stands, whether it may stand further on, since a push was not answered, and whether it is greeted.
type Stands = (Option<u64>, bool, bool);

impl Lane {
    fn stands(&self) -> Stands {
        (self.cursor, self.failures > 0, self.greet)
    }
}

fn backoff((first, most): (u64, u64), failures: u32) -> u64 {
    first.saturating_mul(1 << failures.min(16)).min(most)
}

impl Spread {
    /// What the storage says. Every shard is greeted: most stand at `seq`, where the log ended when it was loaded, but a
    /// room that died may have told less.
    pub(super) fn load(text: Option<&str>, seq: u64) -> Self {
        let kept: Kept = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let lane = || Lane { cursor: Some(seq), failures: 1, greet: true, ..Lane::default() };
        let lanes = (0..kept.lanes.min(MOST_SHARDS)).map(|_| lane()).collect();
        Self { kept, lanes, moving: kept.shards > 0, ..Self::default() }
    }

    pub(super) fn is_split(&self) -> bool {
        self.kept.shards > 0
    }

    /// Whether any shard may hold sockets.
    pub(super) fn has_lanes(&self) -> bool {
        !self.lanes.is_empty()
    }

    pub(super) fn lane_count(&self) -> u32 {
        u32::try_from(self.lanes.len()).unwrap_or(MOST_SHARDS)
    }

    pub(super) fn sockets(&self) -> usize {
        self.lanes.iter().map(|lane| lane.crowd.sockets).sum()
    }

    /// There are at least so many that may hold sockets, known or not: they are greeted.
    fn know(&mut self, lanes: u32) {
        while self.lane_count() < lanes.min(MOST_SHARDS) {
            self.lanes.push(Lane { greet: true, ..Lane::default() });
        }
    }

    /// Keeps a step's write for the shards.
    pub(super) fn ship(&mut self, write: &Write) {
        if self.lanes.is_empty() {
            return;
        }
        let Some((row, json)) = write.append.as_ref().zip(write.shipped()) else { return };
        use crate::protocol::Body;
        let waits =
            |body: &Body| matches!(body, Body::NewMessage(_) | Body::Reaction { .. } | Body::MessageEdited { .. });
        self.urgent |= !row.events.iter().all(|event| waits(&event.body));
        self.bytes += json.len();
        self.shipped.push_back(Shipped { from: row.first().saturating_sub(1), to: row.last, json: json.into() });
        let behind = self.lanes.iter().filter_map(|lane| lane.cursor).min();
        while self.bytes > KEPT || self.shipped.front().is_some_and(|first| behind.is_none_or(|seq| first.to <= seq)) {
            let Some(first) = self.shipped.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(first.json.len());
        }
    }

    fn due(&self, lane: &Lane, last: u64) -> Option<u64> {
        let behind = lane.cursor.is_some_and(|cursor| cursor < last);
        if lane.in_flight || !(behind || lane.greet) {
            return None;
        }
        let pace = if self.urgent { 0 } else { lane.sent_at.saturating_add(EVERY) };
        Some(pace.max(lane.not_before))
    }

    /// When the next push is due, ms.
    pub(super) fn next_push(&self, last: u64) -> Option<u64> {
        self.lanes.iter().filter_map(|lane| self.due(lane, last)).min()
    }

    /// Whether a shard has not got everything yet.
    fn is_behind(&self, last: u64) -> bool {
        self.lanes
            .iter()
            .any(|lane| lane.cursor.is_some_and(|cursor| cursor < last) || (lane.greet && lane.cursor.is_none()))
    }

    /// A push to a shard that stands at `cursor`; and from where it is.
    fn body(&self, (cursor, doubted, greeted): Stands, last: u64, epoch: u64, shape: Shape, totals: &Totals) -> String {
        let writes: Vec<&str> = match cursor {
            Some(cursor) if self.reaches(cursor, last) => {
                let after = self.shipped.iter().filter(|shipped| shipped.from >= cursor);
                after.map(|shipped| &*shipped.json).collect()
            }
            _ => Vec::new(),
        };
        let known = cursor.filter(|cursor| !writes.is_empty() || *cursor == last);
        format!(
            r#"{{"v":{VERSION},"epoch":{epoch},"from":{},"to":{last},"acked":{},"shape":{},"totals":{},"writes":[{}]}}"#,
            known.unwrap_or(last),
            known.is_some() && !doubted,
            json(&shape),
            json(&greeted.then_some(totals)),
            writes.join(",")
        )
    }

    fn reaches(&self, cursor: u64, last: u64) -> bool {
        cursor == last || self.shipped.front().is_some_and(|first| first.from <= cursor)
    }

    /// When the object has to wake even after it died: some shard has not got everything.
    pub(super) fn alarm(&self, last: u64, now: u64) -> Option<u64> {
        let shrinks = self.shrinks.then(|| self.kept.changed_at.saturating_add(SETTLED).max(now.saturating_add(LOST)));
        self.is_behind(last).then(|| now.saturating_add(LOST)).into_iter().chain(shrinks).min()
    }
}

/// How many shards are right for so many viewers, where one holds `each`.
fn wanted(viewers: usize, each: usize) -> u32 {
    if viewers <= each {
        return 0;
    }
    // A quarter more, so that a room that grows is not split again at once.
    let shards = viewers.saturating_mul(5).div_ceil(each.max(1).saturating_mul(4)).max(2);
    u32::try_from(shards).unwrap_or(MOST_SHARDS).min(MOST_SHARDS)
}

impl Host {
    /// How the room is split now.
    pub fn shape(&self) -> Shape {
        if let Some(following) = &self.following {
            return following.shape();
        }
        let Kept { version, shards, .. } = self.spread.kept;
        let version = version.saturating_add(self.mark().map_or(0, |at| at.epoch));
        Shape { version, shards, budget: self.frame_share(shards) }
    }

    /// Frames a second that each object of a room with so many shards may send.
    fn frame_share(&self, shards: u32) -> u64 {
        let budget = self.settings.frame_budget;
        match self.settings.frame_budget_per {
            FrameBudgetPer::Object => budget,
            FrameBudgetPer::Process => budget / u64::from(shards.max(1)),
        }
    }

    /// Counts who is online in the whole room, where it is split.
    fn recount(&mut self) {
        self.spread.totals = if self.spread.has_lanes() { self.count_all() } else { Totals::default() };
        let Totals { users, guests, .. } = self.spread.totals;
        self.audience.set_total(self.spread.has_lanes().then_some((users, guests)));
    }

    fn count_all(&self) -> Totals {
        let (users, guests) = self.audience.here_count();
        let lanes = &self.spread.lanes;
        let told = lanes.iter().flat_map(|lane| lane.crowd.strays.hashes().iter().copied());
        let here: Vec<u64> = self.audience.here().map(|(user, _)| hash(user)).collect();
        if !self.spread.is_split() {
            // Whoever is in a shard still is the stray, and this object counts its own.
            let here: BTreeSet<u64> = here.into_iter().collect();
            let strays = told.filter(|stray| !here.contains(stray)).collect::<BTreeSet<_>>().len();
            let guests = guests + lanes.iter().map(|lane| lane.crowd.guests).sum::<usize>();
            return Totals { users: users + strays, guests, strays: Blocks::default() };
        }
        let strays = Blocks::of_hashes(told.chain(here));
        Totals {
            users: lanes.iter().map(|lane| lane.crowd.users).sum::<usize>() + strays.hashes().len(),
            guests: guests + lanes.iter().map(|lane| lane.crowd.guests).sum::<usize>(),
            strays,
        }
    }

    /// The pushes that are due; each counts as under way until [`Host::pushed_to`] is told of it.
    pub fn next_pushes(&mut self, at: &Moment<'_>) -> Vec<Outgoing> {
        self.begin(at);
        let Some(position) = self.room.as_ref().map(crate::room::Room::position) else { return Vec::new() };
        if !self.spread.has_lanes() {
            return Vec::new();
        }
        let (last, now, shape, totals) = (position.seq, self.now, self.shape(), self.spread.totals.clone());
        let due: Vec<usize> = (0..self.spread.lanes.len())
            .filter(|n| {
                let lane = self.spread.lanes.get(*n);
                lane.and_then(|lane| self.spread.due(lane, last)).is_some_and(|due| due <= now)
            })
            .collect();
        if due.is_empty() {
            return Vec::new();
        }
        let relays = self.spread.lanes.len() > DIRECT;
        let mut bodies: BTreeMap<Stands, Rc<str>> = BTreeMap::new();
        let mut groups: BTreeMap<(u32, Stands), Vec<u32>> = BTreeMap::new();
        for n in due {
            let Some(cursor) = self.spread.lanes.get(n).map(Lane::stands) else { continue };
            let n = u32::try_from(n).unwrap_or(MOST_SHARDS);
            let body = || self.spread.body(cursor, last, position.epoch, shape, &totals).into();
            bodies.entry(cursor).or_insert_with(body);
            let group = if relays { n / RELAY_DEGREE } else { n };
            groups.entry((group, cursor)).or_default().push(n);
        }
        for lane in groups.values().flatten().filter_map(|n| usize::try_from(*n).ok()) {
            if let Some(lane) = self.spread.lanes.get_mut(lane) {
                (lane.in_flight, lane.greet, lane.begun, lane.sent_at) = (true, false, false, now);
            }
        }
        self.spread.urgent = false;
        let outgoing = groups.into_iter().filter_map(|((group, cursor), shards)| {
            let body = bodies.get(&cursor)?.clone();
            Some(Outgoing { relay: relays.then_some(group), shards, body })
        });
        outgoing.collect()
    }

    /// What these shards answered to a push; none of one that did not.
    pub fn pushed_to(&mut self, at: &Moment<'_>, shards: &[u32], answers: Vec<Option<Pushed>>) -> Effects {
        let effects = self.begin(at);
        let Some(position) = self.room.as_ref().map(crate::room::Room::position) else { return self.finish(effects) };
        let now = self.now;
        let mut answers = answers.into_iter();
        for n in shards {
            let answer = answers.next().flatten();
            let Some(lane) = usize::try_from(*n).ok().and_then(|n| self.spread.lanes.get_mut(n)) else { continue };
            lane.in_flight = false;
            let Some(Pushed { at, crowd }) = answer else {
                lane.not_before = now.saturating_add(backoff(RETRY, lane.failures));
                lane.failures = lane.failures.saturating_add(1);
                // What was to be told besides did not arrive either.
                lane.greet = true;
                continue;
            };
            (lane.crowd, lane.heard) = (crowd, true);
            let begun = lane.cursor.filter(|_| lane.begun);
            let stands = at.filter(|(epoch, seq)| *epoch == position.epoch && *seq <= position.seq).map(|(_, seq)| seq);
            lane.cursor = stands.max(begun);
            if lane.cursor.is_some() {
                lane.failures = 0;
            } else if lane.crowd.sockets > 0 {
                // It begins anew; should it not come to that, it is greeted again.
                lane.greet = true;
                lane.not_before = now.saturating_add(backoff(GREET, lane.failures));
                lane.failures = lane.failures.saturating_add(1);
            }
        }
        self.crowds_changed();
        self.finish(effects)
    }

    /// All that this shard needs to follow; from then on it is told what is written.
    ///
    /// # Errors
    /// `room_not_found`; `internal` where the log cannot be read.
    pub fn begin_for(&mut self, at: &Moment<'_>, shard: u32) -> (Result<Begin, ChatError>, Effects) {
        let mut effects = self.begin(at);
        let begin = self.room.as_ref().map(crate::room::Room::position).ok_or_else(no_room).and_then(|position| {
            let Tail { rows, state, reactions } =
                Tail::of(at.log).map_err(|fault| self.told(fault.into(), &mut effects))?;
            let (shape, totals) = (self.shape(), self.spread.totals.clone());
            Ok(Begin { v: VERSION, seq: position.seq, shape, totals, state, rows, reactions })
        });
        self.spread.know(shard.saturating_add(1));
        if let (Ok(begin), Some(lane)) =
            (&begin, usize::try_from(shard).ok().and_then(|n| self.spread.lanes.get_mut(n)))
        {
            (lane.cursor, lane.begun, lane.failures) = (Some(begin.seq), true, 0);
            // The answer has to arrive ahead of what comes next.
            lane.not_before = self.now.saturating_add(AFTER_BEGIN);
        }
        (begin, self.finish(effects))
    }

    /// What a shard hands up: its viewers' commands, in one step and one row of the log.
    pub fn up(&mut self, at: &Moment<'_>, up: Up) -> (Down, Effects) {
        let mut effects = self.begin(at);
        self.spread.know(up.shard.saturating_add(1).max(up.shape.shards));
        let known = usize::try_from(up.shard).ok().and_then(|n| self.spread.lanes.get_mut(n));
        if let Some(lane) = known {
            (lane.crowd, lane.heard) = (up.crowd, true);
            // Somebody is there, and it is not known where the shard stands.
            lane.greet |= lane.cursor.is_none() && !lane.in_flight && lane.crowd.sockets > 0;
            self.crowds_changed();
        }
        self.merge_metrics(&up.metrics);
        let mut answers = Vec::new();
        for (n, command) in up.commands.into_iter().enumerate() {
            let mut entropy = at.entropy;
            entropy.rotate_left(n % 32);
            entropy.iter_mut().zip(n.to_be_bytes()).for_each(|(byte, mixed)| *byte ^= mixed);
            self.audience.set_mentioned(command.present);
            let (answer, later) = {
                let log = Overlay::new(at.log, &effects.write);
                self.call(&Moment { now: at.now, entropy, log: &log }, command.call)
            };
            effects.absorb(later);
            answers.push(answer);
            if effects.broken {
                // Nothing is written, so nothing that came before is acknowledged either.
                answers.clear();
                break;
            }
        }
        self.audience.set_mentioned(Vec::new());
        let down = Down { shape: self.shape(), totals: self.spread.totals.clone(), answers };
        let later = self.finish(Effects::default());
        effects.absorb(later);
        (down, effects)
    }

    fn crowds_changed(&mut self) {
        let staff = self.spread.lanes.iter().flat_map(|lane| lane.crowd.staff.iter().cloned());
        self.audience.set_staff_elsewhere(staff.collect());
        self.recount();
    }

    /// Tells shards of new totals, splits the room more or less, and sends those away whom a shard serves.
    pub(super) fn lead(&mut self) {
        if self.following.is_some() || self.room.is_none() {
            return;
        }
        self.reshape();
        if !self.spread.has_lanes() {
            return;
        }
        self.recount();
        if self.spread.told_at.saturating_add(TOTALS_EVERY) <= self.now && self.spread.totals != self.spread.told {
            (self.spread.told, self.spread.told_at) = (self.spread.totals.clone(), self.now);
            self.greet_all();
        }
    }

    /// When something is to be done for shards soon, ms.
    pub(super) fn leads_soon(&self) -> Option<u64> {
        let last = self.room.as_ref()?.position().seq;
        if !self.spread.has_lanes() {
            return None;
        }
        let totals = (self.spread.totals != self.spread.told).then(|| self.spread.told_at.saturating_add(TOTALS_EVERY));
        self.spread.next_push(last).into_iter().chain(totals).min()
    }

    fn greet_all(&mut self) {
        self.spread.lanes.iter_mut().for_each(|lane| lane.greet = true);
    }

    /// Splits the room as its viewers, and those who are expected, demand; less only after a while.
    fn reshape(&mut self) {
        let Some(room) = &self.room else { return };
        let settings = &room.info().settings;
        let expected = settings.expect_viewers.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let alive = room.info().deleted_at.is_none();
        let each = self.settings.shard_sockets;
        let viewers = self.audience.socket_count() + self.spread.sockets();
        let now = self.spread.kept.shards;
        let holds = usize::try_from(now.max(1)).unwrap_or(1).saturating_mul(each);
        let settled = self.spread.kept.changed_at.saturating_add(SETTLED) <= self.now
            && self.spread.lanes.iter().all(|lane| lane.heard);
        let more = wanted(expected, each).max(if viewers > holds { wanted(viewers, each) } else { 0 });
        let less = wanted(expected.max(viewers.saturating_mul(2)), each);
        let shards = if !alive {
            0
        } else if more > now {
            more
        } else if less < now && settled {
            less
        } else {
            now
        };
        self.spread.shrinks = alive && less < shards;
        let mut kept = Kept { shards, ..self.spread.kept };
        if shards != now {
            kept.version += 1;
            kept.changed_at = self.now;
            self.spread.moving = true;
        }
        while self.spread.lanes.len() < usize::try_from(shards).unwrap_or(0) {
            // A shard that was there before may still be: it is asked.
            self.spread.lanes.push(Lane::default());
        }
        let last = room.position().seq;
        let told = |lane: &Lane| !lane.in_flight && !lane.greet && lane.cursor.is_none_or(|cursor| cursor >= last);
        let idle = |lane: &Lane| told(lane) && lane.heard && lane.crowd.sockets == 0;
        while self.spread.lanes.len() > usize::try_from(shards).unwrap_or(0) && shards == now {
            if !self.spread.lanes.last().is_some_and(idle) {
                break;
            }
            self.spread.lanes.pop();
        }
        kept.lanes = self.spread.lane_count();
        if shards != now {
            self.greet_all();
        }
        if kept != self.spread.kept {
            self.spread.kept = kept;
            self.state.push((KEY_SHARDS.into(), Some(json(&kept))));
            self.recount();
        }
        if !self.spread.has_lanes() {
            self.spread.shipped.clear();
            self.spread.bytes = 0;
        }
    }

    /// The object's storage, at a wake.
    pub(super) fn load_spread(&mut self, at: &Moment<'_>) -> crate::room::Read<()> {
        let text = at.log.value(KEY_SHARDS)?;
        self.spread = Spread::load(text.as_deref(), self.mark().map_or(0, |at| at.seq));
        self.recount();
        Ok(())
    }

    /// How the room is split, where it is and this call asks for a list that has to be put together from all of its
    /// objects; whoever names the shape gets the room's own part.
    pub fn is_told_apart(&self, call: &RoomCall) -> Option<Shape> {
        let shape = self.shape();
        let apart = matches!(call.ask, Ask::Members { .. }) && call.caller.shape == 0;
        (apart && shape.shards > 0).then_some(shape)
    }

    /// Whether another object serves whoever comes here with this key.
    ///
    /// # Errors
    /// How the room is split.
    pub fn serves(&self, key: u64, shape: u64) -> Result<(), Shape> {
        let own = self.shape();
        let index = self.following.as_ref().map(super::follower::Following::index);
        // Who was sent by a newer shape than is known here is where they belong.
        if own.shard_of(key) == index || (index.is_some() && shape > own.version) { Ok(()) } else { Err(own) }
    }
}

fn no_room() -> ChatError {
    ChatError::new(ErrorCode::RoomNotFound, "There is no such room.")
}
