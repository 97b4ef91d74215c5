//! A client's socket. What the generator spends is missing to the servers beside it, so all sockets read into one buffer
//! and a frame is looked at where it lies; tungstenite's own stream keeps a buffer a socket and copies each frame.

use std::cell::RefCell;
use std::io::{Cursor, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// What went wrong, in words.
pub(crate) type Fault = String;

/// Sockets from one address; an address has 28,000 ports.
const PER_ADDRESS: u32 = 8_000;
/// The longest answer to an upgrade.
const HEAD: usize = 4_096;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 256 * 1024]);
}

/// An open socket; it is closed when the last handle goes.
#[derive(Clone)]
pub(crate) struct Socket(Rc<Inner>);

struct Inner {
    stream: TcpStream,
    /// The beginning of a frame whose end has not come yet.
    pending: RefCell<Vec<u8>>,
    /// What the kernel did not take yet.
    unsent: RefCell<Vec<u8>>,
}

impl Socket {
    /// Opens a WebSocket at `host` (`address:port`) and `path`, offering `protocols` where there are any.
    pub(crate) async fn open(host: &str, path: &str, protocols: Option<&str>) -> Result<Self, Fault> {
        let stream = connect(host).await.map_err(|error| error.to_string())?;
        let protocols = protocols.map_or(String::new(), |names| format!("Sec-WebSocket-Protocol: {names}\r\n"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocols}\r\n"
        );
        let socket = Self(Rc::new(Inner { stream, pending: RefCell::default(), unsent: RefCell::default() }));
        socket.write(request.as_bytes())?;
        let mut head = Vec::new();
        let end = loop {
            if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if head.len() > HEAD {
                return Err("the answer to the upgrade does not end".into());
            }
            socket.some(|bytes| head.extend_from_slice(bytes)).await?;
        };
        let frames = head.split_off(end);
        if !head.starts_with(b"HTTP/1.1 101") {
            let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
            return Err(format!("no upgrade: {}", String::from_utf8_lossy(line)));
        }
        *socket.0.pending.borrow_mut() = frames;
        Ok(socket)
    }

