//! The future of a response, which owns the request until the response body does.

use super::body::ScopeBody;
use super::passage::Passing;
use crate::request::{RequestGuard, ScopeHandle, with_current};
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
    pub struct ResponseFuture<F, P, Res> {
        #[pin]
        step: Step<F, Res>,
        passing: Option<P>,
        guard: Option<RequestGuard>,
        handle: Option<ScopeHandle>,
        is_head: bool,
        // Set around each poll. Found set in the drop, the poll has unwound.
        polling: bool,
    }

    impl<F, P, Res> PinnedDrop for ResponseFuture<F, P, Res> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.handle.is_none() {
                // The response has it: nothing is left here.
                return;
            }
            if let Some(guard) = this.guard {
                if *this.polling { guard.poison() } else { guard.abort() }
            }
            // The inner future may look for its scope in its own drop.
            with_current(this.handle, || {
                this.step.set(Step::Done);
                *this.passing = None;
            });
        }
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<F, Res> {
        /// The inner service is at work.
        Inner { #[pin] future: F },
        /// An interceptor has answered.
        Answered { response: Option<Res> },
        /// The server shuts down.
        Refused,
        Done,
    }
}

impl<F, P, Res> ResponseFuture<F, P, Res> {
    #[inline]
    pub(super) fn new(
        step: ControlFlow<Res, F>,
        passing: P,
        guard: Option<RequestGuard>,
        handle: Option<ScopeHandle>,
        is_head: bool,
    ) -> Self {
        let step = match step {
            ControlFlow::Continue(future) => Step::Inner { future },
            ControlFlow::Break(response) => Step::Answered { response: Some(response) },
        };
        Self { step, passing: Some(passing), guard, handle, is_head, polling: false }
    }

    /// Answers 503, without a request.
    pub(super) fn refused() -> Self {
        Self { step: Step::Refused, passing: None, guard: None, handle: None, is_head: false, polling: false }
    }
}

impl<F, Res> Step<F, Res> {
    #[inline]
    fn poll<E>(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Res, E>>
    where
        F: Future<Output = Result<Res, E>>,
    {
        match self.project() {
            StepProjection::Inner { future } => future.poll(context),
            StepProjection::Answered { response } => response.take().map_or(Poll::Pending, |it| Poll::Ready(Ok(it))),
            StepProjection::Refused | StepProjection::Done => Poll::Pending,
        }
    }
}

impl<F, P, B, E> Future for ResponseFuture<F, P, Response<B>>
where
    F: Future<Output = Result<Response<B>, E>>,
    P: Passing<Response<B>>,
    B: Body,
{
    type Output = Result<Response<ScopeBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let StepProjection::Refused = this.step.as_mut().project() {
            this.step.set(Step::Done);
            let mut response = Response::new(ScopeBody::none());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return Poll::Ready(Ok(response));
        }
        *this.polling = true;
        let polled = with_current(this.handle, || {
            let mut polled = ready!(this.step.as_mut().poll(context));
            if let (Ok(response), Some(passing)) = (&mut polled, this.passing.as_mut()) {
                passing.after(response);
            }
            // What the inner future and the chain still hold of the request goes before the body is sent.
            this.step.set(Step::Done);
            *this.passing = None;
            Poll::Ready(polled)
        });
        *this.polling = false;
        let response = ready!(polled)?;
        let guard = this.guard.take();
        let is_sent = !*this.is_head && may_have_body(response.status());
        Poll::Ready(Ok(response.map(|body| ScopeBody::new(body, guard, this.handle.take(), is_sent))))
    }
}

/// Whether a response with this status has a body at all; if not, nobody polls it.
fn may_have_body(status: StatusCode) -> bool {
    !(status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED)
}

impl<F, P, Res> core::fmt::Debug for ResponseFuture<F, P, Res> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ResponseFuture").field("guard", &self.guard).finish_non_exhaustive()
    }
}
