//! Devices and their keys: published, listed, and each one-time key handed out once.

use base64ct::{Base64Unpadded, Encoding};
use edge_chat::protocol::ChatError;
use edge_chat::protocol::call::{Nothing, UserAsk, UserCall};
use edge_chat::protocol::device::{PublishKeys, SignedKey};
use edge_chat::user::{Step, User};
use jwt_compact::alg::{Ed25519, SigningKey, VerifyingKey};
use jwt_compact::{Algorithm, AlgorithmSignature};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const START: u64 = 1_767_323_045_678;

/// A user's object with its storage.
struct Object {
    user: User,
    state: BTreeMap<String, String>,
    now: u64,
}

impl Object {
    fn new() -> Self {
        Self { user: User::load("ada".into(), vec![], START).unwrap(), state: BTreeMap::new(), now: START }
    }

    fn keep(&mut self, step: Step) {
        for (key, value) in step.write {
            match value {
                Some(value) => drop(self.state.insert(key, value)),
                None => drop(self.state.remove(&key)),
            }
        }
    }

    fn evict(&mut self) {
        self.user = User::load("ada".into(), self.state.clone().into_iter().collect(), self.now).unwrap();
    }

    fn ask(&mut self, ask: UserAsk) -> Result<Value, ChatError> {
        let (answer, step) = self.user.call(UserCall { v: 1, iat_ms: Some(self.now), ask }, self.now);
        self.keep(step);
        answer.map(|raw| serde_json::from_str(raw.get()).unwrap())
    }

    fn publish(&mut self, device: &Device, keys: PublishKeys) -> Result<Value, ChatError> {
        self.now += 60_000;
        self.ask(UserAsk::Publish { device_id: device.id.clone(), keys })
    }

    fn claim(&mut self, by: &str, device_ids: Option<&[&str]>) -> Value {
        let device_ids = device_ids.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
        self.ask(UserAsk::ClaimedBy { by: by.into(), device_ids }).unwrap()
    }
}

struct Device {
    id: String,
    signs: <Ed25519 as Algorithm>::SigningKey,
}

fn base64(bytes: &[u8]) -> String {
    Base64Unpadded::encode_string(bytes)
}

impl Device {
    fn new(n: u8) -> Self {
        let signs = <<Ed25519 as Algorithm>::SigningKey as SigningKey<Ed25519>>::from_slice(&[n; 32]).unwrap();
        Self { id: format!("device-{n}"), signs }
    }

    fn key(&self, kind: &str, n: u64) -> SignedKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        let (key_id, key) = (format!("k{n}"), base64(&bytes));
        let text = format!("edge-chat/v1/{kind}\nada\n{}\n{key_id}\n{key}", self.id);
        let signature = base64(&Ed25519.sign(&self.signs, text.as_bytes()).as_bytes());
        SignedKey { key_id, key, signature }
    }

    fn keys(&self, range: std::ops::Range<u64>) -> PublishKeys {
        let ed25519 = SigningKey::<Ed25519>::to_verifying_key(&self.signs);
        PublishKeys {
            name: None,
            curve25519: base64(&[9; 32]),
            ed25519: base64(&VerifyingKey::<Ed25519>::as_bytes(&ed25519)),
            fallback_key: None,
            one_time_keys: range.map(|n| self.key("one-time-key", n)).collect(),
        }
    }
}

fn code(answer: Result<Value, ChatError>) -> (&'static str, String) {
    let error = answer.unwrap_err();
    (error.code.as_str(), error.field.unwrap_or_default())
}

