//! What has to hold in a simulated room after every step.

use super::truth::{Shown, Truth};
use super::{Checked, Sim, ensure};
use edge_chat::protocol::MessageId;
use edge_chat::protocol::call::{Ask, Nothing, PageQuery};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

impl Sim {
    /// PostgreSQL holds what the log said up to the cursor, parts of it as they were since.
    pub(super) fn postgres_is_a_prefix(&self, cursor: u64) -> Checked {
        let said = self.truth.messages.keys().filter(|id| id.seq() <= cursor).map(ToString::to_string);
        ensure!(said.eq(self.w.pg.messages.keys().cloned()), "PostgreSQL has other messages than up to {cursor}");
        for (id, row) in &self.w.pg.messages {
            let shown = Shown {
                content: row["content"].as_str().unwrap().into(),
                deleted: !row["deleted_at"].is_null(),
                reactions: BTreeMap::new(),
            };
            let past = Truth::since(&self.truth.past[id], cursor);
            ensure!(past.iter().any(|(_, then)| then.says(&shown)), "PostgreSQL at {cursor} has {shown:?} of {past:?}");
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for (_, _, reaction) in self.w.pg.reactions.iter().filter(|(message, _, _)| message == id) {
                *counts.entry(reaction.clone()).or_default() += 1;
            }
            let then = if shown.deleted { BTreeMap::new() } else { past[0].1.reactions.clone() };
            ensure!(counts == then, "PostgreSQL at {cursor} counts {counts:?}, the log {then:?}");
        }
        Ok(())
    }

    pub(super) fn observe(&mut self) -> Value {
        let page = self.w.page("mod", PageQuery::Page { page: 1, limit: 100 });
        let mut room = self.w.get("mod");
        // Who lingers after the last tab is forgotten with the memory.
        room["online_users"] = Value::Null;
        let members = self.w.call("mod", Ask::Members { limit: 100, skip: 0 }).unwrap();
        let online = members["members"].as_array().unwrap().iter();
        let present: BTreeSet<_> = self.tabs.iter().filter(|tab| tab.socket.is_some()).map(|tab| tab.user).collect();
        let online: Vec<_> = online.filter(|member| present.contains(member["user_id"].as_str().unwrap())).collect();
        let held = self.w.call("mod", Ask::Held(Nothing {})).unwrap();
        json!({"page": page, "room": room, "online": online, "held": held})
    }

    /// What has to hold after every step.
    pub(super) fn check(&mut self) -> Checked {
        for tab in &self.tabs {
            let unseen = (tab.base + 1..=tab.seq).filter(|seq| tab.seen.binary_search(seq).is_err());
            for seq in unseen {
                ensure!(self.truth.made_up(seq, tab.seq), "{} at {} was not shown {seq}", tab.user, tab.seq);
            }
            for (id, shown) in &tab.page {
                // An edit in place is seen with its message before its own event is; counts come with theirs.
                let past =
                    self.truth.past.get(id).ok_or_else(|| format!("{} is shown {id}, which nobody said", tab.user))?;
                let was = Truth::since(past, tab.seq).iter().any(|(_, then)| then.says(shown));
                ensure!(was, "{} at {} has {shown:?} of {past:?}", tab.user, tab.seq);
            }
        }
        let mut once = BTreeSet::new();
        for message in self.truth.messages.values() {
            let name = (message.user.user_id.clone(), message.client_id.clone().unwrap_or_default());
            ensure!(once.insert(name.clone()), "{name:?} was said twice");
        }
        for (name, id) in &self.acked {
            let id = MessageId::parse(id).unwrap();
            let message = self.truth.messages.get(&id).or_else(|| self.truth.held.get(&id));
            let message = message.ok_or_else(|| format!("{name:?} was acknowledged and is lost"))?;
            ensure!(message.client_id.as_ref() == Some(&name.1), "{name:?} was acknowledged as another message");
        }
        for (id, held) in &self.truth.held {
            let (allowed, waits) =
                (self.truth.messages.values().filter(|m| m.held_id == Some(*id)), self.truth.waiting.contains(id));
            ensure!(allowed.count() <= usize::from(!waits), "{:?} was allowed twice or still waits", held.client_id);
        }
        // What was taken away in this step; at the end all that ever was.
        let known = if self.faults { self.looked_for } else { 0 };
        for words in &self.truth.gone[known..] {
            ensure!(!self.w.log.holds(words), "{words:?} is gone and still in the storage");
        }
        self.looked_for = self.truth.gone.len();
        Ok(())
    }
}
