//! Sockets of a user's inbox, held by the user's object while it sleeps.

use super::user::Inner;
use super::util::now;
use crate::audience::close_reason;
use crate::auth::Identity;
use crate::protocol::call::{CALLER_HEADER, UserAsk, UserCall, VERSION};
use crate::protocol::inbox::{InboxCommand, read_command};
use crate::protocol::wire::{self, Line, goodbye, json};
use crate::protocol::{ChatError, ErrorCode, FrameId, json_fault};
use crate::user::Step;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use worker::{Request, Response, Result, WebSocket, WebSocketIncomingMessage, WebSocketPair};

/// Sockets of one inbox.
const MOST: usize = 20;

/// What a socket's token says.
#[derive(Serialize, Deserialize)]
struct Attachment {
    iat_ms: Option<u64>,
    exp_ms: u64,
}

fn of(socket: &WebSocket) -> Option<Attachment> {
    let text = socket.deserialize_attachment::<String>().ok().flatten()?;
    serde_json::from_str(&text).ok()
}

fn part(socket: &WebSocket, error: &ChatError) {
    let (retry, after_ms) = error.come_back().map_or((false, 0), |after_ms| (true, after_ms));
    // A socket that is gone says so by its close event.
    let _ = socket.send_with_str(goodbye(error, retry, after_ms));
    let _ = socket.serialize_attachment("closed");
    let _ = socket.close(Some(error.code.close()), Some(close_reason(retry, after_ms)));
}

impl Inner {
    /// Those that were not closed here.
    fn open_sockets(&self) -> impl Iterator<Item = (WebSocket, Attachment)> {
        self.state.get_websockets().into_iter().filter_map(|socket| of(&socket).map(|attachment| (socket, attachment)))
    }

    /// Answers an upgrade.
    pub(super) fn opens(self: &Rc<Self>, req: &Request) -> std::result::Result<Response, ChatError> {
        let header = req.headers().get(CALLER_HEADER).ok().flatten().unwrap_or_default();
        let who: Identity = serde_json::from_str(&header).map_err(|e| super::room::broken("caller", json_fault(&e)))?;
        let inbox =
            self.step(|user, _| (user.standing().check(who.iat_ms).map(|()| user.inbox()), Step::default()))??;
        if self.open_sockets().count() >= MOST {
            let message = "You have your inbox open as often as one may; close a tab first.";
            return Err(ChatError::new(ErrorCode::TooManySockets, message));
        }
        let fault = |error: worker::Error| super::room::broken("socket", error);
        let pair = WebSocketPair::new().map_err(fault)?;
        self.state.accept_websocket_with_tags(&pair.server, &["v1"]);
        let attachment = Attachment { iat_ms: who.iat_ms, exp_ms: who.exp_ms };
        pair.server.serialize_attachment(json(&attachment)).map_err(fault)?;
        pair.server.send_with_str(&*inbox).map_err(fault)?;
        // Its token's end is to be waited for.
        self.step(|user, now| ((), user.rest(now)))?;
        let mut response = Response::from_websocket(pair.client).map_err(fault)?;
        if let Ok(Some(protocol)) = req.headers().get("sec-websocket-protocol") {
            response.headers_mut().set("sec-websocket-protocol", &protocol).map_err(fault)?;
        }
        Ok(response)
    }

    /// To all that are open.
    pub(super) fn say(&self, lines: &[Line]) {
        if lines.is_empty() {
            return;
        }
        let text = lines.join("\n");
        self.open_sockets().for_each(|(socket, _)| drop(socket.send_with_str(&text)));
    }

    /// When the first token ends, ms.
    pub(super) fn next_end(&self) -> Option<u64> {
        self.open_sockets().map(|(_, attachment)| attachment.exp_ms).min()
    }

    /// Closes those whose tokens do not count any more.
    pub(super) fn review(&self) {
        for (socket, Attachment { iat_ms, exp_ms }) in self.open_sockets() {
            let over =
                ChatError::new(ErrorCode::TokenExpired, "Your token's time is over; come back with a newer one.");
            let standing = self.user.borrow().as_ref().map_or(Ok(()), |user| user.standing().check(iat_ms));
            let counts = if exp_ms <= now() { Err(over) } else { standing };
            if let Err(error) = counts {
                part(&socket, &error);
            }
        }
    }

    /// A frame came in.
    pub(super) fn frame(self: &Rc<Self>, socket: &WebSocket, message: WebSocketIncomingMessage) {
        let Some(Attachment { iat_ms, exp_ms }) = of(socket) else { return };
        if exp_ms <= now() {
            return self.review();
        }
        let read = match message {
            WebSocketIncomingMessage::String(text) => read_command(&text),
            WebSocketIncomingMessage::Binary(_) => {
                Err(ChatError::new(ErrorCode::BadFrame, "Frames are text; binary ones are not part of this protocol."))
            }
        };
        let (id, command) = match read {
            Ok(read) => read,
            Err(error) => return part(socket, &error),
        };
        let done = command.and_then(|command| match command {
            InboxCommand::Ping => Ok(()),
            InboxCommand::MarkRead(read) => {
                let call = UserCall { v: VERSION, iat_ms, ask: UserAsk::MarkRead(read) };
                self.step(|user, now| user.call(call, now)).and_then(|answer| answer.map(drop))
            }
        });
        let line = match (&id, &done) {
            (Some(id), Ok(())) => wire::reply(id, &serde_json::Map::new()),
            (None, Ok(())) => return,
            (id, Err(error)) => refusal(id.as_ref(), error),
        };
        let _ = socket.send_with_str(&*line);
    }
}

fn refusal(id: Option<&FrameId>, error: &ChatError) -> Line {
    id.map_or_else(|| wire::event(None, "error", error), |id| wire::refusal(id, error))
}

/// An answer to an upgrade that was refused.
pub(super) fn refused(error: ChatError) -> Result<Response> {
    Response::ok(json(&crate::protocol::call::Answer::<()>::Error(error)))
}
