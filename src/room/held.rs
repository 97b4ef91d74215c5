//! Messages that wait for a moderator: held, listed, allowed, denied, and over when nobody decides.

use super::eraser::Eraser;
use super::filters::{Why, why};
use super::log::{Read, StorageFault};
use super::{Context, Failure, KEY_HELD, Log, Room, Row, Step};
use crate::auth::Role;
use crate::protocol::act::HeldRef;
use crate::protocol::wire::json;
use crate::protocol::{Audience, Body, ChatError, ErrorCode, Held, Message, MessageId, Outcome, User, UserId, rfc3339};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a message waits, ms.
const HELD_FOR: u64 = 10 * 60_000;
/// Messages that wait at once: of one user, and in a room.
const MOST_OF_USER: usize = 5;
const MOST: usize = 200;

/// What is remembered of a message that waits; the message itself stands in the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    id: MessageId,
    user_id: UserId,
    expires_at: u64,
}

/// What waits, by the `seq` of its event.
#[derive(Debug, Default)]
pub(super) struct Queue(BTreeMap<u64, Waiting>);

impl Queue {
    /// Takes over a piece of state; false where the key is not one of these.
    pub(super) fn load(&mut self, key: &str, value: &str) -> Read<bool> {
        if !key.starts_with(KEY_HELD) {
            return Ok(false);
        }
        let waiting: Waiting =
            serde_json::from_str(value).map_err(|_| StorageFault(format!("the state under {key} cannot be read")))?;
        self.0.insert(waiting.id.seq(), waiting);
        Ok(true)
    }

    /// When the next one's time is over, ms.
    pub(super) fn next(&self) -> Option<u64> {
        // They wait equally long, so the oldest is the first.
        self.0.first_key_value().map(|(_, waiting)| waiting.expires_at)
    }

    fn due(&self, now: u64) -> Vec<MessageId> {
        self.0.values().filter(|waiting| waiting.expires_at <= now).map(|waiting| waiting.id).collect()
    }

    fn of(&self, user: &str) -> Vec<MessageId> {
        self.0.values().filter(|waiting| waiting.user_id == user).map(|waiting| waiting.id).collect()
    }
}

/// A message that waits, as the author and moderators see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Held))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Held"))]
pub struct HeldData<'a> {
    /// The id under which it waits.
    held_id: MessageId,
    /// The room.
    room_id: &'a str,
    /// Its author.
    user: &'a User,
    /// Safe as HTML element content.
    content: &'a str,
    /// The plain text where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    /// `text` or `emote`.
    #[serde(rename = "type")]
    #[cfg_attr(test, schemars(with = "crate::protocol::MessageType"))]
    kind: &'static str,
    /// When it was sent, RFC 3339.
    timestamp: String,
    /// What its sender called it.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    /// Why it waits.
    reasons: Vec<Why>,
    /// Until when, RFC 3339.
    expires_at: String,
}

impl<'a> HeldData<'a> {
    /// A message that was sent at `at` (ms), for a moderator or for its author.
    pub(super) fn new(room_id: &'a str, at: u64, held: &'a Held, moderator: bool) -> Self {
        let Held { message, reasons, expires_at } = held;
        let own: Vec<_> = reasons.iter().map(|reason| reason.for_author()).collect();
        Self {
            held_id: message.message_id,
            room_id,
            user: &message.user,
            content: &message.content,
            text: message.text.as_deref(),
            kind: message.kind.as_str(),
            timestamp: rfc3339(at),
            client_id: message.client_id.as_deref(),
            reasons: why(if moderator { reasons } else { &own }),
            expires_at: rfc3339(*expires_at),
        }
    }
}

/// What waits in a room.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HeldList {
    /// Oldest first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<HeldData<'static>>))]
    #[cfg_attr(test, schemars(with = "Vec<HeldData<'static>>"))]
    held: Vec<Box<serde_json::value::RawValue>>,
}

/// A message that was allowed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "AllowReply"))]
pub struct Allowed {
    /// The id under which it waited.
    held_id: MessageId,
    /// The message that it is now.
    message_id: MessageId,
    /// Its place in the log.
    seq: u64,
    /// When it was allowed, RFC 3339.
    timestamp: String,
}

