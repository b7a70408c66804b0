//! Where the bytes are copied to: one buffer for a claim that is believed, else segments.

use super::bodies::{Script, Step, pattern};
use bytes::{Buf, Bytes};
use ebbtide::BufferPool;
use ebbtide::http::{BodyBudget, Limits, collect};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const MANY: usize = 1 << 30;

#[tokio::test]
async fn a_believed_claim_is_copied_once_into_one_buffer() {
    for size in [100, 16 << 10, 60_000, 1 << 20, 4 << 20] {
        let (buffers, bytes) = (BufferPool::new(), pattern(size));
        let body = Script::frames(&bytes, 16_000.min(size / 3)).honest();
        let collected = collect(body, &buffers, Limits::new(MANY)).await.unwrap();
        assert!(collected.as_slice() == Some(&bytes[..]), "{size} bytes are in one piece");
        assert_eq!((buffers.stats().made, buffers.gathered_bytes(), buffers.ahead_bytes()), (1, 0, 0));
    }
}

#[tokio::test]
async fn a_claim_beyond_the_contiguous_limit_grows_by_segments() {
    let (buffers, bytes) = (BufferPool::new(), pattern(100_000));
    let limits = || Limits::new(MANY).contiguous(99_999);
    let collected = collect(Script::frames(&bytes, 9000).honest(), &buffers, limits()).await.unwrap();
    assert!(collected.as_slice().is_none());
    let collected = collect(Script::frames(&bytes, 9000).honest(), &buffers, limits().contiguous(100_000)).await;
    assert!(collected.unwrap().as_slice().is_some());
}

#[tokio::test]
async fn a_claim_that_finds_no_room_ahead_grows_by_segments_and_is_gathered_on_demand() {
    let (buffers, bytes) = (BufferPool::builder().max_ahead_bytes(0).build(), pattern(300_000));
    let mut collected = collect(Script::frames(&bytes, 9000).honest(), &buffers, Limits::new(MANY)).await.unwrap();
    assert!(collected.as_slice().is_none() && buffers.stats().outstanding() > 5);
    assert!(collected.contiguous() == &bytes[..]);
    assert!(collected.as_slice() == Some(&bytes[..]));
    assert_eq!((buffers.stats().outstanding(), buffers.gathered_bytes()), (1, 300_000));
    collected.contiguous();
    assert_eq!(buffers.gathered_bytes(), 300_000, "once is enough");
}

#[tokio::test]
async fn what_is_reserved_ahead_goes_back_as_bytes_arrive() {
    let buffers = BufferPool::new();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let look = |buffers: &BufferPool| {
        let (buffers, seen) = (buffers.clone(), Arc::clone(&seen));
        Step::Look(Box::new(move || seen.lock().unwrap().push(buffers.ahead_bytes())))
    };
    let half = pattern(1 << 19);
    let steps = [Step::Data(half.slice(..1000)), look(&buffers), Step::Data(half.slice(1000..)), look(&buffers)];
    let body = Script::new(steps).then(Step::Data(half.clone())).then(look(&buffers)).honest();
    let collected = collect(body, &buffers, Limits::new(MANY)).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [(1 << 20) - 1000, 1 << 19, 0]);
    assert_eq!(collected.len(), 1 << 20);
}

#[tokio::test]
async fn all_claims_together_reserve_no_more_than_the_bound() {
    let buffers = BufferPool::builder().max_ahead_bytes(3 << 20).build();
    let mut waiting = Vec::new();
    for _ in 0..10 {
        let body = Script::new([Step::Data(pattern(1000)), Step::Stop]).claiming(1 << 20);
        let mut future = Box::pin(collect(body, &buffers, Limits::new(MANY)));
        assert!(futures_poll(future.as_mut()).is_none());
        waiting.push(future);
    }
    assert_eq!(buffers.ahead_bytes(), 3 * ((1 << 20) - 1000));
    assert_eq!(buffers.stats().outstanding(), 10);
    drop(waiting);
    assert_eq!((buffers.ahead_bytes(), buffers.stats().outstanding()), (0, 0));
}

/// Polls once.
fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

/// The most bytes held beyond `allowed(arrived)` at any frame of a body of a megabyte.
async fn excess(frame: usize, buffers: &BufferPool, claims: u64, allowed: fn(usize) -> usize) -> usize {
    let budget = BodyBudget::new(MANY);
    let worst = Arc::new(AtomicUsize::new(0));
    let bytes = pattern(1 << 20);
    let mut steps = Vec::new();
    for start in (0..bytes.len()).step_by(frame) {
        let end = bytes.len().min(start + frame);
        steps.push(Step::Data(bytes.slice(start..end)));
        let (budget, worst) = (budget.clone(), Arc::clone(&worst));
        steps.push(Step::Look(Box::new(move || {
            worst.fetch_max(budget.used_bytes().saturating_sub(allowed(end)), Relaxed);
        })));
    }
    let body = Script::new(steps).claiming(claims);
    let collected = collect(body, buffers, Limits::new(MANY).max_frames(1 << 30).budget(&budget)).await.unwrap();
    assert!(collected.into_bytes() == bytes);
    worst.load(Relaxed)
}

#[tokio::test]
async fn a_body_without_a_claim_holds_a_twelfth_more_than_has_arrived() {
    let buffers = BufferPool::new();
    for frame in [16, 100, 1400] {
        let beyond = excess(frame, &buffers, 0, |arrived| (arrived + arrived / 12).max(arrived + 4096)).await;
        assert_eq!(beyond, 0, "frames of {frame} bytes");
    }
    // A frame that needs a segment of its own rounds up to a size class.
    for frame in [8192, 65_536, 417_000] {
        let beyond = excess(frame, &buffers, 0, |arrived| arrived + arrived / 4).await;
        assert_eq!(beyond, 0, "frames of {frame} bytes");
    }
}

