//! How requests end over HTTP/1.1 and over HTTP/2, with hyper's client: the right outcome each time, nothing
//! outstanding, the next request clean.

mod common;
#[path = "common/endings.rs"]
mod endings;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::{Router, routing};
use common::until;
use ebbtide::{Outcome, Scope};
use endings::{LONG, Seen};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceBuilder;
use tower_http::timeout::TimeoutLayer;

type Response = hyper::Response<Incoming>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    Http1,
    Http2,
}

const EACH: [Version; 2] = [Version::Http1, Version::Http2];

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// One connection.
struct Client {
    sender: Sender,
    socket: std::net::TcpStream,
}

impl Client {
    async fn connect(address: SocketAddr, version: Version) -> Self {
        let socket = TcpStream::connect(address).await.unwrap().into_std().unwrap();
        let io = TokioIo::new(TcpStream::from_std(socket.try_clone().unwrap()).unwrap());
        let sender = match version {
            Version::Http1 => {
                let (sender, connection) = http1::handshake(io).await.unwrap();
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Version::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        };
        Self { sender, socket }
    }

    async fn send(&mut self, method: Method, path: &str, body: impl Into<Body>) -> hyper::Result<Response> {
        let request =
            hyper::Request::builder().method(method).uri(format!("http://test{path}")).header("te", "trailers");
        let request = request.body(body.into()).unwrap();
        match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    async fn get(&mut self, path: &str) -> hyper::Result<Response> {
        self.send(Method::GET, path, Body::empty()).await
    }
}

async fn serve(seen: &Seen) -> SocketAddr {
    common::serve(seen.router().layer(seen.layer())).await
}

async fn whole(response: Response) -> usize {
    response.into_body().collect().await.unwrap().to_bytes().len()
}

#[tokio::test]
async fn responses_that_come_to_their_end() {
    for version in EACH {
        let seen = Seen::new();
        let mut client = Client::connect(serve(&seen).await, version).await;
        // hyper's HTTP/2 sends the body that a 304 should not have.
        let ignored = if version == Version::Http2 { 7 } else { 0 };
        for (path, status, bytes) in
            [("/fixed", 200, 5), ("/none", 204, 0), ("/unchanged", 304, ignored), ("/stream", 200, 3000)]
        {
            let response = client.get(path).await.unwrap();
            assert_eq!((response.status().as_u16(), whole(response).await), (status, bytes), "{path}, {version:?}");
        }
        for path in ["/fixed", "/stream"] {
            let head = client.send(Method::HEAD, path, Body::empty()).await.unwrap();
            assert_eq!(whole(head).await, 0);
        }
        let echo = client.send(Method::POST, "/echo", "back to you").await.unwrap();
        assert_eq!(whole(echo).await, 11);
        assert_eq!(seen.outcomes(7).await, [Outcome::Finished; 7], "{version:?}");
    }
}

#[tokio::test]
async fn trailers_pass_and_end_the_request() {
    for version in EACH {
        let seen = Seen::new();
        let mut client = Client::connect(serve(&seen).await, version).await;
        let body = client.get("/trailers").await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["sum"], "3000", "{version:?}");
        assert_eq!(seen.outcomes(1).await, [Outcome::Finished], "{version:?}");
    }
}

#[tokio::test]
async fn a_slow_reader_keeps_its_request_until_all_is_read() {
    for version in EACH {
        let seen = Seen::new();
        let mut client = Client::connect(serve(&seen).await, version).await;
        let response = client.get("/long").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(seen.scopes.stats().open(), 1, "{version:?}");
        assert_eq!(whole(response).await, 1000 * LONG);
        assert_eq!(seen.outcomes(1).await, [Outcome::Finished], "{version:?}");
    }
}

#[tokio::test]
async fn a_client_that_vanishes_aborts_handler_and_body() {
    for version in EACH {
        let seen = Seen::new();
        let address = serve(&seen).await;
        let mut client = Client::connect(address, version).await;
        let _response = client.get("/endless").await.unwrap();
        client.socket.shutdown(Shutdown::Both).unwrap();
        assert_eq!(seen.outcomes(1).await, [Outcome::Aborted], "body, {version:?}");
        let mut client = Client::connect(address, version).await;
        let socket = client.socket.try_clone().unwrap();
        let pending = tokio::spawn(async move { client.get("/pending").await.map(drop) });
        until("the request is in the handler", || seen.scopes.stats().open() == 1).await;
        socket.shutdown(Shutdown::Both).unwrap();
        assert_eq!(seen.outcomes(2).await, [Outcome::Aborted], "handler, {version:?}");
        assert!(pending.await.unwrap().is_err());
        let mut client = Client::connect(address, version).await;
        assert_eq!(whole(client.get("/fixed").await.unwrap()).await, 5, "the next request is clean");
        assert_eq!(seen.outcomes(3).await, [Outcome::Finished]);
    }
}

#[tokio::test]
async fn a_client_that_goes_before_its_request_is_whole_begins_none() {
    let seen = Seen::new();
    let mut stream = TcpStream::connect(serve(&seen).await).await.unwrap();
    stream.write_all(b"GET /fixed HTTP/1.1\r\nhost: te").await.unwrap();
    drop(stream);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!((seen.scopes.stats().begun, seen.outcomes(0).await), (0, vec![]));
}

#[tokio::test]
async fn two_streams_of_one_connection_have_a_request_each() {
    let seen = Seen::new();
    let address = serve(&seen).await;
    let mut client = Client::connect(address, Version::Http2).await;
    let (first, second) = (client.get("/long").await.unwrap(), client.get("/stream").await.unwrap());
    assert_eq!(whole(second).await, 3000);
    until("the second ends first", || seen.scopes.stats().open() == 1).await;
    // The drop of an unread body resets the stream.
    drop(first);
    assert_eq!(seen.outcomes(2).await, [Outcome::Finished, Outcome::Aborted]);
    assert_eq!(whole(client.get("/fixed").await.unwrap()).await, 5, "the connection goes on");
    assert_eq!(seen.outcomes(3).await, [Outcome::Finished]);
}

#[tokio::test]
async fn a_stream_that_is_reset_aborts_its_handler_only() {
    let seen = Seen::new();
    let mut client = Client::connect(serve(&seen).await, Version::Http2).await;
    let timeout = tokio::time::timeout(Duration::from_millis(50), client.get("/pending")).await;
    assert!(timeout.is_err(), "the drop of the future resets the stream");
    assert_eq!(seen.outcomes(1).await, [Outcome::Aborted]);
    assert_eq!(whole(client.get("/fixed").await.unwrap()).await, 5);
    assert_eq!(seen.outcomes(2).await, [Outcome::Finished]);
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_told() {
    let seen = Seen::new();
    let mut stream = TcpStream::connect(serve(&seen).await).await.unwrap();
    let head =
        "POST /echo HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 5\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200") && response.ends_with("hello"), "{response}");
    assert_eq!(seen.outcomes(1).await, [Outcome::Finished]);
}

