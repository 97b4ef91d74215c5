//! The inbox: what rooms tell of, what is counted, and what is read.

use crate::world::World;
use edge_chat::protocol::call::{Ask, Nothing, UserAsk, UserCall};
use edge_chat::protocol::device::PublishKeys;
use edge_chat::protocol::inbox::{InboxReason, MarkRead, Note, read_command};
use edge_chat::user::User;
use serde_json::{Value, json};
use std::collections::BTreeMap;

struct Object {
    user: User,
    state: BTreeMap<String, String>,
    now: u64,
}

impl Object {
    fn new() -> Self {
        Self { user: User::load("bob".into(), vec![], 1_000).unwrap(), state: BTreeMap::new(), now: 1_000 }
    }

    /// What is said to the sockets.
    fn ask(&mut self, ask: UserAsk) -> Vec<Value> {
        self.now += 1;
        let (answer, step) = self.user.call(UserCall { v: 1, iat_ms: Some(self.now), ask }, self.now);
        answer.unwrap();
        for (key, value) in step.write {
            match value {
                Some(value) => drop(self.state.insert(key, value)),
                None => drop(self.state.remove(&key)),
            }
        }
        step.say.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn note(&mut self, room: &str, epoch: u64, seq: u64, by: &str) -> Option<(u64, String)> {
        let (reason, with) = (InboxReason::Message, Some("ada".to_owned()));
        let (room_id, kind, by) = (room.to_owned(), "direct".to_owned(), by.to_owned());
        let said = self.ask(UserAsk::Note(Note { room_id, kind, with, epoch, seq, by, reason }));
        let data = &said.first()?["data"];
        Some((data["unread"].as_u64().unwrap(), data["reason"].as_str().unwrap().to_owned()))
    }

    fn read(&mut self, room: &str, seq: u64) -> Option<u64> {
        let said = self.ask(UserAsk::MarkRead(MarkRead { room_id: room.into(), seq }));
        said.first().map(|line| line["data"]["unread"].as_u64().unwrap())
    }

    fn rooms(&mut self) -> Vec<(String, u64, u64)> {
        self.user = User::load("bob".into(), self.state.clone().into_iter().collect(), self.now).unwrap();
        let line: Value = serde_json::from_str(&self.user.inbox()).unwrap();
        let number = |value: &Value| value.as_u64().unwrap();
        let of = |room: &Value| {
            (room["room_id"].as_str().unwrap().into(), number(&room["unread"]), number(&room["last_seq"]))
        };
        line["data"]["rooms"].as_array().unwrap().iter().map(of).collect()
    }
}

fn message(n: u64) -> Option<(u64, String)> {
    Some((n, "message".into()))
}

#[test]
fn each_message_counts_once_in_any_order_until_it_is_read() {
    let mut object = Object::new();
    assert_eq!(object.note("dm", 1, 5, "ada"), message(1));
    assert_eq!(object.note("dm", 1, 5, "ada"), None);
    assert_eq!(object.note("dm", 1, 4, "ada"), message(2));
    assert_eq!(object.note("dm", 1, 9, "ada"), message(3));
    assert_eq!(object.read("dm", 5), Some(1));
    assert_eq!((object.read("dm", 5), object.read("nowhere", 5)), (None, None));
    assert_eq!(object.note("dm", 1, 3, "ada"), None, "it was read before it was told");
    assert_eq!(object.note("dm", 1, 10, "bob"), Some((0, "read".into())));
    // A read beyond what is known does not swallow what is to come.
    object.read("dm", 1_000);
    assert_eq!(object.note("dm", 1, 11, "ada"), message(1));
    assert_eq!(object.rooms(), [("dm".to_owned(), 1, 11)]);
    // The room began anew: what was unread stays so, and late word of its earlier life is nothing.
    assert_eq!(object.note("dm", 2, 1, "ada"), message(2));
    assert_eq!(object.note("dm", 1, 12, "ada"), None);
    assert_eq!(object.read("dm", 1), Some(0));
}

#[test]
fn what_is_remembered_is_bounded_and_who_is_blocked_counts_nowhere() {
    let mut object = Object::new();
    for n in 0..501 {
        object.note(&format!("dm {n}"), 1, 1, "ada");
    }
    let rooms = object.rooms();
    assert_eq!((rooms.len(), &rooms[0].0, &rooms[499].0), (500, &"dm 500".to_owned(), &"dm 1".to_owned()));
    for seq in 1..=210 {
        object.note("dm", 1, seq, "ada");
    }
    assert_eq!(object.rooms()[0], ("dm".to_owned(), 200, 210));
    object.ask(UserAsk::Block("ada".into()));
    assert_eq!(object.note("dm", 1, 211, "ada"), None);
}

#[test]
fn devices_that_come_and_go_are_told() {
    let mut object = Object::new();
    let key = "A".repeat(43);
    let keys =
        PublishKeys { name: None, curve25519: key.clone(), ed25519: key, fallback_key: None, one_time_keys: vec![] };
    let publish = UserAsk::Publish { device_id: "d".into(), keys };
    let said = json!({"event": "devices_changed", "data": {"user_id": "bob", "version": 1}});
    assert_eq!(object.ask(publish.clone()), [said]);
    assert!(object.ask(publish).is_empty());
    assert_eq!(object.ask(UserAsk::RemoveDevice("d".into()))[0]["data"]["version"], 2);
    assert!(object.ask(UserAsk::Devices(Nothing {})).is_empty());
}

#[test]
fn rooms_tell_who_is_mentioned_and_the_two_of_a_direct_room() {
    let mut w = World::new();
    let (ada, bob, moderator) = (w.join("ada"), w.join("bob"), w.join("mod"));
    w.say(ada, "hello @bob and @ada");
    let told: Vec<_> = w.notes.drain(..).map(|(to, note)| (to, note.by, note.reason)).collect();
    assert_eq!(told, [("bob".to_owned(), "ada".to_owned(), InboxReason::Mention)]);
    w.say(bob, "nobody");
    w.ask(moderator, "ban_user", json!({"user_id": "bob", "shadow": true})).unwrap();
    w.say(bob, "psst @ada");
    w.ask(moderator, "set_modes", json!({"modes": {"delay_s": 2}})).unwrap();
    w.say(ada, "later @bob");
    assert!(w.notes.is_empty(), "{:?}", w.notes);
    let mut w = World::new();
    let body = json!({"name": "R", "type": "direct", "members": ["ada", "bob"]});
    w.call("ada", Ask::Create(serde_json::from_value(body).unwrap())).unwrap();
    let content =
        json!({"v": 1, "alg": "megolm", "device_id": "D", "session_id": "AAEC", "index": 0, "ciphertext": "AAEC"});
    let letter =
        json!({"content": content.to_string(), "type": "encrypted", "client_id": "c", "franking": "A".repeat(43)});
    w.call("ada", Ask::Send(serde_json::from_value(letter).unwrap())).unwrap();
    let told: Vec<_> = w.notes.iter().map(|(to, note)| (to.as_str(), note.with.as_deref(), note.reason)).collect();
    let message = InboxReason::Message;
    assert_eq!(told, [("ada", Some("bob"), message), ("bob", Some("ada"), message)]);
}

#[test]
fn a_frame_to_an_inbox_is_read_or_refused() {
    let code = |text: &str| match read_command(text) {
        Err(error) => error.code.as_str(),
        Ok((_, command)) => command.map_or_else(|error| error.code.as_str(), |_| "fine"),
    };
    for (text, expected) in [
        (r#"{"event":"ping"}"#, "fine"),
        (r#"{"id":1,"event":"mark_read","data":{"room_id":"r","seq":1}}"#, "fine"),
        (r#"{"id":1,"event":"mark_read","data":{"room_id":"r","seq":-1}}"#, "bad_request"),
        (r#"{"event":"mark_read"}"#, "bad_request"),
        (r#"{"event":"join_room"}"#, "unknown_event"),
        ("[]", "bad_frame"),
        ("", "bad_frame"),
    ] {
        assert_eq!(code(text), expected, "{text}");
    }
    assert_eq!(code(&"x".repeat(4_097)), "frame_too_large");
}
