//! The tower layer.

use super::around_layer::AroundLayer;
use super::service::ScopeService;
use crate::intercept::{AroundLinks, AroundRunner, Chain, Links, Runner};
use crate::request::Scopes;
use tower_layer::Layer;

/// Gives every request a scope, which ends when its response body does.
///
/// On an axum router this is `.layer(ScopeLayer::new())`. Everything below finds the scope as
/// [`Scope::current`](crate::Scope::current) or by the extractors.
///
/// # Examples
///
/// ```
/// use ebbtide::{Scope, http::ScopeLayer};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let service = ScopeLayer::new().layer(service_fn(|_: http::Request<String>| async {
///     let scope = Scope::current().expect("below the layer");
///     let length = scope.arena().alloc_str("hello").len();
///     Ok::<_, std::convert::Infallible>(http::Response::new(length.to_string()))
/// }));
/// let response = service.oneshot(http::Request::new(String::new())).await.unwrap();
/// assert_eq!(response.status(), 200);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ScopeLayer<C = ()> {
    scopes: Scopes,
    chain: C,
}

impl ScopeLayer {
    /// A layer with scopes of its own, with default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// A layer that begins its requests in `scopes`, for settings and statistics.
    pub fn with(scopes: Scopes) -> Self {
        Self { scopes, chain: () }
    }

    /// Runs every request through `chain`, inside of its scope.
    ///
    /// # Panics
    ///
    /// When the chain's order is not what an interceptor [asks for](crate::Interceptor::order).
    #[track_caller]
    pub fn chain<L, Req: 'static, Res: 'static>(self, chain: Chain<L>) -> ScopeLayer<Runner<L, Req, Res>>
    where
        L: Links<Req, Res>,
    {
        ScopeLayer { scopes: self.scopes, chain: chain.runner() }
    }

    /// Runs every request through a chain of interceptors that wait, inside of its scope.
    ///
    /// # Panics
    ///
    /// As [`chain`](Self::chain).
    #[track_caller]
    pub fn around<L, Req: 'static, Res: 'static>(self, chain: Chain<L>) -> AroundLayer<AroundRunner<L, Req, Res>>
    where
        L: AroundLinks<Req, Res>,
    {
        AroundLayer::of(self.scopes, chain)
    }
}

impl<S, C: Clone> Layer<S> for ScopeLayer<C> {
    type Service = ScopeService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        ScopeService::new(inner, self.scopes.clone(), self.chain.clone(), false)
    }
}

impl<C> ScopeLayer<C> {
    /// The scopes that requests begin in.
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }
}
