//! How much may be said, by whom, and that a repeat is no second message.

use crate::world::World;
use edge_chat::protocol::call::{AsUser, Ask, PageQuery, SendBody};
use edge_chat::protocol::{Audience, Body, CreateRoom, ErrorCode, LogEvent};
use edge_chat::room::{Row, Write};
use serde_json::{Value, json};

fn id(reply: &Value) -> String {
    reply["message_id"].as_str().unwrap().to_owned()
}

fn create(w: &mut World, owner: &str, settings: Value) {
    let body: CreateRoom =
        serde_json::from_value(json!({"name": "Room", "type": "video", "settings": settings})).unwrap();
    w.call(owner, Ask::Create(body)).unwrap();
}

#[test]
fn v3_a_client_id_is_one_message_for_24_hours() {
    let mut w = World::new();
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    let send = |content: &str| json!({"content": content, "client_id": "c-1"});
    let first = w.ask(ada, "send_message", send("one")).unwrap();
    w.take(bob);
    assert_eq!(w.ask(ada, "send_message", send("other")).unwrap(), first);
    w.evict();
    let tab = w.join("ada");
    assert_eq!(w.ask(tab, "send_message", send("one")).unwrap(), first);
    assert!(w.events(bob, "new_message").is_empty());
    assert_ne!(w.ask(bob, "send_message", send("one")).unwrap(), first);
    let day = 24 * 60 * 60 * 1000;
    w.now += day;
    w.send(tab, &json!({"event": "send_message", "data": send("one")}).to_string());
    assert_eq!(w.closed(tab), Some(4401));
    let ada = w.join("ada");
    for evicted in [false, true] {
        if evicted {
            w.evict();
        }
        assert_eq!(w.ask(ada, "send_message", send("one")).unwrap(), first);
    }
    w.now += 1;
    assert_ne!(w.ask(ada, "send_message", send("one")).unwrap(), first);
}

/// V3: the bound is the room's last 200,000 messages.
#[test]
fn v3_of_the_last_200_000_client_ids_each_is_known_after_a_wake() {
    for (newer, known) in [(199_999, true), (200_000, false)] {
        let mut w = World::new();
        let ada = w.join("ada");
        let send = json!({"content": "one", "client_id": "c-1"});
        let first = w.ask(ada, "send_message", send.clone()).unwrap();
        let last = first["seq"].as_u64().unwrap() + 1;
        let (at, audience) = (w.now, Audience::Internal);
        let event = LogEvent { seq: last, at, visible_at: at, audience, body: Body::QuotesForgotten { before: 0 } };
        let append = Some(Row { last, no: 1, events: vec![event] });
        w.evict();
        w.log.write(&Write { append, dedupe: (0..newer).collect(), ..Write::default() });
        assert_eq!(w.ask(ada, "send_message", send).unwrap() == first, known, "{newer} newer ones");
    }
}

#[test]
fn a_client_id_is_answered_before_limits_and_only_accepted_sends_are_known() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "1")], 1);
    let ada = w.join("ada");
    let first = w.ask(ada, "send_message", json!({"content": "one", "client_id": "a"})).unwrap();
    assert_eq!(w.code(ada, "send_message", json!({"content": "two", "client_id": "b"})), "rate_limited");
    assert_eq!(w.ask(ada, "send_message", json!({"content": "one", "client_id": "a"})).unwrap(), first);
    w.advance(60_000);
    assert_ne!(w.ask(ada, "send_message", json!({"content": "two", "client_id": "b"})).unwrap(), first);
    for bad in ["", "a\u{7}b", &"x".repeat(65)] {
        assert_eq!(w.code(ada, "send_message", json!({"content": "x", "client_id": bad})), "bad_request");
    }
}

