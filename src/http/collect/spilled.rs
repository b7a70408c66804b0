//! A body in a file, read back in pooled pieces.

use crate::buffer::{BufferPool, PooledBytes};
use bytes::{Buf, Bytes};
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;

/// A body in a file without a name, which is gone when the last clone is dropped.
///
/// It is read as a [`Body`] (with its trailers, and an exact size) or an `AsyncRead`, in pooled pieces of 64 KiB, on a thread for blocking
/// work. A clone shares the file and has a position of its own. To have it in memory after all,
/// [`collect`](super::collect) it, which says how much that may be.
pub struct Spilled {
    file: Arc<Mutex<File>>,
    len: u64,
    /// Up to where pieces were read.
    offset: u64,
    /// Of the last piece, what is not given out.
    piece: PooledBytes,
    reading: Option<JoinHandle<io::Result<PooledBytes>>>,
    trailers: Option<Box<HeaderMap>>,
    buffers: BufferPool,
}

impl Spilled {
    pub(super) fn new(file: File, len: u64, trailers: Option<Box<HeaderMap>>, buffers: BufferPool) -> Self {
        let (file, piece) = (Arc::new(Mutex::new(file)), PooledBytes::default());
        Self { file, len, offset: 0, piece, reading: None, trailers, buffers }
    }

    /// Bytes that are left.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len - self.offset + self.piece.len() as u64
    }

    /// Whether no bytes are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The trailers, if there were any and they were not read as a frame.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_deref()
    }

    /// Sees to it that there is a piece, if bytes are left.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.piece.is_empty() || self.offset == self.len {
            return Poll::Ready(Ok(()));
        }
        let reading = self.reading.get_or_insert_with(|| {
            let (file, buffers, offset) = (Arc::clone(&self.file), self.buffers.clone(), self.offset);
            let left = usize::try_from(self.len - offset).unwrap_or(usize::MAX);
            spawn_blocking(move || read(&file, &buffers, offset, left.min(PIECE)))
        });
        let done = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        self.piece = done.map_err(io::Error::other)??;
        self.offset += self.piece.len() as u64;
        Poll::Ready(Ok(()))
    }
}

/// Reads `bytes` at `offset`.
fn read(file: &Mutex<File>, buffers: &BufferPool, offset: u64, bytes: usize) -> io::Result<PooledBytes> {
    let mut buffer = buffers.try_get(bytes)?;
    // The position is the file's, and clones share it.
    let mut file = file.lock();
    file.seek(SeekFrom::Start(offset))?;
    io::copy(&mut Read::by_ref(&mut *file).take(bytes as u64), &mut buffer)?;
    drop(file);
    if buffer.len() < bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(buffer.freeze())
}

impl Clone for Spilled {
    fn clone(&self) -> Self {
        Self {
            file: Arc::clone(&self.file),
            len: self.len,
            offset: self.offset,
            piece: self.piece.clone(),
            // A piece that is being read is read again.
            reading: None,
            trailers: self.trailers.clone(),
            buffers: self.buffers.clone(),
        }
    }
}

/// **Cost** of a frame: one task on a thread for blocking work, and one small allocation.
impl Body for Spilled {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        ready!(self.poll_piece(context))?;
        if self.piece.is_empty() {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(*trailers))));
        }
        Poll::Ready(Some(Ok(Frame::data(core::mem::take(&mut self.piece).into_bytes()))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}

impl AsyncRead for Spilled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_piece(context))?;
        let fitting = self.piece.len().min(target.remaining());
        target.put_slice(&self.piece[..fitting]);
        self.piece.advance(fitting);
        if self.piece.is_empty() {
            // An empty one may keep its memory.
            self.piece = PooledBytes::default();
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Spilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spilled").field("len", &self.len()).finish_non_exhaustive()
    }
}
