//! A user's devices and their public keys: published by each, listed, claimed once each.

use super::Step;
use crate::auth::is_signed;
use crate::content::{self, is_device_id, unpadded};
use crate::protocol::device::{
    ClaimedDevice, ClaimedKey, ClaimedKeys, DeviceData, DeviceList, PublishKeys, PublishedKeys, SignedKey,
};
use crate::protocol::wire::json;
use crate::protocol::{ChatError, ErrorCode, UserId, rfc3339};
use base64ct::{Base64Unpadded, Encoding};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Devices of a user, and one-time keys of a device that wait and that come in one call.
const MOST: usize = 10;
const MOST_KEYS: usize = 100;
/// Keys of a device that were handed out, of which it is remembered that they were: in pieces of so many, so many pieces.
const PIECE: usize = 500;
const PIECES: u64 = 21;
/// Devices that were removed, of which the ids are remembered: a key of theirs may have been handed out.
const MOST_REMOVED: usize = 1_000;
const KEY_VERSION: &str = "devices";
const KEY_REMOVED: &str = "devices-removed";
const KEY_DEVICE: &str = "device:";
const KEY_KEYS: &str = "device-keys:";
const KEY_SPENT: &str = "device-spent:";

/// What of a device changes rarely.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    curve25519: String,
    ed25519: String,
    created_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fallback: Option<SignedKey>,
}

/// Which keys were handed out: a key that is published again after that is not taken.
#[derive(Debug, Default)]
struct Spent {
    hashes: BTreeSet<u64>,
    /// Their pieces, by number; the last one grows.
    pieces: BTreeMap<u64, Vec<u64>>,
}

#[derive(Debug)]
struct Device {
    known: Known,
    /// What may be claimed, oldest first.
    keys: Vec<SignedKey>,
    spent: Spent,
}

/// All of them by id.
#[derive(Debug, Default)]
pub(super) struct Devices {
    version: u64,
    devices: BTreeMap<String, Device>,
    /// Hashes of the ids of those that are no more, oldest first.
    removed: Vec<u64>,
    /// Pieces of devices that were not loaded yet.
    loose: Vec<(String, String)>,
}

fn hash(key: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(key).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

impl Spent {
    fn load(&mut self, piece: u64, text: &str) -> Result<(), ()> {
        let bytes = Base64Unpadded::decode_vec(text).map_err(|_| ())?;
        let hashes = bytes.chunks(8).map(|chunk| chunk.try_into().map(u64::from_be_bytes).map_err(|_| ()));
        let hashes: Vec<u64> = hashes.collect::<Result<_, _>>()?;
        self.hashes.extend(&hashes);
        self.pieces.insert(piece, hashes);
        Ok(())
    }

    fn add(&mut self, device_id: &str, key: &str, step: &mut Step) {
        let name = |piece: u64| format!("{KEY_SPENT}{device_id}:{piece}");
        let last = self.pieces.last_key_value().map_or((0, 0), |(n, piece)| (*n, piece.len()));
        let piece = if last.1 < PIECE { last.0 } else { last.0 + 1 };
        let hashes = self.pieces.entry(piece).or_default();
        hashes.push(hash(key));
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_be_bytes()).collect();
        step.write.push((name(piece), Some(Base64Unpadded::encode_string(&bytes))));
        self.hashes.insert(hash(key));
        if let Some(oldest) = piece.checked_sub(PIECES)
            && let Some(gone) = self.pieces.remove(&oldest)
        {
            self.hashes.retain(|hash| !gone.contains(hash));
            step.write.push((name(oldest), None));
        }
    }
}

/// The longest backup, in characters of base64.
const MOST_BACKUP: usize = 256 * 1024;

/// Whether this may be kept as a backup.
///
/// # Errors
/// `frame_too_large`, `bad_request`.
pub fn check_backup(data: &str) -> Result<(), ChatError> {
    if data.len() > MOST_BACKUP {
        let message = "A backup is at most 262,144 characters of base64.";
        return Err(ChatError::new(ErrorCode::FrameTooLarge, message).field("data"));
    }
    if data.is_empty() || unpadded(data).is_none() {
        return Err(bad("data", "A backup is unpadded base64."));
    }
    Ok(())
}

fn bad(field: impl Into<String>, message: &str) -> ChatError {
    ChatError::new(ErrorCode::BadRequest, message).field(field)
}

fn no_device() -> ChatError {
    ChatError::new(ErrorCode::DeviceNotFound, "You have no such device.").field("device_id")
}

fn is_key(text: &str) -> bool {
    text.len() == 43 && unpadded(text).is_some_and(|bytes| bytes.len() == 32)
}

fn named(name: &str) -> Result<String, ChatError> {
    content::username(name).ok_or_else(|| bad("name", "A device's name is 1 to 64 characters."))
}

