//! The degrade ladder: what is shown at each step, and that viewers are told what is not.

use crate::world::{ROOM, START, World, all, random};
use edge_chat::audience::{Out, SocketId, To};
use edge_chat::protocol::call::{Ask, Caller, PageQuery, UserAsk};
use serde_json::{Value, json};
use std::ops::Range;

const OFF: [&str; 3] = ["user_joined", "user_left", "user_typing"];

fn join_guest(w: &mut World, name: &str) -> SocketId {
    let socket = w.open_as(Caller { guest: format!("{name:A<22}"), ..Caller::default() });
    w.ask(socket, "join_room", json!({"room_id": ROOM})).unwrap();
    socket
}

/// The room with ada and so many users in all; what they were sent until now is read.
fn crowd(set: &[(&str, &str)], users: usize) -> (World, SocketId, Vec<SocketId>) {
    let mut w = World::with(set, 1);
    let ada = w.join("ada");
    let others = (1..users).map(|n| w.join(&format!("user{n}"))).collect();
    w.advance(10_000);
    w.wires.values_mut().for_each(|wire| wire.frames.clear());
    (w, ada, others)
}

/// What `room_stats` says of what is not sent, each time.
fn told(w: &mut World, socket: SocketId) -> Vec<Value> {
    w.events(socket, "room_stats").into_iter().map(|mut data| data["left_out"].take()).collect()
}

#[test]
fn at_a_hundred_each_join_leave_and_typing_is_told() {
    let (mut w, ada, others) = crowd(&[], 99);
    let late = w.open("late");
    let reply = w.ask(late, "join_room", json!({})).unwrap();
    assert_eq!((reply.get("left_out"), reply["members"].as_array().unwrap().len()), (None, 100));
    assert_eq!(all(&w.events(ada, "user_joined"), "user_id"), ["late"]);
    w.ask(late, "typing", json!({"is_typing": true})).unwrap();
    assert_eq!(w.events(ada, "user_typing").len(), 1);
    w.close(others[0]);
    w.advance(10_000);
    let lines = w.take(ada);
    assert!(lines.iter().any(|line| line["event"] == "user_left"));
    let stats: Vec<_> = lines.iter().filter(|line| line["event"] == "room_stats").collect();
    assert!(!stats.is_empty() && stats.iter().all(|line| line["data"].get("left_out").is_none()), "{stats:?}");
}

#[test]
fn at_a_hundred_and_one_they_are_off_and_everyone_is_told_at_once() {
    let (mut w, ada, others) = crowd(&[], 100);
    let late = w.open("late");
    let reply = w.ask(late, "join_room", json!({})).unwrap();
    assert_eq!((&reply["left_out"], reply.get("members")), (&json!(OFF), None));
    assert_eq!(told(&mut w, ada), [json!(OFF)], "without waiting for the next count");
    assert_eq!(told(&mut w, late)[0], json!(OFF));
    assert_eq!(w.ask(late, "typing", json!({"is_typing": true})).unwrap(), json!({}));
    w.close(others[0]);
    w.advance(10_000);
    let lines = w.take(ada);
    assert!(lines.iter().all(|line| line["event"] == "room_stats"), "{lines:?}");
}

#[test]
fn guests_are_online_too() {
    let (mut w, ada, _) = crowd(&[], 99);
    let first = join_guest(&mut w, "one");
    assert!(told(&mut w, ada).iter().all(Value::is_null));
    // Another tab of the same guest is nobody new.
    join_guest(&mut w, "one");
    assert!(told(&mut w, ada).iter().all(Value::is_null));
    join_guest(&mut w, "two");
    assert_eq!(told(&mut w, ada), [json!(OFF)]);
    assert_eq!(told(&mut w, first).last(), Some(&json!(OFF)));
}

#[test]
fn who_comes_and_goes_at_the_border_changes_nothing() {
    let (mut w, ada, others) = crowd(&[], 101);
    assert!(told(&mut w, ada).is_empty());
    for (n, other) in others.iter().enumerate().take(5) {
        w.close(*other);
        w.advance(10_000);
        w.join(&format!("user{}", n + 1));
        w.advance(10_000);
    }
    assert!(told(&mut w, ada).iter().all(|left_out| *left_out == json!(OFF)));
    for other in &others[50..60] {
        w.close(*other);
    }
    w.advance(10_000);
    // 91 are left.
    assert!(told(&mut w, ada).iter().all(|left_out| *left_out == json!(OFF)));
    w.close(others[60]);
    w.advance(10_000);
    assert_eq!(told(&mut w, ada), [Value::Null], "90: told once, at once");
    assert!(w.get("ada")["online_users"] == 90);
    w.join("late");
    assert_eq!(all(&w.events(ada, "user_joined"), "user_id"), ["late"]);
}

