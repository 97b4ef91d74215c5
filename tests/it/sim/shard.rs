//! A room with followers: the Worker that looks for a viewer's object, and what goes between the room, its relays, its
//! shards and gateways: late, lost on the way there or back, answered by nobody because a relay died.

use super::event::{Conn, Event};
use super::mutants::Mutant;
use super::room::RoomNode;
use super::{Checked, Sim, ensure};
use edge_chat::host::{Host, Outgoing};
use edge_chat::protocol::call::{Ask, Caller, RoomCall, VERSION};
use edge_chat::protocol::shard::{Begin, Crowd, Down, Follower, Push, Pushed, Shape, Up};
use edge_chat::protocol::{ChatError, ClientFrame, ErrorCode, MessageId, PatchRoom};
use edge_chat::room::{Log as _, Replica, Tail};
use serde_json::value::RawValue;
use serde_json::{Value, json as value};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::rc::Rc;

/// How long one waits for an answer, ms.
const WITHIN: u64 = 5_000;
/// How long the Worker believes what it was told of a room's shape, ms, and how often it looks for one viewer's object.
const BELIEVED: u64 = 10_000;
const DIALS: u32 = 4;

/// The Worker's cache.
#[derive(Default)]
pub(super) struct Worker {
    shape: Shape,
    until: u64,
}

/// What a room waits for.
#[derive(Default)]
pub(super) struct Below {
    pushes: BTreeMap<u64, Pushing>,
}

impl Below {
    pub(super) fn is_idle(&self) -> bool {
        self.pushes.is_empty()
    }
}

struct Pushing {
    to: Vec<Follower>,
    answers: Vec<Option<Pushed>>,
    /// Where who takes it stands then.
    stands: (u64, u64),
    relayed: bool,
}

/// What a shard waits for, and the frames that wait with it.
#[derive(Default)]
pub(super) struct Following {
    beginning: Option<u64>,
    parked: VecDeque<(usize, String)>,
    /// The call that goes up, and how many commands are in it.
    asking: Option<(u64, usize)>,
}

impl Following {
    pub(super) fn is_idle(&self) -> bool {
        self.beginning.is_none() && self.asking.is_none()
    }
}

/// What is on its way between the room and its shards. Who asks is known by a life and a call, so that late answers are.
pub(super) enum Between {
    Push { call: u64, shard: Follower, body: Rc<str>, answered: bool },
    Pushed { call: u64, shard: Follower, pushed: Pushed },
    PushOver(u64),
    Begin { shard: Follower, life: u64, call: u64, answered: bool },
    Begun { life: u64, call: u64, begin: Option<Rc<str>> },
    Up { life: u64, call: u64, body: Rc<str>, answered: bool },
    Down { life: u64, call: u64, down: Option<Rc<str>> },
}

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Push { call, shard, body, answered } => {
                write!(f, "room → {shard:?}: push {call} {answered} {body}")
            }
            Self::Pushed { call, shard, pushed } => write!(f, "{shard:?} → room: push {call} {pushed:?}"),
            Self::PushOver(call) => write!(f, "room: waits no more for push {call}"),
            Self::Begin { shard, call, answered, .. } => write!(f, "{shard:?} → room: begin {call} {answered}"),
            Self::Begun { life, call, begin } => write!(f, "room → life {life}: begin {call} {begin:?}"),
            Self::Up { life, call, body, answered } => write!(f, "life {life} → room: up {call} {answered} {body}"),
            Self::Down { life, call, down } => write!(f, "room → life {life}: down {call} {down:?}"),
        }
    }
}

/// The number of the first gateway's node.
pub(super) const GATEWAYS: usize = 1_000;

/// Which node it is.
pub(super) fn node_of(follower: Follower) -> usize {
    match follower {
        Follower::Shard(n) => n as usize + 1,
        Follower::Gateway(n) => n as usize + GATEWAYS,
    }
}

