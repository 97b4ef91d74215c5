//! One client of a room: connects, joins, answers probes, hands on lines.

use crate::Target;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, http::HeaderValue};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// What went wrong, in words.
pub(crate) type Fault = String;

pub(crate) struct Client(WebSocketStream<TcpStream>);

impl Client {
    /// Opens a socket as the bearer of `token` and joins.
    pub(crate) async fn join(target: &Target, token: &str) -> Result<Self, Fault> {
        let words = |error: &dyn std::fmt::Display| format!("joining {}: {error}", target.room);
        let url = format!("{}/api/rooms/{}/ws", target.url, target.room);
        let mut request = url.into_client_request().map_err(|e| words(&e))?;
        let protocols = HeaderValue::from_str(&format!("chat.v1, bearer.{token}")).map_err(|e| words(&e))?;
        request.headers_mut().insert("sec-websocket-protocol", protocols);

        let host = target.url.trim_start_matches("ws://");
        let stream = TcpStream::connect(host).await.map_err(|e| words(&e))?;
        stream.set_nodelay(true).map_err(|e| words(&e))?;
        // The default is 128 KiB a socket, which 500 of them would not leave in any cache.
        let config = WebSocketConfig::default().read_buffer_size(4096);
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await.map_err(|e| words(&e))?;
        let mut client = Self(socket);
        let frame = json!({"id": 0, "event": "join_room", "data": {"room_id": target.room}});
        client.0.send(Message::text(frame.to_string())).await.map_err(|e| words(&e))?;
        loop {
            let frame = client.frame().await.map_err(|e| words(&e))?;
            match frame.lines().find(|line| line.starts_with("{\"reply\":0")) {
                Some(line) if line.contains("\"error\":") => return Err(words(&line)),
                Some(_) => return Ok(client),
                None => {}
            }
        }
    }

    async fn frame(&mut self) -> Result<tokio_tungstenite::tungstenite::Utf8Bytes, Fault> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(frame))) => return Err(format!("the server closed the socket: {frame:?}")),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("the socket ended".into()),
            }
        }
    }

    /// Sends what comes through `outgoing` and gives each line received to `take`, until the socket or `take` fails or
    /// the job is over and drops this.
    pub(crate) async fn drive(
        mut self,
        mut outgoing: UnboundedReceiver<String>,
        mut take: impl FnMut(&str) -> Result<(), Fault>,
    ) -> Fault {
        loop {
            let done = tokio::select! {
                biased;
                frame = self.frame() => match frame {
                    Ok(frame) => self.lines(&frame, &mut take).await,
                    Err(fault) => Err(fault),
                },
                Some(text) = outgoing.recv() => self.send(text).await,
            };
            if let Err(fault) = done {
                return fault;
            }
        }
    }

    async fn lines(&mut self, frame: &str, take: &mut impl FnMut(&str) -> Result<(), Fault>) -> Result<(), Fault> {
        for line in frame.split('\n') {
            if line.starts_with("{\"event\":\"probe\"") {
                self.send(line.to_owned()).await?;
            } else {
                take(line)?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, text: String) -> Result<(), Fault> {
        self.0.send(Message::text(text)).await.map_err(|error| error.to_string())
    }
}

/// The frame of message `n`, its content of so many bytes. The id comes first, where an echo is looked at for it.
pub(crate) fn message(n: u64, bytes: usize) -> String {
    let mut content = format!("bench:{n}: ");
    content.extend(
        "it was said in the room and everyone heard it ".chars().cycle().take(bytes.saturating_sub(content.len() + 1)),
    );
    // Spaces at the end would be trimmed.
    content.push('.');
    format!(r#"{{"id":{n},"event":"send_message","data":{{"content":"{content}"}}}}"#)
}

/// The number of the message that a line shows; none for a line that shows none.
pub(crate) fn shown(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("bench:")?;
    rest.split_once(':')?.0.parse().ok()
}

/// The id that a line acknowledges, as a reply of the chat's or as an echo of the frame itself.
pub(crate) fn acknowledged(line: &str) -> Result<Option<u64>, Fault> {
    let Some(rest) = line.strip_prefix("{\"reply\":").or_else(|| line.strip_prefix("{\"id\":")) else {
        return Ok(None);
    };
    if line.contains("\"error\":") {
        return Err(format!("refused: {line}"));
    }
    let end = rest.find([',', '}']).unwrap_or(rest.len());
    let id: Value = rest.get(..end).and_then(|id| serde_json::from_str(id).ok()).unwrap_or_default();
    id.as_u64().map(Some).ok_or_else(|| format!("a reply without a number: {line}"))
}
