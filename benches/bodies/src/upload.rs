//! One upload on a bare socket: in one burst, or in pieces of which each is read on its own.

use crate::child::Server;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// How the end of a body is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length,
    Chunked,
}

impl Framing {
    pub(crate) const BOTH: [Self; 2] = [Self::Length, Self::Chunked];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Length => "with its length",
            Self::Chunked => "chunked",
        }
    }

    fn head(self, length: usize) -> String {
        let framing = match self {
            Self::Length => format!("content-length: {length}"),
            Self::Chunked => "transfer-encoding: chunked".to_owned(),
        };
        format!("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{framing}\r\n\r\n")
    }

    fn piece(self, piece: &[u8]) -> Vec<u8> {
        match self {
            Self::Length => piece.to_vec(),
            Self::Chunked => [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat(),
        }
    }

    fn end(self) -> &'static [u8] {
        match self {
            Self::Length => b"",
            Self::Chunked => b"0\r\n\r\n",
        }
    }

    /// A whole request.
    pub(crate) fn request(self, body: &[u8]) -> Vec<u8> {
        let mut request = self.head(body.len()).into_bytes();
        if !body.is_empty() {
            request.extend(self.piece(body));
        }
        request.extend(self.end());
        request
    }
}

/// A connection that is kept alive.
pub(crate) struct Connection {
    socket: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, answer: vec![0; 128 << 10] })
    }

    /// Sends a whole request and reads the answer: bytes of its body.
    pub(crate) fn send(&mut self, request: &[u8]) -> io::Result<usize> {
        self.socket.write_all(request)?;
        self.answered()
    }

    pub(crate) fn begin(&mut self, length: usize, framing: Framing) -> io::Result<()> {
        self.socket.write_all(framing.head(length).as_bytes())
    }

    pub(crate) fn piece(&mut self, piece: &[u8], framing: Framing) -> io::Result<()> {
        self.socket.write_all(&framing.piece(piece))
    }

    pub(crate) fn end(&mut self, framing: Framing) -> io::Result<usize> {
        self.socket.write_all(framing.end())?;
        self.answered()
    }

    /// Sends `body` in pieces, each when the server's handler was given the one before.
    pub(crate) fn upload(
        &mut self,
        server: &mut Server,
        body: &[u8],
        piece: usize,
        framing: Framing,
    ) -> io::Result<usize> {
        let mut seen = server.report()?.seen;
        self.begin(body.len(), framing)?;
        for piece in body.chunks(piece) {
            self.piece(piece, framing)?;
            seen += piece.len() as u64;
            server.await_seen(seen)?;
        }
        self.end(framing)
    }

    /// Reads one answer to its end, which its `content-length` tells. Any status but 200 is an error.
    fn answered(&mut self) -> io::Result<usize> {
        let mut read = 0;
        loop {
            if read == self.answer.len() {
                self.answer.resize(2 * read, 0);
            }
            let more = self.socket.read(&mut self.answer[read..])?;
            if more == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            read += more;
            let answer = &self.answer[..read];
            let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            if !head.starts_with("http/1.1 200") {
                return Err(io::Error::other(String::from_utf8_lossy(answer).into_owned()));
            }
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let length = length.unwrap_or(0);
            if read >= end + 4 + length {
                return Ok(length);
            }
        }
    }
}
