//! Signatures of users' devices.

use jwt_compact::alg::{Ed25519, VerifyingKey};
use jwt_compact::{Algorithm, AlgorithmSignature};

/// Whether this is the Ed25519 signature (64 bytes) of `text` by the public key `key` (32 bytes).
pub fn is_signed(key: &[u8], text: &[u8], signature: &[u8]) -> bool {
    let key = <<Ed25519 as Algorithm>::VerifyingKey as VerifyingKey<Ed25519>>::from_slice(key);
    let signature = <<Ed25519 as Algorithm>::Signature as AlgorithmSignature>::try_from_slice(signature);
    let (Ok(key), Ok(signature)) = (key, signature) else { return false };
    Ed25519.verify_signature(&signature, &key, text)
}
