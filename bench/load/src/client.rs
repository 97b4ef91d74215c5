//! One client of a room, in chat.v1 or as Socket.IO's.

use crate::lines::{Line, Viewer, read};
use crate::wire::{Fault, Socket};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// How often a join that was told to come again is repeated, by which codes, and after which time.
const TRIES: u32 = 5;
const AGAIN_CODES: [&str; 2] = ["\"unavailable\"", "\"elsewhere\""];
const AGAIN: Duration = Duration::from_secs(3);

/// The sign of life that a client of the chat owes.
const PING: Duration = Duration::from_secs(15);

/// What the server speaks.
#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dialect {
    /// `chat.v1`, or as much of it as the bare servers know.
    Chat,
    /// Socket.IO 4 over WebSocket alone, with a server that knows no more than the room in the path.
    SocketIo,
    /// The chat's events over Socket.IO 4, over WebSocket alone.
    SocketIoChat,
}

/// A server, and what is measured of it.
#[derive(Clone, Deserialize)]
pub(crate) struct Target {
    /// `address:port`.
    pub(crate) host: String,
    pub(crate) dialect: Dialect,
    /// The server's process, whose CPU time is counted.
    pub(crate) pid: u32,
    /// What stands beside it: PostgreSQL's processes, Redis.
    #[serde(default)]
    pub(crate) beside: Vec<u32>,
    /// Bytes of a message's content.
    #[serde(default)]
    pub(crate) bytes: usize,
}

/// Where a viewer who comes back was.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Position {
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

/// How long to wait before coming back, as the reply to a join hands it out.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Reconnect {
    pub(crate) base_ms: u64,
    pub(crate) spread_ms: u64,
}

/// What a join is answered; nothing of it with servers that have no log.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Joined {
    pub(crate) epoch: Option<u64>,
    pub(crate) seq: Option<u64>,
    #[serde(default)]
    pub(crate) resumed: bool,
    #[serde(default)]
    pub(crate) events: Vec<serde::de::IgnoredAny>,
    pub(crate) reconnect: Option<Reconnect>,
}

impl Joined {
    pub(crate) fn position(&self) -> Option<Position> {
        Some(Position { epoch: self.epoch?, seq: self.seq? })
    }
}

pub(crate) struct Client {
    socket: Socket,
    dialect: Dialect,
    viewer: Viewer,
}

impl Client {
    /// Opens a socket as the bearer of `token`, or as a guest where it is empty, and joins; who is told to come again does.
    pub(crate) async fn join(target: &Target, room: &str, token: &str) -> Result<Self, Fault> {
        let mut tries = 0;
        loop {
            match Self::come_back(target, room, token, None).await {
                Ok((client, _)) => return Ok(client),
                Err(fault) if tries < TRIES && AGAIN_CODES.iter().any(|code| fault.contains(code)) => tries += 1,
                Err(fault) => return Err(fault),
            }
            sleep(AGAIN).await;
        }
    }

