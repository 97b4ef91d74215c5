//! What a drain knows of its rooms: the sum of what they counted, and how each was when it was heard of last.

use super::{Behind, Gauges, Metrics, Report};
use crate::sinks::Sink;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a room that is not heard of counts as it was, ms.
const AGES_OUT: u64 = 300_000;
/// Rooms that are known one by one; of more only the sums are kept.
const MOST_ROOMS: usize = 10_000;
/// How many of the busiest rooms are told.
const BUSIEST: usize = 20;
/// Rates are of about so long, ms.
const WINDOW: f64 = 10_000.0;
/// A room's points are so far apart at least, ms.
const POINT_EVERY: u64 = 60_000;

/// One room as it was heard of last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoomState {
    /// Which.
    pub room_id: String,
    /// How it is.
    pub gauges: Gauges,
    /// Messages a second, over some 10 s.
    pub messages_per_s: f64,
    /// Deliveries a second, over some 10 s.
    pub deliveries_per_s: f64,
    /// When it was heard of, ms since 1970.
    pub at: u64,
}

/// What one room did in about a minute, for Workers Analytics Engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The room: the point's one blob, and cut to 96 bytes its index.
    pub room_id: String,
    /// In the order of [`Point::DOUBLES`].
    pub doubles: [f64; 12],
}

impl Point {
    /// What `double1` and those after it are.
    pub const DOUBLES: [&'static str; 12] = [
        "seconds since the last point, 0 for the first",
        "messages",
        "deliveries",
        "joins",
        "errors",
        "frames from clients",
        "frames to clients",
        "rows written",
        "users now",
        "guests now",
        "sockets now",
        "events that PostgreSQL lacks",
    ];

    /// What it is sampled by: an index holds 96 bytes at most.
    pub fn index(&self) -> &str {
        self.room_id.get(..96).unwrap_or(&self.room_id)
    }
}

struct Heard {
    state: RoomState,
    since_point: Metrics,
    point_at: Option<u64>,
}

/// The figures of one drain, in memory: a drain that is built anew begins at 0.
pub struct Totals {
    since: u64,
    metrics: Metrics,
    rooms: BTreeMap<String, Heard>,
    swept_at: u64,
}

/// All that a drain says of itself and its rooms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct DrainState {
    /// When it began to count, ms since 1970.
    pub since: u64,
    /// Rooms heard of in the last five minutes.
    pub rooms: u64,
    /// What they come to together.
    pub sums: Sums,
    /// Bytes of batches that wait for PostgreSQL and for Redis.
    pub queued: [u64; 2],
    /// Bytes of bodies that are on their way to the webhook's back end.
    pub webhook_queued: u64,
    /// What all its rooms have counted.
    pub metrics: Metrics,
    /// Those where most is said and seen.
    pub busiest: Vec<RoomState>,
}

/// What the rooms of a drain come to together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Sums {
    /// Signed-in users, one in each room that they are in.
    pub users: u64,
    /// Guests.
    pub guests: u64,
    /// Open sockets.
    pub sockets: u64,
    /// Shards.
    pub shards: u64,
    /// Events that PostgreSQL and Redis lack.
    pub lag_events: [u64; 2],
    /// Since when the room that waits longest does so for PostgreSQL and for Redis, in ms until now.
    pub lag_ms: [u64; 2],
    /// Events that the webhook's back end lacks.
    pub webhook_lag_events: u64,
    /// Since when the room that waits longest does so for it, in ms until now.
    pub webhook_lag_ms: u64,
}

impl Totals {
    /// Nothing is counted yet.
    pub fn new(now: u64) -> Self {
        Self { since: now, metrics: Metrics::default(), rooms: BTreeMap::new(), swept_at: now }
    }

    /// Takes in what a room hands over; the points that are due now.
    pub fn take(&mut self, report: Report, now: u64) -> Vec<Point> {
        let Report { room, gauges, metrics } = report;
        self.metrics.merge(&metrics);
        let mut points = self.sweep(now);
        if !self.rooms.contains_key(&room) && self.rooms.len() >= MOST_ROOMS {
            return points;
        }
        let heard = self.rooms.entry(room.clone()).or_insert_with(|| Heard::new(room, now));
        heard.take(gauges, &metrics, now);
        if heard.point_at.is_none_or(|at| at.saturating_add(POINT_EVERY) <= now) {
            points.push(heard.point(now));
        }
        points
    }

    /// An event was set aside.
    pub fn set_aside(&mut self) {
        self.metrics.dead_letters += 1;
    }

