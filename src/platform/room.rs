//! The room's object: sockets, alarm and storage around [`Host`]; a shard's is made of the same.

mod alarm;
mod effects;
mod follow;
mod lead;
mod queue;
mod sockets;
mod storage;

use super::binding::{RawState, split};
use super::sqlite::Sqlite;
use super::util::{entropy, now, settings};
use super::{drain_link, log};
use crate::audience::{Attachment, Behind, SocketId, close_reason};
use crate::host::{Effects, Host, Moment, Waking};
use crate::protocol::call::{Answer, Heard, ROOM_CALL, ROOM_SOCKET, ROOM_USER, Remembered, RoomCall, UserPush};
use crate::protocol::shard::{ROOM_BEGIN, ROOM_UP, parse_shard};
use crate::protocol::wire::json;
use crate::protocol::{ChatError, RoomId, json_fault};
use follow::Beginning;
use futures::FutureExt;
use futures::future::{LocalBoxFuture, Shared};
pub(super) use lead::in_query;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use storage::Storage;
use wasm_bindgen::JsValue;
use worker::*;

/// How long "PostgreSQL does not know this room" is believed, ms.
const ABSENT_FOR: u64 = 60_000;
/// The attachment of a socket that was closed here: the platform holds it until its other end has answered, which may
/// be dead, and a room that wakes finds it among the others.
const CLOSED: &str = "closed";
type Lookup = Shared<LocalBoxFuture<'static, std::result::Result<Option<Remembered>, ChatError>>>;

/// A room: orders its messages, holds its sockets.
#[durable_object]
pub struct Room {
    inner: Rc<Inner>,
}

pub(super) struct Inner {
    state: State,
    raw: RawState,
    env: Env,
    storage: RefCell<Option<Rc<Storage>>>,
    host: RefCell<Option<Host>>,
    sockets: RefCell<HashMap<SocketId, WebSocket>>,
    /// WebSocket → number, by identity, so that a frame needs no look at an attachment.
    numbers: js_sys::Map,
    /// Whose frame is being handled, for the log; 0 while nobody's is.
    speaks: Cell<SocketId>,
    timer: Cell<u64>,
    alarm: Cell<u64>,
    /// An alarm's handler runs. What is to be set meanwhile is set at its end: it would take the running alarm's place,
    /// and an object that ends in the middle would not be called again before its time.
    handling: Cell<bool>,
    absent_until: Cell<u64>,
    /// The platform is about to end this object; nothing happens in it any more.
    ended: Cell<bool>,
    lookup: RefCell<Option<Lookup>>,
    queue: RefCell<queue::Queue>,
    /// Of each socket of which a frame is being handled, those that came meanwhile.
    behind: RefCell<HashMap<SocketId, Behind<sockets::Came>>>,
    /// A shard that begins.
    beginning: RefCell<Option<Beginning>>,
    /// When it began last, ms.
    began_at: Cell<u64>,
}

pub(super) fn broken(context: &str, error: impl std::fmt::Display) -> ChatError {
    let told = ChatError::internal(&entropy());
    let error_id = told.error_id.as_deref().unwrap_or_default();
    log::error(&[("error_id", error_id)], format_args!("error {error_id}: {context}: {error}"));
    told
}

impl Inner {
    pub(super) fn new(state: State, env: Env) -> Rc<Self> {
        let (state, raw) = split(state);
        raw.end_lost_alarm();
        if let Ok(pair) = WebSocketRequestResponsePair::new(r#"{"event":"ping"}"#, r#"{"event":"pong"}"#) {
            state.set_websocket_auto_response(&pair);
        }
        Rc::new(Self {
            state,
            raw,
            env,
            storage: RefCell::default(),
            host: RefCell::default(),
            sockets: RefCell::default(),
            numbers: js_sys::Map::new(),
            speaks: Cell::new(0),
            timer: Cell::new(0),
            alarm: Cell::new(0),
            handling: Cell::new(false),
            absent_until: Cell::new(0),
            ended: Cell::new(false),
            lookup: RefCell::default(),
            queue: RefCell::default(),
            behind: RefCell::default(),
            beginning: RefCell::default(),
            began_at: Cell::new(0),
        })
    }

    /// This object's own name.
    pub(super) fn name(&self) -> String {
        self.state.id().name().unwrap_or_default()
    }

    pub(super) fn env(&self) -> &Env {
        &self.env
    }

    /// The room, loaded at the first event after each wake.
    fn load(self: &Rc<Self>) -> std::result::Result<Rc<Storage>, ChatError> {
        self.load_for(None)
    }

