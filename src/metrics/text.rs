//! `/metrics`: what the drains say, as Prometheus reads it, and as JSON with the busiest rooms.

use super::{BOUNDS_MS, DrainState, Histogram, Metrics};
use prometheus::proto::{Bucket, Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{TextEncoder, proto};
use serde::Serialize;
use std::collections::BTreeSet;

const PREFIX: &str = "edge_chat_";

/// A drain by its number, and what it says; none where it did not answer in time.
pub type Answered = (u32, Option<DrainState>);

type Labels<'a> = &'a [(&'a str, &'a str)];

/// A gauge of one drain.
type Measure = fn(&DrainState) -> f64;

/// Name, labels, help, value.
const GAUGES: &[(&str, Labels<'static>, &str, Measure)] = &[
    ("rooms", &[], "Rooms heard of in the last five minutes.", |d| d.rooms as f64),
    ("connections", &[], "Open sockets of those rooms.", |d| d.sums.sockets as f64),
    ("online", &[("kind", "users")], "Who is in those rooms.", |d| d.sums.users as f64),
    ("online", &[("kind", "guests")], "Who is in those rooms.", |d| d.sums.guests as f64),
    ("shards", &[], "Objects beside those rooms that hold sockets of them.", |d| d.sums.shards as f64),
    ("lag_events", &[("sink", "postgres")], LAG_EVENTS, |d| lag(d.sums.lag_events, 0)),
    ("lag_events", &[("sink", "redis")], LAG_EVENTS, |d| lag(d.sums.lag_events, 1)),
    ("lag_events", &[("sink", "webhook")], LAG_EVENTS, |d| d.sums.webhook_lag_events as f64),
    ("lag_seconds", &[("sink", "postgres")], LAG_SECONDS, |d| lag(d.sums.lag_ms, 0) / 1_000.0),
    ("lag_seconds", &[("sink", "redis")], LAG_SECONDS, |d| lag(d.sums.lag_ms, 1) / 1_000.0),
    ("lag_seconds", &[("sink", "webhook")], LAG_SECONDS, |d| d.sums.webhook_lag_ms as f64 / 1_000.0),
    ("queued_bytes", &[("sink", "postgres")], QUEUED, |d| lag(d.queued, 0)),
    ("queued_bytes", &[("sink", "redis")], QUEUED, |d| lag(d.queued, 1)),
    ("queued_bytes", &[("sink", "webhook")], QUEUED, |d| d.webhook_queued as f64),
    ("start_time_seconds", &[], "When the drain began to count, as seconds since 1970.", |d| d.since as f64 / 1_000.0),
];
const LAG_EVENTS: &str = "Events of those rooms' logs that the sink does not have yet.";
const LAG_SECONDS: &str = "How long the room that waits longest for the sink has waited.";
const QUEUED: &str = "Bytes of batches that wait in the drain for the sink.";
const UP: (&str, &str) =
    ("drain_up", "Whether the drain answered in time; the others' figures are then without its rooms.");
const ERRORS: (&str, &str) = ("errors_total", "What rooms refused, by code.");
const LIMITED: (&str, &str) = ("rate_limited_total", "What rooms refused because of a rate or of slow mode.");

fn lag([postgres, redis]: [u64; 2], sink: usize) -> f64 {
    (if sink == 0 { postgres } else { redis }) as f64
}

/// All families' names, as they stand in `/metrics`.
pub fn all_names() -> Vec<String> {
    let own = [UP.0, ERRORS.0, LIMITED.0].into_iter().chain(GAUGES.iter().map(|gauge| gauge.0));
    let counted =
        Metrics::FIGURES.iter().map(|figure| figure.name).chain(Metrics::TIMES.iter().map(|times| times.name));
    let names: BTreeSet<_> = own.chain(counted).collect();
    names.into_iter().map(|name| format!("{PREFIX}{name}")).collect()
}

/// The text that Prometheus reads; each series has the label `drain`, so that one that begins anew is seen as a reset.
pub fn text(drains: &[Answered]) -> String {
    let mut families = Families::default();
    for (number, answered) in drains {
        let up = f64::from(u8::from(answered.is_some()));
        families.add(UP, MetricType::GAUGE, labelled(*number, &[], gauge(up)));
        let Some(drain) = answered else { continue };
        for (name, labels, help, measure) in GAUGES {
            families.add((name, help), MetricType::GAUGE, labelled(*number, labels, gauge(measure(drain))));
        }
        let metrics = &drain.metrics;
        for figure in Metrics::FIGURES {
            let metric = labelled(*number, figure.labels, counter((figure.value)(metrics)));
            families.add((figure.name, figure.help), MetricType::COUNTER, metric);
        }
        families.add(LIMITED, MetricType::COUNTER, labelled(*number, &[], counter(metrics.rate_limited())));
        for (code, count) in &metrics.errors {
            families.add(ERRORS, MetricType::COUNTER, labelled(*number, &[("code", code)], counter(*count)));
        }
        for times in Metrics::TIMES {
            let metric = labelled(*number, times.labels, histogram((times.value)(metrics)));
            families.add((times.name, times.help), MetricType::HISTOGRAM, metric);
        }
    }
    // Each family has a name and a value, which is all that the encoder asks for.
    TextEncoder::new().encode_to_string(&families.0).unwrap_or_default()
}

#[derive(Default)]
struct Families(Vec<MetricFamily>);

impl Families {
    fn add(&mut self, (name, help): (&str, &str), kind: MetricType, metric: Metric) {
        let name = format!("{PREFIX}{name}");
        if let Some(family) = self.0.iter_mut().find(|family| family.name() == name) {
            family.mut_metric().push(metric);
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name);
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(vec![metric]);
        self.0.push(family);
    }
}

fn labelled(drain: u32, labels: Labels<'_>, mut metric: Metric) -> Metric {
    let drain = drain.to_string();
    let all = labels.iter().copied().chain([("drain", drain.as_str())]);
    let pairs = all.map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    });
    metric.set_label(pairs.collect());
    metric
}

