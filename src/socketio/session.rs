//! A session of Engine.IO's: its transport, what waits for a client that polls, and whether it is alive.

use super::engine::{Packet, packets, payload};
use super::{CONNECT_WITHIN, MAX_PAYLOAD, Outgoing, PING_TIMEOUT};
use std::collections::VecDeque;

/// What waits for a client that polls, at most: packets, and bytes.
const MOST_PACKETS: usize = 2_000;
const MOST_BYTES: usize = 1 << 20;
/// How long the change to a WebSocket may take, ms.
const UPGRADE_WITHIN: u64 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Polling,
    /// A WebSocket is there and has not taken over; since when, ms, and whether it has asked.
    Changing(u64, bool),
    WebSocket,
}

/// Where a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The body of a POST.
    Post,
    /// The WebSocket that is the session's transport.
    WebSocket,
    /// The one that wants to take over.
    Change,
}

/// What a packet asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// Nothing.
    Nothing,
    /// A message for Socket.IO.
    Message(&'a str),
    /// The WebSocket asks whether it can take over: send it `3probe`, and answer the poll that waits, if one does.
    Probe,
    /// It takes over: it is sent these; the poll that waits is answered.
    Upgraded(Vec<Outgoing>),
    /// The session ends: by the client's will, or because it sent what is no packet.
    End(Closed),
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The client said so; it does not come back to this session.
    Client,
    /// The connection broke, or was silent for too long.
    Lost,
    /// What came is no packet, or came out of turn.
    Malformed,
    /// It was not read in time what was sent.
    Full,
    /// No CONNECT came in time.
    Late,
}

/// What a GET gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Polled {
    /// This, at once.
    Answer(String),
    /// It waits.
    Wait,
    /// It is one too many: the session ends.
    End(Closed),
    /// The session does not poll.
    Refuse,
}

/// What became of a packet for the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Given {
    /// It goes over the WebSocket.
    Send,
    /// It waits for the next poll.
    Kept,
    /// The poll that waits is answered with this.
    Answer(String),
    /// Too much waits: the session ends.
    Full,
}

/// What a heartbeat finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Ping it.
    Ping,
    /// End it.
    End(Closed),
}

/// A session.
#[derive(Debug)]
pub struct Session<P> {
    transport: Transport,
    opened_at: u64,
    connected: bool,
    waits: bool,
    posting: bool,
    kept: VecDeque<Outgoing>,
    bytes: usize,
    /// Packets given to be polled, and those that were answered.
    given: u64,
    answered: u64,
    /// What is proved once the client has read so much (polling), or answered a ping sent at that time, ms.
    proofs: VecDeque<(u64, P)>,
    pinged_at: u64,
    ponged_at: u64,
    /// Since when its transport is a WebSocket, ms.
    websocket_at: u64,
    /// Pieces of binary data that belong to a packet which was refused.
    binary: u32,
}

impl<P> Session<P> {
    /// One that polls, or has a WebSocket from the beginning.
    pub fn new(websocket: bool, now: u64) -> Self {
        Self {
            transport: if websocket { Transport::WebSocket } else { Transport::Polling },
            opened_at: now,
            connected: false,
            waits: false,
            posting: false,
            kept: VecDeque::new(),
            bytes: 0,
            given: 0,
            answered: 0,
            proofs: VecDeque::new(),
            pinged_at: now,
            ponged_at: now,
            websocket_at: now,
            binary: 0,
        }
    }

    /// One whose WebSocket, there since `websocket_at`, outlived the memory; all were pinged last at `pinged_at` (ms).
    pub fn restored(connected: bool, websocket_at: u64, pinged_at: u64, now: u64) -> Self {
        // Who came after that ping owes no answer to it.
        let ponged_at = if websocket_at < pinged_at { 0 } else { pinged_at };
        Self { connected, pinged_at, ponged_at, websocket_at, ..Self::new(true, now) }
    }

    /// Since when its transport is a WebSocket, ms; of one that polls this says nothing.
    pub fn websocket_at(&self) -> u64 {
        self.websocket_at
    }

    /// Whether it has a WebSocket as its transport.
    pub fn is_websocket(&self) -> bool {
        self.transport == Transport::WebSocket
    }

    /// Whether it is connected to the namespace.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// It connects to the namespace, or leaves it.
    pub fn set_connected(&mut self, connected: bool, now: u64) {
        (self.connected, self.opened_at) = (connected, now);
    }

