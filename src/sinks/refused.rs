//! What PostgreSQL refuses: found by halving the batch, and set aside so that the rest goes on.

use super::{Applied, audience};
use crate::protocol::wire::json;
use crate::protocol::{Audience, MessageId};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use std::rc::Rc;

/// The classes of SQLSTATE that say that the rows are at fault, and not the server's state or its tables: data
/// exceptions, constraints, limits of the program; and the code of one statement that would change a row twice.
const REFUSALS: [&str; 4] = ["22", "23", "54", "21000"];

/// A batch of a room or a user, as far as it has to be known to be cut.
#[derive(Debug, Serialize, Deserialize)]
struct Batch {
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    epoch: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    to: u64,
    ops: Vec<Box<RawValue>>,
}

/// How much of a refused event is written in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instead {
    /// The event itself.
    Nothing,
    /// A dead letter, and the message's tombstone.
    Tombstone,
    /// A dead letter: not even the tombstone was taken.
    Letter,
}

#[derive(Debug)]
struct Piece {
    batch: Batch,
    /// The event as it came, where something else is written in its place.
    event: Vec<Box<RawValue>>,
    instead: Instead,
}

/// What was found out, and what to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Write [`Halving::piece`].
    Write,
    /// The same; something was set aside: for the operator's log, nothing that was said is in it.
    SetAside(String),
    /// This is the answer to the whole batch.
    Done(Applied),
}

/// One batch on its way to PostgreSQL, whole until it is refused.
#[derive(Debug)]
pub struct Halving {
    text: Rc<str>,
    /// What is left after the piece that is being written, last first.
    left: Vec<Piece>,
    now: Option<Piece>,
}

#[derive(Serialize)]
#[serde(tag = "op", rename = "refused")]
struct Refused<'a> {
    seq: u64,
    sqlstate: &'a str,
    error: &'a str,
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tombstone: Option<Tombstone>,
}

/// What stays of a message that was refused.
#[derive(Serialize)]
struct Tombstone {
    no: Value,
    user_id: String,
    username: String,
    roles: Value,
    r#type: String,
    audience: String,
    visible_at: u64,
    created_at: u64,
}

/// The last ms of the year 9999.
const LAST_MS: u64 = 253_402_300_799_999;

impl Halving {
    /// The batch as it came.
    pub fn begin(text: String) -> Self {
        Self { text: text.into(), left: Vec::new(), now: None }
    }

    /// What is to be written now, by itself.
    pub fn piece(&self) -> Rc<str> {
        self.text.clone()
    }

    /// Takes `chat_apply`'s answer to the piece.
    pub fn answered(&mut self, applied: Applied) -> Next {
        match &applied {
            Applied::Error { error, sqlstate } if REFUSALS.iter().any(|class| sqlstate.starts_with(class)) => {
                self.refused(error, sqlstate).unwrap_or_else(|| {
                    // PostgreSQL's own words may hold a value of the row.
                    let (error, sqlstate) = ("this cannot be set aside either".into(), sqlstate.clone());
                    Next::Done(Applied::Error { error, sqlstate })
                })
            }
            Applied::Error { .. } => Next::Done(applied),
            Applied::Cursor { epoch, seq } => {
                let expected = self.now.as_ref().is_some_and(|now| (now.batch.epoch, now.batch.to) == (*epoch, *seq));
                match self.left.pop() {
                    // Where somebody else has moved the cursor, or it cannot follow, the room takes it from there.
                    Some(piece) if expected => self.write(piece),
                    _ => Next::Done(applied),
                }
            }
        }
    }

    fn write(&mut self, piece: Piece) -> Next {
        self.text = json(&piece.batch).into();
        self.now = Some(piece);
        Next::Write
    }

    /// Nothing where there is nothing left to try.
    fn refused(&mut self, error: &str, sqlstate: &str) -> Option<Next> {
        let piece = match self.now.take() {
            Some(piece) => piece,
            None => {
                let batch = serde_json::from_str(&self.text).ok()?;
                Piece { batch, event: Vec::new(), instead: Instead::Nothing }
            }
        };
        if let Some(cut) = piece.cut() {
            let (first, second) = piece.halves(cut);
            self.left.push(second);
            return Some(self.write(first));
        }
        let (piece, seq) = piece.set_aside(error, sqlstate)?;
        let Batch { room_id, epoch, .. } = &piece.batch;
        let whose = room_id.as_deref().unwrap_or("a user");
        let line = format!("{whose}: event {seq} of epoch {epoch} is set aside in dead_letters: {sqlstate}");
        let first_time = piece.instead == Instead::Tombstone;
        let next = self.write(piece);
        Some(if first_time { Next::SetAside(line) } else { next })
    }
}

fn seq_of(op: &RawValue) -> Option<u64> {
    #[derive(Deserialize)]
    struct Seq {
        seq: u64,
    }
    serde_json::from_str::<Seq>(op.get()).ok().map(|op| op.seq)
}

