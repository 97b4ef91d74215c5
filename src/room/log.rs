//! The log as the rules see it: a port to read by, and what one step wants written.
//!
//! Reading is synchronous and has no effect, as a Durable Object's SQLite is; so the rules stay deterministic, and a
//! room that wakes loads only what it needs.

use crate::protocol::{Audience, Body, LogEvent, json_fault};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The storage failed or holds what cannot be read; the text is for the operator's log only.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StorageFault(pub String);

/// What a read of the log yields.
pub type Read<T> = Result<T, StorageFault>;

/// One row of the log: the events of one step, so that a busy room writes one row for many.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The last event's `seq`; the row's key.
    pub last: u64,
    /// The number of the last message published up to here.
    pub no: u64,
    /// The events, without a hole.
    pub events: Vec<LogEvent>,
}

impl Row {
    /// The first event's `seq`.
    pub fn first(&self) -> u64 {
        self.events.first().map_or(self.last, |event| event.seq)
    }

    /// Reads the events of a row back. One that this build does not know keeps its place as [`Body::Unknown`].
    ///
    /// # Errors
    /// The text is not a JSON array of events.
    pub fn events_from_json(text: &str) -> Read<Vec<LogEvent>> {
        #[derive(Deserialize)]
        struct Frame {
            seq: u64,
            at: u64,
            visible_at: u64,
        }
        let fault =
            |error: serde_json::Error| StorageFault(format!("a row of the log cannot be read: {}", json_fault(&error)));
        let events: Vec<&RawValue> = serde_json::from_str(text).map_err(fault)?;
        let read = |raw: &&RawValue| {
            serde_json::from_str(raw.get()).or_else(|_| {
                let Frame { seq, at, visible_at } = serde_json::from_str(raw.get()).map_err(fault)?;
                Ok(LogEvent {
                    seq,
                    at,
                    visible_at,
                    audience: Audience::Internal,
                    body: Body::Unknown(raw.get().into()),
                })
            })
        };
        events.iter().map(read).collect()
    }
}

/// What the rules may ask of a room's storage.
pub trait Log {
    /// The row that holds `seq`, or the first one after it.
    ///
    /// # Errors
    /// As all of these: the storage failed.
    fn row_with(&self, seq: u64) -> Read<Option<Row>>;
    /// At most `limit` rows whose last event is after `seq`, oldest first.
    fn rows_after(&self, seq: u64, limit: u32) -> Read<Vec<Row>>;
    /// At most `limit` rows whose last event is before `seq`, newest first.
    fn rows_before(&self, seq: u64, limit: u32) -> Read<Vec<Row>>;
    /// All of the state but reactions and what reports quote.
    fn state(&self) -> Read<Vec<(String, String)>>;
    /// One piece of the state.
    fn value(&self, key: &str) -> Read<Option<String>>;
    /// Who reacted to the messages with `seq` in `from..=to`, as [`super::reactions`] packs it.
    fn reactions(&self, from: u64, to: u64) -> Read<Vec<(u64, String)>>;
    /// At most `limit` rows before the one that ends at `before` in which somebody named a message, newest first:
    /// the row's last event, its time (ms), and the names' hashes.
    fn dedupe(&self, before: u64, limit: u32) -> Read<Vec<(u64, u64, Vec<u64>)>>;
    /// How many bytes the storage takes.
    fn bytes(&self) -> u64;
}

/// How many rows are read at first where it is not known how many events each holds.
pub(super) const FEW: u32 = 16;

/// The rows after `seq` that hold about so many events, as far as there are any: a row of a busy room holds many.
///
/// # Errors
/// The log cannot be read.
pub fn rows_with(log: &dyn Log, seq: u64, events: usize) -> Read<Vec<Row>> {
    let (mut rows, mut held, mut after, mut limit) = (Vec::new(), 0, seq, FEW);
    loop {
        let batch = log.rows_after(after, limit)?;
        let ends = batch.len() < usize::try_from(limit).unwrap_or(usize::MAX);
        after = batch.last().map_or(after, |row| row.last);
        held += batch.iter().map(|row| row.events.len()).sum::<usize>();
        rows.extend(batch);
        if ends || held >= events {
            return Ok(rows);
        }
        limit = in_proportion(events - held, rows.len(), held);
    }
}

/// How many rows to read for so many more, where so many rows held so many.
pub(super) fn in_proportion(wanted: usize, rows: usize, held: usize) -> u32 {
    let limit = wanted.saturating_mul(rows).div_ceil(held.max(1));
    u32::try_from(limit).unwrap_or(u32::MAX).clamp(1, 500)
}

/// What one step wants written, in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Write {
    /// The events to append, as one row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub append: Option<Row>,
    /// Rows whose events were changed in place, because what was said is gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rewrite: Vec<Row>,
    /// State to set, or to remove.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<(String, Option<String>)>,
    /// Hashes of what the senders of the appended messages called them, kept in the row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dedupe: Vec<u64>,
    /// Rows to forget: those that end at or before this `seq`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forget_to: Option<u64>,
}

impl Write {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what a later step wants written, so that both are one transaction and their events one row. The later one
    /// has read the log through an [`super::Overlay`] of this one.
    pub fn absorb(&mut self, later: Self) {
        let Self { append, rewrite, state, dedupe, forget_to } = later;
        for row in rewrite {
            match &mut self.append {
                // Of what is not written yet a part was changed.
                Some(own) if row.last >= own.first() => {
                    for event in row.events {
                        let held = own.events.iter_mut().find(|held| held.seq == event.seq);
                        held.into_iter().for_each(|held| held.clone_from(&event));
                    }
                }
                _ => {
                    self.rewrite.retain(|known| known.last != row.last);
                    self.rewrite.push(row);
                }
            }
        }
        match (&mut self.append, append) {
            (Some(own), Some(row)) => {
                own.events.extend(row.events);
                (own.last, own.no) = (row.last, row.no);
            }
            (own, row) => *own = own.take().or(row),
        }
        self.state.retain(|(known, _)| state.iter().all(|(key, _)| key != known));
        self.state.extend(state);
        self.dedupe.extend(dedupe);
        self.forget_to = self.forget_to.max(forget_to);
    }
}
