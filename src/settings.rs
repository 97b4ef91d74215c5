//! The deployment's settings, every one checked before anything is served.

mod bridge;
mod metrics;
mod webhook;

pub use bridge::Bridge;
pub use metrics::MetricsToken;
pub use webhook::Webhook;

use crate::audience::FRAME_BUDGET;
use crate::auth::Keys;
use crate::protocol::Rate;
use crate::protocol::shard::RELAY_DEGREE;
use ammonia::Url;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Why a deployment refuses to serve: one sentence that names the setting and says what to do. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misconfigured(pub String);

impl Misconfigured {
    /// A refusal with this sentence.
    pub fn new(sentence: &str) -> Self {
        Self(sentence.to_owned())
    }
}

/// Who may make rooms (`ROOM_CREATION`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomCreation {
    /// `member`: anybody signed in, who becomes the owner.
    Member,
    /// `service`: back ends alone.
    Service,
}

/// Where a client's address is read from (`CLIENT_IP`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientIp {
    /// `cf-connecting-ip`: the header, which Cloudflare's edge overwrites.
    CfConnectingIp,
    /// `cf.clientIp`: what the runtime saw, with a port that is to be cut off.
    CfClientIp,
    /// `x-forwarded-for:<hops>`: the entry that the outermost of that many trusted proxies added (1–16).
    XForwardedFor(u8),
}

/// What shares one frame budget (`FRAME_BUDGET_PER`): the shards of a room, or nothing. Other rooms have it whole each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameBudgetPer {
    /// `process`: the shards of one room together, as where one process runs them all.
    Process,
    /// `object`: each its own.
    Object,
}

