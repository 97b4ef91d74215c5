//! Whether a viewer reads what it is sent. The platform tells no queue's size, so the viewer proves it: a nonce that
//! it cannot guess is queued behind every 256 KB, and its echo proves all that stood before it.

use super::{Audience, SocketId};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Bytes after which a probe is due, and how many more may be sent before its answer.
const EVERY: u64 = 256 * 1024;
const BEYOND: u64 = 256 * 1024;
/// A socket's first is due by half of that, or so many of these parts of it later, by its number: who came together is
/// not asked together, since a thousand answers at once would keep what is said waiting.
const PARTS: u64 = 8;
/// How many more at first, and for how long, ms: who reads well may be that late in a room that says much.
const AT_FIRST: u64 = 2 * 1024 * 1024;
const FIRST: u64 = 3_000;
/// Once half of those have answered who were asked then, or later, the others are given so many ms more, not all of
/// `FIRST`; where those are one in so many of all sockets at least.
const AFTER_HALF: u64 = 1_000;
const MANY: usize = 16;
/// What is known of those who were asked is kept so long, ms.
const KEPT: u64 = 10_000;
/// How long a probe may go unanswered, ms.
const WITHIN: u64 = 30_000;
/// How often, in bytes broadcast, all sockets are looked at.
const LOOK: u64 = EVERY / 2 / PARTS;

#[derive(Debug)]
struct Asked {
    nonce: String,
    total: u64,
    at: u64,
    /// How long it may go unanswered, ms.
    within: u64,
}

/// What one socket has been sent and has proved, in bytes.
#[derive(Debug)]
pub(super) struct Probes {
    /// The audience's count when this socket came.
    since: u64,
    /// Sent to this socket alone.
    alone: u64,
    proved: u64,
    /// How many that are not proved make a probe due.
    every: u64,
    asked: Option<Asked>,
}

impl Probes {
    pub(super) fn new(id: SocketId, sent: u64) -> Self {
        let part = u64::from(id) % PARTS;
        Self { since: sent, alone: 0, proved: 0, every: EVERY / 2 + part * LOOK, asked: None }
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.asked.as_ref().map(|asked| asked.at.saturating_add(asked.within))
    }

    fn total(&self, sent: u64) -> u64 {
        sent.saturating_sub(self.since).saturating_add(self.alone)
    }
}

/// Those who were asked at the same time.
#[derive(Debug, Default)]
struct Round {
    asked: usize,
    answered: usize,
    /// When half of them had answered, ms.
    half_at: Option<u64>,
}

/// The last rounds, by their times, ms.
#[derive(Debug, Default)]
pub(super) struct Rounds(BTreeMap<u64, Round>);

impl Rounds {
    fn asked(&mut self, now: u64) {
        self.0 = self.0.split_off(&now.saturating_sub(KEPT));
        self.0.entry(now).or_default().asked += 1;
    }

    fn answered(&mut self, asked_at: u64, now: u64) {
        if let Some(round) = self.0.get_mut(&asked_at) {
            round.answered += 1;
            if round.answered * 2 >= round.asked {
                round.half_at.get_or_insert(now);
            }
        }
    }

    /// Until when one of so many sockets who was asked then may be sent more than is beyond the probe, ms. Of an object that
    /// is `behind` nobody can be in time, so there it is the others alone by whom one is judged.
    fn first_until(&self, asked_at: u64, sockets: usize, behind: bool) -> u64 {
        let many = self.0.range(asked_at..).filter(|(_, round)| round.asked * MANY >= sockets);
        let half_at = many.filter_map(|(_, round)| round.half_at).min();
        let all = if behind { u64::MAX } else { asked_at.saturating_add(FIRST) };
        half_at.map_or(all, |at| all.min(at.saturating_add(AFTER_HALF)))
    }
}

fn nonce(id: SocketId, total: u64, entropy: &[u8; 32]) -> String {
    let mut hasher = DefaultHasher::new();
    (entropy, id, total).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// What has to be done about a socket after something was sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading {
    /// Ask it for this nonce.
    Ask(SocketId, String),
    /// It does not read: close it.
    TooSlow(SocketId),
}

impl Audience {
    /// Counts a broadcast of so many bytes; now and then some sockets are to be probed or closed.
    pub fn broadcast_sent(&mut self, bytes: usize, now: u64, entropy: &[u8; 32]) -> Vec<Reading> {
        let before = self.sent / LOOK;
        self.sent = self.sent.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.sent / LOOK == before {
            return Vec::new();
        }
        let ids: Vec<_> = self.list(super::Class::All).to_vec();
        ids.into_iter().filter_map(|id| self.look_at(id, now, entropy)).collect()
    }

    /// Counts what was sent to one socket.
    pub fn alone_sent(&mut self, id: SocketId, bytes: usize, now: u64, entropy: &[u8; 32]) -> Option<Reading> {
        let probes = &mut self.sockets.get_mut(&id)?.probes;
        probes.alone = probes.alone.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.look_at(id, now, entropy)
    }

