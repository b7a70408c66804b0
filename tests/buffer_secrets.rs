//! `zero_on_return`: what was written is gone before the memory is idle or freed. A process of its own, whose allocator
//! looks at each block that is freed.

#![cfg(all(target_os = "linux", not(miri)))] // It looks through `/proc`.
#![allow(unsafe_code)] // The allocator.

use bytes::{Buf, BufMut};
use ebbtide::{BufferPool, PooledBuf};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Eight bytes that are a secret: nothing else in this process holds them in a row.
const MARK: u8 = 0xB7;
const RUN: usize = 8;

/// Bytes of a block that comes fresh from the system, as zeros that nobody touched.
const FRESH: usize = 64 << 20;

/// Blocks that were freed with a secret in them.
static LEAKED: AtomicUsize = AtomicUsize::new(0);
/// Bytes of secrets come and go in one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

struct Looking;

// SAFETY: the system's allocator does the work, with the same arguments.
unsafe impl GlobalAlloc for Looking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() >= FRESH {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        }
        // Zeros, so that a block shows what was written to it since, and not what its memory was before.
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let mut run = 0;
        for at in 0..layout.size() {
            // SAFETY: within the block.
            let byte = unsafe { block.add(at) };
            // SAFETY: the block is still there; a volatile read of whatever it holds.
            let byte = unsafe { byte.read_volatile() };
            run = if byte == MARK { run + 1 } else { 0 };
            if run == RUN {
                LEAKED.fetch_add(1, Relaxed);
                break;
            }
        }
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Looking = Looking;

/// What the memory at `address` holds, whoever owns it, as the system sees it.
fn memory(address: usize, bytes: usize) -> Vec<u8> {
    let mut memory = vec![0; bytes];
    File::open("/proc/self/mem").unwrap().read_exact_at(&mut memory, address as u64).unwrap();
    memory
}

fn marks(address: usize, bytes: usize) -> usize {
    memory(address, bytes).iter().filter(|&&byte| byte == MARK).count()
}

fn pool(zero: bool) -> BufferPool {
    BufferPool::builder().max_buffer_bytes(1 << 20).zero_on_return(zero).build()
}

fn secret(pool: &BufferPool, bytes: usize) -> PooledBuf {
    let mut buffer = pool.get(bytes);
    buffer.put_bytes(MARK, bytes);
    buffer
}

/// The marks in a buffer's memory after `end` has used it and let it go.
fn left_by(zero: bool, end: impl FnOnce(PooledBuf)) -> usize {
    let pool = pool(zero);
    let buffer = secret(&pool, 3000);
    let (address, capacity) = (buffer.as_ptr() as usize, buffer.capacity());
    assert_eq!(marks(address, capacity), 3000, "the look sees what is there");
    end(buffer);
    assert_eq!(pool.stats().outstanding(), 0);
    assert_eq!(pool.get(3000).as_ptr() as usize, address, "it was kept");
    marks(address, capacity)
}

/// What is done with a buffer that holds a secret.
type End = fn(PooledBuf);

const ENDS: [(&str, End); 8] = [
    ("dropped", drop),
    ("frozen", |buffer| drop(buffer.freeze())),
    ("shared", |buffer| {
        let bytes = buffer.freeze();
        drop((bytes.slice(5..10), bytes));
    }),
    ("as bytes", |buffer| drop(buffer.freeze().into_bytes())),
    ("truncated", |mut buffer| buffer.truncate(1)),
    ("written shorter", |mut buffer| {
        buffer.clear();
        buffer.extend_from_slice(b"short");
    }),
    ("thawed", |buffer| {
        let part = buffer.freeze().slice(1000..1010);
        drop(part.try_into_mut().unwrap());
    }),
    ("grown", |mut buffer| {
        buffer.reserve(10_000);
        buffer.clear();
    }),
];

#[test]
fn no_secret_is_left_in_idle_memory() {
    let _alone = ALONE.lock();
    for (name, end) in ENDS {
        assert_eq!(left_by(true, end), 0, "{name}");
    }
}

