//! How a run ends: the troubles stop, all is told everywhere, and nothing may be left over.

use super::event::{Conn, Event};
use super::room::RoomNode;
use super::{Checked, Sim, ensure, role_of};
use edge_chat::auth::Role;
use edge_chat::protocol::{Audience, Body};
use serde_json::json;
use std::collections::BTreeSet;

impl Sim {
    pub(super) fn settle(&mut self) -> Checked {
        self.calm = true;
        let now = self.heap.now;
        (self.drain.down_until, self.drain.refuses_until) = (now, now);
        (self.bridge.down_until, self.bridge.refuses_until, self.bridge.slow_until) = (now, now, now);
        self.hook_is_well();
        self.room.broken_until = if self.chance(50) { now + self.pick(90_000) } else { now };
        self.last_blow = self.chance(50);
        self.say(format_args!("calm"));
        self.nobody_comes = true;
        // Nobody says anything, nobody comes back: what is owed to PostgreSQL gets there by the alarm alone.
        let end = self.heap.now + 700_000;
        while self.heap.now < end && self.blow_at.is_none() {
            self.run_for(1_000)?;
        }
        // The platform calls the alarm that the blow cut short again within seconds, and any alarm up to 20 s late.
        if let Some(last) = self.blow_at.filter(|_| self.room.broken_until <= self.heap.now) {
            self.run_for(45_000)?;
            self.left_alone(last)?;
        }
        self.run_for(end.saturating_sub(self.heap.now))?;
        self.left_alone(self.truth.last())?;
        if !self.is_idle_for_good() {
            self.left_alone_with_redis()?;
            self.left_alone_with_hook()?;
        }
        (self.nobody_comes, self.last_blow) = (false, false);
        self.everybody_is_back()?;
        self.last_words()?;
        self.checks_at_the_end()
    }

    /// Nothing is owed, or nobody will come to pay it: the platform gave its alarm up, or the room is not there.
    fn is_idle_for_good(&self) -> bool {
        self.room.given_up || self.truth.lost || self.truth.epoch == 0
    }

    fn left_alone(&self, last: u64) -> Checked {
        ensure!(
            self.is_idle_for_good() || self.drain.unnoticed || self.drain.pg.cursor >= Some((self.truth.epoch, last)),
            "P2: left alone PostgreSQL stays at {:?} of {} {}, the alarm at {:?}",
            self.drain.pg.cursor,
            self.truth.epoch,
            last,
            self.room.alarm_at
        );
        Ok(())
    }

    fn is_drained(&self) -> bool {
        self.drain.pg.cursor == Some((self.truth.epoch, self.truth.last()))
    }

    fn everybody_is_back(&mut self) -> Checked {
        for client in 0..self.clients.len() {
            if self.clients[client].conn.is_none() {
                self.clients[client].out = false;
                self.come_back(client, None);
            }
        }
        self.run_for(120_000)?;
        let admin = self.clients.iter().position(|it| it.user == "admin").unwrap_or_default();
        ensure!(self.clients[admin].joined, "V9: the admin does not get back");
        // All links are sound: a ban is everywhere within a second.
        self.act(admin, "ban_user", &json!({"user_id": "bob"}));
        self.run_for(1_000)?;
        let bob = |it: &Conn| it.user == "bob" && it.joined && !it.closing && !it.room_knows_end;
        let banned = self.truth.people.bans.get("bob").is_some_and(|ban| !ban.shadow);
        ensure!(!banned || !self.conns.iter().any(bob), "V7: bob was banned a second ago and keeps a socket");
        // A room that was put together again meanwhile sent the admin elsewhere.
        for _ in 0..30 {
            if self.clients[admin].joined {
                break;
            }
            self.run_for(1_000)?;
        }
        for user in self.truth.people.bans.keys().cloned().collect::<Vec<_>>() {
            self.act(admin, "unban_user", &json!({"user_id": user}));
        }
        self.act(admin, "set_modes", &json!({"modes": {"delay_s": 0, "read_only": false, "slow_s": null}}));
        self.run_for(20_000)?;
        for round in 0..8 {
            for client in 0..self.clients.len() {
                if self.clients[client].conn.is_none() && round < 4 {
                    self.clients[client].out = false;
                    self.come_back(client, None);
                }
                if self.clients[client].joined {
                    self.resend(client);
                }
            }
            self.run_for(40_000)?;
        }
        Ok(())
    }

    /// After half a minute the next frame says where the log stands, so nobody misses the end of it.
    fn last_words(&mut self) -> Checked {
        // What waits for a moderator is over by then.
        self.run_for(640_000)?;
        let admin = self.clients.iter().position(|it| it.user == "admin").unwrap_or_default();
        self.act(admin, "announce", &json!({"content": "the last words"}));
        self.run_for(60_000)
    }

