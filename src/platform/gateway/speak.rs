//! What a session says: CONNECT, events, DISCONNECT; and how it comes back to where it was.

use super::super::util::{entropy, now, settings};
use super::super::{link, shield, user_link};
use super::entry::{Entry, Member, Who};
use super::kept::{MOVED_FOR, Saved, Take};
use super::part::Part;
use super::{GATEWAY, Inner, TAKE, TAKE_WITHIN};
use crate::audience::Attachment;
use crate::auth::{self, Claims, Identity};
use crate::protocol::call::{Answer, Caller};
use crate::protocol::shard::gateway_name;
use crate::protocol::wire::json;
use crate::protocol::{ChatError, ErrorCode, MessageId, Position, RoomId};
use crate::socketio::{
    Auth, Closed, Incoming, MOST_ROOMS, Offset, Said, Unreadable, connect, connect_error, event, frame, gateway_of,
    incoming, no_namespace, packets_of, sid,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::rc::Rc;

#[derive(Deserialize)]
struct About {
    #[serde(default)]
    room_id: Option<String>,
    #[serde(default)]
    message_id: Option<String>,
    #[serde(default)]
    user_token: Option<String>,
}

/// What a room answers to a join that recovers.
#[derive(Deserialize)]
struct Resumed {
    epoch: u64,
    seq: u64,
    resumed: bool,
    #[serde(default)]
    events: Vec<Box<RawValue>>,
}

impl Entry {
    /// Who is behind it, as a room sees them.
    fn caller(&self, room: &RoomId) -> Caller {
        let who = self.who.borrow();
        let identity = who.claims.as_ref().map(|claims| Identity::for_room(claims, room.as_str()));
        Caller { identity, guest: who.guest.clone(), address: self.address.clone(), ..Caller::default() }
    }

    /// Tells of an error: in the acknowledgement where the client wants one, else by an event.
    pub(super) fn fail(&self, ack: Option<i64>, room: Option<&str>, error: &ChatError) {
        #[derive(Serialize)]
        struct Refusal<'a> {
            error: &'a ChatError,
        }
        #[derive(Serialize)]
        struct Told<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            room_id: Option<&'a str>,
            #[serde(flatten)]
            error: &'a ChatError,
        }
        match ack {
            Some(ack) => self.say(&crate::socketio::ack_of(&ack.to_string(), &json(&Refusal { error }))),
            None => self.say(&event("error", &Told { room_id: room, error })),
        }
        self.counts_refusal(error);
    }

    fn refuse_connect(&self, packet: &str, error: &ChatError) {
        self.say(packet);
        self.counts_refusal(error);
    }
}

impl Inner {
    /// A message of Socket.IO's came in.
    pub(super) async fn hears(self: &Rc<Self>, entry: &Rc<Entry>, text: &str) {
        if entry.ended.get().is_some() {
            return;
        }
        match incoming(text) {
            Ok(Incoming::Connect { namespace, auth }) => self.connects(entry, &namespace, auth).await,
            _ if !entry.session.borrow().is_connected() => entry.end(Closed::Malformed),
            Ok(Incoming::Disconnect) => self.disconnects(entry),
            Ok(Incoming::Event { ack, name, data }) => {
                if let Err((room, error)) = self.said(entry, ack, &name, &data).await {
                    entry.fail(ack, room.as_deref(), &error);
                }
            }
            Ok(Incoming::Ack) => {}
            Err(Unreadable::Binary(ack, pieces)) => {
                entry.session.borrow_mut().expect_binary(pieces);
                let message = "Binary data is not taken here; send text, or an address where the data is.";
                entry.fail(ack, None, &ChatError::new(ErrorCode::BadRequest, message).field("data"));
            }
            Err(Unreadable::Argument(ack)) => {
                let message = "The argument of an event is one object.";
                entry.fail(ack, None, &ChatError::new(ErrorCode::BadRequest, message).field("data"));
            }
            Err(Unreadable::Malformed) => entry.end(Closed::Malformed),
        }
    }

    /// The client leaves the namespace, or has to, and with it all rooms.
    pub(super) fn disconnects(self: &Rc<Self>, entry: &Rc<Entry>) {
        self.leave_all(entry);
        entry.session.borrow_mut().set_connected(false, now());
        self.watch(now() + crate::socketio::CONNECT_WITHIN);
        self.written(self.kept.forget(&entry.sid));
    }

    pub(super) fn leave_all(self: &Rc<Self>, entry: &Rc<Entry>) {
        let rooms = std::mem::take(&mut *entry.rooms.borrow_mut());
        for member in rooms.into_values() {
            self.leaves_room(&member.part, entry.number);
        }
    }

