//! The room's node: storage, sockets, timers and alarms around the real [`Host`], as the object's adapter has them.

use super::event::{Event, Frame};
use super::mutants::Mutant;
use super::{Checked, Sim, ensure};
use crate::memory::{Flaw, MemoryLog};
use crate::world::ROOM;
use edge_chat::audience::{Attachment, Out, SocketId, To, gather};
use edge_chat::host::{Effects, Host, Moment, Waking};
use edge_chat::protocol::call::{RoomCall, Standing};
use edge_chat::protocol::{ClientFrame, RoomId};
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
    pub log: MemoryLog,
    pub host: Option<Host>,
    /// The memory's number: what was begun in an earlier one ends nowhere.
    pub life: u64,
    /// The clock's lead, ms.
    pub skew: i64,
    /// The latest moment that a step has seen, ms.
    pub now: u64,
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
    numbers: BTreeMap<usize, SocketId>,
    /// Calls to users' objects that are under way.
    pub asking: u32,
    /// Whom the users are known to block, as the room was told.
    pub told: BTreeMap<String, (u64, BTreeSet<String>)>,
    /// The newest that it was told of each, socket or not.
    pub news: BTreeMap<String, Standing>,
    /// Upgrades that wait for what PostgreSQL remembers.
    pub knocking: Vec<usize>,
    pub absent_until: u64,
    entropy: u64,
}

