//! Coming back: whose answer is shared, what is kept for it, and how far back it reaches.

use crate::memory::MemoryLog;
use crate::visibility::{message, stored};
use crate::world::{ROOM, START, World, settings};
use edge_chat::auth::Role;
use edge_chat::protocol::{Audience, Body, LogEvent, Position, RoomId};
use edge_chat::room::{Resumed, Room, Row, Viewer, Write};
use edge_chat::user::Blocks;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::rc::Rc;

fn said(seq: u64, author: &str, content: &str) -> LogEvent {
    let body = Body::NewMessage(Box::new(message((seq, seq, START), author, content)));
    LogEvent { seq, at: START, visible_at: START, audience: Audience::All, body }
}

/// A room whose log holds these events.
fn room(events: &[LogEvent]) -> (Room, MemoryLog) {
    let log = stored(events);
    let room = Room::load(&RoomId::parse(ROOM).unwrap(), settings(&[]), &log, START).unwrap().unwrap();
    (room, log)
}

fn resume(
    (room, log): &mut (Room, MemoryLog),
    (seq, upto): (u64, u64),
    viewer: Viewer<'_>,
    now: u64,
) -> Option<Rc<RawValue>> {
    match room.resume(log, Position { epoch: START, seq }, upto, viewer, now).unwrap() {
        Resumed::Events(events) => Some(events),
        Resumed::Snapshot(_) => None,
    }
}

