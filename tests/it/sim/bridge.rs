//! Redis's node behind the bridge: away, refusing, slow, without its data or with an older copy; batches come late and
//! twice. What it is told and what it holds is held against B1.

use super::event::Event;
use super::mutants::Mutant;
use super::truth::{Looker, name_of};
use super::{Checked, Sim, ensure};
use crate::redis::{Entry, Flaw, Redis, words};
use crate::world::ROOM;
use edge_chat::auth::Role;
use edge_chat::host::{Batch, Drained};
use edge_chat::protocol::{Audience, Body, LogEvent};
use edge_chat::sinks::Sink;
use edge_chat::sinks::redis::command;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::rc::Rc;

/// How long the room waits for an answer, ms.
const WITHIN: u64 = 20_000;
/// How long an event is owed, ms; and what the clocks may differ by.
const DAY: u64 = 24 * 3_600_000;
const SKEW: u64 = 5_000;
/// Batches that one loop hands over.
const BATCHES: u32 = 50;
/// Where the words of a batch's entries begin.
const ENTRIES: usize = 10;

#[derive(Default)]
pub(super) struct BridgeNode {
    pub on: bool,
    /// More than what everyone sees goes out.
    pub moderation: bool,
    pub redis: Redis,
    pub down_until: u64,
    /// It takes nothing until then: full, or a replica now.
    pub refuses_until: u64,
    /// Its answers come when nobody waits any more, until then.
    pub slow_until: u64,
    pub calls: u64,
    /// The batch that the room waits for, and how many its loop has handed over.
    pub running: Option<(u64, u32)>,
    /// It lost something after this call, and the room has not heard of that: it hears of it with its next event.
    pub unnoticed: Option<u64>,
    pub backup: Option<Redis>,
    /// Every id that was ever in the stream, and of each epoch what was said to be left out: from, to.
    pub ever: BTreeSet<(u64, u64)>,
    pub left_out: Vec<(u64, u64, u64)>,
    /// The entries that say so, when they came, and with which call.
    pub gaps: Vec<((u64, u64), u64, u64)>,
}

impl Sim {
    /// What is due for Redis is handed on.
    pub(super) fn bridge(&mut self) -> Checked {
        let batch = self.compute(|host, at| host.batch(at, Sink::Redis))?.transpose();
        if let Some(batch) = batch.map_err(|fault| fault.to_string())?.flatten() {
            ensure!(self.bridge.running.is_none(), "B1: two batches of one life are on their way");
            self.send_to_redis(batch, 1)?;
        }
        Ok(())
    }

    fn send_to_redis(&mut self, batch: Batch, count: u32) -> Checked {
        ensure!(self.bridge.on, "B1: a batch for a Redis that there is not");
        self.bridge.calls += 1;
        let call = self.bridge.calls;
        self.bridge.running = Some((call, count));
        let body: Rc<str> = self.tamper_batch(batch.body)?.into();
        self.check_batch(&body)?;
        let now = self.heap.now;
        let there = if self.bridge.slow_until > now { WITHIN + self.pick(20_000) } else { self.delay() };
        match if self.calm { 100 } else { self.pick(100) } {
            // It never arrives, or arrives when nobody waits any more.
            0..4 => {}
            4..9 => self.heap.after(WITHIN + self.rng % 60_000, Event::Append(call, body, true)),
            // Its answer is lost.
            9..15 => self.heap.after(there, Event::Append(call, body, false)),
            // It comes twice.
            15..23 => {
                let late = self.pick(90_000);
                self.heap.after(there, Event::Append(call, body.clone(), true));
                self.heap.after(there + late, Event::Append(call, body, false));
            }
            23..26 => self.heap.after(there, Event::Bridged(call, Drained::Busy(200))),
            _ => self.heap.after(there, Event::Append(call, body, true)),
        }
        self.heap.after(WITHIN, Event::Bridged(call, Drained::Failed("no answer in time".into())));
        if self.mutant == Mutant::BridgeBelievesItself {
            self.heap.after(1, Event::Bridged(call, Drained::Cursor { epoch: batch.epoch, seq: batch.to }));
        }
        Ok(())
    }

    /// A batch reaches Redis.
    pub(super) fn append(&mut self, call: u64, body: &str, answered: bool) -> Checked {
        let now = self.heap.now;
        let drained = if self.bridge.down_until > now {
            Drained::Failed("no connection".into())
        } else if self.bridge.refuses_until > now {
            Drained::Failed("OOM command not allowed when used memory > 'maxmemory'".into())
        } else {
            let (before, heard) = (self.bridge.redis.last, self.bridge.redis.published.len());
            let drained = self.bridge.redis.eval(body);
            let last = self.bridge.redis.last;
            self.say(format_args!("redis: is at {} {}", last.0, last.1));
            self.check_stream(call, before, heard)?;
            drained
        };
        if answered {
            let back = self.delay();
            self.heap.after(back, Event::Bridged(call, drained));
        }
        Ok(())
    }

