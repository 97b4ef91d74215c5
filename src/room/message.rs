//! What is done with messages: said, edited, deleted, reacted to.

use super::dedupe::{self, Dedupe};
use super::policy::{self, Action};
use super::reactions::{self, Reactions};
use super::{Context, Failure, Room, Row, Step};
use crate::auth::{Identity, Role};
use crate::content;
use crate::protocol::call::{AsUser, KnownMessage, SendBody};
use crate::protocol::wire::Counts;
use crate::protocol::{Audience, Body, ChatError, ErrorCode, Message, MessageId, MessageType, User, rfc3339};
use serde::Serialize;

/// Who acts, as verified, with the role in this room.
#[derive(Clone, Debug)]
pub struct Sender<'a> {
    /// The identity; none for a guest.
    pub identity: Option<&'a Identity>,
    /// The role in this room.
    pub role: Role,
}

/// The reply to `send_message`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sent {
    /// The new message, or the first one under the same `client_id`.
    pub message_id: MessageId,
    /// Its place in the log.
    pub seq: u64,
    /// When it was said, RFC 3339.
    pub timestamp: String,
}

/// The reply to `edit_message`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Edited {
    message_id: MessageId,
    /// The edit's own place in the log.
    seq: u64,
    /// RFC 3339.
    edited_at: String,
}

/// The reply to `delete_message`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Deleted {
    message_id: MessageId,
    /// The deletion's own place in the log; absent where the message was deleted before.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    /// When it was first deleted, RFC 3339.
    deleted_at: String,
}

/// The reply to `react`.
#[derive(Debug, Serialize)]
pub struct Reacted {
    message_id: MessageId,
    reactions: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

impl From<MessageId> for Sent {
    fn from(id: MessageId) -> Self {
        Self { message_id: id, seq: id.seq(), timestamp: rfc3339(id.time()) }
    }
}

fn not_found() -> ChatError {
    ChatError::new(ErrorCode::MessageNotFound, "There is no such message in this room.").field("message_id")
}

/// Somebody in whose name a service speaks, cleaned as a token's claims are.
fn speaker(user: AsUser) -> Result<User, ChatError> {
    let bad = |field: &str| {
        let message = "`as_user` has a `user_id` of 1 to 255 bytes and a `username` of 1 to 64 characters.";
        ChatError::new(ErrorCode::BadRequest, message).field(field)
    };
    if user.user_id.is_empty() || user.user_id.len() > 255 || user.user_id.chars().any(char::is_control) {
        return Err(bad("as_user.user_id"));
    }
    let username = content::username(&user.username).ok_or_else(|| bad("as_user.username"))?;
    let avatar = user.avatar.as_deref().and_then(content::avatar);
    Ok(User { user_id: user.user_id, username, avatar, roles: vec![Role::Member] })
}

fn signed_in<'a>(sender: &Sender<'a>) -> Result<&'a Identity, ChatError> {
    let message = "Sign in to do this; without a token one can only read.";
    sender.identity.ok_or_else(|| ChatError::new(ErrorCode::TokenRequired, message))
}

/// A message in the row that holds it.
pub(super) struct Found {
    row: Row,
    at: u64,
    pub(super) message: Message,
}

impl Found {
    /// The row with the message changed.
    fn changed(mut self, change: impl FnOnce(&mut Message)) -> Row {
        let seq = self.message.message_id.seq();
        for event in &mut self.row.events {
            if let (Body::NewMessage(message), true) = (&mut event.body, event.seq == seq) {
                change(message);
                break;
            }
        }
        self.row
    }
}

impl Room {
    /// Says something.
    ///
    /// # Errors
    /// Those of the role and the room's modes, `rate_limited`, and what is wrong with the message.
    pub fn send(&mut self, cx: &Context<'_>, sender: &Sender<'_>, body: SendBody) -> Result<(Sent, Step), Failure> {
        let kind = self.kind(&body, sender)?;
        self.say(cx, sender, body, kind)
    }

    /// Says something in the room's name: a message of type `system`.
    pub(super) fn announced(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        content: String,
    ) -> Result<(Sent, Step), Failure> {
        self.say(cx, sender, SendBody { content, ..SendBody::default() }, MessageType::System)
    }

