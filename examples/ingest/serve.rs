//! The service in one of its modes, on a socket, until it is told to stop.

use crate::answer::Problem;
use crate::interceptors::refusal;
use crate::{plain, pooled};
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use ebbtide::Scopes;
use ebbtide::tokio::{Lifecycle, Report};
use http_body_util::BodyExt;
use std::io;
use std::str::FromStr;
use std::time::Duration;
use tokio::net::TcpListener;

/// What is answered by which means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Reads and drops every frame: what any axum server costs before it does anything.
    Floor,
    /// Standard types, as good as they can be used.
    Plain,
    /// The same, but for the body: frames are kept until it is whole, as axum's `Bytes` does. Only in the scene with
    /// trickled uploads.
    Keeping,
    /// Request memory that flows back.
    Ebbtide,
}

impl Mode {
    /// Those that are measured under load.
    pub const ALL: [Self; 3] = [Self::Floor, Self::Plain, Self::Ebbtide];
    /// Those that trickling clients come to.
    pub const TRICKLED: [Self; 3] = [Self::Keeping, Self::Plain, Self::Ebbtide];

    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Plain => "plain",
            Self::Keeping => "keeping",
            Self::Ebbtide => "ebbtide",
        }
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().chain(Self::TRICKLED).find(|mode| mode.name() == name);
        known.ok_or_else(|| format!("no such mode: {name} (there are floor, plain, keeping and ebbtide)"))
    }
}

/// What the service is told from outside.
#[derive(Clone, Debug)]
pub struct Settings {
    pub body_limit: usize,
    pub quota: u64,
    pub token: String,
    pub show_log: bool,
}

/// One number of the ledger: how many of something are out, or were.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Outstanding {
    pub what: String,
    pub out: u64,
}

/// What a running service can say about itself.
#[derive(Clone)]
pub enum Ledger {
    /// Nothing here is lent, so nothing can be out.
    Nothing,
    Ebbtide(pooled::Ledger),
}

impl Ledger {
    /// Everything that has been lent, with how much of it is still out.
    pub fn outstanding(&self) -> Vec<Outstanding> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Ebbtide(ledger) => ledger.outstanding(),
        }
    }

    /// Where requests begin; the plain modes begin none.
    fn scopes(&self) -> Scopes {
        match self {
            Self::Nothing => Scopes::new(),
            Self::Ebbtide(ledger) => ledger.scopes(),
        }
    }
}

/// The service of `mode`, and its ledger.
pub fn router(mode: Mode, settings: &Settings) -> (Router, Ledger) {
    match mode {
        Mode::Floor => (Router::new().route("/ingest", post(drain)).with_state(settings.body_limit), Ledger::Nothing),
        Mode::Plain => (plain::router(settings), Ledger::Nothing),
        Mode::Keeping => (plain::keeping(settings), Ledger::Nothing),
        Mode::Ebbtide => {
            let (router, ledger) = pooled::router(settings);
            (router, Ledger::Ebbtide(ledger))
        }
    }
}

/// Reads and drops every frame: hyper closes connections whose bodies are left unread. It has a state, as the others have
/// one: axum boxes a handler anew for each request, and only the box of one without any state is free.
async fn drain(State(limit): State<usize>, mut body: Body) -> Response {
    if body.size_hint().lower() > limit as u64 {
        return too_large();
    }
    while let Some(Ok(frame)) = body.frame().await {
        drop(frame);
    }
    "{}".into_response()
}

pub fn too_large() -> Response {
    refusal(StatusCode::PAYLOAD_TOO_LARGE, &Problem::new("the document is larger than the limit"))
}

/// A document of more bytes has taken long enough to be read: others get a turn before its summary is written.
const LONG: usize = 64 << 10;

/// Lets other requests of this thread go on after a long document. The summary waits where it is: in the request's arena,
/// or on the heap.
pub async fn give_way(document: &[u8]) {
    if document.len() > LONG {
        tokio::task::yield_now().await;
    }
}

/// Open connections get this long to end after the signal to stop.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// Serves until `stop` is ready, then lets open requests end. What did not is in the report.
pub async fn run(
    listener: TcpListener,
    router: Router,
    ledger: &Ledger,
    stop: impl Future<Output = ()>,
) -> io::Result<Report> {
    let lifecycle = Lifecycle::new(&ledger.scopes()).patience(DEADLINE);
    // Small responses must not wait for the acknowledgement of the last.
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    let serving = axum::serve(listener, router).with_graceful_shutdown(lifecycle.stopping());
    lifecycle.run(stop, serving.into_future()).await.map_err(io::Error::other)
}
