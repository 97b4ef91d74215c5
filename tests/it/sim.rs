//! The simulator: from a seed a schedule of clients, faults, evictions, crashes and PostgreSQL's troubles; after every
//! step what has to hold is checked. Equal seeds give equal runs. `SIM_SEED` runs one seed, `SIM_SEEDS` so many.

mod truth;

use crate::memory;
use crate::postgres::{self, Postgres};
use crate::world::{ROOM, World, random};
use edge_chat::audience::SocketId;
use edge_chat::host::{Drained, Effects, Host, Moment};
use edge_chat::protocol::MessageId;
use edge_chat::protocol::call::PageQuery;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use truth::{RATE, Shown, Truth, WINDOW};

const STEPS: u64 = 160;
/// Whose tabs there are; the empty name is a guest.
const TABS: [&str; 7] = ["ada", "ada", "bob", "cleo", "mod", "", ""];

/// A fault of the system under test, put in on purpose: the simulator has to notice each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    None,
    /// Deletions and edits do not take the old text away.
    KeepsOldText,
    /// `client_id`s are not known again.
    ForgetsSent,
    /// `chat_apply` folds every batch whole.
    NoCursor,
    /// A frame says that it holds an event, and does not.
    SkipsAnEvent,
    /// What was sent is believed to be PostgreSQL's cursor, whatever it answers.
    BelievesItself,
    /// An acknowledgement leaves before the write, and the write fails.
    AnswersFirst,
}

macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}

/// A client by the rules of the protocol: it sends until it is answered, and follows positions.
#[derive(Debug, Default)]
struct Tab {
    user: &'static str,
    socket: Option<SocketId>,
    epoch: u64,
    seq: u64,
    /// Up to where this client was brought by a snapshot: only what comes after has to have been shown.
    base: u64,
    /// The events shown since then.
    seen: Vec<u64>,
    /// The messages on the page: id → (content, deleted, reactions).
    page: BTreeMap<String, Shown>,
    /// Sent and not answered: (`client_id`, content).
    outbox: Vec<(String, String)>,
    /// Frames that are on their way.
    asked_from: Option<(u64, u64)>,
}

struct Sim {
    w: World,
    rng: u64,
    mutant: Mutant,
    truth: Truth,
    tabs: Vec<Tab>,
    hash: DefaultHasher,
    /// Acknowledged: (user, `client_id`) → message.
    acked: BTreeMap<(String, String), String>,
    said: u64,
    /// Batches that are on their way or were, and may come again.
    late: Vec<String>,
    backup: Option<Postgres>,
    faults: bool,
    /// So many of the words that are gone have been looked for.
    looked_for: usize,
}

type Checked<T = ()> = Result<T, String>;

impl Sim {
    fn new(seed: u64, mutant: Mutant) -> Self {
        let set = [("RATE_LIMIT_MESSAGES", RATE.to_string()), ("RATE_LIMIT_WINDOW", WINDOW.to_string())];
        let set: Vec<_> = set.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut w = World::with(&set, seed);
        w.log.flaw.set(match mutant {
            Mutant::KeepsOldText => memory::Flaw::KeepsOldText,
            Mutant::ForgetsSent => memory::Flaw::ForgetsSent,
            _ => memory::Flaw::None,
        });
        if mutant == Mutant::NoCursor {
            w.pg.flaw = postgres::Flaw::NoCursor;
        }
        let tabs = TABS.iter().map(|user| Tab { user, ..Tab::default() }).collect();
        Self {
            w,
            rng: seed ^ 0xed6e,
            mutant,
            truth: Truth::default(),
            tabs,
            hash: DefaultHasher::new(),
            acked: BTreeMap::new(),
            said: 0,
            late: Vec::new(),
            backup: None,
            faults: true,
            looked_for: 0,
        }
    }

    fn pick(&mut self, n: u64) -> u64 {
        random(&mut self.rng) % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.pick(100) < percent
    }

