//! The end of a room's log in a follower's memory: as the room writes it, and as far back as those who come back ask.

use super::page::messages_in;
use super::reactions::key as reaction_key;
use super::retention::KEY_KEPT;
use super::{KEY_BAN, KEY_EPOCH, KEY_PINNED, KEY_ROLE, KEY_ROOM, Log, Read, Room, Row, Write};
use crate::auth::Role;
use crate::protocol::json_fault;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// So much of them is given at once, bytes of their JSON.
const MOST_BYTES: usize = 1 << 20;
/// What an event takes besides its JSON, bytes.
const EVENT: usize = 512;
/// So many events make a row here, since the oldest are forgotten by rows: what comes after a delay comes in one.
const IN_A_ROW: usize = 64;
/// Rows that are read at once for them: those of a hot room hold many events.
const ROWS: (u32, u32) = (8, 128);

#[derive(Debug, Default)]
struct Tables {
    rows: BTreeMap<u64, Row>,
    events: usize,
    /// So many events are kept.
    most: usize,
    state: BTreeMap<String, String>,
    /// What the rows and the state take, bytes, about; and each row.
    bytes: usize,
    weights: BTreeMap<u64, usize>,
}

impl Tables {
    fn set(&mut self, key: &str, value: Option<&str>) {
        let before = match value {
            Some(value) => {
                self.bytes += key.len() + value.len();
                self.state.insert(key.to_owned(), value.to_owned())
            }
            None => self.state.remove(key),
        };
        self.bytes = self.bytes.saturating_sub(before.map_or(0, |before| key.len() + before.len()));
    }

    fn put(&mut self, row: Row) {
        let Row { mut last, mut no, events: mut rest } = row;
        loop {
            let events = rest.split_off(rest.len().saturating_sub(IN_A_ROW));
            let row = Row { last, no, events };
            no = no.saturating_sub(messages_in(&row));
            let before = row.first().saturating_sub(1);
            self.events += row.events.len();
            self.rows.insert(last, row);
            self.weigh(last);
            last = before;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Forgets the oldest row, if it is not the newest as well.
    fn forget_oldest(&mut self) -> bool {
        if self.rows.len() < 2 {
            return false;
        }
        let Some((_, row)) = self.rows.pop_first() else { return false };
        self.events = self.events.saturating_sub(row.events.len());
        self.weigh(row.last);
        let ends = reaction_key(row.first())..=reaction_key(row.last);
        let keys: Vec<_> = self.state.range(ends).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.set(&key, None);
        }
        true
    }

    /// The row at this place is another, or no more.
    fn weigh(&mut self, last: u64) {
        let text = |row: &Row| row.events_json().map_or(0, |json| json.len());
        let bytes = self.rows.get(&last).map(|row| row.events.len() * EVENT + text(row));
        let before = match bytes {
            Some(bytes) => self.weights.insert(last, bytes),
            None => self.weights.remove(&last),
        };
        self.bytes = (self.bytes + bytes.unwrap_or_default()).saturating_sub(before.unwrap_or_default());
    }
}

/// A room's log as a follower has it.
#[derive(Debug, Default)]
pub struct Replica(RefCell<Tables>);

/// The part of a room's log that a follower begins with.
#[derive(Debug)]
pub struct Tail {
    /// The newest rows, oldest first.
    pub rows: Vec<Row>,
    /// What readers need of the state.
    pub state: Vec<(String, String)>,
    /// Who reacted to the messages in the rows.
    pub reactions: Vec<(u64, String)>,
}

impl Tail {
    /// The end of a room's log: so many events, or a few less.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn of(log: &dyn Log, most: usize) -> Read<Self> {
        let (mut rows, mut events, mut bytes) = (Vec::new(), 0, 0);
        let (mut before, (mut limit, most_rows)) = (u64::MAX, ROWS);
        'read: loop {
            let batch = log.rows_before(before, limit)?;
            let Some(oldest) = batch.last() else { break };
            before = oldest.first();
            for row in batch {
                events += row.events.len();
                bytes += row.events_json().map_or(0, |json| json.len());
                if !rows.is_empty() && (events > most || bytes > MOST_BYTES) {
                    break 'read;
                }
                rows.push(row);
            }
            limit = limit.saturating_mul(2).min(most_rows);
        }
        rows.reverse();
        let first = rows.first().map_or(0, Row::first);
        let last = rows.last().map_or(0, |row| row.last);
        let state = log.state()?.into_iter().filter(|(key, _)| is_shipped(key)).collect();
        Ok(Self { rows, state, reactions: log.reactions(first, last)? })
    }
}

