//! Where each follower of the room stands, and what it is told next.
//!
//! The room sees followers, not viewers. Each has a lane with a cursor and one call in flight; what is written meanwhile
//! is the next batch. A follower that stands nowhere is told nothing until it has begun anew, with the log's end.

use super::{Effects, Host, Moment};
use crate::protocol::call::VERSION;
use crate::protocol::shard::{Crowd, Follower, Glimpse, MOST_SHARDS, Pushed, RELAY_DEGREE, Shape, Totals};
use crate::protocol::wire::json;
use crate::room::Write;
use crate::settings::Settings;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// The waits after a follower did not answer, and after one stood nowhere, ms.
const RETRY: (u64, u64) = (100, 5_000);
const GREET: (u64, u64) = (500, 10_000);
/// How long a follower that begins is given to take the answer in, ms; and a gateway until whoever it began for is in.
const AFTER_BEGIN: u64 = 50;
const COMES_IN: u64 = 10_000;
/// Writes that are kept for followers which are behind, bytes; who is further behind begins anew.
const KEPT: usize = 2 << 20;
/// With more than so many gateways relays stand above them too.
const DIRECT_GATEWAYS: usize = 16;
/// What was seen is told for so long, ms, and so much of it.
const GLIMPSE: u64 = 5_000;
const MOST_GLIMPSES: usize = super::glimpses::MOST;
/// A gateway that does not answer for so long, ms, is let go: who is there does not count, and it is tried again only
/// while something happens in the room, after this.
const LET_GO: u64 = 5 * 60_000;
const LATER: u64 = 60_000;

/// A push that is to be made: to one follower, or through a relay to several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The relay's number; none where they are told directly.
    pub relay: Option<u32>,
    /// These, all shards or all gateways.
    pub to: Vec<Follower>,
    /// A [`crate::protocol::shard::Push`] as JSON.
    pub body: Rc<str>,
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Where the follower stands, as far as it said so in this object's life.
    pub(super) cursor: Option<u64>,
    /// It has to be told the shape or the totals.
    pub(super) greet: bool,
    in_flight: bool,
    /// It has begun since that push went out, so that its answer may be older.
    begun: bool,
    begun_at: u64,
    /// When it is asked who is there, having said that nobody is before those it has begun for can be in, ms.
    ask_at: Option<u64>,
    sent_at: u64,
    not_before: u64,
    failures: u32,
    /// Since when it has not answered, and whether it was let go because of that.
    silent_since: Option<u64>,
    pub(super) lost: bool,
    /// Who is there, once it has said so in this object's life.
    pub(super) crowd: Crowd,
    pub(super) heard: bool,
    /// The glimpses before this one were handed on; of a shard's lane nothing is.
    glimpsed: Option<u64>,
}

#[derive(Debug)]
struct Shipped {
    from: u64,
    to: u64,
    json: Rc<str>,
}

/// The lanes of a room, and what was written lately.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    pub(super) all: BTreeMap<Follower, Lane>,
    shipped: VecDeque<Shipped>,
    bytes: usize,
    /// What was seen lately, when, ms, and how much of that there was before.
    glimpses: VecDeque<(u64, Glimpse)>,
    glimpses_before: u64,
    /// Something that cannot wait was written.
    urgent: bool,
}

/// Where a follower stands, whether it may stand further on, since a push was not answered, whether it is greeted, and
/// from which glimpse on it is told.
type Stands = (Option<u64>, bool, bool, Option<u64>);

/// Which followers get one push: a relay's number or none, of which kind they are, and where they stand.
type Group = (Option<u32>, Option<Follower>, bool, Stands);

fn backoff((first, most): (u64, u64), failures: u32) -> u64 {
    first.saturating_mul(1 << failures.min(16)).min(most)
}

impl Lane {
    /// One that was there before the room slept: it most likely stands where the log ended.
    pub(super) fn of_before(follower: Follower, seq: u64) -> Self {
        Self { cursor: Some(seq), failures: 1, ..Self::unknown(follower) }
    }

