//! Time limits: what counts as progress, and when a timer is there at all.

use super::bodies::{Empty, Script, Step, pattern};
use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::http::{CollectError, Limits, collect};
use http_body::{Body, Frame};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

const IDLE: Duration = Duration::from_secs(10);

/// `count` frames of 100 bytes, one every `seconds`.
fn paced(count: usize, seconds: u64) -> Script {
    let steps = (0..count).flat_map(|_| [Step::Sleep(Duration::from_secs(seconds)), Step::Data(pattern(100))]);
    Script::new(steps)
}

#[tokio::test(start_paused = true)]
async fn a_body_without_a_byte_for_the_idle_time_is_given_up() {
    let (buffers, begun) = (BufferPool::new(), Instant::now());
    for (body, after) in [(Script::new([Step::Stop]), 10), (paced(3, 4).then(Step::Stop), 22)] {
        let begun = Instant::now();
        let error = collect(body, &buffers, Limits::default().idle_timeout(IDLE)).await.unwrap_err();
        assert!(matches!(error, CollectError::Stalled { after: IDLE }), "{error}");
        assert_eq!((error.status().as_u16(), begun.elapsed().as_secs()), (408, after));
        assert_eq!(error.to_string(), "no byte of the body came for 10s");
    }
    assert_eq!((begun.elapsed().as_secs(), buffers.stats().outstanding()), (32, 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_on_is_not_idle() {
    let (buffers, begun) = (BufferPool::new(), Instant::now());
    let collected = collect(paced(100, 9), &buffers, Limits::default().idle_timeout(IDLE)).await.unwrap();
    assert_eq!((collected.len(), begun.elapsed().as_secs()), (10_000, 900));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_slow_as_a_whole_is_given_up() {
    let (buffers, begun) = (BufferPool::new(), Instant::now());
    let limits = Limits::default().idle_timeout(IDLE).total_timeout(Duration::from_secs(60));
    let error = collect(paced(100, 9), &buffers, limits.clone()).await.unwrap_err();
    assert!(matches!(error, CollectError::TooSlow { .. }));
    assert_eq!((error.status().as_u16(), begun.elapsed().as_secs()), (408, 60));
    assert_eq!(error.to_string(), "body was not complete after 60s");
    assert!(collect(paced(6, 9), &buffers, limits).await.is_ok());
    // The one time without the other.
    let (begun, limits) = (Instant::now(), Limits::default().total_timeout(Duration::from_secs(60)));
    let error = collect(paced(100, 25), &buffers, limits).await.unwrap_err();
    assert!(matches!(error, CollectError::TooSlow { .. }));
    assert_eq!((begun.elapsed().as_secs(), buffers.stats().outstanding()), (60, 0));
}

#[tokio::test(start_paused = true)]
async fn empty_frames_are_no_progress() {
    let buffers = BufferPool::new();
    let empty = (0..100).flat_map(|_| [Step::Sleep(Duration::from_secs(1)), Step::Data(Bytes::new())]);
    let begun = Instant::now();
    let error = collect(Script::new(empty), &buffers, Limits::default().idle_timeout(IDLE)).await.unwrap_err();
    assert!(matches!(error, CollectError::Stalled { .. }));
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn empty_frames_that_are_always_ready_time_out_too() {
    let buffers = BufferPool::new();
    for waits in [false, true] {
        let limits = Limits::default().max_frames(u64::MAX).idle_timeout(Duration::from_millis(50));
        let error = collect(Empty { waits, waited: false }, &buffers, limits).await.unwrap_err();
        assert!(matches!(error, CollectError::Stalled { .. }));
    }
}

/// Empty frames, each of which takes of what tokio grants to a task before it lets others run, as hyper's do.
struct Greedy(usize);

impl Body for Greedy {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        ready!(pin!(tokio::task::consume_budget()).poll(context));
        self.0 -= 1;
        Poll::Ready((self.0 > 0).then(|| Ok(Frame::data(Bytes::new()))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_leaves_the_timer_no_share_of_the_task_times_out_too() {
    let clock = tokio::spawn(async {
        loop {
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    });
    let limits = Limits::default().idle_timeout(IDLE);
    let error = collect(Greedy(1_000_000), &BufferPool::new(), limits).await.unwrap_err();
    assert!(matches!(error, CollectError::Stalled { .. }));
    clock.abort();
}

#[test]
fn a_body_that_is_all_there_needs_no_timer() {
    // A runtime without a timer: arming one would panic.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let limits = Limits::default().idle_timeout(IDLE);
    let body = Script::frames(&pattern(1000), 100);
    let collected = runtime.block_on(collect(body, &BufferPool::new(), limits)).unwrap();
    assert_eq!(collected.len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn times_that_never_come_are_no_trouble() {
    let limits = Limits::default().idle_timeout(Duration::MAX).total_timeout(Duration::MAX).wait(Duration::MAX);
    assert!(collect(paced(3, 1000), &BufferPool::new(), limits).await.is_ok());
}
