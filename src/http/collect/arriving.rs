//! What has arrived of a body, and where the next frame is copied to.

use super::budget::{BodyBudget, Permit};
use super::collected::{Collected, Data};
use super::error::Refusal;
use super::limits::Limits;
use crate::buffer::{BufferPool, NoBuffer, OwnedAhead, PooledRope, Segments};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame};
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

/// All of `data` in one piece. For hyper's frames, which are `Bytes`, this copies nothing.
fn passed(mut data: impl Buf, bytes: usize) -> Bytes {
    data.copy_to_bytes(bytes)
}

/// What has arrived of one body.
#[derive(Default)]
pub(super) struct Arriving {
    frames: u64,
    /// Whether it is promised that little more is held than is here.
    pub(super) is_bounded: bool,
    /// Bytes that were taken out again.
    pub(super) drained: u64,
    pub(super) data: Arrived,
    /// What is reserved in one buffer and has not arrived.
    ahead: Option<OwnedAhead>,
    pub(super) permit: Option<Permit>,
    pub(super) trailers: Option<Box<HeaderMap>>,
}

#[derive(Default)]
pub(super) enum Arrived {
    #[default]
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

    /// What is here, frozen. Nothing is here afterwards.
    pub(super) fn finish(&mut self) -> Data {
        match mem::take(self) {
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

/// What a body that claims `claimed` bytes is charged when it is admitted, by its budget, if it has one. When more than
/// `above` are here they are taken out again.
pub(super) fn admission(claimed: u64, above: usize, limits: &Limits) -> Result<Option<(&BodyBudget, usize)>, Refusal> {
    let limit = limits.max_bytes;
    let claimed = usize::try_from(claimed).ok().filter(|&claimed| claimed <= limit);
    let claimed = claimed.ok_or(Refusal::TooLarge { limit })?;
    let Some(budget) = &limits.budget else { return Ok(None) };
    let all = budget.max_bytes();
    if charge(claimed.min(above)) > all {
        // It would wait for ever, and a client that comes again would too.
        return Err(Refusal::BeyondBudget { budget: all });
    }
    // The frame that passes `above` is as large as can be, or smaller than what the budget has.
    Ok(Some((budget, charge(claimed.min(above.saturating_add(FRAME))).min(all))))
}

impl Arriving {
    /// Takes one frame, after which `body` says what is to come. Returns how many bytes it brought.
    pub(super) fn take<B: Body>(
        &mut self,
        frame: Frame<B::Data>,
        body: &B,
        limits: &Limits,
        buffers: &BufferPool,
    ) -> Result<usize, Refusal> {
        self.frames += 1;
        if self.frames > limits.frames() {
            return Err(Refusal::TooManyFrames { limit: limits.frames() });
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
        if bytes > limits.max_bytes.saturating_sub(arrived) {
            return Err(Refusal::TooLarge { limit: limits.max_bytes });
        }
        if bytes > 0 {
            if here == 0 && data.chunk().len() == bytes && body.is_end_stream() {
                self.data = Arrived::Frame(passed(data, bytes));
            } else {
                let claimed = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
                self.copy(data, claimed, limits.contiguous, buffers)?;
            }
            let held = self.data.held();
            if self.permit.as_mut().is_some_and(|permit| !permit.grow_to(held)) {
                return Err(Refusal::NoBudget);
            }
        }
        Ok(bytes)
    }

    /// Copies `data`; `claimed` bytes are said to follow.
    fn copy(
        &mut self,
        mut data: impl Buf,
        claimed: usize,
        contiguous: usize,
        buffers: &BufferPool,
    ) -> Result<(), NoBuffer> {
        let pending = data.remaining();
        let mut rope = match mem::take(&mut self.data) {
            Arrived::Nothing => self.begin(pending, claimed, contiguous, buffers)?,
            Arrived::Frame(first) => {
                let mut rope = self.begin(first.len() + pending, claimed, contiguous, buffers)?;
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
        let segments = match claimed {
            // Without a claim anything may follow.
            0 if self.may_be_idle() => Segments::Idle,
            0 => Segments::Expecting(usize::MAX),
            _ => Segments::Expecting(claimed.saturating_add(pending)),
        };
        while data.has_remaining() {
            let chunk = data.chunk();
            rope.try_extend_by(chunk, segments)?;
            data.advance(chunk.len());
        }
        self.data = Arrived::Copied(rope);
        Ok(())
    }

    /// Whether a segment may be larger than it need be, since it is idle: not where what is held is charged or bounded.
    fn may_be_idle(&self) -> bool {
        self.permit.is_none() && !self.is_bounded
    }

    /// A rope with room for the `pending` bytes that are there, and for all that is claimed to follow if that is believed.
    fn begin(
        &mut self,
        pending: usize,
        claimed: usize,
        contiguous: usize,
        buffers: &BufferPool,
    ) -> Result<PooledRope, NoBuffer> {
        let all = pending.saturating_add(claimed);
        if all <= BELIEVED {
            return PooledRope::try_with_capacity(buffers, if claimed == 0 { all.max(FIRST) } else { all });
        }
        if claimed > 0 && all <= contiguous {
            self.ahead = OwnedAhead::reserve(buffers, buffers.capacity_for(all) - pending);
            if self.ahead.is_some() {
                return PooledRope::try_with_capacity(buffers, all);
            }
        }
        if claimed > 0 || !self.may_be_idle() {
            return PooledRope::try_with_capacity(buffers, pending.max(FIRST));
        }
        PooledRope::try_in_idle(buffers, pending)
    }

    /// All that is here, as a body. Nothing is here afterwards.
    pub(super) fn finish(&mut self) -> Collected {
        // What has not arrived will not come.
        self.ahead = None;
        let held = self.data.held();
        let mut permit = self.permit.take();
        if let Some(permit) = &mut permit {
            permit.shrink_to(held);
        }
        Collected::new(self.data.finish(), self.trailers.take(), permit)
    }
}
