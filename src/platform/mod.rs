//! The platform's side: router, objects, SQLite, Hyperdrive. Parses, delegates, maps errors; no rule of the chat.

mod analytics;
mod binding;
mod body;
mod bridge;
mod direct;
mod drain;
mod drain_link;
mod erasure;
mod export;
mod gateway;
mod gateway_link;
mod holds;
mod inbox;
mod link;
mod log;
mod messages;
mod metrics;
mod postgres;
mod presence;
mod reply;
mod reports;
mod room;
mod room_link;
mod router;
mod routes;
mod shape;
mod shard;
mod shard_link;
mod shield;
mod socket;
mod sqlite;
mod user;
mod user_link;
mod util;
mod webhook;

/// What the platform calls; the macro logs what it cannot answer by itself.
#[expect(clippy::disallowed_macros, reason = "the macro's own")]
mod entry {
    use worker::{Context, Env, Request, Response, Result, event};

    #[event(start)]
    fn start() {
        super::util::wake_by_promises();
    }

    #[event(fetch)]
    async fn fetch(req: Request, env: Env, ctx: Context) -> Result<Response> {
        super::router::serve(req, env, ctx).await
    }
}
