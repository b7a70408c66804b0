//! Bytes in several pooled segments: what grows without copying, and without holding much more than it has.
//!
//! A buffer that doubles holds up to twice its bytes, three times while it copies. A rope adds a segment of about a
//! sixteenth of what is there, so it holds at most a twelfth more than its bytes, or one small segment; nothing is
//! copied twice until somebody asks for one slice.

mod frozen;
mod piece;

pub use frozen::{IntoSegments, RopeBytes};

use super::{BufferPool, NoBuffer, PooledBuf};
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicU64;
use core::fmt;
use std::{io, mem};

/// The smallest segment in bytes that a rope takes by itself: a page, as a read of a socket brings.
const SMALLEST: usize = 4 << 10;
/// The largest one in bytes: beyond it, more bytes to a segment save nothing that shows.
const LARGEST: usize = 256 << 10;
/// The share of what is there that a segment is asked for. A size class adds up to a quarter, which makes a twelfth.
const SHARE: usize = 16;

/// How many times larger or smaller than what is asked for an idle segment may be that goes before a new one.
const FAR: usize = 4;

/// How a rope chooses its segments.
#[derive(Clone, Copy)]
pub(crate) enum Segments {
    /// No larger than so many bytes need, which are to come.
    Expecting(usize),
    /// Rather what is idle than what fits best. Which classes a body takes is a matter of the frames that it comes in: each upload
    /// would ask for other ones, until every class has an upload's worth.
    #[allow(dead_code)] // Only the porch asks.
    Idle,
}

impl Segments {
    fn after(self, bytes: usize) -> Self {
        match self {
            Self::Expecting(expected) => Self::Expecting(expected.saturating_sub(bytes)),
            Self::Idle => Self::Idle,
        }
    }
}

/// Bytes that were copied once more because somebody asked a rope for one slice.
#[derive(Debug, Default)]
pub(super) struct Gathered(AtomicU64);

impl Gathered {
    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A writer into pooled segments: it grows by a segment and never moves what is written.
///
/// Only its last segment is not full. That one has at most a twelfth as much room as all have bytes, or 4 KiB, or a quarter of the
/// slice that needed it, whichever is most; the first one has what was asked for. [`freeze`](Self::freeze) makes
/// it [`RopeBytes`]. Its drop gives all segments back.
///
/// # Examples
///
/// ```
/// use ebbtide::{BufferPool, PooledRope};
///
/// let pool = BufferPool::new();
/// let mut rope = PooledRope::new(&pool);
/// for _ in 0..1000 {
///     rope.extend_from_slice(b"hello world. ");
/// }
/// assert_eq!(rope.len(), 13_000);
/// assert!(rope.capacity() <= 17_000);
/// let bytes = rope.freeze();
/// assert_eq!(bytes.segments().map(|segment| segment.len()).sum::<usize>(), 13_000);
/// assert_eq!(&bytes.into_contiguous()[..12], b"hello world.");
/// ```
pub struct PooledRope {
    full: RopeBytes,
    /// Of the segments in `full`.
    full_capacity: usize,
    last: PooledBuf,
}

impl PooledRope {
    /// An empty rope.
    ///
    /// **Cost**: that of [`BufferPool::get`](crate::BufferPool::get): the first segment, of 4 KiB, is there at once.
    #[must_use]
    pub fn new(pool: &BufferPool) -> Self {
        Self::with_capacity(pool, SMALLEST)
    }

    /// An empty rope whose first segment has room for `bytes`. What fits is in one piece.
    ///
    /// # Panics
    ///
    /// As [`BufferPool::get`](crate::BufferPool::get).
    #[must_use]
    pub fn with_capacity(pool: &BufferPool, bytes: usize) -> Self {
        Self::begin(pool.get(bytes))
    }

