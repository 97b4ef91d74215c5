//! Direct rooms: who is let in, what may be said, what leaves the room, and what a block does.

use crate::world::{ROOM, World, all};
use base64ct::{Base64Unpadded, Encoding};
use edge_chat::protocol::act::{Act, Announcement, PinRef, UserRef};
use edge_chat::protocol::call::{Ask, KnownMessage, Nothing, PageQuery, ReportQuery, SendBody, Standing};
use edge_chat::protocol::report::{Report, ReportStatus, report_page};
use edge_chat::protocol::{ChatError, MessageId, PatchRoom, RoomId};
use edge_chat::user::Blocks;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

const CANARY: &str = "AACANARYCANARYAA";

fn between(set: &[(&str, &str)]) -> World {
    let mut w = World::with(set, 1);
    let body = json!({"name": "R", "type": "direct", "members": ["ada", "bob"]});
    w.call("ada", Ask::Create(serde_json::from_value(body).unwrap())).unwrap();
    w
}

fn sealed(ciphertext: &str) -> String {
    json!({"v": 1, "alg": "megolm", "device_id": "D1", "session_id": "c2Vzc2lvbg", "index": 0, "ciphertext": ciphertext,
        "keys": {"bob/D2": {"type": 0, "body": "AAEC"}}})
    .to_string()
}

fn tag(c: char) -> String {
    c.to_string().repeat(43)
}

fn letter(ciphertext: &str, client_id: &str) -> Value {
    json!({"content": sealed(ciphertext), "type": "encrypted", "client_id": client_id, "franking": tag('A')})
}

fn body(ciphertext: &str, client_id: &str) -> SendBody {
    serde_json::from_value(letter(ciphertext, client_id)).unwrap()
}

fn code(answer: Result<Value, ChatError>) -> &'static str {
    answer.unwrap_err().code.as_str()
}

fn blocks(w: &mut World, user: &str, version: u64, whom: &[&str]) {
    let standing = Standing { version, blocks: Blocks::of(whom.iter().copied()), ..Standing::default() };
    w.step(|host, at| host.user(at, user, standing));
}

#[test]
fn what_is_encrypted_is_kept_as_it_came_and_told_with_its_tag() {
    let mut w = between(&[("ENABLE_PROFANITY_FILTER", "true"), ("ENABLE_SPAM_DETECTION", "true")]);
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    let sent = w.ask(ada, "send_message", letter(CANARY, "c1")).unwrap();
    assert_eq!(w.ask(ada, "send_message", letter("AAEC", "c1")).unwrap(), sent);
    let told = w.events(bob, "new_message");
    assert_eq!((&told[0]["type"], &told[0]["franking"]), (&json!("encrypted"), &json!(tag('A'))));
    let content: Value = serde_json::from_str(told[0]["content"].as_str().unwrap()).unwrap();
    assert_eq!(content, serde_json::from_str::<Value>(&sealed(CANARY)).unwrap());
    assert_eq!((&told[0]["mentions"], &told[0]["metadata"]), (&json!([]), &json!({})));
    let id = &sent["message_id"];
    let edit = json!({"message_id": id, "content": sealed("BBBB"), "franking": tag('E')});
    w.ask(ada, "edit_message", edit).unwrap();
    assert_eq!(w.events(bob, "message_edited")[0]["franking"], tag('E'));
    assert_eq!(w.code(ada, "edit_message", json!({"message_id": id, "content": "plain"})), "bad_request");
    assert_eq!(w.code(ada, "edit_message", json!({"message_id": id, "content": sealed("BBBB")})), "bad_request");
    w.evict();
    let page = w.page("bob", PageQuery::Page { page: 1, limit: 50 });
    let message: Value = serde_json::from_value(page["held"][0].clone()).unwrap();
    assert_eq!((&message["franking"], message["content"].as_str().unwrap().contains("BBBB")), (&json!(tag('E')), true));
    w.ask(ada, "delete_message", json!({"message_id": id})).unwrap();
    let page = w.page("bob", PageQuery::Page { page: 1, limit: 50 });
    assert_eq!((&page["held"][0]["content"], page["held"][0].get("franking")), (&json!(""), None));
}

