//! Sockets of an object: accepted, heard, gone.

use super::super::user_link;
use super::super::util::now;
use super::queue::Parsed;
use super::{CLOSED, Inner, broken};
use crate::audience::{Behind, SocketId, close_reason};
use crate::host::{Effects, Host};
use crate::protocol::call::{Answer, CALLER_HEADER, Caller, Standing};
use crate::protocol::wire::{goodbye, json};
use crate::protocol::{ChatError, ClientFrame, ErrorCode, json_fault, too_large};
use std::rc::Rc;
use wasm_bindgen::JsValue;
use worker::{Request, Response, Result, WebSocket, WebSocketIncomingMessage, WebSocketPair, js_sys};

/// Sockets of one object; the platform's own bound is 32,768, and the bindings panic there.
const MOST_SOCKETS: usize = 32_000;
/// A frame as it came: of text, with its bytes, or not.
pub(super) enum Came {
    Text(Parsed, usize),
    Binary,
}

impl Came {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(_, bytes) => *bytes,
            Self::Binary => 0,
        }
    }
}

impl Inner {
    /// Also closed sockets whose peer never answers count for the platform; they are listed where it may come to that.
    fn is_full(&self) -> bool {
        let here = self.sockets.borrow().len();
        here >= MOST_SOCKETS || (here >= MOST_SOCKETS / 2 && self.state.get_websockets().len() >= MOST_SOCKETS)
    }

    /// Answers an upgrade.
    pub(in super::super) async fn opens(self: &Rc<Self>, req: &Request) -> Result<Response> {
        match self.accept(req).await {
            Ok(Answer::Ok(response)) => Ok(response),
            Ok(Answer::Elsewhere(shape)) => Response::ok(json(&Answer::<()>::Elsewhere(shape))),
            Ok(Answer::Error(error)) | Err(error) => Response::ok(json(&Answer::<()>::Error(error))),
        }
    }

