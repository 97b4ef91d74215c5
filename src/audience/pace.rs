//! When frames are gathered: one costs the same whatever it holds, so above a budget events leave together.

use super::Audience;
use crate::auth::Role;
use crate::protocol::Body;

/// `FRAME_BUDGET` where nothing is set, frames a second.
pub const FRAME_BUDGET: u64 = 24_000;
/// The window at that budget is a twentieth of a millisecond for each socket, between these, ms.
const PER_SOCKET: u64 = FRAME_BUDGET / 20;
const WINDOW: (u64, u64) = (50, 1_000);
const SECOND: u64 = 1_000;
/// So much of the budget's second may be sent in a burst: what is more would take as long to leave, and all that is said
/// meanwhile would stand behind it.
const BURST: u64 = 4;
/// A timer that comes so late says that the object does not keep up, and it is believed for so long, ms.
const LATE: u64 = 100;
const BEHIND: u64 = 3_000;
/// One that is less late than this is on time, ms.
const ON_TIME: u64 = 5;

/// How many frames a second the events would take if each left alone, and what follows from it.
#[derive(Debug)]
pub(super) struct Pace {
    /// Frames a second.
    budget: u64,
    /// The second that is counted now, in seconds since 1970, its frames and those of the one before.
    second: u64,
    frames: u64,
    before: u64,
    /// Frames that a process which sends the budget's would have left to send, then (ms); at most half a second's.
    waiting: u64,
    waited_at: u64,
    hot: bool,
    /// The object does not keep up, until then, ms.
    behind_until: u64,
    /// When events left last, ms.
    left_at: u64,
    /// While it is to be seen how long that takes.
    leaving: Option<Leaving>,
    /// How long it takes lately, ms.
    takes: u64,
}

/// Events that leave, ms.
#[derive(Debug, Clone, Copy)]
struct Leaving {
    since: u64,
    /// When a timer goes off next; the object is through once one is on time.
    asks_at: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            budget: FRAME_BUDGET,
            second: 0,
            frames: 0,
            before: 0,
            waiting: 0,
            waited_at: 0,
            hot: false,
            behind_until: 0,
            left_at: 0,
            leaving: None,
            takes: 0,
        }
    }
}

impl Pace {
    /// Frames within the last second, taking those of the second before as spread evenly.
    fn rate(&self, now: u64) -> u64 {
        let of_before = |frames: u64| frames.saturating_mul(SECOND - now % SECOND) / SECOND;
        match (now / SECOND).saturating_sub(self.second) {
            0 => self.frames.saturating_add(of_before(self.before)),
            1 => of_before(self.frames),
            _ => 0,
        }
    }

    fn add(&mut self, frames: u64, now: u64) {
        let second = now / SECOND;
        if second != self.second {
            self.before = if second == self.second + 1 { self.frames } else { 0 };
            (self.second, self.frames) = (second, 0);
        }
        self.frames = self.frames.saturating_add(frames);
        // A burst that is over is none because another begins.
        self.hot &= self.waiting(now) > 0 || self.is_much(now);
        self.waiting = self.waiting(now).saturating_add(frames).min(self.budget / 2);
        self.waited_at = now;
        self.hot |= self.is_hot(now) || self.rate(now) > self.budget || self.waiting > self.budget / BURST;
    }

    fn waiting(&self, now: u64) -> u64 {
        let sent = now.saturating_sub(self.waited_at).saturating_mul(self.budget) / SECOND;
        self.waiting.saturating_sub(sent)
    }

    fn is_much(&self, now: u64) -> bool {
        self.rate(now).saturating_mul(3) >= self.budget.saturating_mul(2)
    }

    /// Once above the budget, until below two thirds of it and the burst is over; where the object does not keep up, from
    /// a quarter on.
    fn is_hot(&self, now: u64) -> bool {
        let behind = now < self.behind_until && self.rate(now).saturating_mul(4) >= self.budget;
        behind || (self.hot && (self.is_much(now) || self.waiting(now) > 0))
    }

    /// How long a process that sends the budget's takes for a frame to each of these, ms.
    fn reckoned(&self, sockets: u64) -> u64 {
        sockets.saturating_mul(SECOND) / self.budget.max(1)
    }

