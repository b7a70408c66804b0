//! The mode `plain`: standard types and tower middleware; as good as it can be made without pooling.
//!
//! Middleware with named futures, not `middleware::from_fn`, which boxes two futures a request and clones the inner
//! service. It is laid around the handler: `Router::layer` would box a service and a future more for each request.
//! The body is not taken by axum's `Bytes`, which keeps every frame and copies all of them at the end; see [`collect`].

use crate::answer::Problem;
use crate::interceptors::{AccessLog, Quota, Request, Step, TokenCheck, refusal};
use crate::memory::Heap;
use crate::serve::{Settings, too_large};
use crate::summary::{Summary, expected_paths};
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::FromRequest;
use axum::handler::Handler;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use http_body_util::BodyExt;
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::ops::{ControlFlow, Deref};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower::{Layer, Service};

pub fn router(settings: &Settings) -> Router {
    // The first is the outermost.
    let layers = (
        StepLayer(AccessLog::new(settings.show_log)),
        StepLayer(TokenCheck::new(&settings.token)),
        StepLayer(Quota::new(settings.quota)),
    );
    Router::new().route("/ingest", post(ingest.layer(layers))).with_state(settings.body_limit)
}

async fn ingest(body: Collected) -> Response {
    let summary = match Summary::of(&body, Heap::new(expected_paths(&body))) {
        Ok(summary) => summary,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &Problem::in_document(&error)),
    };
    let mut json = Vec::with_capacity(summary.expected_json());
    if serde_json::to_writer(&mut json, &summary.json()).is_err() {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, &Problem::new("the summary could not be written"));
    }
    let mut response = Response::new(Body::from(json));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A whole body: the one frame that it came in, or a copy of several.
enum Collected {
    Frame(Bytes),
    Copied(Vec<u8>),
}

impl Deref for Collected {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Frame(frame) => frame,
            Self::Copied(bytes) => bytes,
        }
    }
}

impl FromRequest<usize> for Collected {
    type Rejection = Response;

    async fn from_request(request: Request, limit: &usize) -> Result<Self, Response> {
        collect(request.into_body(), *limit).await
    }
}

/// Bytes reserved on a client's word alone.
const AHEAD: usize = 64 << 10;
/// How many times what has arrived may be reserved, once that is more than `AHEAD`.
const FACTOR: usize = 4;

/// Collects a body of at most `limit` bytes.
///
/// A frame is a slice of hyper's read buffer, which cannot be read into again while the frame is held: hyper makes a new
/// one, of up to 417,792 bytes. So frames are copied into one vector as they arrive, but for one that is the whole body.
/// With the `Content-Length` known the vector is made once, at its length.
async fn collect(mut body: Body, limit: usize) -> Result<Collected, Response> {
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| refusal(StatusCode::BAD_REQUEST, &Problem::new("the body could not be read")))?;
        let Ok(data) = frame.into_data() else { continue };
        let arrived = bytes.len() + data.len();
        if arrived > limit {
            return Err(too_large());
        }
        if bytes.is_empty() && body.is_end_stream() {
            return Ok(Collected::Frame(data));
        }
        if arrived > bytes.capacity() {
            let claimed = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX).saturating_add(arrived);
            let room = claimed.min(AHEAD.max(FACTOR * arrived)) - bytes.len();
            // Without a length only growth by doubling keeps the copies few.
            if claimed > arrived { bytes.reserve_exact(room) } else { bytes.reserve(room) }
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Collected::Copied(bytes))
}

/// Puts a [`Step`] around a service.
#[derive(Clone)]
struct StepLayer<P>(P);

impl<P: Step, S> Layer<S> for StepLayer<P> {
    type Service = StepService<P, S>;

    fn layer(&self, inner: S) -> StepService<P, S> {
        StepService { step: self.0.clone(), inner }
    }
}

#[derive(Clone)]
struct StepService<P, S> {
    step: P,
    inner: S,
}

impl<P, S> Service<Request> for StepService<P, S>
where
    P: Step,
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = StepFuture<P, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> StepFuture<P, S::Future> {
        let mut open = Open { step: self.step.clone(), state: P::State::default(), finished: false };
        match open.step.before(&mut open.state, &mut request) {
            ControlFlow::Continue(()) => StepFuture { open, going: Going::On { inner: self.inner.call(request) } },
            ControlFlow::Break(response) => StepFuture { open, going: Going::Broken { response: Some(response) } },
        }
    }
}

/// A step's state while its request runs. Its drop ends the request, so that one whose client went away is logged too.
struct Open<P: Step> {
    step: P,
    state: P::State,
    finished: bool,
}

impl<P: Step> Drop for Open<P> {
    fn drop(&mut self) {
        self.step.ended(&mut self.state, if self.finished { "finished" } else { "aborted" });
    }
}

pin_project! {
    struct StepFuture<P: Step, F> {
        open: Open<P>,
        #[pin]
        going: Going<F>,
    }
}

pin_project! {
    #[project = GoingPin]
    enum Going<F> {
        On { #[pin] inner: F },
        Broken { response: Option<Response> },
    }
}

impl<P: Step, F: Future<Output = Result<Response, Infallible>>> Future for StepFuture<P, F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = match this.going.project() {
            GoingPin::On { inner } => ready!(inner.poll(cx))?,
            GoingPin::Broken { response } => response.take().expect("not polled again after it was ready"),
        };
        this.open.step.after(&mut this.open.state, &mut response);
        this.open.finished = true;
        Poll::Ready(Ok(response))
    }
}
