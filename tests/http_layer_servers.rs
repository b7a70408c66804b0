//! `BufferBodyLayer` in real servers, over sockets: hyper on both versions of HTTP, axum, clients that are slow or go away.

mod common;

use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use common::until;
use ebbtide::BufferPool;
use ebbtide::http::{BodyBudget, BufferBodyLayer, Collected, Limits, PooledBody, PooledJson};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, service_fn};
use tower_http::decompression::RequestDecompressionLayer;

/// A server that sends bodies back, behind the layer.
struct Server {
    address: SocketAddr,
    buffers: BufferPool,
    called: Arc<AtomicUsize>,
}

impl Server {
    /// On hyper alone, on HTTP/2 or HTTP/1.
    async fn begin(limits: Limits, is_h2: bool) -> Self {
        let (buffers, called) = (BufferPool::new(), Arc::new(AtomicUsize::new(0)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let count = called.clone();
        let inner = service_fn(move |request: Request<Collected>| {
            count.fetch_add(1, Ordering::Relaxed);
            async move { Ok::<_, Infallible>(Response::new(request.into_body())) }
        });
        // A `Collected` is a body for hyper, and the empty one is what a refusal answers with.
        let service = TowerToHyperService::new(BufferBodyLayer::new(limits).buffers(buffers.clone()).layer(inner));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (stream, service) = (TokioIo::new(stream), service.clone());
                if is_h2 {
                    let executor = TokioExecutor::new();
                    tokio::spawn(async { http2::Builder::new(executor).serve_connection(stream, service).await });
                } else {
                    tokio::spawn(async { http1::Builder::new().serve_connection(stream, service).await });
                }
            }
        });
        Self { address, buffers, called }
    }

    fn outstanding(&self) -> u64 {
        self.buffers.stats().outstanding()
    }

    fn called(&self) -> usize {
        self.called.load(Ordering::Relaxed)
    }
}

fn head(more: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{more}\r\n")
}

/// Opens a request of `length` bytes and sends `sent` of them.
async fn open(address: SocketAddr, length: usize, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = head(&format!("content-length: {length}\r\n")) + &"x".repeat(sent);
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn bodies_come_back_on_http1_with_a_length_and_chunked() {
    let server = Server::begin(Limits::default(), false).await;
    let body = "0123456789".repeat(10_000);
    let answer = common::post(server.address, "/", "text/plain", &body).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&body));
    let chunk = "5\r\nhello\r\n";
    let chunked = head("transfer-encoding: chunked\r\n") + &chunk.repeat(500) + "0\r\n\r\n";
    let answer = common::raw(server.address, &chunked).await;
    assert!(answer.contains("content-length: 2500\r\n"), "the answer's length is known: {}", &answer[..200]);
    assert!(answer.ends_with(&"hello".repeat(500)));
    assert!(common::get(server.address, "/").await.contains("content-length: 0\r\n"));
    until("all is back", || server.outstanding() == 0).await;
    assert_eq!(server.called(), 3);
}

#[tokio::test]
async fn bodies_and_trailers_come_back_on_http2_streams_side_by_side() {
    let server = Server::begin(Limits::default(), true).await;
    let stream = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let mut requests = Vec::new();
    for at in 0..20_u8 {
        let mut sender = sender.clone();
        requests.push(tokio::spawn(async move {
            let trailers = [(http::HeaderName::from_static("at"), u16::from(at).into())].into_iter().collect();
            let body = Full::new(Bytes::from(vec![at; 5000 * usize::from(at)]));
            let body = body.with_trailers(std::future::ready(Some(Ok(trailers))));
            let response = sender.send_request(Request::post("http://test/").body(body).unwrap()).await.unwrap();
            let answer = response.into_body().collect().await.unwrap();
            assert_eq!(answer.trailers().unwrap()["at"], u16::from(at).to_string());
            let bytes = answer.to_bytes();
            assert!(bytes.len() == 5000 * usize::from(at) && bytes.iter().all(|&byte| byte == at), "stream {at}");
        }));
    }
    for request in requests {
        request.await.unwrap();
    }
    until("all is back", || server.outstanding() == 0).await;
    assert_eq!(server.called(), 20);
}

#[tokio::test]
async fn an_http2_client_that_resets_its_stream_leaves_nothing() {
    let server = Server::begin(Limits::default(), true).await;
    let stream = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let (feed, frames) = tokio::sync::mpsc::unbounded_channel();
    let frames =
        futures_util::stream::unfold(frames, |mut frames: tokio::sync::mpsc::UnboundedReceiver<Bytes>| async {
            let data = frames.recv().await?;
            Some((Ok::<_, Infallible>(http_body::Frame::data(data)), frames))
        });
    let body = http_body_util::StreamBody::new(frames);
    let response =
        tokio::spawn(sender.send_request(Request::post("http://test/").body(BodyExt::boxed_unsync(body)).unwrap()));
    feed.send(Bytes::from_static(b"in ")).unwrap();
    feed.send(Bytes::from_static(b"pieces")).unwrap();
    until("the body is on its way", || server.outstanding() == 1).await;
    response.abort();
    until("all is back", || server.outstanding() == 0).await;
    assert_eq!(server.called(), 0);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let budget = BodyBudget::new(1 << 20);
    let server = Server::begin(Limits::default().budget(&budget), false).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(open(server.address, 50_000, 30_000).await);
    }
    until("all uploads are on their way", || server.outstanding() == 10).await;
    drop(streams);
    until("all is back", || server.outstanding() == 0 && budget.used_bytes() == 0).await;
    assert_eq!(server.called(), 0);
}

