//! One session: its transport's handles, who is behind it, and the rooms that it is in.

use super::super::binding::RawSocket;
use super::super::util::now;
use super::part::Part;
use crate::audience::SocketId;
use crate::auth::Claims;
use crate::protocol::wire::json;
use crate::protocol::{ChatError, ErrorCode, Position, Rate};
use crate::room::Window;
use crate::socketio::{Closed, Given, Held, Outgoing, Polled, Session, Weight, offsets};
use futures::channel::oneshot::Sender;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use worker::WebSocket;

/// Messages of one client that wait while its room is asked for something, and their bytes.
const MOST_WAITING: usize = 300;
const MOST_WAITING_BYTES: usize = 256 * 1024;
/// What waits for, and of, all sessions of a gateway, in bytes; beyond it the session with the most of it ends.
pub(super) const MOST_HELD: usize = 24 << 20;

/// As many refusals are answered as bad frames of a native socket.
const REFUSALS: Rate = Rate { messages: 19, window_ms: 60_000 };

/// What a session's WebSocket is known by after the gateway has slept.
#[derive(Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) sid: String,
    /// It has not taken over yet.
    #[serde(default)]
    pub(super) change: bool,
    /// Where it comes from.
    #[serde(default)]
    pub(super) address: String,
    /// How far its rooms were shown: [`offsets`].
    #[serde(default)]
    pub(super) shown: String,
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
    /// Some were shown more of their rooms.
    pub(super) shown: Cell<bool>,
    /// What waits for sessions, and of them.
    pub(super) waits: Held,
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
    held: RefCell<Option<Vec<Outgoing>>>,
    /// Messages that came while another one is being handled, which may wait for a room: they keep their order.
    inbox: RefCell<VecDeque<String>>,
    /// Their bytes, with those of the one that is being handled; and of the body that they came in.
    inbox_bytes: Cell<usize>,
    handled_bytes: Cell<usize>,
    body_bytes: Cell<usize>,
    /// What it adds to what waits, the packets apart.
    weight: RefCell<Weight>,
    handling: Cell<bool>,
    pub(super) ended: Cell<Option<Closed>>,
    refused: RefCell<Window>,
    changed: Cell<bool>,
    shown: Cell<bool>,
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
            inbox_bytes: Cell::default(),
            handled_bytes: Cell::default(),
            body_bytes: Cell::default(),
            weight: RefCell::new(flags.waits.weight()),
            handling: Cell::default(),
            ended: Cell::default(),
            refused: RefCell::default(),
            changed: Cell::default(),
            shown: Cell::default(),
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
            self.say("2");
            self.flags.asked.set(true);
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.ended.get().is_none() && self.session.borrow().is_connected()
    }

    /// Puts a message behind those that wait. Whether the caller is to handle them, one after the other, until
    /// [`Entry::next_message`] has none.
    pub(super) fn queues(&self, text: &str) -> bool {
        let bytes = self.inbox_bytes.get() + text.len();
        if self.inbox.borrow().len() >= MOST_WAITING || bytes > MOST_WAITING_BYTES {
            self.overflows();
            return false;
        }
        self.inbox.borrow_mut().push_back(text.to_owned());
        self.inbox_bytes.set(bytes);
        let waits = self.handling.replace(true);
        if waits {
            self.weigh();
        }
        !waits
    }

    /// Bytes that wait for it and of it.
    pub(super) fn waiting(&self) -> usize {
        self.session.borrow().waiting().0 + self.inbox_bytes.get() + self.body_bytes.get()
    }

    /// What it adds to what waits may have changed.
    pub(super) fn weigh(&self) {
        let own = self.inbox_bytes.get() + self.body_bytes.get();
        self.weight.borrow_mut().set(self.session.borrow().waiting().1 + own);
    }

    /// The body of a POST is so large; 0 once it is done with.
    pub(super) fn holds_body(&self, bytes: usize) {
        self.body_bytes.set(bytes);
        self.weigh();
    }

    /// It ends because too much waits, and what does is gone at once.
    pub(super) fn overflows(&self) {
        self.end(Closed::Full);
        self.session.borrow_mut().lets_go();
        self.inbox.borrow_mut().clear();
        self.inbox_bytes.set(self.handled_bytes.get());
        self.weigh();
    }

    /// The next message that waits.
    pub(super) fn next_message(&self) -> Option<String> {
        let next = self.inbox.borrow_mut().pop_front().filter(|_| self.ended.get().is_none());
        let handled = self.handled_bytes.replace(next.as_ref().map_or(0, String::len));
        self.inbox_bytes.set(self.inbox_bytes.get().saturating_sub(handled));
        self.handling.set(next.is_some());
        self.weigh();
        next
    }

    /// From now on what it is sent waits for [`Entry::release`].
    pub(super) fn hold(&self) {
        *self.held.borrow_mut() = Some(Vec::new());
    }

    /// What waited.
    pub(super) fn release(&self) -> Vec<Outgoing> {
        self.held.borrow_mut().take().unwrap_or_default()
    }

    /// Sends a message of Socket.IO's, as it goes over Engine.IO.
    pub(super) fn say(&self, packet: &str) {
        self.send(&self.flags.waits.outgoing(packet), None);
    }

    /// Sends a packet of Engine.IO's; `js` is the same as a string of JavaScript's, where that was made already.
    pub(super) fn send(&self, packet: &Outgoing, js: Option<&JsValue>) {
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
            Given::Answer(body) => {
                self.weigh();
                self.answer(body);
            }
            Given::Kept => self.weigh(),
            Given::Full => self.overflows(),
        }
    }

    /// Answers the poll that waits.
    pub(super) fn answer(&self, body: String) {
        if let Some(poll) = self.poll.borrow_mut().take() {
            let _ = poll.send(body);
        }
    }

    /// The same with this, if one waits; whether it does.
    pub(super) fn release_poll(&self, body: &str) -> bool {
        let waits = self.session.borrow_mut().unwait();
        if waits {
            self.answer(body.into());
        }
        waits
    }

    /// Polls.
    pub(super) fn polled(&self) -> Polled {
        let polled = self.session.borrow_mut().poll();
        self.weigh();
        polled
    }

    /// It was shown a room up to there.
    pub(super) fn shows(&self, member: &mut Member, at: Position) {
        if member.at.replace(at) == Some(at) {
            return;
        }
        self.flags.shown.set(true);
        if !self.shown.get() {
            self.unmarks();
        }
    }

    /// What it was shown is to be kept with its WebSocket, which says nothing of it until then: where it said what is
    /// past, a client that comes back would hear again what came since.
    pub(super) fn unmarks(&self) {
        self.shown.set(true);
        self.flags.shown.set(true);
        if let Some(socket) = &*self.socket.borrow() {
            let _ = socket.serialize_attachment(json(&self.mark(false)));
        }
    }

    /// Whether that is so, and not kept yet.
    pub(super) fn take_shown(&self) -> bool {
        self.shown.replace(false)
    }

    /// What its WebSocket is known by.
    pub(super) fn mark(&self, change: bool) -> Mark {
        Mark { sid: self.sid.clone(), change, address: self.address.clone(), shown: String::new() }
    }

    /// The same, with how far it was shown its rooms.
    pub(super) fn full_mark(&self) -> Mark {
        let rooms = self.rooms.borrow();
        let shown = rooms.iter().filter_map(|(room, member)| Some((&**room, member.at?)));
        Mark { shown: offsets(shown), ..self.mark(false) }
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
