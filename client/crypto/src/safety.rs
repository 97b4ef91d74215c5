//! The safety number: two people read it to each other, and know that the server put no device between them.

use sha2::{Digest, Sha512};

use crate::error::{CryptoError, Result};
use crate::wire::{DeviceKeys, UserDevices};

/// Sixty digits in groups of five: thirty for each user's devices, the same from both sides. It changes with every device
/// that is added or removed.
///
/// # Errors
///
/// `Malformed` where both lists are of one user.
pub fn safety_number(one: &UserDevices, other: &UserDevices) -> Result<String> {
    if one.user_id == other.user_id {
        return Err(CryptoError::Malformed("two lists of one user"));
    }
    let mut halves = [half(one), half(other)];
    halves.sort();
    Ok(halves.concat().join(" "))
}

fn half(user: &UserDevices) -> Vec<String> {
    let mut devices: Vec<&DeviceKeys> = user.devices.iter().collect();
    devices.sort_by(|a, b| a.device_id.cmp(&b.device_id));
    let mut hash = Sha512::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    add("edge-chat/v1/safety-number");
    add(&user.user_id);
    for device in devices {
        add(&device.device_id);
        add(&device.curve25519);
        add(&device.ed25519);
    }
    let digest = hash.finalize();
    digest.chunks_exact(5).take(6).map(digits).collect()
}

/// Forty bits as five digits.
fn digits(bytes: &[u8]) -> String {
    let number = bytes.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    format!("{:05}", number % 100_000)
}
