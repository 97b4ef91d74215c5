//! What a back end is posted of a log: bodies with events, signed after the Standard Webhooks specification, and what
//! its answers mean.

use super::audience;
use super::shown::{Envelope, envelope, veiled};
use crate::host::Batch;
use crate::protocol::wire::json;
use crate::room::{Hooked, Row, Viewer, view};
use crate::settings::Webhook;
use base64ct::{Base64, Encoding};
use chrono::DateTime;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The longest body: events, and bytes of theirs, but that one event may be longer by itself.
pub const MOST_EVENTS: usize = 100;
const MOST_BYTES: usize = 256 << 10;
/// The longest `Retry-After` that is honoured, ms.
const LATEST: u64 = 3_600_000;

/// What a batch is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The room.
    pub room_id: &'a str,
    /// The log's incarnation.
    pub epoch: u64,
    /// How far the back end has come.
    pub from: Hooked,
    /// What is not told any more ends here; 0 where all is.
    pub gap_to: u64,
    /// ms since 1970.
    pub now: u64,
}

/// A batch, or why there is none.
#[derive(Debug, Default)]
pub struct Planned {
    /// For the drain, where there is something to post.
    pub batch: Option<Batch>,
    /// Where the log is done with then; word of it is `told` once the batch is taken.
    pub to: Hooked,
    /// When the next event may be shown, ms, where nothing before it is left.
    pub wait: Option<u64>,
}

/// One room's batch as its drain gets it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// The header `webhook-id`: the same each time that these events are posted.
    pub id: String,
    /// The log's incarnation.
    pub epoch: u64,
    /// The last event that the body reaches to.
    pub to: u64,
    /// What is posted.
    pub body: String,
}

/// What became of a delivery.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Delivered {
    /// A 2xx.
    Taken,
    /// Not now: it is posted again, after at least `wait` ms.
    Later {
        /// In words for the operator.
        error: String,
        /// What the back end asked for; 0 where it did not.
        wait: u64,
    },
    /// A status that says that the same again will fare no better.
    Refused {
        /// Which.
        status: u16,
    },
}

#[derive(Serialize)]
struct Body<'a> {
    room_id: &'a str,
    epoch: u64,
    from: u64,
    to: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<LeftOut>,
    events: &'a [Event],
}

#[derive(Serialize)]
struct LeftOut {
    from: u64,
    to: u64,
}

#[derive(Serialize)]
struct Event {
    seq: u64,
    event: String,
    /// Where more than what everyone sees goes out: who sees it, and from when on.
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visible_at: Option<u64>,
    data: Box<RawValue>,
}

/// The batch of what `rows` hold and the back end is shown, after what `plan` begins with. What was posted before and
/// was not taken is no longer than it was then, so that its id stays.
pub fn plan(webhook: &Webhook, plan: Plan<'_>, rows: &[Row]) -> Planned {
    let viewer = if webhook.moderation { Viewer::MODERATOR } else { Viewer::PLAIN };
    let from = plan.from;
    let mut to = Hooked { seq: from.seq, told: from.told, lost: from.lost, ..Hooked::default() };
    if plan.gap_to > from.seq {
        (to.seq, to.lost) = (plan.gap_to, plan.gap_to);
    }
    let start = to.seq;
    let end = if from.tried > start { from.tried } else { u64::MAX };
    let (mut events, mut bytes, mut wait) = (Vec::new(), 0, None);
    for event in rows.iter().flat_map(|row| &row.events).filter(|event| event.seq > start) {
        if event.seq > end {
            break;
        }
        if event.visible_at > plan.now && !webhook.moderation {
            wait = Some(event.visible_at);
            break;
        }
        let shown = &*veiled(event);
        let line = view(shown, viewer, plan.now).map(|seen| seen.line(plan.room_id));
        let envelope = line.as_ref().and_then(envelope).filter(|envelope| webhook.wants(envelope.event));
        if let Some(Envelope { event: name, data }) = envelope {
            let length = data.get().len();
            if !events.is_empty() && (events.len() == MOST_EVENTS || bytes + length > MOST_BYTES) {
                break;
            }
            bytes += length;
            events.push(Event {
                seq: event.seq,
                event: name.to_owned(),
                audience: webhook.moderation.then(|| audience(&event.audience)),
                visible_at: webhook.moderation.then_some(event.visible_at),
                data: data.to_owned(),
            });
        }
        to.seq = event.seq;
    }
    // What is left out goes with the next events: to a back end that is away for ever a room that is quiet posts nothing.
    let batch = (!events.is_empty()).then(|| {
        let first = from.told + 1;
        let left_out = (to.lost > from.told).then_some(LeftOut { from: first, to: to.lost });
        let Plan { room_id, epoch, .. } = plan;
        let body = json(&Body { room_id, epoch, from: first, to: to.seq, left_out, events: &events });
        let id = id(room_id, epoch, first, to.seq);
        Batch { body: json(&Delivery { id, epoch, to: to.seq, body }), epoch, to: to.seq }
    });
    Planned { batch, to, wait }
}

