//! What `tower-http` and `tower` do well stays there: their layers around, inside of and on both sides of `ScopeLayer`.

mod common;
#[path = "common/endings.rs"]
mod endings;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use ebbtide::{Outcome, Scope};
use endings::Seen;
use std::net::SocketAddr;
use std::time::Duration;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

async fn serve(router: Router) -> SocketAddr {
    common::serve(router).await
}

/// The layers of an ordinary server, from the outside in.
macro_rules! around {
    ($router:expr, $inner:expr) => {
        $router.layer(
            ServiceBuilder::new()
                .layer(TraceLayer::new_for_http())
                .layer(CatchPanicLayer::new())
                .layer(RequestBodyLimitLayer::new(20))
                .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_millis(100)))
                .layer(CompressionLayer::new())
                .layer($inner),
        )
    };
}

const GZIP: &str = "GET /stream HTTP/1.1\r\nhost: test\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn layers_outside_of_the_scope() {
    let seen = Seen::new();
    let address = serve(around!(seen.router(), seen.layer())).await;
    assert!(common::get(address, "/fixed").await.ends_with("fixed"));
    let compressed = common::raw(address, GZIP).await;
    assert!(compressed.contains("content-encoding: gzip") && compressed.len() < 1000, "{}", compressed.len());
    assert_eq!(seen.outcomes(2).await, [Outcome::Finished; 2]);
    assert!(common::get(address, "/pending").await.starts_with("HTTP/1.1 408"));
    assert!(common::get(address, "/panic").await.starts_with("HTTP/1.1 500"));
    assert_eq!(seen.outcomes(4).await, [Outcome::Aborted, Outcome::Panicked]);
    assert!(common::post(address, "/echo", "text/plain", "short").await.ends_with("short"));
    assert!(common::post(address, "/echo", "text/plain", &"long".repeat(10)).await.starts_with("HTTP/1.1 413"));
    // The one of declared length did not come so far as to begin.
    assert_eq!(seen.outcomes(5).await, [Outcome::Finished]);
    assert_eq!(seen.scopes.stats().begun, 5);
}

#[tokio::test]
async fn layers_inside_of_the_scope() {
    let seen = Seen::new();
    let inside = around!(seen.router(), tower::layer::util::Identity::new());
    let address = serve(inside.layer(seen.layer())).await;
    assert!(common::get(address, "/fixed").await.ends_with("fixed"));
    let compressed = common::raw(address, GZIP).await;
    assert!(compressed.contains("content-encoding: gzip") && compressed.len() < 1000, "{}", compressed.len());
    assert!(common::get(address, "/pending").await.starts_with("HTTP/1.1 408"));
    assert!(common::get(address, "/panic").await.starts_with("HTTP/1.1 500"));
    // To the scope the 408 is a response like others, and the panic dropped a scope of the request.
    let [finished, panicked] = [Outcome::Finished, Outcome::Panicked];
    assert_eq!(seen.outcomes(4).await, [finished, finished, finished, panicked]);
    assert!(common::post(address, "/echo", "text/plain", &"long".repeat(10)).await.starts_with("HTTP/1.1 413"));
    assert_eq!(seen.outcomes(5).await, [], "refused before the handler noted its end");
}

#[tokio::test]
async fn requests_over_a_limit_wait_or_are_shed_before_they_begin() {
    let seen = Seen::new();
    let shed = axum::error_handling::HandleErrorLayer::new(|_| async { StatusCode::SERVICE_UNAVAILABLE });
    let layers = ServiceBuilder::new()
        .layer(shed)
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(1))
        .layer(seen.layer())
        .map_response(IntoResponse::into_response);
    let address = serve(seen.router().layer(layers)).await;
    let pending = tokio::spawn(async move { common::get(address, "/pending").await });
    common::until("the first is in the handler", || seen.scopes.stats().open() == 1).await;
    assert!(common::get(address, "/fixed").await.starts_with("HTTP/1.1 503"));
    assert_eq!(seen.scopes.stats().begun, 1);
    pending.abort();
    assert_eq!(seen.outcomes(1).await, [Outcome::Aborted]);
    assert!(common::get(address, "/fixed").await.ends_with("fixed"));
    assert_eq!(seen.outcomes(2).await, [Outcome::Finished]);
}

#[tokio::test]
async fn a_layer_made_of_a_function_finds_the_scope() {
    let seen = Seen::new();
    let note = |request: axum::extract::Request, next: axum::middleware::Next| async move {
        let scope = Scope::current().expect("below the layer");
        scope.local::<Vec<u8>>().unwrap().push(1);
        let response = next.run(request).await;
        let noted = scope.local::<Vec<u8>>().unwrap().len();
        ([("noted", noted.to_string())], response)
    };
    let router = seen.router().layer(axum::middleware::from_fn(note)).layer(seen.layer());
    let address = serve(router).await;
    for _ in 0..2 {
        let response = common::get(address, "/stream").await;
        assert!(response.contains("noted: 1"), "{response}");
    }
    assert_eq!(seen.outcomes(2).await, [Outcome::Finished; 2]);
}