#[test]
fn a_room_that_wakes_says_nothing_anew() {
    let (mut w, ada, _) = crowd(&[], 101);
    w.evict();
    w.advance(60_000);
    assert!(told(&mut w, ada).is_empty());
    let late = w.open("late");
    assert_eq!(w.ask(late, "join_room", json!({})).unwrap()["left_out"], json!(OFF));
}

fn react(w: &mut World, socket: SocketId, id: &str, reaction: &str) -> Value {
    w.ask(socket, "react", json!({"message_id": id, "reaction": reaction})).unwrap()
}

/// What a viewer is shown of the log: positions, messages by their text and counts, in order.
fn shown(w: &mut World, socket: SocketId) -> Vec<String> {
    let lines = w.take(socket).into_iter().filter(|line| line["seq"].is_u64() || line["at"].is_object());
    let of = |line: Value| match line["event"].as_str() {
        None => format!("{}-{}/{}", line["at"]["from"], line["at"]["to"], line["at"]["left_out"]),
        Some("new_message") => line["data"]["content"].as_str().unwrap().to_owned(),
        Some("reaction_updated") => line["data"]["reactions"].to_string(),
        Some(other) => other.to_owned(),
    };
    lines.map(of).collect()
}

/// A message in a room with so many users, and two who will react to it; everything is read.
fn said(users: usize) -> (World, SocketId, [SocketId; 2], String) {
    let (mut w, ada, others) = crowd(&[], users);
    let id = w.say(ada, "x")["message_id"].as_str().unwrap().to_owned();
    w.join("mod");
    w.advance(10_000);
    w.wires.values_mut().for_each(|wire| wire.frames.clear());
    (w, ada, [others[0], others[1]], id)
}

