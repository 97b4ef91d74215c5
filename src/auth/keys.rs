//! The keys that a deployment believes, read from its settings and checked before anything is served.

use crate::settings::Misconfigured;
use jwt_compact::alg::{Ed25519, Es256, Hs256Key};
use jwt_compact::jwk::JsonWebKey;
use jwt_compact::{Algorithm, Header};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// HS256 with less than its hash's length can be guessed from one token (RFC 7518, 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// What stands in documentation, whoever's, and therefore in every attacker's list.
const PUBLISHED: [&str; 5] = ["your-secret-key", "your_secret_key", "change-me", "change_me", "changeme"];

/// A key; its kind fixes the algorithm, whatever a token claims.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Hs256(Hs256Key),
    Es256(Box<<Es256 as Algorithm>::VerifyingKey>),
    EdDsa(Box<<Ed25519 as Algorithm>::VerifyingKey>),
}

/// Everything a token is checked against. Its debug form shows no secret.
#[derive(Clone, Debug)]
pub struct Keys {
    keys: Vec<(Option<String>, Key)>,
    /// What `iss` has to be, where the setting is there.
    pub(super) issuer: Option<String>,
    /// What `aud` has to name, where the setting is there.
    pub(super) audience: Option<String>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Map<String, Value>>,
}

impl Keys {
    /// Reads `JWT_SECRET` (HS256, no `kid`), `JWT_SECRETS` (a JSON object, `kid` to secret), `JWT_PUBLIC_KEYS` (a JWKS
    /// with Ed25519 and P-256 keys), `JWT_ISSUER` and `JWT_AUDIENCE`. Secrets are taken as UTF-8 bytes, as they stand.
    ///
    /// # Errors
    /// No key at all; a secret under 32 bytes or published in documentation; JSON of another shape; a key set with a
    /// private, malformed or weak key, or with none that can be used; the same `kid` twice.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Misconfigured> {
        let lookup = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let mut keys = Vec::new();
        if let Some(secret) = lookup("JWT_SECRET") {
            keys.push((None, secret_key("JWT_SECRET", &secret)?));
        }
        if let Some(json) = lookup("JWT_SECRETS") {
            keys.extend(secrets(&json)?);
        }
        if let Some(json) = lookup("JWT_PUBLIC_KEYS") {
            keys.extend(public_keys(&json)?);
        }
        if keys.is_empty() {
            return Err(Misconfigured::new(
                "No key to check tokens with: set JWT_SECRET (at least 32 random bytes, e.g. from `openssl rand -hex \
                 32`), JWT_SECRETS or JWT_PUBLIC_KEYS.",
            ));
        }
        let mut seen = BTreeSet::new();
        if !keys.iter().filter_map(|(kid, _)| kid.as_deref()).all(|kid| seen.insert(kid)) {
            return Err(Misconfigured::new(
                "Two keys of JWT_SECRETS and JWT_PUBLIC_KEYS bear the same kid: give each its own.",
            ));
        }
        Ok(Self { keys, issuer: lookup("JWT_ISSUER"), audience: lookup("JWT_AUDIENCE") })
    }

    /// The first secret, with its `kid`: what a token for trying out is signed with.
    pub(super) fn first_secret(&self) -> Option<(Option<&str>, &Key)> {
        let secret = self.keys.iter().find(|(_, key)| matches!(key, Key::Hs256(_)))?;
        Some((secret.0.as_deref(), &secret.1))
    }

    /// The keys that may have signed a token with this header: those with its `kid`; where it names none, or one that
    /// no key bears, those that have none themselves.
    pub(super) fn candidates<'a, H>(&'a self, header: &'a Header<H>) -> Vec<&'a Key> {
        let with = |kid: Option<&'a str>| {
            self.keys.iter().filter(move |(own, _)| own.as_deref() == kid).map(|(_, key)| key).collect::<Vec<_>>()
        };
        let named = with(header.key_id.as_deref());
        if named.is_empty() { with(None) } else { named }
    }
}

