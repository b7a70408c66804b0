//! `read_pooled`: what it reads, and what it holds while it waits.

mod common;

use common::until;
use ebbtide::{BufferPool, PooledBuf, tokio::read_pooled};
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const IDLE: u64 = 100;
const ROOM: usize = 16 << 10;

/// Connected pairs: the near ends and the far ones.
async fn pairs(count: u64) -> Vec<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut pairs = Vec::new();
    for _ in 0..count {
        let far = TcpStream::connect(address).await.unwrap();
        pairs.push((listener.accept().await.unwrap().0, far));
    }
    pairs
}

/// The plain way: a buffer for each connection, for as long as it is open.
async fn plainly(mut stream: TcpStream, buffers: BufferPool) -> io::Result<usize> {
    let (mut buffer, mut total) = (buffers.get(ROOM), 0);
    while stream.read_buf(&mut buffer).await? > 0 {
        total += buffer.len();
        buffer.clear();
    }
    Ok(total)
}

async fn pooled(mut stream: TcpStream, buffers: BufferPool) -> io::Result<usize> {
    let mut total = 0;
    while let Some(chunk) = read_pooled(&mut stream, &buffers, ROOM).await? {
        total += chunk.len();
    }
    Ok(total)
}

#[tokio::test]
async fn idle_connections_hold_no_buffer() {
    let (plain, ours) = (BufferPool::new(), BufferPool::new());
    let (mut far_ends, mut tasks) = (Vec::new(), Vec::new());
    for (near, far) in pairs(IDLE).await {
        tasks.push(tokio::spawn(plainly(near, plain.clone())));
        far_ends.push(far);
    }
    for (near, far) in pairs(IDLE).await {
        tasks.push(tokio::spawn(pooled(near, ours.clone())));
        far_ends.push(far);
    }
    for far in &mut far_ends {
        far.write_all(b"hello").await.unwrap();
    }
    until("the plain connections are all at rest", || plain.stats().outstanding() == IDLE).await;
    until("none of ours holds a buffer", || ours.stats().made > 0 && ours.stats().outstanding() == 0).await;
    // One buffer served them all, one after the other.
    assert_eq!((plain.stats().made, ours.stats().made), (IDLE, 1));
    drop(far_ends);
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_arrives_over_a_socket_is_what_was_sent() {
    let buffers = BufferPool::new();
    let (mut near, mut far) = pairs(1).await.remove(0);
    let sent: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let writer = tokio::spawn({
        let sent = sent.clone();
        async move {
            // Pieces of many sizes, so that reads end at odd places.
            let mut rest = &sent[..];
            for size in (1..).map(|turn| turn * 37 % 9000 + 1) {
                if rest.is_empty() {
                    break;
                }
                let (piece, more) = rest.split_at(size.min(rest.len()));
                far.write_all(piece).await.unwrap();
                rest = more;
            }
        }
    });
    let mut received = Vec::new();
    while let Some(chunk) = read_pooled(&mut near, &buffers, 5000).await.unwrap() {
        assert!((1..=5000).contains(&chunk.len()));
        received.extend_from_slice(&chunk);
    }
    writer.await.unwrap();
    assert!(received == sent);
    assert!(read_pooled(&mut near, &buffers, 5000).await.unwrap().is_none(), "the end stays the end");
    assert_eq!(buffers.stats().outstanding(), 0);
}

/// Plays what it is told to, one step a poll.
struct Script(Vec<Step>);

enum Step {
    Wait,
    Give(&'static [u8]),
    Fail,
    /// Writes into the buffer, and waits all the same: a reader at fault.
    Scribble,
}

impl AsyncRead for Script {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.0.pop() {
            Some(Step::Wait) => return Poll::Pending,
            Some(Step::Give(bytes)) => buffer.put_slice(&bytes[..bytes.len().min(buffer.remaining())]),
            Some(Step::Fail) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(Step::Scribble) => {
                buffer.put_slice(b"scribble");
                return Poll::Pending;
            }
            None => {}
        }
        Poll::Ready(Ok(()))
    }
}

fn poll_once(future: impl Future<Output = io::Result<Option<PooledBuf>>>) -> Poll<io::Result<Option<PooledBuf>>> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_dropped_future_has_lost_nothing() {
    let buffers = BufferPool::new();
    let mut reader = Script(vec![Step::Give(b"later"), Step::Wait]);
    assert!(poll_once(read_pooled(&mut reader, &buffers, 100)).is_pending());
    assert_eq!((buffers.stats().outstanding(), buffers.stats().idle), (0, 1));
    let Poll::Ready(Ok(Some(chunk))) = poll_once(read_pooled(&mut reader, &buffers, 100)) else { panic!("is there") };
    assert_eq!(&chunk[..], b"later");
}

#[test]
fn an_error_gives_the_buffer_back() {
    let buffers = BufferPool::new();
    let Poll::Ready(Err(error)) = poll_once(read_pooled(&mut Script(vec![Step::Fail]), &buffers, 100)) else {
        panic!("fails");
    };
    assert_eq!((error.kind(), buffers.stats().outstanding()), (io::ErrorKind::ConnectionReset, 0));
}

#[test]
fn at_most_max_and_at_least_one_byte() {
    let buffers = BufferPool::new();
    for (max, expected) in [(0, &b"a"[..]), (1, b"a"), (3, b"abc"), (26, b"abcdef")] {
        let mut reader = Script(vec![Step::Give(b"abcdef")]);
        let Poll::Ready(Ok(Some(chunk))) = poll_once(read_pooled(&mut reader, &buffers, max)) else { panic!("{max}") };
        assert_eq!(&chunk[..], expected, "at most {max}");
    }
}

#[test]
fn what_a_faulty_reader_left_is_not_seen() {
    let buffers = BufferPool::new();
    let mut reader = Script(vec![Step::Give(b"ok"), Step::Scribble]);
    assert!(poll_once(read_pooled(&mut reader, &buffers, 100)).is_pending());
    let Poll::Ready(Ok(Some(chunk))) = poll_once(read_pooled(&mut reader, &buffers, 100)) else { panic!("is there") };
    assert_eq!(&chunk[..], b"ok");
}

#[tokio::test]
async fn any_reader_will_do() {
    let buffers = BufferPool::new();
    let mut boxed: Box<dyn AsyncRead + Send + Unpin> = Box::new(&b"boxed"[..]);
    assert_eq!(&read_pooled(&mut *boxed, &buffers, 100).await.unwrap().unwrap()[..], b"boxed");
    let mut pinned = pin!(tokio::io::AsyncReadExt::chain(&b"pin"[..], &b"ned"[..]));
    assert_eq!(&read_pooled(&mut pinned, &buffers, 100).await.unwrap().unwrap()[..], b"pin");
}