    /// The same; a frame of this socket is what wakes the room.
    fn load_for(self: &Rc<Self>, speaks: Option<&WebSocket>) -> std::result::Result<Rc<Storage>, ChatError> {
        if self.ended.get() {
            return Err(broken("step", "the object is about to end"));
        }
        if let Some(storage) = self.storage.borrow().as_ref() {
            return Ok(storage.clone());
        }
        let name = self.name();
        let shard = parse_shard(&name);
        let id = RoomId::parse(shard.map_or(name.as_str(), |(room, _)| room))?;
        let settings = settings(&self.env)?;
        let own = Sqlite::open(self.state.storage().sql(), &self.raw).map_err(|e| broken("storage", e))?;
        let own = Rc::new(own);
        let storage = if shard.is_some() { Storage::Shard(own, None) } else { Storage::Room(own) };
        let mut attachments = Vec::new();
        for socket in self.state.get_websockets() {
            let text = socket.deserialize_attachment::<String>().ok().flatten().unwrap_or_default();
            if text == CLOSED {
                continue;
            }
            let Ok(attachment) = serde_json::from_str::<Attachment>(&text) else {
                // Of no build that is known: it can come back and join anew.
                let _ = socket.close(Some(4400), Some(close_reason(true, 0)));
                continue;
            };
            self.hold(attachment.id, socket);
            attachments.push(attachment);
        }
        let at = Moment { now: now(), entropy: entropy(), log: storage.log() };
        let mut waking = Waking { instance: hex(&at.entropy), wakes: 0 };
        let host = match shard {
            Some((_, index)) => Host::follow(id, index, settings, &at, attachments, waking.clone()),
            None => Host::load(id, settings, &at, attachments, waking.clone()),
        };
        let mut host = host.map_err(|e| broken("load", e))?;
        let about = [("room", name.as_str()), ("instance", &waking.instance)];
        if shard.is_some() {
            storage.own().begun();
            log::info(&about, format_args!("shard wake: {name} instance {}", waking.instance));
            host.woke(waking);
        } else if !host.is_empty() {
            waking.wakes = storage.own().count_wake().map_err(|e| broken("load", e))?;
            log::info(&about, format_args!("room wake: {name} instance {} wakes {}", waking.instance, waking.wakes));
            host.woke(waking);
        }
        *self.host.borrow_mut() = Some(host);
        let storage = Rc::new(storage);
        *self.storage.borrow_mut() = Some(storage.clone());
        // Who speaks is alive, whenever it pinged last.
        let speaks = speaks.and_then(|socket| self.number(socket));
        let all: Vec<_> = self.sockets.borrow().keys().copied().filter(|id| Some(*id) != speaks).collect();
        self.look(&all)?;
        Ok(storage)
    }

    fn hold(&self, id: SocketId, socket: WebSocket) {
        let js: &JsValue = socket.as_ref();
        self.numbers.set(js, &JsValue::from_f64(id.into()));
        self.sockets.borrow_mut().insert(id, socket);
    }

    fn number(&self, socket: &WebSocket) -> Option<SocketId> {
        if let Some(number) = self.numbers.get(socket.as_ref()).as_f64() {
            return Some(number as SocketId);
        }
        let text = socket.deserialize_attachment::<String>().ok().flatten()?;
        serde_json::from_str::<Attachment>(&text).ok().map(|attachment| attachment.id)
    }

