//! What was told of users lately, for sockets of theirs that are still on their way here.

use crate::protocol::UserId;
use crate::protocol::call::Standing;
use std::collections::{BTreeMap, BTreeSet};

/// How long it is kept, ms, and of how many users; of too many the oldest goes.
const KEPT_FOR: u64 = 60_000;
const MOST: usize = 1_000;

/// The newest of each user, with when it was told.
#[derive(Debug, Default)]
pub(super) struct News {
    by_user: BTreeMap<UserId, (u64, Standing)>,
    by_time: BTreeSet<(u64, UserId)>,
}

impl News {
    pub(super) fn of(&self, user_id: &str) -> Option<&Standing> {
        self.by_user.get(user_id).map(|(_, standing)| standing)
    }

    /// Keeps it, unless something newer was told.
    pub(super) fn keep(&mut self, user_id: &str, standing: Standing, now: u64) {
        while let Some((at, _)) = self.by_time.first()
            && at.saturating_add(KEPT_FOR) <= now
        {
            self.forget_oldest();
        }
        if self.of(user_id).is_some_and(|known| known.version > standing.version) {
            return;
        }
        if let Some((at, _)) = self.by_user.insert(user_id.to_owned(), (now, standing)) {
            self.by_time.remove(&(at, user_id.to_owned()));
        }
        self.by_time.insert((now, user_id.to_owned()));
        if self.by_user.len() > MOST {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, user_id)) = self.by_time.pop_first() {
            self.by_user.remove(&user_id);
        }
    }
}
