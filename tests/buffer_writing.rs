//! What a `PooledBuf` can do beyond being filled, as its docs promise it.

use bytes::BufMut;
use ebbtide::buffer::NoBuffer;
use ebbtide::{BufferPool, PooledBuf};
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::io::{IoSlice, Write};
use tokio::io::AsyncReadExt;

fn holding(pool: &BufferPool, bytes: &[u8]) -> PooledBuf {
    let mut buffer = pool.get(bytes.len());
    buffer.extend_from_slice(bytes);
    buffer
}

#[test]
fn text_and_numbers_are_written_as_to_a_string() {
    let mut buffer = BufferPool::new().get(0);
    const NAME: &str = "a";
    fn write(out: &mut impl std::fmt::Write) {
        write!(out, "{}-{:04}", NAME, 42).unwrap();
    }
    write(&mut buffer);
    buffer.write_char('ß').unwrap();
    assert_eq!(buffer, "a-0042ß");
}

#[test]
fn slices_are_written_whole_with_room_made_once() {
    let pool = BufferPool::new();
    let mut buffer = pool.get(0);
    let slices = [IoSlice::new(&[1; 100]), IoSlice::new(&[]), IoSlice::new(&[2; 100_000])];
    assert_eq!(buffer.write_vectored(&slices).unwrap(), 100_100);
    assert!(buffer[..100].iter().all(|&byte| byte == 1) && buffer[100..].iter().all(|&byte| byte == 2));
    assert_eq!((buffer.len(), pool.stats().live), (100_100, 2), "the first buffer and one more");
}

#[test]
fn iterators_extend_it_by_value_and_by_reference() {
    let mut buffer = BufferPool::new().get(0);
    buffer.extend(0..200_u8);
    buffer.extend(&[7_u8; 100]);
    buffer.extend([1_u8, 2].iter().filter(|&&byte| byte > 1));
    let expected: Vec<u8> = (0..200).chain([7; 100]).chain([2]).collect();
    assert_eq!(buffer, expected);
    assert!(buffer.iter().eq(&buffer) && (&mut buffer).into_iter().count() == 301);
}

#[test]
fn resize_appends_or_forgets() {
    let mut buffer = holding(&BufferPool::new(), b"abc");
    buffer.resize(1000, b'x');
    assert!(buffer.starts_with(b"abcx") && buffer[3..].iter().all(|&byte| byte == b'x') && buffer.len() == 1000);
    buffer.resize(2, b'y');
    assert_eq!(buffer, "ab");
    buffer.resize(4, b'z');
    assert_eq!(buffer, "abzz");
}

#[test]
fn serde_json_writes_into_it() {
    let mut buffer = BufferPool::new().get(16);
    let value = serde_json::json!({ "name": "ebb", "list": vec![1; 1000], "text": "\"ä\"" });
    serde_json::to_writer(&mut buffer, &value).unwrap();
    assert_eq!(buffer, serde_json::to_vec(&value).unwrap());
    serde_json::to_writer_pretty(&mut buffer, &value).unwrap();
}

#[test]
#[allow(clippy::op_ref, clippy::cmp_owned)] // Which types compare is what is tested.
fn buffers_compare_and_hash_as_their_bytes() {
    let pool = BufferPool::new();
    let (a, b) = (holding(&pool, b"abc"), holding(&pool, b"abd"));
    assert!(a == *b"abc" && a == b"abc"[..] && a == &b"abc"[..] && a == "abc" && a == String::from("abc"));
    assert!(
        a == vec![b'a', b'b', b'c'] && a == bytes::Bytes::from("abc") && a == holding(&pool, b"abc").freeze() && a != b
    );
    assert!(a < b && b > "abc" && "abz" > a && a.cmp(&b).is_lt());
    assert!(*"abc" == a && &b"abc"[..] == a && vec![b'a'] != a && bytes::Bytes::from("abd") == b);
    let (hashed, sorted) = (HashSet::from([holding(&pool, b"abc")]), BTreeSet::from([b, a]));
    assert!(hashed.contains(&b"abc"[..]) && sorted.contains(&b"abd"[..]) && sorted.first().unwrap() == "abc");
}

