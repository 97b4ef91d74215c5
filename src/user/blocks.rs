//! Whom somebody blocks, as rooms need it: a set of 64-bit hashes, so that a thousand of them are 8 KB.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The hash under which a user is blocked; the same in every build, since rooms keep it.
pub fn hash(user_id: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(user_id).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// A set of users that somebody does not want to hear. As JSON a base64 text, 11 characters a user at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Blocks(Vec<u64>);

impl Blocks {
    /// Nobody.
    pub const NONE: &Blocks = &Blocks(Vec::new());

    /// These users.
    pub fn of<'a>(users: impl IntoIterator<Item = &'a str>) -> Self {
        Self::sorted(users.into_iter().map(hash).collect())
    }

    /// The users with these hashes.
    pub fn of_hashes(hashes: impl IntoIterator<Item = u64>) -> Self {
        Self::sorted(hashes.into_iter().collect())
    }

    fn sorted(mut hashes: Vec<u64>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes)
    }

    /// The hashes of all of them, ascending.
    pub fn hashes(&self) -> &[u64] {
        &self.0
    }

    /// Whether nobody is blocked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this user is blocked.
    pub fn has(&self, user_id: &str) -> bool {
        !self.is_empty() && self.has_hash(hash(user_id))
    }

    /// Whether the user with this [`hash`] is blocked.
    pub fn has_hash(&self, hash: u64) -> bool {
        self.0.binary_search(&hash).is_ok()
    }
}

impl From<Blocks> for String {
    fn from(blocks: Blocks) -> Self {
        let bytes: Vec<u8> = blocks.0.iter().flat_map(|hash| hash.to_be_bytes()).collect();
        Base64UrlUnpadded::encode_string(&bytes)
    }
}

impl TryFrom<String> for Blocks {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = Base64UrlUnpadded::decode_vec(&text).map_err(|_| "not base64")?;
        let hashes = bytes.chunks(8).map(|chunk| chunk.try_into().map(u64::from_be_bytes).map_err(|_| "cut short"));
        hashes.collect::<Result<_, _>>().map(Self::sorted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_knows_its_users_before_and_after_json() {
        let names: Vec<_> = (0..1_000).map(|n| format!("user {n}")).collect();
        let blocks = Blocks::of(names.iter().map(String::as_str));
        let json = serde_json::to_string(&blocks).unwrap();
        assert!(json.len() < 11_000, "{} bytes", json.len());
        let back: Blocks = serde_json::from_str(&json).unwrap();
        assert_eq!(back, blocks);
        assert!(names.iter().all(|name| back.has(name)) && !back.has("user 1000") && !back.has(""));
        assert!(!Blocks::NONE.has("user 1") && serde_json::to_string(Blocks::NONE).unwrap() == "\"\"");
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in ["\"?\"", "\"AAAA\"", "7"] {
            assert!(serde_json::from_str::<Blocks>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_hash_is_what_rooms_have_stored() {
        assert_eq!(hash("ada"), 0xfdee_430d_40bd_57de);
    }
}