/// Says which events these are, and no more.
fn id(room_id: &str, epoch: u64, from: u64, to: u64) -> String {
    let hash = Sha256::digest(format!("{room_id}\n{epoch}\n{from}\n{to}"));
    hash.iter().take(16).fold("msg_".to_owned(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

/// The header `webhook-signature`: one signature of each key, with spaces between. `at` is the `webhook-timestamp`, in
/// seconds since 1970.
pub fn signatures(webhook: &Webhook, id: &str, at: u64, body: &str) -> String {
    let sign = |key: &Vec<u8>| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(body.as_bytes());
        Some(format!("v1,{}", Base64::encode_string(&mac.finalize().into_bytes())))
    };
    webhook.keys.iter().filter_map(sign).collect::<Vec<_>>().join(" ")
}

/// What an answer means, at `now` (ms); `retry_after` is the header, empty where there is none.
pub fn delivered(status: u16, retry_after: &str, now: u64) -> Delivered {
    let later = || {
        let at = || DateTime::parse_from_rfc2822(retry_after).ok()?.timestamp_millis().try_into().ok();
        let seconds = retry_after.parse::<u64>().ok().map(|seconds| seconds.saturating_mul(1_000));
        let wait = seconds.or_else(|| at().map(|at: u64| at.saturating_sub(now))).unwrap_or_default();
        Delivered::Later { error: format!("the back end answered {status}"), wait: wait.min(LATEST) }
    };
    match status {
        200..=299 => Delivered::Taken,
        408 | 409 | 425 | 429 => later(),
        400..=499 => Delivered::Refused { status },
        _ => later(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h1_what_an_answer_means() {
        let later = |wait| Delivered::Later { error: String::new(), wait };
        let of = |status, after: &str| match delivered(status, after, 784_111_770_000) {
            Delivered::Later { wait, .. } => later(wait),
            other => other,
        };
        assert_eq!((of(200, ""), of(204, "")), (Delivered::Taken, Delivered::Taken));
        for status in [302, 307, 408, 409, 425, 429, 500, 503, 599] {
            assert_eq!(of(status, ""), later(0), "{status}");
        }
        for status in [400, 401, 404, 410, 413, 422] {
            assert_eq!(of(status, "5"), Delivered::Refused { status });
        }
        assert_eq!((of(429, "7"), of(503, "999999999999")), (later(7_000), later(LATEST)));
        assert_eq!(of(503, "Sun, 06 Nov 1994 08:49:37 GMT"), later(7_000));
        assert_eq!((of(503, "Sun, 06 Nov 1994 08:00:00 GMT"), of(503, "soon")), (later(0), later(0)));
    }

    /// The example of the specification's own libraries.
    #[test]
    fn h1_a_signature_is_the_specifications() {
        let webhook = Webhook {
            url: String::new(),
            keys: vec![Base64::decode_vec("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap(); 2],
            events: Vec::new(),
            moderation: false,
        };
        let one = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let both = signatures(&webhook, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(both, format!("{one} {one}"));
    }
}
