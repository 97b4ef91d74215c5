//! The world's troubles, one after the other, as the seed has them.

use super::event::Event;
use super::mutants::Mutant;
use super::{Checked, Sim, ensure};
use edge_chat::protocol::call::{Ask, Nothing, PageQuery, RoomCall, SendBody, VERSION};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// ms.
const HOUR: u64 = 3_600_000;

impl Sim {
    /// Most things take some ms, some take long.
    pub(super) fn delay(&mut self) -> u64 {
        if self.calm {
            return 1 + self.pick(30);
        }
        match self.pick(100) {
            0 => 800 + self.pick(6_000),
            1..=9 => 60 + self.pick(700),
            _ => 1 + self.pick(60),
        }
    }

    pub(super) fn trouble(&mut self) -> Checked {
        if self.calm {
            return Ok(());
        }
        let next = 100 + self.pick(3_000);
        self.heap.after(next, Event::Trouble);
        let now = self.heap.now;
        self.hook_trouble();
        let redis = match self.mutant {
            Mutant::RedisIsNotToldAgain => 40,
            mutant => mutant.likely().map_or(12, |_| 0),
        };
        if self.bridge.on && self.chance(redis) {
            self.redis_trouble();
            return Ok(());
        }
        if (self.truth.splits || self.truth.has_gateways) && self.chance(25) {
            return self.trouble_below();
        }
        let roll = self.pick(100);
        let roll = self.mutant.likely().filter(|_| self.chance(20)).unwrap_or(roll);
        match roll {
            0..40 => self.sleep()?,
            40..56 => self.cut(),
            56..59 => {
                self.say(format_args!("room: is ended"));
                self.die()?;
            }
            59..66 => self.drain.down_until = now + self.pick(60_000),
            66..70 => self.drain.refuses_until = now + self.pick(30_000),
            70..76 => self.back_up(),
            76..79 => self.restore(),
            79..85 => {
                self.room.skew = self.pick(4_000) as i64 - 2_000;
                let skew = self.room.skew;
                self.say(format_args!("room: its clock leads by {skew} ms"));
            }
            85..88 => {
                self.evict_if_idle();
                self.room.broken_until = now + self.pick(5_000);
            }
            88 if self.truth.last() > 5 && (self.mutant != Mutant::None || self.chance(50)) => self.lose_storage()?,
            89..94 => {
                let user = super::USERS[self.pick(super::USERS.len() as u64) as usize];
                let until = now + self.pick(10_000);
                if let Some(node) = self.users.get_mut(user) {
                    node.away_until = until;
                }
            }
            94..99 => {
                let client = self.pick(self.clients.len() as u64) as usize;
                if let Some(conn) = self.clients[client].conn.filter(|_| self.clients[client].joined) {
                    self.say(format_args!("client {client}: stops reading"));
                    self.clients[client].unread = Some(VecDeque::new());
                    let wait = self.pick(60_000);
                    self.heap.after(wait, Event::Reads(client, conn));
                }
            }
            _ => {
                let talker = self.clients.iter().position(|it| it.user == "admin" && it.joined);
                if let Some(talker) = talker.filter(|_| !self.burst_done && self.bursts) {
                    self.burst_done = true;
                    self.burst(talker);
                }
            }
        }
        Ok(())
    }

    /// Hours in which nobody is there and now and then something is said over REST: what Redis is owed, and what its
    /// stream keeps, grows old.
    pub(super) fn night(&mut self) -> Checked {
        self.say(format_args!("night"));
        (self.calm, self.nobody_comes) = (true, true);
        (0..self.clients.len()).for_each(|client| self.hang_up(client));
        if self.chance(60) {
            self.bridge.down_until = self.heap.now + self.pick(60 * HOUR);
        }
        self.hook_night();
        for _ in 0..3 + self.pick(6) {
            let wait = self.pick(12 * HOUR);
            self.run_for(wait)?;
            self.evict_if_idle();
            if self.bridge.down_until <= self.heap.now && self.chance(30) {
                self.redis_trouble();
            }
            let body = SendBody { content: self.words("night"), ..SendBody::default() };
            self.rest(RoomCall { v: VERSION, caller: self.caller("mod"), ask: Ask::Send(body) })?;
        }
        self.say(format_args!("morning"));
        (self.calm, self.nobody_comes) = (false, false);
        for client in 0..self.clients.len() {
            // What was not answered by then nobody asks for any more: its name may be forgotten.
            self.clients[client].outbox.clear();
            self.come_back(client, Some(0));
            self.heap.after(2_000, Event::Idea(client));
        }
        self.heap.after(1_000, Event::Trouble);
        Ok(())
    }

    /// A connection breaks in the middle; each end notices when it notices.
    fn cut(&mut self) {
        let client = self.pick(self.clients.len() as u64) as usize;
        let Some(conn) = self.clients[client].conn else { return };
        self.say(format_args!("conn {conn}: is cut"));
        self.conns[conn].cut = true;
        let (one, other) = (self.pick(45_000), self.pick(60_000));
        self.heap.after(one, Event::Silence(client, conn));
        self.heap.after(other, Event::Gone(conn));
    }

    pub(super) fn silence(&mut self, client: usize, conn: usize) {
        if self.clients[client].conn == Some(conn) {
            self.hang_up(client);
        }
    }

    fn is_idle(&self) -> bool {
        self.room.handler.is_none()
            && self.room.asking == 0
            && self.room.below.is_idle()
            && self.room.following.is_idle()
            && self.room.knocking.is_empty()
            && self.conns.iter().all(|conn| conn.node != self.room.index || conn.unread < 200_000)
    }

    pub(super) fn evict_if_idle(&mut self) {
        if self.is_idle() {
            self.evict();
        }
    }

    /// The room sleeps and wakes: what it answers before and after is the same.
    fn sleep(&mut self) -> Checked {
        if !self.is_idle() {
            return Ok(());
        }
        let look = self.room.host.is_some() && self.chance(30);
        let before = if look { self.observe()? } else { None };
        if self.is_idle() {
            self.evict();
            if let Some(before) = before
                && let Some(after) = self.observe()?
            {
                ensure!(before == after, "V2: before it slept the room says {before}, after it {after}");
            }
        }
        Ok(())
    }

    fn observe(&mut self) -> Checked<Option<Value>> {
        let mut all = Vec::new();
        for ask in [Ask::Messages(PageQuery::Page { page: 1, limit: 100 }), Ask::Get(Nothing {}), Ask::Held(Nothing {})]
        {
            let caller = self.caller("mod");
            let Some(Ok(mut answer)) = self.rest(RoomCall { v: VERSION, caller, ask })? else { return Ok(None) };
            for passing in ["online_users", "online_guests", "blocks"] {
                if answer.get(passing).is_some() {
                    answer[passing] = Value::Null;
                }
            }
            all.push(answer);
        }
        self.check_page(&self.looker("mod"), &all[0])?;
        Ok(Some(json!(all)))
    }
}