#[test]
fn the_rate_is_a_users_across_tabs_reconnects_and_eviction() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "3"), ("RATE_LIMIT_WINDOW", "10000")], 1);
    let (one, two) = (w.join("ada"), w.join("ada"));
    w.say(one, "1");
    w.advance(1_000);
    let message = id(&w.say(two, "2"));
    w.advance(1_000);
    w.ask(one, "edit_message", json!({"message_id": message, "content": "2b"})).unwrap();
    let limited = |w: &mut World, socket, wait: u64| {
        let error = w.ask(socket, "send_message", json!({"content": "x"})).unwrap_err();
        assert_eq!((&error["code"], &error["retry_after_ms"]), (&json!("rate_limited"), &json!(wait)));
    };
    limited(&mut w, two, 8_000);
    w.close(one);
    w.close(two);
    let three = w.join("ada");
    w.advance(500);
    limited(&mut w, three, 7_500);
    w.evict();
    w.advance(500);
    limited(&mut w, three, 7_000);
    w.advance(6_999);
    limited(&mut w, three, 1);
    w.advance(1);
    w.say(three, "3");
    limited(&mut w, three, 1_000);
    let bob = w.join("bob");
    w.say(bob, "mine is another");
}

#[test]
fn edits_that_were_replaced_count_after_an_eviction_too() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "3")], 1);
    let ada = w.join("ada");
    let message = id(&w.say(ada, "1"));
    for content in ["2", "3"] {
        w.ask(ada, "edit_message", json!({"message_id": message, "content": content})).unwrap();
    }
    w.evict();
    assert_eq!(w.code(ada, "send_message", json!({"content": "x"})), "rate_limited");
}

#[test]
fn what_waited_for_a_moderator_counts_once_after_an_eviction_too() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "2")], 1);
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    w.ask(moderator, "set_terms", json!({"blocked": ["hold*"], "action": "hold"})).unwrap();
    let held = w.say(ada, "holdit");
    w.ask(moderator, "allow_message", json!({"held_id": held["message_id"]})).unwrap();
    w.evict();
    w.say(ada, "two");
    assert_eq!(w.code(ada, "send_message", json!({"content": "three"})), "rate_limited");
}

#[test]
fn moderators_have_no_rate_and_services_their_own() {
    let set =
        [("RATE_LIMIT_MESSAGES", "1"), ("RATE_LIMIT_SERVICE_MESSAGES", "5"), ("RATE_LIMIT_SERVICE_WINDOW", "2000")];
    let mut w = World::with(&set, 1);
    let (moderator, service) = (w.join("mod"), w.join("svc"));
    for n in 0..20 {
        w.say(moderator, &n.to_string());
    }
    for n in 0..5 {
        w.say(service, &n.to_string());
    }
    w.evict();
    let error = w.ask(service, "send_message", json!({"content": "x"})).unwrap_err();
    assert_eq!(error["retry_after_ms"], 2_000);
    w.advance(2_000);
    w.say(service, "again");
}

#[test]
fn what_a_service_says_for_others_counts_as_its_own() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "2")], 1);
    let bob = w.join("bob");
    for n in 0..5 {
        let as_user = Some(AsUser { user_id: "bob".into(), username: "Bob".into(), avatar: None });
        let body = SendBody { content: n.to_string(), as_user, ..SendBody::default() };
        w.call("svc", Ask::Send(body)).unwrap();
    }
    assert_eq!(w.events(bob, "new_message")[4]["user"]["user_id"], "bob");
    w.say(bob, "one");
    w.evict();
    w.say(bob, "two");
    assert_eq!(w.code(bob, "send_message", json!({"content": "three"})), "rate_limited");
}

#[test]
fn only_services_speak_for_others_or_as_the_system() {
    let mut w = World::new();
    let ada = w.join("ada");
    assert_eq!(w.code(ada, "send_message", json!({"content": "x", "type": "system"})), "forbidden");
    assert_eq!(w.code(ada, "send_message", json!({"content": "x", "type": "loud"})), "invalid_type");
    assert_eq!(w.code(ada, "send_message", json!({"content": "words", "type": "emote"})), "invalid_type");
    w.ask(ada, "send_message", json!({"content": "🎉 :wave:", "type": "emote"})).unwrap();
    let as_user = Some(AsUser { user_id: "bob".into(), username: "Bob".into(), avatar: None });
    let body = SendBody { content: "x".into(), as_user, ..SendBody::default() };
    assert_eq!(w.call("mod", Ask::Send(body)).unwrap_err().code.as_str(), "forbidden");
}

