//! What the Worker asks of a room for REST: the same rules as the wire's, answered as JSON.

use super::{Effects, Host, Moment, context};
use crate::auth::{Identity, Role};
use crate::protocol::act::Act;
use crate::protocol::call::{Ask, Caller, Opened, RoomCall, Standing};
use crate::protocol::erasure::{Erase, Erased, Named};
use crate::protocol::wire::{Member, RoomData, raw_json};
use crate::protocol::{ChatError, ErrorCode, RoomId, UserId, rfc3339};
use crate::room::{
    Action, BanData, Failure, NewText, Room, Sender, Step, Viewer, blocked, check_create, new_direct, no_room,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A user who is in the room or has a role in it.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ListedMember"))]
pub(super) struct MemberData {
    #[serde(flatten)]
    pub(super) member: Member,
    /// Here now.
    pub(super) online: bool,
    /// RFC 3339; null where it is not known.
    pub(super) last_seen: Option<String>,
}

/// A page of a room's members: those who are here first, then those who have a role in it; no guests.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Members {
    pub(super) members: Vec<MemberData>,
    /// How many there are in all.
    pub(super) total: usize,
    /// The `cursor` of the next page, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<usize>,
    /// Between the room and the Worker alone: the gateways that know of others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    #[cfg_attr(test, schemars(skip))]
    pub(super) gateways: Vec<u32>,
}

/// Who is banned.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bans<'a> {
    /// The bans that hold now, by user id.
    bans: Vec<BanData<'a>>,
}

type Answered = Result<Box<RawValue>, ChatError>;

pub(super) fn answer(value: &impl Serialize) -> Box<RawValue> {
    raw_json(value)
}

impl Host {
    /// Answers a call; the effects are to be carried out first.
    pub fn call(&mut self, at: &Moment<'_>, call: RoomCall) -> (Answered, Effects) {
        let mut effects = self.begin(at);
        let RoomCall { v: _, caller, ask } = call;
        let before = self.mark();
        let answered = match ask {
            // The Worker took it for good a while ago: a body may be slow to come, and PostgreSQL to answer.
            _ if caller.identity.as_ref().is_some_and(|who| who.expired(self.clock.platform)) => {
                Err(ChatError::new(ErrorCode::TokenExpired, "The token's time is over. Get a new one.").into())
            }
            Ask::Create(body) => self.create(&caller, &body, &mut effects).map_err(Failure::Refused),
            Ask::Direct { two, standings, make } => self.direct(&caller, two, &standings, make, &mut effects),
            Ask::Erase(erase) => self.erase(at, &erase, &mut effects),
            Ask::Names(erase) => self.names(at, &erase),
            ask => self.ask(at, &caller, ask, &mut effects),
        };
        effects.broken |= answered.is_err() && self.is_ahead(before);
        let answered = answered.map_err(|failure| self.told(failure, &mut effects));
        (answered, self.finish(effects))
    }

    fn create(&mut self, caller: &Caller, body: &crate::protocol::CreateRoom, effects: &mut Effects) -> Answered {
        let (info, roles) = check_create(body, caller.identity.as_ref(), self.settings.room_creation, self.now)?;
        if let Some(room) = &self.room {
            let deleted = room.info().deleted_at.is_some();
            let code = if deleted { ErrorCode::RoomDeleted } else { ErrorCode::RoomExists };
            return Err(ChatError::new(code, "This room id is taken.").field("room_id"));
        }
        let (room, step) = Room::create(&self.id, self.settings.clone(), info, roles, self.now);
        self.adopt_new(room, step, effects);
        self.room.as_ref().map(|room| self.room_data(room)).ok_or_else(no_room)
    }

