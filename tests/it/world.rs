//! A room with its clients and the time, driven as the object drives it: computed, written, only then shown.

use crate::endpoint::Endpoint;
use crate::memory::MemoryLog;
use crate::postgres::Postgres;
use crate::redis::Redis;
use edge_chat::audience::{Attachment, Out, SocketId, To};
use edge_chat::auth::{Bearer, Identity, Role, sign, verify};
use edge_chat::host::{AskUser, Drained, Effects, Host, Moment, Waking};
use edge_chat::protocol::call::{
    Ask, Caller, Nothing, PageQuery, RoomCall, SendBody, Standing, UserAsk, UserCall, VERSION,
};
use edge_chat::protocol::inbox::Note;
use edge_chat::protocol::{ChatError, RoomId};
use edge_chat::settings::Settings;
use edge_chat::sinks::{Sink, history};
use edge_chat::user::User;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

pub const ROOM: &str = "video_123";
pub const START: u64 = 1_767_323_045_678;
const SECRET: &str = "0f8c51b7e6a94d23b0c7f1d2e3a4958670617283";

/// What a client's end of a socket has seen.
#[derive(Debug, Default)]
pub struct Wire {
    pub attachment: String,
    /// Frames that nobody has taken yet.
    pub frames: Vec<String>,
    pub closed: Option<(u16, Value)>,
    /// The other end is dead without a word, since then: it pinged every 15 s until that time.
    pub dead: Option<u64>,
    /// It does not ping.
    pub mute: bool,
}

impl Wire {
    /// When the platform answered a ping of it last, ms.
    fn pinged(&self, now: u64) -> Option<u64> {
        (!self.mute).then(|| self.dead.map_or(now, |dead| dead.min(now)))
    }
}

pub struct World {
    pub now: u64,
    /// The room's id.
    room: String,
    pub log: MemoryLog,
    pub pg: Postgres,
    pub pg_down: bool,
    pub redis: Redis,
    pub endpoint: Endpoint,
    pub host: Option<Host>,
    pub settings: Rc<Settings>,
    pub wires: BTreeMap<SocketId, Wire>,
    pub soon: Option<u64>,
    pub alarm: Option<u64>,
    pub faults: Vec<String>,
    /// Rows written by steps, wakes and alarms, as the platform counts them.
    pub rows: usize,
    /// How often the object was built anew.
    pub wakes: u32,
    /// What PostgreSQL was told of who is here.
    pub reports: Vec<String>,
    /// How often PostgreSQL was asked what is over its time.
    pub looks: u32,
    /// Every body that went to PostgreSQL.
    pub batches: Vec<String>,
    /// The objects of users who did something of their own.
    pub users: BTreeMap<String, User>,
    /// Users' objects do not answer when rooms ask them.
    pub users_away: bool,
    /// What users' objects were told of.
    pub notes: Vec<(String, Note)>,
    /// Who was let in, as their objects have heard.
    pub entries: Vec<String>,
    /// Tokens that have been checked already, for callers.
    known: BTreeMap<String, Identity>,
    /// The alarm as the object knows it: after a wake it arms it anew.
    armed: Option<u64>,
    random: u64,
    asked: i64,
}

/// The next number of a small generator (splitmix64); equal states give equal numbers for ever.
pub fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn entropy(state: &mut u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&random(state).to_be_bytes());
    }
    bytes
}

pub fn settings(set: &[(&str, &str)]) -> Rc<Settings> {
    let own = |name: &str| set.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
    let default = |name: &str| match name {
        "JWT_SECRET" => Some(SECRET.to_owned()),
        "AUTO_CREATE_ROOMS" => Some("true".to_owned()),
        // Tests say the same over and over; those of the filters switch them on.
        "ENABLE_PROFANITY_FILTER" | "ENABLE_SPAM_DETECTION" => Some("false".to_owned()),
        _ => None,
    };
    Rc::new(Settings::from_lookup(|name| own(name).or_else(|| default(name))).unwrap())
}

