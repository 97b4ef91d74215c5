//! The protocol as it stands on the wire, byte by byte: who changes a line here changes what clients read.

use crate::world::{ROOM, START, World};
use edge_chat::audience::SocketId;
use edge_chat::protocol::CreateRoom;
use edge_chat::protocol::call::{Ask, Nothing, PageQuery};
use serde_json::{Value, json};

/// Message ids begin with the time and end with the `seq`; what stands between is random.
fn message(w: &World, seq: u64) -> String {
    let sent = w.log.holds("\"new_message\"");
    assert!(sent, "somebody has said something");
    let rows = edge_chat::room::Log::rows_after(&w.log, 0, 1_000).unwrap();
    let event = rows.iter().flat_map(|row| &row.events).find(|event| event.seq == seq).unwrap();
    match &event.body {
        edge_chat::protocol::Body::NewMessage(message) => message.message_id.to_string(),
        other => panic!("{other:?} is no message"),
    }
}

/// The frames that came in answer to this one; `ID2` stands for the message with the `seq` 2.
fn frames(w: &mut World, socket: SocketId, frame: &str) -> Vec<String> {
    w.wires.get_mut(&socket).unwrap().frames.clear();
    w.send(socket, frame);
    let frames = std::mem::take(&mut w.wires.get_mut(&socket).unwrap().frames);
    frames.iter().map(|frame| named(w, frame)).collect()
}

fn named(w: &World, text: &str) -> String {
    let ids = (2..=4).filter(|seq| {
        let rows = edge_chat::room::Log::rows_after(&w.log, 0, 1_000).unwrap();
        let mut events = rows.iter().flat_map(|row| row.events.clone());
        events.any(|event| event.seq == *seq && matches!(event.body, edge_chat::protocol::Body::NewMessage(_)))
    });
    ids.fold(text.to_owned(), |text, seq| text.replace(&message(w, seq), &format!("ID{seq}")))
}

fn room() -> World {
    let mut w = World::new();
    let body = json!({"name": "Lobby", "type": "video", "settings": {}});
    w.call("own", Ask::Create(serde_json::from_value::<CreateRoom>(body).unwrap())).unwrap();
    w
}

const ROOM_OBJECT: &str = r#"{"room_id":"video_123","name":"Lobby","type":"video","settings":{"guests":true,"visibility":"public","read_only":false,"slow_s":null,"emote_only":false,"followers_only_s":null,"subscribers_only":false,"subscribers_only_s":0,"no_repeats":false,"links":"on","delay_s":0,"profanity":null,"spam":null,"rate":null,"max_message_length":null,"edit_window_s":null,"history_limit":null,"retention_days":null,"retention_messages":null,"sample_above":null,"expect_viewers":null},"owner_id":"own","created_at":"2026-01-02T03:04:05.678Z","updated_at":"2026-01-02T03:04:05.678Z","#;
const HELLO: &str = r#""message_id":"ID2","no":1,"room_id":"video_123","user":{"user_id":"ada","username":"Ada","avatar":null,"roles":["member"]},"content":"a &lt; b","text":"a < b","type":"text","timestamp":"2026-01-02T03:04:05.678Z","#;

