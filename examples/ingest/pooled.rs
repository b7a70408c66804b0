//! The mode `ebbtide`: body and response in pooled buffers, the summary in the request's arena, the interceptors'
//! states in one pooled object; all of it goes back when the response has been sent or the client is gone.

use crate::answer::Problem;
use crate::interceptors::{AccessLog, Entry, Quota, Request, Step, TokenCheck, refusal};
use crate::memory::InArena;
use crate::serve::{Outstanding, Settings, give_way, too_large};
use crate::summary::{Summary, expected_paths};
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::handler::Handler;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ebbtide::http::{CollectError, Limits, ScopeLayer, collect};
use ebbtide::tokio::{Trimming, trim_every};
use ebbtide::{BufferPool, Chain, Ending, Interceptor, Outcome, Reset, Scope, Scopes, Verdict};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// Arena that an idle slot keeps. The summary of the largest default document takes about half of it; what is beyond
/// would be allocated and freed with each such document.
const RETAINED: usize = 1 << 20;

/// Buffers, and slots of requests, that nobody has used for some of these go back to the allocator.
const TRIM_EVERY: Duration = Duration::from_secs(1);

/// To be called inside of a runtime, which trims buffers and slots.
pub fn router(settings: &Settings) -> (Router, Ledger) {
    let buffers = BufferPool::new();
    let scopes = Scopes::builder().retain_bytes(RETAINED).buffers(buffers.clone()).build();
    let interceptors = Chain::new()
        .with(Carried(AccessLog::new(settings.show_log)))
        .with(Carried(TokenCheck::new(&settings.token)))
        .with(Carried(Quota::new(settings.quota)));
    // The first is the outermost.
    let layer = ScopeLayer::with(scopes.clone()).chain(interceptors);
    let router = Router::new().route("/ingest", post(ingest.layer(layer))).with_state(settings.body_limit);
    let trimming = Arc::new([trim_every(buffers.clone(), TRIM_EVERY), trim_every(scopes.clone(), TRIM_EVERY)]);
    (router, Ledger { scopes, buffers, _trimming: trimming })
}

/// The extractor `PooledBody` would do, but asks axum for its limit, whose layer allocates three times a request.
async fn ingest(scope: Scope, State(limit): State<usize>, body: Body) -> Response {
    if body.size_hint().lower() > limit as u64 {
        return too_large();
    }
    let mut collected = match collect(body, scope.buffers(), Limits::new(limit)).await {
        Ok(collected) => collected,
        Err(error) => return refused(&error),
    };
    let body = collected.contiguous();
    let (mut nodes, mut texts, mut rest) = (scope.arena(), scope.arena(), scope.arena());
    let memory = InArena::new(expected_paths(body), [&mut nodes, &mut texts, &mut rest]);
    let summary = match Summary::of(body, memory) {
        Ok(summary) => summary,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &Problem::in_document(&error)),
    };
    give_way(body).await;
    let mut json = scope.buffers().get(summary.expected_json());
    match serde_json::to_writer(&mut json, &summary.json()) {
        Ok(()) => {
            let json_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
            (json_type, json.freeze().into_bytes()).into_response()
        }
        Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &Problem::new("the summary could not be written")),
    }
}

fn refused(error: &CollectError<axum::Error>) -> Response {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        status => refusal(status, &Problem::new("the body could not be read")),
    }
}

/// What the mode has lent.
#[derive(Clone)]
pub struct Ledger {
    scopes: Scopes,
    buffers: BufferPool,
    _trimming: Arc<[Trimming; 2]>,
}

impl Ledger {
    pub fn scopes(&self) -> Scopes {
        self.scopes.clone()
    }

    pub fn outstanding(&self) -> Vec<Outstanding> {
        let number = |what: &str, out| Outstanding { what: what.to_owned(), out };
        vec![
            number("request scopes open", self.scopes.stats().open()),
            number("buffers lent", self.buffers.stats().outstanding()),
        ]
    }
}

/// A [`Step`] as an ebbtide interceptor: its state is pooled, and reset after each request that touched it.
struct Carried<S>(S);

impl<S: Step<State: Reset>> Interceptor<Request, Response> for Carried<S> {
    type State = S::State;

    /// As the console shows it: `AccessLog`, without the path.
    fn name(&self) -> &'static str {
        let name = core::any::type_name::<S>();
        name.rsplit("::").next().unwrap_or(name)
    }

    fn before(&self, state: &mut S::State, _: &Scope, request: &mut Request) -> ControlFlow<Response> {
        self.0.before(state, request)
    }

    fn after(&self, state: &mut S::State, _: &Scope, response: &mut Response) {
        self.0.after(state, response);
    }

    fn ended(&self, state: &mut S::State, ending: &Ending) {
        let outcome = match ending.outcome() {
            Outcome::Finished => "finished",
            Outcome::Aborted => "aborted",
            _ => "panicked",
        };
        self.0.ended(state, outcome);
    }
}

impl Reset for Entry {
    /// Nothing of one request may show in the next one's line.
    fn reset(&mut self) -> Verdict {
        self.clear();
        Verdict::Keep
    }

    fn retained_bytes(&self) -> usize {
        Self::retained_bytes(self)
    }
}
