//! A room that has followers: into how many shards it is split, which gateways serve sessions in it, and what they ask.

mod flow;

use super::lanes::{Lane, Lanes};
use super::{Effects, Host, Moment};
use crate::auth::Identity;
use crate::protocol::ChatError;
use crate::protocol::call::{Ask, RoomCall, VERSION};
use crate::protocol::shard::{Begin, Down, Follower, MOST_SHARDS, Shape, Totals, Up};
use crate::protocol::wire::json;
use crate::room::{Overlay, Tail, Write, no_room};
use crate::settings::FrameBudgetPer;
use flow::Flow;
use serde::{Deserialize, Serialize};

/// State: how the room is split, and the numbers of the gateways that may have somebody in it.
const KEY_SHARDS: &str = "shards";
const KEY_GATEWAYS: &str = "gateways";
/// How often followers are told of new totals, ms.
const TOTALS_EVERY: u64 = 2_000;
/// Where a follower is behind and the object dies, it wakes again after so many ms.
const LOST: u64 = 10_000;
/// The shape stays for so long, ms, before the room is split less.
const SETTLED: u64 = 60_000;

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

/// What the leader knows of its followers.
#[derive(Debug, Default)]
pub(super) struct Spread {
    kept: Kept,
    pub(super) lanes: Lanes,
    flow: Flow,
    /// Other gateways than those that are kept.
    other_gateways: bool,
    /// Who is online in the whole room, and of what that was counted; as followers were told last, and when, ms.
    pub(super) totals: Totals,
    pub(super) count: super::crowds::Count,
    told: Totals,
    told_at: u64,
    /// Less shards are right, once the shape has stayed for long enough.
    shrinks: bool,
    /// The shape has changed: those whom a shard serves have to leave this object.
    pub(super) moving: bool,
    /// When the next of them go, ms.
    pub(super) move_at: u64,
}

impl Spread {
    /// What the storage says. Every follower is greeted: most stand at `seq`, where the log ended when it was loaded, but
    /// a room that died may have told less.
    pub(super) fn load(shards: Option<&str>, gateways: Option<&str>, seq: u64, last_at: u64) -> Self {
        let kept: Kept = shards.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let gateways: Vec<u32> = gateways.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let shards = (0..kept.lanes.min(MOST_SHARDS)).map(Follower::Shard);
        let all = shards.chain(gateways.into_iter().map(Follower::Gateway)).filter(|known| known.is_known());
        let all = all.map(|follower| (follower, Lane::of_before(follower, seq))).collect();
        Self { kept, lanes: Lanes::of(all), flow: Flow::load(last_at), moving: kept.shards > 0, ..Self::default() }
    }

    pub(super) fn is_split(&self) -> bool {
        self.kept.shards > 0
    }

    /// Whether any follower may hold sockets.
    pub(super) fn has_lanes(&self) -> bool {
        !self.lanes.is_empty()
    }

    /// How many gateways serve sessions in this room, as far as they have said.
    pub(super) fn gateway_count(&self) -> usize {
        self.lanes.gateways().filter(|(_, lane)| !lane.crowd.is_nobody()).count()
    }

    pub(super) fn sockets(&self) -> usize {
        self.lanes.all.values().map(|lane| lane.crowd.sockets).sum()
    }

    /// Those of the room's own parts, which make it be split.
    fn shard_sockets(&self) -> usize {
        self.lanes.all.range(..Follower::Gateway(0)).map(|(_, lane)| lane.crowd.sockets).sum()
    }

    /// There are at least so many shards that may hold sockets, known or not: they are greeted.
    fn know_shards(&mut self, lanes: u32) {
        for n in self.lanes.shards()..lanes.min(MOST_SHARDS) {
            self.lanes.all.insert(Follower::Shard(n), Lane::unknown(Follower::Shard(n)));
        }
    }

    /// The lane of a follower that speaks; none where there are too many.
    fn know(&mut self, follower: Follower) -> Option<&mut Lane> {
        if let Follower::Shard(n) = follower {
            self.know_shards(n.saturating_add(1));
        } else if follower.is_known() && !self.lanes.all.contains_key(&follower) {
            self.lanes.all.insert(follower, Lane::unknown(follower));
            self.other_gateways = true;
        }
        self.lanes.all.get_mut(&follower)
    }

