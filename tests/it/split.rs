//! A room with its shards and gateways and tabs that follow it wherever they are sent, driven until nothing more is to
//! be done.

use crate::memory::MemoryLog;
use crate::world::{ROOM, Wire, World, random};
use edge_chat::audience::{Attachment, Out, SocketId, To};
use edge_chat::auth::Identity;
use edge_chat::host::{Effects, Host, Moment, Outgoing, Waking};
use edge_chat::protocol::RoomId;
use edge_chat::protocol::call::Caller;
use edge_chat::protocol::shard::{Begin, Follower, Push, Pushed, Shape, Up};
use edge_chat::room::{Replica, Tail};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Among the shards, from this number on, are what gateways have of the room.
pub const GATEWAYS: u32 = 1_000;

fn follower(n: u32) -> Follower {
    n.checked_sub(GATEWAYS).map_or(Follower::Shard(n), Follower::Gateway)
}

/// One shard, or one gateway's part of the room.
#[derive(Default)]
pub struct Shard {
    pub host: Option<Host>,
    pub replica: Replica,
    kept: MemoryLog,
    pub wires: BTreeMap<SocketId, Wire>,
    pub soon: Option<u64>,
    pub alarm: Option<u64>,
    /// How often it asked for the log's end, and was pushed to.
    pub begins: u32,
    pub pushes: u32,
    /// Calls to it get lost.
    pub away: bool,
}

impl Shard {
    fn has_open(&self) -> bool {
        self.wires.values().any(|wire| wire.closed.is_none())
    }
}

/// A viewer's tab: where it is, and what it has seen.
pub struct Tab {
    pub user: &'static str,
    /// The shard; none at the room itself.
    pub shard: Option<u32>,
    pub socket: SocketId,
    /// The events of the log that it was shown, in order.
    pub seen: Vec<u64>,
    pub at: (u64, u64),
    /// What came besides.
    pub lines: Vec<Value>,
    pub moves: u32,
    key: Option<u64>,
}

pub struct Split {
    pub room: World,
    pub shards: BTreeMap<u32, Shard>,
    pub tabs: Vec<Tab>,
    /// What the Worker remembers of the room's shape.
    pub known: Shape,
    /// Pushes that relays handed on.
    pub relayed: u32,
    /// Pushes get lost on their way.
    pub cut: bool,
    random: u64,
    asked: i64,
}

impl Split {
    pub fn new(set: &[(&str, &str)]) -> Self {
        let room = World::with(set, 7);
        let shards = BTreeMap::new();
        Self { room, shards, tabs: Vec::new(), known: Shape::default(), relayed: 0, cut: false, random: 3, asked: 0 }
    }

