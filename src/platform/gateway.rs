//! A gateway's object: sessions of Socket.IO clients, and for each room that some of them are in a follower of its log.

mod entry;
mod http;
mod kept;
mod part;
mod speak;

use super::binding::{RawState, split};
use super::log;
use super::room::{answered, body, number_in};
use super::util::now;
use crate::audience::{Attachment, SocketId};
use crate::protocol::call::{Heard, ROOM_USER, UserPush};
use crate::protocol::shard::{Push, SHARD_MEMBERS, SHARD_PUSH, parse_gateway};
use crate::protocol::{ChatError, RoomId};
use crate::socketio::{Beat, Closed, PING_INTERVAL, RECOVER_WITHIN, Session};
use entry::{Entry, Flags, Member};
use http::mark_of;
use kept::Kept;
use part::Part;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;
use worker::*;

/// The class, as its binding names it.
pub(super) const GATEWAY: &str = "GATEWAY";
/// Where a gateway takes a handshake, by polling or WebSocket; polls and bodies; WebSockets that take over.
pub(super) const OPEN: &str = "/open";
pub(super) const OPEN_SOCKET: &str = "/open-socket";
pub(super) const POLL: &str = "/poll";
pub(super) const CHANGE: &str = "/change";
/// Where it gives what it keeps of a session that comes back elsewhere; the body is its private id.
const TAKE: &str = "/take";
const TAKE_WITHIN: u64 = 2_000;
/// Its answer where it holds as many sessions as it may.
pub(super) const FULL: u16 = 503;

/// How often it is looked whether those who have to prove that they read have answered, ms.
const PONGS_EVERY: u64 = 1_000;

/// Holds sessions of Socket.IO clients.
#[durable_object]
pub struct Gateway {
    inner: Rc<Inner>,
}

pub(super) struct Inner {
    state: State,
    raw: RawState,
    env: Env,
    kept: Kept,
    sessions: RefCell<HashMap<SocketId, Rc<Entry>>>,
    by_sid: RefCell<HashMap<String, SocketId>>,
    parts: RefCell<BTreeMap<String, Rc<Part>>>,
    next: Cell<SocketId>,
    loaded: Cell<bool>,
    flags: Rc<Flags>,
    /// When all sessions were pinged last, ms.
    beat: Cell<u64>,
    /// When some session's handshake or change of transport has taken too long, ms; 0 where none is under way.
    watch: Cell<u64>,
    /// When sessions that ended are to be forgotten, ms; 0 where there are none.
    sweep: Cell<u64>,
    pongs: Cell<bool>,
    alarm: Cell<u64>,
    handling: Cell<bool>,
    ended: Cell<bool>,
}

pub(super) fn broken(context: &str, error: impl std::fmt::Display) -> ChatError {
    super::room::broken(context, error)
}

impl Inner {
    fn new(state: State, env: Env) -> Rc<Self> {
        let (state, raw) = split(state);
        raw.end_lost_alarm();
        // A client's pong is answered by a packet that says nothing, without waking this object.
        if let Ok(pair) = WebSocketRequestResponsePair::new("3", "6") {
            state.set_websocket_auto_response(&pair);
        }
        let kept = Kept::new(state.storage().sql());
        Rc::new(Self {
            state,
            raw,
            env,
            kept,
            sessions: RefCell::default(),
            by_sid: RefCell::default(),
            parts: RefCell::default(),
            next: Cell::new(1),
            loaded: Cell::default(),
            flags: Rc::default(),
            beat: Cell::default(),
            watch: Cell::default(),
            sweep: Cell::default(),
            pongs: Cell::default(),
            alarm: Cell::default(),
            handling: Cell::default(),
            ended: Cell::default(),
        })
    }

    fn name(&self) -> String {
        self.state.id().name().unwrap_or_default()
    }

    fn number(&self) -> u32 {
        parse_gateway(&self.name()).unwrap_or_default()
    }

    fn session(&self, sid: &str) -> Option<Rc<Entry>> {
        let number = *self.by_sid.borrow().get(sid)?;
        self.sessions.borrow().get(&number).filter(|entry| entry.ended.get().is_none()).cloned()
    }

    fn next_number(&self) -> SocketId {
        let sessions = self.sessions.borrow();
        while sessions.contains_key(&self.next.get()) {
            self.next.set(self.next.get().wrapping_add(1).max(1));
        }
        let number = self.next.get();
        self.next.set(number.wrapping_add(1).max(1));
        number
    }

