//! What compression allocates, beside `tower-http`'s. A process of its own, with the counting allocator. It sees what Rust
//! allocates: the memory of a zstd encoder is the C library's own.

use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::bench::{AllocReport, CountingAllocator};
use ebbtide::http::Compression;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// JSON as servers send it.
fn json(bytes: usize) -> Bytes {
    let items = (0_u32..).map(|i| format!(r#"{{"id":{},"name":"item {}"}},"#, i.wrapping_mul(2_654_435_761), i % 97));
    let mut text: String = items.scan(0, |sum, item| (*sum < bytes).then(|| (*sum += item.len(), item).1)).collect();
    text.truncate(bytes);
    text.into()
}

fn response(json: &Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(json.clone()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn read(body: impl http_body::Body<Data = Bytes>) {
    let mut body = Box::pin(body);
    while let Some(Ok(frame)) = body.frame().await {
        drop(frame);
    }
}

/// Bytes allocated by one of many runs.
fn bytes_of(mut one: impl AsyncFnMut()) -> u64 {
    const RUNS: u64 = 20;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut run = || runtime.block_on(one());
    run();
    AllocReport::of(|| (0..RUNS).for_each(|_| run())).1.bytes / RUNS
}

#[test]
fn compression_allocates_at_most_a_tenth_of_what_fresh_encoders_do() {
    for encoding in ["gzip", "zstd"] {
        let mut request = Request::new(());
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding));
        for size in [4 << 10, 16 << 10, 64 << 10] {
            let json = json(size);
            let (compression, buffers) = (Compression::new(), BufferPool::new());
            let pooled = bytes_of(async || {
                let compressed = compression.apply(request.headers(), response(&json), &buffers);
                read(compressed.unwrap().into_body()).await;
            });
            let inner = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(response(&json)) });
            let mut plain = CompressionLayer::new().layer(inner);
            let fresh = bytes_of(async || {
                let response = plain.ready().await.unwrap().call(request.clone()).await;
                read(response.unwrap().into_body()).await;
            });
            // The response's head, and its new headers, are the same on both sides.
            let head = bytes_of(async || {
                let mut response = response(&json);
                response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
                response.headers_mut().append(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                drop(response);
            });
            assert!(
                10 * (pooled - head) <= fresh - head,
                "{encoding} {size}: {pooled} B pooled, {fresh} B fresh, {head} B head"
            );
        }
    }
}
