//! Olm between two devices: sessions from claimed keys, and the messages that carry a Megolm session's key.

use std::collections::BTreeMap;

use vodozemac::olm::{OlmMessage, Session, SessionConfig};
use vodozemac::{Curve25519PublicKey, Ed25519PublicKey, Ed25519Signature, base64_decode, base64_encode};

use crate::device::{Device, key_text};
use crate::error::{CryptoError, Result};
use crate::state::Record;
use crate::wire::{Claim, Claimed, DeviceKeys, Doubt, OlmBody, SignedKey, UserDevices};

/// Of each side: an answer may come to one that is not the newest any more.
const MOST_SESSIONS: usize = 5;
/// So many Megolm sessions that were doubted are remembered of a device.
const MOST_DOUBTED: usize = 20;

/// What stands between this device and another.
///
/// Each Megolm session's key goes by an Olm session that was begun for it, out of a claimed key: such a key is opened in any
/// order, years later, and by a device that lost what came before. Only where the other device says that it could not open
/// one (it was set back in time, and the server hands out keys that it does not have any more) the session that it began
/// itself is taken; and where it cannot open that either, keys are claimed again.
#[derive(Default)]
pub(crate) struct Peer {
    /// Begun here, the newest first.
    pub(crate) own: Vec<Session>,
    /// Begun there, the one that was heard of last first.
    pub(crate) theirs: Vec<Session>,
    /// Nothing is claimed: what it began itself is answered.
    pub(crate) answers: bool,
    /// Megolm sessions of it that could not be opened or believed, so that each is told it once.
    pub(crate) doubted: Vec<String>,
    /// What it is to be told of that.
    pub(crate) doubt: Option<Doubt>,
}

impl Peer {
    /// The session that the next key goes by.
    fn writes(&mut self) -> Option<&mut Session> {
        if self.answers && !self.theirs.is_empty() { self.theirs.first_mut() } else { self.own.first_mut() }
    }

    /// Whether a key can go to it.
    pub(crate) fn is_reached(&self) -> bool {
        !self.own.is_empty() || (self.answers && !self.theirs.is_empty())
    }

    /// Decrypts with whichever session fits.
    fn decrypt(&mut self, message: &OlmMessage) -> Option<Vec<u8>> {
        decrypt(&mut self.theirs, message).or_else(|| decrypt(&mut self.own, message))
    }
}

fn begin(sessions: &mut Vec<Session>, session: Session) {
    sessions.insert(0, session);
    sessions.truncate(MOST_SESSIONS);
}

fn decrypt(sessions: &mut Vec<Session>, message: &OlmMessage) -> Option<Vec<u8>> {
    let fits = |session: &Session| match message {
        OlmMessage::PreKey(first) => session.session_id() == first.session_id(),
        OlmMessage::Normal(_) => true,
    };
    let (at, plain) = sessions
        .iter_mut()
        .enumerate()
        .find_map(|(at, session)| if fits(session) { Some((at, session.decrypt(message).ok()?)) } else { None })?;
    let session = sessions.remove(at);
    sessions.insert(0, session);
    Some(plain)
}

/// Of each device that a message can be encrypted for, by `user_id/device_id`: its user and keys.
pub(crate) type Targets = BTreeMap<String, (String, DeviceKeys)>;

pub(crate) fn name(user_id: &str, device_id: &str) -> String {
    format!("{user_id}/{device_id}")
}

impl Device {
    /// Of which devices a key has to be claimed before the next message in this room can be encrypted for all of `devices`,
    /// the lists of both users: of all others where a new session is due, else of none.
    ///
    /// # Errors
    ///
    /// Those of [`Device::learn`]; `DeviceRemoved` where this device is not listed.
    pub fn claims(&mut self, room_id: &str, devices: &[UserDevices]) -> Result<Vec<Claim>> {
        self.learn_all(devices)?;
        if !self.is_due(room_id, &self.targets(devices)) {
            return Ok(Vec::new());
        }
        let wanted = devices.iter().map(|user| Claim {
            user_id: user.user_id.clone(),
            device_ids: user
                .devices
                .iter()
                .filter(|device| !self.is_self(&user.user_id, &device.device_id))
                .filter(|device| {
                    !self.peers.get(&name(&user.user_id, &device.device_id)).is_some_and(|peer| peer.answers)
                })
                .map(|device| device.device_id.clone())
                .collect(),
        });
        Ok(wanted.filter(|claim| !claim.device_ids.is_empty()).collect())
    }

