//! Why something cannot be encrypted, read or restored, in sentences that a person may be shown.

use thiserror::Error;

/// Each has a [`code`](CryptoError::code) for programs and a sentence (its `Display`) for people.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CryptoError {
    /// What came is not of the form that the protocol says.
    #[error("This is not in a form that this version of the chat can read ({0}).")]
    Malformed(&'static str),
    /// The session of the message was never shared with this device.
    #[error(
        "This device was not given the key to this message: it was said before the device was added, or the message that \
         brought the key is gone. A backup may have it."
    )]
    NoKey,
    /// The sender's device stands in no list that this device has seen.
    #[error("This was said from a device that is not among the sender's devices.")]
    UnknownDevice,
    /// A device's identity is not what it was.
    #[error("The server shows other keys for a device than before. Compare the safety number before you go on.")]
    DeviceChanged,
    /// A one-time key or fallback key is not signed by its device.
    #[error("The server handed out a key that the other device did not sign. Nothing was encrypted with it.")]
    BadSignature,
    /// The Olm message that carries the session's key cannot be opened.
    #[error(
        "The key to this message came in a form that this device cannot open. The next message asks for a new one."
    )]
    KeyUnreadable,
    /// The ciphertext is damaged, or not by whom it says.
    #[error("This message is damaged or not by whom it seems to be, and is not shown.")]
    Undecryptable,
    /// The tag, or what it is bound to, does not match.
    #[error("This message could not be reported as it stands, so it is not shown.")]
    Franking,
    /// The same ciphertext position was seen under another message id.
    #[error("This message is a copy of another one and is not shown.")]
    Replayed,
    /// Nobody else has a device that could read.
    #[error("The other person has no device that can read private messages yet.")]
    NoDevices,
    /// The server does not list this device any more.
    #[error("This device was removed from your devices and can send no private messages.")]
    DeviceRemoved,
    /// The message does not fit into a frame.
    #[error("This message is too long to be sent encrypted.")]
    TooLarge,
    /// What was typed is no recovery key.
    #[error("This is not a recovery key: it has 32 letters and digits, in eight groups of four.")]
    NotARecoveryKey,
    /// The backup does not open with this key.
    #[error("The backup does not open with this recovery key. Check it for typing errors, or it is of another backup.")]
    WrongRecoveryKey,
    /// The backup opened and is not of a known form, or it never was one.
    #[error("The backup is damaged, or of a newer version of the chat.")]
    BackupUnreadable,
    /// What the browser kept does not open.
    #[error("What this browser kept of your keys cannot be read. Restore it from a backup.")]
    StateUnreadable,
    /// The platform has no random numbers.
    #[error("This browser gives no random numbers, without which nothing can be encrypted.")]
    NoRandomness,
}

impl CryptoError {
    /// The name for programs; the same for as long as this version lives.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::NoKey => "no_key",
            Self::UnknownDevice => "unknown_device",
            Self::DeviceChanged => "device_keys_differ",
            Self::BadSignature => "bad_signature",
            Self::KeyUnreadable => "key_unreadable",
            Self::Undecryptable => "undecryptable",
            Self::Franking => "franking_mismatch",
            Self::Replayed => "replayed",
            Self::NoDevices => "no_devices",
            Self::DeviceRemoved => "device_removed",
            Self::TooLarge => "message_too_large",
            Self::NotARecoveryKey => "not_a_recovery_key",
            Self::WrongRecoveryKey => "wrong_recovery_key",
            Self::BackupUnreadable => "backup_unreadable",
            Self::StateUnreadable => "state_unreadable",
            Self::NoRandomness => "no_randomness",
        }
    }
}

/// What everything here returns.
pub(crate) type Result<T> = std::result::Result<T, CryptoError>;
