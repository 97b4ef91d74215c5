//! Frames from a socket: read, dispatched, answered.

use super::alive::{COME_BACK, Probe};
use super::{Effects, Host, Moment, close_reason, context};
use crate::audience::{Out, SocketId, To};
use crate::auth::{self, Identity};
use crate::protocol::call::{Ask, UserAsk};
use crate::protocol::shard::Sight;
use crate::protocol::wire::{self, Line};
use crate::protocol::{
    ChatError, ClientEvent, ClientFrame, EditMessage, ErrorCode, FrameId, Position, rfc3339, too_large,
};
use crate::room::{Failure, NewText, Overlay, Room, Sender, Step, is_apart};
use serde::Serialize;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

/// When a socket that did not heed its refusals may come back, ms.
const REGARDLESS: u64 = 10_000;

/// The reply to `refresh_token`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RefreshReply"))]
pub(crate) struct Refreshed {
    expires_at: String,
    role: auth::Role,
    roles: Rc<[auth::Role]>,
}

/// What a frame leads to for its sender.
pub(super) enum Done {
    /// This is the reply's data.
    Reply(Box<serde_json::value::RawValue>),
    /// Nothing is said.
    Silence,
    /// The socket was closed.
    Closed,
    /// The sender's own object answers.
    Later(UserAsk),
    /// The room answers, which this shard follows.
    Up(Ask),
}

/// The reply's data for anything that serialises.
pub(super) fn data(value: &impl Serialize) -> Done {
    Done::Reply(wire::raw_json(value))
}

/// What was wrong: as a reply where the frame had an id, else as an `error` event.
pub(super) fn refusal(id: Option<&FrameId>, error: &ChatError) -> Line {
    match id {
        Some(id) => wire::refusal(id, error),
        None => wire::event(None, "error", error),
    }
}

/// A frame that concerns its sender in all rooms.
fn by_user(sender: &Sender<'_>, ask: UserAsk) -> Result<Done, Failure> {
    let required = || ChatError::new(ErrorCode::TokenRequired, "Sign in to do this.");
    sender.identity.ok_or_else(required)?;
    Ok(Done::Later(ask))
}

/// What a shard hands up to its room; the event itself where the shard answers it.
fn for_the_room(event: ClientEvent) -> Result<Ask, Box<ClientEvent>> {
    Ok(match event {
        ClientEvent::SendMessage(body) => Ask::Send(body.into()),
        ClientEvent::EditMessage(body) => {
            let EditMessage { room_id: _, message_id, content, franking } = body;
            Ask::Edit { message_id, content, franking, known: None }
        }
        ClientEvent::DeleteMessage(body) => Ask::DeleteMessage { message_id: body.message_id, known: None },
        ClientEvent::React(body) => {
            Ask::React { message_id: body.message_id, reaction: body.reaction, remove: body.remove }
        }
        ClientEvent::Act(act) => Ask::Act(act),
        ClientEvent::SetModes(body) => Ask::SetModes(body.modes),
        event => return Err(Box::new(event)),
    })
}

/// The random bytes of a step's frame; the first has those of the step.
fn nth(entropy: &[u8; 32], n: usize) -> [u8; 32] {
    let mut bytes = *entropy;
    if n > 0 {
        for (place, chunk) in bytes.chunks_mut(8).enumerate() {
            let mut hasher = DefaultHasher::new();
            (entropy, n, place).hash(&mut hasher);
            chunk.copy_from_slice(&hasher.finish().to_be_bytes());
        }
    }
    bytes
}

impl Host {
    /// A text frame came in.
    pub fn frame(&mut self, at: &Moment<'_>, socket: SocketId, text: &str) -> Effects {
        self.parsed(at, socket, ClientFrame::parse(text))
    }

    /// A text frame came in, as [`ClientFrame::parse`] has read it.
    pub fn parsed(&mut self, at: &Moment<'_>, socket: SocketId, parsed: Result<ClientFrame, ChatError>) -> Effects {
        let mut effects = self.begin(at);
        self.counters.frames_in += 1;
        self.answer(at, socket, parsed, &mut effects);
        self.finish(effects)
    }

    /// Whether a frame that only direct rooms take may be for this one, as far as that is known.
    pub fn may_take_large(&self) -> bool {
        self.room.as_ref().is_none_or(Room::is_direct)
    }