    fn hold(&self, entry: &Rc<Entry>) {
        self.by_sid.borrow_mut().insert(entry.sid.clone(), entry.number);
        self.sessions.borrow_mut().insert(entry.number, entry.clone());
    }

    /// What outlived the memory, at the first event after each wake.
    fn load(self: &Rc<Self>) -> std::result::Result<(), ChatError> {
        if self.ended.get() {
            return Err(broken("step", "the object is about to end"));
        }
        if self.loaded.replace(true) {
            return Ok(());
        }
        let now = now();
        let fault = |e| broken("load", e);
        self.kept.open().map_err(fault)?;
        self.beat.set(self.kept.beat().map_err(fault)?);
        let mut sockets = HashMap::new();
        for socket in self.state.get_websockets() {
            match mark_of(&socket) {
                Some(mark) if !mark.change => drop(sockets.insert(mark.sid, socket)),
                // Its session polls, and is gone.
                _ => drop(socket.close(Some(1000), None::<&str>)),
            }
        }
        let mut in_rooms: BTreeMap<String, Vec<Attachment>> = BTreeMap::new();
        let mut entries = Vec::new();
        for (sid, saved) in self.kept.sessions().map_err(fault)? {
            let Some(socket) = sockets.remove(&sid) else {
                self.kept.end(&sid, now).map_err(fault)?;
                continue;
            };
            let mut session = Session::restored(true, self.beat.get(), now);
            session.ponged(self.raw.pinged_at(&socket).unwrap_or_default());
            let entry = Entry::new(saved.number, sid, String::new(), saved.who, session, &self.flags);
            *entry.socket.borrow_mut() = Some(socket);
            self.next.set(self.next.get().max(saved.number.wrapping_add(1)));
            self.hold(&entry);
            for (room, attachment) in saved.rooms {
                if let Ok(attachment) = serde_json::from_str::<Attachment>(&attachment) {
                    in_rooms.entry(room).or_default().push(attachment);
                }
            }
            entries.push(entry);
        }
        // Who has not connected yet comes back.
        sockets.into_values().for_each(|socket| drop(socket.close(Some(1000), None::<&str>)));
        let mut about: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for (room, key, value) in self.kept.of_rooms().map_err(fault)? {
            about.entry(room).or_default().push((key, value));
        }
        for (room, attachments) in in_rooms {
            let Ok(id) = RoomId::parse(&room) else { continue };
            let state = about.remove(&room).unwrap_or_default();
            let part = Part::new(self, id, attachments.clone(), state)?;
            self.parts.borrow_mut().insert(room, part.clone());
            for attachment in attachments {
                let sessions = self.sessions.borrow();
                let Some(entry) = sessions.get(&attachment.id) else { continue };
                let member = Member {
                    part: part.clone(),
                    attachment: crate::protocol::wire::json(&attachment),
                    joined: true,
                    at: None,
                    answer: None,
                };
                entry.rooms.borrow_mut().insert(part.name.clone(), member);
            }
        }
        for (room, keys) in about {
            for (key, _) in keys {
                self.kept.set_of(&room, &key, None).map_err(fault)?;
            }
        }
        let left = self.kept.sweep(now.saturating_sub(RECOVER_WITHIN)).map_err(fault)?;
        self.sweep.set(if left { now + RECOVER_WITHIN } else { 0 });
        log::info(&[], format_args!("gateway wake: {} with {} sessions", self.name(), entries.len()));
        let parts: Vec<_> = self.parts.borrow().values().cloned().collect();
        for part in parts {
            self.step(&part, |host, at| ((), host.tick(at)));
        }
        self.settle();
        Ok(())
    }

    /// A deadline of a session under way.
    fn watch(&self, at: u64) {
        if self.watch.get() == 0 || at < self.watch.get() {
            self.watch.set(at);
        }
    }

    /// After each event: those who are to end do, what changed of the others is written, and the alarm is armed.
    fn settle(self: &Rc<Self>) {
        while self.flags.ends.replace(false) {
            let ends = |entry: &&Rc<Entry>| entry.ended.get().is_some();
            let ending: Vec<_> = self.sessions.borrow().values().filter(ends).cloned().collect();
            for entry in ending {
                self.finish(&entry);
            }
        }
        if self.flags.changed.replace(false) {
            for entry in self.sessions.borrow().values().filter(|entry| entry.take_changed() && entry.is_connected()) {
                self.written(self.kept.save(&entry.sid, &entry.saved()));
            }
        }
        if self.flags.asked.replace(false) {
            self.watch_pongs();
        }
        self.forget_parts();
        self.arm();
    }

