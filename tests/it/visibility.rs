//! Whoever looks at a log, in whichever way and whenever, sees what `view` says: live, resumed, joined anew, by page.

use crate::memory::MemoryLog;
use crate::world::{ROOM, START, World, random, settings};
use edge_chat::audience::{Audience, Fanout, Out, SocketId, To};
use edge_chat::auth::Role;
use edge_chat::protocol::call::{PageQuery, Standing};
use edge_chat::protocol::wire::json;
use edge_chat::protocol::{
    Audience as SeenBy, Body, LogEvent, Message, MessageId, MessageType, Position, RoomId, User,
};
use edge_chat::room::{Resumed, Room, Row, Viewer, Write, new_info, view};
use edge_chat::user::Blocks;
use serde_json::Value;
use std::collections::BTreeMap;

/// Who looks: a name (none for a guest) and a role.
const VIEWERS: [(&str, Role); 4] =
    [("", Role::Guest), ("ada", Role::Member), ("bob", Role::Member), ("mod", Role::Moderator)];

/// Ada does not want to hear Eve, Bob and the moderator do not want to hear Dan.
fn blocks(user: &str) -> Blocks {
    Blocks::of(match user {
        "ada" => vec!["eve", "somebody else"],
        "bob" | "mod" => vec!["dan"],
        _ => vec![],
    })
}

fn viewer<'a>(user: &'static str, role: Role, blocks: &'a Blocks) -> Viewer<'a> {
    Viewer { user_id: (!user.is_empty()).then_some(user), role, blocks }
}

/// What a member said, as the log has it: the `no`-th message, at `at`.
pub fn message((seq, no, at): (u64, u64, u64), author: &str, content: &str) -> Message {
    Message {
        message_id: MessageId::new(at, seq, &[7; 32]),
        no,
        user: User { user_id: author.into(), username: author.into(), avatar: None, roles: vec![Role::Member] },
        content: content.into(),
        text: None,
        kind: MessageType::Text,
        mentions: vec![],
        reply_to: None,
        answers: None,
        sent_by: None,
        client_id: None,
        metadata: serde_json::Map::new(),
        original: None,
        reasons: vec![],
        held_id: None,
        edited_at: None,
        edit_seq: None,
        franking: None,
        deleted_at: None,
    }
}

/// A log of random messages for random eyes, which others than moderators see late.
fn random_events(seed: u64, late: u64) -> Vec<LogEvent> {
    let mut state = seed;
    let mut pick = |n: u64| random(&mut state) % n;
    let (mut at, mut visible_at, mut no, mut events) = (START, START, 0, Vec::new());
    for seq in 1..=24 {
        at += pick(400);
        visible_at = visible_at.max(at + if late == 0 { 0 } else { pick(late) });
        let audience = match pick(8) {
            0 => SeenBy::Moderators,
            1 => SeenBy::User("ada".into()),
            2 => SeenBy::User("mod".into()),
            3 => SeenBy::Internal,
            _ => SeenBy::All,
        };
        let author = ["eve", "dan", "zoe"][pick(3) as usize];
        let body = if pick(9) == 0 {
            Body::Gone { user_id: author.into() }
        } else {
            no += 1;
            let kind = if pick(6) == 0 { MessageType::System } else { MessageType::Text };
            Body::NewMessage(Box::new(Message { kind, ..message((seq, no, at), author, &format!("m{seq}")) }))
        };
        events.push(LogEvent { seq, at, visible_at, audience, body });
    }
    events
}

fn no_of(events: &[LogEvent]) -> u64 {
    let messages = events.iter().filter(|event| matches!(event.body, Body::NewMessage(_)));
    messages.count() as u64
}

/// A storage that holds these events, three to a row.
pub fn stored(events: &[LogEvent]) -> MemoryLog {
    let log = MemoryLog::default();
    let info = new_info("R".into(), edge_chat::protocol::RoomType::Video, None, START);
    let state = vec![("room".into(), Some(json(&info))), ("epoch".into(), Some(START.to_string()))];
    log.write(&Write { state, ..Write::default() });
    for (index, row) in events.chunks(3).enumerate() {
        let no = no_of(&events[..index * 3 + row.len()]);
        log.write(&Write {
            append: Some(Row { last: row[row.len() - 1].seq, no, events: row.to_vec() }),
            ..Write::default()
        });
    }
    log
}

