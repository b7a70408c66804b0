//! The whole request body as an extractor, and pooled bytes as a response.

use crate::buffer::{BufferPool, PooledBuf, PooledBytes};
use crate::http::collect::{CollectError, Collected, Collecting, Limits};
use crate::http::retry::advise_retry;
use crate::request::Scope;
use axum_core::RequestExt;
use axum_core::body::Body;
use axum_core::extract::{FromRequest, Request};
use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use core::borrow::Borrow;
use core::error::Error;
use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http_body_util::LengthLimitError;

/// The request's whole body, in pooled memory or in the one frame that it came in: see
/// [`collect`](crate::http::collect).
///
/// It honours axum's `DefaultBodyLimit` (2 MiB unless changed). A body that claims more is refused before any of it
/// is read. Where a request has [`Limits`] among its extensions, for time, frames or a budget, those hold too:
/// `.layer(Extension(limits))` gives them to a router. The memory comes from the scope's [`buffers`](Scope::buffers), without a scope from
/// [`BufferPool::global`].
///
/// # Examples
///
/// ```
/// use axum::{Extension, Router, routing::post};
/// use ebbtide::http::{BodyBudget, Limits, PooledBody};
/// use std::time::Duration;
///
/// async fn length(body: PooledBody) -> String {
///     body.len().to_string()
/// }
///
/// let budget = BodyBudget::new(256 << 20);
/// let limits = Limits::default().budget(&budget).idle_timeout(Duration::from_secs(10));
/// let app: Router = Router::new().route("/", post(length)).layer(Extension(limits));
/// # let _ = app;
/// ```
#[derive(Clone, Debug, Default)]
pub struct PooledBody(Collected);

impl PooledBody {
    /// The bytes as [`Bytes`], uncopied. **Cost**: see [`PooledBytes::into_bytes`].
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }

    /// The trailers, if there were any.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.0.trailers()
    }
}

impl Deref for PooledBody {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.0.as_slice().unwrap_or_default()
    }
}

impl AsRef<[u8]> for PooledBody {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Why a request's body was not collected.
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyRejection {
    /// It is larger than the limit, or claims to be. Answers 413.
    TooLarge,
    /// It came too slowly for the [`Limits`]. Answers 408.
    TooSlow,
    /// The budget of the [`Limits`] was used up. Answers 503, with a `retry-after`.
    NoBudget,
    /// There was no memory for it. Answers 503, with a `retry-after`.
    NoMemory,
    /// It could not be read to its end. Answers 400.
    Unreadable(axum_core::Error),
}

impl BodyRejection {
    /// The status that it answers with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NoBudget | Self::NoMemory => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for BodyRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("request body is too large"),
            Self::TooSlow => f.write_str("request body came too slowly"),
            Self::NoBudget => f.write_str("no room for the request body now"),
            Self::NoMemory => f.write_str("no memory for the request body"),
            Self::Unreadable(error) => write!(f, "request body could not be read: {error}"),
        }
    }
}

impl Error for BodyRejection {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable(error) => Some(error),
            _ => None,
        }
    }
}

impl IntoResponse for BodyRejection {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.to_string()).into_response();
        advise_retry(&mut response);
        response
    }
}

impl From<CollectError<axum_core::Error>> for BodyRejection {
    fn from(error: CollectError<axum_core::Error>) -> Self {
        match error {
            CollectError::Body(error) if !is_limit(&error) => Self::Unreadable(error),
            CollectError::Body(_)
            | CollectError::TooLarge { .. }
            | CollectError::BeyondBudget { .. }
            | CollectError::TooManyFrames { .. } => Self::TooLarge,
            CollectError::Stalled { .. } | CollectError::TooSlow { .. } => Self::TooSlow,
            CollectError::NoMemory => Self::NoMemory,
            // Nothing goes to a file here; if it did, there would be no room in it either.
            CollectError::NoBudget | CollectError::Spill(_) => Self::NoBudget,
        }
    }
}

/// Frames that a body of at most `bytes` may come in, as [`Limits::new`] has it.
fn frames_for(bytes: u64) -> u64 {
    bytes.saturating_add(1024)
}

/// Whether a length limit of some layer is behind `error`.
fn is_limit(error: &(dyn Error + 'static)) -> bool {
    error.is::<LengthLimitError>() || error.source().is_some_and(is_limit)
}

impl<S: Sync> FromRequest<S> for PooledBody {
    type Rejection = BodyRejection;

    // Not `async`: a future that has the request in it beside all that becomes of it would be twice as large, and axum moves it
    // into a box. The scope is that of the call, which axum does in a poll.
    fn from_request(request: Request, _: &S) -> impl Future<Output = Result<Self, BodyRejection>> + Send {
        Extracting::begin(request)
    }
}

/// The future of the extractor; there is nothing to collect where the body claims to be too large.
struct Extracting(Option<Collecting<Body, Buffers>>);

/// Where the memory comes from.
enum Buffers {
    Global,
    Of(Scope),
}

impl Borrow<BufferPool> for Buffers {
    fn borrow(&self) -> &BufferPool {
        match self {
            Self::Global => BufferPool::global(),
            Self::Of(scope) => scope.buffers(),
        }
    }
}

impl Extracting {
    fn begin(request: Request) -> Self {
        let claimed = request.body().size_hint().lower();
        let limits = request.extensions().get::<Limits>().cloned();
        let body = request.into_limited_body();
        // axum tells its limit by the limited body's hint only.
        let hint = body.size_hint();
        let upper = hint.upper();
        if upper.is_some_and(|limit| claimed > limit) {
            return Self(None);
        }
        // The bytes are the limited body's to count; frames without any it would let pass for ever.
        let limits = limits.unwrap_or_else(|| Limits::new(usize::MAX).max_frames(upper.map_or(u64::MAX, frames_for)));
        let buffers = Scope::current().map_or(Buffers::Global, Buffers::Of);
        Self(Some(Collecting::new(body, hint.lower(), buffers, limits)))
    }
}

impl Future for Extracting {
    type Output = Result<PooledBody, BodyRejection>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(collecting) = &mut self.get_mut().0 else { return Poll::Ready(Err(BodyRejection::TooLarge)) };
        let mut collected = ready!(Pin::new(collecting).poll(context))?;
        // Now rather than at the first look: a `Deref` could not give the segments back.
        if collected.as_slice().is_none() {
            collected.try_contiguous().map_err(CollectError::widen)?;
        }
        Poll::Ready(Ok(PooledBody(collected)))
    }
}

/// As axum's for `Bytes`: `application/octet-stream`.
impl IntoResponse for PooledBytes {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/octet-stream")], self.into_bytes()).into_response()
    }
}

/// What is written, as [`PooledBytes`].
impl IntoResponse for PooledBuf {
    fn into_response(self) -> Response {
        self.freeze().into_response()
    }
}
