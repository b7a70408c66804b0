//! Collecting a body into memory that is bounded by what has arrived.
//!
//! A frame of hyper's is a slice of its read buffer, and pins all of it for as long as it is held: a client that
//! trickles a body makes a server that holds the frames allocate a read buffer for each. So a frame is held here
//! only if the body says that it is the whole of it: it is passed on uncopied. Else every frame is copied
//! into one pooled buffer as it arrives, and dropped.
//!
//! A size that the client claims is believed only so far ahead of what it has sent.

use crate::buffer::{BufferPool, PooledBuf, PooledBytes};
use bytes::{Buf, Bytes};
use core::fmt;
use core::future::poll_fn;
use core::pin::pin;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame};

/// Bytes reserved on a client's word alone.
const AHEAD: usize = 64 << 10;
/// How many times what has arrived may be reserved, once that is more than `AHEAD`.
const FACTOR: usize = 4;

/// What a body may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    max_bytes: usize,
}

impl Limits {
    /// A body of at most `max_bytes` bytes. Default: 2 MiB, as axum's.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(2 << 20)
    }
}

/// A whole body: in a pooled buffer, or the one frame that it came in.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    data: Data,
    trailers: Option<HeaderMap>,
}

#[derive(Clone, Debug)]
enum Data {
    Frame(Bytes),
    Pooled(PooledBytes),
}

impl Default for Data {
    fn default() -> Self {
        Self::Frame(Bytes::new())
    }
}

impl Collected {
    /// The bytes, in one piece.
    #[must_use]
    pub fn contiguous(&self) -> &[u8] {
        match &self.data {
            Data::Frame(bytes) => bytes,
            Data::Pooled(bytes) => bytes,
        }
    }

    /// The bytes as [`Bytes`], uncopied. **Cost**: see [`PooledBytes::into_bytes`].
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self.data {
            Data::Frame(bytes) => bytes,
            Data::Pooled(bytes) => bytes.into_bytes(),
        }
    }

    /// The trailers, if there were any.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }
}

/// Why a body was not collected. What had arrived is dropped, and its buffer is back in the pool.
#[derive(Debug)]
#[non_exhaustive]
pub enum CollectError<E> {
    /// It is larger than the limit, or claims to be.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body itself failed.
    Body(E),
}

impl<E> CollectError<E> {
    /// The status that tells the client: 413, or 400 for a body that failed.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl<E: fmt::Display> fmt::Display for CollectError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => write!(f, "body is larger than {limit} bytes"),
            Self::Body(error) => write!(f, "body failed: {error}"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for CollectError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::TooLarge { .. } => None,
            Self::Body(error) => Some(error),
        }
    }
}

/// Collects `body` into memory from `buffers`. Dropping the future gives the memory back.
///
/// **Memory**: at most the larger of 64 KiB and four times what has arrived, rounded up to a size class. **Cost**:
/// no copy for a body of one frame; one copy of each frame otherwise, and one of what is there at each growth.
///
/// # Errors
///
/// [`CollectError::TooLarge`] at once when the body claims more than the limit, else when it has passed
/// the limit; [`CollectError::Body`] when the body fails.
///
/// # Examples
///
/// ```
/// use ebbtide::{BufferPool, http::{Limits, collect}};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let buffers = BufferPool::new();
/// let body = http_body_util::Full::new(&b"hello"[..]);
/// let collected = collect(body, &buffers, Limits::new(100)).await.unwrap();
/// assert_eq!(collected.contiguous(), b"hello");
///
/// let body = http_body_util::Full::new(&b"hello"[..]);
/// let error = collect(body, &buffers, Limits::new(4)).await.unwrap_err();
/// assert_eq!(error.status(), 413);
/// # }
/// ```
pub async fn collect<B: Body>(
    body: B,
    buffers: &BufferPool,
    limits: Limits,
) -> Result<Collected, CollectError<B::Error>> {
    let mut body = pin!(body);
    let mut collector = Collector { buffers, limit: limits.max_bytes, data: Arrived::Nothing, trailers: None };
    let claimed = body.size_hint().lower();
    if claimed > limits.max_bytes as u64 {
        return Err(collector.too_large());
    }
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let whole = body.is_end_stream();
        collector.take(frame.map_err(CollectError::Body)?, body.size_hint().lower(), whole)?;
    }
    Ok(collector.finish())
}

