//! A router with every kind of ending, and what it has seen of them.
#![allow(dead_code)] // Each test binary uses its part.

use crate::common::until;
use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use ebbtide::http::ScopeLayer;
use ebbtide::{Outcome, Pool, Scope, Scopes};
use http_body::Frame;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) scopes: Scopes,
    pool: Pool<Vec<u8>>,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self { scopes: Scopes::new(), pool: Pool::new(Vec::new), outcomes: Arc::default() }
    }

    /// Waits for `count` endings since the beginning and gives the outcomes that are new.
    pub(crate) async fn outcomes(&self, count: usize) -> Vec<Outcome> {
        until("the requests end", || self.scopes.stats().ended as usize >= count).await;
        assert_eq!((self.scopes.stats().open(), self.pool.stats().outstanding()), (0, 0));
        std::mem::take(&mut *self.outcomes.lock().unwrap())
    }

    pub(crate) fn layer(&self) -> ScopeLayer {
        ScopeLayer::with(self.scopes.clone())
    }

    /// Takes something of the request that must come back, and notes how it ends.
    pub(crate) fn enter(&self) -> Scope {
        let scope = Scope::current().expect("below the layer");
        let lease = scope.lease(&self.pool);
        assert!(lease.is_empty(), "a value of an earlier request");
        lease.push(1);
        let outcomes = Arc::clone(&self.outcomes);
        scope.on_end(move |ending| outcomes.lock().unwrap().push(ending.outcome()));
        scope
    }

    pub(crate) fn router(&self) -> Router {
        let handler = |respond: fn(Scope) -> Response| {
            let seen = self.clone();
            get(move || {
                let response = respond(seen.enter());
                async move { response }
            })
        };
        let pending = self.clone();
        let echo = self.clone();
        Router::new()
            .route("/fixed", handler(|_| "fixed".into_response()))
            .route("/none", handler(|_| StatusCode::NO_CONTENT.into_response()))
            .route("/unchanged", handler(|_| (StatusCode::NOT_MODIFIED, Body::from("ignored")).into_response()))
            .route("/stream", handler(|_| Pieces::new(3, Then::Ends).into_response()))
            .route("/trailers", handler(|_| Pieces::new(3, Then::Trailers).into_response()))
            .route("/long", handler(|_| Pieces::new(LONG, Then::Ends).into_response()))
            .route("/endless", handler(|_| Pieces::new(usize::MAX, Then::Ends).into_response()))
            .route("/broken", handler(|_| Pieces::new(1, Then::Fails).into_response()))
            .route("/panics-later", handler(|_| Pieces::new(1, Then::Panics).into_response()))
            .route("/panic", handler(|_scope| panic!("in the handler")))
            .route(
                "/pending",
                any(|| async move {
                    let _scope = pending.enter();
                    std::future::pending::<()>().await;
                }),
            )
            .route(
                "/echo",
                post(|body: Bytes| async move {
                    echo.enter();
                    body
                }),
            )
    }
}

/// Pieces of a response that fits into no socket's buffers.
pub(crate) const LONG: usize = 20_000;

/// A streaming body of so many pieces of a thousand bytes, which looks for its scope in each poll.
struct Pieces {
    left: usize,
    then: Then,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Ends,
    Trailers,
    Fails,
    Panics,
}

impl Pieces {
    fn new(left: usize, then: Then) -> Self {
        Self { left, then }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        assert!(Scope::current().is_some(), "polled inside of its request");
        match (self.left.checked_sub(1), self.then) {
            (Some(left), _) => {
                self.left = left;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'.'; 1000])))))
            }
            (None, Then::Ends) => Poll::Ready(None),
            (None, Then::Trailers) => {
                self.then = Then::Ends;
                let trailers = [("sum".parse().unwrap(), "3000".parse().unwrap())].into_iter().collect();
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            (None, Then::Fails) => Poll::Ready(Some(Err("the body fails"))),
            (None, Then::Panics) => panic!("in the body"),
        }
    }
}

impl IntoResponse for Pieces {
    fn into_response(self) -> Response {
        let trailers = self.then == Then::Trailers;
        let mut response = Response::new(Body::new(self));
        if trailers {
            response.headers_mut().insert("trailer", "sum".parse().unwrap());
        }
        response
    }
}