/// What a deployment is set to. Unset and blank settings have their defaults. Those that only production can tell name
/// the row of `scripts/spike-cloudflare` which measures them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `RATE_LIMIT_MESSAGES`: sends and edits per user, room and window; 1–1,000, default 10.
    pub rate_limit_messages: u32,
    /// `RATE_LIMIT_WINDOW`, ms: 100–86,400,000, default 60,000.
    pub rate_limit_window_ms: u64,
    /// `RATE_LIMIT_SERVICE_MESSAGES`: the same for a `service` token; 1–100,000, default 1,000.
    pub rate_limit_service_messages: u32,
    /// `RATE_LIMIT_SERVICE_WINDOW`, ms: 100–86,400,000, default 1,000.
    pub rate_limit_service_window_ms: u64,
    /// `RATE_LIMIT_ROOM_MESSAGES`: sends and edits of all in one room, moderators and services apart; 1–100,000, default
    /// 200.
    pub rate_limit_room_messages: u32,
    /// `RATE_LIMIT_ROOM_WINDOW`, ms: 100–86,400,000, default 1,000.
    pub rate_limit_room_window_ms: u64,
    /// `RATE_LIMIT_JOINS`: joins per room and window, of a user, of a guest, and from an address; 1–100,000, default
    /// 1,200: hundreds may share an address, and all of them come back at once after a deploy.
    pub rate_limit_joins: u32,
    /// `RATE_LIMIT_REACTIONS`: per user, room and window; 1–10,000, default 120.
    pub rate_limit_reactions: u32,
    /// `RATE_LIMIT_TYPING`: per user, room and window; 1–10,000, default 600: one a key stroke.
    pub rate_limit_typing: u32,
    /// `RATE_LIMIT_REQUESTS`: REST per window, of a user, or from an address without a token; 1–100,000, default 600.
    pub rate_limit_requests: u32,
    /// `MAX_SOCKETS_PER_USER`: sockets of one user in one room; 1–200, default 20.
    pub max_sockets_per_user: usize,
    /// `MAX_MESSAGE_LENGTH`, characters: 1–8,000 (a frame holds no more), default 1,000.
    pub max_message_length: usize,
    /// `MESSAGE_HISTORY_LIMIT`: messages in the reply to a join; 1–100, default 100.
    pub message_history_limit: usize,
    /// `AUTO_CREATE_ROOMS`: whether a signed-in join makes the room; default false.
    pub auto_create_rooms: bool,
    /// `ROOM_CREATION`: default `member`.
    pub room_creation: RoomCreation,
    /// `ENABLE_PROFANITY_FILTER`: whether rooms that say nothing of it mask swearing; default true.
    pub profanity_filter: bool,
    /// `ENABLE_SPAM_DETECTION`: whether rooms that say nothing of it hold what looks like spam; default true.
    pub spam_detection: bool,
    /// `RETENTION_DAYS`: for how many days rooms that say nothing of it keep messages; 1–3,650, default for ever.
    pub retention_days: Option<u32>,
    /// `ALLOWED_ORIGINS`: origins of pages that may connect, besides the service's own; default none.
    pub allowed_origins: Vec<String>,
    /// `CLIENT_IP`: default `cf-connecting-ip`.
    pub client_ip: ClientIp,
    /// `DEV_TOKENS`: whether `/dev/token` signs tokens for anybody; default false, never true in production.
    pub dev_tokens: bool,
    /// `SHARD_SOCKETS`: sockets above which a room is split, and that each of its shards is to hold; 10–32,000, default
    /// 4,000. The spike says `process memory each` and `memory left until the object is reset`.
    pub shard_sockets: usize,
    /// `SHARD_BYTES`: bytes that may leave one object at once; where more is said, a room is split further, unless one
    /// process runs all objects. 1,048,576–1,073,741,824, default 33,554,432. The spike says `bytes on their way at
    /// the end` and `memory left until the object is reset`.
    pub shard_bytes: u64,
    /// `FRAME_BUDGET`: frames a second above which a room gathers events; 1,000–10,000,000, default 24,000. The spike
    /// says `sent a second`: two thirds of what is still sent as asked.
    pub frame_budget: u64,
    /// `FRAME_BUDGET_PER`: default `object`.
    pub frame_budget_per: FrameBudgetPer,
    /// `RELAY_ABOVE`: shards that a room calls itself; of more, relays do. 1–256, default 6. The spike says `6 calls at
    /// once` and `16 calls at once`.
    pub relay_above: usize,
    /// `RELAY_DEGREE`: shards that one relay calls; 2–256, default 16. The spike says `16 calls at once`.
    pub relay_degree: u32,
    /// `PUSH_EVERY`, ms: no shard is called more often, but for what cannot wait; 0–1,000, default 20. The spike says
    /// `a call between objects, p50 / p99`.
    pub push_every_ms: u64,
    /// `DRAINS`: objects that write to PostgreSQL; 1–64, default 2.
    pub drains: u32,
    /// `SOCKET_IO_PATH`: where Socket.IO's clients connect, without a slash at its end; default `/socket.io`.
    pub socket_io_path: String,
    /// `GATEWAYS`: objects that hold sessions of Socket.IO clients; 1–4,096, default 8.
    pub gateways: u32,
    /// `GATEWAY_SESSIONS`: how many each of them holds; 10–10,000, default 1,000.
    pub gateway_sessions: usize,
    /// `METRICS_TOKEN`: the bearer token for `/metrics`, 16–256 visible ASCII characters; without it there is none.
    pub metrics_token: Option<MetricsToken>,
    /// The Redis bridge, where there is one.
    pub bridge: Option<Bridge>,
    /// The webhook, where there is one.
    pub webhook: Option<Webhook>,
    /// The keys that tokens are checked with.
    pub keys: Keys,
}