#[test]
fn ten_thousand_claims_at_once_hand_out_each_key_once() {
    let mut object = Object::new();
    let devices = [Device::new(1), Device::new(2)];
    let (mut published, mut handed, mut fallbacks) = ([0_u64; 2], BTreeSet::new(), 0);
    for device in &devices {
        let keys = PublishKeys { fallback_key: Some(device.key("fallback-key", 1 << 40)), ..device.keys(0..0) };
        object.publish(device, keys).unwrap();
    }
    for claim in 0..10_000_u64 {
        // The owner tops the keys up now and then, and says all again of which the answer was lost.
        if claim % 2_000 == 0 {
            for (n, device) in devices.iter().enumerate() {
                let from = published[n].saturating_sub(60);
                let had = object.publish(device, device.keys(from..published[n] + 40)).unwrap();
                assert!(had["one_time_keys"].as_u64().unwrap() <= 100);
                published[n] += 40;
            }
        }
        // The object may lose its memory at any time.
        if claim % 211 == 0 {
            object.evict();
        }
        for device in object.claim(&format!("user {}", claim % 100), None)["devices"].as_array().unwrap() {
            let key = device["key"]["key"].as_str().unwrap();
            if device["key"]["fallback"] == true {
                fallbacks += 1;
            } else {
                assert!(
                    handed.insert((device["device_id"].to_string(), key.to_owned())),
                    "claim {claim}: handed out twice"
                );
            }
        }
    }
    assert_eq!(handed.len() as u64, published.iter().sum::<u64>());
    assert_eq!(fallbacks, 20_000 - handed.len());
    assert_eq!(handed.len(), 400);
}

#[test]
fn a_device_is_made_listed_named_and_removed() {
    let mut object = Object::new();
    let device = Device::new(1);
    let keys = PublishKeys { name: Some("<b>Phone</b>".into()), ..device.keys(0..3) };
    assert_eq!(object.publish(&device, keys).unwrap(), json!({"device_id": "device-1", "one_time_keys": 3}));
    object.evict();
    let own = object.ask(UserAsk::Devices(Nothing {})).unwrap();
    assert_eq!((&own["user_id"], &own["version"]), (&json!("ada"), &json!(1)));
    assert_eq!((&own["devices"][0]["name"], &own["devices"][0]["one_time_keys"]), (&json!("Phone"), &json!(3)));
    let others = object.ask(UserAsk::DevicesFor(Nothing {})).unwrap();
    let fields: Vec<_> = others["devices"][0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["created_at", "curve25519", "device_id", "ed25519"]);
    object.ask(UserAsk::NameDevice { device_id: "device-1".into(), name: "Old phone".into() }).unwrap();
    // Topping up leaves the name, and the version.
    object.publish(&device, device.keys(3..5)).unwrap();
    let own = object.ask(UserAsk::Devices(Nothing {})).unwrap();
    assert_eq!((&own["devices"][0]["name"], &own["version"]), (&json!("Old phone"), &json!(1)));
    assert_eq!(code(object.ask(UserAsk::NameDevice { device_id: "x".into(), name: "y".into() })).0, "device_not_found");
    assert_eq!(code(object.ask(UserAsk::NameDevice { device_id: "device-1".into(), name: "".into() })).1, "name");
    for n in 2..=10 {
        let device = Device::new(n);
        object.publish(&device, device.keys(0..1)).unwrap();
    }
    let eleventh = Device::new(11);
    assert_eq!(code(object.publish(&eleventh, eleventh.keys(0..1))).0, "too_many_devices");
    object.claim("bob", Some(&["device-1"]));
    assert!(object.state.keys().any(|key| key.starts_with("device-spent:device-1:")));
    object.ask(UserAsk::RemoveDevice("device-1".into())).unwrap();
    assert!(!object.state.keys().any(|key| key.ends_with("device-1") || key.contains("device-1:")));
    assert_eq!(code(object.ask(UserAsk::RemoveDevice("device-1".into()))).0, "device_not_found");
    object.publish(&eleventh, eleventh.keys(0..1)).unwrap();
    // What it handed out is forgotten, and would be handed out again.
    assert_eq!(code(object.publish(&device, device.keys(0..5))), ("device_removed", "device_id".into()));
    object.evict();
    assert_eq!(code(object.publish(&device, device.keys(0..5))).0, "device_removed");
    assert_eq!(object.ask(UserAsk::DevicesFor(Nothing {})).unwrap()["version"], 12);
    let some = object.claim("bob", Some(&["device-2", "device-1", "nothing"]));
    assert_eq!(some["devices"].as_array().unwrap().len(), 1);
    assert!(object.claim("bob", Some(&["device-2"]))["devices"][0].get("key").is_none());
}