    fn say(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        body: SendBody,
        kind: MessageType,
    ) -> Result<(Sent, Step), Failure> {
        let who = signed_in(sender)?;
        let read_only = self.info.settings.read_only;
        if let Some(client_id) = &body.client_id {
            if client_id.is_empty() || client_id.chars().count() > 64 || client_id.chars().any(char::is_control) {
                let message = "`client_id` is 1 to 64 characters, none of them a control character.";
                return Err(ChatError::new(ErrorCode::BadRequest, message).field("client_id").into());
            }
            let known = match &mut self.dedupe {
                Some(known) => known,
                none => none.insert(Dedupe::load(cx.log, cx.now)?),
            };
            if let Some(first) = known.find(cx.log, &who.user_id, client_id, cx.now)? {
                return Ok((first.into(), Step::default()));
            }
        }
        policy::check(Action::Send, sender.role, read_only)?;
        let as_user = match body.as_user.clone() {
            None => None,
            Some(user) => {
                policy::check(Action::SendAsUser, sender.role, read_only)?;
                Some(speaker(user)?)
            }
        };
        if cx.log.bytes() > super::STORAGE_BYTES {
            let message = "The room's storage is full until older messages have been moved on.";
            return Err(ChatError::new(ErrorCode::StorageFull, message).retry_after(10_000).into());
        }
        self.check_slow(&who.user_id, sender.role, cx.now)?;
        let rate = self.rate(sender.role);
        if let Some(rate) = rate {
            self.rates.check(&who.user_id, rate, cx.now)?;
        }
        let clean = content::clean(&body.content, self.max_length())?;
        if kind == MessageType::Emote && !content::is_emote(clean.text.as_deref().unwrap_or(&clean.content)) {
            let message = "A message of type `emote` holds nothing but emoji and :name: shortcodes.";
            return Err(ChatError::new(ErrorCode::InvalidType, message).field("type").into());
        }
        if self.info.settings.emote_only
            && !sender.role.at_least(Role::Moderator)
            && !content::is_emote(clean.text.as_deref().unwrap_or(&clean.content))
        {
            let message = "The room takes nothing but emoji for now.";
            return Err(ChatError::new(ErrorCode::RoomMode, message).into());
        }
        let metadata = match body.metadata {
            None | Some(serde_json::Value::Null) => serde_json::Map::new(),
            Some(value) => {
                content::metadata(&value)?;
                value.as_object().cloned().unwrap_or_default()
            }
        };
        let reply_to = match &body.reply_to {
            None => None,
            Some(id) => Some(self.find(cx, id)?.map_err(|e| e.field("reply_to"))?.message.message_id),
        };
        let mentions = self.mentions(cx, clean.text.as_deref().unwrap_or(&clean.content), &body.mentions)?;

        let sent_by = as_user.is_some().then(|| who.user_id.clone());
        let user = as_user.unwrap_or_else(|| User {
            user_id: who.user_id.clone(),
            username: who.username.clone(),
            avatar: who.avatar.clone(),
            roles: vec![sender.role],
        });
        let message_id = MessageId::new(self.last_at.max(cx.now), self.last_seq + 1, &cx.entropy);
        self.remember_author(&user);
        self.last_no += 1;
        let message = Message {
            message_id,
            no: self.last_no,
            user,
            content: clean.content,
            text: clean.text,
            kind,
            mentions,
            reply_to,
            sent_by,
            client_id: body.client_id.clone(),
            metadata,
            edited_at: None,
            edit_seq: None,
            deleted_at: None,
        };
        let mut step = Step::default();
        let audience = self.audience_for(&who.user_id, cx.now);
        self.append(&mut step, cx.now, audience, Body::NewMessage(Box::new(message)));
        if rate.is_some() {
            self.rates.accepted(&who.user_id, cx.now);
        }
        if let Some(client_id) = body.client_id {
            let hash = dedupe::hash(&who.user_id, &client_id);
            step.write.dedupe.push(hash);
            if let Some(known) = &mut self.dedupe {
                known.remember(hash, self.last_seq, cx.now);
            }
        }
        self.seal(&mut step);
        Ok((message_id.into(), step))
    }

    fn kind(&self, body: &SendBody, sender: &Sender<'_>) -> Result<MessageType, ChatError> {
        match body.kind.as_deref() {
            None | Some("text") => Ok(MessageType::Text),
            Some("emote") => Ok(MessageType::Emote),
            Some("system") => {
                policy::check(Action::SendSystem, sender.role, false)?;
                Ok(MessageType::System)
            }
            Some(_) => {
                let message = "A message is of type `text` or `emote`, or `system` from a service.";
                Err(ChatError::new(ErrorCode::InvalidType, message).field("type"))
            }
        }
    }

    fn check_slow(&self, user: &str, role: Role, now: u64) -> Result<(), ChatError> {
        let Some(slow) = self.info.settings.slow_s.filter(|_| self.rate(role).is_some() && role != Role::Service)
        else {
            return Ok(());
        };
        let next = self.rates.last(user).map_or(0, |last| last.saturating_add(slow.saturating_mul(1000)));
        if next <= now {
            return Ok(());
        }
        let message = "The room is in slow mode; wait before you say more.";
        Err(ChatError::new(ErrorCode::SlowMode, message).retry_after(next - now))
    }