    /// Opens a direct room, and makes it where that is wanted.
    fn direct(
        &mut self,
        caller: &Caller,
        two: [UserId; 2],
        standings: &[Standing; 2],
        make: bool,
        effects: &mut Effects,
    ) -> Result<Box<RawValue>, Failure> {
        let (info, roles) = new_direct(caller.identity.as_ref(), &two, self.now)?;
        let made = self.room.is_none();
        if made {
            let [one, other] = &two;
            let blocks = |standing: &Standing, whom: &UserId| standing.blocks.has(whom);
            let [ones, others] = standings;
            if blocks(ones, other) || blocks(others, one) {
                return Err(blocked().into());
            }
            if !make || RoomId::direct(one, other) != self.id {
                return Err(no_room().into());
            }
            let (room, step) = Room::create(&self.id, self.settings.clone(), info, roles, self.now);
            self.adopt_new(room, step, effects);
        }
        let room = self.room.as_mut().ok_or_else(no_room)?;
        for (user_id, standing) in two.iter().zip(standings) {
            self.state.extend(room.shuts(user_id, standing));
        }
        let room = self.room.as_ref().ok_or_else(no_room)?;
        if !caller.identity.as_ref().is_some_and(Identity::is_back_end) {
            room.may_read(caller.identity.as_ref(), self.now)?;
        }
        room.check_open()?;
        Ok(answer(&Opened { made, room: self.room_data(room) }))
    }

    /// Takes a user out of a part of the log, also of a deleted room's.
    fn erase(&mut self, at: &Moment<'_>, erase: &Erase, effects: &mut Effects) -> Result<Box<RawValue>, Failure> {
        let Some(room) = &mut self.room else { return Ok(answer(&Erased::default())) };
        let cx = context(at, self.now, &self.audience);
        // What was changed in memory before that is not in the log.
        let (erased, step) = room.erase(&cx, erase).inspect_err(|_| effects.broken = true)?;
        self.take(step, effects);
        // Whoever is back with a new token has the role no more.
        self.review(effects);
        Ok(answer(&erased))
    }

    fn names(&self, at: &Moment<'_>, erase: &Erase) -> Result<Box<RawValue>, Failure> {
        let Some(room) = &self.room else { return Ok(answer(&Named::default())) };
        Ok(answer(&room.names(at.log, erase)?))
    }

    fn room_data(&self, room: &Room) -> Box<RawValue> {
        answer(&self.described(room))
    }

    /// The room as REST and the join reply show it.
    pub(super) fn described<'a>(&'a self, room: &'a Room) -> RoomData<'a> {
        let (id, online) = (self.id.as_str(), self.audience.online());
        RoomData::new(id, room.info(), online, room.message_count(), room.pinned()).between(room.two())
    }

