//! What a step asks of the adapter.

use super::AskUser;
use crate::audience::{Out, SocketId};
use crate::protocol::UserId;
use crate::protocol::inbox::Note;
use crate::room::Write;

/// What a step asks of the adapter, in this order.
#[derive(Debug, Default)]
pub struct Effects {
    /// To be written in one transaction before anything else; may be empty.
    pub write: Write,
    /// Frames, closings and attachments, in order.
    pub out: Vec<Out>,
    /// For the operator's log: faults of ours.
    pub faults: Vec<String>,
    /// Frames that their senders' own objects answer.
    pub asks: Vec<AskUser>,
    /// Users who were let in: their own objects have to hear of it, and what they say goes to [`super::Host::entered`].
    pub entered: Vec<UserId>,
    /// Users whose objects hear that something was said for them; best effort.
    pub notes: Vec<(UserId, Note)>,
    /// Of these the platform has to say when they pinged last, to [`super::Host::look`].
    pub look: Vec<SocketId>,
    /// Who is here, for the drain: best effort, nothing waits for it.
    pub presence: Option<String>,
    /// A fault came after memory was changed, so that it may be ahead of the log: end the object.
    pub broken: bool,
    /// Followers have to be told: [`super::Host::next_pushes`].
    pub push: bool,
    /// The room has to be told: [`super::Host::next_up`].
    pub up: bool,
    /// When to call [`super::Host::tick`] again while awake, ms; may be lost with the memory.
    pub soon: Option<u64>,
    /// When to call [`super::Host::tick`] again even after sleep, ms.
    pub alarm: Option<u64>,
}

impl Effects {
    /// Adds those of a later step, so that both are one. A fault takes all of them away: nothing of it was written.
    pub fn absorb(&mut self, later: Self) {
        let Self { write, out, faults, asks, entered, notes, look, presence, broken, push, up, soon, alarm } = later;
        self.faults.extend(faults);
        if self.broken || broken {
            *self = Self { faults: std::mem::take(&mut self.faults), broken: true, ..Self::default() };
            return;
        }
        self.write.absorb(write);
        self.out.extend(out);
        self.asks.extend(asks);
        self.entered.extend(entered);
        self.notes.extend(notes);
        self.look.extend(look);
        self.presence = presence.or(self.presence.take());
        self.push |= push;
        self.up |= up;
        self.soon = self.soon.into_iter().chain(soon).min();
        self.alarm = self.alarm.into_iter().chain(alarm).min();
    }
}