#[test]
fn lengths_are_counted_in_characters() {
    let mut w = World::with(&[("MAX_MESSAGE_LENGTH", "5")], 1);
    let ada = w.join("ada");
    w.say(ada, "🙂🙂🙂🙂🙂");
    assert_eq!(w.code(ada, "send_message", json!({"content": "🙂🙂🙂🙂🙂🙂"})), "message_too_long");
    assert_eq!(w.code(ada, "send_message", json!({"content": " \u{200b} "})), "message_empty");
    let metadata = json!({"k": "x".repeat(1_100)});
    assert_eq!(w.code(ada, "send_message", json!({"content": "x", "metadata": metadata})), "metadata_too_large");
}

#[test]
fn guests_read_and_nothing_else() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = id(&w.say(ada, "one"));
    let guest = w.join("");
    let data = json!({"content": "x", "message_id": message, "reaction": "👍", "is_typing": true});
    for event in ["send_message", "edit_message", "delete_message", "react", "typing"] {
        assert_eq!(w.code(guest, event, data.clone()), "token_required", "{event}");
    }
    w.say(ada, "two");
    assert_eq!(w.events(guest, "new_message").len(), 1);
}

#[test]
fn a_read_only_room_is_for_moderators() {
    let mut w = World::new();
    create(&mut w, "ada", json!({"read_only": true}));
    let (bob, moderator) = (w.join("bob"), w.join("mod"));
    assert_eq!(w.code(bob, "send_message", json!({"content": "x"})), "room_mode");
    let message = id(&w.say(moderator, "x"));
    assert_eq!(w.code(bob, "react", json!({"message_id": message, "reaction": "👍"})), "room_mode");
}

/// V2, P2: nothing is acknowledged that might not fit; all else goes on, and so do sends once there is space.
#[test]
fn v2_a_full_storage_refuses_what_is_said_until_the_drain_makes_space() {
    let mut w = World::new();
    let ada = w.join("ada");
    w.pg_down = true;
    w.log.weight.set(Some(1));
    let mine = w.ask(ada, "send_message", json!({"content": "mine", "client_id": "mine"})).unwrap();
    w.close(ada);
    for _ in 0..10_200 {
        w.post("mod", "and more").unwrap();
    }
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    let last = w.page("ada", PageQuery::Page { page: 1, limit: 1 })["held"][0]["message_id"].clone();
    // So heavy that the newest 10,000 fit below nine tenths, and 10,200 do not.
    w.log.weight.set(Some((9 << 30) / 10_100));
    for (socket, who) in [(ada, "ada"), (moderator, "mod")] {
        let error = w.ask(socket, "send_message", json!({"content": "more"})).unwrap_err();
        assert_eq!((&error["code"], &error["retry_after_ms"]), (&json!("storage_full"), &json!(10_000)), "{error}");
        assert_eq!(w.post(who, "more").unwrap_err().code, ErrorCode::StorageFull);
    }
    // What was acknowledged is answered for, and everything but saying more works.
    assert_eq!(w.ask(ada, "send_message", json!({"content": "mine", "client_id": "mine"})).unwrap(), mine);
    w.ask(ada, "delete_message", json!({"message_id": id(&mine)})).unwrap();
    w.ask(ada, "react", json!({"message_id": last, "reaction": "👍"})).unwrap();
    w.ask(moderator, "ban_user", json!({"user_id": "eve", "duration_s": 60})).unwrap();
    w.join("bob");
    assert_eq!(w.page("ada", PageQuery::Page { page: 1, limit: 50 })["total"], json!(10_201));

    // PostgreSQL does not have it: nothing may be let go of.
    w.advance(60_000);
    assert_eq!(w.code(ada, "send_message", json!({"content": "more"})), "storage_full");
    w.pg_down = false;
    w.advance(60_000);
    w.say(ada, "more");
    assert_eq!(w.pg.messages.len(), 10_201, "all that was said before");
}