#[test]
fn nothing_else_can_be_said_between_two() {
    let mut w = between(&[]);
    let ada = w.join("ada");
    for kind in [Value::Null, json!("text"), json!("emote"), json!("system"), json!("unavailable")] {
        let data = json!({"content": "hello", "type": kind, "client_id": "c"});
        assert_eq!(w.code(ada, "send_message", data), "invalid_type", "{kind}");
    }
    for (field, value) in [
        ("franking", Value::Null),
        ("franking", json!("AAAA")),
        ("client_id", Value::Null),
        ("metadata", json!({"preview": "hello"})),
        ("mentions", json!(["bob"])),
        ("content", json!("hello")),
        ("content", json!(sealed("hello!"))),
        ("content", json!(sealed(CANARY).replace("bob/D2", "eve/D2"))),
    ] {
        let mut wrong = letter(CANARY, "c");
        wrong[field] = value.clone();
        let error = w.ask(ada, "send_message", wrong).unwrap_err();
        assert_eq!((&error["code"], &error["field"]), (&json!("bad_request"), &json!(field)), "{value}");
    }
    // Nobody keeps order between two, whatever the token says.
    let mut w = World::new();
    let body = json!({"name": "R", "type": "direct", "members": ["mod", "bob"]});
    w.call("mod", Ask::Create(serde_json::from_value(body).unwrap())).unwrap();
    let announced = Act::Announce(Announcement { content: "hello".into(), ..Announcement::default() });
    assert_eq!(code(w.call("mod", Ask::Act(announced))), "forbidden");
    let ban = Act::Clear(Default::default());
    assert_eq!(code(w.call("mod", Ask::Act(ban))), "forbidden");
    // And in a room that is not direct nothing is encrypted.
    let mut w = World::new();
    let ada = w.join("ada");
    assert_eq!(w.code(ada, "send_message", letter(CANARY, "c")), "invalid_type");
}

#[test]
fn a_large_frame_is_taken_in_a_direct_room_alone() {
    let large = "A".repeat(24_000);
    let mut w = between(&[]);
    let ada = w.join("ada");
    w.ask(ada, "send_message", letter(&large, "c1")).unwrap();
    w.send(ada, &json!({"event": "typing", "data": {"is_typing": true, "more": large}}).to_string());
    assert_eq!(w.closed(ada), Some(4413));
    let ada = w.join("ada");
    w.send(ada, &json!({"event": "send_message", "data": letter(&"A".repeat(33_000), "c2")}).to_string());
    assert_eq!(w.closed(ada), Some(4413));
    let mut w = World::new();
    let ada = w.join("ada");
    w.send(ada, &json!({"event": "send_message", "data": letter(&large, "c1")}).to_string());
    assert_eq!(w.closed(ada), Some(4413));
}

#[test]
fn to_an_outsider_the_room_is_not_there() {
    let mut w = between(&[]);
    let sent = w.call("ada", Ask::Send(body(CANARY, "c1"))).unwrap();
    let id = sent["message_id"].as_str().unwrap().to_owned();
    for outsider in ["eve", "mod", "svc", "admin", ""] {
        let asks = [
            Ask::Get(Nothing {}),
            Ask::Messages(PageQuery::Page { page: 1, limit: 50 }),
            Ask::Members { limit: 50, skip: 0 },
            Ask::Send(body(CANARY, "c2")),
            Ask::Send(SendBody { content: "hello".into(), ..SendBody::default() }),
            Ask::Edit { message_id: id.clone(), content: sealed("AAEC"), franking: Some(tag('A')), known: None },
            Ask::React { message_id: id.clone(), reaction: "👍".into(), remove: false },
            Ask::Patch(PatchRoom { name: Some("mine".into()), settings: None }),
            Ask::SetModes(serde_json::Map::new()),
            Ask::Act(Act::Pin(PinRef { message_id: id.clone(), room_id: None })),
            Ask::Act(Act::Ban(serde_json::from_value(json!({"user_id": "bob"})).unwrap())),
            Ask::Act(Act::DeleteMessages(UserRef { user_id: "bob".into(), ..UserRef::default() })),
            Ask::Bans(Nothing {}),
            Ask::Held(Nothing {}),
            Ask::Terms(Nothing {}),
            Ask::Stats(Nothing {}),
            Ask::MayReadAudit(Nothing {}),
        ];
        let expected = "room_not_found";
        for (n, ask) in asks.into_iter().enumerate() {
            assert_eq!(code(w.call(outsider, ask)), expected, "{outsider} {n}");
        }
        let socket = w.open(outsider);
        assert_eq!(w.code(socket, "join_room", json!({})), expected);
        assert!(w.closed(socket).is_some());
        let reports =
            w.call(outsider, Ask::Reports(ReportQuery { status: ReportStatus::Open, before: None, limit: 9 }));
        assert_eq!(reports.is_ok(), ["mod", "svc", "admin"].contains(&outsider));
    }
    assert_eq!(w.get("bob")["members"], json!(["ada", "bob"]));
    assert_eq!(
        all(w.call("bob", Ask::Members { limit: 50, skip: 0 }).unwrap()["members"].as_array().unwrap(), "user_id"),
        ["ada", "bob"]
    );
    w.call("admin", Ask::Delete(Nothing {})).unwrap();
    assert_eq!(code(w.call("bob", Ask::Get(Nothing {}))), "room_deleted");
    for outsider in ["eve", "mod", "admin", ""] {
        assert_eq!(code(w.call(outsider, Ask::Get(Nothing {}))), "room_not_found");
        assert_eq!(code(w.call(outsider, Ask::Delete(Nothing {}))), "room_not_found");
        let socket = w.open(outsider);
        assert_eq!(w.code(socket, "join_room", json!({})), "room_not_found");
    }
}