    /// One that may hold sockets, nobody knows how many.
    pub(super) fn unknown(follower: Follower) -> Self {
        Self { greet: true, glimpsed: follower.is_gateway().then_some(0), ..Self::default() }
    }

    fn stands(&self) -> Stands {
        (self.cursor, self.failures > 0, self.greet, self.glimpsed)
    }

    fn is_behind(&self, last: u64) -> bool {
        self.cursor.is_some_and(|cursor| cursor < last)
    }

    /// It was told all that there is.
    pub(super) fn is_told(&self, last: u64) -> bool {
        !self.in_flight && !self.greet && self.cursor.is_none_or(|cursor| cursor >= last)
    }

    /// It has answered, or asked.
    fn speaks(&mut self) {
        (self.silent_since, self.lost) = (None, false);
    }

    /// It has got the log's end.
    pub(super) fn begins(&mut self, seq: u64, now: u64) {
        self.speaks();
        (self.cursor, self.begun, self.begun_at, self.failures) = (Some(seq), true, now, 0);
        // The answer has to arrive ahead of what comes next.
        self.not_before = now.saturating_add(AFTER_BEGIN);
    }

    /// It says who is there; whether that is news. Where it does so unasked it may be late, so that nobody there is
    /// believed as the answer to a push alone.
    pub(super) fn hears(&mut self, crowd: Crowd, now: u64) -> bool {
        if self.lost {
            self.not_before = now;
        }
        self.speaks();
        self.crowd.no = crowd.no;
        let news = !self.heard || self.crowd != crowd;
        (self.crowd, self.heard) = (crowd, true);
        news
    }

    /// It has spoken unasked: somebody is there, and it may be unknown where it stands; or a gateway is to say again that
    /// nobody is.
    pub(super) fn is_asked(&mut self, now: u64) {
        self.greet |= self.cursor.is_none() && !self.in_flight && self.crowd.sockets > 0;
        if self.glimpsed.is_some() && self.crowd.is_nobody() {
            self.ask_at = Some(now);
        }
    }

    /// It has not answered; whether it is let go, being a gateway.
    fn fails(&mut self, gateway: bool, now: u64) -> bool {
        self.not_before = now.saturating_add(backoff(RETRY, self.failures));
        self.failures = self.failures.saturating_add(1);
        // What was to be told besides did not arrive either.
        self.greet = true;
        let since = *self.silent_since.get_or_insert(now);
        if !gateway || since.saturating_add(LET_GO) > now {
            return false;
        }
        self.not_before = now.saturating_add(LATER);
        (self.crowd, self.cursor) = (Crowd::default(), None);
        !std::mem::replace(&mut self.lost, true)
    }

    /// Whether a gateway's lane is over, since nobody is there; who it has begun for may still be on the way in.
    pub(super) fn is_over(&mut self, now: u64) -> bool {
        if self.lost || !self.heard || !self.crowd.is_nobody() {
            return false;
        }
        let in_by = self.begun_at.saturating_add(COMES_IN);
        if self.begun_at > 0 && in_by > now {
            self.ask_at = Some(in_by);
            return false;
        }
        true
    }
}

