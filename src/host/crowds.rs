//! Who is online in the whole room, each user once, wherever their tabs are: as the room counts it, and as a follower
//! tells it.

use super::Host;
use crate::protocol::shard::{Crowd, Follower, Totals};
use crate::protocol::wire::Member;
use crate::user::{Blocks, hash};
use std::collections::BTreeSet;

/// Users with a role above member of whom the room is told.
const MOST_STAFF: usize = 100;
/// Up to so many online a gateway tells the room who they are; and up to so many the room tells gateways.
const MOST_NAMED: usize = 1_000;
const MOST_TOLD_OF: usize = 100;
/// Of so many users at gateways shards are told whom not to count; of more, who has tabs at both counts twice.
const MOST_TOLD: usize = 10_000;
/// Above so many users by hash they are counted no more often than this, ms.
const MANY: usize = 2_000;
const COUNT_EVERY: u64 = 1_000;

/// Of what the room was counted last.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// Something else than this object's own people has changed.
    pub(super) is_old: bool,
    /// As [`crate::audience::Audience::people`] had it.
    people: u64,
    /// When, ms, and how many users were looked at by hash.
    at: u64,
    hashed: usize,
}

impl super::leader::Spread {
    /// What a follower is told. A gateway's users are strays themselves.
    pub(super) fn totals_for(&self, gateway: bool) -> Totals {
        let Totals { users, guests, strays, members } = &self.totals;
        let strays = if gateway { Blocks::default() } else { strays.clone() };
        let members = if gateway { members.clone() } else { Vec::new() };
        Totals { users: *users, guests: *guests, strays, members }
    }
}

impl Host {
    /// Followers said something new of who is there.
    pub(super) fn crowds_changed(&mut self) {
        let lanes = self.spread.lanes.all.values();
        self.audience.set_staff_elsewhere(lanes.flat_map(|lane| lane.crowd.staff.iter().cloned()).collect());
        self.crowd_is_news();
        self.spread.count.is_old = true;
        self.recount();
    }

    /// Whether some gateway has not said yet, since this object was built, who is there.
    pub(super) fn waits_for_gateways(&self) -> bool {
        self.spread.lanes.gateways().any(|(_, lane)| !lane.heard && !lane.lost)
    }

    /// Who is at gateways, with the gateway's number; none where the room does not know all of them, being split
    /// or large.
    pub(super) fn named(&self) -> Option<Vec<(&Member, u32)>> {
        let mut all = Vec::new();
        for (n, lane) in self.spread.lanes.gateways() {
            if lane.crowd.members.len() != lane.crowd.strays.hashes().len() {
                return None;
            }
            all.extend(lane.crowd.members.iter().map(|member| (member, n)));
        }
        (!self.is_split()).then_some(all)
    }

    fn is_recount_due(&self) -> bool {
        let Count { is_old, people, .. } = self.spread.count;
        let changed = is_old || people != self.audience.people();
        changed && (self.spread.has_lanes() || self.audience.is_part())
    }

    /// When the room is counted anew, where that waits, ms.
    pub(super) fn recount_at(&self) -> Option<u64> {
        let Count { at, hashed, .. } = self.spread.count;
        self.is_recount_due().then(|| if hashed > MANY { at.saturating_add(COUNT_EVERY) } else { self.now })
    }

    /// Counts who is online in the whole room, where others than this object hold some of them.
    pub(super) fn recount(&mut self) {
        if self.recount_at().is_none_or(|at| at > self.now) {
            return;
        }
        let members = self.named().into_iter().flatten().map(|(member, _)| member.clone()).collect();
        self.audience.set_elsewhere(members);
        let has_lanes = self.spread.has_lanes();
        let hashed;
        (self.spread.totals, hashed) = if has_lanes { self.count_all() } else { Default::default() };
        self.spread.count = Count { is_old: false, people: self.audience.people(), at: self.now, hashed };
        let Totals { users, guests, .. } = self.spread.totals;
        self.audience.set_total(has_lanes.then_some((users, guests)), self.is_split());
    }

    /// Whether the room is split, or some of its viewers are in shards still.
    pub(super) fn is_split(&self) -> bool {
        self.spread.is_split() || self.spread.lanes.shards() > 0
    }

    /// And how many users were looked at by hash.
    fn count_all(&self) -> (Totals, usize) {
        let (users, guests) = self.audience.here_count();
        let crowds = || self.spread.lanes.all.iter().map(|(follower, lane)| (follower.is_gateway(), &lane.crowd));
        let guests = guests + crowds().map(|(_, crowd)| crowd.guests).sum::<usize>();
        let strays_of = |gateways: bool| {
            let of = crowds().filter(move |(gateway, _)| *gateway == gateways);
            of.flat_map(|(_, crowd)| crowd.strays.hashes().iter().copied())
        };
        let all: BTreeSet<u64> = strays_of(false).chain(strays_of(true)).collect();
        if all.is_empty() && !self.spread.is_split() {
            return (Totals { users, guests, strays: Blocks::default(), members: self.told_of(users) }, 0);
        }
        let here = self.audience.user_ids().map(|user| hash(user));
        if !self.spread.is_split() {
            // Whoever is elsewhere is the stray, and this object counts its own.
            let twice = here.filter(|user| all.contains(user)).count();
            let hashed = users + all.len();
            let users = hashed - twice;
            return (Totals { users, guests, strays: Blocks::default(), members: self.told_of(users) }, hashed);
        }
        let own: Vec<u64> = here.collect();
        let strays = Blocks::of_hashes(all.iter().copied().chain(own.iter().copied()));
        // Their own shards count them by name, so that whoever stops to be a stray is missing at no time.
        let twice = crowds().flat_map(|(_, crowd)| crowd.twice.hashes().iter().copied());
        let by_hash = Blocks::of_hashes(strays.hashes().iter().copied().chain(twice)).hashes().len();
        let users = crowds().map(|(_, crowd)| crowd.users).sum::<usize>() + by_hash;
        let (hashed, at_gateways) = (by_hash, strays_of(true).count());
        let told = if at_gateways > MOST_TOLD { Blocks::of_hashes(strays_of(false).chain(own)) } else { strays };
        (Totals { users, guests, strays: told, members: Vec::new() }, hashed)
    }

