//! The memory scene: many clients that trickle their uploads in small paced pieces, as slow phones do.
//!
//! Each piece is read on its own. Who keeps the frames until the body is whole, as axum's `Bytes` does, keeps a read buffer
//! of hyper's with each of them, eight KiB at least for however few bytes; who copies each frame at once, as plain and
//! ebbtide do, keeps what was sent.

use crate::child::{Report, Served};
use crate::documents::Document;
use crate::serve::{Mode, Settings};
use axum::http::StatusCode;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

pub const CLIENTS: usize = 200;
/// Bytes sent at a time.
pub const PIECE: usize = 256;
/// Longer than the service needs to read a piece from every client, so that pieces do not pile up in its sockets.
pub const PACE: Duration = Duration::from_millis(15);
/// The document is about this long: 128 pieces.
const LENGTH: usize = 32 * 1024;
const LONGEST: usize = 2 * LENGTH;

/// Each client sends a request on its connection before the scene and one in it. What comes after is refused.
const QUOTA: u64 = 2;

/// What the scene showed of one mode.
pub struct Scene {
    /// Peak live heap above what the idle connections held.
    pub peak: u64,
    pub idle: u64,
    /// Bytes in main memory a while after the scene, its connections closed. Where the system tells.
    pub resident: Option<u64>,
    /// Uploads that were answered with 200, and requests after them that were refused with 429.
    pub answered: usize,
    pub refused: usize,
    pub last: Report,
}

/// Plays the scene against a fresh child of `mode`, and then leaves it alone for `quiet`.
pub async fn play(mode: Mode, settings: &Settings, document: &Document, quiet: Duration) -> io::Result<Scene> {
    let mut child = Served::start(mode, &Settings { quota: QUOTA, ..settings.clone() }).await?;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut client = Trickler::connect(child.address, number, &settings.token).await?;
        client.send_at_once(b"{}").await?;
        clients.push(client);
    }
    let idle = child.reset().await?.live;
    let (clients, answered) = trickle_all(clients, document).await?;
    let peak = child.report().await?.peak.saturating_sub(idle);
    let mut refused = 0;
    for mut client in clients {
        refused += usize::from(client.send_at_once(b"{}").await? == Some(StatusCode::TOO_MANY_REQUESTS));
    }
    tokio::time::sleep(quiet).await;
    let resident = child.report().await?.resident;
    let last = child.stop().await?;
    Ok(Scene { peak, idle, resident, answered, refused, last })
}

async fn trickle_all(clients: Vec<Trickler>, document: &Document) -> io::Result<(Vec<Trickler>, usize)> {
    let mut uploads = JoinSet::new();
    let bytes: Arc<[u8]> = document.bytes.as_ref().into();
    for client in clients {
        uploads.spawn(client.trickle(Arc::clone(&bytes)));
    }
    let mut clients = Vec::new();
    let mut answered = 0;
    while let Some(done) = uploads.join_next().await {
        let (client, status) = done.map_err(io::Error::other)??;
        answered += usize::from(status == Some(StatusCode::OK));
        clients.push(client);
    }
    Ok((clients, answered))
}

/// The document among `documents` that suits the scene best, or one that is made up.
pub fn document(documents: &[Document]) -> Document {
    let suits = |document: &&Document| {
        document.expected == StatusCode::OK && (LENGTH / 4..=LONGEST).contains(&document.bytes.len())
    };
    let best = documents.iter().filter(suits).min_by_key(|document| document.bytes.len().abs_diff(LENGTH));
    best.cloned().unwrap_or_else(|| {
        let items: Vec<String> =
            (0..1000).map(|number| format!("{{\"item\":{number},\"text\":\"made up\"}}")).collect();
        Document::new("a document made up", format!("[{}]", items.join(",")).into_bytes(), usize::MAX)
    })
}

/// A client on a bare socket: hyper's would put small pieces together again.
struct Trickler {
    socket: TcpStream,
    number: usize,
    head: String,
}

impl Trickler {
    async fn connect(address: SocketAddr, number: usize, token: &str) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let head = format!(
            "POST /ingest HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nx-client: trickle-{number}\r\n"
        );
        Ok(Self { socket, number, head })
    }

    async fn send_at_once(&mut self, body: &[u8]) -> io::Result<Option<StatusCode>> {
        let head = format!("{}content-length: {}\r\n\r\n", self.head, body.len());
        self.socket.write_all(head.as_bytes()).await?;
        self.socket.write_all(body).await?;
        self.answer().await
    }

    /// Sends `body` in paced pieces; every second client does it chunked.
    async fn trickle(mut self, body: Arc<[u8]>) -> io::Result<(Self, Option<StatusCode>)> {
        // Not all at the same moment.
        tokio::time::sleep(PACE * self.number as u32 / CLIENTS as u32).await;
        let chunked = self.number % 2 == 1;
        let framing =
            if chunked { "transfer-encoding: chunked".into() } else { format!("content-length: {}", body.len()) };
        self.socket.write_all(format!("{}{framing}\r\n\r\n", self.head).as_bytes()).await?;
        for piece in body.chunks(PIECE) {
            if chunked {
                let mut framed = format!("{:x}\r\n", piece.len()).into_bytes();
                framed.extend_from_slice(piece);
                framed.extend_from_slice(b"\r\n");
                self.socket.write_all(&framed).await?;
            } else {
                self.socket.write_all(piece).await?;
            }
            tokio::time::sleep(PACE).await;
        }
        if chunked {
            self.socket.write_all(b"0\r\n\r\n").await?;
        }
        let status = self.answer().await?;
        Ok((self, status))
    }

    /// Reads one answer to its end, which its `content-length` tells.
    async fn answer(&mut self) -> io::Result<Option<StatusCode>> {
        let mut answer = Vec::new();
        loop {
            if self.socket.read_buf(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if answer.len() >= end + 4 + length.unwrap_or(0) {
                return Ok(head.split(' ').nth(1).and_then(|status| status.parse().ok()));
            }
        }
    }
}
