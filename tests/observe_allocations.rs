//! What watching costs in heap allocations: none, once its memory is there. A process of its own, since it counts; one test, for
//! there is one leak detector.

use ebbtide::bench::{AllocReport, CountingAllocator};
use ebbtide::observe::{Dump, DumpDiff, LeakDetector, Ledger, tagged};
use ebbtide::request::with_current;
use ebbtide::{BufferPool, Pool, Scopes};
use std::fmt::{self, Write};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// Counts what is written.
#[derive(Default)]
struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

fn allocations(f: impl FnOnce()) -> u64 {
    AllocReport::of(f).1.allocations
}

#[test]
fn watching_allocates_nothing_once_its_memory_is_there() {
    let (scopes, pool, buffers) = (Scopes::new(), Pool::new(|| vec![0_u8; 100]), BufferPool::new());
    let request = || {
        let request = scopes.begin();
        with_current(&mut Some(request.handle()), || {
            tagged("allocations", || {
                for _ in 0..8 {
                    drop((pool.get(), buffers.get(500)));
                }
            });
            for _ in 0..8 {
                drop((pool.get(), buffers.get(500)));
            }
        });
    };
    request();
    assert_eq!(allocations(|| (0..1000).for_each(|_| request())), 0, "tags, books and audits");

    let leaks = LeakDetector::new().with_sampling(256).with_age(Duration::from_secs(60));
    let now = Instant::now();
    let sampled = || {
        (0..1000).for_each(|_| request());
        leaks.poll(now, |_| ());
    };
    sampled();
    assert_eq!(allocations(sampled), 0, "a sampled lease, and a poll without an alarm");

    let (mut before, mut after, mut diff) = (Dump::new(), Dump::new(), DumpDiff::new());
    let held = tagged("held for a dump", || buffers.get(1 << 20));
    let mut written = Length::default();
    before.take();
    let dumping = allocations(|| {
        after.take();
        write!(written, "{after}").unwrap();
        diff.take(&before, &after);
        write!(written, "{diff}").unwrap();
        Ledger::process().each_imbalance(|_| ());
    });
    assert!(dumping == 0 && written.0 > 100, "a dump, its difference, and their tables");
    drop(held);

    let lost: Vec<_> = (0..3).map(|_| leaves_one_out(&scopes, &pool)).collect();
    drop(lost);
    let mut kept = None;
    assert_eq!(allocations(|| kept = Some(leaves_one_out(&scopes, &pool))), 0, "a request out of balance");
}

fn leaves_one_out(scopes: &Scopes, pool: &Pool<Vec<u8>>) -> ebbtide::Pooled<Vec<u8>> {
    let request = scopes.begin();
    with_current(&mut Some(request.handle()), || tagged("left out", || pool.get()))
}
