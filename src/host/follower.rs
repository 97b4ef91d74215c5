//! A follower, a shard or a gateway: follows its room's log, and serves its own viewers from it.

use super::up::Waiting;
use super::{Effects, Host, Moment, Waking};
use crate::audience::{Attachment, Fanout, SocketId};
use crate::metrics::Metrics;
use crate::protocol::shard::{Crowd, Follower, Glimpse, Push, Pushed, Shape, Totals};
use crate::protocol::{Body, ClientEvent, FrameId, Position, RoomId};
use crate::room::{Read, Room, Write};
use crate::settings::Settings;
use std::collections::VecDeque;
use std::rc::Rc;

/// How many events a viewer can have seen more than a shard; a position beyond that never was.
const MOST_AHEAD: u64 = 1_000;
/// How much of what it missed a shard shows; beyond it viewers catch up themselves.
const MOST_MISSED: u32 = 500;

/// What a follower knows of its room beside the log.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) me: Follower,
    pub(super) shape: Shape,
    pub(super) totals: Totals,
    /// Frames a second that this object has left for this room, where it serves others too.
    cap: u64,
    /// The room has gone on without this follower: it has to begin anew.
    pub(super) stale: bool,
    /// Somebody was here since it began.
    pub(super) served: bool,
    /// In an object that was built anew: its viewers were shown everything up to here.
    shown: Option<Position>,
    pub(super) queue: VecDeque<Waiting>,
    pub(super) in_flight: Vec<(SocketId, Option<FrameId>)>,
    pub(super) asking: bool,
    pub(super) crowd: Crowd,
    pub(super) told: Crowd,
    pub(super) told_at: u64,
    /// It is to be asked, since it may have lost its storage, and with it all it knew of its followers; and when this
    /// object was last called by its clock, ms.
    pub(super) asks: bool,
    pub(super) ticked_at: u64,
    /// The number by which the room was told last, and from which on it was told the same; whether it has taken in any.
    pub(super) telling: u64,
    pub(super) same_since: u64,
    pub(super) is_known: bool,
    /// What was seen here, for the rest of the room.
    pub(super) glimpses: Vec<Glimpse>,
    /// What was counted and is on its way up.
    pub(super) counted: Metrics,
    pub(super) counted_at: u64,
    pub(super) moving: bool,
    pub(super) move_at: u64,
    /// Who is here is to be counted anew.
    pub(super) recount: bool,
}

impl Following {
    fn new(me: Follower, now: u64) -> Self {
        Self {
            me,
            shape: Shape::default(),
            totals: Totals::default(),
            cap: u64::MAX,
            stale: false,
            served: false,
            shown: None,
            queue: VecDeque::new(),
            in_flight: Vec::new(),
            asking: false,
            crowd: Crowd::default(),
            told: Crowd::default(),
            told_at: 0,
            asks: false,
            ticked_at: 0,
            telling: 0,
            same_since: 0,
            is_known: false,
            glimpses: Vec::new(),
            counted: Metrics::default(),
            counted_at: now,
            moving: false,
            move_at: 0,
            recount: true,
        }
    }

    /// Which one it is.
    pub(super) fn me(&self) -> Follower {
        self.me
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }
}

impl Host {
    /// The `index`-th shard of a room, as its sockets' attachments and its own storage (whom those who are here block)
    /// have it. It has to [`Host::begun`] before it lets anybody in.
    ///
    /// # Errors
    /// As [`Host::load`].
    pub fn follow(
        id: RoomId,
        index: u32,
        settings: Rc<Settings>,
        at: &Moment<'_>,
        sockets: Vec<Attachment>,
        waking: Waking,
    ) -> Read<Self> {
        let mut host = Self::load(id, settings, at, sockets, waking)?;
        host.follows(Follower::Shard(index));
        Ok(host)
    }

    /// What the `number`-th gateway has of a room, while sessions of its own are in it; these were before it lost its
    /// memory. The log has the state of [`Room::is_blocks_key`] alone until it has [`Host::begun`], and all of it is in
    /// memory: of what [`Effects::write`] says nothing but that state has to be kept longer.
    ///
    /// # Errors
    /// As [`Host::load`].
    pub fn gateway(
        id: RoomId,
        number: u32,
        settings: Rc<Settings>,
        at: &Moment<'_>,
        sockets: Vec<Attachment>,
    ) -> Read<Self> {
        let mut host = Self::load(id, settings, at, sockets, Waking::default())?;
        host.follows(Follower::Gateway(number));
        Ok(host)
    }

