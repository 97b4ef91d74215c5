//! One socket's life: tokens and their end, bad frames, positions, resumes, probes.

use crate::world::{ROOM, World};
use edge_chat::audience::SocketId;
use edge_chat::protocol::call::{Ask, Caller, Nothing, UserAsk};
use serde_json::{Value, json};

fn position(reply: &Value) -> Value {
    json!({"epoch": reply["epoch"], "seq": reply["seq"]})
}

fn joined(w: &mut World, user: &str, resume: Option<Value>) -> (SocketId, Value) {
    let socket = w.open(user);
    let reply = w.ask(socket, "join_room", json!({"resume": resume})).unwrap();
    w.take(socket);
    (socket, reply)
}

#[test]
fn a_token_ends_its_socket_on_the_tick_and_on_any_frame() {
    let mut w = World::new();
    let open = |w: &mut World| {
        let caller = Caller { identity: Some(w.identity("ada", 60)), ..Caller::default() };
        let socket = w.open_as(caller);
        w.ask(socket, "join_room", json!({})).unwrap();
        w.take(socket);
        socket
    };
    let socket = open(&mut w);
    let end = w.alarm;
    w.advance(59_000);
    assert_eq!(w.closed(socket), None);
    w.advance(2_000);
    assert_eq!(w.closed(socket), Some(4401));
    assert!(end.is_some_and(|at| at <= w.now));
    let goodbye = &w.events(socket, "goodbye")[0];
    assert_eq!((&goodbye["code"], &goodbye["retry"]), (&json!("token_expired"), &json!(true)));

    let socket = open(&mut w);
    w.now += 61_000;
    w.send(socket, r#"{"event":"send_message","data":{"content":"late"}}"#);
    assert_eq!((w.closed(socket), w.log.holds("late")), (Some(4401), false));
}

#[test]
fn a_sleeping_rooms_token_alarm_survives_eviction() {
    let mut w = World::new();
    let caller = Caller { identity: Some(w.identity("ada", 60)), ..Caller::default() };
    let socket = w.open_as(caller);
    w.ask(socket, "join_room", json!({})).unwrap();
    w.advance(5_000);
    w.evict();
    w.advance(56_000);
    assert_eq!(w.closed(socket), Some(4401));
}

#[test]
fn a_newer_token_keeps_the_socket() {
    let mut w = World::new();
    let caller = Caller { identity: Some(w.identity("ada", 60)), ..Caller::default() };
    let socket = w.open_as(caller);
    w.ask(socket, "join_room", json!({})).unwrap();
    let newer = w.token("ada", 600);
    let reply = w.ask(socket, "refresh_token", json!({"user_token": newer})).unwrap();
    assert_eq!((&reply["role"], &reply["roles"]), (&json!("member"), &json!(["member"])));
    assert_eq!(w.code(socket, "refresh_token", json!({"user_token": "x.y.z"})), "token_invalid");
    w.evict();
    w.advance(300_000);
    assert_eq!(w.closed(socket), None);
    let other = w.token("bob", 600);
    w.send(socket, &json!({"event": "refresh_token", "data": {"user_token": other}}).to_string());
    assert_eq!(w.closed(socket), Some(4401));
}

#[test]
fn a_token_may_come_with_the_join() {
    let mut w = World::new();
    w.join("owner");
    let guest = w.open("");
    let token = w.token("ada", 60);
    let reply = w.ask(guest, "join_room", json!({"user_token": token})).unwrap();
    assert_eq!(reply["self"]["user_id"], "ada");
    w.say(guest, "hello");
    let socket = w.open("bob");
    assert_eq!(w.code(socket, "join_room", json!({"user_token": token})), "token_mismatch");
    assert_eq!(w.closed(socket), Some(4401));
    let socket = w.open("");
    assert_eq!(w.code(socket, "join_room", json!({"user_token": "nonsense"})), "token_invalid");
    assert_eq!(w.closed(socket), Some(4401));
}

#[test]
fn twenty_sockets_a_user_and_no_more() {
    let mut w = World::new();
    let first = w.join("ada");
    for _ in 1..20 {
        w.join("ada");
    }
    let socket = w.open("ada");
    assert_eq!(w.code(socket, "join_room", json!({})), "too_many_sockets");
    assert_eq!(w.closed(socket), Some(4429));
    w.ask(first, "join_room", json!({})).unwrap();
    w.evict();
    let socket = w.open("ada");
    assert_eq!(w.code(socket, "join_room", json!({})), "too_many_sockets");
    w.close(first);
    w.join("ada");
}

#[test]
fn the_first_frame_is_a_join_in_time() {
    let mut w = World::new();
    w.join("owner");
    for frame in [r#"{"event":"ping"}"#, "not json", r#"{"event":"join_room","data":{"room_id":"video_9"}}"#] {
        let socket = w.open("ada");
        w.send(socket, frame);
        assert_eq!(w.events(socket, "error").len(), 1);
        assert_eq!(w.closed(socket), Some(4400), "{frame}");
    }
    let socket = w.open("ada");
    w.advance(9_999);
    assert_eq!(w.closed(socket), None);
    w.advance(1);
    assert_eq!(w.closed(socket), Some(4408));
}

#[test]
fn the_twentieth_bad_frame_in_a_minute_is_the_last() {
    let mut w = World::new();
    let socket = w.join("ada");
    for n in 0..19 {
        w.send(socket, if n % 2 == 0 { "{" } else { r#"{"event":"shout"}"# });
    }
    assert_eq!((w.events(socket, "error").len(), w.closed(socket)), (19, None));
    w.advance(60_000);
    for _ in 0..19 {
        w.step(|host, at| ((), host.binary(at, socket)));
    }
    assert_eq!(w.closed(socket), None);
    assert_eq!(w.code(socket, "send_message", json!({"content": 7})), "bad_request");
    assert_eq!(w.closed(socket), Some(4400));
}

#[test]
fn a_frame_too_large_is_the_last() {
    let mut w = World::new();
    let (socket, other) = (w.join("ada"), w.join("bob"));
    w.send(socket, &format!(r#"{{"event":"send_message","data":{{"content":"{}"}}}}"#, "x".repeat(16_384)));
    assert_eq!(w.events(socket, "error")[0]["code"], "frame_too_large");
    assert_eq!((w.closed(socket), w.closed(other)), (Some(4413), None));
}

#[test]
fn a_refusal_is_no_bad_frame() {
    let mut w = World::new();
    let socket = w.join("ada");
    for _ in 0..30 {
        assert_eq!(w.code(socket, "send_message", json!({"content": " "})), "message_empty");
    }
    assert_eq!(w.closed(socket), None);
}

#[test]
fn leaving_is_answered_and_closed() {
    let mut w = World::new();
    let socket = w.join("ada");
    assert_eq!(w.ask(socket, "leave_room", json!({})).unwrap(), json!({}));
    assert_eq!(w.closed(socket), Some(1000));
}

#[test]
fn a_ping_or_probe_with_an_id_is_answered() {
    let mut w = World::new();
    let socket = w.join("ada");
    assert_eq!(w.ask(socket, "ping", json!({})).unwrap(), json!({}));
    assert_eq!(w.ask(socket, "probe", json!({"nonce": "x"})).unwrap(), json!({}));
    w.send(socket, r#"{"event":"ping","data":{}}"#);
    assert!(w.take(socket).contains(&json!({"event": "pong", "data": {}})));
}

#[test]
fn the_position_comes_first_after_a_wake_and_every_thirty_seconds() {
    let mut w = World::new();
    let ada = w.join("ada");
    let has_position = |w: &mut World| {
        w.take(ada);
        w.say(ada, "x");
        w.take(ada).first().is_some_and(|line| line.get("at").is_some())
    };
    assert!(has_position(&mut w));
    assert!(!has_position(&mut w));
    w.evict();
    assert!(has_position(&mut w));
    w.advance(29_999);
    assert!(!has_position(&mut w));
    w.advance(1);
    assert!(has_position(&mut w));
}

#[test]
fn v4_a_resume_is_exactly_what_was_missed() {
    let mut w = World::new();
    let ada = w.join("ada");
    let (bob, reply) = joined(&mut w, "bob", None);
    let message = w.say(ada, "one")["message_id"].clone();
    w.close(bob);
    w.say(ada, "two");
    w.ask(ada, "edit_message", json!({"message_id": message, "content": "one b"})).unwrap();
    w.ask(ada, "delete_message", json!({"message_id": message})).unwrap();
    let from = json!({"epoch": reply["epoch"], "seq": 2});
    let (bob, reply) = joined(&mut w, "bob", Some(from));
    assert_eq!((&reply["resumed"], &reply["seq"], reply.get("messages")), (&json!(true), &json!(5), None));
    let events: Vec<_> = reply["events"].as_array().unwrap().iter().map(|e| (&e["seq"], &e["event"])).collect();
    assert_eq!(events, [(&json!(3), &json!("new_message")), (&json!(5), &json!("message_deleted"))]);
    let caught_up = w.ask(bob, "catch_up", position(&reply)).unwrap();
    assert_eq!((&caught_up["resumed"], &caught_up["events"], &caught_up["seq"]), (&json!(true), &json!([]), &json!(5)));
    w.say(ada, "three");
    assert_eq!(w.take(bob)[0]["seq"], 6);
}

#[test]
fn v4_a_resume_compresses_reactions() {
    let mut w = World::new();
    let ada = w.join("ada");
    let one = w.say(ada, "one")["message_id"].clone();
    let two = w.say(ada, "two")["message_id"].clone();
    for (message, reaction) in [(&one, "👍"), (&two, "🎉"), (&one, "🙂"), (&one, "❤")] {
        w.ask(ada, "react", json!({"message_id": message, "reaction": reaction})).unwrap();
    }
    let reply = w.ask(ada, "catch_up", json!({"epoch": w.now, "seq": 3})).unwrap();
    let events = reply["events"].as_array().unwrap();
    assert_eq!(events.iter().map(|event| event["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [5, 7]);
    assert_eq!(events[1]["data"]["reactions"], json!({"👍": 1, "🙂": 1, "❤": 1}));
}

#[test]
fn v5_too_much_another_epoch_or_the_future_is_a_snapshot() {
    let mut w = World::new();
    let moderator = w.join("mod");
    for n in 0..1_001 {
        w.say(moderator, &format!("m{n}"));
        for probe in w.events(moderator, "probe") {
            w.send(moderator, &json!({"event": "probe", "data": probe}).to_string());
        }
    }
    let last = 1_002;
    let ask = |w: &mut World, epoch: u64, seq: u64| {
        let reply = w.ask(moderator, "catch_up", json!({"epoch": epoch, "seq": seq})).unwrap();
        for probe in w.events(moderator, "probe") {
            w.send(moderator, &json!({"event": "probe", "data": probe}).to_string());
        }
        reply
    };
    let epoch = crate::world::START;
    let exact = ask(&mut w, epoch, last - 1_000);
    assert_eq!((&exact["resumed"], exact["events"].as_array().unwrap().len()), (&json!(true), 1_000));
    for (epoch, seq) in [(epoch, last - 1_001), (epoch + 1, last), (epoch, last + 1), (0, 0)] {
        let reply = ask(&mut w, epoch, seq);
        assert_eq!((&reply["resumed"], reply.get("events"), &reply["seq"]), (&json!(false), None, &json!(last)));
        let messages = reply["messages"].as_array().unwrap();
        assert_eq!((messages.len(), &messages[0]["no"], &messages[99]["no"]), (100, &json!(902), &json!(1_001)));
    }
}

#[test]
fn v5_more_than_512_kilobytes_is_a_snapshot() {
    let mut w = World::with(&[("MAX_MESSAGE_LENGTH", "8000")], 1);
    let moderator = w.join("mod");
    let text = "x".repeat(7_500);
    for _ in 0..72 {
        w.say(moderator, &text);
        for line in w.take(moderator) {
            if line["event"] == "probe" {
                w.send(moderator, &json!({"event": "probe", "data": line["data"]}).to_string());
            }
        }
    }
    let epoch = crate::world::START;
    assert_eq!(w.ask(moderator, "catch_up", json!({"epoch": epoch, "seq": 1})).unwrap()["resumed"], false);
    assert_eq!(w.ask(moderator, "catch_up", json!({"epoch": epoch, "seq": 11})).unwrap()["resumed"], true);
}

#[test]
fn v5_a_trimmed_log_resumes_only_what_it_holds() {
    let mut w = World::new();
    let ada = w.join("ada");
    for n in 0..8 {
        w.say(ada, &n.to_string());
    }
    w.log.trim(4);
    let epoch = crate::world::START;
    assert_eq!(
        w.ask(ada, "catch_up", json!({"epoch": epoch, "seq": 4})).unwrap()["events"].as_array().unwrap().len(),
        5
    );
    let reply = w.ask(ada, "catch_up", json!({"epoch": epoch, "seq": 3})).unwrap();
    assert_eq!((&reply["resumed"], reply["messages"].as_array().unwrap().len()), (&json!(false), 5));
}

#[test]
fn v5_a_room_whose_storage_was_lost_goes_on_in_a_new_epoch() {
    let mut w = World::new();
    let (ada, reply) = joined(&mut w, "ada", None);
    w.say(ada, "one");
    w.say(ada, "two");
    w.advance(5_000);
    w.lose_storage();
    let (ada, again) = joined(&mut w, "ada", Some(position(&reply)));
    assert_eq!(again["resumed"], false);
    assert!(again["epoch"].as_u64() > reply["epoch"].as_u64());
    assert_eq!(again["room"]["message_count"], 2);
    w.say(ada, "three");
    assert_eq!(w.events(ada, "new_message")[0]["no"], 3);
    w.advance(5_000);
    let numbers: std::collections::BTreeSet<_> =
        w.pg.messages.values().map(|row| row["no"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3].into());
}

#[test]
fn v8_who_does_not_read_is_probed_and_closed() {
    let mut w = World::with(&[("MAX_MESSAGE_LENGTH", "8000")], 1);
    let (moderator, slow, dead) = (w.join("mod"), w.join("ada"), w.join("bob"));
    let text = "x".repeat(7_500);
    let echo = |w: &mut World, socket| {
        let probes = w.events(socket, "probe");
        for probe in &probes {
            w.send(socket, &json!({"event": "probe", "data": probe}).to_string());
        }
        probes.len()
    };
    let mut probes = 0;
    for _ in 0..40 {
        w.say(moderator, &text);
        echo(&mut w, moderator);
        probes += echo(&mut w, slow);
    }
    assert_eq!((probes, w.events(dead, "probe").len(), w.closed(dead)), (1, 1, None));
    w.advance(30_000);
    assert_eq!((w.closed(dead), w.closed(slow)), (Some(4408), None));
    let mut said = 0;
    while w.closed(slow).is_none() {
        w.say(moderator, &text);
        w.advance(200);
        echo(&mut w, moderator);
        said += 1;
        assert!(said < 80, "512 KB unproved are too many");
    }
    assert_eq!(w.closed(slow), Some(4408));
}

#[test]
fn a_second_join_on_a_socket_replies_afresh() {
    let mut w = World::new();
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    w.take(ada);
    let reply = w.ask(bob, "join_room", json!({"room_id": ROOM})).unwrap();
    assert_eq!(reply["self"]["user_id"], "bob");
    assert!(w.events(ada, "user_joined").is_empty());
}

#[test]
fn a_clock_that_goes_back_while_the_room_sleeps_hides_nothing() {
    let mut w = World::new();
    let ada = w.join("ada");
    w.say(ada, "one");
    let said_at = w.now;
    w.evict();
    w.now -= 5_000;
    let reply = w.say(ada, "two");
    assert_eq!(w.events(ada, "new_message").last().unwrap()["content"], "two");
    assert_eq!(reply["timestamp"], edge_chat::protocol::rfc3339(said_at));
}

/// A machine's clock that was a day ahead for a moment.
#[test]
fn a_clock_that_leapt_forward_and_back_locks_nobody_out() {
    let day = 86_400_000;
    let delay = json!({"settings": {"delay_s": 2}});
    for asleep in [false, true] {
        let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "3"), ("RATE_LIMIT_WINDOW", "10000")], 1);
        let ada = w.join("ada");
        w.call("admin", Ask::Patch(serde_json::from_value(delay.clone()).unwrap())).unwrap();
        w.say(ada, "one");
        w.now += day;
        w.post("mod", "a day ahead").unwrap();
        w.now -= day;
        if asleep {
            w.evict();
        }
        // Whoever was here, and whoever comes, is judged by the clock as it is.
        w.say(ada, "two");
        let bob = w.join("bob");
        w.advance(60_000);
        assert_eq!((w.closed(ada), w.closed(bob)), (None, None), "asleep: {asleep}");
        w.take(bob);
        for n in 0..3 {
            w.say(ada, &format!("three {n}"));
        }
        assert_eq!(w.code(ada, "send_message", json!({"content": "too many"})), "rate_limited");
        w.advance(20_000);
        assert_eq!(w.events(bob, "new_message").len(), 3, "shown after the delay");
        w.say(ada, "four");
        w.advance(10_000);
        let stats = w.call("admin", Ask::Stats(Nothing {})).unwrap();
        assert_eq!(stats["drained_seq"], stats["seq"], "PostgreSQL is told");
        assert!(w.alarm.is_none_or(|at| at < w.now + 3_600_000), "an alarm is by the platform's clock");
    }
}

/// V4, V6: all who come back at once are served from what was read and encoded once, which follows the log.
#[test]
fn v4_v6_who_resume_together_share_one_reading_and_see_what_the_log_has_now() {
    let rates = ["RATE_LIMIT_MESSAGES", "RATE_LIMIT_ROOM_MESSAGES", "RATE_LIMIT_JOINS"].map(|name| (name, "1000"));
    let mut w = World::with(&rates, 1);
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    let said: Vec<Value> = (0..300).map(|n| w.say(ada, &format!("word{n} {}", "x".repeat(200)))).collect();
    w.advance(5_000);
    let seq = said[0]["seq"].as_u64().unwrap();
    let epoch = w.call("mod", Ask::Stats(Nothing {})).unwrap()["epoch"].clone();
    let resume = |w: &mut World, user: &str, seq: u64| {
        let (socket, reply) = joined(w, user, Some(json!({"epoch": epoch, "seq": seq})));
        w.close(socket);
        reply
    };
    let reads = w.log.forward_reads.get();
    let first = resume(&mut w, "bob", seq);
    let read_once = w.log.forward_reads.get();
    assert!(read_once > reads);
    assert_eq!((&first["resumed"], first["events"].as_array().unwrap().len()), (&json!(true), 299));
    for n in 0..50 {
        let reply = resume(&mut w, &format!("user{n}"), seq);
        assert_eq!(reply["events"], first["events"]);
    }
    let later = resume(&mut w, "cleo", seq + 200);
    assert_eq!(later["events"].as_array().unwrap()[..], first["events"].as_array().unwrap()[200..]);
    assert_eq!(w.log.forward_reads.get(), read_once);

    // What is deleted, edited and said goes on in it.
    w.ask(moderator, "delete_message", json!({"message_id": said[100]["message_id"]})).unwrap();
    w.ask(ada, "edit_message", json!({"message_id": said[101]["message_id"], "content": "other words"})).unwrap();
    w.say(ada, "the last");
    let after = resume(&mut w, "dora", seq);
    let text = after["events"].to_string();
    assert!(!text.contains("word100 ") && !text.contains("word101 ") && text.contains("word102 "));
    assert_eq!(after["events"].as_array().unwrap().len(), 302);
    // Of one who blocks, another answer.
    w.own("eve", UserAsk::Block("ada".into())).unwrap();
    let blocking = resume(&mut w, "eve", seq);
    assert!(!blocking["events"].to_string().contains("word102 "));
    assert_eq!(w.log.forward_reads.get(), read_once);

    // It is let go of where nobody came for a while, and in what is read anew there is nothing else.
    w.advance(20_000);
    w.say(ada, "later");
    let anew = resume(&mut w, "fay", seq);
    assert!(w.log.forward_reads.get() > read_once);
    let events = after["events"].as_array().unwrap();
    assert_eq!(anew["events"].as_array().unwrap()[..events.len()], events[..]);
}