impl Piece {
    /// Where it can be cut between two events: the second part's first `seq`, and its first operation.
    fn cut(&self) -> Option<(u64, usize)> {
        let seqs: Vec<u64> = self.batch.ops.iter().filter_map(|op| seq_of(op)).collect();
        let (first, middle) = (seqs.first()?, seqs.get(seqs.len() / 2)?);
        // An event may be several operations: they stay together.
        let cut = if middle > first { middle } else { seqs.iter().find(|seq| *seq > first)? };
        Some((*cut, seqs.iter().take_while(|seq| *seq < cut).count()))
    }

    fn halves(self, (cut, at): (u64, usize)) -> (Self, Self) {
        let mut head = self.batch;
        let ops = head.ops.split_off(at);
        let Batch { v, epoch, start, to, .. } = head;
        let (room_id, user, from) = (head.room_id.clone(), head.user.clone(), head.from.map(|_| cut - 1));
        let tail = Batch { v, room_id, user, epoch, start, from, to, ops };
        head.to = cut - 1;
        let piece = |batch| Self { batch, event: Vec::new(), instead: Instead::Nothing };
        (piece(head), piece(tail))
    }

    /// The same event as a dead letter, with less beside it than was tried before; none where nothing less is left.
    fn set_aside(mut self, error: &str, sqlstate: &str) -> Option<(Self, u64)> {
        self.instead = match self.instead {
            Instead::Nothing => Instead::Tombstone,
            Instead::Tombstone => Instead::Letter,
            Instead::Letter => return None,
        };
        if self.event.is_empty() {
            self.event = std::mem::take(&mut self.batch.ops);
        }
        let seq = seq_of(self.event.first()?)?;
        let (mut message_id, mut tombstone) = (None, None);
        for op in &self.event {
            let Ok(op) = serde_json::from_str::<Map<String, Value>>(&readable(op.get())) else { continue };
            let kind = op.get("op").and_then(Value::as_str).unwrap_or_default();
            let id = op.get("id").and_then(Value::as_str).and_then(MessageId::parse);
            if let (Some(id), "message" | "edit" | "original" | "held") = (id, kind) {
                message_id = Some(id.to_string());
            }
            if kind == "message" && self.instead == Instead::Tombstone {
                tombstone = Some(Tombstone::of(&op));
            }
        }
        let body = json(&self.event);
        let refused = Refused { seq, sqlstate, error, body, message_id, tombstone };
        self.batch.ops = vec![to_raw_value(&refused).ok()?];
        Some((self, seq))
    }
}

/// A dead letter for a message of the log that this build cannot read; other events than messages leave no hole.
pub(super) fn unreadable(seq: u64, raw: &str) -> Option<Box<RawValue>> {
    let event: Map<String, Value> = serde_json::from_str(&readable(raw)).ok()?;
    let data = event.get("data").filter(|_| event.get("event").is_some_and(|name| name == "new_message"))?;
    let mut op = data.as_object()?.clone();
    op.extend(data.get("user").and_then(Value::as_object)?.clone());
    let whose = serde_json::from_value::<Audience>(event.get("audience").cloned().unwrap_or_else(|| "all".into()));
    op.insert("audience".into(), audience(&whose.unwrap_or(Audience::Internal)).into());
    op.insert("created_at".into(), event.get("at")?.clone());
    op.insert("visible_at".into(), event.get("visible_at")?.clone());
    let message_id = data.get("message_id").and_then(Value::as_str).and_then(MessageId::parse)?.to_string();
    let (message_id, tombstone) = (Some(message_id), Some(Tombstone::of(&op)));
    let error = "this version cannot read the event";
    to_raw_value(&Refused { seq, sqlstate: "", error, body: raw.into(), message_id, tombstone }).ok()
}

impl Tombstone {
    fn of(op: &Map<String, Value>) -> Self {
        let text = |field| op.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let time = |field| op.get(field).and_then(Value::as_u64).unwrap_or_default().min(LAST_MS);
        let value = |field| op.get(field).cloned().unwrap_or_default();
        Self {
            no: value("no"),
            user_id: text("user_id"),
            username: text("username"),
            roles: value("roles"),
            r#type: text("type"),
            audience: text("audience"),
            visible_at: time("visible_at").max(time("created_at")),
            created_at: time("created_at"),
        }
    }
}

/// JSON with U+FFFD in place of the escapes that PostgreSQL or this crate cannot read: NUL and single surrogates.
fn readable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let unit = |text: &str| text.strip_prefix('u').and_then(|hex| u16::from_str_radix(hex.get(..4)?, 16).ok());
        let take = match unit(after) {
            Some(0xd800..=0xdbff) => {
                let low = after.get(5..).and_then(|next| next.strip_prefix('\\')).and_then(unit);
                if matches!(low, Some(0xdc00..=0xdfff)) { Ok(11) } else { Err(5) }
            }
            Some(0 | 0xdc00..=0xdfff) => Err(5),
            Some(_) => Ok(5),
            None => Ok(after.chars().next().map_or(0, char::len_utf8)),
        };
        let (Ok(length) | Err(length)) = take;
        if take.is_ok() {
            out.push('\\');
            out.push_str(after.get(..length).unwrap_or_default());
        } else {
            out.push('\u{fffd}');
        }
        rest = after.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}