impl Tail {
    /// The log's incarnation; 0 of a log that is empty.
    pub fn epoch(&self) -> u64 {
        let epoch = self.state.iter().find(|(key, _)| key == KEY_EPOCH);
        epoch.and_then(|(_, value)| value.parse().ok()).unwrap_or_default()
    }
}

/// Whether a shard needs this piece of state.
fn is_shipped(key: &str) -> bool {
    matches!(key, KEY_ROOM | KEY_EPOCH | KEY_PINNED | KEY_KEPT)
        || [KEY_BAN, KEY_ROLE, "react:"].iter().any(|prefix| key.starts_with(prefix))
}

impl Replica {
    /// One that begins with this, and keeps so many events.
    pub fn begin(tail: Tail, most: usize) -> Self {
        let replica = Self::default();
        {
            let mut tables = replica.0.borrow_mut();
            tables.most = most;
            for (key, value) in tail.state {
                tables.set(&key, Some(&value));
            }
            for (seq, text) in tail.reactions {
                tables.set(&reaction_key(seq), Some(&text));
            }
            for row in tail.rows {
                tables.put(row);
            }
        }
        replica
    }

    /// What it takes in memory, bytes, about.
    pub fn weight(&self) -> usize {
        self.0.borrow().bytes
    }

    /// Takes over what the room wrote; the oldest that is too much is forgotten.
    pub fn write(&self, write: &Write) {
        let tables = &mut *self.0.borrow_mut();
        let mut touched = BTreeSet::new();
        for row in &write.rewrite {
            // The room may have put in one row what came here in several.
            for event in &row.events {
                let Some((last, row)) = tables.rows.range_mut(event.seq..).next() else { continue };
                let (last, held) = (*last, row.events.iter_mut().find(|held| held.seq == event.seq));
                held.into_iter().for_each(|held| held.clone_from(event));
                touched.insert(last);
            }
        }
        touched.into_iter().for_each(|last| tables.weigh(last));
        // Of what was said before the rows that are kept nothing is shown.
        let oldest = reaction_key(tables.rows.first_key_value().map_or(0, |(_, row)| row.first()));
        let is_kept = |key: &str| is_shipped(key) && !(key.starts_with("react:") && key < oldest.as_str());
        for (key, value) in write.state.iter().filter(|(key, _)| is_kept(key)) {
            tables.set(key, value.as_deref());
        }
        if let Some(row) = &write.append {
            tables.put(row.clone());
        }
        while tables.events > tables.most && tables.forget_oldest() {}
    }

    /// Forgets the oldest until it takes so many bytes at most, the newest row apart.
    pub fn trim(&self, bytes: usize) {
        let tables = &mut *self.0.borrow_mut();
        while tables.bytes > bytes && tables.forget_oldest() {}
    }
}

impl Log for Replica {
    fn row_with(&self, seq: u64) -> Read<Option<Row>> {
        Ok(self.0.borrow().rows.range(seq..).next().map(|(_, row)| row.clone()))
    }

