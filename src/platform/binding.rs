//! What the platform has and the `worker` crate does not bind.

use super::log;
use super::util::now;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::State;

#[wasm_bindgen]
extern "C" {
    /// A WebSocket that takes a string which is JavaScript's already, so that a broadcast converts it once.
    pub(super) type RawSocket;
    #[wasm_bindgen(method, catch, js_name = send)]
    pub(super) fn send_js(this: &RawSocket, text: &JsValue) -> Result<(), JsValue>;

    /// A Durable Object's context.
    pub(super) type RawState;
    #[wasm_bindgen(method, getter)]
    pub(super) fn storage(this: &RawState) -> RawStorage;
    #[wasm_bindgen(method, getter, js_name = abort)]
    fn abort_function(this: &RawState) -> js_sys::Function;
    // Not the platform's: a mark of our own.
    #[wasm_bindgen(method, getter, js_name = alarmRuns)]
    fn alarm_mark(this: &RawState) -> JsValue;
    #[wasm_bindgen(method, setter, js_name = alarmRuns)]
    fn mark_alarm(this: &RawState, runs: bool);
    #[wasm_bindgen(method, catch, js_name = getWebSocketAutoResponseTimestamp)]
    fn auto_response_at(this: &RawState, socket: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(f: &js_sys::Function, ms: i32) -> JsValue;

    /// Its storage.
    pub(super) type RawStorage;
    #[wasm_bindgen(method, getter)]
    pub(super) fn sql(this: &RawStorage) -> RawSql;
    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(this: &RawStorage, step: &mut dyn FnMut()) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = setAlarm)]
    fn set_alarm_at(this: &RawStorage, ms: f64) -> Result<JsValue, JsValue>;

    /// Its SQLite.
    pub(super) type RawSql;
    /// Bytes. The crate's own gives a `usize`, which ends at 4 GiB here.
    #[wasm_bindgen(method, getter, js_name = databaseSize)]
    pub(super) fn database_size(this: &RawSql) -> f64;
}

/// A second handle on the state, for what [`State`] does not bind; the first goes on to work.
pub(super) fn split(state: State) -> (State, RawState) {
    let inner: JsValue = state._inner().into();
    let raw: RawState = inner.clone().unchecked_into();
    (State::from(inner.unchecked_into::<worker_sys::DurableObjectState>()), raw)
}

impl RawState {
    /// Ends this object, so that the next event finds it rebuilt from its storage. From a zero timer: called with
    /// wasm on the stack it would leave the isolate's task queue locked for ever.
    pub(super) fn abort_soon(&self) {
        set_timeout(&self.abort_function().bind0(self), 0);
    }

    /// Marks an alarm as running, until the result is dropped. The mark is on JavaScript's side: a trap anywhere in the
    /// isolate takes all of the wasm's memory, and leaves the promise of each alarm under way open for ever.
    pub(super) fn alarm_runs(&self) -> AlarmRuns<'_> {
        self.mark_alarm(true);
        AlarmRuns(self)
    }

    /// To be called for an object built anew: where its alarm began in a wasm instance that is gone, ends it, since the
    /// platform calls no other alarm before that one has ended; then it calls it again.
    pub(super) fn end_lost_alarm(&self) {
        if self.alarm_mark().is_truthy() {
            log::error(&[], "an alarm was lost with its wasm instance: this object begins anew");
            self.abort_soon();
        }
    }

    /// When the platform itself last answered a ping of this socket, ms since 1970; none where it never did.
    pub(super) fn pinged_at(&self, socket: &worker::WebSocket) -> Option<u64> {
        let at = self.auto_response_at(socket.as_ref()).ok()?.dyn_into::<js_sys::Date>().ok()?.get_time();
        Some(at as u64)
    }

    /// Arms the one alarm for `ms` since 1970. The promise is not awaited: the write is in order with all others.
    ///
    /// Where that time is over it is the next millisecond: a handler that sets the very time for which it was called
    /// changes nothing of what is stored, so the platform takes it for done and never calls it again (workerd's
    /// `ActorSqlite::setAlarm`; a time that is over counts as the present there).
    pub(super) fn set_alarm(&self, ms: u64) {
        // Nor is it one beyond what JavaScript holds exactly.
        let ms = ms.max(now() + 1).min(u64::MAX >> 11);
        if let Err(error) = self.storage().set_alarm_at(ms as f64) {
            log::error(&[], format_args!("alarm: {error:?}"));
        }
    }

    /// Runs `step` in one transaction: an error from it rolls back what it wrote.
    pub(super) fn transaction(&self, mut step: impl FnMut() -> worker::Result<()>) -> Result<(), String> {
        let mut run = || {
            if let Err(error) = step() {
                wasm_bindgen::throw_str(&error.to_string());
            }
        };
        self.storage().transaction_sync(&mut run).map(|_| ()).map_err(|error| format!("{error:?}"))
    }
}

/// An alarm that runs, see [`RawState::alarm_runs`].
pub(super) struct AlarmRuns<'a>(&'a RawState);

impl Drop for AlarmRuns<'_> {
    fn drop(&mut self) {
        self.0.mark_alarm(false);
    }
}
