//! What this device reads: sessions that were shared with it, and each message once, as it was said, by whom it says.

use std::collections::BTreeMap;

use vodozemac::megolm::{DecryptionError, InboundGroupSession, MegolmMessage, SessionConfig, SessionKey};
use zeroize::Zeroizing;

use crate::device::Device;
use crate::error::{CryptoError, Result};
use crate::frank;
use crate::olm::name;
use crate::state::Record;
use crate::wire::{Content, DeviceKeys, Doubt, MessageIn, Opened, Plaintext, SharedKey};

/// A session of somebody's device in a room.
pub(crate) struct Inbound {
    /// They are numbered as they came: a backup that is full leaves out the oldest.
    pub(crate) no: u64,
    pub(crate) room_id: String,
    pub(crate) user_id: String,
    pub(crate) device: DeviceKeys,
    pub(crate) session: InboundGroupSession,
    /// Which message stood at each index.
    pub(crate) seen: BTreeMap<u32, String>,
}

/// Of whom a session is. Whoever was given its key can pass it on as their own, and it is another one then.
pub(crate) fn key_of(user_id: &str, device_id: &str, session_id: &str) -> String {
    // The id of a session has one length, and that of a device no `/`: no two share a name.
    format!("{session_id}/{device_id}/{user_id}")
}

impl Inbound {
    pub(crate) fn key(&self) -> String {
        key_of(&self.user_id, &self.device.device_id, &self.session.session_id())
    }

    pub(crate) fn new(no: u64, room_id: &str, user_id: &str, device: DeviceKeys, session: InboundGroupSession) -> Self {
        Self { no, room_id: room_id.to_owned(), user_id: user_id.to_owned(), device, session, seen: BTreeMap::new() }
    }
}

impl Device {
    /// Reads a message of type `encrypted`, or the new content of an edited one. It takes the key that the message brings;
    /// reading it again is the same. An error means that nothing of it may be shown but the error's sentence.
    ///
    /// # Errors
    ///
    /// `UnknownDevice` where the sender's devices have to be learnt first, `NoKey` where an older message or a backup may
    /// have the key, `Replayed`, `Franking`, `Undecryptable`, `KeyUnreadable` and `Malformed` as they say.
    pub fn decrypt(&mut self, message: &MessageIn) -> Result<Opened> {
        let content = content_of(&message.content)?;
        let key = key_of(&message.user_id, &content.device_id, &content.session_id);
        if !self.inbound.contains_key(&key) {
            self.take_key(message, &content)?;
        }
        let plaintext = self.open(message, &content)?;
        let inbound = self.inbound.get_mut(&key).ok_or(CryptoError::NoKey)?;
        if inbound.seen.get(&content.index).is_some_and(|first| *first != message.message_id) {
            // A copy, or the other device was set back in time and says something else where it said this.
            if !self.is_self(&message.user_id, &content.device_id) {
                self.doubt(&name(&message.user_id, &content.device_id), &content.session_id, Doubt::SaidTwice);
            }
            return Err(CryptoError::Replayed);
        }
        if inbound.seen.insert(content.index, message.message_id.clone()).is_none() {
            self.changed.insert(Record::Inbound(key));
        }
        self.notice_own_future(message, &content);
        let Plaintext { body, frank_key, .. } = plaintext;
        Ok(Opened { body, frank_key, device_id: content.device_id })
    }

    /// Reads what this device itself encrypted and the server has not, as far as is known: it has no `message_id` yet, and
    /// its place is not taken.
    ///
    /// # Errors
    ///
    /// `NoKey` where another device made it; else those of [`Device::decrypt`].
    pub fn read_unsent(&mut self, message: &MessageIn) -> Result<Opened> {
        let content = content_of(&message.content)?;
        if !self.is_self(&message.user_id, &content.device_id) {
            return Err(CryptoError::NoKey);
        }
        let Plaintext { body, frank_key, .. } = self.open(message, &content)?;
        Ok(Opened { body, frank_key, device_id: content.device_id })
    }

    fn open(&mut self, message: &MessageIn, content: &Content) -> Result<Plaintext> {
        let key = key_of(&message.user_id, &content.device_id, &content.session_id);
        let inbound = self.inbound.get_mut(&key).ok_or(CryptoError::NoKey)?;
        if inbound.room_id != message.room_id {
            return Err(CryptoError::Undecryptable);
        }
        let sealed = MegolmMessage::from_base64(&content.ciphertext).map_err(|_| CryptoError::Undecryptable)?;
        if sealed.message_index() != content.index {
            return Err(CryptoError::Undecryptable);
        }
        let opened = inbound.session.decrypt(&sealed).map_err(|error| match error {
            DecryptionError::UnknownMessageIndex(..) => CryptoError::NoKey,
            _ => CryptoError::Undecryptable,
        })?;
        let plaintext: Plaintext =
            serde_json::from_slice(&opened.plaintext).map_err(|_| CryptoError::Malformed("plaintext"))?;
        if plaintext.v != 1 {
            return Err(CryptoError::Malformed("version"));
        }
        frank::check(&plaintext, message)?;
        Ok(plaintext)
    }

    /// The session that a message of this user and content is said in, where its key is not here: whoever can looks for the
    /// message that brought it.
    pub fn wants_key(&self, user_id: &str, content: &str) -> Option<String> {
        let content: Content = serde_json::from_str(content).ok()?;
        let key = key_of(user_id, &content.device_id, &content.session_id);
        (!self.inbound.contains_key(&key)).then_some(content.session_id)
    }