    fn was_late(&mut self, ms: u64, now: u64) {
        if ms >= LATE {
            self.behind_until = now.saturating_add(BEHIND);
        }
    }

    /// A frame to each of these has been leaving for so long, ms.
    fn check(&mut self, ms: u64, sockets: u64, now: u64) {
        self.was_late(ms.saturating_sub(self.reckoned(sockets)), now);
    }

    /// It took so long to leave, ms.
    fn took(&mut self, ms: u64, sockets: u64, now: u64) {
        self.check(ms, sockets, now);
        self.takes = self.takes.saturating_mul(3).saturating_add(ms) / 4;
    }

    /// Where sending takes longer than was reckoned with, half of the time is left for reading all the same.
    fn window(&self, sockets: u64) -> u64 {
        let (least, most) = WINDOW;
        (sockets.saturating_mul(PER_SOCKET) / self.budget.max(1)).max(self.takes.saturating_mul(2)).clamp(least, most)
    }
}

/// The most sockets that one object may hold where each is written `bytes` a second and no more than `most` bytes are to
/// leave at once: sockets × what a window of so many gathers. Frames need no such rule, since the window itself lets no
/// more of them leave.
pub fn sockets_within(bytes: u64, most: u64, budget: u64) -> u64 {
    let (least, longest) = WINDOW;
    // Sockets × ms; the window is as long as the sockets make it, between the two.
    let most = most.saturating_mul(SECOND) / bytes.max(1);
    (most / least).min((most.saturating_mul(budget) / PER_SOCKET).isqrt()).max(most / longest)
}

impl Audience {
    /// How many frames a second these sockets may be sent before events are gathered.
    pub fn set_frame_budget(&mut self, frames: u64) {
        self.pace.budget = frames;
    }

    /// Counts events, or what else goes to so many sockets each.
    pub fn count_frames(&mut self, events: usize, sockets: usize, now: u64) {
        let frames = u64::try_from(events.saturating_mul(sockets)).unwrap_or(u64::MAX);
        self.pace.add(frames, now);
    }

    /// A timer came so late, ms: a process that is short of time counts fewer frames than want to leave.
    pub fn timer_was_late(&mut self, ms: u64, now: u64) {
        self.pace.was_late(ms, now);
    }

    /// Whether the object was short of time lately.
    pub(super) fn is_behind(&self, now: u64) -> bool {
        now < self.pace.behind_until
    }

    fn sockets_here(&self) -> u64 {
        u64::try_from(self.sockets.len()).unwrap_or(u64::MAX)
    }

    /// Whether events are gathered at `now` (ms).
    pub fn is_hot(&self, now: u64) -> bool {
        self.pace.is_hot(now)
    }

    /// Until when events are gathered, ms; none while the room is calm.
    pub fn gathers_until(&self, now: u64) -> Option<u64> {
        self.is_hot(now).then(|| self.pace.left_at.saturating_add(self.pace.window(self.sockets_here())))
    }

    /// Events have left. How long that takes is of interest where they are gathered, and where more leaves than the budget
    /// lets through: the object then reads one frame for each that it sends, and does not see how many wait.
    pub(super) fn events_left(&mut self, now: u64) {
        let sockets = self.sockets_here();
        let pace = &mut self.pace;
        pace.left_at = now;
        let hot = pace.is_hot(now);
        match pace.leaving {
            // More leaves before the object was through with what did: it takes as long at least.
            Some(leaving) if hot && now.saturating_sub(leaving.since) > pace.takes => {
                pace.took(now.saturating_sub(leaving.since), sockets, now);
                pace.leaving = Some(Leaving { since: now, ..leaving });
            }
            None if hot || pace.waiting(now) > sockets.saturating_add(sockets / 2) => {
                pace.leaving = Some(Leaving { since: now, asks_at: now.saturating_add(1) });
            }
            _ => {}
        }
    }

    /// When to say by [`Self::events_are_sent`] what time it is, ms: a timer for then goes off when the object has sent what
    /// it could at once.
    pub fn asks_at(&self) -> Option<u64> {
        self.pace.leaving.map(|leaving| leaving.asks_at)
    }

