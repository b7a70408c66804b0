//! The future of [`collect`](super::collect).
//!
//! By hand, not by `async`: the compiler would keep what is moved into an `async` function beside what it is moved to, and a
//! request's future is moved whole, into a box at least. So each thing is here once, and nothing is boxed.

use super::arriving::{Arriving, admission};
use super::budget::Permit;
use super::collected::Collected;
use super::error::{CollectError, Refusal};
use super::limits::Limits;
use super::times::Watch;
use crate::buffer::BufferPool;
use bytes::Buf;
use core::borrow::Borrow;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;

/// Frames that are taken in one poll: a body that is always ready does not keep the task from its runtime for ever, nor
/// from a time limit.
const TURN: u32 = 128;

pin_project! {
    /// Collects one body. Its drop, at any point, gives everything back.
    #[must_use = "futures do nothing unless polled"]
    pub(in crate::http) struct Collecting<B, P> {
        #[pin]
        body: B,
        buffers: P,
        limits: Limits,
        claimed: u64,
        // Nothing of it is needed for a body that is one frame, and there at once, as small ones are.
        rest: Option<Rest>,
    }
}

/// What is known of a body that is not one frame.
struct Rest {
    step: Step,
    /// Bytes above which what is here is to be taken out, by who polls.
    above: usize,
    arriving: Arriving,
    watch: Watch,
}

impl Rest {
    fn new(above: usize) -> Self {
        let mut arriving = Arriving::default();
        arriving.is_bounded = above < usize::MAX;
        Self { step: Step::New, above, arriving, watch: Default::default() }
    }
}

/// Waits for a permit; boxed, so that those who never wait do not carry the room for it.
pub(super) type Admitting = Pin<Box<dyn Future<Output = Option<Permit>> + Send + Sync>>;

enum Step {
    /// Not polled yet.
    New,
    /// In the queue for the budget.
    Waiting(Admitting),
    Admitted,
}

/// Where the polling of a body stops.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The body is complete.
    Complete,
    /// More than `above` is here.
    Above,
}

type Polled<T, B> = Poll<Result<T, CollectError<<B as Body>::Error>>>;
type PolledFrame<B> = Poll<Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>>;

impl<B: Body, P: Borrow<BufferPool>> Collecting<B, P> {
    /// Collects `body`, which claims `claimed` bytes, into memory from `buffers`.
    // Inline: its fields are written where the future is to be.
    #[inline]
    pub(in crate::http) fn new(body: B, claimed: u64, buffers: P, limits: Limits) -> Self {
        Self { body, buffers, limits, claimed, rest: None }
    }

    /// The same, with a [stop](Stop::Above) whenever more than `above` bytes are here.
    #[allow(dead_code)] // Only who spills stops.
    pub(super) fn new_above(body: B, buffers: P, limits: Limits, above: usize) -> Self {
        let claimed = body.size_hint().lower();
        Self { body, buffers, limits, claimed, rest: Some(Rest::new(above)) }
    }

    /// What is here.
    pub(super) fn arriving(self: Pin<&mut Self>) -> &mut Arriving {
        &mut self.project().rest.get_or_insert_with(|| Rest::new(usize::MAX)).arriving
    }

