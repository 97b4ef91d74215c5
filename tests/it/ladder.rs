//! The degrade ladder: what is shown at each step, and that viewers are told what is not.

use crate::world::{ROOM, World, all};
use edge_chat::audience::SocketId;
use edge_chat::protocol::call::Caller;
use serde_json::{Value, json};

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
    for n in 0..5 {
        w.close(others[n]);
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
