//! Who reacted to a message with what, packed as one piece of state a message.

use super::log::{Log, Read, StorageFault};
use crate::protocol::wire::{Counts, json};
use crate::protocol::{ChatError, ErrorCode, UserId, json_fault};
use std::collections::{BTreeMap, BTreeSet};

/// Distinct reactions on one message.
const PER_MESSAGE: usize = 20;
/// Distinct reactions of one user on one message.
const PER_USER: usize = 10;

/// Reaction → who.
#[derive(Debug, Default)]
pub(super) struct Reactions(BTreeMap<String, BTreeSet<UserId>>);

/// The key under which the reactions to the message `seq` are kept; keys sort as the numbers do.
pub fn key(seq: u64) -> String {
    format!("react:{seq:013}")
}

impl Reactions {
    pub(super) fn unpack(text: &str) -> Read<Self> {
        let read = serde_json::from_str(text);
        read.map(Self).map_err(|error| StorageFault(format!("reactions cannot be read: {}", json_fault(&error))))
    }

    pub(super) fn of(log: &dyn Log, seq: u64) -> Read<Self> {
        log.reactions(seq, seq)?.first().map_or_else(|| Ok(Self::default()), |(_, text)| Self::unpack(text))
    }

    /// The state to keep; none where nobody reacts any more.
    pub(super) fn pack(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| json(&self.0))
    }

    pub(super) fn counts(&self) -> Counts {
        self.0
            .iter()
            .map(|(reaction, users)| (reaction.clone(), u32::try_from(users.len()).unwrap_or(u32::MAX)))
            .collect()
    }

    pub(super) fn by(&self, user: &str) -> Vec<&str> {
        self.0.iter().filter(|(_, users)| users.contains(user)).map(|(reaction, _)| reaction.as_str()).collect()
    }

    /// Takes back whatever this user reacted with; whether that was anything.
    pub(super) fn erase(&mut self, user: &str) -> bool {
        let mut changed = false;
        self.0.retain(|_, users| {
            changed |= users.remove(user);
            !users.is_empty()
        });
        changed
    }

    /// Adds or takes back; whether that changed anything.
    ///
    /// # Errors
    /// `too_many_reactions`.
    pub(super) fn change(&mut self, user: &str, reaction: &str, remove: bool) -> Result<bool, ChatError> {
        if remove {
            let Some(users) = self.0.get_mut(reaction) else { return Ok(false) };
            let changed = users.remove(user);
            if users.is_empty() {
                self.0.remove(reaction);
            }
            return Ok(changed);
        }
        let known = self.0.get(reaction);
        if known.is_some_and(|users| users.contains(user)) {
            return Ok(false);
        }
        if (known.is_none() && self.0.len() >= PER_MESSAGE) || self.by(user).len() >= PER_USER {
            let message = "A message has at most 20 different reactions, and at most 10 of one user.";
            return Err(ChatError::new(ErrorCode::TooManyReactions, message));
        }
        Ok(self.0.entry(reaction.to_owned()).or_default().insert(user.to_owned()))
    }
}
