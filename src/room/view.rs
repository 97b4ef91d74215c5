//! What a viewer sees of an event: the one function that live fan-out, joins, resumes and history all go through.

use super::held::HeldData;
use crate::auth::Role;
use crate::protocol::act::Terms;
use crate::protocol::report::{ReportData, ReportId, ReportStatus};
use crate::protocol::wire::{self, Counts, Line, MessageData};
use crate::protocol::{Audience, Body, LogEvent, Mention, MessageId, Outcome, UserId, rfc3339};
use crate::user::Blocks;
use serde::Serialize;

/// Somebody who looks at a room's log.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a> {
    /// The user; none for a guest.
    pub user_id: Option<&'a str>,
    /// The role in this room.
    pub role: Role,
    /// Whom the user blocks.
    pub blocks: &'a Blocks,
}

impl Viewer<'_> {
    /// Who sees what all see, and no more.
    pub const PLAIN: Viewer<'static> = Viewer { user_id: None, role: Role::Guest, blocks: Blocks::NONE };
    /// Who sees what moderators see.
    pub const MODERATOR: Viewer<'static> = Viewer { user_id: None, role: Role::Moderator, blocks: Blocks::NONE };
}

/// An event that a viewer may see.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    event: &'a LogEvent,
    /// Whether a reason, and who acted, are for this viewer.
    moderator: bool,
}

/// What `viewer` sees of `event` at `now` (ms): nothing when it is for others, or not yet.
///
/// Moderators see at once what others see from `visible_at` on, and also whom they block: they could not keep order
/// otherwise.
pub fn view<'e>(event: &'e LogEvent, viewer: Viewer<'_>, now: u64) -> Option<Seen<'e>> {
    let moderator = viewer.role.at_least(Role::Moderator);
    let shown = match &event.body {
        Body::Gone { .. } | Body::QuotesForgotten { .. } | Body::Unknown(_) => false,
        // What was deleted before others than moderators saw it, they never see, nor that it was deleted.
        Body::NewMessage(message) => moderator || message.deleted_at.is_none_or(|at| at >= event.visible_at),
        Body::MessageDeleted { unseen, .. } => moderator || !unseen,
        Body::MessagesDeleted { message_ids, unseen, .. } => moderator || *unseen < message_ids.len(),
        _ => true,
    };
    let blocked = || event.body.author().is_some_and(|author| viewer.blocks.has(author));
    let in_time = moderator || (event.visible_at <= now && !blocked());
    (is_for(&event.audience, viewer) && shown && in_time).then_some(Seen { event, moderator })
}

/// Whether `viewer` is among those who may see it.
pub(super) fn is_for(audience: &Audience, viewer: Viewer<'_>) -> bool {
    let moderator = viewer.role.at_least(Role::Moderator);
    match audience {
        Audience::All => true,
        Audience::Moderators => moderator,
        Audience::User(user) => moderator || viewer.user_id == Some(user),
        Audience::Internal => false,
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "MessageEdited"))]
pub(crate) struct Edited<'a> {
    message_id: MessageId,
    room_id: &'a str,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    mentions: &'a [Mention],
    edited_at: String,
    user_id: &'a UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    franking: Option<&'a str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "MessageDeleted"))]
pub(crate) struct Deleted<'a> {
    message_id: MessageId,
    room_id: &'a str,
    no: u64,
    deleted_at: String,
    by: By<'a>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct By<'a> {
    user_id: &'a UserId,
    role: Role,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "MessagesDeleted"))]
pub(crate) struct DeletedMany<'a> {
    message_ids: &'a [MessageId],
    room_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a UserId>,
    deleted_at: String,
    by: By<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "MessagesExpired"))]
pub(crate) struct Expired<'a> {
    room_id: &'a str,
    before_no: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<&'a [MessageId]>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct UserErased<'a> {
    message_ids: &'a [MessageId],
    room_id: &'a str,
    tombstones: bool,
    mentioned_in: &'a [MessageId],
    reactions: &'a std::collections::BTreeMap<MessageId, Counts>,
    erased_at: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "UserBanned"))]
pub(crate) struct Banned<'a> {
    room_id: &'a str,
    user_id: &'a UserId,
    username: Option<&'a str>,
    ends_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<By<'a>>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "UserUnbanned"))]
pub(crate) struct Unbanned<'a> {
    room_id: &'a str,
    user_id: &'a UserId,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "MessagePinned"))]
pub(crate) struct Pinned<'a> {
    message_id: MessageId,
    room_id: &'a str,
    pinned: &'a [MessageId],
    by: By<'a>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ReactionUpdated"))]
pub(crate) struct Reactions<'a> {
    message_id: MessageId,
    room_id: &'a str,
    reactions: &'a Counts,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RoomUpdated<'a> {
    room_id: &'a str,
    name: &'a str,
    settings: &'a crate::protocol::RoomSettings,
    changed: &'a [String],
    updated_at: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RoleSet<'a> {
    room_id: &'a str,
    user_id: &'a UserId,
    role: Option<Role>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct HeldEnded<'a> {
    held_id: MessageId,
    room_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a UserId>,
}

/// The `terms_updated` event.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TermsUpdated<'a> {
    room_id: &'a str,
    #[serde(flatten)]
    terms: &'a Terms,
    by: By<'a>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ReportResolved"))]
pub(crate) struct Resolved<'a> {
    report_id: ReportId,
    message_id: MessageId,
    room_id: &'a str,
    status: ReportStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<&'a str>,
    resolved_at: String,
    resolved_by: &'a UserId,
}

