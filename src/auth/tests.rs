//! Tokens of every algorithm, and each way in which one is refused.

use super::*;
use crate::protocol::ErrorCode::{self, TokenExpired, TokenInvalid};
use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::alg::{Ed25519, Es256, Hs256, Hs256Key};
use jwt_compact::jwk::JsonWebKey;
use jwt_compact::{Algorithm, AlgorithmSignature};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

const SECRET: &str = "0f8c51b7e6a94d23b0c7f1d2e3a4958670617283";
const NEXT_SECRET: &str = "9e107d9d372bb6826bd81d3542a419d6e4d909c2";
const NOW: u64 = 1_760_000_000_000;
const EXP: u64 = 1_760_000_060;

type EsKey = <Es256 as Algorithm>::SigningKey;
type EdKey = <Ed25519 as Algorithm>::SigningKey;

fn es_key() -> EsKey {
    EsKey::from_slice(&[7; 32]).unwrap()
}

fn ed_key() -> EdKey {
    EdKey::from_bytes(&[7; 32])
}

fn jwk(key: JsonWebKey<'_>, kid: Option<&str>) -> Value {
    let mut jwk = serde_json::to_value(key).unwrap();
    if let Some(kid) = kid {
        jwk["kid"] = json!(kid);
    }
    jwk
}

fn jwks() -> String {
    let es = jwk(es_key().verifying_key().into(), Some("es"));
    let ed = jwk((&ed_key().verifying_key()).into(), Some("ed"));
    json!({ "keys": [es, ed] }).to_string()
}

fn keys_of(set: &[(&str, &str)]) -> Result<Keys, String> {
    Keys::from_lookup(|name| set.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned()))
        .map_err(|error| error.to_string())
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let secrets = json!({ "next": NEXT_SECRET }).to_string();
    keys_of(&[("JWT_SECRET", SECRET), ("JWT_SECRETS", &secrets), ("JWT_PUBLIC_KEYS", &jwks())]).unwrap()
});

fn part(json: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(json.as_ref())
}

fn signed<A: Algorithm>(algorithm: &A, key: &A::SigningKey, header: &str, claims: &str) -> String {
    let data = format!("{}.{}", part(header), part(claims));
    let signature = algorithm.sign(key, data.as_bytes());
    format!("{data}.{}", part(signature.as_bytes()))
}

