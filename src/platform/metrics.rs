//! `/metrics`: asks the few drains, wakes no room.

use super::drain_link;
use super::util::now;
use crate::metrics;
use crate::protocol::{ChatError, ErrorCode};
use crate::settings::Settings;
use futures::future::join_all;
use worker::{Env, Headers, Request, Response};

/// The figures; none where this deployment tells them to nobody.
///
/// # Errors
/// `token_required`, `token_invalid`, `invalid_parameter`.
pub(super) async fn answer(req: &Request, env: &Env, settings: &Settings) -> Result<Option<Response>, ChatError> {
    let Some(token) = &settings.metrics_token else { return Ok(None) };
    let header = req.headers().get("authorization").ok().flatten();
    let given = header.as_deref().and_then(|header| header.split_once(' '));
    match given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        Some((_, given)) if token.is(given.trim()) => {}
        Some(_) => return Err(ChatError::new(ErrorCode::TokenInvalid, "This is not METRICS_TOKEN.")),
        None => return Err(ChatError::new(ErrorCode::TokenRequired, "Send METRICS_TOKEN as a bearer token.")),
    }
    let format =
        req.url().ok().and_then(|url| url.query_pairs().find(|(key, _)| key == "format").map(|(_, f)| f.into_owned()));
    let as_json = match format.as_deref() {
        None => false,
        Some("json") => true,
        Some(_) => {
            let message = "The format is `json`, or none for Prometheus's text.";
            return Err(ChatError::new(ErrorCode::InvalidParameter, message).field("format"));
        }
    };
    let ask = |drain: u32| async move { (drain, drain_link::metrics(env, drain).await) };
    let drains = join_all((0..settings.drains.max(1)).map(ask)).await;
    let (kind, body) = match as_json {
        true => ("application/json", metrics::json(&drains, now())),
        false => ("text/plain; version=0.0.4; charset=utf-8", metrics::text(&drains)),
    };
    let headers = Headers::new();
    let set = headers.set("content-type", kind).and_then(|()| headers.set("cache-control", "no-store"));
    let response = set.and_then(|()| Response::ok(body)).map(|response| response.with_headers(headers));
    response.map(Some).map_err(|error| super::room::broken("metrics", error))
}