    /// Whether this frame may wait a few ms for others, at `now` (ms), and then goes to [`Host::frames`]: much happens,
    /// and it is of those that come in numbers.
    pub fn gathers(&self, parsed: &Result<ClientFrame, ChatError>, now: u64) -> bool {
        let Ok(ClientFrame { event: Ok(event), .. }) = parsed else { return false };
        let many = matches!(
            event,
            ClientEvent::SendMessage(_)
                | ClientEvent::EditMessage(_)
                | ClientEvent::DeleteMessage(_)
                | ClientEvent::React(_)
                | ClientEvent::Typing(_)
                | ClientEvent::CatchUp(_)
                | ClientEvent::Probe(_)
                | ClientEvent::Ping(_)
        );
        many && self.is_busy(now)
    }

    /// Text frames that came close together, in order: one step and one write for all. Each is answered as if those
    /// before it had been written.
    pub fn frames(&mut self, at: &Moment<'_>, frames: Vec<(SocketId, Result<ClientFrame, ChatError>)>) -> Effects {
        let mut effects = self.begin(at);
        for (n, (socket, parsed)) in frames.into_iter().enumerate() {
            self.counters.frames_in += 1;
            self.entropy = nth(&at.entropy, n);
            let (first, before) = (effects.out.len(), std::mem::take(&mut effects.write));
            let log = Overlay::new(at.log, &before);
            let at = Moment { now: at.now, entropy: self.entropy, log: &log };
            self.answer(&at, socket, parsed, &mut effects);
            if effects.broken {
                // Nothing is written, so nothing that came before is acknowledged either.
                effects.out.drain(..first.min(effects.out.len()));
                break;
            }
            self.settle(&mut effects);
            let later = std::mem::replace(&mut effects.write, before);
            effects.write.absorb(later);
        }
        self.wind_up(effects)
    }

    /// A binary frame came in; there are none in this protocol.
    pub fn binary(&mut self, at: &Moment<'_>, socket: SocketId) -> Effects {
        let mut effects = self.begin(at);
        self.counters.frames_in += 1;
        let error = ChatError::new(ErrorCode::BadFrame, "Frames are text; binary ones are not part of this protocol.");
        self.answer(at, socket, Err(error), &mut effects);
        self.finish(effects)
    }

    fn answer(
        &mut self,
        at: &Moment<'_>,
        socket: SocketId,
        parsed: Result<ClientFrame, ChatError>,
        effects: &mut Effects,
    ) {
        self.audience.alive(socket, self.now);
        let Some(attachment) = self.audience.attachment(socket) else { return };
        let joined = attachment.joined;
        if attachment.identity.as_ref().is_some_and(|who| who.expired(self.clock.platform)) {
            let error =
                ChatError::new(ErrorCode::TokenExpired, "Your token's time is over; come back with a newer one.");
            self.refuse(error.code);
            return self.close(socket, &error, true, 0, effects);
        }
        let (id, event) = match parsed {
            Ok(ClientFrame { id, large: true, .. }) if !self.room.as_ref().is_some_and(Room::is_direct) => {
                return self.bad(socket, joined, id, &too_large(), effects);
            }
            Ok(ClientFrame { id, event: Ok(event), .. }) => (id, event),
            Ok(ClientFrame { id, event: Err(error), .. }) => return self.bad(socket, joined, id, &error, effects),
            Err(error) => return self.bad(socket, joined, None, &error, effects),
        };
        if event.room_id().is_some_and(|room| room != self.id.as_str()) {
            let error = ChatError::new(ErrorCode::WrongRoom, "This socket belongs to another room.").field("room_id");
            return self.bad(socket, joined, id, &error, effects);
        }
        if !joined && !matches!(event, ClientEvent::JoinRoom(_)) {
            let error = ChatError::new(ErrorCode::NotJoined, "The first frame has to be `join_room`.");
            return self.bad(socket, joined, id, &error, effects);
        }
        let before = self.mark();
        // What has become visible meanwhile goes first: the reply's position counts it as shown.
        self.show(Vec::new(), effects);
        // The reply goes ahead of the events that the frame causes.
        let first = effects.out.len();
        match self.dispatch(at, socket, event, effects) {
            Ok(Done::Reply(data)) => {
                if let Some(id) = &id {
                    let line = wire::reply(id, &data);
                    self.send_first(first, socket, line, effects);
                }
            }
            Ok(Done::Later(ask)) => self.ask_user(socket, id, ask, effects),
            Ok(Done::Up(ask)) => {
                if let Err(error) = self.hand_up(socket, id.clone(), ask) {
                    self.refuse(error.code);
                    self.send(socket, refusal(id.as_ref(), &error), effects);
                    self.count_refusal(socket, &error, effects);
                }
            }
            Ok(Done::Silence | Done::Closed) => {}
            Err(failure) => {
                effects.broken |= self.is_ahead(before);
                let error = self.told(failure, effects);
                // Ahead of the closing that some refusals bring.
                self.send_first(first, socket, refusal(id.as_ref(), &error), effects);
                self.count_refusal(socket, &error, effects);
            }
        }
    }

