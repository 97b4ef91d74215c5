//! What a device keeps between two runs: records, each sealed under its name, so that a message writes two of them and not
//! everything.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use vodozemac::megolm::{GroupSession, GroupSessionPickle, InboundGroupSession, InboundGroupSessionPickle};
use vodozemac::olm::{Account, AccountPickle, Session, SessionPickle};
use vodozemac::{base64_decode, base64_encode};
use zeroize::Zeroizing;

use crate::device::Device;
use crate::error::{CryptoError, Result};
use crate::inbound::Inbound;
use crate::olm::Peer;
use crate::outbound::Outbound;
use crate::seal::{open, seal};
use crate::wire::{DeviceKeys, Doubt};

/// Names a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Record {
    Account,
    Known(String),
    Peer(String),
    Outbound(String),
    Inbound(String),
    Recovery,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account => f.write_str("account"),
            Self::Known(user_id) => write!(f, "known/{user_id}"),
            Self::Peer(name) => write!(f, "peer/{name}"),
            Self::Outbound(room_id) => write!(f, "out/{room_id}"),
            Self::Inbound(key) => write!(f, "in/{key}"),
            Self::Recovery => f.write_str("recovery"),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct AccountRecord {
    v: u8,
    user_id: String,
    device_id: String,
    account: AccountPickle,
    published: bool,
}

#[derive(Serialize, Deserialize)]
struct PeerRecord {
    own: Vec<SessionPickle>,
    theirs: Vec<SessionPickle>,
    answers: bool,
    doubted: Vec<String>,
    doubt: Option<Doubt>,
}

#[derive(Serialize, Deserialize)]
struct OutboundRecord {
    session: GroupSessionPickle,
    key: String,
    recipients: BTreeMap<String, String>,
    confirmed: bool,
    over: bool,
}

#[derive(Serialize, Deserialize)]
struct InboundRecord {
    no: u64,
    room_id: String,
    user_id: String,
    device: DeviceKeys,
    session: InboundGroupSessionPickle,
    seen: BTreeMap<u32, String>,
}

fn label(name: &str) -> String {
    format!("edge-chat/v1/state\n{name}")
}

fn json(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>> {
    serde_json::to_vec(value).map(Zeroizing::new).map_err(|_| CryptoError::StateUnreadable)
}

fn read<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|_| CryptoError::StateUnreadable)
}

impl Device {
    /// What changed since this was asked last: records by name, sealed, as base64. Keep all of them at once, over those of
    /// the same name, before anything that was made since leaves this machine.
    ///
    /// # Errors
    ///
    /// `NoRandomness`; then nothing is forgotten.
    pub fn take_changes(&mut self) -> Result<Vec<(String, String)>> {
        let mut changes = Vec::new();
        for record in &self.changed {
            let name = record.to_string();
            let sealed = seal(&self.storage_key, &label(&name), &self.plain(record)?)?;
            changes.push((name, base64_encode(sealed)));
        }
        self.changed.clear();
        Ok(changes)
    }

    /// The device whose records these are.
    ///
    /// # Errors
    ///
    /// `StateUnreadable` where one does not open with this key, or the account is missing.
    pub fn load<'a>(storage_key: [u8; 32], records: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut account = None;
        let mut rest = Vec::new();
        for (name, sealed) in records {
            let bytes = base64_decode(sealed).map_err(|_| CryptoError::StateUnreadable)?;
            let plain = open(&storage_key, &label(name), &bytes).ok_or(CryptoError::StateUnreadable)?;
            if name == "account" { account = Some(plain) } else { rest.push((name, plain)) }
        }
        let account: AccountRecord = read(&account.ok_or(CryptoError::StateUnreadable)?)?;
        if account.v != 1 {
            return Err(CryptoError::StateUnreadable);
        }
        let mut device =
            Self::bare(&account.user_id, &account.device_id, Account::from_pickle(account.account), storage_key);
        device.is_published = account.published;
        for (name, plain) in rest {
            device.restore(name, &plain)?;
        }
        Ok(device)
    }

    fn plain(&self, record: &Record) -> Result<Zeroizing<Vec<u8>>> {
        let gone = CryptoError::StateUnreadable;
        match record {
            Record::Account => json(&AccountRecord {
                v: 1,
                user_id: self.user_id.clone(),
                device_id: self.device_id.clone(),
                account: self.account.pickle(),
                published: self.is_published,
            }),
            Record::Known(user_id) => json(self.known.get(user_id).ok_or(gone)?),
            Record::Peer(name) => {
                let peer = self.peers.get(name).ok_or(gone)?;
                json(&PeerRecord {
                    own: peer.own.iter().map(Session::pickle).collect(),
                    theirs: peer.theirs.iter().map(Session::pickle).collect(),
                    answers: peer.answers,
                    doubted: peer.doubted.clone(),
                    doubt: peer.doubt,
                })
            }
            Record::Outbound(room_id) => {
                let own = self.outbound.get(room_id).ok_or(gone)?;
                json(&OutboundRecord {
                    session: own.session.pickle(),
                    key: own.key.to_string(),
                    recipients: own.recipients.clone(),
                    confirmed: own.confirmed,
                    over: own.over,
                })
            }
            Record::Inbound(key) => {
                let inbound = self.inbound.get(key).ok_or(gone)?;
                json(&InboundRecord {
                    no: inbound.no,
                    room_id: inbound.room_id.clone(),
                    user_id: inbound.user_id.clone(),
                    device: inbound.device.clone(),
                    session: inbound.session.pickle(),
                    seen: inbound.seen.clone(),
                })
            }
            Record::Recovery => json(&self.recovery.as_ref().ok_or(gone)?.as_str()),
        }
    }

    fn restore(&mut self, name: &str, plain: &[u8]) -> Result<()> {
        match name.split_once('/') {
            Some(("known", user_id)) => {
                self.known.insert(user_id.to_owned(), read(plain)?);
            }
            Some(("peer", name)) => {
                let PeerRecord { own, theirs, answers, doubted, doubt } = read(plain)?;
                let [own, theirs] = [own, theirs].map(|all| all.into_iter().map(Session::from_pickle).collect());
                self.peers.insert(name.to_owned(), Peer { own, theirs, answers, doubted, doubt });
            }
            Some(("out", room_id)) => {
                let OutboundRecord { session, key, recipients, confirmed, over } = read(plain)?;
                let (session, key) = (GroupSession::from_pickle(session), Zeroizing::new(key));
                self.outbound.insert(room_id.to_owned(), Outbound { session, key, recipients, confirmed, over });
            }
            Some(("in", key)) => {
                let InboundRecord { no, room_id, user_id, device, session, seen } = read(plain)?;
                let session = InboundGroupSession::from_pickle(session);
                self.inbound.insert(key.to_owned(), Inbound { no, room_id, user_id, device, session, seen });
            }
            None if name == "recovery" => self.recovery = Some(Zeroizing::new(read(plain)?)),
            // A later version's: kept where it is, and of no use here.
            _ => {}
        }
        Ok(())
    }
}
