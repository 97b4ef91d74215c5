//! B1: what of a room's log goes to Redis, and what becomes of it while Redis is away.

use crate::world::{ROOM, World};
use edge_chat::protocol::{Audience, Body, LogEvent};
use edge_chat::room::{Bridged, Log, Row};
use serde_json::json;

const DAY: u64 = 24 * 3_600_000;

fn bridged(set: &[(&str, &str)]) -> World {
    let own = [("REDIS_HOST", "redis.example"), ("RATE_LIMIT_MESSAGES", "1000")];
    World::with(&own.into_iter().chain(set.iter().copied()).collect::<Vec<_>>(), 1)
}

fn first_seq(w: &World) -> u64 {
    w.log.row_with(0).unwrap().unwrap().first()
}

/// Says something without a socket, which would end with its token; the event's `seq`.
fn post(w: &mut World, user: &str, content: &str) -> u64 {
    w.post(user, content).unwrap()["seq"].as_u64().unwrap()
}

/// What the stream says was said.
fn said(w: &World) -> Vec<String> {
    let data = w.redis.stream.values().filter(|entry| entry["event"] == "new_message");
    data.map(|entry| {
        serde_json::from_str::<serde_json::Value>(&entry["data"]).unwrap()["content"].as_str().unwrap().to_owned()
    })
    .collect()
}

