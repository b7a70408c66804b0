//! The books by tag: what counts under a name, and what the books say of it.

use ebbtide::observe::{Dump, DumpDiff, Ledger, PoolEntry, TagEntry, tagged, tagged_future};
use ebbtide::{BufferPool, Pool, Pooled, Scopes};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

fn books(tag: &str) -> TagEntry {
    let mut found = TagEntry::default();
    Ledger::process().each_tag(|entry| {
        if entry.tag == tag {
            found = *entry;
        }
    });
    found
}

fn pools(name: &str) -> Vec<PoolEntry> {
    let mut found = Vec::new();
    Ledger::process().each_pool(|entry| {
        if entry.pool == name {
            found.push(*entry);
        }
    });
    found.sort_by_key(|entry| entry.class_bytes);
    found
}

#[test]
fn a_lease_counts_under_its_tag_until_it_is_back() {
    let pool = Pool::new(|| Vec::<u8>::with_capacity(1000));
    let lease = tagged("until back", || pool.get());
    let out = books("until back");
    assert_eq!((out.outstanding, out.taken, out.escaped), (1, 1, 0));
    assert!(out.outstanding_bytes >= 1000, "{out:?}");
    assert_eq!(out.outstanding_bytes, out.taken_bytes);
    drop(lease);
    let back = books("until back");
    assert_eq!((back.outstanding, back.outstanding_bytes, back.taken), (0, 0, 1));
    // The short way is open again: an idle one is taken, and nobody counts it.
    drop(pool.get());
    assert_eq!((pool.stats().made, books("until back").taken), (1, 1));
    // And under the name again, the same one.
    drop(tagged("until back", || pool.get()));
    assert_eq!((pool.stats().made, books("until back").taken), (1, 2));
}

#[test]
fn the_innermost_tag_counts_and_a_panic_restores_the_outer_one() {
    let pool = Pool::new(String::new);
    tagged("outer", || {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            tagged("inner", || {
                let _lease = pool.get();
                panic!("under inner");
            })
        }));
        assert!(caught.is_err());
        drop(pool.get());
    });
    drop(pool.get());
    assert_eq!((books("outer").taken, books("inner").taken), (1, 1));
    assert_eq!((books("outer").outstanding, books("inner").outstanding), (0, 0));
}

#[test]
fn a_lease_that_comes_back_on_another_thread_or_never_was_kept_is_settled() {
    let pool = Pool::builder().max_idle(0).build(String::new);
    let leases: Vec<_> = tagged("elsewhere", || (0..10).map(|_| pool.get()).collect());
    assert_eq!(books("elsewhere").outstanding, 10);
    thread::spawn(|| drop(leases)).join().unwrap();
    assert_eq!((books("elsewhere").outstanding, books("elsewhere").outstanding_bytes), (0, 0));
    // Threads take under names of their own.
    let taken = tagged("here", || thread::scope(|threads| threads.spawn(|| pool.get()).join().unwrap()));
    drop(taken);
    assert_eq!(books("here").taken, 0);
}

#[test]
fn what_has_escaped_is_told_by_pool_too() {
    let pool = Pool::builder().name("of what escapes").build(|| vec![0_u8; 1000]);
    let leases = [pool.get(), pool.get(), pool.get()];
    leases.into_iter().take(2).for_each(|lease| drop(Pooled::detach(lease)));
    let mut told = None;
    Ledger::process().each_pool(|entry| {
        if entry.pool == "of what escapes" {
            told = Some((entry.stats.escaped(), entry.escaped_bytes(), entry.stats.made_bytes));
        }
    });
    let (escaped, bytes, made) = told.expect("the pool is there");
    assert_eq!((escaped, bytes), (2, made * 2 / 3), "two of three alike");
    assert!(bytes >= 2 * 1000);
}

#[test]
fn an_escaped_value_is_no_longer_outstanding() {
    let pool = Pool::new(String::new);
    let text: String = Pooled::detach(tagged("escape", || pool.get()));
    let entry = books("escape");
    assert_eq!((entry.outstanding, entry.escaped, entry.outstanding_bytes), (0, 1, 0));
    assert_eq!(entry.escaped_bytes, entry.taken_bytes);
    // Its box serves the next one, unmarked.
    drop((text, pool.get()));
    assert_eq!(books("escape").taken, 1);
}

