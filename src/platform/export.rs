//! Exports: lines of JSON out of PostgreSQL, page after page as the client takes them.

use super::drain_link::within;
use super::messages::unavailable;
use super::postgres::{connect, one};
use super::util::now;
use super::{log, room_link, user_link};
use crate::protocol::call::{Ask, Caller, Nothing, UserAsk, UserCall, VERSION};
use crate::protocol::{ChatError, Position, RoomId, rfc3339};
use crate::sinks::export::{self, Place, Section};
use futures::stream;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use wasm_bindgen::{JsCast, JsValue};
use worker::{Context, Delay, Env, Error, Response, Result};

/// A page may take this long, ms.
const PAGE_WITHIN: u64 = 15_000;
/// How long it is waited that PostgreSQL has what the room has, ms.
const WAIT: u64 = 3_000;
const LOOK_EVERY: u64 = 200;

type Asked<T> = std::result::Result<T, ChatError>;

/// An export under way. It has a connection for each page, and none while the client reads: who reads slowly, or stops,
/// holds up nobody.
struct Export {
    env: Env,
    ctx: Context,
    sections: &'static [Section],
    whose: String,
    /// Whether somebody else asks, who keeps order.
    other: bool,
    place: Place,
    /// Lines up to the first page, and the last one; taken when they are sent.
    head: Option<String>,
    end: Option<String>,
}

impl Export {
    /// What comes next; none after the end.
    async fn next(&mut self) -> std::result::Result<Option<Vec<u8>>, String> {
        if let Some(head) = self.head.take() {
            return Ok(Some(head.into_bytes()));
        }
        let lines = self.page().await?;
        Ok(lines.or_else(|| self.end.take()).map(String::into_bytes))
    }

    /// The next lines out of PostgreSQL; none after the last ones.
    async fn page(&mut self) -> std::result::Result<Option<String>, String> {
        while let Some(query) = self.place.query(self.sections) {
            let arguments =
                [(&self.whose as _, Type::TEXT), (&self.place.after as _, Type::TEXT), (&self.other as _, Type::BOOL)];
            let read = async {
                let client = connect(&self.env, |driver| self.ctx.wait_until(driver)).await?;
                one(&client, query, &arguments).await
            };
            let answer = within(PAGE_WITHIN, read).await??;
            let lines = self.place.read(&answer.unwrap_or_default())?;
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
        }
        Ok(None)
    }

    async fn response(mut self) -> Asked<Response> {
        // Where PostgreSQL cannot be reached, that is the answer, rather than the beginning of one.
        let first = self.page().await.map_err(unavailable)?;
        if let (Some(head), Some(first)) = (&mut self.head, first) {
            head.push_str(&first);
        }
        self.stream().map_err(unavailable)
    }

    fn stream(self) -> Result<Response> {
        let lines = stream::try_unfold(self, |mut export| async move {
            let next = export.next().await.map_err(|error| {
                // The client sees that the end is missing.
                log::error(&[], format_args!("export: {error}"));
                Error::RustError("the export was cut".into())
            })?;
            Ok::<_, Error>(next.map(|lines| (lines, export)))
        });
        let mut response = Response::from_stream(lines)?;
        response.headers_mut().set("content-type", "application/x-ndjson")?;
        response.headers_mut().set("cache-control", "no-store")?;
        Ok(response)
    }
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

/// The request's own context, to be kept beyond the answer's head.
fn kept(ctx: &Context) -> Context {
    let context: &JsValue = ctx.as_ref().as_ref();
    Context::new(context.clone().unchecked_into())
}

async fn open(env: &Env, ctx: &Context) -> Asked<Rc<Client>> {
    let connected = within(WAIT, connect(env, |driver| ctx.wait_until(driver))).await;
    connected.map_err(unavailable)?.map_err(unavailable)
}

/// How far PostgreSQL has come, waiting a moment for what the room has.
async fn up_to(client: &Client, room: &str, at: Position) -> Asked<(u64, u64)> {
    let began = now();
    loop {
        let answer = within(WAIT, one(client, export::UP_TO, &[(&room as _, Type::TEXT)])).await;
        let answer = answer.map_err(unavailable)?.map_err(unavailable)?;
        let stands = answer.as_deref().map(serde_json::from_str::<(u64, u64)>);
        let (epoch, seq) = stands.transpose().map_err(unavailable)?.unwrap_or_default();
        if (epoch == at.epoch && seq >= at.seq) || now().saturating_sub(began) >= WAIT {
            return Ok((epoch, seq));
        }
        Delay::from(Duration::from_millis(LOOK_EVERY)).await;
    }
}

/// The export of a room, for who may have it.
pub(super) async fn room(
    env: &Env,
    ctx: &Context,
    room: &RoomId,
    caller: Caller,
    after: Option<&str>,
) -> Asked<Response> {
    let place = Place::parse(after, export::ROOM)?;
    let at: Position = room_link::ask(env, room, caller, Ask::Export(Nothing {})).await?;
    let id = room.as_str();
    let (epoch, seq) = up_to(open(env, ctx).await?.as_ref(), id, at).await?;
    // An earlier incarnation's rows are all there is of it.
    let seq = if epoch == at.epoch { seq } else { 0 };
    let begun = rfc3339(now());
    let of = |kind: &str| {
        let reach =
            json!({"kind": kind, "room_id": id, "epoch": at.epoch, "seq": at.seq, "up_to_seq": seq, "at": begun});
        Some(line(&reach))
    };
    let (head, end) = (of("export"), of("end"));
    let (env, ctx) = (env.clone(), kept(ctx));
    let export = Export { env, ctx, sections: export::ROOM, whose: id.to_owned(), other: true, place, head, end };
    export.response().await
}

/// The export of a user, for themselves or for somebody `other`, who keeps order in all rooms.
pub(super) async fn user(env: &Env, ctx: &Context, user_id: &str, other: bool, after: Option<&str>) -> Asked<Response> {
    let place = Place::parse(after, export::USER)?;
    let of = |kind: &str| line(&json!({"kind": kind, "user_id": user_id, "at": rfc3339(now())}));
    let mut head = of("export");
    if after.is_none() {
        let call = UserCall { v: VERSION, iat_ms: None, ask: UserAsk::DevicesFor(Nothing {}) };
        let devices: Box<RawValue> = user_link::ask(env, user_id, &call).await?;
        head.push_str(&format!("{{\"kind\":\"devices\",\"list\":{}}}\n", devices.get()));
    }
    let (head, end) = (Some(head), Some(of("end")));
    let (env, ctx) = (env.clone(), kept(ctx));
    let export = Export { env, ctx, sections: export::USER, whose: user_id.to_owned(), other, place, head, end };
    export.response().await
}
