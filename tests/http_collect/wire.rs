//! Over a real hyper server, and behind the layers that people have.

use super::bodies::{Script, pattern};
use super::common::{raw, serve, until};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::routing::post;
use ebbtide::BufferPool;
use ebbtide::http::{BodyBudget, CollectError, Limits, collect};
use http_body_util::Limited;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tower_http::decompression::RequestDecompressionLayer;

/// 100,000 zeros, compressed: by itself the claim says 132 bytes.
const ZEROS: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xed, 0xc1, 0x31, 0x01, 0x00, 0x00, 0x00, 0xc2, 0xa0,
    0xf5, 0x4f, 0x6d, 0x0d, 0x0f, 0xa0,
];
const ZEROS_END: &[u8] = &[0x80, 0x57, 0x03, 0x7d, 0x95, 0x11, 0xd4, 0xa0, 0x86, 0x01, 0x00];

fn zeros() -> Vec<u8> {
    let mut whole = ZEROS.to_vec();
    whole.resize(132 - ZEROS_END.len(), 0);
    whole.extend_from_slice(ZEROS_END);
    whole
}

/// A server that collects with `limits` and answers with the length, or the status of the error.
async fn server(buffers: &BufferPool, limits: Limits) -> SocketAddr {
    let buffers = buffers.clone();
    let handler = move |request: Request| async move {
        let collected = collect(request.into_body(), &buffers, limits).await;
        collected.map(|body| body.len().to_string()).map_err(|error| (error.status(), error.to_string()))
    };
    let inner = Router::new().route("/", post(handler.clone())).layer(RequestDecompressionLayer::new());
    let app = Router::new().route("/", post(handler)).nest("/packed", inner);
    serve(app.layer(DefaultBodyLimit::disable())).await
}

fn head(more: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{more}\r\n")
}

#[tokio::test]
async fn double_and_missing_content_lengths_are_no_way_in() {
    let buffers = BufferPool::new();
    let address = server(&buffers, Limits::default()).await;
    let differ = raw(address, &(head("content-length: 5\r\ncontent-length: 6\r\n") + "hello!")).await;
    assert!(differ.starts_with("HTTP/1.1 400"), "{differ}");
    let both =
        raw(address, &(head("content-length: 3\r\ntransfer-encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n")).await;
    assert!(both.starts_with("HTTP/1.1 400") || both.ends_with('5'), "never the claim of three: {both}");
    let missing = raw(address, &(head("") + "hello")).await;
    assert!(missing.ends_with("\r\n\r\n0"), "no length is no body: {missing}");
    let chunked = raw(address, &(head("transfer-encoding: chunked\r\n") + "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n")).await;
    assert!(chunked.ends_with('6'), "{chunked}");
    assert_eq!(buffers.stats().outstanding(), 0);
}

#[tokio::test]
async fn a_huge_claim_and_a_disconnect_cost_at_most_one_page() {
    let (buffers, budget) = (BufferPool::new(), BodyBudget::new(2 << 30));
    let address = server(&buffers, Limits::new(2 << 30).budget(&budget)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all((head("content-length: 1073741824\r\n") + "0123456789").as_bytes()).await.unwrap();
    until("the ten bytes are copied", || buffers.stats().outstanding() == 1).await;
    drop(stream);
    until("all is back", || buffers.stats().outstanding() == 0 && budget.used_bytes() == 0).await;
    let stats = buffers.stats();
    assert!(stats.made == 1 && stats.charged_bytes < 4500, "{stats:?}");
}

#[tokio::test]
async fn the_claim_of_a_compressed_body_is_not_taken_for_its_size() {
    let buffers = BufferPool::new();
    let send = |address: SocketAddr| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(
                head("content-encoding: gzip\r\ncontent-length: 132\r\n")
                    .replacen("POST /", "POST /packed", 1)
                    .as_bytes(),
            )
            .await
            .unwrap();
        stream.write_all(&zeros()).await.unwrap();
        let mut answer = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
        answer
    };
    let answer = send(server(&buffers, Limits::new(100_000)).await).await;
    assert!(answer.ends_with("\r\n\r\n100000"), "{answer}");
    let answer = send(server(&buffers, Limits::new(99_999)).await).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(buffers.stats().outstanding(), 0);
}

#[tokio::test]
async fn a_client_that_stalls_gets_its_answer_and_all_is_back() {
    let buffers = BufferPool::new();
    let address = server(&buffers, Limits::default().idle_timeout(Duration::from_millis(100))).await;
    let answer = raw(address, &(head("content-length: 100000\r\n") + "hello")).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(buffers.stats().outstanding(), 0);
}

#[tokio::test]
async fn a_limited_body_keeps_its_own_limit() {
    let (buffers, bytes) = (BufferPool::new(), pattern(5000));
    let limited = |limit| Limited::new(Script::frames(&bytes, 1000), limit);
    assert!(collect(limited(5000), &buffers, Limits::default()).await.is_ok());
    let error = collect(limited(4999), &buffers, Limits::default()).await.unwrap_err();
    let CollectError::Body(inner) = &error else { panic!("{error}") };
    assert!(inner.is::<http_body_util::LengthLimitError>());
    assert_eq!(buffers.stats().outstanding(), 0);
}

#[tokio::test]
async fn a_body_of_one_read_is_passed_on_uncopied_by_hyper() {
    let buffers = BufferPool::new();
    let address = server(&buffers, Limits::default()).await;
    let answer = raw(address, &(head("content-length: 5\r\n") + "hello")).await;
    assert!(answer.ends_with('5'), "{answer}");
    assert_eq!(buffers.stats().made, 0);
}
