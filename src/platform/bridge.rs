//! The drain's way to Redis: one connection while there is work, batches of many rooms written at once.

use super::drain_link::within;
use super::log;
use super::util::settings;
use crate::protocol::{ChatError, ErrorCode};
use crate::settings::Bridge as Target;
use crate::sinks::Applied;
use crate::sinks::redis::{Reply, greeting, read_reply, stands};
use futures::channel::oneshot;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use worker::*;

/// What the bridge holds at most, in bytes of batches; beyond it rooms are told to wait.
const HELD: usize = 16 << 20;
/// What is written at once at most.
const BATCHES: usize = 128;
const BYTES: usize = 4 << 20;
/// All of it has to be answered in this time, ms: below the rooms' own 20 s.
const ANSWER_WITHIN: u64 = 10_000;
/// A connection may take this long, its greeting included, ms.
const CONNECT_WITHIN: u64 = 2_500;
/// A connection that has to be closed is waited for this long, ms.
const CLOSE_WITHIN: u64 = 1_000;
/// How long a connection without work is kept, ms: it keeps the object awake.
const IDLE: u64 = 10_000;
const CHUNK: usize = 16 << 10;

type Outcome = std::result::Result<Applied, String>;

struct Connection {
    socket: Socket,
    /// What has been read and not been taken yet.
    read: Vec<u8>,
}

impl Connection {
    async fn open(target: &Target) -> std::result::Result<Self, String> {
        let transport = if target.tls { SecureTransport::On } else { SecureTransport::Off };
        let socket = Socket::builder().secure_transport(transport).connect(target.host.as_str(), target.port);
        let mut connection = Self { socket: socket.map_err(|error| error.to_string())?, read: Vec::new() };
        let (text, replies) = greeting(target);
        let greeted = within(CONNECT_WITHIN, async {
            connection.socket.opened().await.map_err(|error| error.to_string())?;
            connection
                .ask(text.as_bytes(), replies, |reply| match reply {
                    Reply::Text(_) => Ok(()),
                    Reply::Error(error) => Err(error),
                })
                .await
        });
        match greeted.await.and_then(|greeted| greeted) {
            Ok(()) => Ok(connection),
            Err(error) => {
                connection.close().await;
                Err(error)
            }
        }
    }

    /// Writes all of `text` at once and hands over each reply. After an error, or where it was not awaited to its end,
    /// the connection is of no more use.
    async fn ask(
        &mut self,
        text: &[u8],
        replies: usize,
        mut take: impl FnMut(Reply) -> std::result::Result<(), String>,
    ) -> std::result::Result<(), String> {
        self.socket.write_all(text).await.map_err(|error| error.to_string())?;
        let mut chunk = vec![0; CHUNK];
        for _ in 0..replies {
            let reply = loop {
                if let Some(reply) = read_reply(&mut self.read)? {
                    break reply;
                }
                let length = self.socket.read(&mut chunk).await.map_err(|error| error.to_string())?;
                if length == 0 {
                    return Err("the connection ended".into());
                }
                self.read.extend(chunk.iter().take(length));
            };
            take(reply)?;
        }
        Ok(())
    }

    /// What is not closed stays open until it is collected.
    async fn close(mut self) {
        let _ = within(CLOSE_WITHIN, self.socket.close()).await;
    }
}

/// The bridge's part of a drain; holds nothing that is not in a room's log.
#[derive(Default)]
pub(super) struct Bridge {
    connection: RefCell<Option<Connection>>,
    waiting: RefCell<VecDeque<(String, oneshot::Sender<Outcome>)>>,
    held: Cell<usize>,
    running: Cell<bool>,
    used: Cell<u64>,
}

impl Bridge {
    /// Bytes of batches that wait.
    pub(super) fn held(&self) -> usize {
        self.held.get()
    }

    /// Hands one room's batch on; where its stream stands then.
    ///
    /// # Errors
    /// `overloaded` where too much waits, `unavailable` where Redis did not take it, in words for the operator.
    pub(super) async fn append(
        self: &Rc<Self>,
        state: &State,
        env: &Env,
        batch: String,
    ) -> std::result::Result<Applied, ChatError> {
        let settings = settings(env)?;
        let Some(target) = settings.bridge.clone() else {
            return Err(ChatError::new(ErrorCode::Unavailable, "no Redis is set"));
        };
        if self.held.get() + batch.len() > HELD {
            let message = "The bridge holds as much as it can.";
            return Err(ChatError::new(ErrorCode::Overloaded, message).retry_after(1_000));
        }
        self.held.set(self.held.get() + batch.len());
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().push_back((batch, sender));
        if !self.running.replace(true) {
            state.wait_until(self.clone().run(target));
        }
        let failed = |error: String| ChatError::new(ErrorCode::Unavailable, error);
        receiver.await.map_err(|_| failed("the bridge ended".into()))?.map_err(failed)
    }

    /// Takes batches as they come, as many as have gathered at once, until there are none; then lets the connection go
    /// unless more comes.
    async fn run(self: Rc<Self>, target: Target) {
        loop {
            let (mut text, mut senders) = (String::new(), VecDeque::new());
            while let Some((batch, sender)) = self.waiting.borrow_mut().pop_front() {
                text.push_str(&batch);
                senders.push_back(sender);
                if senders.len() >= BATCHES || text.len() >= BYTES {
                    break;
                }
            }
            if senders.is_empty() {
                break;
            }
            let written = self.write(&target, &text, &mut senders).await;
            self.held.set(self.held.get().saturating_sub(text.len()));
            if let Err(error) = written {
                log::error(&[], format_args!("bridge: {error}"));
                senders.into_iter().for_each(|sender| {
                    let _ = sender.send(Err(error.clone()));
                });
            }
        }
        self.running.set(false);
        let used = self.used.get();
        Delay::from(Duration::from_millis(IDLE)).await;
        let idle = if self.used.get() == used { self.connection.borrow_mut().take() } else { None };
        if let Some(connection) = idle {
            connection.close().await;
        }
    }

    /// Writes the batches of the rooms behind `senders`, which are taken as they are answered.
    async fn write(
        &self,
        target: &Target,
        text: &str,
        senders: &mut VecDeque<oneshot::Sender<Outcome>>,
    ) -> std::result::Result<(), String> {
        self.used.set(self.used.get() + 1);
        let kept = self.connection.borrow_mut().take();
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(target).await?,
        };
        let mut refused = None;
        let asked = within(
            ANSWER_WITHIN,
            connection.ask(text.as_bytes(), senders.len(), |reply| {
                if let Reply::Error(error) = &reply {
                    refused.get_or_insert_with(|| error.clone());
                }
                if let Some(sender) = senders.pop_front() {
                    let _ = sender.send(Ok(stands(&reply)));
                }
                Ok(())
            }),
        )
        .await
        .and_then(|asked| asked);
        match (asked, refused) {
            (Ok(()), None) => {
                *self.connection.borrow_mut() = Some(connection);
                Ok(())
            }
            // A server that refuses may be another by the next try: a replica now, or one that is full.
            (asked, refused) => {
                connection.close().await;
                asked.and(Err(refused.unwrap_or_default()))
            }
        }
    }
}