    /// A sink has taken a room's batch and stands here now.
    pub fn stands(&mut self, room: &str, sink: Sink, epoch: u64, seq: u64) {
        let Some(heard) = self.rooms.get_mut(room) else { return };
        let Gauges { epoch: own, seq: last, postgres, redis, webhook, .. } = &mut heard.state.gauges;
        let behind = match sink {
            Sink::Postgres => Some(postgres),
            Sink::Redis => redis.as_mut(),
            Sink::Webhook => webhook.as_mut(),
        };
        if let Some(behind) = behind.filter(|behind| *own == epoch && behind.seq < seq) {
            *behind = Behind { seq, since: behind.since.filter(|_| seq < *last) };
        }
    }

    /// All of it, with the bytes that wait.
    pub fn state(&mut self, now: u64, queued: [u64; 2]) -> DrainState {
        let live = self.rooms.values().filter(|heard| !heard.is_old(now));
        let mut state = DrainState { since: self.since, queued, metrics: self.metrics.clone(), ..Default::default() };
        for heard in live {
            state.rooms += 1;
            state.sums.add(&heard.state.gauges, now);
            state.busiest.push(heard.now(now));
        }
        let busy = |room: &RoomState| room.deliveries_per_s + room.messages_per_s;
        state.busiest.sort_by(|a, b| {
            busy(b).total_cmp(&busy(a)).then(b.gauges.sockets.cmp(&a.gauges.sockets)).then(a.room_id.cmp(&b.room_id))
        });
        state.busiest.truncate(BUSIEST);
        state
    }

    /// Forgets rooms that were not heard of for long, with a last point of what they did.
    fn sweep(&mut self, now: u64) -> Vec<Point> {
        if self.swept_at.saturating_add(POINT_EVERY) > now {
            return Vec::new();
        }
        self.swept_at = now;
        let old: Vec<_> = self.rooms.iter().filter(|(_, heard)| heard.is_old(now)).map(|(id, _)| id.clone()).collect();
        let gone = old.iter().filter_map(|id| self.rooms.remove(id));
        gone.filter(|heard| !heard.since_point.is_empty()).map(|mut heard| heard.point(now)).collect()
    }
}

impl Heard {
    fn new(room_id: String, now: u64) -> Self {
        let state =
            RoomState { room_id, gauges: Gauges::default(), messages_per_s: 0.0, deliveries_per_s: 0.0, at: now };
        Self { state, since_point: Metrics::default(), point_at: None }
    }

    fn take(&mut self, gauges: Gauges, metrics: &Metrics, now: u64) {
        let mut state = self.now(now);
        let per_s = |count: u64| count as f64 * 1_000.0 / WINDOW;
        state.messages_per_s += per_s(metrics.messages);
        state.deliveries_per_s += per_s(metrics.deliveries);
        state.gauges = gauges;
        state.at = now;
        self.state = state;
        self.since_point.merge(metrics);
    }

    /// With rates as they are by now.
    fn now(&self, now: u64) -> RoomState {
        let fade = (-(now.saturating_sub(self.state.at) as f64) / WINDOW).exp();
        let RoomState { messages_per_s, deliveries_per_s, .. } = self.state;
        RoomState {
            messages_per_s: messages_per_s * fade,
            deliveries_per_s: deliveries_per_s * fade,
            ..self.state.clone()
        }
    }

    fn is_old(&self, now: u64) -> bool {
        self.state.at.saturating_add(AGES_OUT) < now
    }

    fn point(&mut self, now: u64) -> Point {
        let seconds = self.point_at.replace(now).map_or(0, |at| now.saturating_sub(at) / 1_000);
        let done = std::mem::take(&mut self.since_point);
        let Gauges { users, guests, sockets, seq, postgres, .. } = &self.state.gauges;
        let doubles = [
            seconds,
            done.messages,
            done.deliveries,
            done.joins,
            done.errors.values().sum(),
            done.frames_in,
            done.frames_out,
            done.rows_written,
            *users,
            *guests,
            *sockets,
            seq.saturating_sub(postgres.seq),
        ];
        Point { room_id: self.state.room_id.clone(), doubles: doubles.map(|double| double as f64) }
    }
}

