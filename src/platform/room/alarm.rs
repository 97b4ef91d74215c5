//! The room's one alarm, and what it hands to PostgreSQL, Redis and the webhook.

use super::super::drain_link;
use super::super::util::{entropy, now};
use super::Inner;
use crate::host::{Batch, Drained, Host, Moment};
use crate::room::Read;
use crate::sinks::Sink;
use std::rc::Rc;

/// Batches in one alarm, so that other deadlines get their turn.
const BATCHES: usize = 50;

impl Inner {
    /// The alarm goes off.
    pub(in super::super) async fn rings(self: &Rc<Self>) {
        let _runs = self.raw.alarm_runs();
        self.alarm.set(0);
        self.handling.set(true);
        // What is due here does not wait for PostgreSQL.
        let batch = self.next_batch(Sink::Postgres);
        self.others();
        if self.step(|host, at| ((), host.tick(at))).is_err() || self.ended.get() {
            // A handler that keeps throwing is given up by the platform; so is one that forgets to come back.
            self.handling.set(false);
            self.raw.set_alarm(now() + 60_000);
            return;
        }
        let written = self.drain(Sink::Postgres, batch).await && self.expire();
        self.handling.set(false);
        match self.alarm.get() {
            _ if !written => self.raw.set_alarm(now() + 60_000),
            0 => {}
            at => self.raw.set_alarm(at),
        }
    }

    /// The next batch for a sink; from then on it counts as under way.
    fn next_batch(self: &Rc<Self>, sink: Sink) -> Read<Option<Batch>> {
        let Ok(storage) = self.load() else { return Ok(None) };
        let at = Moment { now: now(), entropy: entropy(), log: storage.log() };
        self.host.borrow_mut().as_mut().map_or(Ok(None), |host| host.batch(&at, sink))
    }

    /// Asks PostgreSQL what is over its time, if that is due, beside everything else. False where what is asked could
    /// not be told.
    fn expire(self: &Rc<Self>) -> bool {
        let Ok(asked) = self.step(|host, at| host.expiry_ask(at)) else { return false };
        let Some(asked) = asked else { return true };
        let inner = self.clone();
        self.state.wait_until(async move {
            let said = drain_link::expiry(&inner.env, &asked).await;
            let _ = inner.step(|host, at| ((), host.expiry_said(at, said)));
        });
        true
    }

    /// What was counted, for the header beside a call to the drain.
    pub(super) fn report_metrics(&self) -> Option<(u32, String)> {
        self.host.borrow_mut().as_mut().map(Host::report_metrics)
    }

    /// Whether that arrived.
    pub(super) fn reported(&self, ticket: u32, arrived: bool) {
        if let Some(host) = self.host.borrow_mut().as_mut() {
            host.reported(ticket, arrived);
        }
    }

    /// Hands what is due for Redis and the webhook on, beside everything else.
    pub(super) fn others(self: &Rc<Self>) {
        for sink in [Sink::Redis, Sink::Webhook] {
            let first = self.next_batch(sink);
            if !matches!(first, Ok(None)) {
                let inner = self.clone();
                self.state.wait_until(async move {
                    inner.drain(sink, first).await;
                });
            }
        }
    }

    /// Drains the log as far as it goes now, beginning with this batch. False where the outcome could not be written.
    async fn drain(self: &Rc<Self>, sink: Sink, first: Read<Option<Batch>>) -> bool {
        let mut first = Some(first);
        for _ in 0..BATCHES {
            let next = first.take().unwrap_or_else(|| self.next_batch(sink));
            let room = self.name();
            let drained = match next {
                Ok(Some(batch)) => {
                    let Some((ticket, metrics)) = self.report_metrics() else { return true };
                    let (drained, arrived) = drain_link::apply(&self.env, &room, sink, batch, Some(&metrics)).await;
                    self.reported(ticket, arrived);
                    drained
                }
                Ok(None) => return true,
                Err(fault) => Drained::Failed(fault.to_string()),
            };
            let stop = !matches!(drained, Drained::Cursor { .. });
            if self.step(|host, at| ((), host.drained(at, sink, drained))).is_err() {
                return false;
            }
            if stop {
                break;
            }
        }
        true
    }
}
