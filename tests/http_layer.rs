//! `BufferBodyLayer` in front of any service: what is called when, every refusal, memory given back. Real servers are in
//! `http_layer_servers.rs`.

use bytes::{Buf, Bytes};
use ebbtide::BufferPool;
use ebbtide::http::{BodyBudget, BufferBodyLayer, BufferBodyService, Collected, Limits, ScopeLayer, collect};
use http::{HeaderMap, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::mpsc;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt, service_fn};

type Sent = Result<Frame<Bytes>, &'static str>;

/// A body that a test feeds, which claims what it likes and counts how often it was polled.
struct Fed {
    frames: mpsc::UnboundedReceiver<Sent>,
    claims: u64,
    polls: Arc<AtomicUsize>,
}

/// The hand that feeds it. Its drop is the end of the body.
#[derive(Clone)]
struct Feed {
    frames: mpsc::UnboundedSender<Sent>,
    polls: Arc<AtomicUsize>,
}

fn fed(claims: u64) -> (Feed, Request<Fed>) {
    let (feed, frames) = mpsc::unbounded_channel();
    let polls = Arc::new(AtomicUsize::new(0));
    let body = Fed { frames, claims, polls: polls.clone() };
    (Feed { frames: feed, polls }, Request::new(body))
}

/// A body that is all there.
fn whole(claims: u64, pieces: &[&'static [u8]]) -> Request<Fed> {
    let (feed, request) = fed(claims);
    pieces.iter().for_each(|piece| feed.data(piece));
    request
}

impl Feed {
    fn data(&self, data: &'static [u8]) {
        let _ = self.frames.send(Ok(Frame::data(Bytes::from_static(data))));
    }
    fn polls(&self) -> usize {
        self.polls.load(Ordering::Relaxed)
    }
}

impl Body for Fed {
    type Data = Bytes;
    type Error = &'static str;
    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Sent>> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        self.frames.poll_recv(context)
    }
    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.claims);
        hint
    }
}

/// Answers with what it was sent.
#[derive(Clone, Default)]
struct Echo {
    ready: Arc<AtomicUsize>,
    called: Arc<AtomicUsize>,
    fails: bool,
}

impl Service<Request<Collected>> for Echo {
    type Response = Response<String>;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response<String>, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.ready.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(if self.fails { Err("out of order") } else { Ok(()) })
    }
    fn call(&mut self, request: Request<Collected>) -> Self::Future {
        self.called.fetch_add(1, Ordering::Relaxed);
        let mut body = request.into_body();
        std::future::ready(Ok(Response::new(String::from_utf8_lossy(body.contiguous()).into_owned())))
    }
}

impl Echo {
    fn counts(&self) -> (usize, usize) {
        (self.ready.load(Ordering::Relaxed), self.called.load(Ordering::Relaxed))
    }
}