/// The role that a test's user has by name: `mod`, `svc`, `admin`, and members.
fn role_of(user: &str) -> Role {
    match user {
        "mod" | "mod2" => Role::Moderator,
        "svc" => Role::Service,
        "admin" => Role::Admin,
        _ => Role::Member,
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(&[], 1)
    }

    /// The object of a room of another name.
    pub fn named(room: &str) -> Self {
        Self { room: room.into(), ..Self::new() }
    }

    pub fn with(set: &[(&str, &str)], seed: u64) -> Self {
        Self {
            now: START,
            room: ROOM.into(),
            log: MemoryLog::default(),
            pg: Postgres::default(),
            pg_down: false,
            redis: Redis::default(),
            endpoint: Endpoint::default(),
            host: None,
            settings: settings(set),
            wires: BTreeMap::new(),
            soon: None,
            alarm: None,
            faults: Vec::new(),
            rows: 0,
            wakes: 0,
            reports: Vec::new(),
            looks: 0,
            batches: Vec::new(),
            users: BTreeMap::new(),
            users_away: false,
            notes: Vec::new(),
            entries: Vec::new(),
            known: BTreeMap::new(),
            armed: None,
            random: seed,
            asked: 0,
        }
    }

    /// A token for this user that lasts so many seconds.
    pub fn token(&self, user: &str, seconds: u64) -> String {
        let name = format!("{}{}", user[..1].to_uppercase(), &user[1..]);
        let bearer = Bearer { sub: user, username: &name, roles: vec![role_of(user)], rooms: BTreeMap::new() };
        sign(&self.settings.keys, &bearer, self.now / 1000, self.now / 1000 + seconds).unwrap()
    }

    pub fn identity(&self, user: &str, seconds: u64) -> Identity {
        let claims = verify(&self.token(user, seconds), &self.settings.keys, self.now).unwrap();
        Identity::for_room(&claims, ROOM)
    }

    /// Whoever calls; an empty name is a guest.
    pub fn caller(&mut self, user: &str) -> Caller {
        let known = self.known.get(user).filter(|who| who.exp_ms > self.now + 3_600_000).cloned();
        let identity = (!user.is_empty()).then(|| known.unwrap_or_else(|| self.identity(user, 86_400)));
        self.known.extend(identity.clone().map(|who| (user.to_owned(), who)));
        let standing = self.standing(user);
        Caller { identity, guest: "AAAAAAAAAAAAAAAAAAAAAA".into(), standing, ..Caller::default() }
    }

    /// What the Worker hears of a user who comes here, if the user has an object.
    pub fn standing(&mut self, user: &str) -> Option<Standing> {
        self.standing_for(user, None)
    }

    fn standing_for(&mut self, user: &str, room: Option<String>) -> Option<Standing> {
        let (now, ask) = (self.now, UserAsk::Standing { room });
        let (answer, _) = self.users.get_mut(user)?.call(UserCall { v: VERSION, iat_ms: None, ask }, now);
        serde_json::from_str(answer.unwrap().get()).ok()
    }

    /// The room has let the user in, and hears what the user's object says; one who did nothing yet has none.
    fn entered(&mut self, user: &str) {
        if self.users_away {
            return self.step(|host, at| ((), host.entered(at, user, None)));
        }
        self.entries.push(user.to_owned());
        if let Some(standing) = self.standing_for(user, Some(ROOM.into())) {
            self.step(|host, at| ((), host.entered(at, user, Some(standing))));
            self.push(user);
        }
    }

    /// Asks a user's object with a token of this moment; the room hears of what that changes.
    pub fn own(&mut self, user: &str, ask: UserAsk) -> Result<Value, ChatError> {
        let iat_ms = Some(self.now / 1_000 * 1_000);
        let answer = self.object(user, UserCall { v: VERSION, iat_ms, ask });
        self.push(user);
        answer.map(|raw| serde_json::from_str(raw.get()).unwrap())
    }

    fn object(&mut self, user: &str, call: UserCall) -> Result<Box<serde_json::value::RawValue>, ChatError> {
        let now = self.now;
        let new = || User::load(user.to_owned(), Vec::new(), now).unwrap();
        self.users.entry(user.to_owned()).or_insert_with(new).call(call, now).0
    }

    fn push(&mut self, user: &str) {
        let now = self.now;
        for (room, standing) in self.users.get_mut(user).unwrap().pushes(now) {
            assert_eq!(room, ROOM);
            let version = standing.version;
            let here = self.step(|host, at| host.user(at, user, standing));
            self.users.get_mut(user).unwrap().pushed(ROOM, version, Some(here), now);
        }
    }

    fn answer(&mut self, asked: AskUser) {
        let user = asked.user_id.clone();
        let call = UserCall { v: VERSION, iat_ms: asked.call.iat_ms, ask: asked.call.ask.clone() };
        let answer = self.object(&user, call).map(|raw| serde_json::from_str(raw.get()).unwrap());
        self.step(|host, at| ((), host.answered(at, asked, answer)));
        self.push(&user);
    }

    fn load(&mut self) {
        if self.host.is_none() {
            let attachments = self.wires.values().filter(|wire| wire.closed.is_none() && !wire.attachment.is_empty());
            let attachments: Vec<Attachment> =
                attachments.map(|wire| serde_json::from_str(&wire.attachment).unwrap()).collect();
            let at = Moment { now: self.now, entropy: entropy(&mut self.random), log: &self.log };
            let id = RoomId::parse(&self.room).unwrap();
            let host = Host::load(id, self.settings.clone(), &at, attachments, Waking::default());
            let host = self.host.insert(host.unwrap());
            if !host.is_empty() {
                host.woke(Waking::default());
            }
            self.wakes += 1;
            self.armed = None;
            // Of counting the wake.
            self.rows += 1;
            let all = self.wires.iter().filter(|(_, wire)| wire.closed.is_none()).map(|(id, _)| *id).collect();
            self.look(all);
        }
    }

    /// The room hears when its sockets pinged last.
    fn look(&mut self, sockets: Vec<SocketId>) {
        let pings: Vec<_> =
            sockets.iter().map(|id| (*id, self.wires.get(id).and_then(|wire| wire.pinged(self.now)))).collect();
        self.step(|host, at| ((), host.look(at, &pings)));
    }

    /// One step without its effects.
    pub fn compute<T>(&mut self, step: impl FnOnce(&mut Host, &Moment<'_>) -> T) -> T {
        self.load();
        let at = Moment { now: self.now, entropy: entropy(&mut self.random), log: &self.log };
        step(self.host.as_mut().unwrap(), &at)
    }

    /// One step: computed, written, shown.
    pub fn step<T>(&mut self, step: impl FnOnce(&mut Host, &Moment<'_>) -> (T, Effects)) -> T {
        let (value, effects) = self.compute(step);
        self.count_rows(&effects);
        self.log.write(&effects.write);
        self.carry_out(effects);
        value
    }

    fn count_rows(&mut self, effects: &Effects) {
        let write = &effects.write;
        self.rows += usize::from(write.append.is_some()) + write.rewrite.len() + write.state.len();
    }

    pub fn carry_out(&mut self, effects: Effects) {
        self.faults.extend(effects.faults);
        for out in effects.out {
            match out {
                Out::Send(To::One(id), line) => self.deliver(id, &line),
                Out::Send(To::Many(ids), line) => ids.iter().for_each(|id| self.deliver(*id, &line)),
                Out::Close(id, code, reason) => {
                    let wire = self.wires.get_mut(&id).expect("a socket that is there is closed");
                    assert!(wire.closed.is_none(), "closed twice");
                    wire.closed = Some((code, serde_json::from_str(&reason).unwrap()));
                }
                Out::Attach(id, attachment) => {
                    assert!(attachment.len() <= 2_048);
                    self.wires.entry(id).or_default().attachment = attachment;
                }
            }
        }
        self.reports.extend(effects.presence);
        if effects.broken {
            // As the platform: the object ends, and its sockets with it.
            self.evict();
            for wire in self.wires.values_mut().filter(|wire| wire.closed.is_none()) {
                wire.closed = Some((1006, Value::Null));
            }
            return;
        }
        self.notes.extend(effects.notes);
        let earlier = |old: Option<u64>, new: Option<u64>| old.into_iter().chain(new).min();
        self.soon = earlier(self.soon, effects.soon);
        if effects.alarm.is_some() && earlier(self.armed, effects.alarm) != self.armed {
            self.armed = effects.alarm;
            self.rows += 1;
        }
        self.alarm = earlier(self.alarm, effects.alarm);
        if !effects.look.is_empty() {
            self.look(effects.look);
        }
        effects.asks.into_iter().for_each(|asked| self.answer(asked));
        effects.entered.iter().for_each(|user| self.entered(user));
    }

    /// As the platform: what is sent after the close does not arrive.
    fn deliver(&mut self, id: SocketId, line: &str) {
        let wire = self.wires.get_mut(&id).expect("a frame goes to a socket that is there");
        if wire.closed.is_none() {
            wire.frames.push(line.to_owned());
        }
    }

    /// Time passes; timers, alarms and drains happen when they are due.
    pub fn advance(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(due) = self.soon.into_iter().chain(self.alarm).min().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            if self.soon.is_some_and(|at| at <= due) {
                self.soon = None;
                self.tick();
            } else {
                self.alarm = None;
                self.armed = None;
                self.tick();
                self.drain();
                self.expire();
                self.bridge();
                self.hook();
            }
        }
        self.now = until;
    }

    pub fn tick(&mut self) {
        self.step(|host, at| ((), host.tick(at)));
    }

    /// Drains as far as PostgreSQL takes it.
    pub fn drain(&mut self) {
        while let Some(batch) = self.compute(|host, at| host.batch(at, Sink::Postgres).unwrap()) {
            self.batches.push(batch.body.clone());
            let drained = if self.pg_down {
                Drained::Failed("no connection".into())
            } else {
                let (epoch, seq) = self.pg.apply(&batch.body);
                Drained::Cursor { epoch, seq }
            };
            self.step(|host, at| ((), host.drained(at, Sink::Postgres, drained)));
            if self.pg_down {
                break;
            }
        }
    }

    /// Asks PostgreSQL what is over its time, where that is due.
    pub fn expire(&mut self) {
        if let Some(asked) = self.step(|host, at| host.expiry_ask(at)) {
            self.looks += 1;
            let said = if self.pg_down { Err("no connection".into()) } else { Ok(self.pg.expiry(&asked)) };
            self.step(|host, at| ((), host.expiry_said(at, said)));
        }
    }

    /// Tells Redis as much as it takes.
    pub fn bridge(&mut self) {
        while let Some(batch) = self.compute(|host, at| host.batch(at, Sink::Redis).unwrap()) {
            let drained = self.redis.eval(&batch.body);
            let stop = !matches!(drained, Drained::Cursor { .. });
            self.step(|host, at| ((), host.drained(at, Sink::Redis, drained)));
            if stop {
                break;
            }
        }
    }

    /// Posts as much as the back end takes.
    pub fn hook(&mut self) {
        while let Some(batch) = self.compute(|host, at| host.batch(at, Sink::Webhook).unwrap()) {
            let drained = self.endpoint.post(&batch.body);
            let stop = !matches!(drained, Drained::Cursor { .. });
            self.step(|host, at| ((), host.drained(at, Sink::Webhook, drained)));
            if stop {
                break;
            }
        }
    }

    /// The object loses its memory; storage, sockets with their attachments and the alarm stay.
    pub fn evict(&mut self) {
        self.host = None;
        self.soon = None;
    }

    /// The same, where no timer keeps it.
    pub fn evict_unless_busy(&mut self) {
        if self.soon.is_none() {
            self.evict();
        }
    }

    /// The storage is lost too, and what PostgreSQL remembers comes back.
    pub fn lose_storage(&mut self) {
        self.evict();
        self.log.wipe();
        self.wires.clear();
        self.alarm = None;
        self.pg.close(self.pg.epoch().unwrap_or(0));
        if let Some(remembered) = self.pg.remembered() {
            let remembered = history::read_room(&remembered).unwrap();
            self.step(|host, at| ((), host.remembered(at, remembered)));
        }
    }

    /// An accepted socket; an empty name is a guest.
    pub fn open(&mut self, user: &str) -> SocketId {
        let caller = self.caller(user);
        self.open_as(caller)
    }

    pub fn open_as(&mut self, caller: Caller) -> SocketId {
        // As the platform: the socket is held under its number before the effects are carried out.
        let (id, effects) = self.compute(|host, at| host.open(at, caller)).unwrap();
        self.wires.insert(id, Wire::default());
        self.log.write(&effects.write);
        self.carry_out(effects);
        id
    }

    /// A socket that has joined, with what it was sent at that already read.
    pub fn join(&mut self, user: &str) -> SocketId {
        let id = self.open(user);
        self.ask(id, "join_room", json!({"room_id": ROOM})).unwrap();
        self.take(id);
        id
    }

    pub fn send(&mut self, socket: SocketId, text: &str) {
        self.step(|host, at| ((), host.frame(at, socket, text)));
    }

    /// A frame with an id; the reply's data or its error. Other lines stay to be taken.
    pub fn ask(&mut self, socket: SocketId, event: &str, data: Value) -> Result<Value, Value> {
        self.asked += 1;
        let id = self.asked;
        self.send(socket, &json!({"id": id, "event": event, "data": data}).to_string());
        let frames = &mut self.wires.get_mut(&socket).unwrap().frames;
        let is_reply = |frame: &String| serde_json::from_str::<Value>(frame).is_ok_and(|line| line["reply"] == id);
        let index = frames.iter().position(is_reply).unwrap_or_else(|| panic!("a reply to {event} in {frames:?}"));
        let mut reply: Value = serde_json::from_str(&frames.remove(index)).unwrap();
        match reply.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(reply["data"].take()),
        }
    }

    pub fn say(&mut self, socket: SocketId, content: &str) -> Value {
        self.ask(socket, "send_message", json!({"content": content})).unwrap()
    }

    pub fn code(&mut self, socket: SocketId, event: &str, data: Value) -> String {
        self.ask(socket, event, data).unwrap_err()["code"].as_str().unwrap().to_owned()
    }

    /// The lines that have come since the last look.
    pub fn take(&mut self, socket: SocketId) -> Vec<Value> {
        let frames = std::mem::take(&mut self.wires.get_mut(&socket).unwrap().frames);
        frames.iter().flat_map(|frame| frame.split('\n')).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Of those lines the data of this event's.
    pub fn events(&mut self, socket: SocketId, event: &str) -> Vec<Value> {
        let lines = self.take(socket).into_iter().filter(|line| line["event"] == event);
        lines.map(|mut line| line["data"].take()).collect()
    }

    /// The socket is closed from the client's end.
    pub fn close(&mut self, socket: SocketId) {
        self.wires.get_mut(&socket).unwrap().closed = Some((1000, Value::Null));
        self.step(|host, at| ((), host.closed(at, socket)));
    }

    pub fn closed(&self, socket: SocketId) -> Option<u16> {
        self.wires[&socket].closed.as_ref().map(|(code, _)| *code)
    }

    pub fn call(&mut self, user: &str, ask: Ask) -> Result<Value, ChatError> {
        let caller = self.caller(user);
        let call = RoomCall { v: VERSION, caller, ask };
        let answer = self.step(|host, at| host.call(at, call));
        answer.map(|raw| serde_json::from_str(raw.get()).unwrap())
    }

    pub fn get(&mut self, user: &str) -> Value {
        self.call(user, Ask::Get(Nothing {})).unwrap()
    }

    pub fn page(&mut self, user: &str, query: PageQuery) -> Value {
        self.call(user, Ask::Messages(query)).unwrap()
    }

    pub fn post(&mut self, user: &str, content: &str) -> Result<Value, ChatError> {
        self.call(user, Ask::Send(SendBody { content: content.into(), ..SendBody::default() }))
    }
}

/// The field of each, as text.
pub fn all<'a>(list: &'a [Value], field: &str) -> Vec<&'a str> {
    list.iter().map(|item| item[field].as_str().unwrap()).collect()
}
