//! How many heap allocations the common paths cost in steady state. A process of its own, since it counts.

use bytes::Bytes;
use ebbtide::bench::{AllocReport, CountingAllocator, live, peak, reset_peak, totals};
use ebbtide::http::AccessLog;
use ebbtide::intercept::{Links, Next, Runner};
use ebbtide::observe::{Ledger, Snapshot};
use ebbtide::{
    Around, BufferPool, Chain, DynAroundChain, DynChain, Interceptor, Pool, Pooled, Reset, Scope, Scopes, Verdict,
    assert_allocs,
};
use http::{HeaderName, HeaderValue};
use http_body_util::{BodyExt, Empty, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

#[test]
fn a_scrape_costs_nothing_once_its_memory_is_there() {
    let pool = Pool::builder().name("scraped").build(|| Vec::<u8>::with_capacity(4096));
    let lease = pool.get();
    let (mut snapshot, mut text) = (Snapshot::new(), String::with_capacity(1 << 20));
    let mut scrape = || {
        text.clear();
        snapshot.take(&Ledger::process());
        snapshot.write_prometheus(&mut text)
    };
    scrape().unwrap();
    // Tests on other threads begin pools too: a name that is new costs an entry.
    let least = (0..100).map(|_| AllocReport::of(&mut scrape).1.allocations).min();
    assert_eq!(least, Some(0));
    drop(lease);
}

#[test]
fn a_pooled_value_costs_nothing_once_it_is_there() {
    let pool = Pool::new(|| Vec::<u8>::with_capacity(4096));
    drop(pool.get());
    assert_allocs!(0, {
        for _ in 0..100 {
            pool.get().extend_from_slice(&[1; 4096]);
        }
    });
}

#[test]
fn a_detached_value_leaves_its_box_to_the_next_one() {
    let pool = Pool::new(|| Vec::<u8>::with_capacity(4096));
    let lose = || drop(Pooled::detach(pool.get()));
    lose();
    assert_allocs!(100, { (0..100).for_each(|_| lose()) });
}

/// Allocations that it takes to make values after as many were detached.
fn made_after_detached(values: usize, room: usize) -> usize {
    let pool = Pool::new(move || Vec::<u8>::with_capacity(room));
    let mut leases = Vec::with_capacity(values);
    leases.extend((0..values).map(|_| pool.get()));
    leases.drain(..).for_each(|lease| drop(Pooled::detach(lease)));
    let (_, report) = AllocReport::of(|| leases.extend((0..values).map(|_| pool.get())));
    usize::try_from(report.allocations).unwrap()
}

#[test]
fn of_many_detached_values_64_leave_their_boxes_and_of_large_ones_none() {
    assert_eq!(made_after_detached(1000, 100), 1000 + (1000 - 64));
    assert_eq!(made_after_detached(10, 9000), 2 * 10);
}

#[test]
fn a_freeze_cycle_costs_nothing_and_into_bytes_one_small_box() {
    let pool = BufferPool::new();
    let frozen = || {
        let mut buffer = pool.get(4096);
        buffer.extend_from_slice(b"hello");
        buffer.freeze()
    };
    drop(frozen());
    assert_allocs!(0, {
        for _ in 0..100 {
            let mut bytes = frozen();
            drop((bytes.clone(), bytes.slice(1..3), bytes.slice_ref(&bytes[2..]), bytes.split_to(2)));
            let mut buffer = bytes.try_into_mut().unwrap();
            buffer.extend_from_slice(b"again");
            drop(buffer.freeze());
        }
    });
    let (bytes, report) = AllocReport::of(|| frozen().into_bytes());
    assert_eq!((bytes, report.allocations), (Bytes::from_static(b"hello"), 1));
    assert!(report.bytes < 64, "{report:?}");
}

/// Allocations of a hyper server and its client, both on this thread, in fifty requests whose response is `body`.
fn allocations_served<B: bytes::Buf + Send + 'static>(body: impl Fn() -> B + Clone + Send + 'static) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (client, server) = tokio::io::duplex(64 << 10);
    let service = service_fn(move |_: Request<hyper::body::Incoming>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::new(body()))))
    });
    runtime.spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(server), service).await });
    let (mut client, connection) =
        runtime.block_on(hyper::client::conn::http1::handshake(TokioIo::new(client))).expect("a connection");
    runtime.spawn(connection);
    let mut requests = |count: usize| {
        runtime.block_on(async {
            for _ in 0..count {
                client.ready().await.unwrap();
                let response = client.send_request(Request::new(Empty::<Bytes>::new())).await.unwrap();
                let mut body = response.into_body();
                let mut arrived = 0;
                while let Some(frame) = body.frame().await {
                    arrived += frame.unwrap().data_ref().map_or(0, Bytes::len);
                }
                assert_eq!(arrived, SERVED.len());
            }
        });
    };
    requests(20);
    // Now and then there is one more, once: what requests cost is the least.
    (0..3).map(|_| AllocReport::of(|| requests(50)).1.allocations).min().expect("three")
}

