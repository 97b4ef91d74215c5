//! What this device says in a room: one Megolm session for a hundred messages, its key for the devices that may read.

use std::collections::BTreeMap;

use vodozemac::megolm::{GroupSession, InboundGroupSession, SessionConfig};
use zeroize::Zeroizing;

use crate::device::Device;
use crate::error::{CryptoError, Result};
use crate::frank::frank;
use crate::inbound::Inbound;
use crate::olm::{Peer, Targets};
use crate::state::Record;
use crate::wire::{Content, DeviceKeys, Encrypted, OlmBody, SharedKey, UserDevices};

/// Messages of one session.
const ROTATE_AFTER: u32 = 100;
/// Bytes that `content` may take in its frame, as a JSON string: the frame's 32,768 less the rest of it.
const MOST_CONTENT: usize = 32_000;

/// A session of one's own in a room.
pub(crate) struct Outbound {
    pub(crate) session: GroupSession,
    /// The session's key as it was at its beginning, for as long as it is in use: a message that brought it may be deleted.
    pub(crate) key: Zeroizing<String>,
    /// For whom it is: `user_id/device_id` to `curve25519`.
    pub(crate) recipients: BTreeMap<String, String>,
    /// The server has a message that brings the key.
    pub(crate) confirmed: bool,
    /// Nothing more is to be said in it.
    pub(crate) over: bool,
}

impl Device {
    /// Encrypts a message, or the new text of one, for all of `devices` that a key was claimed of (see
    /// [`Device::claims`]). `client_id` is the one that the message is or was sent with. Until [`Device::confirmed`] each
    /// message brings the session's key.
    ///
    /// # Errors
    ///
    /// Those of [`Device::claims`]; `NoDevices` where nobody else could read it, `TooLarge` where it fits into no frame.
    pub fn encrypt(
        &mut self,
        room_id: &str,
        devices: &[UserDevices],
        client_id: &str,
        body: &str,
    ) -> Result<Encrypted> {
        self.learn_all(devices)?;
        let targets = self.targets(devices);
        let reached = |(name, (user_id, _)): (&String, &(String, DeviceKeys))| {
            *user_id != self.user_id && self.peers.get(name).is_some_and(Peer::is_reached)
        };
        if !targets.iter().any(reached) {
            return Err(CryptoError::NoDevices);
        }
        let (plaintext, franking) = frank(room_id, &self.user_id, client_id, body)?;
        let plaintext = Zeroizing::new(json(&plaintext)?);
        self.begin_where_due(room_id, &targets);
        let keys = self.shares(room_id, &targets)?;
        let device_id = self.device_id.clone();
        let outbound = self.outbound.get_mut(room_id).ok_or(CryptoError::NoKey)?;
        self.changed.insert(Record::Outbound(room_id.to_owned()));
        let session_id = outbound.session.session_id();
        let content = Content {
            v: 1,
            alg: "megolm".to_owned(),
            device_id,
            session_id: session_id.clone(),
            index: outbound.session.message_index(),
            ciphertext: outbound.session.encrypt(plaintext.as_bytes()).to_base64(),
            keys,
        };
        let content = json(&content)?;
        if json(&content)?.len() > MOST_CONTENT {
            return Err(CryptoError::TooLarge);
        }
        Ok(Encrypted { content, franking, session_id })
    }

    /// The server has stored a message of this session that brought its key: the next ones go without it.
    pub fn confirmed(&mut self, room_id: &str, session_id: &str) {
        if let Some(outbound) = self.outbound.get_mut(room_id).filter(|one| one.session.session_id() == session_id) {
            outbound.confirmed = true;
            for name in outbound.recipients.keys() {
                if let Some(peer) = self.peers.get_mut(name).filter(|peer| peer.doubt.is_some()) {
                    peer.doubt = None;
                    self.changed.insert(Record::Peer(name.clone()));
                }
            }
            self.changed.insert(Record::Outbound(room_id.to_owned()));
        }
    }

    /// A message of one's own in this room was deleted or edited, and may have been the one that brought the key: the next
    /// one brings it again.
    pub fn share_again(&mut self, room_id: &str) {
        if let Some(outbound) = self.outbound.get_mut(room_id).filter(|one| one.confirmed) {
            outbound.confirmed = false;
            self.changed.insert(Record::Outbound(room_id.to_owned()));
        }
    }

    /// The sessions that this device was given end: it may have lost them.
    pub(crate) fn renew_for(&mut self, name: &str) {
        for (room_id, outbound) in &mut self.outbound {
            if !outbound.over && outbound.recipients.contains_key(name) {
                outbound.over = true;
                self.changed.insert(Record::Outbound(room_id.clone()));
            }
        }
    }

    /// Whether the next message in this room begins a session.
    pub(crate) fn is_due(&self, room_id: &str, targets: &Targets) -> bool {
        !self.outbound.get(room_id).is_some_and(|own| {
            !own.over && own.recipients == names(targets) && own.session.message_index() < ROTATE_AFTER
        })
    }

    fn begin_where_due(&mut self, room_id: &str, targets: &Targets) {
        if !self.is_due(room_id, targets) {
            return;
        }
        let session = GroupSession::new(SessionConfig::default());
        let key = session.session_key();
        let own = InboundGroupSession::new(&key, SessionConfig::default());
        let inbound = Inbound::new(self.next_no(), room_id, &self.user_id, self.keys(), own);
        self.keep_inbound(inbound);
        let key = Zeroizing::new(key.to_base64());
        let recipients = names(targets);
        let outbound = Outbound { session, key, recipients, confirmed: false, over: false };
        self.outbound.insert(room_id.to_owned(), outbound);
    }

    fn shares(&mut self, room_id: &str, targets: &Targets) -> Result<BTreeMap<String, OlmBody>> {
        let Some(outbound) = self.outbound.get(room_id).filter(|outbound| !outbound.confirmed) else {
            return Ok(BTreeMap::new());
        };
        let mut shared = SharedKey {
            v: 1,
            room_id: room_id.to_owned(),
            from: (self.user_id.clone(), self.device_id.clone(), self.account.ed25519_key().to_base64()),
            to: (String::new(), String::new()),
            session_key: outbound.key.to_string(),
            doubt: None,
        };
        let mut keys = BTreeMap::new();
        for (name, (user_id, device)) in targets {
            shared.to = (user_id.clone(), device.ed25519.clone());
            shared.doubt = self.peers.get(name).and_then(|peer| peer.doubt);
            let plain = Zeroizing::new(json(&shared)?);
            if let Some(body) = self.wrap(name, plain.as_bytes()) {
                keys.insert(name.clone(), body);
            }
        }
        Ok(keys)
    }
}

fn names(targets: &Targets) -> BTreeMap<String, String> {
    targets.iter().map(|(name, (_, device))| (name.clone(), device.curve25519.clone())).collect()
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|_| CryptoError::Malformed("JSON"))
}
