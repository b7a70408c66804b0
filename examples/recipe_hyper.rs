//! ebbtide with hyper alone: bodies in and out of pooled memory, within limits. It talks to itself and ends.
//!
//! ```sh
//! cargo run --example recipe_hyper
//! ```

mod common;

use common::post;
use ebbtide::http::{BodyBudget, Limits, collect};
use ebbtide::{BufferPool, PooledBuf, PooledBytes};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, time::Duration};
use tokio::net::TcpListener;

type Answer = Response<Full<PooledBytes>>;

/// Sends the body back in upper case. hyper takes [`PooledBytes`] as they are: no allocation for the answer's memory.
async fn shout(request: Request<Incoming>, buffers: BufferPool, limits: Limits) -> Result<Answer, Infallible> {
    let mut answer = Response::new(Full::default());
    let mut buffer = match collect(request.into_body(), &buffers, limits).await {
        Ok(mut body) => copied(&buffers, body.contiguous()),
        Err(error) => {
            *answer.status_mut() = error.status();
            copied(&buffers, error.to_string().as_bytes())
        }
    };
    buffer.make_ascii_uppercase();
    *answer.body_mut() = Full::new(buffer.freeze());
    Ok(answer)
}

/// `bytes` in a pooled buffer.
fn copied(buffers: &BufferPool, bytes: &[u8]) -> PooledBuf {
    let mut buffer = buffers.get(bytes.len());
    buffer.extend_from_slice(bytes);
    buffer
}

async fn serve(listener: TcpListener, buffers: BufferPool, limits: Limits) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let (buffers, limits) = (buffers.clone(), limits.clone());
        let service = service_fn(move |request| shout(request, buffers.clone(), limits.clone()));
        tokio::spawn(async move {
            let served = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                eprintln!("connection: {error}");
            }
        });
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let (buffers, budget) = (BufferPool::new(), BodyBudget::new(64 << 20));
    let limits = Limits::new(64 << 10).budget(&budget).idle_timeout(Duration::from_secs(10));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(serve(listener, buffers.clone(), limits));

    assert_eq!(post(address, "/", "text/plain", "quietly").await, (StatusCode::OK, "QUIETLY".into()));
    let (status, body) = post(address, "/", "text/plain", vec![b'a'; 64 << 10]).await;
    assert!(status == StatusCode::OK && body.iter().all(|&byte| byte == b'A') && body.len() == 64 << 10);
    let (status, body) = post(address, "/", "text/plain", vec![b'a'; (64 << 10) + 1]).await;
    assert_eq!((status, &body[..]), (StatusCode::PAYLOAD_TOO_LARGE, &b"BODY IS LARGER THAN 65536 BYTES"[..]));

    server.abort();
    while buffers.stats().outstanding() > 0 || budget.used_bytes() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("all memory is back: {:?}", buffers.stats());
    Ok(())
}
