//! The erasure of this user: which places are left, what is asked of which next, and what the last search found. It
//! stands in the storage after each step, so that it goes on whenever the object was ended.

use super::{RETRY, Step};
use crate::protocol::UserId;
use crate::protocol::erasure::{Erase, Erased, Mode, Named, Progress, Proof, RoomProgress, RoomState, Stage};
use crate::protocol::wire::json;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const KEY_JOB: &str = "erase:job";
const KEY_ROOM: &str = "erase:room:";
const KEY_OTHER: &str = "erase:with:";
/// So often all places are gone through at most.
const MOST_PASSES: u32 = 5;
/// Rooms of which is asked at once whether PostgreSQL has passed them, and of which progress tells.
const AT_ONCE: usize = 200;
const SHOWN: usize = 1_000;
/// What the user said last, perhaps over REST and in rooms that nobody here knows of, is in PostgreSQL within 2 s as a
/// rule: nobody looks there before this has passed since the sign-out, ms.
const SETTLES: u64 = 5_000;
/// The longest wait after what did not work, ms.
const LONGEST: u64 = 60_000;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Job {
    id: String,
    mode: Mode,
    stage: Stage,
    pass: u32,
    /// When it looks first, ms.
    from: u64,
    /// Tables, once they are known; which of them it is at, and after which key.
    #[serde(default)]
    tables: Vec<String>,
    #[serde(default)]
    table: usize,
    #[serde(default)]
    after: Option<String>,
    /// What this pass has found and done so far.
    proof: Proof,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Place {
    state: RoomState,
    /// Its log is done up to here: erased, and later searched.
    after: u64,
    epoch: u64,
    seq: u64,
    messages: u64,
    entries: u64,
    /// In which pass its log was searched to its end.
    #[serde(default)]
    searched: u32,
}

/// What the adapter is to do next.
#[derive(Debug, PartialEq)]
pub enum Task {
    /// A call of `chat_erase`.
    Sql(Value),
    /// Take the user out of a part of a room's log.
    Erase(String, Erase),
    /// Search a part of it.
    Search(String, Erase),
    /// Have another user's object forget this one.
    Forget(UserId),
    /// Clear this object's own storage.
    Clear,
}

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// The answer of `chat_erase`.
    Sql(Value),
    /// Of a room.
    Erased(Erased),
    /// Of a search.
    Named(Named),
    /// Nothing more is to be said.
    Done,
    /// It did not work: who did not answer.
    Failed(&'static str),
}

/// An erasure, while there is one.
#[derive(Debug, Default)]
pub(super) struct Erasure {
    job: Option<Job>,
    rooms: BTreeMap<String, Place>,
    others: BTreeSet<UserId>,
    retry_at: u64,
    tries: u32,
    waits_for: Option<&'static str>,
}

fn names(value: &Value, field: &str) -> Vec<String> {
    let list = value.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

impl Erasure {
    /// Takes over a piece of state; false where the key is not one of these.
    pub(super) fn load(&mut self, key: &str, value: &str) -> Result<bool, ()> {
        if key == KEY_JOB {
            self.job = Some(serde_json::from_str(value).map_err(|_| ())?);
        } else if let Some(room) = key.strip_prefix(KEY_ROOM) {
            self.rooms.insert(room.to_owned(), serde_json::from_str(value).map_err(|_| ())?);
        } else if let Some(other) = key.strip_prefix(KEY_OTHER) {
            self.others.insert(other.to_owned());
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Begins, in these rooms and others; again, under the same id, it goes on. Whether it is new.
    pub(super) fn begin(
        &mut self,
        id: &str,
        mode: Mode,
        rooms: BTreeSet<String>,
        others: BTreeSet<UserId>,
        now: u64,
        step: &mut Step,
    ) -> bool {
        if self.job.as_ref().is_some_and(|job| job.id == id) {
            return false;
        }
        self.end(step);
        self.job = Some(Job { id: id.to_owned(), mode, pass: 1, from: now.saturating_add(SETTLES), ..Job::default() });
        rooms.into_iter().for_each(|room| self.reset(room, step));
        others.into_iter().for_each(|other| self.other(other, step));
        self.keep(step);
        true
    }

    /// When there is something to do, ms.
    pub(super) fn due(&self, now: u64) -> Option<u64> {
        self.job.as_ref().map(|job| self.retry_at.max(job.from).max(now.saturating_add(RETRY)))
    }

    /// Whether there is nothing to wait for any more before the own storage is cleared.
    pub(super) fn is_patient(&self) -> bool {
        self.tries < 10
    }

    pub(super) fn progress(&self) -> Option<Progress> {
        let job = self.job.as_ref()?;
        let rooms = self.rooms.iter().take(SHOWN).map(|(room_id, place)| RoomProgress {
            room_id: room_id.clone(),
            state: place.state,
            messages: place.messages,
            entries: place.entries,
        });
        Some(Progress {
            step: job.stage,
            pass: job.pass,
            waits_for: self.waits_for.map(str::to_owned),
            rooms: rooms.collect(),
            rooms_total: self.rooms.len(),
        })
    }

    fn keep(&self, step: &mut Step) {
        step.write.push((KEY_JOB.into(), self.job.as_ref().map(json)));
    }

    fn keep_room(&self, room: &str, step: &mut Step) {
        step.write.push((format!("{KEY_ROOM}{room}"), self.rooms.get(room).map(json)));
    }

    /// The room's log is to be gone through, from its beginning.
    fn reset(&mut self, room: String, step: &mut Step) {
        let place = self.rooms.entry(room.clone()).or_default();
        *place = Place { messages: place.messages, entries: place.entries, ..Place::default() };
        self.keep_room(&room, step);
    }

    fn other(&mut self, other: UserId, step: &mut Step) {
        step.write.push((format!("{KEY_OTHER}{other}"), Some("1".into())));
        self.others.insert(other);
    }

    /// It is over: nothing of it is left here.
    fn end(&mut self, step: &mut Step) {
        let rooms = std::mem::take(&mut self.rooms).into_keys().map(|room| format!("{KEY_ROOM}{room}"));
        let others = std::mem::take(&mut self.others).into_iter().map(|other| format!("{KEY_OTHER}{other}"));
        step.write.extend(rooms.chain(others).chain([KEY_JOB.to_owned()]).map(|key| (key, None)));
        *self = Self::default();
    }

    /// What is to be done now; then tell [`Erasure::done`].
    pub(super) fn next(&self, user: &str, now: u64) -> Option<Task> {
        let job = self.job.as_ref().filter(|job| self.retry_at.max(job.from) <= now)?;
        let erase = |after| Erase { user_id: user.to_owned(), mode: job.mode, after };
        let part = |op: &str| match job.tables.get(job.table) {
            None => Task::Sql(json!({"op": "places"})),
            Some(table) => {
                Task::Sql(json!({"op": op, "user_id": user, "mode": job.mode, "table": table, "after": job.after}))
            }
        };
        Some(match job.stage {
            Stage::Look => part("look"),
            Stage::Search => part("search"),
            Stage::Tables => part("wipe"),
            Stage::Rooms => {
                let (room, place) = self.rooms.iter().find(|(_, place)| place.state == RoomState::Waits)?;
                Task::Erase(room.clone(), erase(place.after))
            }
            Stage::Drain => {
                let erased = self.rooms.iter().filter(|(_, place)| place.state == RoomState::Erased);
                let rooms: BTreeMap<_, _> =
                    erased.take(AT_ONCE).map(|(room, place)| (room, [place.epoch, place.seq])).collect();
                Task::Sql(json!({"op": "passed", "rooms": rooms}))
            }
            Stage::Others => Task::Forget(self.others.first()?.clone()),
            Stage::Own => Task::Clear,
            Stage::Logs => {
                let (room, place) = self.rooms.iter().find(|(_, place)| place.searched < job.pass)?;
                Task::Search(room.clone(), erase(place.after))
            }
            Stage::Prove => {
                let status = if job.is_clean() { "done" } else { "incomplete" };
                Task::Sql(
                    json!({"op": "done", "user_id": user, "erasure_id": job.id, "status": status, "proof": job.proof}),
                )
            }
        })
    }

    /// What came of the task that was next.
    pub(super) fn done(&mut self, done: Done, now: u64, step: &mut Step) {
        let Some(mut job) = self.job.take() else { return };
        let stage = job.stage;
        let went_on = match done {
            Done::Failed(who) => Err(who),
            Done::Sql(answer) if answer.get("on_hold").is_some() => Err(HOLD),
            Done::Sql(answer) if stage == Stage::Prove => {
                drop(answer);
                self.job = Some(job);
                return self.end(step);
            }
            Done::Sql(answer) if stage == Stage::Drain => self.passed(&answer, step),
            Done::Sql(answer) => self.looked(&mut job, &answer, step),
            Done::Erased(erased) => {
                self.erased(&mut job, erased, step);
                Ok(())
            }
            Done::Named(named) => {
                self.searched(&mut job, named, step);
                Ok(())
            }
            Done::Done => {
                if stage == Stage::Own {
                    job.stage = Stage::Search;
                } else if let Some(other) = self.others.pop_first() {
                    step.write.push((format!("{KEY_OTHER}{other}"), None));
                }
                Ok(())
            }
        };
        match went_on {
            Ok(()) => (self.tries, self.retry_at, self.waits_for) = (0, now, None),
            Err(who) => {
                self.retry_at = now.saturating_add((RETRY << self.tries.min(16)).min(LONGEST));
                if who == DRAINS {
                    self.retry_at = now.saturating_add(RETRY);
                } else if who == HOLD {
                    self.retry_at = now.saturating_add(LONGEST);
                }
                self.tries = self.tries.saturating_add(1);
                self.waits_for = Some(who);
            }
        }
        self.go_on(&mut job, step);
        self.job = Some(job);
        if went_on.is_ok() {
            self.keep(step);
        }
    }

    /// An answer about tables.
    fn looked(&mut self, job: &mut Job, answer: &Value, step: &mut Step) -> Result<(), &'static str> {
        if job.tables.is_empty() {
            job.tables =
                answer.as_array().ok_or(POSTGRES)?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            return if job.tables.is_empty() { Err(POSTGRES) } else { Ok(()) };
        }
        if job.stage == Stage::Look {
            for room in names(answer, "rooms") {
                // Of one that is known, and was done in this pass, nothing is left to do.
                if self.rooms.get(&room).is_none_or(|place| place.state == RoomState::Done) {
                    self.reset(room, step);
                }
            }
            names(answer, "users").into_iter().for_each(|other| self.other(other, step));
        }
        if job.stage == Stage::Search {
            for (column, rows) in answer.get("found").and_then(Value::as_object).into_iter().flatten() {
                *job.proof.tables.entry(column.clone()).or_default() += rows.as_u64().unwrap_or_default();
            }
            for (column, rows) in answer.get("elsewhere").and_then(Value::as_object).into_iter().flatten() {
                *job.proof.elsewhere.entry(column.clone()).or_default() += rows.as_u64().unwrap_or_default();
            }
            for (table, code) in answer.get("unread").and_then(Value::as_object).into_iter().flatten() {
                job.proof.unread.insert(table.clone(), code.as_str().unwrap_or_default().to_owned());
            }
        }
        job.after = answer.get("next").and_then(Value::as_str).map(str::to_owned);
        if job.after.is_none() {
            job.table += 1;
        }
        Ok(())
    }

    fn passed(&mut self, answer: &Value, step: &mut Step) -> Result<(), &'static str> {
        let passed = answer.as_array().ok_or(POSTGRES)?;
        for room in passed.iter().filter_map(Value::as_str) {
            if let Some(place) = self.rooms.get_mut(room) {
                place.state = RoomState::Done;
                self.keep_room(room, step);
            }
        }
        if passed.is_empty() { Err(DRAINS) } else { Ok(()) }
    }

    fn erased(&mut self, job: &mut Job, erased: Erased, step: &mut Step) {
        let Some((room, place)) = self.rooms.iter_mut().find(|(_, place)| place.state == RoomState::Waits) else {
            return;
        };
        place.messages += erased.messages;
        place.entries += erased.entries;
        job.proof.erased_messages += erased.messages;
        job.proof.erased_entries += erased.entries;
        place.after = erased.next.unwrap_or_default();
        if erased.next.is_none() {
            (place.epoch, place.seq) = (erased.epoch, erased.seq);
            // Of a room that is not there nothing is to be waited for.
            place.state = if erased.epoch == 0 { RoomState::Done } else { RoomState::Erased };
        }
        let room = room.clone();
        self.keep_room(&room, step);
    }

    fn searched(&mut self, job: &mut Job, named: Named, step: &mut Step) {
        let pass = job.pass;
        let Some((room, place)) = self.rooms.iter_mut().find(|(_, place)| place.searched < pass) else { return };
        job.proof.entries += named.entries;
        if named.entries > 0 {
            // Found at its beginning or not: in the next pass all of it is gone through.
            place.state = RoomState::Waits;
        }
        place.after = named.next.unwrap_or_default();
        if named.next.is_none() {
            place.searched = pass;
        }
        let room = room.clone();
        self.keep_room(&room, step);
    }

    /// The next stage, where this one has nothing left to do.
    fn go_on(&mut self, job: &mut Job, step: &mut Step) {
        let all = |state: RoomState| self.rooms.values().all(|place| place.state >= state);
        let tables = !job.tables.is_empty() && job.table >= job.tables.len();
        let next = match job.stage {
            Stage::Look if tables => Stage::Rooms,
            Stage::Tables if tables => Stage::Own,
            Stage::Search if tables => Stage::Logs,
            stage => stage,
        };
        if next != job.stage {
            (job.stage, job.table, job.after) = (next, 0, None);
        }
        if job.stage == Stage::Rooms && all(RoomState::Erased) {
            job.stage = Stage::Drain;
        }
        if job.stage == Stage::Drain && all(RoomState::Done) {
            job.stage = Stage::Others;
        }
        if job.stage == Stage::Others && self.others.is_empty() {
            job.stage = Stage::Tables;
        }
        if job.stage == Stage::Logs && self.rooms.values().all(|place| place.searched >= job.pass) {
            job.proof.rooms = u64::try_from(self.rooms.len()).unwrap_or(u64::MAX);
            job.proof.passes = job.pass;
            if job.is_clean() || job.pass >= MOST_PASSES {
                job.stage = Stage::Prove;
                return;
            }
            job.pass += 1;
            (job.stage, job.proof.entries) = (Stage::Look, 0);
            job.proof.tables.clear();
            job.proof.elsewhere.clear();
            job.proof.unread.clear();
            step.write.push((KEY_JOB.into(), Some(json(job))));
        }
    }
}

const POSTGRES: &str = "PostgreSQL";
const DRAINS: &str = "rooms to drain";
/// One that was placed once the job ran.
const HOLD: &str = "a legal hold";

impl Job {
    /// Whether the search of this pass found nothing.
    fn is_clean(&self) -> bool {
        self.proof.entries == 0 && self.proof.tables.values().all(|rows| *rows == 0)
    }
}