impl Seen<'_> {
    /// Which of the event's lines this is, for who keeps lines: nearly all events have one, the same for everyone.
    pub fn variant(&self) -> (u64, bool) {
        let two = matches!(
            self.event.body,
            Body::Banned { .. } | Body::MessagesDeleted { .. } | Body::MessageHeld(_) | Body::HeldEnded { .. }
        );
        (self.event.seq, two && self.moderator)
    }

    /// The event as a line: the same for everyone who sees it, but that a reason and who banned are for moderators.
    pub fn line(&self, room_id: &str) -> Line {
        let moderator = self.moderator;
        let LogEvent { seq, at, body, .. } = self.event;
        let seq = Some(*seq);
        match body {
            Body::NewMessage(message) => {
                wire::event(seq, "new_message", &MessageData::new(room_id, *at, message, &Counts::new()))
            }
            Body::MessageEdited { message_id, content, text, mentions, user_id, franking, .. } => wire::event(
                seq,
                "message_edited",
                &Edited {
                    message_id: *message_id,
                    room_id,
                    content,
                    text: text.as_deref(),
                    mentions,
                    edited_at: rfc3339(*at),
                    user_id,
                    franking: franking.as_deref(),
                },
            ),
            Body::MessageDeleted { message_id, no, by, role, .. } => wire::event(
                seq,
                "message_deleted",
                &Deleted {
                    message_id: *message_id,
                    room_id,
                    no: *no,
                    deleted_at: rfc3339(*at),
                    by: By { user_id: by, role: *role },
                },
            ),
            Body::MessageHeld(held) => wire::event(seq, "message_held", &HeldData::new(room_id, *at, held, moderator)),
            Body::HeldEnded { held_id, outcome, message_id, by, reason, .. } => {
                let allowed = *outcome == Outcome::Allowed;
                let data = HeldEnded {
                    held_id: *held_id,
                    room_id,
                    message_id: *message_id,
                    outcome: (!allowed).then_some(*outcome),
                    reason: reason.as_deref(),
                    by: by.as_ref().filter(|_| moderator),
                };
                wire::event(seq, if allowed { "message_released" } else { "message_denied" }, &data)
            }
            Body::TermsUpdated { terms, by, role } => {
                let data = TermsUpdated { room_id, terms, by: By { user_id: by, role: *role } };
                wire::event(seq, "terms_updated", &data)
            }
            Body::MessagesDeleted { message_ids, unseen, user_id, by, role, reason } => wire::event(
                seq,
                "messages_deleted",
                &DeletedMany {
                    message_ids: message_ids.get(if moderator { 0 } else { *unseen }..).unwrap_or_default(),
                    room_id,
                    user_id: user_id.as_ref(),
                    deleted_at: rfc3339(*at),
                    by: By { user_id: by, role: *role },
                    reason: reason.as_deref().filter(|_| moderator),
                },
            ),
            Body::Banned { ban, role } => wire::event(
                seq,
                "user_banned",
                &Banned {
                    room_id,
                    user_id: &ban.user_id,
                    username: ban.username.as_deref(),
                    ends_at: ban.ends_at.map(rfc3339),
                    shadow: ban.shadow.then_some(true),
                    reason: ban.reason.as_deref().filter(|_| moderator),
                    by: moderator.then_some(By { user_id: &ban.by, role: *role }),
                },
            ),
            Body::Unbanned { user_id, .. } => wire::event(seq, "user_unbanned", &Unbanned { room_id, user_id }),
            Body::Pinned { message_id, unpinned, pinned, by, role } => wire::event(
                seq,
                if *unpinned { "message_unpinned" } else { "message_pinned" },
                &Pinned { message_id: *message_id, room_id, pinned, by: By { user_id: by, role: *role } },
            ),
            Body::Reaction { message_id, reactions, .. } => {
                wire::event(seq, "reaction_updated", &Reactions { message_id: *message_id, room_id, reactions })
            }
            Body::Room { room, changed, .. } => {
                let deleted = room.deleted_at.is_some();
                let name = if deleted { "room_deleted" } else { "room_updated" };
                let updated_at = rfc3339(room.updated_at);
                let data = RoomUpdated { room_id, name: &room.name, settings: &room.settings, changed, updated_at };
                wire::event(seq, name, &data)
            }
            Body::Role { user_id, role, .. } => {
                wire::event(seq, "role_set", &RoleSet { room_id, user_id, role: *role })
            }
            Body::Reported { report } => wire::event(seq, "message_reported", &ReportData::new(room_id, report)),
            Body::ReportResolved { report_id, message_id, status, resolution, by, .. } => wire::event(
                seq,
                "report_resolved",
                &Resolved {
                    report_id: *report_id,
                    message_id: *message_id,
                    room_id,
                    status: *status,
                    resolution: resolution.as_deref(),
                    resolved_at: rfc3339(*at),
                    resolved_by: by,
                },
            ),
            Body::MessagesExpired { before_no, pinned } => {
                let data = Expired { room_id, before_no: *before_no, pinned: pinned.as_deref() };
                wire::event(seq, "messages_expired", &data)
            }
            Body::UserErased { message_ids, tombstones, mentioned_in, reactions, quotes: _ } => wire::event(
                seq,
                "user_erased",
                &UserErased {
                    message_ids,
                    room_id,
                    tombstones: *tombstones,
                    mentioned_in,
                    reactions,
                    erased_at: rfc3339(*at),
                },
            ),
            Body::Gone { .. } | Body::QuotesForgotten { .. } | Body::Unknown(_) => wire::event(seq, "nothing", &()),
        }
    }
}
