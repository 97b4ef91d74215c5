//! A shard: begins with the end of the room's log, and hands up what its viewers want.

use super::super::shard_link;
use super::super::util::{entropy, now};
use super::{Inner, broken};
use crate::host::{Host, Moment};
use crate::protocol::shard::{Begin, Follower, Push, Pushed, parse_shard};
use crate::protocol::wire::Member;
use crate::protocol::{ChatError, ClientFrame};
use crate::room::{Replica, Tail};
use futures::FutureExt;
use futures::future::{LocalBoxFuture, Shared};
use std::rc::Rc;
use std::time::Duration;
use worker::Delay;

/// Where nothing is wrong with what a shard has, the room is asked again no sooner than this, ms.
const AGAIN: u64 = 1_000;
/// The waits between tries while viewers are there, ms.
const RETRY: (u64, u64) = (100, 5_000);

/// A begin under way: all who wait for it wait for the same.
pub(super) type Beginning = Shared<LocalBoxFuture<'static, Result<(), ChatError>>>;

impl Inner {
    /// Makes sure that a shard stands somewhere before it serves anybody.
    ///
    /// # Errors
    /// `unavailable` where the room does not answer.
    pub(super) async fn begins(self: &Rc<Self>) -> Result<(), ChatError> {
        if self.with_host(|host, _| host.needs_begin())? { self.begin().await } else { Ok(()) }
    }

    /// The same for who was sent here by a shape that this shard may not know yet.
    pub(super) async fn begins_by(self: &Rc<Self>, shape: u64) -> Result<(), ChatError> {
        self.begins().await?;
        let is_shard = parse_shard(&self.name()).is_some();
        if is_shard && self.with_host(|host, _| host.shape().version < shape)? { self.begin().await } else { Ok(()) }
    }

    /// The same for this frame, whose sender may have seen more of the log than this shard.
    pub(super) async fn begins_for(self: &Rc<Self>, parsed: &Result<ClientFrame, ChatError>) -> Result<(), ChatError> {
        self.begins().await?;
        let Ok(ClientFrame { event: Ok(event), .. }) = parsed else { return Ok(()) };
        if !self.with_host(|host, _| host.is_behind(event))? {
            return Ok(());
        }
        let wait = (self.began_at.get() + AGAIN).saturating_sub(now());
        if wait > 0 {
            Delay::from(Duration::from_millis(wait.min(AGAIN))).await;
        }
        if self.with_host(|host, _| host.is_behind(event))? { self.begin().await } else { Ok(()) }
    }

    /// Begins anew, once at a time.
    async fn begin(self: &Rc<Self>) -> Result<(), ChatError> {
        let under_way = self.beginning.borrow().clone();
        let beginning = under_way.unwrap_or_else(|| {
            let inner = self.clone();
            let beginning = async move {
                let done = inner.begin_alone().await;
                inner.beginning.borrow_mut().take();
                done
            };
            let beginning = beginning.boxed_local().shared();
            *self.beginning.borrow_mut() = Some(beginning.clone());
            // It goes on although nobody may wait for it any more.
            self.state.wait_until(beginning.clone().map(drop));
            beginning
        });
        beginning.await
    }

    async fn begin_alone(self: &Rc<Self>) -> Result<(), ChatError> {
        let name = self.name();
        let (room, shard) = parse_shard(&name).ok_or_else(|| broken("begin", "this is no shard"))?;
        let follower = Follower::Shard(shard);
        let Begin { v: _, seq, shape, totals, state, rows, reactions } =
            shard_link::begin(&self.env, room, follower, None).await?;
        self.began_at.set(now());
        let storage = self.load()?;
        let tail = Tail { rows, state, reactions };
        let effects = {
            let mut host = self.host.borrow_mut();
            let host = host.as_mut().filter(|host| host.is_news(tail.epoch(), seq));
            let Some(host) = host else { return Ok(()) };
            let storage = storage.following(Replica::begin(tail, follower.keeps()));
            let at = Moment { now: now(), entropy: entropy(), log: storage.log() };
            let effects = host.begun(&at, shape, totals).map_err(|e| broken("begin", e))?;
            *self.storage.borrow_mut() = Some(Rc::new(storage));
            effects
        };
        self.step(|_, _| ((), effects))
    }

    /// The room pushes.
    pub(in super::super) fn pushed(self: &Rc<Self>, push: Push) -> Result<Pushed, ChatError> {
        let pushed = self.step(|host, at| host.pushed(at, push))?;
        if self.has_viewers_to_begin_for() && self.beginning.borrow().is_none() {
            let inner = self.clone();
            self.state.wait_until(async move { inner.begin_behind().await });
        }
        Ok(pushed)
    }

    fn has_viewers_to_begin_for(self: &Rc<Self>) -> bool {
        !self.sockets.borrow().is_empty() && self.with_host(|host, _| host.needs_begin()).unwrap_or(false)
    }

    /// Begins for those who are here, however often it takes.
    async fn begin_behind(self: &Rc<Self>) {
        let (mut wait, most) = RETRY;
        while self.has_viewers_to_begin_for() {
            let _ = self.begin().await;
            if self.with_host(|host, _| host.needs_begin()).unwrap_or(true) {
                Delay::from(Duration::from_millis(wait)).await;
                wait = (wait * 2).min(most);
            }
        }
    }

    /// At most so many of those who are here.
    pub(in super::super) fn members_here(self: &Rc<Self>, limit: usize) -> Result<Vec<Member>, ChatError> {
        self.with_host(|host, _| host.members_here(limit))
    }

    /// Hands up what viewers want, while there is something.
    pub(super) fn up(self: &Rc<Self>) {
        let name = self.name();
        let Some((room, _)) = parse_shard(&name) else { return };
        let Ok(Some(up)) = self.with_host(Host::next_up) else { return };
        let (inner, room) = (self.clone(), room.to_owned());
        self.state.wait_until(async move {
            let down = shard_link::up(&inner.env, &room, &up).await;
            let _ = inner.step(|host, at| ((), host.came_down(at, down)));
        });
    }
}
