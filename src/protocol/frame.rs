//! Frames from a client: what they may hold, and how a bad one is refused.

use super::act::{Act, UserRef};
use super::{ChatError, ErrorCode, Position};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// The longest frame in UTF-8 bytes.
pub const MAX_FRAME: usize = 16_384;
/// The longest that carries an encrypted message, in UTF-8 bytes.
pub const MAX_SEALED_FRAME: usize = 32_768;
const MAX_DEPTH: usize = 32;
const MAX_SAFE: i64 = 1 << 53;

/// What a client calls its request: an integer within ±2^53, or a string of at most 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FrameId {
    /// A number.
    Number(i64),
    /// A string.
    Text(String),
}

/// A frame that is well formed.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientFrame {
    /// Wanted back in the reply; without it there is none.
    pub id: Option<FrameId>,
    /// What the client wants, or why that cannot be read; the `id` is known all the same.
    pub event: Result<ClientEvent, ChatError>,
    /// Whether it is longer than [`MAX_FRAME`]: a direct room takes it, others do not.
    pub large: bool,
}

/// What a client can ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// The first frame of a socket.
    JoinRoom(JoinRoom),
    /// Says something.
    SendMessage(SendMessage),
    /// Changes what one said.
    EditMessage(EditMessage),
    /// Makes a message a tombstone.
    DeleteMessage(MessageRef),
    /// Is writing, or stopped.
    Typing(Typing),
    /// Reacts to a message, or takes that back.
    React(React),
    /// What was missed, on a live socket.
    CatchUp(CatchUp),
    /// The answer to the server's probe.
    Probe(Probe),
    /// A newer token for the same user.
    RefreshToken(RefreshToken),
    /// Keeps order.
    Act(Act),
    /// Sets the room's modes.
    SetModes(SetModes),
    /// Does not want to hear somebody any more, in any room.
    Block(UserRef),
    /// Wants to hear them again.
    Unblock(UserRef),
    /// Leaves for good.
    LeaveRoom(RoomRef),
    /// Is anybody there. The exact text `{"event":"ping"}` is answered without waking the room.
    Ping(RoomRef),
}

macro_rules! body {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub struct $name {
            /// The room, which has to be the socket's own where it is given.
            #[serde(default)]
            pub room_id: Option<String>,
            $($(#[$fdoc])* pub $field: $type,)*
        }
    };
}

body! {
    /// Nothing but the room.
    RoomRef {}
}
body! {
    /// `join_room`.
    JoinRoom {
        /// A token, where it was not in the upgrade.
        #[serde(default)]
        user_token: Option<String>,
        /// Where this viewer was before.
        #[serde(default)]
        resume: Option<Position>,
    }
}
body! {
    /// `send_message`.
    SendMessage {
        /// What was typed.
        content: String,
        /// The type; `text` without it.
        #[serde(default, rename = "type")]
        kind: Option<String>,
        /// A random name of at most 64 characters: the same one within 24 h is the same message.
        #[serde(default)]
        client_id: Option<String>,
        /// The message that this answers.
        #[serde(default)]
        reply_to: Option<String>,
        /// Ids of users, at most 20.
        #[serde(default)]
        mentions: Vec<String>,
        /// An object of at most 1,024 bytes.
        #[serde(default)]
        metadata: Option<serde_json::Value>,
        /// The tag of an encrypted message.
        #[serde(default)]
        franking: Option<String>,
        /// What became of this client's previous message.
        #[serde(default)]
        took: Option<Took>,
    }
}
/// What a client measured of a message of its own; counted for the operator, and believed for nothing else. Above a
/// minute it counts as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Took {
    /// From its sending to its acknowledgement, ms.
    #[serde(default)]
    pub ack_ms: Option<u64>,
    /// From its sending to its sight among the room's events, ms.
    #[serde(default)]
    pub shown_ms: Option<u64>,
}