fn not_found() -> ChatError {
    ChatError::new(ErrorCode::MessageNotFound, "No such message waits; it may have been decided.").field("held_id")
}

/// The held message of this `seq` in its row, and when it was sent.
fn held_in(row: &Row, seq: u64) -> Option<(u64, &Held)> {
    row.events.iter().find(|event| event.seq == seq).and_then(|event| match &event.body {
        Body::MessageHeld(held) => Some((event.at, &**held)),
        _ => None,
    })
}

impl Room {
    /// Puts a message in the queue.
    ///
    /// # Errors
    /// `content_rejected` where the queue is full.
    pub(super) fn hold(
        &mut self,
        step: &mut Step,
        now: u64,
        message: Message,
        reasons: Vec<crate::content::Reason>,
    ) -> Result<(), ChatError> {
        let author = message.sender().clone();
        if self.held.0.len() >= MOST || self.held.of(&author).len() >= MOST_OF_USER {
            self.refused.accepted(&author, now);
            let message = "It would have to wait for a moderator, and too many messages wait already.";
            return Err(ChatError::new(ErrorCode::ContentRejected, message));
        }
        let (id, expires_at) = (message.message_id, self.last_at.max(now).saturating_add(HELD_FOR));
        let waiting = Waiting { id, user_id: author.clone(), expires_at };
        step.write.state.push((format!("{KEY_HELD}{:013}", id.seq()), Some(json(&waiting))));
        self.held.0.insert(id.seq(), waiting);
        let held = Box::new(Held { message, reasons, expires_at });
        self.append(step, now, Audience::User(author), Body::MessageHeld(held));
        Ok(())
    }

