//! Answers of the Worker: JSON, problems, and the headers all of them have.

use super::log;
use super::util::entropy;
use crate::protocol::ChatError;
use crate::rest::{self, Quota};
use serde_json::value::RawValue;
use worker::{Headers, Response, Result};

/// So that no answer is a page, whatever stands in it: opened as one it loads and runs nothing, stands in no frame, and
/// tells no other site where it came from. Reading by another origin goes by CORS alone, which the resource policy does
/// not touch.
const GUARDS: [(&str, &str); 4] = [
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];

/// What of a request its answer depends on.
pub(super) struct Asked {
    /// The request's id, in its log lines and problems.
    pub(super) id: String,
    /// The page's origin, where it may read the answer.
    pub(super) origin: Option<String>,
    /// What is left of the caller's requests, where they were counted.
    pub(super) quota: Option<Quota>,
    /// A page may ask with its credentials, though nothing here looks at them.
    pub(super) credentials: bool,
}

impl Asked {
    pub(super) fn new(headers: &Headers) -> Self {
        let ray = headers.get("cf-ray").ok().flatten().filter(|ray| ray.len() <= 64);
        let random = || entropy().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { id: ray.unwrap_or_else(random), origin: None, quota: None, credentials: false }
    }

    /// Adds the headers that every answer has.
    pub(super) fn finish(&self, mut response: Response) -> Result<Response> {
        let headers = response.headers_mut();
        for (name, value) in GUARDS {
            headers.set(name, value)?;
        }
        headers.set("x-request-id", &self.id)?;
        headers.append("vary", "Origin")?;
        if let Some(quota) = &self.quota {
            headers.set("ratelimit", &quota.header())?;
            headers.set("ratelimit-policy", &quota.policy())?;
        }
        if let Some(origin) = &self.origin {
            headers.set("access-control-allow-origin", origin)?;
            let exposed = "Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id";
            headers.set("access-control-expose-headers", exposed)?;
            if self.credentials {
                headers.set("access-control-allow-credentials", "true")?;
            }
        }
        Ok(response)
    }

    /// A problem, as RFC 9457 has it.
    pub(super) fn problem(&self, error: &ChatError) -> Result<Response> {
        let cause = error.error_id.as_deref().map(|id| format!(" (error {id})")).unwrap_or_default();
        let code = error.code.as_str();
        let error_id = error.error_id.as_deref().unwrap_or_default();
        let about = [("request", self.id.as_str()), ("code", code), ("error_id", error_id)];
        log::info(&about, format_args!("request {}: {code}{cause}", self.id));
        let headers = Headers::new();
        headers.set("content-type", "application/problem+json")?;
        headers.set("cache-control", "no-store")?;
        if let Some(ms) = error.retry_after_ms {
            headers.set("retry-after", &ms.div_ceil(1000).to_string())?;
        }
        if error.code.status() == 401 {
            headers.set("www-authenticate", "Bearer")?;
        }
        let body = rest::problem(error, &self.id);
        Ok(Response::ok(body)?.with_headers(headers).with_status(error.code.status()))
    }
}

/// A JSON answer.
pub(super) fn json(status: u16, body: &RawValue) -> Result<Response> {
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    headers.set("cache-control", "no-store")?;
    Ok(Response::ok(body.get())?.with_headers(headers).with_status(status))
}