#[tokio::test]
async fn when_slow_clients_hold_the_budget_others_are_told_to_come_again() {
    let budget = BodyBudget::new(100_000);
    let server = Server::begin(Limits::default().budget(&budget), false).await;
    let mut slow = open(server.address, 70_000, 100).await;
    until("the slow one is admitted", || budget.used_bytes() > 70_000).await;
    let refused = rest(open(server.address, 40_000, 0).await).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1\r\n"), "{refused}");
    assert_eq!(server.called(), 0);
    slow.write_all(&[b'x'; 69_900]).await.unwrap();
    assert!(rest(slow).await.ends_with(&"x".repeat(70_000)), "who is admitted does not fail");
    until("all is back", || budget.used_bytes() == 0 && server.outstanding() == 0).await;
    let served = rest(open(server.address, 40_000, 40_000).await).await;
    assert!(served.starts_with("HTTP/1.1 200"), "{}", &served[..200]);
}

#[tokio::test]
async fn who_waits_for_room_is_not_asked_for_a_body_and_is_served_or_refused_in_time() {
    let budget = BodyBudget::new(100_000);
    let limits = Limits::default().budget(&budget).wait(Duration::from_secs(1));
    let server = Server::begin(limits, false).await;
    let slow = open(server.address, 70_000, 100).await;
    until("the slow one is admitted", || budget.used_bytes() > 70_000).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head("content-length: 50000\r\nexpect: 100-continue\r\n").as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    // The first is refused when its time is over, without having been asked for its body.
    let refused = rest(waiting.remove(0)).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    let refused = rest(waiting.remove(0)).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    let mut patient = TcpStream::connect(server.address).await.unwrap();
    patient.write_all(head("content-length: 50000\r\nexpect: 100-continue\r\n").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(slow);
    let mut asked = [0; 25];
    patient.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    patient.write_all(&[b'y'; 50_000]).await.unwrap();
    assert!(rest(patient).await.ends_with(&"y".repeat(50_000)));
    until("all is back", || budget.used_bytes() == 0 && server.outstanding() == 0).await;
}

#[tokio::test]
async fn a_client_that_stalls_is_answered_408() {
    let server = Server::begin(Limits::default().idle_timeout(Duration::from_millis(100)), false).await;
    let answer = rest(open(server.address, 50_000, 20_000).await).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    until("all is back", || server.outstanding() == 0).await;
    assert_eq!(server.called(), 0);
}

#[tokio::test]
async fn an_axum_router_takes_the_layer_and_its_extractors_find_the_body() {
    let buffers = BufferPool::new();
    let app = Router::new()
        .route("/length", post(|body: PooledBody| async move { body.len().to_string() }))
        .route(
            "/json",
            post(|PooledJson(numbers): PooledJson<Vec<u64>>| async move { Json(numbers.iter().sum::<u64>()) }),
        )
        .layer(BufferBodyLayer::new(Limits::new(50_000)).buffers(buffers.clone()));
    let address = common::serve(app).await;
    assert!(common::post(address, "/length", "text/plain", &"x".repeat(50_000)).await.ends_with("\r\n\r\n50000"));
    assert!(common::post(address, "/json", "application/json", "[1,2,3]").await.ends_with("\r\n\r\n6"));
    assert!(common::post(address, "/length", "text/plain", &"x".repeat(50_001)).await.starts_with("HTTP/1.1 413"));
    until("all is back", || buffers.stats().outstanding() == 0).await;
    assert!(buffers.stats().made > 0);
}

/// Zeros, with gzip: a thousand times smaller than they are.
async fn bomb(bytes: usize) -> Vec<u8> {
    use tower::ServiceExt;
    let zeros = move |_: Request<Full<Bytes>>| async move {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![0; bytes]))))
    };
    let service = tower_http::compression::CompressionLayer::new().layer(service_fn(zeros));
    let request = Request::builder().header("accept-encoding", "gzip").body(Full::default()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

#[tokio::test]
async fn behind_a_decompression_layer_what_is_unpacked_is_what_counts() {
    let buffers = BufferPool::new();
    let app = Router::new()
        .route("/", post(|body: PooledBody| async move { body.len().to_string() }))
        .layer(DefaultBodyLimit::disable())
        .layer(BufferBodyLayer::new(Limits::new(1 << 20)).buffers(buffers.clone()))
        .layer(RequestDecompressionLayer::new());
    let address = common::serve(app).await;
    for (bytes, status) in [(1 << 20, 200), ((1 << 20) + 1, 413), (64 << 20, 413)] {
        let packed = bomb(bytes).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = head(&format!("content-encoding: gzip\r\ncontent-length: {}\r\n", packed.len()));
        stream.write_all(head.as_bytes()).await.unwrap();
        let _ = stream.write_all(&packed).await;
        let answer = rest(stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{bytes}: {answer}");
        until("all is back", || buffers.stats().outstanding() == 0).await;
    }
    assert!(buffers.stats().charged_bytes < 3 << 20, "{:?}", buffers.stats());
}
