//! Collecting bodies, and the extractors: limits, statuses, memory given back.

mod common;

use axum::extract::{DefaultBodyLimit, FromRequest};
use axum::routing::post;
use axum::{Json, Router};
use bytes::{Buf, Bytes};
use common::until;
use ebbtide::http::{CollectError, Limits, Local, PooledBody, PooledJson, ScopeLayer, collect};
use ebbtide::{BufferPool, Scopes};
use http_body::{Body, Frame, SizeHint};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A body of prepared frames that claims what it likes.
struct Frames {
    frames: VecDeque<Result<Frame<Bytes>, &'static str>>,
    claims: u64,
}

impl Frames {
    fn new(pieces: &[&'static [u8]]) -> Self {
        Self { frames: pieces.iter().map(|data| Ok(Frame::data(Bytes::from_static(data)))).collect(), claims: 0 }
    }
    fn claiming(mut self, bytes: u64) -> Self {
        self.claims = bytes;
        self
    }
    fn then(mut self, frame: Result<Frame<Bytes>, &'static str>) -> Self {
        self.frames.push_back(frame);
        self
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(self.frames.pop_front())
    }
    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }
    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.claims);
        hint
    }
}

#[tokio::test]
async fn one_frame_passes_uncopied_and_several_are_copied_into_one_buffer() {
    let buffers = BufferPool::new();
    let one = Frames::new(&[b"", b"whole"]);
    let address = Bytes::from_static(b"whole").as_ptr();
    let collected = collect(one, &buffers, Limits::default()).await.unwrap();
    assert_eq!((collected.as_slice().unwrap(), collected.as_slice().unwrap().as_ptr()), (&b"whole"[..], address));
    assert_eq!(buffers.stats().made, 0);
    // A frame that may not be all does not stay pinned.
    let more = Frames::new(&[b"whole", b""]);
    assert_ne!(collect(more, &buffers, Limits::default()).await.unwrap().as_slice().unwrap().as_ptr(), address);
    assert_eq!((buffers.stats().made, buffers.stats().outstanding()), (1, 0));

    let several = Frames::new(&[b"in ", b"several ", b"pieces"]);
    let collected = collect(several, &buffers, Limits::default()).await.unwrap();
    assert_eq!(collected.as_slice().unwrap(), b"in several pieces");
    assert_eq!((buffers.stats().made, buffers.stats().outstanding()), (1, 1));
    assert_eq!(collected.into_bytes(), "in several pieces");
    assert_eq!(buffers.stats().outstanding(), 0);
}

#[tokio::test]
async fn trailers_are_kept() {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("checksum", "7".parse().unwrap());
    let body = Frames::new(&[b"data"]).then(Ok(Frame::trailers(trailers.clone())));
    let collected = collect(body, &BufferPool::new(), Limits::default()).await.unwrap();
    assert_eq!((collected.as_slice().unwrap(), collected.trailers()), (&b"data"[..], Some(&trailers)));
}

#[tokio::test]
async fn a_claim_beyond_the_limit_is_refused_before_anything_is_read() {
    let buffers = BufferPool::new();
    let body = Frames::new(&[b"a", b"b"]).claiming(101);
    let error = collect(body, &buffers, Limits::new(100)).await.unwrap_err();
    assert!(matches!(error, CollectError::TooLarge { limit: 100 }));
    assert_eq!((error.to_string().as_str(), error.status().as_u16()), ("body is larger than 100 bytes", 413));
    assert_eq!(buffers.stats().made, 0);
}

#[tokio::test]
async fn the_limit_is_exact_without_a_claim() {
    let buffers = BufferPool::new();
    let pieces: &[&[u8]] = &[b"12345", b"67890"];
    let collected = collect(Frames::new(pieces), &buffers, Limits::new(10)).await.unwrap();
    assert_eq!(collected.as_slice().unwrap(), b"1234567890");
    let error = collect(Frames::new(pieces), &buffers, Limits::new(9)).await.unwrap_err();
    assert!(matches!(error, CollectError::TooLarge { .. }));
    drop(collected);
    assert_eq!(buffers.stats().outstanding(), 0);
}

