//! What the bridge tells Redis of a log: entries of a stream, the same on a channel, and what the answers mean.

mod resp;

pub use resp::{Reply, command, read_reply};

use super::shown::{Envelope, envelope, veiled};
use super::{Applied, audience};
use crate::host::Batch;
use crate::protocol::LogEvent;
use crate::protocol::wire::json;
use crate::room::{BRIDGE_AGE, Bridged, Row, Viewer, view};
use crate::settings::Bridge;
use hmac::{Hmac, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;
use std::fmt::Write;

/// The longest batch in bytes of its entries' data, one row's overshoot apart; each goes out twice.
const MOST_BYTES: usize = 512 << 10;
/// How long the stream of a room that says nothing stays, s: until nothing in it is younger than it is kept.
const LIFE: u64 = BRIDGE_AGE / 1000 + 3600;
const APPEND: &str = include_str!("append.lua");

/// What a batch is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The room.
    pub room_id: &'a str,
    /// The log's incarnation.
    pub epoch: u64,
    /// Where Redis stands, as far as is known.
    pub from: Bridged,
    /// Whether the stream has to hold `from.entry` still.
    pub holds: bool,
    /// What is not told any more ends here; 0 where all is.
    pub gap_to: u64,
    /// Entries before this `seq` are older than they are kept; 0 where that is not asked now.
    pub keep_from: u64,
    /// ms since 1970.
    pub now: u64,
}

/// A batch, or why there is none.
#[derive(Debug, Default)]
pub struct Planned {
    /// For the drain, where there is something for Redis.
    pub batch: Option<Batch>,
    /// Where Redis stands once it has the batch.
    pub to: Bridged,
    /// When the next event may be shown, ms, where nothing before it is left.
    pub wait: Option<u64>,
}

/// The batch of what `rows` hold and the bridge shows, after what `plan` begins with.
pub fn plan(bridge: &Bridge, plan: Plan<'_>, rows: &[Row]) -> Planned {
    let viewer = if bridge.moderation { Viewer::MODERATOR } else { Viewer::PLAIN };
    let (mut words, mut to, mut bytes, mut wait) = (Vec::new(), plan.from, 0, None);
    if plan.gap_to > to.seq {
        let data = format!(r#"{{"from":{},"to":{}}}"#, to.seq + 1, plan.gap_to);
        let entry = Entry { seq: plan.gap_to, after: to.entry, event: "gap", data: &data, shown_to: None };
        entry.words(bridge, &plan, &mut words);
        to = Bridged { seq: plan.gap_to, entry: plan.gap_to, ..to };
    }
    let start = to.seq;
    'rows: for row in rows {
        for event in row.events.iter().filter(|event| event.seq > start) {
            if event.visible_at > plan.now && !bridge.moderation {
                wait = Some(event.visible_at);
                break 'rows;
            }
            to.seq = event.seq;
            let event = &*veiled(event);
            let Some(line) = view(event, viewer, plan.now).map(|seen| seen.line(plan.room_id)) else { continue };
            let Some(Envelope { event: name, data }) = envelope(&line) else { continue };
            bytes += line.len();
            let shown_to = bridge.moderation.then_some(event);
            let entry = Entry { seq: event.seq, after: to.entry, event: name, data: data.get(), shown_to };
            entry.words(bridge, &plan, &mut words);
            to.entry = event.seq;
        }
        if bytes > MOST_BYTES {
            break;
        }
    }
    let batch =
        (!words.is_empty()).then(|| Batch { body: append(bridge, &plan, to, &words), epoch: plan.epoch, to: to.seq });
    Planned { batch, to, wait }
}

struct Entry<'a> {
    seq: u64,
    after: u64,
    event: &'a str,
    data: &'a str,
    /// Where more than what everyone sees goes out: who sees it, and from when on.
    shown_to: Option<&'a LogEvent>,
}

impl Entry<'_> {
    /// The entry as [`APPEND`] takes it.
    fn words(&self, bridge: &Bridge, plan: &Plan<'_>, words: &mut Vec<String>) {
        let mut fields = vec![
            ("room", plan.room_id.to_owned()),
            ("epoch", plan.epoch.to_string()),
            ("seq", self.seq.to_string()),
            ("after", self.after.to_string()),
            ("event", self.event.to_owned()),
        ];
        if let Some(event) = self.shown_to {
            fields.push(("audience", audience(&event.audience)));
            fields.push(("visible_at", event.visible_at.to_string()));
        }
        fields.push(("data", self.data.to_owned()));
        if let Some(key) = &bridge.key {
            fields.push(("sig", signature(key, &fields)));
        }
        let message = fields.iter().map(|(name, text)| {
            let number = matches!(*name, "epoch" | "seq" | "after" | "visible_at").then(|| text.parse::<u64>().ok());
            ((*name).to_owned(), number.flatten().map_or_else(|| Value::from(text.as_str()), Value::from))
        });
        let message: Map<String, Value> = message.collect();
        words.extend([self.seq.to_string(), json(&message), (fields.len() * 2).to_string()]);
        words.extend(fields.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
    }
}

/// HMAC-SHA256, in hex, of the fields as lines `name=value` in their order, without a newline at the end.
fn signature(key: &str, fields: &[(&str, String)]) -> String {
    let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    mac.update(lines.join("\n").as_bytes());
    mac.finalize().into_bytes().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn append(bridge: &Bridge, plan: &Plan<'_>, to: Bridged, entries: &[String]) -> String {
    let channel = format!("{}room:{}", bridge.prefix, plan.room_id);
    let expected = if plan.holds { plan.from.entry } else { 0 };
    let numbers = [plan.epoch, expected, to.seq, plan.keep_from, LIFE].map(|number| number.to_string());
    let stream = format!("{channel}:events");
    let head = ["EVAL", APPEND, "1", &stream].into_iter().chain(numbers.iter().map(String::as_str)).chain([&*channel]);
    let words: Vec<&str> = head.chain(entries.iter().map(String::as_str)).collect();
    command(&words)
}

/// What a new connection begins with, and how many replies it has.
pub fn greeting(bridge: &Bridge) -> (String, usize) {
    let (mut text, mut replies) = (String::new(), 0);
    let mut say = |words: &[&str]| {
        text.push_str(&command(words));
        replies += 1;
    };
    match (&bridge.username, &bridge.password) {
        (Some(username), Some(password)) => say(&["AUTH", username, password]),
        (None, Some(password)) => say(&["AUTH", password]),
        _ => {}
    }
    // Also where it is 0: it shows that somebody who speaks Redis is there, and lets this connection in.
    say(&["SELECT", &bridge.database.to_string()]);
    (text, replies)
}

/// What the answer to a batch says: where the room's stream stands.
pub fn stands(reply: &Reply) -> Applied {
    let cursor = match reply {
        Reply::Text(text) => {
            text.split_once('-').and_then(|(epoch, seq)| Some((epoch.parse().ok()?, seq.parse().ok()?)))
        }
        Reply::Error(_) => None,
    };
    match (cursor, reply) {
        (Some((epoch, seq)), _) => Applied::Cursor { epoch, seq },
        (None, Reply::Text(_)) => Applied::Error { error: "an answer that is no id".into(), sqlstate: String::new() },
        (None, Reply::Error(error)) => Applied::Error { error: error.clone(), sqlstate: String::new() },
    }
}