#[test]
fn b1_everyones_events_go_out_in_order_and_say_what_stood_before() {
    let mut w = bridged(&[]);
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    let first = w.say(ada, "one");
    w.ask(moderator, "ban_user", json!({"user_id": "zoe", "shadow": true})).unwrap();
    w.say(ada, "two");
    w.ask(ada, "edit_message", json!({"message_id": first["message_id"], "content": "uno"})).unwrap();
    w.ask(moderator, "ban_user", json!({"user_id": "eve"})).unwrap();
    w.advance(1_000);
    let names: Vec<_> = w.redis.events().iter().map(|(_, name)| *name).collect();
    assert_eq!(names, ["new_message", "new_message", "message_edited", "user_banned"]);
    assert!(w.redis.is_whole());
    let entry = w.redis.stream.values().next().unwrap();
    assert_eq!((entry["room"].as_str(), entry["after"].as_str(), entry.contains_key("audience")), (ROOM, "0", false));
    let numbers: Vec<_> = w.redis.published.iter().map(|said| said["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, w.redis.events().iter().map(|(seq, _)| *seq).collect::<Vec<_>>());
    // The cursor that is stored is the one in memory, also after events that are for nobody there.
    w.ask(moderator, "ban_user", json!({"user_id": "kim", "shadow": true})).unwrap();
    w.say(ada, "three");
    w.advance(5_000);
    let stored: Bridged = serde_json::from_str(&w.log.value("cursor:redis").unwrap().unwrap()).unwrap();
    let last = w.redis.last.1;
    assert_eq!(stored, Bridged { seq: last, entry: last, ..Bridged::default() });
    // Nothing is asked twice, and an event for nobody there asks nothing at all.
    let asked = w.redis.asked;
    w.ask(moderator, "ban_user", json!({"user_id": "dan", "shadow": true})).unwrap();
    w.advance(DAY);
    assert_eq!(w.redis.asked, asked);
    w.evict();
    w.tick();
    w.advance(10_000);
    assert_eq!(w.redis.asked, asked);
}

#[test]
fn b1_without_a_bridge_nothing_is_made_for_it() {
    let mut w = World::new();
    let ada = w.join("ada");
    w.say(ada, "one");
    w.advance(5_000);
    assert_eq!((w.redis.asked, w.log.holds("cursor:redis")), (0, false));
}

#[test]
fn b1_v7_what_is_delayed_goes_out_when_it_is_visible() {
    let mut w = bridged(&[]);
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    w.ask(moderator, "set_modes", json!({"modes": {"delay_s": 6}})).unwrap();
    w.advance(10_000);
    w.say(ada, "late");
    w.advance(5_000);
    assert_eq!(said(&w), [""; 0]);
    w.evict();
    w.advance(2_000);
    assert_eq!(said(&w), ["late"]);
}

#[test]
fn b1_with_moderation_all_goes_out_and_says_for_whom() {
    let mut w = bridged(&[("BRIDGE_MODERATION", "true")]);
    let (zoe, moderator) = (w.join("zoe"), w.join("mod"));
    w.ask(moderator, "ban_user", json!({"user_id": "zoe", "shadow": true})).unwrap();
    w.say(zoe, "to nobody");
    w.advance(1_000);
    let shown: Vec<_> =
        w.redis.stream.values().map(|entry| (entry["event"].as_str(), entry["audience"].as_str())).collect();
    assert_eq!(shown, [("user_banned", "moderators"), ("new_message", "user:zoe")]);
}

#[test]
fn b1_v8_while_redis_is_away_postgresql_goes_on_and_redis_catches_up() {
    let mut w = bridged(&[]);
    let ada = w.join("ada");
    w.redis.down = true;
    for i in 0..50 {
        w.say(ada, &i.to_string());
        w.advance(2_000);
        assert_eq!(w.pg.messages.len(), i + 1);
    }
    assert!(w.redis.asked >= 5 && w.redis.asked <= 40, "tried {} times in 100 s", w.redis.asked);
    w.redis.down = false;
    w.advance(15_000);
    assert_eq!(said(&w), (0..50).map(|i| i.to_string()).collect::<Vec<_>>());
    assert!(w.redis.is_whole());
}

#[test]
fn b1_an_outcome_that_was_lost_with_the_object_is_asked_for_again() {
    let mut w = bridged(&[]);
    let ada = w.join("ada");
    w.say(ada, "one");
    w.now += 600;
    // Redis has it; the object dies before it hears of that.
    let batch = w.compute(|host, at| host.batch(at, edge_chat::sinks::Sink::Redis).unwrap()).unwrap();
    w.redis.eval(&batch.body);
    (w.alarm, w.soon) = (None, None);
    w.drain();
    w.close(ada);
    w.evict();
    w.advance(120_000);
    assert_eq!((said(&w), w.redis.published.len()), (vec!["one".to_owned()], 1));
    assert!(w.redis.asked >= 2);
}

#[test]
fn b1_a_redis_that_lost_its_data_is_told_again() {
    let mut w = bridged(&[]);
    w.join("ada");
    for text in ["one", "two"] {
        post(&mut w, "ada", text);
        w.advance(1_000);
    }
    w.redis.forget();
    post(&mut w, "ada", "three");
    w.advance(3_000);
    assert_eq!(said(&w), ["one", "two", "three"]);
    assert!(w.redis.is_whole());
    // Of what it has lost after a day it is owed nothing.
    w.advance(DAY + 5_000);
    w.redis.forget();
    post(&mut w, "ada", "four");
    w.advance(3_000);
    assert_eq!(said(&w), ["four"]);
    assert!(!w.redis.events().iter().any(|(_, event)| *event == "gap"));
}

#[test]
fn b1_what_redis_could_not_take_for_a_day_is_left_out_and_an_entry_says_so() {
    let mut w = bridged(&[]);
    w.join("ada");
    post(&mut w, "ada", "taken");
    w.advance(1_000);
    w.redis.down = true;
    post(&mut w, "ada", "lost");
    let lost = post(&mut w, "ada", "lost too");
    w.now += DAY - 60_000;
    let kept = post(&mut w, "ada", "kept");
    w.advance(120_000);
    w.redis.down = false;
    // Nobody is there: the wait between tries is longer.
    w.advance(400_000);
    let told = w.redis.events();
    assert_eq!(told[told.len() - 2..], [(lost, "gap"), (kept, "new_message")]);
    let gap = &w.redis.stream.values().rev().nth(1).unwrap()["data"];
    assert_eq!(*gap, json!({"from": lost - 1, "to": lost}).to_string());
    assert!(w.redis.is_whole());
    // The entry stays for who comes to read it, also where the object sleeps meanwhile.
    w.evict();
    for _ in 0..20 {
        post(&mut w, "ada", "and on");
        w.advance(3_600_000);
        assert_eq!(w.redis.stream.values().filter(|entry| entry["event"] == "gap").count(), 1);
    }
    w.advance(6 * 3_600_000);
    post(&mut w, "ada", "the next day");
    w.advance(1_000);
    assert_eq!(w.redis.stream.values().filter(|entry| entry["event"] == "gap").count(), 0);
}

#[test]
fn b1_the_stream_keeps_a_day() {
    let mut w = bridged(&[]);
    w.join("ada");
    for hour in 0..60 {
        post(&mut w, "ada", &hour.to_string());
        w.advance(3_600_000);
    }
    let kept = said(&w);
    assert!((24..=26).contains(&kept.len()), "{kept:?}");
    assert_eq!(kept.last().unwrap(), "59");
}

/// A room whose log is larger than what PostgreSQL needs of it, and all of it owed to Redis.
fn owed() -> World {
    let mut w = bridged(&[]);
    w.log.beside.set(300 << 20);
    w.redis.down = true;
    w.join("ada");
    let last = post(&mut w, "ada", "owed");
    w.evict();
    let event = LogEvent {
        seq: 0,
        at: w.now,
        visible_at: w.now,
        audience: Audience::Internal,
        body: Body::QuotesForgotten { before: 0 },
    };
    for first in (last + 1..last + 10_050).step_by(100) {
        let events: Vec<_> = (first..first + 100).map(|seq| LogEvent { seq, ..event.clone() }).collect();
        w.log.append(&Row { last: first + 99, no: 1, events });
    }
    w.tick();
    w.advance(30_000);
    assert_eq!(first_seq(&w), 1, "Redis is owed it still");
    w
}

#[test]
fn b1_a_redis_that_is_away_for_ever_holds_the_log_for_a_day_only() {
    let mut w = owed();
    w.now += DAY;
    post(&mut w, "ada", "next day");
    w.advance(2_000);
    assert!(first_seq(&w) > 1, "nothing is kept for it any more");
}

#[test]
fn b1_a_log_beyond_a_gibibyte_waits_for_redis_no_more_and_an_entry_says_so() {
    let mut w = owed();
    w.log.beside.set(1 << 30);
    post(&mut w, "ada", "too much");
    w.advance(2_000);
    assert!(first_seq(&w) > 1, "nothing is kept for it any more");
    w.redis.down = false;
    w.advance(400_000);
    let names: Vec<_> = w.redis.events().iter().map(|(_, name)| *name).collect();
    assert_eq!(names, ["gap", "new_message"]);
}

#[test]
fn b1_an_older_life_of_the_room_does_not_write_over_a_newer_one() {
    let mut w = bridged(&[]);
    let ada = w.join("ada");
    w.say(ada, "one");
    w.advance(1_000);
    w.redis.last.0 += 1;
    w.say(ada, "two");
    w.advance(10_000);
    assert_eq!(said(&w), ["one"]);
    assert!(w.faults.iter().any(|fault| fault.starts_with("bridge: Redis is at epoch")), "{:?}", w.faults);
    assert!(w.redis.asked < 4);
}
