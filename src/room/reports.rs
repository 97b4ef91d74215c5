//! Reports: what viewers tell moderators of messages, one a user and message, and what moderators decide.
//!
//! A room keeps open reports until they are decided, closed ones as long as its log holds their message or their quote
//! is kept. What a report quotes stands beside it in the storage, not in memory.

use super::eraser::Eraser;
use super::franking::{Bound, is_proved};
use super::message::signed_in;
use super::policy::{self, Action};
use super::rate::{Rates, Window};
use super::view::is_for;
use super::{Context, Failure, Log, Read, Room, Row, Sender, Step, StorageFault, Viewer};
use crate::auth::{Identity, Role};
use crate::content::{scrub, without_mention};
use crate::protocol::act::{ReportMessage, ResolveReport};
use crate::protocol::call::{KnownMessage, ReportQuery, Reported};
use crate::protocol::report::{Report, ReportData, ReportId, ReportStatus, ReportedData};
use crate::protocol::wire::{json, raw_json};
use crate::protocol::{Audience, Body, ChatError, ErrorCode, Mention, MessageId, Rate};
use crate::user::Blocks;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Reports that a room keeps at once.
const MOST: usize = 1_000;
/// Reports that one user makes in a room; as many repeats of them, which are counted apart and while the room is awake.
const RATE: Rate = Rate { messages: 20, window_ms: 3_600_000 };
/// How long a report quotes its message, ms.
const QUOTED_FOR: u64 = 30 * 24 * 3_600_000;
/// At most so often, ms, a room looks for quotes whose time is over.
const SWEEP_EVERY: u64 = 3_600_000;
const KEY: &str = "report:";
const KEY_TEXTS: &str = "quote:";
const KEY_SWEPT: &str = "quotes";

/// What is not kept in memory.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Texts {
    details: Option<String>,
    quoted: Option<String>,
    /// Whom the quote mentions: the message may be a tombstone when one of them is erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<Mention>,
}

/// What the reports knew of somebody who was erased.
pub(super) struct Traces {
    /// Messages of the user.
    pub(super) theirs: Vec<MessageId>,
    /// Reports whose quotes mention the user.
    pub(super) quotes: Vec<ReportId>,
}

/// A room's reports without their texts, by id, which is by time.
#[derive(Debug, Default)]
pub(super) struct Reports {
    all: BTreeMap<ReportId, Report>,
    /// Reports made before this, ms, quote nothing any more.
    swept: u64,
    repeats: Rates,
}

fn texts(log: &dyn Log, id: ReportId) -> Read<Texts> {
    let text = log.value(&format!("{KEY_TEXTS}{id}"))?.unwrap_or_else(|| "{}".into());
    serde_json::from_str(&text).map_err(|_| StorageFault(format!("the texts of report {id} cannot be read")))
}

fn whole(log: &dyn Log, report: &Report) -> Read<Report> {
    let Texts { details, quoted, .. } = texts(log, report.report_id)?;
    Ok(Report { details, quoted, ..report.clone() })
}

/// Whether a message is not in a log of this epoch, which begins at `first`, any more.
pub(super) fn has_left(id: MessageId, epoch: u64, first: u64) -> bool {
    id.time() < epoch || id.seq() < first
}

/// The smallest id of a report made at this time.
fn first_at(ms: u64) -> ReportId {
    MessageId::new(ms, 0, &[0; 32])
}

impl Reports {
    /// Takes over a piece of state; false where the key is not one of these.
    pub(super) fn load(&mut self, key: &str, value: &str) -> bool {
        if key == KEY_SWEPT {
            self.swept = value.parse().unwrap_or_default();
        } else if key.starts_with(KEY) {
            let report: Option<Report> = serde_json::from_str(value).ok();
            self.all.extend(report.map(|report| (report.report_id, report)));
        } else {
            return false;
        }
        true
    }

    /// Keeps a report, its texts beside it, and whom its quote mentions.
    pub(super) fn keep(&mut self, mut report: Report, mentions: Vec<Mention>, step: &mut Step) {
        let id = report.report_id;
        let texts = Texts { details: report.details.take(), quoted: report.quoted.take(), mentions };
        self.set(report, step);
        set_texts(id, texts, step);
    }

