//! Who is still there: sockets that died without a word leave, and PostgreSQL is told who is here now and then.

use super::{Effects, Host, Moment, part};
use crate::audience::{Gone, Out, Silent, SocketId, To};
use crate::protocol::shard::{Sight, gateway_name};
use crate::protocol::{ChatError, ErrorCode, wire};
use crate::sinks;
use serde::Serialize;
use std::collections::BTreeMap;

/// How often PostgreSQL is told who is here at most, ms.
const REPORT_EVERY: u64 = 60_000;
/// How long comings and goings gather, ms, where it was not told lately.
const GATHER: u64 = 1_000;
/// Above so many users online nobody is kept there.
const MOST_REPORTED: usize = 1_000;
/// When those who did not answer may come back, ms.
pub(super) const COME_BACK: u64 = 1_000;

/// What PostgreSQL was told of who is here.
#[derive(Debug, Default)]
pub(super) struct Reported {
    /// When, ms; 0 in an object that was built anew.
    at: u64,
    /// Somebody came or went since then.
    changed: bool,
    /// Not everybody is known here, since the room is split or large, and it was said to be empty: nobody is kept of it.
    split: bool,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Probed"))]
pub(crate) struct Probe {
    pub(super) nonce: String,
}

impl Host {
    /// What the platform knows of when those of [`Effects::look`] pinged last, ms. After a wake of all sockets, before
    /// anything else: nobody who is dead is shown to be here.
    pub fn look(&mut self, at: &Moment<'_>, pings: &[(SocketId, Option<u64>)]) -> Effects {
        let mut effects = self.begin(at);
        let heard: Vec<_> = pings.iter().map(|(id, at)| (*id, at.map(|at| self.clock.room(at)))).collect();
        for silent in self.audience.look(&heard, self.now) {
            match silent {
                Silent::Ask(socket) => {
                    if let Some(nonce) = self.audience.nonce_for(socket, self.now, &self.entropy) {
                        self.send(socket, wire::event(None, "probe", &Probe { nonce }), &mut effects);
                    }
                }
                Silent::Dead(socket, heard) => {
                    let message = "Nothing was heard of you for too long; come back and resume.";
                    self.refuse(ErrorCode::TooSlow);
                    part(socket, &ChatError::new(ErrorCode::TooSlow, message), true, COME_BACK, &mut effects);
                    // Gone since it was heard last.
                    self.audience.closed(socket, heard);
                }
            }
        }
        self.see_off(&mut effects);
        self.finish(effects)
    }

    /// Tells of those whose last tab was closed for long enough.
    pub(super) fn see_off(&mut self, effects: &mut Effects) {
        for gone in self.audience.gone(self.now) {
            if self.audience.standing_of(&gone.user_id).is_some() {
                self.keep_blocks(&gone.user_id, None);
            }
            if gone.plain {
                self.lately.keep(&gone.user_id, self.now);
            }
            if self.audience.is_intimate() {
                let Gone { user_id, username, avatar, .. } = &gone;
                self.glimpse(Sight::Left, (user_id, username, avatar.as_deref()), effects);
            }
        }
    }

    /// Says where the log stands, where nothing did for a while: who lost the last event learns of it.
    pub(super) fn say_position(&mut self, effects: &mut Effects) {
        if self.room.is_none() {
            return;
        }
        for (class, line) in self.fanout.position(self.now) {
            let sockets = self.audience.list(class);
            if !sockets.is_empty() {
                self.broadcast(To::Many(sockets), line, effects);
            }
        }
    }

    /// When PostgreSQL is told next who is here, where somebody came or went, ms.
    pub(super) fn report_due(&mut self) -> Option<u64> {
        self.room.as_ref().filter(|_| self.following.is_none())?;
        if self.waits_for_gateways() {
            return None;
        }
        if self.named().is_none() {
            return (!self.reported.split).then(|| self.now.saturating_add(GATHER));
        }
        self.reported.changed |= self.audience.take_people_changed();
        let wait = if self.audience.online().0 == 0 { 0 } else { REPORT_EVERY };
        self.reported.changed.then(|| (self.reported.at + wait).max(self.now.saturating_add(GATHER)))
    }

    /// At gateways somebody may have come or gone.
    pub(super) fn crowd_is_news(&mut self) {
        self.reported.changed = true;
    }

    /// Who is here, for PostgreSQL: after somebody came or went, and every minute while something happens in the room.
    /// The last to leave do not wait for the minute.
    pub(super) fn report(&mut self, effects: &mut Effects) {
        if self.room.is_none() || self.following.is_some() || self.waits_for_gateways() {
            return;
        }
        self.reported.changed |= self.audience.take_people_changed();
        let (online, _) = self.audience.online();
        let named = self.named();
        let split = named.is_none();
        let is_time = match split {
            true => !self.reported.split,
            false if online == 0 => self.reported.changed,
            false => self.reported.at + REPORT_EVERY <= self.now,
        };
        if !is_time {
            return;
        }
        self.reported = Reported { at: self.now, changed: false, split };
        let here = self.audience.here().map(|(user, socket)| (user, socket.to_string()));
        let there = self.named().unwrap_or_default();
        let there = there.into_iter().map(|(member, n)| (&member.user_id, gateway_name(n)));
        let all: BTreeMap<_, _> = there.chain(here).collect();
        let all = all.into_iter().filter(|_| online <= MOST_REPORTED && !split);
        effects.presence = Some(sinks::presence(self.id.as_str(), self.now, all));
    }
}

/// Whether there are frames for many among these.
pub(super) fn shows(out: &[Out]) -> bool {
    out.iter().any(|out| matches!(out, Out::Send(To::Many(_), _)))
}
