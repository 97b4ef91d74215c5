//! A gateway's object: sessions of Socket.IO clients, and for each room that some of them are in a follower of its log.

mod beat;
mod entry;
mod hear;
mod http;
mod kept;
mod load;
mod part;
mod speak;

use super::binding::{RawState, split};
use super::log;
use super::room::{answered, body, in_query};
use super::util::now;
use crate::audience::{SocketId, close_reason};
use crate::protocol::call::{Heard, ROOM_USER, UserPush};
use crate::protocol::shard::{Push, SHARD_MEMBERS, SHARD_PUSH, parse_gateway};
use crate::protocol::{ChatError, ErrorCode};
use crate::socketio::{Closed, Held, RECOVER_WITHIN, event, payload};
use entry::{Entry, Flags};
use kept::{Kept, Saved};
use part::Part;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;
use worker::*;

/// The class, as its binding names it.
pub(super) const GATEWAY: &str = "GATEWAY";
/// Where a gateway takes a handshake, by polling or WebSocket; polls and bodies; WebSockets that take over.
pub(super) const OPEN: &str = "/open";
pub(super) const OPEN_SOCKET: &str = "/open-socket";
pub(super) const POLL: &str = "/poll";
pub(super) const CHANGE: &str = "/change";
/// Where it gives what it keeps of a session that comes back elsewhere; the body is a [`kept::Take`].
const TAKE: &str = "/take";
const TAKE_WITHIN: u64 = 2_000;
/// Its answer where it holds as many sessions as it may, or none at all now.
pub(super) const FULL: u16 = 503;
/// Where too many of its sessions are of that address; and where it has no such session.
pub(super) const CROWDED: u16 = 429;
pub(super) const UNKNOWN: u16 = 404;
/// Sessions that ended because too much waited, and whose clients are told so when they ask.
const MOST_FAREWELLS: usize = 1_000;

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
    /// What the parts hold.
    parts_held: Held,
    /// Rooms that sessions were in before the memory was lost, and that have no part since.
    woken: RefCell<BTreeSet<String>>,
    /// Parts that may be done with.
    quiet: RefCell<BTreeSet<Rc<str>>>,
    /// When the first of them wants to be called, ms, or sooner; 0 for never.
    due: Cell<u64>,
    farewells: RefCell<VecDeque<String>>,
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
    /// What sessions were shown is about to be kept.
    marks: Cell<bool>,
    shared_at: Cell<u64>,
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
            parts_held: Held::default(),
            woken: RefCell::default(),
            quiet: RefCell::default(),
            due: Cell::default(),
            farewells: RefCell::default(),
            next: Cell::new(1),
            loaded: Cell::default(),
            flags: Rc::default(),
            beat: Cell::default(),
            watch: Cell::default(),
            sweep: Cell::default(),
            pongs: Cell::default(),
            marks: Cell::default(),
            shared_at: Cell::default(),
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

    /// After each event: those who are to end do, what changed of the others is written, and the alarm is armed.
    fn settle(self: &Rc<Self>) {
        self.lighten(&self.sessions.borrow());
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
        if self.flags.shown.get() {
            self.keep_marks();
        }
        self.share();
        self.forget_parts();
        self.trim_parts();
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
                self.keeps(&entry.sid, &saved);
            }
        }
        let told = match entry.ended.get() {
            // Who ended it needs no word of that.
            Some(Closed::Client) => entry.release_poll("6"),
            Some(Closed::Full) => entry.release_poll(&last_words()),
            _ => entry.release_poll("1"),
        };
        let sockets = [entry.socket.borrow_mut().take(), entry.change.borrow_mut().take()];
        if entry.ended.get() == Some(Closed::Full) && !told {
            self.says_farewell(entry, sockets.first().and_then(Option::as_ref));
        }
        for socket in sockets.into_iter().flatten() {
            let _ = socket.close(Some(1000), None::<&str>);
        }
        self.leave_all(entry);
    }

    /// Tells a client why its session ends where too much waited: over its WebSocket, or when it polls again.
    fn says_farewell(&self, entry: &Entry, socket: Option<&WebSocket>) {
        if let Some(socket) = socket {
            entry::send_js(socket, &farewell().into());
            let _ = socket.close(Some(ErrorCode::TooSlow.close()), Some(close_reason(true, 0)));
            return;
        }
        let mut farewells = self.farewells.borrow_mut();
        farewells.truncate(MOST_FAREWELLS - 1);
        farewells.push_front(entry.sid.clone());
    }

    /// What is said to who asks for a session that ended so.
    fn farewell_of(&self, sid: &str) -> Option<String> {
        let mut farewells = self.farewells.borrow_mut();
        let at = farewells.iter().position(|known| known == sid)?;
        farewells.remove(at);
        Some(last_words())
    }

    /// Keeps a session that may come back for a while.
    fn keeps(&self, sid: &str, saved: &Saved) {
        self.written(self.kept.save(sid, saved).and_then(|()| self.kept.end(sid, now())));
        if self.sweep.get() == 0 || self.sweep.get() > now() + RECOVER_WITHIN {
            self.sweeps_after(Some(now()));
        }
    }

    /// Ends this object: its memory is not to be trusted.
    fn end(&self) {
        self.ended.set(true);
        self.raw.abort_soon();
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

fn farewell() -> String {
    let message = "You do not read what you are sent, or say more at once than is kept; come back.";
    event("error", &ChatError::new(ErrorCode::TooSlow, message).retry_after(0))
}

/// The same for who polls, with the end.
fn last_words() -> String {
    payload([&*farewell(), "1"])
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
        let path = req.path();
        if let Err(error) = inner.load() {
            // Another gateway may have a place.
            let sessions = matches!(path.as_str(), OPEN | OPEN_SOCKET | POLL | CHANGE);
            return if sessions { Response::error("unavailable", FULL) } else { answered::<()>(Err(error)) };
        }
        match path.as_str() {
            OPEN => inner.opens(&req, false),
            OPEN_SOCKET => inner.opens(&req, true),
            POLL if req.method() == Method::Post => {
                let (sid, text) = (query(&req, "sid"), req.text().await?);
                inner.posts(&sid, &text).await
            }
            POLL => inner.polls(&query(&req, "sid")).await,
            CHANGE => inner.changes(&query(&req, "sid")),
            TAKE => match body(&mut req).await {
                Ok(take) => answered(Ok(inner.gives(&take).await)),
                Err(error) => answered::<()>(Err(error)),
            },
            SHARD_PUSH => {
                let room = query(&req, "room");
                let pushed = body(&mut req).await.map(|push: Push| inner.pushed(&room, push));
                inner.settle();
                answered(pushed)
            }
            SHARD_MEMBERS => {
                let part = inner.parts.borrow().get(&query(&req, "room")).cloned();
                let list = |limit| part.map(|part| part.with(|host, _| host.members_here(limit))).unwrap_or_default();
                answered(in_query(&req, "limit").map(list))
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
