//! What a body may cost.

use super::budget::BodyBudget;
use super::times::Times;

/// Frames that a body may have beyond one for each byte: room for empty ones, which cost work and bring nothing.
const EMPTY_FRAMES: u64 = 1024;
/// Bytes of the largest body for which one buffer is taken ahead: the largest that a pool keeps by default.
const CONTIGUOUS: usize = 4 << 20;

/// What a body may cost: bytes, and for those who want it frames, time and a share of a budget.
///
/// Bytes and frames are bounded by default; time is not, since it needs a runtime with a timer: a public server sets
/// `idle_timeout` (feature `tokio`), or has a layer for it.
///
/// # Examples
///
/// ```
/// use ebbtide::http::{BodyBudget, Limits};
///
/// let budget = BodyBudget::new(256 << 20); // of the whole server
/// let limits = Limits::new(10 << 20).budget(&budget).max_frames(100_000);
/// # let _ = limits;
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    pub(super) max_bytes: usize,
    pub(super) max_frames: Option<u64>,
    pub(super) contiguous: usize,
    pub(super) budget: Option<BodyBudget>,
    pub(super) times: Times,
}

impl Limits {
    /// A body of at most `max_bytes` bytes. Default: 2 MiB, as axum's.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, max_frames: None, contiguous: CONTIGUOUS, budget: None, times: Times::default() }
    }

    /// Frames that a body may come in, empty ones and trailers too. Default: as many as `max_bytes`, and 1,024: a body
    /// in frames of one byte passes, and empty frames come to an end.
    #[must_use]
    pub fn max_frames(mut self, frames: u64) -> Self {
        self.max_frames = Some(frames);
        self
    }

    /// Bytes of the largest body for which one buffer is taken on its claim, so that it never has to be gathered;
    /// a larger one grows by segments. Default: 4 MiB. It also takes room in the pool's
    /// [`max_ahead_bytes`](crate::buffer::BufferPoolBuilder::max_ahead_bytes). 0 takes all bodies by segments.
    #[must_use]
    pub fn contiguous(mut self, bytes: usize) -> Self {
        self.contiguous = bytes;
        self
    }

    /// Charges what a body holds to `budget`, from before its first byte until its [`Collected`](super::Collected), all
    /// clones of it and all [`Bytes`](bytes::Bytes) out of it are gone. Default: none.
    #[must_use]
    pub fn budget(mut self, budget: &BodyBudget) -> Self {
        self.budget = Some(budget.clone());
        self
    }

    /// Whether nothing has to be asked before the first frame of a body that claims `claimed` bytes: it may pass if it is all.
    #[inline]
    pub(super) fn let_one_frame_pass(&self, claimed: u64) -> bool {
        self.budget.is_none() && self.max_frames != Some(0) && claimed <= self.max_bytes as u64
    }

    pub(super) fn frames(&self) -> u64 {
        self.max_frames.unwrap_or_else(|| (self.max_bytes as u64).saturating_add(EMPTY_FRAMES))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(2 << 20)
    }
}
