//! Compressed JSON responses: pooled encoders beside `tower-http`'s, which are made anew for each response.

mod allocator;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ebbtide::BufferPool;
use ebbtide::http::Compression;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::hint::black_box;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;

/// JSON as servers send it: much alike, not all the same.
fn json(bytes: usize) -> Bytes {
    let mut text = String::from("[");
    let mut number = 1_u32;
    while text.len() < bytes {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text += &format!(r#"{{"id":{number},"name":"item {}","ok":{}}},"#, number % 97, number % 2 == 0);
    }
    text.truncate(bytes);
    text.into()
}

fn response(json: &Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(json.clone()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn request(encoding: &'static str) -> Request<()> {
    let mut request = Request::new(());
    request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding));
    request
}

/// Reads a body to its end, as a server does, frame by frame.
async fn sent(mut body: impl http_body::Body<Data = Bytes> + Unpin) -> usize {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
    bytes
}

fn responses(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for encoding in ["gzip", "zstd"] {
        let mut group = c.benchmark_group(format!("compress/{encoding}"));
        for size in [4 << 10, 16 << 10, 64 << 10] {
            let json = json(size);
            group.throughput(Throughput::Bytes(size as u64));
            let (compression, buffers) = (Compression::new(), BufferPool::new());
            group.bench_function(BenchmarkId::new("ebbtide", size), |b| {
                b.iter(|| {
                    let request = request(encoding);
                    let compressed = compression.apply(request.headers(), response(&json), &buffers);
                    black_box(runtime.block_on(sent(compressed.expect("compressed").into_body())))
                });
            });
            let inner = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(response(&json)) });
            let mut plain = CompressionLayer::new().layer(inner);
            group.bench_function(BenchmarkId::new("tower_http", size), |b| {
                b.iter(|| {
                    runtime.block_on(async {
                        let response = plain.ready().await.expect("ready").call(request(encoding)).await;
                        black_box(sent(Box::pin(response.expect("answered").into_body())).await)
                    })
                });
            });
        }
    }
}

criterion_group!(benches, responses);
criterion_main!(benches);
