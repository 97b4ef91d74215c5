//! One session: its transport's handles, who is behind it, and the rooms that it is in.

use super::super::binding::RawSocket;
use super::super::util::now;
use super::part::Part;
use crate::audience::SocketId;
use crate::auth::Claims;
use crate::protocol::wire::Line;
use crate::protocol::{ChatError, ErrorCode, Position, Rate};
use crate::room::Window;
use crate::socketio::{Closed, Given, Session, offsets};
use futures::channel::oneshot::Sender;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use worker::WebSocket;

/// Messages of one client that wait while its room is asked for something.
const MOST_WAITING: usize = 300;

/// As many refusals are answered as bad frames of a native socket.
const REFUSALS: Rate = Rate { messages: 19, window_ms: 60_000 };

/// What a session's WebSocket is known by after the gateway has slept.
#[derive(Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) sid: String,
    /// It has not taken over yet.
    #[serde(default)]
    pub(super) change: bool,
}

/// What of a session outlives its connection for a while: all that it takes to come back.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Who {
    /// The id that everybody may know, and the one by which it is recovered.
    pub(super) id: String,
    pub(super) pid: String,
    /// What the token of the handshake said.
    #[serde(default)]
    pub(super) claims: Option<Claims>,
    /// A guest's random name.
    pub(super) guest: String,
}

/// What a room asks of a session that has read so far.
pub(super) struct Proof {
    pub(super) room: Rc<str>,
    pub(super) nonce: String,
}

/// What sessions, and rooms, want of their gateway at the end of an event, so that it need not look at all of them.
#[derive(Default)]
pub(super) struct Flags {
    /// Some are to end.
    pub(super) ends: Cell<bool>,
    /// Some of what is kept has changed.
    pub(super) changed: Cell<bool>,
    /// Some have to prove by a pong that they read.
    pub(super) asked: Cell<bool>,
    /// The frames that may be sent are to be shared anew among rooms.
    pub(super) shares: Cell<bool>,
}

/// A session's part in a room.
pub(super) struct Member {
    pub(super) part: Rc<Part>,
    pub(super) attachment: String,
    pub(super) joined: bool,
    /// How far it was shown the room.
    pub(super) at: Option<Position>,
    /// What the room answered to a join that recovers.
    pub(super) answer: Option<Result<Box<RawValue>, ChatError>>,
}

pub(super) struct Entry {
    pub(super) number: SocketId,
    pub(super) sid: String,
    pub(super) address: String,
    pub(super) who: RefCell<Who>,
    pub(super) session: RefCell<Session<Proof>>,
    pub(super) socket: RefCell<Option<WebSocket>>,
    /// The WebSocket that wants to take over.
    pub(super) change: RefCell<Option<WebSocket>>,
    pub(super) poll: RefCell<Option<Sender<String>>>,
    pub(super) rooms: RefCell<BTreeMap<Rc<str>, Member>>,
    /// What it is sent once its CONNECT is answered.
    held: RefCell<Option<Vec<Line>>>,
    /// Messages that came while another one is being handled, which may wait for a room: they keep their order.
    inbox: RefCell<VecDeque<String>>,
    handling: Cell<bool>,
    pub(super) ended: Cell<Option<Closed>>,
    refused: RefCell<Window>,
    changed: Cell<bool>,
    flags: Rc<Flags>,
}

impl Entry {
    pub(super) fn new(
        number: SocketId,
        sid: String,
        address: String,
        who: Who,
        session: Session<Proof>,
        flags: &Rc<Flags>,
    ) -> Rc<Self> {
        Rc::new(Self {
            number,
            sid,
            address,
            who: RefCell::new(who),
            session: RefCell::new(session),
            socket: RefCell::default(),
            change: RefCell::default(),
            poll: RefCell::default(),
            rooms: RefCell::default(),
            held: RefCell::default(),
            inbox: RefCell::default(),
            handling: Cell::default(),
            ended: Cell::default(),
            refused: RefCell::default(),
            changed: Cell::default(),
            flags: flags.clone(),
        })
    }

    /// Why it ends; the first reason stands.
    pub(super) fn end(&self, closed: Closed) {
        if self.ended.get().is_none() {
            self.ended.set(Some(closed));
            self.flags.ends.set(true);
        }
    }

