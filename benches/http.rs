//! A whole http request over an in-memory connection, under hyper and under axum: bare, and with a scope.
//!
//! The handler makes a list of so many values of 32 bytes: of boxes in the bare rows, in the request's arena in the others.
//! In `ebbtide_guard` the handler itself begins the request and ends it.
//! The client is a few lines of its own, so that hyper's is not measured. `examples/porch.rs` counts the same in instructions.

mod allocator;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use ebbtide::http::{ScopeLayer, wrap};
use ebbtide::{Scope, Scopes};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::error::Error;
use std::hint::black_box;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Builder;
use tower::Layer;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";
const BODY: &str = "hello";

/// Values that the handler makes.
const VALUES: [u64; 3] = [0, 16, 100];

struct Boxed {
    _value: [u64; 4],
    _next: Option<Box<Boxed>>,
}

fn boxed(values: u64) -> &'static str {
    let list = (0..values).fold(None, |next, i| Some(Box::new(Boxed { _value: [i; 4], _next: next })));
    drop(black_box(list));
    BODY
}

struct InArena<'s> {
    _value: [u64; 4],
    _next: Option<&'s InArena<'s>>,
}

fn in_arena(values: u64) -> &'static str {
    Scope::current().map_or(BODY, |scope| in_arena_of(&scope, values))
}

fn in_arena_of(scope: &Scope, values: u64) -> &'static str {
    let mut arena = scope.arena();
    let list = (0..values).fold(None, |next, i| Some(&*arena.alloc(InArena { _value: [i; 4], _next: next })));
    black_box(list);
    BODY
}

/// One request, and its response to the end.
async fn exchange(stream: &mut DuplexStream) {
    let mut response = [0; 1024];
    let mut length = 0;
    stream.write_all(REQUEST).await.expect("sent");
    while !response[..length].ends_with(BODY.as_bytes()) {
        length += stream.read(&mut response[length..]).await.expect("answered");
    }
}

fn bench<S, B>(group: &mut BenchmarkGroup<'_, WallTime>, name: String, service: S)
where
    S: HttpService<Incoming, ResBody = B, Error: Into<Box<dyn Error + Send + Sync>>, Future: Send> + Send + 'static,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>, Data: Send> + Send + 'static,
{
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let (mut client, server) = tokio::io::duplex(64 << 10);
    runtime.spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(server), service).await.is_ok() });
    group.bench_function(name, |b| b.iter(|| runtime.block_on(exchange(&mut client))));
}

fn hyper(c: &mut Criterion) {
    let mut group = c.benchmark_group("http/hyper");
    for values in VALUES {
        let scopes = Scopes::new();
        let answer = |body: &'static str| async move {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(body.as_bytes()))))
        };
        let scoped = move |_: Request<Incoming>| async move { answer(in_arena(values)).await };
        bench(&mut group, format!("ebbtide/{values}"), service_fn(move |request| wrap(&scopes, request, scoped)));
        let scopes: &Scopes = Box::leak(Box::new(Scopes::new()));
        let guarded = move |_: Request<Incoming>| async move {
            let request = scopes.begin();
            answer(in_arena_of(&request.scope(), values)).await
        };
        bench(&mut group, format!("ebbtide_guard/{values}"), service_fn(guarded));
        bench(&mut group, format!("bare/{values}"), service_fn(move |_: Request<Incoming>| answer(boxed(values))));
    }
}

fn axum(c: &mut Criterion) {
    let mut group = c.benchmark_group("http/axum");
    for values in VALUES {
        let router = || Router::new().route("/", get(move || async move { in_arena(values) }));
        let layered = router().layer(ScopeLayer::new());
        bench(&mut group, format!("ebbtide/{values}"), TowerToHyperService::new(layered));
        let around = ScopeLayer::new().layer(router());
        bench(&mut group, format!("ebbtide_around/{values}"), TowerToHyperService::new(around));
        let bare = Router::new().route("/", get(move || async move { boxed(values) }));
        bench(&mut group, format!("bare/{values}"), TowerToHyperService::new(bare));
    }
}

criterion_group!(benches, hyper, axum);
criterion_main!(benches);
