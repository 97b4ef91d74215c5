//! How many bytes a second a room has for each of its viewers, of which follows how many one object should hold.

use crate::audience::sockets_within;
use crate::host::count;
use crate::protocol::Body;
use crate::room::Row;
use crate::settings::{FrameBudgetPer, Settings};
use std::collections::VecDeque;

/// Bytes are counted over so long, ms.
const BUCKET: u64 = 10_000;
/// So many buckets are remembered: the minute for which a shape stays.
const BUCKETS: usize = 6;
/// What a line has besides the texts that are counted: names of fields, ids, the time.
const LINE: usize = 300;
/// What a value of a message's metadata counts that is no text.
const VALUE: usize = 20;
/// An object holds so many sockets whatever is said.
const LEAST: usize = 250;

/// What was written for viewers lately.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// The bucket that is filled now, in 10 s since 1970, its messages and their bytes.
    bucket: u64,
    messages: u64,
    bytes: u64,
    /// Bytes a second of the whole buckets before it, the newest first.
    whole: VecDeque<u64>,
    /// What was said within the minute before then (ms) is not known, since the object was built anew meanwhile.
    known_at: u64,
}

impl Flow {
    /// Of a room that said something last at `last_at` (ms) before this object was built.
    pub(super) fn load(last_at: u64) -> Self {
        Self { known_at: last_at.saturating_add(minute()), ..Self::default() }
    }

    /// Whether all that was written in the last minute is known.
    pub(super) fn is_known(&self, now: u64) -> bool {
        now >= self.known_at
    }

    /// Counts what a step writes, by its texts: serialising it once more would cost more than the answer is worth. What
    /// is not said by somebody is little, or gathered.
    pub(super) fn count(&mut self, row: &Row) {
        for event in &row.events {
            let texts = match &event.body {
                Body::NewMessage(message) => {
                    let of = |(key, value): (&String, &serde_json::Value)| {
                        key.len() + value.as_str().map_or(VALUE, str::len)
                    };
                    let user = &message.user;
                    message.content.len()
                        + message.text.as_ref().map_or(0, String::len)
                        + user.username.len()
                        + user.avatar.as_ref().map_or(0, |avatar| avatar.len())
                        + message.metadata.iter().map(of).sum::<usize>()
                }
                Body::MessageEdited { content, text, .. } => content.len() + text.as_ref().map_or(0, String::len),
                _ => continue,
            };
            self.messages += 1;
            self.bytes += count(texts + LINE);
        }
    }

    /// Time has passed. Of more than `above` messages a second viewers get a sample.
    pub(super) fn pass(&mut self, now: u64, above: Option<u32>) {
        let passed = (now / BUCKET).saturating_sub(self.bucket);
        if passed == 0 {
            return;
        }
        let shown = above.map_or(self.messages, |above| self.messages.min(u64::from(above) * BUCKET / 1_000));
        let rate = self.bytes.saturating_mul(shown) / self.messages.max(1) * 1_000 / BUCKET;
        self.whole.push_front(rate);
        for _ in 1..passed.min(count(BUCKETS + 1)) {
            self.whole.push_front(0);
        }
        self.whole.truncate(BUCKETS);
        (self.bucket, self.messages, self.bytes) = (now / BUCKET, 0, 0);
    }

    /// How many sockets one object should hold, by the last whole bucket; and by the loudest of the last minute, which
    /// has to be over before a room is split less.
    pub(super) fn each(&self, settings: &Settings) -> (usize, usize) {
        let now = self.whole.front().copied().unwrap_or(0);
        let lately = self.whole.iter().copied().max().unwrap_or(0);
        (each_of(now, settings), each_of(lately, settings))
    }
}

const fn minute() -> u64 {
    BUCKET * BUCKETS as u64
}