    fn take_key(&mut self, message: &MessageIn, content: &Content) -> Result<()> {
        let Some(sealed) = content.keys.get(&name(&self.user_id, &self.device_id)) else {
            return Err(CryptoError::NoKey);
        };
        let from = self.known(&message.user_id, &content.device_id).cloned().ok_or(CryptoError::UnknownDevice)?;
        let peer = name(&message.user_id, &content.device_id);
        let plain = self.unwrap(&peer, &from, sealed).map(Zeroizing::new);
        if plain.is_err() {
            self.doubt(&peer, &content.session_id, Doubt::Unopened);
        }
        let shared: SharedKey = serde_json::from_slice(&plain?).map_err(|_| CryptoError::Malformed("a key"))?;
        // Who was given a key must not pass it on as another's, or of another room.
        let sent = (message.user_id.clone(), content.device_id.clone(), from.ed25519.clone());
        let meant = (self.user_id.clone(), self.account.ed25519_key().to_base64());
        if shared.v != 1 || shared.from != sent || shared.to != meant || shared.room_id != message.room_id {
            return Err(CryptoError::KeyUnreadable);
        }
        let key = SessionKey::from_base64(&shared.session_key).map_err(|_| CryptoError::Malformed("a key"))?;
        let session = InboundGroupSession::new(&key, SessionConfig::default());
        if session.session_id() != content.session_id {
            return Err(CryptoError::KeyUnreadable);
        }
        if let Some(doubt) = shared.doubt {
            self.doubted_by(&peer, doubt);
        }
        let inbound = Inbound::new(self.next_no(), &message.room_id, &message.user_id, from, session);
        self.keep_inbound(inbound);
        Ok(())
    }

    /// A message of one's own that one has not said yet: this device was set back in time, and would use keys twice.
    fn notice_own_future(&mut self, message: &MessageIn, content: &Content) {
        if !self.is_self(&message.user_id, &content.device_id) {
            return;
        }
        let ahead = self.outbound.get_mut(&message.room_id).filter(|own| {
            !own.over && own.session.session_id() == content.session_id && own.session.message_index() <= content.index
        });
        if let Some(own) = ahead {
            own.over = true;
            self.changed.insert(Record::Outbound(message.room_id.clone()));
        }
    }

    pub(crate) fn keep_inbound(&mut self, inbound: Inbound) {
        let key = inbound.key();
        self.changed.insert(Record::Inbound(key.clone()));
        self.inbound.insert(key, inbound);
    }

    pub(crate) fn next_no(&self) -> u64 {
        self.inbound.values().map(|inbound| inbound.no + 1).max().unwrap_or(0)
    }
}

fn content_of(text: &str) -> Result<Content> {
    let content: Content = serde_json::from_str(text).map_err(|_| CryptoError::Malformed("content"))?;
    if content.v == 1 && content.alg == "megolm" { Ok(content) } else { Err(CryptoError::Malformed("version")) }
}

#[cfg(test)]
mod tests {
    use crate::wire::{Claimed, ClaimedDevice, Content, DeviceKeys, MessageIn, SignedKey, UserDevices};
    use crate::{Device, Encrypted};

    fn claim(by: &mut Device, of: &mut Device) {
        let key = of.keys_to_publish(0).one_time_keys.pop().map(|key| SignedKey { fallback: Some(false), ..key });
        of.published();
        let DeviceKeys { device_id, curve25519, ed25519 } = of.keys();
        let devices = vec![ClaimedDevice { device_id, curve25519, ed25519, key }];
        by.claimed(&Claimed { user_id: of.user_id.clone(), devices }).unwrap();
    }

    fn said(by: &str, id: &str, Encrypted { content, franking, .. }: Encrypted) -> MessageIn {
        let [message_id, room_id, user_id, client_id] = [id, "dm:r", by, id].map(str::to_owned);
        MessageIn { message_id, room_id, user_id, client_id, content, franking }
    }

    #[test]
    fn a_key_that_its_holder_passes_on_as_their_own_takes_no_other_ones_place() {
        let new = |user, device| Device::new(user, device, [7; 32]);
        let (mut ada, mut other, mut bob) = (new("ada", "a1"), new("ada", "a2"), new("bob", "b1"));
        let lists = [
            UserDevices { user_id: "ada".into(), devices: vec![ada.keys(), other.keys()] },
            UserDevices { user_id: "bob".into(), devices: vec![bob.keys()] },
        ];
        [&mut ada, &mut other, &mut bob].into_iter().for_each(|one| one.learn_all(&lists).unwrap());
        claim(&mut ada, &mut other);
        claim(&mut ada, &mut bob);
        claim(&mut bob, &mut ada);
        claim(&mut bob, &mut other);
        let hers = said("ada", "1", ada.encrypt("dm:r", &lists, "1", "hello").unwrap());
        bob.decrypt(&hers).unwrap();
        bob.encrypt("dm:r", &lists, "2", "begins his session").unwrap();
        bob.outbound.get_mut("dm:r").unwrap().key = ada.outbound["dm:r"].key.clone();
        let mut forged = said("bob", "3", bob.encrypt("dm:r", &lists, "3", "x").unwrap());
        let mut content: Content = serde_json::from_str(&forged.content).unwrap();
        content.session_id = ada.outbound["dm:r"].session.session_id();
        forged.content = serde_json::to_string(&content).unwrap();
        other.decrypt(&forged).unwrap_err();
        assert_eq!(other.inbound.len(), 1, "it was taken as his");
        assert_eq!(other.decrypt(&hers).unwrap().body, "hello");
    }
}
