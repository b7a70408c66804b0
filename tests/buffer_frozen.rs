//! What `PooledBytes` can do, as their docs promise it.

use bytes::{Buf, Bytes};
use ebbtide::{BufferPool, PooledBytes};
use std::collections::{BTreeMap, HashMap};

const TEXT: &[u8] = b"0123456789";

fn frozen(pool: &BufferPool, bytes: &[u8]) -> PooledBytes {
    let mut buffer = pool.get(bytes.len());
    buffer.extend_from_slice(bytes);
    buffer.freeze()
}

fn out(pool: &BufferPool) -> u64 {
    pool.stats().outstanding()
}

#[test]
fn splits_share_the_memory() {
    let pool = BufferPool::new();
    let mut bytes = frozen(&pool, TEXT);
    let address = bytes.as_ptr();
    let head = bytes.split_to(3);
    let tail = bytes.split_off(4);
    assert_eq!((&head[..], &bytes[..], &tail[..]), (&b"012"[..], &b"3456"[..], &b"789"[..]));
    assert_eq!((head.as_ptr(), out(&pool)), (address, 1));
    drop((head, bytes));
    assert_eq!((&tail[..], out(&pool)), (&b"789"[..], 1));
    drop(tail);
    assert_eq!(out(&pool), 0);
}

#[test]
fn truncate_and_clear_forget() {
    let pool = BufferPool::new();
    let mut bytes = frozen(&pool, TEXT);
    bytes.truncate(100);
    assert_eq!(bytes, TEXT);
    bytes.truncate(4);
    assert_eq!((bytes.len(), bytes.chunk()), (4, &b"0123"[..]));
    bytes.clear();
    assert!(bytes.is_empty() && out(&pool) == 0);
}

#[test]
fn no_bytes_hold_no_memory() {
    let pool = BufferPool::new();
    let empties: [fn(PooledBytes) -> PooledBytes; 10] = [
        |bytes| bytes.slice(3..3),
        |mut bytes| bytes.split_to(0),
        |mut bytes| bytes.split_off(10),
        |mut bytes| {
            drop(bytes.split_to(10));
            bytes
        },
        |mut bytes| {
            drop(bytes.split_off(0));
            bytes
        },
        |mut bytes| {
            bytes.truncate(0);
            bytes
        },
        |mut bytes| {
            bytes.clear();
            bytes
        },
        |mut bytes| {
            bytes.advance(10);
            bytes
        },
        |bytes| bytes.slice_ref(&[]),
        |mut bytes| {
            assert_eq!(bytes.copy_to_bytes(10), TEXT);
            bytes
        },
    ];
    for (number, empty) in empties.into_iter().enumerate() {
        let empty = empty(frozen(&pool, TEXT));
        assert!(empty.is_empty() && !empty.is_unique(), "{number}");
        assert_eq!(out(&pool), 0, "{number} holds memory");
    }
    let empty = pool.get(10).freeze();
    assert_eq!((out(&pool), empty.try_into_mut().unwrap_err()), (0, PooledBytes::new()));
}

#[test]
fn a_slice_is_found_again_in_its_bytes() {
    let pool = BufferPool::new();
    let bytes = frozen(&pool, TEXT).slice(1..9);
    for (from, to) in [(0, 8), (0, 1), (3, 5), (7, 8), (4, 4)] {
        assert_eq!(bytes.slice_ref(&bytes[from..to]), bytes[from..to]);
    }
}

#[test]
fn a_slice_from_elsewhere_is_refused() {
    let pool = BufferPool::new();
    let whole = frozen(&pool, TEXT);
    let part = whole.slice(2..5);
    for outside in [&whole[1..3], &whole[4..6], &whole[6..], &whole[..1], TEXT] {
        assert!(std::panic::catch_unwind(|| part.slice_ref(outside)).is_err());
    }
}

#[test]
fn splits_beyond_the_end_panic_and_change_nothing() {
    let pool = BufferPool::new();
    let mut bytes = frozen(&pool, TEXT);
    let ways: [fn(&mut PooledBytes); 5] = [
        |bytes| drop(bytes.split_to(11)),
        |bytes| drop(bytes.split_off(11)),
        |bytes| bytes.advance(11),
        |bytes| drop(bytes.copy_to_bytes(11)),
        |bytes| drop(bytes.slice(..=usize::MAX - 1)),
    ];
    for way in ways {
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| way(&mut bytes))).is_err());
        assert_eq!((&bytes[..], bytes.is_unique()), (TEXT, true));
    }
}

#[test]
fn only_unique_bytes_become_a_buffer_again() {
    let pool = BufferPool::new();
    let bytes = frozen(&pool, TEXT);
    let (address, clone) = (bytes.as_ptr(), bytes.clone());
    assert!(!bytes.is_unique());
    let bytes = bytes.try_into_mut().unwrap_err();
    drop(clone);
    assert!(bytes.is_unique());
    let mut buffer = bytes.try_into_mut().unwrap();
    assert_eq!((&buffer[..], buffer.as_ptr(), out(&pool)), (TEXT, address, 1));
    buffer.extend_from_slice(&[b'x'; 1000]);
    assert_eq!((buffer.len(), &buffer[..11]), (1010, &b"0123456789x"[..]));
}

