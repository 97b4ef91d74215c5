//! Which `client_id`s of the last 24 h are known: a hash of each in the row of its message, so that a message stays one
//! row and an index is not paid for. A hit is looked up and compared whole before it counts.

use super::{Log, Read, Sent};
use crate::protocol::Body;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};

/// How long a `client_id` is remembered, ms.
const REMEMBER: u64 = 24 * 60 * 60 * 1000;
/// How many of them at most: about 8 MB.
const MOST: usize = 200_000;
/// Rows that are read at once.
const ROWS: u32 = 1_000;

/// Hash → the row that holds the message; loaded from the log when a send first needs it.
#[derive(Debug, Default)]
pub(super) struct Dedupe {
    rows: HashMap<u64, u64>,
    /// (when, hash, row), oldest first.
    times: VecDeque<(u64, u64, u64)>,
}

/// The hash of what a user called a message; the same in every build.
pub(super) fn hash(user: &str, client_id: &str) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(user.len().to_be_bytes());
    hasher.update(user);
    hasher.update(client_id);
    let digest: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

impl Dedupe {
    pub(super) fn load(log: &dyn Log, now: u64) -> Read<Self> {
        let (mut dedupe, mut before) = (Self::default(), u64::MAX);
        'load: loop {
            let rows = log.dedupe(before, ROWS)?;
            let Some((oldest, _, _)) = rows.last() else { break };
            before = *oldest;
            for (row, at, hashes) in rows {
                if at.saturating_add(REMEMBER) < now || dedupe.times.len() >= MOST {
                    break 'load;
                }
                for hash in hashes {
                    // The newest of equal ones was read first.
                    dedupe.rows.entry(hash).or_insert(row);
                    dedupe.times.push_front((at, hash, row));
                }
            }
        }
        Ok(dedupe)
    }

    pub(super) fn remember(&mut self, hash: u64, row: u64, now: u64) {
        self.rows.insert(hash, row);
        self.times.push_back((now, hash, row));
        self.forget(now);
    }

    fn forget(&mut self, now: u64) {
        while self.times.front().is_some_and(|(at, ..)| at.saturating_add(REMEMBER) < now) || self.times.len() > MOST {
            // After an erasure a later message may have the same hash.
            if let Some((_, hash, row)) = self.times.pop_front()
                && self.rows.get(&hash) == Some(&row)
            {
                self.rows.remove(&hash);
            }
        }
    }

    /// The reply to the message that this user sent under this `client_id` in the last 24 h.
    pub(super) fn find(&mut self, log: &dyn Log, user: &str, client_id: &str, now: u64) -> Read<Option<Sent>> {
        self.forget(now);
        let Some(row) = self.rows.get(&hash(user, client_id)) else { return Ok(None) };
        let row = log.row_with(*row)?;
        Ok(row.iter().flat_map(|row| &row.events).find_map(|event| {
            let (message, held) = match &event.body {
                Body::NewMessage(message) => (&**message, false),
                Body::MessageHeld(held) => (&held.message, true),
                _ => return None,
            };
            let theirs = message.client_id.as_deref() == Some(client_id) && message.sender() == user;
            theirs.then(|| Sent::of(message.message_id, held))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_old_takes_nothing_newer_with_it() {
        let mut known = Dedupe::default();
        known.remember(1, 10, 0);
        known.remember(1, 20, REMEMBER);
        known.forget(REMEMBER + 1);
        assert_eq!((known.rows.get(&1), known.times.len()), (Some(&20), 1));
        known.forget(2 * REMEMBER + 1);
        assert_eq!((known.rows.len(), known.times.len()), (0, 0));
    }
}
