//! The degrade ladder: what a room shows its viewers of the moment, by how many are online. A frame costs the same
//! whatever it holds, so that what each viewer is told of each other one has to end somewhere.

use super::Audience;

/// Above so many online, users and guests, a room is busy, and above so many it is large.
const BUSY_ABOVE: usize = 100;
const LARGE_ABOVE: usize = 1_000;

/// A step of the ladder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Up to 100 online: each join, leave, typing and reaction is shown.
    #[default]
    Intimate,
    /// Up to 1,000 online: joins and leaves as numbers only, no typing, reactions gathered.
    Busy,
    /// More, and every room that is split: the same, and messages are sampled where the room asks for it.
    Large,
}

impl Level {
    const fn of(online: usize) -> Self {
        if online > LARGE_ABOVE {
            Self::Large
        } else if online > BUSY_ABOVE {
            Self::Busy
        } else {
            Self::Intimate
        }
    }

    /// The level at which a room is that was here and has so many online now: down again only where a tenth fewer are
    /// left than it took, so that who comes and goes at the border changes nothing.
    fn with(self, online: usize) -> Self {
        Self::of(online).max(self.min(Self::of(online.saturating_mul(10) / 9)))
    }

    /// The events that are not sent at this level, as viewers are told.
    pub const fn left_out(self) -> &'static [&'static str] {
        match self {
            Self::Intimate => &[],
            Self::Busy | Self::Large => &["user_joined", "user_left", "user_typing"],
        }
    }

    /// For how long, ms, a message's reactions wait for others.
    pub const fn gathers(self) -> u64 {
        match self {
            Self::Intimate => 0,
            Self::Busy => 500,
            Self::Large => 1_000,
        }
    }
}

/// The level and what viewers know of it.
#[derive(Debug, Default)]
pub(super) struct Ladder {
    level: Level,
    /// What they were told last.
    told: Level,
    /// Users and guests of the whole room, where only some of them are here; and whether it is split.
    total: Option<(usize, usize)>,
    split: bool,
    /// As the room sets it.
    sample_above: Option<u32>,
}

impl Audience {
    /// The room's step of the ladder.
    pub fn level(&self) -> Level {
        self.ladder.level
    }

    /// How many users and guests are online in the room: those who are here at the least, though the room may not have
    /// counted them yet.
    pub fn online(&self) -> (usize, usize) {
        let (users, guests) = self.here_count();
        let (all_users, all_guests) = self.ladder.total.unwrap_or_default();
        (all_users.max(users), all_guests.max(guests))
    }

    /// How many users and guests are here, which is not everybody where the room is split or has gateways.
    pub fn here_count(&self) -> (usize, usize) {
        (self.users.len(), self.guests.len())
    }

    /// The users and guests of the whole room, where only some of them are here, or none where all are; and whether the
    /// room is split.
    pub fn set_total(&mut self, total: Option<(usize, usize)>, split: bool) {
        if (self.ladder.total, self.ladder.split) != (total, split) {
            (self.ladder.total, self.ladder.split) = (total, split);
            self.stats_dirty = true;
            self.assess();
        }
    }

    /// Whether only some of the room's viewers are here.
    pub fn is_part(&self) -> bool {
        self.ladder.total.is_some()
    }

    /// Above how many messages a second the room wants a sample, once it is large.
    pub fn set_sample_above(&mut self, messages: Option<u32>) {
        self.ladder.sample_above = messages;
    }

    /// Above how many messages a second there is a sample now.
    pub(super) fn samples_above(&self) -> Option<u32> {
        self.ladder.sample_above.filter(|_| self.level() == Level::Large)
    }

    /// Somebody came or went.
    pub(super) fn assess(&mut self) {
        let (users, guests) = self.online();
        let Ladder { level, split, .. } = &mut self.ladder;
        *level = if *split { Level::Large } else { level.with(users.saturating_add(guests)) };
    }

    /// Whether viewers have to be told of another level; that does not wait.
    pub(super) fn level_is_news(&self) -> bool {
        self.ladder.level != self.ladder.told
    }

    pub(super) fn level_told(&mut self) {
        self.ladder.told = self.ladder.level;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Level::{Busy, Intimate, Large};

    #[test]
    fn each_step_begins_above_its_number_and_ends_a_tenth_below() {
        for (was, online, is) in [
            (Intimate, 100, Intimate),
            (Intimate, 101, Busy),
            (Intimate, 1_001, Large),
            (Busy, 100, Busy),
            (Busy, 91, Busy),
            (Busy, 90, Intimate),
            (Busy, 1_000, Busy),
            (Busy, 1_001, Large),
            (Large, 1_000, Large),
            (Large, 901, Large),
            (Large, 900, Busy),
            (Large, 91, Busy),
            (Large, 90, Intimate),
            (Large, 0, Intimate),
        ] {
            assert_eq!(was.with(online), is, "{online} after {was:?}");
        }
    }

    #[test]
    fn a_room_that_is_split_is_large_whatever_its_numbers() {
        let mut audience = Audience::default();
        audience.set_total(Some((20, 5)), true);
        assert_eq!((audience.level(), audience.online()), (Large, (20, 5)));
        audience.set_total(Some((90, 11)), false);
        assert_eq!((audience.level(), audience.online()), (Busy, (90, 11)), "by its numbers where gateways hold some");
        audience.set_total(None, false);
        assert_eq!((audience.level(), audience.online()), (Intimate, (0, 0)));
    }
}