impl RoomNode {
    pub(super) fn new(seed: u64) -> Self {
        Self { entropy: seed ^ 0x0e17_0b1e, life: 1, ..Self::default() }
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
            let listed = it.accepted && !it.room_knows_end && (!it.closing || self.room.lists_closing);
            if listed && !it.attachment.is_empty() {
                let attachment: Attachment = serde_json::from_str(&it.attachment).map_err(|e| e.to_string())?;
                self.room.sockets.insert(attachment.id, conn);
                self.room.numbers.insert(conn, attachment.id);
                attachments.push(attachment);
            }
        }
        let (now, entropy) = self.room.moment(self.heap.now);
        let at = Moment { now, entropy, log: &self.room.log };
        let id = RoomId::parse(ROOM).map_err(|e| e.to_string())?;
        let host = Host::load(id, self.settings.clone(), &at, attachments, Waking::default());
        self.room.host = Some(host.map_err(|fault| fault.to_string())?);
        // The room's own time does not go back, whatever its clock does while it sleeps.
        let last = if self.truth.lost { 0 } else { self.truth.events.last().map_or(0, |event| event.at) };
        self.room.now = now.max(last);
        let life = self.room.life;
        self.say(format_args!("room: wakes, life {life}"));
        Ok(true)
    }

    /// One input of the room without its effects.
    pub(super) fn compute<T>(&mut self, step: impl FnOnce(&mut Host, &Moment<'_>) -> T) -> Checked<Option<T>> {
        if !self.load()? {
            return Ok(None);
        }
        let (now, entropy) = self.room.moment(self.heap.now);
        self.room.now = self.room.now.max(now);
        let at = Moment { now, entropy, log: &self.room.log };
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
            effects.faults.iter().all(|fault| fault.starts_with("drain: ")),
            "V8: a fault of the room's own: {:?}",
            effects.faults
        );
        let fate = if self.calm { 1_000 } else { self.pick(1_000) };
        let lost = self.mutant == Mutant::AnswersFirst && self.truth.last() > 5 && self.chance(4);
        if fate < 4 || lost {
            self.say(format_args!("room: dies before its write"));
            if lost {
                self.carry_out(effects, 0)?;
            }
            self.die()?;
            return Ok(false);
        }
        let before = self.truth.last();
        self.written(&effects)?;
        if fate < 8 {
            self.say(format_args!("room: dies after its write"));
            self.arm(effects.alarm);
            self.die()?;
            return Ok(false);
        }
        self.carry_out(effects, before)?;
        Ok(true)
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
        // Frames of a step are made before what the step makes of people is looked at.
        let people = std::mem::replace(&mut self.truth.people, self.truth.people_before.clone());
        for out in gather(effects.out) {
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
        self.nobody_banned_stays()?;
        for asked in effects.asks {
            self.room.asking += 1;
            let delay = self.delay();
            self.heap.after(delay, Event::AskUser(self.room.life, Box::new(asked)));
        }
        for user in effects.entered {
            self.room.asking += 1;
            let delay = self.delay();
            self.heap.after(delay, Event::Entered(self.room.life, user));
        }
        self.arm(effects.alarm);
        if let Some(at) = effects.soon.filter(|at| self.room.timer == 0 || *at < self.room.timer) {
            self.room.timer = at;
            let wait = at.saturating_sub(self.heap.now.saturating_add_signed(self.room.skew)).clamp(1, 10_000);
            self.heap.after(wait, Event::Timer(self.room.life, at));
        }
        Ok(())
    }

    fn close(&mut self, id: SocketId, code: u16, reason: &str) -> Checked {
        let Some(conn) = self.room.sockets.get(&id).copied() else { return Ok(()) };
        let reason: Value = serde_json::from_str(reason).map_err(|e| format!("V9: a close without a reason: {e}"))?;
        ensure!(
            reason["retry"].is_boolean() && reason["after_ms"].is_u64(),
            "V9: a close does not say whether to come back: {reason}"
        );
        if self.mutant == Mutant::BanLeavesATab && code == 4403 && self.tabs_of(self.conns[conn].user) > 1 {
            return Ok(());
        }
        self.room.sockets.remove(&id);
        self.room.numbers.remove(&conn);
        self.conns[conn].closing = true;
        self.room_lost(conn);
        let delay = self.delay();
        let at = self.conns[conn].down.arrives(self.heap.now, delay);
        self.heap.at(at, Event::Shut(conn, code, reason["retry"].as_bool(), reason["after_ms"].as_u64()));
        Ok(())
    }

    fn tabs_of(&self, user: &str) -> usize {
        self.room.sockets.values().filter(|conn| self.conns[**conn].user == user).count()
    }

    /// What the room was told of a user is kept while the user has a socket.
    pub(super) fn room_lost(&mut self, conn: usize) {
        let user = self.conns[conn].user;
        let alive = |other: &usize| *other != conn && self.conns[*other].user == user && self.conns[*other].joined;
        if !self.room.sockets.values().any(alive) {
            self.room.told.remove(user);
        }
    }

    /// The object sleeps: memory goes, sockets, storage and the alarm stay.
    pub(super) fn evict(&mut self) {
        // That somebody blocks nobody is not kept.
        self.room.told.retain(|_, (_, blocks)| !blocks.is_empty());
        self.say(format_args!("room: sleeps"));
        self.forget();
    }

    fn forget(&mut self) {
        self.room.host = None;
        self.room.life += 1;
        (self.room.timer, self.room.alarm, self.room.asking) = (0, 0, 0);
        self.room.now = 0;
        self.room.knocking.clear();
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
            if self.conns[conn].accepted && !self.conns[conn].room_knows_end {
                self.conns[conn].room_knows_end = true;
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

    pub(super) fn accept(&mut self, conn: usize) -> Checked {
        if !self.load()? {
            return self.refuse(conn, 1_000);
        }
        if self.room.host.as_ref().is_some_and(Host::is_empty) && self.room.absent_until <= self.heap.now {
            if self.room.knocking.is_empty() {
                self.look_up();
            }
            self.room.knocking.push(conn);
            return Ok(());
        }
        let user = self.conns[conn].user;
        let standing = self.standing_in_time(user);
        let mut caller = self.caller(user);
        caller.identity.clone_from(&self.conns[conn].identity);
        caller.guest.clone_from(&self.clients[self.conns[conn].client].guest);
        caller.standing = standing.clone();
        let Some((id, effects)) = self.compute(|host, at| host.open(at, caller))?.and_then(Result::ok) else {
            return self.refuse(conn, 1_000);
        };
        self.conns[conn].accepted = true;
        self.conns[conn].offered = standing.map(|standing| (self.room.life, standing));
        self.room.sockets.insert(id, conn);
        self.room.numbers.insert(conn, id);
        if self.finish(effects)? {
            let delay = self.delay();
            let at = self.conns[conn].down.arrives(self.heap.now, delay);
            self.heap.at(at, Event::Opened(conn));
        }
        Ok(())
    }

    /// A frame of a client's.
    pub(super) fn up(&mut self, conn: usize, text: &str) -> Checked {
        if self.conns[conn].room_knows_end || !self.conns[conn].accepted {
            return Ok(());
        }
        if !self.load()? {
            // The adapter parts with the socket where it cannot load.
            let delay = self.delay();
            self.conns[conn].room_knows_end = true;
            let at = self.conns[conn].down.arrives(self.heap.now, delay);
            self.heap.at(at, Event::Shut(conn, 4429, Some(true), Some(5_000)));
            return Ok(());
        }
        let Some(id) = self.number(conn) else { return Ok(()) };
        let joins = text.contains("\"join_room\"");
        if joins {
            let user = self.conns[conn].user;
            // It is in memory alone.
            let life = self.room.life;
            let offered = self.conns[conn].offered.take().filter(|(then, _)| *then == life).map(|(_, it)| it);
            let standing = if offered.is_some() { None } else { self.standing_in_time(user) };
            if let (Some(standing), Some(host)) = (standing.clone(), self.room.host.as_mut()) {
                host.offer(id, standing);
            }
            // It counts once the join is let in.
            self.conns[conn].joined = true;
            if let Some(standing) = offered.or(standing) {
                let newer = self.room.news.get(user).filter(|news| news.version > standing.version).cloned();
                self.told(user, &newer.unwrap_or(standing));
            }
        }
        let ahead = self.mutant == Mutant::ShowsDelayed && (joins || text.contains("\"catch_up\""));
        let parsed = ClientFrame::parse(text);
        self.step(|host, at| {
            let early = Moment { now: at.now + if ahead { 6_000 } else { 0 }, entropy: at.entropy, log: at.log };
            ((), host.parsed(&early, id, parsed))
        })?;
        Ok(())
    }

    /// By which number the room knows a connection.
    fn number(&self, conn: usize) -> Option<SocketId> {
        let kept = || serde_json::from_str::<Attachment>(&self.conns[conn].attachment).ok().map(|kept| kept.id);
        self.room.numbers.get(&conn).copied().or_else(kept)
    }

    /// The room learns that a connection has ended.
    pub(super) fn gone(&mut self, conn: usize) -> Checked {
        if !self.conns[conn].accepted || self.conns[conn].room_knows_end {
            return Ok(());
        }
        self.conns[conn].room_knows_end = true;
        if !self.load()? {
            return Ok(());
        }
        let Some(id) = self.number(conn) else { return Ok(()) };
        self.room.numbers.remove(&conn);
        // The number may be another socket's by now.
        if self.mutant != Mutant::OldCloseEndsNew && self.room.sockets.get(&id) != Some(&conn) {
            return Ok(());
        }
        self.room.sockets.remove(&id);
        self.room_lost(conn);
        self.step(|host, at| ((), host.closed(at, id)))?;
        let open = |it: &super::event::Conn| it.accepted && !it.closing && !it.room_knows_end;
        let mut open = self.conns.iter().enumerate().filter(|(_, it)| open(it)).map(|(conn, _)| conn);
        let here: BTreeSet<_> = self.room.sockets.values().collect();
        let lost = open.find(|conn| self.room.host.is_some() && !here.contains(conn));
        ensure!(
            lost.is_none(),
            "V8: the end of conn {conn} ends conn {lost:?} for the room, and its client hears nothing"
        );
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
