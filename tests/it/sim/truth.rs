//! What was committed in a simulated room, kept apart from the room's own storage: what followers are held against.

use edge_chat::protocol::{Body, LogEvent, Message, MessageId, Outcome};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub const RATE: usize = 6;
pub const WINDOW: u64 = 3_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown {
    pub content: String,
    pub deleted: bool,
    pub reactions: BTreeMap<String, u64>,
}

impl Shown {
    /// Whether both say the same, reactions apart.
    pub fn says(&self, other: &Shown) -> bool {
        self.content == other.content && self.deleted == other.deleted
    }

    pub fn of(data: &Value) -> Self {
        Self {
            content: data["content"].as_str().unwrap_or_default().into(),
            deleted: data["deleted_at"].is_string(),
            reactions: serde_json::from_value(data["reactions"].clone()).unwrap_or_default(),
        }
    }
}

/// Every state that a message has had: from which event on, and what.
pub type Past = BTreeMap<String, Vec<(u64, Shown)>>;

/// What was committed, as it was when it was: the truth that followers are held against.
#[derive(Default)]
pub struct Truth {
    pub events: Vec<LogEvent>,
    pub messages: BTreeMap<MessageId, Message>,
    /// Every message that waited for a moderator.
    pub held: BTreeMap<MessageId, Message>,
    /// Those that still wait.
    pub waiting: BTreeSet<MessageId>,
    pub past: Past,
    pub users: BTreeMap<(String, String), BTreeSet<String>>,
    /// When each user's sends and edits were accepted.
    pub accepted: BTreeMap<String, Vec<u64>>,
    /// Words that were edited away or deleted.
    pub gone: Vec<String>,
}

impl Truth {
    pub fn last(&self) -> u64 {
        self.events.last().map_or(0, |event| event.seq)
    }

    pub fn now_of(&self, id: &str) -> Shown {
        self.past.get(id).and_then(|past| past.last()).map(|(_, shown)| shown.clone()).unwrap_or_default()
    }

    pub fn commit(&mut self, event: &LogEvent) {
        self.events.push(event.clone());
        let mut change = |id: &MessageId, change: &mut dyn FnMut(&mut Shown)| {
            let mut shown =
                self.past.get(&id.to_string()).and_then(|past| past.last()).map(|p| p.1.clone()).unwrap_or_default();
            let before = shown.content.clone();
            change(&mut shown);
            if before != shown.content && !before.is_empty() {
                self.gone.push(before);
            }
            self.past.entry(id.to_string()).or_default().push((event.seq, shown));
        };
        match &event.body {
            Body::NewMessage(message) => {
                change(&message.message_id, &mut |shown| shown.content.clone_from(&message.content));
                if message.held_id.is_none() {
                    self.accepted.entry(message.user.user_id.clone()).or_default().push(event.at);
                }
                self.messages.insert(message.message_id, (**message).clone());
            }
            Body::MessageHeld(held) => {
                let message = held.message.clone();
                self.accepted.entry(message.user.user_id.clone()).or_default().push(event.at);
                self.waiting.insert(message.message_id);
                self.held.insert(message.message_id, message);
            }
            Body::HeldEnded { held_id, outcome, .. } => {
                self.waiting.remove(held_id);
                if *outcome != Outcome::Allowed {
                    self.gone.push(self.held[held_id].content.clone());
                }
            }
            Body::MessageEdited { message_id, content, user_id, .. } => {
                change(message_id, &mut |shown| shown.content.clone_from(content));
                self.accepted.entry(user_id.clone()).or_default().push(event.at);
            }
            Body::MessageDeleted { message_id, .. } => {
                change(message_id, &mut |shown| *shown = Shown { deleted: true, ..Shown::default() });
            }
            Body::Reaction { message_id, user_id, reaction, remove, .. } => {
                let users = self.users.entry((message_id.to_string(), reaction.clone())).or_default();
                if *remove {
                    users.remove(user_id);
                } else {
                    users.insert(user_id.clone());
                }
                let count = users.len() as u64;
                change(message_id, &mut |shown| {
                    shown.reactions.insert(reaction.clone(), count);
                    shown.reactions.retain(|_, count| *count > 0);
                });
            }
            _ => {}
        }
    }

    /// The message that a user has sent under this name, said or waiting.
    pub fn named(&self, user: &str, client_id: &str) -> Option<&Message> {
        let all = self.messages.values().chain(self.held.values());
        all.into_iter().find(|m| m.user.user_id == user && m.client_id.as_deref() == Some(client_id))
    }

    /// What a message was from then on: the state at `seq` and those after it.
    pub fn since(past: &[(u64, Shown)], seq: u64) -> &[(u64, Shown)] {
        &past[past.partition_point(|(at, _)| *at <= seq).saturating_sub(1)..]
    }

    /// Whether a client may do without this event, since later ones make up for it.
    pub fn made_up(&self, seq: u64, until: u64) -> bool {
        let event = &self.events[seq as usize - 1];
        let later = || self.events[seq as usize..].iter();
        match &event.body {
            Body::MessageEdited { message_id: id, .. } => later().any(|event| match &event.body {
                Body::MessageEdited { message_id, .. } | Body::MessageDeleted { message_id, .. } => message_id == id,
                _ => false,
            }),
            Body::Reaction { message_id: id, .. } => later()
                .take_while(|event| event.seq <= until)
                .any(|event| matches!(&event.body, Body::Reaction { message_id, .. } if message_id == id)),
            Body::NewMessage(_) | Body::MessageDeleted { .. } => false,
            _ => true,
        }
    }

    /// How long this user has to wait at `now`, by the rule: exactly so many in any window.
    pub fn wait(&self, user: &str, now: u64) -> u64 {
        let times = self.accepted.get(user).map_or(&[][..], Vec::as_slice);
        let inside: Vec<_> = times.iter().filter(|at| **at + WINDOW > now).collect();
        if inside.len() < RATE { 0 } else { inside[inside.len() - RATE] + WINDOW - now }
    }
}
