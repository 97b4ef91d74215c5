//! Socket.IO 5: what a message of Engine.IO's holds (written with the 4 that makes it one), read by the socketioxide project's parser.

use crate::protocol::wire::json;
use crate::protocol::{ChatError, depth_within};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use socketioxide_core::packet::PacketData;
use socketioxide_core::parser::{Parse, ParserState};
use socketioxide_core::{Str, Value};
use socketioxide_parser_common::CommonParser;

const MAX_DEPTH: usize = 32;
/// Pieces of binary data in one packet.
const MOST_PIECES: u32 = 10;
/// The largest number of an acknowledgement.
const MAX_ACK: i64 = 1 << 53;

/// A packet from a client.
#[derive(Debug)]
pub enum Incoming {
    /// The client connects to a namespace.
    Connect {
        /// `/` is the only one.
        namespace: String,
        /// What stands in `auth`.
        auth: Auth,
    },
    /// The client leaves the namespace.
    Disconnect,
    /// An event.
    Event {
        /// The number of the acknowledgement that is wanted.
        ack: Option<i64>,
        /// Its name.
        name: String,
        /// Its first argument, `{}` without one; more are ignored.
        data: Box<RawValue>,
    },
    /// An acknowledgement; nothing here asks for one.
    Ack,
}

/// `auth` of the handshake.
#[derive(Debug, Default, Deserialize)]
pub struct Auth {
    /// A token; with `Bearer ` ahead of it as well.
    #[serde(default)]
    pub token: Option<String>,
    /// The private id of the session to recover, and the last offset that its client has.
    #[serde(default)]
    pub pid: Option<String>,
    /// See [`super::offsets`].
    #[serde(default)]
    pub offset: Option<String>,
}

/// Why a packet cannot be read.
#[derive(Debug)]
pub enum Unreadable {
    /// It holds binary data, which nothing here takes: the acknowledgement that it wanted, and how many pieces of data
    /// follow.
    Binary(Option<i64>, u32),
    /// It is no packet: the connection ends.
    Malformed,
    /// An event whose argument is no object; the acknowledgement that it wanted.
    Argument(Option<i64>),
}

/// Reads what a message holds.
///
/// # Errors
/// [`Unreadable`].
pub fn incoming(text: &str) -> Result<Incoming, Unreadable> {
    // The parser keeps binary packets until their data comes, by a clock that is not there.
    if let Some(rest) = text.strip_prefix(['5', '6']) {
        let Some((pieces, rest)) = rest.split_once('-') else { return Err(Unreadable::Malformed) };
        let pieces = pieces.parse().ok().filter(|pieces| *pieces <= MOST_PIECES).ok_or(Unreadable::Malformed)?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let ack = digits.parse().ok().filter(|ack| text.starts_with('5') && *ack <= MAX_ACK);
        return Err(Unreadable::Binary(ack, pieces));
    }
    if !depth_within(text, MAX_DEPTH) {
        return Err(Unreadable::Malformed);
    }
    let packet = CommonParser
        .decode_str(&ParserState::default(), Str::from(text.to_owned()))
        .map_err(|_| Unreadable::Malformed)?;
    let text_of = |value: Value| match value {
        Value::Str(text, _) => Ok(text),
        Value::Bytes(_) => Err(Unreadable::Malformed),
    };
    let namespace = packet.ns.as_str();
    match packet.inner {
        PacketData::Connect(value) => {
            let namespace = namespace.split('?').next().unwrap_or_default().to_owned();
            let text = value.map(text_of).transpose()?;
            // What else a client puts there is its own business.
            let auth = text.and_then(|text| serde_json::from_str(text.as_str()).ok()).unwrap_or_default();
            Ok(Incoming::Connect { namespace, auth })
        }
        _ if namespace != "/" => Err(Unreadable::Malformed),
        PacketData::Disconnect => Ok(Incoming::Disconnect),
        PacketData::Event(value, ack) => read_event(text_of(value)?.as_str(), ack),
        PacketData::EventAck(..) => Ok(Incoming::Ack),
        PacketData::ConnectError(_) | PacketData::BinaryEvent(..) | PacketData::BinaryAck(..) => {
            Err(Unreadable::Malformed)
        }
    }
}

fn read_event(text: &str, ack: Option<i64>) -> Result<Incoming, Unreadable> {
    let mut arguments: Vec<Box<RawValue>> = serde_json::from_str(text).map_err(|_| Unreadable::Malformed)?;
    if arguments.is_empty() {
        return Err(Unreadable::Malformed);
    }
    let name = arguments.remove(0);
    let Ok(name) = serde_json::from_str::<String>(name.get()) else { return Err(Unreadable::Malformed) };
    let ack = ack.filter(|ack| *ack <= MAX_ACK);
    let first = arguments.into_iter().next();
    // `null` is how a client writes an argument that is undefined.
    let data = match first.filter(|data| data.get() != "null") {
        Some(data) if data.get().starts_with('{') => data,
        None => RawValue::from_string("{}".into()).unwrap_or_default(),
        Some(_) => return Err(Unreadable::Argument(ack)),
    };
    Ok(Incoming::Event { ack, name, data })
}