    /// A nonce for somebody who is only asked whether they are there; none where a probe is on its way anyway.
    pub fn nonce_for(&self, id: SocketId, now: u64, entropy: &[u8; 32]) -> Option<String> {
        self.sockets.get(&id)?.probes.asked.is_none().then(|| nonce(id, now, entropy))
    }

    fn look_at(&mut self, id: SocketId, now: u64, entropy: &[u8; 32]) -> Option<Reading> {
        let (sent, sockets, behind) = (self.sent, self.sockets.len(), self.is_behind(now));
        let probes = &mut self.sockets.get_mut(&id)?.probes;
        let total = probes.total(sent);
        let unproved = total.saturating_sub(probes.proved);
        // What was asked for at once, as the reply to a join, may be more than that by itself: what counts is what came
        // after the probe.
        if let Some(asked) = &mut probes.asked {
            let more = total.saturating_sub(asked.total);
            let first = more <= BEYOND || now < self.rounds.first_until(asked.at, sockets, behind);
            if more > AT_FIRST || !first {
                return Some(Reading::TooSlow(id));
            }
            if more > BEYOND && !behind {
                asked.within = FIRST;
                self.index(id);
            }
            return None;
        }
        if unproved < probes.every {
            return None;
        }
        let nonce = nonce(id, total, entropy);
        probes.asked = Some(Asked { nonce: nonce.clone(), total, at: now, within: WITHIN });
        self.rounds.asked(now);
        self.index(id);
        Some(Reading::Ask(id, nonce))
    }