    fn written(&self, result: crate::room::Read<()>) {
        if let Err(error) = result {
            log::error(&[], format_args!("gateway {}: {error}", self.number()));
        }
    }

    /// A session has ended: it leaves its rooms, and may come back for a while.
    fn finish(self: &Rc<Self>, entry: &Rc<Entry>) {
        self.sessions.borrow_mut().remove(&entry.number);
        self.by_sid.borrow_mut().remove(&entry.sid);
        if entry.session.borrow().is_connected() {
            let saved = entry.saved();
            let closed = entry.ended.get();
            if closed == Some(Closed::Client) || saved.rooms.is_empty() {
                self.written(self.kept.forget(&entry.sid));
            } else {
                self.written(self.kept.save(&entry.sid, &saved).and_then(|()| self.kept.end(&entry.sid, now())));
                if self.sweep.get() == 0 {
                    self.sweep.set(now() + RECOVER_WITHIN);
                }
            }
        }
        entry.release_poll("1");
        for socket in [entry.socket.borrow_mut().take(), entry.change.borrow_mut().take()].into_iter().flatten() {
            let _ = socket.close(Some(1000), None::<&str>);
        }
        self.leave_all(entry);
    }

    /// Ends this object: its memory is not to be trusted.
    fn end(&self) {
        self.ended.set(true);
        self.raw.abort_soon();
    }

    fn arm(&self) {
        let beat = (!self.sessions.borrow().is_empty()).then(|| (self.beat.get() + PING_INTERVAL).max(now()));
        let parts = self.parts.borrow().values().map(|part| part.due.get()).filter(|due| *due > 0).min();
        let others = [self.watch.get(), self.sweep.get()].into_iter().filter(|at| *at > 0);
        let Some(at) = beat.into_iter().chain(parts).chain(others).min() else { return };
        if self.alarm.get() == 0 || at < self.alarm.get() {
            self.alarm.set(at);
            if !self.handling.get() {
                self.raw.set_alarm(at);
            }
        }
    }

    fn rings(self: &Rc<Self>) {
        let _runs = self.raw.alarm_runs();
        self.alarm.set(0);
        self.handling.set(true);
        let at = now();
        if self.load().is_ok() {
            self.beats(at);
            self.watches(at);
            if self.sweep.get() > 0 && self.sweep.get() <= at {
                let left = self.kept.sweep(at.saturating_sub(RECOVER_WITHIN));
                self.sweep.set(if left.unwrap_or(true) { at + RECOVER_WITHIN } else { 0 });
            }
            let due = |part: &&Rc<Part>| part.due.get() > 0 && part.due.get() <= at;
            let due: Vec<_> = self.parts.borrow().values().filter(due).cloned().collect();
            for part in due {
                part.due.set(0);
                self.step(&part, |host, at| ((), host.tick(at)));
            }
            self.settle();
            self.handling.set(false);
            if self.alarm.get() > 0 {
                self.raw.set_alarm(self.alarm.get());
            }
        } else {
            // A handler that forgets to come back is not called again.
            self.handling.set(false);
            self.raw.set_alarm(at + PING_INTERVAL);
        }
    }

    /// Pings all sessions, where it is time, and ends those that did not answer the last time.
    fn beats(&self, at: u64) {
        if self.sessions.borrow().is_empty() || at < self.beat.get() + PING_INTERVAL {
            return;
        }
        self.beats_from(at);
        self.hear_pongs();
        for entry in self.sessions.borrow().values() {
            let beat = entry.session.borrow_mut().beat(at);
            match beat {
                Beat::Ping => entry.send(&"2".into(), None),
                Beat::End(closed) => entry.end(closed),
            }
        }
    }

    fn beats_from(&self, at: u64) {
        self.beat.set(at);
        self.written(self.kept.set_beat(at));
    }

    fn hear_pongs(&self) {
        for entry in self.sessions.borrow().values() {
            let at = entry.socket.borrow().as_ref().and_then(|socket| self.raw.pinged_at(socket));
            if let Some(at) = at {
                entry.session.borrow_mut().ponged(at);
            }
        }
    }

