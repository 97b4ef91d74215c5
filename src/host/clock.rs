//! The room's own time, which never goes back and does not stand still for long, whatever the platform's clock does.

use super::{Effects, Host};

/// By so much the platform's clock may be behind without the room's time going on by itself, ms: it stands still so long.
const STANDS: u64 = 60_000;
/// What the room's time is ahead by shrinks by one ms in so many, so that a clock that leapt forward for a moment neither
/// stops the room nor leads it on for ever.
const CATCHES_UP: u64 = 8;

/// How the room's time stands to the platform's, ms since 1970 both.
#[derive(Debug)]
pub(super) struct Clock {
    /// What the platform says.
    pub(super) platform: u64,
    /// So much the room goes on ahead of it, where an event of the log is much later, or it went back by much.
    ahead: u64,
    /// From then on it was not made less, of the platform's.
    shrunk_at: u64,
}

impl Clock {
    pub(super) fn new(platform: u64) -> Self {
        Self { platform, ahead: 0, shrunk_at: platform }
    }

    /// The room's time, not before `room`, now that the platform says this.
    fn tells(&mut self, platform: u64, room: u64) -> u64 {
        self.platform = platform;
        if self.ahead == 0 || platform < self.shrunk_at {
            self.shrunk_at = platform;
        }
        let less = (platform - self.shrunk_at) / CATCHES_UP;
        self.shrunk_at += less * CATCHES_UP;
        self.ahead = self.ahead.saturating_sub(less);
        self.not_before(room)
    }

    /// What the room's time was when the platform's was this.
    pub(super) fn room(&self, platform: u64) -> u64 {
        platform.saturating_add(self.ahead)
    }

    fn not_before(&mut self, room: u64) -> u64 {
        let behind = room.saturating_sub(self.room(self.platform));
        if behind > STANDS {
            self.ahead += behind;
        }
        self.room(self.platform).max(room)
    }
}

impl Host {
    /// A step begins while the platform's clock says this.
    pub(super) fn clock_says(&mut self, platform: u64) {
        self.now = self.clock.tells(platform, self.now);
    }

    /// The room's time is this at least.
    pub(super) fn not_before(&mut self, at: u64) {
        self.now = self.clock.not_before(self.now.max(at));
    }

    /// What is asked of the platform is said in its time.
    pub(super) fn by_platform(&self, effects: &mut Effects) {
        for at in [&mut effects.soon, &mut effects.alarm].into_iter().flatten() {
            *at = at.saturating_sub(self.clock.ahead);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_where_the_platforms_clock_goes_back_and_is_that_again_in_the_end() {
        let mut clock = Clock::new(1_000_000);
        assert_eq!(clock.tells(1_000_500, 1_000_000), 1_000_500);
        assert_eq!(clock.tells(5_000_000, 1_000_500), 5_000_000, "it follows a leap");
        assert_eq!(clock.tells(1_001_000, 5_000_000), 5_000_000);
        assert_eq!(clock.tells(1_001_080, 5_000_000), 5_000_070, "and goes on, a little slower");
        let mut room = 5_000_070;
        for ms in 0..80_000 {
            let next = clock.tells(1_001_080 + ms, room);
            assert!(next == room || next == room + 1);
            room = next;
        }
        assert_eq!(room, 5_000_070 + 79_999 - 79_999 / 8, "however often it is asked");
        assert_eq!(clock.tells(40_000_000, room), 40_000_000);
        assert_eq!(clock.tells(40_000_010, 40_000_000), 40_000_010);
    }

    #[test]
    fn a_log_that_is_ahead_leads() {
        let mut clock = Clock::new(1_000);
        assert_eq!(clock.not_before(71_000), 71_000);
        assert_eq!(clock.tells(1_800, 71_000), 71_700);
    }

    #[test]
    fn it_stands_still_where_the_platforms_clock_is_a_little_behind() {
        let mut clock = Clock::new(100_000);
        assert_eq!(clock.not_before(160_000), 160_000);
        assert_eq!([100_800, 159_000, 160_001].map(|at| clock.tells(at, 160_000)), [160_000, 160_000, 160_001]);
    }
}