/// How many sockets one object should hold while each of them is written so many bytes a second. What is gathered leaves
/// all at once, and lies in the object's memory until it is sent. Where one process runs all objects they share its
/// memory, and splitting would lessen nothing.
fn each_of(bytes: u64, settings: &Settings) -> usize {
    let Settings { shard_sockets, shard_bytes, frame_budget, .. } = *settings;
    match settings.frame_budget_per {
        FrameBudgetPer::Process => shard_sockets,
        FrameBudgetPer::Object => {
            let most = usize::try_from(sockets_within(bytes, shard_bytes, frame_budget)).unwrap_or(usize::MAX);
            most.max(LEAST).min(shard_sockets)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Audience, LogEvent, Message};
    use serde_json::json;

    fn settings(set: &[(&str, &str)]) -> Settings {
        let of = |name: &str| set.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        let secret = || Some("0f8c51b7e6a94d23b0c7f1d2e3a4958670617283".to_owned());
        Settings::from_lookup(|name| of(name).or_else(|| (name == "JWT_SECRET").then(secret).flatten())).unwrap()
    }

    fn said(content: &str) -> LogEvent {
        let message = json!({
            "message_id": "01a209e5-a1d5-7b12-a513-110000000002", "no": 1, "type": "text", "content": content,
            "user": {"user_id": "ada", "username": "Ada", "avatar": null, "roles": ["member"]},
        });
        let message: Message = serde_json::from_value(message).unwrap();
        LogEvent { seq: 1, at: 1, visible_at: 1, audience: Audience::All, body: Body::NewMessage(Box::new(message)) }
    }

    /// So many messages of 303 bytes: a line, and the name.
    fn say(flow: &mut Flow, messages: usize) {
        let events = vec![said(""); messages];
        flow.count(&Row { last: 1, no: 1, events });
    }

    #[test]
    fn what_is_said_makes_an_object_hold_fewer() {
        let each = |bytes: u64| each_of(bytes, &settings(&[]));
        // A window of 4,000 sockets is 200 ms: 2 MiB of 500 bytes each.
        assert_eq!([0, 1_000, 41_900, 42_000].map(each), [4_000, 4_000, 4_000, 3_997]);
        assert_eq!(each(150_000), 2_115);
        assert_eq!([10_000_000, u64::MAX].map(each), [250, 250], "not fewer, whatever is said");
        let set = [("SHARD_SOCKETS", "10")];
        assert_eq!(each_of(u64::MAX, &settings(&set)), 10);
        assert_eq!(each_of(150_000, &settings(&[("SHARD_BYTES", "134217728")])), 4_000);
        assert_eq!(each_of(150_000, &settings(&[("FRAME_BUDGET_PER", "process")])), 4_000);
    }

    #[test]
    fn whole_buckets_decide_at_once_and_a_minute_is_remembered() {
        let (mut flow, settings) = (Flow::load(0), settings(&[]));
        flow.pass(1_000_000, None);
        say(&mut flow, 5_000);
        flow.pass(1_009_999, None);
        assert_eq!(flow.each(&settings), (4_000, 4_000), "not whole yet");
        flow.pass(1_010_000, None);
        let (now, lately) = flow.each(&settings);
        assert!(now == lately && (2_000..2_200).contains(&now), "{now}");
        flow.pass(1_020_000, None);
        assert_eq!(flow.each(&settings), (4_000, lately));
        flow.pass(1_069_999, None);
        assert_eq!(flow.each(&settings), (4_000, lately));
        flow.pass(1_070_000, None);
        assert_eq!(flow.each(&settings), (4_000, 4_000));
    }

    #[test]
    fn a_silence_is_as_many_buckets_as_it_lasts() {
        let (mut flow, settings) = (Flow::load(0), settings(&[]));
        flow.pass(1_000_000, None);
        say(&mut flow, 5_000);
        flow.pass(9_000_000, None);
        assert_eq!(flow.each(&settings), (4_000, 4_000));
    }

    #[test]
    fn a_sample_is_what_counts() {
        let (mut flow, settings) = (Flow::load(0), settings(&[]));
        flow.pass(1_000_000, None);
        say(&mut flow, 50_000);
        flow.pass(1_010_000, Some(10));
        assert_eq!(flow.each(&settings), (4_000, 4_000));
    }

    #[test]
    fn who_was_built_anew_knows_of_the_last_minute_what_the_log_says() {
        assert!(!Flow::load(1_000_000).is_known(1_059_999));
        assert!(Flow::load(1_000_000).is_known(1_060_000));
    }
}
