//! A monitor of real pools. A process of its own, since the books are the process's.

use ebbtide::observe::{Monitor, Rule, Subject, tagged};
use ebbtide::{BufferPool, Pool};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

#[test]
fn what_leaks_beyond_the_bounds_of_a_pool_is_seen() {
    let pool = Pool::builder().name("parsers").max_idle(10).build(|| Vec::<u8>::with_capacity(65_536));
    let buffers = BufferPool::builder().max_idle_bytes(1 << 20).build();
    let monitor = Monitor::new();
    let begin = Instant::now();
    let (mut values, mut bodies) = (Vec::new(), Vec::new());
    // 0.46 MB/s each, and nothing is written into them.
    for second in 0..400 {
        tagged("parsing", || values.extend((0..7).map(|_| pool.get())));
        tagged("uploads", || bodies.extend((0..7).map(|_| buffers.get(65_536))));
        drop(tagged("requests", || (pool.get(), buffers.get(100))));
        monitor.sample_at(begin + Duration::from_secs(second));
    }
    let alarms = monitor.alarms();
    assert!(alarms.iter().all(|alarm| alarm.rule() == Rule::SlowLeak), "{alarms:?}");
    let subjects: BTreeSet<_> = alarms.iter().map(|alarm| alarm.subject).collect();
    let tags = ["parsing", "uploads"].map(Subject::Tag);
    let pools = ["parsers", "buffers"].map(Subject::Pool);
    assert_eq!(subjects, tags.into_iter().chain(pools).chain([Subject::Process]).collect());
}
