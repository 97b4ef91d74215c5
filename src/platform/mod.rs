//! The platform's side: router, objects, SQLite, Hyperdrive. Parses, delegates, maps errors; no rule of the chat.
use worker::{Context, DurableObject, Env, Request, Response, Result, State, durable_object, event};

#[event(fetch)]
async fn fetch(_req: Request, _env: Env, _ctx: Context) -> Result<Response> {
    Response::ok("edge-chat")
}

macro_rules! object { ($name:ident) => {
    /// An object class.
    #[durable_object(fetch)]
    pub struct $name;
    impl DurableObject for $name {
        fn new(_state: State, _env: Env) -> Self { Self }
        async fn fetch(&self, _req: Request) -> Result<Response> { Response::error("not found", 404) }
    }
} }
object!(Room);
object!(Shard);
object!(Drain);
object!(User);
object!(Gateway);