    fn rows_after(&self, seq: u64, limit: u32) -> Read<Vec<Row>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let rows = &self.0.borrow().rows;
        Ok(rows.range(seq.saturating_add(1)..).take(limit).map(|(_, row)| row.clone()).collect())
    }

    fn rows_before(&self, seq: u64, limit: u32) -> Read<Vec<Row>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.0.borrow().rows.range(..seq).rev().take(limit).map(|(_, row)| row.clone()).collect())
    }

    fn state(&self) -> Read<Vec<(String, String)>> {
        let tables = self.0.borrow();
        let pairs = tables.state.iter().filter(|(key, _)| !key.starts_with("react:"));
        Ok(pairs.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn value(&self, key: &str) -> Read<Option<String>> {
        Ok(self.0.borrow().state.get(key).cloned())
    }

    fn reactions(&self, from: u64, to: u64) -> Read<Vec<(u64, String)>> {
        let tables = self.0.borrow();
        let pairs = tables.state.range(reaction_key(from)..=reaction_key(to));
        let seq = |key: &str| key.rsplit(':').next().and_then(|digits| digits.parse().ok());
        Ok(pairs.filter_map(|(key, value)| Some((seq(key)?, value.clone()))).collect())
    }

    fn dedupe(&self, _: u64, _: u32) -> Read<Vec<(u64, u64, Vec<u64>)>> {
        // A shard says nothing of its own.
        Ok(Vec::new())
    }

    fn bytes(&self) -> u64 {
        0
    }
}

impl Row {
    /// The events as a JSON array, as [`Row::events_from_json`] reads it back.
    ///
    /// # Errors
    /// What JSON cannot hold; nothing of what the rules make.
    pub fn events_json(&self) -> serde_json::Result<String> {
        let mut json = String::from("[");
        for (n, event) in self.events.iter().enumerate() {
            if n > 0 {
                json.push(',');
            }
            match &event.body {
                crate::protocol::Body::Unknown(raw) => json.push_str(raw),
                _ => json.push_str(&serde_json::to_string(event)?),
            }
        }
        json.push(']');
        Ok(json)
    }
}

#[derive(Serialize, Deserialize)]
struct RowOnTheWire {
    last: u64,
    no: u64,
    events: Box<RawValue>,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let events = self.events_json().and_then(RawValue::from_string).map_err(S::Error::custom)?;
        RowOnTheWire { last: self.last, no: self.no, events }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let RowOnTheWire { last, no, events } = RowOnTheWire::deserialize(from)?;
        let events = Self::events_from_json(events.get()).map_err(D::Error::custom)?;
        Ok(Self { last, no, events })
    }
}

impl Write {
    /// The part of a step's write that shards need, as JSON; none where there is nothing for them.
    pub fn shipped(&self) -> Option<String> {
        self.append.as_ref()?;
        let state = self.state.iter().filter(|(key, _)| is_shipped(key)).cloned().collect();
        let write =
            Self { append: self.append.clone(), rewrite: self.rewrite.clone(), state, dedupe: vec![], forget_to: None };
        serde_json::to_string(&write).ok()
    }
}

