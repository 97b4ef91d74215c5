//! Which sockets still answer: one that died without a word stays open here until somebody looks.
//!
//! Clients ping every 15 s, and the platform answers without waking the room; it only remembers when. So the room asks
//! it about those who were not heard for a while, and then them.

use super::{Audience, SocketId};

/// Who was not heard for so long, ms, is asked by a probe.
const QUIET: u64 = 17_000;
/// How long the answer may take, ms; a ping or any frame is one too.
const ANSWER_WITHIN: u64 = 8_000;
/// How often it is looked, ms, while a room has something to do: with the two above, a dead socket is gone in 30 s.
const EVERY: u64 = 3_000;
/// Who has pinged, and then was silent for so long, ms, is dead without being asked: a page in the background may ping
/// no more than once a minute.
const DEAD: u64 = 75_000;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// How long, ms, after the last that happened a room that is asleep looks; then hourly.
const LADDER: [u64; 5] = [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 15 * MINUTE];

/// What is known of a socket's life.
#[derive(Debug)]
pub(super) struct Life {
    /// The last sign of it, ms.
    heard: u64,
    /// Whether it ever pinged.
    pings: bool,
    /// When it was asked, where the answer is not there yet, ms.
    asked: Option<u64>,
}

impl Life {
    pub(super) fn new(at: u64) -> Self {
        Self { heard: at, pings: false, asked: None }
    }
}

/// When it is looked.
#[derive(Debug, Default)]
pub(super) struct Looking {
    last: u64,
    /// When the next answer is overdue, ms.
    answer_due: Option<u64>,
    /// When the newest socket was opened, ms.
    newest: u64,
}

/// A socket that was not heard for long.
#[derive(Debug, PartialEq, Eq)]
pub enum Silent {
    /// Ask it.
    Ask(SocketId),
    /// It is dead: close it. The time, ms, is that of its last sign of life.
    Dead(SocketId, u64),
}

impl Audience {
    /// A frame of this socket came in.
    pub fn alive(&mut self, id: SocketId, now: u64) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.life.heard = now;
            socket.life.asked = None;
        }
    }

    pub(super) fn opened(&mut self, at: u64) {
        self.looking.newest = self.looking.newest.max(at);
    }

    /// Those of whom the platform has to be asked when they last pinged, for [`Audience::look`]; none while it was
    /// looked a moment ago.
    pub fn unheard(&mut self, now: u64) -> Vec<SocketId> {
        let overdue = self.looking.answer_due.take_if(|due| *due <= now).is_some();
        if !overdue && self.looking.last.saturating_add(EVERY) > now {
            return Vec::new();
        }
        self.looking.last = now;
        let quiet = |socket: &super::Socket| socket.attachment.joined && socket.life.heard.saturating_add(QUIET) <= now;
        self.sockets.iter().filter(|(_, socket)| quiet(socket)).map(|(id, _)| *id).collect()
    }

    /// Takes in when sockets last pinged, ms, as far as they ever did; what is to be done about those who are silent.
    pub fn look(&mut self, pings: &[(SocketId, Option<u64>)], now: u64) -> Vec<Silent> {
        self.looking.last = now;
        let mut silent = Vec::new();
        for (id, ping) in pings {
            let Some(socket) = self.sockets.get_mut(id).filter(|socket| socket.attachment.joined) else { continue };
            let life = &mut socket.life;
            life.pings |= ping.is_some();
            life.heard = life.heard.max(ping.unwrap_or_default());
            let silence = now.saturating_sub(life.heard);
            life.asked = life.asked.filter(|asked| *asked > life.heard);
            match life.asked {
                _ if silence < QUIET => life.asked = None,
                _ if life.pings && silence >= DEAD => silent.push(Silent::Dead(*id, life.heard)),
                Some(asked) if asked.saturating_add(ANSWER_WITHIN) <= now => silent.push(Silent::Dead(*id, life.heard)),
                Some(_) => {}
                None => {
                    life.asked = Some(now);
                    silent.push(Silent::Ask(*id));
                }
            }
        }
        let asked = self.sockets.values().filter_map(|socket| socket.life.asked).min();
        self.looking.answer_due = asked.map(|asked| asked.saturating_add(ANSWER_WITHIN).max(now + 1));
        silent
    }

    /// When an answer is overdue, ms: worth a timer, since who was asked is either dead or answers.
    pub(super) fn answer_due(&self) -> Option<u64> {
        self.looking.answer_due
    }

    /// When a room in which nothing happened since `last` (ms) has to look again even where it sleeps, ms.
    pub fn next_look(&self, last: u64, now: u64) -> Option<u64> {
        self.sockets.values().any(|socket| socket.attachment.joined).then(|| {
            let since = last.max(self.looking.newest);
            let quiet = now.saturating_sub(since);
            let [.., longest] = LADDER;
            let hours = quiet.saturating_sub(longest) / HOUR + 1;
            since + LADDER.into_iter().find(|step| *step > quiet).unwrap_or(longest + hours * HOUR)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Role;

    /// One guest who joined at 0.
    fn audience() -> Audience {
        let mut audience = Audience::default();
        audience.open(1, None, "g".into(), 0);
        audience.join(1, None, Role::Guest);
        audience
    }

    #[test]
    fn only_who_was_not_heard_is_asked_about_and_then_asked() {
        let mut audience = audience();
        assert!(audience.unheard(16_999).is_empty());
        assert_eq!(audience.unheard(20_000), [1]);
        assert_eq!(audience.look(&[(1, Some(15_000))], 20_000), []);
        assert!(audience.unheard(30_000).is_empty());
        assert_eq!(audience.unheard(33_000), [1]);
        assert_eq!(audience.look(&[(1, Some(15_000))], 33_000), [Silent::Ask(1)]);
        assert_eq!(audience.answer_due(), Some(41_000));
    }

    #[test]
    fn who_answers_by_a_frame_or_a_ping_stays_and_who_does_not_is_dead() {
        for (frame, ping, dead) in [(true, None, false), (false, Some(25_000), false), (false, None, true)] {
            let mut audience = audience();
            assert_eq!(audience.look(&[(1, None)], 20_000), [Silent::Ask(1)]);
            if frame {
                audience.alive(1, 25_000);
            }
            audience.unheard(28_000);
            let silent = audience.look(&[(1, ping)], 28_000);
            assert_eq!(silent, if dead { vec![Silent::Dead(1, 0)] } else { vec![] });
        }
    }

    #[test]
    fn who_pinged_and_is_silent_for_long_is_not_asked() {
        assert_eq!(audience().look(&[(1, Some(5_000))], 80_000), [Silent::Dead(1, 5_000)]);
        assert_eq!(audience().look(&[(1, Some(5_000))], 79_999), [Silent::Ask(1)]);
        assert_eq!(audience().look(&[(1, None)], 80_000), [Silent::Ask(1)]);
    }

    #[test]
    fn a_room_asleep_looks_within_minutes_and_then_hourly() {
        let audience = audience();
        let (mut now, mut looks) = (0, Vec::new());
        for _ in 0..8 {
            now = audience.next_look(0, now).unwrap();
            looks.push(now / MINUTE);
        }
        assert_eq!(looks, [1, 2, 4, 8, 15, 75, 135, 195]);
        assert_eq!(Audience::default().next_look(0, 5), None);
    }
}
