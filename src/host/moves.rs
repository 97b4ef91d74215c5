//! Which object of a split room serves a viewer, and how those are sent away whom another one serves since the shape has
//! changed. A gateway serves whoever comes to it.

use super::{Effects, Host, close_reason};
use crate::audience::{Out, To};
use crate::protocol::shard::{Follower, Shape};
use crate::protocol::wire;
use crate::protocol::{ChatError, ErrorCode};
use crate::user::hash;

/// How often some of those who belong elsewhere are sent away, ms, and their part of all sockets: 5 %.
const MOVE_EVERY: u64 = 1_000;
const MOVE_PART: usize = 20;
/// Of so few all go at once.
const MOVE_LEAST: usize = 10;

impl Host {
    /// The shard that this object is; none of the room itself. A gateway is asked of nobody.
    fn own_shard(&self) -> Option<u32> {
        match self.following.as_ref().map(super::follower::Following::me) {
            Some(Follower::Shard(n)) => Some(n),
            Some(Follower::Gateway(_)) | None => None,
        }
    }

    /// Whether this is a gateway's part of a room.
    pub(super) fn is_gateway(&self) -> bool {
        self.following.as_ref().is_some_and(|following| following.me().is_gateway())
    }

    /// Whether another object serves whoever comes here with this key.
    ///
    /// # Errors
    /// How the room is split.
    pub fn serves(&self, key: u64, shape: u64) -> Result<(), Shape> {
        let own = self.shape();
        // Who was sent by a newer shape than is known here is where they belong.
        let newer = self.following.is_some() && shape > own.version;
        if newer || !self.is_stray(key) { Ok(()) } else { Err(own) }
    }

    /// Whether a viewer with this key is served by another object of the room.
    pub(super) fn is_stray(&self, key: u64) -> bool {
        !self.is_gateway() && self.shape().shard_of(key) != self.own_shard()
    }

    /// Where a viewer who signs in belongs, if that is not here: the key for the next upgrade.
    pub(super) fn belongs_elsewhere(&self, user: &str) -> Option<String> {
        let key = hash(user);
        let shaped = self.following.as_ref().is_none_or(|following| following.shape().version > 0);
        (shaped && self.is_stray(key)).then(|| format!("{key:016x}"))
    }

    /// Sends some of those away whom another object serves since the shape has changed: a part each second.
    pub(super) fn move_on(&mut self, effects: &mut Effects) {
        let moving = match &self.following {
            Some(following) => following.moving.then_some(following.move_at),
            None => self.spread.moving.then_some(self.spread.move_at),
        };
        if moving.is_none_or(|due| due > self.now) {
            return;
        }
        let all = self.audience.socket_count();
        let part = (all / MOVE_PART).max(MOVE_LEAST);
        let strays: Vec<_> = self.audience.keys().filter(|(_, key, _)| self.is_stray(*key)).collect();
        let (strays, undecided): (Vec<_>, Vec<_>) = strays.into_iter().partition(|(_, _, stands)| *stands);
        let left = strays.len() > part || !undecided.is_empty();
        for (n, (socket, key, _)) in strays.into_iter().take(part).enumerate() {
            let error = ChatError::new(ErrorCode::Elsewhere, "The room has been split anew; come back at once.");
            let after_ms = super::count(n) * MOVE_EVERY / super::count(part);
            let line = wire::goodbye_to(&error, true, after_ms, Some(format!("{key:016x}")));
            effects.out.push(Out::Send(To::One(socket), line));
            effects.out.push(Out::Close(socket, error.code.close(), close_reason(true, after_ms)));
            self.audience.closed(socket, self.now);
        }
        // Who was sent away counts as a stray of this shard for a moment more.
        let lingers = self.following.is_some() && self.audience.user_ids().any(|user| self.is_stray(hash(user)));
        let at = self.now.saturating_add(MOVE_EVERY);
        match &mut self.following {
            Some(following) => (following.moving, following.move_at) = (left || lingers, at),
            None => (self.spread.moving, self.spread.move_at) = (left, at),
        }
    }
}