    /// One step of the room, or a crash in the middle of it: before the write, or between it and its effects.
    fn step(&mut self, step: impl FnOnce(&mut Host, &Moment<'_>) -> Effects) -> Checked {
        let effects = self.w.compute(step);
        format!("{:?} {:?} {:?} {:?}", effects.write, effects.out, effects.soon, effects.alarm).hash(&mut self.hash);
        ensure!(effects.faults.is_empty(), "a fault: {:?}", effects.faults);
        let crash = self.faults && self.chance(1);
        let written = !crash || self.chance(50);
        let lost = self.mutant == Mutant::AnswersFirst && self.truth.last() > 5 && self.chance(5);
        if written && !lost {
            self.w.log.write(&effects.write);
            for event in effects.write.append.iter().flat_map(|row| &row.events) {
                ensure!(event.seq == self.truth.last() + 1, "seq {} after {}", event.seq, self.truth.last());
                self.truth.commit(event);
            }
        }
        if lost {
            self.w.carry_out(effects);
            self.w.evict();
        } else if crash {
            self.w.evict();
            self.w.wires.clear();
            for tab in &mut self.tabs {
                tab.socket = None;
            }
        } else {
            self.w.carry_out(effects);
        }
        Ok(())
    }

    fn frame(&mut self, tab: usize, id: &str, event: &str, data: Value) -> Checked {
        let Some(socket) = self.tabs[tab].socket else { return Ok(()) };
        let text = json!({"id": id, "event": event, "data": data}).to_string();
        self.step(|host, at| host.frame(at, socket, &text))
    }

    fn join(&mut self, tab: usize) -> Checked {
        let caller = self.w.caller(self.tabs[tab].user);
        let (id, effects) = self.w.compute(|host, at| host.open(at, caller));
        self.w.wires.insert(id, Default::default());
        self.w.carry_out(effects);
        let Tab { epoch, seq, .. } = self.tabs[tab];
        self.tabs[tab].socket = Some(id);
        self.tabs[tab].asked_from = None;
        let resume = if epoch == 0 { Value::Null } else { json!({"epoch": epoch, "seq": seq}) };
        self.frame(tab, "join", "join_room", json!({"room_id": ROOM, "resume": resume}))
    }

    /// The socket breaks; the room hears of it now, or never.
    fn drop_socket(&mut self, tab: usize) -> Checked {
        let Some(socket) = self.tabs[tab].socket.take() else { return Ok(()) };
        if let Some(wire) = self.w.wires.get_mut(&socket) {
            wire.closed = Some((1006, Value::Null));
            self.step(|host, at| host.closed(at, socket))?;
        }
        Ok(())
    }

    /// What a user does next.
    fn act(&mut self, tab: usize) -> Checked {
        let user = self.tabs[tab].user;
        if self.tabs[tab].socket.is_none() {
            return self.join(tab);
        }
        let known: Vec<String> = self.tabs[tab].page.keys().cloned().collect();
        let some = (!known.is_empty()).then(|| self.pick(known.len() as u64) as usize).map(|n| known[n].clone());
        match (self.pick(20), some) {
            (0, _) => self.drop_socket(tab),
            (1, _) => self.frame(tab, "-", "typing", json!({"is_typing": true})),
            (2..=9, _) if !user.is_empty() => {
                if self.tabs[tab].outbox.len() < 3 {
                    self.said += 1;
                    let words = format!("w{}x", self.said);
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

    /// Sends the oldest that is not answered, once more or for the first time.
    fn resend(&mut self, tab: usize) -> Checked {
        let Some((client_id, content)) = self.tabs[tab].outbox.first().cloned() else { return Ok(()) };
        let user = self.tabs[tab].user;
        let key = (user.to_owned(), client_id.clone());
        let fresh =
            !self.truth.messages.values().any(|m| m.user.user_id == key.0 && m.client_id.as_ref() == Some(&key.1));
        let wait = if user == "mod" { 0 } else { self.truth.wait(user, self.w.now) };
        let (socket, last) = (self.tabs[tab].socket, self.truth.last());
        self.frame(tab, &client_id, "send_message", json!({"content": content, "client_id": client_id}))?;
        // The reply, before anything can happen to it: the limit is exact, also after an eviction.
        if let Some(wire) = socket.and_then(|socket| self.w.wires.get(&socket))
            && wire.closed.is_none()
            && fresh
            && self.mutant == Mutant::None
        {
            let limited = json!({"code": "rate_limited", "message": "", "retry_after_ms": wait});
            let reply = wire.frames.iter().filter_map(|frame| serde_json::from_str::<Value>(frame).ok());
            let reply = reply.rev().find(|line| line["reply"] == *client_id).unwrap_or_default();
            if wait > 0 {
                ensure!(reply["error"]["retry_after_ms"] == limited["retry_after_ms"], "{user} waits {wait}: {reply}");
            } else {
                ensure!(reply.get("error").is_none() && self.truth.last() == last + 1, "{user} may send: {reply}");
            }
        }
        Ok(())
    }

    /// Frames arrive; some are lost, some come twice.
    fn deliver(&mut self) -> Checked {
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

    fn take(&mut self, tab: usize, frame: &str) -> Checked {
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

    fn catch_up(&mut self, tab: usize) -> Checked {
        let Tab { epoch, seq, .. } = self.tabs[tab];
        if epoch == 0 || self.tabs[tab].asked_from == Some((epoch, seq)) {
            return Ok(());
        }
        self.tabs[tab].asked_from = Some((epoch, seq));
        self.frame(tab, "catch_up", "catch_up", json!({"epoch": epoch, "seq": seq}))
    }

    fn reply(&mut self, tab: usize, reply: &str, line: &Value) -> Checked {
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
                } else {
                    ensure!(line["error"]["code"] == "rate_limited", "a send is refused: {line}");
                }
            }
        }
        Ok(())
    }

    /// One event that is new to this client.
    fn apply(&mut self, tab: usize, line: &Value) -> Checked {
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
            other => return Err(format!("an event {other}")),
        }
        Ok(())
    }

    /// The drain's turn: a batch arrives, or not, or its outcome is not known, or an old one comes again.
    fn drain(&mut self) -> Checked {
        while let Some(batch) = self.w.compute(|host, at| host.batch(at).unwrap()) {
            batch.body.hash(&mut self.hash);
            let fate = if self.faults { self.pick(10) } else { 9 };
            let drained = match fate {
                0 | 1 => Drained::Failed("no connection".into()),
                2 => Drained::Busy(200),
                3 => {
                    self.apply_batch(&batch.body)?;
                    Drained::Failed("no answer in time".into())
                }
                _ => {
                    let (epoch, mut seq) = self.apply_batch(&batch.body)?;
                    if self.mutant == Mutant::BelievesItself {
                        seq = batch.to;
                    }
                    Drained::Cursor { epoch, seq }
                }
            };
            let stop = !matches!(drained, Drained::Cursor { .. });
            self.late.push(batch.body);
            let mut effects = None;
            self.w.compute(|host, at| effects = Some(host.drained(at, drained)));
            let mut effects = effects.unwrap();
            effects.faults.clear();
            self.step(move |_, _| effects)?;
            if stop {
                break;
            }
        }
        if self.faults && self.chance(20) && !self.late.is_empty() {
            let old = self.pick(self.late.len() as u64) as usize;
            let body = self.late[old].clone();
            self.apply_batch(&body)?;
        }
        if self.faults && self.chance(5) {
            self.backup = Some(self.w.pg.clone());
        }
        if self.faults
            && self.chance(4)
            && let Some(backup) = self.backup.clone()
        {
            self.w.pg = backup;
        }
        Ok(())
    }

    fn apply_batch(&mut self, body: &str) -> Checked<(u64, u64)> {
        let cursor = self.w.pg.apply(body);
        self.postgres_is_a_prefix(cursor.1)?;
        Ok(cursor)
    }

    /// PostgreSQL holds what the log said up to the cursor, parts of it as they were since.
    fn postgres_is_a_prefix(&self, cursor: u64) -> Checked {
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

    fn observe(&mut self) -> Value {
        let page = self.w.page("mod", PageQuery::Page { page: 1, limit: 100 });
        let mut room = self.w.get("mod");
        // Who lingers after the last tab is forgotten with the memory.
        room["online_users"] = Value::Null;
        let members = self.w.call("mod", edge_chat::protocol::call::Ask::Members { limit: 100, skip: 0 }).unwrap();
        let online = members["members"].as_array().unwrap().iter();
        let present: BTreeSet<_> = self.tabs.iter().filter(|tab| tab.socket.is_some()).map(|tab| tab.user).collect();
        let online: Vec<_> = online.filter(|member| present.contains(member["user_id"].as_str().unwrap())).collect();
        json!({"page": page, "room": room, "online": online})
    }

    fn evict(&mut self) -> Checked {
        if self.truth.last() == 0 {
            return Ok(());
        }
        let before = self.observe();
        self.w.evict();
        let after = self.observe();
        ensure!(before == after, "before the eviction {before}, after it {after}");
        Ok(())
    }

    /// What has to hold after every step.
    fn check(&mut self) -> Checked {
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
            let message = self.truth.messages.get(&id);
            let message = message.ok_or_else(|| format!("{name:?} was acknowledged and is lost"))?;
            ensure!(message.client_id.as_ref() == Some(&name.1), "{name:?} was acknowledged as another message");
        }
        // What was taken away in this step; at the end all that ever was.
        let known = if self.faults { self.looked_for } else { 0 };
        for words in &self.truth.gone[known..] {
            ensure!(!self.w.log.holds(words), "{words:?} is gone and still in the storage");
        }
        self.looked_for = self.truth.gone.len();
        Ok(())
    }

    fn pass(&mut self, ms: u64) -> Checked {
        let until = self.w.now + ms;
        while let Some(due) = self.w.soon.into_iter().chain(self.w.alarm).min().filter(|due| *due <= until) {
            self.w.now = self.w.now.max(due);
            let timer = self.w.soon.is_some_and(|at| at <= due);
            if timer {
                self.w.soon = None;
            } else {
                self.w.alarm = None;
            }
            self.step(|host, at| host.tick(at))?;
            if !timer {
                self.drain()?;
            }
        }
        self.w.now = until;
        Ok(())
    }

    fn run(&mut self) -> Checked<u64> {
        // The first to join makes the room.
        self.faults = false;
        self.join(0)?;
        self.deliver()?;
        self.faults = true;
        for _ in 0..STEPS {
            match self.pick(40) {
                0 => self.evict()?,
                1 => {
                    let long = self.pick(40_000);
                    self.pass(long)?;
                }
                _ => {
                    let (tab, short) = (self.pick(TABS.len() as u64) as usize, self.pick(300));
                    self.act(tab)?;
                    if self.mutant == Mutant::SkipsAnEvent {
                        self.skip_an_event();
                    }
                    self.deliver()?;
                    self.pass(short)?;
                }
            }
            self.deliver()?;
            self.check()?;
        }
        self.settle()?;
        Ok(self.hash.finish())
    }

    /// A frame now and then says "everything up to here" without what is there.
    fn skip_an_event(&mut self) {
        let (last, epoch) = (self.truth.last(), self.tabs[0].epoch);
        let hit = self.chance(10);
        let Some(wire) = self.tabs[0].socket.and_then(|socket| self.w.wires.get_mut(&socket)).filter(|_| hit) else {
            return;
        };
        for frame in &mut wire.frames {
            if frame.starts_with("{\"seq\"") {
                *frame = json!({"at": {"epoch": epoch, "from": last - 1, "to": last, "left_out": 0}}).to_string();
            }
        }
    }

    /// The faults end; everybody comes back, says what was left to say, and is brought up to date.
    fn settle(&mut self) -> Checked {
        self.faults = false;
        for _ in 0..6 {
            for tab in 0..self.tabs.len() {
                if self.tabs[tab].socket.is_none() {
                    self.join(tab)?;
                }
                self.resend(tab)?;
                self.deliver()?;
            }
            self.pass(WINDOW + 1_000)?;
            self.deliver()?;
        }
        // After half a minute the next frame says where the log stands, so nobody misses the end of it.
        self.pass(31_000)?;
        self.deliver()?;
        let moderator = TABS.iter().position(|user| *user == "mod").unwrap();
        self.tabs[moderator].outbox.push(("last".into(), "the last words".into()));
        self.resend(moderator)?;
        self.deliver()?;
        self.pass(400_000)?;
        self.deliver()?;
        self.check()?;

        let last = self.truth.last();
        ensure!(self.tabs.iter().all(|tab| tab.outbox.is_empty()), "something is never answered");
        ensure!(
            self.w.pg.cursor.map(|(_, seq)| seq) == Some(last),
            "PostgreSQL stays at {:?} of {last}",
            self.w.pg.cursor
        );
        self.postgres_is_a_prefix(last)?;
        for tab in &self.tabs {
            ensure!(tab.seq == last, "{} stays at {} of {last}", tab.user, tab.seq);
            for (id, shown) in &tab.page {
                let now = self.truth.now_of(id);
                ensure!(*shown == now, "{} has {shown:?} in the end, the room {now:?}", tab.user);
            }
            let recent = self.truth.messages.keys().filter(|id| id.seq() > tab.base).map(ToString::to_string);
            for id in recent {
                ensure!(tab.page.contains_key(&id), "{} never saw {id}", tab.user);
            }
        }
        Ok(())
    }
}

fn run(seed: u64, mutant: Mutant) -> Checked<u64> {
    Sim::new(seed, mutant).run()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_comes_twice() {
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIM_SEEDS").unwrap_or(200),
    };
    for seed in seeds {
        if let Err(why) = run(seed, Mutant::None) {
            panic!("SIM_SEED={seed}: {why}");
        }
    }
}

#[test]
fn equal_seeds_are_equal_runs() {
    assert_eq!(run(7, Mutant::None), run(7, Mutant::None));
    assert_ne!(run(7, Mutant::None), run(8, Mutant::None));
}

/// Each of these faults is noticed within a few seeds.
fn noticed(mutant: Mutant, words: &str) {
    let found = (0..30).find_map(|seed| run(seed, mutant).err()).unwrap_or_else(|| panic!("{mutant:?} is not noticed"));
    assert!(found.contains(words), "{mutant:?} is noticed as {found}");
}

#[test]
fn a_text_that_is_not_redacted_is_noticed() {
    noticed(Mutant::KeepsOldText, "still in the storage");
}

#[test]
fn a_second_message_under_one_client_id_is_noticed() {
    noticed(Mutant::ForgetsSent, "twice");
}

#[test]
fn a_fold_without_its_cursor_is_noticed() {
    noticed(Mutant::NoCursor, "PostgreSQL");
}

#[test]
fn a_skipped_event_is_noticed() {
    noticed(Mutant::SkipsAnEvent, "was not shown");
}

#[test]
fn a_drain_that_does_not_rewind_is_noticed() {
    noticed(Mutant::BelievesItself, "PostgreSQL stays at");
}

#[test]
fn an_answer_ahead_of_its_write_is_noticed() {
    noticed(Mutant::AnswersFirst, "nobody said");
}
