//! What is shown of people in a small room and kept nowhere: who came, who left, who types. Between a room and its
//! gateways it is handed on; best effort.

use super::{Effects, Host};
use crate::audience::To;
use crate::protocol::shard::{Follower, Glimpse, Sight};
use crate::protocol::wire;
use crate::user::hash;
use serde::Serialize;

/// So many are handed on at once; what nobody could be told before is old by then.
pub(super) const MOST: usize = 50;

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "UserSeen"))]
pub(crate) struct Seen<'a> {
    user_id: &'a str,
    username: &'a str,
    avatar: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_typing: Option<bool>,
}

impl Sight {
    const fn comes_or_goes(self) -> bool {
        matches!(self, Self::Joined | Self::Left)
    }
}

impl Host {
    /// Something that a user did here: shown to those who are here, and handed on. Whether somebody has come or gone the
    /// room alone knows: they may have other tabs elsewhere.
    pub(super) fn glimpse(
        &mut self,
        sight: Sight,
        (user_id, username, avatar): (&str, &str, Option<&str>),
        effects: &mut Effects,
    ) {
        let (user_id, username, avatar) = (user_id.to_owned(), username.to_owned(), avatar.map(str::to_owned));
        let mut glimpse = Glimpse { gateway: None, sight, user_id, username, avatar };
        let Some(following) = &mut self.following else {
            if !sight.comes_or_goes() || !self.is_at_gateway(&glimpse.user_id, None) {
                self.show_glimpse(&glimpse, effects);
                self.spread.lanes.hand_on(glimpse, self.now);
            }
            return;
        };
        if let Follower::Gateway(n) = following.me() {
            glimpse.gateway = Some(n);
            if following.glimpses.len() < MOST {
                following.glimpses.push(glimpse.clone());
            }
        }
        if glimpse.gateway.is_none() || !sight.comes_or_goes() {
            self.show_glimpse(&glimpse, effects);
        }
    }

    fn show_glimpse(&mut self, glimpse: &Glimpse, effects: &mut Effects) {
        if !self.audience.is_intimate() {
            return;
        }
        let Glimpse { sight, user_id, username, avatar, .. } = glimpse;
        let others = |host: &Self| host.audience.list_without(user_id);
        let (event, to, is_typing) = match sight {
            Sight::Joined => ("user_joined", others(self), None),
            Sight::Left => ("user_left", others(self), None),
            Sight::Types | Sight::Stopped => {
                let to = self.audience.list_hearing(user_id);
                ("user_typing", to, Some(*sight == Sight::Types))
            }
        };
        let seen = Seen { user_id, username, avatar: avatar.as_deref(), is_typing };
        self.broadcast(To::Many(to), wire::event(None, event, &seen), effects);
    }

    /// What the room hands on: shown to those who are here, unless it comes from here.
    pub(super) fn glimpsed(&mut self, glimpses: &[Glimpse], effects: &mut Effects) {
        let me = self.following.as_ref().map(super::follower::Following::me);
        let is_own = |glimpse: &&Glimpse| glimpse.gateway.map(Follower::Gateway).is_some_and(|from| me == Some(from));
        for glimpse in glimpses.iter().filter(|glimpse| !is_own(glimpse)).take(MOST) {
            self.show_glimpse(glimpse, effects);
        }
    }

    /// The room takes what this gateway has seen, and hands it on.
    pub(super) fn take_glimpses(&mut self, from: Follower, glimpses: Vec<Glimpse>, effects: &mut Effects) {
        let Follower::Gateway(n) = from else { return };
        for glimpse in glimpses.into_iter().take(MOST) {
            let comes_or_goes = glimpse.sight.comes_or_goes();
            let user_id = &glimpse.user_id;
            if comes_or_goes && (self.audience.is_here(user_id) || self.is_at_gateway(user_id, Some(n))) {
                continue;
            }
            let glimpse = Glimpse { gateway: (!comes_or_goes).then_some(n), ..glimpse };
            self.show_glimpse(&glimpse, effects);
            if self.audience.is_intimate() {
                self.spread.lanes.hand_on(glimpse, self.now);
            }
        }
    }

    /// Whether the user is at some gateway, but for this one.
    fn is_at_gateway(&self, user_id: &str, but: Option<u32>) -> bool {
        let mut others = self.spread.lanes.gateways().filter(|(n, _)| Some(*n) != but).peekable();
        others.peek().is_some() && {
            let key = hash(user_id);
            others.any(|(_, lane)| lane.crowd.strays.has_hash(key))
        }
    }
}
