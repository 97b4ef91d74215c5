//! What of its sessions a gateway keeps in SQLite: for its own sleep, and for clients that come back.

use super::super::binding::RawState;
use super::super::shape::upgrade;
use super::entry::Who;
use crate::audience::{Attachment, SocketId};
use crate::room::{KEY_SHAPE, Read, StorageFault, Upgrade};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use worker::{SqlStorage, SqlStorageValue};

/// `ended` is 0 while the session is there. `about` keeps whom users block, under the room and the state's own key.
const SCHEMA: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS session (sid TEXT PRIMARY KEY, pid TEXT NOT NULL, ended INTEGER NOT NULL, \
     what TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
];

/// What brings a storage from that, shape 1, to the shapes after it.
const UPGRADES: &[Upgrade] = &[];
const SET: &str = "INSERT OR REPLACE INTO about (key, value) VALUES (?, ?)";

const BEAT: &str = "beat";

/// A session as it is kept.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) number: SocketId,
    pub(super) who: Who,
    /// Since when it has a WebSocket, ms.
    #[serde(default)]
    pub(super) websocket_at: u64,
    /// Attachments, by room.
    pub(super) rooms: BTreeMap<String, String>,
}

impl Saved {
    /// Whether it can be this user's: nobody else is behind it in any room.
    fn is_of(&self, sub: &str) -> bool {
        let own = |attachment: &String| {
            let attachment = serde_json::from_str::<Attachment>(attachment);
            attachment.is_ok_and(|attachment| attachment.identity.is_none_or(|who| who.user_id == sub))
        };
        self.who.claims.as_ref().is_none_or(|claims| claims.sub == sub) && self.rooms.values().all(own)
    }
}

/// Asks for what is kept of a session that comes back.
#[derive(Serialize, Deserialize)]
pub(super) struct Take {
    pub(super) pid: String,
    /// The user whose token came with it.
    pub(super) sub: Option<String>,
    /// The gateway that asks.
    #[serde(default)]
    pub(super) by: u32,
}

impl Take {
    /// Whether the session may be given to whoever asks.
    pub(super) fn fits(&self, saved: &Saved) -> bool {
        self.sub.as_ref().is_none_or(|sub| saved.is_of(sub))
    }
}

/// What stands where a session made here went on at another gateway, which has what is kept of it.
#[derive(Serialize, Deserialize)]
struct Moved {
    moved: u32,
}

/// It is known for so long, ms.
pub(super) const MOVED_FOR: u64 = 24 * 3_600_000;

pub(super) struct Kept(SqlStorage);

#[derive(Deserialize)]
struct Row {
    sid: String,
    what: String,
}

#[derive(Deserialize)]
struct Pair {
    key: String,
    value: String,
}

fn fault(error: impl std::fmt::Display) -> StorageFault {
    StorageFault(format!("SQLite: {error}"))
}

fn number(n: u64) -> SqlStorageValue {
    i64::try_from(n).ok().and_then(|n| SqlStorageValue::try_from_i64(n).ok()).unwrap_or(SqlStorageValue::Null)
}

impl Kept {
    pub(super) const fn new(sql: SqlStorage) -> Self {
        Self(sql)
    }

    /// Makes the tables where the storage is empty, and brings it to this build's shape.
    pub(super) fn open(&self, raw: &RawState) -> Read<()> {
        // Nothing is written to what a newer version stored, so the tables are made only where there are none to read.
        let found = self.get(KEY_SHAPE).or_else(|_| {
            SCHEMA.iter().try_for_each(|table| self.run(table, Vec::new()))?;
            self.get(KEY_SHAPE)
        })?;
        upgrade((&self.0, raw), found.as_deref(), UPGRADES, SET).map(|_| ())
    }

    fn get(&self, key: &str) -> Read<Option<String>> {
        let pairs: Vec<Pair> = self.query("SELECT key, value FROM about WHERE key = ?", vec![key.into()])?;
        Ok(pairs.into_iter().next().map(|pair| pair.value))
    }

    fn query<T: DeserializeOwned>(&self, query: &str, values: Vec<SqlStorageValue>) -> Read<Vec<T>> {
        self.0.exec(query, values).and_then(|cursor| cursor.to_array()).map_err(fault)
    }

    fn run(&self, query: &str, values: Vec<SqlStorageValue>) -> Read<()> {
        self.0.exec(query, values).map(drop).map_err(fault)
    }