const SERVED: &[u8] = &[7; 1000];

#[test]
fn hyper_serves_frozen_bytes_at_no_allocation_of_their_own() {
    let pool = BufferPool::new();
    let frozen = move || {
        let mut buffer = pool.get(SERVED.len());
        buffer.extend_from_slice(SERVED);
        buffer.freeze()
    };
    // What costs nothing itself, so that the rest is hyper's.
    let least = allocations_served(|| SERVED);
    assert_eq!(allocations_served(frozen.clone()), least);
    assert_eq!(allocations_served(move || frozen().into_bytes()), least + 50, "one small box each");
}

#[derive(Default)]
struct Parser(Vec<u32>);

impl Reset for Parser {
    fn reset(&mut self) -> Verdict {
        self.0.reset()
    }
}

#[test]
fn a_request_costs_nothing_in_steady_state() {
    let scopes = Scopes::new();
    let pool = Pool::new(Parser::default);
    let request = || {
        let guard = scopes.begin();
        let scope = guard.handle().enter().unwrap();
        let mut arena = scope.arena();
        for number in 0..10u64 {
            arena.alloc(number);
        }
        arena.alloc_str("some text");
        scope.lease(&pool).0.push(1);
        scope.local::<String>().unwrap().push('x');
        scope.on_end(|_| ());
        scope.on_end(|_| ()).cancel();
        scope.on_end(|_| ()).run_now();
        drop(scope.boxed(std::future::ready(1)).erased());
    };
    (0..3).for_each(|_| request());
    assert_allocs!(0, {
        for _ in 0..100 {
            request();
        }
    });
}

#[test]
fn an_empty_request_costs_nothing_in_steady_state() {
    let scopes = Scopes::new();
    drop(scopes.begin());
    assert_allocs!(0, {
        for _ in 0..1000 {
            drop(scopes.begin());
        }
    });
}

#[test]
fn a_vector_that_ends_with_the_request_counts_as_use_beside_a_second_cursor() {
    let scopes = Scopes::new();
    let request = || {
        let guard = scopes.begin();
        let scope = guard.scope();
        let (mut list, mut texts) = (scope.arena(), scope.arena());
        // Dropped before the request ends: its block goes back to its lane, which the next request needs all the same.
        let mut entries = list.vec::<&str>(1000);
        entries.extend((0..200).map(|_| &*texts.alloc_str("some thirty bytes of text each")));
        assert_eq!(entries.len(), 200);
    };
    (0..3).for_each(|_| request());
    assert_allocs!(0, { (0..100).for_each(|_| request()) });
}

#[test]
fn a_typical_request_costs_nothing_from_its_slots_second_one_on() {
    let scopes = Scopes::new();
    let pool = Pool::new(Parser::default);
    let request = |bytes: usize| {
        let guard = scopes.begin();
        let scope = guard.handle().enter().unwrap();
        let mut arena = scope.arena();
        for number in 0..10_u64 {
            arena.alloc(number);
        }
        arena.alloc_slice_fill_with(bytes, |_| 0_u8);
        scope.lease(&pool).0.push(1);
        scope.on_end(|_| ());
    };
    request(30_000);
    // The block that it kept may not do for all of it. The next one begins with one that does.
    request(30_000);
    for bytes in [30_000, 100, 20_000, 30_000] {
        assert_allocs!(0, { (0..100).for_each(|_| request(bytes)) });
    }
    // A large one pays for blocks of its own. The one after it begins with a block of the usual size.
    let (_, report) = AllocReport::of(|| request(3_000_000));
    assert!((1..=4).contains(&report.allocations), "{report:?}");
    let (_, report) = AllocReport::of(|| request(30_000));
    assert_eq!(report.allocations, 1, "{report:?}");
    assert!((30_000..70_000).contains(&report.bytes), "{report:?}");
    assert_allocs!(0, { (0..100).for_each(|_| request(30_000)) });
}

struct Seen;

impl Interceptor<u32, u32> for Seen {
    type State = Vec<u32>;

    fn before(&self, state: &mut Vec<u32>, _: &ebbtide::Scope, request: &mut u32) -> std::ops::ControlFlow<u32> {
        state.push(*request);
        std::ops::ControlFlow::Continue(())
    }
}

