//! What ropes can do, as their docs promise it.

use bytes::Buf;
use ebbtide::buffer::RopeBytes;
use ebbtide::{BufferPool, PooledRope};

/// 30,000 bytes in segments.
fn rope(pool: &BufferPool) -> (RopeBytes, Vec<u8>) {
    let bytes: Vec<u8> = (0..30_000).map(|at| (at % 251) as u8).collect();
    let mut rope = PooledRope::new(pool);
    bytes.chunks(100).for_each(|chunk| rope.extend_from_slice(chunk));
    (rope.freeze(), bytes)
}

fn out(pool: &BufferPool) -> u64 {
    pool.stats().outstanding()
}

#[test]
fn a_small_part_is_copied_and_keeps_no_segment() {
    let pool = BufferPool::new();
    let (mut rope, bytes) = rope(&pool);
    let (address, segments) = (rope.chunk().as_ptr(), out(&pool));
    let small = rope.copy_to_bytes(1023);
    assert_ne!(small.as_ptr(), address);
    let shared = rope.copy_to_bytes(1024);
    assert_eq!(shared.as_ptr(), address.wrapping_add(1023), "a quarter of 4 KiB");
    rope.advance(rope.chunk().len());
    assert_eq!(out(&pool), segments + 1, "the first segment is shared, the small part has a buffer of its own");
    drop(shared);
    assert_eq!(out(&pool), segments);
    // The rest of a segment is as well copied if it is small, and the segment goes back.
    rope.advance(rope.chunk().len() - 10);
    let rest = rope.copy_to_bytes(10);
    assert_eq!((&rest[..], out(&pool)), (&bytes[8182..8192], segments));
    assert_eq!((rope.copy_to_bytes(0).len(), pool.gathered_bytes()), (0, 0));
    drop((small, rest, rope));
    assert_eq!(out(&pool), 0);
}

#[test]
fn a_whole_segment_that_is_shared_leaves_the_next_one_in_front() {
    let pool = BufferPool::new();
    let (mut rope, bytes) = rope(&pool);
    let first = rope.copy_to_bytes(rope.chunk().len());
    assert!(first == bytes[..4096] && !rope.chunk().is_empty());
    assert!(rope.segments().all(|segment| !segment.is_empty()));
    assert!(rope.into_contiguous() == bytes[4096..]);
}

#[test]
fn a_part_of_a_secret_segment_is_shared_however_small() {
    let pool = BufferPool::builder().zero_on_return(true).build();
    let (mut rope, _) = rope(&pool);
    let address = rope.chunk().as_ptr();
    assert_eq!(rope.copy_to_bytes(1).as_ptr(), address);
}

#[test]
fn segments_go_back_one_by_one_whoever_takes_them() {
    let pool = BufferPool::new();
    let (rope, bytes) = rope(&pool);
    let twin = rope.clone();
    let (count, all) = (out(&pool), rope.segments().flatten().copied().collect::<Vec<_>>());
    assert!(all == bytes && rope.segments().count() as u64 == count);
    let mut segments = rope.into_iter();
    assert_eq!(segments.len() as u64, count);
    let first = segments.next().unwrap();
    assert_eq!((first.as_ptr(), segments.len() as u64), (twin.chunk().as_ptr(), count - 1));
    drop((first, segments));
    assert_eq!(out(&pool), count, "the twin has them all");
    for (segment, left) in twin.into_iter().zip((0..count).rev()) {
        drop(segment);
        assert_eq!(out(&pool), left);
    }
}

#[test]
fn the_last_clone_gives_the_segments_back_from_another_thread() {
    let pool = BufferPool::new();
    let (rope, bytes) = rope(&pool);
    let twin = rope.clone();
    std::thread::spawn(move || assert!(twin.into_contiguous() == bytes)).join().unwrap();
    assert!(out(&pool) > 1);
    std::thread::spawn(move || drop(rope)).join().unwrap();
    assert_eq!(out(&pool), 0);
}

#[test]
fn a_rope_without_bytes_holds_no_memory() {
    let pool = BufferPool::new();
    let mut rope = PooledRope::new(&pool).freeze();
    assert_eq!((out(&pool), rope.segments().count(), rope.pop_segment().is_none()), (0, 0, true));
    assert_eq!((rope.make_contiguous().len(), rope.as_slice()), (0, Some(&b""[..])));
}

#[test]
fn a_slice_takes_one_segment_and_none_is_larger_than_256_kib() {
    let pool = BufferPool::new();
    let mut rope = PooledRope::new(&pool);
    rope.extend_from_slice(&[1; 100_000]);
    assert_eq!(rope.capacity(), 4096 + pool.capacity_for(100_000 - 4096));
    rope.extend_from_slice(&[2; 1 << 20]);
    (0..200).for_each(|_| rope.extend_from_slice(&[3; 64 << 10]));
    let rope = rope.freeze();
    assert_eq!(rope.segments().map(<[u8]>::len).max(), Some(256 << 10));
}
