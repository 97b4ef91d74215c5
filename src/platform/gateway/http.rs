//! Engine.IO's requests, as the Worker hands them on: handshakes, polls, bodies, WebSockets.

use super::super::drain_link::within;
use super::super::util::{entropy, now, settings};
use super::entry::{Entry, Mark, Who};
use super::{CROWDED, FULL, Inner, UNKNOWN, broken};
use crate::protocol::call::{CALLER_HEADER, Caller};
use crate::protocol::json_fault;
use crate::protocol::wire::json;
use crate::socketio::{
    CONNECT_WITHIN, Closed, PING_INTERVAL, Polled, Received, Refused, Session, Via, open_packet, sid,
};
use futures::channel::oneshot;
use std::rc::Rc;
use worker::*;

/// Handshakes from one address that may be under way at once.
const MOST_HALF_OPEN: usize = 200;
/// One address has no more than this part of the places.
const SHARE_OF_ADDRESS: usize = 2;
/// A poll is answered within so much at the latest, ms: the ping comes sooner.
const POLL_WITHIN: u64 = PING_INTERVAL + 5_000;

fn refused(why: Refused) -> Result<Response> {
    // That a session is unknown the Worker counts.
    let status = if why == Refused::Sid { UNKNOWN } else { 400 };
    Ok(Response::ok(why.body())?.with_status(status))
}

impl Inner {
    /// A handshake. [`FULL`], or [`CROWDED`] where too many sessions, or handshakes under way, are of that address.
    pub(super) fn opens(self: &Rc<Self>, req: &Request, websocket: bool) -> Result<Response> {
        let header = req.headers().get(CALLER_HEADER)?.unwrap_or_default();
        let caller: Caller = match serde_json::from_str(&header) {
            Ok(caller) => caller,
            Err(error) => return Response::error(broken("caller", json_fault(&error)).message, 500),
        };
        let most = settings(&self.env).map_or(0, |settings| settings.gateway_sessions);
        if self.sessions.borrow().len() >= most || self.holds_much() {
            return Response::error("full", FULL);
        }
        if !caller.address.is_empty() {
            let sessions = self.sessions.borrow();
            let own = sessions.values().filter(|entry| entry.address == caller.address);
            let under_way = own.clone().filter(|entry| !entry.session.borrow().is_connected());
            if own.count() >= most / SHARE_OF_ADDRESS || under_way.count() >= MOST_HALF_OPEN {
                return Response::error("too many of one address", CROWDED);
            }
        }
        if self.sessions.borrow().is_empty() {
            // Nobody was pinged lately, and nobody has to be at once.
            self.beats_from(now());
        }
        let number = self.next_number();
        let sid = sid(self.number(), &entropy());
        let who = Who { guest: caller.guest, ..Who::default() };
        let entry = Entry::new(number, sid.clone(), caller.address, who, Session::new(websocket, now()), &self.flags);
        self.hold(&entry);
        self.watch(now() + CONNECT_WITHIN);
        self.arm();
        let open = open_packet(&sid, !websocket);
        if !websocket {
            return Response::ok(open);
        }
        let pair = WebSocketPair::new()?;
        self.accept(&pair.server, &entry.mark(false))?;
        *entry.socket.borrow_mut() = Some(pair.server);
        entry.say(&open);
        Response::from_websocket(pair.client)
    }

    fn accept(&self, socket: &WebSocket, mark: &Mark) -> Result<()> {
        self.state.accept_websocket_with_tags(socket, &["v1"]);
        socket.serialize_attachment(json(mark))
    }

    /// A GET of a session that polls.
    pub(super) async fn polls(self: &Rc<Self>, sid: &str) -> Result<Response> {
        let gone = || self.farewell_of(sid).map_or_else(|| refused(Refused::Sid), Response::ok);
        let Some(entry) = self.session(sid) else { return gone() };
        let proved = entry.session.borrow_mut().proved(true);
        self.prove(&entry, proved);
        self.settle();
        if entry.ended.get().is_some() {
            return gone();
        }
        match entry.polled() {
            Polled::Answer(body) => Response::ok(body),
            Polled::Refuse => refused(Refused::Bad),
            Polled::End(closed) => {
                entry.end(closed);
                self.settle();
                refused(Refused::Bad)
            }
            Polled::Wait => {
                let (sender, waits) = oneshot::channel();
                *entry.poll.borrow_mut() = Some(sender);
                let body = within(POLL_WITHIN, waits).await;
                let body = match body {
                    Ok(body) => body.ok(),
                    Err(_) => {
                        entry.poll.borrow_mut().take();
                        entry.session.borrow_mut().unwait();
                        None
                    }
                };
                Response::ok(body.unwrap_or_else(|| "6".into()))
            }
        }
    }