    fn ask(
        &mut self,
        at: &Moment<'_>,
        caller: &Caller,
        ask: Ask,
        effects: &mut Effects,
    ) -> Result<Box<RawValue>, Failure> {
        let identity = caller.identity.as_ref();
        let Some(room) = &mut self.room else { return Err(no_room().into()) };
        let role = match room.may_read(identity, self.now) {
            Err(refusal) if is_blind(&ask) => room.may_judge(identity, refusal)?,
            role => role?,
        };
        let sender = Sender { identity, role };
        let cx = context(at, self.now, &self.audience);
        let (reply, step): (Box<RawValue>, Step) = match ask {
            Ask::Create(_) | Ask::Direct { .. } | Ask::Get(_) | Ask::Erase(_) | Ask::Names(_) => {
                return Ok(self.room.as_ref().map(|room| self.room_data(room)).ok_or_else(no_room)?);
            }
            Ask::Messages(query) => {
                let user_id = identity.map(|who| who.user_id.as_str());
                let told = caller.standing.as_ref().map(|standing| &standing.blocks);
                let blocks = told.unwrap_or_else(|| self.audience.blocks_of(user_id));
                let viewer = Viewer { user_id, role, blocks };
                return Ok(answer(&room.page(at.log, query, viewer, self.now)?));
            }
            Ask::Members { limit, skip } => return Ok(self.members(limit, skip, caller.shape > 0)),
            Ask::Stats(_) => {
                room.may(Action::ReadStats, role)?;
                return Ok(self.stats());
            }
            Ask::Send(body) => {
                let (sent, step) = room.send(&cx, &sender, body)?;
                (answer(&sent), step)
            }
            Ask::Edit { message_id, content, franking, known } => {
                let new = NewText { content: &content, franking };
                let (edited, step) = room.edit(&cx, &sender, &message_id, new, known)?;
                (answer(&edited), step)
            }
            Ask::DeleteMessage { message_id, known } => {
                let (deleted, step) = room.delete(&cx, &sender, &message_id, known)?;
                (answer(&deleted), step)
            }
            Ask::React { message_id, reaction, remove } => {
                let (reacted, step) = room.react(&cx, &sender, &message_id, &reaction, remove)?;
                (answer(&reacted), step)
            }
            Ask::SetModes(modes) => (answer(&serde_json::Map::new()), room.set_modes(&cx, &sender, modes)?),
            Ask::Act(act) => {
                let people = act.is_about_people();
                let (reply, step) = room.act(&cx, &sender, act)?;
                self.take(step, effects);
                if people {
                    self.review(effects);
                }
                return Ok(reply);
            }
            Ask::Bans(_) => {
                room.may(Action::Ban, role)?;
                return Ok(answer(&Bans { bans: room.bans(self.now) }));
            }
            Ask::Held(_) => {
                room.may(Action::ReviewHeld, role)?;
                return Ok(answer(&room.held(at.log)?));
            }
            Ask::Terms(_) => {
                room.may(Action::SetTerms, role)?;
                return Ok(answer(room.terms()));
            }
            Ask::TryTerms(body) => {
                room.may(Action::SetTerms, role)?;
                return Ok(answer(&room.try_terms(body, self.now)?));
            }
            Ask::Report { body, known } => {
                let (reported, step) = room.report(&cx, &sender, &body, known)?;
                (answer(&reported), step)
            }
            Ask::Reports(query) => {
                room.may(Action::ReviewReports, role)?;
                return Ok(answer(&room.reports(at.log, query)?));
            }
            Ask::OpenReport { report_id } => {
                room.may(Action::ReviewReports, role)?;
                return Ok(answer(&room.opened(at.log, &report_id)?));
            }
            Ask::MayReadAudit(_) => {
                room.may(Action::ReadAudit, role)?;
                return Ok(answer(&()));
            }
            Ask::Export(_) => {
                room.may(Action::Export, role)?;
                return Ok(answer(&room.position()));
            }
            Ask::Patch(body) => {
                let step = room.patch(&cx, &sender, &body)?;
                self.take(step, effects);
                self.review(effects);
                return Ok(self.room.as_ref().map(|room| self.room_data(room)).ok_or_else(no_room)?);
            }
            Ask::Delete(_) => {
                let step = room.delete_room(&cx, &sender)?;
                self.take(step, effects);
                self.review(effects);
                return Ok(answer(&serde_json::Map::new()));
            }
        };
        self.take(step, effects);
        Ok(reply)
    }

    /// Those present first, then those who hold a role in the room.
    fn members(&self, limit: usize, skip: usize, apart: bool) -> Box<RawValue> {
        let now = rfc3339(self.now);
        let online = |member| MemberData { member, online: true, last_seen: Some(now.clone()) };
        let mut all: Vec<_> = self.audience.all_members().map(online).collect();
        let roles = self.room.iter().flat_map(|room| room.roles());
        let owner = self.room.as_ref().and_then(|room| room.info().owner_id.as_ref());
        let away = owner.map(|id| (id, &Role::Owner)).into_iter().chain(roles);
        for (user_id, role) in away {
            if all.iter().all(|known| known.member.user_id != *user_id) {
                let member = Member { user_id: user_id.clone(), username: user_id.clone(), avatar: None, role: *role };
                all.push(MemberData { member, online: false, last_seen: None });
            }
        }
        let total = all.len();
        let members: Vec<_> = all.into_iter().skip(skip).take(limit).collect();
        let end = skip.saturating_add(members.len());
        let gateways = if apart { self.gateways() } else { Vec::new() };
        answer(&Members { members, total, next: (end < total).then_some(end), gateways })
    }
}

/// Whether moderators may ask it of a direct room, which they cannot read: what keeps order there shows nothing else.
fn is_blind(ask: &Ask) -> bool {
    matches!(
        ask,
        Ask::Reports(_)
            | Ask::OpenReport { .. }
            | Ask::Act(Act::ResolveReport(_))
            | Ask::DeleteMessage { .. }
            | Ask::Delete(_)
    )
}