impl Room {
    /// Takes over what the room itself wrote, in a shard that follows it.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn replay(&mut self, write: &Write) -> Read<()> {
        let fault = |key: &str, error: serde_json::Error| {
            super::StorageFault(format!("the state under {key} cannot be read: {}", json_fault(&error)))
        };
        for (key, value) in &write.state {
            let text = value.as_deref();
            if key == KEY_ROOM
                && let Some(text) = text
            {
                self.info = serde_json::from_str(text).map_err(|error| fault(key, error))?;
            } else if key == KEY_PINNED {
                self.pinned = serde_json::from_str(text.unwrap_or("[]")).map_err(|error| fault(key, error))?;
            } else if key == KEY_KEPT
                && let Some(text) = text
            {
                self.kept = serde_json::from_str(text).map_err(|error| fault(key, error))?;
            } else if let Some(user) = key.strip_prefix(KEY_BAN) {
                match text {
                    Some(text) => {
                        let ban = serde_json::from_str(text).map_err(|error| fault(key, error))?;
                        self.bans.insert(user.to_owned(), ban);
                    }
                    None => drop(self.bans.remove(user)),
                }
            } else if let Some(user) = key.strip_prefix(KEY_ROLE) {
                match text {
                    Some(text) => {
                        let role: Role = serde_json::from_str(text).map_err(|error| fault(key, error))?;
                        self.roles.insert(user.to_owned(), role);
                    }
                    None => drop(self.roles.remove(user)),
                }
            }
        }
        if let Some(row) = &write.append {
            (self.last_seq, self.last_no) = (row.last, row.no);
            if let Some(event) = row.events.last() {
                (self.last_at, self.visible_at) = (event.at, event.visible_at);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row with one ban, of which the reason is so long.
    fn row(seq: u64, length: usize) -> Row {
        let (reason, at) = ("x".repeat(length), 1_000 + seq);
        let event = format!(
            r#"[{{"seq":{seq},"at":{at},"visible_at":{at},"event":"unbanned","data":{{"user_id":"ada","by":"mod","role":"moderator","reason":"{reason}"}}}}]"#
        );
        Row { last: seq, no: 0, events: Row::events_from_json(&event).unwrap() }
    }

    /// One that begins with these rows, and keeps all of them.
    fn holding(rows: &[Row], state: &[(&str, &str)]) -> Replica {
        let state = state.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Replica::begin(Tail { rows: rows.to_vec(), state, reactions: Vec::new() }, usize::MAX)
    }

    #[test]
    fn a_tail_is_so_many_events_and_a_mebibyte_at_most_and_one_row_at_least() {
        let ends = |rows: &[Row], most| -> Vec<u64> {
            Tail::of(&holding(rows, &[]), most).unwrap().rows.iter().map(|row| row.last).collect()
        };
        let many: Vec<_> = (1..=400).map(|seq| row(seq, 1)).collect();
        assert_eq!(ends(&many, 400), (1..=400).collect::<Vec<_>>());
        assert_eq!(ends(&many, 399), (2..=400).collect::<Vec<_>>());
        assert_eq!(ends(&many, 0), [400]);
        let two = |seq: u64| Row { last: seq, no: 0, events: [seq - 1, seq].map(|seq| row(seq, 1).events).concat() };
        assert_eq!(ends(&[row(1, 1), two(3), two(5)], 4), [3, 5]);
        assert_eq!(ends(&[row(1, 1), two(3), two(5)], 3), [5], "a row is whole");
        let of_size = |seq, bytes: usize| row(seq, bytes - row(seq, 0).events_json().unwrap().len());
        let half = 1 << 19;
        assert_eq!(ends(&[row(1, 1), of_size(2, half), of_size(3, half)], 9), [2, 3]);
        assert_eq!(ends(&[row(1, 1), of_size(2, half + 1), of_size(3, half)], 9), [3]);
        assert_eq!(ends(&[row(1, 1), row(2, 3 * half)], 9), [2]);
    }

    #[test]
    fn of_the_state_a_follower_has_what_viewers_are_shown() {
        let shown =
            [("ban:ada", "{}"), ("epoch", "7"), ("kept", "{}"), ("pinned", "[]"), ("role:ada", "x"), ("room", "{}")];
        let own = [("cursor:postgres", "1"), ("held:1", "{}"), ("report:1", "{}"), ("terms", "{}")];
        let shipped = |state: Vec<(String, Option<String>)>| {
            let write = Write { append: Some(row(1, 1)), state, dedupe: vec![1], ..Write::default() };
            serde_json::from_str::<Write>(&write.shipped().unwrap()).unwrap()
        };
        let tail = Tail::of(&holding(&[row(1, 1)], &[&shown[..], &own].concat()), 9).unwrap();
        assert_eq!(tail.state, shown.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(tail.epoch(), 7);
        assert_eq!(Tail::of(&holding(&[], &[]), 9).unwrap().epoch(), 0);
        let state = shown.iter().chain(&own).map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned())));
        let write = shipped(state.collect());
        let expected = shown.map(|(key, value)| (key.to_owned(), Some(value.to_owned()))).into();
        assert_eq!(write, Write { append: Some(row(1, 1)), state: expected, ..Write::default() });
        assert_eq!(Write { state: write.state, ..Write::default() }.shipped(), None, "what nobody is shown");
    }

