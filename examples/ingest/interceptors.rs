//! The three interceptors of the service: access log with request id, token check, quota by client.
//!
//! Each is a [`Step`]: what happens before and after the handler, with a state for one request. `plain.rs` carries
//! steps as tower services with the state inside their future; `pooled.rs` as ebbtide interceptors with pooled state.

use crate::answer::Problem;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

pub type Request = axum::http::Request<Body>;

/// Who is asking; the quota counts by it. A real service would take it from a verified token.
pub const CLIENT: HeaderName = HeaderName::from_static("x-client");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ID_DIGITS: usize = 16;

/// One interceptor, whatever carries it.
pub trait Step: Clone + Send + Sync + 'static {
    type State: Default + Send + 'static;

    /// Goes on to what is inside, or breaks off with a response.
    fn before(&self, state: &mut Self::State, request: &mut Request) -> ControlFlow<Response>;

    fn after(&self, _state: &mut Self::State, _response: &mut Response) {}

    /// The request is over, one way or another; called once.
    fn ended(&self, _state: &mut Self::State, _outcome: &str) {}
}

/// An error as JSON.
pub fn refusal(status: StatusCode, problem: &Problem) -> Response {
    let json = serde_json::to_vec(problem).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response()
}

// ---------------------------------------------------------------------------------------------------------------------

/// Gives each request an id and writes a line about it when it is over.
#[derive(Clone)]
pub struct AccessLog {
    shared: Arc<LogShared>,
}

struct LogShared {
    next_id: AtomicU64,
    to_stderr: bool,
    /// One line, kept from request to request: it is written in one go, so that lines never mix.
    line: Mutex<String>,
    /// Where the next ids are written: headers are slices of it, so that not each of them is an allocation.
    ids: Mutex<BytesMut>,
}

/// What the log wants to know about one request.
///
/// Client, method and path are copied, into the entry itself as long as they are short. Clones of the `Uri` or of a
/// `HeaderValue` look cheaper, but are slices of hyper's read buffer, which could then not be used again while the body
/// arrives: up to 417,792 bytes allocated anew.
#[derive(Default)]
pub struct Entry {
    id: u64,
    started: Option<Instant>,
    what: SmallVec<[u8; 64]>,
    status: Option<StatusCode>,
}

impl Entry {
    /// As new, but with the memory that it has.
    pub fn clear(&mut self) {
        let mut what = std::mem::take(&mut self.what);
        what.clear();
        *self = Self { what, ..Self::default() };
    }

    /// Bytes on the heap.
    pub fn retained_bytes(&self) -> usize {
        if self.what.spilled() { self.what.capacity() } else { 0 }
    }
}

impl AccessLog {
    /// The demonstration formats its lines and drops them; a server shows them.
    pub fn new(to_stderr: bool) -> Self {
        // The low bits are left to count, so that ids of one start do not repeat those of the last.
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let next_id = AtomicU64::new(since_epoch.as_secs() << 32);
        Self { shared: Arc::new(LogShared { next_id, to_stderr, line: Mutex::default(), ids: Mutex::default() }) }
    }

    fn id_header(&self, id: u64) -> Option<HeaderValue> {
        let mut ids = self.shared.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.capacity() < ID_DIGITS {
            ids.reserve(256 * ID_DIGITS);
        }
        write!(ids, "{id:0ID_DIGITS$x}").ok()?;
        HeaderValue::from_maybe_shared(ids.split().freeze()).ok()
    }

    fn format(entry: &Entry, outcome: &str, line: &mut String) -> fmt::Result {
        let micros = entry.started.map_or(0, |started| started.elapsed().as_micros());
        let what = std::str::from_utf8(&entry.what).unwrap_or("?");
        write!(line, "{:0ID_DIGITS$x} {what} ", entry.id)?;
        match entry.status {
            Some(status) => write!(line, "{}", status.as_u16())?,
            None => line.push('-'),
        }
        writeln!(line, " {micros}us {outcome}")
    }
}