body! {
    /// `edit_message`.
    EditMessage {
        /// The message.
        message_id: String,
        /// What it should say.
        content: String,
        /// The tag of an encrypted message.
        #[serde(default)]
        franking: Option<String>,
    }
}
body! {
    /// `delete_message`.
    MessageRef {
        /// The message.
        message_id: String,
    }
}
body! {
    /// `typing`.
    Typing {
        /// Writing, or not any more.
        is_typing: bool,
    }
}
body! {
    /// `react`.
    React {
        /// The message.
        message_id: String,
        /// One grapheme cluster.
        reaction: String,
        /// Take it back.
        #[serde(default)]
        remove: bool,
    }
}
body! {
    /// `catch_up`.
    CatchUp {
        /// The epoch that the client knows.
        epoch: u64,
        /// The last event that it has.
        seq: u64,
    }
}
body! {
    /// `probe`.
    Probe {
        /// The server's nonce.
        nonce: String,
    }
}
body! {
    /// `set_modes`.
    SetModes {
        /// The modes to change, as in the room's settings; null sets one back.
        #[cfg_attr(test, schemars(with = "crate::types::Modes"))]
        modes: serde_json::Map<String, serde_json::Value>,
    }
}
body! {
    /// `refresh_token`.
    RefreshToken {
        /// The newer token.
        user_token: String,
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
    event: String,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
}

fn bad(message: &str) -> ChatError {
    ChatError::new(ErrorCode::BadFrame, message)
}

impl ClientFrame {
    /// Reads one text frame.
    ///
    /// # Errors
    /// `frame_too_large`, or `bad_frame` where not even an `id` can be had. An unknown event or a field of the wrong
    /// type is the frame's own `event`.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        let large = text.len() > MAX_FRAME;
        if text.len() > MAX_SEALED_FRAME {
            return Err(too_large());
        }
        if !depth_within(text, MAX_DEPTH) {
            return Err(bad("A frame is nested at most 32 levels deep."));
        }
        let envelope: Envelope<'_> = serde_json::from_str(text)
            .map_err(|_| bad("A frame is one JSON object with `event`, and optionally `id` and `data`."))?;
        let id = match envelope.id.map(|raw| serde_json::from_str::<Option<FrameId>>(raw.get())) {
            None | Some(Ok(None)) => None,
            Some(Ok(Some(id))) if id.is_valid() => Some(id),
            Some(_) => return Err(bad("`id` is an integer within ±2^53 or a string of at most 64 characters.")),
        };
        let event = ClientEvent::parse(&envelope.event, envelope.data.map_or("{}", RawValue::get));
        if large && !event.as_ref().is_ok_and(ClientEvent::is_sealed) {
            return Err(too_large());
        }
        Ok(Self { id, event, large })
    }
}

/// A frame that is longer than those of this room, or of its kind, may be.
pub fn too_large() -> ChatError {
    let message = "A frame is at most 16,384 bytes, and 32,768 with an encrypted message in a direct room.";
    ChatError::new(ErrorCode::FrameTooLarge, message)
}

impl FrameId {
    fn is_valid(&self) -> bool {
        match self {
            Self::Number(n) => (-MAX_SAFE..=MAX_SAFE).contains(n),
            Self::Text(text) => text.chars().count() <= 64,
        }
    }
}

impl ClientEvent {
    fn parse(event: &str, data: &str) -> Result<Self, ChatError> {
        Ok(match event {
            "join_room" => Self::JoinRoom(read(data)?),
            "send_message" => Self::SendMessage(read(data)?),
            "edit_message" => Self::EditMessage(read(data)?),
            "delete_message" => Self::DeleteMessage(read(data)?),
            "typing" => Self::Typing(read(data)?),
            "react" => Self::React(read(data)?),
            "catch_up" => Self::CatchUp(read(data)?),
            "probe" => Self::Probe(read(data)?),
            "refresh_token" => Self::RefreshToken(read(data)?),
            "leave_room" => Self::LeaveRoom(read(data)?),
            "ping" => Self::Ping(read(data)?),
            "set_modes" => Self::SetModes(read(data)?),
            "block_user" => Self::Block(read(data)?),
            "unblock_user" => Self::Unblock(read(data)?),
            _ => {
                let unknown = || ChatError::new(ErrorCode::UnknownEvent, "No event of this protocol has this name.");
                Self::Act(Act::parse(event, data).ok_or_else(unknown)??)
            }
        })
    }

    /// Whether it carries an encrypted message.
    fn is_sealed(&self) -> bool {
        match self {
            Self::SendMessage(body) => body.kind.as_deref() == Some("encrypted"),
            Self::EditMessage(body) => body.franking.is_some(),
            _ => false,
        }
    }