    /// Redis has answered, or did not in time.
    pub(super) fn bridged(&mut self, call: u64, drained: Drained) -> Checked {
        let Some((_, count)) = self.bridge.running.filter(|running| running.0 == call) else { return Ok(()) };
        self.bridge.running = None;
        let went_on = matches!(drained, Drained::Cursor { .. });
        self.bridge.unnoticed = self.bridge.unnoticed.filter(|lost| !went_on || call <= *lost);
        let life = self.room.life;
        self.step(|host, at| ((), host.drained(at, Sink::Redis, drained)))?;
        if !went_on || life != self.room.life || count >= BATCHES {
            return Ok(());
        }
        let batch = self.compute(|host, at| host.batch(at, Sink::Redis))?.transpose();
        match batch.map_err(|fault| fault.to_string())?.flatten() {
            Some(batch) => self.send_to_redis(batch, count + 1),
            None => Ok(()),
        }
    }

    pub(super) fn redis_trouble(&mut self) {
        let now = self.heap.now;
        match self.pick(12) {
            0..3 => self.bridge.down_until = now + self.pick(60_000),
            3..5 => self.bridge.refuses_until = now + self.pick(30_000),
            5 => self.bridge.slow_until = now + self.pick(30_000),
            6..9 => {
                self.say(format_args!("redis: is copied"));
                self.bridge.backup = Some(self.bridge.redis.clone());
            }
            roll => {
                let copy = self.bridge.backup.clone().filter(|_| roll > 9).unwrap_or_default();
                self.say(format_args!("redis: comes back at {:?}", copy.last));
                (self.bridge.redis.stream, self.bridge.redis.last) = (copy.stream, copy.last);
                self.bridge.gaps.clear();
                self.bridge.unnoticed = Some(self.bridge.calls);
            }
        }
    }

