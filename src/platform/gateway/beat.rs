//! A gateway's time: one alarm for the heartbeat of all sessions, for handshakes that stop half way, for rooms' deadlines.

use super::super::util::now;
use super::Inner;
use super::part::Part;
use crate::protocol::wire::json;
use crate::socketio::{Beat, Closed, PING_INTERVAL, RECOVER_WITHIN};
use std::rc::Rc;
use std::time::Duration;
use worker::Delay;

/// How often it is looked whether those who have to prove that they read have answered, ms.
const PONGS_EVERY: u64 = 1_000;
/// Nothing was shown for so long, ms.
const MARKS_AFTER: u64 = 1_000;

impl Inner {
    /// A deadline of a session under way.
    pub(super) fn watch(&self, at: u64) {
        if self.watch.get() == 0 || at < self.watch.get() {
            self.watch.set(at);
        }
    }

    /// Sessions that ended are to be forgotten, the first of which did at that time, ms.
    pub(super) fn sweeps_after(&self, first: Option<u64>) {
        // Nobody waits for it to the millisecond.
        self.sweep.set(first.map_or(0, |first| first + RECOVER_WITHIN + 1));
    }

    pub(super) fn arm(&self) {
        let beat = (!self.sessions.borrow().is_empty()).then(|| (self.beat.get() + PING_INTERVAL).max(now()));
        let others = [self.watch.get(), self.sweep.get(), self.due.get()].into_iter().filter(|at| *at > 0);
        let Some(at) = beat.into_iter().chain(others).min() else { return };
        if self.alarm.get() == 0 || at < self.alarm.get() {
            self.alarm.set(at);
            if !self.handling.get() {
                self.raw.set_alarm(at);
            }
        }
    }

    pub(super) fn rings(self: &Rc<Self>) {
        let _runs = self.raw.alarm_runs();
        self.alarm.set(0);
        self.handling.set(true);
        let at = now();
        if self.load().is_ok() {
            self.beats(at);
            self.watches(at);
            if self.sweep.get() > 0 && self.sweep.get() <= at {
                let first = self.kept.sweep(at.saturating_sub(RECOVER_WITHIN));
                self.sweeps_after(first.unwrap_or(Some(at)));
            }
            self.ticks(at);
            self.settle();
            self.handling.set(false);
            if self.alarm.get() > 0 {
                self.raw.set_alarm(self.alarm.get());
            }
        } else {
            // A handler that forgets to come back is not called again.
            self.handling.set(false);
            self.raw.set_alarm(at + PING_INTERVAL);
        }
    }

    /// Calls the parts whose time it is.
    fn ticks(self: &Rc<Self>, at: u64) {
        if self.due.get() == 0 || self.due.get() > at {
            return;
        }
        let due = |part: &&Rc<Part>| part.due.get() > 0 && part.due.get() <= at;
        let due: Vec<_> = self.parts.borrow().values().filter(due).cloned().collect();
        for part in due {
            part.due.set(0);
            self.step(&part, |host, at| ((), host.tick(at)));
        }
        let due = self.parts.borrow().values().map(|part| part.due.get()).filter(|due| *due > 0).min();
        self.due.set(due.unwrap_or_default());
    }

    /// Pings all sessions, where it is time, and ends those that did not answer the last time.
    fn beats(&self, at: u64) {
        if self.sessions.borrow().is_empty() || at < self.beat.get() + PING_INTERVAL {
            return;
        }
        self.beats_from(at);
        self.hear_pongs();
        for entry in self.sessions.borrow().values() {
            let beat = entry.session.borrow_mut().beat(at);
            match beat {
                Beat::Ping => entry.say("2"),
                Beat::End(closed) => entry.end(closed),
            }
        }
    }

    pub(super) fn beats_from(&self, at: u64) {
        self.beat.set(at);
        self.written(self.kept.set_beat(at));
    }

    fn hear_pongs(&self) {
        for entry in self.sessions.borrow().values() {
            let at = entry.socket.borrow().as_ref().and_then(|socket| self.raw.pinged_at(socket));
            if let Some(at) = at {
                entry.session.borrow_mut().ponged(at);
            }
        }
    }

    /// Ends handshakes, and changes of transport, that take too long.
    fn watches(&self, at: u64) {
        if self.watch.get() == 0 || self.watch.get() > at {
            return;
        }
        self.watch.set(0);
        for entry in self.sessions.borrow().values() {
            if entry.session.borrow().is_late(at) {
                entry.end(Closed::Late);
                continue;
            }
            if entry.session.borrow().is_slow_to_change(at) {
                self.stays(entry);
            }
            if let Some(due) = entry.session.borrow().due() {
                self.watch(due);
            }
        }
    }

    /// Keeps how far sessions were shown their rooms, beside their WebSockets, once nothing has happened for a while:
    /// this object does not sleep before.
    pub(super) fn keep_marks(self: &Rc<Self>) {
        if self.marks.replace(true) {
            return;
        }
        let inner = self.clone();
        self.state.wait_until(async move {
            while inner.flags.shown.replace(false) {
                Delay::from(Duration::from_millis(MARKS_AFTER)).await;
            }
            inner.marks.set(false);
            for entry in inner.sessions.borrow().values().filter(|entry| entry.take_shown()) {
                if let Some(socket) = &*entry.socket.borrow() {
                    let _ = socket.serialize_attachment(json(&entry.full_mark()));
                }
            }
        });
    }

    /// Looks in a moment, and as long as somebody has to prove that they read, whether they did.
    pub(super) fn watch_pongs(self: &Rc<Self>) {
        if self.pongs.replace(true) {
            return;
        }
        let inner = self.clone();
        self.state.wait_until(async move {
            Delay::from(Duration::from_millis(PONGS_EVERY)).await;
            inner.pongs.set(false);
            inner.hear_pongs();
            let asked: Vec<_> = inner.sessions.borrow().values().cloned().collect();
            for entry in asked {
                let proved = entry.session.borrow_mut().proved(false);
                inner.prove(&entry, proved);
                if entry.session.borrow().is_asked() {
                    inner.flags.asked.set(true);
                }
            }
            inner.settle();
        });
    }
}
