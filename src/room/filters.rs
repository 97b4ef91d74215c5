//! What a room's filters make of a message: its settings and terms put together, and the verdict carried out.

use super::mentions::Authors;
use super::{Context, Failure, KEY_TERMS, Log, Read, Room, SCAN, Sender, Step};
use crate::auth::Role;
use crate::content::{
    self, Action, Clean, Filters, ProfanitySetting, Reason, SpamSetting, Terms as Compiled, Verdict, judge,
};
use crate::protocol::act::{SetTerms, Terms, TryTerms};
use crate::protocol::wire::json;
use crate::protocol::{Audience, Body, ChatError, ErrorCode, Rate, RoomSettings};
use crate::settings::Settings;
use serde::Serialize;
use std::cell::{Cell, RefCell};

/// How many of a user's messages the filters refuse before none is looked at any more.
pub(super) const REFUSED: Rate = Rate { messages: 20, window_ms: 60_000 };

/// A reason with its sentence, as it stands on the wire.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Why {
    #[serde(flatten)]
    reason: Reason,
    /// In words that a moderator understands.
    sentence: String,
}

/// These reasons as they stand on the wire.
pub(super) fn why(reasons: &[Reason]) -> Vec<Why> {
    reasons.iter().map(|reason| Why { sentence: reason.sentence(), reason: reason.clone() }).collect()
}

/// What would become of a message.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tried {
    /// `pass`, `mask`, `hold` or `reject`.
    verdict: &'static str,
    /// The message as it would be seen, safe as HTML element content.
    content: String,
    /// Why; empty where it passes.
    reasons: Vec<Why>,
}

/// What the filters left of a message that is not refused.
pub(super) struct Judged {
    pub(super) clean: Clean,
    /// What was typed, where some of it is masked.
    pub(super) original: Option<String>,
    pub(super) reasons: Vec<Reason>,
    /// A moderator decides.
    pub(super) hold: bool,
}

impl Judged {
    /// One that no filter reads.
    pub(super) fn unread(clean: Clean) -> Self {
        Self { clean, original: None, reasons: Vec::new(), hold: false }
    }
}

fn compiled(terms: &Terms) -> Result<Compiled, ChatError> {
    let Terms { blocked, allowed, .. } = terms;
    Compiled::compile(blocked.iter().map(String::as_str), allowed.iter().map(String::as_str)).map_err(|bad| {
        let listed = |list: &[String]| list.iter().position(|term| Some(term) == bad.term.as_ref());
        let field = match (listed(blocked), listed(allowed)) {
            (Some(at), _) => format!("blocked.{at}"),
            (None, Some(at)) => format!("allowed.{at}"),
            (None, None) => "blocked".to_owned(),
        };
        ChatError::new(ErrorCode::BadRequest, bad.sentence).field(field)
    })
}

/// The filters of a room with these settings; terms that cannot be read, which none that was set is, are left out.
pub(super) fn filters(own: &RoomSettings, deployment: &Settings, terms: &Terms) -> Filters {
    let on = |enabled, action| if enabled { action } else { Action::Off };
    Filters {
        profanity: own.profanity.unwrap_or(ProfanitySetting {
            action: on(deployment.profanity_filter, Action::Mask),
            ..ProfanitySetting::default()
        }),
        spam: own.spam.unwrap_or(SpamSetting { action: on(deployment.spam_detection, Action::Hold) }),
        terms: compiled(terms).unwrap_or_default(),
        terms_action: terms.action,
        links: own.links,
        emote_only: own.emote_only,
        no_repeats: own.no_repeats,
    }
}

/// The refusal that the author is told.
fn refused(reasons: &[Reason]) -> ChatError {
    let mode = reasons.iter().any(Reason::is_mode);
    let sentences: Vec<_> = reasons.iter().map(|reason| reason.for_author().sentence()).collect();
    let code = if mode { ErrorCode::RoomMode } else { ErrorCode::ContentRejected };
    ChatError::new(code, sentences.join(" "))
}

/// What members said within the last minute, as far as the log has it: an object that was built anew knows no more.
fn lately(log: &dyn Log, now: u64) -> Read<content::History> {
    let since = now.saturating_sub(content::History::SPAN_MS);
    let (mut before, mut said) = (u64::MAX, Vec::new());
    'scan: loop {
        let rows = log.rows_before(before, SCAN)?;
        let Some(oldest) = rows.last() else { break };
        before = oldest.first();
        for event in rows.into_iter().flat_map(|row| row.events.into_iter().rev()) {
            if event.at < since || said.len() >= content::History::MOST {
                break 'scan;
            }
            let message = match event.body {
                Body::NewMessage(message) => *message,
                Body::MessageHeld(held) => held.message,
                _ => continue,
            };
            let filtered = !message.user.roles.iter().any(|role| role.at_least(Role::Moderator));
            if filtered && message.sent_by.is_none() && message.deleted_at.is_none() {
                said.push((event.at, message));
            }
        }
    }
    let mut history = content::History::default();
    for (at, message) in said.into_iter().rev() {
        let text = message.original.or(message.text).unwrap_or(message.content);
        history.recall(&message.user.user_id, &text, at);
    }
    Ok(history)
}