    fn set(&mut self, report: Report, step: &mut Step) {
        step.write.state.push((format!("{KEY}{}", report.report_id), Some(json(&report))));
        self.all.insert(report.report_id, report);
    }

    /// How many of them name a user.
    pub(super) fn naming(&self, log: &dyn Log, eraser: &Eraser<'_>) -> Read<usize> {
        let mut naming = 0;
        for report in self.all.values() {
            let names = || texts(log, report.report_id).map(|kept| eraser.named(&kept.mentions).is_some());
            naming += usize::from(eraser.report(&mut report.clone()) || names()?);
        }
        Ok(naming)
    }

    /// Takes a user out of all of them, but not yet the name out of what they quote: it is put into `names`, for
    /// [`Reports::unname`].
    pub(super) fn erase(
        &mut self,
        log: &dyn Log,
        eraser: &Eraser<'_>,
        step: &mut Step,
        names: &mut BTreeMap<MessageId, String>,
    ) -> Read<Traces> {
        let (mut changed, mut theirs, mut quotes) = (Vec::new(), Vec::new(), Vec::new());
        for report in self.all.values() {
            let Texts { details, quoted, mut mentions } = texts(log, report.report_id)?;
            let mut report = Report { details, quoted, ..report.clone() };
            if eraser.is(&report.author) {
                theirs.push(report.message_id);
            }
            let named = eraser.named(&mentions).cloned();
            mentions.retain(|mention| !eraser.is(&mention.user_id));
            let is_changed = eraser.report(&mut report) | named.is_some();
            if let Some(mention) = named {
                quotes.push(report.report_id);
                names.insert(report.message_id, mention.username);
            }
            if is_changed {
                changed.push((report, mentions));
            }
        }
        changed.into_iter().for_each(|(report, mentions)| self.keep(report, mentions, step));
        Ok(Traces { theirs, quotes })
    }

    /// Takes a name out of what reports quote of these messages, which mentioned it.
    pub(super) fn unname(
        &mut self,
        log: &dyn Log,
        names: &BTreeMap<MessageId, String>,
        rows: &mut BTreeMap<u64, Row>,
        step: &mut Step,
    ) -> Read<()> {
        for (id, report) in &self.all {
            let Some(name) = names.get(&report.message_id) else { continue };
            // As an earlier part of the step has it.
            let key = format!("{KEY_TEXTS}{id}");
            let written = step.write.state.iter().rev().find(|(known, _)| *known == key);
            let mut kept = match written {
                Some((_, text)) => text.as_ref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
                None => texts(log, *id)?,
            };
            let Some(quoted) = &mut kept.quoted else { continue };
            *quoted = without_mention(quoted, name);
            set_texts(*id, kept, step);
            let held = rows.range(id.seq()..).next().filter(|(_, row)| row.first() <= id.seq()).map(|(last, _)| *last);
            let row = match held {
                Some(last) => rows.remove(&last),
                None => log.row_with(id.seq())?,
            };
            let Some(mut row) = row else { continue };
            for event in &mut row.events {
                if let Body::Reported { report } = &mut event.body
                    && report.report_id == *id
                    && let Some(quoted) = &mut report.quoted
                {
                    *quoted = without_mention(quoted, name);
                }
            }
            rows.insert(row.last, row);
        }
        Ok(())
    }

    fn forget(&mut self, id: ReportId, step: &mut Step) {
        self.all.remove(&id);
        step.write.state.extend([KEY, KEY_TEXTS].map(|key| (format!("{key}{id}"), None)));
    }

    fn of(&self, message: MessageId, reporter: &str) -> Option<&Report> {
        self.all.values().find(|report| report.message_id == message && report.reporter_id == reporter)
    }

