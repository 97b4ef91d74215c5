//! edge-chat: live chat for video and stream pages, on Cloudflare Workers.
//!
//! A room is an ordered log; viewers, PostgreSQL and Redis are followers of it. The crate is three rings, and the compiler
//! keeps them apart: the inner ones build without the platform, so they are tested natively.
//!
//! - ring 0, the rules, pure: [`protocol`] (every frame, event, body, code), [`room`] (the log's rules),
//!   [`audience`] (those who listen), [`host`] (the two in one object), [`content`] (text in, safe text out), [`auth`]
//!   (tokens to identities), [`rest`] (paths, queries, problems), [`user`] (a user in all rooms), [`metrics`] (what goes
//!   on, in figures), [`settings`], [`socketio`] (Socket.IO clients around the native wire);
//! - ring 1: [`sinks`], the followers that leave the room (what PostgreSQL and Redis are told and asked);
//! - ring 2: `platform`, wasm only: router, objects, SQLite, Hyperdrive, clock and entropy.

// As clippy.toml has it for those lints that can be set there.
#![cfg_attr(test, allow(clippy::string_slice, clippy::unwrap_in_result, clippy::panic_in_result_fn))]

pub mod audience;
pub mod auth;
pub mod content;
pub mod host;
pub mod metrics;
pub mod protocol;
pub mod rest;
pub mod room;
pub mod settings;
pub mod sinks;
pub mod socketio;
#[cfg(test)]
mod types;
pub mod user;

#[cfg(target_arch = "wasm32")]
mod platform;
