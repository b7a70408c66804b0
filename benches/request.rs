//! What a request costs by itself: its slot, its scope, its layer, its interceptors.

mod allocator;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use ebbtide::http::ScopeLayer;
use ebbtide::{Chain, Interceptor, Pool, Scope, Scopes};
use http::{Request, Response};
use http_body_util::Full;
use std::convert::Infallible;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tower::{Layer, Service, service_fn};

/// Small values of a request.
const VALUES: u64 = 10;

fn slot(c: &mut Criterion) {
    let mut group = c.benchmark_group("request");
    let (scopes, pool) = (Scopes::new(), Pool::new(String::new));
    group.bench_function("empty/ebbtide", |b| b.iter(|| black_box(scopes.begin())));
    group.bench_function("small/ebbtide", |b| {
        b.iter(|| {
            let request = scopes.begin();
            let scope = request.handle().enter().expect("not ended");
            let mut arena = scope.arena();
            (0..VALUES).for_each(|i| _ = black_box(arena.alloc([i; 4])));
            scope.lease(&pool).push('x');
            scope.on_end(|ending| _ = black_box(ending.outcome()));
        });
    });
    group.bench_function("small/heap", |b| {
        b.iter(|| {
            let mut values = Vec::with_capacity(VALUES as usize);
            values.extend((0..VALUES).map(|i| Box::new([i; 4])));
            black_box((values, String::from('x')));
            // A plain cleanup is a guard on the stack, which costs nothing.
        });
    });
}

/// Runs a future that is ready at once.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("these services do not wait"),
    }
}

async fn handler(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))
}

fn layer(c: &mut Criterion) {
    let mut group = c.benchmark_group("request/layer");
    let mut layered = ScopeLayer::new().layer(service_fn(handler));
    group.bench_function("ebbtide", |b| b.iter(|| black_box(ready(layered.call(Request::new(()))))));
    let mut bare = service_fn(handler);
    group.bench_function("bare", |b| b.iter(|| black_box(ready(bare.call(Request::new(()))))));
}

/// Counts in its state, which is the least that an interceptor with a state can do.
struct Count;

impl Interceptor<u64, u64> for Count {
    type State = Vec<u64>;

    fn before(&self, seen: &mut Vec<u64>, _: &Scope, request: &mut u64) -> ControlFlow<u64> {
        seen.push(*request);
        ControlFlow::Continue(())
    }

    fn after(&self, seen: &mut Vec<u64>, _: &Scope, response: &mut u64) {
        *response += seen.len() as u64;
    }
}

fn chain(c: &mut Criterion) {
    let mut group = c.benchmark_group("request/chain");
    let scopes = Scopes::new();
    let five = Chain::new().with(Count).with(Count).with(Count).with(Count).with(Count).runner();
    group.bench_function("five", |b| {
        b.iter(|| {
            let request = scopes.begin();
            five.run(&request.scope(), black_box(7), black_box)
        });
    });
    let none = Chain::new().runner::<u64, u64>();
    group.bench_function("no_interceptor", |b| {
        b.iter(|| {
            let request = scopes.begin();
            none.run(&request.scope(), black_box(7), black_box)
        });
    });
    group.bench_function("no_chain", |b| {
        b.iter(|| {
            let request = scopes.begin();
            let _scope = request.scope();
            black_box(black_box(7_u64))
        });
    });
}

criterion_group!(benches, slot, layer, chain);
criterion_main!(benches);