    /// Whether this user may make one more report at `now`.
    fn check_rate(&self, reporter: &str, now: u64) -> Result<(), ChatError> {
        let mut window = Window::default();
        for report in self.all.range(first_at(now.saturating_sub(RATE.window_ms))..).map(|(_, report)| report) {
            if report.reporter_id == reporter {
                window.accepted(report.report_id.time());
            }
        }
        window.check(RATE, now)
    }

    pub(super) fn sweep(&mut self, now: u64) {
        self.repeats.sweep(RATE.window_ms, now);
    }

    /// When the oldest quote is to go, ms.
    fn due(&self) -> Option<u64> {
        let (oldest, _) = self.all.range(first_at(self.swept)..).next()?;
        Some(oldest.time().saturating_add(QUOTED_FOR + SWEEP_EVERY))
    }

    /// Closed reports that may quote a message with a number below this one.
    pub(super) fn quoting(&self, before_no: u64) -> Vec<ReportId> {
        let later = self.all.range(first_at(self.swept)..).map(|(_, report)| report);
        let over =
            later.filter(|report| report.status != ReportStatus::Open && report.no.is_some_and(|no| no < before_no));
        over.map(|report| report.report_id).collect()
    }

    /// Takes away what a report quotes; whether it quoted anything.
    pub(super) fn forget_quote(&self, log: &dyn Log, id: ReportId, step: &mut Step) -> Read<bool> {
        let kept = texts(log, id)?;
        let quotes = kept.quoted.is_some();
        if quotes {
            set_texts(id, Texts { quoted: None, ..kept }, step);
        }
        Ok(quotes)
    }

    /// Lets go of closed reports that quote nothing and whose message the log, which begins at `first`, has let go of.
    pub(super) fn let_go(&mut self, epoch: u64, first: u64, step: &mut Step) {
        let over = |report: &&Report| report.status != ReportStatus::Open && has_left(report.message_id, epoch, first);
        let quoteless = self.all.range(..first_at(self.swept)).map(|(_, report)| report);
        let gone: Vec<_> = quoteless.filter(over).map(|report| report.report_id).collect();
        gone.into_iter().for_each(|id| self.forget(id, step));
    }
}

fn set_texts(id: ReportId, mut texts: Texts, step: &mut Step) {
    if texts.quoted.is_none() {
        texts.mentions.clear();
    }
    let some = texts.details.is_some() || texts.quoted.is_some();
    step.write.state.push((format!("{KEY_TEXTS}{id}"), some.then(|| json(&texts))));
}

/// The rows of these reports' events, without what they quote.
fn rows_without_quotes(log: &dyn Log, ids: &[ReportId]) -> Read<Vec<Row>> {
    let mut rows: BTreeMap<u64, Row> = BTreeMap::new();
    for id in ids {
        let Some(found) = log.row_with(id.seq())? else { continue };
        let is = |body: &Body| matches!(body, Body::Reported { report } if report.report_id == *id);
        if found.events.iter().any(|event| is(&event.body)) {
            let row = rows.entry(found.last).or_insert(found);
            for event in row.events.iter_mut().filter(|event| is(&event.body)) {
                if let Body::Reported { report } = &mut event.body {
                    report.quoted = None;
                }
            }
        }
    }
    Ok(rows.into_values().collect())
}

fn not_found() -> ChatError {
    let message = "There is no such report in this room; closed ones leave it with their message.";
    ChatError::new(ErrorCode::ReportNotFound, message).field("report_id")
}

fn no_message() -> ChatError {
    ChatError::new(ErrorCode::MessageNotFound, "There is no such message in this room.").field("message_id")
}

