//! A room and its audience in one object: inputs and time go in, effects come out.
//!
//! The adapter computes a step, writes it in one transaction, and only then does what `out` says; where the write
//! fails it ends the object, so that memory and log never differ.

pub(crate) mod alive;
mod bridge;
pub(crate) mod calls;
mod clock;
mod crowds;
mod drain;
mod effects;
mod expiry;
mod follower;
pub(crate) mod frames;
pub(crate) mod glimpses;
pub(crate) mod join;
mod lanes;
mod leader;
mod members;
mod metrics;
mod moves;
mod news;
mod notes;
mod stats;
mod up;
mod users;
mod webhook;

pub use calls::{Bans, Members};
pub use drain::{Batch, Drained};
pub use effects::Effects;
pub use lanes::Outgoing;
pub use stats::{Counters, Stats, Waking};
pub use users::AskUser;

use crate::audience::{Attachment, Audience, Class, Fanout, Out, SocketId, To, close_reason};
use crate::auth::Role;
use crate::protocol::call::{Caller, Remembered};
use crate::protocol::wire::{self, Line};
use crate::protocol::{ChatError, ErrorCode, LogEvent, Position, RoomId};
use crate::room::{Context, Failure, Log, Rates, Read, Room, Step, Write};
use crate::settings::Settings;
use bridge::Bridging;
use clock::Clock;
use drain::Draining;
use metrics::Counted;
use news::News;
use serde::Serialize;
use std::collections::BTreeMap;
use std::rc::Rc;
use users::{Lately, Unheard};
use webhook::Hooking;

/// How long, ms, after it was due what an alarm did not get done is tried again.
const RETRY: u64 = 60_000;

/// What every input comes with.
pub struct Moment<'a> {
    /// ms since 1970, from the platform's clock; the host's own time never goes back, whatever this does.
    pub now: u64,
    /// Fresh random bytes.
    pub entropy: [u8; 32],
    /// The room's log.
    pub log: &'a dyn Log,
}

/// A room and those who listen to it.
#[derive(Debug)]
pub struct Host {
    id: RoomId,
    settings: Rc<Settings>,
    room: Option<Room>,
    audience: Audience,
    fanout: Fanout,
    draining: Draining,
    bridge: Draining,
    bridging: Bridging,
    webhook: Draining,
    hooking: Hooking,
    counters: Counters,
    counted: Counted,
    waking: Waking,
    /// The room's own time, ms.
    now: u64,
    clock: Clock,
    entropy: [u8; 32],
    next_socket: SocketId,
    joins: Rates,
    typed: Rates,
    news: News,
    unheard: Unheard,
    lately: Lately,
    reported: alive::Reported,
    spread: leader::Spread,
    following: Option<follower::Following>,
    expiring: expiry::Expiring,
    /// After a fault, what an alarm did not get done waits until then, ms.
    retry_at: u64,
    /// When the next timer was asked for, ms.
    timer_at: Option<u64>,
    /// State that the next step writes.
    state: Vec<(String, Option<String>)>,
}

