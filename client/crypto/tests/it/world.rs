//! A server of keys and one direct room, as far as devices need them.

use std::collections::BTreeMap;

use edge_chat_crypto::{Claimed, CryptoError, Device, MessageIn, Opened, SignedKey, UserDevices};
use serde_json::{Value, json};

pub(crate) const ROOM: &str = "dm:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub(crate) const KEY: [u8; 32] = [7; 32];

#[derive(Default)]
struct Published {
    keys: Value,
    fallback: Option<SignedKey>,
    one_time: Vec<SignedKey>,
}

/// What the server has.
#[derive(Default)]
pub(crate) struct World {
    published: BTreeMap<String, BTreeMap<String, Published>>,
    messages: usize,
    /// Claims that were answered, and with how many fallback keys.
    pub(crate) claims: usize,
    pub(crate) fallbacks: usize,
}

impl World {
    pub(crate) fn add(&mut self, user: &str, device: &str) -> Device {
        let mut made = Device::new(user, device, KEY);
        self.publish(&mut made);
        made
    }

    pub(crate) fn publish(&mut self, device: &mut Device) {
        let there = self.published.entry(device.user_id().to_owned()).or_default().entry(device.device_id().to_owned());
        let there = there.or_default();
        let upload = device.keys_to_publish(there.one_time.len());
        there.keys = serde_json::to_value(device.keys()).unwrap();
        there.fallback = upload.fallback_key.or(there.fallback.take());
        there.one_time.extend(upload.one_time_keys);
        device.published();
    }

    /// As a client does where few are left.
    pub(crate) fn top_up(&mut self, device: &mut Device) {
        if self.published[device.user_id()][device.device_id()].one_time.len() < 25 {
            self.publish(device);
        }
    }

    pub(crate) fn remove(&mut self, device: &Device) {
        self.published.get_mut(device.user_id()).unwrap().remove(device.device_id());
    }

    pub(crate) fn list(&self, user: &str) -> UserDevices {
        let devices: Vec<&Value> = self.published[user].values().map(|one| &one.keys).collect();
        serde_json::from_value(json!({"user_id": user, "devices": devices})).unwrap()
    }

    pub(crate) fn lists(&self) -> Vec<UserDevices> {
        self.published.keys().map(|user| self.list(user)).collect()
    }

    pub(crate) fn claim(&mut self, user: &str, device_ids: &[String]) -> Value {
        let mut devices = Vec::new();
        for (id, there) in self.published.get_mut(user).unwrap() {
            if !device_ids.contains(id) {
                continue;
            }
            self.claims += 1;
            let one_time = there.one_time.pop().map(|key| SignedKey { fallback: Some(false), ..key });
            self.fallbacks += usize::from(one_time.is_none());
            let key = one_time.or(there.fallback.clone().map(|key| SignedKey { fallback: Some(true), ..key }));
            let mut device = there.keys.clone();
            device["key"] = serde_json::to_value(key).unwrap();
            devices.push(device);
        }
        json!({"user_id": user, "devices": devices})
    }

    /// Claims what is missing.
    pub(crate) fn prepare(&mut self, device: &mut Device) {
        self.prepare_in(ROOM, device);
    }

    pub(crate) fn prepare_in(&mut self, room: &str, device: &mut Device) {
        for claim in device.claims(room, &self.lists()).unwrap() {
            let answer: Claimed = serde_json::from_value(self.claim(&claim.user_id, &claim.device_ids)).unwrap();
            device.claimed(&answer).unwrap();
        }
    }

    /// Encrypts and stores a message.
    pub(crate) fn say(&mut self, device: &mut Device, body: &str) -> MessageIn {
        self.prepare(device);
        self.messages += 1;
        let client_id = format!("c-{}", self.messages);
        let made = device.encrypt(ROOM, &self.lists(), &client_id, body).unwrap();
        device.confirmed(ROOM, &made.session_id);
        MessageIn {
            message_id: format!("m-{}", self.messages),
            room_id: ROOM.to_owned(),
            user_id: device.user_id().to_owned(),
            client_id,
            content: made.content,
            franking: made.franking,
        }
    }

    /// Reads as a client does: the sender's devices are learnt where they are not known.
    pub(crate) fn read(&self, device: &mut Device, message: &MessageIn) -> Result<Opened, CryptoError> {
        match device.decrypt(message) {
            Err(CryptoError::UnknownDevice) => {
                device.learn(&self.list(&message.user_id))?;
                device.decrypt(message)
            }
            answer => answer,
        }
    }

    pub(crate) fn hear(&self, device: &mut Device, message: &MessageIn) -> String {
        self.read(device, message).unwrap().body
    }
}

/// What a browser keeps of a device.
#[derive(Default, Clone)]
pub(crate) struct Kept(pub(crate) BTreeMap<String, String>);

impl Kept {
    pub(crate) fn save(&mut self, device: &mut Device) -> usize {
        let changes = device.take_changes().unwrap();
        let count = changes.len();
        self.0.extend(changes);
        count
    }

    pub(crate) fn load(&self) -> Device {
        Device::load(KEY, self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))).unwrap()
    }
}

pub(crate) fn content(message: &MessageIn) -> Value {
    serde_json::from_str(&message.content).unwrap()
}

pub(crate) fn with_content(message: &MessageIn, change: impl FnOnce(&mut Value)) -> MessageIn {
    let mut value = content(message);
    change(&mut value);
    MessageIn { content: value.to_string(), ..message.clone() }
}
