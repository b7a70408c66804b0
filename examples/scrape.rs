//! What a scrape of 1,000 tags, taken under on 8 threads, and 100 pools costs: the median of 201, and what it allocates.
//!
//! `cargo run --release --example scrape`

use ebbtide::Pool;
use ebbtide::bench::{AllocReport, CountingAllocator};
use ebbtide::observe::{Ledger, Snapshot, tagged};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

fn names(what: &str, count: usize) -> impl Iterator<Item = &'static str> {
    (0..count).map(move |number| &*format!("{what}/number-{number}").leak())
}

fn main() {
    let tags: Vec<_> = names("tag", 1000).collect();
    let pools: Vec<_> =
        names("pool", 100).map(|name| Pool::builder().name(name).build(|| Vec::<u8>::with_capacity(4096))).collect();
    let take_all =
        || -> Vec<_> { tags.iter().zip(pools.iter().cycle()).map(|(tag, pool)| tagged(tag, || pool.get())).collect() };
    // Each thread has books of its own, which a reading adds up.
    let leases = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(take_all)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread that takes")).collect::<Vec<_>>()
    });

    let (mut snapshot, mut text) = (Snapshot::new(), String::new());
    let mut scrape = || {
        snapshot.take(&Ledger::process());
        text.clear();
        snapshot.write_prometheus(&mut text).expect("a string takes everything");
        text.len()
    };
    let bytes = scrape();
    let (_, report) = AllocReport::of(&mut scrape);
    let mut nanos: Vec<_> = (0..201)
        .map(|_| {
            let began = Instant::now();
            std::hint::black_box(scrape());
            began.elapsed().as_nanos()
        })
        .collect();
    nanos.sort_unstable();
    println!("{bytes} bytes, median {} us, {} allocations", nanos[100] / 1000, report.allocations);
    drop(leases);
}
