//! What rooms say, as sessions hear it: each line made into a packet once for all who are in that room alone.

use super::super::log;
use super::super::util::now;
use super::Inner;
use super::entry::{Entry, MOST_HELD, Proof};
use super::kept::Saved;
use super::part::Part;
use crate::audience::{SocketId, To};
use crate::protocol::{ChatError, Position};
use crate::socketio::{Held, Outgoing, Said, ack_of, offsets, packets};
use serde_json::value::RawValue;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// One thing that many hear, made into JavaScript's string once for those who are in this room alone.
struct Shout<'a> {
    said: &'a Said,
    alone: OnceCell<(Outgoing, JsValue)>,
    waits: &'a Held,
}

impl Shout<'_> {
    /// The packet for those who are in this room alone.
    fn alone(&self, close: impl FnOnce() -> String) -> &(Outgoing, JsValue) {
        self.alone.get_or_init(|| {
            let packet = close();
            let js = JsValue::from_str(&packet);
            (self.waits.outgoing(packet), js)
        })
    }
}

impl Inner {
    /// Sends a frame of the room's to these sessions.
    pub(super) fn shout(&self, part: &Part, to: &To, frame: &str) {
        let ids = match to {
            To::One(id) => std::slice::from_ref(id),
            To::Many(ids) => ids,
        };
        if ids.is_empty() {
            return;
        }
        if matches!(to, To::Many(_)) && part.sends(now()) {
            self.flags.shares.set(true);
        }
        let said = packets(&part.name, part.epoch.get(), frame);
        let shouts: Vec<_> =
            said.iter().map(|said| Shout { said, alone: OnceCell::new(), waits: &self.flags.waits }).collect();
        let sessions = self.sessions.borrow();
        for entry in ids.iter().filter_map(|id| sessions.get(id)) {
            for shout in &shouts {
                hear(part, entry, shout);
            }
            if self.flags.waits.bytes() > MOST_HELD {
                self.lighten(&sessions);
            }
        }
    }

    /// Where too much waits, whoever has the most of it ends, and the next, until it is little enough.
    pub(super) fn lighten(&self, sessions: &HashMap<SocketId, Rc<Entry>>) {
        let all = self.flags.waits.bytes();
        if all <= MOST_HELD {
            return;
        }
        let there = sessions.values().filter(|entry| entry.ended.get().is_none());
        let mut waiting: Vec<_> = there.map(|entry| (entry.waiting(), entry)).filter(|(bytes, _)| *bytes > 0).collect();
        waiting.sort_unstable_by_key(|(bytes, _)| *bytes);
        let mut ended = 0;
        while self.flags.waits.bytes() > MOST_HELD / 8 * 7
            && let Some((_, entry)) = waiting.pop()
        {
            entry.overflows();
            ended += 1;
        }
        if ended > 0 {
            log::error(&[], format_args!("gateway {}: {all} bytes waited: {ended} sessions ended", self.number()));
        }
    }
}

/// A session hears something of a room that it is in.
fn hear(part: &Part, entry: &Entry, shout: &Shout<'_>) {
    match shout.said {
        Said::Packet(packet) => entry.say(packet),
        Said::Event { open, at: None } => {
            let (packet, js) = shout.alone(|| Said::close(open, None));
            entry.send(packet, Some(js));
        }
        Said::Event { open, at: Some(at) } => {
            let alone = {
                let mut rooms = entry.rooms.borrow_mut();
                if let Some(member) = rooms.get_mut(&part.name) {
                    entry.shows(member, *at);
                }
                rooms.len() == 1
            };
            if alone {
                let (packet, js) = shout.alone(|| Said::close(open, Some(&offsets([(&*part.name, *at)]))));
                entry.send(packet, Some(js));
            } else {
                entry.say(&Said::close(open, Some(&entry.offset(&part.name, *at))));
            }
        }
        Said::Own { id, answer } => answer_to(part, entry, id, answer),
        Said::Probe(nonce) => {
            entry.is_to_prove(Proof { room: part.name.clone(), nonce: nonce.clone() }, now());
        }
        Said::Goodbye { packet, .. } => {
            let joined = entry.rooms.borrow().get(&part.name).is_some_and(|member| member.joined);
            if joined {
                entry.say(packet);
            }
        }
    }
}

/// The room's answer to a join: the client's acknowledgement where it wants one, and where the room stands.
fn answer_to(part: &Part, entry: &Entry, id: &str, answer: &Result<Box<RawValue>, ChatError>) {
    let Some(ack) = id.strip_prefix('j') else {
        if let Some(member) = entry.rooms.borrow_mut().get_mut(&part.name) {
            member.answer = Some(match answer {
                Ok(data) => Ok(data.to_owned()),
                Err(error) => Err(error.clone()),
            });
        }
        return;
    };
    let data = match answer {
        Ok(data) => data,
        Err(error) => return entry.fail(ack.parse().ok(), Some(&part.name), error),
    };
    if !ack.is_empty() {
        entry.say(&ack_of(ack, data.get()));
    }
    if let Ok(at) = serde_json::from_str::<Position>(data.get()) {
        entry.stands(&part.name, at);
    }
}

impl Entry {
    /// Tells the client where a room stands for it, by an event whose offset it keeps.
    pub(super) fn stands(&self, room: &Rc<str>, at: Position) {
        if let Some(member) = self.rooms.borrow_mut().get_mut(room) {
            self.shows(member, at);
        }
        let Position { epoch, seq } = at;
        let open =
            format!(r#"42["position",{{"room_id":"{room}","epoch":{epoch},"from":{seq},"to":{seq},"left_out":0}}"#);
        self.say(&Said::close(&open, Some(&self.offset(room, at))));
    }

    /// What is kept of it.
    pub(super) fn saved(&self) -> Saved {
        let rooms = self.rooms.borrow();
        let joined = rooms.iter().filter(|(_, member)| member.joined);
        let rooms = joined.map(|(room, member)| (room.to_string(), member.attachment.clone())).collect();
        let websocket_at = self.session.borrow().websocket_at();
        Saved { number: self.number, who: self.who.borrow().clone(), websocket_at, rooms }
    }
}
