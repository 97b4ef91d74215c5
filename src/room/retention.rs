//! How long a room keeps what was said: its numbers below `first_no` are gone for good.
//!
//! PostgreSQL is asked first which messages are over their time and whether a legal hold forbids it, so that nothing
//! expires that it does not have, or while it cannot be asked.

use super::reactions;
use super::{KEY_PINNED, Log, Read, Room, Row, SCAN, Step};
use crate::protocol::call::{Expiry, ExpiryAsk};
use crate::protocol::wire::json;
use crate::protocol::{Audience, Body, MessageId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(super) const KEY_KEPT: &str = "kept";
/// A room looks no more often, ms, while less is over its time than it takes away at once.
const EVERY: u64 = 3_600_000;
/// Where a legal hold keeps something, ms.
const EVERY_HELD: u64 = 6 * EVERY;
/// More follows after so many ms.
const APART: u64 = 1_000;
/// Messages taken away at once: of the log, each a row that may be rewritten; and where it does not reach back to them.
const MOST: u64 = 500;
const MOST_STORED: u64 = 2_000;
/// Rows of the log that are read for it at once, the last batch apart: reactions lie between the messages.
const MOST_ROWS: usize = 5_000;
const DAY: u64 = 24 * 3_600_000;

/// What a room keeps at most: so many days, so many messages. An answer holds for those that were asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    days: Option<u32>,
    messages: Option<u64>,
}

/// Where the room's memory of messages begins, and when it looked last; kept as state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    pub(super) first_no: u64,
    bounds: Bounds,
    /// When the oldest message that is left was said, ms, where PostgreSQL has said that.
    oldest_at: Option<u64>,
    looked_at: u64,
    more: bool,
    held: bool,
}

/// What is over its time and can go.
#[derive(Default)]
struct Over {
    before_no: u64,
    /// The log's rows without it, by their last event.
    rows: BTreeMap<u64, Row>,
    /// The events that said it, and those of its edits.
    seqs: Vec<u64>,
    edits: Vec<u64>,
}

impl Default for Kept {
    fn default() -> Self {
        let bounds = Bounds::default();
        Self { first_no: 1, bounds, oldest_at: None, looked_at: 0, more: false, held: false }
    }
}

impl Kept {
    /// What PostgreSQL remembers of a room whose storage was lost.
    pub(super) fn from(first_no: u64) -> Self {
        Self { first_no: first_no.max(1), ..Self::default() }
    }
}

impl Room {
    fn bounds(&self) -> Bounds {
        let own = &self.info.settings;
        Bounds { days: own.retention_days.or(self.settings.retention_days), messages: own.retention_messages }
    }

    /// The number of the oldest message that the room keeps, or that its next one has.
    pub fn first_no(&self) -> u64 {
        self.kept.first_no
    }

    /// When PostgreSQL is next to be asked what is over its time, ms: not before something can be.
    pub fn expiry_due(&self) -> Option<u64> {
        let Kept { first_no: _, bounds, oldest_at, looked_at, more, held } = self.kept;
        let wanted = self.bounds();
        if wanted == Bounds::default() && !held && !more {
            return None;
        }
        let some = self.message_count() > 0;
        if more || (some && bounds != wanted) {
            return Some(looked_at.saturating_add(APART));
        }
        let every = if held { EVERY_HELD } else { EVERY };
        let next = looked_at.saturating_add(every);
        let over = |most: u64| self.message_count() > most;
        let ends = |days: u32| oldest_at.map_or(0, |at| at.saturating_add(u64::from(days) * DAY));
        let ends = wanted.days.filter(|_| some).map(|days| ends(days).saturating_add(1));
        let over = wanted.messages.is_some_and(over).then_some(0);
        let due = ends.into_iter().chain(over).chain(held.then_some(0)).min()?;
        Some(due.max(next))
    }

