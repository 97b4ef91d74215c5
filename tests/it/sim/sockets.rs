//! The room's sockets as the adapter holds them: taken in, heard, closed, and by which number each is known.

use super::event::{Conn, Event};
use super::mutants::Mutant;
use super::shard::GATEWAYS;
use super::{Checked, Sim, ensure};
use edge_chat::audience::{Attachment, SocketId};
use edge_chat::host::{Host, Moment};
use edge_chat::protocol::call::Standing;
use edge_chat::protocol::{ClientFrame, ErrorCode};
use serde_json::Value;
use std::collections::BTreeSet;

/// So many frames are gathered at most.
const FRAMES: usize = 64;

impl Sim {
    pub(super) fn close(&mut self, id: SocketId, code: u16, reason: &str) -> Checked {
        let Some(conn) = self.room.sockets.get(&id).copied() else { return Ok(()) };
        let reason: Value = serde_json::from_str(reason).map_err(|e| format!("V9: a close without a reason: {e}"))?;
        ensure!(
            reason["retry"].is_boolean() && reason["after_ms"].is_u64(),
            "V9: a close does not say whether to come back: {reason}"
        );
        if self.mutant == Mutant::BanLeavesATab && code == 4403 && self.tabs_of(self.conns[conn].user) > 1 {
            return Ok(());
        }
        let it = &self.conns[conn];
        let moves = it.moves || it.closing || code != ErrorCode::Elsewhere.close();
        ensure!(moves, "V9: {} has to move and is not told", self.conns[conn].user);
        self.room.sockets.remove(&id);
        self.room.numbers.remove(&conn);
        self.conns[conn].closing = true;
        self.room_lost(conn);
        let delay = self.delay();
        let at = self.conns[conn].down.arrives(self.heap.now, delay);
        self.heap.at(at, Event::Shut(conn, code, reason["retry"].as_bool(), reason["after_ms"].as_u64()));
        Ok(())
    }

    fn tabs_of(&self, user: &str) -> usize {
        self.room.sockets.values().filter(|conn| self.conns[**conn].user == user).count()
    }

    /// What the room was told of a user is kept while the user has a socket.
    pub(super) fn room_lost(&mut self, conn: usize) {
        let user = self.conns[conn].user;
        let alive = |other: &usize| *other != conn && self.conns[*other].user == user && self.conns[*other].joined;
        if !self.room.sockets.values().any(alive) {
            self.room.told.remove(user);
        }
    }

    pub(super) fn accept(&mut self, conn: usize) -> Checked {
        if !self.load()? {
            return self.refuse(conn, 1_000);
        }
        let empty = self.room.index == 0 && self.room.host.as_ref().is_some_and(Host::is_empty);
        if empty && self.room.absent_until <= self.heap.now {
            if !self.room.looking {
                self.look_up();
            }
            self.room.knocking.push(conn);
            return Ok(());
        }
        let (key, version) = self.conns[conn].route;
        if let Some(Err(shape)) = self.room.host.as_ref().map(|host| host.serves(key, version)) {
            return self.is_elsewhere(conn, shape);
        }
        let user = self.conns[conn].user;
        let coming = if self.knows(user) { None } else { self.comes_in_time(user) };
        let awaited = coming.as_ref().is_some_and(|coming| coming.awaited);
        let standing = coming.map(|coming| coming.standing);
        let mut caller = self.caller(user);
        caller.identity.clone_from(&self.conns[conn].identity);
        caller.guest.clone_from(&self.clients[self.conns[conn].client].guest);
        caller.standing = standing.clone();
        let is_gateway = self.room.index >= GATEWAYS;
        let opened = self.compute(|host, at| match is_gateway {
            // A session's number is its gateway's own.
            true => host.open_as(at, 1 + conn as SocketId, caller).map(|effects| (1 + conn as SocketId, effects)),
            false => host.open(at, caller),
        })?;
        let Some((id, effects)) = opened.and_then(Result::ok) else {
            return self.refuse(conn, 1_000);
        };
        if let Some(host) = self.room.host.as_mut() {
            host.awaits(id, awaited);
        }
        self.conns[conn].accepted = true;
        self.conns[conn].offered = standing.map(|standing| (self.room.life, standing));
        self.room.sockets.insert(id, conn);
        self.room.numbers.insert(conn, id);
        if self.finish(effects)? {
            let delay = self.delay();
            let at = self.conns[conn].down.arrives(self.heap.now, delay);
            self.heap.at(at, Event::Opened(conn));
        }
        Ok(())
    }