impl Host {
    /// The host as its storage and its sockets' attachments have it.
    ///
    /// # Errors
    /// The storage cannot be read.
    pub fn load(
        id: RoomId,
        settings: Rc<Settings>,
        at: &Moment<'_>,
        sockets: Vec<Attachment>,
        waking: Waking,
    ) -> Read<Self> {
        let room = Room::load(&id, settings.clone(), at.log, at.now)?;
        let mut audience = Audience::default();
        audience.set_frame_budget(settings.frame_budget);
        let mut host = Self {
            id,
            settings,
            fanout: Fanout::default(),
            audience,
            draining: Draining::default(),
            bridge: Draining::default(),
            bridging: Bridging::default(),
            webhook: Draining::default(),
            hooking: Hooking::default(),
            counters: Counters::default(),
            counted: Counted::default(),
            waking,
            now: at.now,
            clock: Clock::new(at.now),
            entropy: at.entropy,
            next_socket: 1,
            joins: Rates::default(),
            typed: Rates::default(),
            news: News::default(),
            unheard: Unheard::default(),
            lately: Lately::default(),
            reported: alive::Reported::default(),
            spread: leader::Spread::default(),
            following: None,
            expiring: expiry::Expiring::default(),
            retry_at: 0,
            timer_at: None,
            state: Vec::new(),
            room: None,
        };
        for attachment in sockets {
            host.next_socket = host.next_socket.max(next_number(attachment.id));
            let role = room.as_ref().map_or(Role::Guest, |room| room.role_of(attachment.identity.as_ref()));
            host.audience.restore(attachment, role);
        }
        if let Some(room) = room {
            let waiting = room.waiting(at.log, at.now.max(room.last_at()))?;
            host.adopt(room, waiting);
            host.load_spread(at)?;
        }
        host.restore_blocks(at)?;
        // Those who are here already did not come now.
        host.audience.take_people_changed();
        Ok(host)
    }

    fn adopt(&mut self, room: Room, waiting: Vec<LogEvent>) {
        // The platform's clock may have gone back while the room slept; the room's own time does not.
        self.not_before(room.last_at());
        let Position { epoch, seq } = room.position();
        self.fanout = Fanout::begin(epoch, seq, waiting);
        self.draining.woke_at(seq);
        self.room = Some(room);
        self.drains_wanted();
    }

    /// Which wake this is, where there was something to wake to.
    pub fn woke(&mut self, waking: Waking) {
        self.waking = waking;
        self.counted.new.wakes += 1;
    }

    /// Whether so much happens that frames are gathered, at `now` (ms).
    pub fn is_busy(&self, now: u64) -> bool {
        self.audience.is_hot(self.now.max(now))
    }

    /// Whether the storage is empty, so that PostgreSQL has to be asked before anything is answered.
    pub fn is_empty(&self) -> bool {
        self.room.is_none() && self.following.is_none()
    }

    /// PostgreSQL remembers this room: it goes on, in a new epoch.
    pub fn remembered(&mut self, at: &Moment<'_>, remembered: Remembered) -> Effects {
        let mut effects = self.begin(at);
        if self.room.is_none() {
            let (room, step) = Room::restore(&self.id, self.settings.clone(), remembered, self.now, &self.entropy);
            self.adopt_new(room, step, &mut effects);
        }
        self.finish(effects)
    }

    /// A room that begins now: written, but shown to nobody, since nobody is there yet.
    fn adopt_new(&mut self, room: Room, step: Step, effects: &mut Effects) {
        effects.write = step.write;
        self.counters.events += count(step.events.len());
        self.adopt(room, Vec::new());
    }

    /// The number that the next accepted socket gets.
    ///
    /// # Errors
    /// `rate_limited` where too many sockets came from its address. One whose address is not known is let in: to count
    /// all of them as one would let anybody keep everybody out.
    pub fn open(&mut self, at: &Moment<'_>, caller: Caller) -> Result<(SocketId, Effects), ChatError> {
        while self.audience.attachment(self.next_socket).is_some() {
            self.next_socket = next_number(self.next_socket);
        }
        let id = self.next_socket;
        let effects = self.open_as(at, id, caller)?;
        self.next_socket = next_number(id);
        Ok((id, effects))
    }

    /// The same under a number of the adapter's own. Nothing happens where it is open already.
    ///
    /// # Errors
    /// As [`Host::open`].
    pub fn open_as(&mut self, at: &Moment<'_>, id: SocketId, caller: Caller) -> Result<Effects, ChatError> {
        let mut effects = self.begin(at);
        if self.audience.attachment(id).is_some() {
            return Ok(self.finish(effects));
        }
        if !caller.address.is_empty() {
            self.count_join("a", &caller.address)?;
        }
        let attachment = self.audience.open(id, caller.identity, caller.guest, self.now);
        self.audience.offer(id, caller.standing);
        effects.out.push(Out::Attach(id, wire::json(&attachment)));
        Ok(self.finish(effects))
    }

