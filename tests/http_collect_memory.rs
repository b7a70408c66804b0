//! The heap that uploads take over real sockets, counted. A process of its own, since it counts.
//!
//! The client sends a piece only when the server has read the one before, so each piece is a read of its own.

use bytes::Bytes;
use ebbtide::BufferPool;
use ebbtide::bench::{CountingAllocator, live, peak, reset_peak};
use ebbtide::http::{Limits, collect};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// Body bytes that the server has read since it began.
static READ: AtomicUsize = AtomicUsize::new(0);

/// hyper's body, which says when it was read.
struct Seen(Incoming);

impl Body for Seen {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let polled = Pin::new(&mut self.0).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            READ.fetch_add(frame.data_ref().map_or(0, Bytes::len), Relaxed);
        }
        polled
    }
    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

#[derive(Clone)]
enum Way {
    /// Each frame is dropped as it comes: nothing can take less.
    Drop,
    Collect(BufferPool),
    /// All frames are held.
    Hold,
}

async fn read(way: Way, mut body: Seen) {
    match way {
        Way::Drop => while body.frame().await.is_some_and(|frame| frame.is_ok()) {},
        Way::Collect(buffers) => drop(collect(body, &buffers, Limits::default()).await),
        Way::Hold => drop(BodyExt::collect(body).await),
    }
}

async fn serve(way: Way) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let way = way.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let way = way.clone();
                async move {
                    read(way, Seen(request.into_body())).await;
                    Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                }
            });
            tokio::spawn(async move {
                // A client that goes away is no failure of the test.
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// Sends `bytes`, as a chunk if no length was claimed, and waits until the server has read them.
async fn send_piece(stream: &mut TcpStream, bytes: &[u8], claim: Option<usize>) {
    let goal = READ.load(Relaxed) + bytes.len();
    if claim.is_some() {
        stream.write_all(bytes).await.unwrap();
    } else {
        let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        stream.write_all(&chunk).await.unwrap();
    }
    while READ.load(Relaxed) < goal {
        tokio::task::yield_now().await;
    }
}

/// Reads an answer without a body.
async fn answered(stream: &mut TcpStream) {
    let (mut answer, mut filled) = ([0; 1000], 0);
    while !answer[..filled].ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut answer[filled..]).await.unwrap();
        assert!(read > 0, "the server went away");
        filled += read;
    }
}

async fn begin(stream: &mut TcpStream, claim: Option<usize>) {
    let length = claim.map_or("transfer-encoding: chunked".to_owned(), |bytes| format!("content-length: {bytes}"));
    stream.write_all(format!("POST / HTTP/1.1\r\nhost: test\r\n{length}\r\n\r\n").as_bytes()).await.unwrap();
}

/// The most heap above that of the idle connection while `total` bytes come in `piece`s; the second upload, so that all that is kept
/// is there.
async fn peak_of(way: Way, total: usize, piece: usize, claim: Option<usize>) -> u64 {
    let mut stream = TcpStream::connect(serve(way).await).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let bytes = vec![7; piece];
    let mut highest = 0;
    for _ in 0..2 {
        let before = live();
        reset_peak();
        begin(&mut stream, claim).await;
        for start in (0..total).step_by(piece) {
            send_piece(&mut stream, &bytes[..piece.min(total - start)], claim).await;
        }
        if claim.is_none() {
            stream.write_all(b"0\r\n\r\n").await.unwrap();
        }
        stream.readable().await.unwrap();
        highest = peak() - before;
        answered(&mut stream).await;
    }
    highest
}

/// The live heap above that of idle connections, for each byte that has come, when each of `clients` has sent each of `marks`.
async fn share_of(clients: usize, claim: Option<usize>, marks: &[usize]) -> Vec<f64> {
    // Of a size that does not make hyper take a larger buffer to read into.
    const PIECE: usize = 4 << 10;
    let address = serve(Way::Collect(BufferPool::new())).await;
    let mut streams = Vec::new();
    for _ in 0..clients {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        // One small request, so that the connection is there and idle.
        begin(&mut stream, Some(1)).await;
        send_piece(&mut stream, b"x", Some(1)).await;
        answered(&mut stream).await;
        streams.push(stream);
    }
    let idle = live();
    for stream in &mut streams {
        begin(stream, claim).await;
    }
    let mut shares = Vec::new();
    let piece = vec![7; PIECE];
    let mut sent = 0;
    while shares.len() < marks.len() {
        for stream in &mut streams {
            send_piece(stream, &piece, claim).await;
        }
        sent += PIECE;
        if sent == marks[shares.len()] {
            shares.push((live() - idle) as f64 / (clients * sent) as f64);
        }
    }
    shares
}

// One test, since the counts are of the whole process.
#[tokio::test]
async fn uploads_take_what_the_docs_say() {
    for (total, piece) in [(64 << 10, 1400), (16 << 10, 16)] {
        let pool = BufferPool::new();
        let dropped = peak_of(Way::Drop, total, piece, Some(total)).await;
        let collected = peak_of(Way::Collect(pool.clone()), total, piece, Some(total)).await;
        let held = peak_of(Way::Hold, total, piece, Some(total)).await;
        println!("{total} bytes in {piece}: peak {dropped} dropped, {collected} collected, {held} held");
        assert!(collected <= dropped + 256, "{total} bytes in {piece}: {collected} collected, {dropped} dropped");
        assert!(held > 4 * total as u64, "the client is paced, so frames that are held show");
        assert_eq!((pool.stats().made, pool.stats().outstanding()), (1, 0));
    }
    // Without a claim there is a list of segments: 8 bytes for each, and as many again while it grows.
    let dropped = peak_of(Way::Drop, 1 << 20, 1400, None).await;
    let collected = peak_of(Way::Collect(BufferPool::new()), 1 << 20, 1400, None).await;
    println!("1 MiB of no claimed length in 1400: peak {dropped} dropped, {collected} collected");
    assert!(collected <= dropped + 1024, "{collected} collected, {dropped} dropped");
    let marks: Vec<usize> = (256..=400).step_by(16).map(|kib| kib << 10).collect();
    for claim in [Some(1 << 20), None] {
        let shares = share_of(200, claim, &marks).await;
        println!("200 clients, claim {claim:?}: {shares:.3?}");
        assert!(shares.iter().all(|&share| share <= 1.3), "claim {claim:?}: {shares:.3?}");
    }
}
