//! One device of one user: its identity, the keys that it publishes, and the devices of others that it has seen.

use std::collections::{BTreeMap, BTreeSet};

use vodozemac::olm::Account;
use vodozemac::{Curve25519PublicKey, Ed25519PublicKey};
use zeroize::Zeroizing;

use crate::error::{CryptoError, Result};
use crate::inbound::Inbound;
use crate::olm::Peer;
use crate::outbound::Outbound;
use crate::state::Record;
use crate::wire::{DeviceKeys, KeyUpload, SignedKey, UserDevices};

/// So many one-time keys are to lie at the server.
const KEPT_THERE: usize = 50;

/// A device with all that it knows. Every change has to be kept, by [`Device::take_changes`], before what it made leaves
/// this machine: a session that goes back in time would use a key twice.
pub struct Device {
    pub(crate) user_id: String,
    pub(crate) device_id: String,
    pub(crate) account: Account,
    /// The server had its keys once: a device that is not listed after that was removed.
    pub(crate) is_published: bool,
    /// By user, by device id. A device that was seen is never forgotten: what it said stays readable.
    pub(crate) known: BTreeMap<String, BTreeMap<String, DeviceKeys>>,
    /// By `user_id/device_id`: another user may publish the same `curve25519`.
    pub(crate) peers: BTreeMap<String, Peer>,
    /// By room.
    pub(crate) outbound: BTreeMap<String, Outbound>,
    /// By whose they are and session id.
    pub(crate) inbound: BTreeMap<String, Inbound>,
    pub(crate) recovery: Option<Zeroizing<String>>,
    pub(crate) storage_key: Zeroizing<[u8; 32]>,
    pub(crate) changed: BTreeSet<Record>,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("user_id", &self.user_id)
            .field("device_id", &self.device_id)
            .finish_non_exhaustive()
    }
}

/// What a device signs so that its key is known to be its own.
pub(crate) fn key_text(fallback: bool, user_id: &str, device_id: &str, key_id: &str, key: &str) -> String {
    let kind = if fallback { "fallback-key" } else { "one-time-key" };
    format!("edge-chat/v1/{kind}\n{user_id}\n{device_id}\n{key_id}\n{key}")
}

impl Device {
    /// A new device. `storage_key` seals what [`Device::take_changes`] hands out.
    pub fn new(user_id: &str, device_id: &str, storage_key: [u8; 32]) -> Self {
        let mut device = Self::bare(user_id, device_id, Account::new(), storage_key);
        device.account.generate_fallback_key();
        device.changed.insert(Record::Account);
        device
    }

    pub(crate) fn bare(user_id: &str, device_id: &str, account: Account, storage_key: [u8; 32]) -> Self {
        Self {
            user_id: user_id.to_owned(),
            device_id: device_id.to_owned(),
            account,
            is_published: false,
            known: BTreeMap::new(),
            peers: BTreeMap::new(),
            outbound: BTreeMap::new(),
            inbound: BTreeMap::new(),
            recovery: None,
            storage_key: Zeroizing::new(storage_key),
            changed: BTreeSet::new(),
        }
    }

    /// Whose device this is.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// This device's id.
    pub fn device_id(&self) -> &str {
        &self.device_id
    }

    /// This device as others see it.
    pub fn keys(&self) -> DeviceKeys {
        DeviceKeys {
            device_id: self.device_id.clone(),
            curve25519: self.account.curve25519_key().to_base64(),
            ed25519: self.account.ed25519_key().to_base64(),
        }
    }

    /// What to publish where `on_server` one-time keys lie unclaimed: enough for fifty of them, and a new fallback key
    /// where the old one may have been used. The same keys again until [`Device::published`].
    pub fn keys_to_publish(&mut self, on_server: usize) -> KeyUpload {
        let unpublished = self.account.one_time_keys().len();
        let wanted = KEPT_THERE.saturating_sub(on_server.saturating_add(unpublished));
        self.account.generate_one_time_keys(wanted);
        if on_server == 0 && self.account.fallback_key().is_empty() {
            self.account.generate_fallback_key();
        }
        self.changed.insert(Record::Account);
        let DeviceKeys { curve25519, ed25519, .. } = self.keys();
        KeyUpload {
            curve25519,
            ed25519,
            fallback_key: self.account.fallback_key().values().map(|key| self.signed(true, key)).next(),
            one_time_keys: self.account.one_time_keys().values().map(|key| self.signed(false, key)).collect(),
        }
    }

    /// The server has what [`Device::keys_to_publish`] gave.
    pub fn published(&mut self) {
        self.account.mark_keys_as_published();
        self.is_published = true;
        self.changed.insert(Record::Account);
    }

    /// Whether the server ever had this device's keys.
    pub fn is_published(&self) -> bool {
        self.is_published
    }

    fn signed(&self, fallback: bool, key: &Curve25519PublicKey) -> SignedKey {
        let key = key.to_base64();
        // Not the library's running number: a device that goes back in time would name two keys alike.
        let key_id = key.replace('+', "-").replace('/', "_");
        let text = key_text(fallback, &self.user_id, &self.device_id, &key_id, &key);
        SignedKey { key_id, key, signature: self.account.sign(text.as_bytes()).to_base64(), fallback: None }
    }

    /// Takes note of a user's devices; gives the ids of those that came since these were learnt first.
    ///
    /// # Errors
    ///
    /// `DeviceChanged` where one has other keys than before, `Malformed` where keys are none; then none was noted.
    pub fn learn(&mut self, user: &UserDevices) -> Result<Vec<String>> {
        let own = self.keys();
        let mut new: BTreeMap<String, DeviceKeys> = BTreeMap::new();
        for device in &user.devices {
            let is_own = user.user_id == self.user_id && device.device_id == self.device_id;
            let known = || self.known(&user.user_id, &device.device_id).or_else(|| new.get(&device.device_id));
            let before = if is_own { Some(&own) } else { known() };
            match before {
                Some(before) if before == device => continue,
                Some(_) => return Err(CryptoError::DeviceChanged),
                None => {}
            }
            let fits = Curve25519PublicKey::from_base64(&device.curve25519).is_ok()
                && Ed25519PublicKey::from_base64(&device.ed25519).is_ok();
            if !fits || device.device_id.is_empty() || device.device_id.contains('/') {
                return Err(CryptoError::Malformed("a device"));
            }
            new.insert(device.device_id.clone(), device.clone());
        }
        // Noted also where there is none: what comes next is new.
        let is_first = !self.known.contains_key(&user.user_id);
        let added = if is_first { Vec::new() } else { new.keys().cloned().collect() };
        if is_first || !new.is_empty() {
            self.known.entry(user.user_id.clone()).or_default().extend(new);
            self.changed.insert(Record::Known(user.user_id.clone()));
        }
        Ok(added)
    }

    pub(crate) fn known(&self, user_id: &str, device_id: &str) -> Option<&DeviceKeys> {
        self.known.get(user_id)?.get(device_id)
    }

    /// Learns both lists; refuses where this device is not in its user's.
    pub(crate) fn learn_all(&mut self, devices: &[UserDevices]) -> Result<()> {
        for user in devices {
            self.learn(user)?;
        }
        let listed = devices
            .iter()
            .filter(|user| user.user_id == self.user_id)
            .any(|user| user.devices.iter().any(|device| device.device_id == self.device_id));
        if listed { Ok(()) } else { Err(CryptoError::DeviceRemoved) }
    }
}
