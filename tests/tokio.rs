//! Trimming from a runtime.

use ebbtide::tokio::trim_every;
use ebbtide::{BufferPool, Pool, Reset, Scopes, Verdict};
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

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

/// Wants a runtime when it is dropped, as what holds a connection does.
#[derive(Default)]
struct Farewell(Option<UnboundedSender<()>>);

impl Reset for Farewell {
    fn reset(&mut self) -> Verdict {
        Verdict::Keep
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if let Some(told) = self.0.take() {
            drop(tokio::spawn(async move { told.send(()) }));
        }
    }
}

#[tokio::test]
async fn a_value_that_ages_out_finds_the_runtime() {
    let (told, mut farewells) = unbounded_channel();
    let pool = Pool::new(Farewell::default);
    pool.get().0 = Some(told);
    let _trimming = trim_every(pool, Duration::from_millis(2));
    assert_eq!(farewells.recv().await, Some(()));
}

#[tokio::test]
async fn a_value_that_goes_with_the_trimming_of_its_pool_finds_the_runtime() {
    let (told, mut farewells) = unbounded_channel();
    let pool = Pool::new(Farewell::default);
    pool.get().0 = Some(told);
    drop(trim_every(pool, Duration::from_secs(3600)));
    assert_eq!(farewells.recv().await, Some(()));
}

#[test]
fn values_go_with_the_last_of_a_pool_and_its_trimming() {
    let (told, farewells) = std::sync::mpsc::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        // Of a value's drop, this sender is all that is looked at.
        let pool = Pool::with_reset(move || told.clone(), |_| ());
        drop(pool.get());
        let _trimming = trim_every(pool.clone(), Duration::from_secs(3600));
    });
    assert_eq!(farewells.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
}

#[test]
fn a_pool_shrinks_while_the_runtime_stands_still() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let pool = Pool::new(String::new);
    drop(pool.get());
    let trimming = runtime.block_on(async { trim_every(pool.clone(), Duration::from_millis(2)) });
    while pool.stats().live > 0 {
        thread::yield_now();
    }
    // Nor is one needed any more.
    drop(runtime);
    assert_eq!(format!("{trimming:?}"), "Trimming { is_finished: false }");
}

#[tokio::test]
#[should_panic(expected = "zero seconds")]
async fn a_period_of_nothing_is_refused() {
    drop(trim_every(Pool::new(String::new), Duration::ZERO));
}

#[test]
#[should_panic(expected = "no reactor running")]
fn without_a_runtime_nothing_is_trimmed() {
    drop(trim_every(Pool::new(String::new), Duration::from_secs(1)));
}
