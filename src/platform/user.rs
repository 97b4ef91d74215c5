//! The user's object: storage, alarm and calls around [`user::User`].

use super::binding::{RawState, split};
use super::room::{answered, broken};
use super::room_link;
use super::shape::upgrade;
use super::util::{entropy, now};
use super::{drain_link, inbox, log, user_link};
use crate::protocol::call::{
    BackupAsk, BackupCall, USER_BACKUP, USER_CALL, USER_COMES, USER_MAKES_ROOM, USER_OPENS_DIRECT, USER_SOCKET,
    UserAsk, UserCall, VERSION,
};
use crate::protocol::device::{KeptBackup, KeyBackup};
use crate::protocol::wire::{json, raw, raw_json};
use crate::protocol::{ChatError, ErrorCode, Rate, json_fault, rfc3339};
use crate::room::{KEY_SHAPE, Upgrade, Window};
use crate::sinks::Sink;
use crate::user::{self, Step};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use worker::*;

/// Rooms that a user may make an hour, and new direct rooms.
const ROOMS: Rate = Rate { messages: 10, window_ms: 3_600_000 };
const ROOMS_MADE: &str = "rooms_made";
const DIRECTS: Rate = Rate { messages: 20, window_ms: 3_600_000 };
const DIRECTS_OPENED: &str = "directs_opened";
const BACKUP: &str = "key_backup";
const TABLE: &str = "CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";
/// What brings a storage from that, shape 1, to the shapes after it.
const UPGRADES: &[Upgrade] = &[];
const SET: &str = "INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";

const CLEAR: &str =
    "DELETE FROM state WHERE key NOT IN ('about', 'out:last', 'devices', 'shape') AND substr(key, 1, 6) <> 'erase:'";

/// A user, in all rooms.
#[durable_object]
pub struct User {
    inner: Rc<Inner>,
}

pub(super) struct Inner {
    pub(super) state: State,
    raw: RawState,
    pub(super) env: Env,
    pub(super) user: RefCell<Option<user::User>>,
    alarm: Cell<u64>,
    /// The alarm's handler runs: what is to be set meanwhile is set at its end.
    handling: Cell<bool>,
    /// The platform is about to end this object.
    ended: Cell<bool>,
    /// An erasure is being gone on with.
    pub(super) erasing: Cell<bool>,
}

impl Inner {
    pub(super) fn id(&self) -> String {
        self.state.id().name().unwrap_or_default()
    }

    fn load(&self) -> std::result::Result<(), ChatError> {
        #[derive(Deserialize)]
        struct Pair {
            key: String,
            value: String,
        }
        if self.ended.get() {
            let message = "This user's object begins anew; try again in a moment.";
            return Err(ChatError::new(ErrorCode::Unavailable, message).retry_after(1_000));
        }
        if self.user.borrow().is_some() {
            return Ok(());
        }
        let sql = self.state.storage().sql();
        let read = || sql.exec("SELECT key, value FROM state", None).and_then(|rows| rows.to_array());
        // Nothing is written to what a newer version stored, so the table is made only where there is none to read.
        let made = || sql.exec(TABLE, None).and_then(|_| read());
        let mut rows: Vec<Pair> = read().or_else(|_| made()).map_err(|e| broken("user", e))?;
        let found = rows.iter().find(|pair| pair.key == KEY_SHAPE).map(|pair| pair.value.clone());
        if upgrade((&sql, &self.raw), found.as_deref(), UPGRADES, SET).map_err(|e| broken("user", e))? {
            rows = read().map_err(|e| broken("user", e))?;
        }
        let state = rows.into_iter().map(|pair| (pair.key, pair.value)).collect();
        *self.user.borrow_mut() = Some(user::User::load(self.id(), state, now()).map_err(|e| broken("user", e))?);
        Ok(())
    }

