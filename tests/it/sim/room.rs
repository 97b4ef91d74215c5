//! A node that holds sockets, the room or a shard: memory, storage and each step around the real [`Host`], as the
//! object's adapter has them.

use super::event::{Event, Frame};
use super::mutants::Mutant;
use super::shard::{Below, Following, follower_of};
use super::{Checked, Sim, ensure};
use crate::memory::{Flaw, MemoryLog};
use crate::world::ROOM;
use edge_chat::audience::{Attachment, Out, SocketId, To, gather};
use edge_chat::host::{Effects, Host, Moment, Waking};
use edge_chat::protocol::call::{RoomCall, Standing};
use edge_chat::protocol::shard::Follower;
use edge_chat::protocol::{ChatError, ClientFrame, RoomId};
use edge_chat::room::{Log, Replica, Write};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// An alarm's handler that has begun.
#[derive(Debug)]
pub(super) struct Handler {
    pub tries: u32,
    pub batches: u32,
    /// The call to PostgreSQL that it waits for.
    pub call: u64,
}

#[derive(Default)]
pub(super) struct RoomNode {
    /// 0 is the room, n + 1 its n-th shard; from `GATEWAYS` on they are gateways.
    pub index: usize,
    /// The storage; a follower keeps there whom those block who are in it, and nothing else.
    pub log: MemoryLog,
    /// What a shard has of the room's log, and where that ends: epoch and event.
    pub replica: Option<Replica>,
    pub at: Option<(u64, u64)>,
    /// It begins in this very step.
    pub begins: bool,
    /// When that changed last, ms.
    pub grown_at: u64,
    /// What is under way between the room and its shards.
    pub below: Below,
    pub following: Following,
    /// The last `room_stats`.
    pub stats: Option<Value>,
    pub host: Option<Host>,
    /// The memory's number: what was begun in an earlier one ends nowhere.
    pub life: u64,
    /// The clock's lead, ms.
    pub skew: i64,
    /// The latest moment that a step has seen, ms.
    pub now: u64,
    /// Calls to and from it get lost until then, ms.
    pub away_until: u64,
    /// The storage cannot be opened until then, ms.
    pub broken_until: u64,
    /// Sockets that the server has closed are still listed after a wake.
    pub lists_closing: bool,
    pub timer: u64,
    /// As the adapter remembers it, and as the platform has it.
    pub alarm: u64,
    pub alarm_at: Option<u64>,
    pub alarms: u64,
    pub handler: Option<Handler>,
    /// The platform gave a handler up that threw too often: nothing calls the room any more until somebody comes.
    pub given_up: bool,
    /// Connections by socket number, and back.
    pub sockets: BTreeMap<SocketId, usize>,
    pub numbers: BTreeMap<usize, SocketId>,
    /// Calls to users' objects that are under way.
    pub asking: u32,
    /// Whom the users are known to block, as the room was told.
    pub told: BTreeMap<String, (u64, BTreeSet<String>)>,
    /// The newest that it was told of each, socket or not.
    pub news: BTreeMap<String, Standing>,
    /// Upgrades that wait for what PostgreSQL remembers.
    pub knocking: Vec<usize>,
    /// PostgreSQL is asked.
    pub looking: bool,
    pub absent_until: u64,
    /// Frames that wait for others.
    pub queue: Vec<(SocketId, Result<ClientFrame, ChatError>)>,
    entropy: u64,
}

/// What users' objects know a node by.
pub(super) fn name_of(node: usize) -> String {
    follower_of(node).map_or_else(|| ROOM.to_owned(), |follower| follower.name(ROOM))
}

impl RoomNode {
    pub(super) fn new(seed: u64, index: usize, life: u64) -> Self {
        let entropy = seed ^ 0x0e17_0b1e ^ ((index as u64) << 48);
        Self { index, entropy, life, ..Self::default() }
    }

    /// What it is called where it is told of its users.
    pub(super) fn name(&self) -> String {
        name_of(self.index)
    }

    fn moment(&mut self, now: u64) -> (u64, [u8; 32]) {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&crate::world::random(&mut self.entropy).to_be_bytes());
        }
        (now.saturating_add_signed(self.skew), bytes)
    }
}