    /// Whether the body says that it has ended.
    #[allow(dead_code)] // Only who spills stops.
    pub(super) fn has_ended(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Polls up to a stop.
    #[allow(dead_code)] // As above.
    pub(super) fn poll_stop(self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled<Stop, B> {
        self.poll_stop_from(None, context)
    }

    /// The same, where the body was polled once already.
    fn poll_stop_from(
        self: Pin<&mut Self>,
        mut first: Option<PolledFrame<B>>,
        context: &mut Context<'_>,
    ) -> Polled<Stop, B> {
        let mut this = self.project();
        let times = this.limits.times;
        let rest = this.rest.get_or_insert_with(|| Rest::new(usize::MAX));
        if !matches!(rest.step, Step::Admitted) {
            let admitted = ready!(poll_admitted(&mut rest.step, *this.claimed, rest.above, this.limits, context));
            rest.arriving.permit = admitted.map_err(CollectError::widen)?;
            rest.watch.begin(times);
        }
        for _ in 0..TURN {
            let polled = first.take().unwrap_or_else(|| this.body.as_mut().poll_frame(context));
            let Poll::Ready(frame) = polled else {
                return rest.watch.poll(times, context).map(|refusal| Err(refusal.widen()));
            };
            let Some(frame) = frame else { return Poll::Ready(Ok(Stop::Complete)) };
            let frame = frame.map_err(CollectError::Body)?;
            let taken = rest.arriving.take(frame, &*this.body, this.limits, (*this.buffers).borrow());
            if taken.map_err(CollectError::widen)? > 0 {
                rest.watch.moved();
            }
            if rest.arriving.data.len() > rest.above {
                return Poll::Ready(Ok(Stop::Above));
            }
            // To be told so once more would often take another wake: hyper says it when the connection is polled again.
            if this.body.is_end_stream() {
                return Poll::Ready(Ok(Stop::Complete));
            }
        }
        context.waker().wake_by_ref();
        rest.watch.poll(times, context).map(|refusal| Err(refusal.widen()))
    }
}

/// The permit of a body that claims `claimed` bytes, if it needs one.
fn poll_admitted(
    step: &mut Step,
    claimed: u64,
    above: usize,
    limits: &Limits,
    context: &mut Context<'_>,
) -> Poll<Result<Option<Permit>, Refusal>> {
    if let Step::New = step {
        let Some((budget, bytes)) = admission(claimed, above, limits)? else {
            *step = Step::Admitted;
            return Poll::Ready(Ok(None));
        };
        match limits.times.admit(budget, bytes) {
            Ok(permit) => return Poll::Ready(entered(step, permit)),
            Err(admitting) => *step = Step::Waiting(admitting),
        }
    }
    let Step::Waiting(admitting) = step else { return Poll::Ready(Ok(None)) };
    let permit = ready!(admitting.as_mut().poll(context));
    Poll::Ready(entered(step, permit))
}

/// The step after an answer of the budget. Who was refused and polls once more asks once more, and is not let in for nothing.
fn entered(step: &mut Step, permit: Option<Permit>) -> Result<Option<Permit>, Refusal> {
    *step = if permit.is_some() { Step::Admitted } else { Step::New };
    permit.ok_or(Refusal::NoBudget).map(Some)
}

impl<B: Body, P: Borrow<BufferPool>> Future for Collecting<B, P> {
    type Output = Result<Collected, CollectError<B::Error>>;

    // Inline: it is the whole of the extractor's poll, and what it returns moves.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled<Collected, B> {
        let mut this = self.as_mut().project();
        if this.rest.is_some() || !this.limits.let_one_frame_pass(*this.claimed) {
            return self.poll_rest(None, context);
        }
        match this.body.as_mut().poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) if is_all(&frame, &*this.body, this.limits) => match frame.into_data() {
                Ok(data) => Poll::Ready(Ok(Collected::passed(data))),
                Err(other) => self.poll_rest(Some(Poll::Ready(Some(Ok(other)))), context),
            },
            polled => self.poll_rest(Some(polled), context),
        }
    }
}

/// Whether `frame` is one piece of data, within the limits, after which `body` ends.
#[inline]
fn is_all<B: Body>(frame: &Frame<B::Data>, body: &B, limits: &Limits) -> bool {
    let fits = |bytes| bytes > 0 && bytes <= limits.max_bytes;
    let is_one = |data: &B::Data| data.chunk().len() == data.remaining() && fits(data.remaining());
    frame.data_ref().is_some_and(is_one) && body.is_end_stream()
}

impl<B: Body, P: Borrow<BufferPool>> Collecting<B, P> {
    #[cold]
    fn poll_rest(
        mut self: Pin<&mut Self>,
        first: Option<PolledFrame<B>>,
        context: &mut Context<'_>,
    ) -> Polled<Collected, B> {
        let stopped = ready!(self.as_mut().poll_stop_from(first, context));
        let arriving = self.arriving();
        if let Err(error) = stopped {
            // Now rather than when the future is dropped: there may be many who are refused.
            *arriving = Arriving::default();
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(arriving.finish()))
    }
}