    fn max_length(&self) -> usize {
        let own = self.info.settings.max_message_length.and_then(|n| usize::try_from(n).ok());
        own.unwrap_or(self.settings.max_message_length)
    }

    /// The message with this id as the log holds it, tombstone or not. The inner error is the client's.
    fn find_any(&self, cx: &Context<'_>, id: &str) -> Result<Result<Found, ChatError>, Failure> {
        let Some(id) = MessageId::parse(id) else { return Ok(Err(not_found())) };
        if let Some(row) = cx.log.row_with(id.seq())? {
            let held = row.events.iter().find(|event| event.seq == id.seq());
            if let Some((event, Body::NewMessage(message))) = held.map(|event| (event, &event.body))
                && message.message_id == id
            {
                let (at, message) = (event.at, (**message).clone());
                return Ok(Ok(Found { row, at, message }));
            }
            // Below the oldest row, or of an earlier epoch: PostgreSQL may have it.
            if row.first() <= id.seq() && id.time() >= self.epoch {
                return Ok(Err(not_found()));
            }
        }
        if id.seq() == 0
            || id.time() > self.last_at
            || self.last_no == 0
            || (id.time() >= self.epoch && id.seq() > self.last_seq)
        {
            return Ok(Err(not_found()));
        }
        let message = "This message has left the room's log; over REST the act is still possible.";
        Ok(Err(ChatError::new(ErrorCode::MessageTooOld, message).field("message_id")))
    }

    /// The same, where it has not been deleted.
    pub(super) fn find(&self, cx: &Context<'_>, id: &str) -> Result<Result<Found, ChatError>, Failure> {
        let found = self.find_any(cx, id)?;
        Ok(found.and_then(|found| if found.message.deleted_at.is_none() { Ok(found) } else { Err(not_found()) }))
    }

    /// Changes what the sender said.
    ///
    /// # Errors
    /// `forbidden` for another's message or after the edit window, and those of sending.
    pub fn edit(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        id: &str,
        content: &str,
        known: Option<KnownMessage>,
    ) -> Result<(Edited, Step), Failure> {
        let who = signed_in(sender)?;
        policy::check(Action::Send, sender.role, self.info.settings.read_only)?;
        let (found, author, said_at) = match (self.find(cx, id)?, known) {
            (Ok(found), _) => {
                let (author, at) = (found.message.user.user_id.clone(), found.at);
                (Some(found), author, at)
            }
            (Err(e), Some(known)) if e.code == ErrorCode::MessageTooOld => {
                if known.deleted {
                    return Err(not_found().into());
                }
                (None, known.user_id, known.at)
            }
            (Err(error), _) => return Err(error.into()),
        };
        if author != who.user_id {
            return Err(ChatError::new(ErrorCode::Forbidden, "Only its author may edit a message.").into());
        }
        let window = self.info.settings.edit_window_s.map(|s| s.saturating_mul(1000));
        if window.is_some_and(|ms| said_at.saturating_add(ms) < cx.now) {
            return Err(ChatError::new(ErrorCode::Forbidden, "The time to edit this message is over.").into());
        }
        let rate = self.rate(sender.role);
        if let Some(rate) = rate {
            self.rates.check(&who.user_id, rate, cx.now)?;
        }
        let clean = content::clean(content, self.max_length())?;
        let mentions = self.mentions(cx, clean.text.as_deref().unwrap_or(&clean.content), &[])?;
        let message_id = MessageId::parse(id).ok_or_else(not_found)?;
        let edited_at = self.last_at.max(cx.now);
        let mut step = Step::default();
        if let Some(found) = found {
            step.write.rewrite.extend(self.without_edit(cx, found.message.edit_seq)?);
            let edit_seq = self.last_seq + 1;
            step.write.rewrite.push(found.changed(|message| {
                message.content.clone_from(&clean.content);
                message.text.clone_from(&clean.text);
                message.mentions.clone_from(&mentions);
                message.edited_at = Some(edited_at);
                message.edit_seq = Some(edit_seq);
            }));
        } else {
            step.write.rewrite.extend(self.without_edit(cx, self.edits.of(message_id))?);
            self.edits.set(message_id, Some(self.last_seq + 1), &mut step);
        }
        let body = Body::MessageEdited {
            message_id,
            content: clean.content,
            text: clean.text,
            mentions,
            user_id: who.user_id.clone(),
        };
        let audience = self.audience_for(&who.user_id, cx.now);
        let seq = self.append(&mut step, cx.now, audience, body);
        if rate.is_some() {
            self.rates.accepted(&who.user_id, cx.now);
        }
        self.seal(&mut step);
        Ok((Edited { message_id, seq, edited_at: rfc3339(edited_at) }, step))
    }

