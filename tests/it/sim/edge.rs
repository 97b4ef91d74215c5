//! What leaves the room, held against the reference model before anything can happen to it on its way.

use super::event::{Event, Frame};
use super::shard::follower_of;
use super::truth::{Looker, People, name_of};
use super::{Checked, Sim, TABS, ensure, role_of};
use edge_chat::audience::{FRAME_BUDGET, SocketId};
use edge_chat::auth::Role;
use edge_chat::protocol::shard::Follower;
use edge_chat::protocol::{Audience, Body, LogEvent, MessageId, MessageType};
use serde_json::Value;
use std::rc::Rc;

/// What a viewer who does not read may cost the room, bytes, and one frame's overshoot.
const UNREAD: usize = (768 + 520) << 10;
/// More than so many missed events, or so many bytes, are a snapshot.
const MISSED: (u64, usize) = (1_000, 512 << 10);
const HISTORY: usize = 100;

impl Sim {
    /// Who looks through a connection.
    pub(super) fn looker(&self, user: &'static str) -> Looker<'_> {
        self.looker_among(user, &self.truth.people)
    }

    fn looker_among(&self, user: &'static str, people: &People) -> Looker<'_> {
        let given = people.roles.get(user).copied();
        let role = given.into_iter().chain([role_of(user)]).max().unwrap_or(role_of(user));
        let blocks = self.room.told.get(user).map(|(_, blocks)| blocks);
        let nobody = if super::USERS.contains(&user) { None } else { Some(&self.nobody) };
        Looker { user, role, blocks: blocks.or(nobody) }
    }

    /// A frame leaves for a socket. `before` is where the log ended before this step.
    pub(super) fn emit(&mut self, id: SocketId, frame: &Rc<Frame>, before: u64) -> Checked {
        let conn = self.room.sockets.get(&id).copied().filter(|conn| !self.conns[*conn].closing);
        let Some(conn) = conn else { return Ok(()) };
        if let Some(stats) = frame.lines.iter().find(|line| line["event"] == "room_stats") {
            self.room.stats = Some(stats["data"].clone());
        }
        let frame = self.tamper(conn, frame);
        self.check_frame(conn, &frame, before)?;
        let it = &mut self.conns[conn];
        it.moves |= frame.lines.iter().any(|line| line["data"]["code"] == "elsewhere");
        let mut shown = 0;
        for seq in frame.lines.iter().filter_map(|line| line["seq"].as_u64()) {
            ensure!(seq > shown, "V4: {} is shown {seq} once more", it.user);
            shown = seq;
        }
        it.unread += frame.text.len();
        ensure!(it.unread <= UNREAD, "V8: {} has {} bytes unread", it.user, it.unread);
        let delay = self.delay();
        let at = self.conns[conn].down.arrives(self.heap.now, delay);
        self.heap.at(at, Event::Down(conn, frame));
        Ok(())
    }

    fn check_frame(&self, conn: usize, frame: &Frame, before: u64) -> Checked {
        let who = self.looker(self.conns[conn].user);
        let (mut covered, mut left_out) = (None, 0);
        for line in &frame.lines {
            if let Some(reply) = line.get("reply") {
                self.check_reply(&who, reply.as_str().unwrap_or_default(), line, before)?;
            } else if let Some(at) = line.get("at") {
                ensure!(at["epoch"] == self.truth.epoch, "V1: {} is told of epoch {}", who.user, at["epoch"]);
                let number = |field: &str| at[field].as_u64().unwrap_or(u64::MAX);
                ensure!(number("to") <= self.truth.last(), "V2: {} is told of {at} ahead of the log", who.user);
                covered = Some((number("from"), number("to")));
                left_out = number("left_out");
            } else if let Some(seq) = line["seq"].as_u64() {
                // Of what is taken at once, later parts are for whoever viewers have become by the earlier ones.
                let since = [seq.saturating_sub(1), self.truth.last()].map(|seq| self.truth.people_at(seq));
                let since = since.into_iter().flatten();
                let since: Vec<_> = since.map(|people| self.looker_among(self.conns[conn].user, people)).collect();
                let any = since.iter().any(|who| self.check_event(who, line, before).is_ok());
                if !any {
                    self.check_event(since.first().filter(|_| self.room.index > 0).unwrap_or(&who), line, before)?;
                }
                // Who was let in again meanwhile stays, until another ban.
                let people = self.truth.people_at(self.truth.last());
                let bans = people.and_then(|people| people.bans.get(who.user));
                let now = bans.filter(|ban| !ban.shadow && ban.holds(self.room.now));
                let people = self.truth.people_at(seq.saturating_sub(1));
                let banned = people.and_then(|people| people.bans.get(who.user));
                let banned = banned.filter(|ban| now.is_some_and(|now| now.created_at == ban.created_at));
                let at = self.truth.at(seq).map_or(0, |event| event.at);
                let out = banned.filter(|ban| self.room.index > 0 && !ban.shadow && ban.holds(at));
                ensure!(out.is_none(), "V7: {} was banned before {seq} and is shown it", who.user);
            } else if line["event"] == "goodbye" {
                let told = line["data"]["retry"].is_boolean() && line["data"]["after_ms"].is_u64();
                ensure!(told, "V9: a goodbye does not say whether to come back: {line}");
            }
        }
        // Everything in (from, to] that is for this viewer is in this frame, but for what was sampled away.
        let now = self.truth.people_at(self.truth.last()).filter(|_| self.room.index > 0);
        let now = now.map(|people| self.looker_among(self.conns[conn].user, people));
        if let Some((from, to)) = covered {
            let (mut surely, mut perhaps) = (0, 0);
            for seq in from + 1..=to {
                let event = self.truth.at(seq).ok_or("V2: a position ahead of the log")?;
                let there = frame.lines.iter().any(|line| line["seq"] == seq);
                // What is for this viewer alone came apart, and left the others where they were.
                let apart = matches!(event.audience, Audience::User(_));
                let sees = |who: &Looker<'_>| self.truth.sees(who, event, self.room.now);
                if left_out > 0 && !there && is_sampled(&who, event) {
                    surely += u64::from(sees(&who) == Some(true));
                    perhaps += u64::from(sees(&who) != Some(false));
                    continue;
                }
                let both = sees(&who) == Some(true) && now.as_ref().is_none_or(|who| sees(who) == Some(true));
                let missing = !there && !apart && both;
                ensure!(
                    !missing || self.truth.made_up(seq, self.truth.last()),
                    "V4: a frame says that it holds {from} to {to}, and {} does not get {seq} in it",
                    who.user
                );
            }
            ensure!(
                (surely..=perhaps).contains(&left_out),
                "V4: of {from} to {to} {} is said to miss {left_out}, and misses {surely} to {perhaps}",
                who.user
            );
        }
        Ok(())
    }

    /// One event of the log, as a viewer is shown it.
    fn check_event(&self, who: &Looker<'_>, line: &Value, before: u64) -> Checked {
        let seq = line["seq"].as_u64().unwrap_or_default();
        let Some(event) = self.truth.at(seq) else {
            return Err(format!("V2: {} is shown {seq}, which was not written: {line}", who.user));
        };
        ensure!(seq <= self.truth.last(), "V2: {} is shown {seq} ahead of the shard's log", who.user);
        if seq > before && matches!(event.body, Body::Gone { .. }) && line["event"] == "message_edited" {
            // What it says was replaced or deleted in the same step, and that is shown after it.
            return Ok(());
        }
        let named = line["event"] == name_of(&event.body);
        ensure!(named, "V1: {seq} is {} and stands for {}", line["event"], name_of(&event.body));
        let sees = self.truth.sees(who, event, self.room.now);
        ensure!(sees != Some(false), "V7: {} may not see {seq} now: {line}", who.user);
        if let Some(ban) = self.truth.people.bans.get(who.user) {
            ensure!(ban.shadow || !ban.holds(self.room.now), "V7: {} is banned and shown {seq}", who.user);
        }
        if let Body::NewMessage(_) | Body::MessageEdited { .. } = &event.body {
            self.check_words(who, &line["data"], before)?;
        }
        Ok(())
    }

    /// A message says what it says now, or what it said before this very step.
    pub(super) fn check_words(&self, who: &Looker<'_>, data: &Value, before: u64) -> Checked {
        let id = MessageId::parse(data["message_id"].as_str().unwrap_or_default());
        let Some(said) = id.and_then(|id| self.truth.messages.get(&id)) else {
            return Err(format!("V2: {} is shown what nobody said: {data}", who.user));
        };
        let content = data["content"].as_str().unwrap_or_default();
        let states = said.since(if said.epoch == self.truth.epoch { before } else { u64::MAX });
        // Said and changed in one step: it was shown as it was said, and the change behind it.
        let changed = id.filter(|id| id.seq() > before).is_some_and(|id| self.truth.changed_at_once(id));
        ensure!(
            changed || states.iter().any(|(_, then)| then.content == content),
            "V6: {} is shown {content:?} of {id:?}, which says {:?}",
            who.user,
            said.now()
        );
        Ok(())
    }

    fn check_reply(&self, who: &Looker<'_>, id: &str, line: &Value, before: u64) -> Checked {
        let data = &line["data"];
        let mut parts = id.split('/');
        match parts.next() {
            Some("j" | "c") if data.is_object() => {
                let from = parts.next().and_then(|e| e.parse().ok()).zip(parts.next().and_then(|s| s.parse().ok()));
                self.check_seen(who, from, data, before)
            }
            Some("s") => {
                let client_id = parts.next().unwrap_or_default().to_owned();
                let name = (who.user.to_owned(), client_id);
                let known = self.truth.named.get(&name);
                match data["message_id"].as_str() {
                    Some(id) if self.room.index > 0 => {
                        let id = MessageId::parse(id).ok_or("no id")?;
                        let said = self.truth.ever.contains(&(name.0.clone(), name.1.clone(), id));
                        ensure!(said, "V2: {name:?} is acknowledged as {id}, and no log had it");
                    }
                    // What a shard refuses was checked where the room refused it.
                    None if self.room.index > 0 => {}
                    Some(id) => ensure!(
                        known == MessageId::parse(id).as_ref(),
                        "V2: {name:?} is acknowledged as {id}, and the log has {known:?}"
                    ),
                    None => ensure!(known.is_none(), "V3: {name:?} is refused and was said: {line}"),
                }
                Ok(())
            }
            _ => {
                let seq = data["seq"].as_u64();
                let last = if self.room.index > 0 { self.truth.longest() } else { self.truth.written() };
                ensure!(seq.is_none_or(|seq| seq <= last), "V2: {id} is acknowledged ahead of its write");
                Ok(())
            }
        }
    }

    /// What a join or a catch-up yields: exactly what was missed, or the newest messages where that is allowed.
    fn check_seen(&self, who: &Looker<'_>, from: Option<(u64, u64)>, data: &Value, before: u64) -> Checked {
        let (now, last) = (self.room.now, self.truth.last());
        ensure!(data["epoch"] == self.truth.epoch, "V1: a reply of epoch {}", data["epoch"]);
        let to = data["seq"].as_u64().unwrap_or(u64::MAX);
        ensure!(to <= last, "V2: a reply says that {} is at {to}, and the log ends at {last}", who.user);
        // What is gathered, since the room is hot or large, comes live within a second.
        let may_gather =
            self.truth.splits || self.settings.frame_budget < FRAME_BUDGET || self.settings.shard_sockets < TABS.len();
        let gathers = if may_gather { 1_000 } else { 0 };
        let is_left = |event: &&LogEvent| {
            event.seq > to
                && event.seq <= last
                && now >= event.at.max(event.visible_at).max(self.room.grown_at) + gathers
                && self.truth.sees(who, event, now) == Some(true)
        };
        let left = self.truth.events.iter().find(is_left);
        ensure!(left.is_none(), "V4: {} is brought to {to} only, and not shown {left:?}", who.user);
        let near = from.filter(|(epoch, seq)| *epoch == self.truth.epoch && last.checked_sub(*seq).is_some());
        if data["resumed"] == true {
            let Some((_, from)) = near else { return Err("V5: resumed from nowhere".into()) };
            let none = Vec::new();
            let lines = data["events"].as_array().unwrap_or(&none);
            let mut expected = Vec::new();
            for event in self.truth.events.iter().filter(|event| (from + 1..=to).contains(&event.seq)) {
                let shown = lines.iter().any(|line| line["seq"] == event.seq);
                match self.truth.sees(who, event, now) {
                    Some(true) if shown || !self.truth.made_up(event.seq, to) => expected.push(event.seq),
                    None if shown => expected.push(event.seq),
                    _ => {}
                }
            }
            let given: Vec<_> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
            ensure!(given == expected, "V4: {} resumes from {from} with {given:?}, not {expected:?}", who.user);
            for line in lines {
                self.check_event(who, line, before)?;
            }
            return Ok(());
        }
        // A shard holds some hundred events; beyond them it may give a snapshot, and has to up to there.
        let keeps = follower_of(self.room.index).map_or(500, Follower::keeps) as u64;
        let near_enough = |from: u64| last - from <= keeps - 100 && self.bytes_since(from) < 400 << 10;
        let small = |from: u64| {
            let few = last - from <= MISSED.0 && self.bytes_since(from) < MISSED.1;
            few && (self.reaches(from) || near_enough(from))
        };
        ensure!(near.is_none_or(|(_, from)| !small(from)), "V5: {} could have been resumed from {from:?}", who.user);
        let none = Vec::new();
        let messages = data["messages"].as_array().unwrap_or(&none);
        let known = who.blocks.is_some() || who.is_moderator();
        let newest =
            self.truth.events.iter().rev().filter(|event| event.seq <= to).filter_map(|event| match &event.body {
                Body::NewMessage(message) if self.truth.sees(who, event, now) == Some(true) => {
                    Some((event.seq, message.message_id.to_string()))
                }
                _ => None,
            });
        let newest: Vec<_> = newest.take(HISTORY).collect();
        // A shard has those among the events that it holds.
        let follows = follower_of(self.room.index).is_some();
        let owed = newest.iter().take_while(|(seq, _)| !follows || last - seq <= keeps - 100).count();
        let newest: Vec<_> = newest.iter().map(|(_, id)| id.as_str()).collect();
        let given: Vec<_> = messages.iter().rev().filter_map(|message| message["message_id"].as_str()).collect();
        let right = newest.starts_with(&given) && given.len() >= owed;
        ensure!(!known || right, "V5: {} is given {given:?} instead of {newest:?}", who.user);
        messages.iter().try_for_each(|message| self.check_words(who, message, before))
    }

    /// About as many bytes as the log's events since `seq` take; from above.
    fn bytes_since(&self, seq: u64) -> usize {
        let size = |event: &edge_chat::protocol::LogEvent| match &event.body {
            Body::NewMessage(message) => 2 * message.content.len() + 900,
            Body::MessagesDeleted { message_ids, .. } => 900 + 40 * message_ids.len(),
            _ => 900,
        };
        self.truth.events[seq as usize..].iter().map(size).sum()
    }

    /// Whoever was banned in this step, and was not to stay, has no socket any more.
    pub(super) fn nobody_banned_stays(&self) -> Checked {
        if self.room.index > 0 && self.room.at.is_none() {
            // A follower that stands nowhere has not heard of what happens this very ms.
            return Ok(());
        }
        for conn in self.room.sockets.values().filter(|conn| self.conns[**conn].joined) {
            if self.conns[*conn].closing {
                continue;
            }
            let user = self.conns[*conn].user;
            let ban = self.truth.people.bans.get(user).filter(|ban| !ban.shadow && ban.created_at == self.room.now);
            ensure!(ban.is_none(), "V7: {user} is banned and keeps a socket");
        }
        Ok(())
    }

    /// A page of history, or what moderators see of it.
    pub(super) fn check_page(&self, who: &Looker<'_>, page: &Value) -> Checked {
        let none = Vec::new();
        for message in page["held"].as_array().unwrap_or(&none) {
            self.check_words(who, message, u64::MAX)?;
            let id = MessageId::parse(message["message_id"].as_str().unwrap_or_default());
            let event = id.and_then(|id| self.truth.at(id.seq())).ok_or("V2: history has what nobody said")?;
            let sees = self.truth.sees(who, event, self.room.now);
            ensure!(sees != Some(false), "V7: {} may not see {message} in history", who.user);
        }
        Ok(())
    }
}

/// Whether a sample may be without it: what a member says, neither to this viewer nor by them.
pub(super) fn is_sampled(who: &Looker<'_>, event: &LogEvent) -> bool {
    let Body::NewMessage(message) = &event.body else { return false };
    let mentioned = message.mentions.iter().any(|mention| mention.user_id == who.user);
    let concerned = mentioned || message.user.user_id == who.user || message.answers.as_deref() == Some(who.user);
    let keeps_order = message.user.roles.iter().any(|role| role.at_least(Role::Moderator));
    !concerned && !keeps_order && !who.is_moderator() && message.kind != MessageType::System
}