    /// The viewer echoed a nonce at `now`; when it was asked for it, ms, where it was that one.
    pub fn proved(&mut self, id: SocketId, nonce: &str, now: u64) -> Option<u64> {
        let socket = self.sockets.get_mut(&id)?;
        match socket.probes.asked.take() {
            Some(asked) if asked.nonce == nonce => {
                (socket.probes.proved, socket.probes.every) = (asked.total, EVERY);
                self.rounds.answered(asked.at, now);
                self.index(id);
                Some(asked.at)
            }
            other => {
                socket.probes.asked = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Role;

    fn audience() -> Audience {
        let mut audience = Audience::default();
        audience.open(1, None, "g".into(), 0);
        audience.join(1, None, Role::Guest);
        audience
    }

    #[test]
    fn who_echoes_stays() {
        let mut audience = audience();
        for round in 0..100 {
            for reading in audience.broadcast_sent(100_000, round, &[7; 32]) {
                let Reading::Ask(id, nonce) = reading else { panic!("closed a reader") };
                assert_eq!(audience.proved(id, "guess", round), None);
                assert_eq!(audience.proved(id, &nonce, round), Some(round));
            }
        }
        assert_eq!(audience.next_deadline(), None);
    }

    #[test]
    fn who_does_not_is_closed_by_bytes_or_by_time() {
        let mut audience = audience();
        let readings: Vec<_> = (0..12).flat_map(|n| audience.broadcast_sent(60_000, n * FIRST, &[7; 32])).collect();
        assert!(matches!(readings.first(), Some(Reading::Ask(1, _))));
        assert_eq!(readings.last(), Some(&Reading::TooSlow(1)));
        assert_eq!(audience.next_deadline(), Some(2 * FIRST + WITHIN));
    }

    #[test]
    fn who_is_sent_much_at_once_has_some_seconds_to_read_it() {
        let closed = |every: u64| {
            let mut audience = audience();
            (1..100).find(|n| audience.broadcast_sent(60_000, n * every, &[7; 32]).contains(&Reading::TooSlow(1)))
        };
        // Asked with the 3rd.
        assert_eq!(closed(2_000), Some(8), "256 KB more");
        assert_eq!(closed(500), Some(9), "3 s later");
        assert_eq!(closed(10), Some(38), "2 MB more");
    }

    #[test]
    fn who_does_not_read_what_others_have_read_is_not_given_those_seconds() {
        // 800 KB a second to 10, of whom 3 do not read; the others take so long to answer, ms.
        let unread = |takes: u64| {
            let (mut audience, mut sent) = (Audience::default(), 0);
            let mut answers: Vec<(u64, SocketId, String)> = Vec::new();
            for id in 1..=10 {
                audience.open(id, None, format!("g{id}"), 0);
                audience.join(id, None, Role::Guest);
            }
            for now in (10_000..20_000).step_by(50) {
                sent += 40_000;
                let (due, later): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(at, _, _)| *at <= now);
                answers = later;
                for (_, id, nonce) in due {
                    audience.proved(id, &nonce, now);
                }
                for reading in audience.broadcast_sent(40_000, now, &[7; 32]) {
                    match reading {
                        Reading::Ask(id, nonce) if id > 3 => answers.push((now + takes, id, nonce)),
                        Reading::Ask(..) => {}
                        Reading::TooSlow(id) if id <= 3 => return sent,
                        Reading::TooSlow(id) => panic!("{id} reads"),
                    }
                }
            }
            panic!("nobody was closed")
        };
        assert_eq!([100, 700].map(unread), [1_040_000, 1_520_000]);
        assert!(unread(1_900) > 2 << 20, "where nobody has read it");
    }

    #[test]
    fn who_read_the_last_probe_at_once_may_be_late_with_the_next() {
        let (mut audience, mut asked) = (Audience::default(), Vec::new());
        for id in 1..=10 {
            audience.open(id, None, format!("g{id}"), 0);
            audience.join(id, None, Role::Guest);
        }
        let mut say = |audience: &mut Audience, now: u64| {
            for reading in audience.broadcast_sent(60_000, now, &[7; 32]) {
                let Reading::Ask(id, nonce) = reading else { panic!("closed at {now}") };
                asked.push((id, nonce));
            }
            std::mem::take(&mut asked)
        };
        let first: Vec<_> = (1..=5).flat_map(|n| say(&mut audience, n * 50)).collect();
        assert_eq!(first.len(), 10);
        for (id, nonce) in first {
            audience.proved(id, &nonce, 260);
        }
        let second: Vec<_> = (6..=35).flat_map(|n| say(&mut audience, n * 50)).collect();
        assert_eq!(second.len(), 10, "for more than a second none of them answers");
    }

    #[test]
    fn where_the_object_itself_is_behind_the_others_say_what_is_slow() {
        // 200 KB a second to 80, of whom all but some answer 5 s later; the numbers of those who are closed.
        let closed = |deaf: SocketId, late: bool| {
            let mut audience = Audience::default();
            let mut answers: Vec<(u64, SocketId, String)> = Vec::new();
            for id in 1..=80 {
                audience.open(id, None, format!("g{id}"), 0);
                audience.join(id, None, Role::Guest);
            }
            let mut closed = std::collections::BTreeSet::new();
            for now in (10_000..18_000).step_by(50) {
                if late {
                    audience.timer_was_late(500, now);
                }
                let (due, later): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(at, _, _)| *at <= now);
                answers = later;
                for (_, id, nonce) in due {
                    audience.proved(id, &nonce, now);
                }
                for reading in audience.broadcast_sent(10_000, now, &[7; 32]) {
                    match reading {
                        Reading::Ask(id, nonce) if id > deaf => answers.push((now + 5_000, id, nonce)),
                        Reading::Ask(..) => {}
                        Reading::TooSlow(id) => drop(closed.insert(id)),
                    }
                }
                closed.extend(audience.overdue(now, 0).into_iter().map(|(id, _)| id));
            }
            closed.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(closed(0, false).len(), 80, "3 s are all they have");
        assert!(closed(0, true).is_empty());
        assert_eq!(closed(5, true), [1, 2, 3, 4, 5], "a second after the others");
    }

    #[test]
    fn who_came_together_is_asked_in_turns() {
        let mut audience = Audience::default();
        for id in 1..=80 {
            audience.open(id, None, format!("g{id}"), 0);
            audience.join(id, None, Role::Guest);
        }
        let mut asked = Vec::new();
        for now in 0..1_024 {
            let readings = audience.broadcast_sent(1_024, now, &[7; 32]);
            assert!(readings.len() <= 10, "{} at {now} KiB", readings.len());
            for reading in readings {
                let Reading::Ask(id, nonce) = reading else { panic!("closed a reader") };
                audience.proved(id, &nonce, now);
                asked.push((id, now));
            }
        }
        for id in 1..=80 {
            let at: Vec<_> = asked.iter().filter(|(of, _)| *of == id).map(|(_, at)| *at).collect();
            assert!(at.first().is_some_and(|first| (127..256).contains(first)), "{id}: {at:?}");
            assert!(at.windows(2).all(|pair| pair[1] - pair[0] == 256) && at.len() == 4, "{id}: {at:?}");
        }
    }

    #[test]
    fn who_was_sent_too_much_for_one_probe_is_given_those_seconds_and_no_more() {
        let mut audience = audience();
        for _ in 0..7 {
            audience.broadcast_sent(60_000, 5, &[7; 32]);
        }
        assert_eq!(audience.next_deadline(), Some(5 + WITHIN));
        audience.broadcast_sent(60_000, 5, &[7; 32]);
        assert_eq!(audience.next_deadline(), Some(5 + FIRST), "also where nothing more is said");
    }

    #[test]
    fn a_large_reply_counts_too() {
        let mut audience = audience();
        assert!(matches!(audience.alone_sent(1, 300_000, 5, &[7; 32]), Some(Reading::Ask(1, _))));
    }
}