fn layer(limits: Limits) -> (BufferPool, BufferBodyLayer) {
    let buffers = BufferPool::new();
    (buffers.clone(), BufferBodyLayer::new(limits).buffers(buffers))
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn the_inner_service_gets_the_whole_request() {
    let (buffers, layer) = layer(Limits::default());
    let service = layer.layer(service_fn(|request: Request<Collected>| async move {
        let (head, mut body) = request.into_parts();
        assert_eq!((head.method.as_str(), head.uri.path()), ("PUT", "/there"));
        assert_eq!((&head.headers["x-kept"], head.extensions.get::<u8>()), (&"yes".parse().unwrap(), Some(&7)));
        assert_eq!(body.trailers().unwrap()["checksum"], "9");
        assert_eq!(body.copy_to_bytes(body.remaining()), "in several pieces");
        Ok::<_, Infallible>(Response::new(String::from("fine")))
    }));
    let (feed, request) = fed(0);
    ["in ", "several ", "pieces"].iter().for_each(|piece| feed.data(piece.as_bytes()));
    let trailers: HeaderMap =
        [(header::HeaderName::from_static("checksum"), "9".parse().unwrap())].into_iter().collect();
    feed.frames.send(Ok(Frame::trailers(trailers))).unwrap();
    drop(feed);
    let (mut head, body) = request.into_parts();
    (head.method, head.uri) = (http::Method::PUT, "/there".parse().unwrap());
    head.headers.insert("x-kept", "yes".parse().unwrap());
    head.extensions.insert(7_u8);
    let response = service.oneshot(Request::from_parts(head, body)).await.unwrap();
    assert_eq!((response.status().as_u16(), response.body().as_str()), (200, "fine"));
    // The segment that it was collected in, and the copy of what is small beside that.
    assert_eq!((buffers.stats().made, buffers.stats().outstanding()), (2, 0));
}

#[tokio::test]
async fn a_request_without_a_body_is_passed_on_at_once_and_takes_no_memory() {
    let budget = BodyBudget::new(8000);
    let (buffers, layer) = layer(Limits::default().budget(&budget));
    let other = BufferPool::new();
    let rest = collect(whole(0, &[&[0; 6000]]).into_body(), &other, Limits::default().budget(&budget)).await.unwrap();
    let refused = collect(whole(0, &[b"x"]).into_body(), &other, Limits::default().budget(&budget)).await;
    assert_eq!(refused.unwrap_err().status(), 503, "nothing is left for anybody");
    let service = layer.layer(Echo::default());
    let empty = Request::new(http_body_util::Empty::<Bytes>::new());
    assert_eq!(service.oneshot(empty).await.unwrap().status(), 200);
    assert_eq!((buffers.stats().made, rest.len()), (0, 6000));
}

/// What a request is answered with, and whether the inner service was called.
async fn answer(limits: Limits, request: Request<Fed>) -> (Response<String>, bool) {
    let (buffers, layer) = layer(limits);
    let inner = Echo::default();
    let response = layer.layer(inner.clone()).oneshot(request).await.unwrap();
    assert_eq!(buffers.stats().outstanding(), 0, "everything is back");
    (response, inner.counts().1 > 0)
}

#[tokio::test(start_paused = true)]
async fn every_refusal_has_its_status_and_never_reaches_the_inner_service() {
    let second = Duration::from_secs(1);
    let out = BodyBudget::new(20_000);
    let _held = {
        let limits = Limits::default().budget(&out);
        collect(http_body_util::Full::new(&[0; 9000][..]), BufferPool::global(), limits).await.unwrap()
    };
    let (_open, stalls) = fed(0);
    let (feed, fails) = fed(0);
    feed.data(b"half");
    feed.frames.send(Err("the network")).unwrap();
    let (ticking, slow) = fed(0);
    tokio::spawn(async move {
        loop {
            ticking.data(b"tick");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    let cases = [
        ("claims too much", Limits::new(100), whole(101, &[]), 413),
        ("is too large", Limits::new(9), whole(0, &[b"12345", b"67890"]), 413),
        ("is larger than the budget", Limits::default().budget(&BodyBudget::new(100)), whole(101, &[]), 413),
        ("comes in too many frames", Limits::new(100).max_frames(2), whole(0, &[b"1", b"", b"2"]), 413),
        ("fails", Limits::new(100), fails, 400),
        ("stalls", Limits::new(100).idle_timeout(second), stalls, 408),
        ("is too slow", Limits::new(100).idle_timeout(second).total_timeout(second), slow, 408),
        ("finds no room", Limits::default().budget(&out), whole(8000, &[b"x"]), 503),
        ("waits for room in vain", Limits::default().budget(&out).wait(second), whole(8000, &[b"x"]), 503),
    ];
    for (what, limits, request, status) in cases {
        let (response, called) = answer(limits, request).await;
        assert_eq!(
            (response.status().as_u16(), called, response.body().as_str()),
            (status, false, ""),
            "a body that {what}"
        );
        let retry = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap());
        assert_eq!(retry, (status == 503).then_some("1"), "a body that {what}");
    }
    let (response, called) = answer(Limits::new(10), whole(0, &[b"12345", b"67890"])).await;
    assert_eq!((response.body().as_str(), called), ("1234567890", true));
}

#[tokio::test]
async fn the_inner_service_becomes_ready_when_the_body_is_there() {
    let (_, layer) = layer(Limits::default());
    let inner = Echo::default();
    let mut service = layer.layer(inner.clone());
    ServiceExt::<Request<Fed>>::ready(&mut service).await.unwrap();
    let (feed, request) = fed(0);
    let mut future = pin!(service.call(request));
    feed.data(b"slowly");
    assert!(poll_once(future.as_mut()).is_pending());
    assert_eq!(inner.counts(), (0, 0), "the body is on its way");
    drop(feed);
    assert_eq!(future.await.unwrap().body(), "slowly");
    assert_eq!(inner.counts(), (1, 1));
}

#[tokio::test]
async fn a_slow_client_holds_no_permit_of_the_inner_service() {
    let (_, buffering) = layer(Limits::default());
    let service = buffering.layer(ConcurrencyLimitLayer::new(1).layer(Echo::default()));
    let (_slow, request) = fed(0);
    let mut slow = pin!(service.clone().oneshot(request));
    assert!(poll_once(slow.as_mut()).is_pending());
    let quick = tokio::time::timeout(Duration::from_secs(5), service.oneshot(whole(0, &[b"quick"])));
    assert_eq!(quick.await.expect("is not behind the slow one").unwrap().body(), "quick");
}

#[tokio::test]
async fn an_inner_service_that_fails_to_become_ready_fails_the_request() {
    let (buffers, layer) = layer(Limits::default());
    let inner = Echo { fails: true, ..Echo::default() };
    let error = layer.layer(inner.clone()).oneshot(whole(0, &[b"a", b"b"])).await.unwrap_err();
    assert_eq!((error, inner.counts(), buffers.stats().outstanding()), ("out of order", (1, 0), 0));
}

/// Never ready, or never done.
#[derive(Clone)]
struct Stuck {
    ready: bool,
}

impl Service<Request<Collected>> for Stuck {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.ready { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
    fn call(&mut self, request: Request<Collected>) -> Self::Future {
        Box::pin(async move {
            let _kept = request;
            pending().await
        })
    }
}

#[test]
fn a_future_dropped_at_any_step_gives_everything_back() {
    let budget = BodyBudget::new(1 << 20);
    let (buffers, layer) = layer(Limits::default().budget(&budget));
    for (step, ready, is_whole) in [("collecting", true, false), ("collected", false, true), ("inner", true, true)] {
        let (feed, request) = fed(0);
        feed.data(b"in several ");
        feed.data(b"pieces");
        // Dropped it ends the body.
        let feed = (!is_whole).then_some(feed);
        let mut future = Box::pin(layer.layer(Stuck { ready }).oneshot(request));
        assert!(poll_once(future.as_mut()).is_pending());
        assert_eq!((buffers.stats().outstanding(), budget.used_bytes() > 0), (1, true), "while {step}");
        drop(future);
        assert_eq!((buffers.stats().outstanding(), budget.used_bytes()), (0, 0), "dropped while {step}");
        drop(feed);
    }
}

#[test]
fn a_future_tells_its_step_and_stays_pending_after_its_end() {
    let (_, layer) = layer(Limits::default());
    let step = |future: &dyn std::fmt::Debug| format!("{future:?}").split('"').nth(1).unwrap().to_owned();
    let mut future = Box::pin(layer.layer(Stuck { ready: false }).call(whole(0, &[b"x"])));
    assert_eq!(step(&future), "collecting");
    assert!(poll_once(future.as_mut()).is_pending());
    assert_eq!(step(&future), "collected");
    let mut future = Box::pin(layer.layer(Stuck { ready: true }).call(whole(0, &[b"x"])));
    assert!(poll_once(future.as_mut()).is_pending());
    assert_eq!(step(&future), "inner");
    let mut future = Box::pin(layer.layer(Echo::default()).call(whole(0, &[b"x"])));
    assert!(poll_once(future.as_mut()).is_ready());
    assert_eq!(step(&future), "done");
    assert!(poll_once(future.as_mut()).is_pending());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_waits_for_room_is_not_read_and_is_served_when_there_is_room() {
    let budget = BodyBudget::new(20_000);
    let (buffers, layer) = layer(Limits::default().budget(&budget).wait(Duration::from_secs(10)));
    let service = layer.layer(Echo::default());
    let (slow, request) = fed(12_000);
    let slow_one = tokio::spawn(service.clone().oneshot(request));
    tokio::task::yield_now().await;
    let (waiting, request) = fed(12_000);
    waiting.data(b"patient");
    let feed = waiting.clone();
    let patient = tokio::spawn(service.oneshot(request));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((slow.polls() > 0, feed.polls(), patient.is_finished()), (true, 0, false), "no byte is asked for");
    drop(slow);
    slow_one.await.unwrap().unwrap();
    drop((waiting, feed));
    assert_eq!(patient.await.unwrap().unwrap().body(), "patient");
    assert_eq!((buffers.stats().outstanding(), budget.used_bytes()), (0, 0));
}

#[tokio::test]
async fn memory_comes_from_the_scope_where_there_is_one() {
    let buffers = BufferPool::new();
    let scopes = ebbtide::Scopes::builder().buffers(buffers.clone()).build();
    let inner: BufferBodyService<Echo> = BufferBodyLayer::new(Limits::default()).layer(Echo::default());
    let service = ScopeLayer::with(scopes).layer(inner.clone());
    drop(service.oneshot(whole(0, &[b"a", b"b"])).await.unwrap());
    assert_eq!((buffers.stats().made, buffers.stats().outstanding()), (1, 0));
    inner.oneshot(whole(0, &[b"a", b"b"])).await.unwrap();
    assert_eq!(buffers.stats().made, 1, "without a scope it is the process's own pool");
}
