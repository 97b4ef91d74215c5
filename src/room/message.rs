//! What is said: checked, numbered, appended.

use super::dedupe::{self, Dedupe};
use super::filters::Judged;
use super::limits::is_apart;
use super::policy::{self, Action};
use super::{Context, Failure, Room, Step};
use crate::auth::{Identity, Role};
use crate::content::{self, Clean};
use crate::protocol::call::{AsUser, SendBody};
use crate::protocol::{Body, ChatError, ErrorCode, Message, MessageId, MessageType, RoomSettings, User, rfc3339};
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
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "SendReply"))]
pub struct Sent {
    /// The new message, or the first one under the same `client_id`.
    pub message_id: MessageId,
    /// Its place in the log.
    pub seq: u64,
    /// When it was said, RFC 3339.
    pub timestamp: String,
    /// It waits for a moderator: `message_released` or `message_denied` says what became of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

impl Sent {
    pub(super) fn of(id: MessageId, held: bool) -> Self {
        Self { message_id: id, seq: id.seq(), timestamp: rfc3339(id.time()), held }
    }
}

/// Whether a message may go by this name.
///
/// # Errors
/// `bad_request`.
pub fn check_client_id(client_id: &str) -> Result<(), ChatError> {
    if client_id.is_empty() || client_id.chars().count() > 64 || client_id.chars().any(char::is_control) {
        let message = "`client_id` is 1 to 64 characters, none of them a control character.";
        return Err(ChatError::new(ErrorCode::BadRequest, message).field("client_id"));
    }
    Ok(())
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

pub(super) fn signed_in<'a>(sender: &Sender<'a>) -> Result<&'a Identity, ChatError> {
    let message = "Sign in to do this; without a token one can only read.";
    sender.identity.ok_or_else(|| ChatError::new(ErrorCode::TokenRequired, message))
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
        if self.is_direct() {
            return Err(ChatError::new(ErrorCode::Forbidden, "Nobody announces anything in a direct room.").into());
        }
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
            check_client_id(client_id)?;
            let known = match &mut self.dedupe {
                Some(known) => known,
                none => none.insert(Dedupe::load(cx.log, cx.now)?),
            };
            if let Some(first) = known.find(cx.log, &who.user_id, client_id, cx.now)? {
                return Ok((first, Step::default()));
            }
        }
        policy::check(Action::Send, sender.role, read_only)?;
        self.check_direct(sender)?;
        let as_user = match body.as_user.clone() {
            None => None,
            Some(user) => {
                policy::check(Action::SendAsUser, sender.role, read_only)?;
                Some(speaker(user)?)
            }
        };
        if cx.log.bytes() >= super::STORAGE_BYTES {
            let message = "The room's storage is full until older messages have been moved on.";
            return Err(ChatError::new(ErrorCode::StorageFull, message).retry_after(10_000).into());
        }
        self.check_bond(sender, cx.now)?;
        self.check_slow(&who.user_id, sender.role, cx.now)?;
        self.check_rates(&who.user_id, sender.role, cx.now)?;
        let encrypted = kind == MessageType::Encrypted;
        let (clean, franking) = if encrypted {
            Self::check_bare(&body)?;
            let (content, tag) = self.sealed(&body.content, body.franking.clone())?;
            (Clean { content, text: None }, Some(tag))
        } else {
            (content::clean(&body.content, self.max_length())?, None)
        };
        if kind == MessageType::Emote && !content::is_emote(clean.plain()) {
            let message = "A message of type `emote` holds nothing but emoji and :name: shortcodes.";
            return Err(ChatError::new(ErrorCode::InvalidType, message).field("type").into());
        }
        let metadata = match body.metadata {
            None | Some(serde_json::Value::Null) => serde_json::Map::new(),
            Some(value) => {
                content::metadata(&value)?;
                value.as_object().cloned().unwrap_or_default()
            }
        };
        let answered = match &body.reply_to {
            None => None,
            Some(id) => Some(self.find(cx, id)?.map_err(|e| e.field("reply_to"))?.message),
        };
        let mentions = if encrypted { Vec::new() } else { self.mentions(cx, clean.plain(), &body.mentions)? };
        // Last of all: what is refused for another reason is not remembered as said.
        let Judged { clean, original, reasons, hold } =
            if encrypted { Judged::unread(clean) } else { self.judged(cx, sender, clean, false)? };

        let sent_by = as_user.is_some().then(|| who.user_id.clone());
        let user = as_user.unwrap_or_else(|| User {
            user_id: who.user_id.clone(),
            username: who.username.clone(),
            avatar: who.avatar.clone(),
            roles: vec![sender.role],
        });
        let message_id = MessageId::new(self.last_at.max(cx.now), self.last_seq + 1, &cx.entropy);
        let message = Message {
            message_id,
            no: 0,
            user,
            content: clean.content,
            text: clean.text,
            kind,
            mentions,
            reply_to: answered.as_ref().map(|answered| answered.message_id),
            answers: answered.map(|answered| answered.user.user_id),
            sent_by,
            client_id: body.client_id.clone(),
            metadata,
            franking,
            original,
            reasons: if hold { Vec::new() } else { reasons.clone() },
            held_id: None,
            edited_at: None,
            edit_seq: None,
            deleted_at: None,
        };
        let mut step = Step::default();
        if hold {
            self.hold(&mut step, cx.now, message, reasons)?;
        } else {
            self.remember_author(&message.user);
            self.last_no += 1;
            let message = Message { no: self.last_no, ..message };
            let audience = self.audience_for(who, cx.now);
            self.append(&mut step, cx.now, audience, Body::NewMessage(Box::new(message)));
        }
        self.count_said(&who.user_id, sender.role, cx.now);
        if let Some(client_id) = body.client_id {
            let hash = dedupe::hash(&who.user_id, &client_id);
            step.write.dedupe.push(hash);
            if let Some(known) = &mut self.dedupe {
                known.remember(hash, self.last_seq, cx.now);
            }
        }
        self.seal(&mut step);
        Ok((Sent::of(message_id, hold), step))
    }

    fn kind(&self, body: &SendBody, sender: &Sender<'_>) -> Result<MessageType, ChatError> {
        if self.is_direct() && body.kind.as_deref() != Some("encrypted") {
            let message = "In a direct room messages are of type `encrypted`.";
            return Err(ChatError::new(ErrorCode::InvalidType, message).field("type"));
        }
        match body.kind.as_deref() {
            Some("encrypted") if self.is_direct() => Ok(MessageType::Encrypted),
            None | Some("text") => Ok(MessageType::Text),
            Some("emote") => Ok(MessageType::Emote),
            Some("system") => {
                policy::check(Action::SendSystem, sender.role, false)?;
                Ok(MessageType::System)
            }
            Some(_) => {
                let message =
                    "A message is of type `text` or `emote`, in a direct room `encrypted`, or `system` from a service.";
                Err(ChatError::new(ErrorCode::InvalidType, message).field("type"))
            }
        }
    }

    /// Whether the modes for followers and subscribers let this sender say something.
    ///
    /// # Errors
    /// `room_mode`.
    pub(super) fn check_bond(&self, sender: &Sender<'_>, now: u64) -> Result<(), ChatError> {
        let RoomSettings { followers_only_s, subscribers_only, subscribers_only_s, .. } = &self.info.settings;
        if sender.role.at_least(Role::Moderator) {
            return Ok(());
        }
        let lasts =
            |since: Option<u64>, s: u64| since.is_some_and(|at| at.saturating_add(s.saturating_mul(1000)) <= now);
        let (followed, subscribed) = sender.identity.map_or((None, None), |who| (who.followed_at, who.subscribed_at));
        let refused = |message: String| Err(ChatError::new(ErrorCode::RoomMode, message));
        if *subscribers_only && !lasts(subscribed, *subscribers_only_s) {
            return refused(match subscribers_only_s {
                0 => "Only subscribers may write here for now.".to_owned(),
                s => format!("Only who has subscribed for {s} seconds may write here for now."),
            });
        }
        match followers_only_s {
            Some(s) if !lasts(followed, *s) && !lasts(subscribed, 0) => refused(match s {
                0 => "Only followers may write here for now.".to_owned(),
                s => format!("Only who has followed for {s} seconds may write here for now."),
            }),
            _ => Ok(()),
        }
    }

    fn check_slow(&self, user: &str, role: Role, now: u64) -> Result<(), ChatError> {
        let Some(slow) = self.info.settings.slow_s.filter(|_| !is_apart(role)) else {
            return Ok(());
        };
        let next = self.rates.last(user).map_or(0, |last| last.saturating_add(slow.saturating_mul(1000)));
        if next <= now {
            return Ok(());
        }
        let message = "The room is in slow mode; wait before you say more.";
        Err(ChatError::new(ErrorCode::SlowMode, message).retry_after(next - now))
    }

    pub(super) fn max_length(&self) -> usize {
        let own = self.info.settings.max_message_length.and_then(|n| usize::try_from(n).ok());
        own.unwrap_or(self.settings.max_message_length)
    }

    /// What this viewer can do here at `now` (ms).
    pub fn can(&self, sender: &Sender<'_>, now: u64) -> Vec<&'static str> {
        let mut can = policy::can(sender.role, self.info.settings.read_only);
        if self.check_bond(sender, now).is_err() {
            can.retain(|what| !matches!(*what, "send" | "edit" | "type"));
        }
        can
    }
}