/// A viewer's end of a socket, by the rules of the protocol: the seqs that it has been shown, in order.
#[derive(Clone, Debug, Default)]
struct Follower {
    seq: u64,
    seen: Vec<u64>,
}

impl Follower {
    /// Takes a frame; false at a gap.
    fn take(&mut self, frame: &str) -> bool {
        let mut to = None;
        for line in frame.split('\n') {
            let line: Value = serde_json::from_str(line).unwrap();
            if let Some(at) = line.get("at") {
                if at["from"].as_u64().unwrap() > self.seq {
                    return false;
                }
                to = at["to"].as_u64();
                continue;
            }
            let seq = line["seq"].as_u64().unwrap();
            if seq <= self.seq {
                continue;
            }
            if seq > self.seq + 1 && to.is_none_or(|to| seq > to) {
                return false;
            }
            self.seq = seq;
            self.seen.push(seq);
        }
        self.seq = self.seq.max(to.unwrap_or(0));
        true
    }
}

fn seqs(lines: impl IntoIterator<Item = String>) -> Vec<u64> {
    let parsed = lines.into_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap());
    parsed.map(|line| line["seq"].as_u64().unwrap()).collect()
}

/// One random log, shown live with a look by every other way at each step.
fn check(seed: u64, late: u64) -> Result<(), String> {
    let events = random_events(seed, late);
    let mut state = seed ^ 0x5eed;
    let mut audience = Audience::default();
    let mut followers: BTreeMap<SocketId, Follower> = BTreeMap::new();
    let world = World::new();
    for (id, (user, role)) in (1..).zip(VIEWERS) {
        let identity = (!user.is_empty()).then(|| world.identity(user, 60));
        audience.open(id, identity.clone(), String::new(), START);
        audience.join(id, identity, role);
        let standing = Standing { version: 1, signed_out_at: None, blocks: blocks(user) };
        audience.set_blocks(user, Some(standing).filter(|standing| !standing.blocks.is_empty()));
        followers.insert(id, Follower::default());
    }
    let mut fanout = Fanout::begin(START, 0, Vec::new());
    let (mut now, mut said) = (START, 0);
    while said < events.len() || fanout.next(&audience, now).is_some() {
        let batch = (1 + random(&mut state) % 3).min((events.len() - said) as u64) as usize;
        let new = events[said..said + batch].to_vec();
        said += batch;
        now = new.last().map_or(now + random(&mut state) % 3_000, |event| event.at.max(now));
        if said > 0 && random(&mut state).is_multiple_of(6) {
            // The object is built anew before these are said.
            let before = &events[..said - batch];
            let waiting = before.iter().filter(|event| event.visible_at > now).cloned().collect();
            let shown: Vec<_> = followers.values().map(|follower| follower.seq).collect();
            let mut out = Vec::new();
            if fanout.take(Vec::new(), &mut audience, now) {
                fanout.show(ROOM, &mut audience, now, None, &mut out);
            }
            deliver(&mut followers, out).map_err(|id| format!("gap of {id} at {shown:?}"))?;
            fanout = Fanout::begin(START, before.last().map_or(0, |event| event.seq), waiting);
            // Whoever was not told of the hidden end of the log asks for it.
            for (follower, (_, role)) in followers.values_mut().zip(VIEWERS) {
                follower.seq = follower.seq.max(fanout.shown(role.at_least(Role::Moderator)));
            }
        }
        let mut out = Vec::new();
        if fanout.take(new, &mut audience, now) {
            fanout.show(ROOM, &mut audience, now, None, &mut out);
        }
        deliver(&mut followers, out).map_err(|id| format!("a gap in what {} is shown", VIEWERS[id as usize - 1].0))?;

        let log = stored(&events[..said]);
        let mut room = Room::load(&RoomId::parse(ROOM).unwrap(), settings(&[]), &log, now).unwrap().unwrap();
        for (follower, (user, role)) in followers.values().zip(VIEWERS) {
            let blocks = blocks(user);
            let viewer = viewer(user, role, &blocks);
            let visible: Vec<u64> = events[..said]
                .iter()
                .filter(|event| view(event, viewer, now).is_some())
                .map(|event| event.seq)
                .collect();
            let Resumed::Events(events) =
                room.resume(&log, Position { epoch: START, seq: 0 }, u64::MAX, viewer, now).unwrap()
            else {
                return Err("no resume".into());
            };
            let lines: Vec<Value> = serde_json::from_str(events.get()).unwrap();
            let resumed = seqs(lines.iter().map(ToString::to_string));
            let snapshot = room.snapshot(&log, u64::MAX, viewer, now).unwrap();
            let snapshot = seqs(snapshot.messages.iter().map(ToString::to_string));
            let page = room.page(&log, PageQuery::Page { page: 1, limit: 100 }, viewer, now).unwrap();
            let mut page = seqs(page.held.iter().map(ToString::to_string));
            page.reverse();
            let ways = [("live", &follower.seen), ("resume", &resumed), ("snapshot", &snapshot), ("page", &page)];
            for (way, seen) in ways {
                if *seen != visible {
                    return Err(format!("{user}: {way} shows {seen:?}, view {visible:?}"));
                }
            }
        }
    }
    Ok(())
}

