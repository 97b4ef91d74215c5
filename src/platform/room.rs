//! The room's object: sockets, alarm and storage around [`Host`].

mod alarm;
mod effects;
mod queue;

use super::binding::{RawState, split};
use super::sqlite::Sqlite;
use super::util::{entropy, now, settings};
use super::{drain_link, log, user_link};
use crate::audience::{Attachment, SocketId, close_reason};
use crate::host::{Effects, Host, Moment, Waking};
use crate::protocol::call::{
    Answer, CALLER_HEADER, Caller, Heard, ROOM_CALL, ROOM_SOCKET, ROOM_USER, Remembered, RoomCall, UserPush,
};
use crate::protocol::wire::{goodbye, json};
use crate::protocol::{ChatError, ClientFrame, ErrorCode, RoomId, json_fault};
use futures::FutureExt;
use futures::future::{LocalBoxFuture, Shared};
use serde_json::value::RawValue;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use worker::*;

/// Sockets of one object; the platform's own bound is 32,768, and the bindings panic there.
const MOST_SOCKETS: usize = 32_000;
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

struct Inner {
    state: State,
    raw: RawState,
    env: Env,
    storage: RefCell<Option<Rc<Sqlite>>>,
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
}

pub(super) fn broken(context: &str, error: impl std::fmt::Display) -> ChatError {
    let told = ChatError::internal(&entropy());
    let error_id = told.error_id.as_deref().unwrap_or_default();
    log::error(&[("error_id", error_id)], format_args!("error {error_id}: {context}: {error}"));
    told
}

impl Inner {
    /// The room, loaded at the first event after each wake.
    fn load(self: &Rc<Self>) -> std::result::Result<Rc<Sqlite>, ChatError> {
        self.load_for(None)
    }

