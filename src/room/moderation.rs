//! What those who keep order do: bans, bulk deletions, pins, announcements, roles. Each act is an event of the log.

use super::policy::{self, Action};
use super::reactions;
use super::{Context, Failure, KEY_BAN, KEY_ROLE, Room, Row, SCAN, Sender, Step};
use crate::auth::{Identity, Role};
use crate::protocol::act::{Act, Announcement, Ban, BanUser, Reasoned, SetRole, UserRef};
use crate::protocol::wire::{json, raw, raw_json};
use crate::protocol::{Audience, Body, ChatError, ErrorCode, MessageId, UserId, rfc3339};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The longest ban that ends, s.
const LONGEST_BAN: u64 = 31_536_000;
/// How far back a ban takes messages with it, s.
const LONGEST_DELETE: u64 = 7 * 24 * 3600;
/// Messages that one act makes tombstones at most: what one transaction may rewrite.
const MOST_DELETED: usize = 1_000;

/// A ban as moderators see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Ban"))]
pub struct BanData<'a> {
    /// The room.
    room_id: &'a str,
    /// Who is banned.
    user_id: &'a str,
    /// Under which name, where it was known.
    username: Option<&'a str>,
    /// Why.
    reason: Option<&'a str>,
    /// Whether the user is told nothing.
    shadow: bool,
    /// Since when, RFC 3339.
    created_at: String,
    /// Until when; null for good.
    ends_at: Option<String>,
    /// Who did it.
    by: &'a str,
}

/// What a bulk deletion did.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "DeleteManyReply"))]
pub struct DeletedData {
    /// So many messages became tombstones.
    deleted: usize,
    /// Whether there are more of them in the log.
    more: bool,
    /// The event's place in the log; absent where there was nothing to delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

/// A user's role in a room.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RoleReply"))]
pub struct RoleData<'a> {
    /// The room.
    room_id: &'a str,
    /// The user.
    user_id: &'a str,
    /// What the room gives; null where nothing.
    role: Option<Role>,
}

/// The refusal that a banned user meets.
pub(super) fn banned(ban: &Ban) -> ChatError {
    let mut message = "You are banned from this room".to_owned();
    if let Some(reason) = &ban.reason {
        message.push_str(": ");
        message.push_str(reason);
    }
    message.push('.');
    let mut error = ChatError::new(ErrorCode::Banned, message);
    error.ends_at = ban.ends_at.map(rfc3339);
    error
}

fn bad(field: &str, message: &str) -> ChatError {
    ChatError::new(ErrorCode::BadRequest, message).field(field)
}

fn checked_user(user_id: &str) -> Result<(), ChatError> {
    if user_id.is_empty() || user_id.len() > 255 || user_id.chars().any(char::is_control) {
        return Err(bad("user_id", "`user_id` is 1 to 255 bytes, none of them a control character."));
    }
    Ok(())
}

fn checked_reason(reason: Option<String>) -> Result<Option<String>, ChatError> {
    let Some(reason) = reason else { return Ok(None) };
    let reason = reason.trim();
    if reason.chars().count() > 500 || reason.chars().any(char::is_control) {
        return Err(bad("reason", "`reason` is at most 500 characters, none of them a control character."));
    }
    Ok((!reason.is_empty()).then(|| reason.to_owned()))
}

impl Room {
    /// The ban that keeps this user out, or unseen, at `now`.
    pub(super) fn ban_of(&self, who: &Identity, now: u64) -> Option<&Ban> {
        self.bans_of(&who.user_id).find(|ban| ban.holds(now) && ban.binds(who.role(None)))
    }

    /// Who sees what this user says: only the user, and moderators, under a shadow ban.
    pub(super) fn audience_for(&self, who: &Identity, now: u64) -> Audience {
        match self.ban_of(who, now) {
            Some(_) => Audience::User(who.user_id.clone()),
            None => Audience::All,
        }
    }

    /// Whether others are to be told that this user types.
    pub fn is_shown(&self, who: &Identity, now: u64) -> bool {
        self.ban_of(who, now).is_none()
    }

    /// What somebody who may not be here is in this room, as far as the room knows.
    fn known_role(&self, cx: &Context<'_>, user_id: &str) -> Role {
        let owner = (self.info.owner_id.as_deref() == Some(user_id)).then_some(Role::Owner);
        let given = self.roles.get(user_id).copied();
        owner.max(given).max(cx.present.role_of(user_id)).unwrap_or(Role::Member)
    }

