//! Which role may do what, in one place.

use crate::auth::Role;
use crate::protocol::{ChatError, ErrorCode};

/// What somebody wants to do in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Send,
    SendSystem,
    SendAsUser,
    React,
    Configure,
    DeleteRoom,
    ReadStats,
}

fn forbidden(message: &str) -> ChatError {
    ChatError::new(ErrorCode::Forbidden, message)
}

/// Whether `role` may do `act` in a room that is `read_only` or not.
///
/// # Errors
/// `token_required` for guests, `forbidden` or `room_mode` for others.
pub(super) fn check(act: Act, role: Role, read_only: bool) -> Result<(), ChatError> {
    if role == Role::Guest {
        return Err(ChatError::new(ErrorCode::TokenRequired, "Sign in to do this; without a token one can only read."));
    }
    let moderator = role.at_least(Role::Moderator);
    match act {
        Act::Send | Act::React if read_only && !moderator => {
            Err(ChatError::new(ErrorCode::RoomMode, "The room is read-only for now."))
        }
        Act::Send | Act::React => Ok(()),
        Act::SendSystem | Act::SendAsUser if role != Role::Service => Err(forbidden("Only a service may do this.")),
        Act::SendSystem | Act::SendAsUser => Ok(()),
        Act::ReadStats if !moderator => Err(forbidden("Only moderators may see this.")),
        Act::ReadStats => Ok(()),
        Act::Configure | Act::DeleteRoom if !matches!(role, Role::Owner | Role::Admin | Role::Service) => {
            Err(forbidden("Only the room's owner, an admin or a service may do this."))
        }
        Act::Configure | Act::DeleteRoom => Ok(()),
    }
}

/// Whether somebody may make a message of an author with these roles a tombstone: one's own, or a moderator's act on
/// somebody of a lower role.
///
/// # Errors
/// `forbidden`.
pub(super) fn may_delete(role: Role, own: bool, author: &[Role]) -> Result<(), ChatError> {
    let author = author.iter().map(|role| role.rank()).max().unwrap_or_default();
    if own || (role.at_least(Role::Moderator) && role.rank() > author) {
        Ok(())
    } else {
        Err(forbidden("Only its author, or a moderator above the author, may delete a message."))
    }
}

/// What a viewer with `role` can do, as the join reply tells a page.
pub(super) fn can(role: Role, read_only: bool) -> Vec<&'static str> {
    let mut can = Vec::new();
    if check(Act::Send, role, read_only).is_ok() {
        can.extend(["send", "edit", "react", "type"]);
    }
    if role.at_least(Role::Moderator) {
        can.push("delete");
    }
    if check(Act::Configure, role, read_only).is_ok() {
        can.push("configure");
    }
    can
}