impl Settings {
    /// Reads and checks all settings; `lookup` gives one by its name.
    ///
    /// # Errors
    /// The first setting that is malformed or out of range, or that no key is there.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Misconfigured> {
        let keys = Keys::from_lookup(&lookup)?;
        let read = &|name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let window = 100..=86_400_000;
        Ok(Self {
            rate_limit_messages: number(read, "RATE_LIMIT_MESSAGES", 10, 1..=1_000)?,
            rate_limit_window_ms: number(read, "RATE_LIMIT_WINDOW", 60_000, window.clone())?,
            rate_limit_service_messages: number(read, "RATE_LIMIT_SERVICE_MESSAGES", 1_000, 1..=100_000)?,
            rate_limit_service_window_ms: number(read, "RATE_LIMIT_SERVICE_WINDOW", 1_000, window.clone())?,
            rate_limit_room_messages: number(read, "RATE_LIMIT_ROOM_MESSAGES", 200, 1..=100_000)?,
            rate_limit_room_window_ms: number(read, "RATE_LIMIT_ROOM_WINDOW", 1_000, window)?,
            rate_limit_joins: number(read, "RATE_LIMIT_JOINS", 1_200, 1..=100_000)?,
            rate_limit_reactions: number(read, "RATE_LIMIT_REACTIONS", 120, 1..=10_000)?,
            rate_limit_typing: number(read, "RATE_LIMIT_TYPING", 600, 1..=10_000)?,
            rate_limit_requests: number(read, "RATE_LIMIT_REQUESTS", 600, 1..=100_000)?,
            max_sockets_per_user: number(read, "MAX_SOCKETS_PER_USER", 20, 1..=200)?,
            max_message_length: number(read, "MAX_MESSAGE_LENGTH", 1_000, 1..=8_000)?,
            message_history_limit: number(read, "MESSAGE_HISTORY_LIMIT", 100, 1..=100)?,
            auto_create_rooms: switch(read, "AUTO_CREATE_ROOMS", false)?,
            room_creation: match read("ROOM_CREATION").as_deref() {
                None | Some("member") => RoomCreation::Member,
                Some("service") => RoomCreation::Service,
                Some(_) => return Err(Misconfigured::new("ROOM_CREATION has to be member or service.")),
            },
            profanity_filter: switch(read, "ENABLE_PROFANITY_FILTER", true)?,
            spam_detection: switch(read, "ENABLE_SPAM_DETECTION", true)?,
            retention_days: days(read, "RETENTION_DAYS", 1..=3_650)?,
            allowed_origins: read("ALLOWED_ORIGINS").as_deref().map(origins).transpose()?.unwrap_or_default(),
            client_ip: read("CLIENT_IP").as_deref().map(client_ip).transpose()?.unwrap_or(ClientIp::CfConnectingIp),
            dev_tokens: switch(read, "DEV_TOKENS", false)?,
            shard_sockets: number(read, "SHARD_SOCKETS", 4_000, 10..=32_000)?,
            shard_bytes: number(read, "SHARD_BYTES", 32 << 20, 1 << 20..=1 << 30)?,
            frame_budget: number(read, "FRAME_BUDGET", FRAME_BUDGET, 1_000..=10_000_000)?,
            frame_budget_per: match read("FRAME_BUDGET_PER").as_deref() {
                None | Some("object") => FrameBudgetPer::Object,
                Some("process") => FrameBudgetPer::Process,
                Some(_) => return Err(Misconfigured::new("FRAME_BUDGET_PER has to be process or object.")),
            },
            relay_above: number(read, "RELAY_ABOVE", 6, 1..=256)?,
            relay_degree: number(read, "RELAY_DEGREE", RELAY_DEGREE, 2..=256)?,
            push_every_ms: number(read, "PUSH_EVERY", 20, 0..=1_000)?,
            drains: number(read, "DRAINS", 2, 1..=64)?,
            socket_io_path: read("SOCKET_IO_PATH").map_or(Ok("/socket.io".into()), |path| socket_io_path(&path))?,
            gateways: number(read, "GATEWAYS", 8, 1..=4_096)?,
            gateway_sessions: number(read, "GATEWAY_SESSIONS", 1_000, 10..=10_000)?,
            metrics_token: read("METRICS_TOKEN").map(MetricsToken::parse).transpose()?,
            bridge: Bridge::from_lookup(read)?,
            webhook: Webhook::from_lookup(read)?,
            keys,
        })
    }

    /// So many in each `RATE_LIMIT_WINDOW`.
    pub fn per_window(&self, limit: u32) -> Rate {
        Rate { messages: limit, window_ms: self.rate_limit_window_ms }
    }
}

