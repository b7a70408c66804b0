//! A request's scope without tower: for hyper's `service_fn`, and for servers of one's own.

use super::body::ScopeBody;
use super::future::ResponseFuture;
use super::service::{Begun, pass};
use crate::request::{Hold, RequestGuard, Scopes};
use core::convert::Infallible;
use core::future::Future;
use http::{Request, Response};
use http_body::Body;

/// Answers one request inside of a scope of its own, which ends when the response body does: what
/// [`ScopeService`](super::ScopeService) does, for one handler.
///
/// `handler` is called at once. While `scopes` [refuse new requests](Scopes::refuse_new) it is not, and the answer is 503 with
/// an empty body.
///
/// # Examples
///
/// ```
/// use ebbtide::{Scope, Scopes, http::wrap};
/// use http::{Request, Response};
/// use hyper::service::service_fn;
/// use std::convert::Infallible;
///
/// async fn answer(request: Request<hyper::body::Incoming>) -> Result<Response<String>, Infallible> {
///     let scope = Scope::current().expect("wrapped");
///     let path = scope.arena().alloc_str(request.uri().path()).len();
///     Ok(Response::new(format!("{path} bytes of path")))
/// }
///
/// let scopes = Scopes::new();
/// let service = service_fn(move |request| wrap(&scopes, request, answer));
/// # let _ = |io: hyper_util::rt::TokioIo<tokio::net::TcpStream>| hyper::server::conn::http1::Builder::new().serve_connection(io, service);
/// ```
#[inline]
pub fn wrap<ReqBody, F, B, E>(
    scopes: &Scopes,
    request: Request<ReqBody>,
    handler: impl FnOnce(Request<ReqBody>) -> F,
) -> ResponseFuture<F, (), Infallible>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    pass::<_, _, Response<B>, _>(|| Begun::here(scopes), &(), request, handler)
}

/// Gives a request to its response's body, which ends it as the table of [`ScopeBody`] says: the last step of an
/// integration of one's own, after the handler was polled by [`with_current`](crate::request::with_current).
///
/// For a response that nobody reads the body of (to HEAD, or with 204 or 304), drop the guard instead: the
/// server drops such a body unread, which would count as given up.
///
/// # Examples
///
/// ```
/// use ebbtide::{Scopes, http::wrap_body};
///
/// let scopes = Scopes::new();
/// let body = wrap_body(String::from("hello"), scopes.begin());
/// assert_eq!(scopes.stats().open(), 1);
/// drop(body); // Sent, or given up.
/// assert_eq!(scopes.stats().open(), 0);
/// ```
pub fn wrap_body<B: Body>(body: B, guard: RequestGuard) -> ScopeBody<B> {
    ScopeBody::new(body, Hold::of(guard), true)
}
