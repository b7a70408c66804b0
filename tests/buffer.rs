//! Pooled buffers, as their docs promise them.

use bytes::{Buf, BufMut};
use ebbtide::{BufferPool, DropReason, PooledBytes};
use std::io::Write;

const SIZES: [usize; 9] = [0, 1, 511, 512, 513, 4096, 100_000, 1 << 20, (1 << 20) + 1];

#[test]
fn a_buffer_has_the_room_that_was_asked_for() {
    let pool = BufferPool::new();
    for size in SIZES {
        let buffer = pool.get(size);
        assert!(buffer.is_empty() && buffer.capacity() >= size);
        assert_eq!(buffer.as_ptr().align_offset(64), 0);
    }
    assert_eq!(pool.stats().outstanding(), 0);
}

#[test]
fn no_byte_of_an_earlier_use_is_visible() {
    let pool = BufferPool::new();
    let mut first = pool.get(1000);
    let capacity = first.capacity();
    first.put_bytes(0xAA, capacity);
    let address = first.as_ptr();
    drop(first);
    let mut second = pool.get(1000);
    assert_eq!(second.as_ptr(), address, "the same memory");
    assert!(second.is_empty());
    second.extend_from_slice(b"new");
    assert_eq!(&second[..], b"new");
    let frozen = second.freeze();
    assert_eq!((frozen.len(), frozen.chunk(), frozen.slice(..).len()), (3, &b"new"[..], 3));
}

#[test]
fn all_ways_to_write_agree() {
    let pool = BufferPool::new();
    let text = "0123456789".repeat(200);
    let mut a = pool.get(0);
    a.extend_from_slice(text.as_bytes());
    let mut b = pool.get(0);
    b.write_all(text.as_bytes()).unwrap();
    let mut c = pool.get(0);
    c.put(text.as_bytes());
    let mut d = pool.get(0);
    for byte in text.bytes() {
        d.put_u8(byte);
    }
    for buffer in [a, b, c, d] {
        assert_eq!(&buffer[..], text.as_bytes());
    }
}

#[test]
fn growth_keeps_the_bytes_and_gives_the_old_buffer_back() {
    let pool = BufferPool::new();
    let mut buffer = pool.get(512);
    buffer.put_bytes(7, 512);
    buffer.reserve(1);
    assert!(buffer.capacity() >= 1024);
    assert!(buffer.iter().all(|&byte| byte == 7) && buffer.len() == 512);
    assert_eq!((pool.stats().outstanding(), pool.stats().idle), (1, 1));
}

#[test]
fn larger_than_the_largest_is_served_and_never_kept() {
    let pool = BufferPool::builder().max_buffer_bytes(4096).build();
    drop(pool.get(4097));
    drop(pool.get(4096));
    assert_eq!((pool.stats().drops(DropReason::Oversize), pool.stats().idle, pool.stats().live), (1, 1, 1));
}

#[test]
fn the_byte_bound_holds_over_all_classes() {
    let pool = BufferPool::builder().max_idle_bytes(100_000).build();
    drop([1000, 10_000, 30_000, 60_000, 90_000].map(|size| pool.get(size)));
    let stats = pool.stats();
    assert!(stats.charged_bytes <= 100_000 && stats.idle >= 2, "{stats:?}");
    pool.clear();
    assert_eq!(pool.stats().charged_bytes, 0);
}

#[test]
fn the_memory_comes_back_with_the_last_clone_on_any_thread() {
    let pool = BufferPool::new();
    let mut buffer = pool.get(100);
    buffer.extend_from_slice(b"shared between threads");
    let bytes = buffer.freeze();
    std::thread::scope(|threads| {
        let readers = [(); 4].map(|()| {
            let clone = bytes.clone();
            threads.spawn(move || assert_eq!(clone.slice(..6), *b"shared".as_slice()))
        });
        drop(bytes);
        // Joined, since a scope does not wait for what its threads give back when they end.
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    assert_eq!((pool.stats().outstanding(), pool.stats().idle), (0, 1));
}

#[test]
fn into_bytes_returns_the_memory_with_the_last_handle() {
    let pool = BufferPool::new();
    let mut buffer = pool.get(100);
    buffer.extend_from_slice(b"hello world");
    let bytes = buffer.freeze().into_bytes();
    let world = bytes.slice(6..);
    drop(bytes);
    assert_eq!((&world[..], pool.stats().outstanding()), (&b"world"[..], 1));
    drop(world);
    assert_eq!((pool.stats().outstanding(), pool.stats().idle), (0, 1));
    assert!(pool.get(100).freeze().into_bytes().is_empty());
    assert_eq!(pool.stats().outstanding(), 0);
}

#[test]
fn slices_and_buf_agree_with_the_bytes() {
    let pool = BufferPool::new();
    let mut buffer = pool.get(10);
    buffer.extend_from_slice(b"0123456789");
    let mut bytes = buffer.freeze();
    assert_eq!(bytes.slice(2..=4), *b"234".as_slice());
    assert_eq!(bytes.slice(2..8).slice(1..3), *b"34".as_slice());
    bytes.advance(7);
    assert_eq!((bytes.remaining(), bytes.chunk()), (3, &b"789"[..]));
    assert_eq!(bytes.copy_to_bytes(2), "78");
    assert!(PooledBytes::default().slice(0..0).is_empty());
}

#[test]
#[should_panic = "range 3..11 out of 10 bytes"]
fn a_slice_beyond_the_end_panics_as_slices_do() {
    let pool = BufferPool::new();
    let mut buffer = pool.get(10);
    buffer.put_bytes(0, 10);
    let _ = buffer.freeze().slice(3..11);
}

#[test]
fn buffers_outlive_the_pool_and_still_grow() {
    let pool = BufferPool::new();
    let mut buffer = pool.get(10);
    buffer.put_bytes(1, 10);
    drop(pool);
    buffer.put_bytes(2, 10_000);
    assert_eq!((buffer[0], buffer[10_009], buffer.len()), (1, 2, 10_010));
}

#[test]
fn a_closed_pool_serves_and_keeps_nothing() {
    let pool = BufferPool::new();
    drop(pool.get(10));
    pool.close();
    drop([pool.get(10), pool.get(100_000)]);
    let stats = pool.stats();
    assert_eq!((stats.idle, stats.live, stats.charged_bytes), (0, 0, 0));
}
