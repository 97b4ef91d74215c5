//! A room's log in its object's SQLite.

use super::binding::{RawSql, RawState};
use super::shape::upgrade;
use crate::room::{Ends, KEY_SHAPE, Log, Read, Row, StorageFault, Upgrade, Write};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use worker::{SqlStorage, SqlStorageValue};

/// `log.last_seq` is a row's last event, `no` the number of the last message up to there, `dedupe` the hashes of what
/// senders called their messages, each in 16 hex digits.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS log (last_seq INTEGER PRIMARY KEY, no INTEGER NOT NULL, \
     at_ms INTEGER NOT NULL, events TEXT NOT NULL, dedupe TEXT); \
     CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";

/// What brings a storage from that, shape 1, to the shapes after it.
const UPGRADES: &[Upgrade] = &[];

const SET: &str = "INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";

/// What [`Log::state`] leaves out begins with these.
const APART: [&str; 2] = ["quote:", "react:"];

/// How many asks one reading of the size answers: it costs as much as an INSERT, and so many rows are at most a few MB
/// of the hundreds that it is compared with.
const SIZE_ANSWERS: u32 = 64;

pub(super) struct Sqlite {
    sql: SqlStorage,
    raw: RawSql,
    /// The size in bytes, and how many more asks it answers.
    size: Cell<(u64, u32)>,
    ends: RefCell<Ends>,
    /// While the object begins, until it first writes: the state, once it was read. Several ask for it then, and each
    /// statement keeps the frame waiting that woke the object.
    begins: RefCell<Option<Option<State>>>,
}

type State = Vec<(String, String)>;

#[derive(Deserialize)]
struct LogRow {
    last_seq: u64,
    no: u64,
    events: String,
}

#[derive(Deserialize)]
struct Pair {
    key: String,
    value: String,
}

fn number(n: u64) -> SqlStorageValue {
    i64::try_from(n).ok().and_then(|n| SqlStorageValue::try_from_i64(n).ok()).unwrap_or(SqlStorageValue::Null)
}

fn fault(error: impl std::fmt::Display) -> StorageFault {
    StorageFault(format!("SQLite: {error}"))
}

impl Sqlite {
    /// Opens the storage, making the tables where it is empty, and brings it to this build's shape.
    ///
    /// Nothing is written to that of a newer version, so the tables are made only where there are none to read.
    pub(super) fn open(sql: SqlStorage, raw: &RawState) -> Read<Self> {
        let (size, ends, begins) = (Cell::default(), RefCell::default(), RefCell::new(Some(None)));
        let own = Self { sql, raw: raw.storage().sql(), size, ends, begins };
        let state = own.state().or_else(|_| {
            own.sql.exec(SCHEMA, None).map_err(fault)?;
            own.state()
        });
        let found = state?.into_iter().find(|(key, _)| key == KEY_SHAPE).map(|(_, value)| value);
        if upgrade((&own.sql, raw), found.as_deref(), UPGRADES, SET)? {
            *own.begins.borrow_mut() = Some(None);
        }
        Ok(own)
    }

    fn query<T: DeserializeOwned>(&self, query: &str, values: Vec<SqlStorageValue>) -> Read<Vec<T>> {
        self.sql.exec(query, values).and_then(|cursor| cursor.to_array()).map_err(fault)
    }

    fn rows(&self, query: &str, values: Vec<SqlStorageValue>) -> Read<Vec<Row>> {
        let rows: Vec<LogRow> = self.query(query, values)?;
        rows.iter()
            .map(|row| Ok(Row { last: row.last_seq, no: row.no, events: Row::events_from_json(&row.events)? }))
            .collect()
    }

    /// The object has begun and its storage is not read again.
    pub(super) fn begun(&self) {
        self.begins.take();
    }

    /// Counts this wake; how many there have been.
    pub(super) fn count_wake(&self) -> Read<u64> {
        #[derive(Deserialize)]
        struct Wakes {
            value: String,
        }
        self.begins.take();
        let count = "INSERT INTO state (key, value) VALUES ('wakes', '1') ON CONFLICT (key) DO UPDATE \
                     SET value = CAST(value AS INTEGER) + 1 RETURNING value";
        let wakes: Vec<Wakes> = self.query(count, Vec::new())?;
        Ok(wakes.first().and_then(|wakes| wakes.value.parse().ok()).unwrap_or_default())
    }

    /// Carries a step's writes out, all or none.
    pub(super) fn write(&self, raw: &RawState, write: Write) -> Result<(), String> {
        if write.is_empty() {
            return Ok(());
        }
        self.begins.take();
        let events = write.append.as_ref().map(|row| serde_json::to_string(&row.events)).transpose();
        let events = events.map_err(|error| error.to_string())?.unwrap_or_default();
        let alone = write.rewrite.is_empty() && write.state.is_empty();
        if let (Some(row), true, None) = (&write.append, alone, write.forget_to) {
            // One statement is a transaction by itself.
            self.append(row, &events, &write.dedupe).map_err(|error| error.to_string())?;
        } else {
            raw.transaction(|| self.write_all(&write, &events))?;
        }
        self.ends.borrow_mut().follow(write, events.len());
        Ok(())
    }