    /// Does what a moderator asks for; the reply's data.
    ///
    /// # Errors
    /// `forbidden` by the table or on one's equal or better, and what is wrong with the act.
    pub fn act(&mut self, cx: &Context<'_>, sender: &Sender<'_>, act: Act) -> Result<(Box<RawValue>, Step), Failure> {
        let action = match &act {
            Act::Ban(_) | Act::Unban(_) => Action::Ban,
            Act::DeleteMessages(_) | Act::Clear(_) => Action::DeleteMany,
            Act::Pin(_) | Act::Unpin(_) => Action::Pin,
            Act::Announce(_) => Action::Announce,
            Act::SetRole(_) => Action::SetRole,
            Act::Allow(_) | Act::Deny(_) => Action::ReviewHeld,
            Act::SetTerms(_) => Action::SetTerms,
            Act::Report(_) => Action::Report,
            Act::ResolveReport(_) => Action::ReviewReports,
        };
        policy::check(action, sender.role, false)?;
        let Some(who) = sender.identity else {
            return Err(ChatError::new(ErrorCode::TokenRequired, "Sign in to do this.").into());
        };
        match act {
            Act::Ban(body) => self.ban(cx, sender, who, body),
            Act::Unban(body) => self.unban(cx, sender, who, body),
            Act::DeleteMessages(body) => {
                checked_user(&body.user_id)?;
                policy::may_act_on(sender.role, self.known_role(cx, &body.user_id))?;
                let reason = checked_reason(body.reason)?;
                self.delete_many(cx, sender, who, Some(body.user_id), 0, reason)
            }
            Act::Clear(Reasoned { reason, .. }) => self.delete_many(cx, sender, who, None, 0, checked_reason(reason)?),
            Act::Pin(body) => self.pin(cx, sender, who, &body, false),
            Act::Unpin(body) => self.pin(cx, sender, who, &body, true),
            Act::Announce(Announcement { content, .. }) => self.announce(cx, sender, content),
            Act::SetRole(body) => self.set_role(cx, sender, who, body),
            Act::Allow(body) => {
                self.allow(cx, (&who.user_id, sender.role), &body).map(|(allowed, step)| (raw_json(&allowed), step))
            }
            Act::Deny(body) => {
                let reason = checked_reason(body.reason.clone())?;
                Ok((raw("{}".into()), self.deny(cx, (&who.user_id, sender.role), &body, reason)?))
            }
            Act::SetTerms(body) => {
                self.set_terms(cx, sender, &who.user_id, body).map(|(terms, step)| (raw_json(&terms), step))
            }
            Act::Report(body) => self.report(cx, sender, &body, None).map(|(reported, step)| (reported.report, step)),
            Act::ResolveReport(body) => self.resolve(cx, sender.role, who, &body),
        }
    }

    fn ban(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        who: &Identity,
        body: BanUser,
    ) -> Result<(Box<RawValue>, Step), Failure> {
        let BanUser { room_id: _, user_id, duration_s, reason, delete_messages_s, shadow } = body;
        checked_user(&user_id)?;
        if user_id == who.user_id {
            return Err(ChatError::new(ErrorCode::Forbidden, "Nobody bans themselves.").into());
        }
        policy::may_act_on(sender.role, self.known_role(cx, &user_id))?;
        if duration_s.is_some_and(|s| !(1..=LONGEST_BAN).contains(&s)) {
            return Err(
                bad("duration_s", "`duration_s` is 1 to 31,536,000 seconds; without it the ban is for good.").into()
            );
        }
        if delete_messages_s.is_some_and(|s| !(1..=LONGEST_DELETE).contains(&s)) {
            return Err(bad("delete_messages_s", "`delete_messages_s` is 1 to 604,800 seconds.").into());
        }
        let reason = checked_reason(reason)?;
        let mut step = Step::default();
        if let Some(seconds) = delete_messages_s {
            let since = cx.now.saturating_sub(seconds.saturating_mul(1000)).max(1);
            step = self.delete_many(cx, sender, who, Some(user_id.clone()), since, reason.clone())?.1;
        }
        let ban = Ban {
            username: cx.present.by_id(&user_id).map(|mention| mention.username),
            user_id: user_id.clone(),
            reason,
            shadow,
            created_at: cx.now,
            ends_at: duration_s.map(|s| cx.now.saturating_add(s.saturating_mul(1000))),
            by: who.user_id.clone(),
            role: Some(sender.role),
        };
        // Who is not to notice the ban is not told of a denial either.
        if !shadow {
            self.deny_all_of(cx, &mut step, (&who.user_id, sender.role), &user_id)?;
        }
        step.write.state.push((format!("{KEY_BAN}{user_id}"), Some(json(&ban))));
        self.bans.insert(user_id, ban.clone());
        let audience = if shadow { Audience::Moderators } else { Audience::All };
        let reply = raw_json(&self.ban_data(&ban));
        self.append(&mut step, cx.now, audience, Body::Banned { ban: Box::new(ban), role: sender.role });
        self.seal(&mut step);
        Ok((reply, step))
    }

