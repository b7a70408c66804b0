//! Threads that first use a pool when their thread-locals are gone: in the destructor of a key of the system's. Alone in its process,
//! whose thread numbers it would use up.

#![cfg(unix)]
#![allow(unsafe_code)] // To have a key.

use ebbtide::Pool;
use std::ffi::c_void;
use std::ptr::dangling;
use std::sync::OnceLock;
use std::thread;

static POOL: OnceLock<Pool<String>> = OnceLock::new();

/// Uses the pool as the last thing that its thread does.
extern "C" fn last(_: *mut c_void) {
    drop(POOL.get().map(Pool::get));
}

#[test]
fn a_thread_that_first_takes_in_the_destructor_of_a_key_gives_all_back() {
    let pool = POOL.get_or_init(|| Pool::new(String::new));
    // One key is older than whatever the pool has, one is younger; and more threads than there are numbers.
    for _ in 0..2 {
        let mut key = 0;
        // SAFETY: writes the key, and keeps a function of the right kind.
        assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(last)) }, 0);
        for _ in 0..150 {
            // SAFETY: the key is there; its value is not read through.
            thread::spawn(move || unsafe { libc::pthread_setspecific(key, dangling::<c_void>()) }).join().unwrap();
        }
    }
    let stats = pool.stats();
    assert_eq!((stats.gets(), stats.made, stats.live, stats.idle), (300, 1, 1, 1));

    thread::spawn(|| (0..1000).for_each(|_| drop(pool.get()))).join().unwrap();
    let after = pool.stats();
    assert_eq!((after.made, after.hits - stats.hits), (1, 1000));
    assert!(after.fetches - stats.fetches <= 1, "a new thread has a number, and so values at hand: {after:?}");
}
