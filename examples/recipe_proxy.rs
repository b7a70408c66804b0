//! A reverse proxy that sends a request again when its upstream fails: a clone of the body shares its pooled memory. The
//! upstream hears nothing of a client that is slow or goes away. It talks to itself and ends.
//!
//! ```sh
//! cargo run --example recipe_proxy
//! ```

use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::http::{BodyBudget, BufferBodyLayer, Collected, Limits};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, atomic::AtomicUsize, atomic::Ordering};
use tokio::net::TcpListener;
use tower::{Layer, Service, service_fn};

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

/// Serves HTTP/1 on a port of its own.
async fn serve<S, B>(service: S) -> std::io::Result<SocketAddr>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: http_body::Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
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
    let origin = serve(origin).await?;

    let (buffers, budget) = (BufferPool::new(), BodyBudget::new(64 << 20));
    let layer = BufferBodyLayer::new(Limits::new(1 << 20).budget(&budget)).buffers(buffers.clone());
    let upstream = Client::builder(TokioExecutor::new()).build_http();
    let proxy = serve(layer.layer(service_fn(move |request| pass_on(request, origin, upstream.clone())))).await?;

    let client = Client::builder(TokioExecutor::new()).build_http();
    for (method, status, sent) in [("PUT", StatusCode::OK, 3), ("POST", StatusCode::BAD_GATEWAY, 4)] {
        let body = Full::new(Bytes::from("again and again ".repeat(10_000)));
        let request = Request::builder().method(method).uri(format!("http://{proxy}/path?query")).body(body.clone())?;
        let answer = client.request(request).await?;
        assert_eq!((answer.status(), calls.load(Ordering::Relaxed)), (status, sent));
        let answer = answer.into_body().collect().await?.to_bytes();
        assert!(status != StatusCode::OK || answer == body.collect().await?.to_bytes());
    }
    while buffers.stats().outstanding() > 0 || budget.used_bytes() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    println!("all memory is back: {:?}", buffers.stats());
    Ok(())
}
