//! Rates as attackers meet them: over many sockets, by every event, from one address; and sockets that do not heed them.

use crate::memory::Flaw;
use crate::world::World;
use edge_chat::audience::SocketId;
use edge_chat::protocol::call::{Ask, Caller, SendBody};
use edge_chat::protocol::{ChatError, ErrorCode};
use serde_json::{Value, json};

fn guest(n: u32, address: &str) -> Caller {
    Caller { identity: None, guest: format!("guest-{n}"), address: address.into(), ..Caller::default() }
}

/// Opens a socket as the object does, or says why not.
fn open(w: &mut World, caller: Caller) -> Result<SocketId, ChatError> {
    let (id, effects) = w.compute(|host, at| host.open(at, caller))?;
    w.wires.entry(id).or_default();
    w.carry_out(effects);
    Ok(id)
}

#[test]
fn what_64_sockets_and_rest_get_through_is_the_rate() {
    let set = [
        ("RATE_LIMIT_MESSAGES", "200"),
        ("RATE_LIMIT_WINDOW", "10000"),
        ("MAX_SOCKETS_PER_USER", "64"),
        ("MAX_MESSAGE_LENGTH", "10"),
    ];
    let mut w = World::with(&set, 1);
    let sockets: Vec<_> = (0..64).map(|_| w.join("ada")).collect();
    let (mut said, mut tried) = (Vec::new(), 0);
    let began = w.now;
    // Five times as much as may be said, every 13th over REST; at the half of it the object loses its memory.
    for step in 0..6_000_u64 {
        if step == 3_000 {
            w.evict();
        }
        if step % 64 == 0 {
            w.wires.values_mut().for_each(|wire| wire.frames.clear());
        }
        tried += 1;
        let accepted = if step % 13 == 0 {
            w.post("ada", "x").is_ok()
        } else {
            w.ask(sockets[step as usize % 64], "send_message", json!({"content": "x"})).is_ok()
        };
        if accepted {
            said.push(w.now);
        }
        w.advance(10);
    }
    assert!(sockets.iter().all(|socket| w.closed(*socket).is_none()), "none was refused 30 times in 10 s");
    assert!(said.windows(201).all(|some| some[200] - some[0] >= 10_000), "never more than 200 in any 10 s");
    let expected = (w.now - began) / 50;
    let deviation = (said.len() as f64 - expected as f64).abs() / expected as f64;
    assert!(deviation <= 0.01, "{} of {tried} against {expected}", said.len());
}

#[test]
fn a_rooms_rate_is_for_all_but_those_apart_and_survives_an_eviction() {
    let set = [("RATE_LIMIT_ROOM_MESSAGES", "4"), ("RATE_LIMIT_ROOM_WINDOW", "5000")];
    let mut w = World::with(&set, 1);
    let people: Vec<_> = ["ada", "bob", "cy"].iter().map(|user| w.join(user)).collect();
    let (moderator, service) = (w.join("mod"), w.join("svc"));
    for n in 0..10 {
        w.say(moderator, &n.to_string());
        w.say(service, &n.to_string());
    }
    let message = w.say(people[0], "1")["message_id"].clone();
    w.advance(1_000);
    w.say(people[1], "2");
    w.say(people[2], "3");
    w.ask(people[0], "edit_message", json!({"message_id": message, "content": "4"})).unwrap();
    for evicted in [false, true] {
        if evicted {
            w.evict();
        }
        let error = w.ask(people[1], "send_message", json!({"content": "5"})).unwrap_err();
        assert_eq!((&error["code"], &error["retry_after_ms"]), (&json!("rate_limited"), &json!(4_000)));
        assert!(error["message"].as_str().unwrap().contains("this room"), "it is not the user's own rate: {error}");
        assert_eq!(w.post("dee", "5").unwrap_err().code, ErrorCode::RateLimited);
        w.say(moderator, "still");
    }
    w.advance(4_000);
    w.say(people[1], "5");
    w.advance(1_000);
    w.say(people[2], "6");
}

