//! A client by the rules of docs/protocol.md: positions, catching up, coming back, repeating what was not answered.

use super::event::{Conn, Event, Frame};
use super::mutants::Mutant;
use super::truth::Shown;
use super::{Checked, Sim};
use crate::world::ROOM;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// How long a client waits for a reply, and for a connection, ms.
const REPLY_WITHIN: u64 = 8_000;
const DIAL_WITHIN: u64 = 10_000;
/// The number of a wait for a connection.
const DIAL: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Draft {
    pub client_id: String,
    pub content: String,
    pub not_before: u64,
}

#[derive(Debug, Default)]
pub(super) struct Client {
    pub user: &'static str,
    pub guest: String,
    /// Comes through a gateway, where there are any.
    pub through_gateways: bool,
    /// Its clock's pace in percent.
    pub pace: u64,
    pub conn: Option<usize>,
    pub joined: bool,
    pub epoch: u64,
    pub seq: u64,
    /// Up to where a snapshot brought it: only what comes after has to have been shown.
    pub base: u64,
    pub seen: BTreeSet<u64>,
    /// What it was told that it is not shown, for there is too much.
    pub left_out: BTreeSet<u64>,
    pub page: BTreeMap<String, Shown>,
    /// Sent and not answered.
    pub outbox: Vec<Draft>,
    /// What else was asked and not answered, by number.
    pub acts: BTreeMap<u64, String>,
    pub waits: BTreeSet<u64>,
    pub asked: u64,
    pub catching: bool,
    /// Frames after a gap.
    pub parked: VecDeque<Rc<Frame>>,
    /// What arrived while it does not read.
    pub unread: Option<VecDeque<Rc<Frame>>>,
    pub failures: u32,
    pub reconnect: (u64, u64),
    pub attempt: u64,
    /// Told that coming back changes nothing.
    pub out: bool,
    pub ever_blocked: BTreeSet<String>,
}

impl Sim {
    pub(super) fn send_up(&mut self, client: usize, text: String) {
        let Some(conn) = self.clients[client].conn else { return };
        if self.conns[conn].cut {
            return;
        }
        let delay = self.delay();
        let at = self.conns[conn].up.arrives(self.heap.now, delay);
        self.heap.at(at, Event::Up(conn, text));
    }

    /// A frame that wants a reply; `name` tells what it is when the reply comes.
    pub(super) fn ask(&mut self, client: usize, name: &str, event: &str, data: &Value) -> u64 {
        let it = &mut self.clients[client];
        it.asked += 1;
        let n = it.asked;
        it.waits.insert(n);
        let wait = REPLY_WITHIN * it.pace / 100;
        if let Some(conn) = it.conn {
            self.heap.after(wait, Event::Patience(client, conn, n));
        }
        let text = json!({"id": format!("{name}/{n}"), "event": event, "data": data}).to_string();
        self.send_up(client, text);
        n
    }

    pub(super) fn connect(&mut self, client: usize, attempt: u64) {
        let it = &self.clients[client];
        if it.conn.is_some() || it.attempt != attempt || it.out {
            return;
        }
        let (user, pace) = (it.user, it.pace);
        let identity = self.identity(user);
        let conn = self.conns.len();
        self.conns.push(Conn { client, user, identity, ..Conn::default() });
        self.clients[client].conn = Some(conn);
        self.heap.after(DIAL_WITHIN * pace / 100, Event::Patience(client, conn, DIAL));
        self.clients[client].waits.insert(DIAL);
        if self.calm || !self.chance(3) {
            let delay = self.delay();
            let at = self.conns[conn].up.arrives(self.heap.now, delay);
            self.heap.at(at, Event::Dial(conn));
        }
    }

    /// Comes back after a wait, which is longer the more often it failed.
    pub(super) fn come_back(&mut self, client: usize, after_ms: Option<u64>) {
        let it = &mut self.clients[client];
        (it.conn, it.joined, it.catching) = (None, false, false);
        it.parked.clear();
        it.unread = None;
        it.waits.clear();
        it.attempt += 1;
        let (attempt, failures, pace) = (it.attempt, it.failures, it.pace);
        let (base, spread) = it.reconnect;
        it.failures += 1;
        let wait = after_ms.unwrap_or(base) + self.pick(spread + 1);
        let wait = (wait << failures.min(5)).min(30_000) * pace / 100;
        self.heap.after(wait, Event::Connect(client, attempt));
    }

