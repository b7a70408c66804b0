//! One compressed JSON response after another, by `Compression` or by `tower-http`, for counting instructions.
//!
//! As `examples/request.rs`: two runs of different length under callgrind, and their difference.
//!
//! ```sh
//! cargo build --release --example compress
//! for way in ebbtide tower-http; do for responses in 20 60; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/compress $way gzip 4096 $responses 2>&1 | grep Collected
//! done; done
//! ```
//!
//! Without callgrind it tells the time of one response, and its length when compressed.

use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::http::Compression;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::time::Instant;
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

/// Reads a body to its end, as a server does, frame by frame.
async fn sent(body: impl http_body::Body<Data = Bytes>) -> usize {
    let (mut body, mut bytes) = (Box::pin(body), 0);
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
    bytes
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |at: usize, default| arguments.get(at).map_or(default, String::as_str);
    let number = |at: usize, default| arguments.get(at).and_then(|number| number.parse().ok()).unwrap_or(default);
    let (is_ours, encoding) = (text(0, "ebbtide") == "ebbtide", text(1, "gzip"));
    let (json, responses) = (json(number(2, 4096)), number(3, 1000));
    let (compression, buffers) = (Compression::new(), BufferPool::new());
    let inner = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(response(&json)) });
    let mut layer = CompressionLayer::new().layer(inner);
    let (begun, mut bytes) = (Instant::now(), 0);
    for _ in 0..responses {
        let mut request = Request::new(());
        request.headers_mut().insert(header::ACCEPT_ENCODING, encoding.parse().expect("an encoding"));
        bytes = if is_ours {
            let compressed = compression.apply(request.headers(), response(&json), &buffers);
            sent(compressed.expect("compressed").into_body()).await
        } else {
            let response = layer.ready().await.expect("ready").call(request).await;
            sent(response.expect("answered").into_body()).await
        };
    }
    println!("{bytes} bytes, {:?} a response", begun.elapsed() / responses.max(1) as u32);
}