impl Room {
    /// Puts the filters together anew, after settings or terms have changed.
    pub(super) fn refilter(&mut self) {
        self.filters = filters(&self.info.settings, &self.settings, &self.terms);
    }

    /// Asks the filters about a message that the rate limit let through.
    ///
    /// # Errors
    /// `room_mode`, `content_rejected`; also where an edit would have to wait for a moderator. `rate_limited` after 20 of
    /// them in a minute: what the filters object to is not found out by trying.
    pub(super) fn judged(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        clean: Clean,
        edit: bool,
    ) -> Result<Judged, Failure> {
        let user = sender.identity.map_or("", |who| who.user_id.as_str());
        self.refused.check(user, REFUSED, cx.now)?;
        let (authors, fault) = (RefCell::new(self.authors.take()), Cell::new(None));
        let first = || match Authors::known(&mut authors.borrow_mut(), cx.log, user) {
            Ok(known) => !known,
            Err(error) => {
                fault.set(Some(error));
                false
            }
        };
        let message =
            content::Message { text: clean.plain(), user, role: sender.role, first: &first, edit, now: cx.now };
        let mut unread = content::History::default();
        let spoken = match &mut self.spoken {
            Some(spoken) => spoken,
            none if self.filters.look_at_text() => none.insert(lately(cx.log, cx.now)?),
            None => &mut unread,
        };
        let verdict = judge(&message, &self.filters, spoken);
        self.authors = authors.into_inner();
        if let Some(fault) = fault.into_inner() {
            return Err(fault.into());
        }
        Ok(match verdict {
            Verdict::Pass => Judged::unread(clean),
            Verdict::Mask { spans, reasons } => {
                let original = Some(clean.plain().to_owned());
                Judged { clean: clean.masked(&spans), original, reasons, hold: false }
            }
            Verdict::Hold { reasons } if !edit => Judged { clean, original: None, reasons, hold: true },
            Verdict::Hold { reasons } | Verdict::Reject { reasons } => {
                self.refused.accepted(user, cx.now);
                return Err(refused(&reasons).into());
            }
        })
    }

    /// The room's own words and phrases.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    pub(super) fn set_terms(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        by: &str,
        body: SetTerms,
    ) -> Result<(Terms, Step), Failure> {
        let SetTerms { room_id: _, blocked, allowed, action } = body;
        let terms = Terms { blocked, allowed, action: action.unwrap_or(Action::Reject) };
        compiled(&terms)?;
        let mut step = Step::default();
        if self.terms != terms {
            self.terms = terms;
            self.refilter();
            step.write.state.push((KEY_TERMS.into(), Some(json(&self.terms))));
            let (terms, by) = (Box::new(self.terms.clone()), by.to_owned());
            let body = Body::TermsUpdated { terms, by, role: sender.role };
            self.append(&mut step, cx.now, Audience::Moderators, body);
            self.seal(&mut step);
        }
        Ok((self.terms.clone(), step))
    }

    /// What would become of a member's message under these terms, or the room's where none are given. Nothing is said.
    ///
    /// # Errors
    /// `bad_request` naming a bad term; those of the message itself.
    pub fn try_terms(&self, body: TryTerms, now: u64) -> Result<Tried, ChatError> {
        let terms = Terms {
            blocked: body.blocked.unwrap_or_else(|| self.terms.blocked.clone()),
            allowed: body.allowed.unwrap_or_else(|| self.terms.allowed.clone()),
            action: body.action.unwrap_or(self.terms.action),
        };
        compiled(&terms)?;
        let filters = filters(&self.info.settings, &self.settings, &terms);
        let clean = content::clean(&body.content, self.max_length())?;
        let message =
            content::Message { text: clean.plain(), user: "", role: Role::Member, first: &|| false, edit: false, now };
        let (verdict, content, reasons) = match judge(&message, &filters, &mut content::History::default()) {
            Verdict::Pass => ("pass", clean.content, Vec::new()),
            Verdict::Mask { spans, reasons } => ("mask", clean.masked(&spans).content, reasons),
            Verdict::Hold { reasons } => ("hold", clean.content, reasons),
            Verdict::Reject { reasons } => ("reject", clean.content, reasons),
        };
        Ok(Tried { verdict, content, reasons: why(&reasons) })
    }
}
