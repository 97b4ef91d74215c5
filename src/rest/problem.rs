//! Errors over REST: problem details as RFC 9457 has them.

use crate::protocol::wire::json;
use crate::protocol::{ChatError, ErrorCode};
use serde::Serialize;

/// A problem as RFC 9457 has it.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Problem<'a> {
    /// `/problems/<code>`, where the code is explained; `about:blank` where there is no such path or method, and then
    /// no `code`.
    r#type: String,
    title: &'a str,
    status: u16,
    /// A sentence for people.
    detail: &'a str,
    /// The word to branch on.
    #[cfg_attr(feature = "openapi", schema(required = false))]
    code: ErrorCode,
    /// The request's id, as in the header `X-Request-Id` and in the log.
    instance: &'a str,
    /// Milliseconds after which the same request may succeed; in seconds in `Retry-After` too.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// Of a fault of the service: the id under which its cause stands in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_id: Option<&'a str>,
    /// Where in the request the fault is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Pointed<'a>>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct Pointed<'a> {
    /// JSON pointer of the field, or a query parameter's name in that form.
    pointer: String,
    detail: &'a str,
}

/// What a code means, in the words of its own page.
pub fn title(code: ErrorCode) -> String {
    let mut words = code.as_str().replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// The body of `application/problem+json`; `instance` is the request's id.
pub fn problem(error: &ChatError, instance: &str) -> String {
    let errors = error
        .field
        .as_deref()
        .map(|field| Pointed { pointer: format!("#/{}", field.replace('.', "/")), detail: &error.message });
    json(&Problem {
        r#type: format!("/problems/{}", error.code.as_str()),
        title: &title(error.code),
        status: error.code.status(),
        detail: &error.message,
        code: error.code,
        instance,
        retry_after_ms: error.retry_after_ms,
        error_id: error.error_id.as_deref(),
        errors: errors.into_iter().collect(),
    })
}

/// The page behind a problem's `type`; none for what is no code.
pub fn problem_page(code: &str) -> Option<String> {
    let code = ErrorCode::ALL.iter().find(|known| known.as_str() == code)?;
    let (title, text, status, close) = (title(*code), code.meaning(), code.status(), code.close());
    Some(format!("{title}\n\n{text}\nHTTP status {status}; where it ends a socket, close code {close}.\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_points_at_the_field() {
        let error = ChatError::new(ErrorCode::InvalidSettings, "There is no such setting.").field("settings.gusts");
        let problem: serde_json::Value = serde_json::from_str(&problem(&error, "abc")).unwrap();
        assert_eq!(
            problem,
            serde_json::json!({
                "type": "/problems/invalid_settings", "title": "Invalid settings", "status": 400, "instance": "abc",
                "detail": "There is no such setting.", "code": "invalid_settings",
                "errors": [{"pointer": "#/settings/gusts", "detail": "There is no such setting."}],
            })
        );
        assert!(problem_page("rate_limited").is_some() && problem_page("x").is_none());
    }
}
