//! What those who keep order can do, as frames and REST bodies have it.

use super::UserId;
use super::report::{Opening, ReportReason, ReportStatus};
use crate::auth::Role;
use crate::content::Action;
use serde::{Deserialize, Serialize};

macro_rules! acts {
    ($($(#[doc = $doc:literal])+ $variant:ident($body:ident) = $event:literal;)+) => {
        /// An act of moderation; the event that asks for it has the name in snake case.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "event", content = "data")]
        pub enum Act {
            $($(#[doc = $doc])+ #[serde(rename = $event)] $variant($body),)+
        }

        impl Act {
            /// Reads the act that an event asks for; none where the event is no act.
            ///
            /// # Errors
            /// As [`super::read`].
            pub fn parse(event: &str, data: &str) -> Option<Result<Self, super::ChatError>> {
                match event {
                    $($event => Some(super::read::<$body>(data).map(Self::$variant)),)+
                    _ => None,
                }
            }

            /// The name under which the audit keeps it.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $event,)+ }
            }

            /// Whether it can change what somebody is in the room, or that they may be there.
            pub const fn is_about_people(&self) -> bool {
                matches!(self, Self::Ban(_) | Self::Unban(_) | Self::SetRole(_))
            }

            /// The room that the frame names, if it names one.
            pub fn room_id(&self) -> Option<&str> {
                match self { $(Self::$variant(body) => body.room_id.as_deref(),)+ }
            }
        }
    };
}

acts! {
    /// Keeps a user out, for a while or for good.
    Ban(BanUser) = "ban_user";
    /// Lets a banned user in again.
    Unban(UserRef) = "unban_user";
    /// Makes all of a user's messages tombstones.
    DeleteMessages(UserRef) = "delete_user_messages";
    /// Makes all messages tombstones.
    Clear(Reasoned) = "clear_room";
    /// Shows a message above the others.
    Pin(PinRef) = "pin_message";
    /// Takes a pinned message down.
    Unpin(PinRef) = "unpin_message";
    /// Says something in the room's name.
    Announce(Announcement) = "announce";
    /// Gives a user a role in the room, or takes it away.
    SetRole(SetRole) = "set_role";
    /// Lets a message that waits be said.
    Allow(HeldRef) = "allow_message";
    /// Refuses a message that waits.
    Deny(HeldRef) = "deny_message";
    /// Sets the words and phrases that may not, or always may, be said.
    SetTerms(SetTerms) = "set_terms";
    /// Tells moderators of a message; for everyone who may read the room.
    Report(ReportMessage) = "report_message";
    /// Decides a report.
    ResolveReport(ResolveReport) = "resolve_report";
}

macro_rules! body {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub struct $name {
            /// The room, which has to be the socket's own where it is given.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub room_id: Option<String>,
            $($(#[$fdoc])* pub $field: $type,)*
        }
    };
}

body! {
    /// `ban_user`, and the body of `POST /api/rooms/{id}/ban`. A repeat replaces what was.
    BanUser {
        /// Whom.
        user_id: UserId,
        /// For how many seconds, 1–31,536,000; for good without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_s: Option<u64>,
        /// Why, at most 500 characters; told to moderators and to the user.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The user's messages of so many last seconds become tombstones, at most a week's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delete_messages_s: Option<u64>,
        /// The user stays and is told nothing, but nobody else sees what they say.
        #[serde(default)]
        shadow: bool,
    }
}
body! {
    /// A user, and why.
    UserRef {
        /// Whom.
        user_id: UserId,
        /// Why, at most 500 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }
}
body! {
    /// Why, and nothing more.
    Reasoned {
        /// Why, at most 500 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }
}
body! {
    /// A message to pin or unpin.
    PinRef {
        /// Which.
        message_id: String,
    }
}
body! {
    /// `announce`.
    Announcement {
        /// What is to be said.
        content: String,
    }
}
body! {
    /// `set_role`.
    SetRole {
        /// Whose.
        user_id: UserId,
        /// `member`, `moderator`, `owner`, or null for none.
        role: Option<Role>,
    }
}
body! {
    /// `report_message`.
    ReportMessage {
        /// Which message.
        message_id: String,
        /// Why.
        reason: ReportReason,
        /// More about it, at most 1,000 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<String>,
        /// Of an encrypted message, what it says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opened: Option<Opening>,
    }
}
body! {
    /// `resolve_report`.
    ResolveReport {
        /// Which report.
        report_id: String,
        /// `resolved` or `dismissed`.
        status: ReportStatus,
        /// What was done about it, at most 500 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resolution: Option<String>,
    }
}

/// The body of `POST /api/messages/{id}/report`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportBody {
    /// The message's room, where it is known: the report then needs no PostgreSQL.
    pub room_id: Option<String>,
    /// Why.
    pub reason: ReportReason,
    /// More about it, at most 1,000 characters.
    pub details: Option<String>,
    /// Of an encrypted message, what it says: without it moderators see none of it.
    pub opened: Option<Opening>,
}

/// The body of `PATCH /api/rooms/{id}/reports/{report}`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResolveBody {
    /// `resolved` or `dismissed`.
    pub status: ReportStatus,
    /// What was done about it, at most 500 characters.
    pub resolution: Option<String>,
}

body! {
    /// A message that waits for a moderator.
    HeldRef {
        /// The id under which it waits.
        held_id: String,
        /// Why it is refused, at most 500 characters; the author is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }
}
body! {
    /// `set_terms`, and the body of `PUT /api/rooms/{id}/terms`: all terms, instead of those that were.
    SetTerms {
        /// What may not be said.
        #[serde(default)]
        blocked: Vec<String>,
        /// What may be said, whatever the filters think of it.
        #[serde(default)]
        allowed: Vec<String>,
        /// What is done about a blocked one; `reject` without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<Action>,
    }
}

/// A room's own words and phrases; at most 500, of at most 64 characters each. `*` stands for letters of a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Terms {
    /// What may not be said.
    pub blocked: Vec<String>,
    /// What may be said, whatever the filters think of it.
    pub allowed: Vec<String>,
    /// What is done about a blocked one.
    pub action: Action,
}

impl Default for Terms {
    fn default() -> Self {
        Self { blocked: Vec::new(), allowed: Vec::new(), action: Action::Reject }
    }
}

/// The body of `POST /api/rooms/{id}/terms/test`: a message, and terms that are tried instead of the room's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TryTerms {
    /// What a member would say.
    pub content: String,
    /// Instead of the room's blocked terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Vec<String>>,
    /// Instead of the room's allowed terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Vec<String>>,
    /// Instead of the room's action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
}

/// The body of `POST /api/rooms/{id}/held/{held_id}/deny`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Denial {
    /// Why, at most 500 characters; the author is told.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The body of `PUT /api/rooms/{id}/roles/{user}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Appointed {
    /// `member`, `moderator` or `owner`, below one's own.
    pub role: Role,
}

/// A ban as the room keeps it. Times in ms since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Who is banned.
    pub user_id: UserId,
    /// Under which name, where it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the user is told nothing.
    #[serde(default)]
    pub shadow: bool,
    /// Since when.
    pub created_at: u64,
    /// Until when; for good without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<u64>,
    /// Who did it.
    pub by: UserId,
    /// As what; not known of older bans, and of those that PostgreSQL gave back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

impl Ban {
    /// Whether it holds at `now`.
    pub fn holds(&self, now: u64) -> bool {
        self.ends_at.is_none_or(|end| end > now)
    }

    /// Whether it binds somebody whose token gives this role: nobody acts on their equal or better, also where the ban
    /// was made while the user was away and the room did not know the token.
    pub fn binds(&self, role: Role) -> bool {
        self.role.is_none_or(|by| by.rank() > role.rank())
    }
}