    /// A refusal too many because of a rate ends the socket.
    pub(super) fn count_refusal(&mut self, socket: SocketId, error: &ChatError, effects: &mut Effects) {
        let limited = matches!(
            error.code,
            ErrorCode::RateLimited
                | ErrorCode::SlowMode
                | ErrorCode::ContentRejected
                | ErrorCode::RoomMode
                | ErrorCode::Overloaded
        );
        if limited && self.audience.refused(socket, self.now) {
            let message = "You go on although you are told to wait; come back later.";
            let error = ChatError::new(ErrorCode::RateLimited, message);
            self.close(socket, &error, true, REGARDLESS, effects);
        }
    }

    fn send_first(&mut self, first: usize, socket: SocketId, line: Line, effects: &mut Effects) {
        let bytes = line.len();
        effects.out.insert(first.min(effects.out.len()), Out::Send(To::One(socket), line));
        if let Some(reading) = self.audience.alone_sent(socket, bytes, self.now, &self.entropy) {
            self.reading(reading, effects);
        }
    }

    /// A bad frame: told, and the end of the socket as the first frame, the 20th in a minute, or one that is too large.
    fn bad(&mut self, socket: SocketId, joined: bool, id: Option<FrameId>, error: &ChatError, effects: &mut Effects) {
        self.refuse(error.code);
        self.send(socket, refusal(id.as_ref(), error), effects);
        let too_large = error.code == ErrorCode::FrameTooLarge;
        if self.audience.bad_frame(socket, self.now) || !joined || too_large {
            let code = if too_large { ErrorCode::FrameTooLarge } else { ErrorCode::BadFrame };
            effects.out.push(Out::Close(socket, code.close(), close_reason(false, 0)));
            self.audience.closed(socket, self.now);
        }
    }

    /// What the bytes sent to a socket ask for.
    pub(super) fn reading(&mut self, reading: crate::audience::Reading, effects: &mut Effects) {
        match reading {
            crate::audience::Reading::Ask(socket, nonce) => {
                effects.out.push(Out::Send(To::One(socket), wire::event(None, "probe", &Probe { nonce })));
            }
            crate::audience::Reading::TooSlow(socket) => {
                let error =
                    ChatError::new(ErrorCode::TooSlow, "You do not read what you are sent; come back and resume.");
                self.refuse(error.code);
                self.close(socket, &error, true, COME_BACK, effects);
            }
        }
    }