impl Sim {
    /// Wakes the room where it sleeps. False where its storage cannot be opened.
    pub(super) fn load(&mut self) -> Checked<bool> {
        if self.room.host.is_some() {
            return Ok(true);
        }
        if self.room.broken_until > self.heap.now {
            self.say(format_args!("room: the storage cannot be opened"));
            return Ok(false);
        }
        let mut attachments: Vec<Attachment> = Vec::new();
        (self.room.sockets, self.room.numbers) = Default::default();
        for (conn, it) in self.conns.iter().enumerate() {
            let listed = it.node == self.room.index
                && it.accepted
                && !it.room_knows_end
                && (!it.closing || self.room.lists_closing);
            if listed && !it.attachment.is_empty() {
                let attachment: Attachment = serde_json::from_str(&it.attachment).map_err(|e| e.to_string())?;
                self.room.sockets.insert(attachment.id, conn);
                self.room.numbers.insert(conn, attachment.id);
                attachments.push(attachment);
            }
        }
        // Of those who left meanwhile it forgets what it was told.
        let (conns, sockets) = (&self.conns, &self.room.sockets);
        let here = |user: &String| sockets.values().any(|conn| conns[*conn].joined && conns[*conn].user == user);
        self.room.told.retain(|user, _| here(user));
        let (now, entropy) = self.room.moment(self.heap.now);
        let at = Moment { now, entropy, log: &self.room.log };
        let id = RoomId::parse(ROOM).map_err(|e| e.to_string())?;
        let (settings, waking) = (self.settings.clone(), Waking::default());
        let host = match follower_of(self.room.index) {
            Some(Follower::Shard(n)) => Host::follow(id, n, settings, &at, attachments, waking),
            Some(Follower::Gateway(n)) => Host::gateway(id, n, settings, &at, attachments),
            None => Host::load(id, settings, &at, attachments, waking),
        };
        self.room.host = Some(host.map_err(|fault| fault.to_string())?);
        // The room's own time does not go back, whatever its clock does while it sleeps.
        let begins = self.truth.lost || self.room.index > 0;
        let last = if begins { 0 } else { self.truth.events.last().map_or(0, |event| event.at) };
        self.room.now = now.max(last);
        let (name, life) = (self.room.name(), self.room.life);
        self.say(format_args!("{name}: wakes, life {life}"));
        Ok(true)
    }

