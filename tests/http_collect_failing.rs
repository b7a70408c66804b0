//! Bodies where there is no memory. A process of its own, whose allocator refuses blocks of a size.

#![allow(unsafe_code)] // The allocator.

#[expect(dead_code)] // The other tests need more of it.
#[path = "http_collect/bodies.rs"]
mod bodies;

use axum::extract::FromRequest;
use axum::response::IntoResponse;
use bodies::{Script, pattern};
use bytes::Bytes;
use ebbtide::http::{
    BodyBudget, BodyRejection, BufferBodyLayer, CollectError, Collected, Limits, PooledBody, PooledJson, Spill,
    collect, collect_or_spill,
};
use ebbtide::tokio::read_pooled;
use ebbtide::{BufferPool, PooledRope};
use http::{Request, Response, header::RETRY_AFTER};
use http_body_util::{BodyExt, StreamBody};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::convert::Infallible;
use std::io::{ErrorKind, Write};
use tower::{Layer, ServiceExt, service_fn};

std::thread_local! {
    /// Bytes of the largest buffer that this thread has memory for.
    static MOST: Cell<usize> = const { Cell::new(usize::MAX) };
}

struct Refusing;

// SAFETY: the system's allocator does the work, with the same arguments; null is no memory.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Only buffers are aligned so.
        if layout.align() == 64 && layout.size() > MOST.get() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;

/// What `future` becomes where no buffer can have more than `most` bytes.
async fn short_of<T>(most: usize, future: impl Future<Output = T>) -> T {
    MOST.set(most);
    let outcome = future.await;
    MOST.set(usize::MAX);
    outcome
}

/// The rope that 40,000 bytes become.
async fn in_segments(buffers: &BufferPool, limits: Limits) -> Collected {
    collect(Script::frames(&pattern(40_000), 1000), buffers, limits).await.unwrap()
}

#[tokio::test]
async fn a_body_for_which_there_is_no_memory_is_refused_wherever_that_is_seen() {
    let bytes = pattern(200_000);
    let bodies: [fn(&Bytes) -> Script; 4] = [
        // At the first segment, at a later one, at one buffer for a claim, and when a frame was not the whole.
        |bytes| Script::frames(bytes, 5000),
        |bytes| Script::frames(bytes, 1000),
        |bytes| Script::frames(bytes, 1000).honest(),
        |bytes| Script::frames(bytes, 100_000).honest(),
    ];
    for body in bodies {
        let (buffers, budget) = (BufferPool::new(), BodyBudget::new(1 << 20));
        let limits = Limits::default().budget(&budget);
        let error = short_of(4096, collect(body(&bytes), &buffers, limits)).await.unwrap_err();
        assert!(matches!(error, CollectError::NoMemory), "{error}");
        assert_eq!((error.status().as_u16(), error.to_string().as_str()), (503, "no memory for the body"));
        assert_eq!((buffers.stats().outstanding(), buffers.ahead_bytes(), budget.used_bytes()), (0, 0, 0));
    }
}

#[tokio::test]
async fn a_rope_that_cannot_be_gathered_stays_as_it_is() {
    let (buffers, budget) = (BufferPool::new(), BodyBudget::new(1 << 20));
    let mut collected = in_segments(&buffers, Limits::default().budget(&budget)).await;
    let held = (budget.used_bytes(), buffers.stats().outstanding());
    let refused = short_of(4096, async { collected.try_contiguous().map(<[u8]>::len) }).await.unwrap_err();
    assert!(matches!(refused, CollectError::NoMemory));
    assert_eq!((budget.used_bytes(), buffers.stats().outstanding(), buffers.gathered_bytes()), (held.0, held.1, 0));
    assert!(collected.try_contiguous().unwrap() == &pattern(40_000)[..]);
}