#[test]
fn reactions_and_typing_have_rates_of_a_user_over_all_tabs() {
    let set = [("RATE_LIMIT_REACTIONS", "3"), ("RATE_LIMIT_TYPING", "3"), ("RATE_LIMIT_WINDOW", "10000")];
    let mut w = World::with(&set, 1);
    let (one, two, bob, moderator) = (w.join("ada"), w.join("ada"), w.join("bob"), w.join("mod"));
    let message = w.say(one, "x")["message_id"].clone();
    let react = |remove: bool| json!({"message_id": message, "reaction": "👍", "remove": remove});
    for (event, data) in [("react", react(false)), ("typing", json!({"is_typing": true}))] {
        for socket in [one, two, one] {
            w.ask(socket, event, data.clone()).unwrap();
        }
        let error = w.ask(two, event, data.clone()).unwrap_err();
        assert_eq!((&error["code"], &error["retry_after_ms"]), (&json!("rate_limited"), &json!(10_000)));
        w.ask(bob, event, data.clone()).unwrap();
        for _ in 0..10 {
            w.ask(moderator, event, data.clone()).unwrap();
        }
    }
    w.advance(10_000);
    w.ask(two, "react", react(true)).unwrap();
    w.ask(two, "typing", json!({"is_typing": false})).unwrap();
}

#[test]
fn joins_are_counted_by_user_by_guest_and_by_address() {
    let mut w = World::with(&[("RATE_LIMIT_JOINS", "3"), ("RATE_LIMIT_WINDOW", "10000")], 1);
    let limited = |w: &mut World, socket| {
        let error = w.ask(socket, "join_room", json!({})).unwrap_err();
        assert_eq!((&error["code"], &error["retry_after_ms"]), (&json!("rate_limited"), &json!(10_000)));
        let goodbye = &w.events(socket, "goodbye")[0];
        assert_eq!(
            (&goodbye["code"], &goodbye["retry"], &goodbye["after_ms"]),
            (&json!("rate_limited"), &json!(true), &json!(10_000))
        );
        assert_eq!(w.closed(socket), Some(4429));
    };
    for _ in 0..3 {
        w.join("ada");
    }
    let socket = w.open("ada");
    limited(&mut w, socket);
    // One guest, whose address is not known, as often; another guest is another.
    for _ in 0..3 {
        let socket = open(&mut w, guest(1, "")).unwrap();
        w.ask(socket, "join_room", json!({})).unwrap();
    }
    let socket = open(&mut w, guest(1, "")).unwrap();
    limited(&mut w, socket);
    let socket = open(&mut w, guest(2, "")).unwrap();
    // A join again on the same socket is a join.
    for _ in 0..3 {
        w.ask(socket, "join_room", json!({})).unwrap();
    }
    limited(&mut w, socket);
    // An address is refused before its socket is accepted, whoever comes from it, and whether or not it joined.
    for n in 10..13 {
        open(&mut w, guest(n, "192.0.2.1")).unwrap();
    }
    let error = open(&mut w, guest(13, "192.0.2.1")).unwrap_err();
    assert_eq!((error.code, error.retry_after_ms), (ErrorCode::RateLimited, Some(10_000)));
    let bob = Caller { address: "192.0.2.1".into(), ..w.caller("bob") };
    assert_eq!(open(&mut w, bob).unwrap_err().code, ErrorCode::RateLimited);
    open(&mut w, guest(13, "2001:db8:1:2::/64")).unwrap();
    w.advance(10_000);
    let socket = open(&mut w, guest(13, "192.0.2.1")).unwrap();
    w.ask(socket, "join_room", json!({})).unwrap();
    assert!(!w.wires.values().any(|wire| wire.attachment.contains("192.0.2.1")), "an address is not kept");
}

#[test]
fn who_does_not_heed_refusals_is_sent_away() {
    let set = [("RATE_LIMIT_MESSAGES", "1"), ("RATE_LIMIT_REACTIONS", "1"), ("RATE_LIMIT_TYPING", "1")];
    let mut w = World::with(&set, 1);
    let (socket, other) = (w.join("ada"), w.join("ada"));
    let message = w.say(socket, "x")["message_id"].clone();
    let frames: [(&str, Value); 3] = [
        ("send_message", json!({"content": "x"})),
        ("react", json!({"message_id": message, "reaction": "👍"})),
        ("typing", json!({"is_typing": true})),
    ];
    for (event, data) in &frames[1..] {
        w.ask(socket, event, data.clone()).unwrap();
    }
    // 29 in 10 s, and 29 more, are borne.
    for _ in 0..2 {
        for n in 0..29 {
            let (event, data) = &frames[n % 3];
            assert_eq!(w.code(socket, event, data.clone()), "rate_limited");
        }
        w.advance(10_000);
    }
    for n in 0..30 {
        assert_eq!(w.closed(socket), None);
        let (event, data) = &frames[n % 3];
        // Without an id it counts as well.
        w.send(socket, &json!({"event": event, "data": data}).to_string());
    }
    let goodbye = &w.events(socket, "goodbye")[0];
    assert_eq!(
        (&goodbye["code"], &goodbye["retry"], &goodbye["after_ms"]),
        (&json!("rate_limited"), &json!(true), &json!(10_000))
    );
    assert_eq!(w.wires[&socket].closed, Some((4429, json!({"retry": true, "after_ms": 10_000}))));
    assert_eq!(w.closed(other), None);
}

