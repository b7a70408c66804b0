//! The child: a server on one thread, whose parent measures it.

use crate::{OURS, json};
use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt;
use ebbtide::Chain;
use ebbtide::http::{Compression, ScopeLayer};
use http::header::CONTENT_TYPE;
use std::io;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tower_http::compression::CompressionLayer;

/// Bytes of the responses, each at a path of its own.
pub(crate) const SIZES: [usize; 3] = [4 << 10, 16 << 10, 64 << 10];

/// Says where it is, and serves until its input ends, which it does with its parent.
pub(crate) async fn run(way: &str) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    let server = axum::serve(listener, app(way)).into_future();
    tokio::select! {
        served = server => served,
        ended = async { tokio::io::stdin().read(&mut [0]).await.map(drop) } => ended,
    }
}

/// As users of either write it.
fn app(way: &str) -> Router {
    let app = SIZES.into_iter().fold(Router::new(), |app, size| {
        let json = json(size);
        let answer = move || std::future::ready(([(CONTENT_TYPE, "application/json")], json.clone()));
        app.route(&format!("/{size}"), get(answer))
    });
    if way == OURS {
        app.layer(ScopeLayer::new().chain(Chain::new().with(Compression::new())))
    } else {
        app.layer(CompressionLayer::new())
    }
}
