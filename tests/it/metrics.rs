//! What a room counts, and hands on once.

use crate::split::{GATEWAYS, Split};
use crate::world::World;
use edge_chat::metrics::Report;
use serde_json::json;

fn report(w: &mut World) -> (u32, Report) {
    let (ticket, text) = w.compute(|host, _| host.report_metrics());
    assert!(text.is_ascii());
    (ticket, serde_json::from_str(&text).unwrap())
}

fn arrived(w: &mut World, ticket: u32) {
    w.compute(|host, _| host.reported(ticket, true));
}

#[test]
fn what_happened_is_counted() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "2")], 1);
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    let (ticket, _) = report(&mut w);
    arrived(&mut w, ticket);
    w.say(ada, "one");
    w.say(ada, "two");
    w.send(ada, &json!({"id": 9, "event": "send_message", "data": {"content": "three"}}).to_string());
    w.send(bob, &json!({"event": "shout"}).to_string());
    let (_, Report { room, gauges, metrics }) = report(&mut w);
    assert_eq!((room.as_str(), metrics.messages, metrics.joins), ("video_123", 2, 0));
    assert_eq!((metrics.errors["rate_limited"], metrics.errors["unknown_event"], metrics.rate_limited()), (1, 1, 1));
    assert_eq!((metrics.frames_in, metrics.events), (4, 2));
    // Both events for both, and the room's counts once.
    assert!((4..=6).contains(&metrics.deliveries), "{}", metrics.deliveries);
    assert_eq!((gauges.users, gauges.guests, gauges.sockets), (2, 0, 2));
    assert_eq!((gauges.seq - gauges.postgres.seq, gauges.postgres.since, gauges.redis), (3, Some(w.now), None));
    w.advance(2_000);
    let (_, Report { gauges, metrics, .. }) = report(&mut w);
    assert_eq!((gauges.seq, gauges.postgres.since), (gauges.postgres.seq, None));
    assert!(metrics.drained > 0 && metrics.drains.count() == metrics.drained, "{metrics:?}");
}

#[test]
fn what_did_not_arrive_goes_with_the_next() {
    let mut w = World::new();
    let ada = w.join("ada");
    w.say(ada, "one");
    let (lost, first) = report(&mut w);
    let (kept, second) = report(&mut w);
    assert_eq!((first.metrics.messages, second.metrics.messages), (1, 0));
    w.compute(|host, _| host.reported(lost, false));
    w.say(ada, "two");
    let (again, third) = report(&mut w);
    assert_eq!((third.metrics.messages, third.metrics.joins), (2, 1));
    for ticket in [kept, again, again] {
        arrived(&mut w, ticket);
    }
    assert!(report(&mut w).1.metrics.is_empty());
}

#[test]
fn a_wake_and_a_return_are_counted_and_a_first_join_is_no_return() {
    let mut w = World::new();
    let ada = w.join("ada");
    w.say(ada, "one");
    let (_, Report { gauges, metrics, .. }) = report(&mut w);
    assert_eq!((metrics.resumed, metrics.snapshots, metrics.wakes), (0, 0, 0));
    w.evict();
    for (seq, epoch) in [(1, gauges.epoch), (1, 7)] {
        let frame = json!({"id": 1, "event": "catch_up", "data": {"epoch": epoch, "seq": seq}});
        w.send(ada, &frame.to_string());
    }
    let (_, Report { metrics, .. }) = report(&mut w);
    assert_eq!((metrics.resumed, metrics.snapshots, metrics.wakes), (1, 1, 1));
}

#[test]
fn a_wake_of_a_shard_or_gateway_is_counted_with_what_it_hands_up_and_hands_nothing_up_by_itself() {
    let mut it = Split::new(&[("SHARD_SOCKETS", "10"), ("RATE_LIMIT_JOINS", "10000")]);
    let bob = it.join_at(3, "bob");
    for n in 0..20 {
        it.join(format!("user{n}").leak());
        it.pump();
    }
    it.advance(30_000);
    let (_, Report { gauges, metrics, .. }) = report(&mut it.room);
    let shards = it.shape().shards;
    assert!(shards > 1);
    // Each shard was built once, which the room cannot tell from a fault.
    assert_eq!((gauges.shards, metrics.wakes), (u64::from(shards) + 1, shards.into()));

    let at_gateway = GATEWAYS + 3;
    let ticked_at = it.room.now;
    it.evict(at_gateway);
    it.step(at_gateway, |host, _| (host.was_told(ticked_at), Default::default()));
    it.room.now += 12_000;
    assert!(it.step(at_gateway, |host, at| (host.next_up(at), Default::default())).is_none());
    it.ask(bob, "send_message", json!({"content": "hello"})).unwrap();
    it.evict(0);
    it.advance(12_000);
    assert_eq!(report(&mut it.room).1.metrics.wakes, 2);
}

#[test]
fn what_a_client_measured_is_counted_where_its_message_is_taken() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "1")], 1);
    let ada = w.join("ada");
    for ack_ms in [40, 50] {
        let data = json!({"content": "x", "took": {"ack_ms": ack_ms, "shown_ms": 1e15 as u64, "more": 1}});
        w.send(ada, &json!({"id": 1, "event": "send_message", "data": data}).to_string());
    }
    let (_, Report { metrics, .. }) = report(&mut w);
    assert_eq!((metrics.ack.count(), metrics.ack.sum_ms()), (1, 40));
    assert_eq!((metrics.shown.count(), metrics.shown.sum_ms()), (1, 60_000));
}

#[test]
fn the_lag_is_that_of_the_oldest_event() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "1000")], 1);
    let ada = w.join("ada");
    w.pg_down = true;
    w.advance(2_000);
    w.say(ada, "one");
    let since = report(&mut w).1.gauges.postgres.since;
    w.advance(30_000);
    w.say(ada, "two");
    assert_eq!(report(&mut w).1.gauges.postgres.since, since);
    w.pg_down = false;
    w.advance(30_000);
    assert_eq!(report(&mut w).1.gauges.postgres.since, None);
    // Never quite up to date, and yet never long behind.
    for n in 0..100 {
        w.say(ada, &n.to_string());
        w.advance(300);
        w.say(ada, "and");
        let Report { gauges, .. } = report(&mut w).1;
        assert!(gauges.postgres.since.is_some_and(|since| w.now - since < 2_000), "{gauges:?}");
    }
}

#[test]
fn what_may_not_be_shown_yet_is_no_lag() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "1000"), ("REDIS_URL", "redis://redis:6379")], 1);
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    w.ask(moderator, "set_modes", json!({"modes": {"delay_s": 6}})).unwrap();
    w.advance(10_000);
    for n in 0..100 {
        w.say(ada, &n.to_string());
        w.advance(300);
        let redis = report(&mut w).1.gauges.redis.unwrap();
        assert!(redis.since.is_none_or(|since| w.now.saturating_sub(since) < 2_000), "{redis:?} at {}", w.now);
    }
    w.redis.down = true;
    for n in 0..100 {
        w.say(ada, &n.to_string());
        w.advance(300);
    }
    let redis = report(&mut w).1.gauges.redis.unwrap();
    assert!(redis.since.is_some_and(|since| (20_000..32_000).contains(&(w.now - since))), "{redis:?} at {}", w.now);
}
