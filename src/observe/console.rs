//! The console (feature `console`): pages that show who holds memory, mounted by the user into an axum router.
//!
//! It reads the books when somebody asks, and takes nothing from the pools that it shows.

mod json;
mod page;

use super::dump::Dump;
use super::leaks::LeakDetector;
use super::ledger::Ledger;
use super::monitor::{Event, Monitor};
use super::pprof::Profile;
use super::snapshot::Snapshot;
use crate::pool::Imbalance;
use crate::pool::records::LeaseRecord;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use core::hash::BuildHasher;
use parking_lot::Mutex;
use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Where the console is mounted, unless it is told otherwise.
const PATH: &str = "/debug/ebbtide";

/// Pages that show who holds memory: charts, tags, pools, and the same as JSON, pprof profile and Prometheus text.
///
/// | below `/debug/ebbtide` | answers |
/// |---|---|
/// | (itself) | the overview, for people; tables without JavaScript, charts with it |
/// | `/json` | the same numbers, for programs |
/// | `/dump` | the table of [`Dump`], as text |
/// | `/metrics` | Prometheus text: [`Snapshot::write_prometheus`], [`Monitor::write_prometheus`] |
/// | `/pprof` | a profile for `go tool pprof`: [`Profile`] |
///
/// **It is meant for a private port**: a listener on localhost or in a network of operators, not the one that clients reach. It shows
/// names of tags, and files and lines of the program, to everybody who can reach it. It changes nothing: other methods than GET (and HEAD) get 405.
/// Requests whose `Host` is not `localhost`, a loopback address or [allowed](Self::allow_host) get 403, so that a web page which
/// somebody has open cannot read the console through a name that it points here.
///
/// **Cost**: nothing until somebody asks; then a reading of the [`Ledger`], and memory for the answer. A profile of leases [with
/// backtraces](LeakDetector::with_backtraces) keeps its thread while their names are looked up.
///
/// # Examples
///
/// ```no_run
/// use ebbtide::observe::{Console, LeakDetector, Monitor};
/// use std::sync::Arc;
///
/// # async fn serve() -> std::io::Result<()> {
/// let monitor = Monitor::new();
/// let sampling = monitor.sample_every(Monitor::PERIOD);
/// let leaks = Arc::new(LeakDetector::new());
/// let console = Console::new().monitor(&monitor).leaks(leaks).allow_host("10.0.0.7").router();
/// let private = tokio::net::TcpListener::bind("127.0.0.1:9090").await?;
/// tokio::spawn(async move { axum::serve(private, console).await });
/// # drop(sampling);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Console {
    path: String,
    hosts: Vec<String>,
    monitor: Option<Monitor>,
    leaks: Option<Arc<LeakDetector>>,
}

/// What all handlers share.
#[derive(Debug)]
struct Shared {
    hosts: Vec<String>,
    path: String,
    monitor: Option<Monitor>,
    leaks: Option<Arc<LeakDetector>>,
    /// One for all who ask, so that names keep their places.
    snapshot: Mutex<Snapshot>,
}

/// What the overview and the JSON tell.
#[derive(Debug)]
struct View<'a> {
    snapshot: &'a Snapshot,
    /// `None` where nobody watches.
    alarms: Option<Vec<Event>>,
    /// The oldest first; `None` where none are sampled.
    leases: Option<&'a [LeaseRecord]>,
    imbalances: Vec<Imbalance>,
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Console {
    /// A console below `/debug/ebbtide`, for requests to localhost.
    #[must_use]
    pub fn new() -> Self {
        let hosts = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).into();
        Self { path: PATH.to_owned(), hosts, monitor: None, leaks: None }
    }

    /// Mounts it elsewhere, such as `/ops/memory`.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Shows the alarms of this monitor too. Something else has to take its samples, such as
    /// `Monitor::sample_every`.
    #[must_use]
    pub fn monitor(mut self, monitor: &Monitor) -> Self {
        self.monitor = Some(monitor.clone());
        self
    }

    /// Shows the oldest leases of this detector too, and call sites in profiles. Ages count from the first time that somebody
    /// looked.
    #[must_use]
    pub fn leaks(mut self, detector: Arc<LeakDetector>) -> Self {
        self.leaks = Some(detector);
        self
    }

    /// Answers requests to this host too: a name or an address, as it stands in the `Host` header, without a port.
    #[must_use]
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// The routes, to be served on a private port, or merged into another router.
    ///
    /// # Panics
    ///
    /// If axum does not take the path: it has to begin with `/`, and not to end with it.
    pub fn router(self) -> Router {
        let Self { path, hosts, monitor, leaks } = self;
        let routes = Router::new()
            .route(&path, get(overview))
            .route(&format!("{path}/json"), get(json))
            .route(&format!("{path}/dump"), get(dump))
            .route(&format!("{path}/metrics"), get(metrics))
            .route(&format!("{path}/pprof"), get(pprof));
        let shared = Arc::new(Shared { hosts, path, monitor, leaks, snapshot: Mutex::default() });
        routes.layer(from_fn_with_state(Arc::clone(&shared), guard)).with_state(shared)
    }
}