    fn checks_at_the_end(&self) -> Checked {
        let last = self.truth.last();
        ensure!(self.is_drained(), "P2: PostgreSQL stays at {:?} of {last}", self.drain.pg.cursor);
        self.postgres_is_a_prefix()?;
        self.redis_has_all()?;
        self.hook_has_all()?;
        if self.drain.whole {
            let waiting = self.truth.held.iter().filter(|(_, held)| held.2).map(|(id, _)| id.to_string());
            ensure!(self.drain.pg.held.keys().cloned().eq(waiting), "P1: PostgreSQL has others waiting in the end");
        }
        let said: BTreeSet<_> = self.truth.messages.values().map(|said| &said.now().content).collect();
        for words in self.truth.gone.iter().filter(|words| !words.is_empty() && !said.contains(words)) {
            ensure!(!self.room.log.holds(words), "V6: {words:?} is gone and still in the storage");
        }
        for ((user, client_id), (epoch, id)) in &self.acked {
            let known = self.truth.named.get(&((*user).to_owned(), client_id.clone()));
            let kept = *epoch != self.truth.epoch || known.is_some_and(|known| known.to_string() == *id);
            ensure!(kept, "V2: {user} {client_id} was acknowledged as {id} and is {known:?}");
        }
        for (client, it) in self.clients.iter().enumerate() {
            ensure!(it.joined, "V9: client {client} ({}) does not get back", it.user);
            ensure!(it.outbox.is_empty(), "V2: client {client} ({}) is never answered: {:?}", it.user, it.outbox);
            ensure!(it.epoch == self.truth.epoch, "V5: {} stays in epoch {}", it.user, it.epoch);
            let who = self.steady(client);
            let left = self.truth.events[it.seq as usize..].iter();
            let mut left = left.filter(|event| self.truth.sees(&who, event, u64::MAX) == Some(true));
            ensure!(left.next().is_none(), "V4: {} stays at {} of {last}", it.user, it.seq);
            for (id, shown) in &it.page {
                let id = edge_chat::protocol::MessageId::parse(id).ok_or("no id")?;
                let said = self.truth.messages.get(&id);
                let others = said.is_some_and(|said| {
                    let blocked = it.ever_blocked.contains(&said.author) && !who.is_moderator();
                    // Seen while a moderator for a time.
                    let early = said.deleted_at.is_some_and(|at| at < said.visible_at);
                    blocked || (it.user == "cleo" && (said.audience != Audience::All || early))
                });
                if others {
                    continue;
                }
                let now = said.map(|said| said.now());
                ensure!(now == Some(shown), "V4: {} has {id} as {shown:?} in the end, the room {now:?}", it.user);
            }
            let recent = self.truth.events[it.base as usize..].iter();
            for event in recent.filter(|event| self.truth.sees(&who, event, u64::MAX) == Some(true)) {
                if let Body::NewMessage(message) = &event.body {
                    let there =
                        it.page.contains_key(&message.message_id.to_string()) || it.left_out.contains(&event.seq);
                    ensure!(there, "V4: {} never saw {}", it.user, message.message_id);
                }
            }
        }
        for shard in self.nodes_with_viewers().filter(|node| node.index > 0) {
            let stands = shard.at == Some((self.truth.epoch, last));
            ensure!(stands, "V4: {} stays at {:?} of {last}", shard.name(), shard.at);
        }
        self.who_is_here()
    }

    fn nodes_with_viewers(&self) -> impl Iterator<Item = &RoomNode> {
        std::iter::once(&self.room).chain(&self.shards).chain(&self.gateways).filter(|node| !node.sockets.is_empty())
    }

    /// V10: once all is quiet the room counts those who are here.
    fn who_is_here(&self) -> Checked {
        let mut users: Vec<_> = self.clients.iter().map(|it| it.user).filter(|user| !user.is_empty()).collect();
        users.dedup();
        let guests = self.clients.iter().filter(|it| role_of(it.user) == Role::Guest).count() as u64;
        for node in self.nodes_with_viewers() {
            let stats = node.stats.as_ref();
            let stats = stats.map(|stats| (stats["online_users"].as_u64(), stats["online_guests"].as_u64()));
            ensure!(
                stats == Some((Some(users.len() as u64), Some(guests))),
                "V10: {} counts {stats:?}, and there are {users:?} and {guests} guests",
                node.name()
            );
        }
        Ok(())
    }

    /// Runs for so long (ms of the world's time).
    pub(super) fn run_for(&mut self, ms: u64) -> Checked {
        let until = self.heap.now + ms;
        while let Some(event) = self.heap.next(until) {
            if self.nobody_comes && matches!(event, Event::Connect(..)) {
                continue;
            }
            self.happens(event)?;
        }
        Ok(())
    }
}
