//! The room and PostgreSQL's cursor, where one of the two was set back.

use crate::memory::{MemoryLog, Tables};
use crate::world::{ROOM, START, World, settings};
use edge_chat::protocol::wire::json;
use edge_chat::protocol::{Audience, Body, LogEvent, RoomId, RoomType};
use edge_chat::room::{Log as _, Room, Row, Write, new_info};
use serde_json::json;

const DAY: u64 = 24 * 3_600_000;
const WEEK: u64 = 7 * DAY;
const HOOK: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

fn contents(w: &World) -> Vec<String> {
    let mut rows: Vec<_> = w.pg.messages.values().collect();
    rows.sort_by_key(|row| row["no"].as_u64());
    rows.iter().map(|row| row["content"].as_str().unwrap().to_owned()).collect()
}

/// Ten messages, drained, of which the storage then forgets the last five.
fn set_back() -> World {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "100")], 1);
    let ada = w.join("ada");
    (0..5).for_each(|n| drop(w.say(ada, &format!("m{n}"))));
    w.advance(2_000);
    let copy = w.log.copy();
    (5..10).for_each(|n| drop(w.say(ada, &format!("m{n}"))));
    w.advance(2_000);
    assert_eq!(contents(&w).len(), 10);
    assert_eq!(w.faults, Vec::<String>::new());
    w.log.put(copy);
    w.evict();
    w
}

#[test]
fn p4_a_room_whose_storage_was_set_back_overwrites_nothing_and_says_so() {
    let mut w = set_back();
    let bob = w.join("bob");
    let before = w.pg.clone();
    // More than what was lost, before PostgreSQL is asked.
    (0..8).for_each(|_| drop(w.say(bob, "since then")));
    w.advance(20_000);
    let [fault] = &w.faults[..] else { panic!("{:?}", w.faults) };
    assert!(fault.ends_with("its storage was set back"), "{fault}");
    assert_eq!(w.pg, before);
    // However much is said: what the numbers stand for is not the same.
    for n in 0..20 {
        w.say(bob, &format!("more {n}"));
    }
    w.advance(2_000_000);
    w.evict();
    w.join("cleo");
    w.advance(2_000_000);
    assert!(w.faults.len() > 2 && w.faults.iter().all(|fault| fault.ends_with("its storage was set back")));
    assert_eq!(w.pg, before);
}

#[test]
fn p4_after_the_cursor_is_set_back_too_the_log_goes_on() {
    let mut w = set_back();
    let bob = w.join("bob");
    w.say(bob, "since then");
    w.advance(20_000);
    // As docs/operations.md has it: `drained to 6`.
    assert!(w.faults[0].contains("was drained to 6:"), "{:?}", w.faults);
    w.pg.messages.retain(|_, row| row["seq"].as_u64() <= Some(6));
    w.pg.cursor = w.pg.cursor.map(|(epoch, _)| (epoch, 6));
    w.advance(400_000);
    assert_eq!(contents(&w), ["m0", "m1", "m2", "m3", "m4", "since then"]);
    w.say(bob, "and on");
    w.advance(2_000);
    assert_eq!((contents(&w).len(), w.faults.len()), (7, 1));
    assert!(!w.log.copy().state.contains_key("set_back"));
}

#[test]
fn p4_an_answer_that_was_lost_is_no_sign_of_a_storage_set_back() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "100")], 1);
    let ada = w.join("ada");
    w.say(ada, "one");
    w.advance(400);
    w.say(ada, "two");
    w.advance(200);
    // PostgreSQL has it, and the room does not know.
    let copy = w.log.copy();
    w.advance(2_000);
    let mut behind = copy;
    behind.state.remove("cursor:postgres");
    w.log.put(behind);
    w.evict();
    let bob = w.join("bob");
    w.say(bob, "three");
    w.advance(5_000);
    assert_eq!((w.faults.len(), contents(&w)), (0, vec!["one".into(), "two".into(), "three".into()]));
}

#[test]
fn p4_a_database_set_back_is_filled_again() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "100")], 1);
    let ada = w.join("ada");
    w.say(ada, "one");
    w.advance(2_000);
    let backup = w.pg.clone();
    w.say(ada, "two");
    w.advance(2_000);
    w.pg = backup;
    w.say(ada, "three");
    w.advance(5_000);
    assert_eq!((w.faults.len(), contents(&w)), (0, vec!["one".into(), "two".into(), "three".into()]));
}

#[test]
fn p2_where_people_talk_a_batch_goes_out_once_a_second_and_after_a_pause_within_half_of_one() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "100")], 1);
    let ada = w.join("ada");
    w.advance(5_000);
    let before = w.batches.len();
    w.say(ada, "after a pause");
    w.advance(500);
    assert_eq!((w.batches.len() - before, contents(&w).len()), (1, 1));
    for said in 2..=20 {
        w.say(ada, "and on");
        w.advance(500);
        assert!(contents(&w).len() + 2 >= said, "nothing is older than a second");
    }
    w.advance(1_000);
    assert_eq!((w.batches.len() - before, contents(&w).len()), (11, 20));
}

