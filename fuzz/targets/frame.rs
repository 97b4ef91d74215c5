//! Frames, sockets and time, a line each, through a whole room.
//!
//! The first byte chooses: odd, and the six sockets have joined already. Then by a line's first character: a digit, the
//! rest is a frame from that socket; `+a` opens one for that user, `-1` closes one, `b1` is a binary frame; `t500` lets
//! time pass, ms; `e` makes the room sleep, `!` loses its storage, `p` takes PostgreSQL away or gives it back. Any other
//! line is a frame from the first socket.
#![no_main]

use edge_chat::audience::SocketId;
use edge_chat::protocol::ClientFrame;
use fuzz::{Scene, user};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const MOST_LINES: usize = 32;

fuzz_target!(|data: &[u8]| {
    let Some((&first, script)) = data.split_first() else { return };
    let script = String::from_utf8_lossy(script);
    let mut scene = Scene::new(&[("RATE_LIMIT_MESSAGES", "20")]);
    let mut sockets: Vec<SocketId> = b"abmgsx".iter().map(|letter| scene.w.open(user(*letter))).collect();
    if first % 2 == 1 {
        for socket in &sockets {
            let _ = scene.w.ask(*socket, "join_room", json!({}));
        }
    }
    for line in script.split('\n').take(MOST_LINES) {
        let (&kind, rest) = line.as_bytes().split_first().unwrap_or((&b'e', b""));
        let number = rest
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .fold(0u64, |n, b| n.saturating_mul(10).saturating_add(u64::from(b - b'0')));
        let socket = |n: u64| sockets[usize::try_from(n).unwrap_or(0) % sockets.len()];
        match kind {
            b'0'..=b'9' => frame(&mut scene, socket(u64::from(kind - b'0')), &line[1..]),
            b'+' if sockets.len() < 32 => {
                sockets.push(scene.w.open(user(rest.first().copied().unwrap_or_default())));
            }
            b'-' if scene.w.wires.get(&socket(number)).is_some_and(|wire| wire.closed.is_none()) => {
                scene.w.close(socket(number));
            }
            b'b' => scene.w.step(|host, at| ((), host.binary(at, socket(number)))),
            b't' => scene.w.advance(number.min(100_000_000)),
            b'e' => scene.w.evict(),
            b'p' => scene.w.pg_down = !scene.w.pg_down,
            b'!' => {
                scene.w.lose_storage();
                sockets = b"abmgsx".iter().map(|letter| scene.w.open(user(*letter))).collect();
            }
            _ => frame(&mut scene, socket(0), line),
        }
        scene.read();
    }
    scene.survives_sleep();
});

/// A frame with an id is replied to exactly once, unless the socket is or was closed.
fn frame(scene: &mut Scene, socket: SocketId, text: &str) {
    scene.read();
    let open = |scene: &Scene| scene.w.wires.get(&socket).is_some_and(|wire| wire.closed.is_none());
    if !open(scene) {
        return;
    }
    let text = scene.filled(text);
    let wants = ClientFrame::parse(&text).is_ok_and(|frame| frame.id.is_some());
    scene.w.send(socket, &text);
    let (open, replies) = (open(scene), scene.read());
    assert!(replies == usize::from(wants) || !open && replies == 0, "{replies} replies");
}
