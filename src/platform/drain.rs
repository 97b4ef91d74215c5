//! The drain's object: batches of many rooms, joined into one statement.

use super::binding::split;
use super::drain_link::within;
use super::postgres::{connect, one};
use super::room::answered;
use crate::protocol::call::{DRAIN_APPLY, DRAIN_ROOM, Remembered};
use crate::protocol::{ChatError, ErrorCode};
use crate::sinks::{APPLY, Applied, history, read_applied};
use futures::channel::oneshot;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use tokio_postgres::{Client, types::Type};
use worker::*;

/// What a drain holds at most, in bytes of batches; beyond it rooms are told to wait.
const HELD: usize = 16 << 20;
/// What goes into one statement at most.
const BATCHES: usize = 128;
const BYTES: usize = 4 << 20;
/// A statement may take this long, ms: below the rooms' own 20 s.
const STATEMENT_WITHIN: u64 = 15_000;
/// A connection may take this long, ms.
const CONNECT_WITHIN: u64 = 2_500;
/// How long a connection without work is kept, ms: it keeps the object awake.
const IDLE: u64 = 10_000;

type Outcome = std::result::Result<Applied, String>;

/// A drain: writes what rooms hand it to PostgreSQL, holds nothing that is not in a room's log.
#[durable_object(fetch)]
pub struct Drain {
    inner: Rc<Inner>,
}

struct Inner {
    state: State,
    env: Env,
    client: RefCell<Option<Rc<Client>>>,
    waiting: RefCell<VecDeque<(String, oneshot::Sender<Outcome>)>>,
    held: Cell<usize>,
    running: Cell<bool>,
    used: Cell<u64>,
}

impl Inner {
    async fn client(self: &Rc<Self>) -> std::result::Result<Rc<Client>, String> {
        self.used.set(self.used.get() + 1);
        if let Some(client) = self.client.borrow().as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let client = within(CONNECT_WITHIN, connect(&self.env, |driver| self.state.wait_until(driver))).await??;
        *self.client.borrow_mut() = Some(client.clone());
        Ok(client)
    }

    /// Lets the connection go once nobody has used it for a while.
    fn release_when_idle(self: &Rc<Self>) {
        let (inner, used) = (self.clone(), self.used.get());
        self.state.wait_until(async move {
            Delay::from(Duration::from_millis(IDLE)).await;
            if inner.used.get() == used {
                inner.client.borrow_mut().take();
            }
        });
    }

    /// Takes batches as they come, as many as have gathered at once, until there are none.
    async fn run(self: Rc<Self>) {
        loop {
            let (mut batches, mut senders, mut bytes) = (Vec::new(), Vec::new(), 0);
            while let Some((batch, sender)) = self.waiting.borrow_mut().pop_front() {
                bytes += batch.len();
                batches.push(batch);
                senders.push(sender);
                if batches.len() >= BATCHES || bytes >= BYTES {
                    break;
                }
            }
            if batches.is_empty() {
                break;
            }
            let outcome = self.write(&batches).await;
            self.held.set(self.held.get().saturating_sub(bytes));
            match outcome {
                Ok(applied) => senders.into_iter().zip(applied).for_each(|(sender, applied)| {
                    let _ = sender.send(Ok(applied));
                }),
                Err(error) => {
                    // The outcome is unknown or the connection broken: the next write begins with a new one.
                    self.client.borrow_mut().take();
                    console_error!("drain: {error}");
                    senders.into_iter().for_each(|sender| {
                        let _ = sender.send(Err(error.clone()));
                    });
                }
            }
        }
        self.running.set(false);
        self.release_when_idle();
    }

    async fn write(self: &Rc<Self>, batches: &[String]) -> std::result::Result<Vec<Applied>, String> {
        let client = self.client().await?;
        let batches: Vec<&str> = batches.iter().map(String::as_str).collect();
        let answer = within(STATEMENT_WITHIN, one(&client, APPLY, &[(&batches, Type::TEXT_ARRAY)])).await??;
        read_applied(&answer.unwrap_or_default(), batches.len())
    }

    async fn apply(self: &Rc<Self>, batch: String) -> std::result::Result<Applied, ChatError> {
        if self.held.get() + batch.len() > HELD {
            let message = "The drain holds as much as it can.";
            return Err(ChatError::new(ErrorCode::Overloaded, message).retry_after(1_000));
        }
        self.held.set(self.held.get() + batch.len());
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().push_back((batch, sender));
        if !self.running.replace(true) {
            self.state.wait_until(self.clone().run());
        }
        let failed = |error: String| ChatError::new(ErrorCode::Unavailable, error);
        receiver.await.map_err(|_| failed("the drain ended".into()))?.map_err(failed)
    }

    async fn room(self: &Rc<Self>, id: &str) -> std::result::Result<Option<Remembered>, ChatError> {
        let read = async {
            let client = self.client().await?;
            within(CONNECT_WITHIN, one(&client, history::CLOSE, &[(&id, Type::TEXT)])).await??;
            let answer = within(CONNECT_WITHIN, one(&client, history::ROOM, &[(&id, Type::TEXT)])).await??;
            answer.map(|answer| history::read_room(&answer)).transpose()
        };
        let found = read.await;
        if found.is_err() {
            self.client.borrow_mut().take();
        }
        self.release_when_idle();
        found.map_err(|error| {
            console_error!("drain: {error}");
            let message = "The room's history cannot be reached now; try again in a moment.";
            ChatError::new(ErrorCode::Unavailable, message).retry_after(3_000)
        })
    }
}

impl DurableObject for Drain {
    fn new(state: State, env: Env) -> Self {
        let inner = Inner {
            state: split(state).0,
            env,
            client: RefCell::default(),
            waiting: RefCell::default(),
            held: Cell::new(0),
            running: Cell::new(false),
            used: Cell::new(0),
        };
        Self { inner: Rc::new(inner) }
    }

    async fn fetch(&self, mut req: Request) -> Result<Response> {
        match req.path().as_str() {
            DRAIN_APPLY => {
                let batch = req.text().await?;
                answered(self.inner.apply(batch).await)
            }
            DRAIN_ROOM => {
                let id = req.url()?.query_pairs().find(|(key, _)| key == "room").map(|(_, id)| id.into_owned());
                answered(self.inner.room(&id.unwrap_or_default()).await)
            }
            _ => Response::error("no such call", 404),
        }
    }
}