#[test]
fn p4_what_postgres_has_lost_follows_the_answer_that_says_so() {
    let mut w = World::new();
    let ada = w.join("ada");
    (0..5).for_each(|n| drop(w.say(ada, &format!("m{n}"))));
    w.advance(5_000);
    assert_eq!(contents(&w).len(), 5);
    w.pg.messages.clear();
    w.pg.cursor = w.pg.cursor.map(|(epoch, _)| (epoch, 0));
    w.say(ada, "m5");
    w.advance(500);
    assert_eq!(contents(&w).len(), 6);
}

#[test]
fn v5_the_log_lets_go_of_what_is_a_week_old_and_never_of_the_newest_ten_thousand() {
    let mut w = World::new();
    w.join("ada");
    w.post("ada", "first").unwrap();
    let last = w.log.rows_before(u64::MAX, 1).unwrap()[0].last;
    let event = LogEvent {
        seq: 0,
        at: w.now,
        visible_at: w.now,
        audience: Audience::Internal,
        body: Body::QuotesForgotten { before: 0 },
    };
    w.evict();
    for first in (last + 1..last + 10_300).step_by(100) {
        let events = (first..first + 100).map(|seq| LogEvent { seq, ..event.clone() }).collect();
        w.log.append(&Row { last: first + 99, no: 1, events });
    }
    let first = |w: &World| w.log.row_with(0).unwrap().unwrap().first();
    w.now += WEEK - 120_000;
    w.post("ada", "nearly a week later").unwrap();
    w.advance(60_000);
    assert_eq!((first(&w), w.pg.cursor.unwrap().1 > 10_000), (1, true), "it is not a week old");
    w.now += 120_000;
    let seq = w.post("ada", "and on").unwrap()["seq"].as_u64().unwrap();
    w.advance(60_000);
    let kept = seq + 1 - first(&w);
    assert!((10_000..10_200).contains(&kept), "{kept} events are kept");
}

/// Events that say nothing, `first..=last` in one row.
fn silence(first: u64, last: u64, at: u64) -> Row {
    let (visible_at, audience, body) = (at, Audience::Internal, Body::QuotesForgotten { before: 0 });
    let event = |seq| LogEvent { seq, at, visible_at, audience: audience.clone(), body: body.clone() };
    Row { last, no: 0, events: (first..=last).map(event).collect() }
}

/// What the log lets go of where its three oldest rows are of these ages, PostgreSQL has it up to `drained` and the
/// storage takes so many bytes.
fn let_go(ages: [u64; 3], drained: u64, bytes: Option<u64>) -> Option<u64> {
    let_go_with(&[], ages, drained, bytes)
}

/// The same with Redis, or a webhook's back end, that has come so far.
fn let_go_with(others: &[(&str, u64)], ages: [u64; 3], drained: u64, bytes: Option<u64>) -> Option<u64> {
    let (now, log) = (START + 2 * WEEK, MemoryLog::default());
    let info = new_info("R".into(), RoomType::Video, None, START);
    let state = [("room", json(&info)), ("epoch", START.to_string()), ("cursor:postgres", drained.to_string())];
    let mut state: Vec<_> = state.map(|(key, value)| (key.to_owned(), Some(value))).into();
    let mut set = Vec::new();
    for (name, seq) in others {
        state.push((format!("cursor:{name}"), Some(json!({"seq": seq, "entry": seq}).to_string())));
        match *name {
            "redis" => set.push(("REDIS_HOST", "redis.example")),
            _ => set.extend([("WEBHOOK_URL", "https://hooks.example/"), ("WEBHOOK_SECRET", HOOK)]),
        }
    }
    log.write(&Write { state, ..Write::default() });
    (1..).zip(ages).for_each(|(seq, age)| log.append(&silence(seq, seq, now - age)));
    log.append(&silence(4, 10_003, now));
    log.beside.set(bytes.map_or(0, |bytes| bytes - log.bytes()));
    let mut room = Room::load(&RoomId::parse(ROOM).unwrap(), settings(&set), &log, now).unwrap().unwrap();
    room.trim(&log, now).unwrap().write.forget_to
}

#[test]
fn v5_a_row_is_let_go_of_once_it_is_a_week_old_or_the_storage_is_above_256_mib_and_postgresql_has_it() {
    const OLD: u64 = WEEK + 1;
    const MUCH: u64 = 256 << 20;
    assert_eq!(let_go([OLD; 3], 10_003, None), Some(3), "the newest 10,000 stay");
    assert_eq!(let_go([WEEK; 3], 10_003, None), None);
    assert_eq!(let_go([OLD, OLD, WEEK], 10_003, None), Some(2));
    assert_eq!(let_go([OLD; 3], 2, None), Some(2), "PostgreSQL lacks the third");
    assert_eq!(let_go([OLD; 3], 0, None), None);
    assert_eq!(let_go([0; 3], 10_003, Some(MUCH)), None);
    assert_eq!(let_go([0; 3], 10_003, Some(MUCH + 1)), Some(3));
    assert_eq!(let_go([0; 3], 1, Some(MUCH + 1)), Some(1));
}

