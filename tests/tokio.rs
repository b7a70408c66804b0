//! Trimming from a runtime.

use ebbtide::tokio::trim_every;
use ebbtide::{BufferPool, Pool, Scopes};
use std::time::Duration;

#[tokio::test]
async fn a_pool_without_traffic_shrinks_until_the_handle_is_dropped() {
    let (pool, buffers) = (Pool::new(String::new), BufferPool::new());
    let use_them = || drop(((0..100).map(|_| pool.get()).collect::<Vec<_>>(), buffers.get(1000)));
    use_them();
    let period = Duration::from_millis(2);
    let trimming = (trim_every(pool.clone(), period), trim_every(buffers.clone(), period));
    while pool.stats().live + buffers.stats().live > 0 {
        tokio::time::sleep(period).await;
    }
    drop(trimming);
    tokio::task::yield_now().await;
    use_them();
    tokio::time::sleep(period * 10).await;
    assert_eq!((pool.stats().live, buffers.stats().live), (100, 1));
}

#[tokio::test]
async fn request_slots_without_traffic_are_freed() {
    let scopes = Scopes::new();
    drop((0..100).map(|_| scopes.begin()).collect::<Vec<_>>());
    assert_eq!(scopes.stats().idle, 100);
    let period = Duration::from_millis(2);
    let _trimming = trim_every(scopes.clone(), period);
    while scopes.stats().idle > 0 {
        tokio::time::sleep(period).await;
    }
    assert_eq!(scopes.stats().retained_bytes, 0);
}
