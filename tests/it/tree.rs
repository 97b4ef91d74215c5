//! A split room at its full size: the real rules of the room and of each shard, and a model of what is between them.
//!
//! Modelled are the network (a lognormal delay for each call), the objects' time (one thing after another, so much for
//! each call and each frame), and most viewers: a few shards hold all of theirs, the others a handful that stand for the
//! rest, with budgets, frames and counts in proportion.

use crate::memory::MemoryLog;
use crate::world::{ROOM, World, random};
use edge_chat::audience::{Out, SocketId, To};
use edge_chat::auth::Identity;
use edge_chat::host::{Effects, Host, Moment, Outgoing, Waking};
use edge_chat::protocol::RoomId;
use edge_chat::protocol::call::{Ask, Caller, Standing};
use edge_chat::protocol::shard::{Begin, Crowd, Down, Follower, Push, Pushed, Shape, Up};
use edge_chat::room::{Replica, Tail};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// What is modelled, times in µs.
pub struct Model {
    pub viewers: u64,
    pub shard_sockets: u64,
    pub frame_budget: u64,
    /// So many shards hold all of their viewers, the others so many.
    pub full: usize,
    pub few: usize,
    /// A frame to one socket.
    pub frame: u64,
    /// A call that an object takes, and one that it makes, with its answer.
    pub taken: u64,
    pub made: u64,
    /// An upgrade and a join.
    pub join: u64,
    /// One way between objects: half take less; a standard deviation more is e^spread times that.
    pub way: f64,
    pub spread: f64,
    /// Until a write is confirmed, and what was to go out goes.
    pub confirmed: f64,
    /// Calls of one object under way at most.
    pub at_once: Option<usize>,
    /// Isolates of the Worker that see joins, and how long each believes a shape.
    pub isolates: u64,
    pub believed: u64,
}

/// What one object did.
#[derive(Clone, Copy, Default)]
pub struct Load {
    pub busy: u64,
    pub taken: u64,
    pub made: u64,
    /// Bytes of calls, and of frames to viewers.
    pub bytes: u64,
    pub sent: u64,
    pub frames: u64,
}

#[derive(Default)]
struct Object {
    free: u64,
    load: Load,
    under_way: usize,
    waiting: VecDeque<(Event, u64)>,
}

pub struct Shard {
    host: Host,
    replica: Replica,
    soon: Option<u64>,
    /// Its viewers, and the sockets that there are for them.
    pub viewers: u64,
    pub sockets: u64,
    talkers: Vec<SocketId>,
    shown: u64,
}

enum Event {
    RoomSoon,
    ShardSoon(usize),
    Relayed(usize, u64),
    Push(usize, u64),
    PushedAtRelay(usize, u64, usize, Box<Pushed>),
    GivesUp(usize, u64),
    PushedAtRoom(u64),
    Up(usize, Box<Up>),
    Down(usize, Box<Down>),
    Say(usize),
    Echo(usize, SocketId, String),
    Upgrade(u64),
    Join(usize, u64),
}

struct Call {
    outgoing: Outgoing,
    answers: Vec<Option<Pushed>>,
    left: usize,
    /// The relay has answered, and the room has heard it.
    answered: bool,
    heard: bool,
}

/// What was seen since the last [`Tree::begin_count`], µs.
#[derive(Default)]
pub struct Seen {
    /// From an event's writing to viewers' sockets, of viewers evenly taken; and to each event's last viewer.
    pub viewers: Vec<u64>,
    last: BTreeMap<u64, u64>,
    /// From a viewer's sending to the reply.
    pub acks: Vec<u64>,
    /// Upgrades that asked the room; all joins.
    pub asked: u64,
    /// Pushes for which a relay did not wait any longer.
    pub given_up: u64,
    pub joins: u64,
}

pub struct Tree {
    pub model: Model,
    pub room: World,
    pub shards: Vec<Shard>,
    pub seen: Seen,
    shape: Shape,
    objects: Vec<Object>,
    events: BTreeMap<(u64, u64), Event>,
    order: u64,
    pub now: u64,
    counted_from: u64,
    calls: BTreeMap<u64, Call>,
    written: BTreeMap<u64, u64>,
    said: BTreeMap<u64, u64>,
    isolates: BTreeMap<u64, u64>,
    confirmed_at: u64,
    room_soon: Option<u64>,
    random: u64,
    next_viewer: u64,
    identity: Identity,
}