/// And back; none is the room.
pub(super) fn follower_of(node: usize) -> Option<Follower> {
    let shard = |node: usize| node.checked_sub(1).map(|n| Follower::Shard(n as u32));
    node.checked_sub(GATEWAYS).map_or_else(|| shard(node), |n| Some(Follower::Gateway(n as u32)))
}

fn json(value: &impl serde::Serialize) -> Checked<Rc<str>> {
    serde_json::to_string(value).map(Into::into).map_err(|e| e.to_string())
}

fn read<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Checked<T> {
    serde_json::from_str(text).map_err(|e| format!("{e}: {text}"))
}

impl Sim {
    /// Something happens in this object: for so long it stands in the place of `self.room`.
    pub(super) fn at<T>(&mut self, node: usize, what: impl FnOnce(&mut Self) -> T) -> T {
        if let Some(gateway) = node.checked_sub(GATEWAYS) {
            std::mem::swap(&mut self.room, &mut self.gateways[gateway]);
            let done = what(self);
            self.forget_where_done();
            std::mem::swap(&mut self.room, &mut self.gateways[gateway]);
            return done;
        }
        let Some(shard) = node.checked_sub(1) else { return what(self) };
        while self.shards.len() <= shard {
            self.lives += 1;
            let mut new = RoomNode::new(self.seed, self.shards.len() + 1, self.lives);
            new.lists_closing = self.room.lists_closing;
            self.shards.push(new);
        }
        std::mem::swap(&mut self.room, &mut self.shards[shard]);
        let done = what(self);
        std::mem::swap(&mut self.room, &mut self.shards[shard]);
        done
    }

    /// Which object lives this life; the room where none does any more.
    pub(super) fn who_lives(&self, life: u64) -> usize {
        let mut all = self.shards.iter().chain(&self.gateways);
        all.find(|node| node.life == life).map_or(0, |node| node.index)
    }

    pub(super) fn between(&mut self, what: Between) -> Checked {
        match what {
            Between::Push { call, shard, body, answered } => {
                self.at(node_of(shard), |sim| sim.push_arrives(call, shard, &body, answered))
            }
            Between::Pushed { call, shard, pushed } => self.push_answered(call, shard, pushed),
            Between::PushOver(call) => self.push_over(call),
            Between::Begin { shard, life, call, answered } => self.begin_asked(shard, life, call, answered),
            Between::Begun { life, call, begin } => {
                self.at(self.who_lives(life), |sim| sim.begin_answered(life, call, begin))
            }
            Between::Up { life, call, body, answered } => self.up_arrives(life, call, &body, answered),
            Between::Down { life, call, down } => self.at(self.who_lives(life), |sim| sim.came_down(life, call, down)),
        }
    }

    /// What becomes of a call: whether and after how long it arrives, and whether its answer does.
    fn fate(&mut self) -> Option<(u64, bool)> {
        let there = self.delay();
        let lossy = self.mutant == Mutant::PushIsBelieved && self.chance(30);
        match if self.calm && !lossy { 100 } else { self.pick(if lossy { 3 } else { 100 }) } {
            0..3 => None,
            3..5 => Some((WITHIN + self.pick(20_000), false)),
            5..9 => Some((there, false)),
            _ => Some((there, true)),
        }
    }

