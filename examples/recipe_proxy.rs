//! A reverse proxy that sends a request again when its upstream fails: a clone of the body shares its pooled memory. The
//! upstream hears nothing of a client that is slow or goes away. It talks to itself and ends.
//!
//! ```sh
//! cargo run --example recipe_proxy
//! ```

mod common;

use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::http::{BodyBudget, BufferBodyLayer, Collected, Limits};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, atomic::AtomicUsize, atomic::Ordering};
use tower::{Layer, service_fn};

/// Times that a request is sent before the client is told.
const TRIES: usize = 3;

type Upstream = Client<HttpConnector, Collected>;
type Answer = Response<BoxBody<Bytes, hyper::Error>>;

async fn pass_on(request: Request<Collected>, to: SocketAddr, upstream: Upstream) -> Result<Answer, Infallible> {
    // What is not idempotent may have had its effect before the upstream failed.
    let tries = if request.method().is_idempotent() { TRIES } else { 1 };
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = format!("http://{to}{path}").parse::<Uri>().expect("an address and a path");
    for _ in 0..tries {
        let again = Request::from_parts(head.clone(), body.clone());
        match upstream.request(again).await {
            Ok(answer) if !answer.status().is_server_error() => return Ok(answer.map(BodyExt::boxed)),
            failed => eprintln!("upstream: {:?}", failed.map(|answer| answer.status())),
        }
    }
    let mut answer = Response::new(BoxBody::default());
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    Ok(answer)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // It fails two times out of three, once it has read everything.
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let origin = service_fn(move |request: Request<Incoming>| {
        let call = count.fetch_add(1, Ordering::Relaxed);
        async move {
            let mut answer = Response::new(Full::new(request.into_body().collect().await.expect("a body").to_bytes()));
            *answer.status_mut() = if call % 3 < 2 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            Ok(answer)
        }
    });
    let origin = common::serve(origin).await?;

    let (buffers, budget) = (BufferPool::new(), BodyBudget::new(64 << 20));
    let layer = BufferBodyLayer::new(Limits::new(1 << 20).budget(&budget)).buffers(buffers.clone());
    let upstream = Client::builder(TokioExecutor::new()).build_http();
    let proxy =
        common::serve(layer.layer(service_fn(move |request| pass_on(request, origin, upstream.clone())))).await?;

    for (method, status, sent) in [(Method::PUT, StatusCode::OK, 3), (Method::POST, StatusCode::BAD_GATEWAY, 4)] {
        let body = Bytes::from("again and again ".repeat(10_000));
        let answer = common::send(method, format!("http://{proxy}/path?query"), "text/plain", body.clone()).await;
        assert_eq!((answer.0, calls.load(Ordering::Relaxed)), (status, sent));
        assert!(status != StatusCode::OK || answer.1 == body);
    }
    while buffers.stats().outstanding() > 0 || budget.used_bytes() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    println!("all memory is back: {:?}", buffers.stats());
    Ok(())
}
