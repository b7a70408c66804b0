//! A tower layer that collects request bodies for any service.
//!
//! The inner service sees a request once its body is there: a slow client costs it nothing, and a body that is refused
//! never reaches it. It becomes ready only then, too, since readiness may be a share of something scarce, such as a
//! permit of a concurrency limit, that a client which trickles must not hold. So the layer itself is always ready, and what
//! bounds it is the [`BodyBudget`](super::BodyBudget) of its [`Limits`].

mod future;
mod service;

pub use future::BufferBodyFuture;
pub use service::BufferBodyService;

use super::collect::Limits;
use crate::buffer::BufferPool;
use tower_layer::Layer;

/// Collects each request's body, within [`Limits`], before the inner service is called with `Request<Collected>`.
///
/// It stands in front of any service over `http` types that can be cloned: an axum router, tonic, hyper. A body that is
/// refused answers with the status of its [`CollectError`](super::CollectError) and an empty body: 400, 408, 413, or 503
/// with a `retry-after`. Wait for budget with `Limits::wait` (feature `tokio`) rather than refuse at once: the client is
/// not asked for its body while it waits, and not told `100 continue`.
///
/// Not for a request whose client waits for an answer before it has sent everything, such as a stream of calls in both
/// directions: it would wait for ever. gRPC clients see a refusal as the code that they map its HTTP status to.
///
/// The memory comes from [`buffers`](Self::buffers), else from the scope's [`buffers`](crate::Scope::buffers) below a
/// [`ScopeLayer`](super::ScopeLayer), else from [`BufferPool::global`]. It goes back when the inner service drops the body.
///
/// **Cost**: that of [`collect`](super::collect), a clone of the inner service, and for a request with a body one heap
/// allocation, two with a budget.
///
/// # Examples
///
/// ```
/// use ebbtide::http::{BodyBudget, BufferBodyLayer, Collected, Limits};
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let budget = BodyBudget::new(64 << 20); // of the whole server
/// let layer = BufferBodyLayer::new(Limits::new(100).budget(&budget));
/// let service = layer.layer(service_fn(|request: Request<Collected>| async move {
///     Ok::<_, std::convert::Infallible>(Response::new(request.body().len().to_string()))
/// }));
/// let response = service.clone().oneshot(Request::new(Full::new(&b"hello"[..]))).await.unwrap();
/// assert_eq!((response.status().as_u16(), response.body().as_str()), (200, "5"));
/// let response = service.oneshot(Request::new(Full::new(&[0; 101][..]))).await.unwrap();
/// assert_eq!((response.status().as_u16(), response.body().as_str()), (413, ""));
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct BufferBodyLayer {
    limits: Limits,
    buffers: Option<BufferPool>,
}

impl BufferBodyLayer {
    /// A layer that collects bodies within `limits`.
    pub fn new(limits: Limits) -> Self {
        Self { limits, buffers: None }
    }

    /// Takes the memory from `buffers`.
    pub fn buffers(mut self, buffers: BufferPool) -> Self {
        self.buffers = Some(buffers);
        self
    }
}

impl<S> Layer<S> for BufferBodyLayer {
    type Service = BufferBodyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BufferBodyService::new(inner, self.limits.clone(), self.buffers.clone())
    }
}
