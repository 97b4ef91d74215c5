//! A room that has followers: what they are told, and what they ask.

use super::super::shard_link;
use super::{Inner, body, broken, parsed};
use crate::protocol::ChatError;
use crate::protocol::call::Caller;
use crate::protocol::shard::{Begin, Down, Follower, Up};
use std::rc::Rc;
use worker::Request;

impl Inner {
    /// Makes the pushes that are due. Each is by itself, so that a slow follower holds up no other.
    pub(super) fn push(self: &Rc<Self>) {
        for outgoing in self.with_host(|host, at| host.next_pushes(at)).unwrap_or_default() {
            let inner = self.clone();
            self.state.wait_until(async move {
                let to = outgoing.to.clone();
                let answers = shard_link::push(&inner.env, &inner.name(), outgoing).await;
                let _ = inner.step(|host, at| ((), host.pushed_to(at, &to, answers)));
            });
        }
    }

    /// All that a follower needs to begin.
    pub(super) async fn begin_for(self: &Rc<Self>, req: &mut Request) -> Result<Begin, ChatError> {
        let url = req.url().map_err(|e| broken("call", e))?;
        let follower = url.query_pairs().find_map(|(key, value)| Follower::of_query(&key, &value));
        let follower = follower.ok_or_else(|| broken("call", "no follower is named"))?;
        let text = req.text().await.map_err(|e| broken("call", e))?;
        let caller: Option<Caller> = if text.is_empty() { None } else { Some(parsed(&text)?) };
        let joins = caller.and_then(|caller| caller.identity);
        self.remember().await?;
        self.step(|host, at| host.begin_for(at, follower, joins.as_ref()))?
    }

    /// What a follower hands up.
    pub(super) async fn came_up(self: &Rc<Self>, req: &mut Request) -> Result<Down, ChatError> {
        let up: Up = body(req).await?;
        self.remember().await?;
        self.step(|host, at| host.up(at, up))
    }
}

/// What the query of a call names.
pub(in super::super) fn in_query<T: std::str::FromStr>(req: &Request, name: &str) -> Result<T, ChatError> {
    let url = req.url().map_err(|e| broken("call", e))?;
    let value = url.query_pairs().find(|(key, _)| key == name).and_then(|(_, value)| value.parse().ok());
    value.ok_or_else(|| broken("call", format!("{name} is not there")))
}
