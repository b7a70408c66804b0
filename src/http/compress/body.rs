//! A response body that is encoded as it is polled.

use super::accept::Encoding;
use super::encoder::{Encoder, Encoders, Flush};
use crate::buffer::{BufferPool, PooledBuf};
use bytes::{Buf, Bytes};
use core::error::Error;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// Encoded bytes are handed on once there are so many.
const FRAME: usize = 16 << 10;

type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// The encoded form of a body: see [`Compression`](super::Compression). What is encoded is handed on in frames of about 16 KiB,
    /// and earlier whenever the body inside has nothing more to give for now.
    ///
    /// It takes an encoder and a buffer at its first poll, and gives both back at its end or drop.
    pub struct CompressBody<B: Body> {
        #[pin]
        inner: B,
        encoding: Encoding,
        encoders: Encoders,
        buffers: BufferPool,
        state: State<B::Data>,
    }
}

enum State<D> {
    /// Nothing was polled yet.
    New,
    Encoding(Stream<D>),
    /// The encoded end is out, and these are not.
    Trailers(Option<HeaderMap>),
    Done,
}

/// An encoder at work.
struct Stream<D> {
    encoder: Encoder,
    /// Of the last frame of the body inside.
    rest: Option<D>,
    encoded: PooledBuf,
    /// Whether the encoder may hold something back.
    is_dirty: bool,
    buffers: BufferPool,
}

impl<B: Body> CompressBody<B> {
    pub(super) fn new(inner: B, encoding: Encoding, encoders: Encoders, buffers: BufferPool) -> Self {
        Self { inner, encoding, encoders, buffers, state: State::New }
    }
}

impl<B> Body for CompressBody<B>
where
    B: Body<Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        loop {
            let stream = match this.state {
                State::New => {
                    *this.state = State::Encoding(Stream::new(this.encoders.get(*this.encoding), this.buffers));
                    continue;
                }
                State::Encoding(stream) => stream,
                State::Trailers(trailers) => {
                    let trailers = trailers.take().map(|trailers| Ok(Frame::trailers(trailers)));
                    *this.state = State::Done;
                    return Poll::Ready(trailers);
                }
                State::Done => return Poll::Ready(None),
            };
            match stream.rest() {
                Ok(None) => {}
                Ok(Some(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Err(error) => {
                    *this.state = State::Done;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            let (step, trailers) = match this.inner.as_mut().poll_frame(context) {
                Poll::Pending => match stream.flush().transpose() {
                    Some(flushed) => {
                        return Poll::Ready(Some(flushed.map(Frame::data).inspect_err(|_| *this.state = State::Done)));
                    }
                    None => return Poll::Pending,
                },
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        stream.rest = Some(data);
                        continue;
                    }
                    Err(frame) => (stream.end(), Some(frame.into_trailers().ok())),
                },
                Poll::Ready(None) => (stream.end(), Some(None)),
                Poll::Ready(Some(Err(error))) => (Err(error.into()), None),
            };
            if let Some(trailers) = trailers {
                *this.state = State::Trailers(trailers);
            }
            match step {
                Ok(None) => {}
                Ok(Some(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Err(error) => {
                    *this.state = State::Done;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Done | State::Trailers(None))
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}

impl<D: Buf> Stream<D> {
    fn new(encoder: Encoder, buffers: &BufferPool) -> Self {
        Self { encoder, rest: None, encoded: buffers.get(FRAME), is_dirty: false, buffers: buffers.clone() }
    }

    /// Encodes what is left of a frame, until that makes a whole one, which it gives.
    fn rest(&mut self) -> Result<Option<Bytes>, BoxError> {
        let Some(data) = &mut self.rest else { return Ok(None) };
        while data.has_remaining() {
            let chunk = data.chunk();
            let length = chunk.len().min(FRAME);
            self.encoder.encode(&chunk[..length], &mut self.encoded, Flush::No)?;
            self.is_dirty = true;
            data.advance(length);
            if self.encoded.len() >= FRAME {
                return Ok(Some(self.frame()));
            }
        }
        self.rest = None;
        Ok(None)
    }

    /// What can be sent while nothing more comes.
    fn flush(&mut self) -> Result<Option<Bytes>, BoxError> {
        if core::mem::take(&mut self.is_dirty) {
            self.encoder.encode(&[], &mut self.encoded, Flush::Sync)?;
        }
        Ok((!self.encoded.is_empty()).then(|| self.frame()))
    }

    /// The encoded end.
    fn end(&mut self) -> Result<Option<Bytes>, BoxError> {
        self.encoder.encode(&[], &mut self.encoded, Flush::End)?;
        Ok(Some(self.frame()))
    }

    fn frame(&mut self) -> Bytes {
        core::mem::replace(&mut self.encoded, self.buffers.get(FRAME)).freeze().into_bytes()
    }
}

impl<B: Body> fmt::Debug for CompressBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompressBody").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}
