//! The budget that bodies share, and the queue for it.

use super::bodies::{Script, Step, pattern};
use bytes::{Buf, Bytes};
use ebbtide::BufferPool;
use ebbtide::http::{BodyBudget, CollectError, Collected, Limits, collect};
use std::sync::Arc;
use std::task::{Context, Wake};
use std::time::Duration;
use tokio::task::JoinHandle;

type Outcome = Result<Collected, CollectError<&'static str>>;

/// Room for one claim of 8,000 bytes with what is charged for rounding, not for two.
const ROOM: usize = 20_000;

fn setting() -> (BufferPool, BodyBudget, Limits) {
    let budget = BodyBudget::new(ROOM);
    let limits = Limits::new(1 << 20).budget(&budget);
    (BufferPool::new(), budget, limits)
}

fn honest() -> Script {
    Script::frames(&pattern(8000), 1000).honest()
}

fn start(buffers: &BufferPool, limits: &Limits, body: Script) -> JoinHandle<Outcome> {
    let (buffers, limits) = (buffers.clone(), limits.clone());
    tokio::spawn(async move { collect(body, &buffers, limits).await })
}

#[tokio::test]
async fn a_claim_is_charged_before_its_first_byte_and_what_it_holds_afterwards() {
    let (buffers, budget, limits) = setting();
    let stuck = start(&buffers, &limits, Script::<Bytes>::new([Step::Stop]).claiming(8000));
    tokio::task::yield_now().await;
    assert_eq!((budget.used_bytes(), buffers.stats().made), (8000 + 2000 + 4096, 0));
    let refused = collect(honest(), &buffers, limits.clone()).await.unwrap_err();
    assert!(matches!(refused, CollectError::NoBudget));
    assert_eq!((refused.status().as_u16(), refused.to_string().as_str()), (503, "no room for the body now"));
    assert_eq!(buffers.stats().made, 0, "refused before anything is read");
    stuck.abort();
    assert!(stuck.await.unwrap_err().is_cancelled());
    assert_eq!(budget.used_bytes(), 0);
    let collected = collect(honest(), &buffers, limits).await.unwrap();
    assert_eq!(budget.used_bytes(), buffers.capacity_for(8000));
    drop(collected);
    assert_eq!((budget.used_bytes(), budget.max_bytes()), (0, ROOM));
}

#[tokio::test]
async fn a_claim_beyond_the_whole_budget_is_refused_for_good_and_by_that_bound() {
    let (buffers, budget, limits) = setting();
    // 12,723 and a quarter and a page are one byte less than the budget.
    assert!(collect(Script::frames(&pattern(12_723), 1000).honest(), &buffers, limits.clone()).await.is_ok());
    let body = Script::<Bytes>::new([Step::Stop]).claiming(12_724);
    let error = collect(body, &buffers, limits.wait(Duration::MAX)).await.unwrap_err();
    assert!(matches!(error, CollectError::BeyondBudget { budget: ROOM }));
    assert_eq!(error.status().as_u16(), 413);
    assert_eq!(error.to_string(), "body needs more than the 20000 bytes of the budget of all bodies");
    assert_eq!(budget.used_bytes(), 0);
}

/// A body of `bytes` in segments.
async fn in_segments(bytes: usize, buffers: &BufferPool, limits: Limits) -> Collected {
    let collected = collect(Script::frames(&pattern(bytes), 1000), buffers, limits).await.unwrap();
    assert!(collected.as_slice().is_none());
    collected
}

#[tokio::test]
async fn what_gathering_holds_is_charged_and_refused_where_the_budget_has_no_room() {
    let (buffers, budget, limits) = setting();
    let mut collected = in_segments(8000, &buffers, limits.clone()).await;
    let (segments, whole) = (budget.used_bytes(), buffers.capacity_for(8000));
    assert!(segments >= 8000 && segments + whole <= ROOM);
    let twin = collected.clone();
    assert!(collected.try_contiguous().unwrap() == &pattern(8000)[..]);
    assert_eq!(budget.used_bytes(), segments + whole, "the twin holds the segments");
    drop(twin);
    assert_eq!((budget.used_bytes(), buffers.stats().outstanding()), (whole, 1));
    drop(collected);

    let mut collected = in_segments(12_000, &buffers, limits).await;
    let held = (budget.used_bytes(), buffers.stats().outstanding());
    let refused = collected.try_contiguous().unwrap_err();
    assert!(matches!(refused, CollectError::NoBudget));
    assert_eq!((budget.used_bytes(), buffers.stats().outstanding()), held, "as it was");
    // Who cannot be refused goes beyond the bound, and others pay.
    let twin = collected.clone();
    assert!(collected.contiguous() == &pattern(12_000)[..]);
    assert!(budget.used_bytes() > ROOM);
    drop(twin);
    assert_eq!(budget.used_bytes(), buffers.capacity_for(12_000));
    assert!(collected.try_contiguous().unwrap() == &pattern(12_000)[..], "nothing to do");
    drop(collected);
    assert_eq!((budget.used_bytes(), buffers.stats().outstanding()), (0, 0));
}

#[tokio::test]
async fn a_copy_is_charged_for_itself_and_pins_nothing_of_the_body() {
    let (buffers, budget, limits) = setting();
    let mut collected = in_segments(9000, &buffers, limits).await;
    let few = collected.copy_to_bytes(100);
    let across = collected.copy_to_bytes(collected.chunk().len() + 1);
    let shared = collected.copy_to_bytes(collected.chunk().len());
    let last = budget.used_bytes();
    drop(collected);
    assert_eq!(budget.used_bytes(), last, "what is shared keeps the charge of all");
    drop(shared);
    assert_eq!(budget.used_bytes(), buffers.capacity_for(100) + buffers.capacity_for(across.len()));
    drop(across);
    assert!(few == pattern(100));
    assert_eq!((budget.used_bytes(), buffers.stats().outstanding()), (buffers.capacity_for(100), 1));
    drop(few);
    assert_eq!((budget.used_bytes(), buffers.stats().outstanding()), (0, 0));
}