#[tokio::test]
async fn a_timeout_outside_aborts_and_inside_is_an_ordinary_response() {
    let timeout = || TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_millis(30));
    for version in EACH {
        let seen = Seen::new();
        let outside = seen.router().layer(ServiceBuilder::new().layer(timeout()).layer(seen.layer()));
        let inside = seen.router().layer(ServiceBuilder::new().layer(seen.layer()).layer(timeout()));
        for (count, (router, outcome)) in
            [(outside, Outcome::Aborted), (inside, Outcome::Finished)].into_iter().enumerate()
        {
            let mut client = Client::connect(common::serve(router).await, version).await;
            assert_eq!(client.get("/pending").await.unwrap().status(), 408, "{version:?}");
            assert_eq!(seen.outcomes(count + 1).await, [outcome], "{version:?}");
        }
    }
}

#[tokio::test]
async fn an_upgrade_ends_the_request_at_101() {
    let seen = Seen::new();
    let handler = {
        let seen = seen.clone();
        move |mut request: Request| async move {
            let handle = seen.enter().handle();
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut upgraded = TokioIo::new(upgrade.await.unwrap());
                let answer = handle.enter().map_or_else(|error| error.to_string(), |_| "still open".into());
                upgraded.write_all(answer.as_bytes()).await.unwrap();
            });
            (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "plain")])
        }
    };
    let router = Router::new().route("/", routing::get(handler)).layer(seen.layer());
    let address = common::serve(router).await;
    let request = "GET / HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: plain\r\n\r\n";
    let response = common::raw(address, request).await;
    assert!(response.starts_with("HTTP/1.1 101"), "{response}");
    assert!(response.ends_with("request scope used after the request ended"), "{response}");
    assert_eq!(seen.outcomes(1).await, [Outcome::Finished]);
}

#[tokio::test]
async fn a_shutdown_lets_the_request_that_runs_finish() {
    let seen = Seen::new();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = seen.router().layer(seen.layer());
    let server =
        tokio::spawn(
            async move { axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) }).await },
        );
    let mut client = Client::connect(address, Version::Http1).await;
    let response = client.get("/long").await.unwrap();
    stop.send(()).unwrap();
    seen.scopes.refuse_new();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(whole(response).await, 1000 * LONG);
    assert_eq!(seen.outcomes(1).await, [Outcome::Finished]);
    server.await.unwrap().unwrap();
}

/// Tries again once after a 500.
#[derive(Clone)]
struct Once(bool);

impl<B, E> tower::retry::Policy<Request, axum::http::Response<B>, E> for Once {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut Request, result: &mut Result<axum::http::Response<B>, E>) -> Option<Self::Future> {
        let failed = result.as_ref().is_ok_and(|response| response.status() == 500);
        (failed && std::mem::take(&mut self.0)).then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        let mut clone = Request::new(Body::empty());
        *clone.uri_mut() = request.uri().clone();
        Some(clone)
    }
}

#[tokio::test]
async fn each_try_of_a_layer_above_has_a_request_of_its_own() {
    let seen = Seen::new();
    let tries = seen.clone();
    let handler = move || async move {
        let scope = tries.enter();
        let first = tries.scopes.stats().begun == 1;
        // What one try leaves with its request, the next one does not find.
        assert!(scope.local::<Vec<u8>>().unwrap().is_empty());
        scope.local::<Vec<u8>>().unwrap().push(1);
        assert!(Scope::current().is_some());
        if first { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
    };
    let service = ServiceBuilder::new()
        .layer(tower::retry::RetryLayer::new(Once(true)))
        .layer(seen.layer())
        .service(Router::new().route("/", routing::get(handler)));
    let response = tower::ServiceExt::oneshot(service, Request::new(Body::empty())).await;
    let response: Result<_, Infallible> = response;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(seen.outcomes(2).await, [Outcome::Finished; 2]);
}
