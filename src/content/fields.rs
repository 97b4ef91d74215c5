//! What rides beside the text: avatars and metadata.

use crate::protocol::{ChatError, ErrorCode};
use ammonia::Url;
use serde_json::Value;

/// The longest avatar address, in bytes.
const MAX_AVATAR_BYTES: usize = 512;
/// The largest metadata, in bytes as compact JSON.
const MAX_METADATA_BYTES: usize = 1_024;
/// How deep metadata may be nested; the object itself is the first level.
const MAX_METADATA_DEPTH: usize = 4;

/// An avatar's address in its normal form: https, without credentials, at most 512 bytes of ASCII, without quotes and
/// backslashes. Anything else is none.
pub fn avatar(raw: &str) -> Option<String> {
    let url = Url::parse(raw.trim()).ok()?;
    // The standard's parser lets a host keep quotes, which end an attribute.
    let named = url.host_str()?.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b));
    let plain = named && url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    let text = url.as_str().replace('\'', "%27").replace('\\', "%5C");
    (plain && text.len() <= MAX_AVATAR_BYTES).then_some(text)
}

/// Checks a message's metadata: an object of at most 1,024 bytes as compact JSON and 4 levels. It is passed on as it
/// is and never is HTML.
///
/// # Errors
/// `metadata_too_large`; `bad_request` where it is no object, or holds a NUL, which PostgreSQL's JSON cannot.
pub fn metadata(value: &Value) -> Result<(), ChatError> {
    if !value.is_object() || has_nul(value) {
        return Err(ChatError::new(ErrorCode::BadRequest, "metadata has to be a JSON object without NUL characters.")
            .field("metadata"));
    }
    if depth(value) > MAX_METADATA_DEPTH || value.to_string().len() > MAX_METADATA_BYTES {
        return Err(ChatError::new(
            ErrorCode::MetadataTooLarge,
            "metadata has at most 1,024 bytes as JSON and at most 4 levels. Keep the rest elsewhere and send its id.",
        )
        .field("metadata"));
    }
    Ok(())
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn avatars_are_https_addresses() {
        for (raw, taken) in [
            ("https://e.org/a.png", Some("https://e.org/a.png")),
            (" https://E.org/ä b\"c'd?x=<y> ", Some("https://e.org/%C3%A4%20b%22c%27d?x=%3Cy%3E")),
            ("https://e.org/?a\\b", Some("https://e.org/?a%5Cb")),
            ("http://e.org/a.png", None),
            ("javascript:alert(1)", None),
            ("data:image/png;base64,AAAA", None),
            ("//e.org/a.png", None),
            ("a.png", None),
            ("https://ada:pw@e.org/", None),
            ("https://a\"b/", None),
            ("https://", None),
            ("", None),
        ] {
            assert_eq!(avatar(raw).as_deref(), taken, "{raw:?}");
        }
        assert!(avatar(&format!("https://e.org/{}", "a".repeat(498))).is_some());
        assert!(avatar(&format!("https://e.org/{}", "a".repeat(499))).is_none());
    }

    #[test]
    fn metadata_is_a_small_flat_object() {
        for good in
            [json!({}), json!({"a": {"b": {"c": {}}}}), json!({"a": [[["x"]]]}), json!({"a": "x".repeat(1_016)})]
        {
            assert_eq!(metadata(&good), Ok(()), "{good}");
        }
        for (bad, code) in [
            (json!([]), ErrorCode::BadRequest),
            (json!(null), ErrorCode::BadRequest),
            (json!({"a": "\0"}), ErrorCode::BadRequest),
            (json!({"\0": [1]}), ErrorCode::BadRequest),
            (json!({"a": {"b": {"c": {"d": {}}}}}), ErrorCode::MetadataTooLarge),
            (json!({"a": [[[[]]]]}), ErrorCode::MetadataTooLarge),
            (json!({"a": "x".repeat(1_017)}), ErrorCode::MetadataTooLarge),
        ] {
            let error = metadata(&bad).unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (code, Some("metadata")), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_avatar_is_safe_in_an_attribute(raw in "(https:)?\\PC{0,60}") {
            if let Some(url) = avatar(&raw) {
                prop_assert!(url.is_ascii() && !url.contains(['"', '\'', '<', '>', ' ', '\\']));
                prop_assert_eq!(avatar(&url), Some(url));
            }
        }
    }
}