#[test]
fn a_member_joins() {
    let mut w = room();
    let ada = w.open("ada");
    let frames = frames(&mut w, ada, r#"{"id":1,"event":"join_room","data":{"room_id":"video_123"}}"#);
    let stats = r#"{"event":"room_stats","data":{"online_users":1,"online_guests":0,"message_count":0}}"#;
    let reply = [
        r#"{"reply":1,"data":{"room":"#,
        ROOM_OBJECT,
        r#""online_users":1,"online_guests":0,"message_count":0,"pinned":[]},"#,
        r#""self":{"user_id":"ada","username":"Ada","avatar":null,"role":"member","roles":["member"],"expires_at":"2026-01-03T03:04:05.000Z","can":["send","edit","react","type","report"]},"#,
        r#""online_users":1,"online_guests":0,"members":[{"user_id":"ada","username":"Ada","avatar":null,"role":"member"}],"reconnect":{"base_ms":1000,"spread_ms":4000},"#,
        r#""epoch":1767323045678,"seq":1,"resumed":false,"messages":[]}}"#,
    ];
    assert_eq!(frames[..2], [reply.concat(), stats.to_owned()]);
    let bob = w.open("bob");
    w.take(ada);
    w.send(bob, r#"{"event":"join_room"}"#);
    assert_eq!(
        w.wires[&ada].frames[0],
        r#"{"event":"user_joined","data":{"user_id":"bob","username":"Bob","avatar":null}}"#
    );
    w.ask(bob, "typing", json!({"is_typing": true})).unwrap();
    let typing = r#"{"event":"user_typing","data":{"user_id":"bob","username":"Bob","avatar":null,"is_typing":true}}"#;
    assert_eq!(w.wires[&ada].frames.last().unwrap(), typing);
    w.close(bob);
    w.advance(5_000);
    let left = r#"{"event":"user_left","data":{"user_id":"bob","username":"Bob","avatar":null}}"#;
    assert!(w.wires[&ada].frames.iter().any(|frame| frame == left));
}

#[test]
fn a_guest_joins_where_something_was_said() {
    let mut w = room();
    let ada = w.join("ada");
    w.ask(ada, "send_message", json!({"content": "a < b", "client_id": "c1"})).unwrap();
    let id = message(&w, 2);
    w.ask(ada, "react", json!({"message_id": id, "reaction": "👍"})).unwrap();
    let guest = w.open("");
    let frames = frames(&mut w, guest, r#"{"id":"j","event":"join_room"}"#);
    let reply = [
        r#"{"reply":"j","data":{"room":"#,
        ROOM_OBJECT,
        r#""online_users":1,"online_guests":1,"message_count":1,"pinned":[]},"#,
        r#""self":{"user_id":null,"username":null,"avatar":null,"role":"guest","roles":["guest"],"guest_id":"AAAAAAAAAAAAAAAAAAAAAA","can":[]},"#,
        r#""online_users":1,"online_guests":1,"members":[{"user_id":"ada","username":"Ada","avatar":null,"role":"member"}],"reconnect":{"base_ms":1000,"spread_ms":4000},"#,
        r#""epoch":1767323045678,"seq":3,"resumed":false,"messages":[{"seq":2,"#,
        HELLO,
        r#""reactions":{"👍":1},"mentions":[],"client_id":"c1","metadata":{}}]}}"#,
    ];
    assert_eq!(frames[0], reply.concat());
    let tab = w.open("ada");
    let mine = w.ask(tab, "join_room", json!({})).unwrap();
    assert_eq!(mine["my_reactions"], json!({id: ["👍"]}));
}

#[test]
fn a_member_resumes() {
    let mut w = room();
    let ada = w.join("ada");
    w.ask(ada, "send_message", json!({"content": "a < b"})).unwrap();
    let tab = w.open("ada");
    let frames =
        frames(&mut w, tab, r#"{"id":1,"event":"join_room","data":{"resume":{"epoch":1767323045678,"seq":1}}}"#);
    let end = [
        r#""epoch":1767323045678,"seq":2,"resumed":true,"events":[{"seq":2,"event":"new_message","data":{"#,
        HELLO,
        r#""reactions":{},"mentions":[],"metadata":{}}}]}}"#,
    ];
    assert!(frames[0].ends_with(&end.concat()), "{}", frames[0]);
    let caught_up = r#"{"reply":2,"data":{"epoch":1767323045678,"seq":2,"resumed":true,"events":[]}}"#;
    let frames = self::frames(&mut w, tab, r#"{"id":2,"event":"catch_up","data":{"epoch":1767323045678,"seq":2}}"#);
    assert_eq!(frames, [caught_up]);
}

#[test]
fn a_message_is_sent_twice_and_said_once() {
    let mut w = room();
    let ada = w.join("ada");
    let send = r#"{"id":7,"event":"send_message","data":{"content":"a < b","client_id":"c1","metadata":{"k":1},"mentions":["ada"]}}"#;
    let first = frames(&mut w, ada, send);
    let reply = r#"{"reply":7,"data":{"message_id":"ID2","seq":2,"timestamp":"2026-01-02T03:04:05.678Z"}}"#;
    let event = [
        r#"{"at":{"epoch":1767323045678,"from":1,"to":2,"left_out":0}}"#,
        "\n",
        r#"{"seq":2,"event":"new_message","data":{"#,
        HELLO,
        r#""reactions":{},"mentions":[{"user_id":"ada","username":"Ada"}],"client_id":"c1","metadata":{"k":1}}}"#,
    ];
    assert_eq!(first, [reply, &event.concat()]);
    assert_eq!(frames(&mut w, ada, send), [reply]);
    let id = message(&w, 2);
    let answer = json!({"id": 8, "event": "send_message", "data": {"content": "yes", "reply_to": id}}).to_string();
    let second = frames(&mut w, ada, &answer);
    assert_eq!(
        second[1],
        r#"{"seq":3,"event":"new_message","data":{"message_id":"ID3","no":2,"room_id":"video_123","user":{"user_id":"ada","username":"Ada","avatar":null,"roles":["member"]},"content":"yes","type":"text","timestamp":"2026-01-02T03:04:05.678Z","reactions":{},"mentions":[],"reply_to":"ID2","metadata":{}}}"#
    );
}

#[test]
fn a_message_is_edited_reacted_to_and_deleted() {
    let mut w = room();
    let ada = w.join("ada");
    w.say(ada, "one");
    let id = message(&w, 2);
    let mut ask = |event: &str, more: Value| {
        let mut data = more;
        data["message_id"] = id.clone().into();
        let lines = frames(&mut w, ada, &json!({"id": 1, "event": event, "data": data}).to_string());
        lines.join("\n")
    };
    assert_eq!(
        ask("edit_message", json!({"content": "a & b"})),
        r#"{"reply":1,"data":{"message_id":"ID2","seq":3,"edited_at":"2026-01-02T03:04:05.678Z"}}
{"seq":3,"event":"message_edited","data":{"message_id":"ID2","room_id":"video_123","content":"a &amp; b","text":"a & b","mentions":[],"edited_at":"2026-01-02T03:04:05.678Z","user_id":"ada"}}"#
    );
    assert_eq!(
        ask("react", json!({"reaction": "👍"})),
        r#"{"reply":1,"data":{"message_id":"ID2","reactions":{"👍":1},"seq":4}}
{"seq":4,"event":"reaction_updated","data":{"message_id":"ID2","room_id":"video_123","reactions":{"👍":1}}}"#
    );
    assert_eq!(
        ask("delete_message", json!({})),
        r#"{"reply":1,"data":{"message_id":"ID2","seq":5,"deleted_at":"2026-01-02T03:04:05.678Z"}}
{"seq":5,"event":"message_deleted","data":{"message_id":"ID2","room_id":"video_123","no":1,"deleted_at":"2026-01-02T03:04:05.678Z","by":{"user_id":"ada","role":"member"}}}"#
    );
    let page = w.page("", PageQuery::Page { page: 1, limit: 5 });
    assert_eq!(
        named(&w, &page["held"][0].to_string()),
        named(
            &w,
            &json!({
                "seq": 2, "message_id": id, "no": 1, "room_id": ROOM,
                "user": {"user_id": "ada", "username": "Ada", "avatar": null, "roles": ["member"]},
                "content": "", "type": "text", "timestamp": "2026-01-02T03:04:05.678Z", "reactions": {},
                "mentions": [], "metadata": {}, "edited_at": "2026-01-02T03:04:05.678Z",
                "deleted_at": "2026-01-02T03:04:05.678Z",
            })
            .to_string()
        )
    );
}

#[test]
fn what_goes_wrong_is_told() {
    let mut w = room();
    let ada = w.join("ada");
    let refused = frames(&mut w, ada, r#"{"id":2,"event":"send_message","data":{"content":7}}"#);
    assert_eq!(
        refused,
        [
            r#"{"reply":2,"error":{"code":"bad_request","message":"A field is missing or has the wrong type.","field":"content"}}"#
        ]
    );
    let error = frames(&mut w, ada, r#"{"event":"shout"}"#);
    assert_eq!(
        error,
        [r#"{"event":"error","data":{"code":"unknown_event","message":"No event of this protocol has this name."}}"#]
    );
    for _ in 0..10 {
        w.say(ada, "x");
    }
    let limited = frames(&mut w, ada, r#"{"id":3,"event":"send_message","data":{"content":"x"}}"#);
    let limited: Value = serde_json::from_str(&limited[0]).unwrap();
    assert_eq!(
        (&limited["error"]["code"], &limited["error"]["retry_after_ms"]),
        (&json!("rate_limited"), &json!(60_000))
    );
    assert_eq!(frames(&mut w, ada, r#"{"id":4,"event":"leave_room"}"#), [r#"{"reply":4,"data":{}}"#]);
    assert_eq!(w.wires[&ada].closed, Some((1000, json!({"retry": false, "after_ms": 0}))));

    let mut w = World::with(&[("AUTO_CREATE_ROOMS", "false")], 1);
    let ada = w.open("ada");
    assert_eq!(
        frames(&mut w, ada, r#"{"id":1,"event":"join_room"}"#),
        [
            r#"{"reply":1,"error":{"code":"room_not_found","message":"There is no such room."}}"#,
            r#"{"event":"goodbye","data":{"code":"room_not_found","reason":"There is no such room.","retry":false,"after_ms":0}}"#
        ]
    );
    assert_eq!(w.wires[&ada].closed, Some((4404, json!({"retry": false, "after_ms": 0}))));
}

#[test]
fn a_pong_and_a_probe() {
    let mut w = World::with(&[("MAX_MESSAGE_LENGTH", "8000")], 1);
    let moderator = w.join("mod");
    assert_eq!(frames(&mut w, moderator, r#"{"event":"ping"}"#), [r#"{"event":"pong","data":{}}"#]);
    let text = "x".repeat(7_500);
    let probe = (0..40).find_map(|_| {
        w.say(moderator, &text);
        w.events(moderator, "probe").pop()
    });
    let probe = probe.unwrap();
    assert_eq!(probe.as_object().unwrap().keys().collect::<Vec<_>>(), ["nonce"]);
    assert_eq!(
        frames(&mut w, moderator, &json!({"id": 1, "event": "probe", "data": probe}).to_string()),
        [r#"{"reply":1,"data":{}}"#]
    );
}

#[test]
fn a_room_is_changed_and_deleted() {
    let mut w = room();
    let bob = w.join("bob");
    let patch = serde_json::from_value(json!({"settings": {"read_only": true}})).unwrap();
    w.now += 1_000;
    w.call("own", Ask::Patch(patch)).unwrap();
    let settings = r#""settings":{"guests":true,"visibility":"public","read_only":true,"slow_s":null,"emote_only":false,"followers_only_s":null,"subscribers_only":false,"subscribers_only_s":0,"no_repeats":false,"links":"on","delay_s":0,"profanity":null,"spam":null,"rate":null,"max_message_length":null,"edit_window_s":null,"history_limit":null,"retention_days":null,"retention_messages":null,"sample_above":null,"expect_viewers":null}"#;
    let updated = [
        r#"{"seq":2,"event":"room_updated","data":{"room_id":"video_123","name":"Lobby","#,
        settings,
        r#","changed":["settings.read_only"],"updated_at":"2026-01-02T03:04:06.678Z"}}"#,
    ];
    assert!(w.wires[&bob].frames[0].ends_with(&updated.concat()), "{:?}", w.wires[&bob].frames);
    w.take(bob);
    w.call("own", Ask::Delete(Nothing {})).unwrap();
    let deleted = [
        r#"{"seq":3,"event":"room_deleted","data":{"room_id":"video_123","name":"Lobby","#,
        settings,
        r#","changed":["deleted_at"],"updated_at":"2026-01-02T03:04:06.678Z"}}"#,
    ];
    let goodbye = r#"{"event":"goodbye","data":{"code":"room_deleted","reason":"This room was deleted.","retry":false,"after_ms":0}}"#;
    let frames: Vec<_> = w.wires[&bob].frames.iter().filter(|frame| !frame.contains("room_stats")).collect();
    assert_eq!(frames, [&deleted.concat(), goodbye]);
}

#[test]
fn the_batch_for_postgres_format_unchanged() {
    let mut w = room();
    let ada = w.join("ada");
    let send = json!({"content": "a < b", "client_id": "c1", "metadata": {"k": 1}, "mentions": ["ada"]});
    w.ask(ada, "send_message", send).unwrap();
    let id = message(&w, 2);
    w.ask(ada, "edit_message", json!({"message_id": id, "content": "two"})).unwrap();
    w.ask(ada, "react", json!({"message_id": id, "reaction": "👍"})).unwrap();
    w.ask(ada, "react", json!({"message_id": id, "reaction": "👍", "remove": true})).unwrap();
    w.say(ada, "three");
    w.ask(ada, "delete_message", json!({"message_id": message(&w, 6)})).unwrap();
    w.advance(2_000);
    let third = message(&w, 6);
    let question = r#"{"v":1,"room_id":"video_123","epoch":1767323045678,"start":0,"from":0,"to":0,"ops":[]}"#;
    assert_eq!(w.batches[0], question, "once a wake");
    let batch = named(&w, &w.batches[1]).replace(&third, "ID6");
    let expected = [
        r#"{"v":1,"room_id":"video_123","epoch":1767323045678,"start":0,"from":0,"to":7,"ops":["#,
        r#"{"seq":1,"op":"room","at":1767323045678,"name":"Lobby","type":"video","settings":{"guests":true,"visibility":"public","read_only":false,"slow_s":null,"emote_only":false,"followers_only_s":null,"subscribers_only":false,"subscribers_only_s":0,"no_repeats":false,"links":"on","delay_s":0,"profanity":null,"spam":null,"rate":null,"max_message_length":null,"edit_window_s":null,"history_limit":null,"retention_days":null,"retention_messages":null,"sample_above":null,"expect_viewers":null},"owner_id":"own","created_at":1767323045678,"updated_at":1767323045678},"#,
        r#"{"seq":2,"op":"message","no":1,"id":"ID2","user_id":"ada","username":"Ada","avatar":null,"roles":["member"],"content":"two","text":null,"type":"text","metadata":{"k":1},"mentions":[],"reply_to":null,"client_id":"c1","created_at":1767323045678,"edited_at":1767323045678,"deleted_at":null,"audience":"all","visible_at":1767323045678},"#,
        r#"{"seq":3,"op":"edit","id":"ID2","content":"two","text":null,"mentions":[],"edited_at":1767323045678},"#,
        r#"{"seq":3,"op":"original","id":"ID2","original":null,"reasons":[]},"#,
        r#"{"seq":4,"op":"reaction","id":"ID2","user_id":"ada","reaction":"👍","remove":false,"at":1767323045678},"#,
        r#"{"seq":5,"op":"reaction","id":"ID2","user_id":"ada","reaction":"👍","remove":true,"at":1767323045678},"#,
        r#"{"seq":6,"op":"message","no":2,"id":"ID6","user_id":"ada","username":"Ada","avatar":null,"roles":["member"],"content":"","text":null,"type":"text","metadata":{},"mentions":[],"reply_to":null,"client_id":null,"created_at":1767323045678,"edited_at":null,"deleted_at":1767323045678,"audience":"all","visible_at":1767323045678},"#,
        r#"{"seq":7,"op":"delete","ids":["ID6"],"deleted_at":1767323045678,"by":"ada"}]}"#,
    ];
    assert_eq!(batch, expected.concat());
}

/// What rooms have stored already has to be read by every later build.
#[test]
fn a_stored_row_format_unchanged() {
    let mut w = room();
    let ada = w.join("ada");
    w.ask(
        ada,
        "send_message",
        json!({"content": "a < b", "client_id": "c1", "metadata": {"k": 1}, "mentions": ["ada"]}),
    )
    .unwrap();
    let id = message(&w, 2);
    w.ask(ada, "edit_message", json!({"message_id": id, "content": "two"})).unwrap();
    w.ask(ada, "react", json!({"message_id": id, "reaction": "👍"})).unwrap();
    w.ask(ada, "delete_message", json!({"message_id": id})).unwrap();
    w.say(ada, "three");
    let third = message(&w, 6);
    let rows: Vec<String> = w.log.stored().iter().map(|row| named(&w, row).replace(&third, "ID6")).collect();
    assert_eq!(
        rows,
        [
            r#"1 0 [{"seq":1,"at":1767323045678,"visible_at":1767323045678,"audience":"internal","event":"room","data":{"room":{"name":"Lobby","type":"video","settings":{"guests":true,"visibility":"public","read_only":false,"slow_s":null,"emote_only":false,"followers_only_s":null,"subscribers_only":false,"subscribers_only_s":0,"no_repeats":false,"links":"on","delay_s":0,"profanity":null,"spam":null,"rate":null,"max_message_length":null,"edit_window_s":null,"history_limit":null,"retention_days":null,"retention_messages":null,"sample_above":null,"expect_viewers":null},"owner_id":"own","created_at":1767323045678,"updated_at":1767323045678},"changed":[]}}]"#,
            r#"2 1 [{"seq":2,"at":1767323045678,"visible_at":1767323045678,"event":"new_message","data":{"message_id":"ID2","no":1,"user":{"user_id":"ada","username":"Ada","avatar":null,"roles":["member"]},"content":"","type":"text","client_id":"c1","edited_at":1767323045678,"edit_seq":3,"deleted_at":1767323045678}}]"#,
            r#"3 1 [{"seq":3,"at":1767323045678,"visible_at":1767323045678,"event":"gone","data":{"user_id":"ada"}}]"#,
            r#"4 1 [{"seq":4,"at":1767323045678,"visible_at":1767323045678,"event":"reaction","data":{"message_id":"ID2","user_id":"ada","reaction":"👍","remove":false,"reactions":{"👍":1}}}]"#,
            r#"5 1 [{"seq":5,"at":1767323045678,"visible_at":1767323045678,"event":"message_deleted","data":{"message_id":"ID2","no":1,"by":"ada","role":"member","author":"ada"}}]"#,
            r#"6 2 [{"seq":6,"at":1767323045678,"visible_at":1767323045678,"event":"new_message","data":{"message_id":"ID6","no":2,"user":{"user_id":"ada","username":"Ada","avatar":null,"roles":["member"]},"content":"three","type":"text"}}]"#,
        ]
    );
}

#[test]
fn an_attachment_format_unchanged() {
    let mut w = room();
    let guest = w.open("");
    assert_eq!(
        w.wires[&guest].attachment,
        format!(r#"{{"v":1,"id":1,"at":{START},"joined":false,"guest":"AAAAAAAAAAAAAAAAAAAAAA"}}"#)
    );
    let ada = w.join("ada");
    assert_eq!(
        w.wires[&ada].attachment,
        format!(
            r#"{{"v":1,"id":2,"at":{START},"joined":true,"identity":{{"u":"ada","n":"Ada","r":["member"],"e":1767409445000,"i":1767323045000}},"guest":"AAAAAAAAAAAAAAAAAAAAAA"}}"#
        )
    );
}

#[test]
fn a_message_is_held_allowed_and_denied() {
    let mut w = room();
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    w.ask(moderator, "set_terms", json!({"blocked": ["spoil*"], "action": "hold"})).unwrap();
    let mut held = Vec::new();
    for (name, words) in [("c1", "no spoilers"), ("c2", "one spoiler")] {
        let reply = w.ask(ada, "send_message", json!({"content": words, "client_id": name})).unwrap();
        assert_eq!(reply.as_object().unwrap().keys().collect::<Vec<_>>(), ["held", "message_id", "seq", "timestamp"]);
        held.push(reply["message_id"].as_str().unwrap().to_owned());
    }
    let allowed = w.ask(moderator, "allow_message", json!({"held_id": held[0]})).unwrap();
    assert_eq!(allowed.as_object().unwrap().keys().collect::<Vec<_>>(), ["held_id", "message_id", "seq", "timestamp"]);
    w.ask(moderator, "deny_message", json!({"held_id": held[1], "reason": "late"})).unwrap();
    let lines = |w: &mut World, socket| {
        let frames = std::mem::take(&mut w.wires.get_mut(&socket).unwrap().frames);
        let named = |line: &str| {
            let line = line.replace(&held[0], "H1").replace(&held[1], "H2");
            line.replace(allowed["message_id"].as_str().unwrap(), "ID5")
        };
        let lines = frames.iter().flat_map(|frame| frame.split('\n')).map(named);
        lines.filter(|line| line.contains("held_id") && !line.contains("new_message")).collect::<Vec<_>>()
    };
    let user = r#""user":{"user_id":"ada","username":"Ada","avatar":null,"roles":["member"]}"#;
    let waits = |seq: u64, id: &str, words: &str, name: &str, why: &str| {
        format!(
            r#"{{"seq":{seq},"event":"message_held","data":{{"held_id":"{id}","room_id":"video_123",{user},"content":"{words}","type":"text","timestamp":"2026-01-02T03:04:05.678Z","client_id":"{name}","reasons":[{{"code":"term",{why}}}],"expires_at":"2026-01-02T03:14:05.678Z"}}}}"#
        )
    };
    let told = r#""sentence":"The room blocks a word or phrase in it.""#;
    assert_eq!(
        lines(&mut w, ada),
        [
            waits(3, "H1", "no spoilers", "c1", told),
            waits(4, "H2", "one spoiler", "c2", told),
            r#"{"seq":6,"event":"message_released","data":{"held_id":"H1","room_id":"video_123","message_id":"ID5"}}"#.into(),
            r#"{"seq":7,"event":"message_denied","data":{"held_id":"H2","room_id":"video_123","outcome":"denied","reason":"late"}}"#.into(),
        ]
    );
    let known = r#""term":"spoil*","sentence":"The room blocks the term \"spoil*\".""#;
    assert_eq!(
        lines(&mut w, moderator),
        [
            waits(3, "H1", "no spoilers", "c1", known),
            waits(4, "H2", "one spoiler", "c2", known),
            r#"{"seq":6,"event":"message_released","data":{"held_id":"H1","room_id":"video_123","message_id":"ID5","by":"mod"}}"#.into(),
            r#"{"seq":7,"event":"message_denied","data":{"held_id":"H2","room_id":"video_123","outcome":"denied","reason":"late","by":"mod"}}"#.into(),
        ]
    );
}
