//! Who can read: devices that are added, removed, changed, unsigned, or many.

use std::collections::BTreeSet;

use edge_chat_crypto::{Claimed, CryptoError, safety_number};
use serde_json::json;

use crate::world::{ROOM, World, content};

#[test]
fn a_session_ends_after_a_hundred_messages_and_its_key_is_sent_once() {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    let mut sessions = Vec::new();
    for n in 0..250 {
        let message = world.say(&mut ada, &n.to_string());
        let content = content(&message);
        assert_eq!(content["index"], n % 100);
        assert_eq!(content.get("keys").is_some(), n % 100 == 0);
        sessions.push(content["session_id"].as_str().unwrap().to_owned());
        assert_eq!(world.hear(&mut bob, &message), n.to_string());
        assert_eq!(world.hear(&mut ada, &message), n.to_string());
    }
    assert_eq!(sessions.iter().collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn the_key_is_sent_until_a_message_that_brings_it_is_stored_and_again_once_that_is_gone() {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    world.prepare(&mut ada);
    let refused = ada.encrypt(ROOM, &world.lists(), "c", "refused").unwrap();
    let first = world.say(&mut ada, "first");
    assert_eq!(content(&first)["index"], 1);
    let second = world.say(&mut ada, "second");
    assert!(content(&second).get("keys").is_none());
    ada.confirmed(ROOM, "another session");
    ada.share_again(ROOM);
    let third = world.say(&mut ada, "third");
    // Of the deleted first nothing is left: the third brings the key from the beginning.
    assert_eq!(world.read(&mut bob, &second), Err(CryptoError::NoKey));
    assert_eq!(bob.wants_key("ada", &second.content), content(&third)["session_id"].as_str().map(str::to_owned));
    assert_eq!(world.hear(&mut bob, &third), "third");
    assert_eq!(world.hear(&mut bob, &second), "second");
    assert_eq!(bob.wants_key("ada", &second.content), None);
    assert!(refused.content.contains(&bob.keys().device_id));
}

#[test]
fn a_removed_device_cannot_read_what_comes_after_and_an_added_one_not_what_was_before() {
    let mut world = World::default();
    let (mut ada, mut bob, mut lost) = (world.add("ada", "a1"), world.add("bob", "b1"), world.add("bob", "b2"));
    let before = world.say(&mut ada, "before");
    assert_eq!(world.hear(&mut lost, &before), "before");
    world.remove(&lost);
    let after = world.say(&mut ada, "after");
    assert_ne!(content(&before)["session_id"], content(&after)["session_id"]);
    assert_eq!(world.read(&mut lost, &after), Err(CryptoError::NoKey));
    assert_eq!(world.hear(&mut bob, &after), "after");
    assert_eq!(lost.encrypt(ROOM, &world.lists(), "c", "I am still here").unwrap_err(), CryptoError::DeviceRemoved);
    let mut new = world.add("bob", "b3");
    let later = world.say(&mut ada, "later");
    assert_ne!(content(&later)["session_id"], content(&after)["session_id"]);
    assert_eq!(world.hear(&mut new, &later), "later");
    assert_eq!(world.read(&mut new, &after), Err(CryptoError::NoKey));
    // What the removed device had said stays readable to those who knew it.
    assert_eq!(world.hear(&mut bob, &before), "before");
}

#[test]
fn ones_own_other_device_reads_along() {
    let mut world = World::default();
    let (mut ada, mut other, _bob) = (world.add("ada", "a1"), world.add("ada", "a2"), world.add("bob", "b1"));
    let message = world.say(&mut ada, "from the other one");
    assert_eq!(world.hear(&mut other, &message), "from the other one");
}

#[test]
fn nothing_is_encrypted_for_nobody() {
    let mut world = World::default();
    let mut ada = world.add("ada", "a1");
    world.add("ada", "a2");
    world.prepare(&mut ada);
    assert_eq!(ada.encrypt(ROOM, &world.lists(), "c", "hello?").unwrap_err(), CryptoError::NoDevices);
}

#[test]
fn a_key_that_its_device_did_not_sign_begins_nothing() {
    let mut world = World::default();
    let (mut ada, bob, mallory) = (world.add("ada", "a1"), world.add("bob", "b1"), world.add("mallory", "m1"));
    ada.learn(&world.list("bob")).unwrap();
    let ids = [bob.device_id().to_owned()];
    let honest = world.claim("bob", &ids);
    let theirs = world.claim("mallory", &[mallory.device_id().to_owned()])["devices"][0]["key"].clone();
    let key = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut answer = honest.clone();
        change(&mut answer["devices"][0]);
        serde_json::from_value::<Claimed>(answer).unwrap()
    };
    type Lie<'a> = &'a dyn Fn(&mut serde_json::Value);
    let lies: [(Lie<'_>, CryptoError); 6] = [
        (&|device| device["key"] = theirs.clone(), CryptoError::BadSignature),
        (&|device| device["key"]["key"] = theirs["key"].clone(), CryptoError::BadSignature),
        (&|device| device["key"]["key_id"] = json!("another"), CryptoError::BadSignature),
        (&|device| device["key"]["fallback"] = json!(true), CryptoError::BadSignature),
        (&|device| device["key"]["signature"] = json!("AAAA"), CryptoError::BadSignature),
        (&|device| device["ed25519"] = json!(mallory.keys().ed25519), CryptoError::DeviceChanged),
    ];
    for (lie, error) in lies {
        assert_eq!(ada.claimed(&key(lie)), Err(error));
        assert_eq!(
            ada.claims(ROOM, &world.lists()).unwrap().iter().find(|claim| claim.user_id == "bob").unwrap().device_ids,
            ids
        );
    }
    let lists = [world.list("ada"), world.list("bob")];
    assert_eq!(ada.encrypt(ROOM, &lists, "c", "hello").unwrap_err(), CryptoError::NoDevices);
    ada.claimed(&key(&|_| ())).unwrap();
    assert!(ada.encrypt(ROOM, &lists, "c", "hello").is_ok());
}

#[test]
fn a_device_with_other_keys_is_refused_everywhere() {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    let message = world.say(&mut bob, "hello");
    world.hear(&mut ada, &message);
    let mut impostor = world.add("bob", "b1");
    assert_eq!(ada.claims(ROOM, &world.lists()), Err(CryptoError::DeviceChanged));
    assert_eq!(ada.encrypt(ROOM, &world.lists(), "c", "secret").unwrap_err(), CryptoError::DeviceChanged);
    let forged = world.say(&mut impostor, "it is me");
    assert_eq!(world.read(&mut ada, &forged), Err(CryptoError::KeyUnreadable));
    let mut broken = world.list("bob");
    broken.devices[0] =
        edge_chat_crypto::DeviceKeys { device_id: "b9".into(), curve25519: "no".into(), ed25519: "key".into() };
    assert_eq!(ada.learn(&broken), Err(CryptoError::Malformed("a device")));
}

#[test]
fn a_key_is_not_passed_on_as_anothers() {
    let mut world = World::default();
    let (mut ada, mut bob, _) = (world.add("ada", "a1"), world.add("bob", "b1"), world.add("ada", "a2"));
    let hers = world.say(&mut ada, "hers");
    world.hear(&mut bob, &hers);
    // The server puts her ciphertext under his name, and as from her other device.
    let his = edge_chat_crypto::MessageIn { user_id: "bob".into(), message_id: "m-x".into(), ..hers.clone() };
    assert_eq!(world.read(&mut bob, &his), Err(CryptoError::UnknownDevice));
    let other = crate::world::with_content(&hers, |content| content["device_id"] = json!("a2"));
    assert_eq!(world.read(&mut bob, &other), Err(CryptoError::KeyUnreadable));
    let mut fresh = world.add("bob", "b2");
    let told = world.say(&mut ada, "told");
    let as_his = edge_chat_crypto::MessageIn {
        user_id: "bob".into(),
        ..crate::world::with_content(&told, |content| content["device_id"] = json!("b1"))
    };
    assert_eq!(world.read(&mut fresh, &as_his), Err(CryptoError::KeyUnreadable));
    let elsewhere = edge_chat_crypto::MessageIn { room_id: "dm:other".into(), ..told.clone() };
    let mut newest = world.add("bob", "b9");
    assert_eq!(world.read(&mut newest, &elsewhere), Err(CryptoError::NoKey));
    let mut third = world.add("bob", "b3");
    let more = world.say(&mut ada, "more");
    assert_eq!(
        world.read(&mut third, &edge_chat_crypto::MessageIn { room_id: "dm:other".into(), ..more }),
        Err(CryptoError::KeyUnreadable)
    );
}

#[test]
fn another_user_with_the_same_identity_key_comes_between_nothing() {
    let mut world = World::default();
    let (mut ada, mut bob, _) = (world.add("ada", "a1"), world.add("bob", "b1"), world.add("mallory", "m1"));
    let lists = [world.list("ada"), world.list("bob")];
    assert_eq!(ada.claims(ROOM, &lists).unwrap().len(), 1);
    ada.claimed(&serde_json::from_value(world.claim("bob", &["b1".to_owned()])).unwrap()).unwrap();
    // Mallory publishes Bob's key as her own, and Ada begins a talk with her too.
    let mut hers = world.list("mallory");
    hers.devices[0].curve25519 = bob.keys().curve25519;
    ada.claims("dm:other", &[world.list("ada"), hers]).unwrap();
    let mut answer = world.claim("mallory", &["m1".to_owned()]);
    answer["devices"][0]["curve25519"] = json!(bob.keys().curve25519);
    ada.claimed(&serde_json::from_value(answer).unwrap()).unwrap();
    let made = ada.encrypt(ROOM, &lists, "c", "hello").unwrap();
    let message = edge_chat_crypto::MessageIn {
        message_id: "m".into(),
        room_id: ROOM.into(),
        user_id: "ada".into(),
        client_id: "c".into(),
        content: made.content,
        franking: made.franking,
    };
    assert_eq!(world.hear(&mut bob, &message), "hello");
}

#[test]
fn a_device_that_comes_later_is_told_of() {
    let mut world = World::default();
    let (mut ada, _) = (world.add("ada", "a1"), world.add("bob", "b1"));
    assert_eq!(ada.learn(&world.list("bob")), Ok(vec![]), "the first list is where one begins");
    world.add("bob", "b2");
    assert_eq!(ada.learn(&world.list("bob")), Ok(vec!["b2".to_owned()]));
    assert_eq!(ada.learn(&world.list("bob")), Ok(vec![]), "once");
}

#[test]
fn what_was_not_sent_yet_is_read_by_its_own_device_and_takes_no_place() {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    let message = world.say(&mut ada, "hello");
    let unsent = edge_chat_crypto::MessageIn { message_id: String::new(), ..message.clone() };
    assert_eq!(ada.read_unsent(&unsent).unwrap().body, "hello");
    assert_eq!(world.hear(&mut ada, &message), "hello");
    world.hear(&mut bob, &message);
    assert_eq!(bob.read_unsent(&unsent), Err(CryptoError::NoKey));
}

#[test]
fn ten_devices_each_and_the_longest_message_fit_into_a_frame() {
    let mut world = World::default();
    let (user, other) = ("a".repeat(64), "b".repeat(64));
    let mut ada = world.add(&user, "d".repeat(64).as_str());
    for n in 0..9 {
        world.add(&user, &format!("{n}{}", "d".repeat(63)));
    }
    for n in 0..10 {
        world.add(&other, &format!("{n}{}", "d".repeat(63)));
    }
    let message = world.say(&mut ada, &"🙂".repeat(1_000));
    let frame = json!({"id": 1_000_000, "event": "send_message", "data": {"room_id": ROOM, "content": message.content,
        "type": "encrypted", "client_id": "c".repeat(64), "franking": message.franking}});
    let bytes = frame.to_string().len();
    assert_eq!(content(&message)["keys"].as_object().unwrap().len(), 19);
    assert!(bytes <= 32_768, "{bytes}");
    println!("frame of 20 devices: {bytes} bytes");
    let too_long = ada.encrypt(ROOM, &world.lists(), "c", &"🙂".repeat(10_000)).unwrap_err();
    assert_eq!(too_long, CryptoError::TooLarge);
}

#[test]
fn fallback_keys_stand_in_and_keys_are_topped_up() {
    let mut world = World::default();
    let mut bob = world.add("bob", "b1");
    let mut all: Vec<_> = (0..60).map(|n| world.add(&format!("ada{n}"), "a1")).collect();
    for ada in &mut all {
        let lists = [world.list("bob"), world.list(ada.user_id())];
        for claim in ada.claims(ROOM, &lists).unwrap() {
            let answer: Claimed = serde_json::from_value(world.claim(&claim.user_id, &claim.device_ids)).unwrap();
            ada.claimed(&answer).unwrap();
        }
        let made = ada.encrypt(ROOM, &lists, "c", "hello").unwrap();
        let message = edge_chat_crypto::MessageIn {
            message_id: format!("m-{}", ada.user_id()),
            room_id: ROOM.into(),
            user_id: ada.user_id().into(),
            client_id: "c".into(),
            content: made.content,
            franking: made.franking,
        };
        assert_eq!(world.hear(&mut bob, &message), "hello");
    }
    assert_eq!(world.fallbacks, 10);
    // Every key is new, and what was not known to be published is offered again as it was.
    let upload = bob.keys_to_publish(0);
    assert_eq!((upload.one_time_keys.len(), upload.fallback_key.is_some()), (50, true));
    let sorted =
        |keys: Vec<edge_chat_crypto::SignedKey>| keys.into_iter().map(|key| key.key_id).collect::<BTreeSet<_>>();
    let again = bob.keys_to_publish(0);
    assert_eq!(sorted(upload.one_time_keys), sorted(again.one_time_keys));
    bob.published();
    let none = bob.keys_to_publish(50);
    assert_eq!((none.one_time_keys.len(), none.fallback_key.is_some()), (0, false));
}

#[test]
fn the_safety_number_is_the_same_from_both_sides_and_changes_with_every_device() {
    let mut world = World::default();
    world.add("ada", "a1");
    world.add("bob", "b1");
    let numbers = |world: &World| {
        let (ada, bob) = (world.list("ada"), world.list("bob"));
        let number = safety_number(&ada, &bob).unwrap();
        assert_eq!(number, safety_number(&bob, &ada).unwrap());
        number
    };
    let first = numbers(&world);
    let groups: Vec<&str> = first.split(' ').collect();
    assert_eq!(groups.len(), 12);
    assert!(groups.iter().all(|group| group.len() == 5 && group.bytes().all(|byte| byte.is_ascii_digit())), "{first}");
    assert_eq!(numbers(&world), first);
    let put_there_by_the_server = world.add("bob", "b2");
    assert_ne!(numbers(&world), first);
    world.remove(&put_there_by_the_server);
    assert_eq!(numbers(&world), first);
    let (ada, mut swapped) = (world.list("ada"), world.list("bob"));
    swapped.devices[0].curve25519 = ada.devices[0].curve25519.clone();
    assert_ne!(safety_number(&ada, &swapped).unwrap(), first);
    assert!(safety_number(&ada, &ada).is_err());
}