const RELAYS: usize = 256;
const MS: u64 = 1_000;
/// As src/platform/shard_link.rs has it, µs.
const BELOW_RELAY: u64 = 1_000 * MS;

fn scaled(n: usize, viewers: u64, sockets: u64) -> usize {
    usize::try_from((n as u64 * viewers).div_ceil(sockets.max(1))).unwrap()
}

impl Shard {
    fn scale(&self, crowd: &mut Crowd) {
        for n in [&mut crowd.users, &mut crowd.guests, &mut crowd.sockets] {
            *n = scaled(*n, self.viewers, self.sockets);
        }
    }

    fn share(&self, shape: Shape) -> Shape {
        Shape { budget: (shape.budget * self.sockets / self.viewers.max(1)).max(1), ..shape }
    }
}

impl Tree {
    pub fn new(model: Model) -> Self {
        let (sockets, budget) = (model.shard_sockets.to_string(), model.frame_budget.to_string());
        let mut room = World::with(
            &[
                ("SHARD_SOCKETS", &sockets),
                ("FRAME_BUDGET", &budget),
                ("RATE_LIMIT_MESSAGES", "1000"),
                ("RATE_LIMIT_ROOM_MESSAGES", "100000"),
            ],
            7,
        );
        let body = json!({"settings": {"expect_viewers": model.viewers}});
        let ada = room.join("ada");
        room.close(ada);
        room.call("admin", Ask::Patch(serde_json::from_value(body).unwrap())).unwrap();
        let shape = room.compute(|host, _| host.shape());
        let identity = room.identity("ada", 86_400);
        let now = room.now * MS;
        let objects = (0..=RELAYS + shape.shards as usize).map(|_| Object::default()).collect();
        let mut it = Self {
            model,
            room,
            shards: Vec::new(),
            seen: Seen::default(),
            shape,
            objects,
            events: BTreeMap::new(),
            order: 0,
            now,
            counted_from: now,
            calls: BTreeMap::new(),
            written: BTreeMap::new(),
            said: BTreeMap::new(),
            isolates: BTreeMap::new(),
            confirmed_at: 0,
            room_soon: None,
            random: 11,
            next_viewer: 0,
            identity,
        };
        it.build();
        it
    }