    async fn accept(self: &Rc<Self>, req: &Request) -> std::result::Result<Answer<Response>, ChatError> {
        let mut caller = caller(req)?;
        self.remember().await?;
        self.begins_by(caller.shape).await?;
        let serves = |caller: &Caller| self.with_host(|host, _| host.serves(caller.shard_key(), caller.shape));
        // Whom another object serves it asks for itself.
        if let Err(shape) = serves(&caller)? {
            return Ok(Answer::Elsewhere(shape));
        }
        let awaited = self.asks_who_comes(&mut caller).await?;
        // Nothing is awaited from here on: many may come at once.
        if let Err(shape) = serves(&caller)? {
            return Ok(Answer::Elsewhere(shape));
        }
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
                host.awaits(id, awaited);
                (Ok(()), effects)
            }
            Err(error) => (Err(error), Effects::default()),
        })??;
        let mut response = Response::from_websocket(pair.client).map_err(|e| broken("socket", e))?;
        if let Ok(Some(protocol)) = req.headers().get("sec-websocket-protocol") {
            response.headers_mut().set("sec-websocket-protocol", &protocol).map_err(|e| broken("socket", e))?;
        }
        Ok(Answer::Ok(response))
    }

    /// Asks the object of a user who comes, unless what it would say is known here; whether that object tells of what
    /// changes from now on.
    async fn asks_who_comes(&self, caller: &mut Caller) -> std::result::Result<bool, ChatError> {
        let Some(who) = caller.identity.as_ref().filter(|_| caller.standing.is_none()) else { return Ok(false) };
        let known = self.host.borrow().as_ref().is_some_and(|host| host.knows(&who.user_id, now()));
        if known {
            return Ok(false);
        }
        let Some(coming) = user_link::comes(&self.env, &who.user_id, &self.name()).await else { return Ok(false) };
        coming.standing.check(who.iat_ms)?;
        caller.standing = Some(coming.standing);
        Ok(coming.awaited)
    }

    /// A frame came in. The platform hands in a socket's next one while this one waits for another object, so it waits
    /// here behind it.
    pub(in super::super) async fn message(self: &Rc<Self>, ws: &WebSocket, message: WebSocketIncomingMessage) {
        if let Err(error) = self.load_for(Some(ws)) {
            return part(ws, &error, 5_000);
        }
        let Some(id) = self.number(ws).filter(|id| self.is_held(*id, ws)) else { return };
        let came = match message {
            WebSocketIncomingMessage::String(text) => Came::Text(self.sized(ClientFrame::parse(&text)), text.len()),
            WebSocketIncomingMessage::Binary(_) => Came::Binary,
        };
        let waits = self.behind.borrow().contains_key(&id);
        if waits {
            let bytes = came.bytes();
            let taken = self.behind.borrow_mut().get_mut(&id).is_some_and(|behind| behind.takes(came, bytes));
            if !taken {
                let message = "More was sent than can wait behind what is asked for now.";
                self.lets_go(id, ws, &ChatError::new(ErrorCode::Overloaded, message));
            }
            return;
        }
        self.behind.borrow_mut().insert(id, Behind::default());
        let mut next = Some(came);
        while let Some(came) = next {
            if let Err(error) = self.handle(id, ws, came).await {
                return self.lets_go(id, ws, &error);
            }
            // What waited went with it, and the number may be another one's by now.
            if !self.is_held(id, ws) {
                return;
            }
            next = self.next_behind(id);
        }
    }

    /// Whether this is the socket of that number: of one that was closed frames may still come.
    fn is_held(&self, id: SocketId, ws: &WebSocket) -> bool {
        let ws: &JsValue = ws.as_ref();
        self.sockets.borrow().get(&id).is_some_and(|held| {
            let held: &JsValue = held.as_ref();
            js_sys::Object::is(held, ws)
        })
    }

    /// A frame that is too large for this room is refused before it waits.
    fn sized(&self, parsed: Parsed) -> Parsed {
        let fits = || self.host.borrow().as_ref().is_none_or(Host::may_take_large);
        match parsed {
            Ok(ClientFrame { id, large: true, .. }) if !fits() => {
                Ok(ClientFrame { id, event: Err(too_large()), large: false })
            }
            parsed => parsed,
        }
    }

    /// Parts with a socket of which a frame could not be done: nothing that came after it is done either.
    fn lets_go(self: &Rc<Self>, id: SocketId, ws: &WebSocket, error: &ChatError) {
        self.handle_queue_of(id);
        if self.is_held(id, ws) {
            part(ws, error, 1_000);
            let _ = ws.serialize_attachment(CLOSED);
            self.forgets(id, ws);
        }
    }

    /// From now on frames of this socket are nobody's.
    fn forgets(self: &Rc<Self>, id: SocketId, ws: &WebSocket) {
        self.numbers.delete(ws.as_ref());
        self.behind.borrow_mut().remove(&id);
        self.sockets.borrow_mut().remove(&id);
        let _ = self.step(|host, at| ((), host.closed(at, id)));
    }

    /// The next frame of a socket that waits; where there is none, the next one that comes need not.
    fn next_behind(&self, id: SocketId) -> Option<Came> {
        let mut behind = self.behind.borrow_mut();
        let next = behind.get_mut(&id).and_then(Behind::pop);
        if next.is_none() {
            behind.remove(&id);
        }
        next
    }

    async fn handle(self: &Rc<Self>, id: SocketId, ws: &WebSocket, came: Came) -> std::result::Result<(), ChatError> {
        let Came::Text(parsed, bytes) = came else {
            self.handle_queue_of(id);
            return self.step_of(id, |host, at| host.binary(at, id));
        };
        self.begins_for(&parsed).await?;
        if !self.is_held(id, ws) {
            return Ok(());
        }
        if self.gathers(&parsed) {
            self.queue(id, parsed, bytes);
            return Ok(());
        }
        self.handle_queue_of(id);
        let standing = self.ask_first(id, &parsed).await;
        if !self.is_held(id, ws) {
            return Ok(());
        }
        if let (Some(standing), Some(host)) = (standing, self.host.borrow_mut().as_mut()) {
            host.offer(id, standing);
        }
        self.step_of(id, |host, at| host.parsed(at, id, parsed))
    }

    /// Asks the object of the user behind a frame that needs it. Where there is no answer in time, the one that the
    /// room gets once it has let the user in puts it right.
    async fn ask_first(self: &Rc<Self>, id: SocketId, parsed: &Parsed) -> Option<Standing> {
        let user_id = self.with_host(|host, at| host.asks(at, id, parsed)).ok()??;
        user_link::standing_in_time(&self.env, &user_id).await
    }

    /// A socket is no more.
    pub(in super::super) fn closed(self: &Rc<Self>, ws: &WebSocket, clean: bool) {
        self.gone(ws);
        if clean {
            // The runtime's own answer leaves no sooner than this object sleeps.
            let _ = ws.close(Some(1000), None::<&str>);
        }
    }

    fn gone(self: &Rc<Self>, socket: &WebSocket) {
        if self.load().is_ok()
            && let Some(id) = self.number(socket)
        {
            self.handle_queue_of(id);
            // A socket that the room closed may end late, and its number be another one's by then.
            let is_another = self.sockets.borrow().contains_key(&id) && !self.is_held(id, socket);
            if is_another {
                self.numbers.delete(socket.as_ref());
                return;
            }
            self.forgets(id, socket);
        }
    }
}

/// Says goodbye where the room cannot.
pub(super) fn part(socket: &WebSocket, error: &ChatError, after_ms: u64) {
    // A socket that is gone says so by its close event.
    let _ = socket.send_with_str(goodbye(error, true, after_ms));
    let _ = socket.close(Some(error.code.close()), Some(close_reason(true, after_ms)));
}

fn caller(req: &Request) -> std::result::Result<Caller, ChatError> {
    let header = req.headers().get(CALLER_HEADER).ok().flatten().unwrap_or_default();
    serde_json::from_str(&header).map_err(|e| broken("caller", json_fault(&e)))
}