#[test]
fn sizes_that_cannot_be_are_errors_and_harm_nothing() {
    let pool = BufferPool::new();
    assert_eq!(pool.try_get(usize::MAX).unwrap_err(), NoBuffer::TooLarge);
    assert_eq!(pool.try_get(isize::MAX as usize).unwrap_err(), NoBuffer::TooLarge);
    let mut buffer = holding(&pool, b"kept");
    assert_eq!(buffer.try_reserve(usize::MAX), Err(NoBuffer::TooLarge));
    assert_eq!(buffer.try_reserve(isize::MAX as usize), Err(NoBuffer::TooLarge));
    assert_eq!((buffer.len(), pool.stats().live), (4, 1));
    assert_eq!(buffer.try_reserve(100_000), Ok(()));
    assert!(buffer.capacity() >= 100_004 && buffer == "kept");
    assert_eq!([NoBuffer::TooLarge, NoBuffer::Memory].map(|error| error.to_string().is_empty()), [false; 2]);
}

#[test]
#[should_panic = "capacity overflow"]
fn reserve_panics_where_vec_does() {
    holding(&BufferPool::new(), b"x").reserve(usize::MAX);
}

#[test]
fn growth_doubles_at_least_and_goes_to_512_bytes() {
    let pool = BufferPool::new();
    let mut buffer = pool.get(1);
    let mut capacities = vec![buffer.capacity()];
    for _ in 0..100_000 {
        buffer.put_u8(1);
        if buffer.capacity() != *capacities.last().unwrap() {
            capacities.push(buffer.capacity());
        }
    }
    assert_eq!(capacities[..3], [64, 512, 1024]);
    assert!(capacities.windows(2).all(|pair| pair[1] >= 2 * pair[0]), "{capacities:?}");
    assert_eq!(pool.stats().outstanding(), 1, "the old ones are back");
    drop(buffer);
    // The next one takes what the growth left.
    drop(pool.get(512));
    assert_eq!(pool.stats().live, capacities.len() as u64);
}

/// Gives bytes in reads of at most `step`, and counts them.
struct Trickle<'a> {
    left: &'a [u8],
    step: usize,
    reads: usize,
}

impl tokio::io::AsyncRead for Trickle<'_> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        into: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let some = self.step.min(self.left.len()).min(into.remaining());
        let (some, left) = self.left.split_at(some);
        into.put_slice(some);
        self.left = left;
        self.reads += 1;
        std::task::Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn read_buf_fills_the_room_before_the_buffer_grows() {
    let body: Vec<u8> = (0..70_000_u32).map(|number| number as u8).collect();
    let pool = BufferPool::new();
    let mut buffer = pool.get(body.len());
    let (capacity, address) = (buffer.capacity(), buffer.as_ptr());
    let mut reader = Trickle { left: &body, step: 1400, reads: 0 };
    while reader.read_buf(&mut buffer).await.unwrap() > 0 {}
    assert!(buffer == body && buffer.capacity() == capacity && buffer.as_ptr() == address, "it never moved");
    assert_eq!(reader.reads, 51, "50 reads and the end: the room is given whole each time");

    // Without a hint: each growth doubles.
    let mut buffer = pool.get(0);
    let mut reader = Trickle { left: &body, step: usize::MAX, reads: 0 };
    while reader.read_buf(&mut buffer).await.unwrap() > 0 {}
    assert!(buffer == body && reader.reads <= 12, "{} reads", reader.reads);
}

#[test]
fn the_room_that_is_lent_is_all_that_there_is() {
    let mut buffer = BufferPool::new().get(100);
    buffer.put_bytes(1, 100);
    assert_eq!(buffer.chunk_mut().len(), buffer.capacity() - 100);
    buffer.put_bytes(1, buffer.capacity() - 101);
    let capacity = buffer.capacity();
    assert_eq!((buffer.chunk_mut().len(), buffer.capacity()), (1, capacity), "a byte of room is room");
    buffer.put_u8(1);
    assert!(buffer.chunk_mut().len() >= capacity, "a full one doubles");
}

#[test]
fn one_byte_more_wastes_at_most_a_quarter_or_a_line() {
    let pool = BufferPool::new();
    let mut boundary = 0;
    while boundary < 4 << 20 {
        let asked = boundary + 1;
        let given = pool.get(asked).capacity();
        let bound = if asked <= 256 { 63 } else { asked / 4 };
        assert!(given - asked <= bound, "{asked} bytes get {given}");
        assert_eq!((pool.get(given).capacity(), given % 64), (given, 0));
        boundary = given;
    }
}
