//! The backup that a new device reads old messages with: the sessions that this device can read, sealed under a key that
//! only the user has.

use base32ct::{Base32UpperUnpadded, Encoding};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use vodozemac::megolm::{ExportedSessionKey, InboundGroupSession, SessionConfig};
use vodozemac::{base64_decode, base64_encode};
use zeroize::Zeroizing;

use crate::device::Device;
use crate::error::{CryptoError, Result};
use crate::inbound::Inbound;
use crate::seal::{open, random, seal};
use crate::state::Record;
use crate::wire::{Backup, DeviceKeys};

const VERSION: u8 = 1;
const SALT: usize = 32;
/// 160 random bits: nothing that is guessed, so the key derivation need not be slow.
const RECOVERY: usize = 20;
/// Plain bytes that fit into 256 KiB of base64, less version, salt, nonce and tag.
const MOST_BYTES: usize = 256 * 1024 / 4 * 3 - 100;

/// Rooms and devices by their place in a list, since sessions share them.
#[derive(Default, Serialize, Deserialize)]
struct Export {
    rooms: Vec<String>,
    devices: Vec<(String, DeviceKeys)>,
    /// Room, device, key; the newest first.
    sessions: Vec<(usize, usize, Zeroizing<String>)>,
}

/// The place of a value in the list, added where it is not there; and how many bytes that took.
fn place<T: PartialEq>(list: &mut Vec<T>, value: T, bytes: usize) -> (usize, usize) {
    match list.iter().position(|known| *known == value) {
        Some(at) => (at, 0),
        None => {
            list.push(value);
            (list.len() - 1, bytes)
        }
    }
}

fn key_of(recovery_key: &str, salt: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
    let bytes = Zeroizing::new(recovery_bytes(recovery_key)?);
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), &bytes)
        .expand(b"edge-chat/v1/key-backup", key.as_mut_slice())
        .map_err(|_| CryptoError::NotARecoveryKey)?;
    Ok(key)
}

fn recovery_bytes(typed: &str) -> Result<Vec<u8>> {
    let plain = typed.chars().filter(|c| c.is_alphanumeric()).map(|c| match c.to_ascii_uppercase() {
        // Digits that the alphabet does not have, for letters that look like them.
        '0' => 'O',
        '1' => 'I',
        '8' => 'B',
        other => other,
    });
    let plain = Zeroizing::new(plain.collect::<String>());
    let bytes = Base32UpperUnpadded::decode_vec(&plain).map_err(|_| CryptoError::NotARecoveryKey)?;
    if bytes.len() == RECOVERY { Ok(bytes) } else { Err(CryptoError::NotARecoveryKey) }
}

fn shown(bytes: &[u8]) -> String {
    let text = Zeroizing::new(Base32UpperUnpadded::encode_string(bytes));
    let groups: Vec<&str> = text.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join("-")
}

fn label(user_id: &str) -> String {
    format!("edge-chat/v1/key-backup\n{user_id}")
}

impl Device {
    /// The key that opens this user's backup, for the user to write down: eight groups of four. Made when it is asked for
    /// first, and the same from then on.
    ///
    /// # Errors
    ///
    /// `NoRandomness`.
    pub fn recovery_key(&mut self) -> Result<String> {
        if self.recovery.is_none() {
            let bytes = Zeroizing::new(random::<RECOVERY>()?);
            self.recovery = Some(Zeroizing::new(shown(bytes.as_slice())));
            self.changed.insert(Record::Recovery);
        }
        Ok(self.recovery.as_ref().map(|key| key.to_string()).unwrap_or_default())
    }

    /// Whether a recovery key was made or used on this device, so that it may renew the backup.
    pub fn has_recovery_key(&self) -> bool {
        self.recovery.is_some()
    }

    /// The sessions that this device can read, sealed under the recovery key; the newest that fit.
    ///
    /// # Errors
    ///
    /// `NoRandomness`.
    pub fn backup(&mut self) -> Result<Backup> {
        let recovery_key = Zeroizing::new(self.recovery_key()?);
        let mut newest: Vec<&Inbound> = self.inbound.values().collect();
        newest.sort_by_key(|inbound| std::cmp::Reverse(inbound.no));
        let mut export = Export::default();
        let mut bytes = 100;
        for inbound in &newest {
            let key = Zeroizing::new(inbound.session.export_at_first_known_index().to_base64());
            let whose = (inbound.user_id.clone(), inbound.device.clone());
            let whose_bytes = 300 + inbound.user_id.len() * 2;
            let most = key.len() + 20 + inbound.room_id.len() + 4 + whose_bytes;
            if bytes + most > MOST_BYTES {
                break;
            }
            let (room, of_room) = place(&mut export.rooms, inbound.room_id.clone(), inbound.room_id.len() + 4);
            let (device, of_device) = place(&mut export.devices, whose, whose_bytes);
            bytes += key.len() + 20 + of_room + of_device;
            export.sessions.push((room, device, key));
        }
        let (sessions, left_out) = (export.sessions.len(), newest.len() - export.sessions.len());
        let plain = Zeroizing::new(serde_json::to_vec(&export).map_err(|_| CryptoError::BackupUnreadable)?);
        let salt: [u8; SALT] = random()?;
        let sealed = seal(&*key_of(&recovery_key, &salt)?, &label(&self.user_id), &plain)?;
        let data = base64_encode([&[VERSION], salt.as_slice(), &sealed].concat());
        Ok(Backup { data, sessions, left_out })
    }

    /// Takes the sessions of a backup, and the recovery key for the next one; gives how many of them were new.
    ///
    /// # Errors
    ///
    /// `NotARecoveryKey`, `WrongRecoveryKey` and `BackupUnreadable` as they say; then nothing was taken.
    pub fn restore_backup(&mut self, recovery_key: &str, data: &str) -> Result<usize> {
        let recovery = Zeroizing::new(recovery_bytes(recovery_key)?);
        let bytes = base64_decode(data).map_err(|_| CryptoError::BackupUnreadable)?;
        let (version, rest) = bytes.split_first().ok_or(CryptoError::BackupUnreadable)?;
        let (salt, sealed) = rest.split_at_checked(SALT).ok_or(CryptoError::BackupUnreadable)?;
        if *version != VERSION {
            return Err(CryptoError::BackupUnreadable);
        }
        let plain =
            open(&*key_of(recovery_key, salt)?, &label(&self.user_id), sealed).ok_or(CryptoError::WrongRecoveryKey)?;
        let export: Export = serde_json::from_slice(&plain).map_err(|_| CryptoError::BackupUnreadable)?;
        let sessions = export.sessions.iter().rev().map(|(room, device, key)| {
            let (user_id, device) = export.devices.get(*device)?;
            let key = ExportedSessionKey::from_base64(key).ok()?;
            let session = InboundGroupSession::import(&key, SessionConfig::default());
            Some(Inbound::new(0, export.rooms.get(*room)?, user_id, device.clone(), session))
        });
        let sessions: Vec<Inbound> = sessions.collect::<Option<_>>().ok_or(CryptoError::BackupUnreadable)?;
        let mut new = 0;
        for mut inbound in sessions {
            match self.inbound.get(&inbound.key()) {
                Some(here) if here.session.first_known_index() <= inbound.session.first_known_index() => continue,
                Some(here) => (inbound.no, inbound.seen) = (here.no, here.seen.clone()),
                None => inbound.no = self.next_no(),
            }
            new += 1;
            self.keep_inbound(inbound);
        }
        self.recovery = Some(Zeroizing::new(shown(&recovery)));
        self.changed.insert(Record::Recovery);
        Ok(new)
    }
}