    /// One step: computed and written.
    pub(super) fn step<T>(
        self: &Rc<Self>,
        step: impl FnOnce(&mut user::User, u64) -> (T, Step),
    ) -> std::result::Result<T, ChatError> {
        self.load()?;
        let (value, Step { write, alarm, say, tell }) = {
            let mut user = self.user.borrow_mut();
            let Some(user) = user.as_mut() else { return Err(broken("user", "nobody is loaded")) };
            step(user, now())
        };
        if !write.is_empty()
            && let Err(error) = self.raw.transaction(|| self.write(&write))
        {
            // Memory is ahead of the storage now.
            self.ended.set(true);
            self.raw.abort_soon();
            return Err(broken("user", error));
        }
        self.say(&say);
        for (user_id, changed) in tell {
            let inner = self.clone();
            self.state.wait_until(async move {
                user_link::hint(&inner.env, &user_id, UserAsk::DevicesChanged(changed)).await;
            });
        }
        if let Some(at) = alarm.into_iter().chain(self.next_end()).min()
            && (self.alarm.get() == 0 || at < self.alarm.get())
        {
            self.alarm.set(at);
            if !self.handling.get() {
                self.raw.set_alarm(at);
            }
        }
        Ok(value)
    }

    fn write(&self, write: &[(String, Option<String>)]) -> Result<()> {
        let sql = self.state.storage().sql();
        for (key, value) in write {
            match value {
                Some(value) => sql.exec(SET, vec![key.as_str().into(), value.as_str().into()])?,
                None => sql.exec("DELETE FROM state WHERE key = ?", vec![key.as_str().into()])?,
            };
        }
        Ok(())
    }

    async fn call(self: &Rc<Self>, req: &mut Request) -> std::result::Result<Box<RawValue>, ChatError> {
        let body = req.text().await.map_err(|e| broken("call", e))?;
        let call: UserCall = serde_json::from_str(&body).map_err(|e| broken("call", e))?;
        let erases = matches!(call.ask, UserAsk::Erase { .. });
        let signs_out = erases || matches!(call.ask, UserAsk::SignOut(_));
        let answer = self.step(|user, now| user.call(call, now))?;
        if signs_out {
            self.review();
        }
        self.push();
        if erases {
            let inner = self.clone();
            self.state.wait_until(async move { inner.erase().await });
        }
        answer
    }

    /// Tells the rooms that have to hear of a change, each by itself, once the call that made it is answered.
    fn push(self: &Rc<Self>) {
        let due = self.step(|user, now| (user.pushes(now), user.rest(now))).unwrap_or_default();
        for (room, standing) in due {
            let inner = self.clone();
            self.state.wait_until(async move {
                Delay::from(Duration::ZERO).await;
                let version = standing.version;
                let heard = room_link::tell(&inner.env, &room, inner.id(), standing).await;
                let _ = inner.step(|user, now| ((), user.pushed(&room, version, heard, now)));
                inner.push();
            });
        }
    }

    /// Hands on what the user did, as far as PostgreSQL takes it now.
    async fn drain(self: &Rc<Self>) {
        while let Ok(Some(batch)) = self.step(|user, now| (user.batch(now), user.rest(now))) {
            let (drained, _) = drain_link::apply(&self.env, &self.id(), Sink::Postgres, batch, None).await;
            let [a, b, c, d, ..] = entropy();
            let random = u32::from_be_bytes([a, b, c, d]);
            if let Ok(Some(fault)) = self.step(|user, now| user.drained(drained, random, now)) {
                log::error(&[], format_args!("user: drain: {fault}"));
            }
        }
    }

    async fn rings(self: &Rc<Self>) {
        let _runs = self.raw.alarm_runs();
        self.handling.set(true);
        self.review();
        self.push();
        self.drain().await;
        self.erase().await;
        self.handling.set(false);
        self.alarm.set(0);
        // Where the storage cannot be read now: a handler that forgets to come back is not called again.
        if self.step(|user, now| ((), user.rest(now))).is_err() {
            self.raw.set_alarm(now() + 60_000);
        }
    }

