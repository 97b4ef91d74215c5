//! The clients of a simulated room: they send until they are answered, and follow positions as the protocol says.

use super::truth::Shown;
use super::{Checked, Mutant, Sim, Tab, ensure};
use crate::world::ROOM;
use edge_chat::protocol::MessageId;
use serde_json::{Value, json};

impl Sim {
    pub(super) fn frame(&mut self, tab: usize, id: &str, event: &str, data: Value) -> Checked {
        let Some(socket) = self.tabs[tab].socket else { return Ok(()) };
        let text = json!({"id": id, "event": event, "data": data}).to_string();
        self.step(|host, at| host.frame(at, socket, &text))
    }

    pub(super) fn join(&mut self, tab: usize) -> Checked {
        let caller = self.w.caller(self.tabs[tab].user);
        let (id, effects) = self.w.compute(|host, at| host.open(at, caller)).unwrap();
        self.w.wires.insert(id, Default::default());
        self.w.carry_out(effects);
        let Tab { epoch, seq, .. } = self.tabs[tab];
        self.tabs[tab].socket = Some(id);
        self.tabs[tab].asked_from = None;
        let resume = if epoch == 0 { Value::Null } else { json!({"epoch": epoch, "seq": seq}) };
        self.frame(tab, "join", "join_room", json!({"room_id": ROOM, "resume": resume}))
    }

    /// The socket breaks; the room hears of it now, or never.
    pub(super) fn drop_socket(&mut self, tab: usize) -> Checked {
        let Some(socket) = self.tabs[tab].socket.take() else { return Ok(()) };
        if let Some(wire) = self.w.wires.get_mut(&socket) {
            wire.closed = Some((1006, Value::Null));
            self.step(|host, at| host.closed(at, socket))?;
        }
        Ok(())
    }

    /// What a user does next.
    pub(super) fn act(&mut self, tab: usize) -> Checked {
        let user = self.tabs[tab].user;
        if self.tabs[tab].socket.is_none() {
            return self.join(tab);
        }
        let known: Vec<String> = self.tabs[tab].page.keys().cloned().collect();
        let some = (!known.is_empty()).then(|| self.pick(known.len() as u64) as usize).map(|n| known[n].clone());
        if user == "mod" && self.chance(25) {
            return self.review(tab);
        }
        match (self.pick(20), some) {
            (0, _) => self.drop_socket(tab),
            (1, _) => self.frame(tab, "-", "typing", json!({"is_typing": true})),
            (2..=9, _) if !user.is_empty() => {
                if self.tabs[tab].outbox.len() < 3 {
                    self.said += 1;
                    let held = self.chance(20);
                    let words = format!("{}{}x", if held { "hold" } else { "w" }, self.said);
                    self.tabs[tab].outbox.push((format!("c{}", self.said), words));
                }
                self.resend(tab)
            }
            (10..=12, Some(id)) => {
                self.said += 1;
                let words = format!("w{}x", self.said);
                self.frame(tab, "edit", "edit_message", json!({"message_id": id, "content": words}))
            }
            (13..=14, Some(id)) => self.frame(tab, "-", "delete_message", json!({"message_id": id})),
            (_, Some(id)) => {
                let reaction = ["👍", "🎉", "❤"][self.pick(3) as usize];
                let remove = self.chance(30);
                let data = json!({"message_id": id, "reaction": reaction, "remove": remove});
                self.frame(tab, "-", "react", data)
            }
            _ => Ok(()),
        }
    }

    /// Decides on a message that waits.
    fn review(&mut self, tab: usize) -> Checked {
        let waiting: Vec<_> = self.truth.waiting.iter().copied().collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let held_id = waiting[self.pick(waiting.len() as u64) as usize];
        let act = if self.chance(60) { "allow_message" } else { "deny_message" };
        self.frame(tab, "-", act, json!({"held_id": held_id}))
    }