fn number<T>(
    read: impl Fn(&str) -> Option<String>,
    name: &str,
    default: T,
    range: RangeInclusive<T>,
) -> Result<T, Misconfigured>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let Some(value) = read(name) else { return Ok(default) };
    value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        Misconfigured(format!(
            "{name} has to be a whole number from {} to {} in plain digits; leave it out for {default}.",
            range.start(),
            range.end()
        ))
    })
}

fn days(
    read: impl Fn(&str) -> Option<String>,
    name: &str,
    range: RangeInclusive<u32>,
) -> Result<Option<u32>, Misconfigured> {
    let Some(value) = read(name) else { return Ok(None) };
    value.parse().ok().filter(|days| range.contains(days)).map(Some).ok_or_else(|| {
        let (start, end) = (range.start(), range.end());
        Misconfigured(format!(
            "{name} has to be a whole number of days from {start} to {end} in plain digits; leave it out to keep \
             everything for ever."
        ))
    })
}

fn switch(read: impl Fn(&str) -> Option<String>, name: &str, default: bool) -> Result<bool, Misconfigured> {
    match read(name).as_deref() {
        None => Ok(default),
        Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Misconfigured(format!("{name} has to be true or false."))),
    }
}

fn origins(list: &str) -> Result<Vec<String>, Misconfigured> {
    list.split(',')
        .map(str::trim)
        .map(|origin| {
            let bare = Url::parse(origin).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.origin().ascii_serialization() == origin
                    && !origin.contains('*')
            });
            bare.then(|| origin.to_owned()).ok_or_else(|| {
                Misconfigured::new(
                    "ALLOWED_ORIGINS has to be a list of bare origins with commas between them, each as a browser \
                     sends it, such as https://www.example.org: lower case, without a path, a final slash, a default \
                     port or a wildcard.",
                )
            })
        })
        .collect()
}

fn socket_io_path(path: &str) -> Result<String, Misconfigured> {
    let bare = path.trim_end_matches('/');
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    let taken = ["/api", "/dev", "/problems"].iter().any(|own| bare == *own || bare.starts_with(&format!("{own}/")));
    let good = bare.starts_with('/') && !bare.contains("//") && bare.chars().all(known) && !taken && bare.len() <= 100;
    good.then(|| bare.to_owned()).ok_or_else(|| {
        Misconfigured::new(
            "SOCKET_IO_PATH has to be a path such as /socket.io/, of A-Z a-z 0-9 . _ - and slashes, and not one of the \
             service's own.",
        )
    })
}

