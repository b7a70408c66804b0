//! Interceptors that wait, as a tower layer.

use super::service::ScopeService;
use crate::intercept::{Around, AroundLink, AroundLinks, AroundRunner, Chain};
use crate::request::{Scope, ScopeBox, Scopes};
use core::future::Future;
use core::task::{Context, Poll};
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

/// Runs interceptors around a service that may wait: see [`Around`]. Made by [`ScopeLayer::around`](super::ScopeLayer::around) for a
/// whole server, by [`new`](Self::new) for one interceptor around a single route.
///
/// The future of all of them lies in the request's memory. The service is cloned for each request, as tower's
/// convention for layers that call late wants it.
///
/// # Examples
///
/// ```
/// use axum::{Router, extract::Request, http::StatusCode, response::{IntoResponse, Response}, routing::get};
/// use ebbtide::{Around, Scope, http::AroundLayer, intercept::Next};
/// use std::time::Duration;
///
/// /// Gives up a handler that takes too long.
/// struct Patience(Duration);
///
/// impl Around<Request, Response> for Patience {
///     type State = ();
///     async fn around<N: Next<Request, Response>>(
///         &self,
///         _: &mut (),
///         _: &Scope,
///         request: Request,
///         next: N,
///     ) -> Result<Response, N::Error> {
///         match tokio::time::timeout(self.0, next.run(request)).await {
///             Ok(response) => response,
///             Err(_) => Ok(StatusCode::GATEWAY_TIMEOUT.into_response()),
///         }
///     }
/// }
///
/// let app: Router =
///     Router::new().route("/", get(|| async { "hello" })).layer(AroundLayer::new(Patience(Duration::from_secs(5))));
/// # let _ = app;
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct AroundLayer<R> {
    scopes: Scopes,
    runner: R,
    joins: bool,
}

impl<I, Req: Send + 'static, Res: Send + 'static> AroundLayer<AroundRunner<AroundLink<(), I>, Req, Res>>
where
    I: Around<Req, Res>,
{
    /// A layer that runs `interceptor`, in the current request or in one of its own, as
    /// [`InterceptorLayer`](super::InterceptorLayer) does.
    ///
    /// # Panics
    ///
    /// When it asks to stand after another one: such a one belongs into a [`Chain`].
    #[track_caller]
    pub fn new(interceptor: I) -> Self {
        Self { scopes: Scopes::new(), runner: Chain::new().with_around(interceptor).around_runner(), joins: true }
    }
}

impl<L, Req: 'static, Res: 'static> AroundLayer<AroundRunner<L, Req, Res>>
where
    L: AroundLinks<Req, Res>,
{
    #[track_caller]
    pub(super) fn of(scopes: Scopes, chain: Chain<L>) -> Self {
        Self { scopes, runner: chain.around_runner(), joins: false }
    }
}

impl<R> AroundLayer<R> {
    /// The scopes that requests begin in.
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }
}

impl<S, R: Clone> Layer<S> for AroundLayer<R> {
    type Service = ScopeService<AroundService<S, R>>;

    fn layer(&self, inner: S) -> Self::Service {
        let around = AroundService { inner, runner: self.runner.clone() };
        ScopeService::new(around, self.scopes.clone(), (), self.joins)
    }
}

/// Calls the inner service through a chain, within a [`ScopeService`].
#[derive(Clone, Debug)]
pub struct AroundService<S, R> {
    inner: S,
    runner: R,
}

impl<S, L, A, B> Service<Request<A>> for AroundService<S, AroundRunner<L, Request<A>, Response<B>>>
where
    S: Service<Request<A>, Response = Response<B>, Future: Send, Error: Send> + Clone + Send + 'static,
    L: AroundLinks<Request<A>, Response<B>>,
    A: Send + 'static,
    B: 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = ScopeBox<dyn Future<Output = Result<Response<B>, S::Error>> + Send>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        // There is one, since the service around this one has begun it.
        let scope = Scope::current().unwrap_or_else(|| Scopes::new().begin().scope());
        // The one that is ready goes; its clone will be asked anew.
        let clone = self.inner.clone();
        let mut ready = core::mem::replace(&mut self.inner, clone);
        let answer = self.runner.run(scope.clone(), request, move |request| ready.call(request));
        scope.boxed(answer).erased()
    }
}