    /// Counts a join by a user (`u`) or guest (`g`), or a socket from an address (`a`).
    fn count_join(&mut self, kind: &str, who: &str) -> Result<(), ChatError> {
        let rate = self.settings.per_window(self.settings.rate_limit_joins);
        self.joins.take(&format!("{kind}:{who}"), rate, self.now)
    }

    /// A socket was closed, by the client or by us.
    pub fn closed(&mut self, at: &Moment<'_>, socket: SocketId) -> Effects {
        let effects = self.begin(at);
        self.audience.closed(socket, self.now);
        self.finish(effects)
    }

    /// Time has passed.
    pub fn tick(&mut self, at: &Moment<'_>) -> Effects {
        let mut effects = self.begin(at);
        let due = self.timer_at.take_if(|due| *due <= self.now);
        if let Some(due) = due.filter(|_| !self.audience.events_are_sent(self.now)) {
            self.audience.timer_was_late(self.now - due, self.now);
        }
        for (socket, code) in self.audience.overdue(self.now, self.clock.platform) {
            let (message, after_ms) = match code {
                ErrorCode::TokenExpired => ("Your token's time is over; come back with a newer one.", 0),
                _ => ("You did not join, or did not read, in time.", alive::COME_BACK),
            };
            self.refuse(code);
            self.close(socket, &ChatError::new(code, message), true, after_ms, &mut effects);
        }
        self.see_off(&mut effects);
        self.move_on(&mut effects);
        self.ask_room();
        let before = self.mark();
        let over = self.room.as_mut().filter(|_| self.following.is_none()).map(|room| {
            room.sweep(self.now);
            // One at a time: what is left comes with the next alarm.
            let held = room.expire_held(at.log, self.now);
            held.and_then(|step| if step.write.is_empty() { room.forget_quotes(at.log, self.now) } else { Ok(step) })
        });
        match over {
            Some(Ok(step)) => self.take(step, &mut effects),
            Some(Err(fault)) => {
                effects.faults.push(fault.to_string());
                effects.broken = self.is_ahead(before);
                self.retry_at = self.now.saturating_add(RETRY);
                self.show(Vec::new(), &mut effects);
            }
            None => self.show(Vec::new(), &mut effects),
        }
        self.ask_again(&mut effects);
        self.lately.sweep(self.now);
        self.report(&mut effects);
        self.say_position(&mut effects);
        for rates in [&mut self.joins, &mut self.typed] {
            rates.sweep(self.settings.rate_limit_window_ms, self.now);
        }
        self.finish(effects)
    }

    fn begin(&mut self, at: &Moment<'_>) -> Effects {
        self.clock_says(at.now);
        self.entropy = at.entropy;
        Effects::default()
    }

    fn finish(&mut self, mut effects: Effects) -> Effects {
        self.settle(&mut effects);
        self.wind_up(effects)
    }

    /// Adds what else is to be kept, and lets those who resume, and shards, follow.
    fn settle(&mut self, effects: &mut Effects) {
        self.lead();
        if effects.broken {
            effects.write = Write::default();
        }
        if self.room.is_some() || self.following.is_some() {
            effects.write.state.append(&mut self.state);
        }
        if let Some(room) = &mut self.room {
            room.follow(&effects.write, self.now);
            self.spread.ship(&effects.write);
        }
    }

