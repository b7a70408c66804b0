//! What protoc would write, and its two calls: one that answers with a stream, one with streams both ways.

use crate::codec::Pooled;
use ebbtide::{Outcome, PooledBytes, Scope};
use futures_util::{StreamExt, stream};
use std::fmt::Write;
use std::future::{Future, ready};
use std::task::{Context, Poll};
use std::{convert::Infallible, pin::Pin};
use tokio::sync::mpsc::UnboundedSender;
use tonic::{Request, Response, Status, Streaming, body::Body, server::NamedService};
use tower::{Service, service_fn};

/// Tells how each of its calls ended.
#[derive(Clone)]
pub(crate) struct Echo(pub(crate) UnboundedSender<Outcome>);

/// A message, in a buffer of its own: what is taken from the scope's arena stays until the whole call ends.
fn line(scope: &Scope, number: usize, said: &[u8]) -> PooledBytes {
    let mut buffer = scope.buffers().get(said.len() + 16);
    let _ = write!(buffer, "{number}: ");
    buffer.extend_from_slice(said);
    buffer.freeze()
}

impl NamedService for Echo {
    const NAME: &'static str = "recipe.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (scope, tell) = (Scope::current().expect("below the layer"), self.0.clone());
        scope.on_end(move |ending| _ = tell.send(ending.outcome()));
        let mut calls = tonic::server::Grpc::new(Pooled(scope.buffers().clone()));
        // A stream may keep a scope, since both go when the response's body does.
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/recipe.Echo/Lines" => {
                    let lines = |said: Request<PooledBytes>| {
                        let scope = scope.clone();
                        let lines = (1..=100_000).map(move |number| Ok(line(&scope, number, said.get_ref())));
                        ready(Ok::<_, Status>(Response::new(stream::iter(lines))))
                    };
                    calls.server_streaming(service_fn(lines), request).await
                }
                "/recipe.Echo/Echo" => {
                    let echo = |said: Request<Streaming<PooledBytes>>| {
                        let scope = scope.clone();
                        let said = said.into_inner().enumerate();
                        let lines = said.map(move |(at, said)| said.map(|said| line(&scope, at + 1, &said)));
                        ready(Ok::<_, Status>(Response::new(lines)))
                    };
                    calls.streaming(service_fn(echo), request).await
                }
                _ => Status::unimplemented("no such call").into_http(),
            })
        })
    }
}