    /// A GET.
    pub fn poll(&mut self) -> Polled {
        if self.is_websocket() {
            return Polled::Refuse;
        }
        if self.waits {
            return Polled::End(Closed::Malformed);
        }
        if !self.kept.is_empty() {
            return Polled::Answer(self.take());
        }
        // Until the WebSocket asks the client polls on: answered at once it would do nothing else.
        if matches!(self.transport, Transport::Changing(_, true)) {
            return Polled::Answer("6".into());
        }
        self.waits = true;
        Polled::Wait
    }

    /// The poll that waited is answered, or its client is gone.
    pub fn unwait(&mut self) -> bool {
        std::mem::take(&mut self.waits)
    }

    fn take(&mut self) -> String {
        let body = payload(self.kept.iter().map(|packet| &**packet));
        self.answered = self.given;
        self.lets_go();
        body
    }

    /// A packet for the client.
    pub fn give(&mut self, packet: Outgoing) -> Given {
        if self.is_websocket() {
            return Given::Send;
        }
        self.bytes += packet.len();
        self.given += 1;
        self.kept.push_back(packet);
        if self.unwait() {
            return Given::Answer(self.take());
        }
        if self.kept.len() > MOST_PACKETS || self.bytes > MOST_BYTES { Given::Full } else { Given::Kept }
    }

    /// What waits for the client to poll: bytes of packets, and bytes that it takes to keep them.
    pub fn waiting(&self) -> (usize, usize) {
        (self.bytes, self.kept.capacity() * size_of::<Outgoing>())
    }

    /// Lets what waits go: it ends.
    pub fn lets_go(&mut self) {
        (self.kept, self.bytes) = (VecDeque::new(), 0);
    }