#[test]
fn postgresql_keeps_ciphertext_and_tag_and_redis_sees_neither() {
    let mut w = between(&[("REDIS_HOST", "redis.example"), ("BRIDGE_MODERATION", "true")]);
    let ada = w.join("ada");
    let sent = w.ask(ada, "send_message", letter(CANARY, "c1")).unwrap();
    w.advance(2_000);
    let edit = json!({"message_id": sent["message_id"], "content": sealed(CANARY), "franking": tag('E')});
    w.ask(ada, "edit_message", edit).unwrap();
    w.advance(5_000);
    let row = w.pg.messages.values().next().unwrap();
    assert_eq!((&row["type"], row["content"].as_str().unwrap().contains(CANARY)), (&json!("encrypted"), true));
    assert_eq!(row["franking"], tag('E'));
    let events: Vec<_> = w.redis.events().iter().map(|(_, name)| (*name).to_owned()).collect();
    assert!(events.contains(&"new_message".to_owned()) && events.contains(&"message_edited".to_owned()), "{events:?}");
    let seen = format!("{:?}{:?}", w.redis.stream, w.redis.published);
    assert!(!seen.contains("CANARY") && !seen.contains("franking") && seen.contains("encrypted"));
}

#[test]
fn who_blocks_the_other_ends_the_talk_until_it_is_taken_back() {
    let mut w = between(&[]);
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    let sent = w.ask(ada, "send_message", letter(CANARY, "c1")).unwrap();
    w.close(bob);
    w.advance(6_000);
    blocks(&mut w, "bob", 1, &["eve"]);
    w.ask(ada, "send_message", letter(CANARY, "c2")).unwrap();
    blocks(&mut w, "bob", 2, &["ada", "eve"]);
    let edit = json!({"message_id": sent["message_id"], "content": sealed("AAEC"), "franking": tag('A')});
    let react = json!({"message_id": sent["message_id"], "reaction": "👍"});
    let shut = |w: &mut World| {
        let ada = w.join("ada");
        for (event, data) in
            [("send_message", letter(CANARY, "c3")), ("edit_message", edit.clone()), ("react", react.clone())]
        {
            assert_eq!(w.code(ada, event, data), "blocked", "{event}");
        }
        assert_eq!(code(w.call("bob", Ask::Send(body(CANARY, "c4")))), "blocked");
    };
    shut(&mut w);
    // What was said before can still be taken back, and a repeat is still the first.
    assert!(w.ask(ada, "send_message", letter(CANARY, "c1")).is_ok());
    w.ask(ada, "delete_message", json!({"message_id": sent["message_id"]})).unwrap();
    w.evict();
    shut(&mut w);
    // Late news does not open it.
    blocks(&mut w, "bob", 1, &[]);
    shut(&mut w);
    blocks(&mut w, "bob", 3, &["eve"]);
    blocks(&mut w, "eve", 9, &["ada", "bob"]);
    let ada = w.join("ada");
    w.ask(ada, "send_message", letter(CANARY, "c5")).unwrap();
    // Nor an answer from between two that say the same.
    blocks(&mut w, "bob", 4, &["ada"]);
    blocks(&mut w, "bob", 6, &["ada", "eve"]);
    let late = Standing { version: 5, ..Standing::default() };
    let two = ["ada".to_owned(), "bob".to_owned()];
    let open = Ask::Direct { two, standings: [Standing::default(), late], make: false };
    assert_eq!(code(w.call("ada", open)), "blocked");
    shut(&mut w);
}

