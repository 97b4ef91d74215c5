//! One token checked, all of it: form, header, signature, times, issuer, audience, claims.

use super::keys::Key;
use super::{Keys, Role};
use crate::content;
use crate::protocol::{ChatError, ErrorCode};
use jwt_compact::alg::{Ed25519, Es256, Hs256};
use jwt_compact::{AlgorithmExt, UntrustedToken, ValidationError};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 4_096;

/// How far the issuer's clock may be ahead for `nbf` and `iat`, ms. There is no leeway for `exp`.
const CLOCK_LEEWAY_MS: u64 = 30_000;

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user's id: 1–255 bytes without control characters, otherwise opaque.
    pub sub: String,
    /// The name to show, safe as HTML element content: the claim, cleaned; else the `sub`, cleaned; else `user`.
    pub username: String,
    /// An https URL of at most 512 bytes; any other claim is dropped.
    pub avatar: Option<String>,
    /// The roles that hold everywhere, lowest first, never empty: without a known one, member.
    pub roles: Vec<Role>,
    /// What the token grants in single rooms. Not a list of the rooms that it is for.
    pub rooms: BTreeMap<String, RoomGrant>,
    /// When the token ends, ms since 1970: from that moment on it is refused.
    pub exp_ms: u64,
    /// When it was made, ms since 1970.
    pub iat_ms: Option<u64>,
}

/// What a token grants in one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomGrant {
    /// The role there; none where the claim names none or an unknown one.
    pub role: Option<Role>,
    /// Since when the user follows the room, ms since 1970 (the claim is in s, like `exp`).
    pub followed_at: Option<u64>,
    /// Since when the user subscribes to it, ms since 1970 (the claim is in s).
    pub subscribed_at: Option<u64>,
}

#[derive(Deserialize)]
struct RawClaims {
    sub: Option<String>,
    iss: Option<String>,
    aud: Option<OneOrMany>,
    username: Option<String>,
    avatar: Option<String>,
    roles: Option<Vec<Value>>,
    rooms: Option<Grants>,
}

/// Grants by room; a room that is named twice is refused, as every other claim is.
#[derive(Default)]
struct Grants(BTreeMap<String, RawGrant>);

impl<'de> Deserialize<'de> for Grants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Grants;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object from room id to role")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Grants, A::Error> {
                let mut grants = BTreeMap::new();
                while let Some((room, grant)) = map.next_entry()? {
                    if grants.insert(room, grant).is_some() {
                        return Err(Error::custom("a room is named twice"));
                    }
                }
                Ok(Grants(grants))
            }
        }
        deserializer.deserialize_map(Once)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawGrant {
    Role(String),
    Full { role: Option<String>, followed_at: Option<f64>, subscribed_at: Option<f64> },
}

/// Header members that are none of the library's own.
type Header = BTreeMap<String, Value>;

/// Checks a token at `now_ms` (ms since 1970).
///
/// HS256, ES256 and EdDSA; the key fixes which. `exp` is required and has no leeway, `nbf` and `iat` have 30 s.
///
/// # Errors
/// `token_expired` where a good token's time is over, `token_invalid` for everything else. The sentence says what is
/// wrong and holds nothing of the token.
pub fn verify(token: &str, keys: &Keys, now_ms: u64) -> Result<Claims, ChatError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(invalid("The token is longer than 4,096 bytes."));
    }
    let token = UntrustedToken::<Header>::try_from(token).map_err(|_| {
        invalid("The token is not a signed JWT: three parts of unpadded base64url, with dots between them.")
    })?;
    check_header(&token)?;
    let verified = signed_claims(&token, keys)?;
    let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
    let exp_ms = verified
        .expiration
        .map(|time| seconds(time.timestamp_millis()))
        .ok_or_else(|| invalid("The token has no exp claim, and one without an end is not taken."))?;
    if now_ms >= exp_ms {
        return Err(ChatError::new(ErrorCode::TokenExpired, "The token's time is over. Get a new one and try again."));
    }
    let iat_ms = verified.issued_at.map(|time| seconds(time.timestamp_millis()));
    let nbf_ms = verified.not_before.map(|time| seconds(time.timestamp_millis()));
    if iat_ms.max(nbf_ms).is_some_and(|start| start > now_ms.saturating_add(CLOCK_LEEWAY_MS)) {
        return Err(invalid("The token is not valid yet: its nbf or iat lies ahead. Check the issuer's clock."));
    }
    claims(verified.custom, keys, exp_ms, iat_ms)
}

