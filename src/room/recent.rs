//! The log's end, read and encoded once for all who come back: after a deploy that is everybody.

use super::view::Seen;
use super::{Log, Read, Row, SCAN, Viewer, Write, view};
use crate::auth::Role;
use crate::protocol::wire::{Line, raw};
use crate::protocol::{Audience, Body, LogEvent, MessageId};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// What is kept in memory at most, in events and in bytes of their lines, and as much of whole answers.
const KEPT: (usize, usize) = (1_000, 512 * 1024);
/// Whole answers kept at most.
const ANSWERS: usize = 200;
/// Nobody came back for so long, ms: nothing is kept.
const IDLE: u64 = 10_000;
/// Beyond so many bytes of lines a snapshot is less, whoever asks.
const MOST_READ: usize = 2 << 20;

#[derive(Debug)]
struct Entry {
    event: LogEvent,
    /// Its lines, by variant.
    lines: Vec<(bool, Line)>,
}

impl Entry {
    fn new(event: LogEvent, room_id: &str) -> Self {
        let mut entry = Self { event, lines: Vec::new() };
        entry.line(Viewer::MODERATOR, u64::MAX, room_id);
        entry
    }

    fn bytes(&self) -> usize {
        self.lines.first().map_or(0, |(_, line)| line.len())
    }

    fn line(&mut self, viewer: Viewer<'_>, now: u64, room_id: &str) -> Option<Line> {
        let seen: Seen<'_> = view(&self.event, viewer, now)?;
        let (_, variant) = seen.variant();
        if let Some((_, line)) = self.lines.iter().find(|(known, _)| *known == variant) {
            return Some(line.clone());
        }
        let line = seen.line(room_id);
        self.lines.push((variant, line.clone()));
        Some(line)
    }
}

/// Everything after some place in the log, up to its end.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// After this `seq`; none where nothing is kept.
    after: Option<u64>,
    entries: VecDeque<Entry>,
    /// Whole answers, newest last: after which `seq`, up to which, and whether to moderators.
    answers: VecDeque<((u64, u64, bool), Rc<RawValue>)>,
    used: u64,
}

impl Recent {
    /// What the log has after `seq`; nothing where it does not reach back that far, or that is too much.
    pub(super) fn read(log: &dyn Log, seq: u64, room_id: &str) -> Read<Option<Self>> {
        let mut recent = Self { after: Some(seq), ..Self::default() };
        let mut last = seq;
        loop {
            let rows = log.rows_after(last, SCAN)?;
            let Some(newest) = rows.last() else { return Ok(Some(recent)) };
            if rows.first().is_some_and(|row| row.first() > last + 1) {
                return Ok(None);
            }
            last = newest.last;
            recent.entries.extend(rows.into_iter().flat_map(|row| row.events).map(|event| Entry::new(event, room_id)));
            if recent.bytes() >= MOST_READ {
                return Ok(None);
            }
        }
    }

    /// Whether everything after `seq` is here.
    pub(super) fn reaches(&self, seq: u64) -> bool {
        self.after.is_some_and(|after| after <= seq)
    }

    /// Whether it is little enough to be kept.
    pub(super) fn is_small(&self) -> bool {
        self.entries.len() <= KEPT.0 && self.bytes() <= KEPT.1
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(Entry::bytes).sum()
    }

    /// Follows what a step writes: what was appended comes along, what is gone from the log is gone here.
    pub(super) fn follow(&mut self, write: &Write, room_id: &str, now: u64) {
        if self.after.is_none() {
            return;
        }
        if self.used.saturating_add(IDLE) <= now {
            *self = Self::default();
            return;
        }
        for event in write.rewrite.iter().flat_map(|row: &Row| &row.events) {
            if let Ok(at) = self.entries.binary_search_by_key(&event.seq, |entry| entry.event.seq)
                && let Some(entry) = self.entries.get_mut(at)
            {
                *entry = Entry::new(event.clone(), room_id);
                self.answers.clear();
            }
        }
        let appended = write.append.iter().flat_map(|row| &row.events);
        self.entries.extend(appended.map(|event| Entry::new(event.clone(), room_id)));
        while !self.is_small() || self.entries.front().is_some_and(|first| Some(first.event.seq) <= write.forget_to) {
            let Some(first) = self.entries.pop_front() else { break };
            self.after = Some(first.event.seq);
        }
    }

    /// The events after `seq` up to `upto` that the viewer may see at `now`, as a JSON array; nothing where they are
    /// more than `most` bytes.
    pub(super) fn between(
        &mut self,
        (seq, upto): (u64, u64),
        viewer: Viewer<'_>,
        now: u64,
        room_id: &str,
        most: usize,
    ) -> Option<Rc<RawValue>> {
        self.used = now;
        let first = self.entries.partition_point(|entry| entry.event.seq <= seq);
        let end = self.entries.partition_point(|entry| entry.event.seq <= upto).max(first);
        let moderator = viewer.role.at_least(Role::Moderator);
        let of_one =
            |entry: &Entry| matches!(&entry.event.audience, Audience::User(user) if viewer.user_id == Some(user));
        // Nothing here is seen by this viewer alone, nor by others and not by this one, nor later.
        let common = moderator
            || (viewer.blocks.is_empty()
                && self.entries.range(first..end).next_back().is_none_or(|last| last.event.visible_at <= now)
                && !self.entries.range(first..end).any(of_one));
        let key = (seq, upto, moderator);
        if common && let Some((_, answer)) = self.answers.iter().find(|(known, _)| *known == key) {
            return Some(answer.clone());
        }
        let (mut lines, mut bytes) = (Vec::new(), 0);
        // Only the last counts of a message matter.
        let mut counted: BTreeMap<MessageId, usize> = BTreeMap::new();
        for entry in self.entries.range_mut(first..end) {
            let Some(line) = entry.line(viewer, now, room_id) else { continue };
            bytes += line.len();
            if bytes > most {
                return None;
            }
            if let Body::Reaction { message_id, .. } = &entry.event.body
                && let Some(older) = counted.insert(*message_id, lines.len())
                && let Some(slot) = lines.get_mut(older)
            {
                *slot = None;
            }
            lines.push(Some(line));
        }
        let lines: Vec<Line> = lines.into_iter().flatten().collect();
        let answer: Rc<RawValue> = raw(format!("[{}]", lines.join(","))).into();
        if common {
            self.answers.push_back((key, answer.clone()));
            while !self.answers_are_few() {
                self.answers.pop_front();
            }
        }
        Some(answer)
    }

    fn answers_are_few(&self) -> bool {
        let bytes: usize = self.answers.iter().map(|(_, answer)| answer.get().len()).sum();
        self.answers.len() <= ANSWERS && bytes <= KEPT.1
    }
}
