//! What a device does so that only two people read a private message: keys, sessions, encryption and the proof that a
//! message can be reported. The cryptography is vodozemac's (Olm, Megolm) and RustCrypto's; here is only who gets which
//! key, and what is refused.
//!
//! Nothing here has a clock, a network or a storage: the caller brings what the server said and keeps what
//! [`Device::take_changes`] hands out. Randomness is the platform's.

mod backup;
mod device;
mod error;
mod frank;
mod inbound;
mod olm;
mod outbound;
mod safety;
mod seal;
mod state;
#[cfg(target_arch = "wasm32")]
pub mod wasm;
mod wire;

pub use device::Device;
pub use error::CryptoError;
pub use frank::{franking_tag, franking_text};
pub use safety::safety_number;
pub use wire::{
    Backup, Claim, Claimed, DeviceKeys, DeviceList, Encrypted, KeyUpload, MessageIn, Opened, SignedKey, UserDevices,
};
