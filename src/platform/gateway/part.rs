//! What a gateway has of one room: the room's own host around the end of its log, as a shard has it.

use super::super::util::{entropy, now, settings};
use super::super::{log, shard_link, user_link};
use super::entry::{Entry, Member, Proof};
use super::{Inner, broken};
use crate::audience::{Attachment, Out, SocketId};
use crate::host::{Effects, Host, Moment, Waking};
use crate::protocol::call::Caller;
use crate::protocol::shard::{Begin, Follower, Push, Pushed};
use crate::protocol::{Body, ChatError, ClientFrame, ErrorCode, LogEvent, MessageId, RoomId};
use crate::room::{Log as _, Replica, Room, Tail};
use crate::socketio::{Closed, Weight, disconnect, level};
use futures::FutureExt;
use futures::future::{LocalBoxFuture, Shared};
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use worker::Delay;

/// Where nothing is wrong with what is here, the room is asked again no sooner than this, ms.
const AGAIN: u64 = 1_000;
/// The waits between tries while sessions are there, ms.
const RETRY: (u64, u64) = (100, 5_000);

/// A room sends for so long after it did, ms; and the frames are shared anew no more often than this.
const LATELY: u64 = 5_000;
const SHARE_EVERY: u64 = 1_000;
/// What all parts of a gateway may hold, in bytes: beyond it no other room is joined, and beyond three quarters no other
/// session is taken. Beyond half they are trimmed to so much, which leaves out those that are at their least already.
const MOST_IN_PARTS: usize = 32 << 20;
const TRIMMED: usize = MOST_IN_PARTS / 8 * 3;
/// What one takes besides its log, bytes; and with as much of its log as it keeps in any case.
const PART: usize = 8 * 1024;
const LEAST: usize = 16 * 1024;

/// A begin under way: all who wait for it wait for the same.
type Beginning = Shared<LocalBoxFuture<'static, Result<(), ChatError>>>;

pub(super) struct Part {
    pub(super) room: RoomId,
    /// The same, for the tables of sessions.
    pub(super) name: Rc<str>,
    host: RefCell<Host>,
    log: RefCell<Rc<Replica>>,
    weight: RefCell<Weight>,
    pub(super) epoch: Cell<u64>,
    /// When it last told many something, ms, give or take [`LATELY`].
    sent_at: Cell<u64>,
    timer: Cell<u64>,
    /// When it wants to be called even after sleep, ms; 0 for never.
    pub(super) due: Cell<u64>,
    beginning: RefCell<Option<Beginning>>,
    /// It is tried, for those who are here, until it has begun.
    behind: Cell<bool>,
    began_at: Cell<u64>,
}

impl Part {
    /// `state` is what was kept of users, `sockets` those who were here before the gateway lost its memory.
    pub(super) fn new(
        inner: &Inner,
        room: RoomId,
        sockets: Vec<Attachment>,
        state: Vec<(String, String)>,
    ) -> Result<Rc<Self>, ChatError> {
        let replica = Replica::begin(Tail { rows: Vec::new(), state, reactions: Vec::new() }, 0);
        let at = Moment { now: now(), entropy: entropy(), log: &replica };
        let settings = settings(&inner.env)?;
        let host = Host::gateway(room.clone(), inner.number(), settings, &at, sockets);
        let mut host = host.map_err(|e| broken("load", e))?;
        if inner.woken.borrow_mut().remove(room.as_str()) {
            host.woke(Waking::default());
        }
        Ok(Rc::new(Self {
            name: room.as_str().into(),
            room,
            host: host.into(),
            log: RefCell::new(Rc::new(replica)),
            weight: RefCell::new(inner.parts_held.weight()),
            epoch: Cell::default(),
            sent_at: Cell::default(),
            timer: Cell::default(),
            due: Cell::default(),
            beginning: RefCell::default(),
            behind: Cell::default(),
            began_at: Cell::default(),
        }))
    }

