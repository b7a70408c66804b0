//! Scopes for hyper without tower, over real sockets.

mod common;

use common::until;
use ebbtide::http::wrap;
use ebbtide::{Outcome, Scope, Scopes};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

type Outcomes = Arc<Mutex<Vec<Outcome>>>;

/// Hyper, one request a connection or more, until the test ends.
async fn serve(scopes: &Scopes) -> (SocketAddr, Outcomes) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let outcomes = Outcomes::default();
    let (scopes, seen) = (scopes.clone(), Arc::clone(&outcomes));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (scopes, seen) = (scopes.clone(), Arc::clone(&seen));
            let service = service_fn(move |request| {
                let seen = Arc::clone(&seen);
                wrap(&scopes, request, move |request| answer(request, seen))
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, outcomes)
}

async fn answer(request: Request<Incoming>, seen: Outcomes) -> Result<Response<String>, Infallible> {
    let scope = Scope::current().expect("wrapped");
    scope.on_end(move |ending| seen.lock().unwrap().push(ending.outcome()));
    let mut arena = scope.arena();
    let path = arena.alloc_str(request.uri().path());
    tokio::task::yield_now().await;
    if path == "/pending" {
        std::future::pending::<()>().await;
    }
    Ok(Response::new(path.to_uppercase()))
}

#[tokio::test]
async fn a_wrapped_handler_has_a_scope_until_its_response_is_sent() {
    let scopes = Scopes::new();
    let (address, outcomes) = serve(&scopes).await;
    assert!(common::get(address, "/hello").await.ends_with("/HELLO"));
    let head = common::raw(address, "HEAD /hello HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await;
    assert!(head.contains("content-length: 6"), "{head}");
    until("both have ended", || scopes.stats().ended == 2).await;
    assert_eq!(*outcomes.lock().unwrap(), [Outcome::Finished; 2]);
}

#[tokio::test]
async fn a_client_that_goes_away_aborts_it() {
    let scopes = Scopes::new();
    let (address, outcomes) = serve(&scopes).await;
    let client = tokio::spawn(async move { common::get(address, "/pending").await });
    until("the request is in the handler", || scopes.stats().open() == 1).await;
    client.abort();
    until("it has ended", || scopes.stats().open() == 0).await;
    assert_eq!(*outcomes.lock().unwrap(), [Outcome::Aborted]);
}

#[tokio::test]
async fn while_new_requests_are_refused_the_answer_is_503() {
    let scopes = Scopes::new();
    let (address, outcomes) = serve(&scopes).await;
    scopes.refuse_new();
    assert!(common::get(address, "/hello").await.starts_with("HTTP/1.1 503"));
    assert_eq!((scopes.stats().begun, outcomes.lock().unwrap().len()), (0, 0));
}