    /// Sends the oldest that is not answered, once more or for the first time.
    pub(super) fn resend(&mut self, tab: usize) -> Checked {
        let Some((client_id, content)) = self.tabs[tab].outbox.first().cloned() else { return Ok(()) };
        let user = self.tabs[tab].user;
        let key = (user.to_owned(), client_id.clone());
        let fresh = self.truth.named(&key.0, &key.1).is_none();
        let wait = if user == "mod" { 0 } else { self.truth.wait(user, self.w.now) };
        let (socket, last) = (self.tabs[tab].socket, self.truth.last());
        self.frame(tab, &client_id, "send_message", json!({"content": content, "client_id": client_id}))?;
        // The reply, before anything can happen to it: the limit is exact, also after an eviction.
        if let Some(wire) = socket.and_then(|socket| self.w.wires.get(&socket))
            && wire.closed.is_none()
            && fresh
            && self.mutant == Mutant::None
        {
            let full = content.starts_with("hold") && self.truth.waiting.len() >= 5;
            let limited = json!({"code": "rate_limited", "message": "", "retry_after_ms": wait});
            let reply = wire.frames.iter().filter_map(|frame| serde_json::from_str::<Value>(frame).ok());
            let reply = reply.rev().find(|line| line["reply"] == *client_id).unwrap_or_default();
            if full && wait == 0 {
                // Refused or taken, by how many of them are this user's.
            } else if wait > 0 {
                ensure!(reply["error"]["retry_after_ms"] == limited["retry_after_ms"], "{user} waits {wait}: {reply}");
            } else {
                ensure!(reply.get("error").is_none() && self.truth.last() == last + 1, "{user} may send: {reply}");
            }
        }
        Ok(())
    }

    /// Frames arrive; some are lost, some come twice.
    pub(super) fn deliver(&mut self) -> Checked {
        for tab in 0..self.tabs.len() {
            // What comes because of a catch-up is taken in the same turn.
            for _ in 0..8 {
                let Some(socket) = self.tabs[tab].socket else { break };
                let Some(wire) = self.w.wires.get_mut(&socket) else { break };
                let frames = std::mem::take(&mut wire.frames);
                let closed = wire.closed.clone();
                if frames.is_empty() && closed.is_none() {
                    break;
                }
                for frame in frames {
                    let mut times = 1;
                    if self.faults && self.chance(3) {
                        times = if self.chance(50) { 0 } else { 2 };
                    }
                    if times == 0 && frame.contains("\"reply\"") {
                        // An answer that does not come: the client gives the socket up.
                        self.drop_socket(tab)?;
                        break;
                    }
                    for _ in 0..times {
                        self.take(tab, &frame)?;
                    }
                }
                if closed.is_some() {
                    self.tabs[tab].socket = None;
                }
            }
        }
        Ok(())
    }

    pub(super) fn take(&mut self, tab: usize, frame: &str) -> Checked {
        let mut to = None;
        for line in frame.split('\n') {
            let line: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
            if let Some(reply) = line["reply"].as_str() {
                self.reply(tab, reply, &line)?;
                continue;
            }
            let Tab { epoch, seq, .. } = self.tabs[tab];
            if let Some(at) = line.get("at") {
                if at["epoch"] != epoch || at["from"].as_u64() > Some(seq) {
                    return self.catch_up(tab);
                }
                to = at["to"].as_u64();
                continue;
            }
            let Some(next) = line["seq"].as_u64().filter(|next| *next > seq) else { continue };
            if next > seq + 1 && to.is_none_or(|to| next > to) {
                return self.catch_up(tab);
            }
            self.apply(tab, &line)?;
        }
        let tab = &mut self.tabs[tab];
        tab.seq = tab.seq.max(to.unwrap_or(0));
        Ok(())
    }

    pub(super) fn catch_up(&mut self, tab: usize) -> Checked {
        let Tab { epoch, seq, .. } = self.tabs[tab];
        if epoch == 0 || self.tabs[tab].asked_from == Some((epoch, seq)) {
            return Ok(());
        }
        self.tabs[tab].asked_from = Some((epoch, seq));
        self.frame(tab, "catch_up", "catch_up", json!({"epoch": epoch, "seq": seq}))
    }