    /// Whether this message stands in the end of the log that is here.
    pub(super) fn has(&self, id: MessageId) -> bool {
        let row = self.log.borrow().row_with(id.seq()).ok().flatten();
        let is_it = |event: &LogEvent| matches!(&event.body, Body::NewMessage(message) if message.message_id == id);
        row.is_some_and(|row| row.events.iter().any(is_it))
    }

    /// It tells many something; whether it had not lately.
    pub(super) fn sends(&self, now: u64) -> bool {
        let begins = self.sent_at.get().saturating_add(LATELY) <= now;
        if begins {
            self.sent_at.set(now);
        }
        begins
    }

    fn weigh(&self) {
        self.weight.borrow_mut().set(PART + self.log.borrow().weight());
    }

    pub(super) fn with<T>(&self, ask: impl FnOnce(&mut Host, &Moment<'_>) -> T) -> T {
        let log = self.log.borrow().clone();
        let at = Moment { now: now(), entropy: entropy(), log: &*log };
        ask(&mut self.host.borrow_mut(), &at)
    }
}

impl Inner {
    /// The part of this room, made where nobody of this gateway was in it.
    pub(super) fn part(self: &Rc<Self>, room: &RoomId) -> Result<Rc<Part>, ChatError> {
        if let Some(part) = self.parts.borrow().get(room.as_str()) {
            return Ok(part.clone());
        }
        if self.parts_held.bytes() >= MOST_IN_PARTS {
            let message = "No other room can be joined from here now; try again in a moment.";
            return Err(ChatError::new(ErrorCode::Overloaded, message).retry_after(5_000));
        }
        let part = Part::new(self, room.clone(), Vec::new(), Vec::new())?;
        part.weigh();
        self.parts.borrow_mut().insert(room.as_str().to_owned(), part.clone());
        self.quiet.borrow_mut().insert(part.name.clone());
        Ok(part)
    }

    /// Whether other sessions are to go to another gateway, because of what is held here.
    pub(super) fn holds_much(&self) -> bool {
        self.parts_held.bytes() >= MOST_IN_PARTS / 4 * 3
    }

    /// Where the parts hold much, those with the most of it keep less of what is past.
    pub(super) fn trim_parts(&self) {
        if self.parts_held.bytes() <= MOST_IN_PARTS / 2 {
            return;
        }
        let parts = self.parts.borrow();
        let mut weights: Vec<_> = parts.values().map(|part| part.weight.borrow().bytes()).collect();
        let most = level(&mut weights, TRIMMED).max(LEAST);
        for part in parts.values().filter(|part| part.weight.borrow().bytes() > most) {
            part.log.borrow().trim(most.saturating_sub(PART));
            part.weigh();
        }
    }

    /// Each room that sends has its part of the frames that this object can send; of the others each would have.
    pub(super) fn share(&self) {
        let now = now();
        if !self.flags.shares.get() || self.shared_at.get().saturating_add(SHARE_EVERY) > now {
            return;
        }
        let Ok(settings) = settings(&self.env) else { return };
        self.flags.shares.set(false);
        self.shared_at.set(now);
        let parts = self.parts.borrow();
        let sends = |part: &&Rc<Part>| part.sent_at.get().saturating_add(2 * LATELY) > now;
        let sending = parts.values().filter(sends).count();
        let each = settings.frame_budget / u64::try_from(sending).unwrap_or(u64::MAX).max(1);
        for part in parts.values() {
            part.host.borrow_mut().cap_frames(each.max(1));
        }
    }

