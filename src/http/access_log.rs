//! A ready-made interceptor: one `tracing` event for each request, with an id (feature `tracing`).

use crate::intercept::Interceptor;
use crate::pool::{Reset, Verdict};
use crate::request::{Ending, Outcome, Scope};
use core::fmt::Write;
use core::hash::BuildHasher;
use core::ops::ControlFlow;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use std::collections::hash_map::RandomState;
use std::time::Instant;

/// The header that an id comes in and goes out with.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Bytes of an id that is taken from a request.
const LONGEST: usize = 64;

/// Writes one event for each request when it has ended, at level `INFO` with target `ebbtide::access`: fields `id`,
/// `method`, `path`, `status` (none for a request that was given up before it had one), `micros` from the first
/// interceptor to the last byte, and `outcome`.
///
/// Each request gets an id, which goes out in the response's `x-request-id` and is a [`local`](Scope::local) of the
/// request: [`RequestId`]. It should stand outermost, to see what the others refuse.
///
/// **Cost**: no heap allocation in steady state but for the response's header.
///
/// # Examples
///
/// ```
/// use ebbtide::{Chain, Scope, http::{AccessLog, RequestId, ScopeLayer}};
///
/// async fn handler(scope: Scope) -> String {
///     match scope.local::<RequestId>() {
///         Ok(id) => format!("this is request {}", id.as_str()),
///         Err(busy) => busy.to_string(),
///     }
/// }
/// let app: axum::Router = axum::Router::new()
///     .route("/", axum::routing::get(handler))
///     .layer(ScopeLayer::new().chain(Chain::new().with(AccessLog::new())));
/// # let _ = app;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct AccessLog {
    takes_ids: bool,
}

impl AccessLog {
    /// A log that makes the ids itself: 64 random bits, as 16 hexadecimal digits.
    #[must_use]
    pub fn new() -> Self {
        Self { takes_ids: false }
    }

    /// Takes the id from the request's `x-request-id`, if it has one of up to 64 visible ASCII characters. For
    /// servers behind a proxy that sets it: anybody else could write what they like into the log.
    #[must_use]
    pub fn take_ids(mut self) -> Self {
        self.takes_ids = true;
        self
    }

    fn name<B>(&self, id: &mut RequestId, request: &Request<B>) {
        let offered = request.headers().get(HEADER).filter(|_| self.takes_ids).map(HeaderValue::as_bytes);
        match offered.and_then(|offered| core::str::from_utf8(offered).ok()).filter(|offered| is_sane(offered)) {
            Some(offered) => id.0.push_str(offered),
            None => {
                // Each state has keys of its own, from the system's randomness. Writing to a string does not fail.
                let _ = write!(id.0, "{:016x}", RandomState::new().hash_one(()));
            }
        }
    }
}

fn is_sane(id: &str) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The id of a request that passed an [`AccessLog`]: a [`local`](Scope::local) of the request.
#[derive(Debug, Default)]
pub struct RequestId(String);

impl RequestId {
    /// The id; empty for a request that passed no log.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Reset for RequestId {
    fn reset(&mut self) -> Verdict {
        self.0.reset()
    }
    fn retained_bytes(&self) -> usize {
        self.0.retained_bytes()
    }
    fn used_bytes(&self) -> usize {
        self.0.used_bytes()
    }
}

/// What the log wants to know of one request.
///
/// The path is copied: a clone of the `Uri` is a slice of hyper's read buffer, which could then not be
/// used again while the body arrives.
#[derive(Debug, Default)]
pub struct Entry {
    id: RequestId,
    path: String,
    method: Method,
    status: Option<StatusCode>,
    started: Option<Instant>,
}

impl Reset for Entry {
    fn reset(&mut self) -> Verdict {
        (self.method, self.status, self.started) = Default::default();
        match self.id.reset() {
            Verdict::Keep => self.path.reset(),
            discard => discard,
        }
    }
    fn retained_bytes(&self) -> usize {
        self.id.retained_bytes() + self.path.retained_bytes()
    }
    fn used_bytes(&self) -> usize {
        self.id.used_bytes() + self.path.used_bytes()
    }
}

impl<A, B> Interceptor<Request<A>, Response<B>> for AccessLog {
    type State = Entry;

    fn before(&self, entry: &mut Entry, scope: &Scope, request: &mut Request<A>) -> ControlFlow<Response<B>> {
        entry.started = Some(Instant::now());
        entry.method.clone_from(request.method());
        entry.path.push_str(request.uri().path());
        self.name(&mut entry.id, request);
        if let Ok(mut id) = scope.local::<RequestId>() {
            id.0.clone_from(&entry.id.0);
        }
        ControlFlow::Continue(())
    }

    fn after(&self, entry: &mut Entry, _: &Scope, response: &mut Response<B>) {
        entry.status = Some(response.status());
        if let Ok(id) = HeaderValue::from_str(&entry.id.0) {
            response.headers_mut().insert(HEADER, id);
        }
    }

    fn ended(&self, entry: &mut Entry, ending: &Ending) {
        let micros = entry.started.map_or(0, |started| started.elapsed().as_micros() as u64);
        tracing::info!(
            target: "ebbtide::access",
            id = entry.id.as_str(),
            method = entry.method.as_str(),
            path = entry.path.as_str(),
            status = entry.status.map(|status| status.as_u16()),
            micros,
            outcome = name(ending.outcome()),
            "request"
        );
    }
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Finished => "finished",
        Outcome::Aborted => "aborted",
        Outcome::Panicked => "panicked",
        Outcome::Running => "running",
    }
}
