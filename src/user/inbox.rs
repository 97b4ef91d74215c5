//! What waits for a user in rooms: direct messages and mentions, counted where the user is not looking.

use super::Step;
use crate::protocol::UserId;
use crate::protocol::inbox::{InboxChanged, InboxReason, InboxRoom, Note};
use crate::protocol::wire::json;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rooms that are remembered; of more the one that changed first is forgotten.
const MOST: usize = 500;
/// Messages that are counted in a room.
const MOST_UNREAD: usize = 200;
const KEY: &str = "inbox:";

#[derive(Debug, Serialize, Deserialize)]
struct Place {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    with: Option<UserId>,
    epoch: u64,
    last_seq: u64,
    read_seq: u64,
    /// By `seq`, ascending.
    unread: Vec<u64>,
    /// When it changed last, ms.
    at: u64,
}

/// The rooms by id.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, Place>);

impl Place {
    fn changed(&self, room_id: &str, reason: InboxReason) -> InboxChanged {
        let (unread, with, last_seq) = (self.unread.len(), self.with.clone(), self.last_seq);
        InboxChanged { room_id: room_id.to_owned(), unread, reason, with, last_seq }
    }

    fn read_to(&mut self, seq: u64) {
        self.read_seq = self.read_seq.max(seq);
        let read_seq = self.read_seq;
        self.unread.retain(|unread| *unread > read_seq);
    }
}

impl Places {
    /// Takes over a piece of state; false where the key is not one of these.
    pub(super) fn load(&mut self, key: &str, value: &str) -> Result<bool, ()> {
        let Some(room) = key.strip_prefix(KEY) else { return Ok(false) };
        self.0.insert(room.to_owned(), serde_json::from_str(value).map_err(|_| ())?);
        Ok(true)
    }

    /// A room tells of a message. What changed; nothing where that was known, or read before it was told.
    pub(super) fn note(&mut self, own: &str, note: Note, now: u64, step: &mut Step) -> Option<InboxChanged> {
        let Note { room_id, kind, with, epoch, seq, by, reason } = note;
        let new = || Place { kind, with, epoch, last_seq: 0, read_seq: 0, unread: Vec::new(), at: now };
        if !self.0.contains_key(&room_id) {
            self.make_place(step);
        }
        let place = self.0.entry(room_id.clone()).or_insert_with(new);
        if epoch < place.epoch {
            return None;
        }
        if epoch > place.epoch {
            // The numbers begin anew, and what was unread still is.
            (place.epoch, place.last_seq, place.read_seq) = (epoch, 0, 0);
            place.unread.fill(0);
        }
        place.last_seq = place.last_seq.max(seq);
        place.at = now;
        let reason = if by == own {
            if place.unread.is_empty() && place.read_seq >= seq {
                return None;
            }
            place.read_to(seq);
            place.unread.retain(|unread| *unread > 0);
            InboxReason::Read
        } else {
            if seq <= place.read_seq || place.unread.contains(&seq) {
                return None;
            }
            place.unread.push(seq);
            place.unread.sort_unstable();
            let over = place.unread.len().saturating_sub(MOST_UNREAD);
            place.unread.drain(..over);
            reason
        };
        step.write.push((format!("{KEY}{room_id}"), Some(json(place))));
        Some(place.changed(&room_id, reason))
    }

    fn make_place(&mut self, step: &mut Step) {
        if self.0.len() >= MOST
            && let Some(oldest) = self.0.iter().min_by_key(|(_, place)| place.at).map(|(id, _)| id.clone())
        {
            self.0.remove(&oldest);
            step.write.push((format!("{KEY}{oldest}"), None));
        }
    }

    /// The user has read a room up to there; nothing where that changes nothing.
    pub(super) fn read(&mut self, room_id: &str, seq: u64, step: &mut Step) -> Option<InboxChanged> {
        let place = self.0.get_mut(room_id)?;
        let before = place.unread.len();
        place.read_to(seq.min(place.last_seq));
        if place.unread.len() == before {
            return None;
        }
        step.write.push((format!("{KEY}{room_id}"), Some(json(place))));
        Some(place.changed(room_id, InboxReason::Read))
    }

    /// Their ids.
    pub(super) fn ids(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// The rooms with this user are not among them any more.
    pub(super) fn forget(&mut self, user_id: &str, step: &mut Step) {
        self.0.retain(|room, place| {
            let stays = place.with.as_deref() != Some(user_id);
            step.write.extend((!stays).then(|| (format!("{KEY}{room}"), None)));
            stays
        });
    }

    /// All of them, those that changed last first.
    pub(super) fn list(&self) -> Vec<InboxRoom<'_>> {
        let mut places: Vec<_> = self.0.iter().collect();
        places.sort_by_key(|(_, place)| std::cmp::Reverse(place.at));
        places
            .into_iter()
            .map(|(room_id, place)| InboxRoom {
                room_id,
                kind: &place.kind,
                unread: place.unread.len(),
                last_seq: place.last_seq,
                with: place.with.as_deref(),
            })
            .collect()
    }
}