    fn next_call(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    fn later(&mut self, ms: u64, what: Between) {
        self.heap.after(ms, Event::Shards(what));
    }

    /// An upgrade reaches the Worker.
    pub(super) fn dial(&mut self, conn: usize) -> Checked {
        if self.worker.until <= self.heap.now {
            self.worker = Worker::default();
        }
        let it = &self.conns[conn];
        let guest = self.clients[it.client].guest.clone();
        let key = Caller { identity: it.identity.clone(), guest, ..Caller::default() }.shard_key();
        let shape = self.worker.shape;
        let through = self.gateways.len() as u64 * u64::from(self.clients[it.client].through_gateways);
        let node = match through {
            0 => shape.shard_of(key).map_or(0, |shard| shard as usize + 1),
            // Its session is at the same gateway as a rule, until that is lost.
            all if self.chance(80) => GATEWAYS + self.conns[conn].client % all as usize,
            all => GATEWAYS + self.pick(all) as usize,
        };
        let it = &mut self.conns[conn];
        (it.node, it.route) = (node, (key, shape.version));
        self.at(node, |sim| sim.accept(conn))
    }

    /// The object that the Worker took a viewer to sends it elsewhere.
    pub(super) fn is_elsewhere(&mut self, conn: usize, shape: Shape) -> Checked {
        self.worker = Worker { shape, until: self.heap.now + BELIEVED };
        self.conns[conn].dials += 1;
        if self.conns[conn].dials > DIALS {
            return self.refuse(conn, 1_000);
        }
        let delay = self.delay();
        self.heap.after(delay, Event::Dial(conn));
        Ok(())
    }

    /// As the room's adapter after a step that says so.
    pub(super) fn push_to_shards(&mut self) -> Checked {
        let outgoing = self.compute(|host, at| host.next_pushes(at))?.unwrap_or_default();
        for Outgoing { relay, to, body } in outgoing {
            let call = self.next_call();
            // A relay dies before it has handed anything on, or after.
            let (there, relay_answers) = match relay {
                Some(_) => self.fate().map_or((None, false), |(ms, answered)| (Some(ms), answered)),
                None => (Some(0), true),
            };
            for shard in &to {
                if let Some(((ms, answered), there)) = self.fate().filter(|_| !self.is_away(*shard)).zip(there) {
                    let answered = answered && relay_answers;
                    self.later(ms + there, Between::Push { call, shard: *shard, body: body.clone(), answered });
                }
            }
            let answers = vec![None; to.len()];
            let push: Push = read(&body)?;
            let stands = (push.epoch, push.to);
            self.room.below.pushes.insert(call, Pushing { to, answers, stands, relayed: relay.is_some() });
            self.later(WITHIN, Between::PushOver(call));
        }
        Ok(())
    }

    fn push_arrives(&mut self, call: u64, shard: Follower, body: &str, answered: bool) -> Checked {
        let push: Push = read(body)?;
        let stands = (push.epoch, push.to);
        let is_gateway = self.room.index >= GATEWAYS;
        let nobody = is_gateway && self.room.host.is_none() && self.conns_here() == 0;
        let lies = is_gateway && self.mutant == Mutant::GatewaySaysNobody && self.chance(30);
        let mut pushed = match nobody || lies {
            true => Some(Pushed::default()),
            false => self.step(|host, at| host.pushed(at, push))?,
        };
        if let Some(pushed) = &mut pushed {
            self.tamper_crowd(&mut pushed.crowd);
        }
        match &mut pushed {
            Some(pushed) if self.mutant == Mutant::ShardTakesAnything && self.room.at.is_some() => {
                pushed.at = Some(stands);
            }
            _ => self.begin_where_needed(),
        }
        if let Some(pushed) = pushed.filter(|_| answered) {
            let delay = self.delay();
            // Over the wire and back.
            let pushed = read(&json(&pushed)?)?;
            self.later(delay, Between::Pushed { call, shard, pushed });
        }
        Ok(())
    }

    /// Connections that this object holds, asleep or not.
    fn conns_here(&self) -> usize {
        let here = |it: &&Conn| it.node == self.room.index && it.accepted && !it.closing && !it.room_knows_end;
        self.conns.iter().filter(here).count()
    }

    fn tamper_crowd(&self, crowd: &mut Crowd) {
        if self.room.index >= GATEWAYS && self.mutant == Mutant::GatewayCountsTwice {
            crowd.users = crowd.strays.hashes().len();
            (crowd.strays, crowd.members) = Default::default();
        }
    }

    fn is_away(&self, follower: Follower) -> bool {
        let Follower::Gateway(n) = follower else { return false };
        !self.calm && self.gateways.get(n as usize).is_some_and(|gateway| gateway.away_until > self.heap.now)
    }

    /// As a gateway's adapter: what it has of a room where nobody of its own is any more goes.
    fn forget_where_done(&mut self) {
        let idle = self.room.following.is_idle() && self.room.following.parked.is_empty() && self.room.asking == 0;
        if idle && self.room.host.as_ref().is_some_and(Host::is_done) && self.conns_here() == 0 {
            self.evict();
        }
    }

    fn push_answered(&mut self, call: u64, shard: Follower, pushed: Pushed) -> Checked {
        let Some(pushing) = self.room.below.pushes.get_mut(&call) else { return Ok(()) };
        if let Some(n) = pushing.to.iter().position(|known| *known == shard) {
            pushing.answers[n] = Some(pushed);
        }
        if pushing.answers.iter().all(Option::is_some) {
            if pushing.relayed {
                let delay = self.delay();
                self.later(delay, Between::PushOver(call));
                return Ok(());
            }
            return self.push_over(call);
        }
        Ok(())
    }

    fn push_over(&mut self, call: u64) -> Checked {
        let Some(Pushing { to, mut answers, stands, .. }) = self.room.below.pushes.remove(&call) else {
            return Ok(());
        };
        if self.mutant == Mutant::PushIsBelieved {
            let taken = || Pushed { at: Some(stands), crowd: Crowd { sockets: 1, ..Crowd::default() }, same: 0 };
            answers.iter_mut().for_each(|answer| *answer = answer.take().or_else(|| Some(taken())));
        }
        self.step(|host, at| ((), host.pushed_to(at, &to, answers)))?;
        Ok(())
    }

    /// As a shard's adapter: a shard that holds sockets and stands nowhere asks the room for the log's end, until it is
    /// told.
    fn begin_where_needed(&mut self) {
        if self.room.host.as_ref().is_some_and(Host::needs_begin) && !self.room.sockets.is_empty() {
            self.ask_begin();
        }
    }

    fn ask_begin(&mut self) {
        if self.room.following.beginning.is_some() {
            return;
        }
        let (life, call) = (self.room.life, self.next_call());
        self.room.following.beginning = Some(call);
        let Some(shard) = follower_of(self.room.index) else { return };
        let away = !self.calm && self.room.away_until > self.heap.now;
        if let Some((ms, answered)) = self.fate().filter(|_| !away) {
            self.later(ms, Between::Begin { shard, life, call, answered });
        }
        self.later(WITHIN, Between::Begun { life, call, begin: None });
    }

    /// Whether the room is there to answer; where its storage is empty PostgreSQL is asked first.
    fn is_there(&mut self) -> Checked<bool> {
        if !self.load()? {
            return Ok(false);
        }
        let empty = self.room.host.as_ref().is_some_and(Host::is_empty);
        if empty && self.room.absent_until <= self.heap.now && !self.room.looking {
            self.look_up();
        }
        Ok(!empty)
    }

    fn begin_asked(&mut self, shard: Follower, life: u64, call: u64, answered: bool) -> Checked {
        if !self.is_there()? {
            return Ok(());
        }
        let begin = self.step(|host, at| host.begin_for(at, shard, None))?;
        if let Some(begin) = begin.filter(|_| answered) {
            let begin = begin.ok().map(|begin| json(&begin)).transpose()?;
            let delay = self.delay();
            self.later(delay, Between::Begun { life, call, begin });
        }
        Ok(())
    }

    fn begin_answered(&mut self, life: u64, call: u64, begin: Option<Rc<str>>) -> Checked {
        if life != self.room.life || self.room.following.beginning != Some(call) {
            return Ok(());
        }
        self.room.following.beginning = None;
        if let Some(text) = begin {
            let Begin { seq, shape, totals, state, rows, reactions, .. } = read(&text)?;
            let epoch = state.iter().find(|(key, _)| key == "epoch").and_then(|(_, epoch)| epoch.parse().ok());
            let epoch = epoch.ok_or("a log's end without its epoch")?;
            if self.room.host.as_ref().is_some_and(|host| host.is_news(epoch, seq)) {
                let (before, name) = (self.room.at, self.room.name());
                ensure!(before <= Some((epoch, seq)), "V4: {name} goes back from {before:?} to {seq}");
                let last = rows.last().and_then(|row| row.events.last()).map_or(0, |event| event.at);
                let keeps = follower_of(self.room.index).map_or(0, Follower::keeps);
                self.room.replica = Some(Replica::begin(Tail { rows, state, reactions }, keeps));
                self.room.at = Some((epoch, seq));
                self.room.now = self.room.now.max(last);
                self.room.grown_at = self.room.now;
                let mut fault = None;
                self.room.begins = true;
                let stepped = self.step(|host, at| {
                    let effects = host.begun(at, shape, totals);
                    ((), effects.map_err(|e| fault = Some(e.to_string())).unwrap_or_default())
                });
                self.room.begins = false;
                stepped?;
                ensure!(fault.is_none(), "V8: a shard cannot begin: {fault:?}");
            }
        }
        if life != self.room.life {
            return Ok(());
        }
        for (conn, text) in std::mem::take(&mut self.room.following.parked) {
            self.heard(conn, &text)?;
        }
        self.begin_where_needed();
        Ok(())
    }

    /// As a shard's adapter: a frame that the shard cannot answer yet waits, and with it what its socket sends next.
    pub(super) fn waits(&mut self, conn: usize, text: &str) -> bool {
        let behind = |host: &Host| {
            let parsed = ClientFrame::parse(text).ok().and_then(|frame| frame.event.ok());
            host.needs_begin() || parsed.is_some_and(|event| host.is_behind(&event))
        };
        let waits = self.room.following.parked.iter().any(|(parked, _)| *parked == conn)
            || self.room.host.as_ref().is_some_and(behind);
        if waits {
            self.room.following.parked.push_back((conn, text.to_owned()));
            self.ask_begin();
        }
        waits
    }

    /// As a shard's adapter after a step that says so.
    pub(super) fn hand_up(&mut self) -> Checked {
        let Some(mut up) = self.compute(|host, at| host.next_up(at))?.flatten() else { return Ok(()) };
        self.tamper_crowd(&mut up.crowd);
        ensure!(self.room.following.asking.is_none(), "V3: two calls of one life are on their way up");
        let (life, call) = (self.room.life, self.next_call());
        self.room.following.asking = Some((call, up.commands.len()));
        let away = !self.calm && self.room.away_until > self.heap.now;
        if let Some((ms, answered)) = self.fate().filter(|_| !away) {
            let body = json(&up)?;
            self.later(ms, Between::Up { life, call, body, answered });
        }
        self.later(WITHIN, Between::Down { life, call, down: None });
        Ok(())
    }

    fn up_arrives(&mut self, life: u64, call: u64, body: &str, answered: bool) -> Checked {
        if !self.is_there()? {
            return Ok(());
        }
        let up: Up = read(body)?;
        let said = up.commands.iter().map(|command| &command.call).map(|call| {
            let user = call.caller.identity.as_ref().map(|who| who.user_id.clone()).unwrap_or_default();
            match &call.ask {
                Ask::Send(body) => body.client_id.clone().map(|name| (user, name)),
                _ => None,
            }
        });
        let said: Vec<_> = said.collect();
        let before = self.truth.last();
        let Some(down) = self.step(|host, at| host.up(at, up))? else { return Ok(()) };
        let down: Down = read(&json(&down)?)?;
        ensure!(down.answers.len() == said.len(), "V2: {} commands have {} answers", said.len(), down.answers.len());
        for (name, answer) in said.iter().zip(&down.answers) {
            let Some(name) = name else { continue };
            let known = self.truth.named.get(name);
            // Who may not be here any more is told so, whatever was said before.
            let out = [ErrorCode::Banned, ErrorCode::TokenExpired];
            if answer.as_ref().is_err_and(|error| out.contains(&error.code)) {
                continue;
            }
            let id = answer.as_ref().ok().and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
            let id = id.and_then(|sent| MessageId::parse(sent["message_id"].as_str().unwrap_or_default()));
            // A copy that was refused may come ahead of one in the same batch that was taken.
            let later = id.is_none() && known.is_some_and(|id| id.seq() > before);
            ensure!(later || known == id.as_ref(), "V3: {name:?} is answered as {answer:?}, and the log has {known:?}");
        }
        if answered {
            let delay = self.delay();
            let down = Some(json(&down)?);
            self.later(delay, Between::Down { life, call, down });
        }
        Ok(())
    }

    fn came_down(&mut self, life: u64, call: u64, down: Option<Rc<str>>) -> Checked {
        if life != self.room.life || self.room.following.asking.is_none_or(|(asking, _)| asking != call) {
            return Ok(());
        }
        let Some((_, commands)) = self.room.following.asking.take() else { return Ok(()) };
        let some = self.truth.messages.keys().next();
        let done = || RawValue::from_string(value!({"message_id": some}).to_string()).map_err(|e| e.to_string());
        let down = match down {
            None if self.mutant == Mutant::CommandIsBelieved && some.is_some() => {
                let answers = (0..commands).map(|_| done().map(Ok)).collect::<Checked<_>>()?;
                Ok(Down { shape: Shape::default(), totals: Default::default(), answers })
            }
            Some(text) => Ok(read::<Down>(&text)?),
            None => Err(ChatError::new(ErrorCode::Unavailable, "The room does not answer.").retry_after(1_000)),
        };
        self.step(|host, at| ((), host.came_down(at, down)))?;
        Ok(())
    }

    /// A trouble of a room that is split.
    pub(super) fn trouble_below(&mut self) -> Checked {
        let (shards, gateways) = (self.shards.len() as u64, self.gateways.len() as u64);
        if gateways > 0 && (!self.truth.splits || self.chance(50)) {
            let gateway = self.pick(gateways) as usize;
            let node = GATEWAYS + gateway;
            match self.pick(10) {
                0..4 => self.at(node, Self::evict_if_idle),
                4..8 => {
                    self.say(format_args!("gateway {gateway}: is ended"));
                    self.at(node, Self::die)?;
                }
                roll => {
                    let ms = if roll == 8 { self.pick(20_000) } else { self.pick(600_000) };
                    self.say(format_args!("gateway {gateway}: is away for {ms} ms"));
                    self.gateways[gateway].away_until = self.heap.now + ms;
                }
            }
            return Ok(());
        }
        if shards == 0 || self.chance(15) {
            // The room is split more, or less after a while.
            let expected = [Value::Null, value!(1), value!(3), value!(9), value!(30)][self.pick(5) as usize].clone();
            let settings = serde_json::Map::from_iter([("expect_viewers".to_owned(), expected)]);
            let body = PatchRoom { name: None, settings: Some(settings) };
            let caller = self.caller("admin");
            self.rest(RoomCall { v: VERSION, caller, ask: Ask::Patch(body) })?;
            return Ok(());
        }
        let shard = self.pick(shards) as usize + 1;
        match self.pick(10) {
            0..5 => self.at(shard, Self::evict_if_idle),
            5..8 => {
                self.say(format_args!("node {shard}: is ended"));
                self.at(shard, Self::die)?;
            }
            _ => {
                let skew = -(self.pick(2_000) as i64);
                self.say(format_args!("node {shard}: its clock leads by {skew} ms"));
                self.at(shard, |sim| sim.room.skew = skew);
            }
        }
        Ok(())
    }

    /// Whether a shard's replica holds everything after `seq`.
    pub(super) fn reaches(&self, seq: u64) -> bool {
        let Some(replica) = &self.room.replica else { return true };
        let first = replica.rows_after(0, 1).ok().and_then(|rows| rows.first().map(|row| row.first()));
        first.is_some_and(|first| first <= seq + 1)
    }
}
