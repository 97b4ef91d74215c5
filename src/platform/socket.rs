//! Upgrades: who asks is verified here, and what is no token is refused before any room wakes.

use super::reply::Asked;
use super::util::{entropy, now};
use super::{room_link, shield, user_link};
use crate::audience::close_reason;
use crate::auth::{self, Identity, Role};
use crate::protocol::call::Caller;
use crate::protocol::{ChatError, ErrorCode, RoomId, wire};
use crate::settings::Settings;
use base64ct::{Base64UrlUnpadded, Encoding};
use worker::{Env, Request, Response, Result, WebSocketPair};

/// The one protocol that is spoken here.
const PROTOCOL: &str = "chat.v1";

/// What the entries of `Sec-WebSocket-Protocol` say.
pub(super) struct Offer {
    entries: Vec<String>,
}

impl Offer {
    pub(super) fn of(req: &Request) -> Self {
        let header = req.headers().get("sec-websocket-protocol").ok().flatten().unwrap_or_default();
        let entries = header.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned);
        Self { entries: entries.collect() }
    }

    fn protocol(&self) -> Option<&'static str> {
        self.entries.iter().any(|entry| entry == PROTOCOL).then_some(PROTOCOL)
    }

    fn with_prefix(&self, prefix: &str) -> Option<&str> {
        self.entries.iter().find_map(|entry| entry.strip_prefix(prefix))
    }

    /// A guest's own random name, or a new one.
    fn guest(&self) -> String {
        let is_one =
            |id: &&str| id.len() == 22 && Base64UrlUnpadded::decode_vec(id).is_ok_and(|bytes| bytes.len() == 16);
        let given = self.with_prefix("guest.").filter(is_one).map(str::to_owned);
        given.unwrap_or_else(fresh_guest)
    }
}

/// A random name for a guest.
pub(super) fn fresh_guest() -> String {
    Base64UrlUnpadded::encode_string(entropy().get(..16).unwrap_or_default())
}

/// The key that a client was given for this upgrade: 16 hex digits. What is none is no reason to refuse.
fn key(req: &Request) -> Option<u64> {
    let url = req.url().ok()?;
    let (_, key) = url.query_pairs().find(|(name, _)| name == "k")?;
    let is_one = key.len() == 16 && key.bytes().all(|digit| digit.is_ascii_hexdigit());
    u64::from_str_radix(&key, 16).ok().filter(|_| is_one)
}

/// Opens a socket to `room`, or says why not.
pub(super) async fn open(
    req: &Request,
    env: &Env,
    room: &RoomId,
    settings: &Settings,
    asked: &Asked,
) -> Result<Response> {
    let offer = Offer::of(req);
    match try_open(req, env, room, settings, &offer).await {
        Ok(response) => Ok(response),
        Err(error) => refuse(&offer, &error, asked),
    }
}

async fn try_open(
    req: &Request,
    env: &Env,
    room: &RoomId,
    settings: &Settings,
    offer: &Offer,
) -> std::result::Result<Response, ChatError> {
    let upgrade = req.headers().get("upgrade").ok().flatten();
    if !upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket")) {
        return Err(ChatError::new(ErrorCode::BadRequest, "This path is for WebSocket upgrades."));
    }
    if !offer.entries.is_empty() && offer.protocol().is_none() {
        return Err(ChatError::new(ErrorCode::BadRequest, "Of subprotocols only chat.v1 is spoken here."));
    }
    let identity = match offer.with_prefix("bearer.") {
        None => None,
        Some(token) => Some(Identity::for_room(&auth::verify(token, &settings.keys, now())?, room.as_str())),
    };
    let address = shield::count_upgrade(req, settings)?.unwrap_or_default();
    let caller = Caller { identity, guest: offer.guest(), address, key: key(req), ..Caller::default() };
    room_link::open(env, room, caller, offer.protocol()).await
}

/// Opens a socket of the caller's inbox, or says why not.
pub(super) async fn open_inbox(req: &Request, env: &Env, settings: &Settings, asked: &Asked) -> Result<Response> {
    let offer = Offer::of(req);
    match try_inbox(req, env, settings, &offer).await {
        Ok(response) => Ok(response),
        Err(error) => refuse(&offer, &error, asked),
    }
}

async fn try_inbox(
    req: &Request,
    env: &Env,
    settings: &Settings,
    offer: &Offer,
) -> std::result::Result<Response, ChatError> {
    let upgrade = req.headers().get("upgrade").ok().flatten();
    if !upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket")) {
        return Err(ChatError::new(ErrorCode::BadRequest, "This path is for WebSocket upgrades."));
    }
    let required =
        || ChatError::new(ErrorCode::TokenRequired, "An inbox is opened with `bearer.<token>` in the upgrade.");
    let token = offer.with_prefix("bearer.").filter(|_| offer.protocol().is_some()).ok_or_else(required)?;
    let who = Identity::for_room(&auth::verify(token, &settings.keys, now())?, "");
    if !who.roles.iter().any(|role| role.at_least(Role::Member)) {
        return Err(ChatError::new(ErrorCode::Forbidden, "A guest has no inbox."));
    }
    shield::count_upgrade(req, settings)?;
    user_link::open(env, &who, offer.protocol()).await
}

/// A browser cannot read the status of a refused upgrade: where `chat.v1` was offered the socket opens, says why and
/// closes.
pub(super) fn refuse(offer: &Offer, error: &ChatError, asked: &Asked) -> Result<Response> {
    if offer.protocol().is_none() {
        return asked.finish(asked.problem(error)?);
    }
    let (retry, after_ms) = error.come_back().map_or((false, 0), |after_ms| (true, after_ms));
    let pair = WebSocketPair::new()?;
    pair.server.accept()?;
    pair.server.send_with_str(wire::goodbye(error, retry, after_ms))?;
    pair.server.close(Some(error.code.close()), Some(close_reason(retry, after_ms)))?;
    let mut response = Response::from_websocket(pair.client)?;
    response.headers_mut().set("sec-websocket-protocol", PROTOCOL)?;
    Ok(response)
}
