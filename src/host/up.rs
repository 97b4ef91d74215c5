//! What a follower hands up to its room: its viewers' commands, who is here, and what was counted; and what comes down.

use super::frames::refusal;
use super::{Effects, Host, Moment};
use crate::audience::SocketId;
use crate::auth::Identity;
use crate::content;
use crate::protocol::call::{Ask, Caller, RoomCall, VERSION};
use crate::protocol::shard::{Command, Down, Up};
use crate::protocol::wire;
use crate::protocol::{ChatError, ErrorCode, FrameId};
use crate::room::{Present as _, Room};
use std::collections::VecDeque;

/// Commands that wait for the room at most, of all, of one socket and of a back end's, which may say a thousand things a
/// second; and how many go up at once, with how many bytes of text.
const MOST_WAITING: usize = 2_000;
const MOST_OF_ONE: usize = 32;
const MOST_OF_BACK_END: usize = 1_000;
const AT_ONCE: usize = 64;
const BYTES_AT_ONCE: usize = 128 << 10;
/// How often the room is told who is here, where it is not asked, ms.
const CROWD_EVERY: u64 = 2_000;
/// How often it is told what was counted, ms.
const METRICS_EVERY: u64 = 10_000;
/// After a call that it did not answer it is asked again in so many ms.
const AGAIN: u64 = 30_000;

/// A viewer's command that is to go up.
#[derive(Debug)]
pub(super) struct Waiting {
    socket: SocketId,
    id: Option<FrameId>,
    command: Command,
    bytes: usize,
}

impl Host {
    /// As often as it looks after dead sockets a follower asks its room: one that lost its storage tells nobody of its new
    /// epoch unless it is asked.
    pub(super) fn ask_room(&mut self) {
        let last = self.room.as_ref().map_or(0, Room::last_at);
        if let Some(following) = &mut self.following {
            let look = self.audience.next_look(last, following.ticked_at);
            following.asks |= look.is_some_and(|at| at <= self.now);
            following.ticked_at = self.now;
        }
    }

    /// The next that goes up, if nothing is on its way; then [`Host::came_down`].
    pub fn next_up(&mut self, at: &Moment<'_>) -> Option<Up> {
        self.begin(at);
        if !self.has_up() {
            return None;
        }
        let (now, metrics) = (self.now, self.take_metrics());
        let following = self.following.as_mut()?;
        (following.counted, following.counted_at) = (metrics.clone(), now);
        let (mut commands, mut bytes) = (Vec::new(), 0);
        while commands.len() < AT_ONCE && bytes < BYTES_AT_ONCE {
            let Some(waiting) = following.queue.pop_front() else { break };
            bytes += waiting.bytes;
            commands.push(waiting.command);
            following.in_flight.push((waiting.socket, waiting.id));
        }
        following.asking = true;
        let (from, shape, glimpses) = (following.me, following.shape, std::mem::take(&mut following.glimpses));
        let crowd = self.tell_crowd();
        Some(Up { v: VERSION, from, shape, crowd, commands, glimpses, metrics })
    }

    /// What the room answered, or that it did not: then nobody knows what became of the commands, and whoever repeats
    /// one under its `client_id` gets the first reply.
    pub fn came_down(&mut self, at: &Moment<'_>, down: Result<Down, ChatError>) -> Effects {
        let mut effects = self.begin(at);
        let Some(following) = &mut self.following else { return self.finish(effects) };
        following.asking = false;
        let asked = std::mem::take(&mut following.in_flight);
        let counted = std::mem::take(&mut following.counted);
        following.asks = down.is_err();
        let mut answers: VecDeque<_> = match down {
            Ok(down) => {
                following.is_known = true;
                self.reshaped(down.shape, Some(down.totals));
                down.answers.into()
            }
            Err(error) => {
                self.merge_metrics(&counted);
                asked.iter().map(|_| Err(error.clone())).collect()
            }
        };
        for (socket, id) in asked {
            let answer = answers.pop_front().unwrap_or_else(|| {
                let message = "The room did not answer; try again in a moment.";
                Err(ChatError::new(ErrorCode::Unavailable, message).retry_after(1_000))
            });
            if self.audience.attachment(socket).is_none() {
                continue;
            }
            match (answer, id) {
                (Ok(data), Some(id)) => self.send(socket, wire::reply(&id, &data), &mut effects),
                (Ok(_), None) => {}
                (Err(error), id) => {
                    self.send(socket, refusal(id.as_ref(), &error), &mut effects);
                    self.count_refusal(socket, &error, &mut effects);
                }
            }
        }
        self.finish(effects)
    }

