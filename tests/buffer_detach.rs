//! `BufferPool::detach`: what a small body that is kept costs, over a real server. A process of its own, since it counts.

use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::bench::{CountingAllocator, live};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

const BODY: usize = 64;
const KEPT: usize = 200;
/// Bytes up to which a body is copied.
const THRESHOLD: usize = 1024;

/// The bodies, in pooled memory, or as the frames that they came in.
#[derive(Clone)]
struct Store {
    pool: Option<BufferPool>,
    kept: Arc<Mutex<Vec<Bytes>>>,
}

impl Store {
    async fn keep(self, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
        let mut body = request.into_body().collect().await.unwrap().to_bytes();
        if let Some(pool) = &self.pool {
            body = pool.detach(body, THRESHOLD);
        }
        self.kept.lock().unwrap().push(body);
        Ok(Response::default())
    }
}

async fn serve(listener: TcpListener, store: Store) {
    let (stream, _) = listener.accept().await.unwrap();
    let service = service_fn(|request| store.clone().keep(request));
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.unwrap();
}

/// One request with a body of `BODY` bytes, and its answer.
async fn send(stream: &mut TcpStream, number: usize) {
    let head = format!("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {BODY}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), &[number as u8; BODY]].concat()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// Bytes by which the heap grows for each body that is kept.
async fn growth(pool: Option<BufferPool>) -> u64 {
    let store = Store { pool, kept: Arc::new(Mutex::new(Vec::with_capacity(KEPT + 10))) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, store.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    for number in 0..10 {
        send(&mut stream, number).await;
    }
    let before = live();
    for number in 10..10 + KEPT {
        send(&mut stream, number).await;
    }
    let grown = live().saturating_sub(before) / KEPT as u64;
    let kept = store.kept.lock().unwrap();
    assert!(kept.iter().enumerate().all(|(number, body)| body == &vec![number as u8; BODY]));
    grown
}

// One test: what another one allocates meanwhile would be counted too.
#[tokio::test]
async fn a_body_that_is_kept_pins_its_own_bytes_only() {
    let as_it_came = growth(None).await;
    let detached = growth(Some(BufferPool::new())).await;
    println!("heap a body of {BODY} bytes: {as_it_came} bytes as it came, {detached} detached");
    assert!(as_it_came >= 8192, "{as_it_came} bytes: what is there to win");
    assert!(detached <= 320, "{detached} bytes");
}