    /// Begins sessions with the claimed keys. Devices that were not asked for, or have no key, are passed over.
    ///
    /// # Errors
    ///
    /// `BadSignature` where a key is not signed by its device, `DeviceChanged` where that is another one; then no session
    /// of this answer was begun.
    pub fn claimed(&mut self, claimed: &Claimed) -> Result<()> {
        let mut begun = Vec::new();
        for answer in &claimed.devices {
            let Some(known) = self.known(&claimed.user_id, &answer.device_id) else { continue };
            if known.curve25519 != answer.curve25519 || known.ed25519 != answer.ed25519 {
                return Err(CryptoError::DeviceChanged);
            }
            let Some(key) = &answer.key else { continue };
            verify(&claimed.user_id, known, key)?;
            let identity = public(&known.curve25519)?;
            let session = self
                .account
                .create_outbound_session(SessionConfig::default(), identity, public(&key.key)?)
                .map_err(|_| CryptoError::Malformed("a key"))?;
            begun.push((name(&claimed.user_id, &known.device_id), session));
        }
        for (name, session) in begun {
            begin(&mut self.peers.entry(name.clone()).or_default().own, session);
            self.changed.insert(Record::Peer(name));
        }
        Ok(())
    }

    /// All of `devices` but this one.
    pub(crate) fn targets(&self, devices: &[UserDevices]) -> Targets {
        let all = devices.iter().flat_map(|user| user.devices.iter().map(|device| (&user.user_id, device)));
        all.filter(|(user_id, device)| !self.is_self(user_id, &device.device_id))
            .map(|(user_id, device)| (name(user_id, &device.device_id), (user_id.clone(), device.clone())))
            .collect()
    }

    pub(crate) fn is_self(&self, user_id: &str, device_id: &str) -> bool {
        user_id == self.user_id && device_id == self.device_id
    }

    /// Encrypts for one device that a session stands with.
    pub(crate) fn wrap(&mut self, name: &str, plain: &[u8]) -> Option<OlmBody> {
        let peer = self.peers.get_mut(name)?;
        let (kind, bytes) = peer.writes()?.encrypt(plain).ok()?.to_parts();
        self.changed.insert(Record::Peer(name.to_owned()));
        Some(OlmBody { kind, body: base64_encode(bytes) })
    }

    /// What this device said in that session cannot be opened, or not be believed: it is told so by the next message, which
    /// begins a new session; once for each of its sessions.
    pub(crate) fn doubt(&mut self, name: &str, session_id: &str, doubt: Doubt) {
        let peer = self.peers.entry(name.to_owned()).or_default();
        if peer.doubted.iter().any(|known| known == session_id) {
            return;
        }
        peer.doubted.insert(0, session_id.to_owned());
        peer.doubted.truncate(MOST_DOUBTED);
        peer.doubt = peer.doubt.max(Some(doubt));
        self.changed.insert(Record::Peer(name.to_owned()));
        self.renew_for(name);
    }

    /// The other device doubts what this one said last. What it could not open is tried the other way.
    pub(crate) fn doubted_by(&mut self, name: &str, doubt: Doubt) {
        let peer = self.peers.entry(name.to_owned()).or_default();
        peer.answers ^= doubt == Doubt::Unopened;
        self.changed.insert(Record::Peer(name.to_owned()));
        self.renew_for(name);
    }

    /// Opens what `from` wrote for this device.
    pub(crate) fn unwrap(&mut self, name: &str, from: &DeviceKeys, sealed: &OlmBody) -> Result<Vec<u8>> {
        let bytes = base64_decode(&sealed.body).map_err(|_| CryptoError::KeyUnreadable)?;
        let message = OlmMessage::from_parts(sealed.kind, &bytes).map_err(|_| CryptoError::KeyUnreadable)?;
        let peer = self.peers.entry(name.to_owned()).or_default();
        if let Some(plain) = peer.decrypt(&message) {
            self.changed.insert(Record::Peer(name.to_owned()));
            return Ok(plain);
        }
        let OlmMessage::PreKey(first) = message else { return Err(CryptoError::KeyUnreadable) };
        let made = self
            .account
            .create_inbound_session(SessionConfig::default(), public(&from.curve25519)?, &first)
            .map_err(|_| CryptoError::KeyUnreadable)?;
        begin(&mut peer.theirs, made.session);
        self.changed.insert(Record::Account);
        self.changed.insert(Record::Peer(name.to_owned()));
        Ok(made.plaintext)
    }
}

fn public(key: &str) -> Result<Curve25519PublicKey> {
    Curve25519PublicKey::from_base64(key).map_err(|_| CryptoError::Malformed("a key"))
}

fn verify(user_id: &str, device: &DeviceKeys, key: &SignedKey) -> Result<()> {
    let text = key_text(key.fallback.unwrap_or(false), user_id, &device.device_id, &key.key_id, &key.key);
    let signer = Ed25519PublicKey::from_base64(&device.ed25519).map_err(|_| CryptoError::BadSignature)?;
    let signature = Ed25519Signature::from_base64(&key.signature).map_err(|_| CryptoError::BadSignature)?;
    signer.verify(text.as_bytes(), &signature).map_err(|_| CryptoError::BadSignature)
}