#[test]
fn a_room_that_lost_its_storage_knows_who_blocks_the_other_until_it_is_told_anew() {
    let mut w = between(&[]);
    w.call("ada", Ask::Send(body(CANARY, "c1"))).unwrap();
    w.advance(5_000);
    w.pg.blocks.insert("bob".to_owned(), "ada".to_owned());
    w.lose_storage();
    assert_eq!(code(w.call("ada", Ask::Send(body(CANARY, "c2")))), "blocked");
    w.evict();
    assert_eq!(code(w.call("ada", Ask::Send(body(CANARY, "c2")))), "blocked");
    blocks(&mut w, "bob", 1, &[]);
    w.call("ada", Ask::Send(body(CANARY, "c2"))).unwrap();
}

#[test]
fn a_room_is_opened_once_by_one_of_its_two_and_not_through_a_block() {
    let room = RoomId::direct("ada", "bob");
    let two = ["ada".to_owned(), "bob".to_owned()];
    let standing = |blocked: &[&str]| {
        let (version, blocks) = (1 + blocked.len() as u64, Blocks::of(blocked.iter().copied()));
        Standing { version, blocks, signed_out_at: None }
    };
    let ask = |make, ones: &[&str], others: &[&str]| Ask::Direct {
        two: two.clone(),
        standings: [standing(ones), standing(others)],
        make,
    };
    // An object of another name makes no direct room.
    let mut w = World::new();
    assert_eq!(code(w.call("ada", ask(true, &[], &[]))), "room_not_found");
    let mut w = World::named(room.as_str());
    assert_eq!(code(w.call("ada", ask(false, &[], &[]))), "room_not_found");
    assert_eq!(code(w.call("ada", ask(true, &["bob"], &[]))), "blocked");
    assert_eq!(code(w.call("bob", ask(true, &["bob"], &[]))), "blocked");
    assert_eq!(code(w.call("eve", ask(true, &[], &[]))), "forbidden");
    assert_eq!(code(w.call("", ask(true, &[], &[]))), "token_required");
    // Joining makes none, though AUTO_CREATE_ROOMS is on.
    let socket = w.open("ada");
    assert_eq!(w.code(socket, "join_room", json!({})), "room_not_found");
    let opened = w.call("ada", ask(true, &[], &[])).unwrap();
    let of = &opened["room"];
    assert_eq!((&opened["made"], &of["room_id"], &of["type"]), (&json!(true), &json!(room.as_str()), &json!("direct")));
    assert_eq!((&of["members"], &of["settings"]["visibility"]), (&json!(["ada", "bob"]), &json!("private")));
    let again = w.call("bob", ask(true, &[], &[])).unwrap();
    assert_eq!((&again["made"], &again["room"]["room_id"]), (&json!(false), &of["room_id"]));
    assert_eq!(code(w.call("ada", ask(false, &[], &["ada"]))), "blocked");
    assert_eq!(code(w.call("ada", Ask::Send(body(CANARY, "c1")))), "blocked");
    assert_ne!(ROOM, room.as_str());
}

/// A tag as the sender's device makes it.
fn tag_of(key: &[u8], client_id: &str, author: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(format!("edge-chat/v1/franking\n{ROOM}\n{author}\n{client_id}\n{body}").as_bytes());
    Base64Unpadded::encode_string(&mac.finalize().into_bytes())
}

