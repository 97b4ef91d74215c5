//! Dead sockets, positions while nothing is said, what a quiet day costs, and faults in the middle of a step.

use crate::memory::Flaw;
use crate::world::{ROOM, START, World, all};
use edge_chat::audience::SocketId;
use edge_chat::protocol::call::{Ask, Caller, Nothing};
use serde_json::{Value, json};

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// Its other end dies without a word.
fn die(w: &mut World, socket: SocketId) {
    w.wires.get_mut(&socket).unwrap().dead = Some(w.now);
}

/// V10: whoever talks keeps the room awake.
#[test]
fn v10_a_dead_socket_leaves_within_30_s_while_the_room_is_awake() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "1000")], 1);
    let (ada, bob, cleo) = (w.join("ada"), w.join("bob"), w.join("cleo"));
    for _ in 0..120 {
        w.say(ada, "x");
        w.advance(1_000);
    }
    assert_eq!((w.closed(bob), w.closed(cleo)), (None, None));
    w.take(ada);
    die(&mut w, bob);
    for _ in 0..30 {
        w.say(ada, "x");
        w.advance(1_000);
    }
    assert_eq!((w.closed(bob), w.closed(cleo)), (Some(4408), None));
    let goodbye = &w.events(bob, "goodbye")[0];
    assert_eq!(
        (&goodbye["code"], &goodbye["retry"], &goodbye["after_ms"]),
        (&json!("too_slow"), &json!(true), &json!(1000))
    );
    let left = w.events(ada, "user_left");
    assert_eq!(all(&left, "user_id"), ["bob"]);
    assert_eq!(w.get("ada")["online_users"], 2);
}

/// V10.
#[test]
fn v10_who_never_pings_is_asked_and_stays_while_it_answers() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "1000")], 1);
    let (ada, bot, deaf) = (w.join("ada"), w.join("bob"), w.join("cleo"));
    w.wires.get_mut(&bot).unwrap().mute = true;
    w.wires.get_mut(&deaf).unwrap().mute = true;
    let mut asked = 0;
    for _ in 0..90 {
        w.say(ada, "x");
        w.advance(1_000);
        for probe in w.events(bot, "probe") {
            asked += 1;
            w.send(bot, &json!({"event": "probe", "data": probe}).to_string());
        }
    }
    assert!((4..=6).contains(&asked), "{asked}");
    assert_eq!((w.closed(bot), w.closed(deaf)), (None, Some(4408)));
}

/// V10: a page in the background pings once a minute.
#[test]
fn v10_a_page_in_the_background_stays_through_wakes() {
    let mut w = World::new();
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    w.advance(10 * MINUTE);
    w.evict();
    // The last ping was 50 s ago; it answers what it is asked.
    w.wires.get_mut(&bob).unwrap().dead = Some(w.now - 50_000);
    w.say(ada, "x");
    let probe = &w.events(bob, "probe")[0];
    w.send(bob, &json!({"event": "probe", "data": probe}).to_string());
    w.advance(20_000);
    assert_eq!(w.closed(bob), None);
}

/// V10.
#[test]
fn v10_a_room_asleep_looks_before_it_says_who_is_there() {
    let mut w = World::new();
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    w.advance(20 * MINUTE);
    w.evict();
    die(&mut w, bob);
    w.advance(2 * MINUTE);
    w.take(ada);
    let members = w.call("ada", Ask::Members { limit: 100, skip: 0 }).unwrap();
    assert_eq!(all(members["members"].as_array().unwrap(), "user_id"), ["ada"]);
    assert_eq!(w.get("ada")["online_users"], 1);
    let left = w.events(ada, "user_left");
    assert_eq!((w.closed(bob), all(&left, "user_id")), (Some(4408), vec!["bob"]));
}