    async fn connects(self: &Rc<Self>, entry: &Rc<Entry>, namespace: &str, auth: Auth) {
        if namespace != "/" {
            let error = ChatError::new(ErrorCode::Forbidden, "Invalid namespace");
            return entry.refuse_connect(&no_namespace(namespace), &error);
        }
        if entry.session.borrow().is_connected() {
            return entry.end(Closed::Malformed);
        }
        let claims = match self.verified(auth.token.as_deref()).await {
            Ok(claims) => claims,
            Err(error) => return entry.refuse_connect(&connect_error(&error), &error),
        };
        let back = auth.pid.zip(auth.offset);
        let before = match &back {
            Some((pid, _)) => self.taken(pid, claims.as_ref()).await,
            None => None,
        };
        if let Some((saved, (pid, offset))) = before.zip(back) {
            if self.recovers(entry, saved.clone(), &claims, &pid, &Offset::read(&offset)).await {
                return;
            }
            if entry.ended.get().is_some() {
                // It was lost again meanwhile, and comes back once more.
                return self.keeps(&entry.sid, &saved);
            }
        }
        let random = entropy();
        let id = sid(self.number(), &random).split_off(self.number().to_string().len() + 1);
        let mut other = entropy();
        other.iter_mut().zip(random.iter().rev()).for_each(|(byte, mixed)| *byte ^= mixed);
        {
            let mut who = entry.who.borrow_mut();
            (who.id, who.pid, who.claims) = (id, sid(self.number(), &other), claims);
        }
        self.welcome(entry);
    }

    /// Answers the CONNECT: from now on it is in the namespace, and kept.
    fn welcome(&self, entry: &Entry) {
        entry.session.borrow_mut().set_connected(true, now());
        entry.changes_kept();
        let who = entry.who.borrow();
        entry.say(&connect(&who.id, &who.pid));
    }

    async fn verified(&self, token: Option<&str>) -> Result<Option<Claims>, ChatError> {
        let Some(token) = token else { return Ok(None) };
        let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
        let claims = auth::verify(token, &settings(&self.env)?.keys, now())?;
        if let Some(standing) = user_link::standing_in_time(&self.env, &claims.sub).await {
            standing.check(claims.iat_ms)?;
        }
        Ok(Some(claims))
    }

    /// What is kept of a session that comes back, here or at another gateway; it is kept there no longer.
    async fn taken(self: &Rc<Self>, pid: &str, claims: Option<&Claims>) -> Option<Saved> {
        let number = gateway_of(pid, settings(&self.env).ok()?.gateways)?;
        let sub = claims.map(|claims| claims.sub.clone());
        let take = Take { pid: pid.to_owned(), sub, by: self.number() };
        if number == self.number() {
            return self.gives(&take).await;
        }
        // It keeps its id where it moves, so that it may be here whoever made that.
        match self.take(&take) {
            Some(saved) => Some(saved),
            None => self.asks(number, &take, 2 * TAKE_WITHIN).await,
        }
    }

    async fn asks(&self, gateway: u32, take: &Take, ms: u64) -> Option<Saved> {
        let (name, take) = (gateway_name(gateway), json(take));
        match link::ask::<Option<Saved>>(&self.env, (GATEWAY, &name), TAKE, link::body(&take), ms).await {
            Ok(Answer::Ok(saved)) => saved,
            _ => None,
        }
    }

    /// Gives away what is kept of a session. Who made its id knows where it went on, so that it is found from anywhere.
    pub(super) async fn gives(self: &Rc<Self>, take: &Take) -> Option<Saved> {
        let is_own = gateway_of(&take.pid, u32::MAX) == Some(self.number());
        let saved = match self.take(take) {
            Some(saved) => saved,
            None if is_own => {
                let at = self.kept.moved(&take.pid).ok().flatten();
                self.asks(at.filter(|at| *at != self.number() && *at != take.by)?, take, TAKE_WITHIN).await?
            }
            None => return None,
        };
        if is_own {
            let back = take.by == self.number();
            self.written(if back { self.kept.forget(&take.pid) } else { self.kept.moves(&take.pid, take.by, now()) });
            if !back && self.sweep.get() == 0 {
                self.sweeps_after(Some(now() + MOVED_FOR));
                self.arm();
            }
        }
        Some(saved)
    }

