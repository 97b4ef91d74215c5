//! What of the log the Redis bridge is owed: the newest 24 hours, and word of what is left out.

use super::drain::{CAP_ASLEEP, EVENTS, Next, READS};
use super::{Effects, Host, Moment};
use crate::room::{BRIDGE_AGE, Bridged, Read, rows_with};
use crate::sinks::redis::{Plan, Planned, plan};

/// How often what is older than it is kept is taken out of the stream, ms.
const TRIM: u64 = 3_600_000;

/// What the bridging remembers while the object is awake.
#[derive(Debug, Default)]
pub(super) struct Bridging {
    /// Where Redis stands once it has the batch that is on its way.
    sent: Bridged,
    /// When the stream is trimmed next, ms.
    trim_at: u64,
}

impl Host {
    /// The next batch for Redis.
    pub(super) fn redis_batch(&mut self, at: &Moment<'_>) -> Read<Next> {
        let settings = self.settings.clone();
        let now = self.now;
        let (Some(room), Some(bridge)) = (&mut self.room, &settings.bridge) else { return Ok(Next::default()) };
        let too_old = now.saturating_sub(BRIDGE_AGE);
        for _ in 0..READS {
            let from = room.bridged();
            let mut rows = rows_with(at.log, from.seq, EVENTS)?;
            let Some(first) = rows.first() else { return Ok(Next::default()) };
            let mut gap_to = first.first().saturating_sub(1);
            if first.events.last().is_some_and(|event| event.visible_at < too_old) {
                gap_to = room.last_before(at.log, too_old)?;
                rows = rows_with(at.log, gap_to, EVENTS)?;
            }
            let entry = if from.entry > 0 { at.log.row_with(from.entry)? } else { None };
            let held = entry.and_then(|row| row.events.into_iter().find(|event| event.seq == from.entry));
            let tells_gap = gap_to > from.seq;
            // Word of what is left out is not taken out itself.
            let trims = !tells_gap && self.bridging.trim_at.max(from.keep_until) <= now;
            let before = if trims { room.last_before(at.log, too_old)? } else { 0 };
            let planned = plan(
                bridge,
                Plan {
                    room_id: self.id.as_str(),
                    epoch: room.position().epoch,
                    from,
                    holds: held.is_some_and(|event| event.visible_at >= too_old),
                    gap_to,
                    keep_from: if before > 0 { before + 1 } else { 0 },
                    now,
                },
                &rows,
            );
            let Planned { batch, mut to, wait } = planned;
            if batch.is_some() {
                if tells_gap {
                    to.keep_until = now.saturating_add(BRIDGE_AGE);
                }
                self.bridging.sent = to;
                if trims {
                    self.bridging.trim_at = now.saturating_add(TRIM);
                }
                return Ok(Next { batch, later: wait, goes_on: false });
            }
            // What is for nobody there is done with, and kept as such with whatever is written next.
            self.state.extend(room.set_bridged(to).write.state);
            if wait.is_some() || to == from {
                return Ok(Next::later(wait));
            }
        }
        Ok(Next { goes_on: true, ..Next::default() })
    }

    /// Takes over where Redis stands; the wait in ms where it says something that cannot be followed.
    pub(super) fn redis_moved(&mut self, epoch: u64, seq: u64, effects: &mut Effects) -> Option<u64> {
        let room = self.room.as_mut()?;
        let own = room.position().epoch;
        if epoch > own {
            effects.faults.push(format!("bridge: Redis is at epoch {epoch}, this room's log at {own}"));
            return Some(CAP_ASLEEP);
        }
        let sent = self.bridging.sent;
        let stands = match (epoch == own, seq == sent.seq) {
            (true, true) => sent,
            // It lost what it had: it is told again.
            (true, false) if seq < sent.seq => Bridged { seq, entry: seq, ..room.bridged() },
            (true, false) => room.bridged(),
            (false, _) => Bridged::default(),
        };
        let before = room.bridged();
        // After what may wait there already, so that the later one stays.
        self.state.extend(room.set_bridged(stands).write.state);
        (room.bridged() == before).then_some(0)
    }
}
