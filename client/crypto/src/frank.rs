//! Message franking: the sender binds a message to a tag that the server keeps, so that whoever could read it can prove
//! what it said, and nobody can send what could not be proved.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use vodozemac::{base64_decode, base64_encode};

use crate::error::{CryptoError, Result};
use crate::seal::random;
use crate::wire::{MessageIn, Plaintext};

/// The text that the tag is made of. No id has a line end in it, so no two messages share one.
pub fn franking_text(room_id: &str, user_id: &str, client_id: &str, body: &str) -> String {
    format!("edge-chat/v1/franking\n{room_id}\n{user_id}\n{client_id}\n{body}")
}

fn mac(frank_key: &str, text: &str) -> Option<Hmac<Sha256>> {
    let key = base64_decode(frank_key).ok().filter(|key| key.len() == 32)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(text.as_bytes());
    Some(mac)
}

/// The tag of a `text` under a key of 32 bytes, both base64; None where the key is none.
pub fn franking_tag(frank_key: &str, text: &str) -> Option<String> {
    Some(base64_encode(mac(frank_key, text)?.finalize().into_bytes()))
}

/// A plaintext with a fresh key, and its tag.
pub(crate) fn frank(room_id: &str, user_id: &str, client_id: &str, body: &str) -> Result<(Plaintext, String)> {
    if [room_id, user_id, client_id].iter().any(|id| id.is_empty() || id.chars().any(char::is_control)) {
        return Err(CryptoError::Malformed("an id"));
    }
    let frank_key = base64_encode(random::<32>()?);
    let text = franking_text(room_id, user_id, client_id, body);
    let tag = franking_tag(&frank_key, &text).ok_or(CryptoError::Malformed("franking"))?;
    let plaintext = Plaintext {
        v: 1,
        room_id: room_id.to_owned(),
        user_id: user_id.to_owned(),
        client_id: client_id.to_owned(),
        body: body.to_owned(),
        frank_key,
    };
    Ok((plaintext, tag))
}

/// Whether the plaintext is what the server keeps the message under, and the tag the one of it.
pub(crate) fn check(plaintext: &Plaintext, message: &MessageIn) -> Result<()> {
    let bound = plaintext.room_id == message.room_id
        && plaintext.user_id == message.user_id
        && plaintext.client_id == message.client_id;
    let text = franking_text(&message.room_id, &message.user_id, &message.client_id, &plaintext.body);
    let tag = base64_decode(&message.franking).map_err(|_| CryptoError::Franking)?;
    let proved = mac(&plaintext.frank_key, &text).is_some_and(|mac| mac.verify_slice(&tag).is_ok());
    if bound && proved { Ok(()) } else { Err(CryptoError::Franking) }
}