    /// Sends what is due, counts, and says when to come back.
    fn wind_up(&mut self, mut effects: Effects) -> Effects {
        let stands = self.room.is_some();
        let due = self.audience.stats_due().is_some_and(|due| due <= self.now) && !self.fanout.holds(self.now);
        if due && self.audience.take_stats(self.now) && stands {
            let line = self.stats_line();
            let all = To::Many(self.audience.list(Class::All));
            self.broadcast(all, line, &mut effects);
        }
        if alive::shows(&effects.out) {
            self.say_position(&mut effects);
        }
        let sent = |out: &Out| match out {
            Out::Send(To::One(_), _) => 1,
            Out::Send(To::Many(sockets), _) => count(sockets.len()),
            Out::Close(..) | Out::Attach(..) => 0,
        };
        self.counters.frames_out += effects.out.iter().map(sent).sum::<u64>();
        self.counted.sent(&effects.out);
        if effects.broken {
            effects.write = Write::default();
        }
        let last = self.room.as_ref().map_or(0, Room::last_at);
        effects.look = self.audience.unheard(self.now);
        let write = &effects.write;
        self.counters.rows_written +=
            count(usize::from(write.append.is_some()) + write.rewrite.len() + write.state.len());
        // What the room counts rides along with what is gathered.
        let stats = self.audience.stats_due().filter(|_| !self.fanout.holds(self.now));
        let next = self.fanout.next(&self.audience, self.now);
        let soon = self.audience.next_soon().into_iter().chain(stats).chain(next).chain(self.unheard.due);
        self.count_crowd();
        let (now, parts) = (self.now, self.leads_soon());
        effects.push = parts.is_some_and(|due| due <= now);
        effects.up = self.has_up();
        let parts = parts.into_iter().chain(self.follows_soon()).filter(|due| *due > now);
        effects.soon = soon.chain(self.others_soon()).chain(parts).min();
        self.timer_at = self.timer_at.into_iter().chain(effects.soon).min();
        let held = self.room.as_ref().and_then(Room::next_held).map(|due| due.max(self.retry_at));
        // What could not be read is tried again, but not at once.
        let quotes = self.room.as_ref().and_then(Room::quotes_end).map(|due| due.max(self.now + RETRY));
        let report = self.report_due();
        let due = self.audience.next_deadline().into_iter().chain(self.drains_due()).chain(held).chain(quotes);
        let due = due.chain(self.expiry_due());
        let look = self.audience.next_look(last, self.now);
        let spread = self.mark().and_then(|at| self.spread.alarm(at.seq, self.now));
        effects.alarm = due.chain(look).chain(report).chain(spread).min();
        self.by_platform(&mut effects);
        effects
    }

    /// Takes a step over: its writes, its events shown, the log's followers told.
    fn take(&mut self, step: Step, effects: &mut Effects) {
        self.fanout.rewritten(&step.write.rewrite);
        effects.write = step.write;
        if !step.events.is_empty() {
            self.counters.events += count(step.events.len());
            self.counted.new.appended(&step.events);
            self.note(&step.events, effects);
            self.drains_wanted();
            if step.events.iter().any(|event| matches!(event.body, crate::protocol::Body::NewMessage(_))) {
                self.audience.count_changed();
            }
        }
        self.show(step.events, effects);
    }

    fn show(&mut self, events: Vec<LogEvent>, effects: &mut Effects) {
        self.audience.set_sample_above(self.room.as_ref().and_then(|room| room.info().settings.sample_above));
        if !self.fanout.take(events, &mut self.audience, self.now) {
            return;
        }
        let before = effects.out.len();
        let rider = self.audience.take_stats(self.now).then(|| self.stats_line());
        let (id, audience, out) = (self.id.as_str(), &mut self.audience, &mut effects.out);
        let alone = self.fanout.show(id, audience, self.now, rider.as_deref(), out);
        let (mut bytes, mut own) = (0, Vec::new());
        for (index, out) in effects.out.iter().skip(before).enumerate() {
            match out {
                Out::Send(To::Many(ids), line) if index < alone => own.extend(ids.iter().map(|id| (*id, line.len()))),
                Out::Send(_, line) => bytes += line.len(),
                _ => {}
            }
        }
        self.account(bytes, effects);
        for (socket, bytes) in own {
            if let Some(reading) = self.audience.alone_sent(socket, bytes, self.now, &self.entropy) {
                self.reading(reading, effects);
            }
        }
    }

