//! Which role may do what to whom: one table, and the two rules beside it.

use crate::auth::Role;
use crate::protocol::{ChatError, ErrorCode};

/// What somebody wants to do in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Say something, edit what one said.
    Send,
    /// React to a message.
    React,
    /// Say something of type `system`.
    SendSystem,
    /// Speak in another's name.
    SendAsUser,
    /// Make another's message a tombstone.
    DeleteOthers,
    /// Make all of somebody's messages, or the room's, tombstones.
    DeleteMany,
    /// Pin and unpin messages.
    Pin,
    /// Speak in the room's name.
    Announce,
    /// Ban, time out, unban; see who is banned.
    Ban,
    /// See what the filters held, allow and deny it.
    ReviewHeld,
    /// See, try and set the room's words and phrases.
    SetTerms,
    /// Set the room's modes: read-only, slow, links and the like, and what the filters do.
    SetModes,
    /// Set everything else of the room.
    Configure,
    /// Give and take roles.
    SetRole,
    /// Delete the room.
    DeleteRoom,
    /// See the room's counters.
    ReadStats,
    /// See who did what to whom.
    ReadAudit,
    /// Take all of the room out as a file.
    Export,
    /// Tell moderators of a message.
    Report,
    /// See reports and decide them.
    ReviewReports,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What.
    pub action: Action,
    /// As the documentation calls it.
    pub name: &'static str,
    /// From which role on; none where only services may.
    pub from: Option<Role>,
    /// Whether a service may.
    pub service: bool,
}

const fn rule(action: Action, name: &'static str, from: Option<Role>, service: bool) -> Rule {
    Rule { action, name, from, service }
}

const MEMBER: Option<Role> = Some(Role::Member);
const MODERATOR: Option<Role> = Some(Role::Moderator);
const OWNER: Option<Role> = Some(Role::Owner);

/// Who may do what. Nobody acts on their equal or better: that is [`may_act_on`].
pub const TABLE: &[Rule] = &[
    rule(Action::Send, "send, edit one's own", MEMBER, true),
    rule(Action::React, "react", MEMBER, true),
    rule(Action::SendSystem, "send as type system", None, true),
    rule(Action::SendAsUser, "send in another's name", None, true),
    rule(Action::DeleteOthers, "delete another's message", MODERATOR, true),
    rule(Action::DeleteMany, "delete all of a user's messages, clear the room", MODERATOR, true),
    rule(Action::Pin, "pin and unpin", MODERATOR, true),
    rule(Action::Announce, "announce", MODERATOR, true),
    rule(Action::Ban, "ban, time out, unban, list bans", MODERATOR, true),
    rule(Action::ReviewHeld, "see, allow and deny held messages", MODERATOR, true),
    rule(Action::SetTerms, "see, try and set the terms", MODERATOR, true),
    rule(Action::SetModes, "set the room's modes", MODERATOR, true),
    rule(Action::Configure, "change name and settings", OWNER, true),
    rule(Action::SetRole, "give and take roles", OWNER, true),
    rule(Action::DeleteRoom, "delete the room", OWNER, true),
    rule(Action::ReadStats, "read the counters", MODERATOR, true),
    rule(Action::ReadAudit, "read the audit", MODERATOR, true),
    rule(Action::Export, "export the room", OWNER, true),
    rule(Action::Report, "report messages", MEMBER, true),
    rule(Action::ReviewReports, "see and decide reports", MODERATOR, true),
];

fn forbidden(message: &str) -> ChatError {
    ChatError::new(ErrorCode::Forbidden, message)
}

/// Whether the table lets `role` do `action`.
pub fn allows(action: Action, role: Role) -> bool {
    TABLE.iter().filter(|rule| rule.action == action).any(|rule| match role {
        Role::Service => rule.service,
        role => rule.from.is_some_and(|from| role.at_least(from)),
    })
}

/// Whether `role` may do `action` in a room that is `read_only` or not.
///
/// # Errors
/// `token_required` for guests, `forbidden` or `room_mode` for others.
pub(super) fn check(action: Action, role: Role, read_only: bool) -> Result<(), ChatError> {
    if role == Role::Guest {
        return Err(ChatError::new(ErrorCode::TokenRequired, "Sign in to do this; without a token one can only read."));
    }
    if !allows(action, role) {
        return Err(forbidden("Your role in this room does not allow this."));
    }
    if read_only && matches!(action, Action::Send | Action::React) && !role.at_least(Role::Moderator) {
        return Err(ChatError::new(ErrorCode::RoomMode, "The room is read-only for now."));
    }
    Ok(())
}

/// Whether somebody may act on somebody of this role: nobody acts on their equal or better.
///
/// # Errors
/// `forbidden`.
pub(super) fn may_act_on(role: Role, target: Role) -> Result<(), ChatError> {
    if role.rank() > target.rank() { Ok(()) } else { Err(forbidden("Nobody acts on their equal or better.")) }
}

/// Whether somebody may make a message of an author with these roles a tombstone: one's own, or a moderator's act on
/// somebody of a lower role.
///
/// # Errors
/// `forbidden`.
pub(super) fn may_delete(role: Role, own: bool, author: &[Role]) -> Result<(), ChatError> {
    if own {
        return Ok(());
    }
    if !allows(Action::DeleteOthers, role) {
        return Err(forbidden("Only its author, or a moderator above the author, may delete a message."));
    }
    may_act_on(role, author.iter().copied().max().unwrap_or(Role::Member))
}

/// What a viewer with `role` can do, as the join reply tells a page.
pub(crate) fn can(role: Role, read_only: bool) -> Vec<&'static str> {
    let mut can = Vec::new();
    if check(Action::Send, role, read_only).is_ok() {
        can.extend(["send", "edit", "react", "type"]);
    }
    let acts = [
        (Action::Report, "report"),
        (Action::DeleteOthers, "delete"),
        (Action::DeleteMany, "delete_many"),
        (Action::Pin, "pin"),
        (Action::Announce, "announce"),
        (Action::Ban, "ban"),
        (Action::ReviewHeld, "review_held"),
        (Action::SetTerms, "set_terms"),
        (Action::SetModes, "set_modes"),
        (Action::Configure, "configure"),
        (Action::SetRole, "set_role"),
        (Action::ReadAudit, "read_audit"),
        (Action::ReviewReports, "review_reports"),
    ];
    can.extend(acts.into_iter().filter(|(action, _)| allows(*action, role)).map(|(_, name)| name));
    can
}