    /// A timer went off at `now` (ms): whether it was that of [`Self::asks_at`]. It comes as late as sending takes; what a
    /// socket did not take at once leaves later, so the object is through with it once a timer is on time. Where that takes
    /// much longer than the budget says, the object does not keep up.
    pub fn events_are_sent(&mut self, now: u64) -> bool {
        let sockets = self.sockets_here();
        let Some(Leaving { since, asks_at }) = self.pace.leaving.filter(|leaving| leaving.asks_at <= now) else {
            return false;
        };
        if now.saturating_sub(asks_at) < ON_TIME {
            self.pace.leaving = None;
            self.pace.took(asks_at.saturating_sub(since), sockets, now);
        } else {
            self.pace.leaving = Some(Leaving { since, asks_at: now.saturating_add(1) });
            self.pace.check(now.saturating_sub(since), sockets, now);
        }
        true
    }
}

/// Whether an event leaves at once also from a hot room: what keeps order, and what brings closings.
pub(super) fn is_urgent(body: &Body) -> bool {
    match body {
        Body::MessageDeleted { role, .. } => role.at_least(Role::Moderator),
        Body::MessagesDeleted { .. } | Body::Banned { .. } | Body::Unbanned { .. } => true,
        Body::Room { .. } | Body::Role { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(budget: u64) -> Pace {
        Pace { budget, ..Pace::default() }
    }

    #[test]
    fn who_does_not_keep_up_gathers_below_the_budget_but_not_where_little_is_said() {
        let mut audience = Audience { pace: pace(1_200), ..Audience::default() };
        audience.count_frames(1, 300, 10_000);
        audience.timer_was_late(99, 10_000);
        assert!(!audience.is_hot(10_000));
        audience.timer_was_late(100, 10_000);
        assert!(audience.is_hot(10_000));
        assert!(!audience.is_hot(11_500), "a quarter of the budget is not reached any more");
        audience.count_frames(1, 300, 13_100);
        assert!(!audience.is_hot(13_100), "that was long ago");
    }

    #[test]
    fn hot_above_the_budget_and_calm_below_two_thirds_of_it() {
        let mut pace = pace(1_200);
        let mut at = |frames: u64, now: u64| {
            pace.add(frames, now);
            pace.is_hot(now)
        };
        assert!([10_000, 10_250, 10_500, 10_750].iter().all(|now| !at(300, *now)));
        assert!(at(1, 10_751));
        // Half of the second before counts half: 1,200, 799.
        assert!(at(600, 11_500));
        assert!(at(500, 12_500));
        assert!(!at(0, 12_950));
        // As hot as before it went calm is not hot enough.
        assert!(!at(250, 12_951));
        assert!(at(900, 12_952));
    }

    #[test]
    fn a_burst_is_gathered_before_a_second_of_it_was_sent() {
        let mut pace = pace(24_000);
        for now in 0..6 {
            pace.add(1_000, 60_000 + now);
            assert!(!pace.is_hot(60_000 + now));
        }
        pace.add(1_000, 60_006);
        assert!(pace.is_hot(60_006));
        assert!(!pace.is_hot(60_300), "calm when it would have left");
        // As much, evenly: 20 a second.
        for n in 0..40 {
            pace.add(1_000, 70_000 + n * 50);
            assert!(!pace.is_hot(70_000 + n * 50));
        }
    }

    #[test]
    fn a_silence_is_calm_without_being_told() {
        let mut pace = pace(10);
        pace.add(1_000, 10_999);
        assert!(pace.is_hot(10_999) && pace.is_hot(11_900));
        assert!(!pace.is_hot(12_000) && pace.rate(12_000) == 0 && pace.rate(99_000) == 0);
    }

    #[test]
    fn a_window_leaves_time_for_reading_where_sending_takes_long() {
        let mut audience = Audience { pace: pace(10), ..Audience::default() };
        let mut window = |takes: u64| {
            for n in 0..30 {
                let now = 60_000 + n * 10_000;
                audience.count_frames(1, 1_000, now);
                audience.events_left(now);
                assert_eq!(audience.asks_at(), Some(now + 1));
                assert!(!audience.events_are_sent(now));
                // Half of it at once, half once the sockets take more.
                for timer in [takes / 2, takes] {
                    assert!(audience.events_are_sent((now + timer).max(audience.asks_at().unwrap())));
                    if takes < 5 {
                        break;
                    }
                }
                if let Some(at) = audience.asks_at() {
                    assert!(audience.events_are_sent(at), "on time");
                }
                assert_eq!(audience.asks_at(), None);
            }
            audience.pace.budget = FRAME_BUDGET;
            let window = audience.pace.window(1_000);
            audience.pace.budget = 10;
            window
        };
        assert_eq!([1, 25, 100, 5_000].map(&mut window), [50, 50, 196, 1_000]);
        assert_eq!(window(1), 50, "once it is quick again");
    }

    #[test]
    fn what_leaves_before_the_object_was_through_makes_the_window_longer() {
        let mut audience = Audience::default();
        for n in 0..20 {
            let now = 60_000 + n * 80;
            audience.count_frames(64, 1_000, now);
            audience.events_left(now);
            assert!(audience.events_are_sent(now + 40));
        }
        assert_eq!(audience.pace.window(1_000), 154, "twice the 80 ms that lay between, nearly");
        audience.events_left(62_000);
        let before = audience.pace.takes;
        audience.events_left(62_010);
        assert_eq!(audience.pace.takes, before, "what has to leave at once says nothing of how long it takes");
    }

    #[test]
    fn a_burst_that_is_read_one_by_one_is_gathered_soon() {
        let hot_after = |timers: bool| {
            let mut audience = Audience::default();
            for id in 0..1_000 {
                audience.open(id, None, format!("g{id}"), 60_000);
            }
            // The object reads one, sends it for 33 ms, and reads the next.
            (1..100).find(|n| {
                let now = 60_000 + n * 33;
                if timers {
                    audience.events_are_sent(now);
                }
                audience.count_frames(1, 1_000, now);
                audience.events_left(now);
                audience.is_hot(now)
            })
        };
        assert_eq!([hot_after(false), hot_after(true)], [Some(25), Some(9)]);
    }

    #[test]
    fn sending_that_takes_long_is_not_keeping_up_where_the_budget_says_otherwise() {
        let behind = |takes: u64, budget: u64| {
            let mut audience = Audience { pace: pace(budget), ..Audience::default() };
            for id in 0..100 {
                audience.open(id, None, format!("g{id}"), 60_000);
            }
            audience.count_frames(1, 100_000, 60_000);
            audience.events_left(60_000);
            audience.events_are_sent(60_000 + takes);
            audience.pace.behind_until > 0
        };
        assert_eq!([behind(99, 24_000), behind(104, 24_000)], [false, true]);
        assert_eq!([behind(1_099, 100), behind(1_100, 100)], [false, true]);
    }

    #[test]
    fn what_leaves_a_calm_room_is_not_timed() {
        let mut audience = Audience::default();
        audience.events_left(60_000);
        assert_eq!(audience.asks_at(), None);
    }

    #[test]
    fn as_many_sockets_as_a_window_has_bytes_for() {
        for budget in [1_200, 12_000, FRAME_BUDGET, 240_000] {
            for bytes in [1, 1_000, 42_000, 150_000, 900_000, 5_000_000] {
                let at_once = |sockets: u64| sockets * bytes * pace(budget).window(sockets);
                let (most, sockets) = (32 << 20, sockets_within(bytes, 32 << 20, budget));
                assert!(at_once(sockets) <= most * SECOND, "{sockets} at {bytes} and {budget}");
                // The window is in whole ms, so that the next one but a few is too many.
                assert!(at_once(sockets + sockets / 40 + 1) > most * SECOND, "{sockets} at {bytes} and {budget}");
            }
        }
    }

    #[test]
    fn windows_grow_with_the_sockets_and_shrink_with_the_budget() {
        let window = |budget: u64, sockets: u64| pace(budget).window(sockets);
        assert_eq!([0, 1_000, 1_020, 15_000, 30_000].map(|n| window(FRAME_BUDGET, n)), [50, 50, 51, 750, 1_000]);
        assert_eq!([1_200, 12_000, 240_000, 10_000_000].map(|n| window(n, 1_000)), [1_000, 100, 50, 50]);
    }
}