    pub(super) fn reply(&mut self, tab: usize, reply: &str, line: &Value) -> Checked {
        let data = &line["data"];
        match reply {
            "join" | "catch_up" => {
                ensure!(data.is_object(), "{reply} is refused: {line}");
                let number = |field: &str| data[field].as_u64().unwrap();
                self.tabs[tab].asked_from = None;
                if data["resumed"] == true {
                    for event in data["events"].as_array().unwrap() {
                        if event["seq"].as_u64().unwrap() > self.tabs[tab].seq {
                            self.apply(tab, event)?;
                        }
                    }
                    let tab = &mut self.tabs[tab];
                    tab.seq = tab.seq.max(number("seq"));
                } else {
                    let messages = data["messages"].as_array().unwrap();
                    let tab = &mut self.tabs[tab];
                    (tab.epoch, tab.seq, tab.base) = (number("epoch"), number("seq"), number("seq"));
                    tab.seen.clear();
                    let shown = |data: &Value| (data["message_id"].as_str().unwrap().to_owned(), Shown::of(data));
                    tab.page = messages.iter().map(shown).collect();
                }
            }
            "edit" | "-" => {}
            client_id => {
                let user = self.tabs[tab].user.to_owned();
                if let Some(id) = data["message_id"].as_str() {
                    let known = self.acked.insert((user.clone(), client_id.to_owned()), id.to_owned());
                    ensure!(known.is_none_or(|known| known == id), "{client_id} is two messages");
                    self.tabs[tab].outbox.retain(|(sent, _)| sent != client_id);
                } else if line["error"]["code"] == "content_rejected" {
                    // So many of this user wait already.
                    ensure!(self.truth.waiting.len() >= 5, "a send is refused: {line}");
                    self.tabs[tab].outbox.retain(|(sent, _)| sent != client_id);
                } else {
                    ensure!(line["error"]["code"] == "rate_limited", "a send is refused: {line}");
                }
            }
        }
        Ok(())
    }

    /// One event that is new to this client.
    pub(super) fn apply(&mut self, tab: usize, line: &Value) -> Checked {
        let (seq, data) = (line["seq"].as_u64().unwrap(), &line["data"]);
        let tab = &mut self.tabs[tab];
        ensure!(tab.seen.last().is_none_or(|last| *last < seq), "{} is shown {seq} after {:?}", tab.user, tab.seen);
        tab.seq = seq;
        tab.seen.push(seq);
        let id = data["message_id"].as_str().unwrap_or_default().to_owned();
        match line["event"].as_str().unwrap() {
            "new_message" => {
                ensure!(!tab.page.contains_key(&id), "{} is shown {id} twice", tab.user);
                tab.page.insert(id, Shown::of(data));
            }
            "message_edited" => {
                if let Some(shown) = tab.page.get_mut(&id) {
                    shown.content = data["content"].as_str().unwrap().into();
                }
            }
            "message_deleted" => {
                tab.page.entry(id).and_modify(|shown| *shown = Shown { deleted: true, ..Shown::default() });
            }
            "reaction_updated" => {
                if let Some(shown) = tab.page.get_mut(&id) {
                    shown.reactions = serde_json::from_value(data["reactions"].clone()).unwrap();
                }
            }
            "message_held" | "message_released" | "message_denied" => {
                let held: MessageId = serde_json::from_value(data["held_id"].clone()).unwrap();
                let author = &self.truth.held[&held].user.user_id;
                ensure!(tab.user == "mod" || tab.user == author, "{} is shown what {author} has waiting", tab.user);
            }
            "terms_updated" => ensure!(tab.user == "mod", "{} is shown the terms", tab.user),
            other => return Err(format!("an event {other}")),
        }
        Ok(())
    }
}
