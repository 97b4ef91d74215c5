//! Joining: who one is, whether one may, and what one gets to see first.

use super::frames::{Done, data};
use super::{Effects, Host, LeftOut, Mine, Moment, close_reason, is_nothing};
use crate::audience::{Out, SocketId, To};
use crate::auth::{Identity, Role};
use crate::protocol::call::Standing;
use crate::protocol::shard::Sight;
use crate::protocol::wire::{self, Member, RoomData, SelfData};
use crate::protocol::{ChatError, ErrorCode, JoinRoom, Position, RoomType, rfc3339};
use crate::room::{Failure, Resumed, Room, Sender, Viewer, new_info, no_room};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::rc::Rc;

/// How a client spreads its return: after a deploy drops every socket there is no goodbye to say it in.
const RECONNECT_BASE: u64 = 1_000;
const RECONNECT_SPREAD: u64 = 4_000;

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Reconnect {
    base_ms: u64,
    spread_ms: u64,
}

/// The reply to `join_room`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "JoinReply"))]
pub(crate) struct Joined<'a> {
    room: RoomData<'a>,
    #[serde(rename = "self")]
    me: SelfData,
    online_users: usize,
    online_guests: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<Member>>,
    #[serde(skip_serializing_if = "is_nothing")]
    #[cfg_attr(test, schemars(with = "Vec<crate::types::LeftOut>"))]
    left_out: LeftOut,
    reconnect: Reconnect,
    #[serde(flatten)]
    seen: SeenData,
}

/// Where a viewer is now, and how it got there: as in the reply to a join, and to `catch_up`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CatchUpReply"))]
pub(crate) struct SeenData {
    epoch: u64,
    seq: u64,
    resumed: bool,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shared")]
    #[cfg_attr(test, schemars(with = "Option<Vec<crate::types::Envelope>>"))]
    events: Option<Rc<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<Vec<wire::MessageData<'static>>>"))]
    messages: Option<Vec<Box<RawValue>>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    my_reactions: Mine,
}

fn shared<S: Serializer>(value: &Option<Rc<RawValue>>, to: S) -> Result<S::Ok, S::Error> {
    value.as_deref().serialize(to)
}

impl Host {
    /// `join_room`: the first time, again, or from where one was.
    pub(super) fn join(
        &mut self,
        at: &Moment<'_>,
        socket: SocketId,
        body: JoinRoom,
        effects: &mut Effects,
    ) -> Result<Done, Failure> {
        let Some(attachment) = self.audience.attachment(socket) else { return Ok(Done::Closed) };
        let (again, upgrade, guest) = (attachment.joined, attachment.identity.clone(), attachment.guest.clone());
        let identity = match body.user_token.as_deref() {
            None => Ok(upgrade),
            Some(token) => self.verify(token).and_then(|newer| match upgrade {
                Some(upgrade) => upgrade.longer(newer).map(Some),
                None if again => {
                    Err(ChatError::new(ErrorCode::TokenMismatch, "A guest opens a new socket to sign in."))
                }
                None => Ok(Some(newer)),
            }),
        };
        let behind = self.is_before(body.resume);
        let admitted = identity.and_then(|identity| {
            // It would be taken back to what it has seen already.
            if self.following.is_some() && behind {
                return Err(Self::unanswered());
            }
            let standing = match &identity {
                Some(who) => {
                    self.count_join("u", &who.user_id)?;
                    self.standing_for(socket, &who.user_id, who.iat_ms)?
                }
                None => {
                    self.count_join("g", &guest)?;
                    None
                }
            };
            let role = self.admit(identity.as_ref(), again, effects)?;
            Ok((identity, role, standing))
        });
        if let Ok((Some(who), ..)) = &admitted
            && let Some(key) = self.belongs_elsewhere(&who.user_id)
        {
            let message = "Another part of the room serves you; come back with the key.";
            let error = ChatError::new(ErrorCode::Elsewhere, message);
            effects.out.push(Out::Send(To::One(socket), wire::goodbye_to(&error, true, 0, Some(key))));
            effects.out.push(Out::Close(socket, error.code.close(), close_reason(true, 0)));
            self.audience.closed(socket, self.now);
            return Err(error.into());
        }
        let (identity, role, standing) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => {
                let known = matches!(error.code, ErrorCode::TooManySockets | ErrorCode::TokenExpired);
                let after_ms = error.retry_after_ms.or(known.then_some(RECONNECT_BASE));
                self.close(socket, &error, after_ms.is_some(), after_ms.unwrap_or(0), effects);
                return Err(error.into());
            }
        };

