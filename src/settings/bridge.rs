//! The settings of the Redis bridge.

use super::{Misconfigured, number, switch};
use ammonia::Url;
use percent_encoding::percent_decode_str;
use std::fmt;

/// A key shorter than its hash is the weaker of the two (RFC 2104, 3).
const MIN_KEY_BYTES: usize = 32;

/// Where the bridge writes, and what.
#[derive(Clone, PartialEq, Eq)]
pub struct Bridge {
    /// `REDIS_HOST`, or the URL's.
    pub host: String,
    /// `REDIS_PORT`, or the URL's: 1–65,535, default 6379.
    pub port: u16,
    /// `REDIS_TLS`, or whether the URL begins with `rediss`; default false.
    pub tls: bool,
    /// `REDIS_USERNAME`, or the URL's; none is Redis's own default.
    pub username: Option<String>,
    /// `REDIS_PASSWORD`, or the URL's.
    pub password: Option<String>,
    /// `REDIS_DB`, or the URL's path: 0–65,535, default 0.
    pub database: u32,
    /// `REDIS_PREFIX`: what all keys and channels begin with; default `chat:`.
    pub prefix: String,
    /// `REDIS_SIGNING_KEY`: what entries are signed with, at least 32 bytes; none are signed without.
    pub key: Option<String>,
    /// `BRIDGE_MODERATION`: whether what only moderators see goes out too; default false.
    pub moderation: bool,
}

/// Shows neither password nor key.
impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("database", &self.database)
            .field("prefix", &self.prefix)
            .field("moderation", &self.moderation)
            .finish_non_exhaustive()
    }
}

const URL: &str = "REDIS_URL has to be redis://[user:password@]host[:port][/database], or the same with rediss for TLS; \
                   a password is percent-encoded.";
/// What says nothing where there is no Redis, and half of it in the URL where there is one.
const IN_URL: [&str; 5] = ["REDIS_PORT", "REDIS_TLS", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_DB"];
const OTHERS: [&str; 3] = ["REDIS_PREFIX", "REDIS_SIGNING_KEY", "BRIDGE_MODERATION"];

impl Bridge {
    /// Reads and checks the bridge's settings; none where neither `REDIS_URL` nor `REDIS_HOST` is there.
    pub(super) fn from_lookup(read: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Misconfigured> {
        let read = &read;
        let set = |names: &[&'static str]| names.iter().copied().find(|name| read(name).is_some());
        let address = match (read("REDIS_URL"), read("REDIS_HOST")) {
            (Some(_), Some(_)) => return Err(Misconfigured::new("Of REDIS_URL and REDIS_HOST only one can be set.")),
            (Some(url), None) => match set(&IN_URL) {
                None => from_url(&url).ok_or_else(|| Misconfigured::new(URL))?,
                Some(name) => return Err(Misconfigured(format!("{name} stands in REDIS_URL already: leave one out."))),
            },
            (None, Some(host)) => from_parts(&host, read)?,
            (None, None) => match set(&IN_URL).or_else(|| set(&OTHERS)) {
                None => return Ok(None),
                Some(name) => {
                    return Err(Misconfigured(format!(
                        "{name} is of the Redis bridge: set REDIS_URL or REDIS_HOST too."
                    )));
                }
            },
        };
        if address.username.is_some() && address.password.is_none() {
            return Err(Misconfigured::new("REDIS_USERNAME (or the user in REDIS_URL) needs a password beside it."));
        }
        let prefix = read("REDIS_PREFIX").unwrap_or_else(|| "chat:".into());
        if prefix.len() > 64 || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Misconfigured::new(
                "REDIS_PREFIX has to be at most 64 visible ASCII characters without a space.",
            ));
        }
        let key = read("REDIS_SIGNING_KEY");
        if key.as_ref().is_some_and(|key| key.len() < MIN_KEY_BYTES) {
            return Err(Misconfigured(format!(
                "REDIS_SIGNING_KEY takes at least {MIN_KEY_BYTES} bytes: make one with `openssl rand -hex 32`."
            )));
        }
        let moderation = switch(read, "BRIDGE_MODERATION", false)?;
        Ok(Some(Self { prefix, key, moderation, ..address }))
    }

    fn at(host: String, port: u16, tls: bool) -> Self {
        let (username, password, key) = (None, None, None);
        Self { host, port, tls, username, password, database: 0, prefix: String::new(), key, moderation: false }
    }
}

fn from_parts(host: &str, read: impl Fn(&str) -> Option<String>) -> Result<Bridge, Misconfigured> {
    if host.len() > 253 || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte)) {
        return Err(Misconfigured::new("REDIS_HOST has to be a host's name or address, without scheme and port."));
    }
    let port = number(&read, "REDIS_PORT", 6379, 1..=65_535)?;
    let bridge = Bridge::at(host.to_owned(), port, switch(&read, "REDIS_TLS", false)?);
    let database = number(&read, "REDIS_DB", 0, 0..=65_535)?;
    Ok(Bridge { username: read("REDIS_USERNAME"), password: read("REDIS_PASSWORD"), database, ..bridge })
}