    pub(super) fn save(&self, sid: &str, saved: &Saved) -> Read<()> {
        let what = crate::protocol::wire::json(saved);
        let values = vec![sid.into(), saved.who.pid.as_str().into(), what.into()];
        self.run("INSERT OR REPLACE INTO session (sid, pid, ended, what) VALUES (?, ?, 0, ?)", values)
    }

    /// Those that are there, as far as was written.
    pub(super) fn sessions(&self) -> Read<Vec<(String, Saved)>> {
        let rows: Vec<Row> = self.query("SELECT sid, what FROM session WHERE ended = 0", Vec::new())?;
        let read = |row: Row| serde_json::from_str(&row.what).ok().map(|saved| (row.sid, saved));
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// It has ended at that time, ms, and may be recovered for a while.
    pub(super) fn end(&self, sid: &str, now: u64) -> Read<()> {
        self.run("UPDATE session SET ended = ? WHERE sid = ?", vec![number(now), sid.into()])
    }

    pub(super) fn forget(&self, sid: &str) -> Read<()> {
        self.run("DELETE FROM session WHERE sid = ?", vec![sid.into()])
    }

    /// Forgets those that ended before that time, ms; when the first of the others did.
    pub(super) fn sweep(&self, before: u64) -> Read<Option<u64>> {
        #[derive(Deserialize)]
        struct First {
            first: Option<u64>,
        }
        self.run("DELETE FROM session WHERE ended > 0 AND ended < ?", vec![number(before)])?;
        let left: Vec<First> = self.query("SELECT min(ended) AS first FROM session WHERE ended > 0", Vec::new())?;
        Ok(left.first().and_then(|left| left.first))
    }

    /// The session with this private id went on at that gateway.
    pub(super) fn moves(&self, pid: &str, to: u32, now: u64) -> Read<()> {
        let (what, until) = (crate::protocol::wire::json(&Moved { moved: to }), now.saturating_add(MOVED_FOR));
        let values = vec![pid.into(), pid.into(), number(until), what.into()];
        self.run("INSERT OR REPLACE INTO session (sid, pid, ended, what) VALUES (?, ?, ?, ?)", values)
    }

    /// The gateway where it went on.
    pub(super) fn moved(&self, pid: &str) -> Read<Option<u32>> {
        let rows: Vec<Row> = self.query("SELECT sid, what FROM session WHERE sid = ?", vec![pid.into()])?;
        Ok(rows.first().and_then(|row| serde_json::from_str::<Moved>(&row.what).ok()).map(|moved| moved.moved))
    }

    /// The session that is recovered by this id.
    pub(super) fn find(&self, pid: &str) -> Read<Option<(String, Saved)>> {
        let query = "SELECT sid, what FROM session WHERE pid = ?";
        let rows: Vec<Row> = self.query(query, vec![pid.into()])?;
        Ok(rows.into_iter().find_map(|row| serde_json::from_str(&row.what).ok().map(|saved| (row.sid, saved))))
    }

    /// When all sessions were pinged last, ms.
    pub(super) fn beat(&self) -> Read<u64> {
        Ok(self.get(BEAT)?.and_then(|beat| beat.parse().ok()).unwrap_or_default())
    }

    pub(super) fn set_beat(&self, now: u64) -> Read<()> {
        self.set(BEAT, Some(&now.to_string()))
    }

    fn set(&self, key: &str, value: Option<&str>) -> Read<()> {
        match value {
            Some(value) => self.run(SET, vec![key.into(), value.into()]),
            None => self.run("DELETE FROM about WHERE key = ?", vec![key.into()]),
        }
    }

    /// Keeps a piece of a room's state, which is about users of this gateway.
    pub(super) fn set_of(&self, room: &str, key: &str, value: Option<&str>) -> Read<()> {
        self.set(&format!("{room} {key}"), value)
    }

    /// All pieces of all rooms: the room, the key, the value.
    pub(super) fn of_rooms(&self) -> Read<Vec<(String, String, String)>> {
        let pairs: Vec<Pair> = self.query("SELECT key, value FROM about", Vec::new())?;
        let read = |pair: Pair| {
            let (room, key) = pair.key.split_once(' ')?;
            Some((room.to_owned(), key.to_owned(), pair.value))
        };
        Ok(pairs.into_iter().filter_map(read).collect())
    }
}
