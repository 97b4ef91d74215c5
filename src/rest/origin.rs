//! Which pages may talk to the service.

use crate::settings::Settings;

/// Whether `origin`, as a browser sends it, is the service's own, asked by `scheme` (`http`, `https`) at `host` (with its
/// port, where that is not the scheme's own). A page by `https` is its own also where the request came as `http`: a
/// proxy ended TLS. Not so the other way round, where anybody on the way can have written the page.
pub fn is_same_origin(origin: &str, scheme: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(own, rest)| (own == scheme || own == "https") && rest == host)
}

/// The origin to name in `Access-Control-Allow-Origin`, exact; none where the page may not.
/// No `Origin` header means no browser, which is not this function's business.
pub fn allowed_origin<'a>(origin: &'a str, scheme: &str, host: &str, settings: &Settings) -> Option<&'a str> {
    let listed = || settings.allowed_origins.iter().any(|allowed| allowed == origin);
    (is_same_origin(origin, scheme, host) || listed()).then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_exactly_one_of_those_listed_or_ones_own() {
        let set = |name: &str| match name {
            "JWT_SECRET" => Some("0f8c51b7e6a94d23b0c7f1d2e3a4958670617283".to_owned()),
            "ALLOWED_ORIGINS" => Some("https://pages.example, http://localhost:8080".to_owned()),
            _ => None,
        };
        let settings = Settings::from_lookup(set).unwrap();
        let allowed = |origin: &str| allowed_origin(origin, "https", "chat.example", &settings).is_some();
        for origin in ["https://pages.example", "http://localhost:8080", "https://chat.example"] {
            assert!(allowed(origin), "{origin}");
        }
        for origin in [
            "",
            "null",
            "*",
            "http://pages.example",
            "https://pages.example:8443",
            "https://pages.example:443",
            "https://pages.example/",
            "https://pages.example.evil.example",
            "https://evil.pages.example",
            "https://evilpages.example",
            "https://pages.example@evil.example",
            "https://PAGES.example",
            "HTTPS://pages.example",
            " https://pages.example",
            "https://pages.example, https://evil.example",
            "https://evil.example, https://pages.example",
            "https://pages.example https://evil.example",
            "http://localhost:8081",
            "http://chat.example",
            "ftp://chat.example",
            "://chat.example",
            "https://chat.example:8443",
            "chat.example",
        ] {
            assert!(!allowed(origin), "{origin}");
        }
        assert!(is_same_origin("http://chat.example:3004", "http", "chat.example:3004"));
        assert!(is_same_origin("https://chat.example", "http", "chat.example"), "TLS ended at a proxy");
    }
}