fn gauge(value: f64) -> Metric {
    let (mut metric, mut gauge) = (Metric::default(), Gauge::default());
    gauge.set_value(value);
    metric.set_gauge(gauge);
    metric
}

fn counter(value: u64) -> Metric {
    let (mut metric, mut counter) = (Metric::default(), Counter::default());
    counter.set_value(value as f64);
    metric.set_counter(counter);
    metric
}

fn histogram(times: &Histogram) -> Metric {
    let buckets = times.cumulative().map(|(bound, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound as f64 / 1_000.0);
        bucket.set_cumulative_count(count);
        bucket
    });
    let (mut metric, mut histogram) = (Metric::default(), proto::Histogram::default());
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(times.count());
    histogram.set_sample_sum(times.sum_ms() as f64 / 1_000.0);
    metric.set_histogram(histogram);
    metric
}

/// The same as JSON, with the busiest rooms by name.
pub fn json(drains: &[Answered], now: u64) -> String {
    #[derive(Serialize)]
    struct Drain<'a> {
        drain: u32,
        up: bool,
        #[serde(flatten)]
        state: Option<&'a DrainState>,
    }
    #[derive(Serialize)]
    struct All<'a> {
        at: u64,
        bounds_ms: [u64; BOUNDS_MS.len()],
        drains: Vec<Drain<'a>>,
    }
    let drains =
        drains.iter().map(|(drain, state)| Drain { drain: *drain, up: state.is_some(), state: state.as_ref() });
    crate::protocol::wire::json(&All { at: now, bounds_ms: BOUNDS_MS, drains: drains.collect() })
}

#[cfg(test)]
mod tests {
    use super::super::{Report, Totals};
    use super::*;
    use crate::protocol::ErrorCode;

    fn drains() -> Vec<Answered> {
        let mut metrics = Metrics { joins: 3, resumed: 1, ..Metrics::default() };
        metrics.error(ErrorCode::RateLimited);
        metrics.ack.observe(7);
        let mut totals = Totals::new(1_000);
        totals.take(Report { room: "a".into(), metrics, ..Report::default() }, 1_500);
        vec![(0, Some(totals.state(2_000, [5, 0]))), (1, None)]
    }

    #[test]
    fn each_family_stands_once_with_its_help_and_all_its_series() {
        let text = text(&drains());
        for line in [
            "# TYPE edge_chat_joins_total counter\nedge_chat_joins_total{drain=\"0\"} 3\n",
            "edge_chat_resumes_total{outcome=\"resumed\",drain=\"0\"} 1\n",
            "edge_chat_resumes_total{outcome=\"snapshot\",drain=\"0\"} 0\n",
            "edge_chat_errors_total{code=\"rate_limited\",drain=\"0\"} 1\n",
            "edge_chat_rate_limited_total{drain=\"0\"} 1\n",
            "edge_chat_ack_seconds_bucket{drain=\"0\",le=\"0.005\"} 0\n",
            "edge_chat_ack_seconds_bucket{drain=\"0\",le=\"0.01\"} 1\n",
            "edge_chat_ack_seconds_bucket{drain=\"0\",le=\"+Inf\"} 1\n",
            "edge_chat_ack_seconds_sum{drain=\"0\"} 0.007\n",
            "edge_chat_queued_bytes{sink=\"postgres\",drain=\"0\"} 5\n",
            "edge_chat_drain_up{drain=\"0\"} 1\nedge_chat_drain_up{drain=\"1\"} 0\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        let mut families: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        families.sort_unstable();
        let names: Vec<_> = families.iter().filter_map(|family| family.split(' ').next()).collect();
        assert_eq!(names, all_names());
        assert!(!text.contains("=\"a\""), "{text}");
    }

    #[test]
    fn json_has_the_rooms_by_name() {
        let json: serde_json::Value = serde_json::from_str(&json(&drains(), 2_000)).unwrap();
        assert_eq!(json["drains"][0]["busiest"][0]["room_id"], "a");
        assert_eq!(json["drains"][0]["metrics"]["joins"], 3);
        assert_eq!((&json["drains"][1]["up"], &json["at"]), (&false.into(), &2_000.into()));
    }

    /// docs/operations.md names every family.
    #[test]
    fn every_metric_is_documented() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
        let docs = std::fs::read_to_string(path).unwrap();
        let missing: Vec<_> = all_names().into_iter().filter(|name| !docs.contains(&format!("`{name}"))).collect();
        assert!(missing.is_empty(), "not in docs/operations.md: {missing:?}");
    }
}