    /// The same; a frame of this socket is what wakes the room.
    fn load_for(self: &Rc<Self>, speaks: Option<&WebSocket>) -> std::result::Result<Rc<Sqlite>, ChatError> {
        if self.ended.get() {
            return Err(broken("step", "the object is about to end"));
        }
        if let Some(storage) = self.storage.borrow().as_ref() {
            return Ok(storage.clone());
        }
        let name = self.state.id().name().unwrap_or_default();
        let id = RoomId::parse(&name)?;
        let settings = settings(&self.env)?;
        let storage =
            Sqlite::open(self.state.storage().sql(), self.raw.storage().sql()).map_err(|e| broken("storage", e))?;
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
        let at = Moment { now: now(), entropy: entropy(), log: &storage };
        let mut waking = Waking { instance: hex(&at.entropy), wakes: 0 };
        let mut host = Host::load(id, settings, &at, attachments, waking.clone()).map_err(|e| broken("load", e))?;
        if !host.is_empty() {
            waking.wakes = storage.count_wake().map_err(|e| broken("load", e))?;
            let about = [("room", name.as_str()), ("instance", &waking.instance)];
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

    /// Also closed sockets whose peer never answers count for the platform; they are listed where it may come to that.
    fn is_full(&self) -> bool {
        let here = self.sockets.borrow().len();
        here >= MOST_SOCKETS || (here >= MOST_SOCKETS / 2 && self.state.get_websockets().len() >= MOST_SOCKETS)
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
        let storage = self.load()?;
        let at = Moment { now: now(), entropy: entropy(), log: storage.as_ref() };
        let (value, effects) = {
            let mut host = self.host.borrow_mut();
            let Some(host) = host.as_mut() else { return Err(broken("step", "no room is loaded")) };
            step(host, &at)
        };
        if let Err(error) = storage.write(&self.raw, &effects.write) {
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
                let (env, id) = (self.env.clone(), self.state.id().name().unwrap_or_default());
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

    async fn accept(self: &Rc<Self>, req: &Request) -> std::result::Result<Response, ChatError> {
        let caller = caller(req)?;
        self.remember().await?;
        if self.is_full() {
            let message = "This room holds as many viewers as one object can; come back in a moment.";
            return Err(ChatError::new(ErrorCode::Overloaded, message).retry_after(5_000));
        }
        let pair = WebSocketPair::new().map_err(|e| broken("socket", e))?;
        let server = pair.server;
        self.step(|host, at| match host.open(at, caller) {
            Ok((id, effects)) => {
                self.state.accept_websocket_with_tags(&server, &["v1"]);
                self.hold(id, server);
                (Ok(()), effects)
            }
            Err(error) => (Err(error), Effects::default()),
        })??;
        let mut response = Response::from_websocket(pair.client).map_err(|e| broken("socket", e))?;
        if let Ok(Some(protocol)) = req.headers().get("sec-websocket-protocol") {
            response.headers_mut().set("sec-websocket-protocol", &protocol).map_err(|e| broken("socket", e))?;
        }
        Ok(response)
    }

    async fn call(self: &Rc<Self>, req: &mut Request) -> std::result::Result<Box<RawValue>, ChatError> {
        let body = req.text().await.map_err(|e| broken("call", e))?;
        let call: RoomCall = serde_json::from_str(&body).map_err(|e| broken("call", json_fault(&e)))?;
        self.remember().await?;
        self.step(|host, at| host.call(at, call))?
    }

    /// A user's object tells of a change.
    async fn heard(self: &Rc<Self>, req: &mut Request) -> std::result::Result<Heard, ChatError> {
        let body = req.text().await.map_err(|e| broken("call", e))?;
        let push: UserPush = serde_json::from_str(&body).map_err(|e| broken("call", e))?;
        let here = self.step(|host, at| host.user(at, &push.user_id, push.standing))?;
        Ok(Heard { here })
    }

    /// Asks the object of the user behind a frame that needs it. Where there is no answer in time, the one that the
    /// room gets once it has let the user in puts it right.
    async fn ask_first(self: &Rc<Self>, id: SocketId, parsed: &std::result::Result<ClientFrame, ChatError>) {
        let user_id = {
            let Ok(storage) = self.load() else { return };
            let at = Moment { now: now(), entropy: entropy(), log: storage.as_ref() };
            self.host.borrow_mut().as_mut().and_then(|host| host.asks(&at, id, parsed))
        };
        let Some(user_id) = user_id else { return };
        let standing = user_link::standing_in_time(&self.env, &user_id).await;
        if let (Some(standing), Some(host)) = (standing, self.host.borrow_mut().as_mut()) {
            host.offer(id, standing);
        }
    }

    /// A socket is no more.
    fn gone(self: &Rc<Self>, socket: &WebSocket) {
        if self.load().is_ok()
            && let Some(id) = self.number(socket)
        {
            self.handle_queue_of(id);
            self.numbers.delete(socket.as_ref());
            // A socket that the room closed may end late, and its number be another one's by then.
            let ended: &JsValue = socket.as_ref();
            let is_another = |held: &WebSocket| {
                let held: &JsValue = held.as_ref();
                !js_sys::Object::is(held, ended)
            };
            if self.sockets.borrow().get(&id).is_some_and(is_another) {
                return;
            }
            self.sockets.borrow_mut().remove(&id);
            let _ = self.step(|host, at| ((), host.closed(at, id)));
        }
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Says goodbye where the room cannot.
fn part(socket: &WebSocket, error: &ChatError, after_ms: u64) {
    // A socket that is gone says so by its close event.
    let _ = socket.send_with_str(goodbye(error, true, after_ms));
    let _ = socket.close(Some(error.code.close()), Some(close_reason(true, after_ms)));
}

fn caller(req: &Request) -> std::result::Result<Caller, ChatError> {
    let header = req.headers().get(CALLER_HEADER).ok().flatten().unwrap_or_default();
    serde_json::from_str(&header).map_err(|e| broken("caller", json_fault(&e)))
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
        let (state, raw) = split(state);
        raw.end_lost_alarm();
        if let Ok(pair) = WebSocketRequestResponsePair::new(r#"{"event":"ping"}"#, r#"{"event":"pong"}"#) {
            state.set_websocket_auto_response(&pair);
        }
        let inner = Inner {
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
            queue: RefCell::default(),
        };
        Self { inner: Rc::new(inner) }
    }

    async fn fetch(&self, mut req: Request) -> Result<Response> {
        match req.path().as_str() {
            ROOM_SOCKET => match self.inner.accept(&req).await {
                Ok(response) => Ok(response),
                Err(error) => answered::<()>(Err(error)),
            },
            ROOM_CALL => answered(self.inner.call(&mut req).await),
            ROOM_USER => answered(self.inner.heard(&mut req).await),
            _ => Response::error("no such call", 404),
        }
    }

    async fn websocket_message(&self, ws: WebSocket, message: WebSocketIncomingMessage) -> Result<()> {
        if let Err(error) = self.inner.load_for(Some(&ws)) {
            part(&ws, &error, 5_000);
            return Ok(());
        }
        let Some(id) = self.inner.number(&ws) else { return Ok(()) };
        let done = match message {
            WebSocketIncomingMessage::String(text) => {
                let parsed = ClientFrame::parse(&text);
                if self.inner.gathers(&parsed) {
                    self.inner.queue(id, parsed, text.len());
                    return Ok(());
                }
                self.inner.handle_queue_of(id);
                self.inner.ask_first(id, &parsed).await;
                self.inner.step_of(id, |host, at| host.parsed(at, id, parsed))
            }
            WebSocketIncomingMessage::Binary(_) => {
                self.inner.handle_queue_of(id);
                self.inner.step_of(id, |host, at| host.binary(at, id))
            }
        };
        if let Err(error) = done {
            part(&ws, &error, 1_000);
        }
        Ok(())
    }

    async fn websocket_close(&self, ws: WebSocket, _code: usize, _reason: String, clean: bool) -> Result<()> {
        self.inner.gone(&ws);
        if clean {
            // The runtime's own answer leaves no sooner than this object sleeps.
            let _ = ws.close(Some(1000), None::<&str>);
        }
        Ok(())
    }

    async fn websocket_error(&self, ws: WebSocket, _error: Error) -> Result<()> {
        self.inner.gone(&ws);
        Ok(())
    }

    async fn alarm(&self) -> Result<Response> {
        self.inner.rings().await;
        Response::ok("")
    }
}