    #[test]
    fn of_reactions_it_has_those_to_what_it_holds() {
        let replica = holding(&[row(5, 1), row(6, 1)], &[]);
        let state = [4, 5, 6, 7].map(|seq| (reaction_key(seq), Some(format!("to {seq}"))));
        replica.write(&Write { state: state.into(), append: Some(row(7, 1)), ..Write::default() });
        let seqs = |replica: &Replica| replica.reactions(0, 9).unwrap().iter().map(|(seq, _)| *seq).collect::<Vec<_>>();
        assert_eq!(seqs(&replica), [5, 6, 7]);
        replica.trim(0);
        assert_eq!(seqs(&replica), [7], "those to what is forgotten go with it");
    }

    #[test]
    fn what_it_takes_follows_what_it_holds() {
        let ban = |value: Option<&str>| (format!("{KEY_BAN}ada"), value.map(str::to_owned));
        let replica = Replica::begin(Tail { rows: vec![row(1, 1_000)], state: Vec::new(), reactions: Vec::new() }, 2);
        let small = replica.weight();
        assert!((EVENT + 1_000..EVENT + 1_200).contains(&small), "{small}");
        let append = |row: Row| Write { append: Some(row), ..Write::default() };
        replica.write(&append(row(2, 5_000)));
        replica.write(&Write { state: [ban(Some("for good"))].into_iter().collect(), ..Write::default() });
        assert!(replica.weight() > small + EVENT + 5_000);
        replica.write(&Write { rewrite: vec![row(2, 10)], ..Write::default() });
        replica.write(&Write { state: [ban(None)].into_iter().collect(), ..Write::default() });
        assert!(replica.weight() < small + EVENT + 200, "an edit, and what is taken back");
        replica.write(&append(row(3, 10)));
        replica.write(&append(row(4, 10)));
        assert!(replica.weight() < 2 * (EVENT + 200), "the oldest are gone");
        let before = replica.weight();
        replica.trim(before);
        assert_eq!(replica.weight(), before, "it takes no more than that");
        replica.trim(before - 1);
        assert!(replica.weight() < EVENT + 200);
        replica.trim(0);
        assert_eq!(replica.rows_after(0, 9).unwrap(), [row(4, 10)], "the newest stays");
        let before = replica.weight();
        for length in [3_000, 1_000] {
            replica.write(&Write { state: vec![ban(Some(&"x".repeat(length)))], ..Write::default() });
            assert!((length..length + 100).contains(&(replica.weight() - before)), "{length}");
        }
        replica.write(&Write { state: vec![ban(None)], ..Write::default() });
        assert_eq!(replica.weight(), before);
    }

    #[test]
    fn what_came_at_once_is_not_forgotten_at_once() {
        let replica = Replica::begin(Tail { rows: vec![row(1, 1)], state: Vec::new(), reactions: Vec::new() }, 200);
        let many = Row { last: 1_001, no: 0, events: (2..=1_001).flat_map(|seq| row(seq, 1).events).collect() };
        replica.write(&Write { append: Some(many), ..Write::default() });
        replica.write(&Write { append: Some(row(1_002, 1)), ..Write::default() });
        let kept: Vec<_> = replica.rows_after(0, 99).unwrap().iter().flat_map(|row| row.events.clone()).collect();
        let seqs: Vec<_> = kept.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (1_002 - seqs.len() as u64 + 1..=1_002).collect::<Vec<_>>());
        assert!((200 - IN_A_ROW..=200).contains(&seqs.len()), "{}", seqs.len());
        assert!(replica.weight() > seqs.len() * EVENT, "each of them takes that");
    }
}
