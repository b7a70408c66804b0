//! What requests allocate, and what is left when they are gone.

use crate::bars::{Bars, bytes, size};
use crate::child::{Heap, Server};
use crate::cli::Wish;
use crate::json;
use crate::memory::SLACK;
use crate::upload::{Connection, Framing};
use std::io;

/// One large body, and the small ones that follow.
const LARGE: usize = 32 << 20;
const SMALL: usize = 1 << 10;
const AFTER: usize = 10_000;
/// What a buffer pool keeps at most unless it is told otherwise, as `BufferPoolBuilder::max_idle_bytes` documents it.
const BOUND: u64 = 64 << 20;

pub(crate) fn retained(wish: &Wish, bars: &mut Bars) -> io::Result<()> {
    let after = if wish.quick { AFTER / 10 } else { AFTER };
    println!("\n### Kept after one body of {} and {after} of {}\n", size(LARGE), size(SMALL));
    println!("Live heap above that of the idle server before. Default settings, one connection, two threads.\n");
    println!("| mode | | after the large one | at the end | of it charged to the pool | resident |");
    println!("|---|---|---:|---:|---:|---:|");
    for (mode, name) in [("drain", "read and dropped"), ("pooled", "ebbtide `PooledBody`"), ("bytes", "axum `Bytes`")] {
        for framing in Framing::BOTH {
            let mut server = Server::bare(Heap::Counting, mode, 2)?;
            let mut connection = Connection::open(server.address)?;
            let small = framing.request(&vec![7; SMALL]);
            connection.send(&small)?;
            let idle = server.rested()?.live;
            connection.send(&framing.request(&vec![7; LARGE]))?;
            let large = server.rested()?.live.saturating_sub(idle);
            for _ in 0..after {
                connection.send(&small)?;
            }
            let end = server.rested()?;
            let live = end.live.saturating_sub(idle);
            let cells = [large, live, end.charged, end.resident].map(bytes).join(" | ");
            println!("| {name} | {} | {cells} |", framing.name());
            if mode == "pooled" {
                bars.counted(
                    format!("kept after a large body, {}: at most the bound of {}", framing.name(), bytes(BOUND)),
                    format!("{}, charged {}", bytes(live), bytes(end.charged)),
                    // The blocks' own heads, 64 bytes and more of each, are not in the pool's bound.
                    live <= BOUND + BOUND / 100 && end.charged <= BOUND,
                );
            }
        }
    }
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------------

/// Requests that are averaged, after a tenth as many that are not.
const REQUESTS: usize = 200;

/// Allocations and allocated bytes of one request.
#[derive(Clone, Copy)]
struct Spent {
    allocations: f64,
    bytes: f64,
}

impl Spent {
    fn above(self, floor: Self) -> Self {
        Self { allocations: self.allocations - floor.allocations, bytes: self.bytes - floor.bytes }
    }

    fn cell(self) -> String {
        // Not "-0.0", where a task of the runtime fell into another run.
        let allocations = (self.allocations * 10.0).round() / 10.0 + 0.0;
        format!("{allocations:.1} / {}", signed(self.bytes))
    }
}

/// Below zero where hyper's own read buffer had to grow less often than under the floor.
fn signed(amount: f64) -> String {
    let sign = if amount < -0.5 { "-" } else { "" };
    format!("{sign}{}", bytes(amount.abs().round() as u64))
}

fn spent(mode: &str, body: &[u8], framing: Framing) -> io::Result<Spent> {
    let mut server = Server::bare(Heap::Counting, mode, 2)?;
    let mut connection = Connection::open(server.address)?;
    let request = framing.request(body);
    for _ in 0..REQUESTS / 10 {
        connection.send(&request)?;
    }
    let before = server.rested()?;
    for _ in 0..REQUESTS {
        connection.send(&request)?;
    }
    let after = server.rested()?;
    let each = |after: u64, before: u64| (after - before) as f64 / REQUESTS as f64;
    Ok(Spent { allocations: each(after.allocations, before.allocations), bytes: each(after.bytes, before.bytes) })
}

pub(crate) fn allocated(wish: &Wish, bars: &mut Bars) -> io::Result<()> {
    println!("\n### Allocations and allocated bytes of a request above the floor\n");
    println!("The mean of {REQUESTS}, each sent in one burst. The floor reads and drops every frame.\n");
    println!("| body | | floor | ebbtide `PooledBody` | `collect().to_bytes()` | axum `Bytes` |");
    println!("|---|---|---:|---:|---:|---:|");
    let all = [1 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20];
    let sizes = if wish.quick { &[1 << 10, 1 << 20][..] } else { &all };
    for &length in sizes {
        for framing in Framing::BOTH {
            let of = |mode| spent(mode, &vec![7; length], framing);
            let floor = of("drain")?;
            let above = |mode| of(mode).map(|spent| spent.above(floor));
            let (pooled, collected, plain) = (above("pooled")?, above("collect")?, above("bytes")?);
            let cells = [floor, pooled, collected, plain].map(Spent::cell).join(" | ");
            println!("| {} | {} | {cells} |", size(length), framing.name());
            if length == 1 << 20 {
                bars.counted(
                    format!("allocated above the floor at 1 MiB, {}: at most a fifth of `Bytes`'", framing.name()),
                    format!("{} / {}", signed(pooled.bytes), signed(plain.bytes)),
                    pooled.bytes <= plain.bytes / 5.0 + SLACK as f64,
                );
            }
        }
    }
    Ok(())
}

/// Bytes of the document, and what it may allocate above the floor.
pub(crate) const DOCUMENT: usize = 64 << 10;
const JSON_BAR: f64 = 40_000.0;

pub(crate) fn json(_: &Wish, bars: &mut Bars) -> io::Result<()> {
    let document = json::document(DOCUMENT);
    println!("\n### A JSON document of {} bytes, in and out\n", document.len());
    println!(
        "Allocations and allocated bytes above the floor, which reads and drops the document and answers a number.\n"
    );
    println!("| | with its length | chunked |\n|---|---:|---:|");
    let modes = [
        ("json_plain", "axum `Json`, values that own their strings"),
        ("json_pooled", "`PooledJson`, the same values"),
        ("json_dropped", "the same document parsed into the arena and sent while the one that comes is dropped"),
        ("json_arena", "`PooledBody` into the arena, `PooledJson` out"),
    ];
    let floors = [spent("drain", &document, Framing::Length)?, spent("drain", &document, Framing::Chunked)?];
    for (mode, name) in modes {
        let known = spent(mode, &document, Framing::Length)?.above(floors[0]);
        let chunked = spent(mode, &document, Framing::Chunked)?.above(floors[1]);
        println!("| {name} | {} | {} |", known.cell(), chunked.cell());
        if mode == "json_arena" {
            bars.counted(
                "JSON in and out, into the arena: at most 40 KB above the floor",
                format!("{}, chunked {}", signed(known.bytes), signed(chunked.bytes)),
                known.bytes.max(chunked.bytes) <= JSON_BAR,
            );
        }
    }
    Ok(())
}