    /// The room that the frame names, if it names one.
    pub fn room_id(&self) -> Option<&str> {
        match self {
            Self::JoinRoom(b) => b.room_id.as_deref(),
            Self::SendMessage(b) => b.room_id.as_deref(),
            Self::EditMessage(b) => b.room_id.as_deref(),
            Self::DeleteMessage(b) => b.room_id.as_deref(),
            Self::Typing(b) => b.room_id.as_deref(),
            Self::React(b) => b.room_id.as_deref(),
            Self::CatchUp(b) => b.room_id.as_deref(),
            Self::Probe(b) => b.room_id.as_deref(),
            Self::RefreshToken(b) => b.room_id.as_deref(),
            Self::Act(act) => act.room_id(),
            Self::SetModes(b) => b.room_id.as_deref(),
            Self::Block(b) | Self::Unblock(b) => b.room_id.as_deref(),
            Self::LeaveRoom(b) | Self::Ping(b) => b.room_id.as_deref(),
        }
    }
}

/// Reads an event's `data`, or a REST body: a syntax error is a bad frame (a lone surrogate is one), the wrong type a
/// bad request.
///
/// # Errors
/// `bad_frame`, or `bad_request` naming the field.
// V8 compiles a function when it is first run: one that held the readers of all events would keep its first frame waiting.
#[inline(never)]
pub fn read<T: DeserializeOwned>(data: &str) -> Result<T, ChatError> {
    let mut json = serde_json::Deserializer::from_str(data);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        if !error.inner().is_data() {
            return bad("The frame's data is not valid JSON text.");
        }
        let path = error.path().to_string();
        // serde names a missing field in the sentence only; the sentence itself quotes what the client sent.
        let sentence = error.inner().to_string();
        let field = match sentence.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            Some(missing) if path == "." => missing.to_owned(),
            Some(missing) => format!("{path}.{missing}"),
            None => path,
        };
        ChatError::new(ErrorCode::BadRequest, "A field is missing or has the wrong type.").field(field)
    })
}

/// Whether brackets outside strings are nested at most `limit` deep; looks at bytes only, before anything is parsed.
pub fn depth_within(text: &str, limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> ErrorCode {
        match ClientFrame::parse(text) {
            Err(error) => error.code,
            Ok(frame) => frame.event.unwrap_err().code,
        }
    }

    #[test]
    fn a_send_is_read() {
        let frame = ClientFrame::parse(r#"{"id":7,"event":"send_message","data":{"content":"hi","what":1}}"#).unwrap();
        assert_eq!(frame.id, Some(FrameId::Number(7)));
        let Ok(ClientEvent::SendMessage(body)) = frame.event else { panic!("not a send") };
        assert_eq!((body.content.as_str(), body.kind), ("hi", None));
    }

    #[test]
    fn bad_frames_have_their_codes() {
        for text in
            ["", "hello", "[]", "7", r#"{"event":7}"#, r#"{"id":1.5,"event":"ping"}"#, r#"{"id":{},"event":"x"}"#]
        {
            assert_eq!(code(text), ErrorCode::BadFrame, "{text}");
        }
        assert_eq!(code(r#"{"event":"send_message","data":{"content":"\ud800"}}"#), ErrorCode::BadFrame);
        assert_eq!(code(&format!(r#"{{"id":"{}","event":"ping"}}"#, "x".repeat(65))), ErrorCode::BadFrame);
        assert_eq!(
            code(&format!(r#"{{"event":"ping","data":{}1{}}}"#, "[".repeat(40), "]".repeat(40))),
            ErrorCode::BadFrame
        );
        let sized = |bytes: usize, data: &str| {
            format!(r#"{{"event":"send_message","data":{{"content":"{}"{data}}}}}"#, "x".repeat(bytes))
        };
        assert_eq!(code(&sized(MAX_FRAME, "")), ErrorCode::FrameTooLarge);
        assert_eq!(code(&sized(MAX_SEALED_FRAME, r#","type":"encrypted""#)), ErrorCode::FrameTooLarge);
        assert!(ClientFrame::parse(&sized(MAX_FRAME, r#","type":"encrypted""#)).unwrap().large);
        assert_eq!(code(r#"{"event":"shout"}"#), ErrorCode::UnknownEvent);
    }

    #[test]
    fn a_wrong_or_missing_field_is_named() {
        let field = |text: &str| ClientFrame::parse(text).unwrap().event.unwrap_err().field.unwrap();
        assert_eq!(field(r#"{"event":"send_message","data":{"content":7}}"#), "content");
        assert_eq!(field(r#"{"event":"send_message"}"#), "content");
        assert_eq!(field(r#"{"event":"join_room","data":{"resume":{"epoch":1}}}"#), "resume.seq");
        assert_eq!(field(r#"{"event":"join_room","data":{"resume":{"epoch":"x","seq":1}}}"#), "resume.epoch");
    }
}
