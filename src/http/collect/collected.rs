//! A collected body.

use super::budget::Permit;
use super::error::CollectError;
use crate::buffer::{NoBuffer, RopeBytes};
use bytes::{Buf, Bytes};
use core::convert::Infallible;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::io::IoSlice;
use std::sync::Arc;

/// A whole body: in one pooled buffer, in several segments, or in the one frame that it came in.
///
/// It is a [`Buf`] and a [`Body`] (with its trailers, and an exact size), and with the feature `tokio` an `AsyncRead`: each reads it from the
/// front and gives back what it is past. A clone shares the memory and has a position of its own: to send a body
/// again, keep a clone of it.
#[derive(Clone, Default)]
pub struct Collected {
    data: Data,
    trailers: Option<Box<HeaderMap>>,
    permit: Option<Arc<Permit>>,
}

#[derive(Clone)]
pub(super) enum Data {
    Frame(Bytes),
    Pooled(RopeBytes),
}

/// What a client has sent does not belong into logs: the length will do.
impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collected").field("len", &self.len()).field("trailers", &self.trailers).finish_non_exhaustive()
    }
}

impl Default for Data {
    fn default() -> Self {
        Self::Frame(Bytes::new())
    }
}

impl Collected {
    /// A body that is one frame. For hyper's frames, which are `Bytes`, this copies nothing.
    #[inline]
    pub(super) fn passed(mut frame: impl Buf) -> Self {
        let bytes = frame.remaining();
        Self { data: Data::Frame(frame.copy_to_bytes(bytes)), trailers: None, permit: None }
    }

    pub(super) fn new(data: Data, trailers: Option<Box<HeaderMap>>, permit: Option<Permit>) -> Self {
        Self { data, trailers, permit: permit.map(Arc::new) }
    }

    /// Bytes that are left.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.data {
            Data::Frame(bytes) => bytes.len(),
            Data::Pooled(rope) => rope.len(),
        }
    }

    /// Whether no bytes are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes in one piece.
    ///
    /// **Cost**: nothing if they are in one piece, as those of ordinary uploads are. Else one copy into a buffer for all, while the
    /// segments go back one by one, and counted in [`BufferPool::gathered_bytes`](crate::BufferPool::gathered_bytes). A
    /// [`BodyBudget`](super::BodyBudget) is charged for that buffer, whether it has the room or not.
    pub fn contiguous(&mut self) -> &[u8] {
        let len = self.len();
        if let Err(full) = self.gather(|permit, bytes| Some(permit.overdrawn(bytes))) {
            full.fail(len);
        }
        self.as_slice().unwrap_or_default()
    }

    /// [`contiguous`](Self::contiguous) that may fail, and leaves the segments as they were then.
    ///
    /// # Errors
    ///
    /// [`CollectError::NoMemory`], and [`CollectError::NoBudget`] if the budget has no room for the buffer beside the segments.
    pub fn try_contiguous(&mut self) -> Result<&[u8], CollectError<Infallible>> {
        if !self.gather(Permit::beside)? {
            return Err(CollectError::NoBudget);
        }
        Ok(self.as_slice().unwrap_or_default())
    }

    /// Brings all bytes into one piece, if there is a permit for it.
    fn gather(&mut self, permitted: impl FnOnce(&Permit, usize) -> Option<Permit>) -> Result<bool, NoBuffer> {
        let Data::Pooled(rope) = &mut self.data else { return Ok(true) };
        let Some(buffer) = rope.room_for_all()? else { return Ok(true) };
        // The permit of the segments lives as long as a clone that has them.
        let segments = match &self.permit {
            None => None,
            Some(permit) => match permitted(permit, buffer.capacity()) {
                None => return Ok(false),
                Some(permit) => self.permit.replace(Arc::new(permit)),
            },
        };
        rope.gather(buffer);
        drop(segments);
        Ok(true)
    }

    /// The bytes, if they are in one piece: always after [`contiguous`](Self::contiguous).
    #[must_use]
    #[inline] // Asked by the extractor, whose frame it mostly is.
    pub fn as_slice(&self) -> Option<&[u8]> {
        match &self.data {
            Data::Frame(bytes) => Some(bytes),
            Data::Pooled(rope) => rope.as_slice(),
        }
    }

    /// The bytes as [`Bytes`], in one piece. **Cost**: that of [`contiguous`](Self::contiguous), and the small allocation of
    /// [`PooledBytes::into_bytes`](crate::PooledBytes::into_bytes); for the frame that it came in nothing, unless there is a budget.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        self.contiguous();
        self.next_piece()
    }

    /// The trailers, if there were any and they were not read as a frame.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_deref()
    }

    /// The next bytes that are in one piece.
    fn next_piece(&mut self) -> Bytes {
        match &mut self.data {
            Data::Frame(bytes) => with_permit(core::mem::take(bytes), self.permit.clone()),
            Data::Pooled(rope) => with_permit(rope.pop_segment().unwrap_or_default(), self.permit.clone()),
        }
    }
}

/// `bytes` that keep `permit` as long as they live.
fn with_permit<T>(bytes: T, permit: Option<Arc<Permit>>) -> Bytes
where
    T: AsRef<[u8]> + Into<Bytes> + Send + 'static,
{
    match permit {
        Some(permit) if !bytes.as_ref().is_empty() => Bytes::from_owner(Permitted { bytes, _permit: permit }),
        _ => bytes.into(),
    }
}

struct Permitted<T> {
    bytes: T,
    _permit: Arc<Permit>,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Permitted<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl Buf for Collected {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        match &self.data {
            Data::Frame(bytes) => bytes,
            Data::Pooled(rope) => rope.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match &self.data {
            Data::Frame(bytes) => bytes.chunks_vectored(slices),
            Data::Pooled(rope) => rope.chunks_vectored(slices),
        }
    }

    fn advance(&mut self, bytes: usize) {
        match &mut self.data {
            Data::Frame(frame) => frame.advance(bytes),
            Data::Pooled(rope) => rope.advance(bytes),
        }
    }

    /// Shares or copies as [`RopeBytes`] does. A copy is charged to the budget for itself.
    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        assert!(len <= self.len(), "copy of {len} out of {} bytes", self.len());
        let rope = match &mut self.data {
            Data::Frame(bytes) => return with_permit(bytes.copy_to_bytes(len), self.permit.clone()),
            Data::Pooled(rope) => rope,
        };
        match rope.room_for(len).unwrap_or_else(|full| full.fail(len)) {
            None => with_permit(rope.split_to(len), self.permit.clone()),
            Some(buffer) => {
                let permit = self.permit.as_ref().map(|permit| Arc::new(permit.overdrawn(buffer.capacity())));
                with_permit(rope.copy_into(buffer, len), permit)
            }
        }
    }
}

/// Each frame is what is in one piece, uncopied; **cost**: one small allocation each, as for
/// [`PooledBytes::into_bytes`](crate::PooledBytes::into_bytes).
impl Body for Collected {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(self.next_piece()))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(*trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}
