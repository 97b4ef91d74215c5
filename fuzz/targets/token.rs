//! Tokens: as they come, and header and claims from the input signed by the right key, so that what lies behind the
//! signature is reached.
//!
//! The first byte chooses: `r`, the rest is the token; else `h`, `e`, `d` (HS256, ES256, EdDSA) and `n` (another HS256
//! key, by `kid`) sign the next line as header and all that follows as claims; any other letter signs with a header that
//! fits.
#![no_main]

use base64ct::{Base64UrlUnpadded, Encoding};
use edge_chat::audience::close_reason;
use edge_chat::auth::{Claims, Identity, Keys, MAX_TOKEN_BYTES, Role, verify};
use edge_chat::protocol::ErrorCode;
use jwt_compact::alg::{Ed25519, Es256, Hs256, Hs256Key};
use jwt_compact::jwk::JsonWebKey;
use jwt_compact::{Algorithm, AlgorithmSignature};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use std::sync::LazyLock;

type EsKey = <Es256 as Algorithm>::SigningKey;
type EdKey = <Ed25519 as Algorithm>::SigningKey;

/// Keys of nobody: they stand here.
const SECRETS: [&str; 2] = ["fuzzed-fuzzed-fuzzed-fuzzed-fuzzed-1", "fuzzed-fuzzed-fuzzed-fuzzed-fuzzed-2"];
const NOW: u64 = 1_760_000_000_000;

static ES: LazyLock<EsKey> = LazyLock::new(|| EsKey::from_slice(&[7; 32]).expect("a key"));
static ED: LazyLock<EdKey> = LazyLock::new(|| EdKey::from_bytes(&[7; 32]));

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let jwk = |key: JsonWebKey<'_>, kid: &str| {
        let mut jwk = serde_json::to_value(key).expect("a key is JSON");
        jwk["kid"] = kid.into();
        jwk
    };
    let keys: [Value; 2] = [jwk(ES.verifying_key().into(), "es"), jwk((&ED.verifying_key()).into(), "ed")];
    let (keys, secrets) = (json!({ "keys": keys }).to_string(), json!({ "next": SECRETS[1] }).to_string());
    Keys::from_lookup(|name| match name {
        "JWT_SECRET" => Some(SECRETS[0].to_owned()),
        "JWT_SECRETS" => Some(secrets.clone()),
        "JWT_PUBLIC_KEYS" => Some(keys.clone()),
        _ => None,
    })
    .expect("good keys")
});

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let (header, claims) = text.split_once('\n').unwrap_or(("", &text));
    let token = match first {
        b'r' => text.into_owned(),
        b'h' => signed(&Hs256, &Hs256Key::new(SECRETS[0]), header, claims),
        b'n' => signed(&Hs256, &Hs256Key::new(SECRETS[1]), header, claims),
        b'e' => signed(&Es256, &ES, header, claims),
        b'd' => signed(&Ed25519, &ED, header, claims),
        _ => signed(&Hs256, &Hs256Key::new(SECRETS[0]), r#"{"alg":"HS256"}"#, &text),
    };
    match verify(&token, &KEYS, NOW) {
        Ok(claims) => {
            good(&claims);
            assert!(token.len() <= MAX_TOKEN_BYTES);
            let at = token.rfind('.').expect("three parts") + 1;
            let other = if token[at..].starts_with('A') { "B" } else { "A" };
            let forged = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            assert!(verify(&forged, &KEYS, NOW).is_err(), "a forged signature is taken");
        }
        Err(error) => assert!(matches!(error.code, ErrorCode::TokenInvalid | ErrorCode::TokenExpired)),
    }
});

fn signed<A: Algorithm>(algorithm: &A, key: &A::SigningKey, header: &str, claims: &str) -> String {
    let part = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    let data = format!("{}.{}", part(header.as_bytes()), part(claims.as_bytes()));
    let signature = algorithm.sign(key, data.as_bytes());
    format!("{data}.{}", part(signature.as_bytes().as_ref()))
}

/// What everything behind a token relies on.
fn good(claims: &Claims) {
    assert!((1..=255).contains(&claims.sub.len()) && !claims.sub.contains(char::is_control));
    assert!(!claims.username.is_empty() && !claims.username.contains(['<', '>', '\n']));
    assert!(claims.avatar.iter().all(|url| url.starts_with("https://") && url.len() <= 512));
    assert!(!claims.roles.is_empty() && claims.roles.is_sorted() && claims.exp_ms > NOW);
    for room in claims.rooms.keys().map(String::as_str).chain(["video_123"]) {
        let identity = Identity::for_room(claims, room);
        let json = serde_json::to_string(&identity).expect("an identity is JSON");
        // A socket's attachment has 2 KB, and keeps the rest for itself.
        assert!(json.len() <= 1_536, "{} bytes", json.len());
        assert_eq!(serde_json::from_str::<Identity>(&json).expect("it is read back"), identity);
        assert!(identity.role(None) > Role::Guest);
    }
    assert!(close_reason(true, claims.exp_ms).len() <= 123);
}
