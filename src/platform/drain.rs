//! The drain's object: batches of many rooms, joined into one statement; those for Redis and the webhook go by their
//! own ways.

use super::analytics;
use super::binding::split;
use super::bridge::Bridge;
use super::drain_link::within;
use super::log;
use super::postgres::{connect, one};
use super::presence::Reports;
use super::room::{answered, broken, in_query};
use super::util::{entropy, now};
use super::webhook::Poster;
use crate::metrics::{Report, Totals};
use crate::protocol::call::{
    DRAIN_APPLY, DRAIN_BRIDGE, DRAIN_EPOCH, DRAIN_ERASE, DRAIN_EXPIRY, DRAIN_METRICS, DRAIN_PRESENCE, DRAIN_ROOM,
    DRAIN_WEBHOOK, Expiry, ExpiryAsk, METRICS_HEADER, Remembered,
};
use crate::protocol::wire::raw;
use crate::protocol::{ChatError, ErrorCode, json_fault};
use crate::sinks::webhook::{Delivered, Delivery};
use crate::sinks::{APPLY, Applied, ERASE, Halving, Next, Sink, history, read_applied};
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{LocalBoxFuture, Shared};
use serde_json::value::RawValue;
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
/// A connection may take this long, ms: one round trip after the other, for batches that can wait.
const CONNECT_WITHIN: u64 = 10_000;
/// The same, and then the answer, where a room waits for it: below its own 3 s.
const LOOK_UP_WITHIN: u64 = 2_500;
/// The longest rest after connections that failed, ms: rooms have waits of their own, but there may be thousands of them.
const REST: u64 = 2_000;
/// How long who is in rooms gathers, ms.
const GATHER: u64 = 500;
/// How long a connection without work is kept, ms: it keeps the object awake.
const IDLE: u64 = 10_000;

type Outcome = std::result::Result<Applied, String>;
type Connecting = Shared<LocalBoxFuture<'static, std::result::Result<Rc<Client>, String>>>;

/// A drain: writes what rooms hand it to PostgreSQL, holds nothing that is not in a room's log.
#[durable_object(fetch)]
pub struct Drain {
    inner: Rc<Inner>,
}

struct Inner {
    state: State,
    env: Env,
    client: RefCell<Option<Rc<Client>>>,
    waiting: RefCell<VecDeque<(Rc<str>, oneshot::Sender<Outcome>)>>,
    connecting: RefCell<Option<Connecting>>,
    /// Connections that failed one after the other, and until when no other is tried.
    failures: Cell<u32>,
    rest_until: Cell<u64>,
    held: Cell<usize>,
    running: Cell<bool>,
    used: Cell<u64>,
    bridge: Rc<Bridge>,
    poster: Poster,
    reports: Rc<Reports>,
    totals: RefCell<Totals>,
}

impl Inner {
    fn name(&self) -> String {
        self.state.id().name().unwrap_or_default()
    }

    /// The connection, within `ms`; whoever needs one meanwhile waits for the same.
    async fn client(self: &Rc<Self>, ms: u64) -> std::result::Result<Rc<Client>, String> {
        self.used.set(self.used.get() + 1);
        if let Some(client) = self.client.borrow().as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        if self.resting().is_some() {
            return Err("no connection is tried for a moment, after one that failed".into());
        }
        let connecting = self.connecting.borrow().clone();
        let connecting = connecting.unwrap_or_else(|| {
            let connecting = self.clone().connect().boxed_local().shared();
            *self.connecting.borrow_mut() = Some(connecting.clone());
            // It goes on where the one who asked for it has stopped waiting.
            self.state.wait_until(connecting.clone().map(|_| ()));
            connecting
        });
        within(ms, connecting).await?
    }

    async fn connect(self: Rc<Self>) -> std::result::Result<Rc<Client>, String> {
        let connected = within(CONNECT_WITHIN, connect(&self.env, |driver| self.state.wait_until(driver))).await;
        let connected = connected.and_then(|connected| connected);
        self.connecting.borrow_mut().take();
        match &connected {
            Ok(client) => {
                self.failures.set(0);
                *self.client.borrow_mut() = Some(client.clone());
            }
            Err(_) => {
                let ceiling = (250u64 << self.failures.get().min(8)).min(REST);
                self.failures.set(self.failures.get() + 1);
                let jitter = u64::from(entropy()[0]) * ceiling / 512;
                self.rest_until.set(now() + ceiling / 2 + jitter);
            }
        }
        connected
    }

