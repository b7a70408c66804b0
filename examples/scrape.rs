//! What a scrape of 1,000 tags and 100 pools costs: the median of 201, and what it allocates.
//!
//! `cargo run --release --example scrape`

use ebbtide::Pool;
use ebbtide::bench::{AllocReport, CountingAllocator};
use ebbtide::observe::{Ledger, Snapshot, TagEntry};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

fn named<T>(what: &'static str, make: impl FnMut(&'static str) -> T) -> Vec<T> {
    let count = if what == "tag" { 1000 } else { 100 };
    (0..count).map(|number| &*format!("{what}/number-{number}").leak()).map(make).collect()
}

fn main() {
    let tags = named("tag", |tag| {
        let mut entry = TagEntry::default();
        (entry.tag, entry.outstanding_bytes, entry.taken) = (tag, 123_456, 98_765_432);
        entry
    });
    let pools = named("pool", |name| Pool::builder().name(name).build(|| Vec::<u8>::with_capacity(4096)));
    let leases: Vec<_> = pools.iter().map(Pool::get).collect();

    let (mut snapshot, mut text) = (Snapshot::new(), String::new());
    let mut scrape = || {
        snapshot.take(&Ledger::process());
        tags.iter().for_each(|tag| snapshot.add_tag(tag));
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