    /// Who is online, where these are few and all are known.
    fn told_of(&self, users: usize) -> Vec<Member> {
        let few = users <= MOST_TOLD_OF && self.spread.lanes.gateways().next().is_some() && !self.is_split();
        self.audience.all_members().filter(|_| few).collect()
    }

    /// Roles may have changed, though nobody came or went.
    pub(super) fn roles_changed(&mut self) {
        if let Some(following) = &mut self.following {
            following.recount = true;
        }
    }

    /// Who is here, for the room.
    pub(super) fn count_crowd(&mut self) {
        if self.following.is_none() {
            return;
        }
        let people = self.audience.take_people_changed();
        let Some(following) = &mut self.following else { return };
        let people = std::mem::take(&mut following.recount) || people;
        let (users, guests) = self.audience.here_count();
        let (me, shape, moving) = (following.me(), following.shape(), following.moving);
        let crowd = &mut following.crowd;
        (crowd.guests, crowd.sockets) = (guests, self.audience.socket_count());
        following.served |= crowd.sockets > 0;
        let Follower::Shard(own) = me else {
            if people {
                // Nobody belongs here.
                crowd.strays = Blocks::of_hashes(self.audience.user_ids().map(|user| hash(user)));
                crowd.staff = self.audience.staff(MOST_STAFF);
                let online = following.totals.users + following.totals.guests;
                crowd.members = self.audience.members().filter(|_| online <= MOST_NAMED).collect();
            }
            return;
        };
        let elsewhere = &following.totals.strays;
        if !people && !moving && elsewhere.is_empty() && crowd.users == users {
            return;
        }
        crowd.staff = self.audience.staff(MOST_STAFF);
        if !moving && elsewhere.is_empty() {
            (crowd.users, crowd.strays, crowd.twice) = (users, Blocks::default(), Blocks::default());
            return;
        }
        let is_stray = |key: u64| moving && shape.shard_of(key) != Some(own);
        let keys = self.audience.user_ids().map(|user| hash(user));
        let (strays, own): (Vec<_>, Vec<_>) = keys.partition(|key| is_stray(*key));
        let (twice, once): (Vec<_>, Vec<_>) = own.into_iter().partition(|key| elsewhere.has_hash(*key));
        (crowd.users, crowd.strays, crowd.twice) = (once.len(), Blocks::of_hashes(strays), Blocks::of_hashes(twice));
    }

    /// The crowd as it is told now. A gateway where nobody is any more stands nowhere from then on: the room may let it
    /// go, and who comes next begins anew.
    pub(super) fn tell_crowd(&mut self) -> Crowd {
        let now = self.now;
        let Some(following) = &mut self.following else { return Crowd::default() };
        let is_news = following.crowd != following.told || following.same_since == 0;
        (following.told, following.told_at) = (following.crowd.clone(), now);
        if !following.me().is_gateway() {
            return following.crowd.clone();
        }
        following.telling = now.max(following.telling + 1);
        if is_news {
            following.same_since = following.telling;
        }
        if following.served && following.crowd.is_nobody() {
            (following.stale, following.served) = (true, false);
        }
        Crowd { no: following.telling, ..following.crowd.clone() }
    }

    /// Since which number the room was told nothing else of who is at a gateway; 0 where it has to be told. Of a thousand
    /// users the list is long.
    pub(super) fn same_since(&self) -> u64 {
        let same = |following: &&super::follower::Following| following.is_known && following.crowd == following.told;
        self.following.as_ref().filter(same).map_or(0, |following| following.same_since)
    }

    /// Those who are here, at most so many.
    pub fn members_here(&self, limit: usize) -> Vec<Member> {
        self.audience.members().take(limit).collect()
    }

    /// The gateways that may have somebody here who is to be listed.
    pub(super) fn gateways(&self) -> Vec<u32> {
        self.spread.lanes.gateways().filter(|(_, lane)| !lane.lost && lane.crowd.sockets > 0).map(|(n, _)| n).collect()
    }

    /// Whether nobody is here any more and the room knows, so that a gateway may forget this part of a room.
    pub fn is_done(&self) -> bool {
        self.following.as_ref().is_some_and(|following| {
            following.crowd.is_nobody() && following.told.is_nobody() && !following.asking && following.queue.is_empty()
        }) && self.audience.socket_count() == 0
    }
}