    fn follows(&mut self, me: Follower) {
        self.following = Some(Following::new(me, self.now));
        self.audience.set_total(Some((0, 0)), !me.is_gateway());
        self.count_crowd();
    }

    /// The room knows who is here: all who were when the memory was lost are here still, and it was told of them then.
    /// The last [`Host::tick`] was at `ticked_at`, ms.
    pub fn was_told(&mut self, ticked_at: u64) {
        if let Some(following) = &mut self.following {
            following.told = following.crowd.clone();
            following.ticked_at = ticked_at;
        }
    }

    /// So many frames a second this object has left for this room, since it sends to others too.
    pub fn cap_frames(&mut self, budget: u64) {
        if let Some(following) = &mut self.following {
            following.cap = budget;
            self.audience.set_frame_budget(following.shape.budget.min(budget));
        }
    }

    /// Whether the room has to be asked for the log's end before anybody is served; then [`Host::begun`].
    pub fn needs_begin(&self) -> bool {
        self.following.as_ref().is_some_and(|following| following.stale || self.room.is_none())
    }

    /// Whether this frame comes from a viewer who has seen more of the log than this shard.
    pub fn is_behind(&self, event: &ClientEvent) -> bool {
        match event {
            ClientEvent::JoinRoom(body) => self.is_before(body.resume),
            ClientEvent::CatchUp(body) => self.is_before(Some(Position { epoch: body.epoch, seq: body.seq })),
            _ => false,
        }
    }

    /// Whether this shard has not come as far as a viewer has.
    pub(super) fn is_before(&self, from: Option<Position>) -> bool {
        let own = self.room.as_ref().map(Room::position);
        // An epoch is a time: nobody has seen one that is to come; nor so much more than a shard that lags by moments.
        let ahead = |from: u64, own: u64| from > own && from - own <= MOST_AHEAD;
        self.following.is_some()
            && from.filter(|from| from.epoch <= self.now).zip(own).is_some_and(|(from, own)| {
                from.epoch > own.epoch || (from.epoch == own.epoch && ahead(from.seq, own.seq))
            })
    }

    /// Whether the log's end that the room gave is newer than what this shard has.
    pub fn is_news(&self, epoch: u64, seq: u64) -> bool {
        let own = self.room.as_ref().map(Room::position);
        own.is_none_or(|own| epoch > own.epoch || (epoch == own.epoch && seq >= own.seq))
    }

    /// The room gave the log's end, which `at.log` is from now on. Viewers are shown what they missed; where it is not
    /// all there they learn that something is missing, and catch up.
    ///
    /// # Errors
    /// What was given cannot be read.
    pub fn begun(&mut self, at: &Moment<'_>, shape: Shape, totals: Totals) -> Read<Effects> {
        let mut effects = self.begin(at);
        let Some(room) = Room::load(&self.id, self.settings.clone(), at.log, self.now)? else {
            return Ok(self.finish(effects));
        };
        self.not_before(room.last_at());
        let position = room.position();
        let known = self.room.as_ref().map(Room::position);
        let shown = known.or(self.following.as_ref().and_then(|following| following.shown));
        let mut missed = Vec::new();
        match shown.filter(|shown| shown.epoch == position.epoch && shown.seq <= position.seq) {
            Some(shown) => {
                let rows = at.log.rows_after(shown.seq, MOST_MISSED)?;
                missed.extend(rows.into_iter().flat_map(|row| row.events).filter(|event| event.seq > shown.seq));
                let first = missed.first().map_or(shown.seq + 1, |event| event.seq);
                let oldest = at.log.rows_after(0, 1)?.first().map_or(0, crate::room::Row::first);
                let waits = self.fanout.first_waiting();
                if known.is_none() || first > shown.seq + 1 || waits.is_some_and(|seq| seq < oldest) {
                    let mut waiting = room.waiting(at.log, self.now)?;
                    waiting.retain(|event| event.seq < first);
                    self.fanout = Fanout::begin(position.epoch, first.saturating_sub(1), waiting);
                } else if let Some(seq) = waits {
                    // What still waits may have been taken away meanwhile.
                    self.fanout.rewritten(&at.log.rows_after(seq.saturating_sub(1), MOST_MISSED)?);
                }
            }
            None => {
                let waiting = room.waiting(at.log, self.now)?;
                self.fanout = Fanout::begin(position.epoch, position.seq, waiting);
            }
        }
        self.room = Some(room);
        if let Some(following) = &mut self.following {
            (following.stale, following.shown) = (false, None);
        }
        self.reshaped(shape, Some(totals));
        self.audience.stats_changed();
        self.review(&mut effects);
        self.roles_changed();
        self.show(missed, &mut effects);
        self.say_position(&mut effects);
        Ok(self.finish(effects))
    }