/// The answer to a CONNECT: the id that everybody may know, and the one by which the client recovers.
pub fn connect(id: &str, pid: &str) -> String {
    #[derive(Serialize)]
    struct Connected<'a> {
        sid: &'a str,
        pid: &'a str,
    }
    format!("40{}", json(&Connected { sid: id, pid }))
}

/// The refusal of a CONNECT: `message` is that of `connect_error`, and the whole error its `data`.
pub fn connect_error(error: &ChatError) -> String {
    #[derive(Serialize)]
    struct Refusal<'a> {
        message: &'a str,
        data: &'a ChatError,
    }
    format!("44{}", json(&Refusal { message: &error.message, data: error }))
}

/// The refusal of a CONNECT to a namespace that is not there, as Socket.IO's own servers say it.
pub fn no_namespace(namespace: &str) -> String {
    format!(r#"44{namespace},{{"message":"Invalid namespace"}}"#)
}

/// The server leaves the namespace: the client does not come back by itself.
pub fn disconnect() -> &'static str {
    "41"
}

/// An event with one argument.
pub fn event(name: &str, data: &impl Serialize) -> String {
    format!("42{}", json(&(name, data)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events_are_read() {
        let Ok(Incoming::Event { ack: Some(7), name, data }) = incoming(r#"27["typing",{"is_typing":true},1]"#) else {
            panic!()
        };
        assert_eq!((name.as_str(), data.get()), ("typing", r#"{"is_typing":true}"#));
        for text in [r#"2["ping"]"#, r#"2["ping",null]"#, r#"2/,["ping",{}]"#] {
            let Ok(Incoming::Event { ack: None, data, .. }) = incoming(text) else { panic!("{text}") };
            assert_eq!(data.get(), "{}");
        }
        assert!(matches!(incoming(r#"23["typing",7]"#), Err(Unreadable::Argument(Some(3)))));
    }

    #[test]
    fn a_connect_brings_its_auth() {
        let Ok(Incoming::Connect { namespace, auth }) = incoming(r#"0{"token":"t","pid":"p","offset":"o"}"#) else {
            panic!()
        };
        assert_eq!(
            (namespace.as_str(), auth.token.as_deref(), auth.pid.as_deref(), auth.offset.as_deref()),
            ("/", Some("t"), Some("p"), Some("o"))
        );
        let Ok(Incoming::Connect { namespace, .. }) = incoming("0/admin?x=1,") else { panic!() };
        assert_eq!(namespace, "/admin");
        assert_eq!(no_namespace(&namespace), r#"44/admin,{"message":"Invalid namespace"}"#);
        assert!(matches!(incoming(r#"0{"token":7}"#), Ok(Incoming::Connect { .. })));
    }

    #[test]
    fn binary_packets_are_told_apart_before_they_are_parsed() {
        assert!(matches!(incoming(r#"51-["x",{"_placeholder":true,"num":0}]"#), Err(Unreadable::Binary(None, 1))));
        assert!(matches!(
            incoming(r#"51-12["x",{"_placeholder":true,"num":0}]"#),
            Err(Unreadable::Binary(Some(12), 1))
        ));
        assert!(matches!(incoming(r#"61-12[{"_placeholder":true,"num":0}]"#), Err(Unreadable::Binary(None, 1))));
    }

    #[test]
    fn what_is_no_packet_is_malformed() {
        let deep = format!("2[\"x\",{}{}]", "[".repeat(40), "]".repeat(40));
        for text in [
            "",
            "4{}",
            "7",
            "5",
            "2",
            "2[",
            "2[]",
            "2{}",
            "2[7]",
            "2/admin,[\"x\"]",
            "3[]",
            "hello",
            "é",
            "2\u{0}",
            deep.as_str(),
        ] {
            assert!(matches!(incoming(text), Err(Unreadable::Malformed)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[0-7]?(/[a-z?,]*)?[0-9]{0,22}(-)?[0-9]{0,3}[\\[{\"a-z,:\\]}\\x00-\\x1f\u{80}-\u{10ffff}]{0,20}") {
            let _ = incoming(&text);
        }

        #[test]
        fn nothing_at_all_panics(text in any::<String>()) {
            let _ = incoming(&text);
        }
    }
}
