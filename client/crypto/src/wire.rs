//! The shapes that go over the wire, and those that the caller is handed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A device as the server lists it. Keys are unpadded base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceKeys {
    /// The device's id, 1–64 characters.
    pub device_id: String,
    /// The identity key that sessions are made with.
    pub curve25519: String,
    /// The identity key that signs.
    pub ed25519: String,
}

/// `GET /api/users/{id}/devices`, and of oneself `GET /api/me/devices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserDevices {
    /// Whose they are.
    pub user_id: String,
    /// All of the user's devices.
    pub devices: Vec<DeviceKeys>,
}

/// The lists of both users of a direct room.
pub type DeviceList = Vec<UserDevices>;

/// A one-time or fallback key with the device's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedKey {
    /// 43 characters of `A-Z a-z 0-9 _ -`: made from the key, so that no two keys share one.
    pub key_id: String,
    /// The public key.
    pub key: String,
    /// The device's signature of the canonical text.
    pub signature: String,
    /// In an answer to a claim: whether it is the fallback key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<bool>,
}

/// The body of `PUT /api/devices/{device_id}/keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyUpload {
    /// The device's identity key for sessions.
    pub curve25519: String,
    /// The device's identity key for signatures.
    pub ed25519: String,
    /// A new fallback key, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_key: Option<SignedKey>,
    /// New one-time keys, at most 50.
    pub one_time_keys: Vec<SignedKey>,
}

/// Which devices of a user a key has to be claimed of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// The user of `POST /api/users/{id}/keys/claim`.
    pub user_id: String,
    /// The body's `device_ids`.
    pub device_ids: Vec<String>,
}

/// The answer to a claim.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Claimed {
    /// Whose keys these are.
    pub user_id: String,
    /// One key of each device that has one.
    pub devices: Vec<ClaimedDevice>,
}

/// One device's claimed key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ClaimedDevice {
    /// As in [`DeviceKeys`], which `flatten` would read by way of a buffer for any JSON, and take code for it.
    pub device_id: String,
    /// As there.
    pub curve25519: String,
    /// As there.
    pub ed25519: String,
    /// Its key; none where the device published none.
    #[serde(default)]
    pub key: Option<SignedKey>,
}

/// An Olm message: `type` 0 begins a session, 1 goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OlmBody {
    #[serde(rename = "type")]
    pub(crate) kind: usize,
    pub(crate) body: String,
}

/// The `content` of a message of type `encrypted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) v: u8,
    pub(crate) alg: String,
    pub(crate) device_id: String,
    pub(crate) session_id: String,
    pub(crate) index: u32,
    pub(crate) ciphertext: String,
    /// By `user_id/device_id`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) keys: BTreeMap<String, OlmBody>,
}

/// Why something that a device said is doubted; the later one is the graver one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Doubt {
    /// It was said where it had said something else. A server that copies messages looks the same.
    SaidTwice,
    /// The key could not be opened.
    Unopened,
}

/// What an Olm message says: the key of a session, by whom, for whom.
#[derive(Serialize, Deserialize)]
pub(crate) struct SharedKey {
    pub(crate) v: u8,
    pub(crate) room_id: String,
    pub(crate) from: (String, String, String),
    pub(crate) to: (String, String),
    pub(crate) session_key: String,
    /// What this device said last was not opened or not believed: its sessions are to begin anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) doubt: Option<Doubt>,
}

/// What is inside a Megolm message.
#[derive(Serialize, Deserialize)]
pub(crate) struct Plaintext {
    pub(crate) v: u8,
    pub(crate) room_id: String,
    pub(crate) user_id: String,
    pub(crate) client_id: String,
    pub(crate) body: String,
    pub(crate) frank_key: String,
}

/// A message that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Encrypted {
    /// `send_message`'s `content`.
    pub content: String,
    /// `send_message`'s `franking`.
    pub franking: String,
    /// For [`Device::confirmed`](crate::Device::confirmed) once the server has it.
    pub session_id: String,
}

/// A message as the room says it, with what it is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MessageIn {
    /// The message's id.
    pub message_id: String,
    /// The room that it came from.
    pub room_id: String,
    /// Its sender, as the server says.
    pub user_id: String,
    /// What the sender called it; empty where the server says none.
    #[serde(default)]
    pub client_id: String,
    /// The ciphertext.
    pub content: String,
    /// The tag; empty where the server says none.
    #[serde(default)]
    pub franking: String,
}

/// A message that was read, and what it takes to report it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Opened {
    /// What was said: plain text.
    pub body: String,
    /// The key that opens the tag. Whoever has it, and the body, can prove that the sender said it.
    pub frank_key: String,
    /// The device that it was said from.
    pub device_id: String,
}

/// An encrypted backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// The body of `PUT /api/me/key-backup`: base64.
    pub data: String,
    /// How many sessions it has.
    pub sessions: usize,
    /// How many of the oldest found no room in it.
    pub left_out: usize,
}
