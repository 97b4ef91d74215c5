//! Socket.IO's requests, from the Worker to the gateway that has their session.

use super::drain_link::within;
use super::gateway::{CHANGE, CROWDED, FULL, GATEWAY, OPEN, OPEN_SOCKET, POLL, UNKNOWN};
use super::reply::Asked;
use super::socket::fresh_guest;
use super::util::now;
use super::{body, log, shield};
use crate::protocol::call::{CALLER_HEADER, Caller};
use crate::protocol::shard::gateway_name;
use crate::protocol::wire::json;
use crate::protocol::{ChatError, ErrorCode};
use crate::settings::Settings;
use crate::socketio::{PING_INTERVAL, Refused, gateway_of};
use std::cell::Cell;
use std::time::Duration;
use worker::{Delay, Env, Headers, Method, Request, RequestInit, Response, Result};

/// So many gateways are asked for a place, and so many that do not answer are waited for.
const TRIES: u32 = 16;
const SILENT: u32 = 4;
/// Nor is an address with its part of so many of them to wake more.
const MOST_CROWDED: u32 = 3;
/// A poll is held for about as long as it is to the next ping; the rest is answered at once.
const POLL_WITHIN: u64 = PING_INTERVAL + 10_000;
const WITHIN: u64 = 5_000;
/// Who polls too often waits for so long each time, ms.
const BREATH: u64 = 100;
/// How long the gateway that had a place is asked first, ms: few sessions are to be in few gateways, since each follows
/// the rooms of its own.
const FIRST_FOR: u64 = 60_000;

thread_local! {
    /// The gateway that had a place, and until when it is asked first.
    static FIRST: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
}

enum Found {
    Answer(Response),
    Refused(Refused),
    Error(ChatError),
}

impl From<ChatError> for Found {
    fn from(error: ChatError) -> Self {
        Self::Error(error)
    }
}

/// Answers a request under SOCKET_IO_PATH.
pub(super) async fn serve(req: Request, env: &Env, settings: &Settings, asked: &Asked) -> Result<Response> {
    match answer(req, env, settings).await {
        Ok(Found::Answer(response)) if response.status_code() == 101 => Ok(response),
        Ok(Found::Answer(mut response)) => {
            let body = response.text().await?;
            asked.finish(plain(response.status_code(), &body)?)
        }
        Ok(Found::Refused(why)) => asked.finish(plain(400, why.body())?),
        Ok(Found::Error(error)) | Err(error) => asked.finish(asked.problem(&error)?),
    }
}

fn plain(status: u16, body: &str) -> Result<Response> {
    let headers = Headers::new();
    let kind = if status == 200 { "text/plain; charset=UTF-8" } else { "application/json" };
    headers.set("content-type", kind)?;
    headers.set("cache-control", "no-store")?;
    Ok(Response::ok(body)?.with_headers(headers).with_status(status))
}

async fn answer(mut req: Request, env: &Env, settings: &Settings) -> std::result::Result<Found, ChatError> {
    let url = req.url().map_err(|_| ChatError::new(ErrorCode::InvalidParameter, "The query cannot be read."))?;
    let of = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    if of("EIO").as_deref() != Some("4") {
        return Ok(Found::Refused(Refused::Version));
    }
    let upgrade = req.headers().get("upgrade").ok().flatten();
    let upgrade = upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"));
    let websocket = match of("transport").as_deref() {
        Some("polling") => false,
        Some("websocket") => true,
        _ => return Ok(Found::Refused(Refused::Transport)),
    };
    if websocket != upgrade {
        return Ok(Found::Refused(Refused::Bad));
    }
    let Some(sid) = of("sid") else {
        if req.method() != Method::Get {
            return Ok(Found::Refused(Refused::Method));
        }
        return handshake(&req, env, settings, websocket).await.map(Found::Answer);
    };
    let Some(gateway) = gateway_of(&sid, settings.gateways) else { return Ok(Found::Refused(Refused::Sid)) };
    let stranger = shield::Stranger::of(&req, &sid, settings)?;
    let mut init = RequestInit::new();
    let path = match req.method() {
        Method::Get if websocket => {
            init.headers.set("upgrade", "websocket").map_err(|e| unavailable(gateway, e))?;
            CHANGE
        }
        Method::Get => POLL,
        Method::Post if !websocket => {
            init.with_method(Method::Post).with_body(Some(body::text(&mut req, "text", body::MOST).await?.into()));
            POLL
        }
        _ => return Ok(Found::Refused(Refused::Bad)),
    };
    if shield::polls_too_often(&sid) {
        // Meanwhile more gathers for it.
        Delay::from(Duration::from_millis(BREATH)).await;
    }
    let response = call(env, gateway, &format!("{path}?sid={sid}"), &init, POLL_WITHIN).await?;
    match response.status_code() {
        UNKNOWN => {
            stranger.count();
            Ok(Found::Refused(Refused::Sid))
        }
        FULL => Err(unavailable(gateway, "it cannot wake")),
        _ => {
            shield::count_poll(&sid);
            Ok(Found::Answer(response))
        }
    }
}