#[test]
fn at_a_hundred_each_reaction_is_shown_at_once() {
    let (mut w, ada, [one, two], id) = said(99);
    react(&mut w, one, &id, "👍");
    react(&mut w, two, &id, "👍");
    assert_eq!(shown(&mut w, ada), [r#"{"👍":1}"#, r#"{"👍":2}"#]);
}

#[test]
fn above_a_hundred_a_message_shows_its_counts_every_half_second_and_above_a_thousand_every_second() {
    for (users, window) in [(101, 500), (1_000, 500), (1_001, 1_000)] {
        // One of them is the moderator.
        let (mut w, ada, [one, two], id) = said(users - 1);
        let moderator = w.join("mod");
        w.advance(10_000);
        w.wires.values_mut().for_each(|wire| wire.frames.clear());
        let reply = react(&mut w, one, &id, "👍");
        assert_eq!((&reply["reactions"], &reply["seq"]), (&json!({"👍": 1}), &json!(3)), "the reply is at once");
        w.advance(window - 100);
        react(&mut w, two, &id, "❤️");
        w.advance(99);
        assert_eq!(shown(&mut w, ada), [""; 0], "at {users}");
        w.advance(1);
        let all = [r#"2-4/0"#, r#"{"❤️":1,"👍":1}"#];
        for viewer in [ada, one, moderator] {
            assert_eq!(shown(&mut w, viewer), all, "at {users}");
        }
        // The next window begins with the next reaction.
        w.advance(5_000);
        react(&mut w, one, &id, "🎉");
        w.advance(window);
        assert_eq!(shown(&mut w, ada), [r#"{"❤️":1,"🎉":1,"👍":1}"#]);
    }
}

#[test]
fn what_waits_leaves_with_what_does_not_and_in_order() {
    let (mut w, ada, [one, two], id) = said(101);
    react(&mut w, one, &id, "👍");
    react(&mut w, two, &id, "👍");
    w.say(one, "y");
    assert_eq!(shown(&mut w, ada), ["2-5/0", r#"{"👍":2}"#, "y"]);
    // Without another reaction between there is nothing to cover.
    react(&mut w, one, &id, "🎉");
    w.ask(ada, "edit_message", json!({"message_id": id, "content": "z"})).unwrap();
    assert_eq!(shown(&mut w, ada), [r#"{"🎉":1,"👍":2}"#, "message_edited"]);
    w.advance(10_000);
    assert_eq!(shown(&mut w, ada), [""; 0], "once");
}

#[test]
fn v4_who_comes_in_the_middle_of_a_window_misses_and_repeats_nothing() {
    let (mut w, ada, [one, two], id) = said(101);
    react(&mut w, one, &id, "👍");
    let late = w.open("late");
    let resume = json!({"resume": {"epoch": START, "seq": 1}});
    let reply = w.ask(late, "join_room", resume).unwrap();
    assert_eq!((&reply["seq"], reply["events"].as_array().unwrap().len()), (&json!(2), 1));
    react(&mut w, two, &id, "👍");
    w.advance(500);
    assert_eq!(shown(&mut w, late), shown(&mut w, ada));
}

/// A large room in which members' messages are sampled, and who is there to see it.
fn sampled(above: u32) -> (World, [SocketId; 4]) {
    let set = [("RATE_LIMIT_MESSAGES", "1000"), ("RATE_LIMIT_ROOM_MESSAGES", "100000"), ("FRAME_BUDGET", "10000000")];
    let mut w = World::with(&set, 1);
    let sockets = ["ada", "bob", "cleo", "mod"].map(|user| w.join(user));
    let patch = json!({"settings": {"sample_above": above}});
    w.call("admin", Ask::Patch(serde_json::from_value(patch).unwrap())).unwrap();
    for n in 0..1_001 {
        join_guest(&mut w, &n.to_string());
    }
    w.advance(40_000);
    // With it comes the position, which then is not due for a while.
    w.say(sockets[0], "first");
    w.advance(5_000);
    w.wires.values_mut().for_each(|wire| wire.frames.clear());
    (w, sockets)
}

#[test]
fn a_sample_is_told_and_shared_and_one_s_own_comes_all_the_same() {
    let (mut w, [ada, bob, cleo, moderator]) = sampled(2);
    for n in 0..6 {
        w.say(ada, &format!("m{n}"));
    }
    assert_eq!(shown(&mut w, bob), ["m0", "m1"], "a second's worth at once");
    assert_eq!(shown(&mut w, ada), ["m0", "m1"]);
    assert_eq!(shown(&mut w, moderator), ["m0", "m1", "m2", "m3", "m4", "m5"], "who keeps order sees all");
    w.advance(499);
    assert_eq!(shown(&mut w, bob), [""; 0]);
    // What has waited goes with the next one that is in the sample.
    w.advance(1);
    w.say(ada, "m6");
    assert_eq!(shown(&mut w, bob), ["5-10/4", "m6"]);
    assert_eq!(shown(&mut w, cleo), ["m0", "m1", "5-10/4", "m6"]);
    assert_eq!(shown(&mut w, ada), ["5-10/0", "m2", "m3", "m4", "m5", "m6"]);
    // Or after a second by itself.
    w.say(ada, "m7");
    w.advance(999);
    assert_eq!((shown(&mut w, bob), shown(&mut w, ada)), (vec![], vec![]));
    w.advance(1);
    assert_eq!((shown(&mut w, bob), shown(&mut w, ada)), (vec!["10-11/1".into()], vec!["10-11/0".into(), "m7".into()]));
}

#[test]
fn what_concerns_a_viewer_is_never_left_out() {
    let (mut w, [ada, bob, cleo, moderator]) = sampled(1);
    let asked = w.say(bob, "b0")["message_id"].clone();
    w.say(ada, "to @bob");
    w.ask(ada, "send_message", json!({"content": "answer", "reply_to": asked})).unwrap();
    w.say(ada, "to nobody");
    w.say(moderator, "order");
    w.ask(moderator, "announce", json!({"content": "hear"})).unwrap();
    assert_eq!(shown(&mut w, cleo), ["b0", "4-8/3", "order", "hear"]);
    assert_eq!(shown(&mut w, bob), ["b0", "4-8/1", "to @bob", "answer", "order", "hear"]);
    assert_eq!(shown(&mut w, ada), ["b0", "4-8/0", "to @bob", "answer", "to nobody", "order", "hear"]);
}

#[test]
fn a_sample_is_one_frame_for_all_who_share_it() {
    let (mut w, [ada, bob, cleo, moderator]) = sampled(2);
    for n in 0..3 {
        w.say(ada, &format!("m{n}"));
    }
    w.advance(500);
    let send = json!({"event": "send_message", "data": {"content": "m3"}}).to_string();
    let sent = w.step(|host, at| {
        let effects = host.frame(at, bob, &send);
        (effects.out.clone(), effects)
    });
    let to = |out: &Out| match out {
        Out::Send(To::Many(ids), _) => ids.to_vec(),
        other => panic!("{other:?}"),
    };
    let rest = [bob, cleo].into_iter().chain(5..=1_005);
    assert_eq!(sent.iter().map(to).collect::<Vec<_>>(), [vec![ada], rest.collect(), vec![moderator]]);
}

#[test]
fn only_large_rooms_that_want_it_are_sampled() {
    let (mut w, [ada, bob, ..]) = sampled(1);
    let left_out = |w: &mut World| {
        w.advance(5_000);
        w.take(bob);
        for n in 0..5 {
            w.say(ada, &format!("m{n}"));
        }
        w.advance(1_000);
        5 - w.events(bob, "new_message").len()
    };
    assert_eq!(left_out(&mut w), 4);
    let guests: Vec<_> = w.wires.keys().skip(4).copied().take(106).collect();
    for (n, guest) in guests.iter().enumerate() {
        w.close(*guest);
        // Of 1,005.
        assert!(n != 103 || left_out(&mut w) == 4, "901");
    }
    assert_eq!(left_out(&mut w), 0, "899");
    for n in 0..106 {
        join_guest(&mut w, &format!("back{n}"));
    }
    let patch = json!({"settings": {"sample_above": 3}});
    w.call("admin", Ask::Patch(serde_json::from_value(patch).unwrap())).unwrap();
    assert_eq!(left_out(&mut w), 2);
    let patch = json!({"settings": {"sample_above": null}});
    w.call("admin", Ask::Patch(serde_json::from_value(patch).unwrap())).unwrap();
    assert_eq!(left_out(&mut w), 0);
}

#[test]
fn what_was_left_out_is_in_history_a_join_and_a_resume_and_its_changes_come() {
    let (mut w, [ada, bob, ..]) = sampled(1);
    let ids: Vec<_> = (0..3).map(|n| w.say(ada, &format!("m{n}"))["message_id"].clone()).collect();
    w.advance(1_000);
    assert_eq!(shown(&mut w, bob), ["m0", "4-6/2"]);
    w.ask(ada, "edit_message", json!({"message_id": ids[1], "content": "changed"})).unwrap();
    w.ask(ada, "delete_message", json!({"message_id": ids[2]})).unwrap();
    react(&mut w, bob, ids[1].as_str().unwrap(), "👍");
    w.advance(1_000);
    assert_eq!(shown(&mut w, bob), ["message_edited", "message_deleted", r#"{"👍":1}"#]);
    let page = w.page("bob", PageQuery::Page { page: 1, limit: 3 });
    assert_eq!(
        all(page["messages"].as_array().unwrap_or(page["held"].as_array().unwrap()), "content"),
        ["", "changed", "m0"]
    );
    let tab = w.open("bob");
    let reply = w.ask(tab, "join_room", json!({})).unwrap();
    assert_eq!(all(reply["messages"].as_array().unwrap(), "content"), ["first", "m0", "changed", ""]);
    let reply = w.ask(tab, "catch_up", json!({"epoch": START, "seq": 3})).unwrap();
    assert_eq!(reply["events"].as_array().unwrap().len(), 6);
}

/// What a client that keeps to the rules of positions has been shown.
#[derive(Default)]
struct Follower {
    seq: u64,
    messages: Vec<u64>,
    left_out: u64,
}

impl Follower {
    fn take(&mut self, lines: Vec<Value>) {
        let mut to = 0;
        for line in lines {
            if let Some(at) = line.get("at") {
                self.seq = self.seq.max(to);
                assert!(at["from"].as_u64().unwrap() <= self.seq, "a gap at {}: {at}", self.seq);
                to = at["to"].as_u64().unwrap();
                self.left_out += if to > self.seq { at["left_out"].as_u64().unwrap() } else { 0 };
            } else if let Some(seq) = line["seq"].as_u64().filter(|seq| *seq > self.seq) {
                if seq > to {
                    // Of the next frame.
                    self.seq = self.seq.max(to);
                }
                assert!(seq == self.seq + 1 || seq <= to, "a gap at {}: {seq}", self.seq);
                self.seq = seq;
                if line["event"] == "new_message" {
                    self.messages.push(seq);
                }
            }
        }
        self.seq = self.seq.max(to);
    }
}

/// Whatever happens in the room: what a viewer was shown and what was left out add up to what was said, and nothing
/// that concerns the viewer is among the latter.
#[test]
fn v4_what_is_shown_and_what_is_left_out_is_what_was_said() {
    // Nobody here proves that they read, so a room does not last for all of them.
    (0..12).step_by(2).for_each(|first| adds_up(first..first + 2));
}

fn adds_up(seeds: Range<u64>) {
    let (mut w, sockets) = sampled(3);
    w.own("cleo", UserAsk::Standing { room: Some(ROOM.into()) }).unwrap();
    w.own("cleo", UserAsk::Block("dan".into())).unwrap();
    let others = ["dan", "eve"].map(|user| w.join(user));
    let all: Vec<_> = sockets.into_iter().chain(others).collect();
    for seed in seeds {
        let mut state = seed;
        let settings = json!({"settings": {"delay_s": if seed % 3 == 0 { 2 } else { 0 }}});
        w.call("admin", Ask::Patch(serde_json::from_value(settings).unwrap())).unwrap();
        w.advance(10_000);
        let end = json!({"epoch": START, "seq": u64::from(u32::MAX)});
        let start = w.ask(all[0], "catch_up", end).unwrap()["seq"].as_u64().unwrap();
        w.wires.values_mut().for_each(|wire| wire.frames.clear());
        let mut followers: Vec<_> = all.iter().map(|_| Follower { seq: start, ..Follower::default() }).collect();
        let mut ids = Vec::new();
        for _ in 0..120 {
            let who = all[(random(&mut state) % all.len() as u64) as usize];
            let id = ids.get(random(&mut state) as usize % ids.len().max(1)).cloned().unwrap_or(Value::Null);
            match random(&mut state) % 12 {
                0 => drop(w.ask(who, "react", json!({"message_id": id, "reaction": "👍"}))),
                1 => drop(w.ask(who, "edit_message", json!({"message_id": id, "content": "e"}))),
                2 => drop(w.ask(who, "send_message", json!({"content": "@eve and @bob"}))),
                3 => drop(w.ask(who, "send_message", json!({"content": "answer", "reply_to": id}))),
                4 => w.advance(random(&mut state) % 1_500),
                _ => ids.push(w.say(who, "x")["message_id"].clone()),
            }
            w.advance(random(&mut state) % 120);
            for (follower, socket) in followers.iter_mut().zip(&all) {
                follower.take(w.take(*socket));
            }
        }
        w.advance(10_000);
        for (n, (follower, socket)) in followers.iter_mut().zip(&all).enumerate() {
            follower.take(w.take(*socket));
            let user = ["ada", "bob", "cleo", "mod", "dan", "eve"][n];
            let reply = w.ask(*socket, "catch_up", json!({"epoch": START, "seq": start})).unwrap();
            let said: Vec<_> =
                reply["events"].as_array().unwrap().iter().filter(|e| e["event"] == "new_message").collect();
            assert!(user != "cleo" || said.iter().all(|event| event["data"]["user"]["user_id"] != "dan"));
            let shown = follower.messages.len() as u64;
            assert_eq!(shown + follower.left_out, said.len() as u64, "{user} in {seed}");
            assert_eq!(follower.left_out > 0, user != "mod", "{user} in {seed}");
            for event in said.iter().filter(|event| !follower.messages.contains(&event["seq"].as_u64().unwrap())) {
                let data = &event["data"];
                let mentioned = data["mentions"].as_array().unwrap().iter().any(|mention| mention["user_id"] == user);
                assert!(data["user"]["user_id"] != user && !mentioned, "{user} in {seed} misses {event}");
                assert!(data["user"]["roles"] == json!(["member"]), "{user} in {seed} misses {event}");
            }
        }
    }
}
