//! The rules as a whole, natively: a room in memory with clients, a PostgreSQL that folds, time that is given.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_in_result,
    clippy::panic_in_result_fn,
    unreachable_pub
)]

mod alive;
mod blocks;
mod bridge;
mod decoders;
mod devices;
mod direct;
mod drain;
mod endpoint;
mod erase;
mod filters;
mod frames;
mod gateways;
mod golden;
mod history;
mod inbox;
mod ladder;
mod limits;
mod memory;
mod metrics;
mod million;
mod moderation;
mod postgres;
mod presence;
mod rates;
mod redis;
mod refused;
mod reports;
mod resume;
mod retention;
mod rooms;
mod rules;
mod shards;
mod sim;
mod sockets;
mod split;
mod tree;
mod users;
mod visibility;
mod webhook;
mod world;
