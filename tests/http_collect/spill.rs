//! Bodies that go to a file.

use super::bodies::{Script, Step, pattern};
use super::common::until;
use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::http::{BodyBudget, CollectError, Limits, Spill, Stored, collect, collect_or_spill};
use http_body::Body;
use http_body_util::BodyExt;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Waker};
use tokio::io::AsyncReadExt;

const ABOVE: usize = 50_000;

fn limits() -> Limits {
    Limits::new(1 << 30)
}

async fn file(bytes: &Bytes, buffers: &BufferPool) -> Stored {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("checksum", http::HeaderValue::from_static("7"));
    let body = Script::trickle(bytes, 9000).then(Step::Trailers(trailers));
    let stored = collect_or_spill(body, buffers, limits(), &Spill::above(ABOVE)).await.unwrap();
    assert!(matches!(stored, Stored::File(_)));
    stored
}

#[tokio::test]
async fn what_fits_in_memory_stays_there_and_more_goes_to_a_file() {
    let buffers = BufferPool::new();
    for (size, in_file) in [(0, false), (ABOVE, false), (ABOVE + 1, true), (700_000, true)] {
        let bytes = pattern(size);
        for body in [Script::trickle(&bytes, 9000), Script::trickle(&bytes, 9000).honest()] {
            let stored = collect_or_spill(body, &buffers, limits(), &Spill::above(ABOVE)).await.unwrap();
            assert_eq!((matches!(stored, Stored::File(_)), stored.len()), (in_file, size as u64));
            assert!(!in_file || buffers.stats().outstanding() == 0, "no memory is held for a file");
            assert!(stored.collect().await.unwrap().to_bytes() == bytes);
        }
    }
    assert_eq!((buffers.stats().outstanding(), buffers.ahead_bytes()), (0, 0));
}

#[tokio::test]
async fn memory_stays_bounded_whatever_the_size() {
    let (buffers, budget) = (BufferPool::new(), BodyBudget::new(1 << 30));
    let most = Arc::new(AtomicUsize::new(0));
    let bytes = pattern(2 << 20);
    let mut steps = Vec::new();
    for start in (0..bytes.len()).step_by(8192) {
        let (budget, most) = (budget.clone(), Arc::clone(&most));
        let look = move || most.store(most.load(Relaxed).max(budget.used_bytes()), Relaxed);
        steps.extend([Step::Data(bytes.slice(start..start + 8192)), Step::Look(Box::new(look))]);
    }
    let charged = limits().budget(&budget);
    let stored = collect_or_spill(Script::new(steps), &buffers, charged, &Spill::above(ABOVE)).await.unwrap();
    assert_eq!((stored.len(), budget.used_bytes()), (2 << 20, 0));
    // The most that was held at any time: the limit, the frame that passed it, and what the last segment had too much.
    let most = most.load(Relaxed);
    assert!(most > ABOVE && most <= (ABOVE + 8192) * 13 / 12, "{most}");
    // As much as the limit and a frame is charged at the admission, however much is claimed.
    let body = Script::<Bytes>::new([Step::Stop]).claiming(1 << 29);
    let (limits, spill) = (limits().budget(&budget), Spill::above(ABOVE));
    let mut future = pin!(collect_or_spill(body, &buffers, limits, &spill));
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(budget.used_bytes() < 800_000, "{budget:?}");
}

#[tokio::test]
async fn a_small_budget_admits_large_claims_to_a_file_one_at_a_time() {
    // Room for what may stay in memory, not for the largest frame beside it.
    let (buffers, budget) = (BufferPool::new(), BodyBudget::new(80_000));
    let (limits, spill) = (limits().budget(&budget), Spill::above(ABOVE));
    let bytes = pattern(1 << 20);
    let mut first = pin!(collect_or_spill(Script::trickle(&bytes, 8192).honest(), &buffers, limits.clone(), &spill));
    assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(budget.used_bytes(), 80_000);
    let other = collect_or_spill(Script::frames(&bytes, 8192).honest(), &buffers, limits.clone(), &spill).await;
    assert!(matches!(other.unwrap_err(), CollectError::NoBudget));
    assert_eq!((first.await.unwrap().len(), budget.used_bytes()), (1 << 20, 0));
    // A frame that the budget has no room for.
    let huge = Script::frames(&bytes, 100_000).honest();
    let error = collect_or_spill(huge, &buffers, limits.clone(), &spill).await.unwrap_err();
    assert!(matches!(error, CollectError::NoBudget));
    let error = collect_or_spill(Script::frames(&bytes, 8192).honest(), &buffers, limits, &Spill::above(80_000)).await;
    assert!(matches!(error.unwrap_err(), CollectError::BeyondBudget { budget: 80_000 }));
    assert_eq!((buffers.stats().outstanding(), budget.used_bytes()), (0, 0));
}

#[tokio::test]
async fn a_file_is_read_back_as_a_body_and_as_a_reader_by_clones_at_their_own_places() {
    let (buffers, bytes) = (BufferPool::new(), pattern(300_000));
    let mut first = file(&bytes, &buffers).await;
    assert_eq!((first.size_hint().exact(), first.is_end_stream()), (Some(300_000), false));
    let mut start = vec![0; 100_001];
    first.read_exact(&mut start).await.unwrap();
    let mut second = first.clone();
    // In the middle of a piece, and while one is read.
    assert!(pin!(second.read(&mut [0; 9])).as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    let third = second.clone();
    assert_eq!((first.len(), second.len(), third.len()), (199_999, 199_990, 199_990));
    let collected = first.collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["checksum"], "7");
    assert!(start == bytes[..100_001] && collected.to_bytes() == bytes[100_001..]);
    let mut rest = Vec::new();
    second.read_to_end(&mut rest).await.unwrap();
    assert!(rest == bytes[100_010..]);
    assert!(second.trailers().is_some() && second.is_empty() && !second.is_end_stream());
    drop(second);
    assert!(third.collect().await.unwrap().to_bytes() == bytes[100_010..]);
    assert_eq!(buffers.stats().outstanding(), 0);
}