    fn entropy(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&random(&mut self.random).to_be_bytes()));
        bytes
    }

    fn part(&mut self) -> f64 {
        (random(&mut self.random) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, n: u64) -> u64 {
        random(&mut self.random) % n.max(1)
    }

    fn lognormal(&mut self, median: f64) -> u64 {
        let (a, b) = (self.part().max(1e-12), self.part());
        let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
        (median * (self.model.spread * normal).exp()) as u64
    }

    fn way(&mut self) -> u64 {
        self.lognormal(self.model.way)
    }

    /// Every tenth viewer is signed in.
    fn caller(&self, n: u64) -> Caller {
        let identity = n.is_multiple_of(10).then(|| Identity { user_id: format!("user-{n}"), ..self.identity.clone() });
        Caller { identity, guest: format!("guest-{n:016}"), shape: self.shape.version, ..Caller::default() }
    }

    /// All viewers are there, each in the shard that is theirs.
    fn build(&mut self) {
        let mut theirs: Vec<Vec<u64>> = vec![Vec::new(); self.shape.shards as usize];
        for n in 0..self.model.viewers {
            let shard = self.shape.shard_of(self.caller(n).shard_key()).unwrap();
            theirs[shard as usize].push(n);
        }
        self.next_viewer = self.model.viewers;
        for (n, viewers) in theirs.into_iter().enumerate() {
            let kept = MemoryLog::default();
            let at = Moment { now: self.room.now, entropy: self.entropy(), log: &kept };
            let id = RoomId::parse(ROOM).unwrap();
            let index = u32::try_from(n).unwrap();
            let host = Host::follow(id, index, self.room.settings.clone(), &at, vec![], Waking::default()).unwrap();
            let begin = self.room.step(|host, at| host.begin_for(at, Follower::Shard(index), None)).unwrap();
            let begin: Begin = serde_json::from_str(&serde_json::to_string(&begin).unwrap()).unwrap();
            let replica =
                Replica::begin(Tail { rows: begin.rows, state: begin.state, reactions: begin.reactions }, 500);
            let sockets = if n < self.model.full { viewers.len() } else { self.model.few.min(viewers.len()) };
            let (all, shown) = (viewers.len() as u64, begin.seq);
            self.shards.push(Shard {
                host,
                replica,
                soon: None,
                viewers: all,
                sockets: sockets as u64,
                talkers: vec![],
                shown,
            });
            let shape = self.shards[n].share(begin.shape);
            self.shard(n, |host, at| ((), host.begun(at, shape, begin.totals).unwrap()));
            // Those who stand for the others are signed in to the same part.
            viewers[..sockets].iter().for_each(|viewer| self.join(n, *viewer));
        }
        self.after_room();
    }

    fn put(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.events.insert((at, self.order), event);
    }

    fn object_of(event: &Event) -> usize {
        match event {
            Event::RoomSoon | Event::PushedAtRoom(_) | Event::Up(..) | Event::Upgrade(_) => 0,
            Event::Relayed(relay, _) | Event::PushedAtRelay(relay, ..) | Event::GivesUp(relay, _) => 1 + relay,
            Event::Push(n, _) | Event::Join(n, _) | Event::ShardSoon(n) => 1 + RELAYS + n,
            Event::Down(n, _) | Event::Say(n) | Event::Echo(n, ..) => 1 + RELAYS + n,
        }
    }

    /// The object is at work for so long.
    fn work(&mut self, object: usize, us: u64) -> u64 {
        let it = &mut self.objects[object];
        it.load.busy += us;
        it.free = it.free.max(self.now) + us;
        it.free
    }

    /// A call leaves the object at `at`, or when fewer are under way.
    fn call(&mut self, from: usize, at: u64, event: Event, bytes: usize) {
        let it = &mut self.objects[from];
        it.load.made += 1;
        it.load.bytes += bytes as u64;
        if self.model.at_once.is_some_and(|most| it.under_way >= most) {
            it.waiting.push_back((event, at));
            return;
        }
        it.under_way += 1;
        let at = at + self.way();
        self.put(at, event);
    }

    /// One of its calls was answered.
    fn answered(&mut self, from: usize) {
        let it = &mut self.objects[from];
        it.under_way -= 1;
        if let Some((event, at)) = it.waiting.pop_front() {
            it.under_way += 1;
            let at = at.max(self.now) + self.way();
            self.put(at, event);
        }
    }

    fn take(&mut self, object: usize, bytes: usize) {
        let it = &mut self.objects[object];
        it.load.taken += 1;
        it.load.bytes += bytes as u64;
    }

    /// One step of a shard; when it is done with it.
    fn shard<T>(&mut self, n: usize, step: impl FnOnce(&mut Host, &Moment<'_>) -> (T, Effects)) -> (T, u64) {
        let (now, entropy) = (self.now / MS, self.entropy());
        let it = &mut self.shards[n];
        let (value, effects) = step(&mut it.host, &Moment { now, entropy, log: &it.replica });
        assert_eq!(effects.faults, [""; 0]);
        assert!(!effects.broken);
        it.replica.write(&effects.write);
        let done = self.carry_out(n, effects);
        (value, done)
    }

    fn carry_out(&mut self, n: usize, effects: Effects) -> u64 {
        let object = 1 + RELAYS + n;
        let begins = self.objects[object].free.max(self.now);
        let (mut frames, few) = (0, (self.shards[n].viewers, self.shards[n].sockets));
        for out in effects.out {
            match out {
                Out::Send(To::One(id), line) => {
                    frames += 1;
                    self.read_alone(n, id, &line);
                }
                Out::Send(To::Many(ids), line) => {
                    let count = scaled(ids.len(), few.0, few.1) as u64;
                    self.shown(n, &line, begins + frames * self.model.frame, count * self.model.frame);
                    frames += count;
                    self.objects[object].load.sent += count * line.len() as u64;
                }
                Out::Close(_, code, reason) => panic!("a viewer is closed: {code} {reason}"),
                Out::Attach(..) => {}
            }
        }
        self.objects[object].load.frames += frames;
        let done = self.work(object, frames * self.model.frame);
        if let Some(at) = effects.soon.filter(|at| self.shards[n].soon.is_none_or(|soon| *at < soon)) {
            self.shards[n].soon = Some(at);
            self.put(at.max(self.now / MS + 1) * MS, Event::ShardSoon(n));
        }
        if !effects.look.is_empty() {
            let pings: Vec<_> = effects.look.iter().map(|id| (*id, Some(self.now / MS))).collect();
            self.shard(n, |host, at| ((), host.look(at, &pings)));
        }
        for user in effects.entered {
            self.shard(n, |host, at| ((), host.entered(at, &user, Some(Standing::default()))));
        }
        if effects.up {
            self.up(n, done);
        }
        done
    }

    fn up(&mut self, n: usize, at: u64) {
        let (now, entropy) = (self.now / MS, self.entropy());
        let it = &mut self.shards[n];
        if let Some(mut up) = it.host.next_up(&Moment { now, entropy, log: &it.replica }) {
            it.scale(&mut up.crowd);
            let bytes = serde_json::to_string(&up).unwrap().len();
            self.work(1 + RELAYS + n, self.model.made);
            self.call(1 + RELAYS + n, at, Event::Up(n, Box::new(up)), bytes);
        }
    }

    fn read_alone(&mut self, n: usize, id: SocketId, line: &str) {
        if let Some(asked) = line.find(r#""event":"probe""#).and_then(|_| line.split(r#""nonce":""#).nth(1)) {
            let nonce = asked.split('"').next().unwrap().to_owned();
            let at = self.now + 2 * self.way();
            self.put(at, Event::Echo(n, id, nonce));
        }
        let reply = line.strip_prefix(r#"{"reply":"#).and_then(|rest| rest.split(',').next()?.parse().ok());
        if let Some(at) = reply.and_then(|id: u64| self.said.remove(&id)) {
            assert!(!line.contains(r#""error":"#), "{line}");
            self.seen.acks.push(self.objects[1 + RELAYS + n].free.max(self.now) - at);
        }
    }

    /// A frame to all of a shard, from `begins` on: each event once and in order.
    fn shown(&mut self, n: usize, line: &str, begins: u64, takes: u64) {
        for line in line.split('\n') {
            let seq = line.strip_prefix(r#"{"seq":"#).and_then(|rest| rest.split(',').next()?.parse().ok());
            let Some(seq): Option<u64> = seq else { continue };
            assert_eq!(seq, self.shards[n].shown + 1, "shard {n} leaves none out and shows none twice");
            self.shards[n].shown = seq;
            let Some(written) = self.written.get(&seq).copied().filter(|at| *at >= self.counted_from) else { continue };
            self.seen.viewers.extend((0..4).map(|k| begins + takes * k / 3 - written));
            let last = self.seen.last.entry(seq).or_default();
            *last = (*last).max(begins + takes - written);
        }
    }

    fn after_room(&mut self) {
        let position = self.room.compute(|host, _| host.position().unwrap()).seq;
        if self.written.last_key_value().is_none_or(|(seq, _)| *seq < position) {
            let first = self.written.last_key_value().map_or(position, |(seq, _)| seq + 1);
            self.written.extend((first..=position).map(|seq| (seq, self.now)));
            self.confirmed_at = self.now + self.lognormal(self.model.confirmed);
        }
        for outgoing in self.room.compute(|host, at| host.next_pushes(at)) {
            let left = outgoing.to.len();
            let relay = outgoing.relay.expect("so many shards stand below relays") as usize;
            let bytes = outgoing.body.len();
            self.order += 1;
            let call = self.order;
            self.calls.insert(call, Call { outgoing, answers: vec![None; left], left, answered: false, heard: false });
            let at = self.work(0, self.model.made).max(self.confirmed_at);
            self.call(0, at, Event::Relayed(relay, call), bytes);
        }
        if let Some(at) = self.room.soon.filter(|at| self.room_soon.is_none_or(|soon| *at < soon)) {
            self.room_soon = Some(at);
            self.put(at.max(self.now / MS + 1) * MS, Event::RoomSoon);
        }
    }

    fn join(&mut self, n: usize, viewer: u64) {
        let caller = self.caller(viewer);
        let talks = caller.identity.is_some();
        let (socket, _) = self.shard(n, |host, at| host.open(at, caller).unwrap());
        let text = json!({"id": 0, "event": "join_room", "data": {"room_id": ROOM}}).to_string();
        self.shard(n, |host, at| ((), host.frame(at, socket, &text)));
        if talks {
            self.shards[n].talkers.push(socket);
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::RoomSoon => {
                if self.room_soon.is_some_and(|at| at * MS <= self.now) {
                    (self.room_soon, self.room.soon) = (None, None);
                    self.room.tick();
                    self.after_room();
                }
            }
            Event::ShardSoon(n) => {
                if self.shards[n].soon.is_some_and(|at| at * MS <= self.now) {
                    self.shards[n].soon = None;
                    self.shard(n, |host, at| ((), host.tick(at)));
                    assert!(self.shards[n].soon.is_none_or(|at| at > self.now / MS), "what was due is done");
                }
            }
            Event::Relayed(relay, call) => {
                let (shards, body) = (self.calls[&call].outgoing.to.clone(), self.calls[&call].outgoing.body.len());
                self.take(1 + relay, body);
                let at = self.work(1 + relay, self.model.taken + self.model.made * shards.len() as u64);
                for follower in shards {
                    let Follower::Shard(n) = follower else { panic!("there is no gateway") };
                    self.call(1 + relay, at, Event::Push(n as usize, call), body);
                }
                self.put(at + BELOW_RELAY, Event::GivesUp(relay, call));
            }
            Event::Push(n, call) => self.pushes(n, call),
            Event::PushedAtRelay(relay, call, slot, pushed) => {
                self.answered(1 + relay);
                let it = self.calls.get_mut(&call).unwrap();
                it.left -= 1;
                if it.answered {
                    self.forget(call);
                    return;
                }
                it.answers[slot] = Some(*pushed);
                if it.left == 0 {
                    self.relay_answers(relay, call);
                }
            }
            Event::GivesUp(relay, call) => {
                if self.calls.get(&call).is_some_and(|it| !it.answered) {
                    self.seen.given_up += 1;
                    self.relay_answers(relay, call);
                }
            }
            Event::PushedAtRoom(call) => {
                self.answered(0);
                let it = self.calls.get_mut(&call).unwrap();
                it.heard = true;
                let (to, answers) = (it.outgoing.to.clone(), std::mem::take(&mut it.answers));
                self.forget(call);
                self.room.step(|host, at| ((), host.pushed_to(at, &to, answers)));
                self.after_room();
            }
            Event::Up(n, up) => {
                self.take(0, 0);
                let done = self.work(0, self.model.taken);
                let down = self.room.step(|host, at| host.up(at, *up));
                self.after_room();
                let at = done.max(self.confirmed_at) + self.way();
                self.put(at, Event::Down(n, Box::new(down)));
            }
            Event::Down(n, mut down) => {
                self.answered(1 + RELAYS + n);
                down.shape = self.shards[n].share(down.shape);
                self.shard(n, |host, at| ((), host.came_down(at, Ok(*down))));
            }
            Event::Say(n) => self.says(n),
            Event::Echo(n, socket, nonce) => {
                let frames = self.shards[n].viewers / self.shards[n].sockets;
                self.work(1 + RELAYS + n, frames * self.model.frame);
                let text = json!({"event": "probe", "data": {"nonce": nonce}}).to_string();
                self.shard(n, |host, at| ((), host.frame(at, socket, &text)));
            }
            Event::Upgrade(viewer) => {
                // The room says how it is split.
                self.seen.asked += 1;
                self.take(0, 0);
                self.work(0, self.model.taken);
                let key = self.caller(viewer).shard_key();
                let shape = self.room.compute(|host, _| host.serves(key, 0)).unwrap_err();
                let at = self.now + 2 * self.way();
                self.put(at, Event::Join(shape.shard_of(key).unwrap() as usize, viewer));
            }
            Event::Join(n, viewer) => {
                self.seen.joins += 1;
                self.take(1 + RELAYS + n, 0);
                self.work(1 + RELAYS + n, self.model.join);
                self.shards[n].viewers += 1;
                if n < self.model.full {
                    self.shards[n].sockets += 1;
                    self.join(n, viewer);
                }
            }
        }
    }

    fn relay_answers(&mut self, relay: usize, call: u64) {
        self.calls.get_mut(&call).unwrap().answered = true;
        let at = self.objects[1 + relay].free.max(self.now) + self.way();
        self.put(at, Event::PushedAtRoom(call));
    }

    /// A call that nobody waits for any more.
    fn forget(&mut self, call: u64) {
        if self.calls[&call].left == 0 && self.calls[&call].heard {
            self.calls.remove(&call);
        }
    }

    /// A shard does nothing for so long, µs.
    pub fn stall(&mut self, n: usize, takes: u64) {
        self.work(1 + RELAYS + n, takes);
    }

    fn pushes(&mut self, n: usize, call: u64) {
        let Outgoing { relay, to, body } = &self.calls[&call].outgoing;
        let relay = relay.unwrap() as usize;
        let slot = to.iter().position(|follower| *follower == Follower::Shard(n as u32)).unwrap();
        let body: Rc<str> = body.clone();
        let mut push: Push = serde_json::from_str(&body).unwrap();
        push.shape = self.shards[n].share(push.shape);
        self.take(1 + RELAYS + n, body.len());
        self.work(1 + RELAYS + n, self.model.taken);
        let (mut pushed, done) = self.shard(n, |host, at| host.pushed(at, push));
        assert!(!self.shards[n].host.needs_begin());
        self.shards[n].scale(&mut pushed.crowd);
        let at = done + self.way();
        self.put(at, Event::PushedAtRelay(relay, call, slot, Box::new(pushed)));
    }

    fn says(&mut self, n: usize) {
        let talkers = self.shards[n].talkers.len() as u64;
        let Some(index) = (talkers > 0).then(|| self.below(talkers) as usize) else { return };
        let socket = self.shards[n].talkers[index];
        self.order += 1;
        self.said.insert(self.order, self.now);
        let content = format!("message {} of about the length that people write in a chat", self.order);
        let text = json!({"id": self.order, "event": "send_message", "data": {"content": content}}).to_string();
        self.shard(n, |host, at| ((), host.frame(at, socket, &text)));
    }

    /// A viewer somewhere says something at `at`.
    pub fn say_at(&mut self, at: u64) {
        let mut n = self.below(self.shards.len() as u64) as usize;
        while self.shards[n].talkers.is_empty() {
            n = (n + 1) % self.shards.len();
        }
        self.put(at, Event::Say(n));
    }

    /// Somebody new comes at `at`, through one of the Worker's isolates.
    pub fn join_at(&mut self, at: u64) {
        let (viewer, isolate) = (self.next_viewer, self.below(self.model.isolates));
        self.next_viewer += 1;
        let believes = self.isolates.get(&isolate).is_some_and(|until| at < *until);
        let at = at + self.way();
        if believes {
            let n = self.shape.shard_of(self.caller(viewer).shard_key()).unwrap();
            self.put(at, Event::Join(n as usize, viewer));
        } else {
            self.isolates.insert(isolate, at + self.model.believed);
            self.put(at, Event::Upgrade(viewer));
        }
    }

    pub fn run_until(&mut self, until: u64) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= until) {
            let ((at, order), event) = entry.remove_entry();
            let free = self.objects[Self::object_of(&event)].free;
            if free > at {
                self.events.insert((free, order), event);
                continue;
            }
            self.now = at.max(self.now);
            self.room.now = self.now / MS;
            self.happens(event);
        }
        self.now = until;
    }

    pub fn begin_count(&mut self) {
        self.seen = Seen::default();
        self.counted_from = self.now;
        self.objects.iter_mut().for_each(|object| object.load = Load::default());
    }

    pub fn counted(&self) -> u64 {
        self.now - self.counted_from
    }

    pub fn room_load(&self) -> Load {
        self.objects[0].load
    }

    pub fn relay_loads(&self) -> impl Iterator<Item = Load> {
        self.objects[1..=RELAYS].iter().map(|object| object.load).filter(|load| load.taken > 0)
    }

    pub fn shard_loads(&self) -> impl Iterator<Item = Load> {
        self.objects[1 + RELAYS..].iter().map(|object| object.load)
    }

    /// Of each event: how long until its last viewer had it, µs.
    pub fn last_viewers(&self) -> Vec<u64> {
        self.seen.last.values().copied().collect()
    }

    /// Whether every shard has shown everything.
    pub fn all_shown(&mut self) -> bool {
        let last = self.room.compute(|host, _| host.position().unwrap()).seq;
        self.shards.iter().all(|shard| shard.shown == last)
    }
}