#[tokio::test]
async fn a_body_of_unknown_size_fails_when_the_budget_is_out_and_gives_all_back() {
    let (buffers, budget, limits) = setting();
    let error = collect(Script::frames(&pattern(30_000), 1000), &buffers, limits).await.unwrap_err();
    assert!(matches!(error, CollectError::NoBudget));
    assert_eq!((budget.used_bytes(), buffers.stats().outstanding()), (0, 0));
}

#[tokio::test]
async fn an_admitted_claim_never_fails_for_lack_of_budget() {
    // Just what each is charged at its admission, by whichever way it is collected: no byte is left for the growth.
    for size in [1usize, 100, 5000, 16_385, 20_481, 100_000, 163_841, 700_000] {
        for ahead in [0, 8 << 20] {
            let buffers = BufferPool::builder().max_ahead_bytes(ahead).build();
            let budget = BodyBudget::new(size + size / 4 + 4096);
            let limits = Limits::new(1 << 20).budget(&budget);
            for frame in [16, 1400, 8192] {
                let body = Script::frames(&pattern(size), frame).honest();
                let collected = collect(body, &buffers, limits.clone()).await;
                assert!(collected.is_ok(), "{size} in {frame}: {collected:?}");
            }
        }
    }
}

#[tokio::test]
async fn who_is_refused_and_asks_once_more_is_not_let_in_for_nothing() {
    let (buffers, budget, limits) = setting();
    let first = collect(honest(), &buffers, limits.clone()).await.unwrap();
    for limits in [limits.clone(), limits.wait(Duration::ZERO)] {
        let mut future = Box::pin(collect(honest(), &buffers, limits));
        assert!(matches!(future.as_mut().await, Err(CollectError::NoBudget)));
        assert!(matches!(future.as_mut().await, Err(CollectError::NoBudget)));
        assert_eq!(budget.used_bytes(), buffers.capacity_for(8000), "of the first alone");
    }
    drop(first);
    assert_eq!((budget.used_bytes(), buffers.stats().outstanding()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn bodies_wait_for_room_in_the_order_in_which_they_came() {
    let (buffers, budget, limits) = setting();
    let waiting = limits.clone().wait(Duration::from_secs(10));
    let first = collect(honest(), &buffers, limits.clone()).await.unwrap();
    let holder = collect(honest(), &buffers, limits).await;
    assert!(holder.is_err(), "no room for two at their admission");
    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..4)
        .map(|number| {
            let order = order.clone();
            let body = honest().then(Step::Look(Box::new(move || order.lock().unwrap().push(number))));
            start(&buffers, &waiting, body)
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(order.lock().unwrap().is_empty(), "all wait, and hold nothing");
    assert_eq!(buffers.stats().outstanding(), 1);
    drop(first);
    for task in tasks {
        drop(task.await.unwrap().unwrap());
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
    assert_eq!((budget.used_bytes(), buffers.stats().outstanding()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_refused_and_who_gives_up_holds_up_nobody() {
    let (buffers, budget, limits) = setting();
    let first = collect(honest(), &buffers, limits.clone()).await.unwrap();
    let begun = tokio::time::Instant::now();
    let late = collect(honest(), &buffers, limits.clone().wait(Duration::from_secs(3))).await.unwrap_err();
    assert!(matches!(late, CollectError::NoBudget));
    assert_eq!(begun.elapsed().as_secs(), 3);
    let patient = limits.wait(Duration::from_secs(3600));
    let (head, second) = (start(&buffers, &patient, honest()), start(&buffers, &patient, honest()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The head of the queue gives up after it was told of room, and before it could look.
    drop(first);
    head.abort();
    assert!(second.await.unwrap().is_ok());
    assert!(head.await.is_err());
    assert_eq!((budget.used_bytes(), buffers.stats().outstanding()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_harms_nobody_who_gives_room_back() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker's own panic");
        }
    }
    let (buffers, budget, limits) = setting();
    let first = collect(honest(), &buffers, limits.clone()).await.unwrap();
    let waiting = limits.wait(Duration::from_secs(10));
    let mut head = Box::pin(collect(honest(), &buffers, waiting.clone()));
    let waker = Arc::new(Panics).into();
    assert!(head.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let second = start(&buffers, &waiting, honest());
    tokio::task::yield_now().await;
    drop(first);
    assert_eq!(budget.used_bytes(), 0);
    drop(head);
    assert!(second.await.unwrap().is_ok());
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn a_budget_holds_under_threads() {
    let budget = BodyBudget::new(100_000);
    let buffers = BufferPool::new();
    std::thread::scope(|scope| {
        for seed in 0..4usize {
            let (budget, buffers) = (&budget, &buffers);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                runtime.block_on(async {
                    let limits = Limits::new(1 << 20).budget(budget).wait(Duration::from_secs(60));
                    for round in 0..200usize {
                        let bytes = pattern((seed * 7919 + round * 131) % 30_000);
                        let body = Script::trickle(&bytes, 4000).honest();
                        let mut collected = collect(body, buffers, limits.clone()).await.unwrap();
                        assert!(budget.used_bytes() <= 100_000);
                        assert!(collected.contiguous() == &bytes[..]);
                    }
                });
            });
        }
    });
    assert_eq!((budget.used_bytes(), buffers.stats().outstanding(), buffers.ahead_bytes()), (0, 0, 0));
}
