//! One http request after another over an in-memory connection, for counting instructions: what a scope costs under hyper and
//! axum, and what it saves.
//!
//! Two runs of different length under callgrind; their difference, by the difference of the lengths, is what a request takes,
//! the little client included:
//!
//! ```sh
//! cargo build --release --example porch
//! for way in bare guard wrapped watched leased tagged axum axum-layer axum-around; do for values in 0 16 100; do for requests in 1000 3000; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/porch $way $values $requests 2>&1 | grep Collected
//! done; done; done
//! ```
//!
//! In `guard` the handler begins the request and ends it, with nothing around it; in `wrapped` it lasts until the body is sent.
//! `watched` is `wrapped` with a leak detector on. In `leased` a request takes a text and a buffer from their pools besides, and
//! gives them back; `tagged` is that under a name, with a leak detector on.

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use ebbtide::http::{ScopeLayer, wrap};
use ebbtide::observe::{LeakDetector, tagged};
use ebbtide::{BufferPool, Pool, Scope, Scopes};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::task::Poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower::Layer;

/// A list on the heap, each value a box.
struct Boxed {
    _value: [u64; 4],
    _next: Option<Box<Boxed>>,
}

fn boxed(values: u64) {
    let list = (0..values).fold(None, |next, i| Some(Box::new(Boxed { _value: [i; 4], _next: next })));
    drop(black_box(list));
}

/// The same list in the request's arena.
struct InArena<'s> {
    _value: [u64; 4],
    _next: Option<&'s InArena<'s>>,
}

fn in_arena(values: u64) {
    let Some(scope) = (values > 0).then(Scope::current).flatten() else { return };
    in_arena_of(&scope, values);
}

#[inline(always)]
fn in_arena_of(scope: &Scope, values: u64) {
    let mut arena = scope.arena();
    let mut list = None;
    for i in 0..values {
        let one: &InArena<'_> = arena.alloc(InArena { _value: [i; 4], _next: list });
        list = Some(one);
    }
    black_box(list);
}

struct Pools {
    texts: Pool<String>,
    buffers: BufferPool,
}

/// What an interceptor might do with its pools.
fn lease_two(pools: &Pools) {
    pools.texts.get().push_str(black_box("sixteen bytes ok"));
    pools.buffers.get(black_box(512)).extend_from_slice(black_box(b"sixteen bytes ok"));
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";

fn hello() -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from_static(b"hello")))
}

/// Sends so many requests, each after the response to the last.
async fn client(stream: &mut DuplexStream, requests: u64) {
    let mut response = [0; 1024];
    for _ in 0..requests {
        stream.write_all(REQUEST).await.expect("sent");
        let mut length = 0;
        while !response[..length].ends_with(b"hello") {
            length += stream.read(&mut response[length..]).await.expect("answered");
        }
    }
}

/// What a handler writes that has no `wrap` around it: the request ends when there is an answer.
fn in_request(scopes: &Scopes, values: u64) {
    let guard = scopes.begin();
    let scope = guard.scope();
    if values > 0 {
        in_arena_of(&scope, values);
    }
}

/// One connection, served as long as its client asks.
fn serve<S, B>(service: S) -> Box<dyn FnMut(u64)>
where
    S: HttpService<Incoming, ResBody = B, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (mut client_end, server_end) = tokio::io::duplex(64 << 10);
    let mut connection = Box::pin(http1::Builder::new().serve_connection(TokioIo::new(server_end), service));
    Box::new(move |requests| {
        // The connection stays for the next requests, so it does not end when its client has all answers.
        let is_done = Cell::new(false);
        let served = poll_fn(|context| match connection.as_mut().poll(context) {
            Poll::Pending if !is_done.get() => Poll::Pending,
            _ => Poll::Ready(()),
        });
        let asked = async {
            client(&mut client_end, requests).await;
            is_done.set(true);
            // So that it is looked at once more.
            tokio::task::yield_now().await;
        };
        runtime.block_on(async { tokio::join!(served, asked) });
    })
}

/// What does so many requests in this way, with so many values in each.
pub(crate) fn requests(way: &str, values: u64) -> Box<dyn FnMut(u64)> {
    let scopes = Scopes::new();
    let pools: &Pools = Box::leak(Box::new(Pools { texts: Pool::new(String::new), buffers: BufferPool::new() }));
    let on_heap = Router::new().route("/", get(move || async move { (boxed(values), "hello").1 }));
    let router = Router::new().route("/", get(move || async move { (in_arena(values), "hello").1 }));
    match way {
        "bare" => {
            let answer = move |_: Request<Incoming>| async move { (boxed(values), Ok::<_, Infallible>(hello())).1 };
            serve(service_fn(answer))
        }
        "wrapped" | "watched" => {
            let answer = move |_: Request<Incoming>| async move { (in_arena(values), Ok::<_, Infallible>(hello())).1 };
            serve(service_fn(move |request| wrap(&scopes, request, answer)))
        }
        "guard" => {
            let scopes: &Scopes = Box::leak(Box::new(scopes));
            let answer =
                move |_: Request<Incoming>| async move { (in_request(scopes, values), Ok::<_, Infallible>(hello())).1 };
            serve(service_fn(answer))
        }
        "leased" => {
            let lease = move || lease_two(pools);
            let answer =
                move |_: Request<Incoming>| async move { (lease(), in_arena(values), Ok::<_, Infallible>(hello())).2 };
            serve(service_fn(move |request| wrap(&scopes, request, answer)))
        }
        "tagged" => {
            let lease = move || tagged("interceptor", || lease_two(pools));
            let answer =
                move |_: Request<Incoming>| async move { (lease(), in_arena(values), Ok::<_, Infallible>(hello())).2 };
            serve(service_fn(move |request| wrap(&scopes, request, answer)))
        }
        "axum" => serve(TowerToHyperService::new(on_heap)),
        "axum-layer" => serve(TowerToHyperService::new(router.layer(ScopeLayer::with(scopes)))),
        _ => serve(TowerToHyperService::new(ScopeLayer::with(scopes).layer(router))),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let way = arguments.first().map_or("wrapped", String::as_str);
    let number = |at: usize, default| arguments.get(at).and_then(|number| number.parse().ok()).unwrap_or(default);
    let _detector = matches!(way, "watched" | "tagged").then(LeakDetector::new);
    requests(way, number(1, 0))(number(2, 1000));
}