fn hs256(secret: &str, header: &str, claims: &str) -> String {
    signed(&Hs256, &Hs256Key::new(secret), header, claims)
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn with(claims: Value) -> String {
    let mut all = json!({ "sub": "u1", "exp": EXP });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    hs256(SECRET, HEADER, &all.to_string())
}

fn good(token: &str) -> Claims {
    verify(token, &KEYS, NOW).unwrap()
}

fn refusal(token: &str) -> (ErrorCode, String) {
    let error = verify(token, &KEYS, NOW).unwrap_err();
    for own in token.split('.').filter(|own| own.len() > 3) {
        assert!(!error.message.contains(own), "the sentence repeats the token: {}", error.message);
    }
    (error.code, error.message)
}

fn refused(token: &str, why: &str) {
    let (code, message) = refusal(token);
    assert_eq!(code, TokenInvalid, "{message}");
    assert!(message.contains(why), "{message:?} does not say {why:?}");
}

#[test]
fn every_algorithm_is_taken_with_its_key() {
    let claims = json!({ "sub": "u1", "exp": EXP }).to_string();
    for token in [
        hs256(SECRET, HEADER, &claims),
        hs256(SECRET, r#"{"alg":"HS256","kid":"unheard of"}"#, &claims),
        hs256(NEXT_SECRET, r#"{"alg":"HS256","kid":"next"}"#, &claims),
        signed(&Es256, &es_key(), r#"{"alg":"ES256","kid":"es"}"#, &claims),
        signed(&Ed25519, &ed_key(), r#"{"alg":"EdDSA","kid":"ed","typ":"application/at+jwt"}"#, &claims),
    ] {
        assert_eq!(good(&token).sub, "u1");
    }
}

/// Made with Node's crypto, by none of the code that checks them here.
#[test]
fn tokens_of_another_implementation_are_taken() {
    const JWKS: &str = r#"{"keys":[{"kty":"EC","x":"xhjAQl6gXagJjv7eNpZtdeYeuSaDnNQrmxflyMdRaBE","y":"BgHCD-pVdMogiZczfGthpLkr1EY0IYYY1etKMwqqopk","crv":"P-256","kid":"ec","use":"sig","alg":"ES256"},{"crv":"Ed25519","x":"uet9ctCTL2V_qBZ9LMWZE6pmaUZ_WcT78CVFEGCMgUo","kty":"OKP","kid":"ed"}]}"#;
    let claims = "eyJzdWIiOiJ1MSIsInVzZXJuYW1lIjoiQWRhIiwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjE3MDAwMDAwMDAsInJvbGVzIjpbIm1vZGVyYXRvciJdfQ";
    let keys = keys_of(&[("JWT_SECRET", SECRET), ("JWT_PUBLIC_KEYS", JWKS)]).unwrap();
    for (header, signature) in [
        ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "xTLrVg7q6dsLGy9VXhtbxzIxLRa49cvPie6tDcDt50U"),
        (
            "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImVjIn0",
            "apKPLQlbPRKaeMnk1Roziu8oRiAW0l1JoCR4ePZEod8wYKHiuEMZH27Y-5okRaHEU7tBzkcZ9vBwnQ9ELX705g",
        ),
        (
            "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6ImVkIn0",
            "KXQCogiqao6bwniVR5rRW8rA9zhfAx-2GbAaKg319X1ZGKLNksRPtL_3uMc2D_THoDiTFDd08ArjNcqkoFxxCQ",
        ),
    ] {
        let claims = verify(&format!("{header}.{claims}.{signature}"), &keys, NOW).unwrap();
        assert_eq!((claims.sub.as_str(), claims.username.as_str()), ("u1", "Ada"));
        assert_eq!((claims.roles, claims.exp_ms), (vec![Role::Moderator], 4_102_444_800_000));
    }
}

#[test]
fn the_key_fixes_the_algorithm() {
    let claims = json!({ "sub": "u1", "exp": EXP }).to_string();
    let unsigned = |header: &str| format!("{}.{}.", part(header), part(&claims));
    refused(&unsigned(r#"{"alg":"none"}"#), "alg");
    refused(&unsigned(r#"{"alg":"None","kid":"es"}"#), "alg");
    refused(&unsigned(HEADER), "signature");
    let es_point = es_key().verifying_key().to_encoded_point(false);
    for public in [es_point.as_bytes(), ed_key().verifying_key().as_bytes(), jwks().as_bytes()] {
        for kid in ["es", "ed"] {
            let header = json!({ "alg": "HS256", "kid": kid }).to_string();
            refused(&signed(&Hs256, &Hs256Key::new(public), &header, &claims), "alg");
        }
        refused(&signed(&Hs256, &Hs256Key::new(public), HEADER, &claims), "signature");
    }
    refused(&hs256(SECRET, r#"{"alg":"HS512"}"#, &claims), "alg");
    refused(&signed(&Es256, &es_key(), r#"{"alg":"EdDSA","kid":"es"}"#, &claims), "alg");
}

#[test]
fn a_kid_names_one_key() {
    let claims = json!({ "sub": "u1", "exp": EXP }).to_string();
    refused(&hs256(SECRET, r#"{"alg":"HS256","kid":"next"}"#, &claims), "signature");
    refused(&hs256(NEXT_SECRET, HEADER, &claims), "signature");
    let only_named = keys_of(&[("JWT_PUBLIC_KEYS", &jwks())]).unwrap();
    let error = verify(&hs256(SECRET, HEADER, &claims), &only_named, NOW).unwrap_err();
    assert!(error.message.contains("kid"), "{}", error.message);
    let unnamed = json!({ "keys": [jwk(es_key().verifying_key().into(), None)] }).to_string();
    let unnamed = keys_of(&[("JWT_PUBLIC_KEYS", &unnamed)]).unwrap();
    let token = signed(&Es256, &es_key(), r#"{"alg":"ES256"}"#, &claims);
    assert_eq!(verify(&token, &unnamed, NOW).unwrap().sub, "u1");
}

#[test]
fn what_was_changed_is_refused() {
    let token = with(json!({}));
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let forged = part(json!({ "sub": "u2", "exp": EXP }).to_string());
    refused(&format!("{header}.{forged}.{signature}"), "signature");
    let other_header = part(r#"{"typ":"JWT","alg":"HS256"}"#);
    refused(&format!("{other_header}.{claims}.{signature}"), "signature");
    refused(&format!("{header}.{claims}.{}", &signature[..40]), "signature");
}

/// The same bytes for a decoder that does not look at the bits that are left over.
fn not_canonical(signature: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = signature.split_at(signature.len() - 1);
    let at = ALPHABET.find(last).unwrap() + 1;
    format!("{rest}{}", &ALPHABET[at..=at])
}

#[test]
fn the_form_is_strict() {
    let token = with(json!({}));
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    for malformed in [
        String::new(),
        "..".to_owned(),
        "not a token".to_owned(),
        format!("{header}.{claims}"),
        format!("{token}."),
        format!("{token}.x"),
        format!("{token}="),
        format!("{header}=.{claims}.{signature}"),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{header}.{claims}.ab+/"),
        format!("{header}.{claims}.{}", not_canonical(signature)),
        format!("{}.{claims}.{signature}", part("{")),
        format!("{}.{claims}.{signature}", part(r#"{"typ":"JWT"}"#)),
        format!("{}.{claims}.{signature}", part(r#"{"alg":"none","alg":"HS256"}"#)),
        format!("{}.{claims}.{signature}", part(r#"{"alg":"HS256","cty":"JWT"}"#)),
        format!("Bearer {token}"),
    ] {
        refused(&malformed, "not a signed JWT");
    }
    let padding = "x".repeat(MAX_TOKEN_BYTES);
    refused(&with(json!({ "padding": padding })), "4,096");
    let long = with(json!({ "padding": "x".repeat(2_900) }));
    assert!(long.len() > 3_900 && long.len() <= MAX_TOKEN_BYTES);
    good(&long);
}

/// Signed as they stand, so that nothing but the form is wrong.
#[test]
fn parts_that_a_lax_decoder_would_take_are_refused_though_they_are_signed() {
    let claims = json!({ "sub": "u1", "exp": EXP }).to_string();
    let sign_text = |header: &str, claims: &str| {
        let data = format!("{header}.{claims}");
        let signature = Hs256.sign(&Hs256Key::new(SECRET), data.as_bytes());
        format!("{data}.{}", part(signature.as_bytes()))
    };
    let (h, c) = (part(HEADER), part(&claims));
    good(&sign_text(&h, &c));
    // Of lengths that leave bits over.
    let bits = |text: &str| {
        [text.to_owned(), format!("{text} "), format!("{text}  ")]
            .map(part)
            .into_iter()
            .find(|p| p.len() % 4 == 2)
            .unwrap()
    };
    let (spare_h, spare_c) = (bits(HEADER), bits(&claims));
    good(&sign_text(&spare_h, &spare_c));
    let (mut std_h, mut std_c) = (spare_h.clone(), spare_c.clone());
    std_h.push_str("==");
    std_c.push_str("==");
    for token in [
        sign_text(&not_canonical(&spare_h), &c),
        sign_text(&h, &not_canonical(&spare_c)),
        sign_text(&std_h, &c),
        sign_text(&h, &std_c),
        sign_text(&format!("{h}\n"), &c),
        sign_text(&h, &format!(" {c}")),
        sign_text(&format!("{}\r\n{}", &h[..8], &h[8..]), &c),
        sign_text(&h, &format!("{}%3D", c)),
    ] {
        assert_eq!(refusal(&token).0, TokenInvalid, "{token}");
    }
    // Which of two a reader takes is anybody's guess (RFC 8725, 2.4).
    for twice in [
        r#"{"sub":"u1","sub":"u2","exp":1760000060}"#,
        r#"{"sub":"u1","exp":1760000060,"roles":["member"],"roles":["admin"]}"#,
        r#"{"sub":"u1","exp":1760000060,"nbf":1,"nbf":2}"#,
        r#"{"sub":"u1","exp":1760000060,"aud":"a","aud":"b"}"#,
        r#"{"sub":"u1","exp":1760000060,"rooms":{"video_1":"member","video_1":"owner"}}"#,
        r#"{"sub":"u1","exp":1760000060,"rooms":{"video_1":{"role":"member","role":"owner"}}}"#,
    ] {
        refused(&hs256(SECRET, HEADER, twice), "wrong types");
    }
    for header in [r#"{"alg":"HS256","kid":"a","kid":"next"}"#, r#"{"alg":"HS256","alg":"HS256"}"#] {
        refused(&hs256(SECRET, header, &claims), "not a signed JWT");
    }
    for alg in ["hs256", "HS256 ", "HMAC", ""] {
        refused(&hs256(SECRET, &json!({ "alg": alg }).to_string(), &claims), "alg");
    }
}

/// Signatures that careless verifiers take for any message.
#[test]
fn signatures_of_nothing_are_refused() {
    let claims = json!({ "sub": "u1", "exp": EXP }).to_string();
    let with_signature =
        |header: &str, signature: &[u8]| format!("{}.{}.{}", part(header), part(&claims), part(signature));
    let (es, ed) = (r#"{"alg":"ES256","kid":"es"}"#, r#"{"alg":"EdDSA","kid":"ed"}"#);
    let mut identity = [0; 64];
    identity[0] = 1;
    for signature in [&[0; 64][..], &[0xff; 64], &identity, &[]] {
        for header in [es, ed, HEADER] {
            refused(&with_signature(header, signature), "signature");
        }
    }
    // ES256 in DER, as other formats have it, and an Ed25519 signature with S + L for S.
    let data = format!("{}.{}", part(es), part(&claims));
    let der = Es256.sign(&es_key(), data.as_bytes()).to_der();
    refused(&with_signature(es, der.as_bytes()), "signature");
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let data = format!("{}.{}", part(ed), part(&claims));
    let mut signature: Vec<u8> = Ed25519.sign(&ed_key(), data.as_bytes()).as_bytes().to_vec();
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    refused(&with_signature(ed, &signature), "signature");
}

#[test]
fn a_header_brings_no_key_and_demands_nothing() {
    let claims = json!({ "sub": "u1", "exp": EXP }).to_string();
    let own_key = jwk(es_key().verifying_key().into(), None);
    let thumbprint = part([1; 20]);
    let long_thumbprint = part([1; 32]);
    for (extra, why) in [
        (json!({ "jwk": own_key }), "brings a key"),
        (json!({ "jku": "https://e.org/jwks" }), "brings a key"),
        (json!({ "x5u": "https://e.org/cert" }), "brings a key"),
        (json!({ "x5c": ["MII"] }), "brings a key"),
        (json!({ "x5t": thumbprint }), "brings a key"),
        (json!({ "x5t#S256": long_thumbprint }), "brings a key"),
        (json!({ "crit": ["exp"] }), "crit"),
        (json!({ "crit": null }), "crit"),
        (json!({ "typ": "logout+jwt" }), "typ"),
        (json!({ "typ": "dpop+jwt" }), "typ"),
    ] {
        let mut header = json!({ "alg": "HS256" });
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        refused(&hs256(SECRET, &header.to_string(), &claims), why);
    }
    good(&hs256(SECRET, r#"{"alg":"HS256","typ":"jwt","something":"else"}"#, &claims));
}

#[test]
fn times_are_kept_to_the_millisecond() {
    let at = |claims: Value, now: u64| verify(&with(claims), &KEYS, now).map_err(|error| error.code);
    assert_eq!(at(json!({}), EXP * 1_000 - 1).unwrap().exp_ms, EXP * 1_000);
    assert_eq!(at(json!({}), EXP * 1_000), Err(TokenExpired));
    assert_eq!(at(json!({ "exp": 0 }), NOW), Err(TokenExpired));
    assert_eq!(at(json!({ "exp": -1 }), NOW), Err(TokenExpired));
    assert_eq!(at(json!({ "exp": EXP as f64 + 0.5 }), NOW).unwrap().exp_ms, EXP * 1_000);
    for (claim, other) in [("nbf", "iat"), ("iat", "nbf")] {
        let ahead = |s: u64| json!({ claim: NOW / 1_000 + s, other: NOW / 1_000 });
        assert!(at(ahead(30), NOW).is_ok());
        assert_eq!(at(ahead(31), NOW), Err(TokenInvalid));
    }
    assert_eq!(good(&with(json!({ "iat": 1_759_999_999 }))).iat_ms, Some(1_759_999_999_000));
    assert_eq!(good(&with(json!({}))).iat_ms, None);
    refused(&hs256(SECRET, HEADER, r#"{"sub":"u1"}"#), "exp");
    for exp in [json!(null), json!("1760000060"), json!(1e300), json!([])] {
        refused(&with(json!({ "exp": exp })), "wrong types");
    }
    refused(&hs256(SECRET, HEADER, r#"{"sub":"u1","exp":1,"exp":1760000060}"#), "wrong types");
}

#[test]
fn an_expired_forgery_is_a_forgery() {
    let claims = json!({ "sub": "u1", "exp": 1 }).to_string();
    refused(&hs256(NEXT_SECRET, HEADER, &claims), "signature");
}

#[test]
fn a_sub_is_needed_and_bounded() {
    assert_eq!(good(&with(json!({ "sub": "x".repeat(255) }))).sub.len(), 255);
    for sub in [json!(""), json!("x".repeat(256)), json!("é".repeat(128)), json!("a\0b"), json!("a\nb"), json!(null)] {
        refused(&with(json!({ "sub": sub })), "sub");
    }
    refused(&with(json!({ "sub": 42 })), "wrong types");
}

#[test]
fn issuer_and_audience_are_checked_where_they_are_set() {
    let keys =
        keys_of(&[("JWT_SECRET", SECRET), ("JWT_ISSUER", "https://id.e.org"), ("JWT_AUDIENCE", "chat")]).unwrap();
    let check = |claims: Value| verify(&with(claims), &keys, NOW).map_err(|error| error.message);
    assert!(check(json!({ "iss": "https://id.e.org", "aud": "chat" })).is_ok());
    assert!(check(json!({ "iss": "https://id.e.org", "aud": ["shop", "chat"] })).is_ok());
    assert!(check(json!({ "iss": "https://id.e.org", "aud": ["shop"] })).unwrap_err().contains("aud"));
    assert!(check(json!({ "iss": "https://id.e.org", "aud": "chat2" })).unwrap_err().contains("aud"));
    assert!(check(json!({ "iss": "https://id.e.org" })).unwrap_err().contains("aud"));
    assert!(check(json!({ "iss": "https://id.e.org/", "aud": "chat" })).unwrap_err().contains("iss"));
    assert!(check(json!({ "aud": "chat" })).unwrap_err().contains("iss"));
    good(&with(json!({ "iss": "anybody", "aud": ["anything"] })));
    refused(&with(json!({ "aud": 5 })), "wrong types");
}

#[test]
fn roles_are_the_known_ones_or_member() {
    let roles = |claims| good(&with(claims)).roles;
    assert_eq!(roles(json!({})), [Role::Member]);
    assert_eq!(roles(json!({ "roles": null })), [Role::Member]);
    assert_eq!(roles(json!({ "roles": [] })), [Role::Member]);
    assert_eq!(roles(json!({ "roles": ["root", "ADMIN", 5, null] })), [Role::Member]);
    assert_eq!(roles(json!({ "roles": ["guest"] })), [Role::Guest]);
    assert_eq!(roles(json!({ "roles": ["admin", "editor", "moderator", "admin"] })), [Role::Moderator, Role::Admin]);
    refused(&with(json!({ "roles": "admin" })), "roles an array");
}

#[test]
fn rooms_grant_roles_and_remember_times() {
    let rooms = good(&with(json!({ "rooms": {
        "video_1": "moderator",
        "video_2": { "role": "owner", "followed_at": 1_750_000_000, "subscribed_at": 1_750_000_000.5 },
        "video_3": "emperor",
        "video_4": { "followed_at": -5 },
    } })))
    .rooms;
    let none = RoomGrant { role: None, followed_at: None, subscribed_at: None };
    assert_eq!(rooms["video_1"], RoomGrant { role: Some(Role::Moderator), ..none });
    let owner = RoomGrant {
        role: Some(Role::Owner),
        followed_at: Some(1_750_000_000_000),
        subscribed_at: Some(1_750_000_000_500),
    };
    assert_eq!(rooms["video_2"], owner);
    assert_eq!(rooms["video_3"], none);
    assert_eq!(rooms["video_4"], RoomGrant { followed_at: Some(0), ..none });
    refused(&with(json!({ "rooms": ["video_1"] })), "rooms an object");
    refused(&with(json!({ "rooms": { "video_1": 5 } })), "rooms an object");
}

#[test]
fn names_and_avatars_are_made_safe() {
    let shown = |claims| {
        let claims = good(&with(claims));
        (claims.username, claims.avatar)
    };
    assert_eq!(shown(json!({ "username": "<b>Ada</b> & co" })).0, "Ada &amp; co");
    assert_eq!(shown(json!({ "username": " \u{202E} " })).0, "u1");
    assert_eq!(shown(json!({})).0, "u1");
    assert_eq!(shown(json!({ "sub": "<i></i>" })).0, "user");
    let avatar = "https://e.org/a.png";
    assert_eq!(shown(json!({ "avatar": avatar })).1.as_deref(), Some(avatar));
    assert_eq!(shown(json!({ "avatar": "javascript:alert(1)" })).1, None);
}

#[test]
fn keys_are_checked_before_they_are_believed() {
    let set = |keys: Value| keys_of(&[("JWT_PUBLIC_KEYS", &json!({ "keys": keys }).to_string())]);
    let es = jwk(es_key().verifying_key().into(), Some("es"));
    let changed = |member: &str, value: Value| {
        let mut key = es.clone();
        key[member] = value;
        json!([key])
    };
    assert!(set(json!([es])).is_ok());
    assert!(set(json!([es, { "kty": "RSA", "n": "AQAB", "e": "AQAB" }, { "kty": "EC", "crv": "P-384" }])).is_ok());
    for (keys, why) in [
        (json!([]), "no key that can be used"),
        (json!([{ "kty": "RSA", "n": "AQAB", "e": "AQAB" }]), "no key that can be used"),
        (changed("use", json!("enc")), "no key that can be used"),
        (changed("alg", json!("ES384")), "no key that can be used"),
        (changed("kid", json!(5)), "kid is not a name"),
        (changed("x", json!("AAAA")), "no point of the curve"),
        (changed("x", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")), "no point of the curve"),
        (changed("x", json!("not base64url!")), "not base64url"),
        (json!([{ "kty": "EC", "crv": "P-256", "x": es["x"] }]), "missing"),
        (json!([jwk((&es_key()).into(), None)]), "private key"),
        (json!([jwk((&ed_key()).into(), None)]), "private key"),
        (json!([{ "kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43) }]), "weak"),
        (json!([es, es]), "same kid"),
    ] {
        let sentence = set(keys).unwrap_err();
        assert!(sentence.contains("JWT_PUBLIC_KEYS") && sentence.contains(why), "{why}: {sentence}");
    }
    let secrets = json!({ "es": SECRET }).to_string();
    assert!(keys_of(&[("JWT_SECRETS", &secrets), ("JWT_PUBLIC_KEYS", &jwks())]).unwrap_err().contains("same kid"));
    assert!(!format!("{:?}", *KEYS).contains(&SECRET[..8]));
}

proptest! {
    #[test]
    fn anything_at_all_is_refused_without_a_panic(text in "\\PC{0,80}", parts in proptest::collection::vec("[A-Za-z0-9_=+/-]{0,20}", 0..5)) {
        prop_assert!(verify(&text, &KEYS, NOW).is_err());
        prop_assert!(verify(&parts.join("."), &KEYS, NOW).is_err());
    }

    #[test]
    fn any_claims_that_are_signed_do_no_harm(claims in "\\{(\"(sub|exp|iat|nbf|roles|rooms|aud|username|avatar)\":(1760000060|-9e18|1e19|\"\\PC{0,8}\"|\\[\\]|\\{\\}|null),){0,6}\"exp\":1760000060\\}", header in "(\\{\"alg\":\"HS256\"(,\"(kid|typ|cty|x5t|crit)\":(\"\\PC{0,6}\"|1|null)){0,2}\\})") {
        let _ = verify(&hs256(SECRET, &header, &claims), &KEYS, NOW);
    }

    #[test]
    fn one_changed_character_breaks_a_token(at in 0usize..150, with in "[A-Za-z0-9_-]") {
        let token = super::tests::with(json!({ "username": "Ada" }));
        let mut changed = token.clone();
        let at = at % token.len();
        changed.replace_range(at..=at, &with);
        prop_assert!(changed == token || verify(&changed, &KEYS, NOW).is_err());
    }
}
