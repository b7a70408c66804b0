//! Compressed JSON responses, by `Compression` or by `tower-http`: one after another for counting instructions, or served.
//!
//! Instructions as `examples/request.rs`: two runs of different length under callgrind, and their difference.
//!
//! ```sh
//! cargo build --release --example compress
//! for way in ebbtide tower-http; do for responses in 20 60; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/compress $way gzip 4096 $responses 2>&1 | grep Collected
//! done; done
//! ```
//!
//! Without callgrind it tells the time of one response, and its length when compressed.
//!
//! Requests a second through axum over the loopback, of both by turns (`--rounds N` for more or fewer than 31; `--quick` takes
//! seconds):
//!
//! ```sh
//! cargo run --release --example compress -- serve
//! ```

mod load;
mod serve;

use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::http::Compression;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;

const OURS: &str = "ebbtide";
const THEIRS: &str = "tower-http";

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
async fn main() -> load::Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |at: usize, default| arguments.get(at).map_or(default, String::as_str);
    match text(0, OURS) {
        "serve" => load::compare(&arguments[1..]).await?,
        "child" => serve::run(text(1, OURS)).await?,
        way => {
            let number = |at: usize, default| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
            one_after_another(way, text(1, "gzip"), number(2, 4096), number(3, 1000)).await;
        }
    }
    Ok(())
}

async fn one_after_another(way: &str, encoding: &str, size: usize, responses: usize) {
    let json = json(size);
    let (compression, buffers) = (Compression::new(), BufferPool::new());
    let inner = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(response(&json)) });
    let mut layer = CompressionLayer::new().layer(inner);
    let (begun, mut bytes) = (Instant::now(), 0);
    for _ in 0..responses {
        let mut request = Request::new(());
        request.headers_mut().insert(header::ACCEPT_ENCODING, encoding.parse().expect("an encoding"));
        bytes = if way == OURS {
            let compressed = compression.apply(request.headers(), response(&json), &buffers);
            sent(compressed.expect("compressed").into_body()).await
        } else {
            let response = layer.ready().await.expect("ready").call(request).await;
            sent(response.expect("answered").into_body()).await
        };
    }
    println!("{bytes} bytes, {:?} a response", begun.elapsed() / responses.max(1) as u32);
}
