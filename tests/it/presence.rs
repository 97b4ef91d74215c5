//! Who is here: joining, leaving, typing, counts.

use crate::world::{ROOM, World, all};
use edge_chat::audience::SocketId;
use edge_chat::auth::Role;
use edge_chat::protocol::CreateRoom;
use edge_chat::protocol::act::{Act, SetRole};
use edge_chat::protocol::call::{Ask, Nothing};
use serde_json::{Value, json};

fn create(w: &mut World, body: Value) {
    w.call("owner", Ask::Create(serde_json::from_value::<CreateRoom>(body).unwrap())).unwrap();
}

fn join(w: &mut World, user: &str) -> (SocketId, Result<Value, Value>) {
    let socket = w.open(user);
    let reply = w.ask(socket, "join_room", json!({"room_id": ROOM}));
    (socket, reply)
}

fn refused(w: &mut World, user: &str, code: &str, close: u16) {
    let (socket, reply) = join(w, user);
    assert_eq!((reply.unwrap_err()["code"].as_str(), w.closed(socket)), (Some(code), Some(close)));
}

#[test]
fn a_member_joins_and_is_told_everything() {
    let mut w = World::new();
    let (socket, reply) = join(&mut w, "ada");
    let reply = reply.unwrap();
    assert_eq!((&reply["online_users"], &reply["resumed"], &reply["messages"]), (&json!(1), &json!(false), &json!([])));
    assert_eq!(reply["self"]["can"], json!(["send", "edit", "react", "type", "report"]));
    assert_eq!(all(reply["members"].as_array().unwrap(), "user_id"), ["ada"]);
    assert_eq!(w.take(socket)[0]["event"], "room_stats");
}

#[test]
fn a_guest_joins_where_guests_may_and_counts_as_one() {
    let mut w = World::new();
    create(&mut w, json!({"name": "R", "type": "stream"}));
    let ada = w.join("ada");
    let (guest, reply) = join(&mut w, "");
    let reply = reply.unwrap();
    assert_eq!((&reply["online_users"], &reply["online_guests"]), (&json!(1), &json!(1)));
    assert_eq!(reply["self"]["user_id"], Value::Null);
    assert_eq!(reply["self"]["guest_id"], "AAAAAAAAAAAAAAAAAAAAAA");
    assert!(w.events(ada, "user_joined").is_empty());
    // Joining again on the same socket is the same guest.
    w.ask(guest, "join_room", json!({})).unwrap();
    w.close(guest);
    w.advance(6_000);
    assert_eq!(w.get("ada")["online_guests"], 0);
}

#[test]
fn who_may_not_join_is_told_why_and_closed() {
    let mut w = World::new();
    refused(&mut w, "", "room_not_found", 4404);
    create(&mut w, json!({"name": "R", "type": "group", "settings": {"guests": false}}));
    refused(&mut w, "", "token_required", 4401);
    let mut w = World::new();
    create(&mut w, json!({"name": "R", "type": "group", "settings": {"visibility": "private"}}));
    refused(&mut w, "", "token_required", 4401);
    refused(&mut w, "bob", "forbidden", 4403);
    for user in ["owner", "mod", "svc", "admin"] {
        join(&mut w, user).1.unwrap();
    }
    let mut w = World::with(&[("AUTO_CREATE_ROOMS", "false")], 1);
    refused(&mut w, "ada", "room_not_found", 4404);
}

#[test]
fn a_signed_in_join_makes_the_room_where_that_is_set() {
    let mut w = World::new();
    let (_, reply) = join(&mut w, "ada");
    let room = &reply.unwrap()["room"];
    assert_eq!((&room["type"], &room["owner_id"], &room["message_count"]), (&json!("video"), &Value::Null, &json!(0)));
    w.evict();
    assert_eq!(w.get("bob")["room_id"], ROOM);
    w.advance(5_000);
    assert_eq!(w.pg.room.as_ref().unwrap()["name"], ROOM);
}

#[test]
fn a_direct_room_is_for_its_two_members() {
    let mut w = World::new();
    create(&mut w, json!({"name": "R", "type": "direct", "members": ["owner", "bob"]}));
    join(&mut w, "bob").1.unwrap();
    join(&mut w, "owner").1.unwrap();
    refused(&mut w, "cleo", "room_not_found", 4404);
    w.advance(5_000);
    w.lose_storage();
    join(&mut w, "bob").1.unwrap();
    refused(&mut w, "cleo", "room_not_found", 4404);
}

#[test]
fn a_user_is_one_however_many_tabs() {
    let mut w = World::new();
    let ada = w.join("ada");
    let one = w.join("bob");
    let two = w.join("bob");
    assert_eq!(all(&w.events(ada, "user_joined"), "user_id"), ["bob"]);
    assert_eq!(w.get("ada")["online_users"], 2);
    w.close(one);
    w.advance(10_000);
    assert!(w.events(ada, "user_left").is_empty());
    w.close(two);
    w.advance(4_999);
    assert!(w.events(ada, "user_left").is_empty());
    w.advance(1);
    assert_eq!(w.events(ada, "user_left"), [json!({"user_id": "bob", "username": "Bob", "avatar": null})]);
    assert_eq!(w.get("ada")["online_users"], 1);
}

#[test]
fn who_comes_back_within_five_seconds_never_left() {
    let mut w = World::new();
    let ada = w.join("ada");
    let bob = w.join("bob");
    w.take(ada);
    w.close(bob);
    w.advance(4_000);
    w.join("bob");
    w.advance(20_000);
    let lines = w.take(ada);
    assert!(lines.iter().all(|line| line["event"] != "user_joined" && line["event"] != "user_left"), "{lines:?}");
}