    /// The room does not take an upgrade now.
    pub(super) fn refuse(&mut self, conn: usize, wait: u64) -> Checked {
        let delay = self.delay();
        let at = self.conns[conn].down.arrives(self.heap.now, delay);
        self.heap.at(at, Event::Refused(conn, wait));
        Ok(())
    }

    /// The client gives a connection up; the room hears of that at once, late, or only when its own patience ends.
    pub(super) fn hang_up(&mut self, client: usize) {
        if let Some(conn) = self.clients[client].conn {
            self.end(conn);
        }
        self.come_back(client, None);
    }

    fn end(&mut self, conn: usize) {
        let half_open = self.conns[conn].cut || (!self.calm && self.chance(15));
        let it = &mut self.conns[conn];
        (it.cut, it.client_knows_end, it.unread) = (true, true, 0);
        let delay = if half_open { 1_000 + self.pick(40_000) } else { self.delay() };
        let at = self.conns[conn].up.arrives(self.heap.now, delay);
        self.heap.at(at, Event::Gone(conn));
    }

    /// The room's end broke; the client notices soon, or when it hears nothing any more.
    pub(super) fn break_off(&mut self, conn: usize) {
        let delay = if !self.calm && self.chance(10) { 2_000 + self.pick(30_000) } else { self.delay() };
        self.conns[conn].unread = 0;
        let at = self.conns[conn].down.arrives(self.heap.now, delay);
        self.heap.at(at, Event::Shut(conn, 1006, None, None));
    }

    pub(super) fn opened(&mut self, conn: usize) {
        let client = self.conns[conn].client;
        if self.clients[client].conn != Some(conn) || self.conns[conn].cut {
            return;
        }
        let it = &mut self.clients[client];
        it.waits.remove(&DIAL);
        let (epoch, seq) = (it.epoch, it.seq);
        let resume = if epoch == 0 { Value::Null } else { json!({"epoch": epoch, "seq": seq}) };
        let name = if epoch == 0 { "j//".into() } else { format!("j/{epoch}/{seq}") };
        self.ask(client, &name, "join_room", &json!({"room_id": ROOM, "resume": resume}));
    }

    pub(super) fn shut(&mut self, conn: usize, retry: Option<bool>, after_ms: Option<u64>) {
        let client = self.conns[conn].client;
        let known = std::mem::replace(&mut self.conns[conn].client_knows_end, true);
        self.conns[conn].unread = 0;
        if known || self.conns[conn].cut && retry.is_some() {
            return;
        }
        if !self.conns[conn].room_knows_end {
            // The close is answered; that may take a while.
            let late = if self.mutant == Mutant::OldCloseEndsNew { 90 } else { 20 };
            let delay = if !self.calm && self.chance(late) { self.pick(20_000) } else { self.delay() };
            let at = self.conns[conn].up.arrives(self.heap.now, delay);
            self.heap.at(at, Event::Gone(conn));
        }
        self.conns[conn].cut = true;
        if self.clients[client].conn == Some(conn) {
            self.clients[client].out = retry == Some(false);
            self.come_back(client, after_ms);
        }
    }

    pub(super) fn patience(&mut self, client: usize, conn: usize, n: u64) {
        if self.clients[client].conn == Some(conn) && self.clients[client].waits.contains(&n) {
            self.hang_up(client);
        }
    }

    pub(super) fn down(&mut self, conn: usize, frame: Rc<Frame>) -> Checked {
        let client = self.conns[conn].client;
        if self.conns[conn].cut || self.clients[client].conn != Some(conn) {
            return Ok(());
        }
        if let Some(unread) = &mut self.clients[client].unread {
            unread.push_back(frame);
            return Ok(());
        }
        self.conns[conn].unread = self.conns[conn].unread.saturating_sub(frame.text.len());
        self.take(client, &frame)
    }

    pub(super) fn reads_again(&mut self, client: usize, conn: usize) -> Checked {
        let unread = self.clients[client].unread.take().filter(|_| self.clients[client].conn == Some(conn));
        unread.into_iter().flatten().try_for_each(|frame| self.down(conn, frame))
    }

