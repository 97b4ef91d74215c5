//! When and what of the log is handed to the drain: the room as the leader of PostgreSQL, Redis and the webhook.

use super::{Effects, Host, Moment};
use crate::room::{Read, Room, rows_with};
use crate::sinks::webhook::MOST_EVENTS;
use crate::sinks::{self, Sink};

/// How long the log gathers before it is drained, ms: rows are in PostgreSQL within 2 s of being said.
const GATHER: u64 = 500;
/// A batch for PostgreSQL or the webhook follows the one before no sooner than this, ms: where people talk, a call costs
/// the same for the rows of a second as for one.
const APART: u64 = 1_000;
/// The longest wait between tries, ms: with viewers, and asleep.
const CAP: u64 = 10_000;
/// The same for a back end, which is asked by each room by itself.
const CAP_WEBHOOK: u64 = 60_000;
pub(super) const CAP_ASLEEP: u64 = 300_000;
/// So many events are read for a batch: what a drain takes in one statement beside other rooms' batches.
pub(super) const EVENTS: usize = 500;
/// So often before what was read is written down as done with.
pub(super) const READS: usize = 10;

/// After this time without an outcome a batch for Redis or the webhook, or a question, is taken for lost with the object, ms.
const LOST: u64 = 60_000;

/// One batch, ready for the drain.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// The body: JSON for PostgreSQL, a command for Redis, a [`crate::sinks::webhook::Delivery`] for the webhook.
    pub body: String,
    /// The log's incarnation that it is from.
    pub epoch: u64,
    /// The last event in it.
    pub to: u64,
}

/// What there is for Redis or the webhook.
#[derive(Debug, Default)]
pub(super) struct Next {
    pub(super) batch: Option<Batch>,
    /// When the first event is shown that has to wait for that, ms.
    pub(super) later: Option<u64>,
    /// Much was read that is not for it, and there is more of the log.
    pub(super) goes_on: bool,
}

impl Next {
    pub(super) fn later(later: Option<u64>) -> Self {
        Self { later, ..Self::default() }
    }
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub enum Drained {
    /// The sink's cursor for the room.
    Cursor {
        /// Of this incarnation.
        epoch: u64,
        /// Up to here.
        seq: u64,
    },
    /// It did not work; the text is for the operator's log.
    Failed(String),
    /// Not now; come back after so many ms.
    Busy(u64),
    /// The same of the webhook's back end, with a text for the operator's log.
    Later(String, u64),
    /// The webhook's back end does not want it, and answered this status.
    Refused(u16),
}

/// Where the draining stands.
#[derive(Debug, Default)]
pub(super) struct Draining {
    due: Option<u64>,
    /// When the last batch was read, ms; of those for Redis it is not asked.
    read_at: u64,
    /// No batch is made before, ms.
    rest_until: u64,
    /// A batch is on its way: no alarm is due for the next one before its outcome is known. Should the object die
    /// meanwhile, the platform calls the unfinished alarm again.
    in_flight: bool,
    failures: u32,
    /// The last event that PostgreSQL can have from this log: where it ended at the wake, or a batch since then.
    told: u64,
    /// PostgreSQL's cursor is known not to be beyond that; it is asked once a wake, before it is told anything.
    asked: bool,
}

/// State, while this storage is known to have been set back.
const KEY_SET_BACK: &str = "set_back";

impl Draining {
    /// Something was appended.
    pub(super) fn wanted(&mut self, now: u64) {
        let due = self.gathered(now);
        self.due.get_or_insert(due);
    }

    /// When what was said at `now` has gathered for long enough, ms.
    fn gathered(&self, now: u64) -> u64 {
        now.saturating_add(GATHER).max(self.read_at.saturating_add(APART)).max(self.rest_until)
    }

    pub(super) fn rest_until(&mut self, time: u64) {
        self.rest_until = time;
    }

    /// The log ended here when it was loaded.
    pub(super) fn woke_at(&mut self, seq: u64) {
        self.told = seq;
    }

    pub(super) fn due(&self) -> Option<u64> {
        self.due.filter(|_| !self.in_flight)
    }

    pub(super) fn at_once(&mut self, now: u64) {
        self.due = Some(now);
    }

    /// A batch is due some time, or under way.
    pub(super) fn is_wanted(&self) -> bool {
        self.in_flight || self.due.is_some()
    }

