//! A monitor allocates nothing from sample to sample. A process of its own, since its allocator counts.

use ebbtide::bench::{CountingAllocator, is_counting, totals};
use ebbtide::observe::{LeakDetector, Monitor, Subject};
use ebbtide::{BufferPool, Pool};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// Allocations of 1,000 samples, 250 ms apart: four windows close, and periods are looked for.
fn allocations(monitor: &Monitor, begin: Instant) -> u64 {
    let before = totals();
    (0..1000).for_each(|sample| monitor.sample_at(begin + Monitor::PERIOD * sample));
    totals().since(before).allocations
}

#[test]
fn a_sample_allocates_nothing_in_steady_state() {
    assert!(is_counting());
    let (pool, buffers) = (Pool::new(Vec::<u8>::new), BufferPool::new());
    drop((pool.get(), buffers.get(1000)));
    let process = Monitor::new();

    let names: Vec<&'static str> = (0..1000).map(|name| &*format!("tag {name}").leak()).collect();
    let mut sample = 0;
    let source = move |note: &mut dyn FnMut(Subject, u64)| {
        sample += 1;
        // Another order each time, and a few that are missing.
        let order = (0..names.len()).map(|place| names[(place * 7 + sample) % names.len()]);
        order.skip(sample % 3).for_each(|name| note(Subject::Tag(name), 1_000_000 + sample as u64 % 1000));
    };
    let thousand = Monitor::builder().build_on(source).expect("default rules");

    let detector = Arc::new(LeakDetector::new().with_sampling(256));
    let leaks =
        Monitor::builder().leaks(detector).build_on(|_: &mut dyn FnMut(Subject, u64)| ()).expect("default rules");
    let old: Vec<_> = (0..1000).map(|_| pool.get()).collect();

    let begin = Instant::now();
    for monitor in [&process, &thousand, &leaks] {
        // Two hours, so that there is a history in which a period is looked for.
        (0..1440).for_each(|sample| monitor.sample_at(begin + Duration::from_secs(5 * sample)));
        assert_eq!(allocations(monitor, begin + Duration::from_secs(5 * 1440)), 0);
    }
    assert_eq!(thousand.stats().subjects, 1000);
    assert_eq!(leaks.alarms().len(), 1, "it had something to look at");
    drop(old);
}
