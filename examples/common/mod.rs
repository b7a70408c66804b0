//! Whom the recipes talk to: a client, and a server of somebody else's.
#![allow(dead_code)] // Each recipe uses its part.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tower::Service;

/// Sends a body of this type by a connection of its own, and reads the answer to its end.
pub(crate) async fn send(
    method: Method,
    uri: String,
    content_type: &str,
    body: impl Into<Bytes>,
) -> (StatusCode, Bytes) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, content_type);
    let answer = client.request(request.body(Full::new(body.into())).expect("a request")).await.expect("an answer");
    let status = answer.status();
    (status, answer.into_body().collect().await.expect("a body").to_bytes())
}

pub(crate) async fn post(
    to: SocketAddr,
    path: &str,
    content_type: &str,
    body: impl Into<Bytes>,
) -> (StatusCode, Bytes) {
    send(Method::POST, format!("http://{to}{path}"), content_type, body).await
}

/// Serves HTTP/1 on a port of its own.
pub(crate) async fn serve<S, B>(service: S) -> std::io::Result<SocketAddr>
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