    /// Gives away what is kept of a session, to whom it can belong; where it is still there, that connection is a dead
    /// one.
    pub(super) fn take(self: &Rc<Self>, take: &Take) -> Option<Saved> {
        let taken = self.kept.find(&take.pid).and_then(|found| {
            let Some((sid, saved)) = found else { return Ok(None) };
            let there = self.session(&sid);
            let saved = there.as_ref().map_or(saved, |entry| entry.saved());
            if !take.fits(&saved) {
                return Ok(None);
            }
            self.kept.forget(&sid)?;
            if let Some(entry) = there {
                entry.end(Closed::Client);
            }
            Ok(Some(saved))
        });
        self.settle();
        taken.unwrap_or_else(|error| {
            super::super::log::error(&[], format_args!("gateway {}: {error}", self.number()));
            None
        })
    }

    /// Takes a session back into its rooms, where it gets exactly what it missed. Whether that went well in all of them.
    async fn recovers(
        self: &Rc<Self>,
        entry: &Rc<Entry>,
        saved: Saved,
        claims: &Option<Claims>,
        pid: &str,
        offsets: &[Offset],
    ) -> bool {
        let mut rooms = Vec::new();
        for (room, attachment) in &saved.rooms {
            let at = offsets.iter().find(|offset| offset.room.as_str() == room);
            let attachment = serde_json::from_str::<Attachment>(attachment).ok();
            let (Some(at), Some(attachment)) = (at, attachment) else { return false };
            let Ok(part) = self.part(&at.room) else { return false };
            if self.begins(&part, None).await.is_err() {
                return false;
            }
            let identity = match (&attachment.identity, claims) {
                // A newer token in the handshake counts.
                (Some(own), Some(claims)) if own.user_id == claims.sub => Some(Identity::for_room(claims, room))
                    .filter(|newer| newer.exp_ms >= own.exp_ms)
                    .or(attachment.identity),
                _ => attachment.identity,
            };
            let standing = match &identity {
                Some(who) => user_link::standing_in_time(&self.env, &who.user_id).await,
                None => None,
            };
            if let (Some(who), Some(standing)) = (&identity, &standing)
                && standing.check(who.iat_ms).is_err()
            {
                return false;
            }
            let caller = Caller {
                identity,
                guest: attachment.guest,
                address: entry.address.clone(),
                standing,
                ..Caller::default()
            };
            rooms.push((part, caller, at.at));
        }
        if entry.ended.get().is_some() {
            return false;
        }
        // From here on nothing is awaited: what is said meanwhile comes after what was missed.
        entry.hold();
        let guest = entry.who.borrow().guest.clone();
        *entry.who.borrow_mut() = Who { claims: claims.clone().or(saved.who.claims), pid: pid.to_owned(), ..saved.who };
        let missed: Option<Vec<_>> =
            rooms.into_iter().map(|(part, caller, at)| self.resumes(entry, &part, caller, at)).collect();
        let held = entry.release();
        let Some(missed) = missed else {
            self.leave_all(entry);
            entry.who.borrow_mut().guest = guest;
            return false;
        };
        self.welcome(entry);
        for (part, Resumed { epoch, seq, events, .. }) in missed {
            for said in packets_of(&part.name, epoch, &events) {
                if let Said::Event { open, at } = said {
                    let offset = at.map(|at| {
                        if let Some(member) = entry.rooms.borrow_mut().get_mut(&part.name) {
                            entry.shows(member, at);
                        }
                        entry.offset(&part.name, at)
                    });
                    entry.say(&Said::close(&open, offset.as_deref()));
                }
            }
            entry.stands(&part.name, Position { epoch, seq });
        }
        held.iter().for_each(|packet| entry.send(packet, None));
        true
    }

