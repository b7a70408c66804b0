//! Buffers without a server: taken, filled and dropped, in the patterns in which allocators differ.

use crate::workers::Workers;
use bytes::{Bytes, BytesMut};
use ebbtide::{BufferPool, PooledBuf, PooledBytes};
use std::collections::VecDeque;
use std::hint::black_box;
use std::io::{self, BufRead};
use std::time::{Duration, Instant};

/// Buffers of a burst that are alive at once.
pub(crate) const ALIVE: usize = 32;
/// Of mixed sizes, fewer, each dropped when as many came after it.
const MIXED: usize = 8;
/// Between two bursts. glibc and jemalloc hand pages back by then; mimalloc 3 waits for a second.
const GAP: Duration = Duration::from_millis(20);
/// What the pool may keep: two threads have 32 buffers of 4 MiB each, of which the default would keep a quarter.
const IDLE_BYTES: usize = 512 << 20;
/// The page offset of what is copied: the body behind the head of a request, as it lies in a read buffer.
const SOURCE: usize = 192;
const PAGE: usize = 4096;

/// One sample of a child.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// The time of the slowest thread, and how long it had no processor meanwhile.
    pub(crate) nanos: u64,
    pub(crate) delayed: u64,
    /// Minor page faults of all threads.
    pub(crate) faults: u64,
    /// Buffers of each thread.
    pub(crate) buffers: u64,
}

impl Sample {
    pub(crate) fn read(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
        let mut next = || numbers.next()?;
        Some(Self { nanos: next()?, delayed: next()?, faults: next()?, buffers: next()? })
    }

    /// Whether other programs had more than a twentieth of it.
    pub(crate) fn is_disturbed(self) -> bool {
        self.delayed > self.nanos / 20
    }

    pub(crate) fn nanos_each(self) -> f64 {
        self.nanos as f64 / self.buffers as f64
    }
}

/// The child: answers each number of iterations with a sample, up to the end of its input.
pub(crate) fn run(who: &str, pattern: &str, size: &str, threads: &str) -> io::Result<()> {
    let unknown = || io::Error::other("not known");
    let (size, threads) = (size.parse().map_err(io::Error::other)?, threads.parse().map_err(io::Error::other)?);
    let each = buffers_each(pattern).ok_or_else(unknown)?;
    let pool = BufferPool::builder().max_idle_bytes(IDLE_BYTES).build();
    let (who, pattern) = (who.to_owned(), pattern.to_owned());
    let workers = Workers::start(threads, move || player(&who, &pattern, size, pool.clone()));
    for line in io::stdin().lock().lines() {
        let iterations: usize = line?.parse().map_err(io::Error::other)?;
        let (nanos, delayed, faults) = workers.run(iterations).ok_or_else(unknown)?;
        println!("{nanos} {delayed} {faults} {}", iterations * each);
    }
    Ok(())
}

/// Buffers of one iteration.
fn buffers_each(pattern: &str) -> Option<usize> {
    match pattern {
        "one" => Some(1),
        "alive" | "paced" => Some(ALIVE),
        "mixed" => Some(LENGTHS.len()),
        _ => None,
    }
}

/// Plays a pattern so many times: the time it took, without what it slept. No times at all let threads hold what they will
/// have at most, all of them at once.
pub(crate) type Player = Box<dyn FnMut(usize) -> Duration>;

fn player(who: &str, pattern: &str, size: usize, pool: BufferPool) -> Option<Player> {
    match who {
        "ebbtide" => player_of(Pooled(pool), pattern, size),
        "vec" => player_of(Fresh, pattern, size),
        "block" => player_of(Reused(Vec::new(), size), pattern, size),
        "frozen" => player_of(PooledFrozen(pool), pattern, size),
        "vec_to_bytes" => player_of(VecToBytes, pattern, size),
        "bytes_mut" => player_of(BytesMutFrozen, pattern, size),
        _ => None,
    }
}

fn player_of<B: Buffers + 'static>(mut buffers: B, pattern: &str, size: usize) -> Option<Player> {
    let source = Source::new(size);
    let mut all = VecDeque::with_capacity(ALIVE);
    Some(match pattern {
        "one" => Box::new(move |iterations| timed(|| one(&mut buffers, source.bytes(), iterations))),
        "mixed" => Box::new(move |iterations| {
            all.drain(..).for_each(|buffer| buffers.done(buffer));
            timed(|| mixed(&mut buffers, source.bytes(), &mut all, iterations))
        }),
        "alive" | "paced" => {
            let gap = if pattern == "paced" { GAP } else { Duration::ZERO };
            Box::new(move |iterations| bursts(&mut buffers, source.bytes(), &mut all, iterations, gap))
        }
        _ => return None,
    })
}

/// The bursts' time without the gaps before them. None at all leaves all buffers of one out, until the next call.
fn bursts<B: Buffers>(
    buffers: &mut B,
    bytes: &[u8],
    all: &mut VecDeque<B::Buffer>,
    iterations: usize,
    gap: Duration,
) -> Duration {
    all.drain(..).for_each(|buffer| buffers.done(buffer));
    if iterations == 0 {
        take(buffers, bytes, all);
    }
    if gap.is_zero() {
        return timed(|| (0..iterations).for_each(|_| burst(buffers, bytes, all)));
    }
    let paced = (0..iterations).map(|_| {
        std::thread::sleep(gap);
        timed(|| burst(buffers, bytes, all))
    });
    paced.sum()
}