impl Lanes {
    pub(super) fn of(all: BTreeMap<Follower, Lane>) -> Self {
        Self { all, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn shards(&self) -> u32 {
        let shards = self.all.range(..Follower::Gateway(0)).count();
        u32::try_from(shards).unwrap_or(MOST_SHARDS)
    }

    pub(super) fn gateways(&self) -> impl Iterator<Item = (u32, &Lane)> {
        let number = |(follower, lane)| match follower {
            &Follower::Gateway(n) => Some((n, lane)),
            Follower::Shard(_) => None,
        };
        self.all.range(Follower::Gateway(0)..).filter_map(number)
    }

    /// Keeps a step's write for the followers.
    pub(super) fn ship(&mut self, write: &Write) {
        if self.all.is_empty() {
            return;
        }
        let Some((row, json)) = write.append.as_ref().zip(write.shipped()) else { return };
        use crate::protocol::Body;
        let waits =
            |body: &Body| matches!(body, Body::NewMessage(_) | Body::Reaction { .. } | Body::MessageEdited { .. });
        self.urgent |= !row.events.iter().all(|event| waits(&event.body));
        self.bytes += json.len();
        self.shipped.push_back(Shipped { from: row.first().saturating_sub(1), to: row.last, json: json.into() });
        let behind = self.all.values().filter_map(|lane| lane.cursor).min();
        while self.bytes > KEPT || self.shipped.front().is_some_and(|first| behind.is_none_or(|seq| first.to <= seq)) {
            let Some(first) = self.shipped.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(first.json.len());
        }
    }

    /// Nobody is to be told any more.
    pub(super) fn forget_shipped(&mut self) {
        self.shipped.clear();
        self.bytes = 0;
    }

    fn due(&self, lane: &Lane, last: u64, settings: &Settings) -> Option<u64> {
        let glimpses = lane.cursor.is_some() && lane.glimpsed.is_some_and(|glimpsed| glimpsed < self.glimpses_end());
        if lane.in_flight || !(lane.is_behind(last) || lane.greet || glimpses) {
            return lane.ask_at.filter(|_| !lane.in_flight);
        }
        let pace = if self.urgent { 0 } else { lane.sent_at.saturating_add(settings.push_every_ms) };
        Some(pace.max(lane.not_before))
    }

    /// When the next push is due, ms. For a gateway that was let go nobody waits.
    pub(super) fn next_push(&self, last: u64, now: u64, settings: &Settings) -> Option<u64> {
        let due = |lane: &Lane| self.due(lane, last, settings).filter(|due| !lane.lost || *due <= now);
        self.all.values().filter_map(due).min()
    }

    /// Whether a follower has not got everything yet.
    pub(super) fn is_behind(&self, last: u64) -> bool {
        let behind = |lane: &Lane| lane.is_behind(last) || (lane.greet && lane.cursor.is_none() && !lane.lost);
        self.all.values().any(behind)
    }

    fn reaches(&self, cursor: u64, last: u64) -> bool {
        cursor == last || self.shipped.front().is_some_and(|first| first.from <= cursor)
    }

    /// A push to a follower that stands at `cursor`; and from where it is.
    fn body(
        &self,
        (cursor, doubted, greeted, glimpsed): Stands,
        last: u64,
        epoch: u64,
        shape: Shape,
        totals: &Totals,
    ) -> String {
        let writes: Vec<&str> = match cursor {
            Some(cursor) if self.reaches(cursor, last) => {
                let after = self.shipped.iter().filter(|shipped| shipped.from >= cursor);
                after.map(|shipped| &*shipped.json).collect()
            }
            _ => Vec::new(),
        };
        let known = cursor.filter(|cursor| !writes.is_empty() || *cursor == last);
        format!(
            r#"{{"v":{VERSION},"epoch":{epoch},"from":{},"to":{last},"acked":{},"shape":{},"totals":{},"writes":[{}]{}}}"#,
            known.unwrap_or(last),
            known.is_some() && !doubted,
            json(&shape),
            json(&greeted.then_some(totals)),
            writes.join(","),
            self.glimpses_after(glimpsed)
        )
    }

    /// Keeps what was seen for the gateways.
    pub(super) fn hand_on(&mut self, glimpse: Glimpse, now: u64) {
        if self.gateways().next().is_none() {
            return;
        }
        self.glimpses.push_back((now, glimpse));
        while self.glimpses.len() > MOST_GLIMPSES
            || self.glimpses.front().is_some_and(|(at, _)| at.saturating_add(GLIMPSE) < now)
        {
            self.glimpses.pop_front();
            self.glimpses_before += 1;
        }
    }

    fn glimpses_end(&self) -> u64 {
        self.glimpses_before + super::count(self.glimpses.len())
    }

    /// As a field of a push, where there are any.
    fn glimpses_after(&self, glimpsed: Option<u64>) -> String {
        let Some(skipped) = glimpsed.map(|glimpsed| glimpsed.saturating_sub(self.glimpses_before)) else {
            return String::new();
        };
        let glimpses = self.glimpses.iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX));
        let glimpses: Vec<_> = glimpses.map(|(_, glimpse)| json(glimpse)).collect();
        if glimpses.is_empty() { String::new() } else { format!(r#","glimpses":[{}]"#, glimpses.join(",")) }
    }

    /// Those who are due, by the push that they get; each counts as under way from now on.
    fn take_due(&mut self, last: u64, now: u64, settings: &Settings) -> BTreeMap<Group, Vec<Follower>> {
        let shards = self.all.range(..Follower::Gateway(0)).count();
        let relays = (shards > settings.relay_above, self.all.len() - shards > DIRECT_GATEWAYS);
        let mut groups: BTreeMap<Group, Vec<Follower>> = BTreeMap::new();
        let due = |lane: &Lane| self.due(lane, last, settings).is_some_and(|due| due <= now);
        let mut gateways = 0;
        for (follower, lane) in &self.all {
            let (relayed, place, degree) = match follower {
                Follower::Shard(n) => (relays.0, *n, settings.relay_degree),
                // Their numbers are anywhere; a relay keeps nothing, so that it does not matter which it is.
                Follower::Gateway(_) => {
                    gateways += 1;
                    (relays.1, gateways - 1, RELAY_DEGREE)
                }
            };
            if due(lane) {
                let relay = relayed.then_some(place / degree.max(1));
                let group = (relay, (!relayed).then_some(*follower), follower.is_gateway(), lane.stands());
                groups.entry(group).or_default().push(*follower);
            }
        }
        let glimpses = self.glimpses_end();
        for follower in groups.values().flatten() {
            if let Some(lane) = self.all.get_mut(follower) {
                // Best effort: not again where this gets lost.
                lane.glimpsed = lane.glimpsed.map(|_| glimpses);
                (lane.in_flight, lane.greet, lane.begun, lane.sent_at) = (true, false, false, now);
                lane.ask_at = None;
            }
        }
        if !groups.is_empty() {
            self.urgent = false;
        }
        groups
    }
}

impl Host {
    /// The pushes that are due; each counts as under way until [`Host::pushed_to`] is told of it.
    pub fn next_pushes(&mut self, at: &Moment<'_>) -> Vec<Outgoing> {
        self.begin(at);
        let Some(position) = self.mark().filter(|_| self.spread.has_lanes()) else { return Vec::new() };
        let (last, now, shape) = (position.seq, self.now, self.shape());
        let groups = self.spread.lanes.take_due(last, now, &self.settings);
        let mut bodies: BTreeMap<(bool, Stands), Rc<str>> = BTreeMap::new();
        let outgoing = groups.into_iter().map(|((relay, _, gateway, stands), to)| {
            let body = bodies.entry((gateway, stands)).or_insert_with(|| {
                let totals = self.spread.totals_for(gateway);
                self.spread.lanes.body(stands, last, position.epoch, shape, &totals).into()
            });
            Outgoing { relay, to, body: body.clone() }
        });
        outgoing.collect()
    }

    /// What these followers answered to a push; none of one that did not.
    pub fn pushed_to(&mut self, at: &Moment<'_>, to: &[Follower], answers: Vec<Option<Pushed>>) -> Effects {
        let effects = self.begin(at);
        let Some(position) = self.mark() else { return self.finish(effects) };
        let now = self.now;
        let mut answers = answers.into_iter();
        let mut news = false;
        for follower in to {
            let answer = answers.next().flatten();
            let Some(lane) = self.spread.lanes.all.get_mut(follower) else { continue };
            lane.in_flight = false;
            let Some(Pushed { at, crowd, same }) = answer else {
                news |= lane.fails(follower.is_gateway(), now);
                continue;
            };
            if same > 0 {
                lane.speaks();
                // What was taken in may have been an older one, on its way for long.
                lane.greet |= !lane.heard || lane.crowd.no < same;
            } else {
                news |= lane.hears(crowd, now);
            }
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
            self.spread.ends(*follower, now);
        }
        if news {
            self.crowds_changed();
        }
        self.finish(effects)
    }
}
