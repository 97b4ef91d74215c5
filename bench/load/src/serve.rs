//! The limit: a room in native code on one thread, which sends each message to everybody and keeps nothing.

use crate::wire::Fault;
use futures_util::{SinkExt, StreamExt};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::spawn_local;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Messages that a viewer may be behind before its socket is given up.
const BEHIND: usize = 65_536;

type Rooms = Rc<RefCell<HashMap<String, broadcast::Sender<Message>>>>;

/// Serves rooms on a free port, which is written to stdout, until the process is ended.
pub(crate) async fn serve() -> Result<(), Fault> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    println!("{}", listener.local_addr().map_err(|error| error.to_string())?.port());
    let rooms = Rooms::default();
    loop {
        let (stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
        let rooms = rooms.clone();
        spawn_local(async move {
            // Who asks for no WebSocket, or is gone, is nobody's loss.
            let _ = viewer(stream, rooms).await;
        });
    }
}

async fn viewer(stream: TcpStream, rooms: Rooms) -> Result<(), Box<dyn std::error::Error>> {
    stream.set_nodelay(true)?;
    let mut path = String::new();
    #[expect(clippy::result_large_err, reason = "the library's own type")]
    let callback = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        path = request.uri().path().to_owned();
        Ok(response)
    };
    // The default is 128 KiB a socket, which a thousand of them would not leave in any cache.
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let mut socket = accept_hdr_async_with_config(stream, callback, Some(config)).await?;
    let room = rooms.borrow_mut().entry(path).or_insert_with(|| broadcast::channel(BEHIND).0).clone();
    let mut messages = room.subscribe();
    loop {
        tokio::select! {
            message = messages.recv() => socket.send(message?).await?,
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) if text.contains("\"join_room\"") => {
                    socket.send(Message::text("{\"reply\":0,\"data\":{}}")).await?;
                }
                Some(Ok(text @ Message::Text(_))) => drop(room.send(text)),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
        }
    }
}
