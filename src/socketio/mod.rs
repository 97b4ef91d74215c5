//! Socket.IO clients as they are out there: Engine.IO 4 below, Socket.IO 5 above, and the native wire within. No rule of
//! the chat is here: an event becomes a native frame, a native line becomes an event.

mod engine;
mod event;
mod held;
mod offset;
mod packet;
mod session;
mod sid;

pub use engine::{Refused, open_packet, payload};
pub use event::{Packets, Said, ack_of, frame, packets, packets_of};
pub use held::{Held, Outgoing, Weight, level};
pub use offset::{MOST_ROOMS, Offset, offsets};
pub use packet::{Auth, Incoming, Unreadable, connect, connect_error, disconnect, event, incoming, no_namespace};
pub use session::{Beat, Closed, Given, Polled, Received, Session, Via};
pub use sid::{gateway_of, is_sid, sid};

/// How often a client is pinged, ms; announced in the handshake.
pub const PING_INTERVAL: u64 = 50_000;
/// How much later than that a ping may come before a client gives its connection up, ms. An alarm may be late.
pub const PING_TIMEOUT: u64 = 30_000;
/// The longest body of a request or WebSocket message in bytes; announced in the handshake.
pub const MAX_PAYLOAD: usize = 64 * 1024;
/// How long a session may take until its CONNECT, ms.
pub const CONNECT_WITHIN: u64 = 10_000;
/// How long a session that was lost can be recovered, ms.
pub const RECOVER_WITHIN: u64 = 120_000;
