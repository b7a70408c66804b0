//! One interceptor as a tower layer.

use super::service::ScopeService;
use crate::intercept::{Chain, Interceptor, Link, Runner};
use crate::request::Scopes;
use tower_layer::Layer;

/// Runs one interceptor around a service: for a single route, or between other layers.
///
/// Below a [`ScopeLayer`](super::ScopeLayer) it works in the request that began there, and
/// [`ended`](Interceptor::ended) is called when that one ends. Where there is no current request, it
/// begins one of its own.
///
/// Several interceptors are cheaper as the [`chain`](super::ScopeLayer::chain) of one layer, where their states are taken together and
/// their [`order`](Interceptor::order) is checked.
///
/// # Examples
///
/// ```
/// use axum::{Router, extract::Request, response::Response, routing::get};
/// use ebbtide::{Interceptor, Scope, http::{InterceptorLayer, ScopeLayer}};
///
/// struct Private;
/// impl Interceptor<Request, Response> for Private {
///     type State = ();
///     fn after(&self, _: &mut (), _: &Scope, response: &mut Response) {
///         response.headers_mut().insert("cache-control", http::HeaderValue::from_static("no-store"));
///     }
/// }
///
/// let app: Router = Router::new()
///     .route("/me", get(|| async { "you" }).layer(InterceptorLayer::new(Private)))
///     .route("/", get(|| async { "all" }))
///     .layer(ScopeLayer::new());
/// # let _ = app;
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct InterceptorLayer<R> {
    scopes: Scopes,
    runner: R,
}

impl<I, Req: 'static, Res: 'static> InterceptorLayer<Runner<Link<(), I>, Req, Res>>
where
    I: Interceptor<Req, Res>,
{
    /// A layer that runs `interceptor`.
    ///
    /// # Panics
    ///
    /// When it asks to stand after another one: such a one belongs into a [`Chain`].
    #[track_caller]
    pub fn new(interceptor: I) -> Self {
        Self { scopes: Scopes::new(), runner: Chain::new().with(interceptor).runner() }
    }
}

impl<S, R: Clone> Layer<S> for InterceptorLayer<R> {
    type Service = ScopeService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        ScopeService::new(inner, self.scopes.clone(), self.runner.clone(), true)
    }
}