    /// A POST of a session that polls.
    pub(super) async fn posts(self: &Rc<Self>, sid: &str, body: &str) -> Result<Response> {
        let Some(entry) = self.session(sid) else { return refused(Refused::Sid) };
        if entry.session.borrow().is_websocket() {
            return refused(Refused::Bad);
        }
        let packets = match entry.session.borrow_mut().post(body) {
            Ok(packets) => packets,
            Err(closed) => {
                entry.end(closed);
                Vec::new()
            }
        };
        entry.holds_body(body.len());
        self.lighten(&self.sessions.borrow());
        for packet in packets {
            self.takes(&entry, Via::Post, packet).await;
        }
        entry.session.borrow_mut().posted();
        entry.holds_body(0);
        let malformed = matches!(entry.ended.get(), Some(Closed::Malformed | Closed::Full));
        self.settle();
        if malformed { refused(Refused::Bad) } else { Response::ok("ok") }
    }

    /// A WebSocket that is to take over from polling.
    pub(super) fn changes(self: &Rc<Self>, sid: &str) -> Result<Response> {
        let Some(entry) = self.session(sid) else { return refused(Refused::Sid) };
        if !entry.session.borrow_mut().changes(now()) {
            return refused(Refused::Bad);
        }
        self.watch(now() + CONNECT_WITHIN);
        self.arm();
        let opened = WebSocketPair::new().and_then(|pair| {
            let accepted = self.accept(&pair.server, &entry.mark(true));
            *entry.change.borrow_mut() = Some(pair.server);
            accepted.map(|()| pair.client)
        });
        Response::from_websocket(opened.inspect_err(|_| self.stays(&entry))?)
    }

    /// Something came over a WebSocket.
    pub(super) async fn message(self: &Rc<Self>, socket: &WebSocket, message: WebSocketIncomingMessage) {
        let mark = mark_of(socket);
        let entry = mark.as_ref().and_then(|mark| self.session(&mark.sid));
        let (Some(mark), Some(entry)) = (mark, entry) else {
            let _ = socket.close(Some(1000), None::<&str>);
            return;
        };
        match message {
            WebSocketIncomingMessage::String(text) if text.len() <= crate::socketio::MAX_PAYLOAD => {
                let via = if mark.change { Via::Change } else { Via::WebSocket };
                self.takes(&entry, via, &text).await;
            }
            WebSocketIncomingMessage::Binary(_) if !mark.change && entry.session.borrow_mut().takes_binary() => {}
            _ => entry.end(Closed::Malformed),
        }
        self.settle();
    }

    /// A packet came in.
    async fn takes(self: &Rc<Self>, entry: &Rc<Entry>, via: Via, packet: &str) {
        if entry.ended.get().is_some() {
            return;
        }
        let received = entry.session.borrow_mut().received(via, packet, now());
        match received {
            Received::Nothing => {}
            Received::Message(text) => {
                if entry.queues(text) {
                    while let Some(text) = entry.next_message() {
                        self.hears(entry, &text).await;
                    }
                }
            }
            Received::Probe => {
                if let Some(socket) = &*entry.change.borrow() {
                    let _ = socket.send_with_str("3probe");
                }
                entry.release_poll("6");
            }
            Received::Upgraded(kept) => {
                if let Some(socket) = entry.change.borrow_mut().take() {
                    *entry.socket.borrow_mut() = Some(socket);
                    entry.unmarks();
                }
                entry.changes_kept();
                entry.release_poll("6");
                kept.iter().for_each(|packet| entry.send(packet, None));
                entry.weigh();
                if entry.session.borrow().is_asked() {
                    entry.say("2");
                    self.flags.asked.set(true);
                }
            }
            // A WebSocket that does not take over leaves the session where it is.
            Received::End(_) if via == Via::Change => {
                self.stays(entry);
            }
            Received::End(closed) => entry.end(closed),
        }
    }

    pub(super) fn stays(&self, entry: &Entry) {
        entry.session.borrow_mut().stays();
        if let Some(socket) = entry.change.borrow_mut().take() {
            let _ = socket.close(Some(1000), None::<&str>);
        }
    }

    /// A WebSocket is no more.
    pub(super) fn closed(self: &Rc<Self>, socket: &WebSocket, clean: bool) {
        if let Some(mark) = mark_of(socket)
            && let Some(entry) = self.session(&mark.sid)
        {
            if mark.change {
                self.stays(&entry);
            } else {
                entry.end(Closed::Lost);
            }
        }
        if clean {
            // The runtime's own answer leaves no sooner than this object sleeps.
            let _ = socket.close(Some(1000), None::<&str>);
        }
        self.settle();
    }
}

pub(super) fn mark_of(socket: &WebSocket) -> Option<Mark> {
    let text = socket.deserialize_attachment::<String>().ok().flatten()?;
    serde_json::from_str(&text).ok()
}
