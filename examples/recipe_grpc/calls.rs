//! Two calls: one that answers with a stream, one with streams both ways.

use crate::grpc::Pooled;
use ebbtide::{Outcome, PooledBytes, Scope};
use futures_util::{StreamExt, stream};
use std::fmt::Write;
use std::future::ready;
use tokio::sync::mpsc::UnboundedSender;
use tonic::{Request, Response, Status, Streaming, body::Body};
use tower::service_fn;

/// A message, in a buffer of its own: what is taken from the scope's arena stays until the whole call ends.
fn line(scope: &Scope, number: usize, said: &[u8]) -> PooledBytes {
    let mut buffer = scope.buffers().get(said.len() + 16);
    let _ = write!(buffer, "{number}: ");
    buffer.extend_from_slice(said);
    buffer.freeze()
}

/// Answers one call, and tells how it ended.
pub(crate) async fn answer(request: http::Request<Body>, tell: UnboundedSender<Outcome>) -> http::Response<Body> {
    let scope = Scope::current().expect("below the layer");
    scope.on_end(move |ending| _ = tell.send(ending.outcome()));
    let mut calls = tonic::server::Grpc::new(Pooled(scope.buffers().clone()));
    // A stream may keep a scope, since both go when the response's body does.
    let lines = |said: Request<PooledBytes>| {
        let scope = scope.clone();
        let lines = (1..=100_000).map(move |number| Ok(line(&scope, number, said.get_ref())));
        ready(Ok::<_, Status>(Response::new(stream::iter(lines))))
    };
    let echo = |said: Request<Streaming<PooledBytes>>| {
        let scope = scope.clone();
        let said = said.into_inner().enumerate();
        ready(Ok::<_, Status>(Response::new(said.map(move |(at, said)| said.map(|said| line(&scope, at + 1, &said))))))
    };
    match request.uri().path() {
        "/recipe.Calls/Lines" => calls.server_streaming(service_fn(lines), request).await,
        "/recipe.Calls/Echo" => calls.streaming(service_fn(echo), request).await,
        _ => Status::unimplemented("no such call").into_http(),
    }
}
