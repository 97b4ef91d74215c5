//! A room's storage in memory, which behaves as the object's SQLite does.

use edge_chat::room::{Log, Read, Row, StorageFault, Write, reaction_key};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// What a broken storage does wrong; for the tests of the simulator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flaw {
    #[default]
    None,
    /// What was said stays when it is deleted or edited away.
    KeepsOldText,
    /// No `client_id` is known again.
    ForgetsSent,
    /// No message can be read.
    Unreadable,
    /// No single value can be read.
    NoValues,
    /// One more row can be found, and none after it.
    SecondRow,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// `seq` of the row's last event → (`no`, events as JSON).
    pub log: BTreeMap<u64, (u64, String)>,
    pub state: BTreeMap<String, String>,
    /// `seq` of the row's last event → (its time, hashes of what senders called their messages).
    pub dedupe: BTreeMap<u64, (u64, Vec<u64>)>,
}

#[derive(Debug, Default)]
pub struct MemoryLog {
    tables: RefCell<Tables>,
    pub flaw: Cell<Flaw>,
    /// How often rows were read backwards.
    pub reads: Cell<u32>,
    /// Bytes beside those of the log.
    pub beside: Cell<u64>,
    /// Bytes that each row takes, whatever is in it; where there is none they are counted.
    pub weight: Cell<Option<u64>>,
    /// How often rows were read forwards.
    pub forward_reads: Cell<u32>,
}

impl MemoryLog {
    /// Carries a step's writes out; what SQLite would refuse panics here, so it is all or none.
    pub fn write(&self, write: &Write) {
        let mut tables = self.tables.borrow_mut();
        for row in &write.rewrite {
            let (no, events) = tables.log.get_mut(&row.last).expect("a rewritten row is there");
            assert_eq!(*no, row.no);
            if self.flaw.get() != Flaw::KeepsOldText {
                *events = row.events_json().unwrap();
            }
        }
        for (key, value) in &write.state {
            match value {
                Some(value) => tables.state.insert(key.clone(), value.clone()),
                None => tables.state.remove(key),
            };
        }
        if let Some(row) = &write.append {
            let last = tables.log.last_key_value().map_or(row.first() - 1, |(last, _)| *last);
            assert!(
                row.events.iter().map(|event| event.seq).eq(last + 1..=row.last),
                "seq goes on without a hole: {} then {:?}",
                last,
                row.events.iter().map(|event| event.seq).collect::<Vec<_>>()
            );
            let events = serde_json::to_string(&row.events).unwrap();
            tables.log.insert(row.last, (row.no, events));
            if !write.dedupe.is_empty() && self.flaw.get() != Flaw::ForgetsSent {
                tables.dedupe.insert(row.last, (row.events.last().map_or(0, |event| event.at), write.dedupe.clone()));
            }
        }
        if let Some(seq) = write.forget_to {
            tables.log.retain(|last, _| *last > seq);
            tables.dedupe.retain(|last, _| *last > seq);
        }
    }

    /// Forgets the rows that end at or before `seq`.
    pub fn trim(&self, seq: u64) {
        self.tables.borrow_mut().log.retain(|last, _| *last > seq);
    }

    /// Appends a row as if a step had written it.
    pub fn append(&self, row: &Row) {
        self.write(&Write { append: Some(row.clone()), ..Write::default() });
    }

    /// Loses everything.
    pub fn wipe(&self) {
        self.tables.replace(Tables::default());
    }

    /// All of it, as a copy.
    pub fn copy(&self) -> Tables {
        self.tables.borrow().clone()
    }

    /// Puts a copy in the place of what is there.
    pub fn put(&self, tables: Tables) {
        self.tables.replace(tables);
    }

    /// The rows as they are stored: `seq`, `no` and events.
    pub fn stored(&self) -> Vec<String> {
        self.tables.borrow().log.iter().map(|(seq, (no, events))| format!("{seq} {no} {events}")).collect()
    }

    /// Whether this text stands anywhere in the storage.
    pub fn holds(&self, text: &str) -> bool {
        let tables = self.tables.borrow();
        tables.log.values().any(|(_, events)| events.contains(text))
            || tables.state.iter().any(|(key, value)| key.contains(text) || value.contains(text))
    }

    fn rows<'a>(rows: impl Iterator<Item = (&'a u64, &'a (u64, String))>) -> Read<Vec<Row>> {
        rows.map(|(last, (no, events))| Ok(Row { last: *last, no: *no, events: Row::events_from_json(events)? }))
            .collect()
    }
}

impl Log for MemoryLog {
    fn row_with(&self, seq: u64) -> Read<Option<Row>> {
        match self.flaw.get() {
            Flaw::Unreadable => return Err(StorageFault("disk I/O error on page 7".into())),
            Flaw::SecondRow => self.flaw.set(Flaw::Unreadable),
            _ => {}
        }
        Ok(Self::rows(self.tables.borrow().log.range(seq..).take(1))?.pop())
    }

    fn rows_after(&self, seq: u64, limit: u32) -> Read<Vec<Row>> {
        self.forward_reads.set(self.forward_reads.get() + 1);
        Self::rows(self.tables.borrow().log.range(seq + 1..).take(limit as usize))
    }

    fn rows_before(&self, seq: u64, limit: u32) -> Read<Vec<Row>> {
        self.reads.set(self.reads.get() + 1);
        Self::rows(self.tables.borrow().log.range(..seq).rev().take(limit as usize))
    }

    fn state(&self) -> Read<Vec<(String, String)>> {
        let tables = self.tables.borrow();
        let pairs = tables.state.iter().filter(|(key, _)| !key.starts_with("react:") && !key.starts_with("quote:"));
        Ok(pairs.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn value(&self, key: &str) -> Read<Option<String>> {
        if self.flaw.get() == Flaw::NoValues {
            return Err(StorageFault("disk I/O error on page 8".into()));
        }
        Ok(self.tables.borrow().state.get(key).cloned())
    }

    fn reactions(&self, from: u64, to: u64) -> Read<Vec<(u64, String)>> {
        let tables = self.tables.borrow();
        let pairs = tables.state.range(reaction_key(from)..=reaction_key(to));
        Ok(pairs.map(|(key, value)| (key["react:".len()..].parse().unwrap(), value.clone())).collect())
    }

    fn dedupe(&self, before: u64, limit: u32) -> Read<Vec<(u64, u64, Vec<u64>)>> {
        let tables = self.tables.borrow();
        let rows = tables.dedupe.range(..before).rev().take(limit as usize);
        Ok(rows.map(|(last, (at, hashes))| (*last, *at, hashes.clone())).collect())
    }

    fn bytes(&self) -> u64 {
        let log = &self.tables.borrow().log;
        match self.weight.get() {
            Some(weight) => weight * log.len() as u64,
            None => log.values().map(|(_, events)| events.len() as u64).sum::<u64>() + self.beside.get(),
        }
    }
}
