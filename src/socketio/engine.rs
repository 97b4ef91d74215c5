//! Engine.IO 4: packets of one digit and text, several of them in a body where a client polls.

use super::{MAX_PAYLOAD, PING_INTERVAL, PING_TIMEOUT};
use serde::Serialize;

/// What stands between the packets of a body.
const SEPARATOR: char = '\x1e';
/// Packets that a client may put into one body.
const MOST_PACKETS: usize = 256;

/// A packet from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    Close,
    /// `2probe`: the client asks whether this WebSocket can take over.
    Probe,
    Pong,
    Message(&'a str),
    /// It takes over.
    Upgrade,
    Noop,
    /// Binary data, in base64.
    Binary,
}

impl<'a> Packet<'a> {
    /// None where it is no packet that a client sends.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let kind = text.chars().next()?;
        let rest = text.strip_prefix(kind)?;
        match kind {
            '1' => Some(Self::Close),
            '2' if rest == "probe" => Some(Self::Probe),
            '3' => Some(Self::Pong),
            '4' => Some(Self::Message(rest)),
            '5' => Some(Self::Upgrade),
            '6' => Some(Self::Noop),
            'b' => Some(Self::Binary),
            _ => None,
        }
    }
}

/// The packets of a body; none where there are too many.
pub(super) fn packets(body: &str) -> Option<Vec<&str>> {
    let packets: Vec<_> = body.split(SEPARATOR).take(MOST_PACKETS + 1).collect();
    (packets.len() <= MOST_PACKETS).then_some(packets)
}

/// A body with these packets.
pub fn payload<'a>(packets: impl IntoIterator<Item = &'a str>) -> String {
    let mut body = String::new();
    for packet in packets {
        if !body.is_empty() {
            body.push(SEPARATOR);
        }
        body.push_str(packet);
    }
    body
}

/// The first packet of a session; `upgrades` where it polls.
pub fn open_packet(sid: &str, upgrades: bool) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Open<'a> {
        sid: &'a str,
        upgrades: &'a [&'a str],
        ping_interval: u64,
        ping_timeout: u64,
        max_payload: usize,
    }
    let upgrades: &[&str] = if upgrades { &["websocket"] } else { &[] };
    let (ping_interval, ping_timeout, max_payload) = (PING_INTERVAL, PING_TIMEOUT, MAX_PAYLOAD);
    format!("0{}", crate::protocol::wire::json(&Open { sid, upgrades, ping_interval, ping_timeout, max_payload }))
}

/// Why a request is refused, in the words that Engine.IO's clients know: each is a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such transport.
    Transport,
    /// Nobody has this session, or not here.
    Sid,
    /// A handshake is a GET.
    Method,
    /// The request makes no sense.
    Bad,
    /// An older protocol.
    Version,
}

impl Refused {
    /// The body, JSON.
    pub fn body(self) -> &'static str {
        match self {
            Self::Transport => r#"{"code":0,"message":"Transport unknown"}"#,
            Self::Sid => r#"{"code":1,"message":"Session ID unknown"}"#,
            Self::Method => r#"{"code":2,"message":"Bad handshake method"}"#,
            Self::Bad => r#"{"code":3,"message":"Bad request"}"#,
            Self::Version => r#"{"code":5,"message":"Unsupported protocol version"}"#,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read() {
        assert_eq!(Packet::read("4hi"), Some(Packet::Message("hi")));
        assert_eq!(Packet::read("2probe"), Some(Packet::Probe));
        for (text, packet) in [("1", Packet::Close), ("3", Packet::Pong), ("5", Packet::Upgrade), ("6", Packet::Noop)] {
            assert_eq!(Packet::read(text), Some(packet));
        }
        for bad in ["", "0", "2", "7", "hello", "é", "{}"] {
            assert_eq!(Packet::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_body_holds_several() {
        assert_eq!(packets("4a\x1e3"), Some(vec!["4a", "3"]));
        assert_eq!(payload(["4a", "2"]), "4a\x1e2");
        assert_eq!(packets(&"3\x1e".repeat(MOST_PACKETS)), None);
    }

    #[test]
    fn the_first_packet_says_how_to_go_on() {
        assert_eq!(
            open_packet("1.x", true),
            r#"0{"sid":"1.x","upgrades":["websocket"],"pingInterval":50000,"pingTimeout":30000,"maxPayload":65536}"#
        );
        assert!(open_packet("1.x", false).contains(r#""upgrades":[]"#));
    }
}