#[test]
fn what_is_no_key_of_the_device_is_refused_and_nothing_of_it_kept() {
    let mut object = Object::new();
    let (device, other) = (Device::new(1), Device::new(2));
    let wrong = |change: fn(&mut PublishKeys, &Device)| {
        let mut keys = device.keys(0..2);
        change(&mut keys, &other);
        keys
    };
    let cases: [(PublishKeys, &str, &str); 9] = [
        (wrong(|keys, _| keys.curve25519 = "AAAA".into()), "bad_request", "curve25519"),
        (wrong(|keys, _| keys.ed25519 = format!("{}=", "A".repeat(42))), "bad_request", "ed25519"),
        (wrong(|keys, other| keys.ed25519 = other.keys(0..0).ed25519), "bad_request", "one_time_keys.0"),
        (wrong(|keys, other| keys.one_time_keys[1] = other.key("one-time-key", 1)), "bad_request", "one_time_keys.1"),
        (wrong(|keys, _| keys.one_time_keys[1].key_id = "k9".into()), "bad_request", "one_time_keys.1"),
        (wrong(|keys, _| keys.one_time_keys[0].key_id = "a\nb".into()), "bad_request", "one_time_keys.0"),
        (wrong(|keys, _| keys.fallback_key = keys.one_time_keys.first().cloned()), "bad_request", "fallback_key"),
        (wrong(|keys, _| keys.name = Some(String::new())), "bad_request", "name"),
        (device.keys(0..101), "bad_request", "one_time_keys"),
    ];
    for (keys, error, field) in cases {
        assert_eq!(code(object.publish(&device, keys)), (error, field.to_owned()));
    }
    assert!(object.state.keys().all(|key| !key.starts_with("device")), "{:?}", object.state.keys());
    object.publish(&device, device.keys(0..90)).unwrap();
    assert_eq!(object.publish(&device, device.keys(80..110)).unwrap()["one_time_keys"], 100);
    let mut others = other.keys(0..0);
    others.curve25519 = base64(&[8; 32]);
    assert_eq!(code(object.publish(&device, others)).0, "device_keys_differ");
    let bad_id = Device { id: "a b".into(), ..Device::new(3) };
    assert_eq!(code(object.publish(&bad_id, bad_id.keys(0..1))), ("bad_request", "device_id".into()));
    let now = object.now;
    let many = (0..31).map(|_| {
        object.now = now + 120_000;
        object.ask(UserAsk::Publish { device_id: device.id.clone(), keys: device.keys(0..0) })
    });
    assert_eq!(many.filter(Result::is_ok).count(), 30);
}

#[test]
fn claims_are_counted_and_blocks_stop_them_from_both_sides() {
    let mut object = Object::new();
    let device = Device::new(1);
    object.publish(&device, device.keys(0..5)).unwrap();
    object.ask(UserAsk::Block("eve".into())).unwrap();
    let by_eve = UserAsk::ClaimedBy { by: "eve".into(), device_ids: None };
    assert_eq!(code(object.ask(by_eve)).0, "blocked");
    assert_eq!(code(object.ask(UserAsk::Claims("eve".into()))).0, "blocked");
    for _ in 0..200 {
        object.ask(UserAsk::Claims("bob".into())).unwrap();
    }
    object.evict();
    assert_eq!(code(object.ask(UserAsk::Claims("bob".into()))).0, "rate_limited");
    object.now += 3_600_000;
    object.ask(UserAsk::Claims("bob".into())).unwrap();
}
