//! JSON in and out of pooled memory.

use super::content_type::is_json;
use super::json_error::JsonError;
use super::pooled_body::{BodyRejection, PooledBody};
use crate::buffer::BufferPool;
use crate::request::Scope;
use axum_core::extract::{FromRequest, OptionalFromRequest, Request};
use axum_core::response::{IntoResponse, Response};
use core::error::Error;
use core::fmt;
use core::ops::{Deref, DerefMut};
use http::{StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Room that a response begins with, in bytes.
const RESPONSE_ROOM: usize = 1024;

/// JSON from the request's body, or into the response's: axum's `Json` with pooled memory.
///
/// As an extractor it asks for a JSON content type, and answers 415, 413, 400 or 422 as axum's does, with the path of the
/// field at fault; `Option<PooledJson<T>>` is `None` without a content type. As a response it is written into a pooled
/// buffer, which goes back when the response has been sent.
///
/// **Cost**: as an extractor that of [`PooledBody`] and of parsing, once more for a document at fault, to find the field. As a
/// response one small allocation beside the pooled buffer.
///
/// # Examples
///
/// ```
/// use ebbtide::http::PooledJson;
///
/// async fn sum(PooledJson(numbers): PooledJson<Vec<u64>>) -> PooledJson<u64> {
///     PooledJson(numbers.iter().sum())
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::post(sum));
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct PooledJson<T>(pub T);

impl<T: DeserializeOwned> PooledJson<T> {
    /// Parses `bytes`, as the extractor does with a body.
    ///
    /// # Errors
    ///
    /// [`JsonRejection::Syntax`] and [`JsonRejection::Data`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, JsonRejection> {
        let parsed = serde_json::from_slice(bytes);
        parsed.map(Self).map_err(|error| JsonError::find::<T>(bytes, error).into())
    }
}

impl<T> Deref for PooledJson<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for PooledJson<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> From<T> for PooledJson<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

/// Why a request's JSON was refused.
#[derive(Debug)]
#[non_exhaustive]
pub enum JsonRejection {
    /// The content type is not JSON. Answers 415.
    ContentType,
    /// The body was not collected. Answers 400, 408, 413 or 503.
    Body(BodyRejection),
    /// The body is not JSON. Answers 400.
    Syntax(JsonError),
    /// It is JSON, but not what the handler takes. Answers 422.
    Data(JsonError),
}

impl JsonRejection {
    /// The status that it answers with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(rejection) => rejection.status(),
            Self::Syntax(_) => StatusCode::BAD_REQUEST,
            Self::Data(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

impl fmt::Display for JsonRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContentType => f.write_str("expected a request with `content-type: application/json`"),
            Self::Body(rejection) => rejection.fmt(f),
            Self::Syntax(error) => write!(f, "request body is not JSON: {error}"),
            Self::Data(error) => write!(f, "request body is not the expected JSON: {error}"),
        }
    }
}

impl Error for JsonRejection {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::ContentType => None,
            Self::Body(rejection) => Some(rejection),
            Self::Syntax(error) | Self::Data(error) => Some(error),
        }
    }
}

impl IntoResponse for JsonRejection {
    fn into_response(self) -> Response {
        match self {
            Self::Body(rejection) => rejection.into_response(),
            other => (other.status(), other.to_string()).into_response(),
        }
    }
}

impl From<JsonError> for JsonRejection {
    fn from(error: JsonError) -> Self {
        if error.is_data() { Self::Data(error) } else { Self::Syntax(error) }
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for PooledJson<T> {
    type Rejection = JsonRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, JsonRejection> {
        if !is_json(request.headers()) {
            return Err(JsonRejection::ContentType);
        }
        let body = PooledBody::from_request(request, state).await.map_err(JsonRejection::Body)?;
        Self::from_bytes(&body)
    }
}

/// `None` without a content type; whatever is said to be something must be JSON.
impl<T: DeserializeOwned, S: Sync> OptionalFromRequest<S> for PooledJson<T> {
    type Rejection = JsonRejection;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, JsonRejection> {
        if !request.headers().contains_key(header::CONTENT_TYPE) {
            return Ok(None);
        }
        <Self as FromRequest<S>>::from_request(request, state).await.map(Some)
    }
}

impl<T: Serialize> IntoResponse for PooledJson<T> {
    fn into_response(self) -> Response {
        let scope = Scope::current();
        let buffers = scope.as_ref().map_or_else(|| BufferPool::global(), Scope::buffers);
        let Ok(mut buffer) = buffers.try_get(RESPONSE_ROOM) else { return no_memory() };
        match serde_json::to_writer(&mut buffer, &self.0) {
            Ok(()) => ([(header::CONTENT_TYPE, "application/json")], buffer.freeze().into_bytes()).into_response(),
            Err(error) if error.is_io() => no_memory(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}

/// The one way in which writing into a buffer fails.
#[cold]
fn no_memory() -> Response {
    JsonRejection::Body(BodyRejection::NoMemory).into_response()
}