    fn entropy(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&random(&mut self.random).to_be_bytes()));
        bytes
    }

    pub fn shape(&mut self) -> Shape {
        self.room.compute(|host, _| host.shape())
    }

    /// One step of a shard, which wakes for it.
    pub fn step<T>(&mut self, n: u32, step: impl FnOnce(&mut Host, &Moment<'_>) -> (T, Effects)) -> T {
        let (now, bytes) = (self.room.now, self.entropy());
        let settings = self.room.settings.clone();
        let shard = self.shards.entry(n).or_default();
        let host = shard.host.get_or_insert_with(|| {
            let open = shard.wires.values().filter(|wire| wire.closed.is_none() && !wire.attachment.is_empty());
            let sockets: Vec<Attachment> = open.map(|wire| serde_json::from_str(&wire.attachment).unwrap()).collect();
            let at = Moment { now, entropy: bytes, log: &shard.kept };
            shard.replica = Replica::default();
            let id = RoomId::parse(ROOM).unwrap();
            // A gateway's part that nobody was in is new.
            let woke = n < GATEWAYS || !sockets.is_empty();
            let host = match follower(n) {
                Follower::Shard(n) => Host::follow(id, n, settings, &at, sockets, Waking::default()),
                Follower::Gateway(n) => Host::gateway(id, n, settings, &at, sockets),
            };
            let mut host = host.unwrap();
            if woke {
                host.woke(Waking::default());
            }
            host
        });
        let (value, effects) = step(host, &Moment { now, entropy: bytes, log: &shard.replica });
        assert_eq!(effects.faults, [""; 0]);
        assert!(!effects.broken);
        shard.replica.write(&effects.write);
        for out in effects.out {
            match out {
                Out::Send(To::One(id), line) => shard.wires.get_mut(&id).unwrap().frames.push(line.to_string()),
                Out::Send(To::Many(ids), line) => {
                    ids.iter().for_each(|id| shard.wires.get_mut(id).unwrap().frames.push(line.to_string()));
                }
                Out::Close(id, code, reason) => {
                    shard.wires.get_mut(&id).unwrap().closed = Some((code, serde_json::from_str(&reason).unwrap()));
                }
                Out::Attach(id, attachment) => shard.wires.entry(id).or_default().attachment = attachment,
            }
        }
        shard.soon = shard.soon.into_iter().chain(effects.soon).min();
        shard.alarm = shard.alarm.into_iter().chain(effects.alarm).min();
        value
    }

    /// A shard asks the room for the log's end.
    pub fn begin(&mut self, n: u32) {
        self.begin_with(n, None);
    }

    fn begin_with(&mut self, n: u32, joins: Option<&Identity>) {
        let begin = self.room.step(|host, at| host.begin_for(at, follower(n), joins)).unwrap();
        let begin: Begin = serde_json::from_str(&serde_json::to_string(&begin).unwrap()).unwrap();
        self.begun(n, begin);
    }

    fn begun(&mut self, n: u32, begin: Begin) {
        let epoch = begin.state.iter().find(|(key, _)| key == "epoch").unwrap().1.parse().unwrap();
        let is_news = self.step(n, |host, _| (host.is_news(epoch, begin.seq), Effects::default()));
        let shard = self.shards.get_mut(&n).unwrap();
        shard.begins += 1;
        if is_news {
            let tail = Tail { rows: begin.rows, state: begin.state, reactions: begin.reactions };
            shard.replica = Replica::begin(tail, follower(n).keeps());
            self.step(n, |host, at| ((), host.begun(at, begin.shape, begin.totals).unwrap()));
        }
    }

    fn push(&mut self, outgoing: &Outgoing) {
        self.relayed += u32::from(outgoing.relay.is_some());
        let mut answers = Vec::new();
        for follower in &outgoing.to {
            let n = match follower {
                Follower::Shard(n) => *n,
                Follower::Gateway(n) => GATEWAYS + n,
            };
            let push: Push = serde_json::from_str(&outgoing.body).unwrap();
            let shard = self.shards.entry(n).or_default();
            shard.pushes += 1;
            answers.push(match shard {
                Shard { away, .. } if self.cut || *away => None,
                // A gateway in which nobody is in this room says so.
                Shard { host: None, .. } if n >= GATEWAYS && !shard.has_open() => Some(Pushed::default()),
                _ => Some(self.step(n, |host, at| host.pushed(at, push))),
            });
        }
        self.room.step(|host, at| ((), host.pushed_to(at, &outgoing.to, answers)));
    }

    /// All that is to be done now.
    pub fn pump(&mut self) {
        for _ in 0..1_000 {
            let mut idle = true;
            for outgoing in self.room.compute(|host, at| host.next_pushes(at)) {
                self.push(&outgoing);
                idle = false;
            }
            for n in self.shards.keys().copied().collect::<Vec<_>>() {
                if n >= GATEWAYS && (self.shards[&n].host.is_none() || self.shards[&n].away) {
                    continue;
                }
                let (up, begins) =
                    self.step(n, |host, at| ((host.next_up(at), host.needs_begin()), Effects::default()));
                if begins && self.shards[&n].has_open() && !self.cut {
                    self.begin(n);
                    idle = false;
                }
                if let Some(up) = up {
                    let up: Up = serde_json::from_str(&serde_json::to_string(&up).unwrap()).unwrap();
                    let down = self.room.step(|host, at| host.up(at, up));
                    let down = serde_json::from_str(&serde_json::to_string(&down).unwrap()).unwrap();
                    self.step(n, |host, at| ((), host.came_down(at, Ok(down))));
                    idle = false;
                }
            }
            for tab in 0..self.tabs.len() {
                idle &= !self.read(tab);
            }
            if idle {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn wire(&mut self, tab: usize) -> &mut Wire {
        let Tab { shard, socket, .. } = self.tabs[tab];
        match shard {
            Some(n) => self.shards.get_mut(&n).unwrap().wires.get_mut(&socket).unwrap(),
            None => self.room.wires.get_mut(&socket).unwrap(),
        }
    }

    /// What has come to a tab; one that is sent elsewhere goes there. Whether anything had come.
    fn read(&mut self, tab: usize) -> bool {
        let wire = self.wire(tab);
        let frames = std::mem::take(&mut wire.frames);
        let closed = wire.closed.as_ref().map(|(code, _)| *code);
        let lines: Vec<Value> =
            frames.iter().flat_map(|frame| frame.split('\n')).map(|line| serde_json::from_str(line).unwrap()).collect();
        let came = !lines.is_empty();
        for line in lines {
            let it = &mut self.tabs[tab];
            if let Some(at) = line.get("at") {
                let (epoch, from, to) =
                    (at["epoch"].as_u64().unwrap(), at["from"].as_u64().unwrap(), at["to"].as_u64().unwrap());
                if epoch != it.at.0 || from > it.at.1 {
                    self.catch_up(tab);
                    continue;
                }
                it.lines.push(json!({"to": to}));
            } else if let Some(seq) = line["seq"].as_u64() {
                it.seen.push(seq);
                it.at.1 = it.at.1.max(seq);
            } else if line["event"] == "goodbye" {
                it.key = line["data"]["shard_key"].as_str().map(|key| u64::from_str_radix(key, 16).unwrap());
                it.lines.push(line);
            } else if line["event"] == "probe" && closed.is_none() {
                self.ask(tab, "probe", line["data"].clone()).unwrap();
            } else {
                it.lines.push(line);
            }
        }
        if closed == Some(4409) {
            self.tabs[tab].moves += 1;
            self.arrive(tab);
            return true;
        }
        came
    }

    fn catch_up(&mut self, tab: usize) {
        let (epoch, seq) = self.tabs[tab].at;
        let data = self.ask(tab, "catch_up", json!({"epoch": epoch, "seq": seq})).unwrap();
        self.take_over(tab, &data);
    }

    fn take_over(&mut self, tab: usize, data: &Value) {
        let it = &mut self.tabs[tab];
        let none = Vec::new();
        it.seen.extend(data["events"].as_array().unwrap_or(&none).iter().map(|line| line["seq"].as_u64().unwrap()));
        it.at = (data["epoch"].as_u64().unwrap(), data["seq"].as_u64().unwrap());
    }

    /// A new tab.
    pub fn join(&mut self, user: &'static str) -> usize {
        let tab = Tab { user, shard: None, socket: 0, seen: vec![], at: (0, 0), lines: vec![], moves: 0, key: None };
        self.tabs.push(tab);
        self.arrive(self.tabs.len() - 1);
        self.tabs.len() - 1
    }

    /// The tab connects, as the Worker routes it, and resumes.
    pub fn arrive(&mut self, tab: usize) -> Value {
        let mut caller: Caller = self.room.caller(self.tabs[tab].user);
        caller.key = self.tabs[tab].key.take();
        for _ in 0..4 {
            let to = self.known.shard_of(caller.shard_key());
            caller.shape = self.known.version;
            let served = match to {
                None => self.room.compute(|host, _| host.serves(caller.shard_key(), caller.shape)),
                Some(n) => {
                    if self.step(n, |host, _| (host.needs_begin(), Effects::default())) {
                        self.begin(n);
                    }
                    let (key, shape) = (caller.shard_key(), caller.shape);
                    self.step(n, |host, _| (host.serves(key, shape), Effects::default()))
                }
            };
            match served {
                Ok(()) => {
                    self.tabs[tab].shard = to;
                    self.tabs[tab].socket = match to {
                        None => self.room.open_as(caller.clone()),
                        Some(n) => {
                            let caller = caller.clone();
                            self.step(n, |host, at| host.open(at, caller).unwrap())
                        }
                    };
                    let (epoch, seq) = self.tabs[tab].at;
                    let resume = (epoch > 0).then(|| json!({"epoch": epoch, "seq": seq}));
                    let joined = match self.ask(tab, "join_room", json!({"room_id": ROOM, "resume": resume})) {
                        Ok(joined) => joined,
                        // It was split just now.
                        Err(error) => {
                            assert_eq!(error["code"], "elsewhere");
                            self.known = self.shape();
                            continue;
                        }
                    };
                    assert!(epoch == 0 || joined["resumed"] == true, "{joined}");
                    self.take_over(tab, &joined);
                    return joined;
                }
                Err(shape) => self.known = shape,
            }
        }
        panic!("nobody serves {}", self.tabs[tab].user);
    }

    /// A new tab whose session is at this gateway.
    pub fn join_at(&mut self, gateway: u32, user: &'static str) -> usize {
        let shard = Some(GATEWAYS + gateway);
        self.tabs.push(Tab { user, shard, socket: 0, seen: vec![], at: (0, 0), lines: vec![], moves: 0, key: None });
        self.enter(self.tabs.len() - 1);
        self.tabs.len() - 1
    }

    /// The session of this tab enters the room, as a gateway's adapter lets it, and resumes.
    pub fn enter(&mut self, tab: usize) -> Value {
        let n = self.tabs[tab].shard.unwrap();
        let caller = self.room.caller(self.tabs[tab].user);
        if self.step(n, |host, _| (host.needs_begin(), Effects::default())) {
            self.begin_with(n, caller.identity.as_ref());
        }
        // A session has the same number in all rooms.
        let socket = 100 + tab as SocketId;
        self.tabs[tab].socket = socket;
        self.shards.get_mut(&n).unwrap().wires.insert(socket, Wire::default());
        self.step(n, |host, at| ((), host.open_as(at, socket, caller).unwrap()));
        let (epoch, seq) = self.tabs[tab].at;
        let resume = (epoch > 0).then(|| json!({"epoch": epoch, "seq": seq}));
        let joined = self.ask(tab, "join_room", json!({"room_id": ROOM, "resume": resume})).unwrap();
        self.take_over(tab, &joined);
        joined
    }

    /// The same for a session that is in the room, as the gateway knows but for what its memory held.
    pub fn enter_again(&mut self, tab: usize) -> Value {
        let n = self.tabs[tab].shard.unwrap();
        if self.step(n, |host, _| (host.needs_begin(), Effects::default())) {
            self.begin(n);
        }
        let (epoch, seq) = self.tabs[tab].at;
        let resume = json!({"epoch": epoch, "seq": seq});
        let joined = self.ask(tab, "join_room", json!({"room_id": ROOM, "resume": resume})).unwrap();
        self.take_over(tab, &joined);
        joined
    }

    /// A tab closes.
    pub fn leave(&mut self, tab: usize) {
        let Tab { shard, socket, .. } = self.tabs[tab];
        match shard {
            None => self.room.close(socket),
            Some(n) => {
                self.shards.get_mut(&n).unwrap().wires.get_mut(&socket).unwrap().closed = Some((1000, Value::Null));
                self.step(n, |host, at| ((), host.closed(at, socket)));
            }
        }
    }

    /// A frame; the reply's data or its error.
    pub fn ask(&mut self, tab: usize, event: &str, data: Value) -> Result<Value, Value> {
        self.asked += 1;
        let id = self.asked;
        let Tab { shard, socket, .. } = self.tabs[tab];
        let text = json!({"id": id, "event": event, "data": data}).to_string();
        match shard {
            None => self.room.send(socket, &text),
            Some(n) => {
                let at = (data["resume"].clone(), data.clone());
                let from = [at.0, at.1].into_iter().find_map(|at| at["seq"].as_u64());
                let last = self.shards.get_mut(&n).unwrap();
                let own = edge_chat::room::Log::rows_before(&last.replica, u64::MAX, 1).unwrap();
                if from.is_some_and(|from| own.first().is_none_or(|row| row.last < from)) {
                    self.begin(n);
                }
                self.step(n, |host, at| ((), host.frame(at, socket, &text)));
            }
        }
        for _ in 0..10 {
            let frames = &mut self.wire(tab).frames;
            let is_reply = |frame: &String| frame.starts_with(&format!(r#"{{"reply":{id},"#));
            if let Some(index) = frames.iter().position(is_reply) {
                let mut reply: Value = serde_json::from_str(&frames.remove(index)).unwrap();
                return match reply.get("error") {
                    Some(error) => Err(error.clone()),
                    None => Ok(reply["data"].take()),
                };
            }
            self.up(shard.expect("the room answers at once"));
        }
        panic!("no reply to {event}");
    }

    fn up(&mut self, n: u32) {
        if let Some(up) = self.step(n, |host, at| (host.next_up(at), Effects::default())) {
            let down = self.room.step(|host, at| host.up(at, up));
            self.step(n, |host, at| ((), host.came_down(at, Ok(down))));
        }
    }

    /// Time passes in steps of 20 ms at most.
    pub fn advance(&mut self, ms: u64) {
        let until = self.room.now + ms;
        while self.room.now < until {
            self.room.advance((until - self.room.now).min(20));
            for n in self.shards.keys().copied().collect::<Vec<_>>() {
                let now = self.room.now;
                let shard = self.shards.get_mut(&n).unwrap();
                let soon = shard.soon.take_if(|at| *at <= now);
                if soon.or(shard.alarm.take_if(|at| *at <= now)).is_some() {
                    self.step(n, |host, at| ((), host.tick(at)));
                }
                // As its adapter.
                if n >= GATEWAYS && self.shards[&n].host.as_ref().is_some_and(Host::is_done) {
                    self.evict(n);
                }
            }
            self.pump();
        }
    }

    /// A shard loses its memory; its sockets stay.
    pub fn evict(&mut self, n: u32) {
        let shard = self.shards.get_mut(&n).unwrap();
        (shard.host, shard.soon) = (None, None);
    }

    /// A shard dies: its sockets go with its memory, and their tabs come back.
    pub fn kill(&mut self, n: u32) {
        self.evict(n);
        self.shards.get_mut(&n).unwrap().wires.clear();
        for tab in 0..self.tabs.len() {
            if self.tabs[tab].shard == Some(n) {
                self.arrive(tab);
            }
        }
    }
}