fn client_ip(value: &str) -> Result<ClientIp, Misconfigured> {
    let hops = |hops: &str| hops.parse().ok().filter(|hops| (1..=16).contains(hops)).map(ClientIp::XForwardedFor);
    match value {
        "cf-connecting-ip" => Some(ClientIp::CfConnectingIp),
        "cf.clientIp" => Some(ClientIp::CfClientIp),
        _ => value.strip_prefix("x-forwarded-for:").and_then(hops),
    }
    .ok_or_else(|| {
        Misconfigured::new(
            "CLIENT_IP has to be cf-connecting-ip, cf.clientIp or x-forwarded-for:<number of trusted proxies, 1 to 16>.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0f8c51b7e6a94d23b0c7f1d2e3a4958670617283";

    fn settings(set: &[(&str, &str)]) -> Result<Settings, Misconfigured> {
        let own = |name: &str| set.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        Settings::from_lookup(|name| own(name).or_else(|| (name == "JWT_SECRET").then(|| SECRET.to_owned())))
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let all = settings(&[("DRAINS", " "), ("ALLOWED_ORIGINS", "")]).unwrap();
        assert_eq!((all.rate_limit_messages, all.rate_limit_window_ms), (10, 60_000));
        assert_eq!((all.rate_limit_service_messages, all.rate_limit_service_window_ms), (1_000, 1_000));
        assert_eq!((all.rate_limit_room_messages, all.rate_limit_room_window_ms), (200, 1_000));
        assert_eq!((all.rate_limit_joins, all.rate_limit_requests), (1_200, 600));
        assert_eq!((all.rate_limit_reactions, all.rate_limit_typing, all.max_sockets_per_user), (120, 600, 20));
        assert_eq!((all.max_message_length, all.message_history_limit, all.drains), (1_000, 100, 2));
        assert_eq!((all.auto_create_rooms, all.dev_tokens), (false, false));
        assert_eq!((all.frame_budget, all.frame_budget_per), (24_000, FrameBudgetPer::Object));
        assert_eq!((all.shard_sockets, all.shard_bytes), (4_000, 33_554_432));
        assert_eq!((all.relay_above, all.relay_degree, all.push_every_ms), (6, 16, 20));
        assert_eq!((all.profanity_filter, all.spam_detection), (true, true));
        assert_eq!((all.room_creation, all.client_ip), (RoomCreation::Member, ClientIp::CfConnectingIp));
        assert!(all.allowed_origins.is_empty());
        assert_eq!(all.retention_days, None);
        assert_eq!((all.socket_io_path.as_str(), all.gateways, all.gateway_sessions), ("/socket.io", 8, 1_000));
    }

    #[test]
    fn values_are_taken() {
        let all = settings(&[
            ("RATE_LIMIT_MESSAGES", "5"),
            ("RATE_LIMIT_WINDOW", "1000"),
            ("MAX_MESSAGE_LENGTH", " 8000 "),
            ("AUTO_CREATE_ROOMS", "true"),
            ("ENABLE_PROFANITY_FILTER", "false"),
            ("ENABLE_SPAM_DETECTION", "false"),
            ("ROOM_CREATION", "service"),
            ("ALLOWED_ORIGINS", "https://a.example, http://localhost:3004"),
            ("CLIENT_IP", "x-forwarded-for:2"),
            ("DEV_TOKENS", "true"),
            ("DRAINS", "64"),
            ("FRAME_BUDGET", "30000"),
            ("FRAME_BUDGET_PER", "process"),
            ("SHARD_BYTES", "134217728"),
            ("SOCKET_IO_PATH", "/chat/io/"),
            ("GATEWAYS", "2"),
            ("RETENTION_DAYS", "30"),
        ])
        .unwrap();
        assert_eq!((all.rate_limit_messages, all.rate_limit_window_ms, all.max_message_length), (5, 1_000, 8_000));
        assert_eq!((all.auto_create_rooms, all.dev_tokens, all.drains), (true, true, 64));
        assert_eq!((all.profanity_filter, all.spam_detection), (false, false));
        assert_eq!((all.frame_budget, all.frame_budget_per), (30_000, FrameBudgetPer::Process));
        assert_eq!(all.shard_bytes, 128 << 20);
        assert_eq!((all.room_creation, all.client_ip), (RoomCreation::Service, ClientIp::XForwardedFor(2)));
        assert_eq!((all.socket_io_path.as_str(), all.gateways), ("/chat/io", 2));
        assert_eq!(all.retention_days, Some(30));
        assert_eq!(all.allowed_origins, ["https://a.example", "http://localhost:3004"]);
        assert_eq!(settings(&[("CLIENT_IP", "cf.clientIp")]).unwrap().client_ip, ClientIp::CfClientIp);
    }

    #[test]
    fn a_bad_value_is_named() {
        for (name, value) in [
            ("RATE_LIMIT_MESSAGES", "0"),
            ("RATE_LIMIT_MESSAGES", "ten"),
            ("RATE_LIMIT_WINDOW", "99"),
            ("RATE_LIMIT_WINDOW", "60s"),
            ("RATE_LIMIT_SERVICE_MESSAGES", "-1"),
            ("RATE_LIMIT_SERVICE_WINDOW", "1e3"),
            ("RATE_LIMIT_ROOM_MESSAGES", "100001"),
            ("RATE_LIMIT_ROOM_WINDOW", "0"),
            ("RATE_LIMIT_JOINS", "0"),
            ("RATE_LIMIT_REACTIONS", "10001"),
            ("RATE_LIMIT_TYPING", "1.5"),
            ("RATE_LIMIT_REQUESTS", "none"),
            ("MAX_SOCKETS_PER_USER", "201"),
            ("MAX_MESSAGE_LENGTH", "8001"),
            ("MESSAGE_HISTORY_LIMIT", "101"),
            ("AUTO_CREATE_ROOMS", "yes"),
            ("ENABLE_PROFANITY_FILTER", "on"),
            ("ROOM_CREATION", "owner"),
            ("RETENTION_DAYS", "0"),
            ("RETENTION_DAYS", "3651"),
            ("RETENTION_DAYS", "forever"),
            ("ALLOWED_ORIGINS", "*"),
            ("ALLOWED_ORIGINS", "https://a.example/"),
            ("ALLOWED_ORIGINS", "https://a.example/chat"),
            ("ALLOWED_ORIGINS", "https://A.example"),
            ("ALLOWED_ORIGINS", "https://a.example:443"),
            ("ALLOWED_ORIGINS", "a.example"),
            ("ALLOWED_ORIGINS", "https://a.example,,https://b.example"),
            ("ALLOWED_ORIGINS", "https://*.example"),
            ("ALLOWED_ORIGINS", "null"),
            ("CLIENT_IP", "x-forwarded-for"),
            ("CLIENT_IP", "x-forwarded-for:0"),
            ("CLIENT_IP", "x-real-ip"),
            ("DEV_TOKENS", "1"),
            ("DRAINS", "65"),
            ("SHARD_BYTES", "1048575"),
            ("FRAME_BUDGET", "999"),
            ("FRAME_BUDGET", "10000001"),
            ("FRAME_BUDGET_PER", "room"),
            ("RELAY_ABOVE", "0"),
            ("RELAY_DEGREE", "1"),
            ("PUSH_EVERY", "1001"),
            ("METRICS_TOKEN", "short"),
            ("SOCKET_IO_PATH", "socket.io"),
            ("SOCKET_IO_PATH", "/"),
            ("SOCKET_IO_PATH", "/a//b"),
            ("SOCKET_IO_PATH", "/a b/"),
            ("SOCKET_IO_PATH", "/api/io/"),
            ("GATEWAYS", "0"),
            ("GATEWAYS", "4097"),
            ("GATEWAY_SESSIONS", "9"),
            ("JWT_SECRET", "short"),
            ("JWT_SECRET", "your-secret-key"),
            ("JWT_SECRET", "your-secret-key-your-secret-key-your-secret-key"),
            ("JWT_SECRET", "change-me-change-me-change-me-change-me"),
            ("JWT_SECRETS", "[]"),
            ("JWT_SECRETS", "{}"),
            ("JWT_SECRETS", r#"{"a":"short"}"#),
            ("JWT_SECRETS", r#"{"":"0f8c51b7e6a94d23b0c7f1d2e3a4958670617283"}"#),
            ("JWT_PUBLIC_KEYS", "{"),
            ("JWT_PUBLIC_KEYS", r#"{"keys":[]}"#),
        ] {
            let sentence = settings(&[(name, value)]).unwrap_err().to_string();
            assert!(sentence.contains(name), "{name}={value}: {sentence}");
            assert!(sentence.ends_with('.'), "{sentence}");
            assert!(value.len() < 8 || !name.starts_with("JWT") || !sentence.contains(value), "{sentence}");
        }
    }

    #[test]
    fn without_a_key_nothing_is_served() {
        for empty in ["", "  "] {
            let sentence = settings(&[("JWT_SECRET", empty)]).unwrap_err().to_string();
            assert!(sentence.contains("JWT_SECRET") && sentence.contains("openssl"), "{sentence}");
        }
    }
}