    /// Who sees what goes out.
    pub(super) fn outsider(&self, moderation: bool) -> Looker<'_> {
        let role = if moderation { Role::Moderator } else { Role::Guest };
        Looker { user: "", role, blocks: Some(&self.nobody) }
    }

    /// B1, V7: what is on its way to Redis is for everyone by now, and says what everyone sees.
    fn check_batch(&self, body: &str) -> Checked {
        for (seq, message, entry) in entries(body)? {
            let field = |name: &str| entry.get(name).map_or("", String::as_str);
            ensure!(
                field("room") == ROOM && field("epoch") == self.truth.epoch.to_string(),
                "B1: of where is {entry:?}"
            );
            ensure!(field("seq") == seq.to_string(), "B1: {seq} is said to be {}", field("seq"));
            if field("event") == "gap" {
                self.check_gap(seq, field("data"))?;
                continue;
            }
            let Some(event) = self.truth.at(seq) else { return Err(format!("B1: {seq} goes out and was not written")) };
            ensure!(field("event") == name_of(&event.body), "B1: {seq} goes out as {}: {event:?}", field("event"));
            let sees = self.truth.sees(&self.outsider(self.bridge.moderation), event, self.room.now);
            ensure!(sees == Some(true), "B1, V7: {seq} is not for everyone now and goes out: {event:?}");
            if self.bridge.moderation {
                let audience = match &event.audience {
                    Audience::All => "all".to_owned(),
                    Audience::User(user) => format!("user:{user}"),
                    _ => "moderators".to_owned(),
                };
                let says = field("audience") == audience && field("visible_at") == event.visible_at.to_string();
                ensure!(says, "B1: {entry:?} is for {audience} from {} on", event.visible_at);
            }
            let data: Value = serde_json::from_str(field("data")).map_err(|e| format!("B1: {e}: {entry:?}"))?;
            self.check_data("B1", event, &data, self.bridge.moderation)?;
            let told: Value = serde_json::from_str(&message).map_err(|e| format!("B1: {e}: {message}"))?;
            let same = entry.iter().all(|(name, text)| match &told[name] {
                Value::String(word) => word == text,
                other => other.as_u64() == text.parse().ok(),
            });
            ensure!(same, "B1: the channel gets {message}, the stream {entry:?}");
        }
        Ok(())
    }

    /// Only what is older than a day may be left out.
    fn check_gap(&self, seq: u64, data: &str) -> Checked {
        let data: Value = serde_json::from_str(data).map_err(|e| format!("B1: {e}: {data}"))?;
        let (from, to) = (data["from"].as_u64().unwrap_or_default(), data["to"].as_u64().unwrap_or_default());
        let old = self.truth.at(to).is_some_and(|last| self.is_old(last));
        ensure!(0 < from && from <= to && to == seq && old, "B1: {data} is left out at {seq}");
        Ok(())
    }

    /// Whether the event is not owed to anybody but PostgreSQL any more.
    pub(super) fn is_old(&self, event: &LogEvent) -> bool {
        event.visible_at + DAY < self.heap.now + SKEW
    }

    pub(super) fn check_data(&self, clause: &str, event: &LogEvent, data: &Value, moderation: bool) -> Checked {
        let is = |field: &str, value: &dyn ToString| data[field].as_str() == Some(&value.to_string());
        let right = match &event.body {
            Body::NewMessage(message) => {
                let said = &self.truth.messages[&message.message_id];
                is("message_id", &message.message_id)
                    && data["user"]["user_id"] == *said.author
                    && data["content"].as_str().unwrap_or_default() == said.now().content
                    && data["deleted_at"].is_string() == said.now().deleted
            }
            Body::MessageEdited { message_id, .. } => {
                let said = &self.truth.messages[message_id];
                is("message_id", message_id) && data["content"].as_str() == Some(&said.now().content)
            }
            Body::MessageDeleted { message_id, .. } => is("message_id", message_id),
            Body::MessagesDeleted { message_ids, unseen, .. } => {
                let all = message_ids.iter().skip(if moderation { 0 } else { *unseen });
                data["message_ids"] == json!(all.collect::<Vec<_>>())
            }
            Body::Reaction { message_id, .. } => {
                let said = &self.truth.messages[message_id];
                let then = &said.since(event.seq)[0].1.reactions;
                is("message_id", message_id) && data["reactions"] == json!(then)
            }
            Body::Banned { ban, .. } => {
                is("user_id", &ban.user_id) && (moderation || data["reason"].is_null() && data["by"].is_null())
            }
            Body::Unbanned { user_id, .. } => is("user_id", user_id),
            Body::Role { user_id, role, .. } => is("user_id", user_id) && data["role"] == json!(role),
            Body::Pinned { message_id, pinned, .. } => is("message_id", message_id) && data["pinned"] == json!(pinned),
            Body::Room { room, changed, .. } => is("name", &room.name) && data["changed"] == json!(changed),
            _ => true,
        };
        ensure!(right, "{clause}: {} goes out as {data}: {event:?}", event.seq);
        Ok(())
    }

    /// B1: what came after `before` into the stream rises without a hole, and was said on the channel too.
    fn check_stream(&mut self, call: u64, before: (u64, u64), heard: usize) -> Checked {
        let redis = &self.bridge.redis;
        let (mut last, mut left_out) = (before, Vec::new());
        let mut heard = redis.published[heard..].iter();
        for (id, entry) in redis.stream.range((before.0, before.1 + 1)..) {
            let after: u64 = entry["after"].parse().map_err(|e| format!("B1: {e}: {entry:?}"))?;
            let had = if last.0 == id.0 { last.1 } else { 0 };
            let gap = entry["event"] == "gap";
            // It may be an earlier one only where those between were edited away or deleted since they went out, and a
            // later one where what is missing is as old as what is taken out.
            let between = redis.stream.range((id.0, after + 1)..*id);
            let gone = between.map(|(_, entry)| entry).all(|entry| gap || self.is_gone(entry));
            let old = || id.0 != self.truth.epoch || self.truth.at(after).is_some_and(|event| self.is_old(event));
            ensure!(
                after == had || if after < had { gone } else { old() },
                "B1: a hole in the stream: {id:?} comes after {after} of its epoch, and {last:?} is there"
            );
            let said = heard.find(|said| said["epoch"] == id.0 && said["seq"] == id.1);
            ensure!(said.is_some(), "B1: the channel does not get {id:?}");
            if gap {
                let data: Value = serde_json::from_str(&entry["data"]).unwrap_or_default();
                left_out.extend(data["from"].as_u64().map(|from| (id.0, from, id.1)));
                self.bridge.gaps.push((*id, self.heap.now, call));
            }
            last = *id;
            self.bridge.ever.insert(last);
        }
        self.bridge.left_out.extend(left_out);
        let there = |id: &(u64, u64)| self.bridge.redis.stream.contains_key(id);
        // One that is older than the loss which the gap tells of may come late and take it out.
        self.bridge.gaps.retain(|(id, at, with)| at + DAY > self.heap.now + SKEW && (call >= *with || there(id)));
        let lost = self.bridge.gaps.iter().find(|(id, ..)| !there(id));
        ensure!(lost.is_none(), "B1: {lost:?} said what is left out, and is taken out within a day");
        Ok(())
    }

    /// An edit that a later edit or the deletion made up for is told no more.
    pub(super) fn is_edited_away(&self, event: &LogEvent) -> bool {
        matches!(event.body, Body::MessageEdited { .. }) && self.truth.made_up(event.seq, self.truth.last())
    }

    /// Whether the entry would not be told again: of an earlier epoch that is not known any more.
    fn is_gone(&self, entry: &Entry) -> bool {
        let event = entry["seq"].parse().ok().and_then(|seq| self.truth.at(seq));
        entry["epoch"] != self.truth.epoch.to_string()
            || event.is_none_or(|event| {
                let sees = self.truth.sees(&self.outsider(self.bridge.moderation), event, u64::MAX);
                sees != Some(true) || self.is_edited_away(event)
            })
    }

    /// The first event that everyone could see until `time` (ms) and that is not in the stream.
    pub(super) fn owed_to_redis(&self, time: u64) -> Option<&LogEvent> {
        let who = self.outsider(self.bridge.moderation);
        let is_told = |event: &LogEvent| {
            let (epoch, seq) = (self.truth.epoch, event.seq);
            let said = |gap: &(u64, u64, u64)| gap.0 == epoch && (gap.1..=gap.2).contains(&seq);
            let once = || self.bridge.ever.contains(&(epoch, seq)) || self.bridge.left_out.iter().any(said);
            self.bridge.redis.stream.contains_key(&(epoch, seq)) || self.is_old(event) && once()
        };
        let mut visible = self.truth.events.iter().filter(|event| event.visible_at <= time && !is_told(event));
        visible
            .find(|event| self.truth.sees(&who, event, time) == Some(true) && !self.is_edited_away(event))
            .filter(|_| self.bridge.on)
    }

    /// B1: nobody comes, and yet Redis is told all by the alarm alone; of what it lost it is told with the next event.
    pub(super) fn left_alone_with_redis(&self) -> Checked {
        let owed = self.owed_to_redis(self.heap.now - 30_000).filter(|_| self.bridge.unnoticed.is_none());
        ensure!(owed.is_none(), "B1: left alone Redis stays at {:?} without {owed:?}", self.bridge.redis.last);
        Ok(())
    }

    /// B1: in the end everything for everyone is in the stream.
    pub(super) fn redis_has_all(&self) -> Checked {
        let owed = self.owed_to_redis(u64::MAX);
        ensure!(owed.is_none(), "B1: in the end Redis stands at {:?} without {owed:?}", self.bridge.redis.last);
        Ok(())
    }

    /// The batch as a broken bridge would make it.
    fn tamper_batch(&mut self, body: String) -> Checked<String> {
        let now_and_then = matches!(self.mutant, Mutant::BridgeSkipsOne | Mutant::BridgeIsEarly) && self.chance(20);
        if !now_and_then {
            return Ok(body);
        }
        let (mut words, mut entries) = (words(&body), entries(&body)?);
        if self.mutant == Mutant::BridgeSkipsOne {
            entries.truncate(1);
            words.drain(ENTRIES..ENTRIES + entries.iter().map(|(_, _, entry)| 3 + 2 * entry.len()).sum::<usize>());
        } else {
            let last = entries.last().map_or(0, |(seq, ..)| *seq);
            let next = self.truth.events[last as usize..].iter().find(|event| event.visible_at > self.room.now);
            let early = next.filter(|event| event.audience == Audience::All);
            let Some((Body::NewMessage(message), seq)) = early.map(|event| (&event.body, event.seq)) else {
                return Ok(body);
            };
            let data = json!({"message_id": message.message_id, "content": message.content}).to_string();
            let (epoch, seq, after) = (self.truth.epoch.to_string(), seq.to_string(), last.to_string());
            let fields = ["room", ROOM, "epoch", &epoch, "seq", &seq, "after", &after, "event", "new_message"];
            words.extend([seq.clone(), "{}".into(), "12".into()]);
            words.extend(fields.iter().chain(&["data", &data]).map(|word| (*word).to_owned()));
        }
        Ok(command(&words.iter().map(String::as_str).collect::<Vec<_>>()))
    }
}

/// A batch's entries: each one's `seq`, its message for the channel, and its fields.
fn entries(body: &str) -> Checked<Vec<(u64, String, Entry)>> {
    let words = words(body);
    let (mut all, mut at) = (Vec::new(), ENTRIES);
    while at < words.len() {
        let number = |index: usize| words[index].parse::<u64>().map_err(|e| format!("B1: {e}: {}", words[index]));
        let count = number(at + 2)? as usize;
        let fields = words[at + 3..at + 3 + count].chunks(2).map(|pair| (pair[0].clone(), pair[1].clone()));
        all.push((number(at)?, words[at + 1].clone(), fields.collect()));
        at += 3 + count;
    }
    Ok(all)
}

/// The flaw of Redis that a mutant asks for.
pub(super) fn flaw(mutant: Mutant) -> Flaw {
    match mutant {
        Mutant::RedisIsNotToldAgain => Flaw::AppendsAnyway,
        _ => Flaw::None,
    }
}