    fn take(&mut self, client: usize, frame: &Rc<Frame>) -> Checked {
        let mut positions = false;
        for line in &frame.lines {
            if let Some(reply) = line["reply"].as_str() {
                self.reply(client, reply, line)?;
            } else if line["event"] == "probe" {
                self.send_up(client, json!({"event": "probe", "data": line["data"]}).to_string());
            } else {
                positions |= line.get("at").is_some() || line["seq"].is_u64();
            }
        }
        if positions && self.clients[client].joined {
            if self.clients[client].catching {
                self.clients[client].parked.push_back(frame.clone());
            } else {
                self.follow(client, frame)?;
            }
        }
        Ok(())
    }

    fn reply(&mut self, client: usize, reply: &str, line: &Value) -> Checked {
        let parts: Vec<_> = reply.split('/').collect();
        let n = parts[parts.len() - 1].parse().unwrap_or(0);
        self.clients[client].waits.remove(&n);
        match parts[0] {
            "j" if line["data"].is_object() => self.joined(client, &line["data"]),
            "c" if line["data"].is_object() => {
                self.brought(client, &line["data"])?;
                self.clients[client].catching = false;
                while let Some(frame) = self.clients[client].parked.pop_front() {
                    self.follow(client, &frame)?;
                    if self.clients[client].catching {
                        break;
                    }
                }
                Ok(())
            }
            "s" => {
                self.sent(client, parts[1], line["data"]["message_id"].as_str(), &line["error"]);
                Ok(())
            }
            "a" => {
                self.clients[client].acts.remove(&n);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn joined(&mut self, client: usize, data: &Value) -> Checked {
        let reconnect = data["reconnect"]["base_ms"].as_u64().zip(data["reconnect"]["spread_ms"].as_u64());
        let it = &mut self.clients[client];
        it.reconnect = reconnect.ok_or("V9: a join does not say how to come back")?;
        (it.joined, it.failures) = (true, 0);
        let acts: Vec<_> = std::mem::take(&mut it.acts).into_values().collect();
        self.brought(client, data)?;
        for text in acts {
            let act: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
            let event = act["event"].as_str().unwrap_or_default();
            if matches!(event, "edit_message" | "delete_message" | "react") {
                self.act(client, event, &act["data"]);
            }
        }
        self.resend(client);
        Ok(())
    }

    /// Sends what is not answered, once more or for the first time.
    pub(super) fn resend(&mut self, client: usize) {
        let now = self.heap.now;
        let due = self.clients[client].outbox.iter().filter(|draft| draft.not_before <= now);
        let due: Vec<_> = due.map(|draft| (draft.client_id.clone(), draft.content.clone())).collect();
        for (client_id, content) in due {
            let data = json!({"content": content, "client_id": client_id});
            self.ask(client, &format!("s/{client_id}"), "send_message", &data);
        }
    }

    pub(super) fn act(&mut self, client: usize, event: &str, data: &Value) {
        let n = self.ask(client, "a", event, data);
        self.clients[client].acts.insert(n, json!({"event": event, "data": data}).to_string());
    }

    /// What became of something that was said.
    pub(super) fn sent(&mut self, client: usize, client_id: &str, id: Option<&str>, error: &Value) {
        let wait = error["retry_after_ms"].as_u64();
        let later = matches!(
            error["code"].as_str(),
            Some("rate_limited" | "slow_mode" | "unavailable" | "overloaded" | "storage_full" | "internal")
        );
        let (now, user) = (self.heap.now, self.clients[client].user);
        for it in self.clients.iter_mut().filter(|it| it.user == user) {
            if id.is_some() || !later {
                it.outbox.retain(|draft| draft.client_id != client_id);
            } else if let Some(draft) = it.outbox.iter_mut().find(|draft| draft.client_id == client_id) {
                draft.not_before = now + wait.unwrap_or(1_000);
            }
        }
        // What was acknowledged before the storage was lost is told by what PostgreSQL has.
        let name = (user.to_owned(), client_id.to_owned());
        let known = self.truth.named.get(&name).map(ToString::to_string);
        if let Some(id) = id.filter(|id| known.as_deref() == Some(*id)) {
            self.acked.insert((user, client_id.to_owned()), (self.truth.epoch, id.to_owned()));
        }
    }
}
