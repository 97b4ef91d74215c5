//! What a room hears of its users from their own objects: whom they block, and that they signed out everywhere.

use super::frames::refusal;
use super::{Effects, Host, Moment};
use crate::audience::SocketId;
use crate::protocol::call::{Standing, UserAsk, UserCall, VERSION};
use crate::protocol::{ChatError, ClientEvent, ClientFrame, ErrorCode, FrameId, JoinRoom, RefreshToken, UserId, wire};
use crate::room::{Read, Room};
use crate::user::hash;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// When a user's object that did not answer is asked again, ms, and how many are asked at once.
const ASK_AGAIN: u64 = 5_000;
const AT_ONCE: usize = 100;

/// Users who were let in while their own objects have not answered yet that this room is told of changes.
#[derive(Debug, Default)]
pub(super) struct Unheard {
    users: BTreeSet<UserId>,
    /// When they are asked again, ms.
    pub(super) due: Option<u64>,
}

/// How long somebody who left is remembered, ms, and how many are.
const LATELY: u64 = 60_000;
const MOST_LATELY: usize = 32_000;

/// Those who left lately and were plain: see [`Host::knows`]. By the hash of their names, with when they left.
#[derive(Debug, Default)]
pub(super) struct Lately {
    left: BTreeMap<u64, u64>,
    order: VecDeque<(u64, u64)>,
}

impl Lately {
    fn has(&self, user_id: &str, now: u64) -> bool {
        !self.left.is_empty() && self.left.get(&hash(user_id)).is_some_and(|at| at.saturating_add(LATELY) > now)
    }

    pub(super) fn keep(&mut self, user_id: &str, now: u64) {
        let user = hash(user_id);
        self.left.insert(user, now);
        self.order.push_back((now, user));
        self.sweep(now);
    }

    fn forget(&mut self, user_id: &str) {
        if !self.left.is_empty() {
            self.left.remove(&hash(user_id));
        }
    }

    /// Forgets those who left too long ago, and of too many the first.
    pub(super) fn sweep(&mut self, now: u64) {
        while let Some((at, user)) = self.order.front().copied()
            && (at.saturating_add(LATELY) <= now || self.order.len() > MOST_LATELY)
        {
            self.order.pop_front();
            if self.left.get(&user) == Some(&at) {
                self.left.remove(&user);
            }
        }
    }
}

/// A frame that its sender's own object has to answer; then [`Host::answered`].
#[derive(Debug)]
pub struct AskUser {
    /// Whose object.
    pub user_id: UserId,
    /// What to ask.
    pub call: UserCall,
    pub(super) socket: SocketId,
    pub(super) id: Option<FrameId>,
}

impl Host {
    /// Whose object has to be asked before this frame is handled; its answer goes to [`Host::offer`].
    pub fn asks(
        &mut self,
        at: &Moment<'_>,
        socket: SocketId,
        parsed: &Result<ClientFrame, ChatError>,
    ) -> Option<UserId> {
        self.begin(at);
        let Ok(ClientFrame { event: Ok(event), .. }) = parsed else { return None };
        let token = match event {
            ClientEvent::JoinRoom(_) if self.audience.has_offer(socket) => return None,
            ClientEvent::JoinRoom(JoinRoom { user_token: Some(token), .. })
            | ClientEvent::RefreshToken(RefreshToken { user_token: token, .. }) => token,
            ClientEvent::JoinRoom(_) => {
                let attachment = self.audience.attachment(socket)?;
                let user_id = attachment.identity.as_ref().map(|who| who.user_id.clone());
                return user_id.filter(|user_id| !self.knows(user_id, self.now));
            }
            _ => return None,
        };
        self.verify(token).ok().map(|who| who.user_id)
    }

    /// Whether this room knows of a user without asking that nothing holds: who is here or was lately, never blocked
    /// anybody nor signed out, and whose object tells this room of what changes. `now` in ms since 1970.
    pub fn knows(&self, user_id: &str, now: u64) -> bool {
        self.audience.is_plain(user_id) || self.lately.has(user_id, self.now.max(now))
    }

    /// That the object of the user behind a socket that has not joined tells this room of what changes.
    pub fn awaits(&mut self, socket: SocketId, awaited: bool) {
        let user = self.audience.attachment(socket).and_then(|attachment| attachment.identity.as_ref());
        // What came meanwhile found nobody here, and that was the answer.
        let told = user.is_some_and(|who| self.news.of(&who.user_id).is_some());
        self.audience.set_awaited(socket, awaited && !told);
    }

    /// What the object of a socket's user says, ahead of the frame that needs it.
    pub fn offer(&mut self, socket: SocketId, standing: Standing) {
        self.audience.offer(socket, Some(standing));
    }

    /// A user's object tells of a change. Whether the user has a socket here.
    pub fn user(&mut self, at: &Moment<'_>, user_id: &str, standing: Standing) -> (bool, Effects) {
        let mut effects = self.begin(at);
        let here = self.heard(user_id, standing, &mut effects);
        (here, self.finish(effects))
    }

    /// The object of a user who was let in says what holds now, and tells of what changes from now on; none where it
    /// does not answer, and then it is asked again while the user is here.
    pub fn entered(&mut self, at: &Moment<'_>, user_id: &str, standing: Option<Standing>) -> Effects {
        let mut effects = self.begin(at);
        match standing {
            Some(standing) => {
                self.apply(user_id, &standing, &mut effects);
                self.audience.set_told(user_id, true);
            }
            None => {
                self.unheard.users.insert(user_id.to_owned());
                self.unheard.due.get_or_insert(self.now.saturating_add(ASK_AGAIN));
            }
        }
        self.finish(effects)
    }

