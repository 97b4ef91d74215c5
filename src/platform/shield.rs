//! The isolate's shield: who has asked how often, before any room wakes.

use super::util::now;
use crate::auth::Claims;
use crate::protocol::{ChatError, Rate};
use crate::rest::{Quota, Shield, client_address, counted};
use crate::settings::Settings;
use std::cell::RefCell;
use wasm_bindgen::JsValue;
use worker::Request;

/// An address may open sockets in so many rooms as often as in each.
const ROOMS: u32 = 4;

/// Requests of a session that polls, each answered at once.
const POLLS: Rate = Rate { messages: 300, window_ms: 10_000 };

thread_local! {
    static SHIELD: RefCell<Shield> = RefCell::default();
}

fn count(who: &str, rate: Rate) -> (Quota, Result<(), ChatError>) {
    SHIELD.with_borrow_mut(|shield| shield.count(who, rate, now()))
}

/// Where the request comes from.
fn address(req: &Request, settings: &Settings) -> Option<String> {
    let header = |name: &str| req.headers().get(name).ok().flatten();
    let cf_client_ip = || {
        let cf = js_sys::Reflect::get(req.inner(), &JsValue::from_str("cf")).ok()?;
        js_sys::Reflect::get(&cf, &JsValue::from_str("clientIp")).ok()?.as_string()
    };
    client_address(settings.client_ip, header, cf_client_ip)
}

/// Counts an upgrade, and gives the address that it comes from, where that is known.
///
/// # Errors
/// `rate_limited`.
pub(super) fn count_upgrade(req: &Request, settings: &Settings) -> Result<Option<String>, ChatError> {
    let address = address(req, settings);
    if let Some(address) = &address {
        let limit = settings.rate_limit_joins.saturating_mul(ROOMS);
        count(&format!("upgrade {address}"), settings.per_window(limit)).1?;
    }
    Ok(address)
}

/// Counts a join by a session of Socket.IO's, which may go on to any room; and of its address, where that is known.
///
/// # Errors
/// `rate_limited`.
pub(super) fn count_joins(sid: &str, address: &str, settings: &Settings) -> Result<(), ChatError> {
    let rate = settings.per_window(settings.rate_limit_joins.saturating_mul(ROOMS));
    let mut known = [sid, address].into_iter().filter(|who| !who.is_empty());
    known.try_for_each(|who| count(&format!("joins {who}"), rate).1)
}

/// Who may ask for a session of Socket.IO's that nobody has: counted as if it did, so that no number of requests side by
/// side passes, until it turns out that it does not.
pub(super) struct Stranger {
    who: Option<String>,
    rate: Rate,
    counted: bool,
}

impl Stranger {
    /// Where the request for this session comes from, if that has not asked for too many strange ones. A session that
    /// is known here suffers from no neighbour.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(super) fn of(req: &Request, sid: &str, settings: &Settings) -> Result<Self, ChatError> {
        let who = address(req, settings).map(|address| format!("stranger {address}"));
        let rate = settings.per_window(settings.rate_limit_joins.saturating_mul(ROOMS));
        let mut counted = false;
        if let Some(who) = &who
            && !SHIELD.with_borrow(|shield| shield.knows(&polls(sid)))
        {
            count(who, rate).1?;
            counted = true;
        }
        Ok(Self { who, rate, counted })
    }

    /// It has.
    pub(super) fn count(mut self) {
        if !std::mem::take(&mut self.counted)
            && let Some(who) = &self.who
        {
            let _ = count(who, self.rate);
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        if let Some(who) = self.who.as_ref().filter(|_| self.counted) {
            SHIELD.with_borrow_mut(|shield| shield.take_back(who));
        }
    }
}

fn polls(sid: &str) -> String {
    format!("polls {sid}")
}

/// Whether a session of Socket.IO's that polls asks too often; [`count_poll`] counts.
pub(super) fn polls_too_often(sid: &str) -> bool {
    SHIELD.with_borrow(|shield| shield.check(&polls(sid), POLLS, now()).is_err())
}

/// Counts a request of a session that is there: ids that somebody made up take no place here.
pub(super) fn count_poll(sid: &str) {
    let _ = count(&polls(sid), POLLS);
}

/// Counts a request over REST, if it is one to be [`counted`].
pub(super) fn count_request(
    req: &Request,
    claims: Option<&Claims>,
    settings: &Settings,
) -> Option<(Quota, Result<(), ChatError>)> {
    let who = counted(claims, address(req, settings).as_deref())?;
    Some(count(&who, settings.per_window(settings.rate_limit_requests)))
}
