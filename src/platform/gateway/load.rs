//! A gateway that wakes: sessions whose WebSockets are there still, and their rooms, as storage and sockets have them.

use super::super::log;
use super::super::util::now;
use super::entry::{Entry, Member};
use super::http::mark_of;
use super::part::Part;
use super::{Inner, broken};
use crate::audience::{Attachment, SocketId};
use crate::protocol::{ChatError, Position, RoomId};
use crate::socketio::{Offset, RECOVER_WITHIN, Session};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

impl Inner {
    /// What outlived the memory, at the first event after each wake.
    ///
    /// # Errors
    /// The storage or the settings cannot be read; the next event tries again.
    pub(super) fn load(self: &Rc<Self>) -> Result<(), ChatError> {
        if self.ended.get() {
            return Err(broken("step", "the object is about to end"));
        }
        if self.loaded.replace(true) {
            return Ok(());
        }
        self.load_all().inspect_err(|_| {
            self.loaded.set(false);
            self.sessions.borrow_mut().clear();
            self.by_sid.borrow_mut().clear();
            self.parts.borrow_mut().clear();
        })
    }

    fn load_all(self: &Rc<Self>) -> Result<(), ChatError> {
        let now = now();
        let fault = |e| broken("load", e);
        self.kept.open(&self.raw).map_err(fault)?;
        self.beat.set(self.kept.beat().map_err(fault)?);
        let mut sockets = HashMap::new();
        for socket in self.state.get_websockets() {
            match mark_of(&socket) {
                Some(mark) if !mark.change => drop(sockets.insert(mark.sid.clone(), (socket, mark))),
                // Its session polls, and is gone.
                _ => drop(socket.close(Some(1000), None::<&str>)),
            }
        }
        let mut in_rooms: BTreeMap<String, Vec<Attachment>> = BTreeMap::new();
        // Rooms that count somebody who is here no more.
        let mut left: BTreeSet<String> = BTreeSet::new();
        let mut shown: HashMap<(SocketId, RoomId), Position> = HashMap::new();
        let mut entries = Vec::new();
        for (sid, saved) in self.kept.sessions().map_err(fault)? {
            let Some((socket, mark)) = sockets.remove(&sid) else {
                self.kept.end(&sid, now).map_err(fault)?;
                left.extend(saved.rooms.into_keys());
                continue;
            };
            let mut session = Session::restored(true, saved.websocket_at, self.beat.get(), now);
            session.ponged(self.raw.pinged_at(&socket).unwrap_or_default());
            let entry = Entry::new(saved.number, sid, mark.address, saved.who, session, &self.flags);
            shown.extend(Offset::read(&mark.shown).into_iter().map(|at| ((saved.number, at.room), at.at)));
            *entry.socket.borrow_mut() = Some(socket);
            self.next.set(self.next.get().max(saved.number.wrapping_add(1)));
            self.hold(&entry);
            for (room, attachment) in saved.rooms {
                if let Ok(attachment) = serde_json::from_str::<Attachment>(&attachment) {
                    in_rooms.entry(room).or_default().push(attachment);
                }
            }
            entries.push(entry);
        }
        // Who has not connected yet comes back.
        sockets.into_values().for_each(|(socket, _)| drop(socket.close(Some(1000), None::<&str>)));
        self.woken.borrow_mut().extend(in_rooms.keys().chain(&left).cloned());
        let mut about: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for (room, key, value) in self.kept.of_rooms().map_err(fault)? {
            about.entry(room).or_default().push((key, value));
        }
        for (room, attachments) in in_rooms {
            let Ok(id) = RoomId::parse(&room) else { continue };
            let state = about.remove(&room).unwrap_or_default();
            let part = Part::new(self, id, attachments.clone(), state)?;
            if !left.contains(&room) {
                part.with(|host, _| host.was_told(self.beat.get()));
            }
            self.parts.borrow_mut().insert(room, part.clone());
            for attachment in attachments {
                let sessions = self.sessions.borrow();
                let Some(entry) = sessions.get(&attachment.id) else { continue };
                let member = Member {
                    part: part.clone(),
                    attachment: crate::protocol::wire::json(&attachment),
                    joined: true,
                    at: shown.remove(&(attachment.id, part.room.clone())),
                    answer: None,
                };
                entry.rooms.borrow_mut().insert(part.name.clone(), member);
            }
        }
        for (room, keys) in about {
            for (key, _) in keys {
                self.kept.set_of(&room, &key, None).map_err(fault)?;
            }
        }
        self.sweeps_after(self.kept.sweep(now.saturating_sub(RECOVER_WITHIN)).map_err(fault)?);
        log::info(&[], format_args!("gateway wake: {} with {} sessions", self.name(), entries.len()));
        let parts: Vec<_> = self.parts.borrow().values().cloned().collect();
        for part in parts {
            self.step(&part, |host, at| ((), host.tick(at)));
        }
        self.settle();
        Ok(())
    }
}
