//! What `ebbtide::bench` counts and compares. A process of its own, with the counting allocator, and one test after the other:
//! comparisons of async handlers and of services count what all threads allocate.

use axum::body::Body;
use axum::routing::get;
use axum::{Router, http::StatusCode};
use ebbtide::bench::{AllocReport, CountingAllocator, Plan, live, totals};
use ebbtide::{BufferPool, Pool};
use http::Request;
use std::convert::Infallible;
use std::hint::black_box;
use std::thread;
use tower::service_fn;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn all() {
    a_report_tells_live_bytes_and_the_peak_of_this_thread();
    a_report_within_a_report_keeps_both_peaks();
    closures_are_compared_by_this_threads_allocations();
    async_handlers_are_compared_by_all_threads_allocations();
    services_are_compared_with_their_bodies();
    answers_that_differ_are_noted();
    a_failing_service_is_named();
}

fn a_report_tells_live_bytes_and_the_peak_of_this_thread() {
    let (kept, report) = AllocReport::of(|| {
        drop(black_box(vec![0u8; 10_000]));
        // Another thread's memory is none of this thread's.
        thread::scope(|scope| _ = scope.spawn(|| drop(black_box(vec![0u8; 1 << 20]))).join());
        vec![0u8; 1000]
    });
    assert!((1000..3000).contains(&report.live), "what the thread took to start may stay: {report:?}");
    assert!((10_000..20_000).contains(&report.peak), "{report:?}");
    let ((), report) = AllocReport::of(|| drop(kept));
    assert_eq!((report.live, report.peak, report.calls()), (-1000, 0, 0));
    assert!(live() > 0 && totals().peak >= totals().live);
}

fn a_report_within_a_report_keeps_both_peaks() {
    let (inner, outer) = AllocReport::of(|| {
        drop(black_box(vec![0u8; 5000]));
        let _held = black_box(vec![0u8; 100]);
        AllocReport::of(|| drop(black_box(vec![0u8; 300]))).1
    });
    assert_eq!((inner.peak, outer.peak), (300, 5000));
}

fn closures_are_compared_by_this_threads_allocations() {
    let pool = Pool::new(|| Vec::<u8>::with_capacity(1000));
    let fresh = || drop(black_box(Vec::<u8>::with_capacity(1000)));
    let comparison = Plan::quick().compare("fresh", fresh, "pooled", || black_box(pool.get()).push(1));
    let (first, second) = (comparison.first(), comparison.second());
    assert_eq!((first.allocations(), first.bytes(), first.peak()), (Some(1.0), Some(1000.0), Some(1000)));
    assert_eq!((second.allocations(), second.bytes(), second.peak()), (Some(0.0), Some(0.0), Some(0)));
    assert_eq!((first.name(), second.name(), comparison.rounds()), ("fresh", "pooled", 15));
    assert!(first.p50() > 0.0 && second.p50() <= second.p99());
}

fn async_handlers_are_compared_by_all_threads_allocations() {
    let handler = async |bytes: usize| {
        let other = thread::spawn(move || drop(black_box(vec![0u8; bytes])));
        tokio::task::yield_now().await;
        other.join().unwrap();
    };
    let plan = Plan::quick().rounds(3);
    let comparing = plan.compare_async("small", async || handler(1000).await, "large", async || handler(9000).await);
    let comparison = block_on(comparing);
    let more = comparison.second().bytes().unwrap() - comparison.first().bytes().unwrap();
    assert!((7900.0..8100.0).contains(&more), "{comparison}");
}

fn services_are_compared_with_their_bodies() {
    let plain = Router::new().route("/", get(|| async { vec![7u8; 50_000] }));
    let buffers = BufferPool::new();
    let pooled = Router::new().route(
        "/",
        get(move || async move {
            let mut body = buffers.get(50_000);
            body.resize(50_000, 7);
            body
        }),
    );
    let request = || Request::new(Body::empty());
    let comparison = block_on(Plan::quick().compare_services("plain", plain, "pooled", pooled, request)).unwrap();
    let bytes = [comparison.first(), comparison.second()].map(|side| side.bytes().unwrap());
    assert!(bytes[0] > 50_000.0 && bytes[1] < 5000.0, "{comparison}");
    assert!(!comparison.notes().iter().any(|note| note.contains("answer")), "{comparison}");
}

fn answers_that_differ_are_noted() {
    let (right, wrong) = (Router::new().route("/", get(|| async { "hello" })), Router::new());
    let request = || Request::new(Body::empty());
    let comparison = block_on(Plan::quick().rounds(2).compare_services("a", right, "b", wrong, request)).unwrap();
    let expected = "the answers differ: a 200 OK with 5 bytes, b 404 Not Found with 0 bytes";
    assert_eq!(comparison.notes().last().map(String::as_str), Some(expected));
    let mut calls = 0;
    let fickle = service_fn(move |_| {
        calls += 1;
        let status = if calls % 2 == 0 { StatusCode::OK } else { StatusCode::NOT_FOUND };
        async move { Ok::<_, Infallible>(http::Response::builder().status(status).body(Body::empty()).unwrap()) }
    });
    let steady = Router::new();
    let comparison = block_on(Plan::quick().rounds(2).compare_services("a", fickle, "b", steady, request)).unwrap();
    assert!(comparison.notes().iter().any(|note| note.starts_with("a did not answer all requests")), "{comparison}");
}

fn a_failing_service_is_named() {
    let good = Router::new();
    let bad = service_fn(|_: Request<Body>| async { Err::<http::Response<Body>, _>(std::io::Error::other("no disk")) });
    let request = || Request::new(Body::empty());
    let error = block_on(Plan::quick().compare_services("good", good, "bad", bad, request)).unwrap_err();
    assert_eq!(error.to_string(), "bad failed");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no disk");
}
