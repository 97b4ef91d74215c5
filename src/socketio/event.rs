//! The native wire's frames and lines as events and acknowledgements; each line is made into a packet once, whoever hears
//! it.

use crate::protocol::wire::json;
use crate::protocol::{ChatError, ErrorCode, Position};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The frame that an event is. `id` is JSON.
pub fn frame(id: Option<&str>, name: &str, data: &RawValue) -> String {
    let id = id.map(|id| format!(r#""id":{id},"#)).unwrap_or_default();
    format!(r#"{{{id}"event":{},"data":{}}}"#, json(&name), data.get())
}

/// What a line says.
#[derive(Debug)]
pub enum Said {
    /// A packet as it stands.
    Packet(String),
    /// An event without its last bracket: [`Said::close`] ends it. `at` is how far its room is then shown.
    Event {
        /// The packet.
        open: String,
        /// How far.
        at: Option<Position>,
    },
    /// The reply to a frame whose id is a string: it is none of the client's.
    Own {
        /// That id.
        id: String,
        /// The data, or the error.
        answer: Result<Box<RawValue>, ChatError>,
    },
    /// Whether the client reads is asked: the nonce.
    Probe(String),
    /// The room says goodbye: what is to be said, and whether the client may come back.
    Goodbye {
        /// The packet.
        packet: String,
        /// Why.
        code: ErrorCode,
        /// Whether.
        retry: bool,
    },
}

/// Those of a frame.
pub type Packets = Vec<Said>;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(default, borrow)]
    reply: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<ChatError>,
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    seq: Option<u64>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    at: Option<At>,
}

#[derive(Deserialize, Serialize)]
struct At {
    epoch: u64,
    from: u64,
    to: u64,
    left_out: u64,
}

#[derive(Deserialize)]
struct Goodbye {
    code: ErrorCode,
    retry: bool,
}

#[derive(Deserialize)]
struct Probe {
    nonce: String,
}

/// The acknowledgement of a client's event: `data` is its one argument.
pub fn ack_of(ack: &str, data: &str) -> String {
    format!("43{ack}[{data}]")
}

/// An event's packet without its last bracket: the room and the place in the log stand in its data, so that several rooms
/// on one connection can be told apart.
fn opened(room: &str, name: &str, seq: Option<u64>, data: &str) -> String {
    #[derive(Deserialize)]
    struct Has {
        #[serde(default)]
        room_id: Option<IgnoredAny>,
        #[serde(default)]
        seq: Option<IgnoredAny>,
    }
    let has = serde_json::from_str(data).unwrap_or(Has { room_id: None, seq: None });
    let rest = data.strip_prefix('{').unwrap_or("}");
    let mut open = format!("42[{},{{", json(&name));
    let mut add = |field: &str| {
        open.push_str(field);
        if !rest.trim_start().starts_with('}') {
            open.push(',');
        }
    };
    match (has.room_id.is_none(), seq.filter(|_| has.seq.is_none())) {
        (true, Some(seq)) => add(&format!(r#""room_id":"{room}","seq":{seq}"#)),
        (true, None) => add(&format!(r#""room_id":"{room}""#)),
        (false, Some(seq)) => add(&format!(r#""seq":{seq}"#)),
        (false, None) => {}
    }
    open.push_str(rest);
    open
}

impl Said {
    /// Ends an event's packet; `offset` is its last argument, which clients keep.
    pub fn close(open: &str, offset: Option<&str>) -> String {
        match offset {
            Some(offset) => format!(r#"{open},"{offset}"]"#),
            None => format!("{open}]"),
        }
    }
}

/// What the lines of a frame say to those in `room`; what cannot be read, which the room does not write, says nothing.
/// The position comes last: whoever has it has what stood before it.
pub fn packets(room: &str, epoch: u64, frame: &str) -> Packets {
    let mut said = Vec::with_capacity(1);
    let mut position = None;
    for line in frame.split('\n') {
        let Ok(line) = serde_json::from_str::<Line<'_>>(line) else { continue };
        if let Some(at) = line.at {
            let now = Position { epoch: at.epoch, seq: at.to };
            position = Some(Said::Event { open: opened(room, "position", None, &json(&at)), at: Some(now) });
        } else if let Some(id) = line.reply {
            said.push(reply(id.get(), line.data, line.error));
        } else if let Some(event) = line.event {
            said.push(spoken(room, epoch, &event, line.seq, line.data.map_or("{}", RawValue::get)));
        }
    }
    said.extend(position);
    said
}

fn reply(id: &str, data: Option<&RawValue>, error: Option<ChatError>) -> Said {
    if let Ok(id) = serde_json::from_str::<String>(id) {
        let answer = error.map_or_else(|| Ok(data.map(ToOwned::to_owned).unwrap_or_default()), Err);
        return Said::Own { id, answer };
    }
    #[derive(Serialize)]
    struct Refusal {
        error: ChatError,
    }
    Said::Packet(match error {
        Some(error) => ack_of(id, &json(&Refusal { error })),
        None => ack_of(id, data.map_or("{}", RawValue::get)),
    })
}

fn spoken(room: &str, epoch: u64, event: &str, seq: Option<u64>, data: &str) -> Said {
    let open = opened(room, event, seq, data);
    match event {
        "probe" => match serde_json::from_str::<Probe>(data) {
            Ok(probe) => Said::Probe(probe.nonce),
            Err(_) => Said::Packet(Said::close(&open, None)),
        },
        "goodbye" => match serde_json::from_str::<Goodbye>(data) {
            Ok(Goodbye { code, retry }) => Said::Goodbye { packet: Said::close(&open, None), code, retry },
            Err(_) => Said::Packet(Said::close(&open, None)),
        },
        _ => Said::Event { open, at: seq.map(|seq| Position { epoch, seq }) },
    }
}

/// What was missed, as the reply to a join lists it.
pub fn packets_of(room: &str, epoch: u64, events: &[Box<RawValue>]) -> Packets {
    events.iter().flat_map(|event| packets(room, epoch, event.get())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(frame: &str) -> Vec<String> {
        let text = |said| match said {
            Said::Packet(text) => text,
            Said::Event { open, at } => format!(
                "{}{}",
                Said::close(&open, None),
                at.map_or(String::new(), |at| format!(" {}.{}", at.epoch, at.seq))
            ),
            Said::Goodbye { packet, code, retry } => format!("{packet} {} {retry}", code.as_str()),
            Said::Own { id, answer } => format!("{id} {answer:?}"),
            Said::Probe(nonce) => format!("probe {nonce}"),
        };
        packets("video_1", 5, frame).into_iter().map(text).collect()
    }

    #[test]
    fn an_event_is_a_frame() {
        let data = RawValue::from_string(r#"{"is_typing":true}"#.into()).unwrap();
        assert_eq!(frame(Some("7"), "typing", &data), r#"{"id":7,"event":"typing","data":{"is_typing":true}}"#);
        assert_eq!(frame(None, "a\"b", &data), r#"{"event":"a\"b","data":{"is_typing":true}}"#);
    }

    #[test]
    fn lines_are_events_and_the_position_comes_last() {
        let frame = concat!(
            r#"{"at":{"epoch":5,"from":1,"to":3,"left_out":0}}"#,
            "\n",
            r#"{"seq":2,"event":"new_message","data":{"message_id":"m","room_id":"video_1","metadata":{"seq":1}}}"#,
            "\n",
            r#"{"seq":3,"event":"room_updated","data":{"name":"x"}}"#,
            "\n",
            r#"{"event":"room_stats","data":{"online_users":1}}"#,
            "\n",
            r#"{"event":"pong","data":{}}"#,
        );
        assert_eq!(
            texts(frame),
            [
                r#"42["new_message",{"seq":2,"message_id":"m","room_id":"video_1","metadata":{"seq":1}}] 5.2"#,
                r#"42["room_updated",{"room_id":"video_1","seq":3,"name":"x"}] 5.3"#,
                r#"42["room_stats",{"room_id":"video_1","online_users":1}]"#,
                r#"42["pong",{"room_id":"video_1"}]"#,
                r#"42["position",{"room_id":"video_1","epoch":5,"from":1,"to":3,"left_out":0}] 5.3"#,
            ]
        );
    }

    #[test]
    fn replies_are_acknowledgements() {
        assert_eq!(texts(r#"{"reply":7,"data":{"message_id":"m"}}"#), [r#"437[{"message_id":"m"}]"#]);
        assert_eq!(
            texts(r#"{"reply":7,"error":{"code":"message_not_found","message":"No."}}"#),
            [r#"437[{"error":{"code":"message_not_found","message":"No."}}]"#]
        );
        assert!(
            matches!(packets("r", 1, r#"{"reply":"join","data":{"seq":1}}"#).as_slice(), [Said::Own { id, answer: Ok(_) }] if id == "join")
        );
        assert!(matches!(
            packets("r", 1, r#"{"reply":"join","error":{"code":"banned","message":"No."}}"#).as_slice(),
            [Said::Own { answer: Err(_), .. }]
        ));
    }

    #[test]
    fn what_is_between_the_room_and_the_gateway_is_told_apart() {
        assert_eq!(texts(r#"{"event":"probe","data":{"nonce":"n"}}"#), ["probe n"]);
        let frame = r#"{"event":"goodbye","data":{"code":"banned","reason":"No.","retry":false,"after_ms":0}}"#;
        assert_eq!(
            texts(frame),
            [
                r#"42["goodbye",{"room_id":"video_1","code":"banned","reason":"No.","retry":false,"after_ms":0}] banned false"#
            ]
        );
    }

    #[test]
    fn an_offset_is_the_last_argument() {
        assert_eq!(Said::close("42[\"x\",{}", Some("r@1.2")), r#"42["x",{},"r@1.2"]"#);
    }
}