    fn append(&self, row: &Row, events: &str, dedupe: &[u64]) -> worker::Result<()> {
        let at = row.events.last().map_or(0, |event| event.at);
        let dedupe = match dedupe {
            [] => SqlStorageValue::Null,
            hashes => hashes.iter().map(|hash| format!("{hash:016x}")).collect::<String>().into(),
        };
        let values = vec![number(row.last), number(row.no), number(at), events.into(), dedupe];
        // By name: a later build's table may have more.
        let insert = "INSERT INTO log (last_seq, no, at_ms, events, dedupe) VALUES (?, ?, ?, ?, ?)";
        self.sql.exec(insert, values).map(|_| ())
    }

    fn write_all(&self, write: &Write, events: &str) -> worker::Result<()> {
        for row in &write.rewrite {
            // Among those that are changed may be one that this build does not know.
            let events = row.events_json()?;
            self.sql.exec("UPDATE log SET events = ? WHERE last_seq = ?", vec![events.into(), number(row.last)])?;
        }
        for (key, value) in &write.state {
            match value {
                Some(value) => self.sql.exec(SET, vec![key.as_str().into(), value.as_str().into()])?,
                None => self.sql.exec("DELETE FROM state WHERE key = ?", vec![key.as_str().into()])?,
            };
        }
        if let Some(row) = &write.append {
            self.append(row, events, &write.dedupe)?;
        }
        if let Some(seq) = write.forget_to {
            self.sql.exec("DELETE FROM log WHERE last_seq <= ?", vec![number(seq)])?;
            self.size.take();
        }
        Ok(())
    }
}

impl Log for Sqlite {
    fn row_with(&self, seq: u64) -> Read<Option<Row>> {
        let query = "SELECT last_seq, no, events FROM log WHERE last_seq >= ? ORDER BY last_seq LIMIT 1";
        self.ends.borrow_mut().row_with(seq, || Ok(self.rows(query, vec![number(seq)])?.pop()))
    }

    fn rows_after(&self, seq: u64, limit: u32) -> Read<Vec<Row>> {
        if let Some(rows) = self.ends.borrow().rows_after(seq, limit) {
            return Ok(rows);
        }
        let query = "SELECT last_seq, no, events FROM log WHERE last_seq > ? ORDER BY last_seq LIMIT ?";
        self.rows(query, vec![number(seq), number(limit.into())])
    }

    fn rows_before(&self, seq: u64, limit: u32) -> Read<Vec<Row>> {
        let query = "SELECT last_seq, no, events FROM log WHERE last_seq < ? ORDER BY last_seq DESC LIMIT ?";
        self.rows(query, vec![number(seq.min(u64::MAX >> 11)), number(limit.into())])
    }

    fn state(&self) -> Read<State> {
        if let Some(Some(known)) = &*self.begins.borrow() {
            return Ok(known.clone());
        }
        let query = "SELECT key, value FROM state WHERE NOT (key >= 'quote:' AND key < 'quote;') \
                     AND NOT (key >= 'react:' AND key < 'react;')";
        let pairs: Vec<Pair> = self.query(query, Vec::new())?;
        let state: State = pairs.into_iter().map(|pair| (pair.key, pair.value)).collect();
        if let Some(known) = &mut *self.begins.borrow_mut() {
            *known = Some(state.clone());
        }
        Ok(state)
    }

    fn value(&self, key: &str) -> Read<Option<String>> {
        if let Some(Some(known)) = &*self.begins.borrow()
            && !APART.iter().any(|prefix| key.starts_with(prefix))
        {
            return Ok(known.iter().find(|(own, _)| own == key).map(|(_, value)| value.clone()));
        }
        let pairs: Vec<Pair> = self.query("SELECT key, value FROM state WHERE key = ?", vec![key.into()])?;
        Ok(pairs.into_iter().next().map(|pair| pair.value))
    }

    fn reactions(&self, from: u64, to: u64) -> Read<Vec<(u64, String)>> {
        let query = "SELECT key, value FROM state WHERE key BETWEEN ? AND ?";
        let keys = vec![crate::room::reaction_key(from).into(), crate::room::reaction_key(to).into()];
        let pairs: Vec<Pair> = self.query(query, keys)?;
        let seq = |key: &str| key.rsplit(':').next().and_then(|digits| digits.parse().ok());
        Ok(pairs.into_iter().filter_map(|pair| Some((seq(&pair.key)?, pair.value))).collect())
    }

    fn dedupe(&self, before: u64, limit: u32) -> Read<Vec<(u64, u64, Vec<u64>)>> {
        #[derive(Deserialize)]
        struct Named {
            last_seq: u64,
            at_ms: u64,
            dedupe: String,
        }
        let query = "SELECT last_seq, at_ms, dedupe FROM log WHERE last_seq < ? AND dedupe IS NOT NULL \
                     ORDER BY last_seq DESC LIMIT ?";
        let rows: Vec<Named> = self.query(query, vec![number(before.min(u64::MAX >> 11)), number(limit.into())])?;
        let hashes = |text: &str| {
            let digits = text.as_bytes().chunks(16).filter_map(|chunk| std::str::from_utf8(chunk).ok());
            digits.filter_map(|digits| u64::from_str_radix(digits, 16).ok()).collect()
        };
        Ok(rows.into_iter().map(|row| (row.last_seq, row.at_ms, hashes(&row.dedupe))).collect())
    }

    fn bytes(&self) -> u64 {
        let (size, answers) = match self.size.get() {
            (_, 0) => (self.raw.database_size() as u64, SIZE_ANSWERS),
            known => known,
        };
        self.size.set((size, answers.saturating_sub(1)));
        size
    }
}
