//! Memory that one can watch in a browser: a server with eight interceptors, one of which keeps some of what it takes.
//!
//! ```sh
//! cargo run --release --example console    # and open http://127.0.0.1:9090/debug/ebbtide
//! ```
//!
//! It sends itself some 1,500 requests a second. So that nobody has to wait five minutes for the alarm, the monitor's clock runs 30
//! times as fast as the wall's. The leak ends at 480 MiB, none of it ever written to.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use ebbtide::http::ScopeLayer;
use ebbtide::observe::{Console, LeakDetector, Monitor};
use ebbtide::{BufferPool, Chain, Interceptor, PooledBuf, Reset, Scope, Verdict};
use http::Request;
use http_body_util::BodyExt;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tower::ServiceExt;

const NAMES: [&str; 8] = ["auth", "session", "quota", "features", "cache", "geo", "audit", "trace"];
/// What one request in ten leaves in `cache`, in bytes.
const LEAK: usize = 96 << 10;
/// Buffers after which it leaves nothing more: 480 MiB.
const MOST: usize = 5120;
/// How much faster the monitor's clock runs.
const FASTER: u32 = 30;
/// Requests that are open at once.
const CLIENTS: u64 = 16;

/// Takes a buffer for each request, and gives it back with the request. `cache` also keeps some.
struct Step {
    name: &'static str,
    buffers: BufferPool,
    kept: Option<Arc<Mutex<Vec<PooledBuf>>>>,
}

#[derive(Default)]
struct Held(Option<PooledBuf>);

impl Reset for Held {
    fn reset(&mut self) -> Verdict {
        self.0 = None;
        Verdict::Keep
    }
}

impl<Res> Interceptor<Request<Body>, Res> for Step {
    type State = Held;

    fn name(&self) -> &'static str {
        self.name
    }

    fn before(&self, held: &mut Held, _: &Scope, request: &mut Request<Body>) -> ControlFlow<Res> {
        let serial: u64 = request.uri().path()[1..].parse().unwrap_or_default();
        held.0 = Some(self.buffers.get(1 << (10 + (serial + self.name.len() as u64) % 8)));
        if let Some(kept) = self.kept.as_ref().filter(|_| serial % 10 == 0) {
            let mut kept = kept.lock().expect("nobody panics with it");
            if kept.len() < MOST {
                let buffer = self.buffers.get(LEAK);
                buffer.touch("put into the cache");
                kept.push(buffer);
            }
        }
        ControlFlow::Continue(())
    }
}

fn app() -> Router {
    let buffers = BufferPool::new();
    let step = |name: &'static str| {
        let kept = (name == "cache").then(Arc::default);
        Step { name, buffers: buffers.clone(), kept }
    };
    let [a, b, c, d, e, f, g, h] = NAMES.map(step);
    let chain = Chain::new().with(a).with(b).with(c).with(d).with(e).with(f).with(g).with(h);
    // A handler that waits for something, as most do.
    let handler = || tokio::time::sleep(Duration::from_millis(10));
    Router::new().route("/{serial}", get(handler)).layer(ScopeLayer::new().chain(chain))
}

async fn client(app: Router, first: u64) {
    for serial in (first..).step_by(CLIENTS as usize) {
        let request = Request::get(format!("/{serial}")).body(Body::empty()).expect("a request");
        let Ok(response) = app.clone().oneshot(request).await;
        // The request ends when its response has been read.
        drop(response.into_body().collect().await);
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let (monitor, leaks) = (Monitor::new(), Arc::new(LeakDetector::new().with_sampling(256)));
    let console = Console::new().monitor(&monitor).leaks(leaks).router();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:9090").await?;
    println!("open http://{}/debug/ebbtide; Ctrl-C ends it", listener.local_addr()?);

    let app = app();
    (0..CLIENTS).for_each(|first| drop(tokio::spawn(client(app.clone(), first))));
    tokio::spawn(async move {
        let begin = Instant::now();
        let mut ticks = tokio::time::interval(Monitor::PERIOD / FASTER);
        loop {
            ticks.tick().await;
            monitor.sample_at(begin + begin.elapsed() * FASTER);
        }
    });
    axum::serve(listener, console).await
}