struct Collector<'a> {
    buffers: &'a BufferPool,
    limit: usize,
    data: Arrived,
    trailers: Option<HeaderMap>,
}

enum Arrived {
    Nothing,
    /// One frame, which is said to be all.
    Frame(Bytes),
    Copied(PooledBuf),
}

impl Arrived {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Frame(frame) => frame.len(),
            Self::Copied(buffer) => buffer.len(),
        }
    }
}

impl Collector<'_> {
    fn too_large<E>(&self) -> CollectError<E> {
        CollectError::TooLarge { limit: self.limit }
    }

    /// Takes one frame; `claimed` bytes are said to follow, or it is said to be the last one.
    fn take<D: Buf, E>(&mut self, frame: Frame<D>, claimed: u64, whole: bool) -> Result<(), CollectError<E>> {
        match frame.into_data() {
            Ok(data) if data.remaining() > self.limit - self.data.len() => return Err(self.too_large()),
            Ok(data) if data.has_remaining() => self.data(data, claimed, whole),
            Ok(_) => {}
            Err(other) => self.trailers = other.into_trailers().ok().or(self.trailers.take()),
        }
        Ok(())
    }

    fn data(&mut self, mut data: impl Buf, claimed: u64, whole: bool) {
        let mut buffer = match core::mem::replace(&mut self.data, Arrived::Nothing) {
            Arrived::Nothing if whole => {
                // For hyper's frames, which are `Bytes`, this copies nothing.
                self.data = Arrived::Frame(data.copy_to_bytes(data.remaining()));
                return;
            }
            Arrived::Nothing => self.buffers.get(room(data.remaining(), claimed)),
            Arrived::Frame(first) => {
                let mut buffer = self.buffers.get(room(first.len() + data.remaining(), claimed));
                buffer.extend_from_slice(&first);
                buffer
            }
            Arrived::Copied(buffer) => buffer,
        };
        let arrived = buffer.len() + data.remaining();
        if arrived > buffer.capacity() {
            let mut larger = self.buffers.get(room(arrived, claimed));
            larger.extend_from_slice(&buffer);
            buffer = larger;
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            buffer.extend_from_slice(chunk);
            data.advance(chunk.len());
        }
        self.data = Arrived::Copied(buffer);
    }

    fn finish(self) -> Collected {
        let data = match self.data {
            Arrived::Nothing => Data::default(),
            Arrived::Frame(frame) => Data::Frame(frame),
            Arrived::Copied(buffer) => Data::Pooled(buffer.freeze()),
        };
        Collected { data, trailers: self.trailers }
    }
}

/// How many bytes to reserve when `arrived` bytes are there and `claimed` are said to follow. Without a claim
/// the buffer doubles.
fn room(arrived: usize, claimed: u64) -> usize {
    let wanted = match usize::try_from(claimed) {
        Ok(0) => arrived.saturating_mul(2),
        Ok(claimed) => arrived.saturating_add(claimed),
        Err(_) => usize::MAX,
    };
    wanted.min(arrived.saturating_mul(FACTOR).max(AHEAD)).max(arrived)
}

#[cfg(test)]
mod tests {
    use super::room;

    #[test]
    fn a_claim_is_believed_only_so_far_ahead() {
        assert_eq!(room(10, 1 << 30), 64 << 10);
        assert_eq!(room(10, u64::MAX), 64 << 10);
        assert_eq!(room(100_000, 1 << 30), 400_000);
        assert_eq!(room(100_000, 50_000), 150_000);
        assert_eq!(room(100, 0), 200);
    }
}