    /// PostgreSQL said where it is since the object was built, and the log can follow that.
    pub(super) fn is_of_one_mind(&self) -> bool {
        self.asked
    }
}

impl Host {
    /// The next batch for `sink`, if it is time for one. Call it from an alarm, deliver it, and tell [`Host::drained`].
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn batch(&mut self, at: &Moment<'_>, sink: Sink) -> Read<Option<Batch>> {
        self.begin(at);
        let now = self.now;
        if sink == Sink::Postgres {
            self.expiry_wants_cursor();
        }
        if self.draining(sink).due().is_none_or(|due| due > now) {
            return Ok(None);
        }
        let Next { batch, later, goes_on } = match sink {
            Sink::Postgres => {
                self.draining.read_at = now;
                Next { batch: self.postgres_batch(at)?, ..Next::default() }
            }
            Sink::Redis => self.redis_batch(at)?,
            Sink::Webhook => {
                self.webhook.read_at = now;
                self.webhook_batch(at)?
            }
        };
        let draining = self.draining(sink);
        if batch.is_none() {
            draining.due = if goes_on { Some(now.saturating_add(APART)) } else { later };
        }
        draining.in_flight = batch.is_some();
        self.batch_made(sink, batch.as_ref().map(|batch| batch.to), later);
        Ok(batch)
    }

    fn postgres_batch(&mut self, at: &Moment<'_>) -> Read<Option<Batch>> {
        let Some(room) = &self.room else { return Ok(None) };
        let (position, drained) = (room.position(), room.drained());
        if !self.draining.asked {
            if at.log.value(KEY_SET_BACK)?.is_some() {
                self.draining.told = drained;
            }
            return Ok(Some(sinks::question(self.id.as_str(), position.epoch, drained)));
        }
        let rows = rows_with(at.log, drained, EVENTS)?;
        let first = at.log.row_with(0)?.map_or(0, |row| row.first());
        let batch = sinks::batch(self.id.as_str(), position.epoch, first.saturating_sub(1), drained, &rows);
        self.draining.told = self.draining.told.max(batch.as_ref().map_or(0, |batch| batch.to));
        Ok(batch)
    }

    fn draining(&mut self, sink: Sink) -> &mut Draining {
        match sink {
            Sink::Postgres => &mut self.draining,
            Sink::Redis => &mut self.bridge,
            Sink::Webhook => &mut self.webhook,
        }
    }

    /// Something was appended, or is left from before the object was built.
    pub(super) fn drains_wanted(&mut self) {
        let Some(room) = self.room.as_ref().filter(|_| self.following.is_none()) else { return };
        let last = room.position().seq;
        if room.drained() < last {
            self.draining.wanted(self.now);
            self.counted.lacks(Sink::Postgres, self.now);
        }
        if self.settings.bridge.is_some() && room.bridged().seq < last {
            self.bridge.wanted(self.now);
            self.counted.lacks(Sink::Redis, self.now);
        }
        if self.settings.webhook.is_some() && room.hooked().seq < last {
            self.webhook.wanted(self.now);
            self.counted.lacks(Sink::Webhook, self.now);
        }
    }

    /// When an alarm is due for a drain, ms.
    pub(super) fn drains_due(&self) -> impl Iterator<Item = u64> {
        // An alarm waits for PostgreSQL's batch alone; should the object die meanwhile, another is to come.
        let lost = (self.bridge.in_flight || self.webhook.in_flight || self.is_asking())
            .then(|| self.now.saturating_add(LOST));
        [self.draining.due(), self.bridge.due(), self.webhook.due(), lost].into_iter().flatten()
    }

    /// When a timer is due for Redis or the webhook, ms: the alarm that waits for PostgreSQL holds the next one up.
    pub(super) fn others_soon(&self) -> Option<u64> {
        let due = self.bridge.due().into_iter().chain(self.webhook.due()).min();
        due.filter(|_| self.draining.in_flight)
    }

