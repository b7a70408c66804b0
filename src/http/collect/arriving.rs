//! What has arrived of a body, and where the next frame is copied to.

use super::budget::Permit;
use super::collected::{Collected, Data};
use super::error::Refusal;
use super::limits::Limits;
use crate::buffer::{Ahead, BufferPool, NoBuffer, PooledRope};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Frame;
use std::mem;

/// Bytes of a claim that is believed always: hyper holds as much for the connection.
const BELIEVED: usize = 16 << 10;
/// Bytes of the largest frame that is to be expected: the largest read buffer of hyper's.
const FRAME: usize = 512 << 10;
/// The first segment in bytes, without a claim that is smaller.
const FIRST: usize = 4 << 10;

/// What a claim is charged before its first byte: the most that it can take, with the room that a size class or the last
/// segment has too much.
fn charge(claimed: usize) -> usize {
    claimed.saturating_add(claimed / 4).saturating_add(FIRST)
}

/// What has arrived of one body.
pub(super) struct Arriving<'a> {
    buffers: &'a BufferPool,
    max_bytes: usize,
    max_frames: u64,
    contiguous: usize,
    frames: u64,
    /// Bytes that were taken out again.
    pub(super) drained: u64,
    pub(super) data: Arrived,
    /// What is reserved in one buffer and has not arrived.
    ahead: Option<Ahead<'a>>,
    pub(super) permit: Option<Permit>,
    pub(super) trailers: Option<Box<HeaderMap>>,
}

pub(super) enum Arrived {
    Nothing,
    /// One frame, which is said to be all.
    Frame(Bytes),
    Copied(PooledRope),
}

impl Arrived {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Frame(frame) => frame.len(),
            Self::Copied(rope) => rope.len(),
        }
    }

    pub(super) fn finish(self) -> Data {
        match self {
            Self::Nothing => Data::default(),
            Self::Frame(frame) => Data::Frame(frame),
            Self::Copied(rope) => Data::Pooled(rope.freeze()),
        }
    }

    /// Bytes of memory, as far as they are known: hyper does not tell what a frame pins.
    fn held(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Frame(frame) => frame.len(),
            Self::Copied(rope) => rope.capacity(),
        }
    }
}

impl<'a> Arriving<'a> {
    /// Ready for a body that claims `claimed` bytes when it is admitted. When more than `above` are here they are taken out again.
    pub(super) async fn admitted(
        claimed: u64,
        above: usize,
        buffers: &'a BufferPool,
        limits: Limits,
    ) -> Result<Self, Refusal> {
        let max_bytes = limits.max_bytes;
        let claimed = usize::try_from(claimed).ok().filter(|&claimed| claimed <= max_bytes);
        let claimed = claimed.ok_or(Refusal::TooLarge { limit: max_bytes })?;
        let permit = match &limits.budget {
            None => None,
            Some(budget) => {
                let all = budget.max_bytes();
                if charge(claimed.min(above)) > all {
                    // It would wait for ever, and a client that comes again would too.
                    return Err(Refusal::BeyondBudget { budget: all });
                }
                // The frame that passes `above` is as large as can be, or smaller than what the budget has.
                let charge = charge(claimed.min(above.saturating_add(FRAME))).min(all);
                Some(limits.times.admit(budget, charge).await.ok_or(Refusal::NoBudget)?)
            }
        };
        Ok(Self {
            buffers,
            max_bytes,
            max_frames: limits.frames(),
            contiguous: limits.contiguous,
            frames: 0,
            drained: 0,
            data: Arrived::Nothing,
            ahead: None,
            permit,
            trailers: None,
        })
    }

    /// Takes one frame; `claimed` bytes are said to follow, or it is said to be the last one. Returns how many bytes it
    /// brought.
    pub(super) fn take<D: Buf>(&mut self, frame: Frame<D>, claimed: u64, whole: bool) -> Result<usize, Refusal> {
        self.frames += 1;
        if self.frames > self.max_frames {
            return Err(Refusal::TooManyFrames { limit: self.max_frames });
        }
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(other) => {
                self.trailers = other.into_trailers().ok().map(Box::new).or(self.trailers.take());
                return Ok(0);
            }
        };
        let bytes = data.remaining();
        let here = self.data.len();
        let arrived = usize::try_from(self.drained).map_or(usize::MAX, |drained| drained.saturating_add(here));
        if bytes > self.max_bytes.saturating_sub(arrived) {
            return Err(Refusal::TooLarge { limit: self.max_bytes });
        }
        if bytes > 0 {
            self.data(data, usize::try_from(claimed).unwrap_or(usize::MAX), whole)?;
            let held = self.data.held();
            if self.permit.as_mut().is_some_and(|permit| !permit.grow_to(held)) {
                return Err(Refusal::NoBudget);
            }
        }
        Ok(bytes)
    }

    fn data(&mut self, mut data: impl Buf, claimed: usize, whole: bool) -> Result<(), NoBuffer> {
        let pending = data.remaining();
        let mut rope = match mem::replace(&mut self.data, Arrived::Nothing) {
            Arrived::Nothing if whole && data.chunk().len() == pending => {
                // For hyper's frames, which are `Bytes`, this copies nothing.
                self.data = Arrived::Frame(data.copy_to_bytes(pending));
                return Ok(());
            }
            Arrived::Nothing => self.begin(pending, claimed)?,
            Arrived::Frame(first) => {
                let mut rope = self.begin(first.len() + pending, claimed)?;
                rope.try_extend_from_slice(&first)?;
                rope
            }
            Arrived::Copied(rope) => {
                if let Some(ahead) = &mut self.ahead {
                    ahead.arrived(pending);
                }
                rope
            }
        };
        // Without a claim anything may follow.
        let expected = if claimed == 0 { usize::MAX } else { claimed.saturating_add(pending) };
        while data.has_remaining() {
            let chunk = data.chunk();
            rope.try_extend_expecting(chunk, expected)?;
            data.advance(chunk.len());
        }
        self.data = Arrived::Copied(rope);
        Ok(())
    }

    /// A rope with room for the `pending` bytes that are there, and for all that is claimed to follow if that is believed.
    fn begin(&mut self, pending: usize, claimed: usize) -> Result<PooledRope, NoBuffer> {
        let all = pending.saturating_add(claimed);
        if all <= BELIEVED {
            return PooledRope::try_with_capacity(self.buffers, if claimed == 0 { all.max(FIRST) } else { all });
        }
        if claimed > 0 && all <= self.contiguous {
            self.ahead = self.buffers.ahead(self.buffers.capacity_for(all) - pending);
            if self.ahead.is_some() {
                return PooledRope::try_with_capacity(self.buffers, all);
            }
        }
        PooledRope::try_with_capacity(self.buffers, pending.max(FIRST))
    }

    pub(super) fn finish(self) -> Collected {
        let held = self.data.held();
        let mut permit = self.permit;
        if let Some(permit) = &mut permit {
            permit.shrink_to(held);
        }
        Collected::new(self.data.finish(), self.trailers, permit)
    }
}