    /// One step: computed, written, and only then shown.
    fn step<T>(
        self: &Rc<Self>,
        step: impl FnOnce(&mut Host, &Moment<'_>) -> (T, Effects),
    ) -> std::result::Result<T, ChatError> {
        let (value, mut effects) = self.with_host(step)?;
        let storage = self.load()?;
        if let Err(error) = storage.write(&self.raw, std::mem::take(&mut effects.write)) {
            // End this object before anyone sees what is not written.
            self.end();
            return Err(broken("write", error));
        }
        self.carry_out(effects);
        Ok(value)
    }

    /// The same, because of a frame of this socket.
    fn step_of(
        self: &Rc<Self>,
        id: SocketId,
        step: impl FnOnce(&mut Host, &Moment<'_>) -> Effects,
    ) -> std::result::Result<(), ChatError> {
        self.speaks.set(id);
        let done = self.step(|host, at| ((), step(host, at)));
        self.speaks.set(0);
        done
    }

    /// Asks the host for what is nothing to carry out.
    fn with_host<T>(
        self: &Rc<Self>,
        ask: impl FnOnce(&mut Host, &Moment<'_>) -> T,
    ) -> std::result::Result<T, ChatError> {
        let storage = self.load()?;
        let at = Moment { now: now(), entropy: entropy(), log: storage.log() };
        let mut host = self.host.borrow_mut();
        let Some(host) = host.as_mut() else { return Err(broken("step", "no room is loaded")) };
        Ok(ask(host, &at))
    }

    /// Tells the room when these sockets pinged last.
    fn look(self: &Rc<Self>, sockets: &[SocketId]) -> std::result::Result<(), ChatError> {
        if sockets.is_empty() {
            return Ok(());
        }
        let pings: Vec<_> = {
            let held = self.sockets.borrow();
            sockets.iter().map(|id| (*id, held.get(id).and_then(|socket| self.raw.pinged_at(socket)))).collect()
        };
        self.step(|host, at| ((), host.look(at, &pings)))
    }

    /// Ends this object: memory is ahead of the log.
    fn end(&self) {
        self.ended.set(true);
        self.raw.abort_soon();
    }

    /// Where the storage is empty, asks PostgreSQL once what it remembers of this room.
    async fn remember(self: &Rc<Self>) -> std::result::Result<(), ChatError> {
        self.load()?;
        let empty = self.host.borrow().as_ref().is_some_and(Host::is_empty);
        if !empty || now() < self.absent_until.get() {
            return Ok(());
        }
        let lookup = self
            .lookup
            .borrow_mut()
            .get_or_insert_with(|| {
                let (env, id) = (self.env.clone(), self.name());
                async move { drain_link::remembered(&env, &id).await }.boxed_local().shared()
            })
            .clone();
        let found = lookup.await;
        self.lookup.borrow_mut().take();
        match found? {
            Some(remembered) => self.step(|host, at| ((), host.remembered(at, remembered))),
            None => {
                self.absent_until.set(now() + ABSENT_FOR);
                Ok(())
            }
        }
    }

    async fn call(self: &Rc<Self>, req: &mut Request) -> Result<Response> {
        let answer = async {
            let call: RoomCall = body(req).await?;
            self.remember().await?;
            if let Some(shape) = self.with_host(|host, _| host.is_told_apart(&call))? {
                return Ok(Answer::Elsewhere(shape));
            }
            self.step(|host, at| host.call(at, call))?.map(Answer::Ok)
        };
        Response::ok(json(&answer.await.unwrap_or_else(Answer::Error)))
    }

    /// A user's object tells of a change.
    pub(super) async fn heard(self: &Rc<Self>, req: &mut Request) -> std::result::Result<Heard, ChatError> {
        let push: UserPush = body(req).await?;
        // A direct room has to know who is blocked even where nobody is there, or its storage was lost.
        if RoomId::parse(&self.name()).is_ok_and(|id| id.is_direct()) {
            self.remember().await?;
        }
        let here = self.step(|host, at| host.user(at, &push.user_id, push.standing))?;
        Ok(Heard { here })
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// The body of a call.
pub(super) async fn body<T: DeserializeOwned>(req: &mut Request) -> std::result::Result<T, ChatError> {
    let text = req.text().await.map_err(|e| broken("call", e))?;
    parsed(&text)
}

fn parsed<T: DeserializeOwned>(text: &str) -> std::result::Result<T, ChatError> {
    serde_json::from_str(text).map_err(|e| broken("call", json_fault(&e)))
}

/// An object's answer to a call.
pub(super) fn answered<T: serde::Serialize>(answer: std::result::Result<T, ChatError>) -> Result<Response> {
    let answer = match answer {
        Ok(value) => Answer::Ok(value),
        Err(error) => Answer::Error(error),
    };
    Response::ok(json(&answer))
}

impl DurableObject for Room {
    fn new(state: State, env: Env) -> Self {
        Self { inner: Inner::new(state, env) }
    }

    async fn fetch(&self, mut req: Request) -> Result<Response> {
        let inner = &self.inner;
        match req.path().as_str() {
            ROOM_SOCKET => inner.opens(&req).await,
            ROOM_CALL => inner.call(&mut req).await,
            ROOM_USER => answered(inner.heard(&mut req).await),
            ROOM_BEGIN => answered(inner.begin_for(&mut req).await),
            ROOM_UP => answered(inner.came_up(&mut req).await),
            _ => Response::error("no such call", 404),
        }
    }

    async fn websocket_message(&self, ws: WebSocket, message: WebSocketIncomingMessage) -> Result<()> {
        self.inner.message(&ws, message).await;
        Ok(())
    }

    async fn websocket_close(&self, ws: WebSocket, _code: usize, _reason: String, clean: bool) -> Result<()> {
        self.inner.closed(&ws, clean);
        Ok(())
    }

    async fn websocket_error(&self, ws: WebSocket, _error: Error) -> Result<()> {
        self.inner.closed(&ws, false);
        Ok(())
    }

    async fn alarm(&self) -> Result<Response> {
        self.inner.rings().await;
        Response::ok("")
    }
}
