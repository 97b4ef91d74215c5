//! Frames of a busy room: those that arrive close together are one step, one transaction, one row of the log.

use super::super::util::now;
use super::Inner;
use super::sockets::part;
use crate::audience::SocketId;
use crate::protocol::{ChatError, ClientFrame};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use worker::Delay;

/// How long a frame waits for others, and how many of them and how many bytes are one step at most.
const WITHIN: Duration = Duration::from_millis(5);
const FRAMES: usize = 64;
const BYTES: usize = 64 * 1024;

/// A frame as it was read.
pub(super) type Parsed = Result<ClientFrame, ChatError>;

/// What waits, in order of arrival.
#[derive(Default)]
pub(super) struct Queue {
    frames: Vec<(SocketId, Parsed)>,
    bytes: usize,
    /// A timer is on its way.
    timed: bool,
}

impl Inner {
    /// Whether this frame waits for others.
    pub(super) fn gathers(&self, parsed: &Parsed) -> bool {
        self.host.borrow().as_ref().is_some_and(|host| host.gathers(parsed, now()))
    }

    /// Puts a frame of so many bytes behind those that wait.
    pub(super) fn queue(self: &Rc<Self>, id: SocketId, parsed: Parsed, bytes: usize) {
        let (full, timed) = {
            let mut queue = self.queue.borrow_mut();
            queue.frames.push((id, parsed));
            queue.bytes += bytes;
            (queue.frames.len() >= FRAMES || queue.bytes >= BYTES, std::mem::replace(&mut queue.timed, true))
        };
        if full {
            self.handle_queue();
        }
        if !timed {
            let inner = self.clone();
            self.state.wait_until(async move {
                Delay::from(WITHIN).await;
                inner.queue.borrow_mut().timed = false;
                inner.handle_queue();
            });
        }
    }

    /// Handles what waits where something of this socket is among it, which must not be overtaken.
    pub(super) fn handle_queue_of(self: &Rc<Self>, id: SocketId) {
        let waits = self.queue.borrow().frames.iter().any(|(of, _)| *of == id);
        if waits {
            self.handle_queue();
        }
    }

    /// Handles what waits.
    fn handle_queue(self: &Rc<Self>) {
        let frames = {
            let mut queue = self.queue.borrow_mut();
            queue.bytes = 0;
            std::mem::take(&mut queue.frames)
        };
        if frames.is_empty() {
            return;
        }
        let senders: BTreeSet<_> = frames.iter().map(|(id, _)| *id).collect();
        if let Err(error) = self.step(|host, at| ((), host.frames(at, frames))) {
            for id in senders {
                if let Some(socket) = self.sockets.borrow().get(&id) {
                    part(socket, &error, 1_000);
                }
            }
        }
    }
}