    fn ban_data<'a>(&'a self, ban: &'a Ban) -> BanData<'a> {
        BanData {
            room_id: self.id.as_str(),
            user_id: &ban.user_id,
            username: ban.username.as_deref(),
            reason: ban.reason.as_deref(),
            shadow: ban.shadow,
            created_at: rfc3339(ban.created_at),
            ends_at: ban.ends_at.map(rfc3339),
            by: &ban.by,
        }
    }

    /// Who is banned at `now`, by id.
    pub fn bans(&self, now: u64) -> Vec<BanData<'_>> {
        self.bans.values().filter(|ban| ban.holds(now)).map(|ban| self.ban_data(ban)).collect()
    }

    fn unban(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        who: &Identity,
        body: UserRef,
    ) -> Result<(Box<RawValue>, Step), Failure> {
        let reason = checked_reason(body.reason)?;
        let found: Vec<_> = self.bans_of(&body.user_id).map(|ban| (ban.user_id.clone(), ban.shadow)).collect();
        if found.is_empty() {
            return Err(ChatError::new(ErrorCode::UserNotFound, "This user is not banned here.")
                .field("user_id")
                .into());
        }
        let mut step = Step::default();
        for (user_id, shadow) in found {
            self.bans.remove(&user_id);
            step.write.state.push((format!("{KEY_BAN}{user_id}"), None));
            let audience = if shadow { Audience::Moderators } else { Audience::All };
            let (by, reason) = (who.user_id.clone(), reason.clone());
            self.append(&mut step, cx.now, audience, Body::Unbanned { user_id, by, role: sender.role, reason });
        }
        self.seal(&mut step);
        Ok((raw("{}".into()), step))
    }

    /// Makes tombstones of one user's messages, or of everyone's, said at or after `since` (ms): newest first, as many
    /// as one transaction may rewrite; the reply says whether there are more.
    fn delete_many(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        who: &Identity,
        user: Option<UserId>,
        since: u64,
        reason: Option<String>,
    ) -> Result<(Box<RawValue>, Step), Failure> {
        let deleted_at = self.last_at.max(cx.now);
        // Apart what others than moderators never saw: they do not hear of its end. But whoever said it under a shadow
        // ban saw it, and does.
        let (mut ids, mut hidden, mut gone_edits, mut more) = (Vec::new(), Vec::new(), Vec::new(), false);
        let mut own: BTreeMap<UserId, Vec<MessageId>> = BTreeMap::new();
        let mut rows: BTreeMap<u64, Row> = BTreeMap::new();
        let (mut before, mut deleted) = (u64::MAX, 0);
        'scan: loop {
            let batch = cx.log.rows_before(before, SCAN)?;
            let Some(oldest) = batch.last() else { break };
            before = oldest.first();
            for mut row in batch {
                let mut changed = false;
                for event in row.events.iter_mut().rev() {
                    if event.at < since {
                        break 'scan;
                    }
                    let Body::NewMessage(message) = &mut event.body else { continue };
                    // What a user said as an equal or better stays; clearing the room takes everything.
                    let below = || message.user.roles.iter().all(|role| sender.role.rank() > role.rank());
                    let theirs = user.as_ref().is_none_or(|user| message.user.user_id == *user && below());
                    if !theirs || message.deleted_at.is_some() {
                        continue;
                    }
                    if deleted >= MOST_DELETED {
                        more = true;
                        break;
                    }
                    deleted += 1;
                    let list = match &event.audience {
                        _ if event.visible_at > deleted_at && !cx.present.is_split() => &mut hidden,
                        Audience::All => &mut ids,
                        Audience::User(author) => own.entry(author.clone()).or_default(),
                        _ => &mut hidden,
                    };
                    list.push(message.message_id);
                    gone_edits.extend(message.edit_seq);
                    message.redact(deleted_at);
                    changed = true;
                }
                if changed {
                    rows.insert(row.last, row);
                }
                if more {
                    break 'scan;
                }
            }
        }
        let mut step = Step::default();
        let unseen = hidden.len();
        let message_ids = [hidden, ids].concat();
        if deleted == 0 {
            return Ok((raw_json(&DeletedData { deleted: 0, more, seq: None }), step));
        }
        for seq in gone_edits {
            let Some(found) = cx.log.row_with(seq)? else { continue };
            let row = rows.entry(found.last).or_insert(found);
            row.events.iter_mut().filter(|event| event.seq == seq).for_each(|event| event.body.forget_edit());
        }
        step.write.rewrite = rows.into_values().collect();
        let all = message_ids.iter().chain(own.values().flatten());
        step.write.state = all.map(|id| (reactions::key(id.seq()), None)).collect();
        let (by, role) = (&who.user_id, sender.role);
        let mut seq = None;
        let parts = own.into_iter().map(|(author, ids)| (Audience::User(author), ids, 0));
        for (audience, message_ids, unseen) in parts.chain([(Audience::All, message_ids.clone(), unseen)]) {
            if !message_ids.is_empty() {
                let (user_id, by, reason) = (user.clone(), by.clone(), reason.clone());
                let body = Body::MessagesDeleted { message_ids, unseen, user_id, by, role, reason };
                seq = Some(self.append(&mut step, cx.now, audience, body));
            }
        }
        self.unpin_deleted(&mut step, cx.now, &message_ids, (by, role));
        self.seal(&mut step);
        Ok((raw_json(&DeletedData { deleted, more, seq }), step))
    }

    fn announce(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        content: String,
    ) -> Result<(Box<RawValue>, Step), Failure> {
        let (sent, step) = self.announced(cx, sender, content)?;
        Ok((raw_json(&sent), step))
    }

    fn set_role(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        who: &Identity,
        body: SetRole,
    ) -> Result<(Box<RawValue>, Step), Failure> {
        checked_user(&body.user_id)?;
        if !matches!(body.role, None | Some(Role::Member | Role::Moderator | Role::Owner)) {
            return Err(bad("role", "A room gives the roles `member`, `moderator` and `owner`, or null.").into());
        }
        // The room's own word counts here: what a token says of the target stays whatever the room gives.
        let target = self.roles.get(&body.user_id).copied().unwrap_or(Role::Member);
        if self.info.owner_id.as_ref() == Some(&body.user_id) {
            return Err(ChatError::new(ErrorCode::Forbidden, "Who made the room stays its owner.").into());
        }
        // A service stands below an owner, and appoints in the back end's name.
        let rank = if sender.role == Role::Service { Role::Admin } else { sender.role };
        policy::may_act_on(rank, target)?;
        policy::may_act_on(rank, body.role.unwrap_or(Role::Member))?;
        let mut step = Step::default();
        if self.roles.get(&body.user_id).copied() != body.role {
            match body.role {
                Some(role) => drop(self.roles.insert(body.user_id.clone(), role)),
                None => drop(self.roles.remove(&body.user_id)),
            }
            step.write.state.push((format!("{KEY_ROLE}{}", body.user_id), body.role.map(|role| json(&role))));
            let username = cx.present.by_id(&body.user_id).map(|mention| mention.username);
            let (user_id, role, by) = (body.user_id.clone(), body.role, Some(who.user_id.clone()));
            let body = Body::Role { user_id, username, role, by, by_role: Some(sender.role) };
            self.append(&mut step, cx.now, Audience::All, body);
            self.seal(&mut step);
        }
        let data = RoleData { room_id: self.id.as_str(), user_id: &body.user_id, role: body.role };
        Ok((raw_json(&data), step))
    }
}