#[tokio::test]
async fn extractors_and_the_layer_answer_503_with_advice_to_come_again() {
    let frames = || {
        let chunks = pattern(200_000).chunks(1000).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        let frames = chunks.into_iter().map(|chunk| Ok::<_, Infallible>(http_body::Frame::data(chunk)));
        StreamBody::new(futures_util::stream::iter(frames))
    };
    let request = || Request::new(axum::body::Body::new(frames()));
    let rejection = short_of(4096, PooledBody::from_request(request(), &())).await.unwrap_err();
    assert!(matches!(rejection, BodyRejection::NoMemory));
    assert_eq!(rejection.to_string(), "no memory for the request body");
    // All segments are there from before, and what lacks is the one buffer for all.
    drop(PooledBody::from_request(request(), &()).await.unwrap());
    BufferPool::global().clear();
    drop(collect(frames(), BufferPool::global(), Limits::default()).await.unwrap());
    let gathering = short_of(4096, PooledBody::from_request(request(), &())).await.unwrap_err();
    assert!(matches!(gathering, BodyRejection::NoMemory));
    assert_eq!(BufferPool::global().stats().outstanding(), 0);

    let inner = service_fn(|_: Request<Collected>| async { Ok::<_, Infallible>(Response::new(String::new())) });
    let service = BufferBodyLayer::new(Limits::default()).buffers(BufferPool::new()).layer(inner);
    let layered = short_of(4096, service.oneshot(Request::new(frames()))).await.unwrap().map(|_| ());
    let short = short_of(64, async { PooledJson("short").into_response() }).await.map(|_| ());
    let long = short_of(2048, async { PooledJson("long".repeat(5000)).into_response() }).await.map(|_| ());
    for response in [rejection.into_response().map(|_| ()), layered, short, long] {
        assert!(response.headers().contains_key(RETRY_AFTER) && response.status() == 503, "{response:?}");
    }
}

#[test]
fn reads_for_which_there_is_no_buffer_are_errors() {
    // With one thread that reads files, which the tasks below find again.
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let buffers = BufferPool::new();
        let mut reader = &b"read"[..];
        let error = short_of(64, read_pooled(&mut reader, &buffers, 1000)).await.unwrap_err();
        assert_eq!((error.kind(), reader), (ErrorKind::OutOfMemory, &b"read"[..]));
        assert_eq!(read_pooled(&mut reader, &buffers, 1000).await.unwrap().unwrap(), "read");

        let body = Script::frames(&pattern(100_000), 1000);
        let stored = collect_or_spill(body, &buffers, Limits::default(), &Spill::above(10_000)).await.unwrap();
        tokio::task::spawn_blocking(|| MOST.set(64)).await.unwrap();
        let error = stored.clone().collect().await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        tokio::task::spawn_blocking(|| MOST.set(usize::MAX)).await.unwrap();
        assert!(stored.collect().await.unwrap().to_bytes() == pattern(100_000));
    });
}

#[test]
fn a_rope_and_a_buffer_say_that_there_is_no_memory() {
    let (buffers, bytes) = (BufferPool::new(), pattern(10_000));
    let (mut rope, mut buffer) = (PooledRope::new(&buffers), buffers.get(4096));
    MOST.set(64);
    assert_eq!(rope.write_all(&bytes).unwrap_err().kind(), ErrorKind::OutOfMemory);
    assert_eq!(rope.write(&bytes).unwrap_err().kind(), ErrorKind::OutOfMemory);
    assert!(PooledRope::try_with_capacity(&buffers, 10_000).is_err());
    assert_eq!(buffer.write_all(&bytes).unwrap_err().kind(), ErrorKind::OutOfMemory);
    assert_eq!(buffer.write_vectored(&[std::io::IoSlice::new(&bytes)]).unwrap_err().kind(), ErrorKind::OutOfMemory);
    MOST.set(usize::MAX);
    assert_eq!(buffer.len(), 0, "a buffer is as it was");
    assert_eq!(rope.len(), 4096, "a rope has what there was room for");
    rope.extend_from_slice(&bytes[4096..]);
    assert!(rope.freeze().into_contiguous() == bytes);
}