impl Sums {
    fn add(&mut self, gauges: &Gauges, now: u64) {
        self.users += gauges.users;
        self.guests += gauges.guests;
        self.sockets += gauges.sockets;
        self.shards += gauges.shards;
        let followers = [Some(gauges.postgres), gauges.redis, gauges.webhook];
        let events = self.lag_events.iter_mut().chain([&mut self.webhook_lag_events]);
        let ms = self.lag_ms.iter_mut().chain([&mut self.webhook_lag_ms]);
        for ((events, ms), behind) in events.zip(ms).zip(followers) {
            let Some(behind) = behind else { continue };
            *events += gauges.seq.saturating_sub(behind.seq);
            if let Some(since) = behind.since.filter(|_| behind.seq < gauges.seq) {
                *ms = (*ms).max(now.saturating_sub(since));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(room: &str, messages: u64, seq: u64, since: Option<u64>) -> Report {
        let postgres = Behind { seq: 3, since };
        let gauges = Gauges { users: 2, guests: 1, sockets: 4, epoch: 9, seq, postgres, ..Gauges::default() };
        Report { room: room.into(), gauges, metrics: Metrics { messages, deliveries: messages, ..Metrics::default() } }
    }

    #[test]
    fn counts_add_up_and_the_last_word_of_a_room_counts() {
        let mut totals = Totals::new(1_000);
        totals.take(report("a", 5, 9, Some(900)), 1_000);
        totals.take(report("a", 2, 11, Some(900)), 2_000);
        totals.take(report("b", 1, 3, None), 2_000);
        let state = totals.state(3_000, [7, 0]);
        assert_eq!((state.rooms, state.metrics.messages, state.queued), (2, 8, [7, 0]));
        assert_eq!((state.sums.users, state.sums.guests, state.sums.sockets), (4, 2, 8));
        assert_eq!((state.sums.lag_events, state.sums.lag_ms), ([8, 0], [2_100, 0]));
        let names: Vec<_> = state.busiest.iter().map(|room| room.room_id.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        // What a sink has taken since is not missing any more; another incarnation's cursor says nothing.
        totals.stands("a", Sink::Postgres, 8, 11);
        assert_eq!(totals.state(3_000, [0, 0]).sums.lag_events, [8, 0]);
        totals.stands("a", Sink::Postgres, 9, 11);
        totals.stands("a", Sink::Redis, 9, 11);
        assert_eq!(
            (totals.state(9_000, [0, 0]).sums.lag_events, totals.state(9_000, [0, 0]).sums.lag_ms),
            ([0, 0], [0, 0])
        );
    }

    #[test]
    fn rooms_age_out_but_what_they_counted_stays() {
        let mut totals = Totals::new(0);
        totals.take(report("a", 5, 9, None), 1_000);
        assert_eq!(totals.state(1_000 + AGES_OUT, [0, 0]).rooms, 1);
        let state = totals.state(1_001 + AGES_OUT, [0, 0]);
        assert_eq!((state.rooms, state.sums.sockets, state.metrics.messages), (0, 0, 5));
        totals.take(report("b", 1, 9, None), 2_000 + AGES_OUT);
        assert_eq!(totals.rooms.len(), 1);
    }

    #[test]
    fn rates_are_of_the_last_seconds() {
        let mut totals = Totals::new(0);
        for second in 1..=60 {
            totals.take(report("a", 20, second, None), second * 1_000);
        }
        let rate = |totals: &mut Totals, now| totals.state(now, [0, 0]).busiest[0].messages_per_s;
        assert!((19.0..22.0).contains(&rate(&mut totals, 60_000)), "{}", rate(&mut totals, 60_000));
        assert!(rate(&mut totals, 120_000) < 0.1);
    }

    #[test]
    fn a_room_makes_at_most_one_point_a_minute() {
        let mut totals = Totals::new(0);
        let mut points = Vec::new();
        for second in 1..=121 {
            points.extend(totals.take(report("a", 2, second, None), second * 1_000));
        }
        let seconds: Vec<_> = points.iter().map(|point| (point.doubles[0], point.doubles[1])).collect();
        assert_eq!(seconds, [(0.0, 2.0), (60.0, 120.0), (60.0, 120.0)]);
        totals.take(report("a", 7, 200, None), 122_000);
        let [last] = &totals.take(report("b", 1, 1, None), 500_000)[..1] else { panic!("no last point") };
        assert_eq!((last.room_id.as_str(), last.doubles[1], last.doubles[8]), ("a", 7.0, 2.0));
    }

    #[test]
    fn columns_of_points_in_the_documentation_are_in_step() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
        let docs = std::fs::read_to_string(path).unwrap();
        for (index, name) in Point::DOUBLES.iter().enumerate() {
            let row = format!("| `double{}` | {name} |\n", index + 1);
            assert!(docs.contains(&row), "not in docs/operations.md: {row}");
        }
    }

    #[test]
    fn of_too_many_rooms_the_sums_are_kept() {
        let mut totals = Totals::new(0);
        for n in 0..MOST_ROOMS + 5 {
            totals.take(report(&format!("r{n}"), 1, 4, None), 1_000);
        }
        let state = totals.state(1_000, [0, 0]);
        assert_eq!((state.rooms, state.metrics.messages), (MOST_ROOMS as u64, MOST_ROOMS as u64 + 5));
        assert_eq!(state.busiest.len(), BUSIEST);
    }
}
