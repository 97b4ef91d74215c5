//! A user's direct rooms: each has to hear at once, and for sure, when one of its two blocks the other.

use super::{LONGEST, RETRY, Step};
use crate::protocol::wire::json;
use crate::protocol::{RoomId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Direct rooms that are remembered; of more the one that was opened first is forgotten, of those that are owed no word.
const MOST: usize = 1_000;
/// How long a room that is being opened may not be there yet, ms.
const OPENING: u64 = 60_000;
const KEY: &str = "direct:";

#[derive(Debug, Serialize, Deserialize)]
struct Direct {
    with: UserId,
    /// When it was first opened, ms.
    at: u64,
    /// It has to be told whether it is shut.
    #[serde(default)]
    owed: bool,
    #[serde(skip)]
    tries: u32,
    #[serde(skip)]
    retry_at: u64,
    #[serde(skip)]
    in_flight: bool,
}

/// The rooms by id.
#[derive(Debug, Default)]
pub(super) struct Directs {
    rooms: BTreeMap<String, Direct>,
    /// Rooms that are being opened: until when one that is not there may still come, ms.
    opening: BTreeMap<String, u64>,
}

impl Directs {
    /// Takes over a piece of state; false where the key is not one of these.
    pub(super) fn load(&mut self, key: &str, value: &str) -> Result<bool, ()> {
        let Some(room) = key.strip_prefix(KEY) else { return Ok(false) };
        self.rooms.insert(room.to_owned(), serde_json::from_str(value).map_err(|_| ())?);
        Ok(true)
    }

    /// The user, or the other one, is about to open a room.
    pub(super) fn opens(&mut self, room: &str, now: u64) {
        self.opening.retain(|_, until| *until > now);
        self.opening.insert(room.to_owned(), now.saturating_add(OPENING));
    }

    /// The room was opened; false where that was known.
    pub(super) fn opened(&mut self, room: &str, with: &str, now: u64, step: &mut Step) -> bool {
        if self.rooms.contains_key(room) {
            return false;
        }
        if self.rooms.len() >= MOST
            && let Some((oldest, _)) = self.rooms.iter().min_by_key(|(_, direct)| (direct.owed, direct.at))
        {
            let oldest = oldest.clone();
            self.rooms.remove(&oldest);
            step.write.push((format!("{KEY}{oldest}"), None));
        }
        let direct = Direct { with: with.to_owned(), at: now, owed: false, tries: 0, retry_at: now, in_flight: false };
        step.write.push((format!("{KEY}{room}"), Some(json(&direct))));
        self.rooms.insert(room.to_owned(), direct);
        true
    }

    /// Whom the user blocks has changed by this one: the room with them is owed word of it. One that has been forgotten
    /// here, or is being opened, is remembered for that.
    pub(super) fn owe(&mut self, own: &str, other: &str, now: u64, step: &mut Step) {
        let room = RoomId::direct(own, other).as_str().to_owned();
        if self.rooms.len() >= MOST || self.opening.get(&room).is_some_and(|until| *until > now) {
            self.opened(&room, other, now, step);
        }
        if let Some(direct) = self.rooms.get_mut(&room) {
            (direct.owed, direct.tries, direct.retry_at) = (true, 0, now);
            step.write.push((format!("{KEY}{room}"), Some(json(direct))));
        }
    }

    /// The rooms that are to be told now.
    pub(super) fn due(&mut self, now: u64) -> Vec<String> {
        let due =
            self.rooms.iter_mut().filter(|(_, direct)| direct.owed && !direct.in_flight && direct.retry_at <= now);
        due.map(|(room, direct)| {
            direct.in_flight = true;
            room.clone()
        })
        .collect()
    }

    /// A room was told; `heard` is none where it did not answer, and `current` says whether what it was told still
    /// holds. False where the room is none of these.
    pub(super) fn told(&mut self, room: &str, heard: Option<bool>, current: bool, now: u64, step: &mut Step) -> bool {
        let opening = self.opening.get(room).is_some_and(|until| *until > now);
        let Some(direct) = self.rooms.get_mut(room).filter(|direct| direct.in_flight) else { return false };
        direct.in_flight = false;
        direct.tries = direct.tries.saturating_add(1);
        // Where nobody is there it may be that the room is only being made.
        let again = heard.is_none() || (opening && heard == Some(false));
        if again || !current {
            let wait = (RETRY << (direct.tries - 1).min(16)).min(LONGEST);
            direct.retry_at = if current { now.saturating_add(wait) } else { now };
        } else {
            direct.owed = false;
            step.write.push((format!("{KEY}{room}"), Some(json(direct))));
        }
        true
    }

    /// Their ids.
    pub(super) fn ids(&self) -> impl Iterator<Item = &String> {
        self.rooms.keys()
    }

    /// The room with this user is not one of these any more.
    pub(super) fn forget(&mut self, user_id: &str, step: &mut Step) {
        self.rooms.retain(|room, direct| {
            let stays = direct.with != user_id;
            step.write.extend((!stays).then(|| (format!("{KEY}{room}"), None)));
            stays
        });
    }

    /// The users of those that were opened last.
    pub(super) fn others(&self, most: usize) -> impl Iterator<Item = &UserId> {
        let mut rooms: Vec<_> = self.rooms.values().collect();
        rooms.sort_by_key(|direct| std::cmp::Reverse(direct.at));
        rooms.into_iter().take(most).map(|direct| &direct.with)
    }

    /// When to come back for those that are owed something, ms; one that is being told may be lost after `lost`.
    pub(super) fn next(&self, lost: u64, soonest: u64) -> impl Iterator<Item = u64> {
        let owed = self.rooms.values().filter(|direct| direct.owed);
        owed.map(move |direct| if direct.in_flight { lost } else { direct.retry_at.max(soonest) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_rooms_none_is_forgotten_that_is_owed_word() {
        let (mut directs, mut step) = (Directs::default(), Step::default());
        let user = |n: u64| format!("user {n}");
        let room = |n: u64| RoomId::direct("ada", &user(n)).as_str().to_owned();
        for n in 0..1_000 {
            directs.opened(&room(n), &user(n), n, &mut step);
        }
        directs.owe("ada", &user(0), 1_000, &mut step);
        directs.opened(&room(1_000), &user(1_000), 1_001, &mut step);
        assert!(!directs.rooms.contains_key(&room(1)) && directs.rooms.len() == MOST);
        assert_eq!(directs.due(1_001), [room(0)]);
    }
}
