//! What goes on, in figures: rooms count in memory, hand what they counted to their drain with the batches that they
//! send anyway, and the drains add it up.

mod histogram;
mod text;
mod totals;

pub use histogram::{BOUNDS_MS, Histogram};
pub use text::{Answered, all_names, json, text};
pub use totals::{DrainState, Point, RoomState, Totals};

use crate::protocol::{Body, ErrorCode, LogEvent};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Different codes that are kept apart: what another build calls its errors is not to grow without end.
const MOST_CODES: usize = 96;

/// One figure of [`Metrics`], as `/metrics` shows it.
pub(crate) struct Figure {
    name: &'static str,
    labels: &'static [(&'static str, &'static str)],
    help: &'static str,
    value: fn(&Metrics) -> u64,
}

/// One histogram of [`Metrics`], as `/metrics` shows it.
pub(crate) struct Times {
    name: &'static str,
    labels: &'static [(&'static str, &'static str)],
    help: &'static str,
    value: fn(&Metrics) -> &Histogram,
}

macro_rules! metrics {
    (
        counters { $($(#[doc = $doc:literal])+ $counter:ident = $name:literal $($label:literal = $value:literal)*;)+ }
        histograms { $($(#[doc = $tdoc:literal])+ $times:ident = $tname:literal $($tlabel:literal = $tvalue:literal)*;)+ }
    ) => {
        /// What was counted since it was handed on last. Of two builds each knows what the other leaves out as nothing.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(default)]
        pub struct Metrics {
            $($(#[doc = $doc])+ #[serde(skip_serializing_if = "is_zero")] pub $counter: u64,)+
            $($(#[doc = $tdoc])+ #[serde(skip_serializing_if = "Histogram::is_empty")] pub $times: Histogram,)+
            /// What was refused, by code.
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            pub errors: BTreeMap<String, u64>,
        }

        impl Metrics {
            pub(crate) const FIGURES: &'static [Figure] = &[$(Figure {
                name: $name,
                labels: &[$(($label, $value),)*],
                help: concat!($($doc,)+).trim_ascii(),
                value: |metrics| metrics.$counter,
            },)+];

            pub(crate) const TIMES: &'static [Times] = &[$(Times {
                name: $tname,
                labels: &[$(($tlabel, $tvalue),)*],
                help: concat!($($tdoc,)+).trim_ascii(),
                value: |metrics| &metrics.$times,
            },)+];

            /// Adds what another has counted.
            pub fn merge(&mut self, other: &Self) {
                $(self.$counter = self.$counter.saturating_add(other.$counter);)+
                $(self.$times.merge(&other.$times);)+
                for (code, count) in &other.errors {
                    self.add_errors(code, *count);
                }
            }
        }
    };
}

metrics! {
    counters {
        /// Users and guests let in, each socket by itself.
        joins = "joins_total";
        /// Messages taken and shown to everyone; what is held counts once it is allowed.
        messages = "messages_in_total";
        /// Messages that a filter held for a moderator.
        held = "held_total";
        /// Events times the viewers that each was sent to.
        deliveries = "deliveries_total";
        /// Frames from clients; pings that the platform answers by itself are not among them.
        frames_in = "frames_in_total";
        /// Frames to clients.
        frames_out = "frames_out_total";
        /// Events appended to logs.
        events = "events_total";
        /// Rows written to logs and state.
        rows_written = "rows_written_total";
        /// Returns by outcome: what was missed, or the newest messages instead.
        resumed = "resumes_total" "outcome" = "resumed";
        /// Returns by outcome: what was missed, or the newest messages instead.
        snapshots = "resumes_total" "outcome" = "snapshot";
        /// Objects that were built anew to a room that existed: after sleep, a deploy or a fault.
        wakes = "wakes_total";
        /// Batches by sink and outcome, as rooms see it.
        drained = "batches_total" "sink" = "postgres" "outcome" = "ok";
        /// Batches by sink and outcome, as rooms see it.
        drain_failed = "batches_total" "sink" = "postgres" "outcome" = "failed";
        /// Batches by sink and outcome, as rooms see it.
        bridged = "batches_total" "sink" = "redis" "outcome" = "ok";
        /// Batches by sink and outcome, as rooms see it.
        bridge_failed = "batches_total" "sink" = "redis" "outcome" = "failed";
        /// Batches by sink and outcome, as rooms see it.
        hooked = "batches_total" "sink" = "webhook" "outcome" = "ok";
        /// Batches by sink and outcome, as rooms see it.
        hook_failed = "batches_total" "sink" = "webhook" "outcome" = "failed";
        /// Batches by sink and outcome, as rooms see it.
        hook_skipped = "batches_total" "sink" = "webhook" "outcome" = "left_out";
        /// Events that PostgreSQL refused and that were set aside.
        dead_letters = "dead_letters_total";
    }
    histograms {
        /// From a message's sending to its acknowledgement, as clients say that they measured it.
        ack = "ack_seconds";
        /// From a message's sending to its sight in the sender's own stream, as clients say that they measured it.
        shown = "delivery_seconds";
        /// From a probe, queued behind 256 KiB, to its echo by a viewer.
        probes = "probe_seconds";
        /// From a room's handing over of a batch to the drain's answer.
        drains = "batch_seconds" "sink" = "postgres";
        /// From a room's handing over of a batch to the drain's answer.
        bridges = "batch_seconds" "sink" = "redis";
        /// From a room's handing over of a batch to the drain's answer.
        hooks = "batch_seconds" "sink" = "webhook";
    }
}

impl Metrics {
    /// Counts a refusal.
    pub fn error(&mut self, code: ErrorCode) {
        self.add_errors(code.as_str(), 1);
    }

    fn add_errors(&mut self, code: &str, count: u64) {
        let known = self.errors.contains_key(code) || self.errors.len() < MOST_CODES;
        let code = if known { code } else { "other" };
        let sum = self.errors.entry(code.to_owned()).or_default();
        *sum = sum.saturating_add(count);
    }

    /// Refusals because of a rate or of slow mode.
    pub fn rate_limited(&self) -> u64 {
        let limited = [ErrorCode::RateLimited, ErrorCode::SlowMode];
        limited.iter().filter_map(|code| self.errors.get(code.as_str())).sum()
    }

    /// Counts what was appended.
    pub fn appended(&mut self, events: &[LogEvent]) {
        for event in events {
            match &event.body {
                Body::NewMessage(_) => self.messages += 1,
                Body::MessageHeld(_) => self.held += 1,
                _ => {}
            }
        }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How a room is at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Gauges {
    /// Signed-in users.
    pub users: u64,
    /// Guests.
    pub guests: u64,
    /// Open sockets, joined or not.
    pub sockets: u64,
    /// Objects beside the room that hold sockets of it.
    #[serde(skip_serializing_if = "is_zero")]
    pub shards: u64,
    /// The log's incarnation, and its last event.
    pub epoch: u64,
    /// The log's last event.
    pub seq: u64,
    /// How far PostgreSQL has it.
    pub postgres: Behind,
    /// How far Redis has it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<Behind>,
    /// How far the webhook's back end has it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Behind>,
}

/// How far a follower has a room's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Behind {
    /// The last event that it has.
    pub seq: u64,
    /// Since when it lacks some, ms since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// What a room hands to its drain, as the header [`crate::protocol::call::METRICS_HEADER`] beside a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Whose.
    pub room: String,
    /// How it is.
    pub gauges: Gauges,
    /// What was counted since the last report that arrived.
    pub metrics: Metrics,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nothing_is_left_out_and_what_is_unknown_is_passed_over() {
        assert_eq!(serde_json::to_string(&Metrics::default()).unwrap(), "{}");
        let newer = r#"{"joins":2,"moons":7,"errors":{"x":1},"ack":{"buckets":[1],"sum_ms":3,"mean":3}}"#;
        let metrics: Metrics = serde_json::from_str(newer).unwrap();
        assert_eq!((metrics.joins, metrics.errors["x"], metrics.ack.count()), (2, 1, 1));
        let report: Report = serde_json::from_str(r#"{"room":"a"}"#).unwrap();
        assert!(report.metrics.is_empty());
    }

    #[test]
    fn two_are_added_and_codes_have_an_end() {
        let mut one = Metrics { joins: 1, ..Metrics::default() };
        one.error(ErrorCode::RateLimited);
        one.ack.observe(3);
        let mut two = one.clone();
        two.error(ErrorCode::SlowMode);
        one.merge(&two);
        assert_eq!((one.joins, one.rate_limited(), one.ack.count()), (2, 3, 2));
        for n in 0..1_000 {
            one.add_errors(&format!("code{n}"), 1);
        }
        assert_eq!(one.errors.len(), MOST_CODES + 1);
        assert_eq!(one.errors.values().sum::<u64>(), 1_003);
    }
}