#[tokio::test]
async fn a_file_is_taken_into_memory_only_within_limits() {
    let (buffers, bytes) = (BufferPool::new(), pattern(300_000));
    let stored = file(&bytes, &buffers).await;
    let error = collect(stored.clone(), &buffers, Limits::new(299_999)).await.unwrap_err();
    assert!(matches!(error, CollectError::TooLarge { limit: 299_999 }));
    let mut collected = collect(stored, &buffers, Limits::new(300_000)).await.unwrap();
    assert!(collected.contiguous() == &bytes[..]);
}

#[tokio::test]
async fn the_limit_counts_what_is_in_the_file() {
    let buffers = BufferPool::new();
    let spill = Spill::above(ABOVE);
    for limit in [299_999, 300_000] {
        let body = Script::trickle(&pattern(300_000), 9000);
        let outcome = collect_or_spill(body, &buffers, Limits::new(limit), &spill).await;
        assert_eq!(outcome.is_ok(), limit == 300_000);
        let body = Script::trickle(&pattern(300_000), 9000).then(Step::Error);
        let error = collect_or_spill(body, &buffers, Limits::new(limit), &spill).await.unwrap_err();
        assert!(matches!(error, CollectError::Body(_) | CollectError::TooLarge { .. }));
    }
    assert_eq!(buffers.stats().outstanding(), 0);
}

#[tokio::test]
async fn a_file_has_no_name_and_a_folder_that_takes_none_is_a_typed_error() {
    let buffers = BufferPool::new();
    let folder = std::env::temp_dir().join(format!("ebbtide-spill-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let spill = Spill::above(ABOVE).folder(&folder);
    let body = || Script::trickle(&pattern(300_000), 9000);
    let stored = collect_or_spill(body(), &buffers, limits(), &spill).await.unwrap();
    assert_eq!((stored.len(), std::fs::read_dir(&folder).unwrap().count()), (300_000, 0));
    std::fs::remove_dir(&folder).unwrap();
    // One that is not there, and one that nobody may write to, not even the superuser.
    for folder in [folder.as_path(), std::path::Path::new("/proc/self")] {
        let error = collect_or_spill(body(), &buffers, limits(), &spill.clone().folder(folder)).await.unwrap_err();
        assert!(matches!(error, CollectError::Spill(_)), "{error}");
        assert_eq!((error.status().as_u16(), buffers.stats().outstanding()), (503, 0));
        assert!(error.to_string().starts_with("body could not be stored: "), "{error}");
    }
}

#[tokio::test]
async fn a_drop_at_any_await_gives_memory_and_file_back() {
    let buffers = BufferPool::new();
    let spill = Spill::above(10_000);
    for polls in 0.. {
        let body = Script::trickle(&pattern(60_000), 3000);
        let mut future = Box::pin(collect_or_spill(body, &buffers, limits(), &spill));
        let mut done = false;
        for _ in 0..polls {
            done |= !done && future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            tokio::task::yield_now().await;
        }
        drop(future);
        until("a write that was under way gives its memory back", || buffers.stats().outstanding() == 0).await;
        if done {
            return assert!(polls > 20, "there were awaits to drop it at");
        }
        assert!(polls < 100_000);
    }
}

#[test]
fn a_write_keeps_its_budget_until_it_gives_the_memory_back() {
    // The only thread for blocking work is busy, so the write waits in line.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (buffers, budget) = (BufferPool::new(), BodyBudget::new(1 << 20));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || wait.recv());
        let (limits, spill) = (limits().budget(&budget), Spill::above(10_000));
        let body = Script::frames(&pattern(12_000), 3000).then(Step::Stop);
        let mut future = Box::pin(collect_or_spill(body, &buffers, limits, &spill));
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(future);
        assert_eq!((buffers.stats().outstanding() > 0, budget.used_bytes() >= 12_000), (true, true));
        go.send(()).unwrap();
        busy.await.unwrap().unwrap();
        until("the write gives both back", || (buffers.stats().outstanding(), budget.used_bytes()) == (0, 0)).await;
    });
}

/// Runs the next test with a limit on the size of files, which fails a write as a full disk does.
#[test]
fn a_disk_that_is_full_is_a_typed_error_and_nothing_is_left() {
    let program = std::env::current_exe().unwrap();
    let limited = "trap '' XFSZ; ulimit -f 100; exec \"$0\" --ignored --exact spill::on_a_full_disk";
    let output = Command::new("sh").arg("-c").arg(limited).arg(program).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "runs in a process with a limit on files"]
async fn on_a_full_disk() {
    let buffers = BufferPool::new();
    let body = Script::trickle(&pattern(600_000), 9000);
    let error = collect_or_spill(body, &buffers, limits(), &Spill::above(ABOVE)).await.unwrap_err();
    assert!(matches!(error, CollectError::Spill(_)), "{error}");
    assert_eq!(buffers.stats().outstanding(), 0);
}
