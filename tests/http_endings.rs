//! How requests end over real sockets: the right outcome each time, nothing outstanding, the next request clean.

mod common;
#[path = "common/endings.rs"]
mod endings;

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, http::StatusCode};
use common::until;
use ebbtide::http::ScopeLayer;
use ebbtide::{Chain, Interceptor, Outcome, Scope, Scopes};
use endings::Seen;
use std::ops::ControlFlow;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_http::catch_panic::CatchPanicLayer;

#[tokio::test]
async fn bodies_that_come_to_their_end() {
    let seen = Seen::new();
    let address = common::serve(seen.router().layer(seen.layer())).await;
    assert!(common::get(address, "/fixed").await.ends_with("fixed"));
    assert!(common::get(address, "/none").await.starts_with("HTTP/1.1 204"));
    assert!(common::get(address, "/unchanged").await.starts_with("HTTP/1.1 304"));
    assert!(common::get(address, "/stream").await.ends_with("0\r\n\r\n"));
    let head = common::raw(address, "HEAD /fixed HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await;
    assert!(head.contains("content-length: 5"), "the size is forwarded: {head}");
    assert_eq!(seen.outcomes(5).await, [Outcome::Finished; 5]);
}

#[tokio::test]
async fn pipelined_requests_have_a_scope_each() {
    let seen = Seen::new();
    let address = common::serve(seen.router().layer(seen.layer())).await;
    let one = "GET /fixed HTTP/1.1\r\nhost: test\r\n\r\n";
    let last = "GET /fixed HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    let response = common::raw(address, &format!("{one}{one}{last}")).await;
    assert_eq!(response.matches("HTTP/1.1 200").count(), 3);
    assert_eq!(seen.outcomes(3).await, [Outcome::Finished; 3]);
}

#[tokio::test]
async fn a_body_that_fails_is_aborted() {
    let seen = Seen::new();
    let address = common::serve(seen.router().layer(seen.layer())).await;
    common::get(address, "/broken").await;
    assert_eq!(seen.outcomes(1).await, [Outcome::Aborted]);
}

#[tokio::test]
async fn a_client_that_goes_away_aborts_handler_and_body() {
    let seen = Seen::new();
    let address = common::serve(seen.router().layer(seen.layer())).await;
    for (before, path) in ["/pending", "/endless"].into_iter().enumerate() {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.unwrap();
        if path == "/endless" {
            stream.read_exact(&mut [0; 5000]).await.unwrap();
        }
        until("the request is in the handler", || seen.scopes.stats().open() == 1).await;
        drop(stream);
        assert_eq!(seen.outcomes(before + 1).await, [Outcome::Aborted], "{path}");
    }
}

#[tokio::test]
async fn panics_with_a_catch_layer_outside_inside_and_none() {
    let seen = Seen::new();
    let catch = CatchPanicLayer::new;
    let routers = [
        ("outside", seen.router().layer(seen.layer()).layer(catch()), Outcome::Panicked, "HTTP/1.1 500"),
        // The handler's own scope was dropped by the panic, though the layer sees an ordinary response.
        ("inside", seen.router().layer(catch()).layer(seen.layer()), Outcome::Panicked, "HTTP/1.1 500"),
        ("none", seen.router().layer(seen.layer()), Outcome::Panicked, ""),
    ];
    for (count, (name, router, outcome, status)) in routers.into_iter().enumerate() {
        let address = common::serve(router).await;
        let response = common::get(address, "/panic").await;
        assert!(response.starts_with(status), "{name}: {response}");
        assert_eq!(seen.outcomes(2 * count + 1).await, [outcome], "{name}");
        assert_eq!(seen.scopes.stats().poisoned as usize, count + 1, "{name}");
        assert!(common::get(address, "/fixed").await.ends_with("fixed"), "{name}: the next request is clean");
        assert_eq!(seen.outcomes(2 * count + 2).await, [Outcome::Finished], "{name}");
    }
}

#[tokio::test]
async fn a_body_that_panics_is_panicked() {
    let seen = Seen::new();
    let address = common::serve(seen.router().layer(seen.layer())).await;
    common::get(address, "/panics-later").await;
    assert_eq!(seen.outcomes(1).await, [Outcome::Panicked]);
}

/// Refuses what has no token, and adds a header to every response.
struct Token;

impl<B> Interceptor<http::Request<B>, Response> for Token {
    type State = ();

    fn before(&self, (): &mut (), _: &Scope, request: &mut http::Request<B>) -> ControlFlow<Response> {
        match request.headers().get("token") {
            Some(_) => ControlFlow::Continue(()),
            None => ControlFlow::Break(StatusCode::UNAUTHORIZED.into_response()),
        }
    }
}

struct Stamp;

impl<B> Interceptor<http::Request<B>, Response> for Stamp {
    type State = Vec<u8>;

    fn before(&self, state: &mut Vec<u8>, _: &Scope, _: &mut http::Request<B>) -> ControlFlow<Response> {
        assert!(state.is_empty());
        state.push(1);
        ControlFlow::Continue(())
    }

    fn after(&self, state: &mut Vec<u8>, _: &Scope, response: &mut Response) {
        response.headers_mut().insert("stamp", state.len().into());
    }
}

#[tokio::test]
async fn interceptors_run_around_the_handler() {
    let seen = Seen::new();
    let layer = seen.layer().chain(Chain::new().with(Stamp).with(Token));
    let address = common::serve(seen.router().layer(layer)).await;
    let refused = common::get(address, "/fixed").await;
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("stamp: 1"), "{refused}");
    let request = "GET /fixed HTTP/1.1\r\nhost: test\r\ntoken: t\r\nconnection: close\r\n\r\n";
    let passed = common::raw(address, request).await;
    assert!(passed.starts_with("HTTP/1.1 200") && passed.contains("stamp: 1"), "{passed}");
    assert_eq!(seen.outcomes(2).await, [Outcome::Finished]);
}

#[tokio::test]
async fn a_spawned_task_has_no_current_request() {
    let scopes = Scopes::new();
    let handler = || async {
        let spawned = tokio::spawn(async { Scope::current().is_none() }).await.unwrap();
        let blocking = tokio::task::spawn_blocking(|| Scope::current().is_none()).await.unwrap();
        let handle = Scope::current().unwrap().handle();
        let entered = tokio::spawn(async move { handle.enter().is_ok() }).await.unwrap();
        format!("{spawned} {blocking} {entered} {}", Scope::current().is_some())
    };
    let app = Router::new().route("/", get(handler)).layer(ScopeLayer::with(scopes));
    let address = common::serve(app).await;
    assert!(common::get(address, "/").await.ends_with("true true true true"));
}
