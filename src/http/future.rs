//! The future of a response, which owns the request until the response body does.

use super::body::ScopeBody;
use super::passage::Passing;
use crate::request::Hold;
use core::future::Future;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll};
use http::{Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;

pin_project! {
    /// The future of [`ScopeService`](super::ScopeService). Dropped before it is ready, the request ends as
    /// aborted; dropped because its poll panicked, as panicked, also where a layer above catches the panic.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, P, A> {
        #[pin]
        step: Step<F, P, A>,
        // None once the response has it. Marked where the response to come has no body.
        hold: Hold,
    }

    impl<F, P, A> PinnedDrop for ResponseFuture<F, P, A> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.hold.is_some() {
                this.hold.give_up();
                // The inner future may look for its scope in its own drop.
                this.hold.within(|| this.step.set(Step::Done));
            }
        }
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<F, P, A> {
        /// The inner service is at work. Its future goes before the request's way through the chain.
        Inner { #[pin] future: F, passing: P },
        /// An interceptor has answered.
        Answered { answer: Option<A>, passing: P },
        /// The server shuts down.
        Refused,
        Done,
    }
}

impl<F, P, A> ResponseFuture<F, P, A> {
    #[inline]
    pub(super) fn new(step: ControlFlow<A, F>, passing: P, mut hold: Hold, is_head: bool) -> Self {
        let step = match step {
            ControlFlow::Continue(future) => Step::Inner { future, passing },
            ControlFlow::Break(answer) => Step::Answered { answer: Some(answer), passing },
        };
        hold.mark(is_head);
        Self { step, hold }
    }

    /// Answers 503, without a request.
    pub(super) fn refused() -> Self {
        Self { step: Step::Refused, hold: Hold::none() }
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
        let polled = this.hold.polling(|| {
            let (mut polled, passing) = match this.step.as_mut().project() {
                StepProjection::Inner { future, passing } => (future.poll(context), passing),
                StepProjection::Answered { answer, passing } => {
                    (answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(P::answered(answer)))), passing)
                }
                StepProjection::Refused | StepProjection::Done => return Poll::Pending,
            };
            if let Poll::Ready(answer) = &mut polled {
                if let Ok(response) = answer {
                    passing.after(response);
                }
                // What the inner future and the chain still hold of the request goes before the body is sent.
                this.step.set(Step::Done);
            }
            polled
        });
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(response)) => {
                let is_sent = !this.hold.is_marked() && may_have_body(response.status());
                let (head, body) = response.into_parts();
                Poll::Ready(Ok(Response::from_parts(head, ScopeBody::new(body, this.hold.take(), is_sent))))
            }
        }
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
