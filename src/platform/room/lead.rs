//! A room that is split: what its shards are told, and what they ask.

use super::super::shard_link;
use super::{Inner, body, broken};
use crate::protocol::ChatError;
use crate::protocol::shard::{Begin, Down, Up};
use std::rc::Rc;
use worker::Request;

impl Inner {
    /// Makes the pushes that are due. Each is by itself, so that a slow shard holds up no other.
    pub(super) fn push(self: &Rc<Self>) {
        for outgoing in self.with_host(|host, at| host.next_pushes(at)).unwrap_or_default() {
            let inner = self.clone();
            self.state.wait_until(async move {
                let shards = outgoing.shards.clone();
                let answers = shard_link::push(&inner.env, &inner.name(), outgoing).await;
                let _ = inner.step(|host, at| ((), host.pushed_to(at, &shards, answers)));
            });
        }
    }

    /// All that a shard needs to begin.
    pub(super) async fn begin_for(self: &Rc<Self>, req: &Request) -> Result<Begin, ChatError> {
        let shard = number_in(req, "shard")?;
        self.remember().await?;
        self.step(|host, at| host.begin_for(at, shard))?
    }

    /// What a shard hands up.
    pub(super) async fn came_up(self: &Rc<Self>, req: &mut Request) -> Result<Down, ChatError> {
        let up: Up = body(req).await?;
        self.remember().await?;
        self.step(|host, at| host.up(at, up))
    }
}

/// A number in the query of a call.
pub(in super::super) fn number_in<T: std::str::FromStr>(req: &Request, name: &str) -> Result<T, ChatError> {
    let url = req.url().map_err(|e| broken("call", e))?;
    let number = url.query_pairs().find(|(key, _)| key == name).and_then(|(_, value)| value.parse().ok());
    number.ok_or_else(|| broken("call", format!("{name} is not there")))
}