    /// It was refused something that was no fault of the service's; what is one too many ends it.
    pub(super) fn counts_refusal(&self, error: &ChatError) {
        if matches!(error.code, ErrorCode::Unavailable | ErrorCode::Overloaded | ErrorCode::Internal) {
            return;
        }
        let (mut refused, now) = (self.refused.borrow_mut(), now());
        match refused.check(REFUSALS, now) {
            Ok(()) => refused.accepted(now),
            Err(_) => self.end(Closed::Malformed),
        }
    }

    /// What is kept of it has changed.
    pub(super) fn changes_kept(&self) {
        self.changed.set(true);
        self.flags.changed.set(true);
    }

    /// Whether that is so, and not written yet.
    pub(super) fn take_changed(&self) -> bool {
        self.changed.replace(false)
    }

    /// Its room wants to know whether it has read what it was sent.
    pub(super) fn is_to_prove(&self, proof: Proof, now: u64) {
        self.session.borrow_mut().prove(proof, now);
        if self.session.borrow().is_asked() {
            self.send(&"2".into(), None);
            self.flags.asked.set(true);
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.ended.get().is_none() && self.session.borrow().is_connected()
    }

    /// Puts a message behind those that wait. Whether the caller is to handle them, one after the other, until
    /// [`Entry::next_message`] has none.
    pub(super) fn queues(&self, text: &str) -> bool {
        let mut inbox = self.inbox.borrow_mut();
        if inbox.len() >= MOST_WAITING {
            self.end(Closed::Full);
            return false;
        }
        inbox.push_back(text.to_owned());
        !self.handling.replace(true)
    }

    /// The next message that waits.
    pub(super) fn next_message(&self) -> Option<String> {
        let next = self.inbox.borrow_mut().pop_front().filter(|_| self.ended.get().is_none());
        self.handling.set(next.is_some());
        next
    }

    /// From now on what it is sent waits for [`Entry::release`].
    pub(super) fn hold(&self) {
        *self.held.borrow_mut() = Some(Vec::new());
    }

    /// What waited.
    pub(super) fn release(&self) -> Vec<Line> {
        self.held.borrow_mut().take().unwrap_or_default()
    }

    /// Sends a message of Socket.IO's, as it goes over Engine.IO.
    pub(super) fn say(&self, packet: &str) {
        self.send(&packet.into(), None);
    }

    /// Sends a packet of Engine.IO's; `js` is the same as a string of JavaScript's, where that was made already.
    pub(super) fn send(&self, packet: &Line, js: Option<&JsValue>) {
        if self.ended.get().is_some() {
            return;
        }
        if let Some(held) = &mut *self.held.borrow_mut() {
            held.push(packet.clone());
            return;
        }
        let given = self.session.borrow_mut().give(packet.clone());
        match given {
            Given::Send => {
                if let Some(socket) = &*self.socket.borrow() {
                    match js {
                        Some(js) => send_js(socket, js),
                        None => send_js(socket, &JsValue::from_str(packet)),
                    }
                }
            }
            Given::Answer(body) => self.answer(body),
            Given::Kept => {}
            Given::Full => self.end(Closed::Full),
        }
    }

    /// Answers the poll that waits.
    pub(super) fn answer(&self, body: String) {
        if let Some(poll) = self.poll.borrow_mut().take() {
            let _ = poll.send(body);
        }
    }

    /// The same with nothing, if one waits.
    pub(super) fn release_poll(&self, body: &str) {
        if self.session.borrow_mut().unwait() {
            self.answer(body.into());
        }
    }

    /// How far it was shown its rooms, the newest of this one.
    pub(super) fn offset(&self, room: &str, at: Position) -> String {
        let rooms = self.rooms.borrow();
        let others = rooms.iter().filter(|(other, _)| &***other != room);
        let others = others.filter_map(|(other, member)| Some((&**other, member.at?)));
        offsets(others.chain([(room, at)]))
    }
}

pub(super) fn send_js(socket: &WebSocket, text: &JsValue) {
    let js: &worker::web_sys::WebSocket = socket.as_ref();
    // A socket that is gone says so by its close event.
    let _ = js.unchecked_ref::<RawSocket>().send_js(text);
}
