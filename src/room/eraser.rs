//! One user, taken out of single things that are stored: what of an event, a message, a report is theirs, and what stays.

use crate::content;
use crate::protocol::act::Ban;
use crate::protocol::erasure::{Erase, Mode};
use crate::protocol::report::Report;
use crate::protocol::{Audience, Body, LogEvent, Mention, Message, MessageType, User, UserId};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// What the id of a banned user begins with who was erased.
pub(super) const HIDDEN: &str = "erased:";

/// Under which id a ban goes on to hold in `room` for a user who was erased: the same for the same user, and nobody
/// reads the user's own id out of it.
pub fn hidden_id(room: &str, user: &str) -> UserId {
    let digest: [u8; 32] = Sha256::digest(format!("{room}\n{user}")).into();
    digest.iter().fold(HIDDEN.to_owned(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

/// Takes one user out of what is stored.
pub(super) struct Eraser<'a> {
    pub(super) user: &'a str,
    hidden: UserId,
    pub(super) tombstones: bool,
    /// When that is, ms.
    at: u64,
}

/// What somebody was called, or wrote, as far as that is the user's.
fn clear<T>(text: &mut Option<T>, theirs: bool) -> bool {
    theirs && text.take().is_some()
}

impl<'a> Eraser<'a> {
    pub(super) fn new(room: &str, erase: &'a Erase, at: u64) -> Self {
        let Erase { user_id, mode, after: _ } = erase;
        Self { user: user_id, hidden: hidden_id(room, user_id), tombstones: *mode == Mode::Tombstone, at }
    }

    pub(super) fn is(&self, id: &str) -> bool {
        id == self.user
    }

    fn id(&self, id: &mut UserId) -> bool {
        let theirs = self.is(id);
        if theirs {
            id.clear();
        }
        theirs
    }

    fn maybe(&self, id: &mut Option<UserId>) -> bool {
        id.as_mut().is_some_and(|id| self.id(id))
    }

    /// The user among these.
    pub(super) fn named<'m>(&self, mentions: &'m [Mention]) -> Option<&'m Mention> {
        mentions.iter().find(|mention| self.is(&mention.user_id))
    }

    /// The mentions of others stay; whether there was one of the user.
    fn mentions(&self, mentions: &mut Vec<Mention>, texts: [Option<&mut String>; 3]) -> bool {
        let Some(name) = self.named(mentions).map(|mention| mention.username.clone()) else { return false };
        mentions.retain(|mention| !self.is(&mention.user_id));
        for text in texts.into_iter().flatten() {
            *text = content::without_mention(text, &name);
        }
        true
    }

    /// Takes the user out of a message; whether it was changed.
    pub(super) fn message(&self, message: &mut Message) -> bool {
        let sealed = message.kind == MessageType::Encrypted;
        if self.is(&message.user.user_id) {
            message.user = User::erased();
            message.client_id = None;
            message.answers = None;
            message.metadata.clear();
            message.original = None;
            self.maybe(&mut message.sent_by);
            if message.deleted_at.is_none() && (self.tombstones || sealed) {
                message.redact(self.at);
            }
            let Message { content, text, mentions, .. } = message;
            self.mentions(mentions, [Some(content), text.as_mut(), None]);
            return true;
        }
        let answered = message.answers.as_deref().is_some_and(|id| self.is(id));
        let mut changed = clear(&mut message.answers, answered) | self.maybe(&mut message.sent_by);
        let Message { content, text, original, mentions, .. } = &mut *message;
        changed |= self.mentions(mentions, [Some(content), text.as_mut(), original.as_mut()]);
        if sealed && let Some(left) = content::sealed_without(&message.content, self.user) {
            message.content = left;
            changed = true;
        }
        changed
    }

    pub(super) fn ban(&self, ban: &mut Ban) -> bool {
        let theirs = self.is(&ban.user_id);
        if theirs {
            ban.user_id.clone_from(&self.hidden);
            (ban.username, ban.reason) = (None, None);
        }
        let by = self.id(&mut ban.by);
        clear(&mut ban.reason, by);
        theirs | by
    }

    pub(super) fn report(&self, report: &mut Report) -> bool {
        let author = self.id(&mut report.author);
        // What was encrypted becomes a tombstone in either mode, and its text goes with it.
        clear(&mut report.quoted, author && (self.tombstones || report.proved.is_some()));
        let reporter = self.id(&mut report.reporter_id);
        clear(&mut report.details, reporter);
        let by = self.maybe(&mut report.resolved_by);
        clear(&mut report.resolution, by | author);
        author | reporter | by
    }

    /// Takes the user out of an event; whether it was changed. What it says of somebody else stays.
    pub(super) fn event(&self, event: &mut LogEvent) -> bool {
        let mut changed = matches!(&event.audience, Audience::User(user) if self.is(user));
        if changed {
            event.audience = Audience::Moderators;
        }
        changed |= match &mut event.body {
            Body::NewMessage(message) => self.message(message),
            Body::MessageEdited { content, text, mentions, user_id, original, franking, .. } => {
                if self.is(user_id) {
                    if self.tombstones || franking.is_some() {
                        event.body = Body::Gone { user_id: UserId::new() };
                    } else {
                        user_id.clear();
                        *original = None;
                        self.mentions(mentions, [Some(content), text.as_mut(), None]);
                    }
                    true
                } else {
                    let sealed = content::sealed_without(content, self.user);
                    let named = self.mentions(mentions, [Some(&mut *content), text.as_mut(), original.as_mut()]);
                    let was_sealed = sealed.is_some();
                    *content = sealed.unwrap_or_else(|| std::mem::take(content));
                    named | was_sealed
                }
            }
            Body::MessageHeld(held) => {
                let theirs = self.is(&held.message.user.user_id);
                if theirs {
                    held.message.redact(self.at);
                    held.reasons.clear();
                }
                self.message(&mut held.message)
            }
            Body::HeldEnded { author, by, reason, .. } => {
                let theirs = self.id(author) | self.maybe(by);
                clear(reason, theirs);
                theirs
            }
            Body::TermsUpdated { by, .. } | Body::Pinned { by, .. } => self.id(by),
            Body::MessageDeleted { by, author, .. } => self.id(by) | self.id(author),
            Body::MessagesDeleted { user_id, by, reason, .. } => {
                let theirs = self.maybe(user_id) | self.id(by);
                clear(reason, theirs);
                theirs
            }
            Body::Banned { ban, .. } => self.ban(ban),
            Body::Unbanned { user_id, by, reason, .. } => {
                let theirs = self.is(user_id);
                if theirs {
                    user_id.clone_from(&self.hidden);
                }
                let changed = theirs | self.id(by);
                clear(reason, changed);
                changed
            }
            Body::Reported { report } => self.report(report),
            Body::ReportResolved { author, by, resolution, .. } => {
                let theirs = self.id(author) | self.id(by);
                clear(resolution, theirs);
                theirs
            }
            Body::Reaction { user_id, .. } | Body::Role { user_id, .. } if self.is(user_id) => {
                event.body = Body::Gone { user_id: UserId::new() };
                true
            }
            Body::Role { by, .. } => self.maybe(by),
            Body::Room { room, by, .. } => clear_owner(&mut room.owner_id, self.user) | self.maybe(by),
            Body::Gone { user_id } => self.id(user_id),
            Body::Unknown(raw) => self.unknown(raw),
            Body::Reaction { .. }
            | Body::QuotesForgotten { .. }
            | Body::MessagesExpired { .. }
            | Body::UserErased { .. } => false,
        };
        changed
    }

    /// An event that this build cannot read: wherever in its data the user's id is a value or a key of its own, it is
    /// taken out. What every event has stays as it is, or the row could not be read any more.
    fn unknown(&self, raw: &mut Box<str>) -> bool {
        fn walk(value: &mut serde_json::Value, user: &str) -> bool {
            match value {
                serde_json::Value::String(text) if text == user => {
                    text.clear();
                    true
                }
                serde_json::Value::Array(all) => all.iter_mut().fold(false, |found, value| walk(value, user) | found),
                serde_json::Value::Object(all) => {
                    let key = all.remove(user).map(|value| all.insert(String::new(), value));
                    all.values_mut().fold(key.is_some(), |found, value| walk(value, user) | found)
                }
                _ => false,
            }
        }
        let Ok(mut value) = serde_json::from_str::<serde_json::Value>(raw) else { return false };
        let mut changed = value.get_mut("data").is_some_and(|data| walk(data, self.user));
        if let Some(audience) = value.get_mut("audience")
            && audience.get("user").and_then(serde_json::Value::as_str) == Some(self.user)
        {
            *audience = "moderators".into();
            changed = true;
        }
        if changed {
            *raw = value.to_string().into();
        }
        changed
    }
}

pub(super) fn clear_owner(owner: &mut Option<UserId>, user: &str) -> bool {
    let theirs = owner.as_deref() == Some(user);
    clear(owner, theirs)
}
