//! What of the log the webhook's back end is owed, and what becomes of what it does not take.

use super::drain::{EVENTS, Next, READS};
use super::{Effects, Host, Moment};
use crate::room::{BRIDGE_AGE, Hooked, Read, rows_with};
use crate::sinks::webhook::{Plan, Planned, plan};

/// A body that is refused is posted again for this long, ms, and then left out.
const REFUSED_FOR: u64 = 3_600_000;
/// A back end that says that it is gone is left alone for this long, ms.
const GONE_FOR: u64 = 3_600_000;
const GONE: u16 = 410;

/// What the posting remembers while the object is awake.
#[derive(Debug, Default)]
pub(super) struct Hooking {
    /// Where the log is done with once the batch that is on its way is taken, or left out.
    sent: Hooked,
}

impl Host {
    /// The next batch for the back end.
    pub(super) fn webhook_batch(&mut self, at: &Moment<'_>) -> Read<Next> {
        let settings = self.settings.clone();
        let now = self.now;
        let (Some(room), Some(webhook)) = (&mut self.room, &settings.webhook) else { return Ok(Next::default()) };
        let too_old = now.saturating_sub(BRIDGE_AGE);
        for _ in 0..READS {
            let from = room.hooked();
            let mut rows = rows_with(at.log, from.seq, EVENTS)?;
            let Some(first) = rows.first() else { return Ok(Next::default()) };
            let mut gap_to = first.first().saturating_sub(1);
            if first.events.last().is_some_and(|event| event.visible_at < too_old) {
                gap_to = room.last_before(at.log, too_old)?;
                rows = rows_with(at.log, gap_to, EVENTS)?;
            }
            let (room_id, epoch) = (self.id.as_str(), room.position().epoch);
            let Planned { batch, to, wait } = plan(webhook, Plan { room_id, epoch, from, gap_to, now }, &rows);
            if batch.is_some() {
                self.hooking.sent = to;
                return Ok(Next { batch, later: wait, goes_on: false });
            }
            // What is not for the back end is done with, and kept as such with whatever is written next.
            self.state.extend(room.set_hooked(to).write.state);
            if wait.is_some() || to.seq == from.seq {
                return Ok(Next::later(wait));
            }
        }
        Ok(Next { goes_on: true, ..Next::default() })
    }

    /// The back end has taken what was sent; the wait in ms where that is something else.
    pub(super) fn webhook_moved(&mut self, epoch: u64, seq: u64) -> Option<u64> {
        let room = self.room.as_mut()?;
        let sent = self.hooking.sent;
        if (epoch, seq) != (room.position().epoch, sent.seq) {
            return Some(0);
        }
        let hooked = Hooked { seq, told: seq, ..Hooked::default() };
        self.state.extend(room.set_hooked(hooked).write.state);
        None
    }

    /// It has not: the next try is of the same events.
    pub(super) fn webhook_failed(&mut self) {
        let Some(room) = &mut self.room else { return };
        let hooked = Hooked { tried: self.hooking.sent.seq, ..room.hooked() };
        self.state.extend(room.set_hooked(hooked).write.state);
    }

    /// It does not want it, whenever it is asked: none once that is left out, else the wait in ms.
    pub(super) fn webhook_refused(&mut self, status: u16, effects: &mut Effects) -> Option<u64> {
        let room = self.room.as_mut()?;
        let (now, sent, from) = (self.now, self.hooking.sent, room.hooked());
        let since = if from.refused_at > 0 && from.tried == sent.seq { from.refused_at } else { now };
        let skips = status == GONE || since.saturating_add(REFUSED_FOR) <= now;
        let hooked = if skips {
            let (first, last, epoch) = (from.told + 1, sent.seq, room.position().epoch);
            effects.faults.push(format!(
                "webhook: the back end answered {status}; {first} to {last} of epoch {epoch} are left out"
            ));
            if status == GONE {
                self.webhook.rest_until(now.saturating_add(GONE_FOR));
            }
            Hooked { seq: last, told: from.told, lost: last, ..Hooked::default() }
        } else {
            effects.faults.push(format!("webhook: the back end answered {status}"));
            Hooked { tried: sent.seq, refused_at: since, ..from }
        };
        self.state.extend(room.set_hooked(hooked).write.state);
        (!skips).then_some(0)
    }
}