    /// One input of the room without its effects.
    pub(super) fn compute<T>(&mut self, step: impl FnOnce(&mut Host, &Moment<'_>) -> T) -> Checked<Option<T>> {
        if !self.load()? {
            return Ok(None);
        }
        let (now, entropy) = self.room.moment(self.heap.now);
        self.room.now = self.room.now.max(now);
        let log: &dyn Log = match &self.room.replica {
            Some(replica) => replica,
            None => &self.room.log,
        };
        let at = Moment { now, entropy, log };
        Ok(self.room.host.as_mut().map(|host| step(host, &at)))
    }

    /// One step: computed, written, shown. None where the room did not survive it.
    pub(super) fn step<T>(&mut self, step: impl FnOnce(&mut Host, &Moment<'_>) -> (T, Effects)) -> Checked<Option<T>> {
        let Some((value, effects)) = self.compute(step)? else { return Ok(None) };
        let survived = self.finish(effects)?;
        Ok(survived.then_some(value))
    }

    /// Writes and shows; false where the room dies before, in between, or because the write fails.
    pub(super) fn finish(&mut self, effects: Effects) -> Checked<bool> {
        ensure!(
            effects
                .faults
                .iter()
                .all(|fault| ["drain: ", "bridge: ", "webhook: "].iter().any(|sink| fault.starts_with(sink))),
            "V8: a fault of the room's own: {:?}",
            effects.faults
        );
        let ahead = effects.faults.iter().find(|fault| fault.starts_with("bridge: Redis is at epoch"));
        ensure!(ahead.is_none(), "B1: {ahead:?}");
        let fate = if self.calm { 1_000 } else { self.pick(1_000) };
        // Once all is calm everybody has to get back.
        let fails = self.mutant == Mutant::AnswersFirst && !self.calm && self.truth.last() > 5;
        let lost = fails && self.chance(4);
        if fate < 4 || lost {
            self.say(format_args!("room: dies before its write"));
            if lost {
                self.carry_out(effects, 0)?;
            }
            self.die()?;
            return Ok(false);
        }
        let before = match self.room.index {
            0 => self.truth.last(),
            _ => self.room.at.map_or(0, |(_, seq)| seq),
        };
        match self.room.index {
            0 => self.written(&effects)?,
            _ => self.replicated(&effects),
        }
        if fate < 8 {
            self.say(format_args!("room: dies after its write"));
            self.arm(effects.alarm);
            self.die()?;
            return Ok(false);
        }
        self.carry_out(effects, before)?;
        Ok(true)
    }

    /// As a follower's adapter: what the room wrote in memory, whom users block in its own storage.
    fn replicated(&mut self, effects: &Effects) {
        if let Some(replica) = &self.room.replica {
            let rewrite = match self.mutant {
                Mutant::ShardKeepsOldText => Vec::new(),
                _ => effects.write.rewrite.clone(),
            };
            replica.write(&Write { rewrite, ..effects.write.clone() });
        }
        let own = effects.write.state.iter().filter(|(key, _)| key.starts_with("blocks:")).cloned().collect();
        self.room.log.write(&Write { state: own, ..Write::default() });
        self.grown(effects);
    }

    fn grown(&mut self, effects: &Effects) {
        if let (Some((_, seq)), Some(row)) = (&mut self.room.at, &effects.write.append) {
            *seq = row.last;
            self.room.now = self.room.now.max(row.events.last().map_or(0, |event| event.at));
            self.room.grown_at = self.room.now;
        }
    }

    /// The step's transaction.
    fn written(&mut self, effects: &Effects) -> Checked {
        let begins = effects.write.state.iter().find(|(key, _)| key == "epoch").and_then(|(_, value)| value.as_deref());
        if let Some(epoch) = begins {
            let epoch = if self.mutant == Mutant::KeepsEpoch && self.truth.epoch > 0 {
                self.truth.epoch
            } else {
                epoch.parse().map_err(|_| "the epoch is no number")?
            };
            self.begun(epoch)?;
        }
        self.room.log.write(&effects.write);
        for event in effects.write.append.iter().flat_map(|row| &row.events) {
            self.truth.commit(event)?;
            self.say(format_args!("log: {} {:?} {:?}", event.seq, event.audience, event.body));
        }
        self.truth.restoring = false;
        Ok(())
    }

    fn carry_out(&mut self, effects: Effects, before: u64) -> Checked {
        let then = self.room.at.map(|at| self.truth.stand_at(at, before));
        let shown = self.show(effects.out, before);
        if let Some(then) = then {
            self.truth.stand_again(then);
        }
        shown?;
        for asked in effects.asks {
            self.room.asking += 1;
            let delay = self.delay();
            self.heap.after(delay, Event::AskUser(self.room.life, Box::new(asked)));
        }
        for user in effects.entered {
            self.room.asking += 1;
            let delay = self.delay();
            self.heap.after(delay, Event::Entered(self.room.index, self.room.life, user));
        }
        self.arm(effects.alarm);
        if let Some(at) = effects.soon.filter(|at| self.room.timer == 0 || *at < self.room.timer) {
            self.room.timer = at;
            let wait = at.saturating_sub(self.heap.now.saturating_add_signed(self.room.skew)).clamp(1, 10_000);
            self.heap.after(wait, Event::Timer(self.room.life, at));
        }
        if effects.push {
            self.push_to_shards()?;
        }
        if effects.up {
            self.hand_up()?;
        }
        Ok(())
    }

    /// What a step sends, in order, held against what may be sent.
    fn show(&mut self, out: Vec<Out>, before: u64) -> Checked {
        // Frames of a step are made before what the step makes of people is looked at.
        let people = std::mem::replace(&mut self.truth.people, self.truth.people_before.clone());
        for out in gather(out) {
            match out {
                Out::Send(to, line) => {
                    let frame = Frame::parse(&line)?;
                    match to {
                        To::One(id) => self.emit(id, &frame, before)?,
                        To::Many(ids) => {
                            for id in ids.iter() {
                                self.emit(*id, &frame, before)?;
                            }
                        }
                    }
                }
                Out::Close(id, code, reason) => self.close(id, code, &reason)?,
                Out::Attach(id, attachment) => {
                    if let Some(conn) = self.room.sockets.get(&id) {
                        self.conns[*conn].attachment = attachment;
                    }
                }
            }
        }
        self.truth.people = people;
        self.truth.people_before = self.truth.people.clone();
        self.nobody_banned_stays()
    }

    /// The object sleeps: memory goes, sockets, storage and the alarm stay.
    pub(super) fn evict(&mut self) {
        // That somebody blocks nobody is not kept.
        self.room.told.retain(|_, (_, blocks)| !blocks.is_empty());
        let name = self.room.name();
        self.say(format_args!("{name}: sleeps"));
        self.forget();
    }

    fn forget(&mut self) {
        self.room.host = None;
        self.lives += 1;
        self.room.life = self.lives;
        (self.room.replica, self.room.at) = (None, None);
        (self.room.below, self.room.following) = Default::default();
        (self.room.timer, self.room.alarm, self.room.asking) = (0, 0, 0);
        self.room.now = 0;
        if self.room.index == 0 {
            self.bridge.running = None;
            self.hook.running = None;
        }
        self.room.knocking.clear();
        self.room.queue.clear();
        self.room.looking = false;
        self.room.news.clear();
        self.room.absent_until = 0;
        if let Some(handler) = self.room.handler.take() {
            self.again(handler.tries);
        }
    }

    /// The object ends: memory and sockets go.
    pub(super) fn die(&mut self) -> Checked {
        self.forget();
        for conn in 0..self.conns.len() {
            let it = &mut self.conns[conn];
            if it.node == self.room.index && it.accepted && !it.room_knows_end {
                it.room_knows_end = true;
                self.break_off(conn);
            }
        }
        self.room.sockets.clear();
        self.room.numbers.clear();
        self.room.told.clear();
        Ok(())
    }

    /// The object's storage is gone, and with it all that was in memory.
    pub(super) fn lose_storage(&mut self) -> Checked {
        self.say(format_args!("room: loses its storage"));
        self.die()?;
        self.room.log.wipe();
        self.room.alarm_at = None;
        self.room.alarms += 1;
        self.truth.lost = true;
        Ok(())
    }

    /// A call over REST; none where the room did not survive it.
    pub(super) fn rest(&mut self, call: RoomCall) -> Checked<Option<Result<Value, String>>> {
        if !self.load()? || self.room.host.as_ref().is_some_and(Host::is_empty) {
            return Ok(None);
        }
        let answer = self.step(|host, at| host.call(at, call))?;
        Ok(answer.map(|answer| match answer {
            Ok(raw) => Ok(serde_json::from_str(raw.get()).unwrap_or_default()),
            Err(error) => Err(error.code.as_str().to_owned()),
        }))
    }

    /// The room was told what holds for a user.
    pub(super) fn told(&mut self, user: &'static str, standing: &Standing) {
        let here = self.room.sockets.values().any(|conn| self.conns[*conn].user == user && self.conns[*conn].joined);
        let newer = self.room.told.get(user).is_none_or(|(version, _)| *version <= standing.version);
        if here && newer {
            let blocks =
                super::USERS.iter().filter(|other| standing.blocks.has(other)).map(|other| (*other).to_owned());
            self.room.told.insert(user.to_owned(), (standing.version, blocks.collect()));
        }
    }

    fn begun(&mut self, epoch: u64) -> Checked {
        self.truth.begin(epoch)?;
        self.truth.restoring = true;
        self.truth.lost = false;
        Ok(())
    }
}

/// The flaw of the storage that a mutant asks for.
pub(super) fn flaw(mutant: Mutant) -> Flaw {
    match mutant {
        Mutant::KeepsOldText => Flaw::KeepsOldText,
        Mutant::ForgetsSent => Flaw::ForgetsSent,
        _ => Flaw::None,
    }
}