    /// The same of somebody who was there before.
    pub(crate) async fn come_back(
        target: &Target,
        room: &str,
        token: &str,
        resume: Option<Position>,
    ) -> Result<(Self, Joined), Fault> {
        let words = |error: Fault| format!("joining {room}: {error}");
        let dialect = target.dialect;
        let (path, protocols) = match dialect {
            Dialect::Chat if token.is_empty() => (format!("/api/rooms/{room}/ws"), Some("chat.v1".to_owned())),
            Dialect::Chat => (format!("/api/rooms/{room}/ws"), Some(format!("chat.v1, bearer.{token}"))),
            Dialect::SocketIo => (format!("/socket.io/?EIO=4&transport=websocket&room={room}"), None),
            Dialect::SocketIoChat => ("/socket.io/?EIO=4&transport=websocket".to_owned(), None),
        };
        let socket = Socket::open(&target.host, &path, protocols.as_deref()).await.map_err(words)?;
        let mut data = json!({"room_id": room});
        if let Some(Position { epoch, seq }) = resume {
            data["resume"] = json!({"epoch": epoch, "seq": seq});
        }
        let join = match dialect {
            Dialect::Chat => json!({"id": 0, "event": "join_room", "data": data}).to_string(),
            Dialect::SocketIo => "40".to_owned(),
            Dialect::SocketIoChat if token.is_empty() => "40".to_owned(),
            Dialect::SocketIoChat => format!("40{}", json!({"token": token})),
        };
        socket.send(&join).map_err(words)?;
        let enters = format!("420{}", json!(["join_room", data]));
        let mut joined = None;
        while joined.is_none() {
            socket
                .frames(|frame| {
                    for line in frame.split('\n') {
                        if line.starts_with("40{") && dialect == Dialect::SocketIoChat {
                            socket.send(&enters)?;
                        } else if line.starts_with("40{") || (line.starts_with("430[") && !line.contains("\"error\":"))
                        {
                            joined = Some(Joined::default());
                        } else if line.starts_with("{\"reply\":0,") && !line.contains("\"error\":") {
                            joined = Some(reply(line)?);
                        } else {
                            read(line)?;
                        }
                    }
                    Ok(())
                })
                .await
                .map_err(words)?;
        }
        let joined = joined.unwrap_or_default();
        if joined.seq.is_some() {
            socket.repeat("{\"event\":\"ping\"}", PING);
        }
        let viewer = Viewer { next: 0, cursor: joined.seq };
        Ok((Self { socket, dialect, viewer }, joined))
    }

    /// A way to send on this socket.
    pub(crate) fn outbox(&self) -> Outbox {
        Outbox { socket: self.socket.clone(), dialect: self.dialect }
    }

    /// Gives each frame's lines and the numbers of the messages in it to `take`, until the socket or `take` fails or the
    /// job is over and drops this.
    pub(crate) async fn follow(mut self, mut take: impl FnMut(&[Line], &[u64]) -> Result<(), Fault>) -> Fault {
        let mut shown = Vec::new();
        loop {
            let (socket, viewer) = (&self.socket, &mut self.viewer);
            let frames = socket.frames(|frame| {
                let lines = read(frame)?;
                shown.clear();
                viewer.take(&lines, |n| shown.push(n))?;
                for line in lines.iter() {
                    if let Line::Echo(text) = line {
                        socket.send(text)?;
                    }
                }
                take(&lines, &shown)
            });
            if let Err(fault) = frames.await {
                return fault;
            }
        }
    }
}

fn reply(line: &str) -> Result<Joined, Fault> {
    #[derive(Deserialize)]
    struct Reply {
        data: Joined,
    }
    serde_json::from_str(line).map(|Reply { data }| data).map_err(|error| format!("{line}: {error}"))
}

/// Sends messages.
#[derive(Clone)]
pub(crate) struct Outbox {
    socket: Socket,
    dialect: Dialect,
}

impl Outbox {
    /// Sends message `n`, its content of so many bytes. The id comes first, where an echo is looked at for it.
    pub(crate) fn say(&self, n: u64, bytes: usize) -> Result<(), Fault> {
        let content = Value::String(content(n, bytes));
        self.socket.send(&match self.dialect {
            Dialect::Chat => format!(r#"{{"id":{n},"event":"send_message","data":{{"content":{content}}}}}"#),
            Dialect::SocketIo => format!(r#"42{n}["message",{{"content":{content}}}]"#),
            Dialect::SocketIoChat => format!(r#"42{n}["send_message",{{"content":{content}}}]"#),
        })
    }
}

fn content(n: u64, bytes: usize) -> String {
    let mut content = format!("bench:{n}: ");
    let filler = "it was said in the room and everyone heard it ";
    content.extend(filler.chars().cycle().take(bytes.saturating_sub(content.len() + 1)));
    // Spaces at the end would be trimmed.
    content.push('.');
    content
}
