//! The service that a layer makes.

use super::body::ScopeBody;
use super::future::ResponseFuture;
use super::passage::{Passage, Passing};
use crate::request::{Hold, RequestGuard, Scope, Scopes, Step};
use core::marker::PhantomData;
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
}

fn begin(scopes: &Scopes, joins: bool) -> Begun {
    match joins.then(Scope::current).flatten() {
        Some(scope) => Begun::Around(scope),
        None => Begun::here(scopes),
    }
}

/// Where the request has begun.
pub(super) enum Begun {
    Here(RequestGuard),
    /// In a layer further out, which will end it.
    Around(Scope),
    /// Nowhere, since the server shuts down.
    Refused,
}

impl Begun {
    #[inline]
    pub(super) fn here(scopes: &Scopes) -> Self {
        match scopes.try_begin() {
            Ok(guard) => Self::Here(guard),
            Err(_) => Self::Refused,
        }
    }
}

/// What lets a request pass `chain` and then calls the inner service.
struct Passes<'p, P, C, F>(&'p mut P, PhantomData<C>, F);

impl<C, B, Res, F, R> Step<Request<B>> for Passes<'_, C::Passing, (C, Res), F>
where
    C: Passage<Request<B>, Res>,
    F: FnOnce(Request<B>) -> R,
{
    type Output = ControlFlow<<C::Passing as Passing<Res>>::Answer, R>;

    #[inline(always)]
    fn run(self, mut request: Request<B>) -> Self::Output {
        match C::before(self.0, &mut request) {
            ControlFlow::Continue(()) => ControlFlow::Continue((self.2)(request)),
            ControlFlow::Break(answer) => ControlFlow::Break(answer),
        }
    }
}

/// Begins a request, lets it pass `chain` and calls `inner` with it, in its scope.
///
/// A request is large. It is moved once, if it is at nobody's hand when something may panic; so it begins in here.
#[inline(never)]
pub(super) fn pass<C, B, Res, F>(
    begin: impl FnOnce() -> Begun,
    chain: &C,
    request: Request<B>,
    inner: impl FnOnce(Request<B>) -> F,
) -> ResponseFuture<F, C::Passing, <C::Passing as Passing<Res>>::Answer>
where
    C: Passage<Request<B>, Res>,
{
    let is_head = request.method() == http::Method::HEAD;
    let (hold, mut passing) = match begin() {
        Begun::Here(guard) => {
            let passing = chain.enter(|| guard.scope());
            (Hold::of(guard), passing)
        }
        Begun::Around(scope) => (Hold::of_other(scope.handle()), chain.enter(|| scope)),
        Begun::Refused => return ResponseFuture::refused(),
    };
    let step = hold.step(request, Passes::<_, (C, Res), _>(&mut passing, PhantomData, inner));
    ResponseFuture::new(step, passing, hold, is_head)
}

impl<S, C, ReqBody, ResBody> Service<Request<ReqBody>> for ScopeService<S, C>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    C: Passage<Request<ReqBody>, Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<ScopeBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, C::Passing, <C::Passing as Passing<Response<ResBody>>>::Answer>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        pass(|| begin(&self.scopes, self.joins), &self.chain, request, |request| self.inner.call(request))
    }
}