    /// What waits, for a moderator.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn held(&self, log: &dyn Log) -> Read<HeldList> {
        let mut held = Vec::new();
        for seq in self.held.0.keys() {
            let Some(row) = log.row_with(*seq)? else { continue };
            if let Some((at, message)) = held_in(&row, *seq) {
                held.push(crate::protocol::wire::raw_json(&HeldData::new(self.id.as_str(), at, message, true)));
            }
        }
        Ok(HeldList { held })
    }

    /// When a message that waits has to be let go of, ms.
    pub fn next_held(&self) -> Option<u64> {
        self.held.next()
    }

    fn waits(&self, id: &str) -> Result<MessageId, ChatError> {
        let id = MessageId::parse(id).ok_or_else(not_found)?;
        self.held.0.get(&id.seq()).filter(|waiting| waiting.id == id).map(|_| id).ok_or_else(not_found)
    }

    /// Takes a message out of the queue and its text out of the log; the message, where the log still holds it.
    fn take_held(&mut self, log: &dyn Log, step: &mut Step, id: MessageId, now: u64) -> Read<Option<Message>> {
        let earlier = step.write.rewrite.iter().position(|row| held_in(row, id.seq()).is_some());
        let row = match earlier {
            Some(at) => Some(step.write.rewrite.swap_remove(at)),
            None => log.row_with(id.seq())?,
        };
        self.held.0.remove(&id.seq());
        step.write.state.push((format!("{KEY_HELD}{:013}", id.seq()), None));
        let Some(mut row) = row else { return Ok(None) };
        let mut taken = None;
        for event in row.events.iter_mut().filter(|event| event.seq == id.seq()) {
            if let Body::MessageHeld(held) = &mut event.body {
                taken = Some(held.message.clone());
                held.message.redact(now);
                held.reasons.clear();
            }
        }
        step.write.rewrite.push(row);
        Ok(taken)
    }

    /// Lets a message that waits be said: a fresh message with a number, at its place in the log now.
    pub(super) fn allow(
        &mut self,
        cx: &Context<'_>,
        (by, role): (&str, Role),
        body: &HeldRef,
    ) -> Result<(Allowed, Step), Failure> {
        let held_id = self.waits(&body.held_id)?;
        let mut step = Step::default();
        let message = self.take_held(cx.log, &mut step, held_id, cx.now)?.ok_or_else(not_found)?;
        let author = message.sender().clone();
        let message_id = MessageId::new(self.last_at.max(cx.now), self.last_seq + 1, &cx.entropy);
        self.last_no += 1;
        self.remember_author(&message.user);
        let said = Message { message_id, no: self.last_no, held_id: Some(held_id), ..message };
        // Nobody's message waits whom a ban does not bind: those are not filtered.
        let banned = self.bans_of(&author).any(|ban| ban.holds(cx.now));
        let audience = if banned { Audience::User(author.clone()) } else { Audience::All };
        let seq = self.append(&mut step, cx.now, audience, Body::NewMessage(Box::new(said)));
        let ended = Body::HeldEnded {
            held_id,
            author: author.clone(),
            outcome: Outcome::Allowed,
            message_id: Some(message_id),
            by: Some(by.to_owned()),
            role: Some(role),
            reason: None,
        };
        self.append(&mut step, cx.now, Audience::User(author), ended);
        self.seal(&mut step);
        Ok((Allowed { held_id, message_id, seq, timestamp: rfc3339(message_id.time()) }, step))
    }

    /// Refuses a message that waits.
    pub(super) fn deny(
        &mut self,
        cx: &Context<'_>,
        by: (&str, Role),
        body: &HeldRef,
        reason: Option<String>,
    ) -> Result<Step, Failure> {
        let held_id = self.waits(&body.held_id)?;
        let mut step = Step::default();
        self.refuse_held(cx.log, &mut step, cx.now, held_id, (Outcome::Denied, Some(by), reason))?;
        self.seal(&mut step);
        Ok(step)
    }

    /// What waits and was said by a user, or in the name of one.
    pub(super) fn held_naming(&self, log: &dyn Log, eraser: &Eraser<'_>) -> Read<Vec<MessageId>> {
        let mut naming = Vec::new();
        for (seq, waiting) in &self.held.0 {
            let row = if eraser.is(&waiting.user_id) { None } else { log.row_with(*seq)? };
            let held = row.as_ref().and_then(|row| held_in(row, *seq));
            if eraser.is(&waiting.user_id) || held.is_some_and(|(_, held)| eraser.is(&held.message.user.user_id)) {
                naming.push(waiting.id);
            }
        }
        Ok(naming)
    }

    /// Refuses all that waits of a user who is banned now.
    pub(super) fn deny_all_of(&mut self, cx: &Context<'_>, step: &mut Step, by: (&str, Role), user: &str) -> Read<()> {
        for id in self.held.of(user) {
            self.refuse_held(cx.log, step, cx.now, id, (Outcome::Denied, Some(by), None))?;
        }
        Ok(())
    }

    /// Ends what has waited for long enough.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn expire_held(&mut self, log: &dyn Log, now: u64) -> Read<Step> {
        let mut step = Step::default();
        for id in self.held.due(now) {
            self.refuse_held(log, &mut step, now, id, (Outcome::Expired, None, None))?;
        }
        self.seal(&mut step);
        Ok(step)
    }

    pub(super) fn refuse_held(
        &mut self,
        log: &dyn Log,
        step: &mut Step,
        now: u64,
        held_id: MessageId,
        (outcome, by, reason): (Outcome, Option<(&str, Role)>, Option<String>),
    ) -> Read<()> {
        let Some(waiting) = self.held.0.get(&held_id.seq()) else { return Ok(()) };
        let author = waiting.user_id.clone();
        self.take_held(log, step, held_id, self.last_at.max(now))?;
        let (by, role) = by.map(|(by, role)| (by.to_owned(), role)).unzip();
        let ended = Body::HeldEnded { held_id, author: author.clone(), outcome, message_id: None, by, role, reason };
        self.append(step, now, Audience::User(author), ended);
        Ok(())
    }

    /// Queues anew what waited in a room whose storage was lost; its former ids end.
    pub(super) fn hold_again(&mut self, step: &mut Step, now: u64, held: Vec<Held>, entropy: &[u8; 32]) {
        for Held { mut message, reasons, .. } in held {
            let former = message.message_id;
            message.message_id = MessageId::new(self.last_at.max(now), self.last_seq + 1, entropy);
            let author = message.user.user_id.clone();
            if self.hold(step, now, message, reasons).is_ok() {
                let ended = Body::HeldEnded {
                    held_id: former,
                    author,
                    outcome: Outcome::Expired,
                    message_id: None,
                    by: None,
                    role: None,
                    reason: None,
                };
                self.append(step, now, Audience::Internal, ended);
            }
        }
    }
}
