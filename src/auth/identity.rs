//! Who somebody is in one room: what of a verified token travels on to the room and stays with a socket.

use super::{Claims, Role, effective};
use crate::protocol::{ChatError, ErrorCode};
use serde::{Deserialize, Serialize};

/// A verified user as one room knows them.
///
/// Serialised with one-letter names, since it rides in the identity header of every call inward and in each socket's
/// attachment: at most 1,536 bytes of JSON, so that an attachment of 2 KB has room for the rest. The receiver checks
/// nothing of it again but `exp_ms`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The token's `sub`, 1–255 bytes.
    #[serde(rename = "u")]
    pub user_id: String,
    /// The name to show, safe as HTML element content, 1–64 characters before escaping.
    #[serde(rename = "n")]
    pub username: String,
    /// An https URL of at most 512 bytes.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// The token's roles everywhere, never empty.
    #[serde(rename = "r")]
    pub roles: Vec<Role>,
    /// The role that the token grants in this room.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Role>,
    /// Since when the user follows the room, ms since 1970.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub followed_at: Option<u64>,
    /// Since when the user subscribes to it, ms since 1970.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub subscribed_at: Option<u64>,
    /// When the token ends, ms since 1970.
    #[serde(rename = "e")]
    pub exp_ms: u64,
    /// When it was made, ms since 1970, where it says so.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub iat_ms: Option<u64>,
}

impl Identity {
    /// What the claims say about their bearer in the room of this id.
    pub fn for_room(claims: &Claims, room_id: &str) -> Self {
        let grant = claims.rooms.get(room_id);
        Self {
            user_id: claims.sub.clone(),
            username: claims.username.clone(),
            avatar: claims.avatar.clone(),
            roles: claims.roles.clone(),
            grant: grant.and_then(|grant| grant.role),
            followed_at: grant.and_then(|grant| grant.followed_at),
            subscribed_at: grant.and_then(|grant| grant.subscribed_at),
            exp_ms: claims.exp_ms,
            iat_ms: claims.iat_ms,
        }
    }

    /// The role that counts, given the one that the room itself gave.
    pub fn role(&self, room_role: Option<Role>) -> Role {
        effective(&self.roles, self.grant, room_role)
    }

    /// Whether the token is a back end's or an admin's, wherever: they make rooms without limit, and say much at once.
    pub fn is_back_end(&self) -> bool {
        self.roles.iter().any(|role| matches!(role, Role::Service | Role::Admin))
    }

    /// Whether the token's time is over at `now_ms`.
    pub fn expired(&self, now_ms: u64) -> bool {
        now_ms >= self.exp_ms
    }

    /// The one of two identities (of the upgrade and of `join_room`, or before and after a refresh) that lasts longer.
    ///
    /// # Errors
    /// `token_mismatch` where they are of different users.
    pub fn longer(self, other: Identity) -> Result<Identity, ChatError> {
        if self.user_id != other.user_id {
            return Err(ChatError::new(
                ErrorCode::TokenMismatch,
                "The two tokens belong to different users. Open another connection for the other user.",
            ));
        }
        Ok(if other.exp_ms >= self.exp_ms { other } else { self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::RoomGrant;
    use std::collections::BTreeMap;

    fn claims(sub: &str, exp_ms: u64) -> Claims {
        let grant =
            RoomGrant { role: Some(Role::Moderator), followed_at: Some(u64::MAX), subscribed_at: Some(u64::MAX) };
        Claims {
            sub: sub.to_owned(),
            username: "Ada".to_owned(),
            avatar: None,
            roles: vec![Role::Member],
            rooms: BTreeMap::from([("video_1".to_owned(), grant)]),
            exp_ms,
            iat_ms: None,
        }
    }

    #[test]
    fn a_grant_counts_in_its_room_alone() {
        let claims = claims("u1", 5);
        assert_eq!(Identity::for_room(&claims, "video_1").role(None), Role::Moderator);
        assert_eq!(Identity::for_room(&claims, "video_2").role(None), Role::Member);
        assert_eq!(Identity::for_room(&claims, "video_2").role(Some(Role::Owner)), Role::Owner);
    }

    #[test]
    fn a_token_ends_at_its_exp_not_after() {
        let identity = Identity::for_room(&claims("u1", 5_000), "r");
        assert!(!identity.expired(4_999));
        assert!(identity.expired(5_000));
    }

    #[test]
    fn of_two_tokens_the_later_counts_and_two_users_do_not_mix() {
        let of = |sub, exp| Identity::for_room(&claims(sub, exp), "r");
        assert_eq!(of("u1", 5).longer(of("u1", 9)).unwrap().exp_ms, 9);
        assert_eq!(of("u1", 9).longer(of("u1", 5)).unwrap().exp_ms, 9);
        assert_eq!(of("u1", 5).longer(of("u2", 9)).unwrap_err().code, ErrorCode::TokenMismatch);
    }

    #[test]
    fn the_largest_identity_fits_an_attachment() {
        let mut claims = claims(&"\\".repeat(255), u64::MAX);
        claims.iat_ms = Some(u64::MAX);
        claims.username = crate::content::username(&"&".repeat(64)).unwrap();
        claims.avatar = crate::content::avatar(&format!("https://e.x/?{}", "'".repeat(160)));
        assert!(claims.avatar.as_ref().is_some_and(|avatar| avatar.len() > 480));
        claims.roles = vec![Role::Guest, Role::Member, Role::Moderator, Role::Service, Role::Owner, Role::Admin];
        let identity = Identity::for_room(&claims, "video_1");
        let json = serde_json::to_string(&identity).unwrap();
        assert!(json.len() <= 1_536, "{} bytes", json.len());
        assert_eq!(serde_json::from_str::<Identity>(&json).unwrap(), identity);
    }
}