/// V10.
#[test]
fn v10_a_room_asleep_finds_the_dead_by_itself() {
    for (asleep, at_most) in [(0, 2), (5, 10), (60, 60)] {
        let mut w = World::new();
        let (ada, bob) = (w.join("ada"), w.join("bob"));
        w.advance(asleep * MINUTE);
        w.evict();
        die(&mut w, bob);
        let mut waited = 0;
        while w.closed(bob).is_none() {
            w.advance(MINUTE);
            w.evict_unless_busy();
            waited += 1;
            assert!(waited <= at_most, "{waited} minutes after {asleep}");
        }
        assert_eq!(w.closed(ada), None);
    }
}

/// V4: who lost the last event of a room that then fell silent learns of it.
#[test]
fn v4_a_position_is_said_with_what_goes_out_and_when_a_room_looks_by_itself() {
    let mut w = World::new();
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    let seq = w.say(ada, "hello")["seq"].clone();
    w.advance(5_000);
    let epoch = w.take(ada).iter().find_map(|line| line["at"]["epoch"].as_u64()).unwrap();
    w.take(moderator);
    let position = |line: &Value| line["at"] == json!({"epoch": epoch, "from": seq, "to": seq, "left_out": 0});
    // Half a minute later somebody comes: the counts go out, and with them the position.
    w.advance(30_000);
    let bob = w.join("bob");
    w.advance(2_000);
    for socket in [ada, moderator] {
        assert_eq!(w.take(socket).iter().filter(|line| position(line)).count(), 1);
    }
    w.advance(20 * MINUTE);
    for socket in [ada, moderator] {
        let lines = w.take(socket);
        assert!(lines.iter().all(position) && (4..=6).contains(&lines.len()), "{lines:?}");
    }
    // Nothing goes out between the looks: nobody is kept awake for it.
    w.advance(50 * MINUTE);
    assert_eq!(w.take(ada), Vec::<Value>::new());
    // An object that was built anew says it first thing.
    w.evict();
    w.ask(bob, "typing", json!({"is_typing": true})).unwrap();
    assert_eq!(w.take(ada).iter().filter(|line| position(line)).count(), 1);
}

/// How many are here by a report, and when it was made.
fn read(report: &str) -> (usize, u64) {
    let report: Value = serde_json::from_str(report).unwrap();
    (report["users"].as_array().unwrap().len(), report["at"].as_u64().unwrap())
}

fn reported(w: &World) -> (usize, u64) {
    read(w.reports.last().unwrap())
}

#[test]
fn postgresql_is_told_who_is_here_once_a_minute_however_many_come_and_go() {
    let mut w = World::with(&[("RATE_LIMIT_JOINS", "10000")], 1);
    w.join("ada");
    w.advance(2_000);
    let (told, first) = reported(&w);
    assert_eq!((w.reports.len(), told), (1, 1));
    for n in 0..10 {
        w.join(&format!("user{n}"));
        w.advance(5_000);
    }
    assert_eq!(w.reports.len(), 1);
    w.advance(first + MINUTE - 1 - w.now);
    assert_eq!(w.reports.len(), 1);
    w.advance(1);
    assert_eq!((w.reports.len(), reported(&w)), (2, (11, first + MINUTE)));
    let bob = w.join("bob");
    w.advance(MINUTE);
    assert_eq!(reported(&w), (12, first + 2 * MINUTE));
    w.close(bob);
    w.advance(10 * MINUTE);
    assert_eq!(reported(&w).0, 11);
    let times: Vec<_> = w.reports.iter().map(|report| read(report).1).collect();
    assert!(times.windows(2).all(|two| two[0] + MINUTE <= two[1]), "{times:?}");
}

#[test]
fn of_more_than_a_thousand_postgresql_is_told_nobody() {
    let mut w = World::with(&[("RATE_LIMIT_JOINS", "100000"), ("SHARD_SOCKETS", "10000")], 1);
    for n in 0..1_000 {
        w.join(&format!("user{n}"));
    }
    w.advance(2 * MINUTE);
    assert_eq!(reported(&w).0, 1_000);
    let last = w.join("user1000");
    w.advance(2 * MINUTE);
    assert_eq!(reported(&w).0, 0);
    w.close(last);
    w.advance(2 * MINUTE);
    assert_eq!(reported(&w).0, 1_000);
}