    /// A gateway that has answered that nobody is there is told nothing more.
    pub(super) fn ends(&mut self, follower: Follower, now: u64) {
        let over = follower.is_gateway() && self.lanes.all.get_mut(&follower).is_some_and(|lane| lane.is_over(now));
        if over {
            self.lanes.all.remove(&follower);
            self.other_gateways = true;
        }
    }

    /// Keeps a step's write for the followers.
    pub(super) fn ship(&mut self, write: &Write) {
        write.append.iter().for_each(|row| self.flow.count(row));
        self.lanes.ship(write);
    }

    /// When the object has to wake even after it died: some follower has not got everything.
    pub(super) fn alarm(&self, last: u64, now: u64) -> Option<u64> {
        let shrinks = self.shrinks.then(|| self.kept.changed_at.saturating_add(SETTLED).max(now.saturating_add(LOST)));
        self.lanes.is_behind(last).then(|| now.saturating_add(LOST)).into_iter().chain(shrinks).min()
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

    /// All that this follower needs; from then on it is told what is written. Where there is no room yet it is made for
    /// `joins`, who is about to come in at a gateway.
    ///
    /// # Errors
    /// `room_not_found`; `internal` where the log cannot be read.
    pub fn begin_for(
        &mut self,
        at: &Moment<'_>,
        follower: Follower,
        joins: Option<&Identity>,
    ) -> (Result<Begin, ChatError>, Effects) {
        let mut effects = self.begin(at);
        let made = if self.room.is_none() { self.make_for(joins, &mut effects) } else { Ok(()) };
        let begin = made.and_then(|()| self.mark().ok_or_else(no_room)).and_then(|position| {
            let log = Overlay::new(at.log, &effects.write);
            let tail = Tail::of(&log, follower.keeps());
            let Tail { rows, state, reactions } = tail.map_err(|fault| self.told(fault.into(), &mut effects))?;
            let (shape, totals) = (self.shape(), self.spread.totals_for(follower.is_gateway()));
            Ok(Begin { v: VERSION, seq: position.seq, shape, totals, state, rows, reactions })
        });
        if let Ok(begin) = &begin
            && let Some(lane) = self.spread.know(follower)
        {
            lane.begins(begin.seq, self.now);
        }
        (begin, self.finish(effects))
    }

    /// What a follower hands up: its viewers' commands, in one step and one row of the log.
    pub fn up(&mut self, at: &Moment<'_>, up: Up) -> (Down, Effects) {
        let mut effects = self.begin(at);
        let from = up.from;
        self.spread.know_shards(up.shape.shards);
        let known = !up.from.is_gateway() || self.spread.lanes.all.contains_key(&up.from);
        if (known || !up.crowd.is_nobody())
            && let Some(lane) = self.spread.know(up.from)
        {
            let news = lane.hears(up.crowd, self.now);
            lane.is_asked(self.now);
            if news {
                self.crowds_changed();
            }
        }
        self.merge_metrics(&up.metrics);
        self.take_glimpses(from, up.glimpses, &mut effects);
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
        let down = Down { shape: self.shape(), totals: self.spread.totals_for(from.is_gateway()), answers };
        let later = self.finish(Effects::default());
        effects.absorb(later);
        (down, effects)
    }

    /// Tells followers of new totals, splits the room more or less, and sends those away whom a shard serves.
    pub(super) fn lead(&mut self) {
        if self.following.is_some() || self.room.is_none() {
            return;
        }
        self.reshape();
        self.keep_gateways();
        self.recount();
        if !self.spread.has_lanes() {
            return;
        }
        if self.spread.told_at.saturating_add(TOTALS_EVERY) <= self.now && self.spread.totals != self.spread.told {
            (self.spread.told, self.spread.told_at) = (self.spread.totals.clone(), self.now);
            self.greet_all();
        }
    }

    /// When something is to be done for followers soon, ms.
    pub(super) fn leads_soon(&self) -> Option<u64> {
        let last = self.room.as_ref()?.position().seq;
        if !self.spread.has_lanes() {
            return None;
        }
        let totals = (self.spread.totals != self.spread.told).then(|| self.spread.told_at.saturating_add(TOTALS_EVERY));
        self.spread
            .lanes
            .next_push(last, self.now, &self.settings)
            .into_iter()
            .chain(totals)
            .chain(self.recount_at())
            .min()
    }

    fn greet_all(&mut self) {
        self.spread.lanes.all.values_mut().for_each(|lane| lane.greet = true);
    }

    /// Splits the room as its viewers, what is said to them, and those who are expected demand; less only after a while.
    fn reshape(&mut self) {
        let Some(room) = &self.room else { return };
        let settings = &room.info().settings;
        let expected = settings.expect_viewers.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let alive = room.info().deleted_at.is_none();
        self.spread.flow.pass(self.now, settings.sample_above);
        let (most, (each, each_lately)) = (self.settings.shard_sockets, self.spread.flow.each(&self.settings));
        let viewers = self.audience.socket_count() + self.spread.shard_sockets();
        let now = self.spread.kept.shards;
        let holds = usize::try_from(now.max(1)).unwrap_or(1).saturating_mul(each);
        let settled = self.spread.kept.changed_at.saturating_add(SETTLED) <= self.now
            && self.spread.flow.is_known(self.now)
            && self.spread.lanes.all.range(..Follower::Gateway(0)).all(|(_, lane)| lane.heard);
        let more = wanted(expected, most).max(if viewers > holds { wanted(viewers, each) } else { 0 });
        let twice = viewers.saturating_mul(2);
        let less = wanted(expected, most).max(wanted(twice, each_lately));
        let shards = if !alive {
            0
        } else if more > now {
            more
        } else if less < now && settled {
            less
        } else {
            now
        };
        // Also where only what is said keeps it split: nobody says when that is over.
        self.spread.shrinks = alive && wanted(expected.max(twice), most) < shards;
        let mut kept = Kept { shards, ..self.spread.kept };
        if shards != now {
            kept.version += 1;
            kept.changed_at = self.now;
            self.spread.moving = true;
        }
        for n in self.spread.lanes.shards()..shards {
            // A shard that was there before may still be: it is asked.
            self.spread.lanes.all.insert(Follower::Shard(n), Lane::default());
        }
        let last = room.position().seq;
        let idle = |lane: &Lane| lane.is_told(last) && lane.heard && lane.crowd.sockets == 0;
        while let Some(n) = self.spread.lanes.shards().checked_sub(1).filter(|n| *n >= shards && shards == now) {
            if !self.spread.lanes.all.get(&Follower::Shard(n)).is_some_and(idle) {
                break;
            }
            self.spread.lanes.all.remove(&Follower::Shard(n));
        }
        kept.lanes = self.spread.lanes.shards();
        if shards != now {
            self.greet_all();
        }
        if kept != self.spread.kept {
            self.spread.kept = kept;
            self.state.push((KEY_SHARDS.into(), Some(json(&kept))));
            self.spread.count.is_old = true;
        }
        if !self.spread.has_lanes() {
            self.spread.lanes.forget_shipped();
        }
    }

    /// Keeps which gateways may have somebody here, where that has changed.
    fn keep_gateways(&mut self) {
        if std::mem::take(&mut self.spread.other_gateways) {
            let gateways: Vec<u32> = self.spread.lanes.gateways().map(|(n, _)| n).collect();
            let kept = (!gateways.is_empty()).then(|| json(&gateways));
            self.state.push((KEY_GATEWAYS.into(), kept));
            self.spread.count.is_old = true;
        }
    }

    /// The object's storage, at a wake.
    pub(super) fn load_spread(&mut self, at: &Moment<'_>) -> crate::room::Read<()> {
        let (shards, gateways) = (at.log.value(KEY_SHARDS)?, at.log.value(KEY_GATEWAYS)?);
        let seq = self.mark().map_or(0, |at| at.seq);
        let last_at = self.room.as_ref().map_or(0, crate::room::Room::last_at);
        self.spread = Spread::load(shards.as_deref(), gateways.as_deref(), seq, last_at);
        self.spread.count.is_old = true;
        self.recount();
        Ok(())
    }

    /// How the room is split, where this call asks for a list that has to be put together from several objects; whoever
    /// names the shape gets the room's own part.
    pub fn is_told_apart(&self, call: &RoomCall) -> Option<Shape> {
        let apart = matches!(call.ask, Ask::Members { .. }) && call.caller.shape == 0;
        let shape = self.shape();
        (apart && (shape.shards > 0 || self.named().is_none())).then_some(shape)
    }
}
