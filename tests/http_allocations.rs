//! What a scope costs in heap allocations under hyper and axum. A process of its own, with the counting allocator.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use ebbtide::Scopes;
use ebbtide::bench::{AllocReport, CountingAllocator};
use ebbtide::http::{ScopeLayer, wrap};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::error::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower::Layer;
use tower::util::MapResponseLayer;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// Heap allocations of one request in steady state, the connection's included.
fn of_a_request<S, B>(service: S) -> u64
where
    S: HttpService<Incoming, ResBody = B, Error: Into<Box<dyn Error + Send + Sync>>>,
    B: hyper::body::Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    const REQUESTS: u64 = 500;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (client_end, server_end) = tokio::io::duplex(64 << 10);
        let connection = http1::Builder::new().serve_connection(TokioIo::new(server_end), service);
        let counting = async {
            let mut stream = client_end;
            requests(&mut stream, 20).await;
            let before = ebbtide::bench::totals();
            requests(&mut stream, REQUESTS).await;
            ebbtide::bench::totals().since(before)
        };
        let (served, report): (_, AllocReport) = tokio::join!(connection, counting);
        served.unwrap();
        (report.allocations + REQUESTS / 2) / REQUESTS
    })
}

async fn requests(stream: &mut DuplexStream, count: u64) {
    let mut response = [0; 1024];
    for _ in 0..count {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        let mut length = 0;
        while !response[..length].ends_with(b"hello") {
            length += stream.read(&mut response[length..]).await.unwrap();
        }
    }
}

async fn hello(_: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from("hello")))
}

fn router() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[test]
fn a_scope_costs_nothing_under_hyper_and_the_boxes_of_a_layer_under_axum() {
    let scopes = Scopes::new();
    let bare = of_a_request(service_fn(hello));
    let wrapped = of_a_request(service_fn(|request| wrap(&scopes, request, hello)));
    assert_eq!(wrapped, bare, "hyper");

    let bare = of_a_request(TowerToHyperService::new(router()));
    let around = of_a_request(TowerToHyperService::new(ScopeLayer::new().layer(router())));
    assert_eq!(around, bare, "a service around the router");

    // What `axum::serve` asks for: a response of its own body.
    let boxing = MapResponseLayer::new(|response: Response<_>| response.map(Body::new));
    let boxed = of_a_request(TowerToHyperService::new(boxing.layer(ScopeLayer::new().layer(router()))));
    assert_eq!(boxed, bare + 1, "the same, with its body boxed");

    let layered = of_a_request(TowerToHyperService::new(router().layer(ScopeLayer::new())));
    assert!(layered <= bare + 7, "a layer of the router: {layered}, bare {bare}");
    // Any layer costs axum some boxes: what is the scope's own is the rest.
    let any = of_a_request(TowerToHyperService::new(router().layer(tower::layer::util::Identity::new())));
    assert!(layered <= any + 2, "a layer of the router: {layered}, one that does nothing {any}, none {bare}");
}
