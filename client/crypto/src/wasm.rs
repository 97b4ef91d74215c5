//! The same for JavaScript: texts of JSON in and out, and errors with a `code`.

use js_sys::{Error, Reflect};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::error::CryptoError;
use crate::wire::{DeviceList, UserDevices};

type Answer<T> = Result<T, JsValue>;

fn thrown(error: CryptoError) -> JsValue {
    let thrown = Error::new(&error.to_string());
    // An object that was made here takes any property.
    let _ = Reflect::set(&thrown, &"code".into(), &error.code().into());
    thrown.into()
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Answer<T> {
    serde_json::from_str(text).map_err(|_| thrown(CryptoError::Malformed("JSON")))
}

fn write(value: &impl Serialize) -> Answer<String> {
    serde_json::to_string(value).map_err(|_| thrown(CryptoError::Malformed("JSON")))
}

fn key(bytes: &[u8]) -> Answer<[u8; 32]> {
    bytes.try_into().map_err(|_| thrown(CryptoError::Malformed("a storage key")))
}

/// A device; see the functions of the same names in Rust.
#[wasm_bindgen]
pub struct Device(crate::Device);

#[wasm_bindgen]
impl Device {
    /// A new device of a user; `storage_key` is 32 bytes.
    #[wasm_bindgen(constructor)]
    pub fn new(user_id: &str, device_id: &str, storage_key: &[u8]) -> Answer<Device> {
        Ok(Self(crate::Device::new(user_id, device_id, key(storage_key)?)))
    }

    /// From records, `[[name, value], …]`.
    pub fn load(storage_key: &[u8], records: &str) -> Answer<Device> {
        let records: Vec<(String, String)> = read(records)?;
        let records = records.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        crate::Device::load(key(storage_key)?, records).map(Self).map_err(thrown)
    }

    /// `[[name, value], …]`.
    pub fn take_changes(&mut self) -> Answer<String> {
        write(&self.0.take_changes().map_err(thrown)?)
    }

    /// `{device_id, curve25519, ed25519}`.
    pub fn keys(&self) -> Answer<String> {
        write(&self.0.keys())
    }

    /// The body of a `PUT` of keys.
    pub fn keys_to_publish(&mut self, on_server: usize) -> Answer<String> {
        write(&self.0.keys_to_publish(on_server))
    }

    /// That `PUT` succeeded.
    pub fn published(&mut self) {
        self.0.published();
    }

    /// Whether one ever did.
    pub fn is_published(&self) -> bool {
        self.0.is_published()
    }

    /// The ids of the new ones of `{user_id, devices}`.
    pub fn learn(&mut self, user: &str) -> Answer<String> {
        write(&self.0.learn(&read(user)?).map_err(thrown)?)
    }

    /// `[{user_id, device_ids}, …]` to claim, of `[{user_id, devices}, …]`.
    pub fn claims(&mut self, room_id: &str, devices: &str) -> Answer<String> {
        let devices: DeviceList = read(devices)?;
        write(&self.0.claims(room_id, &devices).map_err(thrown)?)
    }

    /// The answer to a claim.
    pub fn claimed(&mut self, answer: &str) -> Answer<()> {
        self.0.claimed(&read(answer)?).map_err(thrown)
    }

    /// `{content, franking, session_id}`.
    pub fn encrypt(&mut self, room_id: &str, devices: &str, client_id: &str, body: &str) -> Answer<String> {
        let devices: DeviceList = read(devices)?;
        write(&self.0.encrypt(room_id, &devices, client_id, body).map_err(thrown)?)
    }

    /// A message of this session was stored.
    pub fn confirmed(&mut self, room_id: &str, session_id: &str) {
        self.0.confirmed(room_id, session_id);
    }

    /// A message of one's own was deleted or edited.
    pub fn share_again(&mut self, room_id: &str) {
        self.0.share_again(room_id);
    }

    /// `{body, frank_key, device_id}` of `{message_id, room_id, user_id, client_id, content, franking}`.
    pub fn decrypt(&mut self, message: &str) -> Answer<String> {
        write(&self.0.decrypt(&read(message)?).map_err(thrown)?)
    }

    /// The same of one's own message that has no `message_id` yet.
    pub fn read_unsent(&mut self, message: &str) -> Answer<String> {
        write(&self.0.read_unsent(&read(message)?).map_err(thrown)?)
    }

    /// The session whose key is missing, if it is.
    pub fn wants_key(&self, user_id: &str, content: &str) -> Option<String> {
        self.0.wants_key(user_id, content)
    }

    /// Eight groups of four.
    pub fn recovery_key(&mut self) -> Answer<String> {
        self.0.recovery_key().map_err(thrown)
    }

    /// Whether there is one.
    pub fn has_recovery_key(&self) -> bool {
        self.0.has_recovery_key()
    }

    /// `{data, sessions, left_out}`.
    pub fn backup(&mut self) -> Answer<String> {
        write(&self.0.backup().map_err(thrown)?)
    }

    /// How many sessions were new.
    pub fn restore_backup(&mut self, recovery_key: &str, data: &str) -> Answer<usize> {
        self.0.restore_backup(recovery_key, data).map_err(thrown)
    }
}

/// Sixty digits of two `{user_id, devices}`.
#[wasm_bindgen]
pub fn safety_number(one: &str, other: &str) -> Answer<String> {
    let (one, other): (UserDevices, UserDevices) = (read(one)?, read(other)?);
    crate::safety_number(&one, &other).map_err(thrown)
}
