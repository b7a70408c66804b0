//! ebbtide under hyper without tower: `wrap` gives each request a scope. It talks to itself and ends.
//!
//! ```sh
//! cargo run --example recipe_wrap
//! ```

use ebbtide::{Outcome, PooledBytes, Scope, Scopes, http::wrap};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::{Arc, atomic::AtomicUsize, atomic::Ordering::Relaxed};
use tokio::net::TcpListener;

/// The words of the path in reverse: the list is in the request's arena, and the answer in a pooled buffer.
async fn reverse(request: Request<Incoming>) -> Result<Response<Full<PooledBytes>>, Infallible> {
    let scope = Scope::current().expect("wrapped");
    let mut answer = scope.buffers().get(request.uri().path().len());
    let mut arena = scope.arena();
    let mut words = arena.vec(8);
    words.extend(request.uri().path().split('/'));
    tokio::task::yield_now().await;
    for word in words.iter().rev() {
        answer.extend_from_slice(word.as_bytes());
        answer.extend_from_slice(b" ");
    }
    Ok(Response::new(Full::new(answer.freeze())))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (scopes, finished) = (Scopes::new(), Arc::new(AtomicUsize::new(0)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (serving, count) = (scopes.clone(), finished.clone());
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (scopes, count) = (serving.clone(), count.clone());
            let service = service_fn(move |request| {
                let count = count.clone();
                wrap(&scopes, request, |request| {
                    let scope = Scope::current().expect("wrapped");
                    scope.on_end(move |ending| {
                        _ = count.fetch_add((ending.outcome() == Outcome::Finished).into(), Relaxed)
                    });
                    reverse(request)
                })
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });

    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    for (path, expected) in [("one/two/three", "three two one  "), ("", "  ")] {
        let answer = client.get(format!("http://{address}/{path}").parse()?).await?;
        assert_eq!(answer.into_body().collect().await?.to_bytes(), expected);
    }

    server.abort();
    while scopes.stats().open() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!(finished.load(Relaxed), 2);
    println!("all requests have ended: {:?}", scopes.stats());
    Ok(())
}
