//! ebbtide in an axum server: pooled bodies and JSON, memory for the request, one budget for all bodies. It talks to itself and ends.
//!
//! ```sh
//! cargo run --example recipe_axum
//! ```

use axum::{Extension, Router, routing::post};
use bytes::Bytes;
use ebbtide::http::{BodyBudget, Limits, PooledBody, PooledJson, ScopeLayer};
use ebbtide::{Scope, Scopes};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, time::Duration};

#[derive(Deserialize, Serialize)]
struct Order {
    item: String,
    count: u32,
}

/// JSON in and out of pooled memory.
async fn double(PooledJson(mut order): PooledJson<Order>) -> PooledJson<Order> {
    order.count *= 2;
    PooledJson(order)
}

/// The body as it is, and scratch memory that goes back with the request.
async fn words(scope: Scope, body: PooledBody) -> String {
    let mut arena = scope.arena();
    let text = arena.alloc_str_lossy(&body);
    text.split_whitespace().count().to_string()
}

fn app(scopes: &Scopes, budget: &BodyBudget) -> Router {
    // Beside axum's `DefaultBodyLimit`: what all bodies may hold together, and how long one may stand still.
    let limits =
        Limits::new(64 << 10).budget(budget).idle_timeout(Duration::from_secs(10)).wait(Duration::from_secs(2));
    Router::new()
        .route("/double", post(double))
        .route("/words", post(words))
        .layer(Extension(limits))
        .layer(ScopeLayer::with(scopes.clone()))
}

async fn send(server: SocketAddr, path: &str, content_type: &str, body: impl Into<Bytes>) -> (StatusCode, String) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::post(format!("http://{server}{path}"))
        .header(header::CONTENT_TYPE, content_type)
        .body(Full::new(body.into()))
        .expect("a request");
    let answer = client.request(request).await.expect("an answer");
    let status = answer.status();
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let (scopes, budget) = (Scopes::new(), BodyBudget::new(64 << 20));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(axum::serve(listener, app(&scopes, &budget)).into_future());

    let (status, body) = send(address, "/double", "application/json", r#"{"item":"egg","count":6}"#).await;
    assert_eq!((status, &*body), (StatusCode::OK, r#"{"item":"egg","count":12}"#));
    let (status, body) = send(address, "/words", "text/plain", "word ".repeat(10_000)).await;
    assert_eq!((status, &*body), (StatusCode::OK, "10000"));
    let (status, _) = send(address, "/words", "text/plain", "word ".repeat(20_000)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);

    server.abort();
    while scopes.stats().open() > 0 || budget.used_bytes() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("all requests have ended: {:?}", scopes.stats());
    Ok(())
}
