//! JSON in and out of pooled memory.

use super::pooled_body::{BodyRejection, PooledBody};
use crate::buffer::BufferPool;
use crate::request::Scope;
use axum_core::extract::{FromRequest, Request};
use axum_core::response::{IntoResponse, Response};
use core::error::Error;
use core::fmt;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// Room that a response begins with, in bytes.
const RESPONSE_ROOM: usize = 1024;

/// JSON from the request's body, or into the response's: axum's `Json` with pooled memory.
///
/// As an extractor it asks for a JSON content type, and answers 415, 413, 400 or 422 as axum's does. As
/// a response it is written into a pooled buffer, which goes back when the response has been sent.
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
pub struct PooledJson<T>(pub T);

/// Why a request's JSON was refused.
#[derive(Debug)]
#[non_exhaustive]
pub enum JsonRejection {
    /// The content type is not JSON. Answers 415.
    ContentType,
    /// The body was not collected. Answers 413 or 400.
    Body(BodyRejection),
    /// The body is not JSON; the error says at which line and column. Answers 400.
    Syntax(serde_json::Error),
    /// It is JSON, but not what the handler takes. Answers 422.
    Data(serde_json::Error),
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
        (self.status(), self.to_string()).into_response()
    }
}

impl From<serde_json::Error> for JsonRejection {
    fn from(error: serde_json::Error) -> Self {
        match error.classify() {
            Category::Data => Self::Data(error),
            Category::Io | Category::Syntax | Category::Eof => Self::Syntax(error),
        }
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for PooledJson<T> {
    type Rejection = JsonRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, JsonRejection> {
        if !is_json(request.headers()) {
            return Err(JsonRejection::ContentType);
        }
        let body = PooledBody::from_request(request, state).await.map_err(JsonRejection::Body)?;
        Ok(Self(serde_json::from_slice(&body)?))
    }
}

/// Whether the content type is `application/json` or `application/*+json`, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.strip_prefix("application/").is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

impl<T: Serialize> IntoResponse for PooledJson<T> {
    fn into_response(self) -> Response {
        let scope = Scope::current();
        let buffers = scope.as_ref().map_or_else(|| BufferPool::global(), Scope::buffers);
        let mut buffer = buffers.get(RESPONSE_ROOM);
        match serde_json::to_writer(&mut buffer, &self.0) {
            Ok(()) => ([(header::CONTENT_TYPE, "application/json")], buffer.freeze().into_bytes()).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}
