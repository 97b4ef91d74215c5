//! What a room counts for its operator, until it hands it to its drain beside a batch.

use super::{Counters, Host, count};
use crate::audience::{Out, SocketId, To};
use crate::metrics::{Behind, Gauges, Metrics, Report};
use crate::protocol::wire::json;
use crate::protocol::{ErrorCode, Took};
use crate::room::Room;
use crate::sinks::Sink;
use std::collections::BTreeMap;

/// What was counted, and what of it is known to have arrived.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Since it was handed on last.
    pub(super) new: Metrics,
    /// On its way, by ticket.
    under_way: BTreeMap<u32, Metrics>,
    tickets: u32,
    /// Since the object was built, of what has arrived.
    arrived: Metrics,
    /// The object's own counters as they were when they were handed on last.
    handed: Counters,
    postgres: Follower,
    redis: Follower,
    webhook: Follower,
}

/// When a follower of the log was last up to date.
#[derive(Debug, Default)]
struct Follower {
    /// Since when it lacks some of the log, ms.
    since: Option<u64>,
    /// When the batch that is on its way was made, ms, and whether it reaches the log's end.
    batch: Option<(u64, bool)>,
}

impl Counted {
    fn follower(&mut self, sink: Sink) -> &mut Follower {
        match sink {
            Sink::Postgres => &mut self.postgres,
            Sink::Redis => &mut self.redis,
            Sink::Webhook => &mut self.webhook,
        }
    }

    /// The follower lacks some of the log.
    pub(super) fn lacks(&mut self, sink: Sink, now: u64) {
        self.follower(sink).since.get_or_insert(now);
    }

    /// It lacks nothing but what may not be shown before `shown_at`, ms.
    pub(super) fn waits(&mut self, sink: Sink, shown_at: u64) {
        self.follower(sink).since = Some(shown_at);
    }

    /// A batch is on its way, with all that may be shown by now, or not.
    pub(super) fn batch(&mut self, sink: Sink, now: u64, to_the_end: bool) {
        self.follower(sink).batch = Some((now, to_the_end));
    }

    /// Its outcome is known. What comes after a batch that reached the log's end is younger than it.
    pub(super) fn outcome(&mut self, sink: Sink, now: u64, moved: bool, up_to_date: bool) {
        let follower = self.follower(sink);
        let batch = follower.batch.take();
        follower.since = match batch {
            _ if up_to_date => None,
            Some((at, true)) if moved => Some(at),
            _ => follower.since,
        };
        if let Some((at, _)) = batch {
            let times = match sink {
                Sink::Postgres => &mut self.new.drains,
                Sink::Redis => &mut self.new.bridges,
                Sink::Webhook => &mut self.new.hooks,
            };
            times.observe(now.saturating_sub(at));
        }
    }

    /// What a client measured of its last message, sent with the next one.
    pub(super) fn took(&mut self, took: Option<Took>) {
        let Some(Took { ack_ms, shown_ms }) = took else { return };
        ack_ms.into_iter().for_each(|ms| self.new.ack.observe(ms));
        shown_ms.into_iter().for_each(|ms| self.new.shown.observe(ms));
    }

