//! Encrypted messages: nothing of them can be read here, so only their form is checked.

use crate::protocol::wire::json;
use crate::protocol::{ChatError, ErrorCode, MAX_SEALED_FRAME};
use base64ct::{Base64Unpadded, Encoding};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Devices to which one message carries its session's key: ten of each of the two users.
const MOST_KEYS: usize = 20;
/// The one way to encrypt that is known.
const ALGORITHM: &str = "megolm";

/// What an encrypted message is made of; unpadded base64 wherever bytes are.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    v: u32,
    alg: String,
    device_id: String,
    session_id: String,
    index: u32,
    ciphertext: String,
    /// The session's key for each device, by `<user_id>/<device_id>`; where the session is new.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    keys: BTreeMap<String, SealedKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedKey {
    r#type: u8,
    body: String,
}

fn bad(message: &str) -> ChatError {
    ChatError::new(ErrorCode::BadRequest, message).field("content")
}

/// Whether this is the name of a device: 1–64 characters of `A-Z a-z 0-9 _ -`.
pub fn is_device_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// The bytes of unpadded base64; none where it is none.
pub fn unpadded(text: &str) -> Option<Vec<u8>> {
    Base64Unpadded::decode_vec(text).ok()
}

/// The content of an encrypted message as it is kept: the same JSON, written so that it is safe as HTML too.
/// `is_member` says to whose devices keys may go.
///
/// # Errors
/// `bad_request`, `message_too_long` above 32,768 bytes.
pub fn sealed(content: &str, is_member: impl Fn(&str) -> bool) -> Result<String, ChatError> {
    if content.len() > MAX_SEALED_FRAME {
        let message = "An encrypted message is at most 32,768 bytes.";
        return Err(ChatError::new(ErrorCode::MessageTooLong, message).field("content"));
    }
    let form = "An encrypted message is the JSON text of `v`, `alg`, `device_id`, `session_id`, `index`, `ciphertext`, `keys`.";
    let sealed: Sealed = serde_json::from_str(content).map_err(|_| bad(form))?;
    if sealed.v != 1 || sealed.alg != ALGORITHM {
        return Err(bad("An encrypted message has `v` 1 and `alg` `megolm`."));
    }
    let is_base64 = |text: &str| unpadded(text).is_some_and(|bytes| !bytes.is_empty());
    if !is_device_id(&sealed.device_id) || sealed.session_id.len() > 64 {
        return Err(bad("`device_id` is 1 to 64 characters of A-Z a-z 0-9 _ -, `session_id` at most 64."));
    }
    let texts = [&sealed.session_id, &sealed.ciphertext].into_iter().chain(sealed.keys.values().map(|key| &key.body));
    if !texts.into_iter().all(|text| is_base64(text)) {
        return Err(bad("`session_id`, `ciphertext` and each key's `body` are unpadded base64."));
    }
    let for_member =
        |name: &str| name.rsplit_once('/').is_some_and(|(user, device)| is_member(user) && is_device_id(device));
    let fits = sealed.keys.len() <= MOST_KEYS && sealed.keys.values().all(|key| key.r#type <= 1);
    if !fits || !sealed.keys.keys().all(|name| for_member(name)) {
        return Err(bad(
            "`keys` are at most 20, of type 0 or 1, by `<user_id>/<device_id>` of the room's two members.",
        ));
    }
    Ok(written(&sealed))
}

/// An encrypted message without the keys for this user's devices; none where it has none.
pub fn sealed_without(content: &str, user: &str) -> Option<String> {
    let mut sealed: Sealed = serde_json::from_str(content).ok()?;
    let before = sealed.keys.len();
    sealed.keys.retain(|name, _| name.rsplit_once('/').is_none_or(|(owner, _)| owner != user));
    (sealed.keys.len() < before).then(|| written(&sealed))
}

fn written(sealed: &Sealed) -> String {
    json(sealed).replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// The tag beside an encrypted message.
///
/// # Errors
/// `bad_request` where it is none, or not 32 bytes in unpadded base64.
pub fn franking(tag: Option<String>) -> Result<String, ChatError> {
    let is_tag = |tag: &String| tag.len() == 43 && unpadded(tag).is_some_and(|bytes| bytes.len() == 32);
    tag.filter(is_tag).ok_or_else(|| {
        let message = "An encrypted message has a `franking`: 32 bytes in unpadded base64.";
        ChatError::new(ErrorCode::BadRequest, message).field("franking")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const USER: &str = "<b>&\"ada";

    fn code(content: &serde_json::Value) -> Result<String, ErrorCode> {
        sealed(&content.to_string(), |user| user == USER).map_err(|error| error.code)
    }

    #[test]
    fn form_is_checked_and_what_is_kept_is_the_same_and_safe() {
        let good = json!({"v": 1, "alg": "megolm", "device_id": "D-1", "session_id": "c2Vzc2lvbg", "index": 7,
            "ciphertext": "AAEC", "keys": {format!("{USER}/D-2"): {"type": 0, "body": "AAEC"}}});
        let kept = code(&good).unwrap();
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove("keys");
        let left = sealed_without(&kept, USER).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&left).unwrap(), without);
        assert_eq!((sealed_without(&kept, "ada"), sealed_without("hi", USER)), (None, None));
        assert!(!kept.contains(['<', '>', '&']));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&kept).unwrap(), good);
        let many: serde_json::Map<_, _> =
            (0..21).map(|n| (format!("{USER}/{n}"), json!({"type": 1, "body": "AAEC"}))).collect();
        for (field, value) in [
            ("v", json!(2)),
            ("alg", json!("none")),
            ("device_id", json!("a b")),
            ("session_id", json!("a".repeat(68))),
            ("index", json!(-1)),
            ("ciphertext", json!("not base64!")),
            ("ciphertext", json!("AAE=")),
            ("ciphertext", json!("")),
            ("body", json!("hello")),
            ("keys", json!({"eve/D-2": {"type": 0, "body": "AAEC"}})),
            ("keys", json!({format!("{USER}/D-2"): {"type": 2, "body": "AAEC"}})),
            ("keys", json!(many)),
        ] {
            let mut wrong = good.clone();
            wrong[field] = value;
            assert_eq!(code(&wrong), Err(ErrorCode::BadRequest), "{field}");
        }
        assert_eq!(code(&json!("x".repeat(MAX_SEALED_FRAME))), Err(ErrorCode::MessageTooLong));
    }

    #[test]
    fn a_tag_is_32_bytes() {
        assert!(franking(Some("A".repeat(43))).is_ok());
        for tag in [
            None,
            Some(String::new()),
            Some("A".repeat(42)),
            Some(format!("{}=", "A".repeat(43))),
            Some("!".repeat(43)),
        ] {
            assert_eq!(franking(tag).unwrap_err().field.as_deref(), Some("franking"));
        }
    }
}
