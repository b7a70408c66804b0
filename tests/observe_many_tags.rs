//! More names than the books keep apart, from many threads. A process of its own, since names stay.

use ebbtide::Pool;
use ebbtide::observe::{Dump, Ledger, TagEntry, tagged};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

fn entries() -> Vec<TagEntry> {
    let mut entries = Vec::new();
    Ledger::process().each_tag(|entry| entries.push(*entry));
    entries
}

#[test]
fn names_beyond_the_first_count_together_and_nothing_is_counted_twice_or_below_zero() {
    const NAMES: usize = 3000;
    const THREADS: usize = 4;
    // The same names from other places, as another crate has them.
    let names = || -> Vec<&'static str> { (0..NAMES).map(|name| &*format!("tag {name}").leak()).collect() };
    let pool = Pool::new(String::new);
    let done = AtomicBool::new(false);
    // A user's own tag is not to be taken for all others.
    let of_the_user = [(); 2].map(|()| tagged("(others)", || pool.get()));
    assert_eq!(
        entries().into_iter().map(|entry| (entry.tag, entry.taken)).collect::<Vec<_>>(),
        [("(others), by name", 2)]
    );
    drop(of_the_user);
    let leases: Vec<_> = thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Relaxed) {
                for entry in entries() {
                    assert!(entry.outstanding <= (THREADS * 2 * NAMES) as u64, "{entry:?}");
                }
            }
        });
        let taking = |_| {
            let (pool, names) = (&pool, names());
            threads.spawn(move || {
                let mut kept = Vec::new();
                for name in names {
                    drop(tagged(name, || pool.get()));
                    kept.push(tagged(name, || pool.get()));
                }
                kept
            })
        };
        let taking: Vec<_> = (0..THREADS).map(taking).collect();
        let leases = taking.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        done.store(true, Relaxed);
        leases
    });
    let all: Vec<_> = entries().into_iter().filter(|entry| entry.tag != "(others), by name").collect();
    assert_eq!(all.len(), 1022);
    let (others, own): (Vec<TagEntry>, Vec<_>) = all.into_iter().partition(|entry| entry.tag == "(others)");
    assert_eq!((others.len(), own.len()), (1, 1021));
    assert!(own.iter().all(|entry| (entry.taken, entry.outstanding) == (2 * THREADS as u64, THREADS as u64)));
    let beyond = ((NAMES - 1021) * THREADS) as u64;
    assert_eq!((others[0].taken, others[0].outstanding), (2 * beyond, beyond));
    let mut dump = Dump::new();
    dump.take();
    assert_eq!(dump.tags().len(), 1023);
    drop(leases);
    assert!(entries().iter().all(|entry| (entry.outstanding, entry.outstanding_bytes) == (0, 0)));
}