    /// Makes a message a tombstone: one's own, or as a moderator. Twice is once.
    ///
    /// # Errors
    /// `message_not_found`, `message_too_old`, `forbidden`.
    pub fn delete(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        id: &str,
        known: Option<KnownMessage>,
    ) -> Result<(Deleted, Step), Failure> {
        let who = signed_in(sender)?;
        let message_id = MessageId::parse(id).ok_or_else(not_found)?;
        let (found, author) = match (self.find_any(cx, id)?, known) {
            (Ok(found), _) => {
                let Message { no, user, deleted_at, .. } = &found.message;
                let deleted = deleted_at.is_some();
                let author = KnownMessage {
                    no: *no,
                    user_id: user.user_id.clone(),
                    roles: user.roles.clone(),
                    at: found.at,
                    deleted,
                };
                (Some(found), author)
            }
            (Err(e), Some(known)) if e.code == ErrorCode::MessageTooOld => (None, known),
            (Err(error), _) => return Err(error.into()),
        };
        policy::may_delete(sender.role, author.user_id == who.user_id, &author.roles)?;
        let mut step = Step::default();
        let deleted_at = self.last_at.max(cx.now);
        if author.deleted {
            let at = found.and_then(|found| found.message.deleted_at).unwrap_or(deleted_at);
            return Ok((Deleted { message_id, seq: None, deleted_at: rfc3339(at) }, step));
        }
        if let Some(found) = found {
            step.write.rewrite.extend(self.without_edit(cx, found.message.edit_seq)?);
            step.write.rewrite.push(found.changed(|message| message.redact(deleted_at)));
            step.write.state.push((reactions::key(message_id.seq()), None));
        } else {
            step.write.rewrite.extend(self.without_edit(cx, self.edits.of(message_id))?);
            self.edits.set(message_id, None, &mut step);
        }
        let KnownMessage { no, user_id: author, .. } = author;
        let body = Body::MessageDeleted { message_id, no, by: who.user_id.clone(), role: sender.role, author };
        let seq = self.append(&mut step, cx.now, Audience::All, body);
        self.seal(&mut step);
        Ok((Deleted { message_id, seq: Some(seq), deleted_at: rfc3339(deleted_at) }, step))
    }

    /// The row of an earlier edit, without what it said.
    fn without_edit(&self, cx: &Context<'_>, edit_seq: Option<u64>) -> Result<Option<Row>, Failure> {
        let Some(seq) = edit_seq else { return Ok(None) };
        let Some(mut row) = cx.log.row_with(seq)? else { return Ok(None) };
        let edit = row.events.iter_mut().find(|event| event.seq == seq);
        Ok(edit.map(|event| event.body.forget_edit()).map(|()| row))
    }

    /// Reacts to a message, or takes a reaction back; a repeat changes nothing.
    ///
    /// # Errors
    /// `invalid_reaction`, `too_many_reactions`, `message_not_found`, and those of the role and modes.
    pub fn react(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        id: &str,
        reaction: &str,
        remove: bool,
    ) -> Result<(Reacted, Step), Failure> {
        let who = signed_in(sender)?;
        policy::check(Action::React, sender.role, self.info.settings.read_only)?;
        let reaction = content::reaction(reaction)?;
        let message_id = self.find(cx, id)??.message.message_id;
        let mut reactions = Reactions::of(cx.log, message_id.seq())?;
        let mut step = Step::default();
        if !reactions.change(&who.user_id, reaction, remove)? {
            return Ok((Reacted { message_id, reactions: reactions.counts(), seq: None }, step));
        }
        let counts = reactions.counts();
        if self.audience_for(&who.user_id, cx.now) != Audience::All {
            // Told as done, kept by nobody: counts are the same for everyone.
            return Ok((Reacted { message_id, reactions: counts, seq: None }, step));
        }
        step.write.state.push((reactions::key(message_id.seq()), reactions.pack()));
        let body = Body::Reaction {
            message_id,
            user_id: who.user_id.clone(),
            reaction: reaction.to_owned(),
            remove,
            reactions: counts.clone(),
        };
        let seq = self.append(&mut step, cx.now, Audience::All, body);
        self.seal(&mut step);
        Ok((Reacted { message_id, reactions: counts, seq: Some(seq) }, step))
    }

    /// What a viewer with this role can do here now.
    pub fn can(&self, role: Role) -> Vec<&'static str> {
        policy::can(role, self.info.settings.read_only)
    }
}