    /// The packets of a POST's body, one POST at a time; [`Session::posted`] ends it.
    ///
    /// # Errors
    /// Why the session ends.
    pub fn post<'a>(&mut self, body: &'a str) -> Result<Vec<&'a str>, Closed> {
        if std::mem::replace(&mut self.posting, true) || body.len() > MAX_PAYLOAD {
            return Err(Closed::Malformed);
        }
        packets(body).ok_or(Closed::Malformed)
    }

    /// That POST is done.
    pub fn posted(&mut self) {
        self.posting = false;
    }

    /// A packet came in.
    pub fn received<'a>(&mut self, via: Via, text: &'a str, now: u64) -> Received<'a> {
        match (via, Packet::read(text)) {
            (_, Some(Packet::Close)) if via != Via::Change => Received::End(Closed::Client),
            (_, Some(Packet::Pong)) if via != Via::Change => {
                self.ponged(now);
                Received::Nothing
            }
            (_, Some(Packet::Message(text))) if via != Via::Change => Received::Message(text),
            (Via::Change, Some(Packet::Probe)) => match &mut self.transport {
                Transport::Changing(_, asked) => {
                    *asked = true;
                    Received::Probe
                }
                _ => Received::End(Closed::Malformed),
            },
            (Via::Change, Some(Packet::Upgrade)) if matches!(self.transport, Transport::Changing(..)) => {
                self.transport = Transport::WebSocket;
                self.websocket_at = now;
                (self.bytes, self.answered) = (0, self.given);
                // From now on a pong proves it.
                self.proofs.iter_mut().for_each(|(mark, _)| *mark = now);
                Received::Upgraded(std::mem::take(&mut self.kept).into())
            }
            (_, Some(Packet::Binary)) if self.takes_binary() => Received::Nothing,
            (_, Some(Packet::Noop)) => Received::Nothing,
            _ => Received::End(Closed::Malformed),
        }
    }

    /// A packet was refused whose binary data is still to come, in so many pieces.
    pub fn expect_binary(&mut self, pieces: u32) {
        self.binary = pieces;
    }

    /// Whether a piece of binary data belongs to such a packet; else it comes out of turn.
    pub fn takes_binary(&mut self) -> bool {
        let expected = self.binary > 0;
        self.binary = self.binary.saturating_sub(1);
        expected
    }

    /// A WebSocket wants to take over. Whether it may.
    pub fn changes(&mut self, now: u64) -> bool {
        let may = self.transport == Transport::Polling;
        if may {
            self.transport = Transport::Changing(now, false);
        }
        may
    }

    /// That WebSocket is gone before it took over.
    pub fn stays(&mut self) {
        if matches!(self.transport, Transport::Changing(..)) {
            self.transport = Transport::Polling;
        }
    }

    /// Whether a WebSocket takes too long to take over.
    pub fn is_slow_to_change(&self, now: u64) -> bool {
        matches!(self.transport, Transport::Changing(since, _) if since.saturating_add(UPGRADE_WITHIN) <= now)
    }

    /// The client answered a ping at that time, ms.
    pub fn ponged(&mut self, at: u64) {
        self.ponged_at = self.ponged_at.max(at);
    }

    /// Keeps what is proved once the client has read all that it was sent until now.
    pub fn prove(&mut self, proof: P, now: u64) {
        let mark = if self.is_websocket() { now } else { self.given };
        self.proofs.push_back((mark, proof));
    }

    /// Whether something waits to be proved by a WebSocket's pong.
    pub fn is_asked(&self) -> bool {
        self.is_websocket() && !self.proofs.is_empty()
    }

    /// What is proved now. `polls`: the client has just asked for more.
    pub fn proved(&mut self, polls: bool) -> Vec<P> {
        let (websocket, ponged, answered) = (self.is_websocket(), self.ponged_at, self.answered);
        let mut proved = Vec::new();
        while let Some((mark, _)) = self.proofs.front()
            && if websocket { *mark <= ponged } else { polls && *mark <= answered }
        {
            proved.extend(self.proofs.pop_front().map(|(_, proof)| proof));
        }
        proved
    }

    /// Who has not connected in time is seen off.
    pub fn is_late(&self, now: u64) -> bool {
        !self.connected && self.opened_at.saturating_add(CONNECT_WITHIN) <= now
    }

    /// When a handshake, or a change to a WebSocket, that is under way takes too long, ms.
    pub fn due(&self) -> Option<u64> {
        let connect = (!self.connected).then(|| self.opened_at.saturating_add(CONNECT_WITHIN));
        let change = match self.transport {
            Transport::Changing(since, _) => Some(since.saturating_add(UPGRADE_WITHIN)),
            _ => None,
        };
        connect.into_iter().chain(change).min()
    }

    /// It is time to ping.
    pub fn beat(&mut self, now: u64) -> Beat {
        if self.ponged_at < self.pinged_at && self.pinged_at.saturating_add(PING_TIMEOUT) <= now {
            return Beat::End(Closed::Lost);
        }
        self.pinged_at = now;
        Beat::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn polling() -> Session<u8> {
        Session::new(false, 0)
    }

    #[test]
    fn who_polls_gets_what_was_kept_or_waits() {
        let mut session = polling();
        assert_eq!(session.give("4a".into()), Given::Kept);
        assert_eq!(session.give("4b".into()), Given::Kept);
        assert_eq!(session.poll(), Polled::Answer("4a\x1e4b".into()));
        assert_eq!(session.poll(), Polled::Wait);
        assert_eq!(session.give("4c".into()), Given::Answer("4c".into()));
        assert_eq!(session.poll(), Polled::Wait);
        assert_eq!(session.poll(), Polled::End(Closed::Malformed), "one at a time");
    }

    #[test]
    fn who_stops_polling_is_ended_by_packets_or_by_bytes() {
        let mut session = polling();
        assert!((0..MOST_PACKETS).all(|_| session.give("4".into()) == Given::Kept));
        assert_eq!(session.give("4".into()), Given::Full);
        let mut session = polling();
        let large: Outgoing = "x".repeat(MOST_BYTES / 2).as_str().into();
        assert_eq!(session.give(large.clone()), Given::Kept);
        assert_eq!(session.give(large.clone()), Given::Kept);
        assert_eq!(session.give(large), Given::Full);
    }

    #[test]
    fn one_post_at_a_time() {
        let mut session = polling();
        assert_eq!(session.post("3\x1e4x"), Ok(vec!["3", "4x"]));
        assert_eq!(session.post("3"), Err(Closed::Malformed));
        session.posted();
        assert_eq!(session.post(&"x".repeat(MAX_PAYLOAD + 1)), Err(Closed::Malformed));
    }

    #[test]
    fn a_websocket_takes_over_with_what_was_kept() {
        let mut session = polling();
        assert_eq!(session.poll(), Polled::Wait);
        assert!(session.changes(5));
        assert!(!session.changes(5), "one at a time");
        assert_eq!(session.give("40".into()), Given::Answer("40".into()));
        assert_eq!(session.poll(), Polled::Wait, "polls are held until the WebSocket asks");
        assert_eq!(session.received(Via::Change, "2probe", 6), Received::Probe);
        assert!(session.unwait());
        assert_eq!(session.poll(), Polled::Answer("6".into()), "and no more from then on");
        assert_eq!(session.give("4a".into()), Given::Kept);
        assert_eq!(session.received(Via::Change, "5", 7), Received::Upgraded(vec!["4a".into()]));
        assert_eq!(session.give("4b".into()), Given::Send);
        assert_eq!(session.poll(), Polled::Refuse);
    }

    #[test]
    fn a_websocket_that_does_not_take_over_changes_nothing() {
        let mut session = polling();
        assert!(session.changes(5));
        assert!(!session.is_slow_to_change(10_004) && session.is_slow_to_change(10_005));
        session.stays();
        assert_eq!(session.poll(), Polled::Wait);
        assert_eq!(session.received(Via::Change, "5", 7), Received::End(Closed::Malformed));
        assert!(session.changes(9));
        for text in ["4x", "1", "3", "2", "0"] {
            assert_eq!(session.received(Via::Change, text, 9), Received::End(Closed::Malformed), "{text}");
        }
    }

    #[test]
    fn who_does_not_answer_a_ping_is_lost_at_the_next() {
        let mut session: Session<u8> = Session::new(true, 1_000);
        assert_eq!(session.beat(50_000), Beat::Ping);
        session.ponged(50_100);
        assert_eq!(session.beat(100_000), Beat::Ping);
        assert_eq!(session.beat(101_000), Beat::Ping, "it was asked only now");
        assert_eq!(session.beat(150_000), Beat::End(Closed::Lost));
        let mut woken: Session<u8> = Session::restored(true, 1_000, 100_000, 150_000);
        woken.ponged(100_050);
        assert_eq!(woken.beat(150_000), Beat::Ping);
        let mut silent: Session<u8> = Session::restored(true, 99_999, 100_000, 150_000);
        assert_eq!(silent.beat(150_000), Beat::End(Closed::Lost));
    }

    #[test]
    fn who_came_after_the_last_ping_owes_no_answer_when_the_gateway_wakes() {
        let mut session: Session<u8> = Session::restored(true, 100_000, 100_000, 150_000);
        assert_eq!(session.beat(150_000), Beat::Ping);
        assert_eq!(session.beat(200_000), Beat::End(Closed::Lost), "but to the next one");
        let mut polled = polling();
        assert!(polled.changes(90_000));
        assert!(matches!(polled.received(Via::Change, "5", 110_000), Received::Upgraded(_)));
        assert_eq!(polled.websocket_at(), 110_000);
    }

    #[test]
    fn reading_is_proved_by_a_pong_or_by_the_next_poll() {
        let mut session: Session<u8> = Session::new(true, 0);
        session.prove(1, 10);
        session.ponged(9);
        assert!(session.proved(true).is_empty(), "that pong is an older one");
        session.ponged(10);
        assert_eq!(session.proved(false), [1], "no other one would come before the next ping");

        let mut session = polling();
        session.give("4a".into());
        session.prove(2, 10);
        assert!(session.proved(true).is_empty());
        session.poll();
        assert!(session.proved(false).is_empty());
        assert_eq!(session.proved(true), [2]);
    }

    #[test]
    fn binary_data_is_dropped_where_its_packet_was_refused() {
        let mut session = polling();
        assert_eq!(session.received(Via::Post, "bAAAA", 1), Received::End(Closed::Malformed));
        session.expect_binary(2);
        assert_eq!(session.received(Via::Post, "bAAAA", 1), Received::Nothing);
        assert_eq!(session.received(Via::Post, "bAAAA", 1), Received::Nothing);
        assert_eq!(session.received(Via::Post, "bAAAA", 1), Received::End(Closed::Malformed));
    }

    #[test]
    fn who_does_not_connect_is_late() {
        let mut session = polling();
        assert!(!session.is_late(CONNECT_WITHIN - 1) && session.is_late(CONNECT_WITHIN));
        assert!(session.changes(3));
        assert_eq!(session.due(), Some(CONNECT_WITHIN));
        session.set_connected(true, 5);
        assert!(!session.is_late(u64::MAX));
        assert_eq!(session.due(), Some(3 + UPGRADE_WITHIN));
        session.stays();
        assert_eq!(session.due(), None);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_the_buffer_is_bounded(
            steps in prop::collection::vec((0..8u8, "[0-7b]?(probe|4|\\x1e|[a-z]|é){0,4}"), 0..60),
        ) {
            let mut session = polling();
            for (step, text) in steps {
                match step {
                    0 => { session.poll(); }
                    1 => { session.give(text.as_str().into()); }
                    2 => { let _ = session.post(&text); }
                    3 => session.posted(),
                    4 => { session.received(Via::Post, &text, 1); }
                    5 => { session.received(Via::Change, &text, 1); }
                    6 => { session.changes(1); }
                    _ => { session.received(Via::WebSocket, &text, 1); }
                }
                prop_assert!(session.kept.len() <= 60);
                prop_assert!(!session.is_websocket() || session.kept.is_empty());
            }
        }
    }
}
