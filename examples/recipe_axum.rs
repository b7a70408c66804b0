//! ebbtide in an axum server: pooled bodies and JSON, memory for the request, one budget for all bodies. It talks to itself and ends.
//!
//! ```sh
//! cargo run --example recipe_axum
//! ```

mod common;

use axum::{Extension, Router, routing::post};
use ebbtide::http::{BodyBudget, Limits, PooledBody, PooledJson, ScopeLayer};
use ebbtide::{Scope, Scopes};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;

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

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let (scopes, budget) = (Scopes::new(), BodyBudget::new(64 << 20));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(axum::serve(listener, app(&scopes, &budget)).into_future());

    let doubled = common::post(address, "/double", "application/json", r#"{"item":"egg","count":6}"#).await;
    assert_eq!(doubled, (StatusCode::OK, r#"{"item":"egg","count":12}"#.into()));
    let counted = common::post(address, "/words", "text/plain", "word ".repeat(10_000)).await;
    assert_eq!(counted, (StatusCode::OK, "10000".into()));
    let (status, _) = common::post(address, "/words", "text/plain", "word ".repeat(20_000)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);

    server.abort();
    while scopes.stats().open() > 0 || budget.used_bytes() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("all requests have ended: {:?}", scopes.stats());
    Ok(())
}
