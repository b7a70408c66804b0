//! The service that the layer makes.

use super::future::BufferBodyFuture;
use crate::buffer::BufferPool;
use crate::http::collect::{Collected, Collecting, Limits};
use crate::request::Scope;
use core::task::{Context, Poll};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

/// Collects the request's body and calls the inner service with it; see [`BufferBodyLayer`](super::BufferBodyLayer).
///
/// It is always ready. A clone of the inner service is asked for readiness when the body is there.
#[derive(Clone, Debug)]
pub struct BufferBodyService<S> {
    inner: S,
    limits: Limits,
    buffers: Option<BufferPool>,
}

impl<S> BufferBodyService<S> {
    pub(super) fn new(inner: S, limits: Limits, buffers: Option<BufferPool>) -> Self {
        Self { inner, limits, buffers }
    }

    /// The pool for this request.
    fn pool(&self) -> BufferPool {
        match &self.buffers {
            Some(buffers) => buffers.clone(),
            None => Scope::current().map_or_else(|| BufferPool::global().clone(), |scope| scope.buffers().clone()),
        }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for BufferBodyService<S>
where
    S: Service<Request<Collected>, Response = Response<ResBody>> + Clone,
    ReqBody: Body<Data: Send, Error: Send> + Send + 'static,
    ResBody: Default,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = BufferBodyFuture<S, ReqBody::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (head, body) = request.into_parts();
        // Of most requests the head is all: they need neither budget nor box.
        if body.is_end_stream() {
            return BufferBodyFuture::collected(self.inner.clone(), Request::from_parts(head, Collected::default()));
        }
        let (buffers, limits) = (self.pool(), self.limits.clone());
        let claimed = body.size_hint().lower();
        let body = Box::pin(Collecting::new(body, claimed, buffers, limits));
        BufferBodyFuture::collecting(self.inner.clone(), head, body)
    }
}