#[test]
fn bytes_are_those_of_the_capacity_also_of_a_buffer_that_is_not_kept() {
    let buffers = BufferPool::builder().max_buffer_bytes(4096).build();
    let (small, mut large) = tagged("capacity", || (buffers.get(3000), buffers.get(1 << 20)));
    let bytes = (small.capacity() + large.capacity()) as u64;
    let entry = books("capacity");
    assert!((bytes..bytes + 400).contains(&entry.outstanding_bytes), "{entry:?}");
    large.extend_from_slice(b"a byte at least");
    let frozen = large.freeze();
    let shared = frozen.clone();
    drop(frozen);
    assert_eq!(books("capacity").outstanding, 2, "the clone holds it");
    drop((small, shared.into_bytes()));
    assert_eq!((books("capacity").outstanding, books("capacity").outstanding_bytes), (0, 0));
}

#[test]
fn a_value_dropped_by_a_panic_is_settled() {
    let pool = Pool::new(String::new);
    let lease = tagged("in panic", || pool.get());
    let caught = catch_unwind(AssertUnwindSafe(move || {
        let _lease = lease;
        panic!("with a lease");
    }));
    assert!(caught.is_err());
    assert_eq!(books("in panic").outstanding, 0);
}

#[test]
fn names_that_are_equal_are_one_tag() {
    let pool = Pool::new(String::new);
    let twice: &'static str = Box::leak("same name".to_owned().into_boxed_str());
    drop(tagged("same name", || pool.get()));
    drop(tagged(twice, || pool.get()));
    assert_eq!(books("same name").taken, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_future_is_under_its_tag_in_each_poll_and_in_its_drop() {
    let pool = Pool::new(String::new);
    let lease = tagged_future("future", async {
        let first = pool.get();
        tokio::task::yield_now().await;
        drop(first);
        pool.get()
    })
    .await;
    assert_eq!((books("future").taken, books("future").outstanding), (2, 1));
    drop(lease);
    struct TakesInDrop(Pool<String>);
    impl Drop for TakesInDrop {
        fn drop(&mut self) {
            drop(self.0.get());
        }
    }
    let taking = TakesInDrop(pool.clone());
    drop(tagged_future("dropped", async move {
        let _taking = taking;
        std::future::pending::<()>().await;
    }));
    drop(pool.get());
    assert_eq!(books("dropped").taken, 1);
}

#[tokio::test]
async fn live_tasks_count_under_their_tag_over_all_scopes() {
    let (one, two) = (Scopes::new(), Scopes::new());
    let tasks = [one.tasks().spawn("waiting", std::future::pending::<()>()), {
        two.tasks().spawn("waiting", std::future::pending::<()>())
    }];
    assert_eq!(books("waiting").tasks, 2);
    for task in tasks {
        task.abort();
        assert!(task.await.is_err());
    }
    assert_eq!(books("waiting").tasks, 0);
}

#[test]
fn each_size_class_of_a_buffer_pool_has_an_entry_with_its_own_bytes() {
    let buffers = BufferPool::builder().name("by class").build();
    let (small, large) = (buffers.get(100), buffers.get(100_000));
    drop(buffers.get(100));
    let (small_bytes, large_bytes) = (small.capacity() as u64, large.capacity() as u64);
    let entries = pools("by class");
    let kept: Vec<_> = entries.iter().filter(|entry| entry.class_bytes > 0).collect();
    assert_eq!([kept[0].class_bytes, kept[1].class_bytes], [small_bytes, large_bytes]);
    assert_eq!([kept[0].stats.live, kept[1].stats.live], [2, 1]);
    let sum: u64 = entries.iter().map(|entry| entry.stats.charged_bytes).sum();
    assert_eq!(sum, buffers.stats().charged_bytes);
    assert_eq!([kept[0].idle_bytes(), kept[0].outstanding_bytes()], [small_bytes; 2]);
    assert_eq!(kept[1].idle_bytes(), 0);
    drop((small, large));
    assert_eq!(pools("by class").iter().map(PoolEntry::outstanding_bytes).sum::<u64>(), 0);
}

#[test]
fn buffers_beyond_the_bounds_count_while_they_are_out() {
    let buffers = BufferPool::builder().name("beyond").max_idle_bytes(1 << 20).build();
    let held: Vec<_> = (0..10).map(|_| buffers.get(1 << 19)).collect();
    assert_eq!(pools("beyond").iter().map(PoolEntry::outstanding_bytes).sum::<u64>(), 10 << 19);
    drop(held);
}

#[test]
fn a_dump_has_the_largest_first_and_a_difference_what_grew_most() {
    let buffers = BufferPool::builder().name("dumped").build();
    let (mut before, mut after, mut diff) = (Dump::new(), Dump::new(), DumpDiff::new());
    let kept = tagged("dump: steady", || buffers.get(1 << 20));
    before.take();
    let grown: Vec<_> = (0..5).map(|_| tagged("dump: grows", || buffers.get(10_000))).collect();
    after.take();
    let place = |dump: &Dump, name| dump.tags().iter().position(|tag| tag.tag == name);
    assert!(place(&after, "dump: steady") < place(&after, "dump: grows"));
    diff.take(&before, &after);
    let of = |name| diff.tags().iter().find(|row| row.name == name);
    assert_eq!(of("dump: grows").map(|row| row.values), Some(5));
    assert_eq!(of("dump: steady"), None, "it has not changed");
    let text = diff.to_string();
    let line = text.lines().find(|line| line.starts_with("dump: grows")).expect("a row");
    assert!(line.split_whitespace().nth(2) == Some("+5"), "{line}");
    drop((kept, grown));
    before.take();
    diff.take(&after, &before);
    let of = |name| diff.tags().iter().find(|row| row.name == name);
    assert_eq!(of("dump: grows").map(|row| row.values), Some(-5));
    let rows = before.to_string();
    let cells: Vec<Vec<_>> = rows.lines().map(|row| row.split_whitespace().collect()).collect();
    assert!(cells.iter().any(|row| row.starts_with(&["dump:", "steady", "0", "0"])), "{rows}");
    assert!(cells.iter().any(|row| row.starts_with(&["dumped", "1048576", "0", "0", "1"])), "{rows}");
}

#[test]
fn the_dump_that_was_taken_first_is_the_earlier_one() {
    let buffers = BufferPool::new();
    let (mut before, mut after) = (Dump::new(), Dump::new());
    before.take();
    // A tag that the earlier one does not know.
    let held = tagged("dump: in order", || buffers.get(4096));
    after.take();
    for (one, other) in [(&before, &after), (&after, &before)] {
        let mut diff = DumpDiff::new();
        diff.take(one, other);
        let row = diff.tags().iter().find(|row| row.name == "dump: in order").expect("it has grown");
        assert_eq!((row.values, row.idle_bytes), (1, 0));
    }
    let bytes = i64::try_from(held.capacity()).unwrap();
    drop(held);
    before.take();
    let mut diff = DumpDiff::new();
    diff.take(&before, &after);
    let row = diff.tags().iter().find(|row| row.name == "dump: in order").expect("it has changed");
    assert!(row.values == -1 && row.idle_bytes >= bytes && row.bytes == -row.idle_bytes, "{row:?}");
    let text = before.to_string();
    let row = text.lines().find(|line| line.starts_with("dump: in order")).expect("a row");
    let cells: Vec<_> = row["dump: in order".len()..].split_whitespace().collect();
    assert_eq!(cells[..3], ["0", "0", "1"], "{text}");
}

#[test]
fn dumps_keep_their_distance_in_time() {
    let mut dump = Dump::new().every(Duration::from_secs(5));
    let begin = Instant::now();
    let taken = [0, 4, 5, 9, 10, 8].map(|second| dump.take_at(begin + Duration::from_secs(second)));
    assert_eq!((taken, dump.withheld()), ([true, false, true, false, true, false], 3));
}

#[test]
fn a_buffer_under_a_tag_goes_back_in_a_panic_as_any_other() {
    let buffers = BufferPool::new();
    for tag in ["", "buffer in panic"] {
        let mut buffer = if tag.is_empty() { buffers.get(100) } else { tagged(tag, || buffers.get(100)) };
        buffer.extend_from_slice(b"half done");
        let caught = catch_unwind(AssertUnwindSafe(move || {
            let _buffer = buffer;
            panic!("with a buffer");
        }));
        assert!(caught.is_err());
        assert_eq!((buffers.stats().idle, books("buffer in panic").outstanding), (1, 0), "{tag}");
    }
}