#[test]
fn a_part_that_becomes_a_buffer_shows_nothing_of_the_rest() {
    let pool = BufferPool::new();
    for (from, to) in [(0, 4), (3, 7), (6, 10), (1, 10)] {
        let part = frozen(&pool, TEXT).slice(from..to);
        let mut buffer = part.try_into_mut().unwrap();
        assert_eq!(buffer, TEXT[from..to]);
        buffer.extend_from_slice(b"new");
        assert_eq!(buffer, [&TEXT[from..to], b"new"].concat());
    }
}

#[test]
#[allow(clippy::op_ref, clippy::cmp_owned)] // Which types compare is what is tested.
fn frozen_bytes_compare_and_hash_as_slices() {
    let pool = BufferPool::new();
    let (a, b) = (frozen(&pool, b"abc"), frozen(&pool, b"abd"));
    assert!(a == *b"abc" && a == b"abc"[..] && a == &b"abc"[..] && a == "abc" && a == String::from("abc"));
    assert!(a == vec![b'a', b'b', b'c'] && a == Bytes::from("abc") && a == a.clone() && a != b);
    assert!(a < b && b > "abc" && "abz" > a && a.cmp(&b).is_lt() && a < &b"b"[..]);
    assert!(*"abc" == a && &b"abc"[..] == a && *b"abc".as_slice() == a && "abc" == a && String::from("abc") == a);
    assert!(vec![b'a'] != a && Bytes::from("abd") == b && Bytes::from("abd") > a);
    let (hashed, sorted) = (HashMap::from([(a.clone(), 1)]), BTreeMap::from([(a, 1), (b, 2)]));
    assert_eq!((hashed.get(&b"abc"[..]), sorted.get(&b"abd"[..])), (Some(&1), Some(&2)));
}

#[test]
fn bytes_convert() {
    let pool = BufferPool::new();
    let mut buffer = pool.get(10);
    buffer.extend_from_slice(TEXT);
    let bytes = PooledBytes::from(frozen(&pool, TEXT).try_into_mut().unwrap());
    assert_eq!((Vec::from(bytes.clone()), Bytes::from(bytes.clone()), Bytes::from(buffer)), {
        (TEXT.to_vec(), Bytes::from_static(TEXT), Bytes::from_static(TEXT))
    });
    assert!((&bytes).into_iter().eq(TEXT));
    assert!(bytes.into_iter().eq(TEXT.iter().copied()));
    assert_eq!(out(&pool), 0);
}

#[test]
fn copy_to_bytes_shares_what_is_worth_it() {
    let pool = BufferPool::new();
    let mut bytes = frozen(&pool, &[7; 4096]);
    let address = bytes.as_ptr();
    let shared = bytes.copy_to_bytes(1024);
    assert_eq!((shared.as_ptr(), shared.len(), bytes.len()), (address, 1024, 3072));
    // A sixteenth would keep all of the memory for a little.
    let copied = bytes.copy_to_bytes(256);
    assert_eq!((copied.len(), bytes.len(), bytes[..].as_ptr()), (256, 2816, address.wrapping_add(1280)));
    assert_ne!(copied.as_ptr(), address.wrapping_add(1024));
    drop((bytes, copied));
    assert_eq!(out(&pool), 1);
    drop(shared);
    assert_eq!(out(&pool), 0);
    // Small ones are copied, also when they are all.
    let kept = frozen(&pool, &[7; 500]).copy_to_bytes(500);
    assert_eq!((kept.len(), out(&pool)), (500, 0));
}

#[test]
fn bytes_of_a_pool_that_is_gone_become_a_buffer_that_grows() {
    let bytes = frozen(&BufferPool::new(), TEXT);
    let mut buffer = bytes.slice(5..).try_into_mut().unwrap_err();
    drop(bytes);
    buffer.advance(1);
    let mut buffer = buffer.try_into_mut().unwrap();
    buffer.resize(10_000, 1);
    assert_eq!((&buffer[..5], buffer.len()), (&b"6789\x01"[..], 10_000));
}

#[test]
fn shares_on_other_threads_are_seen_out() {
    let pool = BufferPool::new();
    for _ in 0..if cfg!(miri) { 3 } else { 50 } {
        let bytes = frozen(&pool, &[1; 256]);
        let other = bytes.clone();
        let thread = std::thread::spawn(move || other.iter().map(|&byte| usize::from(byte)).sum::<usize>());
        let mut bytes = bytes;
        let mut buffer = loop {
            match bytes.try_into_mut() {
                Ok(buffer) => break buffer,
                Err(shared) => bytes = shared,
            }
            std::thread::yield_now();
        };
        buffer.fill(9);
        assert_eq!(thread.join().unwrap(), 256);
    }
}
