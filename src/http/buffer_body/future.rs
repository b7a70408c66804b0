//! The future of a request whose body is collected first.

use crate::http::collect::{CollectError, Collected};
use crate::http::retry::advise_retry;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use http::request::Parts;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

/// The future of `collect`, which has no name of its own.
type Collecting<E> = Pin<Box<dyn Future<Output = Result<Collected, CollectError<E>>> + Send>>;

pin_project! {
    /// The future of [`BufferBodyService`](super::BufferBodyService). Its drop, at any point, gives everything back.
    #[must_use = "futures do nothing unless polled"]
    pub struct BufferBodyFuture<S: Service<Request<Collected>>, E> {
        inner: S,
        #[pin]
        step: Step<S::Future, E>,
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<F, E> {
        /// The body is on its way.
        Collecting { head: Option<Parts>, body: Collecting<E> },
        /// It is there; the inner service is not ready yet.
        Collected { request: Option<Request<Collected>> },
        /// The inner service is at work.
        Inner { #[pin] future: F },
        Done,
    }
}

impl<S: Service<Request<Collected>>, E> BufferBodyFuture<S, E> {
    pub(super) fn collecting(inner: S, head: Parts, body: Collecting<E>) -> Self {
        Self { inner, step: Step::Collecting { head: Some(head), body } }
    }

    pub(super) fn collected(inner: S, request: Request<Collected>) -> Self {
        Self { inner, step: Step::Collected { request: Some(request) } }
    }
}

impl<S, E, ResBody> Future for BufferBodyFuture<S, E>
where
    S: Service<Request<Collected>, Response = Response<ResBody>>,
    ResBody: Default,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (inner, mut step) = (this.inner, this.step);
        loop {
            let next = match step.as_mut().project() {
                StepProjection::Collecting { head, body } => match ready!(body.as_mut().poll(context)) {
                    Ok(body) => Step::Collected { request: head.take().map(|head| Request::from_parts(head, body)) },
                    Err(error) => {
                        step.set(Step::Done);
                        return Poll::Ready(Ok(refusal(&error)));
                    }
                },
                StepProjection::Collected { request } => {
                    if let Err(error) = ready!(inner.poll_ready(context)) {
                        step.set(Step::Done);
                        return Poll::Ready(Err(error));
                    }
                    match request.take() {
                        Some(request) => Step::Inner { future: inner.call(request) },
                        None => Step::Done,
                    }
                }
                StepProjection::Inner { future } => {
                    let answer = ready!(future.poll(context));
                    step.set(Step::Done);
                    return Poll::Ready(answer);
                }
                StepProjection::Done => return Poll::Pending,
            };
            step.set(next);
        }
    }
}

/// The answer to a request whose body was not collected.
fn refusal<B: Default, E>(error: &CollectError<E>) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = error.status();
    advise_retry(&mut response);
    response
}

impl<S: Service<Request<Collected>>, E> fmt::Debug for BufferBodyFuture<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match &self.step {
            Step::Collecting { .. } => "collecting",
            Step::Collected { .. } => "collected",
            Step::Inner { .. } => "inner",
            Step::Done => "done",
        };
        f.debug_struct("BufferBodyFuture").field("step", &step).finish_non_exhaustive()
    }
}