#[test]
fn nobody_is_told_of_themselves() {
    let mut w = World::new();
    let one = w.join("ada");
    let two = w.join("ada");
    w.ask(two, "typing", json!({"is_typing": true})).unwrap();
    w.close(two);
    let lines = w.take(one);
    assert!(lines.iter().all(|line| line["event"] == "room_stats"), "{lines:?}");
}

#[test]
fn presence_survives_eviction() {
    let mut w = World::new();
    let (ada, bob, guest) = (w.join("ada"), w.join("bob"), w.join(""));
    w.evict();
    let room = w.get("ada");
    assert_eq!((&room["online_users"], &room["online_guests"]), (&json!(2), &json!(1)));
    w.take(ada);
    w.close(bob);
    w.close(guest);
    w.advance(5_000);
    assert_eq!(all(&w.events(ada, "user_left"), "user_id"), ["bob"]);
}

#[test]
fn typing_is_told_at_most_every_three_seconds() {
    let mut w = World::new();
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    w.take(bob);
    let typing = |w: &mut World, on: bool| {
        w.ask(ada, "typing", json!({"is_typing": on})).unwrap();
        w.events(bob, "user_typing").iter().map(|data| data["is_typing"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(typing(&mut w, true), [true]);
    assert_eq!(typing(&mut w, true), [false; 0]);
    w.advance(2_999);
    assert_eq!(typing(&mut w, true), [false; 0]);
    w.advance(1);
    assert_eq!(typing(&mut w, true), [true]);
    assert_eq!(typing(&mut w, false), [false]);
    assert_eq!(typing(&mut w, false), [false; 0]);
}

#[test]
fn above_a_hundred_users_only_the_counts_are_told() {
    let mut w = World::new();
    let ada = w.join("ada");
    for n in 0..99 {
        w.join(&format!("user{n}"));
    }
    w.take(ada);
    let (socket, reply) = join(&mut w, "late");
    assert!(reply.unwrap().get("members").is_none());
    w.ask(socket, "typing", json!({"is_typing": true})).unwrap();
    w.advance(10_000);
    let lines = w.take(ada);
    assert!(!lines.is_empty() && lines.iter().all(|line| line["event"] == "room_stats"), "{lines:?}");
    assert_eq!(lines.last().unwrap()["data"]["online_users"], 101);
}

#[test]
fn room_stats_come_on_change_and_at_most_once_a_second() {
    let mut w = World::new();
    let ada = w.join("ada");
    w.advance(5_000);
    w.take(ada);
    w.advance(60_000);
    assert!(w.events(ada, "room_stats").is_empty());
    let bob = w.join("bob");
    for _ in 0..5 {
        w.say(bob, "x");
        w.advance(100);
    }
    let first = w.events(ada, "room_stats");
    assert_eq!((first.len(), &first[0]["online_users"]), (1, &json!(2)));
    w.advance(2_400);
    assert!(w.events(ada, "room_stats").is_empty());
    w.advance(100);
    assert_eq!(w.events(ada, "room_stats"), [json!({"online_users": 2, "online_guests": 0, "message_count": 5})]);
}

#[test]
fn while_people_talk_the_number_of_messages_takes_no_frame_of_its_own() {
    let mut w = World::new();
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    w.advance(5_000);
    w.take(ada);
    for _ in 0..10 {
        w.say(bob, "x");
        w.advance(500);
    }
    assert_eq!(w.wires[&ada].frames.len(), 10);
    let told: Vec<_> = w.events(ada, "room_stats").iter().map(|data| data["message_count"].clone()).collect();
    assert_eq!(told, [1, 3, 5, 7, 9]);
}

#[test]
fn members_are_those_here_and_those_with_a_role() {
    let mut w = World::new();
    create(&mut w, json!({"name": "R", "type": "group"}));
    let role = SetRole { user_id: "bob".into(), role: Some(Role::Member), room_id: None };
    w.call("owner", Ask::Act(Act::SetRole(role))).unwrap();
    w.join("owner");
    w.join("mod");
    let all_of = |w: &mut World, limit, skip| w.call("mod", Ask::Members { limit, skip }).unwrap();
    let members = all_of(&mut w, 100, 0);
    assert_eq!(all(members["members"].as_array().unwrap(), "user_id"), ["mod", "owner", "bob"]);
    assert_eq!(
        (&members["members"][0]["role"], &members["members"][2]["online"]),
        (&json!("moderator"), &json!(false))
    );
    assert_eq!((&members["total"], members.get("next")), (&json!(3), None));
    let page = all_of(&mut w, 2, 0);
    assert_eq!((page["members"].as_array().unwrap().len(), &page["next"]), (2, &json!(2)));
    assert_eq!(all(all_of(&mut w, 2, 2)["members"].as_array().unwrap(), "user_id"), ["bob"]);
}

#[test]
fn somebody_about_to_leave_is_still_what_they_were() {
    let mut w = World::new();
    let _ada = w.join("ada");
    let moderator = w.join("mod");
    w.close(moderator);
    let members = w.call("ada", Ask::Members { limit: 100, skip: 0 }).unwrap();
    assert_eq!(members["members"][1]["role"], "moderator");
}

#[test]
fn stats_are_for_moderators() {
    let mut w = World::new();
    let ada = w.join("ada");
    w.say(ada, "x");
    assert_eq!(w.call("ada", Ask::Stats(Nothing {})).unwrap_err().code.as_str(), "forbidden");
    w.advance(5_000);
    let stats = w.call("mod", Ask::Stats(Nothing {})).unwrap();
    assert_eq!((&stats["seq"], &stats["drained_seq"], &stats["message_count"]), (&json!(2), &json!(2), &json!(1)));
    assert_eq!((&stats["sockets"], &stats["counters"]["events"]), (&json!(1), &json!(2)));
}
