//! Bounds that are as wide as can be: what "no bound" looks like in a configuration. And values that say they keep, or use, as
//! much as can be said.

use bytes::BytesMut;
use ebbtide::{BufferPool, Pool, Reset, Verdict, pool};

#[test]
fn a_pool_without_bounds_works() {
    let builder = Pool::builder().max_idle(usize::MAX).max_idle_bytes(usize::MAX).max_value_bytes(usize::MAX);
    let pool = builder.max_thread_idle(usize::MAX).build(String::new);
    drop((0..1000).map(|_| pool.get()).collect::<Vec<_>>());
    drop((0..1000).map(|_| pool.get()).collect::<Vec<_>>());
    assert_eq!((pool.stats().idle, pool.stats().made), (1000, 1000));
}

#[test]
fn a_buffer_pool_without_bounds_works() {
    let pool = BufferPool::builder().max_buffer_bytes(usize::MAX).max_idle_bytes(usize::MAX).build();
    for bytes in [1, 5 << 20] {
        drop(pool.get(bytes));
        assert!(pool.get(bytes).capacity() >= bytes);
    }
    assert_eq!((pool.stats().idle, pool.stats().made), (2, 2));
}

/// Lends one value forty times, with what reads and leaves nothing in it, and expects the same value each time.
fn is_one_value<T: Reset + Send + 'static>(
    make: impl Fn() -> T + Send + Sync + 'static,
    read: impl Fn(&mut T) -> &mut BytesMut,
) {
    let pool = Pool::new(make);
    for _ in 0..40 {
        let mut value = pool.get();
        let bytes = read(&mut value);
        bytes.extend_from_slice(&[7; 10_000]);
        drop(bytes.split());
    }
    assert_eq!(pool.stats().made, 1, "{:?}", pool.stats());
}

#[test]
fn bytes_that_count_as_used_whole_may_be_a_part_of_a_value() {
    // `BytesMut::used_bytes` of one that was read to its end is the largest number: sums with it must not wrap, or panic.
    let bytes = || BytesMut::with_capacity(16_384);
    is_one_value(bytes, |bytes| bytes);
    is_one_value(move || Box::new(bytes()), |boxed| boxed);
    is_one_value(move || [bytes(), bytes()], |both| &mut both[0]);
    is_one_value(move || (bytes(), vec![0_u8; 9]), |pair| &mut pair.0);
    is_one_value(move || (vec![0_u8; 9], bytes(), vec![0_u8; 9]), |three| &mut three.1);
    is_one_value(move || (vec![0_u8; 9], vec![0_u8; 9], (), bytes()), |four| &mut four.3);
}

/// Says that it keeps so much.
struct Claims(usize);

impl Reset for Claims {
    fn reset(&mut self) -> Verdict {
        Verdict::Keep
    }
    fn retained_bytes(&self) -> usize {
        self.0
    }
}

#[test]
fn a_value_that_claims_all_bytes_gives_them_back() {
    // Without a bound for the process nothing refuses such a value.
    pool::set_process_limit(usize::MAX);
    for claim in [usize::MAX, usize::MAX - 63, 1 << (usize::BITS - 1), isize::MAX as usize] {
        let builder = Pool::builder().max_idle(2).max_idle_bytes(usize::MAX).max_value_bytes(usize::MAX);
        let pool = builder.build(move || Claims(claim));
        for _ in 0..4 {
            drop(pool.get());
        }
        assert_eq!(pool.stats().made, 1, "{:?}", pool.stats());
        pool.clear();
        assert_eq!((pool.stats().live, pool.stats().charged_bytes), (0, 0), "{claim:x}");
    }
    pool::set_process_limit(1 << 30);
}
