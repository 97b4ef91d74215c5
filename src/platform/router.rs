//! From a request to its answer: settings, origin, token, then one call.

use super::reply::{Asked, json};
use super::routes::Request_;
use super::util::{now, settings};
use super::{gateway_link, metrics, shield, socket};
use crate::auth::{self, Claims};
use crate::protocol::wire::raw;
use crate::protocol::{ChatError, ErrorCode};
use crate::rest::{self, Route, allowed_origin};
use crate::settings::Settings;
use futures::FutureExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::cell::OnceCell;
use worker::{Context, Env, Headers, Method, Request, Response, Result};

/// Answers one request.
pub(super) async fn serve(req: Request, env: Env, ctx: Context) -> Result<Response> {
    let mut asked = Asked::new(req.headers());
    let path = req.path();
    let route = rest::route(method(&req), &path);
    let settings = settings(&env);
    let socket = matches!(route, Ok(Route::Socket(_) | Route::Inbox)) || path.ends_with("/ws");
    let refuse = |asked: &Asked, error: &ChatError| match socket {
        true => socket::refuse(&socket::Offer::of(&req), error, asked),
        false => asked.finish(asked.problem(error)?),
    };

    let socket_io = settings.as_ref().is_ok_and(|settings| is_socket_io(&path, settings));
    if let Ok(open) = &route
        && open.is_open()
        && req.method() != Method::Options
        && !socket_io
    {
        return asked.finish(open_answer(open, &asked)?);
    }
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return refuse(&asked, &error),
    };
    asked.credentials = socket_io;
    if let Some(origin) = req.headers().get("origin")? {
        let url = req.url()?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        asked.origin = allowed_origin(&origin, url.scheme(), &host, &settings).map(str::to_owned);
        if asked.origin.is_none() {
            let error = ChatError::new(ErrorCode::Forbidden, "Pages of this origin may not use this service.");
            return refuse(&asked, &error);
        }
    }
    if req.method() == Method::Options {
        return asked.finish(preflight()?);
    }
    if socket_io {
        return gateway_link::serve(req, &env, &settings, &asked).await;
    }
    let route = match route {
        // What is boxed is compiled by itself, and by V8 only when it is first run.
        Ok(Route::Socket(room)) => return socket::open(&req, &env, &room, &settings, &asked).boxed_local().await,
        Ok(Route::Inbox) => return socket::open_inbox(&req, &env, &settings, &asked).boxed_local().await,
        Ok(Route::Health) => return asked.finish(json(200, &raw(r#"{"status":"ok"}"#.into()))?),
        Ok(Route::MethodNotAllowed(allow)) => return asked.finish(not_allowed(allow, &asked)?),
        Ok(route) => route,
        Err(error) => return refuse(&asked, &error),
    };
    let claims = claims(&req, &settings);
    let known = claims.as_ref().ok().and_then(Option::as_ref);
    if let Some((quota, passes)) = shield::count_request(&req, known, &settings) {
        asked.quota = Some(quota);
        if let Err(error) = passes {
            return asked.finish(asked.problem(&error)?);
        }
    }
    if route == Route::Metrics {
        return match metrics::answer(&req, &env, &settings).boxed_local().await {
            Ok(Some(response)) => asked.finish(response),
            Ok(None) => asked.finish(not_found(&asked)?),
            Err(error) => asked.finish(asked.problem(&error)?),
        };
    }
    let standing = OnceCell::new();
    let mut request = Request_ { req, env: &env, ctx: &ctx, settings: &settings, claims, standing };
    if matches!(route, Route::ExportRoom(_) | Route::ExportUser(_)) {
        return match request.export(route).boxed_local().await {
            Ok(response) => asked.finish(response),
            Err(error) => asked.finish(asked.problem(&error)?),
        };
    }
    match request.answer(route).boxed_local().await {
        Ok((status, body)) => {
            let mut response = json(status, &body)?;
            if status == 201
                && let Some(location) = location(&body)
            {
                response.headers_mut().set("location", &location)?;
            }
            if status == 204 {
                response = Response::empty()?.with_status(204);
            }
            asked.finish(response)
        }
        Err(error) => asked.finish(asked.problem(&error)?),
    }
}

/// As the runtime has it: the worker crate calls a method that it does not know GET.
fn method(req: &Request) -> Option<rest::Method> {
    match req.inner().method().as_str() {
        "GET" | "HEAD" => Some(rest::Method::Get),
        "POST" => Some(rest::Method::Post),
        "PUT" => Some(rest::Method::Put),
        "PATCH" => Some(rest::Method::Patch),
        "DELETE" => Some(rest::Method::Delete),
        _ => None,
    }
}

/// Whether clients of Socket.IO connect there, with a slash at its end or without.
fn is_socket_io(path: &str, settings: &Settings) -> bool {
    path.strip_prefix(settings.socket_io_path.as_str()).is_some_and(|rest| rest.is_empty() || rest == "/")
}

fn open_answer(route: &Route, asked: &Asked) -> Result<Response> {
    let text = |body: &str, kind: &str| {
        let headers = Headers::new();
        headers.set("content-type", kind)?;
        Ok(Response::ok(body)?.with_headers(headers))
    };
    match route {
        Route::OpenApi => text(include_str!("../../docs/openapi.json"), "application/json"),
        Route::Problem(code) => match rest::problem_page(code) {
            Some(page) => text(&page, "text/plain; charset=utf-8"),
            None => not_found(asked),
        },
        _ => not_found(asked),
    }
}

fn not_found(asked: &Asked) -> Result<Response> {
    // No code of the chat: there is nothing here at all.
    let body = serde_json::json!({
        "type": "about:blank", "title": "Not found", "status": 404, "detail": "There is nothing here.",
        "instance": asked.id,
    });
    plain_problem(404, &body)
}

fn not_allowed(allow: &str, asked: &Asked) -> Result<Response> {
    let body = serde_json::json!({
        "type": "about:blank", "title": "Method not allowed", "status": 405,
        "detail": format!("This path takes {allow}."), "instance": asked.id,
    });
    let mut response = plain_problem(405, &body)?;
    response.headers_mut().set("allow", allow)?;
    Ok(response)
}

fn plain_problem(status: u16, body: &serde_json::Value) -> Result<Response> {
    let headers = Headers::new();
    headers.set("content-type", "application/problem+json")?;
    Ok(Response::ok(body.to_string())?.with_headers(headers).with_status(status))
}

fn preflight() -> Result<Response> {
    let headers = Headers::new();
    headers.set("access-control-allow-methods", "GET, POST, PUT, PATCH, DELETE")?;
    headers.set("access-control-allow-headers", "Authorization, Content-Type, Idempotency-Key")?;
    headers.set("access-control-max-age", "7200")?;
    Ok(Response::empty()?.with_headers(headers).with_status(204))
}

/// Where what was made can be read again; a message has no address of its own.
fn location(body: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Made {
        room_id: Option<String>,
        message_id: Option<String>,
    }
    let made: Made = serde_json::from_str(body.get()).ok()?;
    made.room_id.filter(|_| made.message_id.is_none()).map(|room| format!("/api/rooms/{room}"))
}

/// What the bearer token says, where there is one.
fn claims(req: &Request, settings: &Settings) -> std::result::Result<Option<Claims>, ChatError> {
    let Some(header) = req.headers().get("authorization").ok().flatten() else { return Ok(None) };
    let token = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token else {
        return Err(ChatError::new(ErrorCode::TokenInvalid, "Authorization has to be `Bearer <token>`."));
    };
    auth::verify(token.trim(), &settings.keys, now()).map(Some)
}