    fn dispatch(
        &mut self,
        at: &Moment<'_>,
        socket: SocketId,
        event: ClientEvent,
        effects: &mut Effects,
    ) -> Result<Done, Failure> {
        match event {
            ClientEvent::JoinRoom(body) => return self.join(at, socket, body, effects),
            ClientEvent::Ping(_) => {
                self.send(socket, wire::event(None, "pong", &serde_json::Map::new()), effects);
                return Ok(data(&serde_json::Map::new()));
            }
            ClientEvent::Probe(body) => {
                self.proved(socket, &body.nonce);
                return Ok(data(&serde_json::Map::new()));
            }
            ClientEvent::LeaveRoom(_) => {
                effects.out.push(Out::Close(socket, 1000, close_reason(false, 0)));
                self.audience.closed(socket, self.now);
                return Ok(data(&serde_json::Map::new()));
            }
            _ => {}
        }
        if let (true, ClientEvent::SendMessage(body)) = (self.following.is_some(), &event) {
            self.counted.took(body.took);
        }
        let event = match self.following.is_some() {
            true => match for_the_room(event) {
                Ok(ask) => return Ok(Done::Up(ask)),
                Err(event) => *event,
            },
            false => event,
        };
        if self.following.is_some() && (self.room.is_none() || self.is_behind(&event)) {
            let error = Self::unanswered();
            if matches!(event, ClientEvent::CatchUp(_)) {
                self.close(socket, &error, true, COME_BACK, effects);
            }
            return Err(error.into());
        }
        let identity = self.audience.attachment(socket).and_then(|attachment| attachment.identity.clone());
        let role = self.audience.role(socket);
        let sender = Sender { identity: identity.as_ref(), role };
        let Some(room) = &mut self.room else {
            return Err(ChatError::new(ErrorCode::RoomNotFound, "There is no such room.").into());
        };
        if room.info().deleted_at.is_some() {
            return Err(ChatError::new(ErrorCode::RoomDeleted, "This room was deleted.").into());
        }
        let cx = context(at, self.now, &self.audience);
        let (done, step): (Done, Step) = match event {
            ClientEvent::SendMessage(body) => {
                let took = body.took;
                let (sent, step) = room.send(&cx, &sender, body.into())?;
                self.counted.took(took);
                (data(&sent), step)
            }
            ClientEvent::EditMessage(body) => {
                let new = NewText { content: &body.content, franking: body.franking };
                let (edited, step) = room.edit(&cx, &sender, &body.message_id, new, None)?;
                (data(&edited), step)
            }
            ClientEvent::DeleteMessage(body) => {
                let (deleted, step) = room.delete(&cx, &sender, &body.message_id, None)?;
                (data(&deleted), step)
            }
            ClientEvent::React(body) => {
                let (reacted, step) = room.react(&cx, &sender, &body.message_id, &body.reaction, body.remove)?;
                (data(&reacted), step)
            }
            ClientEvent::Act(act) => {
                let people = act.is_about_people();
                let (reply, step) = room.act(&cx, &sender, act)?;
                self.take(step, effects);
                if people {
                    self.review(effects);
                }
                return Ok(Done::Reply(reply));
            }
            ClientEvent::SetModes(body) => {
                let step = room.set_modes(&cx, &sender, body.modes)?;
                self.take(step, effects);
                return Ok(data(&serde_json::Map::new()));
            }
            ClientEvent::Block(body) => return by_user(&sender, UserAsk::Block(body.user_id)),
            ClientEvent::Unblock(body) => return by_user(&sender, UserAsk::Unblock(body.user_id)),
            ClientEvent::CatchUp(body) => {
                let from = Position { epoch: body.epoch, seq: body.seq };
                return self.catch_up(at, from, identity.as_ref(), role);
            }
            ClientEvent::Typing(body) => return self.typing(&sender, body.is_typing, effects),
            ClientEvent::RefreshToken(body) => {
                let Some(identity) = identity else {
                    return Err(ChatError::new(ErrorCode::TokenMismatch, "A guest joins anew to sign in.").into());
                };
                return self.refresh(socket, identity, &body.user_token, effects);
            }
            ClientEvent::JoinRoom(_) | ClientEvent::Ping(_) | ClientEvent::Probe(_) | ClientEvent::LeaveRoom(_) => {
                return Ok(Done::Silence);
            }
        };
        self.take(step, effects);
        Ok(done)
    }

    fn typing(&mut self, sender: &Sender<'_>, is_typing: bool, effects: &mut Effects) -> Result<Done, Failure> {
        let Some(who) = sender.identity else {
            return Err(ChatError::new(ErrorCode::TokenRequired, "Sign in to be shown as typing.").into());
        };
        if !is_apart(sender.role) {
            let rate = self.settings.per_window(self.settings.rate_limit_typing);
            self.typed.take(&who.user_id, rate, self.now)?;
        }
        let shown = self.room.as_ref().is_some_and(|room| room.is_shown(who, self.now));
        if self.audience.typing(&who.user_id, is_typing, self.now) && shown {
            let sight = if is_typing { Sight::Types } else { Sight::Stopped };
            self.glimpse(sight, (&who.user_id, &who.username, who.avatar.as_deref()), effects);
        }
        Ok(data(&serde_json::Map::new()))
    }

    fn refresh(
        &mut self,
        socket: SocketId,
        identity: Identity,
        token: &str,
        effects: &mut Effects,
    ) -> Result<Done, Failure> {
        let newer = match self.verify(token).and_then(|newer| identity.longer(newer)) {
            Ok(newer) => newer,
            Err(error) if error.code == ErrorCode::TokenMismatch => {
                self.close(socket, &error, false, 0, effects);
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(standing) = self.standing_for(socket, &newer.user_id, newer.iat_ms)? {
            self.adopt_standing(&newer.user_id, &standing);
        }
        let role = self.room.as_ref().map_or(auth::Role::Guest, |room| room.role_of(Some(&newer)));
        let reply = Refreshed { expires_at: rfc3339(newer.exp_ms), role, roles: Rc::from([role]) };
        effects.entered.push(newer.user_id.clone());
        self.audience.refresh(socket, newer, role);
        self.roles_changed();
        self.attach(socket, effects);
        Ok(data(&reply))
    }

    pub(super) fn attach(&self, socket: SocketId, effects: &mut Effects) {
        if let Some(attachment) = self.audience.attachment(socket) {
            effects.out.push(Out::Attach(socket, wire::json(attachment)));
        }
    }

    /// Who a token says its bearer is, in this room.
    pub(super) fn verify(&self, token: &str) -> Result<Identity, ChatError> {
        let claims = auth::verify(token, &self.settings.keys, self.clock.platform)?;
        Ok(Identity::for_room(&claims, self.id.as_str()))
    }
}