    /// Counts what goes out: each line but a position, for each viewer.
    pub(super) fn sent(&mut self, out: &[Out]) {
        for out in out {
            if let Out::Send(To::Many(sockets), line) = out {
                let lines = line.split('\n').filter(|line| !line.starts_with(r#"{"at":"#)).count();
                self.new.deliveries += count(lines.saturating_mul(sockets.len()));
            }
        }
    }
}

/// What happened between two looks at an object's own counters.
fn between(before: Counters, now: Counters) -> Metrics {
    Metrics {
        rows_written: now.rows_written.saturating_sub(before.rows_written),
        events: now.events.saturating_sub(before.events),
        frames_in: now.frames_in.saturating_sub(before.frames_in),
        frames_out: now.frames_out.saturating_sub(before.frames_out),
        drained: now.drains.saturating_sub(before.drains),
        drain_failed: now.drains_failed.saturating_sub(before.drains_failed),
        bridged: now.bridged.saturating_sub(before.bridged),
        bridge_failed: now.bridge_failed.saturating_sub(before.bridge_failed),
        hooked: now.hooked.saturating_sub(before.hooked),
        hook_failed: now.hook_failed.saturating_sub(before.hook_failed),
        hook_skipped: now.hook_skipped.saturating_sub(before.hook_skipped),
        ..Metrics::default()
    }
}

impl Host {
    /// What there is to tell an operator, as JSON for the header beside a call to the drain, and a ticket with which
    /// [`Host::reported`] has to hear what became of it.
    pub fn report_metrics(&mut self) -> (u32, String) {
        let gauges = self.gauges();
        let mut metrics = std::mem::take(&mut self.counted.new);
        metrics.merge(&between(self.counted.handed, self.counters));
        self.counted.handed = self.counters;
        let report = Report { room: self.id.to_string(), gauges, metrics };
        let text = json(&report);
        self.counted.tickets = self.counted.tickets.wrapping_add(1);
        self.counted.under_way.insert(self.counted.tickets, report.metrics);
        (self.counted.tickets, text)
    }

    /// Whether the drain got what [`Host::report_metrics`] gave; what did not arrive goes with the next call.
    pub fn reported(&mut self, ticket: u32, arrived: bool) {
        let Some(metrics) = self.counted.under_way.remove(&ticket) else { return };
        let sum = if arrived { &mut self.counted.arrived } else { &mut self.counted.new };
        sum.merge(&metrics);
    }

    /// What a shard hands up to its room of it; what the room wrote is counted there.
    pub(super) fn take_metrics(&mut self) -> Metrics {
        let mut metrics = std::mem::take(&mut self.counted.new);
        metrics.merge(&between(self.counted.handed, self.counters));
        self.counted.handed = self.counters;
        Metrics { events: 0, rows_written: 0, ..metrics }
    }

    /// Whether a shard has counted anything since then but its own wakes: those alone wake no room.
    pub(super) fn has_metrics(&self) -> bool {
        let new = &self.counted.new;
        *new != Metrics { wakes: new.wakes, ..Metrics::default() }
    }

    /// Adds what another object has counted for this room.
    pub fn merge_metrics(&mut self, metrics: &Metrics) {
        self.counted.new.merge(metrics);
    }

    /// All that was counted since the object was built.
    pub(super) fn metrics(&self) -> Metrics {
        let Counted { new, under_way, arrived, handed, .. } = &self.counted;
        let mut all = between(*handed, self.counters);
        under_way.values().chain([new, arrived]).for_each(|part| all.merge(part));
        all
    }

    pub(super) fn gauges(&self) -> Gauges {
        let (users, guests) = self.audience.online();
        let Some(room) = &self.room else { return Gauges::default() };
        let position = room.position();
        let behind =
            |seq: u64, follower: &Follower| Behind { seq, since: follower.since.filter(|_| seq < position.seq) };
        Gauges {
            users: count(users),
            guests: count(guests),
            sockets: count(self.audience.socket_count() + self.spread.sockets()),
            shards: count(self.spread.lanes.all.len()),
            epoch: position.epoch,
            seq: position.seq,
            postgres: behind(room.drained(), &self.counted.postgres),
            redis: self.settings.bridge.as_ref().map(|_| behind(room.bridged().seq, &self.counted.redis)),
            webhook: self.settings.webhook.as_ref().map(|_| behind(room.hooked().seq, &self.counted.webhook)),
        }
    }

    /// How long a follower has lacked some of the log, ms.
    pub(super) fn lag_ms(&self, behind: Option<Behind>) -> u64 {
        behind.and_then(|behind| behind.since).map_or(0, |since| self.now.saturating_sub(since))
    }

    /// A viewer answered a probe.
    pub(super) fn proved(&mut self, socket: SocketId, nonce: &str) {
        if let Some(asked_at) = self.audience.proved(socket, nonce, self.now) {
            self.counted.new.probes.observe(self.now.saturating_sub(asked_at));
        }
    }

    /// Counts a refusal.
    pub(super) fn refuse(&mut self, code: ErrorCode) {
        self.counted.new.error(code);
    }

    /// A batch was made that reaches to `to`, or none; what is left after it may not be shown before `shown_at`, ms.
    pub(super) fn batch_made(&mut self, sink: Sink, to: Option<u64>, shown_at: Option<u64>) {
        let last = self.room.as_ref().map_or(0, |room| room.position().seq);
        match (to, shown_at) {
            (Some(to), _) => self.counted.batch(sink, self.now, to >= last || shown_at.is_some()),
            (None, Some(shown_at)) => self.counted.waits(sink, shown_at),
            (None, None) => {}
        }
    }

    pub(super) fn batch_ended(&mut self, sink: Sink, moved: bool) {
        let up_to_date = |room: &Room| match sink {
            Sink::Postgres => room.drained() >= room.position().seq,
            Sink::Redis => room.bridged().seq >= room.position().seq,
            Sink::Webhook => room.hooked().seq >= room.position().seq,
        };
        let up_to_date = self.room.as_ref().is_none_or(up_to_date);
        self.counted.outcome(sink, self.now, moved, up_to_date);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_while_a_batch_is_on_its_way_is_not_older_than_it() {
        let mut counted = Counted::default();
        counted.lacks(Sink::Postgres, 1_000);
        counted.batch(Sink::Postgres, 1_500, true);
        counted.lacks(Sink::Postgres, 1_600);
        counted.outcome(Sink::Postgres, 1_700, true, false);
        assert_eq!((counted.postgres.since, counted.new.drains.sum_ms()), (Some(1_500), 200));
        // One that did not reach the end, or did not arrive, says nothing of the rest.
        for (to_the_end, moved) in [(false, true), (true, false)] {
            counted.batch(Sink::Postgres, 2_000, to_the_end);
            counted.outcome(Sink::Postgres, 2_100, moved, false);
            assert_eq!(counted.postgres.since, Some(1_500));
        }
        counted.batch(Sink::Postgres, 3_000, true);
        counted.outcome(Sink::Postgres, 3_100, true, true);
        assert_eq!((counted.postgres.since, counted.redis.since), (None, None));
    }
}
