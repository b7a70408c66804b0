//! ebbtide with tonic, for calls that stream: each has one scope, which ends when its stream does. It talks to itself and ends.
//!
//! ```sh
//! cargo run --example recipe_grpc
//! ```

mod calls;
#[path = "../common/grpc.rs"]
mod grpc;

use ebbtide::{BufferPool, Outcome, PooledBytes, Scopes, http::ScopeLayer};
use futures_util::{StreamExt, stream};
use grpc::{Calls, Pooled};
use http::uri::PathAndQuery;
use tokio::sync::mpsc::unbounded_channel;
use tonic::Request;
use tonic::transport::{Channel, Server, server::TcpIncoming};

fn message(buffers: &BufferPool, text: &str) -> PooledBytes {
    let mut buffer = buffers.get(text.len());
    buffer.extend_from_slice(text.as_bytes());
    buffer.freeze()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let buffers = BufferPool::new();
    let scopes = Scopes::builder().buffers(buffers.clone()).build();
    let (tell, mut ended) = unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let calls = Calls(move |request| calls::answer(request, tell.clone()));
    let server = Server::builder().layer(ScopeLayer::with(scopes.clone())).add_service(calls);
    let server = tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
    let (mut client, codec) = (tonic::client::Grpc::new(channel), Pooled(buffers.clone()));
    let [lines, echo] = ["/recipe.Calls/Lines", "/recipe.Calls/Echo"].map(PathAndQuery::from_static);

    // The server streams. The scope lives as long as the stream, and not longer.
    client.ready().await?;
    let said = Request::new(message(&buffers, "ebb"));
    let mut answers = client.server_streaming(said, lines.clone(), codec.clone()).await?.into_inner();
    assert_eq!((answers.message().await?.as_deref(), scopes.stats().open()), (Some(&b"1: ebb"[..]), 1));
    assert_eq!(answers.by_ref().count().await, 99_999);
    assert_eq!(ended.recv().await, Some(Outcome::Finished));

    // Both stream: each answer is there before more is said.
    client.ready().await?;
    let (say, heard) = unbounded_channel();
    let saying = stream::unfold(heard, |mut heard| async { heard.recv().await.map(|message| (message, heard)) });
    let mut answers = client.streaming(Request::new(saying), echo, codec.clone()).await?.into_inner();
    for (word, answer) in [("ebb", "1: ebb"), ("flow", "2: flow")] {
        say.send(message(&buffers, word))?;
        assert_eq!((answers.message().await?.as_deref(), scopes.stats().open()), (Some(answer.as_bytes()), 1));
    }
    drop(say);
    assert!(answers.message().await?.is_none());
    assert_eq!(ended.recv().await, Some(Outcome::Finished));

    // The client goes away in the middle.
    client.ready().await?;
    let said = Request::new(message(&buffers, "ebb"));
    let mut answers = client.server_streaming(said, lines, codec).await?.into_inner();
    assert!(answers.message().await?.is_some());
    drop(answers);
    assert_eq!(ended.recv().await, Some(Outcome::Aborted));

    drop(client);
    server.abort();
    while scopes.stats().open() > 0 || buffers.stats().outstanding() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    println!("all calls have ended: {:?}", scopes.stats());
    Ok(())
}
