//! How far the Redis bridge has come, and what it and the webhook may still be owed.

use super::{KEY_BRIDGED, Log, Read, Room, Row, Step};
use crate::protocol::wire::json;
use serde::{Deserialize, Serialize};

/// How long what everyone sees is owed to Redis and to the webhook, ms; as long it stays in the stream.
pub const BRIDGE_AGE: u64 = 24 * 3600 * 1000;

/// The storage beyond which the log no longer waits for either, bytes.
const BRIDGE_BYTES: u64 = 1 << 30;

/// Redis's cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridged {
    /// Everything up to here is done with.
    pub seq: u64,
    /// The last event that became an entry of the stream; those after it were not for everyone.
    pub entry: u64,
    /// Until then (ms) nothing is taken out of the stream: it holds word of what was left out, under an old id.
    #[serde(default)]
    pub keep_until: u64,
}

impl Room {
    /// How far Redis has come.
    pub fn bridged(&self) -> Bridged {
        self.bridged
    }

    /// Takes over how far Redis has come, also where that is behind what was known.
    pub fn set_bridged(&mut self, bridged: Bridged) -> Step {
        let mut step = Step::default();
        if bridged != self.bridged {
            self.bridged = bridged;
            step.write.state.push((KEY_BRIDGED.into(), Some(json(&bridged))));
        }
        step
    }

    /// Whether the log keeps a row for the sake of Redis or the webhook.
    pub(super) fn is_owed(&self, row: &Row, log: &dyn Log, now: u64) -> bool {
        let young =
            |row: &Row| row.events.last().is_some_and(|event| event.visible_at.saturating_add(BRIDGE_AGE) >= now);
        let redis = self.settings.bridge.is_some() && row.last > self.bridged.seq;
        let webhook = self.settings.webhook.is_some() && row.last > self.hooked.seq;
        (redis || webhook) && young(row) && log.bytes() <= BRIDGE_BYTES
    }

    /// The first event that the log keeps for the sake of Redis or the webhook; beyond its end where there is none.
    pub(super) fn owed_from(&self, log: &dyn Log, now: u64) -> Read<u64> {
        let redis = self.settings.bridge.as_ref().map(|_| self.bridged.seq);
        let webhook = self.settings.webhook.as_ref().map(|_| self.hooked.seq);
        let done = redis.into_iter().chain(webhook).min().filter(|_| log.bytes() <= BRIDGE_BYTES);
        let Some(done) = done.filter(|done| *done < self.last_seq) else { return Ok(u64::MAX) };
        Ok(done.max(self.last_before(log, now.saturating_sub(BRIDGE_AGE))?).saturating_add(1))
    }

    /// The last event that everyone could see before `time` (ms), by the rows that hold them; 0 where there is none.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn last_before(&self, log: &dyn Log, time: u64) -> Read<u64> {
        let is_before = |row: &Row| row.events.last().is_some_and(|event| event.visible_at < time);
        let Some(oldest) = log.row_with(0)?.filter(is_before) else { return Ok(0) };
        // The times never go back: halving finds the last row.
        let (mut before, mut end) = (oldest.last, self.last_seq.saturating_add(1));
        while before + 1 < end {
            let middle = before + (end - before) / 2;
            match log.row_with(middle)? {
                Some(row) if is_before(&row) => before = row.last,
                row => end = row.map_or(middle, |row| row.first().min(middle)),
            }
        }
        Ok(before)
    }
}