    /// Ends handshakes, and changes of transport, that take too long.
    fn watches(&self, at: u64) {
        if self.watch.get() == 0 || self.watch.get() > at {
            return;
        }
        self.watch.set(0);
        for entry in self.sessions.borrow().values() {
            let (late, slow, under_way) = {
                let session = entry.session.borrow();
                (
                    session.is_late(at),
                    session.is_slow_to_change(at),
                    !session.is_connected() || entry.change.borrow().is_some(),
                )
            };
            if late {
                entry.end(Closed::Late);
            } else if slow {
                self.stays(entry);
            } else if under_way {
                self.watch(at + PONGS_EVERY);
            }
        }
    }

    /// Looks in a moment, and as long as somebody has to prove that they read, whether they did.
    fn watch_pongs(self: &Rc<Self>) {
        if self.pongs.replace(true) {
            return;
        }
        let inner = self.clone();
        self.state.wait_until(async move {
            Delay::from(Duration::from_millis(PONGS_EVERY)).await;
            inner.pongs.set(false);
            inner.hear_pongs();
            let asked: Vec<_> = inner.sessions.borrow().values().cloned().collect();
            for entry in asked {
                let proved = entry.session.borrow_mut().proved(false);
                inner.prove(&entry, proved);
                if entry.session.borrow().is_asked() {
                    inner.flags.asked.set(true);
                }
            }
            inner.settle();
        });
    }

    /// A user's object tells of a change.
    fn heard(self: &Rc<Self>, push: &UserPush) -> Heard {
        let parts: Vec<_> = self.parts.borrow().values().cloned().collect();
        let mut here = false;
        for part in parts {
            here |= self.step(&part, |host, at| host.user(at, &push.user_id, push.standing.clone()));
        }
        self.settle();
        Heard { here }
    }
}

fn query(req: &Request, name: &str) -> String {
    let url = req.url().ok();
    let found = url.and_then(|url| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()));
    found.unwrap_or_default()
}

impl DurableObject for Gateway {
    fn new(state: State, env: Env) -> Self {
        Self { inner: Inner::new(state, env) }
    }

    async fn fetch(&self, mut req: Request) -> Result<Response> {
        let inner = &self.inner;
        if let Err(error) = inner.load() {
            return answered::<()>(Err(error));
        }
        match req.path().as_str() {
            OPEN => inner.opens(&req, false),
            OPEN_SOCKET => inner.opens(&req, true),
            POLL if req.method() == Method::Post => {
                let (sid, text) = (query(&req, "sid"), req.text().await?);
                inner.posts(&sid, &text).await
            }
            POLL => inner.polls(&query(&req, "sid")).await,
            CHANGE => inner.changes(&query(&req, "sid")),
            TAKE => {
                let pid = req.text().await?;
                answered(Ok(inner.take(&pid)))
            }
            SHARD_PUSH => {
                let room = query(&req, "room");
                let pushed = body(&mut req).await.map(|push: Push| inner.pushed(&room, push));
                inner.settle();
                answered(pushed)
            }
            SHARD_MEMBERS => {
                let part = inner.parts.borrow().get(&query(&req, "room")).cloned();
                let list = |limit| part.map(|part| part.with(|host, _| host.members_here(limit))).unwrap_or_default();
                answered(number_in(&req, "limit").map(list))
            }
            ROOM_USER => answered(body(&mut req).await.map(|push| inner.heard(&push))),
            _ => Response::error("no such call", 404),
        }
    }

    async fn websocket_message(&self, ws: WebSocket, message: WebSocketIncomingMessage) -> Result<()> {
        if self.inner.load().is_ok() {
            self.inner.message(&ws, message).await;
        }
        Ok(())
    }

    async fn websocket_close(&self, ws: WebSocket, _code: usize, _reason: String, clean: bool) -> Result<()> {
        if self.inner.load().is_ok() {
            self.inner.closed(&ws, clean);
        }
        Ok(())
    }

    async fn websocket_error(&self, ws: WebSocket, _error: Error) -> Result<()> {
        if self.inner.load().is_ok() {
            self.inner.closed(&ws, false);
        }
        Ok(())
    }

    async fn alarm(&self) -> Result<Response> {
        self.inner.rings();
        Response::ok("")
    }
}
