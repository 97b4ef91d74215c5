//! What can happen in the simulated world, and the connections on which it does.

use super::heap::Link;
use super::shard::Between;
use edge_chat::auth::Identity;
use edge_chat::host::{AskUser, Drained};
use edge_chat::protocol::ChatError;
use edge_chat::protocol::call::{Ask, Standing};
use serde_json::Value;
use std::fmt;
use std::rc::Rc;

/// A frame of the room's, read once for all who get it.
#[derive(Debug)]
pub(super) struct Frame {
    pub text: String,
    pub lines: Vec<Value>,
}

impl Frame {
    pub(super) fn parse(text: &str) -> Result<Rc<Self>, String> {
        let lines = text.split('\n').map(|line| serde_json::from_str(line).map_err(|e| format!("{e}: {line}")));
        Ok(Rc::new(Self { text: text.to_owned(), lines: lines.collect::<Result<_, _>>()? }))
    }

    pub(super) fn of(lines: Vec<Value>) -> Rc<Self> {
        let text = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        Rc::new(Self { text, lines })
    }
}

/// A connection between a client and the room.
#[derive(Debug, Default)]
pub(super) struct Conn {
    pub client: usize,
    /// Which object holds it: 0 is the room, n + 1 its n-th shard, from `GATEWAYS` on a gateway; and how often the Worker looked for it.
    pub node: usize,
    pub dials: u32,
    /// By which key, and by which version of the room's shape, it was taken there.
    pub route: (u64, u64),
    /// It was told that it belongs elsewhere.
    pub moves: bool,
    pub user: &'static str,
    pub identity: Option<Identity>,
    pub up: Link,
    pub down: Link,
    /// What is on its way to the client never arrives.
    pub cut: bool,
    pub accepted: bool,
    pub joined: bool,
    /// The room has closed it.
    pub closing: bool,
    pub client_knows_end: bool,
    pub room_knows_end: bool,
    pub attachment: String,
    /// What the room was offered of its user, and in which life.
    pub offered: Option<(u64, Standing)>,
    /// Bytes that the room has sent and the client not read.
    pub unread: usize,
}