    /// One step of a room's part: computed, and then shown.
    pub(super) fn step<T>(
        self: &Rc<Self>,
        part: &Rc<Part>,
        step: impl FnOnce(&mut Host, &Moment<'_>) -> (T, Effects),
    ) -> T {
        let (value, effects) = part.with(step);
        part.log.borrow().write(&effects.write);
        part.weigh();
        if part.host.borrow().is_done() {
            self.quiet.borrow_mut().insert(part.name.clone());
        }
        for (key, value) in effects.write.state.iter().filter(|(key, _)| Room::is_blocks_key(key)) {
            if let Err(error) = self.kept.set_of(&part.name, key, value.as_deref()) {
                self.fault(part, error);
            }
        }
        self.carry_out(part, effects);
        value
    }

    pub(super) fn fault(&self, part: &Part, fault: impl std::fmt::Display) {
        log::error(&[("room", &part.name)], format_args!("gateway {}: room {}: {fault}", self.number(), part.name));
    }

    fn carry_out(self: &Rc<Self>, part: &Rc<Part>, effects: Effects) {
        for fault in &effects.faults {
            self.fault(part, fault);
        }
        for out in effects.out {
            match out {
                Out::Send(to, frame) => self.shout(part, &to, &frame),
                Out::Close(id, code, reason) => self.put_out(part, id, code, &reason),
                Out::Attach(id, attachment) => self.attach(part, id, attachment),
            }
        }
        if effects.broken {
            return self.end();
        }
        if !effects.look.is_empty() {
            // Whether a session is alive is the gateway's own business: those that are here are.
            let alive: Vec<_> = effects.look.iter().map(|id| (*id, Some(now()))).collect();
            self.step(part, |host, at| ((), host.look(at, &alive)));
        }
        for asked in effects.asks {
            let (inner, part) = (self.clone(), part.clone());
            self.state.wait_until(async move {
                let answer = user_link::ask(&inner.env, &asked.user_id, &asked.call).await;
                inner.step(&part, |host, at| ((), host.answered(at, asked, answer)));
                inner.settle();
            });
        }
        for user_id in effects.entered {
            let (inner, part) = (self.clone(), part.clone());
            self.state.wait_until(async move {
                let standing = user_link::standing(&inner.env, &user_id, Some(inner.name())).await.ok();
                inner.step(&part, |host, at| ((), host.entered(at, &user_id, standing)));
                inner.settle();
            });
        }
        if effects.up {
            self.up(part);
        }
        if let Some(at) = effects.alarm {
            part.due.set(at);
            if self.due.get() == 0 || at < self.due.get() {
                self.due.set(at);
            }
        }
        if let Some(at) = effects.soon
            && (part.timer.get() == 0 || at < part.timer.get())
        {
            part.timer.set(at);
            let (inner, part) = (self.clone(), part.clone());
            let wait = at.saturating_sub(now()).clamp(1, 10_000);
            self.state.wait_until(async move {
                Delay::from(Duration::from_millis(wait)).await;
                if part.timer.get() == at {
                    part.timer.set(0);
                    inner.step(&part, |host, at| ((), host.tick(at)));
                    drop(part);
                    inner.settle();
                }
            });
        }
    }

    fn attach(&self, part: &Rc<Part>, id: SocketId, attachment: String) {
        let Some(entry) = self.sessions.borrow().get(&id).cloned() else { return };
        #[derive(Deserialize)]
        struct Joined {
            #[serde(default)]
            joined: bool,
        }
        let joined = serde_json::from_str::<Joined>(&attachment).is_ok_and(|attachment| attachment.joined);
        let mut rooms = entry.rooms.borrow_mut();
        let member = rooms.entry(part.name.clone()).or_insert_with(|| Member {
            part: part.clone(),
            attachment: String::new(),
            joined,
            at: None,
            answer: None,
        });
        (member.attachment, member.joined) = (attachment, joined);
        if joined {
            entry.changes_kept();
        }
    }

    /// The room ends a session's part in it.
    fn put_out(self: &Rc<Self>, part: &Part, id: SocketId, code: u16, reason: &str) {
        let Some(entry) = self.sessions.borrow().get(&id).cloned() else { return };
        let Some(member) = entry.rooms.borrow_mut().remove(&part.name) else { return };
        entry.changes_kept();
        #[derive(Deserialize)]
        struct Reason {
            #[serde(default)]
            retry: bool,
        }
        let retry = serde_json::from_str::<Reason>(reason).is_ok_and(|reason| reason.retry);
        let token = code == ErrorCode::TokenExpired.close();
        match (member.joined, token, retry) {
            (true, true, _) if entry.rooms.borrow().is_empty() => {
                entry.say(disconnect());
                self.disconnects(&entry);
            }
            // It comes back by itself, and recovers.
            (true, false, true) => {
                entry.rooms.borrow_mut().insert(part.name.clone(), member);
                // Who polls has not heard the goodbye.
                let unheard = code == ErrorCode::TooSlow.close() && !entry.session.borrow().is_websocket();
                entry.end(if unheard { Closed::Full } else { Closed::Lost });
            }
            _ => {}
        }
    }

    /// Lets a session of this caller into a room, if it is not there; it has not joined yet.
    ///
    /// # Errors
    /// What the room's rules say.
    pub(super) fn enters(self: &Rc<Self>, part: &Rc<Part>, id: SocketId, caller: Caller) -> Result<(), ChatError> {
        self.step(part, |host, at| match host.open_as(at, id, caller) {
            Ok(effects) => (Ok(()), effects),
            Err(error) => (Err(error), Effects::default()),
        })
    }

    /// A session is not in this room any more.
    pub(super) fn leaves_room(self: &Rc<Self>, part: &Rc<Part>, id: SocketId) {
        self.step(part, |host, at| ((), host.closed(at, id)));
    }

    /// A frame of a session for a room that it is in.
    ///
    /// # Errors
    /// `unavailable` where the room does not answer; what is too large or too deep to be a frame.
    pub(super) async fn frame(self: &Rc<Self>, part: &Rc<Part>, id: SocketId, text: &str) -> Result<(), ChatError> {
        let parsed = Ok(ClientFrame::parse(text)?);
        self.begins_for(part, &parsed).await?;
        if let Some(user_id) = part.with(|host, at| host.asks(at, id, &parsed)) {
            let standing = user_link::standing_in_time(&self.env, &user_id).await;
            if let Some(standing) = standing {
                part.host.borrow_mut().offer(id, standing);
            }
        }
        self.step(part, |host, at| ((), host.parsed(at, id, parsed)));
        Ok(())
    }

    /// What a session proved to have read.
    pub(super) fn prove(self: &Rc<Self>, entry: &Entry, proved: Vec<Proof>) {
        for Proof { room, nonce } in proved {
            let part = entry.rooms.borrow().get(&room).map(|member| member.part.clone());
            if let Some(part) = part {
                let text = format!(r#"{{"event":"probe","data":{{"nonce":"{nonce}"}}}}"#);
                self.step(&part, |host, at| ((), host.parsed(at, entry.number, ClientFrame::parse(&text))));
            }
        }
    }

    /// Makes sure that this part stands somewhere before it serves anybody; who `joins` may make the room.
    ///
    /// # Errors
    /// `unavailable` where the room does not answer, and what it answers.
    pub(super) async fn begins(self: &Rc<Self>, part: &Rc<Part>, joins: Option<&Caller>) -> Result<(), ChatError> {
        let under_way = part.beginning.borrow().clone();
        if let Some(under_way) = under_way {
            // Of somebody who could not make the room it may have been none.
            let _ = under_way.await;
        }
        if part.host.borrow().needs_begin() { self.begin(part, joins.cloned()).await } else { Ok(()) }
    }

    async fn begins_for(
        self: &Rc<Self>,
        part: &Rc<Part>,
        parsed: &Result<ClientFrame, ChatError>,
    ) -> Result<(), ChatError> {
        self.begins(part, None).await?;
        let Ok(ClientFrame { event: Ok(event), .. }) = parsed else { return Ok(()) };
        if !part.host.borrow().is_behind(event) {
            return Ok(());
        }
        let wait = (part.began_at.get() + AGAIN).saturating_sub(now());
        if wait > 0 {
            Delay::from(Duration::from_millis(wait.min(AGAIN))).await;
        }
        if part.host.borrow().is_behind(event) { self.begin(part, None).await } else { Ok(()) }
    }

    /// Begins anew, once at a time.
    async fn begin(self: &Rc<Self>, part: &Rc<Part>, joins: Option<Caller>) -> Result<(), ChatError> {
        let under_way = part.beginning.borrow().clone();
        let beginning = under_way.unwrap_or_else(|| {
            let (inner, own) = (self.clone(), part.clone());
            let beginning = async move {
                let done = inner.begin_alone(&own, joins.as_ref()).await;
                own.beginning.borrow_mut().take();
                done
            };
            let beginning = beginning.boxed_local().shared();
            *part.beginning.borrow_mut() = Some(beginning.clone());
            // It goes on although nobody may wait for it any more.
            self.state.wait_until(beginning.clone().map(drop));
            beginning
        });
        beginning.await
    }

    async fn begin_alone(self: &Rc<Self>, part: &Rc<Part>, joins: Option<&Caller>) -> Result<(), ChatError> {
        let me = Follower::Gateway(self.number());
        let Begin { v: _, seq, shape, totals, state, rows, reactions } =
            shard_link::begin(&self.env, &part.name, me, joins).await?;
        part.began_at.set(now());
        let tail = Tail { rows, state, reactions };
        let epoch = tail.epoch();
        if !part.host.borrow().is_news(epoch, seq) {
            return Ok(());
        }
        let replica = Rc::new(Replica::begin(tail, me.keeps()));
        let at = Moment { now: now(), entropy: entropy(), log: &*replica };
        let effects = part.host.borrow_mut().begun(&at, shape, totals).map_err(|e| broken("begin", e))?;
        *part.log.borrow_mut() = replica.clone();
        part.epoch.set(epoch);
        self.step(part, |_, _| ((), effects));
        self.settle();
        Ok(())
    }

    /// The room pushes.
    pub(super) fn pushed(self: &Rc<Self>, room: &str, push: Push) -> Pushed {
        let part = self.parts.borrow().get(room).cloned();
        let Some(part) = part else { return Pushed::default() };
        let pushed = self.step(&part, |host, at| host.pushed(at, push));
        self.goes_on(&part);
        pushed
    }

    /// Where the room has gone on without this part, it begins anew for those who are here.
    fn goes_on(self: &Rc<Self>, part: &Rc<Part>) {
        let begins = self.has_sessions_to_begin_for(part) && part.beginning.borrow().is_none();
        if begins && !part.behind.replace(true) {
            let (inner, part) = (self.clone(), part.clone());
            self.state.wait_until(async move {
                inner.begin_behind(&part).await;
                part.behind.set(false);
            });
        }
    }

    fn has_sessions_to_begin_for(&self, part: &Part) -> bool {
        let here = || self.sessions.borrow().values().any(|entry| entry.rooms.borrow().contains_key(&part.name));
        part.host.borrow().needs_begin() && here()
    }

    /// Begins for those who are here, however often it takes.
    async fn begin_behind(self: &Rc<Self>, part: &Rc<Part>) {
        let (mut wait, most) = RETRY;
        while self.has_sessions_to_begin_for(part) {
            let _ = self.begin(part, None).await;
            if part.host.borrow().needs_begin() {
                Delay::from(Duration::from_millis(wait)).await;
                wait = (wait * 2).min(most);
            }
        }
    }

    /// Hands up what sessions want, while there is something.
    fn up(self: &Rc<Self>, part: &Rc<Part>) {
        let Some(up) = part.with(|host, at| host.next_up(at)) else { return };
        let (inner, part) = (self.clone(), part.clone());
        self.state.wait_until(async move {
            let down = shard_link::up(&inner.env, &part.name, &up).await;
            inner.step(&part, |host, at| ((), host.came_down(at, down)));
            inner.goes_on(&part);
            drop(part);
            inner.settle();
        });
    }

    /// Forgets the parts where nobody is any more, nor on the way: who is holds the part.
    pub(super) fn forget_parts(&self) {
        let mut parts = self.parts.borrow_mut();
        self.quiet.borrow_mut().retain(|name| {
            let Some(part) = parts.get(&**name).filter(|part| part.host.borrow().is_done()) else { return false };
            let awaited = Rc::strong_count(part) > 1 || part.beginning.borrow().is_some();
            if !awaited {
                parts.remove(&**name);
            }
            awaited
        });
    }
}