fn from_url(url: &str) -> Option<Bridge> {
    let url = Url::parse(url).ok()?;
    let tls = match url.scheme() {
        "redis" => false,
        "rediss" => true,
        _ => return None,
    };
    if url.query().is_some() || url.fragment().is_some() {
        return None;
    }
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let decode = |text: &str| percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned());
    let username = Some(decode(url.username())?).filter(|name| !name.is_empty());
    let password = match url.password() {
        Some(password) => Some(decode(password)?),
        None => None,
    };
    let database = match url.path().trim_start_matches('/') {
        "" => 0,
        path => path.parse().ok().filter(|database| *database <= 65_535)?,
    };
    let port = url.port().unwrap_or(6379);
    (port > 0 && !host.is_empty()).then(|| Bridge { username, password, database, ..Bridge::at(host, port, tls) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge(set: &[(&str, &str)]) -> Result<Option<Bridge>, Misconfigured> {
        Bridge::from_lookup(|name| set.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn b1_the_address_is_a_url_or_its_parts() {
        assert_eq!(bridge(&[]).unwrap(), None);
        let url = bridge(&[("REDIS_URL", "rediss://ada:p%40ss%2Fword@redis.example:6380/7")]).unwrap().unwrap();
        assert_eq!((url.host.as_str(), url.port, url.tls, url.database), ("redis.example", 6380, true, 7));
        assert_eq!((url.username.as_deref(), url.password.as_deref()), (Some("ada"), Some("p@ss/word")));
        let parts = bridge(&[
            ("REDIS_HOST", "redis.example"),
            ("REDIS_PORT", "6380"),
            ("REDIS_TLS", "true"),
            ("REDIS_USERNAME", "ada"),
            ("REDIS_PASSWORD", "p@ss/word"),
            ("REDIS_DB", "7"),
        ]);
        assert_eq!(parts.unwrap().unwrap(), url);
        let plain = bridge(&[("REDIS_URL", "redis://127.0.0.1"), ("BRIDGE_MODERATION", "true")]).unwrap().unwrap();
        assert_eq!((plain.host.as_str(), plain.port, plain.tls, plain.database), ("127.0.0.1", 6379, false, 0));
        assert_eq!((plain.username, plain.password, plain.key), (None, None, None));
        assert_eq!((plain.prefix.as_str(), plain.moderation), ("chat:", true));
        let six = bridge(&[("REDIS_URL", "redis://:secret@[::1]:7000")]).unwrap().unwrap();
        assert_eq!(
            (six.host.as_str(), six.port, six.username, six.password),
            ("::1", 7000, None, Some("secret".into()))
        );
    }

    #[test]
    fn b1_a_bad_setting_of_the_bridge_is_named_and_no_secret_is_shown() {
        let url = ("REDIS_URL", "redis://:hunter22@localhost");
        for (set, name) in [
            (vec![("REDIS_URL", "http://:hunter22@localhost")], "REDIS_URL"),
            (vec![("REDIS_URL", "redis://:hunter22@localhost/first")], "REDIS_URL"),
            (vec![("REDIS_URL", "redis://:hunter22@localhost/0?x=1")], "REDIS_URL"),
            (vec![("REDIS_URL", "hunter22")], "REDIS_URL"),
            (vec![("REDIS_URL", "redis://ada@localhost")], "REDIS_USERNAME"),
            (vec![url, ("REDIS_HOST", "localhost")], "REDIS_HOST"),
            (vec![url, ("REDIS_PORT", "6379")], "REDIS_PORT"),
            (vec![url, ("REDIS_PASSWORD", "hunter22")], "REDIS_PASSWORD"),
            (vec![url, ("REDIS_PREFIX", "my chat:")], "REDIS_PREFIX"),
            (vec![url, ("REDIS_SIGNING_KEY", "hunter22")], "REDIS_SIGNING_KEY"),
            (vec![url, ("BRIDGE_MODERATION", "yes")], "BRIDGE_MODERATION"),
            (vec![("REDIS_HOST", "redis://localhost")], "REDIS_HOST"),
            (vec![("REDIS_HOST", "localhost"), ("REDIS_PORT", "0")], "REDIS_PORT"),
            (vec![("REDIS_HOST", "localhost"), ("REDIS_DB", "-1")], "REDIS_DB"),
            (vec![("REDIS_HOST", "localhost"), ("REDIS_TLS", "1")], "REDIS_TLS"),
            (vec![("REDIS_PORT", "6379")], "REDIS_PORT"),
            (vec![("BRIDGE_MODERATION", "true")], "BRIDGE_MODERATION"),
        ] {
            let sentence = bridge(&set).unwrap_err().to_string();
            assert!(sentence.contains(name) && sentence.ends_with('.'), "{set:?}: {sentence}");
            assert!(!sentence.contains("hunter22"), "{sentence}");
        }
        let shown = format!("{:?}", bridge(&[url]).unwrap());
        assert!(shown.contains("localhost") && !shown.contains("hunter22"), "{shown}");
    }
}
