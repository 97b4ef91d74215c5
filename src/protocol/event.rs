//! The events of a room's log, as they are stored. What a viewer gets of them is `room::view`'s business.

use super::act::{Ban, Terms};
use super::report::{Report, ReportId, ReportStatus};
use super::{MessageId, RoomInfo, UserId};
use crate::auth::Role;
use crate::content::Reason;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who may see an event at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Whoever may read the room.
    #[default]
    All,
    /// Moderators and above.
    Moderators,
    /// This user, and moderators.
    User(UserId),
    /// Nobody: followers such as PostgreSQL need it.
    Internal,
}

/// One entry of a room's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEvent {
    /// Its place: 1, 2, 3 … in an epoch, without a hole.
    pub seq: u64,
    /// When it was said, ms since 1970; never goes back within a room.
    pub at: u64,
    /// From when on those below moderator see it, ms since 1970; never goes back within a room.
    pub visible_at: u64,
    /// Who may see it.
    #[serde(default, skip_serializing_if = "is_all")]
    pub audience: Audience,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

fn is_all(audience: &Audience) -> bool {
    *audience == Audience::All
}

/// What happened. A kind that this build does not know is kept as `Unknown` and shown to nobody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum Body {
    /// Somebody said something. An edit or a deletion changes this entry too, so that what is gone is gone.
    NewMessage(Box<Message>),
    /// The author changed a message.
    MessageEdited {
        /// The message.
        message_id: MessageId,
        /// The new content, safe as HTML.
        content: String,
        /// The new plain text, where it differs from `content`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// The new mentions.
        mentions: Vec<Mention>,
        /// The author.
        user_id: UserId,
        /// What was typed, where a filter masked some of it; for moderators.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        original: Option<String>,
        /// Why it was masked.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reasons: Vec<Reason>,
        /// Whether the message is of type `system`, which nobody blocks.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        system: bool,
        /// The tag of the new content, where that is encrypted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        franking: Option<String>,
    },
    /// A message waits for a moderator.
    MessageHeld(Box<Held>),
    /// What became of a message that waited.
    HeldEnded {
        /// The id under which it waited.
        held_id: MessageId,
        /// Its author.
        author: UserId,
        /// What became of it.
        outcome: Outcome,
        /// The message that it is now, where it was allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<MessageId>,
        /// Who decided; nobody where its time was over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<UserId>,
        /// As what; not in older logs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<Role>,
        /// Why, as the author is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The room has other words and phrases that may not, or always may, be said.
    TermsUpdated {
        /// All of them.
        terms: Box<Terms>,
        /// Who set them.
        by: UserId,
        /// As what.
        role: Role,
    },
    /// A message became a tombstone.
    MessageDeleted {
        /// The message.
        message_id: MessageId,
        /// Its number.
        no: u64,
        /// Who did it.
        by: UserId,
        /// As what.
        role: Role,
        /// Who had said it; empty in events of the first version.
        #[serde(default)]
        author: UserId,
        /// Those below moderator had not seen it yet, and never do.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unseen: bool,
    },
    /// A bulk act: these messages became tombstones.
    MessagesDeleted {
        /// The messages: first those that others than moderators never saw, each part with the newest first.
        message_ids: Vec<MessageId>,
        /// How many of the first of them those below moderator never saw, and never do.
        #[serde(default, skip_serializing_if = "is_zero")]
        unseen: usize,
        /// Whose, where it was all of one user's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_id: Option<UserId>,
        /// Who did it.
        by: UserId,
        /// As what.
        role: Role,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A user is kept out.
    Banned {
        /// Who, why, until when, by whom.
        ban: Box<Ban>,
        /// As what the ban was made.
        role: Role,
    },
    /// A user may come in again.
    Unbanned {
        /// Who.
        user_id: UserId,
        /// Who did it.
        by: UserId,
        /// As what.
        role: Role,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A message is shown above the others, or not any more.
    Pinned {
        /// The message.
        message_id: MessageId,
        /// Taken down.
        #[serde(default)]
        unpinned: bool,
        /// All that are pinned now, newest first.
        pinned: Vec<MessageId>,
        /// Who did it.
        by: UserId,
        /// As what.
        role: Role,
    },
    /// A viewer told moderators of a message.
    Reported {
        /// Which, why, who.
        report: Box<Report>,
    },
    /// A moderator decided a report.
    ReportResolved {
        /// Which.
        report_id: ReportId,
        /// Of which message.
        message_id: MessageId,
        /// Who had said that.
        author: UserId,
        /// How.
        status: ReportStatus,
        /// In the moderator's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resolution: Option<String>,
        /// Who did it.
        by: UserId,
        /// As what.
        role: Role,
    },
    /// What reports from before this time (ms) quoted is gone.
    QuotesForgotten {
        /// Exclusive.
        before: u64,
    },
    /// The messages below a number are gone for good: their time is over, or there are too many.
    MessagesExpired {
        /// The number of the oldest one that is left, or that the next one has.
        before_no: u64,
        /// All that are pinned now, where some of those were pinned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pinned: Option<Vec<MessageId>>,
    },
    /// Somebody reacted, or took a reaction back.
    Reaction {
        /// The message.
        message_id: MessageId,
        /// Who.
        user_id: UserId,
        /// With what: one grapheme cluster.
        reaction: String,
        /// Taken back.
        #[serde(default)]
        remove: bool,
        /// The message's counts after it.
        reactions: BTreeMap<String, u32>,
    },
    /// The room was made, loaded anew, changed or deleted; as it is now.
    Room {
        /// The room.
        room: Box<RoomInfo>,
        /// The names of what changed, such as `name` or `settings.guests`; empty when it was made.
        changed: Vec<String>,
        /// Who changed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<UserId>,
        /// As what; not in older logs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<Role>,
    },
    /// A user got a role in the room, or lost it.
    Role {
        /// Whose.
        user_id: UserId,
        /// Under which name, where it is known.
        username: Option<String>,
        /// The role, or none any more.
        role: Option<Role>,
        /// Who gave or took it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<UserId>,
        /// As what; not in older logs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by_role: Option<Role>,
    },
    /// A user was erased: who that was is gone from the log, and stands here neither.
    UserErased {
        /// Messages that the user had said, as far as this event is about them.
        message_ids: Vec<MessageId>,
        /// They became tombstones; else their text stays, with nobody as its author.
        tombstones: bool,
        /// Messages of others that mentioned the user, and do not any more.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentioned_in: Vec<MessageId>,
        /// The counts of messages to which the user had reacted, without that.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        reactions: BTreeMap<MessageId, BTreeMap<String, u32>>,
        /// Reports whose quotes mentioned the user, for PostgreSQL: of a tombstone it does not know that any more.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        quotes: Vec<MessageId>,
    },
    /// An edit whose text was replaced or taken away by a later event; that its author made it still counts.
    Gone {
        /// The author.
        user_id: UserId,
    },
    /// An event that this build cannot read, as it stands in the log; never written.
    #[serde(skip)]
    Unknown(Box<str>),
}

/// A user as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct User {
    /// The token's `sub`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub user_id: UserId,
    /// 1–64 characters, safe as HTML content.
    pub username: String,
    /// An https URL of at most 512 bytes.
    pub avatar: Option<String>,
    /// What the user was in this room at that time.
    pub roles: Vec<Role>,
}

impl User {
    /// Who stands in the place of a user who was erased. No token can have this id.
    pub fn erased() -> Self {
        Self { user_id: UserId::new(), username: "erased".into(), avatar: None, roles: vec![Role::Member] }
    }
}

/// Somebody mentioned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Mention {
    /// The user.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub user_id: UserId,
    /// The name at that time.
    pub username: String,
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    /// Words.
    #[default]
    Text,
    /// Nothing but emoji and `:name:` shortcodes, to be shown large.
    Emote,
    /// For the devices of a direct room's two users: checked for form and size, and not to be read here.
    Encrypted,
    /// From the service or a back end.
    System,
    /// Set aside because PostgreSQL refused it.
    Unavailable,
}