    pub(super) fn ask_again(&mut self, effects: &mut Effects) {
        if self.unheard.due.is_none_or(|due| due > self.now) {
            return;
        }
        for _ in 0..AT_ONCE {
            let Some(user_id) = self.unheard.users.pop_first() else { break };
            if self.audience.is_here(&user_id) {
                effects.entered.push(user_id);
            }
        }
        self.unheard.due = (!self.unheard.users.is_empty()).then(|| self.now.saturating_add(ASK_AGAIN));
    }

    /// The sender's object has answered a frame.
    pub fn answered(&mut self, at: &Moment<'_>, asked: AskUser, answer: Result<Standing, ChatError>) -> Effects {
        let mut effects = self.begin(at);
        let AskUser { user_id, socket, id, .. } = asked;
        let line = match answer {
            Ok(standing) => {
                self.heard(&user_id, standing, &mut effects);
                id.map(|id| wire::reply(&id, &serde_json::Map::new()))
            }
            Err(error) => {
                self.refuse(error.code);
                if self.audience.attachment(socket).is_some() {
                    self.send(socket, refusal(id.as_ref(), &error), &mut effects);
                    self.count_refusal(socket, &error, &mut effects);
                }
                None
            }
        };
        if let Some(line) = line.filter(|_| self.audience.attachment(socket).is_some()) {
            self.send(socket, line, &mut effects);
        }
        self.finish(effects)
    }

    pub(super) fn ask_user(&self, socket: SocketId, id: Option<FrameId>, ask: UserAsk, effects: &mut Effects) {
        let Some(who) = self.audience.attachment(socket).and_then(|attachment| attachment.identity.as_ref()) else {
            return;
        };
        let call = UserCall { v: VERSION, iat_ms: who.iat_ms, ask };
        effects.asks.push(AskUser { user_id: who.user_id.clone(), call, socket, id });
    }

    fn heard(&mut self, user_id: &str, standing: Standing, effects: &mut Effects) -> bool {
        // The object may not think of this room again.
        self.audience.set_told(user_id, false);
        for (socket, _) in self.audience.tokens_of(user_id) {
            self.audience.set_awaited(socket, false);
        }
        self.lately.forget(user_id);
        let here = self.apply(user_id, &standing, effects);
        self.news.keep(user_id, standing, self.now);
        here
    }

    /// Closes the user's sockets whose tokens do not count any more, and takes over whom they block. Whether any socket
    /// stays.
    fn apply(&mut self, user_id: &str, standing: &Standing, effects: &mut Effects) -> bool {
        let mut here = false;
        for (socket, iat_ms) in self.audience.tokens_of(user_id) {
            if standing.check(iat_ms).is_ok() {
                here = true;
                continue;
            }
            let error =
                ChatError::new(ErrorCode::TokenExpired, "You signed out everywhere; come back with a new token.");
            // A token of this very second would be refused like those before it.
            let after_ms = 1_000 - self.now % 1_000;
            self.close(socket, &error, true, after_ms, effects);
        }
        if self.news.of(user_id).is_none_or(|news| news.version <= standing.version) {
            self.adopt_standing(user_id, standing);
        }
        here
    }

    /// The newest that is known of a socket's user, for a token that it brings.
    ///
    /// # Errors
    /// `token_expired` where the user signed out after the token was made.
    pub(super) fn standing_for(
        &mut self,
        socket: SocketId,
        user_id: &str,
        iat_ms: Option<u64>,
    ) -> Result<Option<Standing>, ChatError> {
        let offered = self.audience.take_offer(socket);
        let news = self.news.of(user_id).cloned();
        let newest = offered.into_iter().chain(news).max_by_key(|standing| standing.version);
        if let Some(standing) = &newest {
            standing.check(iat_ms)?;
        }
        Ok(newest)
    }

    /// Takes over whom a user who is here blocks, where that is newer than what is known; kept for the next wake.
    pub(super) fn adopt_standing(&mut self, user_id: &str, standing: &Standing) {
        if let Some(room) = self.room.as_mut().filter(|_| self.following.is_none()) {
            self.state.extend(room.shuts(user_id, standing));
        }
        if !self.audience.is_newer(user_id, standing.version) {
            return;
        }
        let kept = (!standing.blocks.is_empty()).then(|| Standing { signed_out_at: None, ..standing.clone() });
        if kept.is_some() || self.audience.standing_of(user_id).is_some() {
            self.keep_blocks(user_id, kept);
        }
    }

    /// Keeps whom a user blocks, or forgets it.
    pub(super) fn keep_blocks(&mut self, user_id: &str, standing: Option<Standing>) {
        self.state.push(Room::blocks_state(user_id, standing.as_ref()));
        self.audience.set_blocks(user_id, standing);
    }

    /// After a wake: what was kept of those who are still here; that of others goes.
    ///
    /// # Errors
    /// The storage cannot be read.
    pub(super) fn restore_blocks(&mut self, at: &Moment<'_>) -> Read<()> {
        let kept = Room::kept_blocks(at.log)?;
        for (user_id, standing) in kept {
            if self.audience.is_here(&user_id) {
                self.audience.set_blocks(&user_id, Some(standing));
            } else {
                self.keep_blocks(&user_id, None);
            }
        }
        Ok(())
    }
}