/// A network that is now faster and now slower brings other frames each time.
#[tokio::test]
async fn the_frames_of_a_body_do_not_decide_how_much_a_pool_keeps() {
    let (buffers, bytes) = (BufferPool::new(), pattern(4 << 20));
    let mut charged = Vec::new();
    for frame in [417_000, 300_000, 230_000, 350_000, 180_000, 150_000, 120_000, 417_000, 100_000] {
        let collected = collect(Script::frames(&bytes, frame), &buffers, Limits::new(MANY)).await.unwrap();
        assert!(collected.into_bytes() == bytes);
        charged.push(buffers.stats().charged_bytes);
    }
    // The last goes into what all came out of; `into_bytes` takes a buffer for all of it beside them.
    let (first, last) = (charged[0], charged[charged.len() - 1]);
    assert!(last < first + (1 << 20), "{charged:?}");
}

/// The pool's values that are idle while a body of no claim is held, after one buffer of `idle` bytes was left there.
async fn idle_beside(idle: usize, body: Script) -> u64 {
    let buffers = BufferPool::new();
    drop(buffers.get(idle));
    let _held = collect(body, &buffers, Limits::new(MANY)).await.unwrap();
    buffers.stats().idle
}

#[tokio::test]
async fn an_idle_segment_of_more_than_four_times_the_room_is_left_to_others() {
    for (first, idle, left) in [(20_480, 81_920, 0), (20_479, 81_920, 1), (17_000, 81_920, 1), (17_000, 65_536, 0)] {
        let body = Script::frames(&pattern(first), first).then(Step::Wait);
        assert_eq!(idle_beside(idle, body).await, left, "{idle} bytes for {first}");
    }
}

#[tokio::test]
async fn an_idle_segment_of_more_than_a_quarter_of_what_is_there_is_left_to_others() {
    const IDLE: usize = 320 << 10;
    for (bytes, left) in [(4 * IDLE - 1400, 1), (4 * IDLE + (100 << 10), 0)] {
        assert_eq!(idle_beside(IDLE, Script::frames(&pattern(bytes), 1400)).await, left, "{bytes} bytes");
    }
}

#[tokio::test]
async fn segments_are_no_larger_than_the_rest_of_a_claim() {
    let buffers = BufferPool::builder().max_ahead_bytes(0).build();
    let mut saved = 0;
    for size in (100_000..200_000).step_by(3000) {
        let (budget, bytes) = (BodyBudget::new(MANY), pattern(size));
        let limits = || Limits::new(MANY).budget(&budget);
        let claimed = collect(Script::frames(&bytes, 1000).honest(), &buffers, limits()).await.unwrap();
        let of_claimed = budget.used_bytes();
        drop(claimed);
        let unknown = collect(Script::frames(&bytes, 1000), &buffers, limits()).await.unwrap();
        assert!(of_claimed <= budget.used_bytes(), "{size} bytes");
        saved += budget.used_bytes() - of_claimed;
        drop(unknown);
    }
    assert!(saved > 34 * 2000, "{saved} bytes less in 34 bodies");
}

#[tokio::test]
async fn a_claim_of_16_kib_is_believed_without_room_ahead_and_no_larger_one() {
    let buffers = BufferPool::builder().max_ahead_bytes(0).build();
    for (size, whole) in [(16 << 10, true), ((16 << 10) + 1, false), (60_000, false)] {
        let body = Script::frames(&pattern(size), 1000).honest();
        let collected = collect(body, &buffers, Limits::new(MANY)).await.unwrap();
        assert_eq!(collected.as_slice().is_some(), whole, "{size} bytes");
    }
}

#[tokio::test]
async fn a_claim_of_a_gigabyte_with_ten_bytes_takes_one_page() {
    let buffers = BufferPool::new();
    let body = Script::new([Step::Data(Bytes::from_static(b"ten bytes.")), Step::Stop]).claiming(1 << 30);
    let mut future = Box::pin(collect(body, &buffers, Limits::new(usize::MAX)));
    assert!(futures_poll(future.as_mut()).is_none());
    assert_eq!((buffers.stats().made, buffers.ahead_bytes()), (1, 0));
    drop(future);
    // What is idle is charged with what it retains.
    assert!((4096..4500).contains(&buffers.stats().charged_bytes), "{:?}", buffers.stats());
}

#[tokio::test]
async fn a_claim_that_is_too_small_does_no_harm() {
    let (buffers, bytes) = (BufferPool::new(), pattern(100_000));
    for claims in [1, 50_000, 99_999] {
        let body = Script::frames(&bytes, 7000).claiming(claims);
        let mut collected = collect(body, &buffers, Limits::new(MANY)).await.unwrap();
        assert!(collected.contiguous() == &bytes[..], "claimed {claims}");
    }
}

#[tokio::test]
async fn data_of_any_kind_is_collected_in_several_chunks_too() {
    let buffers = BufferPool::new();
    let pieces = || Bytes::from_static(b"in ").chain(&b"several "[..]).chain(Bytes::from_static(b"pieces"));
    // Alone it is not in one piece, so it is copied to pooled memory as several are.
    let one = collect(Script::new([Step::Data(pieces())]), &buffers, Limits::new(MANY)).await.unwrap();
    assert_eq!((one.as_slice(), buffers.stats().outstanding()), (Some(&b"in several pieces"[..]), 1));
    drop(one);
    let body = Script::new([Step::Data(pieces()), Step::Data(pieces())]);
    let two = collect(body, &buffers, Limits::new(MANY)).await.unwrap();
    assert_eq!(two.as_slice(), Some(&b"in several piecesin several pieces"[..]));
}
