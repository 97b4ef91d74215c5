//! Where the log holds the last edit of a message that it does not hold itself, so that the next edit or the deletion
//! takes that text away too.

use super::{Row, Step};
use crate::protocol::{Body, MessageId};
use std::collections::BTreeMap;

const KEY: &str = "edit:";

/// Message → the `seq` of its last edit; kept as state, since such a message cannot name its edit itself.
#[derive(Debug, Default)]
pub(super) struct Edits(BTreeMap<MessageId, u64>);

impl Edits {
    /// Takes over a piece of state; false where the key is not one of these.
    pub(super) fn load(&mut self, key: &str, value: &str) -> bool {
        let Some(id) = key.strip_prefix(KEY) else { return false };
        self.0.extend(MessageId::parse(id).zip(value.parse().ok()));
        true
    }

    pub(super) fn of(&self, id: MessageId) -> Option<u64> {
        self.0.get(&id).copied()
    }

    /// The messages of which an edit is all that the log holds.
    pub(super) fn all(&self) -> Vec<MessageId> {
        self.0.keys().copied().collect()
    }

    /// Remembers the last edit of a message, or that there is none any more.
    pub(super) fn set(&mut self, id: MessageId, seq: Option<u64>, step: &mut Step) {
        let before = match seq {
            Some(seq) => self.0.insert(id, seq),
            None => self.0.remove(&id),
        };
        if before != seq {
            step.write.state.push((format!("{KEY}{id}"), seq.map(|seq| seq.to_string())));
        }
    }

    /// The log forgets this row: what is left of its messages are their edits.
    pub(super) fn forget(&mut self, row: &Row, step: &mut Step) {
        for event in &row.events {
            match &event.body {
                Body::NewMessage(message) if message.deleted_at.is_none() => {
                    self.set(message.message_id, message.edit_seq.filter(|seq| *seq > row.last), step);
                }
                Body::MessageEdited { message_id, .. } => self.set(*message_id, None, step),
                _ => {}
            }
        }
    }
}
