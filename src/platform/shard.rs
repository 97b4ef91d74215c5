//! A shard's object, made of the same as a room's; under a relay's name it hands the room's pushes on.

use super::room::{Inner, answered, body, in_query};
use super::shard_link;
use crate::protocol::ChatError;
use crate::protocol::call::{ROOM_SOCKET, ROOM_USER};
use crate::protocol::shard::{RELAY_PUSH, Relayed, SHARD_MEMBERS, SHARD_PUSH, parse_relay};
use std::rc::Rc;
use worker::*;

/// A part of a split room's audience, or a relay above such parts.
#[durable_object]
pub struct Shard {
    inner: Rc<Inner>,
}

impl DurableObject for Shard {
    fn new(state: State, env: Env) -> Self {
        Self { inner: Inner::new(state, env) }
    }

    async fn fetch(&self, mut req: Request) -> Result<Response> {
        let inner = &self.inner;
        match req.path().as_str() {
            ROOM_SOCKET => inner.opens(&req).await,
            ROOM_USER => answered(inner.heard(&mut req).await),
            SHARD_PUSH => answered(async { inner.pushed(body(&mut req).await?) }.await),
            SHARD_MEMBERS => answered(in_query(&req, "limit").and_then(|limit| inner.members_here(limit))),
            RELAY_PUSH => {
                let relayed: std::result::Result<Relayed, ChatError> = body(&mut req).await;
                let name = inner.name();
                let (Ok(relayed), Some(room)) = (relayed, parse_relay(&name)) else {
                    return Response::error("no such call", 404);
                };
                answered(Ok(shard_link::relay(inner.env(), room, &relayed).await))
            }
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