fn costs_nothing(runner: &Runner<impl Links<u32, u32>, u32, u32>) {
    let scopes = Scopes::new();
    let request = || {
        let guard = scopes.begin();
        runner.run(&guard.scope(), 1, |request| request + 1)
    };
    (0..3).for_each(|_| assert_eq!(request(), 2));
    assert_allocs!(0, { (0..100).for_each(|_| assert_eq!(request(), 2)) });
}

#[test]
fn a_chain_costs_nothing_in_steady_state() {
    costs_nothing(&Chain::new().with(Seen).with(Seen).with(Seen).with(Seen).with(Seen).runner());
    let mut chain = DynChain::default();
    for _ in 0..5 {
        chain.push(Seen);
    }
    costs_nothing(&chain.runner());
}

#[test]
fn a_chain_that_waits_costs_nothing_in_steady_state() {
    let scopes = Scopes::new();
    let runner = Chain::new().with(Seen).with(Seen).with(Seen).with(Seen).with(Seen).around_runner();
    let request = || {
        let guard = scopes.begin();
        let scope = guard.scope();
        let answer = runner.run(scope.clone(), 1, |request| async move { Ok::<_, ()>(request + 1) });
        let mut boxed = scope.boxed(answer).erased();
        Pin::new(&mut boxed).poll(&mut Context::from_waker(Waker::noop()))
    };
    (0..3).for_each(|_| assert_eq!(request(), Poll::Ready(Ok(2))));
    assert_allocs!(0, { (0..100).for_each(|_| assert_eq!(request(), Poll::Ready(Ok(2)))) });
}

#[test]
fn a_dynamic_chain_that_waits_costs_a_box_for_each_that_waits_and_one_for_the_handler() {
    let scopes = Scopes::new();
    let mut chain = DynAroundChain::default();
    chain.push(Seen).push_around(Waits).push(Seen).push_around(Waits).push(Seen);
    let runner = chain.around_runner();
    let request = || {
        let guard = scopes.begin();
        let answer = std::pin::pin!(runner.run(guard.scope(), 1, |request| async move { Ok::<_, ()>(request + 1) }));
        answer.poll(&mut Context::from_waker(Waker::noop()))
    };
    (0..3).for_each(|_| assert_eq!(request(), Poll::Ready(Ok(2))));
    assert_allocs!(300, { (0..100).for_each(|_| assert_eq!(request(), Poll::Ready(Ok(2)))) });
}

/// Waits for what is inside of it.
struct Waits;

impl Around<u32, u32> for Waits {
    type State = Vec<u32>;
    async fn around<N: Next<u32, u32>>(
        &self,
        seen: &mut Vec<u32>,
        _: &Scope,
        request: u32,
        next: N,
    ) -> Result<u32, N::Error> {
        seen.push(request);
        next.run(request).await
    }
}

#[test]
fn the_access_log_allocates_the_response_header_and_nothing_else() {
    let (scopes, runner) = (Scopes::new(), Chain::new().with(AccessLog::new()).runner());
    let logged = || {
        let guard = scopes.begin();
        runner.run(&guard.scope(), Request::new(()), |_| Response::new(()))
    };
    let plain = || {
        let mut response = Response::new(());
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-request-id"), HeaderValue::from_str("0123456789abcdef").unwrap());
        response
    };
    (0..3).for_each(|_| assert_eq!(logged().headers().len(), 1));
    let [logged, plain] = [AllocReport::of(logged).1, AllocReport::of(plain).1];
    assert_eq!(logged.allocations, plain.allocations, "{logged:?} {plain:?}");
}

#[test]
fn live_and_peak_follow_the_heap() {
    // Other tests run meanwhile, and a panic among them reads debug symbols: only a block that dwarfs what they hold can
    // be told apart. It is never touched.
    const LARGE: u64 = 4 << 30;
    reset_peak();
    let before = (live(), totals());
    let block = std::hint::black_box(Vec::<u8>::with_capacity(LARGE as usize));
    assert!(live() >= before.0 + LARGE / 2);
    drop(block);
    assert!(peak() >= before.0 + LARGE / 2 && live() < before.0 + LARGE / 2);
    assert!(totals().since(before.1).bytes >= LARGE);
}

#[test]
#[should_panic = "allocations"]
fn the_assertion_can_fail() {
    // Unseen by the optimiser, which leaves out a box that nobody looks at.
    assert_allocs!(0, { drop(std::hint::black_box(Box::new([0u8; 100]))) });
}
