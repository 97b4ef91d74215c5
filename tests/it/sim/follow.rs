//! How a client follows the log: the rule for a cursor, and what V4 promises to whoever keeps to it.

use super::edge::is_sampled;
use super::event::Frame;
use super::truth::{Looker, Shown};
use super::{Checked, Sim, ensure, role_of};
use edge_chat::protocol::{Body, MessageId};
use serde_json::{Value, json};
use std::rc::Rc;

impl Sim {
    /// The rule for a client that keeps a cursor.
    pub(super) fn follow(&mut self, client: usize, frame: &Rc<Frame>) -> Checked {
        let (mut to, began) = (None, self.clients[client].seq);
        for line in frame.lines.iter().filter(|line| line["reply"].is_null()) {
            let it = &self.clients[client];
            let (epoch, seq) = (it.epoch, it.seq);
            if let Some(at) = line.get("at") {
                if at["epoch"] != epoch || at["from"].as_u64() > Some(seq) {
                    return self.gap(client, frame);
                }
                to = at["to"].as_u64();
                if at["left_out"].as_u64() > Some(0) {
                    self.not_all(client, frame, seq, to.unwrap_or(0));
                }
                continue;
            }
            let Some(next) = line["seq"].as_u64().filter(|next| *next > seq) else { continue };
            if next > seq + 1 && to.is_none_or(|to| next > to) {
                return self.gap(client, frame);
            }
            self.apply(client, line)?;
        }
        let it = &mut self.clients[client];
        it.seq = it.seq.max(to.unwrap_or(0));
        self.nothing_is_missing(client, began)
    }

    /// What a sample may be without is not missed.
    fn not_all(&mut self, client: usize, frame: &Frame, from: u64, to: u64) {
        let who = self.steady(client);
        let absent = |seq: &u64| frame.lines.iter().all(|line| line["seq"] != *seq);
        let may = |seq: &u64| self.truth.at(*seq).is_some_and(|event| is_sampled(&who, event));
        let left_out: Vec<_> = (from + 1..=to).filter(|seq| absent(seq) && may(seq)).collect();
        self.clients[client].left_out.extend(left_out);
    }

    pub(super) fn gap(&mut self, client: usize, frame: &Rc<Frame>) -> Checked {
        let it = &mut self.clients[client];
        it.parked.push_front(frame.clone());
        it.catching = true;
        let (epoch, seq) = (it.epoch, it.seq);
        self.ask(client, &format!("c/{epoch}/{seq}"), "catch_up", &json!({"epoch": epoch, "seq": seq}));
        Ok(())
    }

    /// Brought up to date by a join or a catch-up.
    pub(super) fn brought(&mut self, client: usize, data: &Value) -> Checked {
        let number = |field: &str| data[field].as_u64().unwrap_or_default();
        let began = self.clients[client].seq;
        if data["resumed"] == true {
            for event in data["events"].as_array().into_iter().flatten() {
                if event["seq"].as_u64() > Some(self.clients[client].seq) {
                    self.apply(client, event)?;
                }
            }
            let it = &mut self.clients[client];
            it.seq = it.seq.max(number("seq"));
            return self.nothing_is_missing(client, began);
        }
        let it = &mut self.clients[client];
        (it.epoch, it.seq, it.base) = (number("epoch"), number("seq"), number("seq"));
        it.seen.clear();
        it.left_out.clear();
        let shown = |data: &Value| (data["message_id"].as_str().unwrap_or_default().to_owned(), Shown::of(data));
        it.page = data["messages"].as_array().into_iter().flatten().map(shown).collect();
        Ok(())
    }

    /// One event that is new to this client.
    pub(super) fn apply(&mut self, client: usize, line: &Value) -> Checked {
        let (seq, data) = (line["seq"].as_u64().unwrap_or_default(), &line["data"]);
        let it = &mut self.clients[client];
        ensure!(it.seq < seq && it.seen.insert(seq), "V4: {} is shown {seq} at {}", it.user, it.seq);
        it.seq = seq;
        let id = data["message_id"].as_str().unwrap_or_default().to_owned();
        match line["event"].as_str().unwrap_or_default() {
            "new_message" => {
                ensure!(!it.page.contains_key(&id), "V4: {} is shown {id} twice", it.user);
                it.page.insert(id, Shown::of(data));
            }
            "message_edited" => {
                if let Some(shown) = it.page.get_mut(&id) {
                    shown.content = data["content"].as_str().unwrap_or_default().into();
                }
            }
            "message_deleted" => {
                it.page.entry(id).and_modify(|shown| *shown = Shown { deleted: true, ..Shown::default() });
            }
            "messages_deleted" => {
                for id in data["message_ids"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    it.page.entry(id.into()).and_modify(|shown| *shown = Shown { deleted: true, ..Shown::default() });
                }
            }
            "reaction_updated" => {
                if let Some(shown) = it.page.get_mut(&id) {
                    shown.reactions = serde_json::from_value(data["reactions"].clone()).unwrap_or_default();
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whoever looks as a client has looked all the time.
    pub(super) fn steady(&self, client: usize) -> Looker<'_> {
        let it = &self.clients[client];
        Looker { user: it.user, role: role_of(it.user), blocks: Some(&it.ever_blocked) }
    }

    /// V4: what a client's cursor has passed it was shown, as far as it is for this viewer.
    pub(super) fn nothing_is_missing(&self, client: usize, began: u64) -> Checked {
        let it = &self.clients[client];
        if it.epoch != self.truth.epoch {
            return Ok(());
        }
        let who = self.steady(client);
        for seq in began.max(it.base) + 1..=it.seq {
            let Some(event) = self.truth.at(seq) else {
                return Err(format!("V2: {} is at {}, ahead of the log", it.user, it.seq));
            };
            let wanted = !it.seen.contains(&seq)
                && !it.left_out.contains(&seq)
                && self.truth.sees(&who, event, u64::MAX) == Some(true);
            ensure!(
                !wanted || self.truth.made_up(seq, it.seq),
                "V4: {} at {} was not shown {seq}: {event:?}",
                it.user,
                it.seq
            );
            let Some(id) = changed(&event.body).filter(|_| it.seen.contains(&seq)) else { continue };
            if let (Some(shown), Some(said)) = (it.page.get(&id.to_string()), self.truth.messages.get(&id)) {
                // An edit in place is seen with its message before its own event is; counts come with theirs.
                let was = said.since(it.seq).iter().any(|(_, then)| then.says(shown));
                // Said and changed in one step: it was shown as it was said, and the change is on its way behind it.
                let changes = self.truth.changed_at_once(id) && said.states.iter().any(|(at, _)| *at > it.seq);
                ensure!(
                    was || changes,
                    "V4: {} at {} has {id} as {shown:?}, the log {:?}",
                    it.user,
                    it.seq,
                    said.states
                );
            }
        }
        Ok(())
    }
}

/// The message that an event changes.
fn changed(body: &Body) -> Option<MessageId> {
    match body {
        Body::NewMessage(message) => Some(message.message_id),
        Body::MessageEdited { message_id, .. } | Body::MessageDeleted { message_id, .. } => Some(*message_id),
        _ => None,
    }
}
