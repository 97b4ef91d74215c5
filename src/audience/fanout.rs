//! From events to frames: each event is encoded once, each class of viewers gets one frame with its position.

use super::pace::is_urgent;
use super::{Audience, Class, Out, SocketId, To};
use crate::auth::Role;
use crate::protocol::wire::{self, Line};
use crate::protocol::{Audience as SeenBy, LogEvent, UserId};
use crate::room::{Row, Viewer, view};
use crate::user::hash;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// At least so often, ms, a frame says where the log stands.
const POSITION_EVERY: u64 = 30_000;

/// How far one class of viewers has been shown the log.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    /// The position that they were told.
    seq: u64,
    /// Everything up to here was shown, also where there was nothing in it for them to see.
    upto: u64,
    position_at: u64,
    /// No event was sent since the object was built anew.
    fresh: bool,
}

/// The follower that shows the log to viewers: moderators at once, others from `visible_at` on, and in a hot room both
/// when what is gathered leaves.
#[derive(Debug, Default)]
pub struct Fanout {
    epoch: u64,
    plain: Shown,
    moderators: Shown,
    /// What those below moderator were not shown yet.
    waiting: VecDeque<LogEvent>,
    /// Up to here events count as frames that want to leave.
    counted: u64,
}

impl Fanout {
    /// Viewers have seen everything up to `seq` before this object was built, but those below moderator nothing of
    /// `waiting`, the log's last events.
    pub fn begin(epoch: u64, seq: u64, waiting: Vec<LogEvent>) -> Self {
        let moderators = Shown { seq, upto: seq, position_at: 0, fresh: true };
        let seen = waiting.first().map_or(seq, |event| event.seq.saturating_sub(1));
        let plain = Shown { seq: seen, upto: seen, ..moderators };
        Self { epoch, plain, moderators, waiting: waiting.into(), counted: seen }
    }

    /// How far a viewer of this class has been shown the log; what live frames bring begins after it.
    pub fn shown(&self, moderator: bool) -> u64 {
        if moderator { self.moderators.upto } else { self.plain.upto }
    }

    /// Events were changed in place, because what was said is gone: those that wait too.
    pub fn rewritten(&mut self, rows: &[Row]) {
        let Some(first) = self.waiting.front().map(|event| event.seq) else { return };
        for event in rows.iter().flat_map(|row| &row.events).filter(|event| event.seq >= first) {
            let waiting = self.waiting.iter_mut().find(|waiting| waiting.seq == event.seq);
            if let Some(waiting) = waiting {
                waiting.clone_from(event);
            }
        }
    }

    /// Where the log stands, for each class of viewers who were not told for a while.
    pub fn position(&mut self, now: u64) -> Vec<(Class, Line)> {
        let shown = [(Class::Plain, &mut self.plain), (Class::Moderators, &mut self.moderators)];
        let due: Vec<_> =
            shown.into_iter().filter_map(|(class, shown)| Some((class, shown.position(self.epoch, now)?))).collect();
        match due.as_slice() {
            [(_, plain), (_, moderators)] if plain == moderators => vec![(Class::All, plain.clone())],
            _ => due,
        }
    }

    /// When something that waits leaves, as it is seen at `now`, ms.
    pub fn next(&self, audience: &Audience, now: u64) -> Option<u64> {
        let visible = self.waiting.front()?.visible_at;
        let due = if self.waits_for_moderators() { 0 } else { visible };
        Some(due.max(audience.gathers_until(now).unwrap_or(0)))
    }

    fn waits_for_moderators(&self) -> bool {
        self.waiting.back().is_some_and(|last| last.seq > self.moderators.upto)
    }

    /// How many of those that wait may be seen by everyone at `now`.
    fn ready(&self, now: u64) -> usize {
        self.waiting.partition_point(|event| event.visible_at <= now)
    }

    /// Whether something could be shown at `now`, were it not gathered.
    pub fn holds(&self, now: u64) -> bool {
        self.waits_for_moderators() || self.ready(now) > 0
    }

    /// Takes what was appended. Whether something is to be shown now, be it for the first time or gathered for long
    /// enough; then [`Self::show`].
    pub fn take(&mut self, events: Vec<LogEvent>, audience: &mut Audience, now: u64) -> bool {
        let urgent = events.iter().any(|event| is_urgent(&event.body));
        self.waiting.extend(events);
        let ready = self.ready(now);
        let counted = self.waiting.partition_point(|event| event.seq <= self.counted);
        if let Some(last) = ready.checked_sub(1).and_then(|last| self.waiting.get(last)) {
            self.counted = self.counted.max(last.seq);
            audience.count_frames(ready.saturating_sub(counted), audience.socket_count(), now);
        }
        let due = || audience.gathers_until(now).is_none_or(|until| until <= now);
        self.holds(now) && (urgent || due())
    }

