//! Signs tokens for trying the chat out; a deployment's own back end signs the real ones.

use super::keys::Key;
use super::{Keys, Role};
use jwt_compact::alg::Hs256;
use jwt_compact::{AlgorithmExt, Claims, Header};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a signed token says of its bearer, beside its time.
#[derive(Debug, Serialize)]
pub struct Bearer<'a> {
    /// The user's id.
    pub sub: &'a str,
    /// The name to show.
    pub username: &'a str,
    /// Roles everywhere.
    pub roles: Vec<Role>,
    /// Roles in single rooms.
    pub rooms: BTreeMap<&'a str, Role>,
}

#[derive(Serialize)]
struct Custom<'a> {
    #[serde(flatten)]
    bearer: &'a Bearer<'a>,
    exp: u64,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// A token for `bearer` from `now_s` until `exp_s` (s since 1970), signed with the deployment's first secret; none where
/// it has public keys only.
pub fn sign(keys: &Keys, bearer: &Bearer<'_>, now_s: u64, exp_s: u64) -> Option<String> {
    let (kid, key) = keys.first_secret()?;
    let Key::Hs256(key) = key else { return None };
    let mut header = Header::empty().with_token_type("JWT");
    if let Some(kid) = kid {
        header = header.with_key_id(kid);
    }
    let (iss, aud) = (keys.issuer.as_deref(), keys.audience.as_deref());
    let claims = Claims::new(Custom { bearer, exp: exp_s, iat: now_s, iss, aud });
    Hs256.token(&header, &claims, key).ok()
}