/// What happens.
pub(super) enum Event {
    /// An upgrade reaches the room, its answer the client.
    Dial(usize),
    Opened(usize),
    Refused(usize, u64),
    /// Frames, up and down.
    Up(usize, String),
    Down(usize, Rc<Frame>),
    /// The end of a connection reaches the client: code, whether to come back, and when.
    Shut(usize, u16, Option<bool>, Option<u64>),
    /// It reaches the room.
    Gone(usize),
    /// A call over REST: whose, what, and by which name it is asked.
    Rest(usize, String, Box<Ask>),
    RestAnswer(usize, String, Option<Result<Value, String>>),
    /// The room's timer and alarm, and the end of the wait of frames that are gathered.
    Timer(u64, u64),
    Queue(u64),
    Alarm(usize, u64, u32),
    /// A batch reaches PostgreSQL, an answer the room.
    Batch(u64, Rc<str>, bool),
    Drained(u64, Drained),
    /// The same to and from Redis.
    Append(u64, Rc<str>, bool),
    Bridged(u64, Drained),
    /// The same to and from the webhook's back end.
    Post(u64, Rc<str>, bool),
    Posted(u64, Drained),
    LookUp(u64, Option<u64>),
    EpochIs(u64, Option<Option<u64>>),
    Remembered(u64, Option<Option<String>>),
    /// Calls to users' objects, and back.
    AskUser(u64, Box<AskUser>),
    Answered(u64, Box<AskUser>, Result<Standing, ChatError>),
    Entered(usize, u64, String),
    Told(u64, String, Option<Standing>),
    Push(usize, &'static str, Standing),
    Pushed(usize, &'static str, u64, Option<bool>),
    UserAlarm(&'static str),
    /// A client's own: its next idea, the time to connect, and the end of its patience with an answer or a connection.
    Idea(usize),
    Connect(usize, u64),
    Patience(usize, usize, u64),
    Silence(usize, usize),
    Reads(usize, usize),
    /// Between the room and its shards.
    Shards(Between),
    /// The room's object ends.
    End,
    /// The next of the world's troubles.
    Trouble,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(conn) => write!(f, "conn {conn} → room: upgrade"),
            Self::Opened(conn) => write!(f, "room → conn {conn}: opened"),
            Self::Refused(conn, wait) => write!(f, "room → conn {conn}: not now, {wait} ms"),
            Self::Up(conn, text) => write!(f, "conn {conn} → room: {text}"),
            Self::Down(conn, frame) => write!(f, "room → conn {conn}: {}", frame.text),
            Self::Shut(conn, code, retry, after) => write!(f, "conn {conn} is closed: {code} {retry:?} {after:?}"),
            Self::Gone(conn) => write!(f, "conn {conn} → room: ended"),
            Self::Rest(client, name, ask) => write!(f, "client {client} → room: {name} {ask:?}"),
            Self::RestAnswer(client, name, answer) => write!(f, "room → client {client}: {name} {answer:?}"),
            Self::Timer(life, at) => write!(f, "room: timer {at} of life {life}"),
            Self::Queue(life) => write!(f, "room: handles what waits, life {life}"),
            Self::Alarm(node, number, tries) => write!(f, "node {node}: alarm {number}, try {tries}"),
            Self::Batch(call, body, answered) => write!(f, "room → postgres: call {call} {answered} {body}"),
            Self::Drained(call, drained) => write!(f, "postgres → room: call {call} {drained:?}"),
            Self::Append(call, body, answered) => {
                // Without the script.
                let words = body.find("chat:room:").and_then(|begin| body.get(begin..)).unwrap_or_default();
                write!(f, "room → redis: call {call} {answered} {}", words.replace("\r\n", " "))
            }
            Self::Bridged(call, drained) => write!(f, "redis → room: call {call} {drained:?}"),
            Self::Post(call, body, answered) => write!(f, "room → hook: call {call} {answered} {body}"),
            Self::Posted(call, drained) => write!(f, "hook → room: call {call} {drained:?}"),
            Self::LookUp(life, None) => write!(f, "room → postgres: which epoch, life {life}"),
            Self::LookUp(life, Some(epoch)) => write!(f, "room → postgres: what is known, {epoch} closed, life {life}"),
            Self::EpochIs(life, epoch) => write!(f, "postgres → room: life {life} epoch {epoch:?}"),
            Self::Remembered(life, what) => write!(f, "postgres → room: life {life} {what:?}"),
            Self::AskUser(_, asked) => write!(f, "room → user {}: {:?}", asked.user_id, asked.call),
            Self::Answered(_, asked, answer) => write!(f, "user {} → room: {answer:?}", asked.user_id),
            Self::Entered(node, _, user) => write!(f, "node {node} → user {user}: entered"),
            Self::Told(_, user, standing) => write!(f, "user {user} → room: {standing:?}"),
            Self::Push(node, user, standing) => write!(f, "user {user} → node {node}: push {standing:?}"),
            Self::Pushed(node, user, version, heard) => write!(f, "node {node} → user {user}: {version} {heard:?}"),
            Self::Shards(what) => what.fmt(f),
            Self::UserAlarm(user) => write!(f, "user {user}: alarm"),
            Self::Idea(client) => write!(f, "client {client}: an idea"),
            Self::Connect(client, _) => write!(f, "client {client}: connects"),
            Self::Patience(client, conn, n) => write!(f, "client {client}: waits for {n} on conn {conn}"),
            Self::Silence(client, conn) => write!(f, "client {client}: hears nothing on conn {conn}"),
            Self::Reads(client, conn) => write!(f, "client {client}: reads again on conn {conn}"),
            Self::End => write!(f, "room: is ended"),
            Self::Trouble => write!(f, "trouble"),
        }
    }
}
