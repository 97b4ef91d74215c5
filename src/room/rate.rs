//! How much may be done in a while: a sliding window of what was accepted, exact.

use crate::protocol::{ChatError, ErrorCode, Rate};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};

/// The times (ms) at which something was accepted, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window(VecDeque<u64>);

impl Window {
    /// Whether one more may be accepted at `now`.
    ///
    /// # Errors
    /// `rate_limited` with the wait until the oldest in the window leaves it.
    pub fn check(&mut self, rate: Rate, now: u64) -> Result<(), ChatError> {
        while self.0.front().is_some_and(|at| at.saturating_add(rate.window_ms) <= now) {
            self.0.pop_front();
        }
        let limit = usize::try_from(rate.messages).unwrap_or(usize::MAX);
        match self.0.len().checked_sub(limit).and_then(|over| self.0.get(over)) {
            None => Ok(()),
            Some(at) => {
                let wait = at.saturating_add(rate.window_ms).saturating_sub(now).max(1);
                Err(ChatError::new(ErrorCode::RateLimited, "Too many in a short time. Wait a moment.")
                    .retry_after(wait))
            }
        }
    }

    /// Counts something that was accepted.
    pub fn accepted(&mut self, at: u64) {
        self.0.push_back(at);
    }
}

/// A window for each user, or whoever else is counted, as far back as the longest one.
#[derive(Debug, Default)]
pub struct Rates(HashMap<String, Window>);

impl Rates {
    /// Whether `who` may do it once more at `now`.
    ///
    /// # Errors
    /// As [`Window::check`].
    pub fn check(&mut self, who: &str, rate: Rate, now: u64) -> Result<(), ChatError> {
        self.0.get_mut(who).map_or(Ok(()), |window| window.check(rate, now))
    }

    /// When `who` last did it.
    pub(super) fn last(&self, who: &str) -> Option<u64> {
        self.0.get(who)?.0.back().copied()
    }

    /// Counts something that was accepted.
    pub fn accepted(&mut self, who: &str, at: u64) {
        match self.0.get_mut(who) {
            Some(window) => window.accepted(at),
            None => {
                self.0.insert(who.to_owned(), Window(VecDeque::from([at])));
            }
        }
    }

    /// Checks, and counts what passes.
    ///
    /// # Errors
    /// As [`Window::check`].
    pub fn take(&mut self, who: &str, rate: Rate, now: u64) -> Result<(), ChatError> {
        self.check(who, rate, now)?;
        self.accepted(who, now);
        Ok(())
    }

    /// Forgets those who last did it `window` ms ago or longer.
    pub fn sweep(&mut self, window: u64, now: u64) {
        self.0.retain(|_, done| done.0.back().is_some_and(|at| at.saturating_add(window) > now));
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