/// Q1: the object is thought to leave memory 10 s after each event, as the platform does it. Awake is what is charged
/// for: an event's own time, put at 50 ms, and the waits of timers; the idle seconds before it sleeps are not.
#[test]
fn q1_a_quiet_day_with_fifty_viewers_costs_next_to_nothing() {
    let mut w = World::with(&[], 1);
    let mut sockets = Vec::new();
    for n in 0..50 {
        let name = format!("user{n}");
        let identity = (n % 5 != 4).then(|| w.identity(&name, 30 * 3600));
        let guest = format!("{n:0>22}");
        let socket = w.open_as(Caller { identity, guest, ..Caller::default() });
        w.ask(socket, "join_room", json!({"room_id": ROOM})).unwrap();
        sockets.push(socket);
    }
    w.say(sockets[1], "good night");
    w.advance(5 * MINUTE);
    w.evict();
    let (wakes, reports, batches) = (w.wakes, w.reports.len(), w.batches.len());
    let (mut rows, mut awake, mut frames) = (w.rows, 0, 0);
    let end = w.now + DAY;
    while w.now < end {
        let next = w.alarm.map_or(end, |at| at.max(w.now)).min(end);
        w.now = next;
        if w.alarm.is_some_and(|at| at <= next) {
            let began = w.now;
            w.advance(0);
            awake += 50;
            while let Some(soon) = w.soon {
                w.advance(soon.saturating_sub(w.now));
                awake += 50;
            }
            awake += w.now - began;
            w.evict();
        }
        frames += sockets.iter().map(|socket| w.take(*socket).len()).sum::<usize>();
    }
    rows = w.rows - rows;
    let (wakes, reports) = (w.wakes - wakes, w.reports.len() - reports);
    println!("a day: {wakes} wakes, {rows} rows, {awake} ms awake, {reports} reports, {frames} frames");
    assert!(wakes <= 100 && rows <= 200 && awake <= 60_000, "{wakes} wakes, {rows} rows, {awake} ms awake");
    assert!((20..=30).contains(&wakes) && w.batches.len() == batches);
    assert!(sockets.iter().all(|socket| w.closed(*socket).is_none()));
}

#[test]
fn a_fault_in_the_middle_of_an_act_ends_the_object_and_memory_is_the_logs_again() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "1000")], 1);
    let (bob, moderator) = (w.join("bob"), w.join("mod"));
    let terms = json!({"blocked": ["hush"], "allowed": [], "action": "hold"});
    w.ask(moderator, "set_terms", terms).unwrap();
    for text in ["hush one", "hush two"] {
        assert_eq!(w.say(bob, text)["held"], true);
    }
    w.advance(5_000);
    let before = w.call("mod", Ask::Stats(Nothing {})).unwrap()["seq"].clone();
    // The first of what waits is taken, the second cannot be read.
    w.log.flaw.set(Flaw::SecondRow);
    let refused = w.code(moderator, "ban_user", json!({"user_id": "bob"}));
    assert_eq!((refused.as_str(), w.faults.len()), ("internal", 1));
    assert_eq!(w.closed(bob), Some(1006));
    w.log.flaw.set(Flaw::None);
    assert_eq!(w.call("mod", Ask::Stats(Nothing {})).unwrap()["seq"], before);
    // What was not done can be done, without a hole in the log.
    let (bob, moderator) = (w.join("bob"), w.join("mod"));
    w.ask(moderator, "ban_user", json!({"user_id": "bob"})).unwrap();
    assert_eq!(w.closed(bob), Some(4403));
    assert!(w.now >= START);
}

/// V8.
#[test]
fn v8_a_fault_before_anything_changed_ends_no_object() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = w.say(ada, "x")["message_id"].clone();
    w.log.flaw.set(Flaw::Unreadable);
    assert_eq!(w.code(ada, "delete_message", json!({"message_id": message})), "internal");
    w.log.flaw.set(Flaw::None);
    assert_eq!((w.closed(ada), w.faults.len()), (None, 1));
    w.ask(ada, "delete_message", json!({"message_id": message})).unwrap();
}