/// A token may not bring its own key, nor demand an extension that nobody here knows (RFC 7515, 4.1.11).
fn check_header(token: &UntrustedToken<'_, Header>) -> Result<(), ChatError> {
    let header = token.header();
    let brings_key = header.key_set_url.is_some()
        || header.certificate_url.is_some()
        || header.certificate_sha1_thumbprint.is_some()
        || header.certificate_thumbprint.is_some()
        || ["jwk", "x5c"].iter().any(|name| header.other_fields.contains_key(*name));
    if brings_key {
        return Err(invalid("The token's header brings a key or certificate (jwk, jku, x5…); leave that out."));
    }
    if header.other_fields.contains_key("crit") {
        return Err(invalid("The token's header demands an extension (crit), and none is supported."));
    }
    // Tokens made for another purpose (logout, DPoP, events) say so in typ (RFC 8725, 3.11).
    let typ = header.token_type.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    if !matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt") {
        return Err(invalid("The token's typ says that it is for another purpose; it has to be JWT, or left out."));
    }
    Ok(())
}

fn signed_claims(token: &UntrustedToken<'_, Header>, keys: &Keys) -> Result<jwt_compact::Claims<RawClaims>, ChatError> {
    let mut why = "No key of this deployment fits the token: its kid is unknown, or it has none.";
    for key in keys.candidates(token.header()) {
        let checked = match key {
            Key::Hs256(key) => Hs256.validator(key).validate(token),
            Key::Es256(key) => Es256.validator(key).validate(token),
            Key::EdDsa(key) => Ed25519.validator(key).validate(token),
        };
        why = match checked {
            Ok(verified) => return Ok(verified.into_parts().1),
            Err(ValidationError::AlgorithmMismatch { .. }) => "The token's alg is not the one of the key it names.",
            Err(ValidationError::MalformedClaims(_)) => {
                "The token's claims have wrong types: exp, nbf and iat are numbers of seconds; sub, iss, username and \
                 avatar strings; aud a string or an array of them; roles an array; rooms an object from room id to role."
            }
            Err(_) => "The token's signature is not by a key of this deployment.",
        };
    }
    Err(invalid(why))
}

fn claims(raw: RawClaims, keys: &Keys, exp_ms: u64, iat_ms: Option<u64>) -> Result<Claims, ChatError> {
    if keys.issuer.is_some() && keys.issuer != raw.iss {
        return Err(invalid("The token's iss is not the issuer that this deployment believes."));
    }
    if let Some(wanted) = &keys.audience {
        let named = match &raw.aud {
            Some(OneOrMany::One(aud)) => aud == wanted,
            Some(OneOrMany::Many(auds)) => auds.contains(wanted),
            None => false,
        };
        if !named {
            return Err(invalid("The token's aud does not name this deployment."));
        }
    }
    let sub = raw
        .sub
        .filter(|sub| (1..=255).contains(&sub.len()) && !sub.contains(char::is_control))
        .ok_or_else(|| invalid("The token's sub has to be 1 to 255 bytes without control characters."))?;
    let mut roles: Vec<Role> =
        raw.roles.unwrap_or_default().iter().filter_map(Value::as_str).filter_map(Role::parse).collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() {
        roles.push(Role::Member);
    }
    Ok(Claims {
        username: raw
            .username
            .as_deref()
            .and_then(content::username)
            .or_else(|| content::username(&sub))
            .unwrap_or_else(|| "user".to_owned()),
        avatar: raw.avatar.as_deref().and_then(content::avatar),
        roles,
        rooms: raw.rooms.unwrap_or_default().0.into_iter().map(|(id, grant)| (id, grant.into())).collect(),
        sub,
        exp_ms,
        iat_ms,
    })
}

impl From<RawGrant> for RoomGrant {
    fn from(raw: RawGrant) -> Self {
        // A float's cast saturates, so a time out of range is the nearest one that there is.
        let ms = |seconds: Option<f64>| seconds.map(|seconds| (seconds * 1_000.0) as u64);
        match raw {
            RawGrant::Role(role) => Self { role: Role::parse(&role), followed_at: None, subscribed_at: None },
            RawGrant::Full { role, followed_at, subscribed_at } => Self {
                role: role.as_deref().and_then(Role::parse),
                followed_at: ms(followed_at),
                subscribed_at: ms(subscribed_at),
            },
        }
    }
}

fn invalid(why: &str) -> ChatError {
    ChatError::new(ErrorCode::TokenInvalid, why)
}