impl Step for AccessLog {
    type State = Entry;

    fn before(&self, entry: &mut Entry, request: &mut Request) -> ControlFlow<Response> {
        // Only uniqueness is asked of the id.
        entry.id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        entry.started = Some(Instant::now());
        let client = request.headers().get(&CLIENT).and_then(|client| client.to_str().ok()).unwrap_or("-");
        let parts = [client, " ", request.method().as_str(), " ", request.uri().path()];
        entry.what.reserve(parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| entry.what.extend_from_slice(part.as_bytes()));
        ControlFlow::Continue(())
    }

    fn after(&self, entry: &mut Entry, response: &mut Response) {
        entry.status = Some(response.status());
        if let Some(id) = self.id_header(entry.id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
    }

    fn ended(&self, entry: &mut Entry, outcome: &str) {
        let mut line = self.shared.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.clear();
        if Self::format(entry, outcome, &mut line).is_ok() && self.shared.to_stderr {
            // A log that cannot be written must not fail the request.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------

/// Lets in who brings `authorization: Bearer` and the token.
#[derive(Clone)]
pub struct TokenCheck {
    token: Arc<str>,
}

impl TokenCheck {
    pub fn new(token: &str) -> Self {
        Self { token: token.into() }
    }

    /// Takes as long for a wrong first byte as for a wrong last one.
    fn is_right(&self, offered: &[u8]) -> bool {
        let token = self.token.as_bytes();
        let differing = token.iter().zip(offered).fold(0, |differing, (a, b)| differing | (a ^ b));
        token.len() == offered.len() && differing == 0
    }
}

impl Step for TokenCheck {
    type State = ();

    fn before(&self, _: &mut (), request: &mut Request) -> ControlFlow<Response> {
        let offered = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        match offered.and_then(|offered| offered.strip_prefix(b"Bearer ")) {
            Some(offered) if self.is_right(offered) => ControlFlow::Continue(()),
            offered => {
                let error = if offered.is_some() { "the token is wrong" } else { "no bearer token" };
                let mut response = refusal(StatusCode::UNAUTHORIZED, &Problem::new(error));
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                ControlFlow::Break(response)
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------

/// Lets each client send so many requests a minute.
#[derive(Clone)]
pub struct Quota {
    most: u64,
    minute: Arc<Mutex<Minute>>,
}

/// The requests of the running minute, by client.
struct Minute {
    began: Instant,
    requests: HashMap<Box<str>, u64>,
}

impl Quota {
    const WINDOW: Duration = Duration::from_secs(60);
    /// Names come from outside: beyond this many in one minute, further ones share one count.
    const MOST_CLIENTS: usize = 10_000;
    const ANYBODY: &'static str = "";

    pub fn new(most: u64) -> Self {
        Self { most, minute: Arc::new(Mutex::new(Minute { began: Instant::now(), requests: HashMap::new() })) }
    }

    /// Counts one request of `client`: how many that makes.
    fn count(&self, client: &str) -> u64 {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.began.elapsed() >= Self::WINDOW {
            minute.began = Instant::now();
            minute.requests.clear();
        }
        if let Some(requests) = minute.requests.get_mut(client) {
            *requests += 1;
            return *requests;
        }
        let client = if minute.requests.len() < Self::MOST_CLIENTS { client } else { Self::ANYBODY };
        let requests = minute.requests.entry(client.into()).or_default();
        *requests += 1;
        *requests
    }
}

impl Step for Quota {
    type State = ();

    fn before(&self, _: &mut (), request: &mut Request) -> ControlFlow<Response> {
        let client = request.headers().get(&CLIENT).and_then(|client| client.to_str().ok());
        if self.count(client.unwrap_or(Self::ANYBODY)) <= self.most {
            return ControlFlow::Continue(());
        }
        let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, &Problem::new("over the quota of this client"));
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        ControlFlow::Break(response)
    }
}
