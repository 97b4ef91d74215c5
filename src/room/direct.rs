//! Rooms of two users: who they are, and whether one of them shuts the other out.

use super::message::Sender;
use super::{Failure, KEY_SHUT, Room};
use crate::auth::{Identity, Role};
use crate::content;
use crate::protocol::call::{SendBody, Standing};
use crate::protocol::{ChatError, ErrorCode, RoomInfo, RoomType, UserId, Visibility};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one of the two last said of the other.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Shut {
    /// The user's [`Standing::version`].
    version: u64,
    blocks: bool,
}

/// A new room as one of these two, and the roles it begins with.
pub(super) fn between(mut info: RoomInfo, two: &[UserId; 2]) -> (RoomInfo, BTreeMap<UserId, Role>) {
    info.owner_id = None;
    info.settings.visibility = Visibility::Private;
    info.settings.guests = false;
    (info, two.iter().map(|id| (id.clone(), Role::Member)).collect())
}

/// The refusal where one of the two blocks the other; which of them it was is not told.
pub(crate) fn blocked() -> ChatError {
    ChatError::new(ErrorCode::Blocked, "One of you blocks the other: nothing can be said between you.")
}

/// What is said of a room that is not there, and to all but its two of a direct room that is.
pub(crate) fn no_room() -> ChatError {
    ChatError::new(ErrorCode::RoomNotFound, "There is no such room.")
}

impl Room {
    /// Whether it is a direct room.
    pub fn is_direct(&self) -> bool {
        self.info.kind == RoomType::Direct
    }

    /// The two users of a direct room; none in other rooms.
    pub fn two(&self) -> Option<[&UserId; 2]> {
        let mut members = self.roles.keys();
        match (self.is_direct(), members.next(), members.next()) {
            (true, Some(one), Some(other)) => Some([one, other]),
            _ => None,
        }
    }

    /// Whether this user is one of a direct room's two.
    pub(super) fn is_one_of_two(&self, user_id: &str) -> bool {
        self.is_direct() && self.roles.contains_key(user_id)
    }

    /// Takes over whether a member blocks the other, where that is newer than what is known; what is to be kept of it.
    pub fn shuts(&mut self, user_id: &str, standing: &Standing) -> Option<(String, Option<String>)> {
        let [one, other] = self.two()?;
        let other = if one == user_id { other } else { one };
        if !self.is_one_of_two(user_id) {
            return None;
        }
        let now = Shut { version: standing.version, blocks: standing.blocks.has(other) };
        let known = self.shut.get(user_id).copied().unwrap_or_default();
        // Also where it says the same: else a late answer from between the two would count.
        if now.version <= known.version {
            return None;
        }
        self.shut.insert(user_id.to_owned(), now);
        Some((format!("{KEY_SHUT}{user_id}"), Some(crate::protocol::wire::json(&now))))
    }

    /// A member blocks the other, as PostgreSQL remembers it: whatever the user says after that is newer. What is to be kept.
    pub(super) fn shuts_again(&mut self, user_id: &str) -> (String, Option<String>) {
        let shut = Shut { version: 0, blocks: true };
        self.shut.insert(user_id.to_owned(), shut);
        (format!("{KEY_SHUT}{user_id}"), Some(crate::protocol::wire::json(&shut)))
    }

    /// Takes over a piece of state.
    pub(super) fn load_shut(shut: &mut BTreeMap<UserId, Shut>, user_id: &str, value: &str) -> Result<(), ()> {
        shut.insert(user_id.to_owned(), serde_json::from_str(value).map_err(|_| ())?);
        Ok(())
    }

    /// Whether anything may be said here; in other rooms than direct ones always.
    ///
    /// # Errors
    /// `blocked`.
    pub fn check_open(&self) -> Result<(), ChatError> {
        // One of the two was erased, where there are no two any more.
        let alone = self.is_direct() && self.two().is_none();
        if alone || self.shut.values().any(|shut| shut.blocks) { Err(blocked()) } else { Ok(()) }
    }

    /// What is kept of an encrypted message: its content and its tag.
    ///
    /// # Errors
    /// What is wrong with the form.
    pub(super) fn sealed(&self, content: &str, franking: Option<String>) -> Result<(String, String), ChatError> {
        Ok((content::sealed(content, |user| self.is_one_of_two(user))?, content::franking(franking)?))
    }

    /// What beside its content an encrypted message may have: nothing that could say what is in it.
    pub(super) fn check_bare(body: &SendBody) -> Result<(), ChatError> {
        let refused = |field: &str, message: &str| Err(ChatError::new(ErrorCode::BadRequest, message).field(field));
        if body.client_id.is_none() {
            return refused("client_id", "An encrypted message has a `client_id`: its tag is bound to it.");
        }
        let empty = match &body.metadata {
            None | Some(serde_json::Value::Null) => true,
            Some(value) => value.as_object().is_some_and(serde_json::Map::is_empty),
        };
        if !empty {
            return refused(
                "metadata",
                "An encrypted message has no `metadata`: everybody who keeps it could read that.",
            );
        }
        if !body.mentions.is_empty() {
            return refused("mentions", "An encrypted message has no `mentions`: they are inside.");
        }
        Ok(())
    }

    /// The role of one who may decide reports of a direct room without seeing anything else of it.
    ///
    /// # Errors
    /// That of [`Room::may_read`] for those who are not moderators everywhere.
    pub fn may_judge(&self, identity: Option<&Identity>, refusal: ChatError) -> Result<Role, ChatError> {
        let deleted = self.info.deleted_at.is_some();
        let role = identity.map_or(Role::Guest, |who| crate::auth::effective(&who.roles, None, None));
        if self.is_direct() && !deleted && role.at_least(Role::Moderator) { Ok(role) } else { Err(refusal) }
    }

    /// Whether this sender may do something to what is said in a direct room.
    pub(super) fn check_direct(&self, sender: &Sender<'_>) -> Result<(), Failure> {
        let outsider = |who: &Identity| self.is_direct() && !self.roles.contains_key(&who.user_id);
        if sender.identity.is_some_and(outsider) {
            return Err(no_room().into());
        }
        Ok(self.check_open()?)
    }
}
