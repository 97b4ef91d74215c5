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

impl Inbound {
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
        let content: Content = serde_json::from_str(&message.content).map_err(|_| CryptoError::Malformed("content"))?;
        if content.v != 1 || content.alg != "megolm" {
            return Err(CryptoError::Malformed("version"));
        }
        if !self.inbound.contains_key(&content.session_id) {
            self.take_key(message, &content)?;
        }
        let inbound = self.inbound.get_mut(&content.session_id).ok_or(CryptoError::NoKey)?;
        let whose = (&inbound.room_id, &inbound.user_id, &inbound.device.device_id);
        if whose != (&message.room_id, &message.user_id, &content.device_id) {
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
        if inbound.seen.get(&content.index).is_some_and(|first| *first != message.message_id) {
            // A copy, or the other device was set back in time and says something else where it said this.
            let curve25519 = inbound.device.curve25519.clone();
            if !self.is_self(&message.user_id, &content.device_id) {
                self.doubt(&curve25519, &content.session_id, Doubt::SaidTwice);
            }
            return Err(CryptoError::Replayed);
        }
        let plaintext: Plaintext =
            serde_json::from_slice(&opened.plaintext).map_err(|_| CryptoError::Malformed("plaintext"))?;
        if plaintext.v != 1 {
            return Err(CryptoError::Malformed("version"));
        }
        frank::check(&plaintext, message)?;
        if inbound.seen.insert(content.index, message.message_id.clone()).is_none() {
            self.changed.insert(Record::Inbound(content.session_id.clone()));
        }
        self.notice_own_future(message, &content);
        let Plaintext { body, frank_key, .. } = plaintext;
        Ok(Opened { body, frank_key, device_id: content.device_id })
    }

    /// The session that a message of this content is said in, where its key is not here: whoever can looks for the message
    /// that brought it.
    pub fn wants_key(&self, content: &str) -> Option<String> {
        let content: Content = serde_json::from_str(content).ok()?;
        (!self.inbound.contains_key(&content.session_id)).then_some(content.session_id)
    }

    fn take_key(&mut self, message: &MessageIn, content: &Content) -> Result<()> {
        let Some(sealed) = content.keys.get(&name(&self.user_id, &self.device_id)) else {
            return Err(CryptoError::NoKey);
        };
        let from = self.known(&message.user_id, &content.device_id).cloned().ok_or(CryptoError::UnknownDevice)?;
        let plain = self.unwrap(&from, sealed).map(Zeroizing::new);
        if plain.is_err() {
            self.doubt(&from.curve25519, &content.session_id, Doubt::Unopened);
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
            self.doubted_by(&from.curve25519, doubt);
        }
        let inbound = Inbound::new(self.next_no(), &message.room_id, &message.user_id, from, session);
        self.inbound.insert(content.session_id.clone(), inbound);
        self.changed.insert(Record::Inbound(content.session_id.clone()));
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

    pub(crate) fn next_no(&self) -> u64 {
        self.inbound.values().map(|inbound| inbound.no + 1).max().unwrap_or(0)
    }
}