    /// [`with_capacity`](Self::with_capacity) that may fail.
    ///
    /// # Errors
    ///
    /// As [`BufferPool::try_get`].
    pub fn try_with_capacity(pool: &BufferPool, bytes: usize) -> Result<Self, NoBuffer> {
        pool.try_get(bytes).map(Self::begin)
    }

    /// The same, in an idle buffer of up to `FAR` times the bytes rather than in a new one.
    #[allow(dead_code)] // Only the porch asks.
    pub(crate) fn try_in_idle(pool: &BufferPool, bytes: usize) -> Result<Self, NoBuffer> {
        pool.try_get_near(bytes, bytes, bytes.saturating_mul(FAR)).map(Self::begin)
    }

    fn begin(last: PooledBuf) -> Self {
        Self { full: RopeBytes::default(), full_capacity: 0, last }
    }

    /// Bytes written.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.full.len() + self.last.len()
    }

    /// Whether nothing is written.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all segments, written or not.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        self.full_capacity + self.last.capacity()
    }

    /// Appends `bytes`.
    ///
    /// **Cost**: one copy, and [`BufferPool::get`](crate::BufferPool::get) for each new segment. What is written stays where it is.
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.try_extend_from_slice(bytes).unwrap_or_else(|full| full.fail(bytes.len()));
    }

    /// [`extend_from_slice`](Self::extend_from_slice) that may fail. As many of the bytes as there was room for are
    /// appended then: [`len`](Self::len) tells.
    ///
    /// # Errors
    ///
    /// [`NoBuffer`], when there is no memory for another segment.
    #[inline]
    pub fn try_extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), NoBuffer> {
        self.try_extend_by(bytes, Segments::Expecting(usize::MAX))
    }

    /// Appends `bytes`.
    #[inline]
    pub(crate) fn try_extend_by(&mut self, bytes: &[u8], segments: Segments) -> Result<(), NoBuffer> {
        let fitted = self.last.fill(bytes);
        if fitted == bytes.len() {
            return Ok(());
        }
        self.try_extend_slow(&bytes[fitted..], segments.after(fitted))
    }

    #[cold]
    fn try_extend_slow(&mut self, mut bytes: &[u8], mut segments: Segments) -> Result<(), NoBuffer> {
        while !bytes.is_empty() {
            self.add_segment(bytes.len(), segments)?;
            let fitted = self.last.fill(bytes);
            bytes = &bytes[fitted..];
            segments = segments.after(fitted);
        }
        Ok(())
    }

    /// Adds room for `pending` bytes, or the largest segment; for more as the rope has grown.
    fn add_segment(&mut self, pending: usize, segments: Segments) -> Result<(), NoBuffer> {
        let share = (self.len() / SHARE).max(SMALLEST);
        let room = |share: usize| share.max(pending).min(LARGEST);
        self.full.try_reserve()?;
        let next = match segments {
            Segments::Expecting(bytes) => self.last.try_beside(room(share.min(bytes))),
            Segments::Idle if room(share) == SMALLEST => self.last.try_beside(SMALLEST),
            Segments::Idle => {
                let (room, most) = (room(share), self.len() / 4);
                self.last.try_near(room, (room / FAR).max(SMALLEST), room.saturating_mul(FAR).max(most))
            }
        }?;
        self.full_capacity += self.last.capacity();
        self.full.push(mem::replace(&mut self.last, next));
        Ok(())
    }

    /// Ends the writing: the bytes can be shared and read from the front.
    ///
    /// **Cost**: no copy; none of memory for one segment, else that of a list of segments, 8 bytes each.
    #[must_use]
    pub fn freeze(self) -> RopeBytes {
        let Self { mut full, last, .. } = self;
        full.push(last);
        full
    }
}

/// Fails where there is no memory only.
impl io::Write for PooledRope {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Ok(self.try_extend_from_slice(bytes)?)
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for PooledRope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledRope").field("len", &self.len()).field("capacity", &self.capacity()).finish()
    }
}
