//! Which pages may talk to the service.

use crate::settings::Settings;

/// Whether `origin` is the service's own: the request's own scheme and host.
pub fn is_same_origin(origin: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, rest)| rest == host)
}

/// The origin to name in `Access-Control-Allow-Origin`, exact; none where the page may not.
/// No `Origin` header means no browser, which is not this function's business.
pub fn allowed_origin<'a>(origin: &'a str, host: &str, settings: &Settings) -> Option<&'a str> {
    (is_same_origin(origin, host) || settings.allowed_origins.iter().any(|allowed| allowed == origin)).then_some(origin)
}