#[tokio::test]
async fn a_large_claim_with_few_bytes_costs_one_small_buffer() {
    let buffers = BufferPool::new();
    let body = Frames::new(&[b"ten bytes.", b"x"]).claiming(1 << 30);
    drop(collect(body, &buffers, Limits::new(usize::MAX)).await.unwrap());
    let stats = buffers.stats();
    assert_eq!((stats.made, stats.idle), (1, 1));
    assert!(stats.charged_bytes < 100_000, "{stats:?}");
}

#[tokio::test]
async fn a_body_that_fails_gives_its_buffer_back() {
    let buffers = BufferPool::new();
    let body = Frames::new(&[b"a", b"b"]).then(Err("the network"));
    let error = collect(body, &buffers, Limits::default()).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.status().as_u16()), ("body failed: the network", 400));
    assert_eq!((buffers.stats().outstanding(), buffers.stats().idle), (0, 1));
}

#[derive(Debug, Deserialize, Serialize)]
struct Point {
    x: i32,
    y: i32,
}

/// A server with both extractors, and axum's own `Json` beside them.
async fn server(limit: usize) -> (SocketAddr, Scopes, BufferPool) {
    let buffers = BufferPool::new();
    let scopes = Scopes::builder().buffers(buffers.clone()).build();
    let flip = |PooledJson(Point { x, y }): PooledJson<Point>| async move { PooledJson(Point { x: y, y: x }) };
    let app = Router::new()
        .route("/length", post(|body: PooledBody| async move { body.len().to_string() }))
        .route("/echo", post(|body: PooledBody| async move { body.into_bytes() }))
        .route("/flip", post(flip))
        .route("/axum", post(|Json(Point { x, y }): Json<Point>| async move { Json(Point { x: y, y: x }) }))
        .route("/local", post(|notes: Local<Vec<u8>>| async move { notes.get().unwrap().len().to_string() }))
        .layer(DefaultBodyLimit::max(limit))
        .layer(ScopeLayer::with(scopes.clone()));
    (common::serve(app).await, scopes, buffers)
}

