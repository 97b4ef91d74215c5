//! Who is here: a user is one however many tabs, and gone 5 s after the last of them.

use super::{Audience, Level, Lists, SocketId, socket::Socket};
use crate::auth::Role;
use crate::protocol::UserId;

const LINGER: u64 = 5_000;
const TYPING_EVERY: u64 = 3_000;
const STATS_EVERY: u64 = 1_000;
const STATS_EVERY_LARGE: u64 = 5_000;
/// How long a new number of messages waits for a frame that takes it along before it gets one of its own, ms: where
/// people talk the next message does.
const COUNT_WAITS: u64 = 2_000;

#[derive(Debug)]
pub(super) struct Present {
    pub(super) sockets: Vec<SocketId>,
    pub(super) username: String,
    pub(super) lowercase: String,
    pub(super) avatar: Option<String>,
    /// What the user was when the last tab was closed.
    pub(super) role: Role,
    /// The version of what is known of the user.
    pub(super) known: Option<u64>,
    /// Whether the user's object tells this one of what changes.
    pub(super) told: bool,
    leaves_at: Option<u64>,
    typing: bool,
    typed_at: u64,
}

impl Present {
    /// Whether the user never blocked anybody nor signed out, and this object would have been told.
    pub(super) fn is_plain(&self) -> bool {
        self.told && self.known == Some(0)
    }
}

/// A user who has left.
#[derive(Debug, PartialEq, Eq)]
pub struct Gone {
    /// Who.
    pub user_id: UserId,
    /// The name.
    pub username: String,
    /// The picture.
    pub avatar: Option<String>,
    /// As [`Audience::is_plain`] has it.
    pub plain: bool,
}

impl Audience {
    /// Counts a joined socket; whether its user was not here before.
    pub(super) fn enter(&mut self, id: SocketId) -> bool {
        self.lists = Lists::default();
        self.people += 1;
        let Some(socket) = self.sockets.get(&id) else { return false };
        let Some(who) = &socket.attachment.identity else {
            *self.guests.entry(socket.attachment.guest.clone()).or_default() += 1;
            self.assess();
            return false;
        };
        let new = !self.users.contains_key(&who.user_id);
        self.people_changed |= new;
        let present = self.users.entry(who.user_id.clone()).or_insert_with(|| Present {
            sockets: Vec::new(),
            username: String::new(),
            lowercase: String::new(),
            avatar: None,
            role: socket.role,
            known: None,
            told: false,
            leaves_at: None,
            typing: false,
            typed_at: 0,
        });
        if !present.sockets.contains(&id) {
            present.sockets.push(id);
        }
        if let Some(at) = present.leaves_at.take() {
            self.leaving.remove(&(at, who.user_id.clone()));
        }
        present.username.clone_from(&who.username);
        present.lowercase = who.username.to_lowercase();
        present.avatar.clone_from(&who.avatar);
        self.assess();
        new
    }

    pub(super) fn leave(&mut self, socket: &Socket, now: u64) {
        self.lists = Lists::default();
        self.people += 1;
        let attachment = &socket.attachment;
        let Some(who) = &attachment.identity else {
            if let Some(count) = self.guests.get_mut(&attachment.guest) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.guests.remove(&attachment.guest);
                }
            }
            self.stats_dirty = true;
            self.assess();
            return;
        };
        if let Some(present) = self.users.get_mut(&who.user_id) {
            present.sockets.retain(|id| *id != attachment.id);
            if present.sockets.is_empty() {
                present.role = socket.role;
                let at = now.saturating_add(LINGER);
                present.leaves_at = Some(at);
                self.leaving.insert((at, who.user_id.clone()));
            }
        }
    }

    /// Those whose last tab has been closed for long enough.
    pub fn gone(&mut self, now: u64) -> Vec<Gone> {
        let mut gone = Vec::new();
        while self.leaving.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, user_id)) = self.leaving.pop_first() else { break };
            if let Some(present) = self.users.remove(&user_id) {
                self.stats_dirty = true;
                self.people_changed = true;
                self.people += 1;
                let plain = present.is_plain();
                gone.push(Gone { user_id, username: present.username, avatar: present.avatar, plain });
            }
        }
        self.assess();
        gone
    }

    /// Whether each coming, going and typing is shown.
    pub fn is_intimate(&self) -> bool {
        self.level() == Level::Intimate
    }

    /// Somebody types, or stopped; whether the others are to be told.
    pub fn typing(&mut self, user: &str, typing: bool, now: u64) -> bool {
        let intimate = self.is_intimate();
        let Some(present) = self.users.get_mut(user) else { return false };
        let changed = present.typing != typing;
        if !intimate || (!changed && !typing) || (typing && present.typed_at.saturating_add(TYPING_EVERY) > now) {
            return false;
        }
        present.typing = typing;
        if typing {
            present.typed_at = now;
        }
        true
    }

    /// Something that `room_stats` tells has changed.
    pub fn stats_changed(&mut self) {
        self.stats_dirty = true;
    }

    /// There is another number of messages.
    pub fn count_changed(&mut self) {
        self.count_dirty = true;
    }

    /// Whether `room_stats` may go with a frame that leaves now; if so it counts as sent.
    pub fn take_stats(&mut self, now: u64) -> bool {
        let may = (self.stats_dirty || self.count_dirty) && self.stats_from() <= now;
        if may {
            self.stats_dirty = false;
            self.count_dirty = false;
            self.stats_at = now;
            self.level_told();
        }
        may
    }

    /// When `room_stats` is due in a frame of its own, ms.
    pub fn stats_due(&self) -> Option<u64> {
        let count = self.count_dirty.then(|| self.stats_from().saturating_add(COUNT_WAITS));
        self.stats_dirty.then(|| self.stats_from()).or(count)
    }

    /// From when on there may be another `room_stats`, ms.
    fn stats_from(&self) -> u64 {
        let every = match self.level() {
            _ if self.level_is_news() => 0,
            Level::Intimate => STATS_EVERY,
            Level::Busy | Level::Large => STATS_EVERY_LARGE,
        };
        self.stats_at.saturating_add(every)
    }

    /// Whether a user came or went since this was last asked.
    pub fn take_people_changed(&mut self) -> bool {
        std::mem::take(&mut self.people_changed)
    }

    /// Counts comings and goings, of users and of guests.
    pub fn people(&self) -> u64 {
        self.people
    }

    /// All users who count as here, also those about to leave.
    pub fn user_ids(&self) -> impl Iterator<Item = &UserId> {
        self.users.keys()
    }

    /// Those who are here, each with one of their sockets; not those about to leave.
    pub fn here(&self) -> impl Iterator<Item = (&UserId, SocketId)> {
        self.users.iter().filter_map(|(user_id, present)| Some((user_id, *present.sockets.first()?)))
    }

    /// When the audience has to be looked at again soon, but for [`Self::stats_due`], ms; it may be forgotten with the
    /// memory.
    pub fn next_soon(&self) -> Option<u64> {
        let leaving = self.leaving.first().map(|(at, _)| *at);
        leaving.into_iter().chain(self.answer_due()).chain(self.asks_at()).min()
    }
}
