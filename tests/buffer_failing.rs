//! Buffers where there is no memory. A process of its own, whose allocator refuses large blocks.

#![allow(unsafe_code)] // The allocator.

use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::buffer::NoBuffer;
use std::alloc::{GlobalAlloc, Layout, System};

/// Bytes of the largest block that there is memory for.
const MOST: usize = 100_000;

struct Refusing;

// SAFETY: the system's allocator does the work, with the same arguments; null is no memory.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Only buffers are aligned so.
        if layout.align() == 64 && layout.size() > MOST {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;

#[test]
fn no_memory_is_an_error_that_harms_nothing() {
    let pool = BufferPool::new();
    for bytes in [MOST + 1, 1 << 40, isize::MAX as usize / 2] {
        assert_eq!(pool.try_get(bytes).unwrap_err(), NoBuffer::Memory);
    }
    assert_eq!((pool.stats().live, pool.stats().charged_bytes), (0, 0));
    let mut buffer = pool.get(1000);
    buffer.extend_from_slice(b"kept");
    assert_eq!(buffer.try_reserve(MOST), Err(NoBuffer::Memory));
    assert_eq!((&buffer[..], pool.stats().live), (&b"kept"[..], 1));
}

#[test]
fn what_cannot_double_grows_by_need() {
    let mut buffer = BufferPool::new().get(60_000);
    buffer.resize(buffer.capacity(), 7);
    buffer.try_reserve(10_000).unwrap();
    assert!(buffer.capacity() >= buffer.len() + 10_000 && buffer.iter().all(|&byte| byte == 7));
}

#[test]
fn bytes_for_which_there_is_no_memory_are_not_detached() {
    let bytes = Bytes::from(vec![7; MOST + 1]);
    let kept = BufferPool::new().detach(bytes.clone(), usize::MAX);
    assert_eq!(kept.as_ptr(), bytes.as_ptr());
}
