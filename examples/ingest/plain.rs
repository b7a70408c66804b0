//! The mode `plain`: the body copied as it comes, standard types, tower middleware; as good as it can be made without pooling.
//!
//! Middleware with named futures, not `middleware::from_fn`, which boxes two futures a request and clones the inner
//! service. It is laid around the handler: `Router::layer` would box a service and a future more for each request.
//! Its sibling `keeping` differs in how it takes the body: as axum's `Bytes` does. The section "The plain side" of
//! benches/README.md says what else was tried.

use crate::answer::Problem;
use crate::copied::Copied;
use crate::interceptors::{AccessLog, Quota, Request, Step, TokenCheck, refusal};
use crate::memory::Heap;
use crate::serve::{Settings, give_way, too_large};
use crate::summary::{Summary, expected_paths};
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::FromRequest;
use axum::handler::Handler;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::ops::{ControlFlow, Deref};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower::{Layer, Service};

/// The service that copies each frame at once.
pub fn router(settings: &Settings) -> Router {
    let handler = ingest::<Copied>.layer(layers(settings));
    Router::new().route("/ingest", post(handler)).with_state(settings.body_limit)
}

/// The service that keeps its frames until the body is whole.
pub fn keeping(settings: &Settings) -> Router {
    let handler = ingest::<Kept>.layer(layers(settings));
    Router::new().route("/ingest", post(handler)).with_state(settings.body_limit)
}

type Layers = (StepLayer<AccessLog>, StepLayer<TokenCheck>, StepLayer<Quota>);

/// The first is the outermost.
fn layers(settings: &Settings) -> Layers {
    (
        StepLayer(AccessLog::new(settings.show_log)),
        StepLayer(TokenCheck::new(&settings.token)),
        StepLayer(Quota::new(settings.quota)),
    )
}

async fn ingest<B: Deref<Target = [u8]>>(body: B) -> Response {
    let summary = match Summary::of(&body, Heap::new(expected_paths(&body))) {
        Ok(summary) => summary,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &Problem::in_document(&error)),
    };
    give_way(&body).await;
    let mut json = Vec::with_capacity(summary.expected_json());
    if serde_json::to_writer(&mut json, &summary.json()).is_err() {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, &Problem::new("the summary could not be written"));
    }
    let mut response = Response::new(Body::from(json));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What axum's `Bytes` is, but for its limit: held against the `Content-Length` before anything is read, and without the
/// layer for it, which allocates three times a request.
struct Kept(Bytes);

impl Deref for Kept {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl FromRequest<usize> for Kept {
    type Rejection = Response;

    async fn from_request(request: Request, limit: &usize) -> Result<Self, Response> {
        if request.body().size_hint().lower() > *limit as u64 {
            return Err(too_large());
        }
        match Limited::new(request.into_body(), *limit).collect().await {
            Ok(body) => Ok(Self(body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
            Err(_) => Err(refusal(StatusCode::BAD_REQUEST, &Problem::new("the body could not be read"))),
        }
    }
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
