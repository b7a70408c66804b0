//! Every way in which a lease under a tag may end, of every kind of pool: each taken is settled once, and bounds are whole.

use ebbtide::observe::{LeakScope, Ledger, TagEntry, tagged};

use ebbtide::{BufferPool, Pool, PoolDebug, Pooled, PooledBuf, Scopes};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

const TAG: &str = "each way";

fn books() -> TagEntry {
    let mut found = TagEntry::default();
    Ledger::process().each_tag(|entry| {
        if entry.tag == TAG {
            found = *entry;
        }
    });
    found
}

fn assert_settled(way: usize) {
    let books = books();
    assert_eq!((books.outstanding, books.outstanding_bytes), (0, 0), "way {way}: {books:?}");
}

/// Ends a lease, in each of some ways.
fn end<L: Send + 'static>(lease: L, way: usize) {
    thread_local! {
        static KEPT: RefCell<Vec<Box<dyn std::any::Any>>> = const { RefCell::new(Vec::new()) };
    }
    match way {
        0 => drop(lease),
        1 => thread::spawn(move || drop(lease)).join().unwrap(),
        2 => {
            let caught = catch_unwind(AssertUnwindSafe(move || {
                let _lease = lease;
                panic!("with a lease");
            }));
            assert!(caught.is_err());
        }
        // In a destructor of the thread's, before and after its number is given back.
        3 => thread::spawn(move || {
            KEPT.with_borrow_mut(|kept| kept.push(Box::new(lease)));
            drop(Pool::new(String::new).get());
        })
        .join()
        .unwrap(),
        4 => thread::spawn(move || {
            drop(Pool::new(String::new).get());
            KEPT.with_borrow_mut(|kept| kept.push(Box::new(lease)));
        })
        .join()
        .unwrap(),
        _ => tagged("another", || drop(lease)),
    }
}
const WAYS: usize = 6;

const NONE: PoolDebug = PoolDebug::none();

fn values<T: Send + 'static>(pool: impl Fn() -> Pool<T>) {
    for way in 0..WAYS + 3 {
        for end_of_pool in [|_: &Pool<T>| (), |pool: &Pool<T>| pool.close()] {
            let pool = pool();
            for _ in 0..2 {
                let leaks = LeakScope::enter();
                let lease = tagged(TAG, || pool.get());
                assert_eq!(books().outstanding, 1, "way {way}");
                match way.checked_sub(WAYS) {
                    None => end(lease, way),
                    Some(0) => drop(Pooled::detach(lease)),
                    Some(poisoned) => {
                        drop(lease);
                        let request = Scopes::new().begin();
                        tagged(TAG, || {
                            request.scope().lease(&pool);
                        });
                        if poisoned == 2 {
                            request.poison();
                        }
                    }
                }
                assert_settled(way);
                assert_eq!(pool.stats().outstanding(), 0);
                leaks.check();
            }
            let lease = tagged(TAG, || pool.get());
            end_of_pool(&pool);
            drop(pool);
            end(lease, way % WAYS);
            assert_settled(way);
        }
    }
}

fn buffers(pool: impl Fn() -> BufferPool) {
    for bytes in [0, 100, 5000, 1 << 19] {
        for way in 0..WAYS * 4 {
            let pool = pool();
            for _ in 0..2 {
                let leaks = LeakScope::enter();
                let mut buffer: PooledBuf = tagged(TAG, || pool.get(bytes));
                buffer.extend_from_slice(b"x");
                match way / WAYS {
                    0 => end(buffer, way % WAYS),
                    1 => end(buffer.freeze(), way % WAYS),
                    2 => end(buffer.freeze().into_bytes(), way % WAYS),
                    _ => {
                        let mut again = buffer.freeze().try_into_mut().unwrap();
                        let more = again.capacity() * 2;
                        tagged(TAG, || again.extend_from_slice(&vec![1; more]));
                        end(again, way % WAYS);
                    }
                }
                assert_settled(way);
                assert_eq!(pool.stats().outstanding(), 0);
                leaks.check();
            }
            let buffer = tagged(TAG, || pool.get(bytes));
            pool.close();
            drop(pool);
            end(buffer, way % WAYS);
            assert_settled(way);
        }
    }
}

#[test]
fn each_way_of_each_kind_settles_a_lease_once() {
    let before = ebbtide::pool::process_bytes();
    for debug in [NONE, NONE.no_pool(), NONE.poison().verify()] {
        for (full, idle) in [(false, 0), (false, 100), (true, 100)] {
            let builder = || Pool::builder().debug(debug).full_fence(full).max_idle(idle);
            values(|| builder().build(|| Vec::<u8>::with_capacity(1000)));
            values(|| builder().max_value_bytes(100).build(|| Vec::<u8>::with_capacity(1000)));
            values(|| builder().max_idle_bytes(10).build(String::new));
            values(|| builder().build(|| ()));
            values(|| builder().build_with_reset(|| [0_u64; 1000], |_| ()));
        }
        buffers(|| BufferPool::builder().debug(debug).max_buffer_bytes(1 << 18).build());
        buffers(|| BufferPool::builder().debug(debug).max_idle_bytes(1 << 12).build());
        buffers(|| BufferPool::builder().debug(debug).zero_on_return(true).build());
    }
    assert_eq!(ebbtide::pool::process_bytes(), before);
}