    /// The room tells what it wrote.
    pub fn pushed(&mut self, at: &Moment<'_>, push: Push) -> (Pushed, Effects) {
        let mut effects = self.begin(at);
        let own = self.room.as_ref().map(Room::position);
        let late = own.is_some_and(|own| push.epoch < own.epoch);
        // Who greets may know nothing of what it was told before.
        let greeted = push.totals.is_some();
        if !late {
            self.reshaped(push.shape, push.totals);
            self.apply_push(own, push.epoch, push.from, push.acked, push.writes, &mut effects);
            self.glimpsed(&push.glimpses, &mut effects);
        }
        self.count_crowd();
        let same = if greeted { 0 } else { self.same_since() };
        let crowd = if same > 0 { Crowd::default() } else { self.tell_crowd() };
        let stands = self.mark().filter(|_| !self.needs_begin());
        (Pushed { at: stands.map(|at| (at.epoch, at.seq)), crowd, same }, self.finish(effects))
    }

    fn apply_push(
        &mut self,
        own: Option<Position>,
        epoch: u64,
        from: u64,
        acked: bool,
        writes: Vec<Write>,
        effects: &mut Effects,
    ) {
        let Some(following) = &mut self.following else { return };
        let Some(own) = own.filter(|_| !following.stale) else {
            if acked && following.shown.is_none() && !following.stale {
                following.shown = Some(Position { epoch, seq: from });
            }
            return;
        };
        let mut write = Write::default();
        let mut last = own.seq;
        let mut fits = epoch == own.epoch && from <= own.seq;
        for next in writes {
            let Some(row) = next.append.as_ref().filter(|row| row.last > last) else { continue };
            fits &= row.first() == last + 1;
            last = row.last;
            if !fits {
                break;
            }
            let Some(room) = &mut self.room else { return };
            if let Err(fault) = room.replay(&next) {
                effects.faults.push(fault.to_string());
                fits = false;
                break;
            }
            write.absorb(next);
        }
        if !fits {
            following.stale = true;
        }
        self.not_before(self.room.as_ref().map_or(0, Room::last_at));
        let Some(row) = &write.append else { return };
        let about_people = |body: &Body| {
            matches!(body, Body::Banned { .. } | Body::Room { .. } | Body::Role { .. } | Body::UserErased { .. })
        };
        let said = row.events.iter().any(|event| matches!(event.body, Body::NewMessage(_)));
        if said {
            self.audience.count_changed();
        }
        let mut events = row.events.clone();
        self.fanout.rewritten(&write.rewrite);
        effects.write = write;
        // Who was sent out, or is less than before, is not shown what came after that.
        while let Some(n) = events.iter().position(|event| about_people(&event.body)) {
            let later = events.split_off(n + 1);
            self.show(std::mem::replace(&mut events, later), effects);
            self.review(effects);
            self.roles_changed();
        }
        self.show(events, effects);
    }

    pub(super) fn reshaped(&mut self, shape: Shape, totals: Option<Totals>) {
        let Some(following) = &mut self.following else { return };
        if let Some(totals) = totals
            && totals != following.totals
        {
            // Between few and many it is told who they are, or not any more.
            following.recount = true;
            self.audience.set_elsewhere(totals.members.clone());
            following.totals = totals;
        }
        if shape.version >= following.shape.version && shape != following.shape {
            following.moving |= shape.version > following.shape.version && !following.me.is_gateway();
            following.shape = shape;
            self.audience.set_frame_budget(shape.budget.min(following.cap));
        }
        let Totals { users, guests, .. } = following.totals;
        let split = following.shape.shards > 0 || !following.me.is_gateway();
        self.audience.set_total(Some((users, guests)), split);
    }
}