#[test]
fn b1_h1_a_row_of_the_last_24_hours_waits_for_redis_and_the_back_end_up_to_a_gibibyte() {
    const MUCH: u64 = (256 << 20) + 1;
    const MOST: u64 = 1 << 30;
    for name in ["redis", "webhook"] {
        let let_go = |seq, ages, bytes| let_go_with(&[(name, seq)], ages, 10_003, Some(bytes));
        assert_eq!(let_go(0, [DAY; 3], MUCH), None, "{name}");
        assert_eq!(let_go(2, [DAY; 3], MUCH), Some(2), "{name} lacks the third");
        assert_eq!(let_go(0, [DAY + 1, DAY + 1, DAY], MUCH), Some(2), "{name}");
        assert_eq!(let_go(0, [0; 3], MOST), None, "{name}");
        assert_eq!(let_go(0, [0; 3], MOST + 1), Some(3), "{name}");
    }
    for others in [[("redis", 1), ("webhook", 2)], [("redis", 2), ("webhook", 1)]] {
        assert_eq!(let_go_with(&others, [DAY; 3], 10_003, Some(MUCH)), Some(1), "whoever is behind");
    }
}

/// What is owed for 24 hours begins after the last row of which the last event was visible before then.
#[test]
fn b1_h1_what_could_be_seen_before_a_time_is_found_whatever_the_rows() {
    for first in [1, 4] {
        let log = MemoryLog::default();
        let state = [("room", json(&new_info("R".into(), RoomType::Video, None, START))), ("epoch", START.to_string())];
        let state = state.map(|(key, value)| (key.to_owned(), Some(value))).into();
        log.write(&Write { state, ..Write::default() });
        let rows = [(1, 3, 10), (4, 4, 10), (5, 11, 20), (12, 12, 20), (13, 14, 30), (15, 15, 40), (16, 40, 50)];
        let rows: Vec<_> = rows.into_iter().filter(|(begin, ..)| *begin >= first).collect();
        rows.iter().for_each(|(first, last, at)| log.append(&silence(*first, *last, START + at)));
        let room = Room::load(&RoomId::parse(ROOM).unwrap(), settings(&[]), &log, START).unwrap().unwrap();
        for time in 0..=60 {
            let expected = rows.iter().rev().find(|(.., at)| *at < time).map_or(0, |(_, last, _)| *last);
            assert_eq!(room.last_before(&log, START + time).unwrap(), expected, "before {time} from {first}");
        }
    }
}

/// V6: where an edit outlives its message in the log, it is known by its place, and by nothing once it has gone too.
#[test]
fn v6_only_edits_that_outlive_their_message_in_the_log_are_remembered() {
    let mut w = World::new();
    let ada = w.join("ada");
    let ids: Vec<_> = (0..3).map(|n| w.say(ada, &format!("m{n}"))["message_id"].clone()).collect();
    for id in &ids {
        w.ask(ada, "edit_message", json!({"message_id": id, "content": "again"})).unwrap();
    }
    w.ask(ada, "delete_message", json!({"message_id": ids[2]})).unwrap();
    // The first row ends with the first message's edit; those of the others come later, and one is deleted.
    let events: Vec<_> = w.log.rows_after(0, 100).unwrap().into_iter().flat_map(|row| row.events).collect();
    let row = |first: usize, last: usize| Row { last: last as u64, no: 3, events: events[first - 1..last].to_vec() };
    let state = w.log.copy().state;
    w.log.put(Tables { state, ..Tables::default() });
    w.log.append(&row(1, 5));
    w.log.append(&row(6, 8));
    let now = w.now + WEEK + 1;
    w.log.append(&Row { no: 3, ..silence(9, 10_008, now) });
    let mut room = Room::load(&RoomId::parse(ROOM).unwrap(), settings(&[]), &w.log, now).unwrap().unwrap();
    for (drained, edit) in [(5, Some("6")), (10_008, None)] {
        w.log.write(&room.set_drained(drained).write);
        let trimmed = room.trim(&w.log, now).unwrap().write;
        let edits = trimmed.state.iter().filter(|(key, _)| key.starts_with("edit:"));
        let expected = (format!("edit:{}", ids[1].as_str().unwrap()), edit.map(str::to_owned));
        assert_eq!(edits.collect::<Vec<_>>(), [&expected]);
        w.log.write(&trimmed);
    }
}