/// Looks for a gateway with a place.
async fn handshake(
    req: &Request,
    env: &Env,
    settings: &Settings,
    websocket: bool,
) -> std::result::Result<Response, ChatError> {
    let address = shield::count_upgrade(req, settings)?.unwrap_or_default();
    let caller = Caller { guest: fresh_guest(), address, ..Caller::default() };
    let path = if websocket { OPEN_SOCKET } else { OPEN };
    let (until, first) = FIRST.get();
    let first = if now() < until && first < settings.gateways { first } else { 0 };
    let message = "No place is left for more connections now; come back in a moment.";
    let mut error = ChatError::new(ErrorCode::Overloaded, message).retry_after(5_000);
    let (mut silent, mut crowded) = (0, 0);
    for n in 0..TRIES.min(settings.gateways) {
        let gateway = (first + n) % settings.gateways;
        let init = RequestInit::new();
        init.headers.set(CALLER_HEADER, &json(&caller)).map_err(|e| unavailable(gateway, e))?;
        if websocket {
            init.headers.set("upgrade", "websocket").map_err(|e| unavailable(gateway, e))?;
        }
        let response = match call(env, gateway, path, &init, WITHIN).await {
            Ok(response) => response,
            Err(unavailable) => {
                error = unavailable;
                silent += 1;
                if silent == SILENT {
                    break;
                }
                continue;
            }
        };
        match response.status_code() {
            FULL => {}
            CROWDED => {
                let message = "Too many connections come from where you are. Wait a moment.";
                error = ChatError::new(ErrorCode::RateLimited, message).retry_after(5_000);
                crowded += 1;
                if crowded == MOST_CROWDED {
                    break;
                }
            }
            _ => {
                // Where only this address has no place others still do.
                if crowded == 0 && (n > 0 || now() >= until) {
                    FIRST.set((now() + FIRST_FOR, gateway));
                }
                return Ok(response);
            }
        }
    }
    if crowded == 0 {
        FIRST.set((now() + FIRST_FOR, (first + TRIES) % settings.gateways));
    }
    Err(error)
}

fn unavailable(gateway: u32, error: impl std::fmt::Display) -> ChatError {
    log::error(&[], format_args!("call to gateway {gateway}: {error}"));
    ChatError::new(ErrorCode::Unavailable, "This cannot be done now; try again in a moment.").retry_after(1_000)
}

async fn call(
    env: &Env,
    gateway: u32,
    path: &str,
    init: &RequestInit,
    ms: u64,
) -> std::result::Result<Response, ChatError> {
    let call = async {
        let stub = env.durable_object(GATEWAY)?.get_by_name(&gateway_name(gateway))?;
        stub.fetch_with_request(Request::new_with_init(&format!("https://gateway{path}"), init)?).await
    };
    within(ms, call).await.map_err(|e| unavailable(gateway, e))?.map_err(|e| unavailable(gateway, e))
}