    /// Waits until something came and hands it on.
    async fn some(&self, mut take: impl FnMut(&[u8])) -> Result<(), Fault> {
        loop {
            self.0.stream.readable().await.map_err(|error| error.to_string())?;
            let read = BUFFER.with_borrow_mut(|buffer| {
                let read = self.0.stream.try_read(buffer);
                if let Ok(length) = read {
                    take(buffer.get(..length).unwrap_or_default());
                }
                read
            });
            match read {
                Ok(0) => return Err("the socket ended".into()),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Waits until something came and gives each whole text frame to `take`; control frames are answered here.
    pub(crate) async fn frames(&self, mut take: impl FnMut(&str) -> Result<(), Fault>) -> Result<(), Fault> {
        // What came together with the answer to the upgrade.
        let left = std::mem::take(&mut *self.0.pending.borrow_mut());
        let used = self.parse(&left, &mut take)?;
        let mut pending = left.get(used..).unwrap_or_default().to_vec();
        if used > 0 {
            *self.0.pending.borrow_mut() = pending;
            return Ok(());
        }
        let mut result = Ok(());
        self.some(|bytes| {
            result = if pending.is_empty() {
                self.parse(bytes, &mut take)
                    .map(|used| pending.extend_from_slice(bytes.get(used..).unwrap_or_default()))
            } else {
                pending.extend_from_slice(bytes);
                self.parse(&pending, &mut take).map(|used| drop(pending.drain(..used)))
            };
        })
        .await?;
        *self.0.pending.borrow_mut() = pending;
        result
    }

    /// Takes the whole frames at the beginning of `bytes` and gives how many bytes they were.
    fn parse(&self, bytes: &[u8], take: &mut impl FnMut(&str) -> Result<(), Fault>) -> Result<usize, Fault> {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let mut cursor = Cursor::new(rest);
            let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|error| error.to_string())? else {
                return Ok(used);
            };
            let start = usize::try_from(cursor.position()).map_err(|error| error.to_string())?;
            let length = usize::try_from(length).map_err(|error| error.to_string())?;
            let Some(payload) = rest.get(start..start + length) else { return Ok(used) };
            used += start + length;
            match header.opcode {
                OpCode::Data(Data::Text) if header.is_final => {
                    take(std::str::from_utf8(payload).map_err(|error| error.to_string())?)?;
                }
                OpCode::Control(Control::Ping) => self.frame(Control::Pong, payload)?,
                OpCode::Control(Control::Close) => {
                    let reason = payload.get(2..).unwrap_or_default();
                    return Err(format!("the server closed the socket: {}", String::from_utf8_lossy(reason)));
                }
                OpCode::Control(_) => {}
                other => return Err(format!("an unexpected frame: {other}")),
            }
        }
    }

    /// Sends a text frame.
    pub(crate) fn send(&self, text: &str) -> Result<(), Fault> {
        self.frame(Data::Text, text.as_bytes())
    }

    /// Sends `text` each `every` while the socket is open, the first time somewhere within it.
    pub(crate) fn repeat(&self, text: &'static str, every: Duration) {
        let socket = Rc::downgrade(&self.0);
        let port = self.0.stream.local_addr().map_or(0, |address| u32::from(address.port()));
        tokio::task::spawn_local(async move {
            // Ports come one after the other: evenly spread.
            sleep(every * (port % 64 + 1) / 64).await;
            while let Some(inner) = socket.upgrade() {
                if Self(inner).send(text).is_err() {
                    return;
                }
                sleep(every).await;
            }
        });
    }

    fn frame(&self, opcode: impl Opcode, payload: &[u8]) -> Result<(), Fault> {
        // Masked with zeros, which is what a mask may be: the payload stays as it is.
        let header = FrameHeader { opcode: opcode.code(), mask: Some([0; 4]), ..FrameHeader::default() };
        let mut bytes = Vec::with_capacity(payload.len() + 14);
        header.format(payload.len() as u64, &mut bytes).map_err(|error| error.to_string())?;
        bytes.extend_from_slice(payload);
        self.write(&bytes)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Fault> {
        let mut unsent = self.0.unsent.borrow_mut();
        if !unsent.is_empty() {
            unsent.extend_from_slice(bytes);
            return Ok(());
        }
        let written = match self.0.stream.try_write(bytes) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error.to_string()),
        };
        let rest = bytes.get(written..).unwrap_or_default();
        if !rest.is_empty() {
            unsent.extend_from_slice(rest);
            tokio::task::spawn_local(self.clone().flush());
        }
        Ok(())
    }

    /// Writes on until all is sent. Whoever reads this socket learns of its end.
    async fn flush(self) {
        while self.0.stream.writable().await.is_ok() {
            let mut unsent = self.0.unsent.borrow_mut();
            match self.0.stream.try_write(&unsent) {
                Ok(written) => drop(unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            if unsent.is_empty() {
                return;
            }
        }
    }
}

trait Opcode {
    fn code(self) -> OpCode;
}

impl Opcode for Data {
    fn code(self) -> OpCode {
        OpCode::Data(self)
    }
}

impl Opcode for Control {
    fn code(self) -> OpCode {
        OpCode::Control(self)
    }
}

async fn connect(host: &str) -> std::io::Result<TcpStream> {
    static OPENED: AtomicU32 = AtomicU32::new(0);
    let n = OPENED.fetch_add(1, Ordering::Relaxed) / PER_ADDRESS;
    // Each process has addresses of its own: the ports of the last one's sockets are not free yet.
    let [.., high, low] = (std::process::id() * 16 + n).to_be_bytes();
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 1, high, low.max(1))), 0))?;
    let target = host.parse().map_err(|_| std::io::Error::new(ErrorKind::InvalidInput, "the address is no IP:port"))?;
    let stream = socket.connect(target).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
