//! How far a client has seen each of its rooms, in the text that Socket.IO's clients keep for their return.

use crate::protocol::{Position, RoomId};
use std::fmt::Write as _;

/// Rooms that one connection may be in.
pub const MOST_ROOMS: usize = 10;

/// How far a client has seen one room. Written `room@epoch.seq`; several with commas between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offset {
    /// The room.
    pub room: RoomId,
    /// The last event of it.
    pub at: Position,
}

/// The text for these.
pub fn offsets<'a>(rooms: impl IntoIterator<Item = (&'a str, Position)>) -> String {
    let mut text = String::new();
    for (room, Position { epoch, seq }) in rooms {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{room}@{epoch}.{seq}");
    }
    text
}

impl Offset {
    /// Reads them back; what is malformed is left out, so that the client does not recover that room.
    pub fn read(text: &str) -> Vec<Self> {
        let one = |text: &str| {
            let (room, at) = text.split_once('@')?;
            let (epoch, seq) = at.split_once('.')?;
            let at = Position { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? };
            Some(Self { room: RoomId::parse(room).ok()?, at })
        };
        text.split(',').take(MOST_ROOMS).filter_map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let rooms = [("video_1", Position { epoch: 5, seq: 6 }), ("a:b.c-d", Position { epoch: 7, seq: 8 })];
        let text = offsets(rooms);
        assert_eq!(text, "video_1@5.6,a:b.c-d@7.8");
        let read = Offset::read(&text);
        let read: Vec<_> = read.iter().map(|offset| (offset.room.as_str(), offset.at)).collect();
        assert_eq!(read, rooms);
        assert_eq!(Offset::read("x,@,a@1,a@1.,a@1.x,dm:a@1.2,a~b@1.2"), []);
        assert_eq!(Offset::read(&"a@1.2,".repeat(50)).len(), MOST_ROOMS);
    }
}
