//! What the targets share: the room of the native tests with its clients, its time and its PostgreSQL, driven by text.

#[path = "../../tests/it/endpoint.rs"]
pub mod endpoint;
#[path = "../../tests/it/memory.rs"]
pub mod memory;
#[path = "../../tests/it/postgres.rs"]
pub mod postgres;
#[path = "../../tests/it/redis.rs"]
pub mod redis;
#[path = "../../tests/it/world.rs"]
pub mod world;

use edge_chat::protocol::call::{Ask, Nothing, PageQuery};
use serde_json::Value;
use std::collections::BTreeSet;
use world::{ROOM, World};

/// The user that a letter stands for: members, those who keep order, a guest for any other.
pub fn user(letter: u8) -> &'static str {
    match letter {
        b'a' => "ada",
        b'b' => "bob",
        b'm' => "mod",
        b's' => "svc",
        b'x' => "admin",
        _ => "",
    }
}

/// A room that text drives, with what no text can guess: ids of messages, tokens, positions.
pub struct Scene {
    pub w: World,
    ids: Vec<String>,
}

impl Scene {
    pub fn new(set: &[(&str, &str)]) -> Self {
        Self { w: World::with(set, 1), ids: Vec::new() }
    }

    /// The text with `$0` to `$9` as the newest messages' ids, `$a`, `$b`, `$m`, `$s`, `$x` as tokens, `$r` as the room,
    /// `$e` and `$q` as epoch and last `seq`.
    pub fn filled(&mut self, text: &str) -> String {
        let mut parts = text.split('$');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (value, rest) = match part.as_bytes() {
                [digit @ b'0'..=b'9', ..] => {
                    (self.ids.iter().rev().nth(usize::from(digit - b'0')).cloned().unwrap_or_default(), &part[1..])
                }
                [letter @ (b'a' | b'b' | b'm' | b's' | b'x'), ..] => (self.w.token(user(*letter), 3_600), &part[1..]),
                [b'r', ..] => (ROOM.to_owned(), &part[1..]),
                [letter @ (b'e' | b'q'), ..] => {
                    let stats = self.w.call("admin", Ask::Stats(Nothing {})).unwrap_or_default();
                    (stats[if *letter == b'e' { "epoch" } else { "seq" }].to_string(), &part[1..])
                }
                _ => ("$".to_owned(), part),
            };
            filled.push_str(&value);
            filled.push_str(rest);
        }
        filled
    }

    /// Reads every line that was sent, once where many got it, and remembers the ids of new messages; how many replies
    /// there are.
    pub fn read(&mut self) -> usize {
        let frames: Vec<_> = self.w.wires.values_mut().flat_map(|wire| std::mem::take(&mut wire.frames)).collect();
        let lines: BTreeSet<&str> = frames.iter().flat_map(|frame| frame.split('\n')).collect();
        let mut replies = 0;
        for line in lines {
            let line: Value = serde_json::from_str(line).expect("a line is JSON");
            replies += usize::from(line.get("reply").is_some());
            if line["event"] == "new_message" {
                let id = line["data"]["message_id"].as_str().expect("a message has an id");
                if !self.ids.iter().any(|known| known == id) {
                    self.ids.push(id.to_owned());
                }
            }
        }
        self.no_fault();
        replies
    }

    /// No input makes a fault of ours; that PostgreSQL is away is none.
    pub fn no_fault(&mut self) {
        self.w.faults.retain(|fault| !fault.contains("no connection"));
        assert!(self.w.faults.is_empty(), "{:?}", self.w.faults);
    }

    /// What a room shows does not depend on whether it has slept.
    pub fn survives_sleep(&mut self) {
        let before = self.shown();
        self.w.evict();
        assert_eq!(self.shown(), before);
        self.w.pg_down = false;
        self.w.advance(600_000);
        self.read();
    }

    fn shown(&mut self) -> String {
        let mut room = self.w.call("admin", Ask::Get(Nothing {}));
        if let Ok(room) = &mut room {
            // Who lingers after the last tab is forgotten with the memory.
            room["online_users"] = Value::Null;
        }
        let page = self.w.call("admin", Ask::Messages(PageQuery::Page { page: 1, limit: 100 }));
        format!("{room:?} {page:?}")
    }
}