    /// The backup of the user's keys stands apart from the state, which is read at each wake.
    async fn backup(self: &Rc<Self>, req: &mut Request) -> std::result::Result<Box<RawValue>, ChatError> {
        let body = req.text().await.map_err(|e| broken("call", e))?;
        let BackupCall { v: _, iat_ms, ask } =
            serde_json::from_str(&body).map_err(|e| broken("call", json_fault(&e)))?;
        let set = matches!(ask, BackupAsk::Set(_));
        let call = UserCall { v: VERSION, iat_ms, ask: UserAsk::Backup { set } };
        self.step(|user, now| user.call(call, now))??;
        let storage = self.state.storage();
        let none = || ChatError::new(ErrorCode::BackupNotFound, "You have no backup of your keys.");
        match ask {
            BackupAsk::Set(KeyBackup { data }) => {
                let kept = KeptBackup { data, updated_at: rfc3339(now()) };
                storage.put(BACKUP, json(&kept)).await.map_err(|e| broken("backup", e))?;
            }
            BackupAsk::Get => {
                let kept: Option<String> = storage.get(BACKUP).await.map_err(|e| broken("backup", e))?;
                return kept.map(raw).ok_or_else(none);
            }
            BackupAsk::Remove => {
                if !storage.delete(BACKUP).await.map_err(|e| broken("backup", e))? {
                    return Err(none());
                }
            }
        }
        Ok(raw_json(&()))
    }

    /// Forgets what the user has stored here, but when they signed out, how far this object has counted, and the erasure.
    pub(super) async fn clear(&self) -> Result<()> {
        let storage = self.state.storage();
        for key in [BACKUP, ROOMS_MADE, DIRECTS_OPENED] {
            storage.delete(key).await?;
        }
        storage.sql().exec(CLEAR, None)?;
        // What is in memory is read again.
        self.user.borrow_mut().take();
        Ok(())
    }

    async fn makes_room(&self, key: &str, rate: Rate) -> Result<Response> {
        if let Err(error) = self.load() {
            return answered(Err::<(), _>(error));
        }
        let stored: Option<String> = self.state.storage().get(key).await?;
        let mut made: Window = stored.and_then(|made| serde_json::from_str(&made).ok()).unwrap_or_default();
        let allowed = made.check(rate, now());
        if allowed.is_ok() {
            made.accepted(now());
            self.state.storage().put(key, json(&made)).await?;
        }
        answered(allowed)
    }
}

impl DurableObject for User {
    fn new(state: State, env: Env) -> Self {
        let (state, raw) = split(state);
        raw.end_lost_alarm();
        if let Ok(pair) = WebSocketRequestResponsePair::new(r#"{"event":"ping"}"#, r#"{"event":"pong"}"#) {
            state.set_websocket_auto_response(&pair);
        }
        Self {
            inner: Rc::new(Inner {
                state,
                raw,
                env,
                user: RefCell::default(),
                alarm: Cell::new(0),
                handling: Cell::new(false),
                ended: Cell::new(false),
                erasing: Cell::new(false),
            }),
        }
    }

    async fn fetch(&self, mut req: Request) -> Result<Response> {
        let path = req.path();
        if let Some(room) = path.strip_prefix(USER_COMES) {
            return answered(self.inner.step(|user, now| (user.comes(room, now), Step::default())));
        }
        match path.as_str() {
            USER_CALL => answered(self.inner.call(&mut req).await),
            USER_SOCKET => self.inner.opens(&req).or_else(inbox::refused),
            USER_BACKUP => answered(self.inner.backup(&mut req).await),
            USER_MAKES_ROOM => self.inner.makes_room(ROOMS_MADE, ROOMS).await,
            USER_OPENS_DIRECT => self.inner.makes_room(DIRECTS_OPENED, DIRECTS).await,
            _ => Response::error("no such call", 404),
        }
    }

    async fn websocket_message(&self, ws: WebSocket, message: WebSocketIncomingMessage) -> Result<()> {
        self.inner.frame(&ws, message);
        Ok(())
    }

    async fn websocket_close(&self, ws: WebSocket, _code: usize, _reason: String, clean: bool) -> Result<()> {
        if clean {
            // The runtime's own answer leaves no sooner than this object sleeps.
            let _ = ws.close(Some(1000), None::<&str>);
        }
        Ok(())
    }

    async fn websocket_error(&self, _ws: WebSocket, _error: Error) -> Result<()> {
        Ok(())
    }

    async fn alarm(&self) -> Result<Response> {
        self.inner.rings().await;
        Response::ok("")
    }
}
