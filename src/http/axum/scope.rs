//! The request's scope, and its locals, as extractors.

use crate::pool::Reset;
use crate::request::{LocalBusy, LocalRef, Scope};
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use core::fmt;
use core::marker::PhantomData;
use http::StatusCode;
use http::request::Parts;

/// No [`ScopeLayer`](crate::http::ScopeLayer) is around this handler. Answers 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingScope;

impl fmt::Display for MissingScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no request scope: add `.layer(ScopeLayer::new())` to the router")
    }
}

impl core::error::Error for MissingScope {}

impl IntoResponse for MissingScope {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for Scope {
    type Rejection = MissingScope;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, MissingScope> {
        Self::current().ok_or(MissingScope)
    }
}

/// The request's own `S`: see [`Scope::local`].
///
/// # Examples
///
/// ```
/// use ebbtide::http::Local;
///
/// async fn handler(notes: Local<Vec<String>>) -> String {
///     match notes.get() {
///         Ok(mut notes) => {
///             notes.push("seen".to_owned());
///             format!("{} notes", notes.len())
///         }
///         Err(busy) => busy.to_string(),
///     }
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
/// ```
pub struct Local<S> {
    scope: Scope,
    _type: PhantomData<fn() -> S>,
}

impl<S: Reset + Default + Send + 'static> Local<S> {
    /// Borrows the value.
    ///
    /// # Errors
    ///
    /// [`LocalBusy`] while it is borrowed elsewhere.
    pub fn get(&self) -> Result<LocalRef<'_, S>, LocalBusy> {
        self.scope.local()
    }
}

impl<T, S: Sync> FromRequestParts<S> for Local<T> {
    type Rejection = MissingScope;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, MissingScope> {
        Ok(Self { scope: Scope::from_request_parts(parts, state).await?, _type: PhantomData })
    }
}

impl<S> fmt::Debug for Local<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("of", &core::any::type_name::<S>()).finish()
    }
}
