//! What a step asks for, once it is written: frames, closings, calls, timers.

use super::super::binding::RawSocket;
use super::super::util::now;
use super::super::{drain_link, log, user_link};
use super::{CLOSED, Inner};
use crate::audience::{Out, SocketId, To, gather};
use crate::host::Effects;
use std::rc::Rc;
use std::time::Duration;
use wasm_bindgen::{JsCast, JsValue};
use worker::{Delay, WebSocket};

impl Inner {
    /// A line about this room, and about a socket where it is not 0.
    fn log(&self, socket: SocketId, msg: std::fmt::Arguments<'_>) {
        let room = self.name();
        let socket = if socket == 0 { String::new() } else { socket.to_string() };
        log::error(&[("room", &room), ("socket", &socket)], format_args!("room {room}: {msg}"));
    }

    /// Does it, in order.
    pub(super) fn carry_out(self: &Rc<Self>, effects: Effects) {
        for fault in &effects.faults {
            self.log(self.speaks.get(), format_args!("{fault}"));
        }
        for out in gather(effects.out) {
            match out {
                Out::Send(to, line) => {
                    let line = JsValue::from_str(&line);
                    let sockets = self.sockets.borrow();
                    match to {
                        To::One(id) => send(sockets.get(&id), &line),
                        To::Many(ids) => ids.iter().for_each(|id| send(sockets.get(id), &line)),
                    }
                }
                Out::Close(id, code, reason) => {
                    let socket = self.sockets.borrow_mut().remove(&id);
                    if let Some(socket) = socket {
                        self.numbers.delete(socket.as_ref());
                        self.behind.borrow_mut().remove(&id);
                        let _ = socket.serialize_attachment(CLOSED);
                        let _ = socket.close(Some(code), Some(reason));
                    }
                }
                Out::Attach(id, attachment) => {
                    if let Some(socket) = self.sockets.borrow().get(&id)
                        && let Err(error) = socket.serialize_attachment(attachment)
                    {
                        self.log(id, format_args!("attachment: {error}"));
                    }
                }
            }
        }
        if effects.broken {
            return self.end();
        }
        let _ = self.look(&effects.look);
        if let Some(report) = effects.presence {
            let inner = self.clone();
            self.state.wait_until(async move {
                let room = inner.name();
                let Some((ticket, metrics)) = inner.report_metrics() else { return };
                let arrived = drain_link::presence(&inner.env, &room, report, &metrics).await;
                inner.reported(ticket, arrived);
            });
        }
        for asked in effects.asks {
            let inner = self.clone();
            self.state.wait_until(async move {
                let answer = user_link::ask(&inner.env, &asked.user_id, &asked.call).await;
                let _ = inner.step(|host, at| ((), host.answered(at, asked, answer)));
            });
        }
        for (user_id, note) in effects.notes {
            let inner = self.clone();
            self.state.wait_until(async move { user_link::note(&inner.env, &user_id, note).await });
        }
        for user_id in effects.entered {
            let inner = self.clone();
            self.state.wait_until(async move {
                let standing = user_link::standing(&inner.env, &user_id, Some(inner.name())).await.ok();
                let _ = inner.step(|host, at| ((), host.entered(at, &user_id, standing)));
            });
        }
        if effects.push {
            self.push();
        }
        if effects.up {
            self.up();
        }
        if let Some(at) = effects.alarm
            && (self.alarm.get() == 0 || at < self.alarm.get())
        {
            self.alarm.set(at);
            if !self.handling.get() {
                self.raw.set_alarm(at);
            }
        }
        if let Some(at) = effects.soon
            && (self.timer.get() == 0 || at < self.timer.get())
        {
            self.timer.set(at);
            let inner = self.clone();
            let wait = at.saturating_sub(now()).clamp(1, 10_000);
            self.state.wait_until(async move {
                Delay::from(Duration::from_millis(wait)).await;
                if inner.timer.get() == at {
                    inner.timer.set(0);
                    inner.others();
                    let _ = inner.step(|host, at| ((), host.tick(at)));
                }
            });
        }
    }
}

fn send(socket: Option<&WebSocket>, line: &JsValue) {
    if let Some(socket) = socket {
        let js: &worker::web_sys::WebSocket = socket.as_ref();
        // A socket that is gone says so by its close event.
        let _ = js.unchecked_ref::<RawSocket>().send_js(line);
    }
}
