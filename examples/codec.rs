//! A codec for `tokio_util` whose frames are [`PooledBytes`]: four bytes of length, then so many bytes.
//!
//! `LengthDelimitedCodec` gathers a frame in the connection's own `BytesMut`, which stays as large as the largest frame.
//! Here each piece moves into pooled memory as it arrives: the connection keeps its first 8 KiB, and a frame's memory is
//! everybody's again once the frame is dropped. The length that a peer claims is believed 64 KiB ahead of what it has sent.
//!
//! ```sh
//! cargo run --example codec
//! ```

use bytes::{Buf, BufMut, BytesMut};
use ebbtide::{BufferPool, PooledBuf, PooledBytes};
use futures_util::{SinkExt, StreamExt};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Decoder, Encoder, Framed};

/// Bytes of a frame's length.
const HEADER: usize = 4;
/// Bytes of the largest frame.
const LARGEST: usize = 1 << 20;
/// Bytes reserved on a peer's word alone.
const AHEAD: usize = 64 << 10;

struct Frames {
    buffers: BufferPool,
    /// A frame's length, and what has arrived of it.
    partial: Option<(usize, PooledBuf)>,
}

impl Frames {
    fn new(buffers: &BufferPool) -> Self {
        Self { buffers: buffers.clone(), partial: None }
    }
}

impl Decoder for Frames {
    type Item = PooledBytes;
    type Error = io::Error;

    fn decode(&mut self, source: &mut BytesMut) -> io::Result<Option<PooledBytes>> {
        let (length, mut frame) = match self.partial.take() {
            Some(partial) => partial,
            None if source.len() < HEADER => return Ok(None),
            None => match usize::try_from(source.get_u32()) {
                Ok(length) if length <= LARGEST => (length, self.buffers.get(length.min(AHEAD))),
                _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "frame is too large")),
            },
        };
        let piece = source.split_to(source.len().min(length - frame.len()));
        frame.extend_from_slice(&piece);
        if frame.len() == length {
            return Ok(Some(frame.freeze()));
        }
        self.partial = Some((length, frame));
        Ok(None)
    }

    /// What is missing may be missing from `partial`, where the default does not look.
    fn decode_eof(&mut self, source: &mut BytesMut) -> io::Result<Option<PooledBytes>> {
        match self.decode(source)? {
            None if self.partial.is_some() || !source.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            frame => Ok(frame),
        }
    }
}

impl Encoder<PooledBytes> for Frames {
    type Error = io::Error;

    fn encode(&mut self, frame: PooledBytes, target: &mut BytesMut) -> io::Result<()> {
        let length = u32::try_from(frame.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        target.reserve(HEADER + frame.len());
        target.put_u32(length);
        target.put(frame);
        Ok(())
    }
}

/// Sends every frame back, until the peer is done.
async fn echo(stream: TcpStream, buffers: BufferPool) -> io::Result<usize> {
    let (mut framed, mut frames) = (Framed::new(stream, Frames::new(&buffers)), 0);
    while let Some(frame) = framed.next().await {
        framed.send(frame?).await?;
        frames += 1;
    }
    Ok(frames)
}

async fn talk(server: SocketAddr, buffers: &BufferPool) -> io::Result<()> {
    let mut framed = Framed::new(TcpStream::connect(server).await?, Frames::new(buffers));
    for (size, byte) in [0, 1, 5_000, AHEAD + 1, LARGEST].into_iter().zip(b'a'..) {
        let mut frame = buffers.get(size);
        frame.put_bytes(byte, size);
        framed.send(frame.freeze()).await?;
        let back = framed.next().await.expect("an echo")?;
        assert!(back.len() == size && back.iter().all(|&it| it == byte), "{size} bytes came back");
    }
    Ok(())
}

/// A peer that claims `length` bytes, sends ten and hangs up. The server says nothing to it.
async fn cheat(server: SocketAddr, length: u32) -> io::Result<()> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_u32(length).await?;
    stream.write_all(b"ten bytes.").await?;
    stream.shutdown().await?;
    // A server that closes with bytes unread resets the connection, which is an answer too.
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "nothing comes back");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let (server_buffers, client_buffers) = (BufferPool::new(), BufferPool::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let serve = async |peer: &str| {
        let served = tokio::spawn(echo(listener.accept().await?.0, server_buffers.clone())).await.expect("no panic");
        println!("{peer}: {served:?}; charged {} bytes", server_buffers.stats().charged_bytes);
        io::Result::Ok(served)
    };

    let (claims_much, ..) = tokio::try_join!(serve("claims 4 GiB"), cheat(address, u32::MAX))?;
    assert_eq!(claims_much.unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(server_buffers.stats().made, 0, "no memory for a frame that is refused");

    let (breaks_off, ..) = tokio::try_join!(serve("claims 1 MiB"), cheat(address, 1 << 20))?;
    assert_eq!(breaks_off.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert!(server_buffers.stats().charged_bytes < 2 * AHEAD as u64, "little memory for a claim");

    let (frames, ..) = tokio::try_join!(serve("honest"), talk(address, &client_buffers))?;
    assert_eq!(frames?, 5);
    for buffers in [server_buffers, client_buffers] {
        assert_eq!(buffers.stats().outstanding(), 0, "every frame's memory is back");
    }
    Ok(())
}
