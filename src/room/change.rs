//! What is done to messages that were said: edited, deleted, reacted to.

use super::filters::Judged;
use super::message::signed_in;
use super::page::first_held_no;
use super::policy::{self, Action};
use super::reactions::{self, Reactions};
use super::{Context, Failure, Room, Row, Sender, Step, Viewer, is_apart, view};
use crate::content::{self, Clean};
use crate::protocol::call::KnownMessage;
use crate::protocol::wire::Counts;
use crate::protocol::{Audience, Body, ChatError, ErrorCode, Message, MessageId, MessageType, rfc3339};
use serde::Serialize;

/// What a message is to say.
#[derive(Clone, Debug)]
pub struct NewText<'a> {
    /// As `send_message` has it.
    pub content: &'a str,
    /// The tag of an encrypted message.
    pub franking: Option<String>,
}

/// The reply to `edit_message`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "EditReply"))]
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
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "DeleteReply"))]
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
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ReactReply"))]
pub struct Reacted {
    message_id: MessageId,
    reactions: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

fn not_found() -> ChatError {
    ChatError::new(ErrorCode::MessageNotFound, "There is no such message in this room.").field("message_id")
}

/// Takes what an earlier edit said out of its row, which may be among those that the step changes already.
fn forget_edit(cx: &Context<'_>, edit_seq: Option<u64>, step: &mut Step) -> Result<(), Failure> {
    let Some(seq) = edit_seq else { return Ok(()) };
    let changed = step.write.rewrite.iter().position(|row| (row.first()..=row.last).contains(&seq));
    let row = match changed {
        Some(at) => Some(step.write.rewrite.swap_remove(at)),
        None => cx.log.row_with(seq)?,
    };
    if let Some(mut row) = row {
        row.events.iter_mut().filter(|event| event.seq == seq).for_each(|event| event.body.forget_edit());
        step.write.rewrite.push(row);
    }
    Ok(())
}

/// A message in the row that holds it.
pub(super) struct Found {
    row: Row,
    at: u64,
    visible_at: u64,
    /// Who may see it at all.
    pub(super) audience: Audience,
    pub(super) message: Message,
}

impl Found {
    /// Whether `viewer` sees it at `now` (ms).
    pub(super) fn is_seen(&self, viewer: Viewer<'_>, now: u64) -> bool {
        let seq = self.message.message_id.seq();
        self.row.events.iter().any(|event| event.seq == seq && view(event, viewer, now).is_some())
    }

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
    /// The message with this id as the log holds it, tombstone or not. The inner error is the client's.
    fn find_any(&self, cx: &Context<'_>, id: &str) -> Result<Result<Found, ChatError>, Failure> {
        let Some(id) = MessageId::parse(id) else { return Ok(Err(not_found())) };
        let too_old = || {
            let message =
                "This message has left the room's log; it can be edited, deleted and reported over REST only.";
            Ok(Err(ChatError::new(ErrorCode::MessageTooOld, message).field("message_id")))
        };
        if !id.is_of_a_room() {
            // Of the service that this replaces: where the log has all there is, it is not there.
            return if first_held_no(cx.log)? > 1 { too_old() } else { Ok(Err(not_found())) };
        }
        // Of this epoch, and not below the oldest row: PostgreSQL has none that the log does not have.
        let mut within = id.time() >= self.epoch;
        if let Some(row) = cx.log.row_with(id.seq())? {
            let held = row.events.iter().find(|event| event.seq == id.seq());
            if let Some((event, Body::NewMessage(message))) = held.map(|event| (event, &event.body))
                && message.message_id == id
            {
                if message.no < self.first_no() {
                    return Ok(Err(not_found()));
                }
                let (at, visible_at, audience) = (event.at, event.visible_at, event.audience.clone());
                let message = (**message).clone();
                return Ok(Ok(Found { row, at, visible_at, audience, message }));
            }
            within &= row.first() <= id.seq();
        }
        if within || id.seq() == 0 || id.time() > self.last_at || self.last_no == 0 {
            return Ok(Err(not_found()));
        }
        too_old()
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
        new: NewText<'_>,
        known: Option<KnownMessage>,
    ) -> Result<(Edited, Step), Failure> {
        let who = signed_in(sender)?;
        policy::check(Action::Send, sender.role, self.info.settings.read_only)?;
        self.check_direct(sender)?;
        let (found, author, said_at, system, shared) = match (self.find(cx, id)?, known) {
            (Ok(found), _) => {
                let (author, at) = (found.message.user.user_id.clone(), found.at);
                let system = found.message.kind == MessageType::System;
                let shared = found.audience == Audience::All;
                (Some(found), author, at, system, shared)
            }
            (Err(e), Some(known)) if e.code == ErrorCode::MessageTooOld => {
                if known.deleted || known.no < self.first_no() {
                    return Err(not_found().into());
                }
                (None, known.user_id, known.at, known.system, known.audience == Audience::All)
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
        self.check_bond(sender, cx.now)?;
        self.check_rates(&who.user_id, sender.role, cx.now)?;
        let (mut franking, mut mentions) = (None, Vec::new());
        let Judged { clean, original, reasons, .. } = if self.is_direct() {
            let (content, tag) = self.sealed(new.content, new.franking)?;
            franking = Some(tag);
            Judged::unread(Clean { content, text: None })
        } else {
            let clean = content::clean(new.content, self.max_length())?;
            mentions = self.mentions(cx, clean.plain(), &[])?;
            self.judged(cx, sender, clean, true)?
        };
        let message_id = MessageId::parse(id).ok_or_else(not_found)?;
        let edited_at = self.last_at.max(cx.now);
        let audience = self.audience_for(who, cx.now);
        if shared && audience != Audience::All {
            // Told as done, and nothing is: everybody reads this message, and nobody is to hear its author any more.
            self.count_said(&who.user_id, sender.role, cx.now);
            return Ok((Edited { message_id, seq: self.last_seq, edited_at: rfc3339(edited_at) }, Step::default()));
        }
        let mut step = Step::default();
        if let Some(found) = found {
            let (earlier, edit_seq) = (found.message.edit_seq, self.last_seq + 1);
            step.write.rewrite.push(found.changed(|message| {
                message.content.clone_from(&clean.content);
                message.text.clone_from(&clean.text);
                message.mentions.clone_from(&mentions);
                message.franking.clone_from(&franking);
                message.original.clone_from(&original);
                message.reasons.clone_from(&reasons);
                message.edited_at = Some(edited_at);
                message.edit_seq = Some(edit_seq);
            }));
            forget_edit(cx, earlier, &mut step)?;
        } else {
            forget_edit(cx, self.edits.of(message_id), &mut step)?;
            self.edits.set(message_id, Some(self.last_seq + 1), &mut step);
        }
        let body = Body::MessageEdited {
            message_id,
            content: clean.content,
            text: clean.text,
            mentions,
            user_id: who.user_id.clone(),
            original,
            reasons,
            system,
            franking,
        };
        let seq = self.append(&mut step, cx.now, audience, body);
        self.count_said(&who.user_id, sender.role, cx.now);
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
                    deleted,
                    audience: found.audience.clone(),
                    ..KnownMessage::default()
                };
                (Some(found), author)
            }
            (Err(e), Some(known)) if e.code == ErrorCode::MessageTooOld && known.no >= self.first_no() => (None, known),
            (Err(_), Some(_)) => return Err(not_found().into()),
            (Err(error), None) => return Err(error.into()),
        };
        policy::may_delete(sender.role, author.user_id == who.user_id, &author.roles)?;
        let mut step = Step::default();
        let deleted_at = self.last_at.max(cx.now);
        if author.deleted {
            let at = found.and_then(|found| found.message.deleted_at).unwrap_or(deleted_at);
            return Ok((Deleted { message_id, seq: None, deleted_at: rfc3339(at) }, step));
        }
        let unseen = !cx.present.is_split() && found.as_ref().is_some_and(|found| found.visible_at > deleted_at);
        if let Some(found) = found {
            let edited = found.message.edit_seq;
            step.write.rewrite.push(found.changed(|message| message.redact(deleted_at)));
            forget_edit(cx, edited, &mut step)?;
            step.write.state.push((reactions::key(message_id.seq()), None));
        } else {
            forget_edit(cx, self.edits.of(message_id), &mut step)?;
            self.edits.set(message_id, None, &mut step);
        }
        let KnownMessage { no, user_id: author, audience, .. } = author;
        let body = Body::MessageDeleted { message_id, no, by: who.user_id.clone(), role: sender.role, author, unseen };
        // Who never saw the message does not hear of its end.
        let seq = self.append(&mut step, cx.now, audience, body);
        self.unpin_deleted(&mut step, cx.now, &[message_id], (&who.user_id, sender.role));
        self.seal(&mut step);
        Ok((Deleted { message_id, seq: Some(seq), deleted_at: rfc3339(deleted_at) }, step))
    }

    /// Reacts to a message, or takes a reaction back; a repeat changes nothing.
    ///
    /// # Errors
    /// `invalid_reaction`, `too_many_reactions`, `message_not_found`, `rate_limited`, and those of the role and modes.
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
        self.check_direct(sender)?;
        if !is_apart(sender.role) {
            let rate = self.settings.per_window(self.settings.rate_limit_reactions);
            self.reacted.take(&who.user_id, rate, cx.now)?;
        }
        let reaction = content::reaction(reaction)?;
        let Found { message, audience, .. } = self.find(cx, id)??;
        let message_id = message.message_id;
        let mut reactions = Reactions::of(cx.log, message_id.seq())?;
        let mut step = Step::default();
        if !reactions.change(&who.user_id, reaction, remove)? {
            return Ok((Reacted { message_id, reactions: reactions.counts(), seq: None }, step));
        }
        let counts = reactions.counts();
        if self.audience_for(who, cx.now) != Audience::All {
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
        let seq = self.append(&mut step, cx.now, audience, body);
        self.seal(&mut step);
        Ok((Reacted { message_id, reactions: counts, seq: Some(seq) }, step))
    }
}