fn secret_key(setting: &str, secret: &str) -> Result<Key, Misconfigured> {
    if secret.len() < MIN_SECRET_BYTES {
        return Err(Misconfigured(format!(
            "{setting} holds a secret of {} bytes; it takes at least {MIN_SECRET_BYTES}: make one with `openssl rand \
             -hex 32`.",
            secret.len()
        )));
    }
    let lower = secret.to_ascii_lowercase();
    if PUBLISHED.iter().any(|phrase| lower.contains(phrase)) {
        return Err(Misconfigured(format!(
            "{setting} holds a secret that stands in documentation, so anybody could sign tokens: make one with \
             `openssl rand -hex 32`."
        )));
    }
    Ok(Key::Hs256(Hs256Key::new(secret)))
}

fn secrets(json: &str) -> Result<Vec<(Option<String>, Key)>, Misconfigured> {
    let shape = || {
        Misconfigured::new(r#"JWT_SECRETS has to be a JSON object from kid to secret, such as {"2026-10":"<secret>"}."#)
    };
    let secrets: BTreeMap<String, String> = serde_json::from_str(json).map_err(|_| shape())?;
    if secrets.is_empty() || secrets.contains_key("") {
        return Err(shape());
    }
    secrets.into_iter().map(|(kid, secret)| Ok((Some(kid), secret_key("JWT_SECRETS", &secret)?))).collect()
}

fn public_keys(json: &str) -> Result<Vec<(Option<String>, Key)>, Misconfigured> {
    let set: KeySet = serde_json::from_str(json).map_err(|_| {
        Misconfigured::new(r#"JWT_PUBLIC_KEYS has to be a JWKS: a JSON object such as {"keys":[{"kty":"OKP",…}]}."#)
    })?;
    let mut keys = Vec::new();
    for (index, jwk) in set.keys.into_iter().enumerate() {
        let kid = match jwk.get("kid") {
            None => None,
            Some(Value::String(kid)) if !kid.is_empty() => Some(kid.clone()),
            Some(_) => return Err(bad_key(index, "its kid is not a name")),
        };
        if let Some(key) = public_key(jwk).map_err(|why| bad_key(index, why))? {
            keys.push((kid, key));
        }
    }
    if keys.is_empty() {
        return Err(Misconfigured::new(
            "JWT_PUBLIC_KEYS holds no key that can be used: it takes OKP keys with crv Ed25519 and EC keys with crv \
             P-256, for signatures.",
        ));
    }
    Ok(keys)
}

fn bad_key(index: usize, why: &str) -> Misconfigured {
    Misconfigured(format!("Key {} of JWT_PUBLIC_KEYS is refused: {why}.", index + 1))
}

/// The key of one JWK; none where it is of a kind or for a use that is not ours, which a set may hold (RFC 7517, 5).
fn public_key(jwk: Map<String, Value>) -> Result<Option<Key>, &'static str> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let algorithm = match (text("kty"), text("crv")) {
        (Some("OKP"), Some("Ed25519")) => "EdDSA",
        (Some("EC"), Some("P-256")) => "ES256",
        _ => return Ok(None),
    };
    if text("use").is_some_and(|purpose| purpose != "sig") || text("alg").is_some_and(|alg| alg != algorithm) {
        return Ok(None);
    }
    if jwk.contains_key("d") {
        return Err(
            "it is a private key (it has a member d); give its public part, and make a new one if it was shared",
        );
    }
    let jwk = JsonWebKey::deserialize(Value::Object(jwk)).map_err(|_| "a member is missing or not base64url")?;
    if algorithm == "ES256" {
        let key = (&jwk).try_into().map_err(|_| "x and y are no point of the curve P-256")?;
        return Ok(Some(Key::Es256(Box::new(key))));
    }
    let key: <Ed25519 as Algorithm>::VerifyingKey = (&jwk).try_into().map_err(|_| "x is no Ed25519 public key")?;
    // With a key of small order one signature fits many messages.
    if key.is_weak() {
        return Err("x is a weak Ed25519 public key");
    }
    Ok(Some(Key::EdDsa(Box::new(key))))
}
