//! The future of a response, which owns the request until the response body does.

use super::body::ScopeBody;
use super::hold::Hold;
use super::passage::Passing;
use core::future::Future;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use http::{Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;

pin_project! {
    /// The future of [`ScopeService`](super::ScopeService). Dropped before it is ready, the request ends as
    /// aborted; dropped because its poll panicked, as panicked, also where a layer above catches the panic.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, P, A> {
        #[pin]
        step: Step<F, A>,
        passing: Option<P>,
        // `None` once the response has it.
        hold: Hold,
        is_head: bool,
        // Set around each poll. Found set in the drop, the poll has unwound.
        polling: bool,
    }

    impl<F, P, A> PinnedDrop for ResponseFuture<F, P, A> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.hold.is_some() {
                this.hold.give_up(*this.polling);
                // The inner future may look for its scope in its own drop.
                this.hold.within(|| {
                    this.step.set(Step::Done);
                    *this.passing = None;
                });
            }
        }
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<F, A> {
        /// The inner service is at work.
        Inner { #[pin] future: F },
        /// An interceptor has answered.
        Answered { answer: Option<A> },
        /// The server shuts down.
        Refused,
        Done,
    }
}

impl<F, P, A> ResponseFuture<F, P, A> {
    #[inline]
    pub(super) fn new(step: ControlFlow<A, F>, passing: P, hold: Hold, is_head: bool) -> Self {
        let step = match step {
            ControlFlow::Continue(future) => Step::Inner { future },
            ControlFlow::Break(answer) => Step::Answered { answer: Some(answer) },
        };
        Self { step, passing: Some(passing), hold, is_head, polling: false }
    }

    /// Answers 503, without a request.
    pub(super) fn refused() -> Self {
        Self { step: Step::Refused, passing: None, hold: Hold::None, is_head: false, polling: false }
    }
}

impl<F, P, B, E> Future for ResponseFuture<F, P, P::Answer>
where
    F: Future<Output = Result<Response<B>, E>>,
    P: Passing<Response<B>>,
    B: Body,
{
    type Output = Result<Response<ScopeBody<B>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let StepProjection::Refused = this.step.as_mut().project() {
            this.step.set(Step::Done);
            return Poll::Ready(Ok(refusal()));
        }
        *this.polling = true;
        let polled = this.hold.within(|| {
            let mut polled = match this.step.as_mut().project() {
                StepProjection::Inner { future } => future.poll(context),
                StepProjection::Answered { answer } => {
                    answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(P::answered(answer))))
                }
                StepProjection::Refused | StepProjection::Done => Poll::Pending,
            };
            if let Poll::Ready(answer) = &mut polled {
                if let (Ok(response), Some(passing)) = (answer, this.passing.as_mut()) {
                    passing.after(response);
                }
                // What the inner future and the chain still hold of the request goes before the body is sent.
                this.step.set(Step::Done);
                *this.passing = None;
            }
            polled
        });
        *this.polling = false;
        let response = ready!(polled)?;
        let is_sent = !*this.is_head && may_have_body(response.status());
        Poll::Ready(Ok(response.map(|body| ScopeBody::new(body, core::mem::take(this.hold), is_sent))))
    }
}

#[cold]
fn refusal<B>() -> Response<ScopeBody<B>> {
    let mut response = Response::new(ScopeBody::none());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// Whether a response with this status has a body at all; if not, nobody polls it.
#[inline]
fn may_have_body(status: StatusCode) -> bool {
    !(status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED)
}

impl<F, P, A> core::fmt::Debug for ResponseFuture<F, P, A> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ResponseFuture").field("hold", &self.hold).finish_non_exhaustive()
    }
}