    fn resumes(
        self: &Rc<Self>,
        entry: &Rc<Entry>,
        part: &Rc<Part>,
        caller: Caller,
        at: Position,
    ) -> Option<(Rc<Part>, Resumed)> {
        self.enters(part, entry.number, caller).ok()?;
        if let Some(member) = entry.rooms.borrow_mut().get_mut(&part.name) {
            // Others' offsets name this room too.
            entry.shows(member, at);
        }
        let text = format!(r#"{{"id":"recover","event":"join_room","data":{{"resume":{}}}}}"#, json(&at));
        self.step(part, |host, at| ((), host.frame(at, entry.number, &text)));
        let answer =
            entry.rooms.borrow_mut().get_mut(&part.name).and_then(|member: &mut Member| member.answer.take())?;
        let resumed: Resumed = serde_json::from_str(answer.ok()?.get()).ok()?;
        resumed.resumed.then(|| (part.clone(), resumed))
    }

    /// An event: a frame for one of its rooms.
    async fn said(
        self: &Rc<Self>,
        entry: &Rc<Entry>,
        ack: Option<i64>,
        name: &str,
        data: &RawValue,
    ) -> Result<(), (Option<String>, ChatError)> {
        let about: About =
            serde_json::from_str(data.get()).unwrap_or(About { room_id: None, message_id: None, user_token: None });
        let room = about.room_id.as_deref().map(RoomId::parse).transpose().map_err(|error| (None, error))?;
        let of = |room: &RoomId| Some(room.as_str().to_owned());
        if name == "join_room" {
            let field =
                || ChatError::new(ErrorCode::BadRequest, "A field is missing or has the wrong type.").field("room_id");
            let room = room.ok_or_else(|| (None, field()))?;
            let named = of(&room);
            return self
                .joins(entry, ack, &room, about.user_token.as_deref(), data)
                .await
                .map_err(|error| (named, error));
        }
        let part = self
            .place(entry, room.as_ref(), about.message_id.as_deref())
            .map_err(|error| (room.as_ref().and_then(of), error))?;
        let id = ack.map(|ack| ack.to_string());
        let named = of(&part.room);
        self.frame(&part, entry.number, &frame(id.as_deref(), name, data)).await.map_err(|error| (named, error))
    }

    /// The room that an event is for: the one that it names, the only one, or the one with its message.
    fn place(&self, entry: &Entry, room: Option<&RoomId>, message: Option<&str>) -> Result<Rc<Part>, ChatError> {
        let rooms = entry.rooms.borrow();
        let not_joined = || ChatError::new(ErrorCode::NotJoined, "Join the room first, by join_room.");
        if let Some(room) = room {
            return rooms.get(room.as_str()).map(|member| member.part.clone()).ok_or_else(not_joined);
        }
        let mut parts = rooms.values().map(|member| &member.part);
        let (Some(first), more) = (parts.next(), rooms.len() > 1) else { return Err(not_joined()) };
        if !more {
            return Ok(first.clone());
        }
        let Some(message) = message else {
            let text = "You are in several rooms: name the one that this is for.";
            return Err(ChatError::new(ErrorCode::BadRequest, text).field("room_id"));
        };
        // What is in no log here is in no room, or too old for this gateway to tell.
        let has = |part: &&Rc<Part>| MessageId::parse(message).is_some_and(|id| part.has(id));
        Ok(rooms.values().map(|member| &member.part).find(has).unwrap_or(first).clone())
    }

    async fn joins(
        self: &Rc<Self>,
        entry: &Rc<Entry>,
        ack: Option<i64>,
        room: &RoomId,
        token: Option<&str>,
        data: &RawValue,
    ) -> Result<(), ChatError> {
        let known = entry.rooms.borrow().get(room.as_str()).map(|member| member.part.clone());
        let part = match known {
            Some(part) => part,
            None => {
                if entry.rooms.borrow().len() >= MOST_ROOMS {
                    let message = "You are in as many rooms as one connection may be in; leave one first.";
                    return Err(ChatError::new(ErrorCode::TooManySockets, message));
                }
                let settings = settings(&self.env)?;
                shield::count_joins(&entry.sid, &entry.address, &settings)?;
                let mut caller = entry.caller(room);
                let own = token.map(|token| auth::verify(token, &settings.keys, now())).transpose()?;
                let own = own.map(|claims| Identity::for_room(&claims, room.as_str()));
                if let Some(over) = caller.identity.take_if(|who| who.expired(now()))
                    && own.as_ref().is_none_or(|own| own.user_id != over.user_id)
                {
                    let message = "Your token's time is over; join with a newer one.";
                    return Err(ChatError::new(ErrorCode::TokenExpired, message));
                }
                // Who brings a token with the join may make the room as well.
                let maker = match (caller.identity.clone(), own) {
                    (Some(who), Some(own)) => Some(who.longer(own)?),
                    (who, own) => who.or(own),
                };
                let part = self.part(room)?;
                if let Some(who) = maker.as_ref().filter(|_| part.with(|host, _| host.needs_begin())) {
                    caller.standing = user_link::standing_in_time(&self.env, &who.user_id).await;
                    caller.standing.as_ref().map_or(Ok(()), |standing| standing.check(who.iat_ms))?;
                }
                self.begins(&part, Some(&Caller { identity: maker, ..caller.clone() })).await?;
                if entry.ended.get().is_some() {
                    return Ok(());
                }
                self.enters(&part, entry.number, caller)?;
                part
            }
        };
        let id = format!(r#""j{}""#, ack.map(|ack| ack.to_string()).unwrap_or_default());
        let done = self.frame(&part, entry.number, &frame(Some(&id), "join_room", data)).await;
        let joined = entry.rooms.borrow().get(room.as_str()).is_some_and(|member| member.joined);
        if !joined {
            // It was told why.
            entry.rooms.borrow_mut().remove(room.as_str());
            self.leaves_room(&part, entry.number);
        }
        done
    }
}
