//! One socket: what survives sleep in its attachment, and what is only remembered while awake.

use super::alive::Life;
use super::probe::Probes;
use crate::auth::{Identity, Role};
use crate::protocol::call::Standing;
use crate::protocol::{ErrorCode, UserId};
use serde::{Deserialize, Serialize};

/// A socket's number within its room; kept in its attachment.
pub type SocketId = u32;

/// So many bad frames within so many ms, and so many refusals because of a rate, end a socket.
const BAD_FRAMES: (usize, u64) = (20, 60_000);
const REFUSALS: (usize, u64) = (30, 10_000);

/// What a socket is known by after its room has slept: at most 2 KB, written on open, join and refresh only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// The format's version.
    pub v: u32,
    /// The socket's number.
    pub id: SocketId,
    /// When it was accepted, ms.
    pub at: u64,
    /// Whether it has joined.
    #[serde(default)]
    pub joined: bool,
    /// Who is behind it; none for a guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// A guest's random name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub guest: String,
}

impl Attachment {
    pub(super) fn new(id: SocketId, identity: Option<Identity>, guest: String, at: u64) -> Self {
        Self { v: 1, id, at, joined: false, identity, guest }
    }
}

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) attachment: Attachment,
    pub(super) role: Role,
    pub(super) probes: Probes,
    pub(super) life: Life,
    /// What its user's object said before it joined.
    pub(super) offered: Option<Standing>,
    /// Whether that object tells this room of what changes.
    pub(super) awaited: bool,
    /// The deadline under which the audience has it listed.
    pub(super) indexed: Option<u64>,
    bad: Vec<u64>,
    refused: Vec<u64>,
}

impl Socket {
    pub(super) fn new(attachment: Attachment, sent: u64) -> Self {
        Self {
            life: Life::new(attachment.at),
            probes: Probes::new(attachment.id, sent),
            attachment,
            role: Role::Guest,
            offered: None,
            awaited: false,
            indexed: None,
            bad: Vec::new(),
            refused: Vec::new(),
        }
    }

    pub(super) fn user_id(&self) -> Option<&str> {
        self.attachment.identity.as_ref().map(|who| who.user_id.as_str())
    }

    /// Under what the audience lists it until it has joined; none of a guest.
    pub(super) fn unjoined(&self) -> Option<(UserId, SocketId)> {
        let who = self.attachment.identity.as_ref().filter(|_| !self.attachment.joined)?;
        Some((who.user_id.clone(), self.attachment.id))
    }

    /// When the socket has to be looked at again, ms.
    pub(super) fn deadline(&self, join_within: u64) -> Option<u64> {
        let token = self.attachment.identity.as_ref().map(|who| who.exp_ms);
        token.into_iter().chain(self.slow_at(join_within)).min()
    }

    /// Why a socket whose deadline has passed is to be closed; or in how many ms that is to be asked again, since its token
    /// lasts yet by the platform's clock.
    pub(super) fn overdue(&self, now: u64, platform: u64, join_within: u64) -> Result<ErrorCode, u64> {
        let token = self.attachment.identity.as_ref().map(|who| who.exp_ms.saturating_sub(platform));
        let slow = self.slow_at(join_within).map(|at| at.saturating_sub(now));
        match token.into_iter().chain(slow).min() {
            Some(left) if left > 0 => Err(left),
            _ if token == Some(0) => Ok(ErrorCode::TokenExpired),
            _ => Ok(ErrorCode::TooSlow),
        }
    }

    /// When it has to have joined, or proved that it reads, ms.
    fn slow_at(&self, join_within: u64) -> Option<u64> {
        let join = (!self.attachment.joined).then(|| self.attachment.at.saturating_add(join_within));
        join.into_iter().chain(self.probes.deadline()).min()
    }

    pub(super) fn bad_frame(&mut self, now: u64) -> bool {
        one_too_many(&mut self.bad, BAD_FRAMES, now)
    }

    pub(super) fn refused(&mut self, now: u64) -> bool {
        one_too_many(&mut self.refused, REFUSALS, now)
    }
}

fn one_too_many(times: &mut Vec<u64>, (most, window): (usize, u64), now: u64) -> bool {
    times.retain(|at| at.saturating_add(window) > now);
    times.push(now);
    times.len() >= most
}