impl Shared {
    fn allows(&self, host: &str) -> bool {
        self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }

    /// Reads the books anew, and looks at them and at sampled leases.
    fn read<R>(&self, look: impl FnOnce(&Snapshot, Option<&[LeaseRecord]>) -> R) -> R {
        let leases = self.leaks.as_ref().map(|leaks| leaks.leases(Instant::now()));
        let mut snapshot = self.snapshot.lock();
        snapshot.take(&Ledger::process());
        snapshot.note_leases(leases.as_deref().unwrap_or_default());
        look(&snapshot, leases.as_deref())
    }

    /// Everything that is shown, at one moment.
    fn view<R>(&self, look: impl FnOnce(&View<'_>) -> R) -> R {
        let mut imbalances = Vec::new();
        Ledger::process().each_imbalance(|imbalance| imbalances.push(*imbalance));
        let alarms = self.monitor.as_ref().map(Monitor::alarms);
        self.read(|snapshot, leases| look(&View { snapshot, alarms, leases, imbalances }))
    }
}

/// The host that a request is for, without its port: of HTTP/2 it stands in the URI.
fn host(request: &Request) -> Option<Authority> {
    let named = request.headers().get(header::HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    request.uri().authority().cloned().or(named)
}

/// Refuses hosts that nobody has allowed, and forbids to keep or to embed what is answered.
async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if !host(&request).is_some_and(|host| shared.allows(host.host())) {
        return (StatusCode::FORBIDDEN, "the console does not answer to this host: see Console::allow_host\n")
            .into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Other sites must not load it as a script or picture either.
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    response
}

async fn overview(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    // Only the page's own style and script may run, whatever a name contains: 64 bits of the system's randomness say which they are.
    let nonce = format!("{:016x}", RandomState::new().hash_one(()));
    let page = shared.view(|view| page::page(view, &shared.path, &nonce, SystemTime::now()));
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (header::CONTENT_SECURITY_POLICY, policy)], page)
}

async fn json(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], shared.view(json::json).to_string())
}

async fn dump() -> impl IntoResponse {
    let mut dump = Dump::new();
    dump.take();
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], dump.to_string())
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let mut text = String::new();
    // A string takes everything.
    let _ = shared.read(|snapshot, _| snapshot.write_prometheus(&mut text));
    let _ = shared.monitor.as_ref().map(|monitor| monitor.write_prometheus(&mut text));
    ([(header::CONTENT_TYPE, Snapshot::PROMETHEUS)], text)
}

async fn pprof(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    // The calls of leases get their names from here on, which takes long: others can read meanwhile.
    let (snapshot, leases) = shared.read(|snapshot, leases| (snapshot.clone(), leases.unwrap_or_default().to_vec()));
    let mut profile = Profile::new(&snapshot);
    profile.add_leases(&leases);
    let mut file = Vec::new();
    // And so does a vector.
    let _ = profile.write(SystemTime::now(), &mut file);
    let name = "attachment; filename=\"ebbtide.pb.gz\"";
    ([(header::CONTENT_TYPE, "application/octet-stream"), (header::CONTENT_DISPOSITION, name)], file)
}