impl MessageType {
    /// The type as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Emote => "emote",
            Self::Encrypted => "encrypted",
            Self::System => "system",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A message as the log holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its id, which holds its `seq` and time.
    pub message_id: MessageId,
    /// Its number among the room's published messages: 1, 2, 3 …
    pub no: u64,
    /// Who said it.
    pub user: User,
    /// Safe as HTML element content; empty once deleted.
    pub content: String,
    /// The plain text where it differs; never to be put into a page as HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: MessageType,
    /// Who is mentioned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Mention>,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// Who had said that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<UserId>,
    /// The service that said it in this user's name; the message counts against its rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_by: Option<UserId>,
    /// What the sender called it, so that a retry is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// As it was sent: an object of at most 1,024 bytes, never HTML.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// The sender's tag of what an encrypted message says: an HMAC-SHA-256 in base64, whose key is inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub franking: Option<String>,
    /// What was typed, where a filter masked some of it; for moderators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// Why it was masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// The id under which it waited for a moderator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_id: Option<MessageId>,
    /// When it was last edited, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<u64>,
    /// The `seq` of that edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit_seq: Option<u64>,
    /// When it was deleted, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<u64>,
}

/// A message that waits for a moderator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The message; its id is the one under which it waits, and it has no number yet.
    pub message: Message,
    /// Why it waits.
    pub reasons: Vec<Reason>,
    /// Until when, ms.
    pub expires_at: u64,
}

/// What became of a message that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was said, as a fresh message.
    Allowed,
    /// A moderator refused it.
    Denied,
    /// Nobody decided in time.
    Expired,
}

impl Body {
    /// Whose words these are: the author of a message or an edit, but nobody's where it is of type `system`.
    pub fn author(&self) -> Option<&UserId> {
        match self {
            Self::NewMessage(message) => (message.kind != MessageType::System).then_some(&message.user.user_id),
            Self::MessageEdited { user_id, system, .. } => (!system).then_some(user_id),
            _ => None,
        }
    }

    /// Takes away what an edit said.
    pub fn forget_edit(&mut self) {
        if let Self::MessageEdited { user_id, .. } = self {
            *self = Self::Gone { user_id: std::mem::take(user_id) };
        }
    }

    /// Takes away what this report quotes.
    pub fn forget_quote(&mut self, id: ReportId) {
        if let Self::Reported { report } = self
            && report.report_id == id
        {
            report.quoted = None;
        }
    }
}

impl Message {
    /// Who sent it: whoever said it, or the service that spoke in their name.
    pub fn sender(&self) -> &UserId {
        self.sent_by.as_ref().unwrap_or(&self.user.user_id)
    }

    /// Takes away what was said and how its author was called. Whose it is, as what it was said, its number and what its
    /// sender called it stay, so that rates hold and a repeat is known.
    pub fn expire(&mut self, at: u64) {
        self.redact(self.deleted_at.unwrap_or(at));
        self.user.username.clear();
        self.user.avatar = None;
        (self.reply_to, self.answers) = (None, None);
    }

    /// Takes away what was said; who said it, and the number, stay.
    pub fn redact(&mut self, at: u64) {
        self.content.clear();
        self.text = None;
        self.mentions.clear();
        self.metadata.clear();
        self.franking = None;
        self.original = None;
        self.reasons.clear();
        self.deleted_at = Some(at);
    }
}
