//! From events to frames: each event is encoded once, each class of viewers gets one frame with its position.

use super::pace::is_urgent;
use super::sample::{Sampler, concerned};
use super::{Audience, Class, Level, Out, SocketId, To};
use crate::auth::Role;
use crate::protocol::wire::{self, Line};
use crate::protocol::{Audience as SeenBy, Body, LogEvent, UserId};
use crate::room::{Row, Viewer, view};
use crate::user::hash;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::rc::Rc;

/// At least so often, ms, a frame says where the log stands.
const POSITION_EVERY: u64 = 30_000;

/// So long, ms, the first event of a hot room's frame waits for others, also where the window is over: where sending the
/// last frame took as long as that, more lies unread, and a frame costs the same whatever it holds.
const COMPANY: u64 = 10;

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
    /// From when on they may see the first event that does not wait for others, of those not shown, ms.
    pressing: Option<u64>,
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
    sampler: Sampler,
    /// Which of those that wait are not in the sample.
    left_out: BTreeSet<u64>,
}

impl Fanout {
    /// Viewers have seen everything up to `seq` before this object was built, but those below moderator nothing of
    /// `waiting`, the log's last events.
    pub fn begin(epoch: u64, seq: u64, waiting: Vec<LogEvent>) -> Self {
        let moderators = Shown { seq, upto: seq, fresh: true, ..Shown::default() };
        let seen = waiting.first().map_or(seq, |event| event.seq.saturating_sub(1));
        let pressing = waiting.first().map(|event| event.visible_at);
        let plain = Shown { seq: seen, upto: seen, pressing, ..moderators };
        Self { epoch, plain, moderators, waiting: waiting.into(), counted: seen, ..Self::default() }
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

    /// The first event that waits.
    pub fn first_waiting(&self) -> Option<u64> {
        self.waiting.front().map(|event| event.seq)
    }

    /// When something that waits leaves, as it is seen at `now`, ms.
    pub fn next(&self, audience: &Audience, now: u64) -> Option<u64> {
        let due = self.first_due(audience.level())?;
        let gathered = audience.gathers_until(now).map(|until| until.max(due.saturating_add(COMPANY)));
        Some(due.max(gathered.unwrap_or(0)))
    }

    fn first_due(&self, level: Level) -> Option<u64> {
        Class::APART.into_iter().filter_map(|class| self.due(class, level)).min()
    }

    /// When these viewers' next frame leaves a room that is not hot, ms: what does not wait takes with it what does.
    fn due(&self, class: Class, level: Level) -> Option<u64> {
        let (shown, first) = match class {
            Class::Moderators => (&self.moderators, self.waiting.get(self.unshown())?.at),
            _ => (&self.plain, self.waiting.front()?.visible_at),
        };
        Some(first.saturating_add(level.gathers()).min(shown.pressing.unwrap_or(u64::MAX)))
    }

    /// Whether an event of these leaves for its own sake, and not only when others do or its window is over.
    fn presses(&self, event: &LogEvent, class: Class, level: Level) -> bool {
        let gathered = level.gathers() > 0 && matches!(event.body, Body::Reaction { .. });
        let hidden = matches!(event.audience, SeenBy::Moderators | SeenBy::Internal);
        !gathered && (class == Class::Moderators || !(hidden || self.left_out.contains(&event.seq)))
    }

    fn push(&mut self, event: LogEvent, audience: &Audience) {
        let level = audience.level();
        if audience.samples_above().is_some_and(|above| self.sampler.leaves_out(&event, above)) {
            self.left_out.insert(event.seq);
        }
        if self.presses(&event, Class::Moderators, level) {
            self.moderators.pressing.get_or_insert(event.at);
        }
        if self.presses(&event, Class::Plain, level) {
            self.plain.pressing.get_or_insert(event.visible_at);
        }
        self.waiting.push_back(event);
    }

    /// Where those begin that moderators were not shown.
    fn unshown(&self) -> usize {
        self.waiting.partition_point(|event| event.seq <= self.moderators.upto)
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
        events.into_iter().for_each(|event| self.push(event, audience));
        let (ready, level) = (self.ready(now), audience.level());
        let counted = self.waiting.partition_point(|event| event.seq <= self.counted);
        if let Some(last) = ready.checked_sub(1).and_then(|last| self.waiting.get(last)) {
            self.counted = self.counted.max(last.seq);
            let new = self.waiting.iter().take(ready).skip(counted);
            let new = new.filter(|event| self.presses(event, Class::Plain, level)).count();
            audience.count_frames(new, audience.socket_count(), now);
        }
        let at = if urgent { self.first_due(level) } else { self.next(audience, now) };
        at.is_some_and(|at| at <= now)
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
        let level = audience.level();
        let is_due = |class: Class| self.due(class, level).is_some_and(|due| due <= now);
        let ready = if is_due(Class::Plain) { self.ready(now) } else { 0 };
        // What leaves for the others does not wait here any longer, so moderators are shown it by then.
        let unshown = self.unshown();
        let new = if is_due(Class::Moderators) || unshown < ready { unshown } else { self.waiting.len() };

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
        for event in self.waiting.iter().take(ready).filter(|event| self.left_out.contains(&event.seq)) {
            if let Body::NewMessage(message) = &event.body {
                own.extend(concerned(message).map(str::to_owned));
            }
        }
        let mut apart = BTreeSet::new();
        let before = out.len();
        for user in &own {
            let sockets = audience.list_of(user);
            let below = |id: &SocketId| !audience.role(*id).at_least(Role::Moderator);
            let sockets: Rc<[SocketId]> = sockets.iter().copied().filter(below).collect();
            let Some(to) = plain_to.filter(|_| !sockets.is_empty()) else { continue };
            let viewer = Viewer { user_id: Some(user), blocks: audience.blocks_of(Some(user)), ..Viewer::PLAIN };
            let (lines, left_out) = self.lines(0..ready, level, viewer, &mut line_of);
            let mut frame = wire::sampled(self.epoch, self.plain.seq, to, left_out).to_string();
            for (_, line) in lines {
                frame.push('\n');
                frame.push_str(&line);
            }
            apart.extend(sockets.iter().copied());
            let frame = with(Some(frame.into()), rider).unwrap_or_default();
            out.push(Out::Send(To::Many(sockets), frame));
        }
        let alone = out.len() - before;
        let plain = self.lines(0..ready, level, Viewer::PLAIN, &mut line_of);
        let moderators = self.lines(new..self.waiting.len(), level, Viewer::MODERATOR, &mut line_of);
        let moderators_to = self.waiting.range(new..).next_back().map(|event| event.seq);
        let plain = with(self.plain.frame(self.epoch, plain, plain_to, now), rider);
        let moderators = with(self.moderators.frame(self.epoch, moderators, moderators_to, now), rider);
        self.forget(ready, plain_to, moderators_to, level);
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

    /// What a viewer is shown of those in this range, and how many messages of them are left out. Of a message's
    /// reactions that were gathered the last has all counts.
    fn lines(
        &self,
        range: Range<usize>,
        level: Level,
        viewer: Viewer<'_>,
        line_of: &mut impl FnMut(&LogEvent, Viewer<'_>) -> Option<Line>,
    ) -> (Vec<(u64, Line)>, u64) {
        let (mut lines, mut left_out, mut counted) = (Vec::new(), 0, BTreeSet::new());
        for event in self.waiting.range(range).rev() {
            let older = match &event.body {
                Body::Reaction { message_id, .. } if level.gathers() > 0 => !counted.insert(*message_id),
                _ => false,
            };
            let Some(line) = line_of(event, viewer).filter(|_| !older) else { continue };
            if self.is_left_out(event, viewer) {
                left_out += 1;
            } else {
                lines.push((event.seq, line));
            }
        }
        lines.reverse();
        (lines, left_out)
    }

    fn is_left_out(&self, event: &LogEvent, viewer: Viewer<'_>) -> bool {
        let concerns = |message| concerned(message).any(|user| viewer.user_id == Some(user));
        let Body::NewMessage(message) = &event.body else { return false };
        self.left_out.contains(&event.seq) && !viewer.role.at_least(Role::Moderator) && !concerns(message)
    }

    /// Up to there all were shown: those below moderator the first `ready` that waited.
    fn forget(&mut self, ready: usize, plain_to: Option<u64>, moderators_to: Option<u64>, level: Level) {
        if moderators_to.is_some() {
            self.moderators.pressing = None;
        }
        if let Some(to) = plain_to {
            self.waiting.drain(..ready);
            self.left_out = self.left_out.split_off(&(to + 1));
            let pressing = self.waiting.iter().find(|event| self.presses(event, Class::Plain, level));
            self.plain.pressing = pressing.map(|event| event.visible_at);
        }
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
    fn frame(
        &mut self,
        epoch: u64,
        (lines, left_out): (Vec<(u64, Line)>, u64),
        to: Option<u64>,
        now: u64,
    ) -> Option<Line> {
        let to = to?;
        self.upto = to;
        if lines.is_empty() && left_out == 0 {
            return None;
        }
        let from = self.seq;
        let consecutive = lines.iter().zip(from + 1..).all(|((seq, _), next)| *seq == next);
        let due = self.position_at.saturating_add(POSITION_EVERY) <= now;
        let ends = lines.last().is_some_and(|(seq, _)| *seq == to);
        let bare = consecutive && ends && !self.fresh && !due && left_out == 0;
        self.seq = to;
        if bare && let [(_, line)] = lines.as_slice() {
            return Some(line.clone());
        }
        let mut frame = String::new();
        if !bare {
            self.position_at = now;
            self.fresh = false;
            frame.push_str(&wire::sampled(epoch, from, to, left_out));
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