    fn broadcast(&mut self, to: To, line: Line, effects: &mut Effects) {
        let bytes = line.len();
        if let To::Many(sockets) = &to {
            self.audience.count_frames(1, sockets.len(), self.now);
        }
        effects.out.push(Out::Send(to, line));
        self.account(bytes, effects);
    }

    fn account(&mut self, bytes: usize, effects: &mut Effects) {
        for reading in self.audience.broadcast_sent(bytes, self.now, &self.entropy) {
            self.reading(reading, effects);
        }
    }

    fn send(&mut self, socket: SocketId, line: Line, effects: &mut Effects) {
        let bytes = line.len();
        effects.out.push(Out::Send(To::One(socket), line));
        if let Some(reading) = self.audience.alone_sent(socket, bytes, self.now, &self.entropy) {
            self.reading(reading, effects);
        }
    }

    fn stats_line(&self) -> Line {
        let (online_users, online_guests) = self.audience.online();
        let message_count = self.room.as_ref().map_or(0, Room::message_count);
        let left_out = self.audience.level().left_out();
        wire::event(None, "room_stats", &RoomStats { online_users, online_guests, message_count, left_out })
    }

    /// Says why, and closes.
    fn close(&mut self, socket: SocketId, error: &ChatError, retry: bool, after_ms: u64, effects: &mut Effects) {
        part(socket, error, retry, after_ms, effects);
        self.drop_queued(socket);
        self.audience.closed(socket, self.now);
    }

    /// Where the log ends; none where there is no room.
    pub fn position(&self) -> Option<Position> {
        self.mark()
    }

    /// Where the room in memory stands.
    fn mark(&self) -> Option<Position> {
        self.room.as_ref().map(Room::position)
    }

    /// Whether a step that failed had come so far that memory is ahead of the log. The rules read before they change
    /// anything, but what is done to several messages at once reads again in between.
    fn is_ahead(&self, before: Option<Position>) -> bool {
        before.is_some() && self.mark() != before
    }

    /// A failure as whoever asked is told. A fault of ours is logged with its text and told without it; the id is in
    /// both.
    fn told(&mut self, failure: Failure, effects: &mut Effects) -> ChatError {
        let error = match failure {
            Failure::Refused(error) => error,
            Failure::Fault(fault) => {
                let error = ChatError::internal(&self.entropy);
                effects.faults.push(format!("error {}: {fault}", error.error_id.as_deref().unwrap_or_default()));
                error
            }
        };
        self.refuse(error.code);
        error
    }
}

/// A goodbye and the close.
fn part(socket: SocketId, error: &ChatError, retry: bool, after_ms: u64, effects: &mut Effects) {
    effects.out.push(Out::Send(To::One(socket), wire::goodbye(error, retry, after_ms)));
    effects.out.push(Out::Close(socket, error.code.close(), close_reason(retry, after_ms)));
}

/// After the last number comes the first again.
fn next_number(id: SocketId) -> SocketId {
    id.wrapping_add(1).max(1)
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// The parts that a command needs at once.
fn context<'a>(at: &Moment<'a>, now: u64, audience: &'a Audience) -> Context<'a> {
    Context { now, entropy: at.entropy, log: at.log, present: audience }
}

/// Names of events that are not sent, as viewers are told.
type LeftOut = &'static [&'static str];

fn is_nothing(left_out: &LeftOut) -> bool {
    left_out.is_empty()
}

/// The `room_stats` event.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RoomStats {
    online_users: usize,
    online_guests: usize,
    message_count: u64,
    #[serde(skip_serializing_if = "is_nothing")]
    #[cfg_attr(test, schemars(with = "Vec<crate::types::LeftOut>"))]
    left_out: LeftOut,
}

/// A map of one's own reactions, as replies show it.
type Mine = BTreeMap<String, Vec<String>>;