    /// A frame of a client's.
    pub(super) fn up(&mut self, conn: usize, text: &str) -> Checked {
        if self.conns[conn].room_knows_end || !self.conns[conn].accepted {
            return Ok(());
        }
        if !self.load()? {
            // The adapter parts with the socket where it cannot load.
            let delay = self.delay();
            self.conns[conn].room_knows_end = true;
            let at = self.conns[conn].down.arrives(self.heap.now, delay);
            self.heap.at(at, Event::Shut(conn, 4429, Some(true), Some(5_000)));
            return Ok(());
        }
        if self.room.index > 0 && self.waits(conn, text) {
            return Ok(());
        }
        self.heard(conn, text)
    }

    pub(super) fn heard(&mut self, conn: usize, text: &str) -> Checked {
        let Some(id) = self.number(conn) else { return Ok(()) };
        let joins = text.contains("\"join_room\"");
        if joins {
            let user = self.conns[conn].user;
            // It is in memory alone.
            let life = self.room.life;
            let offered = self.conns[conn].offered.take().filter(|(then, _)| *then == life).map(|(_, it)| it);
            let known = self.knows(user);
            let standing = if offered.is_some() || known { None } else { self.standing_in_time(user) };
            if let (Some(standing), Some(host)) = (standing.clone(), self.room.host.as_mut()) {
                host.offer(id, standing);
            }
            // It counts once the join is let in.
            self.conns[conn].joined = true;
            if let Some(standing) = offered.or(standing).or(known.then(Standing::default)) {
                let newer = self.room.news.get(user).filter(|news| news.version > standing.version).cloned();
                self.told(user, &newer.unwrap_or(standing));
            }
        }
        let ahead = self.mutant == Mutant::ShowsDelayed && (joins || text.contains("\"catch_up\""));
        let parsed = ClientFrame::parse(text);
        let now = self.heap.now.saturating_add_signed(self.room.skew);
        if self.room.host.as_ref().is_some_and(|host| host.gathers(&parsed, now)) {
            if self.room.queue.is_empty() {
                self.heap.after(20, Event::Queue(self.room.life));
            }
            self.room.queue.push((id, parsed));
            return if self.room.queue.len() < FRAMES { Ok(()) } else { self.handle_queue(None, None) };
        }
        self.handle_queue(None, Some(id))?;
        if !self.load()? {
            return Ok(());
        }
        self.step(|host, at| {
            let early = Moment { now: at.now + if ahead { 6_000 } else { 0 }, entropy: at.entropy, log: at.log };
            ((), host.parsed(&early, id, parsed))
        })?;
        Ok(())
    }

    /// Frames that were gathered in this life, or before something of this socket that must not overtake them.
    pub(super) fn handle_queue(&mut self, life: Option<u64>, of: Option<SocketId>) -> Checked {
        let waits = self.room.queue.iter().any(|(id, _)| of.is_none_or(|of| of == *id));
        if waits && life.is_none_or(|life| life == self.room.life) {
            let frames = std::mem::take(&mut self.room.queue);
            self.step(|host, at| ((), host.frames(at, frames)))?;
        }
        Ok(())
    }

    /// By which number the room knows a connection.
    fn number(&self, conn: usize) -> Option<SocketId> {
        let kept = || serde_json::from_str::<Attachment>(&self.conns[conn].attachment).ok().map(|kept| kept.id);
        self.room.numbers.get(&conn).copied().or_else(kept)
    }

    /// The room learns that a connection has ended.
    pub(super) fn gone(&mut self, conn: usize) -> Checked {
        if !self.conns[conn].accepted || self.conns[conn].room_knows_end {
            return Ok(());
        }
        self.conns[conn].room_knows_end = true;
        if !self.load()? {
            return Ok(());
        }
        let Some(id) = self.number(conn) else { return Ok(()) };
        self.handle_queue(None, Some(id))?;
        self.room.numbers.remove(&conn);
        // The number may be another socket's by now.
        if self.mutant != Mutant::OldCloseEndsNew && self.room.sockets.get(&id) != Some(&conn) {
            return Ok(());
        }
        self.room.sockets.remove(&id);
        self.room_lost(conn);
        self.step(|host, at| ((), host.closed(at, id)))?;
        let node = self.room.index;
        let open = |it: &Conn| it.node == node && it.accepted && !it.closing && !it.room_knows_end;
        let mut open = self.conns.iter().enumerate().filter(|(_, it)| open(it)).map(|(conn, _)| conn);
        let here: BTreeSet<_> = self.room.sockets.values().collect();
        let lost = open.find(|conn| self.room.host.is_some() && !here.contains(conn));
        ensure!(
            lost.is_none(),
            "V8: the end of conn {conn} ends conn {lost:?} for the room, and its client hears nothing"
        );
        Ok(())
    }
}
