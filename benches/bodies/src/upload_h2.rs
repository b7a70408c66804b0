//! One upload by HTTP/2, by hyper's client, in frames of which each is read on its own.

use crate::child::Server;
use bytes::Bytes;
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Collected};
use hyper::Request;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::header::CONTENT_LENGTH;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

pub(crate) struct Connection {
    sender: SendRequest<Channel<Bytes, Infallible>>,
    /// Its thread drives the connection while this one waits for the server.
    runtime: Runtime,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let sender = runtime.block_on(async {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            let shake = handshake(TokioExecutor::new(), TokioIo::new(socket));
            let (sender, driver) = shake.await.map_err(io::Error::other)?;
            tokio::spawn(driver);
            io::Result::Ok(sender)
        })?;
        Ok(Self { sender, runtime })
    }

    /// Sends `body` in pieces, each when the server's handler was given the one before; its length goes before.
    pub(crate) fn upload(&mut self, server: &mut Server, body: &[u8], piece: usize) -> io::Result<()> {
        let (mut pieces, channel) = Channel::new(1);
        let request = Request::post("http://localhost/").header(CONTENT_LENGTH, body.len()).body(channel);
        let response = self.sender.send_request(request.map_err(io::Error::other)?);
        let answer = self.runtime.spawn(async { response.await?.collect().await.map(Collected::to_bytes) });
        let mut seen = server.report()?.seen;
        for piece in body.chunks(piece) {
            let sent = pieces.send_data(Bytes::copy_from_slice(piece));
            self.runtime.block_on(sent).map_err(io::Error::other)?;
            seen += piece.len() as u64;
            server.await_seen(seen)?;
        }
        drop(pieces);
        let answer = self.runtime.block_on(answer)?.map_err(io::Error::other)?;
        if answer == body.len().to_string() {
            return Ok(());
        }
        Err(io::Error::other(format!("the server counted {answer:?}")))
    }
}
