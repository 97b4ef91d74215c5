//! What cannot be reported is not shown; what was said can be proved.

use edge_chat_crypto::{CryptoError, MessageIn, franking_tag, franking_text};
use serde_json::json;

use crate::world::{ROOM, World, with_content};

#[test]
fn a_tag_is_what_the_server_computes() {
    // Of Python's hmac module: HMAC-SHA-256 under the bytes 0, 1, … 31.
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let text = franking_text("dm:room", "ada", "c-1", "héllo\nworld");
    assert_eq!(text, "edge-chat/v1/franking\ndm:room\nada\nc-1\nhéllo\nworld");
    assert_eq!(franking_tag(key, &text).unwrap(), "Tjbix0fBsZIj65EkXCZNNeJ4JfG3qVeY7qBSJ8CQZik");
    assert_eq!(franking_tag("c2hvcnQ", &text), None);
}

#[test]
fn what_was_read_proves_what_was_said() {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    let message = world.say(&mut ada, "something to report");
    let opened = world.read(&mut bob, &message).unwrap();
    let computed = |body: &str| franking_tag(&opened.frank_key, &franking_text(ROOM, "ada", &message.client_id, body));
    assert_eq!(computed("something to report"), Some(message.franking.clone()));
    assert_ne!(computed("something worse"), Some(message.franking));
}

#[test]
fn a_message_whose_tag_or_binding_differs_is_not_shown() {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    let other = world.say(&mut ada, "another");
    let message = world.say(&mut ada, "hello");
    world.hear(&mut bob, &other);
    let changed = [
        MessageIn { franking: other.franking.clone(), ..message.clone() },
        MessageIn { franking: String::new(), ..message.clone() },
        MessageIn { franking: "not base64!".into(), ..message.clone() },
        MessageIn { franking: message.franking[..22].into(), ..message.clone() },
        MessageIn { client_id: other.client_id, ..message.clone() },
        MessageIn { client_id: String::new(), ..message.clone() },
    ];
    for lie in changed {
        assert_eq!(world.read(&mut bob, &lie), Err(CryptoError::Franking), "{lie:?}");
    }
    assert_eq!(world.hear(&mut bob, &message), "hello");
    for id in ["", "a\nb"] {
        assert_eq!(ada.encrypt(ROOM, &world.lists(), id, "x").unwrap_err(), CryptoError::Malformed("an id"));
    }
}

#[test]
fn content_of_another_form_is_told_apart_from_a_lie() {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    let message = world.say(&mut ada, "hello");
    for (change, error) in [
        (json!({"v": 2}), CryptoError::Malformed("version")),
        (json!({"alg": "another"}), CryptoError::Malformed("version")),
        (json!({"v": "1"}), CryptoError::Malformed("content")),
        (json!({"index": 5}), CryptoError::Undecryptable),
        (json!({"ciphertext": "AAAA"}), CryptoError::Undecryptable),
        (json!({"session_id": "unknown"}), CryptoError::KeyUnreadable),
        (json!({"device_id": "unknown", "session_id": "unknown"}), CryptoError::UnknownDevice),
        (json!({"keys": {}, "session_id": "unknown"}), CryptoError::NoKey),
        (json!({"keys": {"bob/b1": {"type": 7, "body": "AAAA"}}, "session_id": "u"}), CryptoError::KeyUnreadable),
    ] {
        let lie = with_content(&message, |content| {
            content.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        });
        assert_eq!(world.read(&mut bob, &lie), Err(error), "{change}");
    }
    assert_eq!(bob.decrypt(&MessageIn { content: "hello".into(), ..message }), Err(CryptoError::Malformed("content")));
}

#[test]
fn an_edit_is_read_like_its_message() {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    let message = world.say(&mut ada, "helo");
    world.hear(&mut bob, &message);
    let made = ada.encrypt(ROOM, &world.lists(), &message.client_id, "hello").unwrap();
    let edited = MessageIn { content: made.content, franking: made.franking, ..message.clone() };
    assert_eq!(world.hear(&mut bob, &edited), "hello");
    assert_eq!(world.hear(&mut bob, &edited), "hello");
    let moved = MessageIn { message_id: "m-other".into(), ..edited };
    assert_eq!(world.read(&mut bob, &moved), Err(CryptoError::Replayed));
}
