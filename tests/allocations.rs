//! How many heap allocations the common paths cost in steady state. A process of its own, since it counts.

use bytes::Bytes;
use ebbtide::bench::{AllocReport, CountingAllocator, live, peak, reset_peak, totals};
use ebbtide::{BufferPool, Chain, Interceptor, Pool, Pooled, Reset, Scopes, Verdict, assert_allocs};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

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
        let bytes = frozen();
        drop((bytes.clone(), bytes.slice(1..3)));
    });
    let (bytes, report) = AllocReport::of(|| frozen().into_bytes());
    assert_eq!((bytes, report.allocations), (Bytes::from_static(b"hello"), 1));
    assert!(report.bytes < 64, "{report:?}");
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

#[test]
fn a_chain_costs_nothing_in_steady_state() {
    let scopes = Scopes::new();
    let runner = Chain::new().with(Seen).with(Seen).with(Seen).with(Seen).with(Seen).runner();
    let request = || {
        let guard = scopes.begin();
        runner.run(&guard.scope(), 1, |request| request + 1)
    };
    (0..3).for_each(|_| assert_eq!(request(), 2));
    assert_allocs!(0, {
        for _ in 0..100 {
            request();
        }
    });
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
    assert_allocs!(0, { drop(Box::new([0u8; 100])) });
}