    /// The room did not answer, and without it a viewer cannot be served.
    pub(super) fn unanswered() -> ChatError {
        let message = "The room does not answer now; try again in a moment.";
        ChatError::new(ErrorCode::Unavailable, message).retry_after(1_000)
    }

    /// Hands a viewer's command up.
    ///
    /// # Errors
    /// `overloaded` where too many wait.
    pub(super) fn hand_up(&mut self, socket: SocketId, id: Option<FrameId>, ask: Ask) -> Result<(), ChatError> {
        let identity = self.audience.attachment(socket).and_then(|attachment| attachment.identity.clone());
        if identity.is_none() {
            let message = "Sign in to do this; without a token one can only read.";
            return Err(ChatError::new(ErrorCode::TokenRequired, message));
        }
        let Some(following) = &self.following else { return Ok(()) };
        let own = following.queue.iter().filter(|waiting| waiting.socket == socket).count();
        let is_back_end = identity.as_ref().is_some_and(Identity::is_back_end);
        let most = if is_back_end { MOST_OF_BACK_END } else { MOST_OF_ONE };
        if following.queue.len() >= MOST_WAITING || own >= most {
            let message = "More is said in this room than it can take; try again in a moment.";
            return Err(ChatError::new(ErrorCode::Overloaded, message).retry_after(1_000));
        }
        let mut present = Vec::new();
        let mut bytes = 200;
        if let Ask::Edit { content, .. } = &ask {
            bytes += content.len();
        }
        if let Ask::Send(body) = &ask {
            bytes += body.content.len() + body.metadata.as_ref().map_or(0, |metadata| metadata.to_string().len());
            present.extend(body.mentions.iter().take(20).filter_map(|id| self.audience.by_id(id)));
            present.extend(content::mention_names(&body.content).iter().flat_map(|name| self.audience.by_name(name)));
        }
        let Some(following) = &mut self.following else { return Ok(()) };
        let caller = Caller { identity, ..Caller::default() };
        let command = Command { call: RoomCall { v: VERSION, caller, ask }, present };
        following.queue.push_back(Waiting { socket, id, command, bytes });
        Ok(())
    }

    /// What a socket wanted that is closed against its will does not go up any more.
    pub(super) fn drop_queued(&mut self, socket: SocketId) {
        if let Some(following) = &mut self.following {
            following.queue.retain(|waiting| waiting.socket != socket);
        }
    }

    /// Whether something is to go up now.
    pub(super) fn has_up(&self) -> bool {
        self.following.as_ref().is_some_and(|following| {
            let waits = !following.queue.is_empty() || !following.glimpses.is_empty();
            !following.asking && (waits || self.tells_at().is_some_and(|at| at <= self.now))
        })
    }

    /// When the room is to be told who is here and what was counted, or to be asked, ms.
    fn tells_at(&self) -> Option<u64> {
        let following = self.following.as_ref().filter(|following| !following.asking)?;
        let crowd = (following.crowd != following.told).then(|| following.told_at.saturating_add(CROWD_EVERY));
        let counted = self.has_metrics().then(|| following.counted_at.saturating_add(METRICS_EVERY));
        let asks = following.asks && following.crowd.sockets > 0;
        let again = asks.then(|| following.told_at.saturating_add(AGAIN));
        crowd.into_iter().chain(counted).chain(again).min()
    }

    /// When something is to be done for the room soon, ms.
    pub(super) fn follows_soon(&self) -> Option<u64> {
        let moving = match &self.following {
            Some(following) => following.moving.then_some(following.move_at),
            None => self.spread.moving.then_some(self.spread.move_at),
        };
        moving.map(|at| at.max(self.now + 1)).into_iter().chain(self.tells_at()).min()
    }
}