#[test]
fn without_the_setting_bytes_stay_unseen_in_idle_memory() {
    let _alone = ALONE.lock();
    assert_eq!(left_by(false, drop), 3000);
}

#[test]
fn room_that_was_lent_is_wiped_whatever_was_counted() {
    let _alone = ALONE.lock();
    let pool = pool(true);
    let mut buffer = pool.get(3000);
    buffer.put_u8(1);
    let (address, capacity) = (buffer.as_ptr() as usize, buffer.capacity());
    let room = buffer.chunk_mut();
    let lent = room.len();
    (0..lent).for_each(|at| room.write_byte(at, MARK));
    assert_eq!(marks(address, capacity), capacity - 1);
    drop(buffer);
    assert_eq!(marks(address, capacity), 0);
}

#[test]
fn the_next_secret_is_wiped_as_the_first() {
    let _alone = ALONE.lock();
    let pool = pool(true);
    for bytes in [4000, 10, 3000, 1] {
        let mut buffer = pool.get(4000);
        buffer.put_bytes(MARK, bytes);
        let (address, capacity) = (buffer.as_ptr() as usize, buffer.capacity());
        drop(buffer);
        assert_eq!(marks(address, capacity), 0, "{bytes} bytes");
    }
}

#[test]
fn only_what_was_written_is_wiped() {
    let _alone = ALONE.lock();
    // Pages that nobody touched hold no memory. A wipe would have touched them.
    let bytes = FRESH;
    let pool = BufferPool::builder().max_idle_bytes(2 * bytes).max_buffer_bytes(bytes).zero_on_return(true).build();
    let mut buffer = pool.get(bytes);
    buffer.extend_from_slice(b"little");
    let address = buffer.as_ptr() as usize;
    drop(buffer);
    assert_eq!(pool.stats().idle, 1);
    let page = 4096;
    let pages = bytes / page - 2;
    let first = (address + page).next_multiple_of(page);
    let mut entries = vec![0; pages * 8];
    File::open("/proc/self/pagemap").unwrap().read_exact_at(&mut entries, (first / page * 8) as u64).unwrap();
    let present = entries.chunks(8).filter(|entry| entry[7] & 0xC0 != 0).count();
    assert!(present < pages / 4, "{present} of {pages} pages were touched");
}

/// Blocks that `use_pool` freed with a secret in them.
fn leaked_by(zero: bool, use_pool: impl FnOnce(BufferPool)) -> usize {
    let before = LEAKED.load(Relaxed);
    use_pool(pool(zero));
    LEAKED.load(Relaxed) - before
}

/// What is done with a pool, so that it frees a secret.
type Use = fn(BufferPool);

const FREED: [(&str, Use); 7] = [
    ("cleared", |pool| {
        drop(secret(&pool, 3000));
        pool.clear();
        // What the thread has at hand goes with the pool.
    }),
    ("over-size", |pool| drop(secret(&pool, (1 << 20) + 1))),
    ("read in parts", |pool| {
        let mut bytes = secret(&pool, 3000).freeze();
        while bytes.has_remaining() {
            drop(bytes.copy_to_bytes(100));
        }
    }),
    ("closed", |pool| {
        let buffer = secret(&pool, 3000);
        pool.close();
        drop(buffer);
    }),
    ("after the pool", |pool| {
        let bytes = secret(&pool, 3000).freeze().into_bytes();
        drop(pool);
        drop(bytes);
    }),
    ("grown out of the largest class", |pool| {
        let mut buffer = secret(&pool, (1 << 20) + 1);
        buffer.reserve(2 << 20);
    }),
    ("dropped by a panic", |pool| {
        let buffer = secret(&pool, 3000);
        let panic = std::panic::catch_unwind(move || {
            let _buffer = buffer;
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(panic.is_err());
    }),
];

#[test]
fn no_secret_is_freed() {
    let _alone = ALONE.lock();
    for (name, use_pool) in FREED {
        assert_eq!(leaked_by(true, use_pool), 0, "{name}");
        assert!(leaked_by(false, use_pool) >= 1, "{name}: the look sees what is not wiped");
    }
}
