//! The one place where bytes are sealed under a key: XChaCha20-Poly1305 with a random nonce. The library's own encrypted
//! pickles take the nonce out of the key, so the same key must not seal twice; a browser seals after every message.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::error::{CryptoError, Result};

const NONCE: usize = 24;

/// Bytes of the platform's generator.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| CryptoError::NoRandomness)?;
    Ok(bytes)
}

/// Seals; what is sealed under one `label` does not open under another.
pub(crate) fn seal(key: &[u8; 32], label: &str, plain: &[u8]) -> Result<Vec<u8>> {
    let nonce: [u8; NONCE] = random()?;
    let payload = Payload { msg: plain, aad: label.as_bytes() };
    let sealed =
        XChaCha20Poly1305::new(key.into()).encrypt(&XNonce::from(nonce), payload).map_err(|_| CryptoError::TooLarge)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// Opens what `seal` made with the same key and label; None for anything else.
pub(crate) fn open(key: &[u8; 32], label: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let payload = Payload { msg: sealed, aad: label.as_bytes() };
    let plain = XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), payload).ok()?;
    Some(Zeroizing::new(plain))
}
