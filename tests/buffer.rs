//! Pooled buffers, as their docs promise them.

use bytes::{Buf, BufMut, Bytes};
use ebbtide::{BufferPool, DropReason, PoolDebug, PooledBuf, PooledBytes};
use std::borrow::Borrow;
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

/// A way by which a buffer shows bytes.
type Look = fn(PooledBuf) -> Vec<u8>;

const LOOKS: [(&str, Look); 16] = [
    ("deref", |buffer| buffer.to_vec()),
    ("deref mut", |mut buffer| buffer.iter_mut().map(|byte| *byte).collect()),
    ("as ref", |buffer| AsRef::<[u8]>::as_ref(&buffer).to_vec()),
    ("as mut", |mut buffer| AsMut::<[u8]>::as_mut(&mut buffer).to_vec()),
    ("borrow", |buffer| Borrow::<[u8]>::borrow(&buffer).to_vec()),
    ("iterator", |buffer| (&buffer).into_iter().copied().collect()),
    ("grown", |mut buffer| {
        buffer.reserve(100_000);
        buffer.to_vec()
    }),
    ("resized", |mut buffer| {
        buffer.resize(2000, 0);
        buffer.to_vec()
    }),
    ("truncated to more", |mut buffer| {
        buffer.truncate(2000);
        buffer.to_vec()
    }),
    ("frozen", |buffer| buffer.freeze().to_vec()),
    ("sliced", |buffer| buffer.freeze().slice(..).to_vec()),
    ("split", |buffer| {
        let mut bytes = buffer.freeze();
        [&bytes.split_off(1)[..], &bytes.split_to(1)[..], &bytes[..]].concat()
    }),
    ("thawed", |buffer| buffer.freeze().try_into_mut().unwrap().to_vec()),
    ("thawed in part, and written on", |buffer| {
        let part = buffer.freeze().slice(1..);
        let mut buffer = part.try_into_mut().unwrap();
        buffer.put_bytes(1, 500);
        buffer.to_vec()
    }),
    ("as bytes", |buffer| buffer.freeze().into_bytes().to_vec()),
    ("copied to bytes", |buffer| {
        let mut bytes = buffer.freeze();
        bytes.copy_to_bytes(bytes.len()).to_vec()
    }),
];

#[test]
fn no_byte_of_an_earlier_use_is_visible_through_any_look() {
    const EARLIER: u8 = 0xAA;
    let pool = BufferPool::new();
    // The classes that the looks go through.
    for size in [1000, 10_000, 100_000] {
        let mut earlier = pool.get(size);
        earlier.put_bytes(EARLIER, earlier.capacity());
    }
    for (name, look) in LOOKS {
        let mut earlier = pool.get(1000);
        earlier.put_bytes(EARLIER, earlier.capacity());
        let address = earlier.as_ptr();
        drop(earlier);
        let mut buffer = pool.get(1000);
        assert_eq!(buffer.as_ptr(), address, "the same memory");
        buffer.extend_from_slice(b"new");
        let seen = look(buffer);
        assert!(!seen.is_empty() && !seen.contains(&EARLIER), "{name}: {seen:?}");
    }
}

#[test]
fn a_watched_pool_of_secrets_finds_no_damage() {
    let switches = PoolDebug::none().poison().verify();
    let pool = BufferPool::builder().zero_on_return(true).debug(switches).build();
    for bytes in [10, 3000, 1, 3000] {
        let mut buffer = pool.get(3000);
        buffer.put_bytes(7, bytes);
        assert_eq!(buffer.chunk_mut().len(), buffer.capacity() - bytes);
        drop(buffer.freeze());
    }
    assert_eq!((pool.stats().drops(DropReason::Damaged), pool.stats().live), (0, 1));
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
fn the_capacity_is_known_before() {
    for (largest, closed) in [(4 << 20, false), (4096, false), (0, false), (4096, true)] {
        let pool = BufferPool::builder().max_buffer_bytes(largest).build();
        if closed {
            pool.close();
        }
        for size in SIZES {
            assert_eq!(pool.capacity_for(size), pool.get(size).capacity(), "{size} bytes, at most {largest} kept");
        }
    }
    assert_eq!(BufferPool::new().capacity_for(usize::MAX), usize::MAX, "which nobody gets");
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

#[test]
fn detach_copies_up_to_the_threshold_and_passes_the_rest() {
    let pool = BufferPool::new();
    let read = Bytes::from(vec![7; 8192]);
    for (bytes, is_copied) in [(1, true), (64, true), (65, false), (8192, false)] {
        let kept = pool.detach(read.slice(..bytes), 64);
        assert_eq!((kept.len(), kept[0], kept.as_ptr() != read.as_ptr()), (bytes, 7, is_copied));
        assert_eq!(pool.stats().outstanding(), u64::from(is_copied));
        assert_eq!(read.is_unique(), is_copied);
    }
    assert!(pool.detach(read.slice(3..3), 64).is_empty() && read.is_unique());
    assert_eq!(pool.stats().outstanding(), 0);
}

#[test]
fn a_buffer_beyond_the_bounds_that_a_panic_drops_finds_room_as_any_other() {
    let pool = BufferPool::builder().max_idle_bytes(200).build();
    let (within, beyond) = (pool.get(64), pool.get(64));
    drop(within);
    pool.clear();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _buffer = beyond;
        panic!("in the middle");
    }));
    assert!(panicked.is_err());
    assert_eq!((pool.stats().outstanding(), pool.stats().idle), (0, 1));
}

#[test]
fn a_buffer_that_a_panic_drops_goes_back_and_shows_nothing() {
    for (secret, idle) in [(false, 1), (true, 0)] {
        let pool = BufferPool::builder().zero_on_return(secret).build();
        let mut buffer = pool.get(100);
        buffer.extend_from_slice(b"half of i");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _buffer = buffer;
            panic!("in the middle");
        }));
        assert!(panicked.is_err());
        assert_eq!((pool.stats().outstanding(), pool.stats().idle), (0, idle), "secrets: {secret}");
        assert!(pool.get(100).is_empty());
    }
}

#[test]
fn a_step_that_takes_many_calls_ages_each_class_once() {
    let pool = BufferPool::new();
    drop([1 << 20; 8].map(|bytes| pool.get(bytes)));
    drop(pool.get(100));
    let calls = |pool: &BufferPool| (0..).take_while(|_| !pool.trim()).count();
    assert!(calls(&pool) > 4, "a call lets few large buffers age");
    assert_eq!(pool.stats().live, 9, "what has waited through one step is not freed by it");
    calls(&pool);
    calls(&pool);
    assert_eq!(pool.stats().live, 0);
}