    /// Shows everything that may be seen by now, with `rider` as the last line of every frame. How many of the frames,
    /// the first ones, are for some viewers instead of the shared one.
    pub fn show(
        &mut self,
        room_id: &str,
        audience: &mut Audience,
        now: u64,
        rider: Option<&str>,
        out: &mut Vec<Out>,
    ) -> usize {
        let mut lines: BTreeMap<(u64, bool), Line> = BTreeMap::new();
        let mut line_of = |event: &LogEvent, viewer: Viewer<'_>| -> Option<Line> {
            let seen = view(event, viewer, now)?;
            Some(lines.entry(seen.variant()).or_insert_with(|| seen.line(room_id)).clone())
        };
        audience.events_left(now);
        let ready = self.ready(now);
        let new = self.waiting.partition_point(|event| event.seq <= self.moderators.upto);

        let plain_to = ready.checked_sub(1).and_then(|last| self.waiting.get(last)).map(|event| event.seq);
        // Whoever has an event of their own among these, or does not want to hear an author of one, gets a frame of
        // their own instead of the shared one.
        let mut own: BTreeSet<UserId> = BTreeSet::new();
        own.extend(self.waiting.iter().take(ready).filter_map(|event| match &event.audience {
            SeenBy::User(user) => Some(user.clone()),
            _ => None,
        }));
        if ready > 0 && audience.anybody_blocks() {
            let authors: BTreeSet<_> = self.waiting.iter().take(ready).filter_map(|e| e.body.author()).collect();
            let authors: Vec<_> = authors.into_iter().map(|user| hash(user)).collect();
            own.extend(audience.deaf_to(&authors).cloned());
        }
        let mut apart = BTreeSet::new();
        let before = out.len();
        for user in &own {
            let sockets = audience.list_of(user);
            let below = |id: &SocketId| !audience.role(*id).at_least(Role::Moderator);
            let sockets: Rc<[SocketId]> = sockets.iter().copied().filter(below).collect();
            let Some(to) = plain_to.filter(|_| !sockets.is_empty()) else { continue };
            let viewer = Viewer { user_id: Some(user), blocks: audience.blocks_of(Some(user)), ..Viewer::PLAIN };
            let mut frame = wire::position(self.epoch, self.plain.seq, to).to_string();
            for line in self.waiting.iter().take(ready).filter_map(|event| line_of(event, viewer)) {
                frame.push('\n');
                frame.push_str(&line);
            }
            apart.extend(sockets.iter().copied());
            let frame = with(Some(frame.into()), rider).unwrap_or_default();
            out.push(Out::Send(To::Many(sockets), frame));
        }
        let alone = out.len() - before;
        let plain: Vec<_> =
            self.waiting.iter().take(ready).filter_map(|e| Some((e.seq, line_of(e, Viewer::PLAIN)?))).collect();
        let moderators: Vec<_> =
            self.waiting.iter().skip(new).filter_map(|e| Some((e.seq, line_of(e, Viewer::MODERATOR)?))).collect();
        let moderators_to = self.waiting.back().map(|event| event.seq).filter(|last| *last > self.moderators.upto);
        let plain = with(self.plain.frame(self.epoch, plain, plain_to, now), rider);
        let moderators = with(self.moderators.frame(self.epoch, moderators, moderators_to, now), rider);
        self.waiting.drain(..ready);
        match (plain, moderators) {
            (Some(plain), Some(moderators)) if plain == moderators && apart.is_empty() => {
                out.push(Out::Send(To::Many(audience.list(Class::All)), plain));
            }
            (plain, moderators) => {
                for (frame, class) in [(plain, Class::Plain), (moderators, Class::Moderators)] {
                    let Some(frame) = frame else { continue };
                    let mut list = audience.list(class);
                    if class == Class::Plain && !apart.is_empty() {
                        list = list.iter().copied().filter(|id| !apart.contains(id)).collect();
                    }
                    if !list.is_empty() {
                        out.push(Out::Send(To::Many(list), frame));
                    }
                }
            }
        }
        alone
    }
}

/// A frame with one more line.
fn with(frame: Option<Line>, rider: Option<&str>) -> Option<Line> {
    match (frame, rider) {
        (Some(frame), Some(rider)) => Some(format!("{frame}\n{rider}").into()),
        (frame, rider) => frame.or_else(|| rider.map(Line::from)),
    }
}

impl Shown {
    /// Where these viewers stand, once in a while.
    fn position(&mut self, epoch: u64, now: u64) -> Option<Line> {
        let due = self.position_at.saturating_add(POSITION_EVERY) <= now;
        due.then(|| {
            self.position_at = now;
            wire::position(epoch, self.seq, self.seq)
        })
    }

    /// The frame for lines up to `to`, with a position where it is not simply the next event.
    fn frame(&mut self, epoch: u64, lines: Vec<(u64, Line)>, to: Option<u64>, now: u64) -> Option<Line> {
        let to = to?;
        self.upto = to;
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