#[test]
fn a_fault_of_the_storage_is_told_by_an_id_that_is_in_the_log() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = w.say(ada, "x")["message_id"].as_str().unwrap().to_owned();
    w.log.flaw.set(Flaw::Unreadable);
    let mut ids = Vec::new();
    let error = w.ask(ada, "edit_message", json!({"message_id": message, "content": "y"})).unwrap_err();
    ids.push(error["error_id"].as_str().unwrap().to_owned());
    assert_eq!(error["code"], "internal");
    w.send(ada, &json!({"event": "delete_message", "data": {"message_id": message}}).to_string());
    let event = w.events(ada, "error").remove(0);
    ids.push(event["error_id"].as_str().unwrap().to_owned());
    let over_rest = w.call("ada", Ask::DeleteMessage { message_id: message, known: None }).unwrap_err();
    ids.push(over_rest.error_id.clone().unwrap());
    for told in [error.to_string(), event.to_string(), edge_chat::rest::problem(&over_rest, "request-1")] {
        assert!(!told.contains("page 7"), "{told}");
    }
    let problem: Value = serde_json::from_str(&edge_chat::rest::problem(&over_rest, "request-1")).unwrap();
    assert_eq!((&problem["error_id"], &problem["instance"]), (&json!(ids[2]), &json!("request-1")));
    assert_eq!(w.faults, ids.iter().map(|id| format!("error {id}: disk I/O error on page 7")).collect::<Vec<_>>());
    assert!(ids.iter().all(|id| id.len() == 16) && ids[0] != ids[1] && ids[1] != ids[2]);
    // It is over when the storage is well again.
    w.log.flaw.set(Flaw::None);
    w.say(ada, "z");
}

#[test]
fn what_was_asked_under_a_token_that_ended_on_the_way_is_refused() {
    let mut w = World::new();
    let ada = w.join("ada");
    let caller = Caller { identity: Some(w.identity("ada", 60)), ..Caller::default() };
    let end = caller.identity.as_ref().unwrap().exp_ms;
    let send = |w: &mut World, content: &str| {
        let ask = Ask::Send(SendBody { content: content.into(), ..SendBody::default() });
        let call = edge_chat::protocol::call::RoomCall { v: 1, caller: caller.clone(), ask };
        w.step(|host, at| host.call(at, call)).map_err(|error| error.code)
    };
    w.now = end - 1;
    send(&mut w, "in time").unwrap();
    w.take(ada);
    for late in [end, end + 1] {
        w.now = late;
        assert_eq!(send(&mut w, "late").unwrap_err(), ErrorCode::TokenExpired);
    }
    assert!(w.events(ada, "new_message").is_empty() && !w.log.holds("late"));
}

#[test]
fn every_frame_from_the_tokens_last_millisecond_on_is_refused() {
    let mut frames: Vec<String> = [
        ("send_message", json!({"content": "late"})),
        ("typing", json!({"is_typing": true})),
        ("join_room", json!({})),
        ("catch_up", json!({"epoch": 1, "seq": 1})),
        ("ping", json!({})),
        ("refresh_token", json!({"user_token": "x"})),
        ("leave_room", json!({})),
    ]
    .iter()
    .map(|(event, data)| json!({"event": event, "data": data}).to_string())
    .collect();
    frames.push("not a frame".into());
    for frame in frames {
        let mut w = World::new();
        let caller = Caller { identity: Some(w.identity("ada", 60)), ..Caller::default() };
        let end = caller.identity.as_ref().unwrap().exp_ms;
        let (socket, witness) = (w.open_as(caller), w.join("bob"));
        w.ask(socket, "join_room", json!({})).unwrap();
        w.now = end - 1;
        w.say(socket, "in time");
        w.take(socket);
        w.take(witness);
        w.now = end;
        w.send(socket, &frame);
        assert_eq!(w.closed(socket), Some(4401), "{frame}");
        assert_eq!(w.take(socket)[0]["data"]["code"], "token_expired", "{frame}");
        assert!(w.take(witness).iter().all(|line| line["event"] != "new_message" && line["event"] != "user_typing"));
        // Nor does the newest token in a join revive a socket that ended.
        let newer = w.token("ada", 60);
        w.send(socket, &json!({"event": "join_room", "data": {"user_token": newer}}).to_string());
        assert!(w.take(socket).is_empty());
    }
}
