//! The service that a layer makes.

use super::body::ScopeBody;
use super::future::ResponseFuture;
use super::passage::Passage;
use crate::request::{RequestGuard, Scope, ScopeHandle, Scopes, with_current};
use core::ops::ControlFlow;
use core::task::{Context, Poll};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

/// Begins a request, lets it pass the chain and calls the inner service; see [`ScopeLayer`](super::ScopeLayer). While the
/// scopes [refuse new requests](Scopes::refuse_new) it answers 503 with an empty body instead.
#[derive(Clone, Debug)]
pub struct ScopeService<S, C = ()> {
    inner: S,
    scopes: Scopes,
    chain: C,
    /// Whether it stays in the current request, where there is one.
    joins: bool,
}

impl<S, C> ScopeService<S, C> {
    pub(super) fn new(inner: S, scopes: Scopes, chain: C, joins: bool) -> Self {
        Self { inner, scopes, chain, joins }
    }

    /// `None` while new requests are refused.
    fn begin(&self) -> Option<Begun> {
        if let Some(scope) = self.joins.then(Scope::current).flatten() {
            return Some(Begun::Around(scope));
        }
        self.scopes.try_begin().ok().map(Begun::Here)
    }
}

/// Where the request has begun.
pub(super) enum Begun {
    Here(RequestGuard),
    /// In a layer further out, which will end it.
    Around(Scope),
}

impl Begun {
    fn scope(&self) -> Scope {
        match self {
            Self::Here(guard) => guard.scope(),
            Self::Around(scope) => scope.clone(),
        }
    }

    fn handle(&self) -> ScopeHandle {
        match self {
            Self::Here(guard) => guard.handle(),
            Self::Around(scope) => scope.handle(),
        }
    }

    fn into_guard(self) -> Option<RequestGuard> {
        match self {
            Self::Here(guard) => Some(guard),
            Self::Around(_) => None,
        }
    }

    /// Lets the request pass `chain` and calls `inner` with it, in its scope.
    #[inline]
    pub(super) fn call<C, B, Res, F>(
        self,
        chain: &C,
        mut request: Request<B>,
        inner: impl FnOnce(Request<B>) -> F,
    ) -> ResponseFuture<F, C::Passing, Res>
    where
        C: Passage<Request<B>, Res>,
    {
        let is_head = request.method() == http::Method::HEAD;
        let mut handle = Some(self.handle());
        let mut passing = chain.enter(|| self.scope());
        let step = with_current(&mut handle, || match C::before(&mut passing, &mut request) {
            ControlFlow::Continue(()) => ControlFlow::Continue(inner(request)),
            ControlFlow::Break(response) => ControlFlow::Break(response),
        });
        ResponseFuture::new(step, passing, self.into_guard(), handle, is_head)
    }
}

impl<S, C, ReqBody, ResBody> Service<Request<ReqBody>> for ScopeService<S, C>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    C: Passage<Request<ReqBody>, Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<ScopeBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, C::Passing, Response<ResBody>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let Some(begun) = self.begin() else { return ResponseFuture::refused() };
        begun.call(&self.chain, request, |request| self.inner.call(request))
    }
}