    /// What became of the batch for `sink`.
    pub fn drained(&mut self, at: &Moment<'_>, sink: Sink, drained: Drained) -> Effects {
        let mut effects = self.begin(at);
        self.draining(sink).in_flight = false;
        // An answer to the question after a wake, or PostgreSQL has less than it had: what is to be told has waited long
        // enough.
        let asked = sink != Sink::Postgres || self.draining.asked;
        let had = self.room.as_ref().map_or(0, Room::drained);
        let asleep = self.audience.socket_count() == 0;
        let refused = matches!(drained, Drained::Refused(_));
        let retry = match drained {
            Drained::Cursor { epoch, seq } => match sink {
                Sink::Postgres => self.moved(at, epoch, seq, &mut effects),
                Sink::Redis => self.redis_moved(epoch, seq, &mut effects),
                Sink::Webhook => self.webhook_moved(epoch, seq),
            },
            Drained::Failed(text) => Some(self.not_drained(sink, &text, 0, &mut effects)),
            Drained::Later(text, wait) => Some(self.not_drained(sink, &text, wait, &mut effects)),
            Drained::Busy(wait) => Some(wait),
            Drained::Refused(status) => self.webhook_refused(status, &mut effects),
        };
        let counter = match (sink, retry) {
            (Sink::Postgres, None) => &mut self.counters.drains,
            (Sink::Postgres, Some(_)) => &mut self.counters.drains_failed,
            (Sink::Redis, None) => &mut self.counters.bridged,
            (Sink::Redis, Some(_)) => &mut self.counters.bridge_failed,
            (Sink::Webhook, None) if refused => &mut self.counters.hook_skipped,
            (Sink::Webhook, None) => &mut self.counters.hooked,
            (Sink::Webhook, Some(_)) => &mut self.counters.hook_failed,
        };
        *counter += 1;
        self.batch_ended(sink, retry.is_none());
        match retry {
            None => {
                if sink == Sink::Postgres {
                    self.trim(at, &mut effects);
                }
                let done = self.room.as_ref().map(|room| match sink {
                    Sink::Postgres => room.drained(),
                    Sink::Redis => room.bridged().seq,
                    Sink::Webhook => room.hooked().seq,
                });
                let last = self.room.as_ref().map(|room| room.position().seq);
                let left = last.unwrap_or(0).saturating_sub(done.unwrap_or(0));
                let lost = sink == Sink::Postgres && done.is_some_and(|done| done < had);
                let batch = if sink == Sink::Webhook { MOST_EVENTS } else { EVENTS };
                let (at_once, now) = (left > super::count(batch) || !asked || lost, self.now);
                let draining = self.draining(sink);
                let due =
                    (left > 0).then(|| if at_once { now.max(draining.rest_until) } else { draining.gathered(now) });
                (draining.due, draining.failures) = (due, 0);
            }
            Some(at_least) => {
                let now = self.now;
                let draining = self.draining(sink);
                let ceiling = 500u64.saturating_mul(1 << draining.failures.min(16));
                let cap = if sink == Sink::Webhook { CAP_WEBHOOK } else { CAP };
                let ceiling = ceiling.min(if asleep { CAP_ASLEEP } else { cap });
                draining.failures = draining.failures.saturating_add(1);
                let [a, b, c, d, ..] = at.entropy;
                let jitter = u64::from(u32::from_be_bytes([a, b, c, d])) * ceiling / u64::from(u32::MAX);
                draining.due = Some(now.saturating_add(at_least).saturating_add(jitter.max(100)));
            }
        }
        self.finish(effects)
    }

    /// A batch did not arrive; the wait in ms.
    fn not_drained(&mut self, sink: Sink, text: &str, wait: u64, effects: &mut Effects) -> u64 {
        let name = match sink {
            Sink::Postgres => "drain",
            Sink::Redis => "bridge",
            Sink::Webhook => "webhook",
        };
        effects.faults.push(format!("{name}: {text}"));
        if sink == Sink::Webhook {
            self.webhook_failed();
        }
        wait
    }

    fn trim(&mut self, at: &Moment<'_>, effects: &mut Effects) {
        let Some(room) = &mut self.room else { return };
        match room.trim(at.log, self.now) {
            Ok(step) => {
                effects.write.forget_to = step.write.forget_to;
                effects.write.state.extend(step.write.state);
            }
            Err(fault) => effects.faults.push(fault.to_string()),
        }
    }

    /// Takes over PostgreSQL's cursor; the wait in ms where it says something that cannot be followed.
    fn moved(&mut self, at: &Moment<'_>, epoch: u64, seq: u64, effects: &mut Effects) -> Option<u64> {
        let room = self.room.as_mut()?;
        let own = room.position().epoch;
        if epoch > own {
            effects.faults.push(format!("drain: PostgreSQL is at epoch {epoch}, this room's log at {own}"));
            self.draining.asked = false;
            return Some(CAP_ASLEEP);
        }
        let before = room.drained();
        if epoch == own && seq > self.draining.told {
            // What PostgreSQL has beyond it and what was said since bear the same numbers: neither may overwrite the other.
            let last = room.position().seq;
            effects.faults.push(format!(
                "drain: PostgreSQL is at {seq} of epoch {own}, but this room's log ends at {last} and was drained to \
                 {before}: its storage was set back"
            ));
            effects.write.state.push((KEY_SET_BACK.into(), Some(seq.to_string())));
            self.draining.asked = false;
            return Some(CAP_ASLEEP);
        }
        let seq = if epoch == own { seq } else { 0 };
        let step = room.set_drained(seq);
        let moved = room.drained() != before;
        effects.write = step.write;
        if !std::mem::replace(&mut self.draining.asked, true) {
            if at.log.value(KEY_SET_BACK).is_ok_and(|set_back| set_back.is_some()) {
                effects.write.state.push((KEY_SET_BACK.into(), None));
            }
            return None;
        }
        // A cursor that does not move is a gap that cannot be closed, or a fault: do not spin.
        (!moved).then_some(0)
    }
}