/// Whether a key has the form of one, and its device's signature.
fn check_key(kind: &str, field: &str, key: &SignedKey, about: (&str, &str, &str)) -> Result<(), ChatError> {
    let (user_id, device_id, ed25519) = about;
    let SignedKey { key_id, key, signature } = key;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'_' | b'-');
    if !(1..=64).contains(&key_id.len()) || !key_id.bytes().all(allowed) || !is_key(key) {
        let message = "A key has a `key_id` of 1 to 64 characters and a `key` of 32 bytes in unpadded base64.";
        return Err(bad(field, message));
    }
    let text = format!("edge-chat/v1/{kind}\n{user_id}\n{device_id}\n{key_id}\n{key}");
    let bytes = |text: &str| unpadded(text).unwrap_or_default();
    if !is_signed(&bytes(ed25519), text.as_bytes(), &bytes(signature)) {
        return Err(bad(field, "The signature is not the device's own of this key."));
    }
    Ok(())
}

impl Devices {
    /// Takes over a piece of state; false where the key is not one of these. Then [`Devices::loaded`].
    pub(super) fn load(&mut self, key: &str, value: &str) -> Result<bool, ()> {
        if key == KEY_VERSION {
            self.version = value.parse().map_err(|_| ())?;
        } else if key == KEY_REMOVED {
            self.removed = serde_json::from_str(value).map_err(|_| ())?;
        } else if let Some(id) = key.strip_prefix(KEY_DEVICE) {
            let known = serde_json::from_str(value).map_err(|_| ())?;
            let device = Device { known, keys: Vec::new(), spent: Spent::default() };
            self.devices.insert(id.to_owned(), device);
        } else if key.starts_with(KEY_KEYS) || key.starts_with(KEY_SPENT) {
            self.loose.push((key.to_owned(), value.to_owned()));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Puts together what was loaded.
    pub(super) fn loaded(&mut self) -> Result<(), ()> {
        for (key, value) in std::mem::take(&mut self.loose) {
            if let Some(id) = key.strip_prefix(KEY_KEYS) {
                let Some(device) = self.devices.get_mut(id) else { continue };
                device.keys = serde_json::from_str(&value).map_err(|_| ())?;
            } else if let Some((id, piece)) = key.strip_prefix(KEY_SPENT).and_then(|key| key.split_once(':')) {
                let Some(device) = self.devices.get_mut(id) else { continue };
                device.spent.load(piece.parse().map_err(|_| ())?, &value)?;
            }
        }
        Ok(())
    }

    /// Counts devices that came or went.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    fn count(&mut self, step: &mut Step) {
        self.version += 1;
        step.write.push((KEY_VERSION.into(), Some(self.version.to_string())));
    }

    /// Takes the keys of a device, which is a new one where it is not known; and whether it is.
    pub(super) fn publish(
        &mut self,
        user_id: &str,
        device_id: &str,
        body: PublishKeys,
        now: u64,
        step: &mut Step,
    ) -> Result<(PublishedKeys, bool), ChatError> {
        let PublishKeys { name, curve25519, ed25519, fallback_key, one_time_keys } = body;
        if !is_device_id(device_id) {
            return Err(bad("device_id", "A device's id is 1 to 64 characters of A-Z a-z 0-9 _ -."));
        }
        for (field, key) in [("curve25519", &curve25519), ("ed25519", &ed25519)] {
            if !is_key(key) {
                return Err(bad(field, "An identity key is 32 bytes in unpadded base64."));
            }
        }
        if one_time_keys.len() > MOST_KEYS {
            return Err(bad("one_time_keys", "At most 100 one-time keys at once."));
        }
        let name = name.as_deref().map(named).transpose()?;
        let about = (user_id, device_id, ed25519.as_str());
        if self.removed.contains(&hash(device_id)) {
            let message = "This device was removed, and what it handed out is forgotten: take another `device_id`.";
            return Err(ChatError::new(ErrorCode::DeviceRemoved, message).field("device_id"));
        }
        let (device, fresh) = match self.devices.get(device_id) {
            Some(device) if device.known.curve25519 != curve25519 || device.known.ed25519 != ed25519 => {
                let message = "This device has other identity keys, and they never change: take another `device_id`.";
                return Err(ChatError::new(ErrorCode::DeviceKeysDiffer, message).field("device_id"));
            }
            Some(device) => (Some(device), false),
            None if self.devices.len() >= MOST => {
                let message = "You have 10 devices already; remove one first.";
                return Err(ChatError::new(ErrorCode::TooManyDevices, message));
            }
            None => (None, true),
        };
        if let Some(key) = &fallback_key {
            check_key("fallback-key", "fallback_key", key, about)?;
        }
        let is_known = |key: &SignedKey| {
            device.is_some_and(|device| {
                device.spent.hashes.contains(&hash(&key.key)) || device.keys.iter().any(|had| had.key == key.key)
            })
        };
        let mut new: Vec<SignedKey> = Vec::new();
        for (n, key) in one_time_keys.into_iter().enumerate() {
            // A repeat after a lost answer is no fault; what it repeats may have been handed out.
            if is_known(&key) || new.iter().any(|had| had.key == key.key) {
                continue;
            }
            check_key("one-time-key", &format!("one_time_keys.{n}"), &key, about)?;
            new.push(key);
        }
        let known = || Known { name: None, curve25519, ed25519, created_at: now, fallback: None };
        let device = self.devices.entry(device_id.to_owned()).or_insert_with(|| Device {
            known: known(),
            keys: Vec::new(),
            spent: Spent::default(),
        });
        if fresh || name.is_some() || fallback_key.is_some() {
            device.known.name = name.or(device.known.name.take());
            device.known.fallback = fallback_key.or(device.known.fallback.take());
            step.write.push((format!("{KEY_DEVICE}{device_id}"), Some(json(&device.known))));
        }
        if !new.is_empty() {
            // What does not fit is not kept: the answer says how many there are.
            device.keys.extend(new.into_iter().take(MOST_KEYS.saturating_sub(device.keys.len())));
            step.write.push((format!("{KEY_KEYS}{device_id}"), Some(json(&device.keys))));
        }
        let published = PublishedKeys { device_id: device_id.to_owned(), one_time_keys: device.keys.len() };
        if fresh {
            self.count(step);
        }
        Ok((published, fresh))
    }

    /// All devices; names and counts are for `own` eyes.
    pub(super) fn list<'a>(&'a self, user_id: &'a UserId, own: bool) -> DeviceList<'a> {
        let devices = self.devices.iter().map(|(device_id, device)| DeviceData {
            device_id,
            name: device.known.name.as_deref().filter(|_| own),
            curve25519: &device.known.curve25519,
            ed25519: &device.known.ed25519,
            created_at: rfc3339(device.known.created_at),
            one_time_keys: own.then_some(device.keys.len()),
        });
        DeviceList { user_id, version: self.version, devices: devices.collect() }
    }

    /// Calls a device something else.
    pub(super) fn name(&mut self, device_id: &str, name: &str, step: &mut Step) -> Result<(), ChatError> {
        let device = self.devices.get_mut(device_id).ok_or_else(no_device)?;
        device.known.name = Some(named(name)?);
        step.write.push((format!("{KEY_DEVICE}{device_id}"), Some(json(&device.known))));
        Ok(())
    }

    /// Forgets a device with its keys; its id is not taken again.
    pub(super) fn remove(&mut self, device_id: &str, step: &mut Step) -> Result<(), ChatError> {
        let device = self.devices.remove(device_id).ok_or_else(no_device)?;
        let pieces = device.spent.pieces.keys().map(|piece| format!("{KEY_SPENT}{device_id}:{piece}"));
        let keys = [format!("{KEY_DEVICE}{device_id}"), format!("{KEY_KEYS}{device_id}")].into_iter().chain(pieces);
        step.write.extend(keys.map(|key| (key, None)));
        if self.removed.len() >= MOST_REMOVED {
            self.removed.remove(0);
        }
        self.removed.push(hash(device_id));
        step.write.push((KEY_REMOVED.into(), Some(json(&self.removed))));
        self.count(step);
        Ok(())
    }

    /// Hands out a key of each of these devices, or of all: a one-time key once, and where none is left the fallback key.
    pub(super) fn claim<'a>(
        &mut self,
        user_id: &'a UserId,
        device_ids: Option<&[String]>,
        step: &mut Step,
    ) -> ClaimedKeys<'a> {
        let mut devices = Vec::new();
        for (device_id, device) in &mut self.devices {
            if device_ids.is_some_and(|wanted| !wanted.contains(device_id)) {
                continue;
            }
            let key = if device.keys.is_empty() {
                device.known.fallback.clone().map(|key| ClaimedKey { key, fallback: true })
            } else {
                let key = device.keys.remove(0);
                device.spent.add(device_id, &key.key, step);
                step.write.push((format!("{KEY_KEYS}{device_id}"), Some(json(&device.keys))));
                Some(ClaimedKey { key, fallback: false })
            };
            let Known { curve25519, ed25519, .. } = &device.known;
            let (curve25519, ed25519) = (curve25519.clone(), ed25519.clone());
            devices.push(ClaimedDevice { device_id: device_id.clone(), curve25519, ed25519, key });
        }
        ClaimedKeys { user_id, version: self.version, devices }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ten_thousand_that_were_handed_out_are_remembered() {
        let (mut spent, mut state) = (Spent::default(), BTreeMap::new());
        for n in 0..10_600 {
            let mut step = Step::default();
            spent.add("d", &n.to_string(), &mut step);
            for (key, value) in step.write {
                match value {
                    Some(value) => drop(state.insert(key, value)),
                    None => drop(state.remove(&key)),
                }
            }
        }
        let mut again = Spent::default();
        for (key, value) in &state {
            again.load(key.rsplit(':').next().unwrap().parse().unwrap(), value).unwrap();
        }
        assert_eq!((again.hashes.len(), state.len()), (10_100, 21));
        assert_eq!(again.hashes, spent.hashes);
        assert!((500..10_600).all(|n| again.hashes.contains(&hash(&n.to_string()))));
        assert!(!again.hashes.contains(&hash("499")));
        assert!(again.load(0, "?").is_err() && again.load(0, "AAAA").is_err());
    }
}
