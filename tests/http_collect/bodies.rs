//! Bodies for the tests: scripts of frames, waits, errors and panics, with any claim.

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// One step of a body.
pub(crate) enum Step<D> {
    Data(D),
    Trailers(http::HeaderMap),
    /// Pending once; the task is woken at once.
    Wait,
    /// Pending for so long.
    Sleep(Duration),
    /// Pending for ever.
    Stop,
    Error,
    Panic,
    /// A look at the world when everything before it was taken.
    Look(Box<dyn FnMut() + Send>),
}

/// A body that plays its steps.
pub(crate) struct Script<D = Bytes> {
    steps: VecDeque<Step<D>>,
    /// What it says is to come; the lower bound of its size.
    claims: u64,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<D: Buf> Script<D> {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step<D>>) -> Self {
        Self { steps: steps.into_iter().collect(), claims: 0, sleep: None }
    }

    /// Claims `bytes` from now on, less what it sends.
    pub(crate) fn claiming(mut self, bytes: u64) -> Self {
        self.claims = bytes;
        self
    }

    /// Claims what it will send.
    pub(crate) fn honest(self) -> Self {
        let sum =
            self.steps.iter().map(|step| if let Step::Data(data) = step { data.remaining() } else { 0 }).sum::<usize>();
        self.claiming(sum as u64)
    }
}

impl Script {
    /// `bytes` in frames of `size`.
    pub(crate) fn frames(bytes: &Bytes, size: usize) -> Self {
        let starts = (0..bytes.len()).step_by(size);
        Self::new(starts.map(|start| Step::Data(bytes.slice(start..bytes.len().min(start + size)))))
    }

    /// The same with a wait before each frame.
    pub(crate) fn trickle(bytes: &Bytes, size: usize) -> Self {
        let mut script = Self::frames(bytes, size);
        script.steps = script.steps.into_iter().flat_map(|step| [Step::Wait, step]).collect();
        script
    }

    pub(crate) fn then(mut self, step: Step<Bytes>) -> Self {
        self.steps.push_back(step);
        self
    }
}

impl<D: Buf + Unpin> Body for Script<D> {
    type Data = D;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<D>, &'static str>>> {
        if let Some(sleep) = &mut self.sleep {
            match sleep.as_mut().poll(context) {
                Poll::Ready(()) => self.sleep = None,
                Poll::Pending => return Poll::Pending,
            }
        }
        match self.steps.pop_front() {
            None => Poll::Ready(None),
            Some(Step::Data(data)) => {
                self.claims = self.claims.saturating_sub(data.remaining() as u64);
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Step::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(Step::Wait) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Sleep(time)) => {
                self.sleep = Some(Box::pin(tokio::time::sleep(time)));
                self.poll_frame(context)
            }
            Some(Step::Stop) => {
                self.steps.push_front(Step::Stop);
                Poll::Pending
            }
            Some(Step::Error) => Poll::Ready(Some(Err("the network"))),
            Some(Step::Panic) => panic!("a body's own panic"),
            Some(Step::Look(mut look)) => {
                look();
                self.poll_frame(context)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.claims);
        hint
    }
}

/// Empty frames for ever, each ready at once, or each after a wait.
pub(crate) struct Empty {
    pub(crate) waits: bool,
    pub(crate) waited: bool,
}

impl Body for Empty {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.waited ^= self.waits;
        if self.waited {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
    }
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(size: usize) -> Bytes {
    (0..size).map(|at| (at.wrapping_mul(31) ^ (at >> 8)) as u8).collect::<Vec<_>>().into()
}