fn deliver(followers: &mut BTreeMap<SocketId, Follower>, out: Vec<Out>) -> Result<(), SocketId> {
    for out in out {
        let Out::Send(To::Many(ids), frame) = out else { panic!("a frame for many") };
        for id in ids.iter() {
            if !followers.get_mut(id).unwrap().take(&frame) {
                return Err(*id);
            }
        }
    }
    Ok(())
}

#[test]
fn v7_every_way_to_look_agrees_with_view() {
    for seed in 0..20 {
        for late in [0, 1_500] {
            if let Err(why) = check(seed, late) {
                panic!("seed {seed}, up to {late} ms late: {why}");
            }
        }
    }
}

#[test]
fn what_is_hidden_when_a_room_goes_to_sleep_is_shown_when_its_time_comes() {
    let mut w = World::new();
    let ada = w.join("ada");
    let moderator = w.join("mod");
    w.say(ada, "one");
    let mut events = random_events(1, 0).into_iter();
    let mut event = events.find(|event| matches!(event.body, Body::NewMessage(_))).unwrap();
    let Body::NewMessage(message) = &mut event.body else { panic!("a message") };
    message.kind = MessageType::Text;
    (message.no, event.seq, event.at, event.visible_at) = (2, 3, w.now, w.now + 4_000);
    event.audience = SeenBy::All;
    w.evict();
    w.log.append(&Row { last: 3, no: 2, events: vec![event] });
    w.take(ada);
    let (a, b) = (w.open("bob"), w.open("mod2"));
    let (plain, early) = (w.ask(a, "join_room", Value::Null), w.ask(b, "join_room", Value::Null));
    let count = |reply: &Result<Value, Value>| reply.as_ref().unwrap()["messages"].as_array().unwrap().len();
    assert_eq!((count(&plain), count(&early)), (1, 2));
    w.take(moderator);
    w.advance(3_999);
    assert!(w.events(ada, "new_message").is_empty());
    // Who asks at the very moment gets it once.
    w.now += 1;
    let from = plain.unwrap();
    let reply = w.ask(a, "catch_up", serde_json::json!({"epoch": from["epoch"], "seq": from["seq"]})).unwrap();
    assert_eq!((&reply["events"][0]["seq"], &reply["seq"]), (&3.into(), &3.into()));
    w.advance(1_000);
    assert_eq!(w.events(ada, "new_message").len(), 1);
    assert!(w.events(moderator, "new_message").is_empty());
}
