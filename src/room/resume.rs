//! What a viewer who was away missed: exactly the events, or a snapshot where that cannot be had.

use super::log::{FEW, in_proportion};
use super::reactions::Reactions;
use super::recent::Recent;
use super::{Log, Read, Room, SCAN, Viewer, view};
use crate::auth::Role;
use crate::protocol::wire::{Counts, MessageData, raw_json};
use crate::protocol::{Body, LogEvent, MessageId, Position};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// More than this is a snapshot instead.
const MOST_EVENTS: u64 = 1_000;
const MOST_BYTES: usize = 512 * 1024;
/// Rows of the log that a snapshot is looked for in.
const MOST_SCANNED: usize = 2_000;

/// What `resume` or `catch_up` yields.
#[derive(Debug)]
pub enum Resumed {
    /// Every event that the viewer missed and may see, oldest first: a JSON array of them as lines.
    Events(Rc<RawValue>),
    /// The newest messages instead.
    Snapshot(Snapshot),
}

/// The newest messages of a room as one viewer sees them.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Oldest first.
    pub messages: Vec<Box<RawValue>>,
    /// What the viewer reacted with, for those messages.
    pub mine: BTreeMap<MessageId, Vec<String>>,
}

impl Room {
    /// What `viewer`, who was at `from`, has missed at `now` up to the event `upto`; the rest comes live.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn resume(&mut self, log: &dyn Log, from: Position, upto: u64, viewer: Viewer<'_>, now: u64) -> Read<Resumed> {
        let upto = upto.min(self.last_seq);
        let ahead = from.epoch != self.epoch || from.seq > self.last_seq;
        if ahead || upto.saturating_sub(from.seq) > MOST_EVENTS {
            return self.snapshot(log, upto, viewer, now).map(Resumed::Snapshot);
        }
        let mut read = None;
        if !self.recent.reaches(from.seq) {
            let Some(missed) = Recent::read(log, from.seq, self.id.as_str())? else {
                return self.snapshot(log, upto, viewer, now).map(Resumed::Snapshot);
            };
            if missed.is_small() {
                self.recent = missed;
            } else {
                read = Some(missed);
            }
        }
        let recent = read.as_mut().unwrap_or(&mut self.recent);
        match recent.between((from.seq, upto), viewer, now, self.id.as_str(), MOST_BYTES) {
            Some(events) => Ok(Resumed::Events(events)),
            None => self.snapshot(log, upto, viewer, now).map(Resumed::Snapshot),
        }
    }

    /// The log's last events, as far as those below moderator do not see them yet at `now`; oldest first.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn waiting(&self, log: &dyn Log, now: u64) -> Read<Vec<LogEvent>> {
        // The times never go back, so the last one tells whether there is anything to look for.
        if self.visible_at <= now {
            return Ok(Vec::new());
        }
        let (mut waiting, mut before) = (VecDeque::new(), u64::MAX);
        loop {
            let rows = log.rows_before(before, SCAN)?;
            let Some(oldest) = rows.last() else { return Ok(waiting.into()) };
            before = oldest.first();
            for event in rows.iter().flat_map(|row| row.events.iter().rev()) {
                if event.visible_at <= now {
                    return Ok(waiting.into());
                }
                waiting.push_front(event.clone());
            }
        }
    }

    /// The newest messages up to the event `upto`, as many as the room's `history_limit` says.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn snapshot(&self, log: &dyn Log, upto: u64, viewer: Viewer<'_>, now: u64) -> Read<Snapshot> {
        let own = self.info.settings.history_limit.and_then(|n| usize::try_from(n).ok());
        let limit = own.unwrap_or(self.settings.message_history_limit);
        let (mut newest, mut scanned, mut before) = (Vec::new(), 0, u64::MAX);
        loop {
            let missing = limit - newest.len();
            // Where little of what was said is for this viewer, the search for more of it ends somewhere.
            if missing == 0 || scanned >= MOST_SCANNED {
                break;
            }
            let rows = if scanned == 0 { FEW } else { in_proportion(missing, scanned, newest.len()).min(SCAN) };
            let batch = log.rows_before(before, rows)?;
            let Some(oldest) = batch.last() else { break };
            before = oldest.first();
            scanned += batch.len();
            let events = batch.into_iter().flat_map(|row| row.events.into_iter().rev());
            let shown = |event: &LogEvent| {
                let is_message = matches!(event.body, Body::NewMessage(_));
                is_message && event.seq <= upto && view(event, viewer, now).is_some()
            };
            newest.extend(events.filter(shown).take(missing));
        }
        let wanted: Vec<_> = newest.iter().rev().collect();
        self.messages(log, &wanted, viewer)
    }

    /// Messages as a list shows them, with their reactions as they are now.
    pub(super) fn messages(&self, log: &dyn Log, events: &[&LogEvent], viewer: Viewer<'_>) -> Read<Snapshot> {
        let ends = events.iter().map(|event| event.seq).min().zip(events.iter().map(|event| event.seq).max());
        let mut packed: BTreeMap<u64, Reactions> = BTreeMap::new();
        if let Some((from, to)) = ends {
            for (seq, text) in log.reactions(from, to)? {
                packed.insert(seq, Reactions::unpack(&text)?);
            }
        }
        let mut snapshot = Snapshot::default();
        for event in events {
            let Body::NewMessage(message) = &event.body else { continue };
            let reactions = packed.get(&event.seq);
            let counts = reactions.map_or_else(Counts::new, Reactions::counts);
            let mut data = MessageData::new(self.id.as_str(), event.at, message, &counts);
            data.seq = Some(event.seq);
            if viewer.role.at_least(Role::Moderator) {
                data.unmask(message);
            }
            snapshot.messages.push(raw_json(&data));
            if let (Some(reactions), Some(user)) = (reactions, viewer.user_id) {
                let mine: Vec<_> = reactions.by(user).into_iter().map(str::to_owned).collect();
                if !mine.is_empty() {
                    snapshot.mine.insert(message.message_id, mine);
                }
            }
        }
        Ok(snapshot)
    }
}
