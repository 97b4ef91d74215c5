//! Whether words are what an encrypted message says: its author's device bound them to it by a tag, whose key is inside.

use crate::content::unpadded;
use crate::protocol::report::Opening;
use crate::protocol::{ChatError, ErrorCode, MAX_SEALED_FRAME};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What the tag of a message is bound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound<'a> {
    pub(super) room_id: &'a str,
    pub(super) user_id: &'a str,
    pub(super) client_id: &'a str,
}

/// Whether `tag` (unpadded base64) is that of these words.
///
/// # Errors
/// `bad_request` where the words are too long or the key is none.
pub(super) fn is_proved(opening: &Opening, tag: &str, bound: Bound<'_>) -> Result<bool, ChatError> {
    let Opening { body, frank_key } = opening;
    let bad = |field: &str, message: &str| ChatError::new(ErrorCode::BadRequest, message).field(field);
    if body.len() > MAX_SEALED_FRAME {
        return Err(bad("opened.body", "What a message says is at most 32,768 bytes."));
    }
    let key = unpadded(frank_key).filter(|key| key.len() == 32);
    let key = key.ok_or_else(|| bad("opened.frank_key", "The key of a tag is 32 bytes in unpadded base64."))?;
    let Bound { room_id, user_id, client_id } = bound;
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return Ok(false) };
    mac.update(format!("edge-chat/v1/franking\n{room_id}\n{user_id}\n{client_id}\n{body}").as_bytes());
    Ok(mac.verify_slice(&unpadded(tag).unwrap_or_default()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_bound_to_words_room_user_and_message() {
        // Computed once by another implementation, Python's.
        let tag = "xa/f58KXxCRuI8duj8Jv9PBBjyaeTNLRfP6EBYsDUdA";
        let opening = |body: &str, key: &str| Opening { body: body.into(), frank_key: key.into() };
        let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
        let bound = Bound { room_id: "dm:room", user_id: "ada", client_id: "c-1" };
        let proved = |body: &str, key: &str, bound| is_proved(&opening(body, key), tag, bound).unwrap();
        assert!(proved("h\u{e9}llo\n", key, bound));
        assert!(!proved("hello\n", key, bound));
        assert!(!proved("h\u{e9}llo\n", &key.replace('E', "I"), bound));
        for other in [
            Bound { room_id: "dm:other", ..bound },
            Bound { user_id: "bob", ..bound },
            Bound { client_id: "c-2", ..bound },
        ] {
            assert!(!proved("h\u{e9}llo\n", key, other));
        }
        assert!(!proved(&"x".repeat(32_768), key, bound));
        for (body, key, field) in [("x", "AQEB", "opened.frank_key"), (&*"x".repeat(32_769), key, "opened.body")] {
            assert_eq!(is_proved(&opening(body, key), tag, bound).unwrap_err().field.as_deref(), Some(field));
        }
    }
}
