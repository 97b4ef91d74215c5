//! From events to frames: each event is encoded once, each class of viewers gets one frame with its position.

use super::{Audience, Class, Out, To};
use crate::protocol::wire::{self, Line};
use crate::protocol::{Audience as SeenBy, LogEvent};
use crate::room::{Viewer, view};
use std::collections::VecDeque;
use std::rc::Rc;

/// At least so often, ms, a frame says where the log stands.
const POSITION_EVERY: u64 = 30_000;

/// How far one class of viewers has been shown the log.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    seq: u64,
    position_at: u64,
    /// Nothing was sent since the object was built anew.
    fresh: bool,
}

/// The follower that shows the log to viewers: moderators at once, others from `visible_at` on.
#[derive(Debug, Default)]
pub struct Fanout {
    epoch: u64,
    plain: Shown,
    moderators: Shown,
    waiting: VecDeque<LogEvent>,
}

impl Fanout {
    /// Viewers have seen everything up to `seq` before this object was built.
    pub fn begin(epoch: u64, seq: u64) -> Self {
        let shown = Shown { seq, position_at: 0, fresh: true };
        Self { epoch, plain: shown, moderators: shown, waiting: VecDeque::new() }
    }

    /// How far a viewer of this class has been shown the log.
    pub fn shown(&self, moderator: bool) -> u64 {
        if moderator { self.moderators.seq } else { self.plain.seq }
    }

    /// When events that wait become visible, ms.
    pub fn next(&self) -> Option<u64> {
        self.waiting.front().map(|event| event.visible_at)
    }

    /// Shows what was appended, and what has become visible since.
    pub fn show(
        &mut self,
        events: Vec<LogEvent>,
        room_id: &str,
        audience: &mut Audience,
        now: u64,
        out: &mut Vec<Out>,
    ) {
        let mut lines: Vec<(u64, Line)> = Vec::new();
        let mut line_of = |event: &LogEvent, viewer: Viewer<'_>| -> Option<Line> {
            let seen = view(event, viewer, now)?;
            if let Some((_, line)) = lines.iter().find(|(seq, _)| *seq == event.seq) {
                return Some(line.clone());
            }
            let line = seen.line(room_id);
            lines.push((event.seq, line.clone()));
            Some(line)
        };
        let appended = events.len();
        self.waiting.extend(events);
        let ready = self.waiting.iter().take_while(|event| event.visible_at <= now).count();
        let new = self.waiting.len() - appended.min(self.waiting.len());

        // One user's own event goes to that user's sockets ahead of the shared frame.
        for event in self.waiting.iter().take(ready) {
            if let SeenBy::User(user) = &event.audience {
                let viewer = Viewer { user_id: Some(user), ..Viewer::PLAIN };
                if let Some(line) = line_of(event, viewer) {
                    let at = wire::position(self.epoch, self.plain.seq, event.seq);
                    out.push(Out::Send(To::Many(audience.list_of(user)), format!("{at}\n{line}").into()));
                }
            }
        }
        let plain: Vec<_> =
            self.waiting.iter().take(ready).filter_map(|e| Some((e.seq, line_of(e, Viewer::PLAIN)?))).collect();
        let moderators: Vec<_> =
            self.waiting.iter().skip(new).filter_map(|e| Some((e.seq, line_of(e, Viewer::MODERATOR)?))).collect();
        let plain_to = ready.checked_sub(1).and_then(|last| self.waiting.get(last)).map(|event| event.seq);
        let moderators_to = self.waiting.back().filter(|_| appended > 0).map(|event| event.seq);
        let plain = self.plain.frame(self.epoch, plain, plain_to, now);
        let moderators = self.moderators.frame(self.epoch, moderators, moderators_to, now);
        self.waiting.drain(..ready);
        match (plain, moderators) {
            (Some(plain), Some(moderators)) if plain == moderators => {
                out.push(Out::Send(To::Many(audience.list(Class::All)), plain));
            }
            (plain, moderators) => {
                for (frame, class) in [(plain, Class::Plain), (moderators, Class::Moderators)] {
                    let Some(frame) = frame else { continue };
                    let list = audience.list(class);
                    if !list.is_empty() {
                        out.push(Out::Send(To::Many(list), frame));
                    }
                }
            }
        }
    }
}

impl Shown {
    /// The frame for lines up to `to`, with a position where it is not simply the next event.
    fn frame(&mut self, epoch: u64, lines: Vec<(u64, Line)>, to: Option<u64>, now: u64) -> Option<Line> {
        let to = to?;
        let from = self.seq;
        let first = lines.first()?.0;
        let consecutive = lines.iter().zip(from + 1..).all(|((seq, _), next)| *seq == next);
        let due = self.position_at.saturating_add(POSITION_EVERY) <= now;
        let ends = lines.last().is_some_and(|(seq, _)| *seq == to);
        let bare = consecutive && ends && !self.fresh && !due && first == from + 1;
        self.seq = to;
        if bare && let [(_, line)] = lines.as_slice() {
            return Some(line.clone());
        }
        let mut frame = String::new();
        if !bare {
            self.position_at = now;
            self.fresh = false;
            frame.push_str(&wire::position(epoch, from, to));
        }
        for (_, line) in &lines {
            if !frame.is_empty() {
                frame.push('\n');
            }
            frame.push_str(line);
        }
        Some(Rc::from(frame))
    }
}
