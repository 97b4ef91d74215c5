//! The counters of one object, as its operator reads them.

use super::Host;
use super::calls::answer;
use crate::metrics::Metrics;
use crate::protocol::Position;
use crate::room::Room;
use serde::Serialize;
use serde_json::value::RawValue;

/// Counters since the object was built, and where the log stands.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stats {
    #[serde(flatten)]
    waking: Waking,
    room_id: String,
    /// The incarnation of the log, and its last event.
    epoch: u64,
    seq: u64,
    /// The last event that PostgreSQL has.
    drained_seq: u64,
    /// The last event that the Redis bridge is done with; 0 without one.
    bridged_seq: u64,
    /// The last event that the webhook is done with; 0 without one.
    hooked_seq: u64,
    message_count: u64,
    online_users: usize,
    online_guests: usize,
    /// Open sockets, joined or not, those in shards and at gateways with them.
    sockets: usize,
    /// How many shards serve the room's viewers; 0 where it does so itself.
    shards: u32,
    /// How many gateways have sessions of Socket.IO clients in the room.
    gateways: usize,
    counters: Counters,
    /// How long PostgreSQL, Redis and the webhook have lacked some of the log, ms; 0 where they have it all.
    postgres_lag_ms: u64,
    redis_lag_ms: u64,
    webhook_lag_ms: u64,
    /// More of what was counted since this wake.
    metrics: Metrics,
}

/// Which build of the object this is, so that a wake can be told from a stay.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Waking {
    /// Random, new at each wake.
    pub instance: String,
    /// How often the room has woken with something to wake to.
    pub wakes: u64,
}

/// What has happened in this object since it was built.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Counters {
    /// Rows written to the log and its state.
    pub rows_written: u64,
    /// Events appended.
    pub events: u64,
    /// Frames from clients.
    pub frames_in: u64,
    /// Frames to clients.
    pub frames_out: u64,
    /// Batches that PostgreSQL took.
    pub drains: u64,
    /// Batches that it did not.
    pub drains_failed: u64,
    /// Batches that Redis took.
    pub bridged: u64,
    /// Batches that it did not.
    pub bridge_failed: u64,
    /// Batches that the webhook's back end took.
    pub hooked: u64,
    /// Batches that it did not.
    pub hook_failed: u64,
    /// Batches that were left out since it refused them.
    pub hook_skipped: u64,
}

impl Host {
    pub(super) fn stats(&self) -> Box<RawValue> {
        let position = self.room.as_ref().map_or(Position { epoch: 0, seq: 0 }, Room::position);
        let (online_users, online_guests) = self.audience.online();
        let gauges = self.gauges();
        answer(&Stats {
            waking: self.waking.clone(),
            room_id: self.id.to_string(),
            epoch: position.epoch,
            seq: position.seq,
            drained_seq: self.room.as_ref().map_or(0, Room::drained),
            bridged_seq: self.room.as_ref().map_or(0, |room| room.bridged().seq),
            hooked_seq: self.room.as_ref().map_or(0, |room| room.hooked().seq),
            message_count: self.room.as_ref().map_or(0, Room::message_count),
            online_users,
            online_guests,
            sockets: self.audience.socket_count() + self.spread.sockets(),
            shards: self.shape().shards,
            gateways: self.spread.gateway_count(),
            counters: self.counters,
            postgres_lag_ms: self.lag_ms(Some(gauges.postgres)),
            redis_lag_ms: self.lag_ms(gauges.redis),
            webhook_lag_ms: self.lag_ms(gauges.webhook),
            metrics: self.metrics(),
        })
    }
}