#[test]
fn a_report_proves_what_was_said_or_says_that_it_does_not() {
    let mut w = between(&[("REDIS_HOST", "redis.example"), ("BRIDGE_MODERATION", "true")]);
    let key = [7; 32];
    let send = |w: &mut World, client_id: &str, said: &str| {
        let mut data = letter(CANARY, client_id);
        data["franking"] = tag_of(&key, client_id, "ada", said).into();
        w.call("ada", Ask::Send(serde_json::from_value(data).unwrap())).unwrap()["message_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let report = |w: &mut World, message: &str, said: Option<&str>| {
        w.advance(1);
        let opened = said.map(|body| json!({"body": body, "frank_key": Base64Unpadded::encode_string(&key)}));
        let body = json!({"message_id": message, "reason": "abuse", "opened": opened});
        w.call("bob", Ask::Report { body: serde_json::from_value(body).unwrap(), known: None })
    };
    let one = send(&mut w, "c1", "rude words");
    let two = send(&mut w, "c2", "kind words");
    let three = send(&mut w, "c3", "other words");
    report(&mut w, &one, Some("rude words")).unwrap();
    report(&mut w, &two, Some("rude words")).unwrap();
    report(&mut w, &three, None).unwrap();
    let four = send(&mut w, "c4", "x");
    let bad = json!({"message_id": four, "reason": "abuse", "opened": {"body": "x", "frank_key": "AAAA"}});
    let bad = Ask::Report { body: serde_json::from_value(bad).unwrap(), known: None };
    assert_eq!(code(w.call("bob", bad)), "bad_request");
    let shown = |w: &mut World| {
        let query = ReportQuery { status: ReportStatus::Open, before: None, limit: 9 };
        let held: Vec<Report> = serde_json::from_value(w.call("mod", Ask::Reports(query)).unwrap()).unwrap();
        let page: Value =
            serde_json::from_str(report_page(&RoomId::parse(ROOM).unwrap(), held, vec![], 9).get()).unwrap();
        let of = |report: &Value| {
            (report["message_id"].as_str().unwrap().to_owned(), report["opened"].clone(), report["quoted"].clone())
        };
        page["reports"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let expected = [
        (three, Value::Null, Value::Null),
        (two, json!({"body": "rude words", "proved": false}), Value::Null),
        (one, json!({"body": "rude words", "proved": true}), Value::Null),
    ];
    assert_eq!(shown(&mut w), expected);
    w.advance(5_000);
    let seen = format!("{:?}{:?}", w.redis.stream, w.redis.published);
    assert!(seen.contains("message_reported") && !seen.contains("rude words"));
    // From what PostgreSQL remembers too.
    w.lose_storage();
    assert_eq!(shown(&mut w), expected);
    // After thirty days the words are gone, and whether they were proved stays.
    w.advance(31 * 24 * 3_600_000);
    assert_eq!(shown(&mut w)[2].1, json!({"body": null, "proved": true}));
}

#[test]
fn a_message_that_has_left_the_log_is_reported_by_what_postgresql_knows() {
    let mut w = between(&[]);
    let mut gone = letter(CANARY, "c1");
    gone["franking"] = tag_of(&[7; 32], "c1", "ada", "rude words").into();
    w.call("ada", Ask::Send(serde_json::from_value(gone.clone()).unwrap())).unwrap();
    let opened = json!({"body": "rude words", "frank_key": Base64Unpadded::encode_string(&[7; 32])});
    let id = MessageId::new(w.now - 1_000_000, 1, &[0; 32]).to_string();
    let known = KnownMessage {
        no: 1,
        user_id: "ada".into(),
        text: gone["content"].as_str().unwrap().into(),
        client_id: Some("c1".into()),
        franking: gone["franking"].as_str().map(str::to_owned),
        ..KnownMessage::default()
    };
    let body = json!({"message_id": id, "reason": "abuse", "opened": opened});
    w.call("bob", Ask::Report { body: serde_json::from_value(body).unwrap(), known: Some(known) }).unwrap();
    let query = ReportQuery { status: ReportStatus::Open, before: None, limit: 9 };
    let held: Vec<Report> = serde_json::from_value(w.call("mod", Ask::Reports(query)).unwrap()).unwrap();
    assert_eq!((held[0].proved, held[0].quoted.as_deref()), (Some(true), Some("rude words")));
}
