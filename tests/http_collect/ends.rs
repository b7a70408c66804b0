//! Every way in which a collection ends gives everything back: limits, errors, panics, a drop at any await.

use super::bodies::{Empty, Script, Step, pattern};
use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::http::{BodyBudget, CollectError, Limits, collect};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

/// A pool and a budget that must be whole again.
struct House {
    buffers: BufferPool,
    budget: BodyBudget,
}

impl House {
    fn new() -> Self {
        Self { buffers: BufferPool::new(), budget: BodyBudget::new(1 << 20) }
    }

    fn limits(&self, max_bytes: usize) -> Limits {
        Limits::new(max_bytes).budget(&self.budget)
    }

    fn assert_whole(&self) {
        let held = (self.buffers.stats().outstanding(), self.buffers.ahead_bytes(), self.budget.used_bytes());
        assert_eq!(held, (0, 0, 0), "buffers, bytes ahead, budget");
    }
}

/// A body under way in one buffer, in segments, and in what it takes for small ones.
fn bodies() -> [Script; 3] {
    let bytes = pattern(50_000);
    [
        Script::trickle(&bytes, 5000).claiming(100_000),
        Script::trickle(&bytes, 5000),
        Script::trickle(&bytes.slice(..100), 30).claiming(200),
    ]
}

#[tokio::test]
async fn a_body_that_fails_midway_gives_all_back() {
    let house = House::new();
    for body in bodies() {
        let error = collect(body.then(Step::Error), &house.buffers, house.limits(1 << 20)).await.unwrap_err();
        assert!(matches!(error, CollectError::Body("the network")));
        assert_eq!(error.status().as_u16(), 400);
        house.assert_whole();
    }
    assert!(house.buffers.stats().idle > 0, "the memory is kept");
}

#[tokio::test]
async fn a_body_that_passes_its_limit_gives_all_back() {
    let house = House::new();
    for (limit, claims) in [(40_000, 30_000), (40_000, 0), (99, 50)] {
        let body = Script::trickle(&pattern(50_000), 99).claiming(claims);
        let error = collect(body, &house.buffers, house.limits(limit)).await.unwrap_err();
        assert!(matches!(error, CollectError::TooLarge { limit: told } if told == limit), "{error}");
        house.assert_whole();
    }
}

#[tokio::test]
async fn the_limit_on_frames_is_exact() {
    let house = House::new();
    let body = || Script::frames(&pattern(50), 5).then(Step::Trailers(http::HeaderMap::new()));
    assert!(collect(body(), &house.buffers, house.limits(100).max_frames(11)).await.is_ok());
    let error = collect(body(), &house.buffers, house.limits(100).max_frames(10)).await.unwrap_err();
    assert!(matches!(error, CollectError::TooManyFrames { limit: 10 }));
    assert_eq!((error.status().as_u16(), error.to_string().as_str()), (413, "body came in more than 10 frames"));
    house.assert_whole();
}

#[tokio::test]
async fn by_default_frames_of_a_byte_pass_and_empty_ones_come_to_an_end() {
    let house = House::new();
    let bytes = pattern(10_000);
    let body = Script::frames(&bytes, 1);
    let mut collected = collect(body, &house.buffers, house.limits(10_000)).await.unwrap();
    assert!(collected.contiguous() == &bytes[..]);
    drop(collected);
    for waits in [false, true] {
        let error = collect(Empty { waits, waited: false }, &house.buffers, house.limits(10_000)).await.unwrap_err();
        assert!(matches!(error, CollectError::TooManyFrames { limit: 11_024 }));
    }
    house.assert_whole();
}

#[tokio::test]
async fn a_panic_of_the_body_gives_all_back() {
    let house = House::new();
    for body in bodies() {
        let (buffers, limits) = (house.buffers.clone(), house.limits(1 << 20));
        let task = tokio::spawn(async move { collect(body.then(Step::Panic), &buffers, limits).await });
        assert!(task.await.unwrap_err().is_panic());
        house.assert_whole();
    }
    // Also where the future survives the panic and is dropped later.
    let body = Script::frames(&pattern(50_000), 5000).then(Step::Panic);
    let mut future = Box::pin(collect(body, &house.buffers, house.limits(1 << 20)));
    let mut context = Context::from_waker(Waker::noop());
    let polled = std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context).is_ready()));
    assert!(polled.is_err());
    drop(future);
    house.assert_whole();
}

#[tokio::test(start_paused = true)]
async fn a_drop_at_any_await_gives_all_back() {
    let house = House::new();
    for number in 0..bodies().len() {
        for polls in 0.. {
            let body = bodies().into_iter().nth(number).unwrap();
            let limits = house.limits(1 << 20).wait(Duration::from_secs(9)).idle_timeout(Duration::from_secs(9));
            let done = {
                let mut future = pin!(collect(body, &house.buffers, limits));
                let mut context = Context::from_waker(Waker::noop());
                (0..polls).any(|_| future.as_mut().poll(&mut context).is_ready())
            };
            house.assert_whole();
            if done {
                assert!(polls > 4, "there were awaits to drop it at");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_drop_in_the_queue_for_a_budget_gives_all_back() {
    let house = House::new();
    let limits = house.limits(1 << 20).wait(Duration::from_secs(9));
    let first = collect(Script::frames(&pattern(900_000), 9000).honest(), &house.buffers, limits.clone()).await;
    let held = house.budget.used_bytes();
    for polls in 0..4 {
        let mut future =
            pin!(collect(bodies().into_iter().next().unwrap().claiming(500_000), &house.buffers, limits.clone()));
        let mut context = Context::from_waker(Waker::noop());
        assert!((0..polls).all(|_| future.as_mut().poll(&mut context).is_pending()));
    }
    assert_eq!(house.budget.used_bytes(), held);
    drop(first);
    house.assert_whole();
}

#[tokio::test]
async fn a_body_that_is_always_ready_lets_the_task_go() {
    let buffers = BufferPool::new();
    let endless =
        collect(Empty { waits: false, waited: false }, &buffers, Limits::new(usize::MAX).max_frames(u64::MAX));
    let timed = tokio::time::timeout(Duration::from_millis(50), endless).await;
    assert!(timed.is_err(), "a time limit around it works");
    let frames = Script::new((0..1000).map(|_| Step::Data(Bytes::from_static(b"x"))));
    let mut future = pin!(collect(frames, &buffers, Limits::default()));
    let mut polls = 1;
    while future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        polls += 1;
    }
    assert_eq!(polls, 8, "128 frames a turn");
}
