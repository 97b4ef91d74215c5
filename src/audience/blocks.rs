//! Whom those who are here block. Nothing is kept of who blocks nobody, so that a room without blocks does no work.

use super::presence::Present;
use super::{Audience, SocketId};
use crate::auth::Role;
use crate::protocol::UserId;
use crate::protocol::call::Standing;
use crate::user::{Blocks, hash};
use std::rc::Rc;

impl Audience {
    /// What the user of a socket that has not joined was said to block.
    pub fn offer(&mut self, id: SocketId, standing: Option<Standing>) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.offered = standing.or(socket.offered.take());
        }
    }

    /// The same, once.
    pub fn take_offer(&mut self, id: SocketId) -> Option<Standing> {
        self.sockets.get_mut(&id)?.offered.take()
    }

    /// Whether this object is told of what changes with the user of a socket that has not joined.
    pub fn set_awaited(&mut self, id: SocketId, awaited: bool) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.awaited = awaited;
        }
    }

    /// Whether it is, once.
    pub fn take_awaited(&mut self, id: SocketId) -> bool {
        self.sockets.get_mut(&id).is_some_and(|socket| std::mem::take(&mut socket.awaited))
    }

    /// Whether this object is told of what changes with a user who is here.
    pub fn set_told(&mut self, user: &str, told: bool) {
        if let Some(present) = self.users.get_mut(user) {
            present.told = told;
        }
    }

    /// Whether it is, and nothing ever did.
    pub fn is_plain(&self, user: &str) -> bool {
        self.users.get(user).is_some_and(Present::is_plain)
    }

    /// Whether something was said of that socket's user.
    pub fn has_offer(&self, id: SocketId) -> bool {
        self.sockets.get(&id).is_some_and(|socket| socket.offered.is_some())
    }

    /// Whether what this version says is newer than what is known of a user who is here; if so it counts as known, and
    /// stays so also where the user blocks nobody.
    pub fn is_newer(&mut self, user: &str, version: u64) -> bool {
        let Some(present) = self.users.get_mut(user) else { return false };
        let newer = present.known.is_none_or(|known| known < version);
        if newer {
            present.known = Some(version);
        }
        newer
    }

    /// Keeps whom a user blocks, or that it is nobody any more.
    pub fn set_blocks(&mut self, user: &str, standing: Option<Standing>) {
        if let (Some(standing), Some(present)) = (&standing, self.users.get_mut(user)) {
            present.known = present.known.max(Some(standing.version));
        }
        match standing {
            Some(standing) => drop(self.blocks.insert(user.to_owned(), standing)),
            None => drop(self.blocks.remove(user)),
        }
    }

    /// What is kept of a user who blocks somebody.
    pub fn standing_of(&self, user: &str) -> Option<&Standing> {
        self.blocks.get(user)
    }

    /// Whom a user blocks.
    pub fn blocks_of(&self, user: Option<&str>) -> &Blocks {
        user.and_then(|user| self.blocks.get(user)).map_or(Blocks::NONE, |standing| &standing.blocks)
    }

    /// Whether anybody here blocks anybody.
    pub fn anybody_blocks(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// Those who block one of the users with these hashes.
    pub fn deaf_to<'a>(&'a self, hashes: &'a [u64]) -> impl Iterator<Item = &'a UserId> {
        let deaf = |blocks: &Blocks| hashes.iter().any(|hash| blocks.has_hash(*hash));
        self.blocks.iter().filter(move |(_, standing)| deaf(&standing.blocks)).map(|(user, _)| user)
    }

    /// The sockets of everyone who hears of what `user` does besides: not that user, nor who blocks them, unless it is
    /// a moderator.
    pub fn list_hearing(&self, user: &str) -> Rc<[SocketId]> {
        let all = self.list_without(user);
        if self.blocks.is_empty() {
            return all;
        }
        let author = hash(user);
        let hears = |id: &&SocketId| {
            let listener = self.sockets.get(id).and_then(|socket| socket.user_id());
            self.role(**id).at_least(Role::Moderator) || !self.blocks_of(listener).has_hash(author)
        };
        all.iter().filter(hears).copied().collect()
    }

    /// All sockets of a user, joined or not, with the time (ms) at which each one's token was made.
    pub fn tokens_of(&self, user: &str) -> Vec<(SocketId, Option<u64>)> {
        let every = (user.to_owned(), SocketId::MIN)..=(user.to_owned(), SocketId::MAX);
        let unjoined = self.unjoined.range(every).map(|(_, id)| id);
        let joined = self.users.get(user).into_iter().flat_map(|present| &present.sockets);
        let of = |id: &SocketId| Some((*id, self.attachment(*id)?.identity.as_ref()?.iat_ms));
        joined.chain(unjoined).filter_map(of).collect()
    }

    /// Whether the user is counted as here.
    pub fn is_here(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }
}