#[tokio::test]
async fn json_answers_as_axums_own_does() {
    let (address, ..) = server(1000).await;
    let json = "application/json";
    let cases = [
        (json, r#"{"x":1,"y":2}"#, "200"),
        ("application/vnd.point+json; charset=utf-8", r#"{"x":1,"y":2}"#, "200"),
        ("text/plain", r#"{"x":1,"y":2}"#, "415"),
        (json, r#"{"x":1,"#, "400"),
        (json, "", "400"),
        (json, r#"{"x":1}"#, "422"),
        (json, &format!(r#"{{"x":1,"y":2,"z":"{}"}}"#, "z".repeat(2000)), "413"),
    ];
    for (content_type, body, status) in cases {
        let ours = common::post(address, "/flip", content_type, body).await;
        let axums = common::post(address, "/axum", content_type, body).await;
        assert!(ours.starts_with(&format!("HTTP/1.1 {status}")), "{body}: {ours}");
        assert!(axums.starts_with(&format!("HTTP/1.1 {status}")), "{body}: {axums}");
        if status == "200" {
            assert!(ours.ends_with(r#"{"x":2,"y":1}"#) && ours.contains("content-type: application/json"), "{ours}");
        }
    }
    let broken = common::post(address, "/flip", json, "{\n  \"x\": oops").await;
    assert!(broken.contains("line 2 column 8"), "says where it is bad: {broken}");
}

#[tokio::test]
async fn too_large_is_refused_at_once_by_claim_and_later_without() {
    let (address, scopes, buffers) = server(1000).await;
    // A claim: the server answers though hardly anything was sent.
    let claim =
        "POST /length HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 1073741824\r\n\r\n0123456789";
    let refused = common::raw(address, claim).await;
    assert!(refused.starts_with("HTTP/1.1 413") && refused.ends_with("request body is too large"), "{refused}");
    assert_eq!(buffers.stats().made, 0);
    let chunk = format!("12c\r\n{}\r\n", "x".repeat(300));
    let chunked = |chunks: usize| {
        let head = "POST /length HTTP/1.1\r\nhost: test\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
        format!("{head}{}0\r\n\r\n", chunk.repeat(chunks))
    };
    assert!(common::raw(address, &chunked(3)).await.ends_with("900"));
    assert!(common::raw(address, &chunked(4)).await.starts_with("HTTP/1.1 413"));
    until("all is back", || scopes.stats().open() == 0 && buffers.stats().outstanding() == 0).await;
}

#[tokio::test]
async fn a_trickled_body_arrives_whole_and_an_aborted_one_leaks_nothing() {
    let (address, scopes, buffers) = server(1 << 20).await;
    let body = "trickle ".repeat(500);
    let head =
        format!("POST /echo HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    for abort in [false, true] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        for piece in body.as_bytes().chunks(400).take(if abort { 5 } else { usize::MAX }) {
            stream.write_all(piece).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        if abort {
            until("the upload is under way", || scopes.stats().open() == 1).await;
            continue;
        }
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(response.ends_with(&body));
    }
    until("all is back", || scopes.stats().open() == 0 && buffers.stats().outstanding() == 0).await;
}

#[tokio::test]
async fn frozen_bytes_are_a_response_and_a_body_for_hyper() {
    let pool = BufferPool::new();
    let mut buffer = pool.get(10);
    buffer.extend_from_slice(b"frozen");
    let bytes = buffer.freeze();
    let response = axum::response::IntoResponse::into_response(bytes.clone());
    assert_eq!(response.headers()["content-type"], "application/octet-stream");
    let body = http_body_util::Full::new(bytes);
    let whole = http_body_util::BodyExt::collect(body).await.unwrap().aggregate();
    assert_eq!(whole.chunk(), b"frozen");
    drop((response, whole));
    assert_eq!(pool.stats().outstanding(), 0);
}

#[tokio::test]
async fn a_local_is_the_requests_own() {
    let (address, ..) = server(1000).await;
    assert!(common::post(address, "/local", "text/plain", "").await.ends_with("\r\n\r\n0"));
}

/// Frames without a byte, for ever.
struct Nothings;

impl http_body::Body for Nothings {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::new()))))
    }
}

#[tokio::test]
async fn an_extractor_does_not_read_empty_frames_for_ever() {
    use tower::ServiceExt;
    let app = Router::new()
        .route("/", post(|body: PooledBody| async move { body.len().to_string() }))
        .layer(axum::extract::DefaultBodyLimit::max(100));
    let request = axum::http::Request::post("/").body(axum::body::Body::new(Nothings)).unwrap();
    assert_eq!(app.oneshot(request).await.unwrap().status(), 413);
}

#[tokio::test]
async fn debug_does_not_show_what_a_client_has_sent() {
    let body = http_body_util::Full::new(Bytes::from_static(b"secret"));
    let collected = collect(body, &BufferPool::new(), Limits::new(100)).await.unwrap();
    assert_eq!(format!("{collected:?}"), "Collected { len: 6, trailers: None, .. }");
}

/// Ends with its last frame, says so, and is not to be asked again.
struct Ending(VecDeque<&'static [u8]>);

impl Body for Ending {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let frame = self.0.pop_front().expect("it has ended");
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(frame)))))
    }
    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

/// What says so costs a look; to be told by a poll may take another wake of the task.
#[tokio::test]
async fn a_body_that_says_it_has_ended_is_not_polled_again() {
    let buffers = BufferPool::new();
    for frames in [&[&b"whole"[..]][..], &[b"", b"whole"], &[b"wh", b"ole"]] {
        let body = Ending(frames.iter().copied().collect());
        let collected = collect(body, &buffers, Limits::default()).await.unwrap();
        assert_eq!(collected.into_bytes(), "whole");
    }
}

/// axum moves it into a box for each request.
#[test]
fn the_extractors_future_is_no_larger_than_that_of_axums_bytes() {
    let request = || axum::extract::Request::new(axum::body::Body::empty());
    let ours = size_of_val(&<PooledBody as FromRequest<()>>::from_request(request(), &()));
    let axums = size_of_val(&<Bytes as FromRequest<()>>::from_request(request(), &()));
    println!("{ours} and {axums} bytes");
    assert!(ours <= axums, "{ours} and {axums} bytes");
}
