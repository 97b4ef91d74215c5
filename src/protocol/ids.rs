//! Ids as validated types: constructing one is the only check there is.

use super::{ChatError, ErrorCode};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use uuid::{Builder, Uuid};

/// A room's name for ever: 1–200 bytes of `A-Z a-z 0-9 _ . : -`, case kept. It is its object's name too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomId(String);

/// What the id of a direct room begins with; a hash of 43 base64url characters follows.
const DIRECT: &str = "dm:";

fn invalid_room_id() -> ChatError {
    let message = "A room id is 1 to 200 characters out of A-Z a-z 0-9 _ . : - and does not begin with dm:";
    ChatError::new(ErrorCode::InvalidRoomId, message).field("room_id")
}

impl RoomId {
    /// Checks an id from outside.
    ///
    /// # Errors
    /// `invalid_room_id` for another length or alphabet, and for `dm:` before anything but the hash of a direct room.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        let in_hash = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        let allowed = |b: u8| in_hash(b) || matches!(b, b'.' | b':');
        let wrong_direct = |hash: &str| hash.len() != 43 || !hash.bytes().all(in_hash);
        let wrong = text.is_empty() || text.len() > 200 || !text.bytes().all(allowed);
        if wrong || text.strip_prefix(DIRECT).is_some_and(wrong_direct) {
            return Err(invalid_room_id());
        }
        Ok(Self(text.to_owned()))
    }

    /// Checks an id that somebody wants for a new room: those of direct rooms are the service's own.
    ///
    /// # Errors
    /// `invalid_room_id`.
    pub fn wanted(text: &str) -> Result<Self, ChatError> {
        Self::parse(text).and_then(|id| if id.is_direct() { Err(invalid_room_id()) } else { Ok(id) })
    }

    /// The room of these two users, whoever is named first.
    pub fn direct(one: &str, other: &str) -> Self {
        let mut hasher = Sha256::new();
        for id in [one.min(other), one.max(other)] {
            hasher.update(u64::try_from(id.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(id);
        }
        let hash: [u8; 32] = hasher.finalize().into();
        Self(format!("{DIRECT}{}", Base64UrlUnpadded::encode_string(&hash)))
    }

    /// Whether it is the id of a direct room.
    pub fn is_direct(&self) -> bool {
        self.0.starts_with(DIRECT)
    }

    /// A new id: the room's type and a UUID version 7 of `now` (ms).
    pub fn fresh(kind: &str, now: u64, entropy: &[u8; 32]) -> Result<Self, ChatError> {
        let [a, b, c, d, e, f, g, h, i, j, ..] = *entropy;
        let uuid = Builder::from_unix_timestamp_millis(now, &[a, b, c, d, e, f, g, h, i, j]).into_uuid();
        Self::parse(&format!("{kind}_{uuid}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RoomId {
    type Error = ChatError;
    fn try_from(text: String) -> Result<Self, ChatError> {
        Self::parse(&text)
    }
}

impl From<RoomId> for String {
    fn from(id: RoomId) -> String {
        id.0
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user's id as the token's `sub` has it: 1–255 bytes, opaque.
pub type UserId = String;

/// A message's id: a UUID version 7 whose time is the message's and whose last 40 bits hold its `seq`, so that
/// the room finds it without an index. Ids are compared whole, never by `seq` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, format = "uuid"))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MessageId(#[cfg_attr(test, schemars(with = "String"))] Uuid);

impl MessageId {
    /// The id of the message with this `seq` (< 2^40) at `now` (ms); `entropy` fills what is left.
    pub fn new(now: u64, seq: u64, entropy: &[u8; 32]) -> Self {
        let [.., s0, s1, s2, s3, s4] = seq.to_be_bytes();
        let [e0, e1, e2, e3, e4, ..] = *entropy;
        Self(Builder::from_unix_timestamp_millis(now, &[e0, e1, e2, e3, e4, s0, s1, s2, s3, s4]).into_uuid())
    }

    /// Reads an id; anything that is not a UUID in its usual form is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten().map(Self)
    }

    /// Whether a room may have made it. One that was taken over from another service has any UUID.
    pub fn is_of_a_room(&self) -> bool {
        self.0.get_version_num() == 7
    }

    /// The `seq` that the id claims.
    pub fn seq(&self) -> u64 {
        let [.., s0, s1, s2, s3, s4] = *self.0.as_bytes();
        u64::from_be_bytes([0, 0, 0, s0, s1, s2, s3, s4])
    }

    /// The time that the id claims, ms since 1970.
    pub fn time(&self) -> u64 {
        let [t0, t1, t2, t3, t4, t5, ..] = *self.0.as_bytes();
        u64::from_be_bytes([0, 0, t0, t1, t2, t3, t4, t5])
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl Serialize for MessageId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a message id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_room_is_one_from_both_sides_and_nobody_elses() {
        let room = RoomId::direct("ada", "bob");
        assert_eq!(room, RoomId::direct("bob", "ada"));
        assert_ne!(room, RoomId::direct("ad", "abob"));
        assert_ne!(room, RoomId::direct("ada", "bo"));
        assert_eq!(room.as_str(), "dm:R5bo5yXdP3IlhmCwAry5W8Grkw5VJZQAEiWAio5z-60");
        assert_eq!(RoomId::parse(room.as_str()), Ok(room.clone()));
        assert!(RoomId::wanted(room.as_str()).is_err() && RoomId::wanted("video_1").is_ok());
        let cut: String = room.as_str().chars().take(45).collect();
        for text in [cut, format!("{room}A"), format!("dm:{}", ".".repeat(43)), "dm:".into()] {
            assert!(RoomId::parse(&text).is_err(), "{text}");
        }
    }
}
