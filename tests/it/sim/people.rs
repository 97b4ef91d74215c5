//! What people do: say, change, react, keep order, block, and read what was said before.

use super::client::Draft;
use super::event::Event;
use super::{Checked, Sim, ensure};
use edge_chat::protocol::MessageId;
use edge_chat::protocol::call::{Ask, Nothing, PageQuery, RoomCall, SendBody, UserAsk, UserCall, VERSION};
use serde_json::{Value, json};

impl Sim {
    pub(super) fn idea(&mut self, client: usize) -> Checked {
        if self.ideas == 0 || self.calm {
            return Ok(());
        }
        self.ideas -= 1;
        let next = match self.pick(20) {
            0 => self.pick(60_000),
            1..=3 => self.pick(5_000),
            _ => 40 + self.pick(900),
        };
        self.heap.after(next, Event::Idea(client));
        let user = self.clients[client].user;
        if !self.clients[client].joined {
            return Ok(());
        }
        match self.pick(30) {
            0 => {
                // A tab is closed, or loses its way.
                self.hang_up(client);
                return Ok(());
            }
            1 => {
                let query = PageQuery::Page { page: 1, limit: 50 };
                self.call(client, "p", Ask::Messages(query));
                return Ok(());
            }
            2 if !user.is_empty() => {
                self.blocks(client);
                return Ok(());
            }
            3 if !user.is_empty() && self.chance(20) => {
                let iat_ms = Some(self.heap.now);
                self.call_user(user, UserCall { v: VERSION, iat_ms, ask: UserAsk::SignOut(Nothing {}) });
                return Ok(());
            }
            4 => {
                self.send_up(client, json!({"event": "typing", "data": {"is_typing": true}}).to_string());
                return Ok(());
            }
            _ => {}
        }
        if matches!(user, "mod" | "admin") && self.chance(45) {
            return self.keep_order(client);
        }
        let some = self.some_message(client);
        match (self.pick(20), some) {
            (0..=9, _) if !user.is_empty() => self.speak(client),
            (10..=12, Some(id)) => {
                let content = self.words("w");
                self.act(client, "edit_message", &json!({"message_id": id, "content": content}));
            }
            (13..=14, Some(id)) => self.act(client, "delete_message", &json!({"message_id": id})),
            (_, Some(id)) => {
                let reaction = ["👍", "🎉", "❤"][self.pick(3) as usize];
                let remove = self.chance(30);
                self.act(client, "react", &json!({"message_id": id, "reaction": reaction, "remove": remove}));
            }
            _ => {}
        }
        Ok(())
    }

    /// Words that nobody has said yet.
    pub(super) fn words(&mut self, begin: &str) -> String {
        self.said += 1;
        format!("{begin}{}x", self.said)
    }

    fn some_message(&mut self, client: usize) -> Option<String> {
        let known = self.clients[client].page.len() as u64;
        // Most of what is done is done to what was said last.
        let near = known.clamp(1, 6);
        let back = if self.chance(80) { self.pick(near) } else { self.pick(known.max(1)) };
        self.clients[client].page.keys().rev().nth(back as usize).cloned()
    }

    fn speak(&mut self, client: usize) {
        if self.clients[client].outbox.len() < 3 {
            let held = self.chance(20);
            let content = self.words(if held { "hold" } else { "w" });
            let client_id = format!("c{}", self.said);
            self.clients[client].outbox.push(Draft { client_id, content, not_before: 0 });
        }
        if self.chance(10) {
            // Over REST, under the same name.
            let Some(draft) = self.clients[client].outbox.first() else { return };
            let (client_id, content) = (draft.client_id.clone(), draft.content.clone());
            let body = SendBody { content, client_id: Some(client_id.clone()), ..SendBody::default() };
            self.call(client, &format!("s/{client_id}"), Ask::Send(body));
        }
        if self.chance(90) {
            self.resend(client);
        }
        if self.chance(5) {
            self.resend(client);
        }
        if self.chance(5) {
            // Another tab of the same user takes over what was not answered.
            let user = self.clients[client].user;
            let other = (0..self.clients.len()).find(|other| *other != client && self.clients[*other].user == user);
            if let Some(other) = other {
                let drafts = self.clients[client].outbox.iter().map(|it| Draft {
                    client_id: it.client_id.clone(),
                    content: it.content.clone(),
                    not_before: 0,
                });
                let drafts: Vec<_> = drafts.collect();
                self.clients[other].outbox.extend(drafts);
            }
        }
    }

    fn blocks(&mut self, client: usize) {
        let other = super::USERS[self.pick(super::USERS.len() as u64) as usize];
        let it = &mut self.clients[client];
        if other == it.user {
            return;
        }
        let user = it.user;
        let event = if self.chance(60) { "block_user" } else { "unblock_user" };
        for it in self.clients.iter_mut().filter(|it| it.user == user) {
            it.ever_blocked.insert(other.to_owned());
        }
        self.act(client, event, &json!({"user_id": other}));
    }