    /// What PostgreSQL is to be asked.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn expiry_ask(&self, log: &dyn Log, now: u64) -> Read<(ExpiryAsk, Bounds)> {
        let bounds @ Bounds { days, messages } = self.bounds();
        let first_no = self.kept.first_no;
        let stored = super::first_held_no(log)?.saturating_sub(first_no).min(MOST_STORED);
        let ask = ExpiryAsk {
            room_id: self.id.to_string(),
            first_no,
            before_ms: days.map(|days| now.saturating_sub(u64::from(days) * DAY)),
            keep_from: messages.map(|most| (self.last_no + 1).saturating_sub(most)),
            most: stored.max(MOST),
        };
        Ok((ask, bounds))
    }

    /// Takes away what PostgreSQL says is over its time: out of the log, and by an event for all who follow it. It ends
    /// before what Redis or the webhook is still owed, and asks once more after that, so that PostgreSQL's rows go too.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn expire(&mut self, log: &dyn Log, asked: &(ExpiryAsk, Bounds), said: &Expiry, now: u64) -> Read<Step> {
        let first_no = self.kept.first_no;
        let (asked, bounds) = asked;
        let mut step = Step::default();
        if *bounds != self.bounds() {
            self.kept.looked_at = now;
            step.write.state.push((KEY_KEPT.into(), Some(json(&self.kept))));
            return Ok(step);
        }
        let end = first_no.saturating_add(asked.most).min(self.last_no + 1);
        // An answer that comes after another one's was taken names less.
        let wanted_no = said.before_no.clamp(first_no, end.max(first_no));
        let mut pinned = None;
        // What can fail comes first.
        let over = self.over(log, wanted_no, now)?;
        let before_no = over.before_no;
        if before_no > first_no {
            let mut stays = Vec::new();
            for id in &self.pinned {
                if !is_over(log, *id, before_no, said.oldest_at)? {
                    stays.push(*id);
                }
            }
            self.take_away(log, over, said.oldest_at, &mut step)?;
            if stays != self.pinned {
                step.write.state.push((KEY_PINNED.into(), Some(json(&stays))));
                self.pinned.clone_from(&stays);
                pinned = Some(stays);
            }
        }
        self.kept = Kept {
            first_no: before_no,
            bounds: *bounds,
            oldest_at: said.oldest_at.filter(|_| before_no == said.before_no),
            looked_at: now,
            // Without a step forward it is what an earlier one left in PostgreSQL.
            more: before_no > first_no || (said.more && said.before_no == first_no),
            held: said.held,
        };
        step.write.state.push((KEY_KEPT.into(), Some(json(&self.kept))));
        if before_no > first_no {
            self.append(&mut step, now, Audience::All, Body::MessagesExpired { before_no, pinned });
            self.seal(&mut step);
        }
        Ok(step)
    }

    /// What of the messages below `before_no` can go now.
    fn over(&self, log: &dyn Log, before_no: u64, now: u64) -> Read<Over> {
        let mut over = Over { before_no, ..Over::default() };
        let first_no = self.kept.first_no.max(super::first_held_no(log)?);
        if first_no >= before_no {
            return Ok(over);
        }
        let (owed, to_no) = (self.owed_from(log, now)?, before_no.saturating_sub(1));
        let (mut after, mut read, mut next_no) = (self.seq_before(log, first_no)?, 0, first_no);
        loop {
            let batch = log.rows_after(after, SCAN)?;
            if batch.is_empty() {
                break;
            }
            read += batch.len();
            for mut row in batch {
                after = row.last;
                let (last, before) = (row.no >= to_no, over.seqs.len());
                for event in &mut row.events {
                    let Body::NewMessage(message) = &mut event.body else { continue };
                    if !(first_no..before_no).contains(&message.no) {
                        continue;
                    }
                    if after >= owed || message.edit_seq.is_some_and(|seq| seq >= owed) {
                        over.before_no = message.no;
                        break;
                    }
                    over.edits.extend(message.edit_seq);
                    over.seqs.push(event.seq);
                    message.expire(event.at);
                    event.audience = Audience::Internal;
                }
                next_no = row.no + 1;
                if over.seqs.len() > before {
                    over.rows.insert(after, row);
                }
                if last || over.before_no < before_no {
                    return Ok(over);
                }
            }
            // The first row that is read has a message of those: each step goes forward.
            if read >= MOST_ROWS {
                over.before_no = next_no;
                break;
            }
        }
        Ok(over)
    }

    /// Takes those messages out of the log, with what was edited, reacted and quoted of them.
    fn take_away(&mut self, log: &dyn Log, over: Over, oldest_at: Option<u64>, step: &mut Step) -> Read<()> {
        let Over { before_no, mut rows, mut edits, seqs } = over;
        // The log has let go of the message, but not of its edit.
        let mut orphans = self.edits.all();
        orphans.retain(|id| id.is_of_a_room() && is_older(*id, oldest_at));
        edits.extend(orphans.iter().filter_map(|id| self.edits.of(*id)));
        for seq in edits {
            let row = changed(&mut rows, log, seq)?;
            let events = row.into_iter().flat_map(|row| &mut row.events);
            events.filter(|event| event.seq == seq).for_each(|event| event.body.forget_edit());
        }
        for id in self.reports.quoting(before_no) {
            if !self.reports.forget_quote(log, id, step)? {
                continue;
            }
            let row = changed(&mut rows, log, id.seq())?;
            row.into_iter().flat_map(|row| &mut row.events).for_each(|event| event.body.forget_quote(id));
        }
        if let (Some(first), Some(last)) = (seqs.first(), seqs.last()) {
            let reacted = log.reactions(*first, *last)?;
            step.write.state.extend(reacted.into_iter().map(|(seq, _)| (reactions::key(seq), None)));
        }
        orphans.into_iter().for_each(|id| self.edits.set(id, None, step));
        step.write.rewrite = rows.into_values().collect();
        Ok(())
    }
}

/// The row that holds `seq`, to be changed.
fn changed<'r>(rows: &'r mut BTreeMap<u64, Row>, log: &dyn Log, seq: u64) -> Read<Option<&'r mut Row>> {
    Ok(log.row_with(seq)?.map(|found| rows.entry(found.last).or_insert(found)))
}

/// Whether a message that the log does not hold was said before the oldest one that is left.
fn is_older(id: MessageId, oldest_at: Option<u64>) -> bool {
    oldest_at.is_none_or(|at| id.time() < at)
}

/// Whether this message has a number below `before_no`: one that the log does not hold is told by its time.
fn is_over(log: &dyn Log, id: MessageId, before_no: u64, oldest_at: Option<u64>) -> Read<bool> {
    let row = log.row_with(id.seq())?;
    let held = row.iter().flat_map(|row| &row.events).find_map(|event| match &event.body {
        Body::NewMessage(message) if message.message_id == id => Some(message.no),
        _ => None,
    });
    Ok(held.map_or_else(|| is_older(id, oldest_at), |no| no < before_no))
}
