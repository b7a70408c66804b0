//! ebbtide with tonic: messages in pooled memory, and a layer that collects a call before it is handled, so that a client which
//! trickles holds no handler. It talks to itself and ends.
//!
//! No protoc: a message is its bytes. A call whose client waits for answers before it has sent all does not belong behind the layer.
//!
//! ```sh
//! cargo run --example recipe_tonic
//! ```

#[path = "common/grpc.rs"]
mod grpc;

use bytes::BufMut;
use ebbtide::http::{BodyBudget, BufferBodyLayer, Limits};
use ebbtide::{BufferPool, PooledBytes};
use grpc::{Calls, Pooled};
use http::uri::PathAndQuery;
use std::future::ready;
use tokio::net::TcpListener;
use tonic::transport::{Channel, Server, server::TcpIncoming};
use tonic::{Request, Response, Status, body::Body};
use tower::service_fn;

/// One call that answers once, one that answers with a stream.
async fn parrot(request: http::Request<Body>, codec: Pooled) -> http::Response<Body> {
    let mut calls = tonic::server::Grpc::new(codec);
    let once = service_fn(|said: Request<PooledBytes>| ready(Ok::<_, Status>(Response::new(said.into_inner()))));
    let thrice = service_fn(|said: Request<PooledBytes>| {
        ready(Ok::<_, Status>(Response::new(futures_util::stream::iter(vec![Ok(said.into_inner()); 3]))))
    });
    match request.uri().path() {
        "/recipe.Calls/Once" => calls.unary(once, request).await,
        "/recipe.Calls/Thrice" => calls.server_streaming(thrice, request).await,
        _ => Status::unimplemented("no such call").into_http(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (buffers, budget) = (BufferPool::new(), BodyBudget::new(64 << 20));
    let layer = BufferBodyLayer::new(Limits::new(64 << 10).budget(&budget)).buffers(buffers.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (codec, of_server) = (Pooled(buffers.clone()), Pooled(buffers.clone()));
    let calls = Calls(move |request| parrot(request, of_server.clone()));
    let server = Server::builder().layer(layer).add_service(calls);
    let server = tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
    let mut client = tonic::client::Grpc::new(channel);
    let say = |bytes: usize| {
        let mut message = buffers.get(bytes);
        message.put_bytes(b'x', bytes);
        Request::new(message.freeze())
    };
    let [once, thrice] = ["/recipe.Calls/Once", "/recipe.Calls/Thrice"].map(PathAndQuery::from_static);
    client.ready().await?;
    let answer = client.unary(say(50_000), once.clone(), codec.clone()).await?.into_inner();
    assert!(answer.len() == 50_000 && answer.iter().all(|&byte| byte == b'x'));
    client.ready().await?;
    let mut answers = client.server_streaming(say(5), thrice, codec.clone()).await?.into_inner();
    for _ in 0..3 {
        assert_eq!(answers.message().await?.as_deref(), Some(&b"xxxxx"[..]));
    }
    assert!(answers.message().await?.is_none());
    client.ready().await?;
    let refused = client.unary::<_, PooledBytes, _>(say(70_000), once, codec.clone()).await.unwrap_err();
    assert!(refused.message().ends_with("HTTP status code 413"), "{refused}");

    drop((answer, answers, client));
    server.abort();
    while buffers.stats().outstanding() > 0 || budget.used_bytes() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    println!("all memory is back: {:?}", buffers.stats());
    Ok(())
}
