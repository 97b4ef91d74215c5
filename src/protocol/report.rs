//! Reports: what a viewer tells moderators of a message, and what became of it.

use super::wire::raw_json;
use super::{MessageId, RoomId, UserId, rfc3339};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A report's id: made as a message's, with the report's own time and `seq` in it, so that reports sort by time.
pub type ReportId = MessageId;

/// Messages that are shown before and after the one that was reported.
pub const CONTEXT: u64 = 10;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReportReason {
    /// Advertisement, flooding.
    Spam,
    /// Insults, threats, harassment.
    Abuse,
    /// Hate against people for what they are.
    Hate,
    /// Sexual content.
    Sexual,
    /// Violence, or a call for it.
    Violence,
    /// Something else.
    #[default]
    Other,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReportStatus {
    /// Nobody has decided yet.
    #[default]
    Open,
    /// Something was done.
    Resolved,
    /// Nothing was to be done.
    Dismissed,
}

impl ReportStatus {
    /// The status as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
            Self::Dismissed => "dismissed",
        }
    }

    /// Reads a status.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Resolved, Self::Dismissed].into_iter().find(|status| status.as_str() == text)
    }
}

/// What an encrypted message says, as one who could read it gives it away, and the key of its tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Opening {
    /// The words.
    pub body: String,
    /// The key, 32 bytes in unpadded base64.
    pub frank_key: String,
}

/// A report as the log and PostgreSQL hold it; it was made at the time in its id. Times in ms since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its id.
    pub report_id: ReportId,
    /// What was reported.
    pub message_id: MessageId,
    /// That message's number, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no: Option<u64>,
    /// Who had said it; empty where that is not known.
    pub author: UserId,
    /// Who reported it.
    pub reporter_id: UserId,
    /// Why.
    pub reason: ReportReason,
    /// In the reporter's words; plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// The message's plain text as it was; gone after 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted: Option<String>,
    /// Of an encrypted message, whether what is quoted was proved to be what its author said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved: Option<bool>,
    /// What became of it.
    #[serde(default)]
    pub status: ReportStatus,
    /// When that was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<u64>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<UserId>,
    /// In the moderator's words; plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
}

/// A report as whoever made it sees it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Reported"))]
pub struct ReportedData<'a> {
    /// The report.
    report_id: ReportId,
    /// What was reported.
    message_id: MessageId,
    /// The room.
    room_id: &'a str,
    /// Why.
    reason: ReportReason,
    /// What became of it.
    status: ReportStatus,
    /// RFC 3339.
    created_at: String,
}

impl<'a> ReportedData<'a> {
    /// A report in this room.
    pub fn new(room_id: &'a str, report: &Report) -> Self {
        let Report { report_id, message_id, reason, status, .. } = *report;
        Self { report_id, message_id, room_id, reason, status, created_at: rfc3339(report_id.time()) }
    }
}

/// What was given away of an encrypted message.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Opened"))]
pub struct OpenedData<'a> {
    /// The words, plain text; null after 30 days.
    body: Option<&'a str>,
    /// Whether the message's tag shows that its author said just that, in this room and message. Where it does not, the
    /// words are the reporter's claim.
    proved: bool,
}

/// A report as moderators see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Report"))]
pub struct ReportData<'a> {
    #[serde(flatten)]
    reported: ReportedData<'a>,
    /// Who reported it.
    reporter_id: &'a str,
    /// Who had said it; empty where that is not known any more.
    author: &'a str,
    /// In the reporter's words: plain text, at most 1,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a str>,
    /// The message's plain text as it was reported, for 30 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    quoted: Option<&'a str>,
    /// What the reporter says that an encrypted message said.
    #[serde(skip_serializing_if = "Option::is_none")]
    opened: Option<OpenedData<'a>>,
    /// When it was decided, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_at: Option<String>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_by: Option<&'a str>,
    /// In the moderator's words: plain text, at most 500 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<&'a str>,
}

impl<'a> ReportData<'a> {
    /// A report in this room.
    pub fn new(room_id: &'a str, report: &'a Report) -> Self {
        Self {
            reported: ReportedData::new(room_id, report),
            reporter_id: &report.reporter_id,
            author: &report.author,
            details: report.details.as_deref(),
            quoted: report.quoted.as_deref().filter(|_| report.proved.is_none()),
            opened: report.proved.map(|proved| OpenedData { body: report.quoted.as_deref(), proved }),
            resolved_at: report.resolved_at.map(rfc3339),
            resolved_by: report.resolved_by.as_deref(),
            resolution: report.resolution.as_deref(),
        }
    }
}

/// A page of a room's reports.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReportPage<'a> {
    /// Newest first.
    reports: Vec<ReportData<'a>>,
}

/// A report, and where it was made.
#[derive(Debug, Deserialize)]
pub struct Placed {
    room_id: RoomId,
    report: Report,
}

/// A page of reports of several rooms.
pub fn placed_page(placed: &[Placed]) -> Box<RawValue> {
    let reports = placed.iter().map(|Placed { room_id, report }| ReportData::new(room_id.as_str(), report)).collect();
    raw_json(&ReportPage { reports })
}

/// The page that the room's own reports and PostgreSQL's make together. Where both have one, the room's is newer.
pub fn report_page(room: &RoomId, mut held: Vec<Report>, stored: Vec<Report>, limit: u64) -> Box<RawValue> {
    for report in stored {
        if held.iter().all(|known| known.report_id != report.report_id) {
            held.push(report);
        }
    }
    held.sort_by_key(|report| std::cmp::Reverse(report.report_id));
    held.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let reports = held.iter().map(|report| ReportData::new(room.as_str(), report)).collect();
    raw_json(&ReportPage { reports })
}

/// The messages around a reported one, as the moderator sees them; oldest first.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReportContext {
    /// Those before it.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<super::wire::MessageData<'static>>))]
    #[cfg_attr(test, schemars(with = "Vec<super::wire::MessageData<'static>>"))]
    before: Vec<Box<RawValue>>,
    /// The message as it is now, a tombstone perhaps; null where it cannot be had.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::wire::MessageData<'static>>))]
    #[cfg_attr(test, schemars(with = "Option<super::wire::MessageData<'static>>"))]
    message: Option<Box<RawValue>>,
    /// Those after it.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<super::wire::MessageData<'static>>))]
    #[cfg_attr(test, schemars(with = "Vec<super::wire::MessageData<'static>>"))]
    after: Vec<Box<RawValue>>,
}

/// One report with the messages around it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OpenedReport<'a> {
    #[serde(flatten)]
    report: ReportData<'a>,
    /// The messages around it.
    context: ReportContext,
}

/// A report with what is around it out of `messages`, which are oldest first.
pub fn opened_report(room: &RoomId, report: &Report, messages: Vec<Box<RawValue>>) -> Box<RawValue> {
    #[derive(Deserialize)]
    struct Numbered {
        no: u64,
    }
    let mut context = ReportContext::default();
    let own = report.no.unwrap_or_default();
    for message in messages {
        let Ok(Numbered { no }) = serde_json::from_str(message.get()) else { continue };
        if no == own {
            context.message = Some(message);
        } else if no < own && own - no <= CONTEXT {
            context.before.push(message);
        } else if no > own && no - own <= CONTEXT {
            context.after.push(message);
        }
    }
    raw_json(&OpenedReport { report: ReportData::new(room.as_str(), report), context })
}
