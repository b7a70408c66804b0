//! Bounds that are as wide as can be: what "no bound" looks like in a configuration.

use ebbtide::{BufferPool, Pool};

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
