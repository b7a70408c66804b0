//! How many heap allocations the drop-ins cost in steady state. A process of its own, since it counts.

use axum::Json;
use axum::response::IntoResponse;
use bytes::Bytes;
use ebbtide::bench::{AllocReport, CountingAllocator};
use ebbtide::http::{BodyBudget, BufferBodyLayer, Collected, Limits, PooledJson};
use ebbtide::tokio::read_pooled;
use ebbtide::{BufferPool, assert_allocs};
use http::{Request, Response};
use http_body::Body;
use http_body_util::{Empty, Full};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, ReadBuf};
use tower::{Layer, Service};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Counts the bytes of a body and answers with nothing.
#[derive(Clone)]
struct Swallow;

impl Service<Request<Collected>> for Swallow {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: Request<Collected>) -> Self::Future {
        ready(Ok(Response::new(String::new())))
    }
}

/// Allocations of a request with `body`, once another has filled the pool.
fn through_the_layer<B>(limits: &Limits, body: impl Fn() -> B) -> u64
where
    B: Body<Data: Send, Error: Send> + Send + 'static,
{
    let limits = limits.clone();
    let mut service = BufferBodyLayer::new(limits).buffers(BufferPool::new()).layer(Swallow);
    let mut once = || {
        let request = Request::new(body());
        let (answer, report) = AllocReport::of(|| poll_once(service.call(request)));
        assert!(matches!(answer, Poll::Ready(Ok(answer)) if answer.status() == 200));
        report.allocations
    };
    once();
    once()
}

/// Two frames, the second of which could not be foreseen.
struct Two(u8);

impl Body for Two {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        self.0 = self.0.saturating_sub(1);
        Poll::Ready((self.0 > 0).then(|| Ok(http_body::Frame::data(Bytes::from_static(&[7; 1000])))))
    }
}

#[test]
fn the_layer_allocates_once_for_a_request_with_a_body_and_never_without_one() {
    let plain = Limits::default();
    assert_eq!(through_the_layer(&plain, Empty::<Bytes>::new), 0);
    assert_eq!(through_the_layer(&plain, || Full::new(Bytes::from_static(b"one frame"))), 1);
    assert_eq!(through_the_layer(&plain, || Two(3)), 1);
    // A budget needs a count of who holds a share of it.
    let budgeted = plain.budget(&BodyBudget::new(1 << 20));
    assert_eq!(through_the_layer(&budgeted, Empty::<Bytes>::new), 0);
    assert_eq!(through_the_layer(&budgeted, || Two(3)), 2);
}

#[derive(Deserialize, Serialize)]
struct Point {
    x: u32,
    y: u32,
}

/// 58 KB of points.
fn document() -> Vec<u8> {
    let points: Vec<_> = (0..2900).map(|at| Point { x: at, y: at * 7 }).collect();
    serde_json::to_vec(&points).unwrap()
}

#[test]
fn a_document_without_fault_costs_no_allocation_for_a_key() {
    let document = document();
    let (plain, floor) = AllocReport::of(|| serde_json::from_slice::<Vec<Point>>(&document).unwrap());
    let (ours, report) = AllocReport::of(|| PooledJson::<Vec<Point>>::from_bytes(&document).unwrap());
    let (axums, beside) = AllocReport::of(|| Json::<Vec<Point>>::from_bytes(&document).unwrap());
    assert_eq!((plain.len(), ours.len(), axums.len()), (2900, 2900, 2900));
    assert_eq!((report.allocations, report.bytes), (floor.allocations, floor.bytes));
    assert!(beside.allocations > 2 * 2900, "what following the path costs: {beside:?}");
}

#[test]
fn a_json_response_costs_a_few_small_allocations_whatever_its_size() {
    let points: Vec<Point> = serde_json::from_slice(&document()).unwrap();
    let respond = || drop(PooledJson(&points).into_response());
    // The buffer grows through classes that are all there after the first response.
    respond();
    let ((), ours) = AllocReport::of(respond);
    let ((), axums) = AllocReport::of(|| drop(Json(&points).into_response()));
    assert!(ours.bytes < 1024, "{ours:?}");
    assert!(axums.bytes > 58 << 10, "{axums:?}");
}

/// Has something to read at every second poll.
struct Now(bool);

impl AsyncRead for Now {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0 = !self.0;
        if self.0 {
            return Poll::Pending;
        }
        buffer.put_slice(b"now");
        Poll::Ready(Ok(()))
    }
}

#[test]
fn reading_and_waiting_cost_no_allocation_once_a_buffer_is_there() {
    let (buffers, mut reader) = (BufferPool::new(), Now(false));
    drop(buffers.get(16 << 10));
    assert_allocs!(0, {
        for turn in 0..100 {
            let polled = poll_once(read_pooled(&mut reader, &buffers, 16 << 10));
            assert_eq!(polled.is_pending(), turn % 2 == 0);
        }
    });
}