/// Plain text of at most so many characters; none where nothing is left.
fn checked(field: &str, text: Option<&str>, most: usize) -> Result<Option<String>, ChatError> {
    let text = scrub(text.unwrap_or_default());
    let text = text.trim();
    if text.chars().count() > most {
        let message = format!("`{field}` is at most {most} characters.");
        return Err(ChatError::new(ErrorCode::BadRequest, message).field(field));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

impl Room {
    /// Tells moderators of a message that the sender can see. A repeat yields the first report.
    ///
    /// # Errors
    /// `message_not_found`, `message_too_old`, `forbidden` for one's own message, `rate_limited` by the user's rates or
    /// where the room keeps as many open reports as it can, `bad_request`, and those of the role.
    pub fn report(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        body: &ReportMessage,
        known: Option<KnownMessage>,
    ) -> Result<(Reported, Step), Failure> {
        policy::check(Action::Report, sender.role, false)?;
        let who = signed_in(sender)?;
        let message_id = MessageId::parse(&body.message_id).ok_or_else(no_message)?;
        let data = |report: &Report| raw_json(&ReportedData::new(self.id.as_str(), report));
        if let Some(report) = self.reports.of(message_id, &who.user_id).map(&data) {
            self.reports.repeats.take(&who.user_id, RATE, cx.now)?;
            return Ok((Reported { made: false, report }, Step::default()));
        }
        // Whom somebody blocks they can still report: they may have seen it before.
        let viewer = Viewer { user_id: Some(&who.user_id), role: sender.role, blocks: Blocks::NONE };
        let (no, author, text, sealed, mentions) = match (self.find(cx, &body.message_id)?, known) {
            (Ok(found), _) => {
                if !found.is_seen(viewer, cx.now) {
                    return Err(no_message().into());
                }
                let message = found.message;
                let sealed = message.franking.map(|tag| (tag, message.client_id.unwrap_or_default()));
                let text = message.text.unwrap_or(message.content);
                (message.no, message.user.user_id, text, sealed, message.mentions)
            }
            (Err(error), Some(known)) if error.code == ErrorCode::MessageTooOld => {
                if known.deleted || known.no < self.first_no() || !is_for(&known.audience, viewer) {
                    return Err(no_message().into());
                }
                let sealed = known.franking.map(|tag| (tag, known.client_id.unwrap_or_default()));
                (known.no, known.user_id, known.text, sealed, Vec::new())
            }
            (Err(error), _) => return Err(error.into()),
        };
        if author == who.user_id {
            return Err(ChatError::new(ErrorCode::Forbidden, "Nobody reports their own message.").into());
        }
        let (quoted, proved) = match sealed {
            None => (Some(text), None),
            Some((tag, client_id)) => {
                let bound = Bound { room_id: self.id.as_str(), user_id: &author, client_id: &client_id };
                let proved = body.opened.as_ref().map(|opening| is_proved(opening, &tag, bound)).transpose()?;
                (body.opened.as_ref().map(|opening| scrub(&opening.body)), proved)
            }
        };
        let details = checked("details", body.details.as_deref(), 1_000)?;
        let created_at = self.last_at.max(cx.now);
        self.reports.check_rate(&who.user_id, created_at)?;
        let report = Report {
            report_id: MessageId::new(created_at, self.last_seq + 1, &cx.entropy),
            message_id,
            no: Some(no),
            author,
            reporter_id: who.user_id.clone(),
            reason: body.reason,
            details,
            quoted,
            proved,
            status: ReportStatus::Open,
            resolved_at: None,
            resolved_by: None,
            resolution: None,
        };
        let reply = data(&report);
        let mut step = Step::default();
        self.make_place(cx.log, &mut step)?;
        self.append(&mut step, cx.now, Audience::Moderators, Body::Reported { report: Box::new(report.clone()) });
        self.reports.keep(report, mentions, &mut step);
        self.seal(&mut step);
        Ok((Reported { made: true, report: reply }, step))
    }

    /// Where the room keeps as many reports as it can, the oldest closed one that PostgreSQL has goes.
    fn make_place(&mut self, log: &dyn Log, step: &mut Step) -> Result<(), Failure> {
        if self.reports.all.len() < MOST {
            return Ok(());
        }
        let (epoch, drained) = (self.epoch, self.drained);
        let has_it = |id: &ReportId| id.time() < epoch || id.seq() <= drained;
        let mut closed = self.reports.all.values().filter(|report| report.status != ReportStatus::Open);
        let Some(oldest) = closed.find(|report| has_it(&report.report_id)).map(|report| report.report_id) else {
            let message = "This room has as many open reports as it keeps; moderators have to see to them first.";
            return Err(ChatError::new(ErrorCode::RateLimited, message).retry_after(60_000).into());
        };
        step.write.rewrite.extend(rows_without_quotes(log, &[oldest])?);
        self.reports.forget(oldest, step);
        Ok(())
    }

    /// Decides a report. The same decision again changes nothing; another one replaces it.
    pub(super) fn resolve(
        &mut self,
        cx: &Context<'_>,
        role: Role,
        who: &Identity,
        body: &ResolveReport,
    ) -> Result<(Box<RawValue>, Step), Failure> {
        if body.status == ReportStatus::Open {
            let message = "A report is decided as `resolved` or `dismissed`.";
            return Err(ChatError::new(ErrorCode::BadRequest, message).field("status").into());
        }
        let resolution = checked("resolution", body.resolution.as_deref(), 500)?;
        let id = MessageId::parse(&body.report_id).ok_or_else(not_found)?;
        let mut report = self.reports.all.get(&id).cloned().ok_or_else(not_found)?;
        // Before anything changes: what cannot be read is a fault, and nothing has happened then.
        let Texts { details, quoted, .. } = texts(cx.log, id)?;
        let mut step = Step::default();
        if report.status != body.status {
            report.status = body.status;
            report.resolved_at = Some(self.last_at.max(cx.now));
            report.resolved_by = Some(who.user_id.clone());
            report.resolution.clone_from(&resolution);
            self.reports.set(report.clone(), &mut step);
            let event = Body::ReportResolved {
                report_id: id,
                message_id: report.message_id,
                author: report.author.clone(),
                status: body.status,
                resolution,
                by: who.user_id.clone(),
                role,
            };
            self.append(&mut step, cx.now, Audience::Moderators, event);
            self.seal(&mut step);
        }
        let report = Report { details, quoted, ..report };
        Ok((raw_json(&ReportData::new(self.id.as_str(), &report)), step))
    }

    /// The reports that the room keeps of one status, newest first.
    ///
    /// # Errors
    /// The storage cannot be read.
    pub fn reports(&self, log: &dyn Log, query: ReportQuery) -> Read<Vec<Report>> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let all = self.reports.all.values().rev().filter(|report| report.status == query.status);
        let older = all.filter(|report| query.before.is_none_or(|before| report.report_id < before));
        older.take(limit).map(|report| whole(log, report)).collect()
    }

    /// A report, if the room keeps it.
    ///
    /// # Errors
    /// The storage cannot be read.
    pub fn opened(&self, log: &dyn Log, id: &str) -> Read<Option<Report>> {
        let report = MessageId::parse(id).and_then(|id| self.reports.all.get(&id));
        report.map(|report| whole(log, report)).transpose()
    }

    /// When [`Room::forget_quotes`] is next to be called, ms.
    pub fn quotes_end(&self) -> Option<u64> {
        self.reports.due()
    }

    /// Takes away what old reports quote: from the state, from the log, and by an event from PostgreSQL.
    ///
    /// # Errors
    /// The storage cannot be read.
    pub fn forget_quotes(&mut self, log: &dyn Log, now: u64) -> Read<Step> {
        let mut step = Step::default();
        if self.reports.due().is_none_or(|due| due > now) {
            return Ok(step);
        }
        let before = now.saturating_sub(QUOTED_FOR);
        let old = first_at(self.reports.swept)..first_at(before);
        let old: Vec<_> = self.reports.all.range(old).map(|(id, _)| *id).collect();
        for id in &old {
            let kept = texts(log, *id)?;
            set_texts(*id, Texts { quoted: None, ..kept }, &mut step);
        }
        step.write.rewrite = rows_without_quotes(log, &old)?;
        let first = log.row_with(0)?.map_or(u64::MAX, |row| row.first());
        step.write.state.push((KEY_SWEPT.into(), Some(before.to_string())));
        self.reports.swept = before;
        self.reports.let_go(self.epoch, first, &mut step);
        self.append(&mut step, now, Audience::Internal, Body::QuotesForgotten { before });
        self.seal(&mut step);
        Ok(step)
    }
}