fn seqs(events: &RawValue) -> Vec<u64> {
    let events: Vec<Value> = serde_json::from_str(events.get()).unwrap();
    events.iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

/// V7: an answer is encoded once for all who see the same of the log, and given to nobody else.
#[test]
fn v7_who_comes_back_shares_an_answer_with_those_who_see_the_same() {
    let mut events: Vec<_> = (1..=5).map(|seq| said(seq, if seq == 3 { "dan" } else { "zoe" }, "words")).collect();
    events[1].audience = Audience::User("ada".into());
    (events[3].visible_at, events[4].visible_at) = (START + 1_000, START + 2_000);
    let mut room = room(&events);
    let blocked = Blocks::of(["dan"]);
    let of = |user: &'static str, role| Viewer { user_id: Some(user), role, blocks: Blocks::NONE };
    let ada = of("ada", Role::Member);
    let ask = |room: &mut _, viewer, now| resume(room, (0, 5), viewer, now).unwrap();
    for (now, hidden) in [(START, vec![4, 5]), (START + 1_500, vec![5]), (START + 2_000, vec![])] {
        let without = |left_out: &[u64]| -> Vec<u64> {
            (1..=5).filter(|seq| !hidden.contains(seq) && !left_out.contains(seq)).collect()
        };
        // Whose own answer is the first, between and the last.
        for _ in 0..2 {
            assert_eq!(seqs(&ask(&mut room, ada, now)), without(&[]), "{now}");
            assert_eq!(seqs(&ask(&mut room, of("bob", Role::Member), now)), without(&[2]), "{now}");
            let blocking = Viewer { blocks: &blocked, ..of("eve", Role::Member) };
            assert_eq!(seqs(&ask(&mut room, blocking, now)), without(&[2, 3]), "{now}");
            assert_eq!(seqs(&ask(&mut room, Viewer::PLAIN, now)), without(&[2]), "{now}");
            let moderator = ask(&mut room, Viewer::MODERATOR, now);
            assert_eq!(seqs(&moderator), [1, 2, 3, 4, 5], "{now}");
            assert!(Rc::ptr_eq(&moderator, &ask(&mut room, of("mod", Role::Moderator), now)));
        }
        let bob = ask(&mut room, of("bob", Role::Member), now);
        let shared = [of("cleo", Role::Member), Viewer::PLAIN].map(|other| ask(&mut room, other, now));
        assert!(shared.iter().all(|other| Rc::ptr_eq(&bob, other) == hidden.is_empty()), "{now}");
    }
}

/// V5: 512 KiB are what one can have missed, and not a byte more.
#[test]
fn v5_what_is_given_to_one_who_comes_back_ends_at_512_kilobytes() {
    let mut events: Vec<_> = (1..=100).map(|seq| said(seq, "zoe", &"x".repeat(4_850))).collect();
    let ask = |events: &[LogEvent]| resume(&mut room(events), (0, 100), Viewer::PLAIN, START);
    // The array's brackets and commas are not of the events.
    let bytes = ask(&events).unwrap().get().len() - events.len() - 1;
    let last = 4_850 + 512 * 1024 - bytes;
    events[99] = said(100, "zoe", &"x".repeat(last));
    assert_eq!(seqs(&ask(&events).unwrap()).len(), 100);
    events[99] = said(100, "zoe", &"x".repeat(last + 1));
    assert!(ask(&events).is_none());
}

#[test]
fn what_is_kept_for_those_who_come_back_has_an_end() {
    let small: Vec<_> = (1..=1_100).map(|seq| said(seq, "zoe", "x")).collect();
    let large: Vec<_> = (1..=900).map(|seq| said(seq, "zoe", &"x".repeat(8_000))).collect();
    // Of whole answers 200, and half a megabyte.
    let mut kept = room(&small[..900]);
    let mut ask = |from, upto| resume(&mut kept, (from, upto), Viewer::PLAIN, START).unwrap();
    let mut answers: Vec<_> = (0..300).map(|seq| ask(seq, seq + 1)).collect();
    assert!(Rc::strong_count(&answers[299]) > 1);
    assert_eq!(answers.iter().filter(|answer| Rc::strong_count(answer) > 1).count(), 200);
    answers.extend((0..20).map(|seq| ask(seq, 700)));
    assert!(Rc::strong_count(&answers[319]) > 1);
    let kept = answers.iter().filter(|answer| Rc::strong_count(answer) > 1);
    assert!(kept.map(|answer| answer.get().len()).sum::<usize>() <= 512 * 1024);
    // Of the log's end as much as one can have missed; of more, not even all is read.
    let rereads = |events: &[LogEvent], seq, upto| {
        let mut room = room(events);
        let mut reads = || {
            let before = room.1.forward_reads.get();
            resume(&mut room, (seq, upto), Viewer::PLAIN, START);
            room.1.forward_reads.get() - before
        };
        (reads(), reads())
    };
    assert_eq!(rereads(&small[..900], 0, 900), (4, 0));
    assert_eq!(rereads(&small, 0, 900), (5, 5));
    assert_eq!(rereads(&large[..90], 0, 90), (2, 2));
    assert_eq!(rereads(&large, 0, 900), (1, 1));
}

/// V5, V6: what is kept follows the log: new events push out the oldest, and what the log lets go of is gone.
#[test]
fn v5_what_is_kept_for_those_who_come_back_begins_where_the_log_does() {
    let events: Vec<_> = (1..=1_001).map(|seq| said(seq, "zoe", "x")).collect();
    let mut it = room(&events[..1_000]);
    let reads = |it: &mut (Room, MemoryLog), seq, upto| {
        let before = it.1.forward_reads.get();
        let missed = resume(it, (seq, upto), Viewer::PLAIN, START).map(|events| seqs(&events).len());
        (missed, it.1.forward_reads.get() - before)
    };
    let (all, read) = reads(&mut it, 0, 1_000);
    assert!(all == Some(1_000) && read > 0);
    let append = Some(Row { last: 1_001, no: 1_001, events: events[1_000..].to_vec() });
    let write = Write { append, ..Write::default() };
    it.0.follow(&write, START);
    it.1.write(&write);
    assert_eq!(reads(&mut it, 1, 1_000), (Some(999), 0));
    assert!(reads(&mut it, 0, 1_000).1 > 0, "1,000 events are kept and no more");
    assert_eq!(reads(&mut it, 500, 1_000), (Some(500), 0));

    let write = Write { forget_to: Some(600), ..Write::default() };
    it.0.follow(&write, START);
    it.1.write(&write);
    assert_eq!(reads(&mut it, 600, 1_000), (Some(400), 0));
    assert_eq!(reads(&mut it, 599, 1_000).0, None);
}

/// A list of the newest messages is as long as the room says, and costs no more rows than it has to.
#[test]
fn a_snapshot_reads_about_as_much_as_it_shows() {
    let events: Vec<_> = (1..=900).map(|seq| said(seq, "zoe", "x")).collect();
    let (room, log) = room(&events);
    let snapshot = |upto| {
        let before = log.reads.get();
        let messages = room.snapshot(&log, upto, Viewer::PLAIN, START).unwrap().messages;
        let nos: Vec<_> = messages
            .iter()
            .map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap()["no"].as_u64().unwrap())
            .collect();
        (nos.first().copied(), nos.last().copied(), nos.len(), log.reads.get() - before)
    };
    assert_eq!(snapshot(u64::MAX), (Some(801), Some(900), 100, 2));
    assert_eq!(snapshot(899), (Some(800), Some(899), 100, 2));
    assert_eq!(snapshot(20), (Some(1), Some(20), 20, 5));
    // Where nothing waits, nothing is read for it.
    let before = log.reads.get();
    assert_eq!((room.waiting(&log, START).unwrap(), log.reads.get()), (vec![], before));
}

/// V7: of a ban moderators are told more, live and whenever they come back; and nobody else is, whoever came back before.
#[test]
fn v7_who_comes_back_is_told_of_a_ban_what_was_told_live() {
    let mut w = World::new();
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    w.say(ada, "words");
    w.ask(moderator, "ban_user", json!({"user_id": "eve", "reason": "rude"})).unwrap();
    let live = [ada, moderator].map(|socket| w.events(socket, "user_banned").remove(0));
    assert_eq!([live[0].get("reason"), live[1].get("reason")], [None, Some(&json!("rude"))]);
    for _ in 0..2 {
        for (socket, live) in [(moderator, &live[1]), (ada, &live[0])] {
            let caught_up = w.ask(socket, "catch_up", json!({"epoch": START, "seq": 1})).unwrap();
            let events = caught_up["events"].as_array().unwrap();
            assert_eq!(&events.iter().find(|event| event["event"] == "user_banned").unwrap()["data"], live);
        }
    }
}
