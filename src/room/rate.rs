//! How much a user may say: a sliding window of what was accepted, exact.

use crate::protocol::{ChatError, ErrorCode, Rate, UserId};
use std::collections::{HashMap, VecDeque};

/// The times (ms) at which each user's messages and edits were accepted, as far back as the longest window.
#[derive(Debug, Default)]
pub(super) struct Rates(HashMap<UserId, VecDeque<u64>>);

impl Rates {
    /// Whether `user` may say one more thing at `now`.
    ///
    /// # Errors
    /// `rate_limited` with the wait until the oldest in the window leaves it.
    pub(super) fn check(&mut self, user: &str, rate: Rate, now: u64) -> Result<(), ChatError> {
        let Some(times) = self.0.get_mut(user) else { return Ok(()) };
        while times.front().is_some_and(|at| at.saturating_add(rate.window_ms) <= now) {
            times.pop_front();
        }
        let limit = usize::try_from(rate.messages).unwrap_or(usize::MAX);
        match times.len().checked_sub(limit).and_then(|over| times.get(over)) {
            None => Ok(()),
            Some(at) => {
                let wait = at.saturating_add(rate.window_ms).saturating_sub(now).max(1);
                Err(ChatError::new(ErrorCode::RateLimited, "You are sending too fast. Wait a moment.")
                    .retry_after(wait))
            }
        }
    }

    /// Counts something that was accepted.
    pub(super) fn accepted(&mut self, user: &str, at: u64) {
        match self.0.get_mut(user) {
            Some(times) => times.push_back(at),
            None => {
                self.0.insert(user.to_owned(), VecDeque::from([at]));
            }
        }
    }

    /// Forgets users whose last word is older than `window` ms.
    pub(super) fn sweep(&mut self, window: u64, now: u64) {
        self.0.retain(|_, times| times.back().is_some_and(|at| at.saturating_add(window) > now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_so_many_in_any_window() {
        let (mut rates, rate) = (Rates::default(), Rate { messages: 3, window_ms: 1000 });
        let mut accepted = Vec::new();
        for now in (0..5000).step_by(50) {
            match rates.check("ada", rate, now) {
                Ok(()) => {
                    rates.accepted("ada", now);
                    accepted.push(now);
                }
                Err(error) => {
                    let wait = error.retry_after_ms.unwrap();
                    assert!(wait >= 1 && accepted[accepted.len() - 3] + 1000 == now + wait, "{now} {wait}");
                }
            }
        }
        assert_eq!(accepted.len(), 15);
        assert!(accepted.windows(4).all(|four| four[3] - four[0] >= 1000));
    }
}