        let known = identity.as_ref().is_some_and(|who| self.knows(&who.user_id, self.now));
        let told = self.audience.take_awaited(socket) || known;
        self.counted.new.joins += u64::from(!again);
        let first = self.audience.join(socket, identity.clone(), role);
        if let Some(who) = &identity {
            if let Some(standing) = standing.or(known.then(Standing::default)) {
                self.adopt_standing(&who.user_id, &standing);
            }
            if told {
                self.audience.set_told(&who.user_id, true);
            } else {
                effects.entered.push(who.user_id.clone());
            }
        }
        self.attach(socket, effects);
        let reply = self.join_reply(at, body.resume, identity.as_ref(), role, guest)?;
        if let Some(who) = identity.filter(|_| first && !again && self.audience.is_intimate()) {
            self.glimpse(Sight::Joined, (&who.user_id, &who.username, who.avatar.as_deref()), effects);
        }
        let stats = self.stats_line();
        self.send(socket, stats, effects);
        Ok(reply)
    }

    /// Whether this viewer may come in, as what; makes the room where a signed-in join does.
    fn admit(&mut self, identity: Option<&Identity>, again: bool, effects: &mut Effects) -> Result<Role, ChatError> {
        if self.room.is_none() && self.following.is_some() {
            return Err(Self::unanswered());
        }
        if self.room.is_none() {
            self.make_for(identity, effects)?;
            return Ok(self.room.as_ref().map_or(Role::Guest, |room| room.role_of(identity)));
        }
        let role = self.room.as_ref().map_or(Ok(Role::Guest), |room| room.may_read(identity, self.now))?;
        if let Some(who) = identity.filter(|_| !again)
            && self.audience.is_full_for(&who.user_id, self.settings.max_sockets_per_user)
        {
            let message = "You have this room open as often as one may; close a tab first.";
            return Err(ChatError::new(ErrorCode::TooManySockets, message));
        }
        Ok(role)
    }

    /// Makes the room for whoever joins first, where that may be.
    pub(super) fn make_for(&mut self, identity: Option<&Identity>, effects: &mut Effects) -> Result<(), ChatError> {
        if identity.is_none() || !self.settings.auto_create_rooms || self.id.is_direct() {
            return Err(no_room());
        }
        let id = self.id.as_str();
        let info = new_info(id.to_owned(), RoomType::of_id(id), None, self.now);
        let (room, step) = Room::create(&self.id, self.settings.clone(), info, BTreeMap::new(), self.now);
        self.adopt_new(room, step, effects);
        Ok(())
    }

    fn join_reply(
        &mut self,
        at: &Moment<'_>,
        resume: Option<Position>,
        identity: Option<&Identity>,
        role: Role,
        guest: String,
    ) -> Result<Done, Failure> {
        let seen = self.seen(at, resume, identity, role)?;
        let Some(room) = &self.room else { return Ok(Done::Silence) };
        let online = self.audience.online();
        let me = SelfData {
            user_id: identity.map(|who| who.user_id.clone()),
            username: identity.map(|who| who.username.clone()),
            avatar: identity.and_then(|who| who.avatar.clone()),
            role,
            roles: vec![role],
            expires_at: identity.map(|who| rfc3339(who.exp_ms)),
            guest_id: identity.is_none().then_some(guest),
            can: room.can(&Sender { identity, role }, self.now),
        };
        Ok(data(&Joined {
            room: self.described(room),
            me,
            online_users: online.0,
            online_guests: online.1,
            members: self.audience.is_intimate().then(|| self.audience.all_members().collect()),
            left_out: self.audience.level().left_out(),
            reconnect: Reconnect { base_ms: RECONNECT_BASE, spread_ms: RECONNECT_SPREAD },
            seen,
        }))
    }

    pub(super) fn catch_up(
        &mut self,
        at: &Moment<'_>,
        from: Position,
        identity: Option<&Identity>,
        role: Role,
    ) -> Result<Done, Failure> {
        Ok(data(&self.seen(at, Some(from), identity, role)?))
    }

    /// What a viewer who was at `from`, or nowhere, has to be shown to be where the live events are.
    fn seen(
        &mut self,
        at: &Moment<'_>,
        from: Option<Position>,
        identity: Option<&Identity>,
        role: Role,
    ) -> Result<SeenData, Failure> {
        let Some(room) = &mut self.room else {
            return Err(no_room().into());
        };
        let user_id = identity.map(|who| who.user_id.as_str());
        let viewer = Viewer { user_id, role, blocks: self.audience.blocks_of(user_id) };
        let Position { epoch, .. } = room.position();
        // Live frames bring what is gathered.
        let shown = self.fanout.shown(role.at_least(Role::Moderator));
        let resumed = match from {
            Some(from) => room.resume(at.log, from, shown, viewer, self.now)?,
            None => Resumed::Snapshot(room.snapshot(at.log, shown, viewer, self.now)?),
        };
        let mut seen =
            SeenData { epoch, seq: shown, resumed: false, events: None, messages: None, my_reactions: Mine::new() };
        match resumed {
            Resumed::Events(events) => {
                self.counted.new.resumed += 1;
                seen.resumed = true;
                seen.events = Some(events);
            }
            Resumed::Snapshot(snapshot) => {
                self.counted.new.snapshots += u64::from(from.is_some());
                seen.messages = Some(snapshot.messages);
                seen.my_reactions = snapshot.mine.into_iter().map(|(id, mine)| (id.to_string(), mine)).collect();
            }
        }
        Ok(seen)
    }

    /// Ends the sockets of viewers who may not be here any more, after the room changed.
    pub(super) fn review(&mut self, effects: &mut Effects) {
        let Some(room) = &self.room else { return };
        self.audience.reassess(|identity| room.role_of(identity));
        let refused: Vec<_> = self
            .audience
            .joined()
            .iter()
            .filter_map(|id| {
                let identity = self.audience.attachment(*id)?.identity.as_ref();
                room.may_read(identity, self.now).err().map(|error| (*id, error))
            })
            .collect();
        for (id, error) in refused {
            self.close(id, &error, false, 0, effects);
        }
    }
}