    /// How long no connection is tried yet, ms.
    fn resting(&self) -> Option<u64> {
        self.rest_until.get().checked_sub(now()).filter(|wait| *wait > 0)
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
                    log::error(&[("drain", &self.name())], format_args!("drain: {error}"));
                    senders.into_iter().for_each(|sender| {
                        let _ = sender.send(Err(error.clone()));
                    });
                }
            }
        }
        self.running.set(false);
        self.release_when_idle();
    }

    async fn write(self: &Rc<Self>, batches: &[Rc<str>]) -> std::result::Result<Vec<Applied>, String> {
        let client = self.client(CONNECT_WITHIN).await?;
        let batches: Vec<&str> = batches.iter().map(|batch| &**batch).collect();
        let answer = within(STATEMENT_WITHIN, one(&client, APPLY, &[(&batches, Type::TEXT_ARRAY)])).await??;
        read_applied(&answer.unwrap_or_default(), batches.len())
    }

    /// Writes a batch with what others have handed in meanwhile; a refused one goes on in halves.
    async fn apply(self: &Rc<Self>, batch: String) -> std::result::Result<Applied, ChatError> {
        let mut halving = Halving::begin(batch);
        loop {
            let applied = self.hand_in(halving.piece()).await?;
            match halving.answered(applied) {
                Next::Write => {}
                Next::SetAside(line) => {
                    self.totals.borrow_mut().set_aside();
                    log::error(&[("drain", &self.name())], format_args!("drain: {line}"));
                }
                Next::Done(applied) => return Ok(applied),
            }
        }
    }

    async fn hand_in(self: &Rc<Self>, batch: Rc<str>) -> std::result::Result<Applied, ChatError> {
        if self.held.get() + batch.len() > HELD {
            let message = "The drain holds as much as it can.";
            return Err(ChatError::new(ErrorCode::Overloaded, message).retry_after(1_000));
        }
        if let Some(wait) = self.resting() {
            let message = "The drain rests after a connection that failed.";
            return Err(ChatError::new(ErrorCode::Unavailable, message).retry_after(wait));
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

    /// Takes in what a room has counted; which room that is.
    fn count(&self, req: &Request) -> Option<String> {
        let header = req.headers().get(METRICS_HEADER).ok().flatten()?;
        let report: Report = serde_json::from_str(&header).ok()?;
        let room = report.room.clone();
        let points = self.totals.borrow_mut().take(report, now());
        analytics::write(&self.env, &points);
        Some(room)
    }

    fn stands(&self, room: Option<&str>, sink: Sink, applied: &std::result::Result<Applied, ChatError>) {
        if let (Some(room), Ok(Applied::Cursor { epoch, seq })) = (room, applied) {
            self.totals.borrow_mut().stands(room, sink, *epoch, *seq);
        }
    }

    /// Takes who is in a room; with what has gathered meanwhile it is written a moment later.
    fn presence(self: &Rc<Self>, report: String) -> std::result::Result<(), ChatError> {
        if self.reports.add(report)? {
            let inner = self.clone();
            self.state.wait_until(async move {
                Delay::from(Duration::from_millis(GATHER)).await;
                let written = match inner.client(CONNECT_WITHIN).await {
                    Ok(client) => inner.reports.write(&client).await,
                    Err(error) => inner.reports.drop_all(error),
                };
                if let Err(error) = written {
                    inner.client.borrow_mut().take();
                    log::error(&[("drain", &inner.name())], format_args!("drain: presence: {error}"));
                }
                inner.release_when_idle();
            });
        }
        Ok(())
    }

    async fn epoch(self: &Rc<Self>, id: &str) -> std::result::Result<Option<u64>, ChatError> {
        let read = async {
            let client = self.client(LOOK_UP_WITHIN).await?;
            let epoch = one(&client, history::EPOCH, &[(&id, Type::TEXT)]).await?;
            epoch.map(|epoch| epoch.parse().map_err(|error| format!("epoch: {error}"))).transpose()
        };
        self.looked_up(within(LOOK_UP_WITHIN, read).await.flatten())
    }

    async fn room(self: &Rc<Self>, id: &str, epoch: u64) -> std::result::Result<Option<Remembered>, ChatError> {
        let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
        let read = async {
            let client = self.client(LOOK_UP_WITHIN).await?;
            let closed = one(&client, history::CLOSE, &[(&id, Type::TEXT), (&epoch, Type::INT8)]).await?;
            if closed.as_deref() != Some("true") {
                return Err(format!("room {id}: epoch {epoch} is not its last any more"));
            }
            let answer = one(&client, history::ROOM, &[(&id, Type::TEXT)]).await?;
            answer.map(|answer| history::read_room(&answer)).transpose()
        };
        self.looked_up(within(LOOK_UP_WITHIN, read).await.flatten())
    }

    async fn expiry(self: &Rc<Self>, asked: &str) -> std::result::Result<Expiry, ChatError> {
        let asked: ExpiryAsk = serde_json::from_str(asked).map_err(|error| broken("expiry", json_fault(&error)))?;
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let ExpiryAsk { room_id, first_no, before_ms, keep_from, most } = asked;
        let (first, before, from, most) =
            (number(first_no), before_ms.map(number), keep_from.map(number), number(most));
        let arguments = [
            (&room_id as _, Type::TEXT),
            (&first as _, Type::INT8),
            (&before as _, Type::INT8),
            (&from as _, Type::INT8),
            (&most as _, Type::INT8),
        ];
        let read = async {
            let client = self.client(CONNECT_WITHIN).await?;
            let answer = one(&client, history::EXPIRY, &arguments).await?;
            serde_json::from_str(&answer.unwrap_or_default()).map_err(|error| json_fault(&error))
        };
        self.looked_up(within(STATEMENT_WITHIN, read).await.flatten())
    }

    /// One call of an erasure. What PostgreSQL says of a fault may repeat what stands in a row: its code is enough.
    async fn erase(self: &Rc<Self>, call: String) -> std::result::Result<Box<RawValue>, ChatError> {
        let asked = async {
            let client = self.client(CONNECT_WITHIN).await?;
            one(&client, ERASE, &[(&call, Type::TEXT)]).await
        };
        let answer = within(STATEMENT_WITHIN, asked).await.flatten();
        if answer.is_err() {
            self.client.borrow_mut().take();
        }
        self.release_when_idle();
        answer.map(|answer| raw(answer.unwrap_or_else(|| "null".into()))).map_err(|error| {
            let code: String = error.chars().take(5).collect();
            log::error(&[("drain", &self.name())], format_args!("drain: erasure: {code}"));
            let message = "PostgreSQL cannot be reached now; try again in a moment.";
            ChatError::new(ErrorCode::Unavailable, message).retry_after(3_000)
        })
    }

    fn looked_up<T>(self: &Rc<Self>, found: std::result::Result<T, String>) -> std::result::Result<T, ChatError> {
        if found.is_err() {
            self.client.borrow_mut().take();
        }
        self.release_when_idle();
        found.map_err(|error| {
            log::error(&[("drain", &self.name())], format_args!("drain: {error}"));
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
            connecting: RefCell::default(),
            failures: Cell::new(0),
            rest_until: Cell::new(0),
            waiting: RefCell::default(),
            held: Cell::new(0),
            running: Cell::new(false),
            used: Cell::new(0),
            bridge: Rc::default(),
            poster: Poster::default(),
            reports: Rc::default(),
            totals: RefCell::new(Totals::new(now())),
        };
        Self { inner: Rc::new(inner) }
    }

    async fn fetch(&self, mut req: Request) -> Result<Response> {
        let room = self.inner.count(&req);
        match req.path().as_str() {
            DRAIN_APPLY => {
                let batch = req.text().await?;
                let applied = self.inner.apply(batch).await;
                self.inner.stands(room.as_deref(), Sink::Postgres, &applied);
                answered(applied)
            }
            DRAIN_BRIDGE => {
                let batch = req.text().await?;
                let Inner { state, env, bridge, .. } = self.inner.as_ref();
                let applied = bridge.append(state, env, batch).await;
                self.inner.stands(room.as_deref(), Sink::Redis, &applied);
                answered(applied)
            }
            DRAIN_WEBHOOK => {
                let delivery: Delivery = req.json().await?;
                let delivered = self.inner.poster.post(&self.inner.env, &delivery).await;
                if let Ok(Delivered::Taken) = &delivered {
                    let taken = Ok(Applied::Cursor { epoch: delivery.epoch, seq: delivery.to });
                    self.inner.stands(room.as_deref(), Sink::Webhook, &taken);
                }
                answered(delivered)
            }
            DRAIN_METRICS => {
                let queued = [self.inner.held.get(), self.inner.bridge.held()];
                let queued = queued.map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX));
                let mut state = self.inner.totals.borrow_mut().state(now(), queued);
                state.webhook_queued = u64::try_from(self.inner.poster.held()).unwrap_or(u64::MAX);
                answered(Ok(state))
            }
            DRAIN_PRESENCE => {
                let report = req.text().await?;
                answered(self.inner.presence(report))
            }
            DRAIN_EXPIRY => {
                let asked = req.text().await?;
                answered(self.inner.expiry(&asked).await)
            }
            DRAIN_ERASE => {
                let call = req.text().await?;
                answered(self.inner.erase(call).await)
            }
            DRAIN_EPOCH => answered(async { self.inner.epoch(&in_query::<String>(&req, "room")?).await }.await),
            DRAIN_ROOM => {
                let asked = async {
                    let (id, epoch): (String, u64) = (in_query(&req, "room")?, in_query(&req, "epoch")?);
                    self.inner.room(&id, epoch).await
                };
                answered(asked.await)
            }
            _ => Response::error("no such call", 404),
        }
    }
}
