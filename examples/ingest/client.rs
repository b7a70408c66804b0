//! One client with one connection to a service, kept alive: hyper's HTTP/1 client.

use crate::documents::Document;
use crate::interceptors::CLIENT;
use axum::body::Bytes;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// How a document travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// With its `Content-Length`, in one frame.
    Known,
    /// Chunked, in pieces of 16 KiB.
    Chunked,
}

impl Framing {
    pub const BOTH: [Self; 2] = [Self::Known, Self::Chunked];
    const PIECE: usize = 16 * 1024;
}

/// With these a service may refuse a body before it was read. Then it closes the connection, if not at once.
const REFUSED_UNREAD: [StatusCode; 3] =
    [StatusCode::UNAUTHORIZED, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::TOO_MANY_REQUESTS];

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

/// A connection that is opened again when the service closed it.
pub struct Client {
    address: SocketAddr,
    name: String,
    authorization: String,
    connection: Option<SendRequest<Upload>>,
}

impl Client {
    pub fn new(address: SocketAddr, name: impl Into<String>, token: &str) -> Self {
        Self { address, name: name.into(), authorization: format!("Bearer {token}"), connection: None }
    }

    /// Sends `document` and reads the whole answer.
    ///
    /// # Errors
    ///
    /// Of the kind `Other` when the service ended the connection before its answer was read, as it may when it refuses
    /// a body; of another kind when there is no service.
    pub async fn send(&mut self, document: &Document, framing: Framing) -> io::Result<Answer> {
        let mut connection = self.connected().await?;
        let request = self.request(Upload::new(document.bytes.clone(), framing))?;
        let named = |error: hyper::Error| io::Error::other(format!("{}: {error}", document.name));
        let response = connection.send_request(request).await.map_err(named)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(named)?.to_bytes();
        if !REFUSED_UNREAD.contains(&status) {
            self.connection = Some(connection);
        }
        Ok(Answer { status, body })
    }

    fn request(&self, body: Upload) -> io::Result<Request<Upload>> {
        Request::post("/ingest")
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, &self.authorization)
            .header(CLIENT, &self.name)
            .body(body)
            .map_err(io::Error::other)
    }

    async fn connected(&mut self) -> io::Result<SendRequest<Upload>> {
        if let Some(mut open) = self.connection.take() {
            if open.ready().await.is_ok() {
                return Ok(open);
            }
        }
        let socket = TcpStream::connect(self.address).await?;
        socket.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(socket)).await.map_err(io::Error::other)?;
        // An error shows in the request that meets it.
        tokio::spawn(driver);
        Ok(connection)
    }
}

/// The body of a request, in one frame or in many.
pub struct Upload {
    rest: Bytes,
    framing: Framing,
}

impl Upload {
    fn new(document: Bytes, framing: Framing) -> Self {
        Self { rest: document, framing }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let piece = match self.framing {
            Framing::Known => self.rest.len(),
            Framing::Chunked => self.rest.len().min(Framing::PIECE),
        };
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    /// An empty chunked body must not pass for one of known length zero, so it is over only once it was asked.
    fn is_end_stream(&self) -> bool {
        self.framing == Framing::Known && self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Known => SizeHint::with_exact(self.rest.len() as u64),
            Framing::Chunked => SizeHint::new(),
        }
    }
}