fn timed(play: impl FnOnce()) -> Duration {
    let began = Instant::now();
    play();
    began.elapsed()
}

fn one<B: Buffers>(buffers: &mut B, bytes: &[u8], iterations: usize) {
    for _ in 0..iterations {
        let buffer = buffers.filled(black_box(bytes));
        buffers.done(black_box(buffer));
    }
}

fn burst<B: Buffers>(buffers: &mut B, bytes: &[u8], all: &mut VecDeque<B::Buffer>) {
    take(buffers, bytes, all);
    all.drain(..).for_each(|buffer| buffers.done(buffer));
}

fn take<B: Buffers>(buffers: &mut B, bytes: &[u8], all: &mut VecDeque<B::Buffer>) {
    for _ in 0..ALIVE {
        all.push_back(black_box(buffers.filled(black_box(bytes))));
    }
}

fn mixed<B: Buffers>(buffers: &mut B, bytes: &[u8], all: &mut VecDeque<B::Buffer>, iterations: usize) {
    let part = |sixteenths| black_box(&bytes[..bytes.len() / 16 * sixteenths]);
    for _ in 0..iterations {
        for sixteenths in LENGTHS {
            if all.len() == MIXED {
                all.pop_front().into_iter().for_each(|buffer| buffers.done(buffer));
            }
            all.push_back(black_box(buffers.filled(part(sixteenths))));
        }
    }
    all.drain(..).for_each(|buffer| buffers.done(buffer));
    if iterations == 0 {
        // No length comes twice among as many as are alive at once.
        all.extend((1..=16).map(|sixteenths| buffers.filled(part(sixteenths))));
    }
}

/// Lengths in sixteenths of the largest, as they happen to come.
const LENGTHS: [usize; 32] =
    [16, 3, 9, 14, 1, 7, 12, 5, 16, 2, 11, 8, 4, 15, 6, 10, 13, 1, 9, 16, 5, 3, 12, 7, 14, 2, 10, 6, 15, 4, 11, 8];

/// What is copied, at the same page offset on every allocator.
struct Source {
    room: Vec<u8>,
    from: usize,
    size: usize,
}

impl Source {
    fn new(size: usize) -> Self {
        let room = vec![7; size + PAGE];
        let from = (SOURCE + PAGE - room.as_ptr().addr() % PAGE) % PAGE;
        Self { room, from, size }
    }

    fn bytes(&self) -> &[u8] {
        &self.room[self.from..][..self.size]
    }
}

// ---------------------------------------------------------------------------------------------------------------------

/// A way to hold bytes for a while.
trait Buffers {
    type Buffer;

    fn filled(&mut self, bytes: &[u8]) -> Self::Buffer;

    fn done(&mut self, buffer: Self::Buffer) {
        drop(buffer);
    }
}

struct Pooled(BufferPool);

impl Buffers for Pooled {
    type Buffer = PooledBuf;

    fn filled(&mut self, bytes: &[u8]) -> PooledBuf {
        let mut buffer = self.0.get(bytes.len());
        buffer.extend_from_slice(bytes);
        buffer
    }
}

/// A vector of the process's allocator.
struct Fresh;

impl Buffers for Fresh {
    type Buffer = Vec<u8>;

    fn filled(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(bytes.len());
        buffer.extend_from_slice(bytes);
        buffer
    }
}

/// The bare copy: vectors that the thread keeps and never counts, bounds or hands to another one.
struct Reused(Vec<Vec<u8>>, usize);

impl Buffers for Reused {
    type Buffer = Vec<u8>;

    fn filled(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.0.pop().unwrap_or_else(|| Vec::with_capacity(self.1));
        buffer.extend_from_slice(bytes);
        buffer
    }

    fn done(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.0.push(buffer);
    }
}

/// Frozen and cloned, as a response that is also logged or cached: both are dropped together.
struct PooledFrozen(BufferPool);

impl Buffers for PooledFrozen {
    type Buffer = (PooledBytes, PooledBytes);

    fn filled(&mut self, bytes: &[u8]) -> Self::Buffer {
        let mut buffer = self.0.get(bytes.len());
        buffer.extend_from_slice(bytes);
        let frozen = buffer.freeze();
        (frozen.clone(), frozen)
    }
}

struct VecToBytes;

impl Buffers for VecToBytes {
    type Buffer = (Bytes, Bytes);

    fn filled(&mut self, bytes: &[u8]) -> Self::Buffer {
        let frozen = Bytes::from(Fresh.filled(bytes));
        (frozen.clone(), frozen)
    }
}

struct BytesMutFrozen;

impl Buffers for BytesMutFrozen {
    type Buffer = (Bytes, Bytes);

    fn filled(&mut self, bytes: &[u8]) -> Self::Buffer {
        let mut buffer = BytesMut::with_capacity(bytes.len());
        buffer.extend_from_slice(bytes);
        let frozen = buffer.freeze();
        (frozen.clone(), frozen)
    }
}
