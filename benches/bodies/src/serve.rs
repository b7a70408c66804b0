//! A server for each way to take a body: axum on a real socket, and a report of what its process holds.

use crate::json;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::map_request;
use axum::routing::post;
use axum::serve::ListenerExt;
use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::bench::{live, peak, reset_peak, totals};
use ebbtide::http::{PooledBody, ScopeLayer};
use ebbtide::tokio::trim_every;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use std::io::{self, BufRead};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How long a child waits for what its parent has sent.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes and frames of bodies that the handlers were given, where the router is watched.
static SEEN: AtomicU64 = AtomicU64::new(0);
static FRAMES: AtomicU64 = AtomicU64::new(0);

/// Longer than a server waits here for its next round.
const TRIM_EVERY: Duration = Duration::from_millis(1500);

/// Runs in the child, and answers the parent's lines until `stop` or the end.
pub(crate) fn run(mode: &str, threads: usize, watched: bool) -> io::Result<()> {
    let mut router = router(mode).ok_or_else(|| io::Error::other(format!("there is no mode {mode}")))?;
    if watched {
        router = router.layer(map_request(async |request: Request| request.map(|body| Body::new(Watched(body)))));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let entered = runtime.enter();
    // As a server should: what nobody used for some of these goes back to the allocator.
    let _trimming = (mode == "trimmed").then(|| trim_every(BufferPool::global().clone(), TRIM_EVERY));
    drop(entered);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    println!("{}", listener.local_addr()?);
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    runtime.spawn(async { axum::serve(listener, router).await });
    talk()
}

fn router(mode: &str) -> Option<Router> {
    let route = match mode {
        "drain" => post(drain),
        "pooled" | "trimmed" => post(async |body: PooledBody| body.len().to_string()),
        "collect" => post(collect),
        "bytes" => post(async |body: Bytes| body.len().to_string()),
        "vec" => post(vec),
        "json_floor" => post(json::floor),
        "json_plain" => post(json::plain),
        "json_pooled" => post(json::pooled),
        "json_arena" => post(json::arena),
        "json_dropped" => post(json::dropped),
        _ => return None,
    };
    let router = Router::new().route("/", route).layer(DefaultBodyLimit::disable());
    // The others need no scope, and a user who takes `PooledBody` alone has none.
    Some(if matches!(mode, "json_arena" | "json_dropped") { router.layer(ScopeLayer::new()) } else { router })
}

/// The floor: reads every frame and drops it.
async fn drain(request: Request) -> String {
    let mut body = request.into_body();
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        len += frame.ok().and_then(|frame| frame.into_data().ok()).map_or(0, |data| data.len());
    }
    len.to_string()
}

async fn collect(request: Request) -> String {
    let collected = request.into_body().collect().await;
    collected.map_or_else(|error| error.to_string(), |body| body.to_bytes().len().to_string())
}

/// Each frame copied into one vector, which grows as vectors do.
async fn vec(request: Request) -> String {
    let mut body = request.into_body();
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame.ok().and_then(|frame| frame.into_data().ok()) {
            whole.extend_from_slice(&data);
        }
    }
    whole.len().to_string()
}

/// Counts what passes and changes nothing.
struct Watched(Body);

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.0).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            SEEN.fetch_add(frame.data_ref().map_or(0, |data| data.len() as u64), Relaxed);
            FRAMES.fetch_add(1, Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

// ---------------------------------------------------------------------------------------------------------------------

/// What a child holds and did. Where no counting allocator is installed, the heap's numbers are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) live: u64,
    pub(crate) peak: u64,
    /// With reallocations, of which only the growth counts in `bytes`.
    pub(crate) allocations: u64,
    pub(crate) bytes: u64,
    /// Resident now, and at most so far.
    pub(crate) resident: u64,
    pub(crate) most_resident: u64,
    pub(crate) seen: u64,
    pub(crate) frames: u64,
    /// Bytes charged to the bound of the process's own buffer pool.
    pub(crate) charged: u64,
    /// Nanoseconds that its threads had a processor.
    pub(crate) processor: u64,
}

impl Report {
    fn now() -> Self {
        let totals = totals();
        Self {
            live: live(),
            peak: peak(),
            allocations: totals.allocations + totals.reallocations,
            bytes: totals.bytes,
            resident: status("VmRSS:"),
            most_resident: status("VmHWM:"),
            seen: SEEN.load(Relaxed),
            frames: FRAMES.load(Relaxed),
            charged: BufferPool::global().stats().charged_bytes,
            processor: processor(),
        }
    }

    fn line(&self) -> String {
        let Self { live, peak, allocations, bytes, resident, most_resident, seen, frames, charged, processor } = self;
        format!("{live} {peak} {allocations} {bytes} {resident} {most_resident} {seen} {frames} {charged} {processor}")
    }

    pub(crate) fn read(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
        let mut next = || numbers.next()?;
        Some(Self {
            live: next()?,
            peak: next()?,
            allocations: next()?,
            bytes: next()?,
            resident: next()?,
            most_resident: next()?,
            seen: next()?,
            frames: next()?,
            charged: next()?,
            processor: next()?,
        })
    }
}

/// A line of the process's status in bytes, where the system tells.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB"));
    kilobytes.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The time of all threads, where the system tells. One that ends takes its time with it; none does here.
fn processor() -> u64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let statistics =
        threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok());
    statistics.filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok()).sum()
}

/// `reset` (the peak starts anew), `report`, or a number of bytes to wait for; anything else ends it.
fn talk() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        match line?.as_str() {
            "reset" => reset_peak(),
            "report" => {}
            other => match other.parse() {
                Ok(bytes) => await_seen(bytes)?,
                Err(_) => break,
            },
        }
        println!("{}", Report::now().line());
    }
    Ok(())
}

/// Looks again and again, since a sleep would take longer than the bytes do.
fn await_seen(bytes: u64) -> io::Result<()> {
    let began = Instant::now();
    while SEEN.load(Relaxed) < bytes {
        if began.elapsed() > PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if began.elapsed() > Duration::from_millis(1) {
            std::thread::sleep(Duration::from_micros(50));
        } else {
            std::thread::yield_now();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = Report { live: 1, peak: 2, seen: 7, charged: 9, processor: 10, ..Report::default() };
        assert_eq!(Report::read(&report.line()), Some(report));
        assert_eq!(Report::read("1 2 3"), None);
    }
}