    fn keep_order(&mut self, client: usize) -> Checked {
        let member = ["ada", "bob", "cleo"][self.pick(3) as usize];
        let waiting: Vec<_> = self.truth.held.iter().filter(|(_, held)| held.2).map(|(id, _)| *id).collect();
        match self.pick(16) {
            0 | 1 => {
                let shadow = self.chance(50);
                let (seconds, away) = (1 + self.pick(20), 1 + self.pick(30));
                let mut data = json!({"user_id": member, "shadow": shadow});
                if self.chance(60) {
                    data["duration_s"] = seconds.into();
                }
                if self.chance(20) {
                    data["delete_messages_s"] = away.into();
                }
                self.act(client, "ban_user", &data);
            }
            2 | 3 => {
                let banned = self.truth.people.bans.keys().next().cloned();
                self.act(client, "unban_user", &json!({"user_id": banned.unwrap_or_else(|| member.to_owned())}));
            }
            4 if self.chance(50) => self.act(client, "delete_user_messages", &json!({"user_id": member})),
            5 | 6 => {
                if let Some(id) = self.some_message(client) {
                    let event = if self.chance(70) { "pin_message" } else { "unpin_message" };
                    self.act(client, event, &json!({"message_id": id}));
                }
            }
            7 | 8 => {
                let delay = [0, 2, 4, 6][self.pick(4) as usize];
                self.act(client, "set_modes", &json!({"modes": {"delay_s": delay}}));
            }
            9 => {
                let modes = if self.chance(50) { json!({"read_only": self.chance(40)}) } else { json!({"slow_s": 1}) };
                self.act(client, "set_modes", &json!({"modes": modes}));
            }
            10 if self.clients[client].user == "admin" => {
                let role = if self.chance(60) { json!("moderator") } else { Value::Null };
                self.act(client, "set_role", &json!({"user_id": "cleo", "role": role}));
            }
            11 if self.chance(40) => {
                let content = self.words("w");
                self.act(client, "announce", &json!({"content": content}));
            }
            12 | 13 if self.clients[client].user == "admin" => {
                let above = if self.chance(80) { json!(1 + self.pick(3)) } else { Value::Null };
                let patch = json!({"settings": {"sample_above": above}});
                let patch = serde_json::from_value(patch).map_err(|e| e.to_string())?;
                self.call(client, "", Ask::Patch(patch));
            }
            _ => {
                if let Some(held_id) = waiting.get(self.pick(waiting.len().max(1) as u64) as usize) {
                    let event = if self.chance(60) { "allow_message" } else { "deny_message" };
                    self.act(client, event, &json!({"held_id": held_id}));
                }
            }
        }
        Ok(())
    }

    /// A call over REST goes out.
    fn call(&mut self, client: usize, name: &str, ask: Ask) {
        let delay = self.delay();
        self.heap.after(delay, Event::Rest(client, name.to_owned(), Box::new(ask)));
    }

    /// It reaches the room.
    pub(super) fn rest_arrives(&mut self, client: usize, name: String, ask: Ask) -> Checked {
        let user = self.clients[client].user;
        let mut caller = self.caller(user);
        caller.standing = self.standing_in_time(user);
        let told = caller.standing.clone();
        let page = matches!(ask, Ask::Messages(_));
        let answer = self.rest(RoomCall { v: VERSION, caller, ask })?;
        match (&answer, name.strip_prefix("s/")) {
            (Some(Ok(sent)), Some(client_id)) => {
                let known = self.truth.named.get(&(user.to_owned(), client_id.to_owned()));
                let id = MessageId::parse(sent["message_id"].as_str().unwrap_or_default());
                ensure!(known == id.as_ref(), "V3: {user} {client_id} is {id:?} over REST, and the log has {known:?}");
            }
            (Some(Ok(shown)), None) if page => {
                let blocks =
                    told.map(|it| super::USERS.iter().filter(|u| it.blocks.has(u)).map(|u| (*u).into()).collect());
                let mut who = self.looker(user);
                who.blocks = blocks.as_ref().or(who.blocks);
                self.check_page(&who, shown)?;
            }
            _ => {}
        }
        let delay = self.delay();
        if self.calm || !self.chance(10) {
            self.heap.after(delay, Event::RestAnswer(client, name, answer));
        }
        Ok(())
    }

    pub(super) fn rest_answered(&mut self, client: usize, name: &str, answer: Option<Result<Value, String>>) {
        if let (Some(client_id), Some(Ok(sent))) = (name.strip_prefix("s/"), answer) {
            self.sent(client, client_id, sent["message_id"].as_str(), &Value::Null);
        }
    }

    /// More than a resume holds is said at once, or as much as a client that does not read may owe.
    pub(super) fn burst(&mut self, client: usize) {
        let (times, words) = if self.chance(50) { (1_010, String::new()) } else { (75, "y".repeat(7_900)) };
        for _ in 0..times {
            let content = format!("{}{words}", self.words("w"));
            self.send_up(client, json!({"event": "send_message", "data": {"content": content}}).to_string());
        }
    }
}
