//! What requests allocate, and what is left when they are gone.

use crate::bars::{Bars, bytes, size};
use crate::child::{Heap, Server};
use crate::cli::Wish;
use crate::figures::Figure;
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

/// A mode's server under requests, and what they allocated, by turns.
struct Spending {
    server: Server,
    connection: Connection,
    turns: Vec<Spent>,
}

impl Spending {
    fn start(mode: &str, request: &[u8]) -> io::Result<Self> {
        let server = Server::bare(Heap::Counting, mode, 2)?;
        let mut connection = Connection::open(server.address)?;
        for _ in 0..REQUESTS / 10 {
            connection.send(request)?;
        }
        Ok(Self { server, connection, turns: Vec::new() })
    }

    fn turn(&mut self, request: &[u8], requests: usize) -> io::Result<()> {
        let before = self.server.rested()?;
        for _ in 0..requests {
            self.connection.send(request)?;
        }
        let after = self.server.rested()?;
        let each = |after: u64, before: u64| (after - before) as f64 / requests as f64;
        let allocations = each(after.allocations, before.allocations);
        self.turns.push(Spent { allocations, bytes: each(after.bytes, before.bytes) });
        Ok(())
    }
}

/// What requests allocate in each mode. All modes take turns, so that what the machine does meanwhile falls on all of them.
fn spent<const MODES: usize>(
    modes: [&str; MODES],
    body: &[u8],
    framing: Framing,
    turns: usize,
) -> io::Result<[Vec<Spent>; MODES]> {
    let request = framing.request(body);
    let mut all = modes.into_iter().map(|mode| Spending::start(mode, &request)).collect::<io::Result<Vec<_>>>()?;
    for _ in 0..turns {
        for spending in &mut all {
            spending.turn(&request, REQUESTS / turns)?;
        }
    }
    let mut turns = all.into_iter().map(|spending| spending.turns);
    Ok(modes.map(|_| turns.next().unwrap_or_default()))
}

/// The mean of some turns above that of the same turns of the floor.
fn mean_above(series: &[Spent], floor: &[Spent], turns: &[usize]) -> Spent {
    let mean = |of: fn(&Spent) -> f64| {
        turns.iter().map(|&turn| of(&series[turn]) - of(&floor[turn])).sum::<f64>() / turns.len() as f64
    };
    Spent { allocations: mean(|spent| spent.allocations), bytes: mean(|spent| spent.bytes) }
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
            let all = spent(["drain", "pooled", "collect", "bytes"], &vec![7; length], framing, 1)?;
            let [floor, pooled, collected, plain] = all.map(|turns| turns[0]);
            let [pooled, collected, plain] = [pooled, collected, plain].map(|spent| spent.above(floor));
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
/// Of ten requests each, all modes in turn.
const JSON_TURNS: usize = 20;

pub(crate) fn json(_: &Wish, bars: &mut Bars) -> io::Result<()> {
    let document = json::document(DOCUMENT);
    println!("\n### A JSON document of {} bytes, in and out\n", document.len());
    println!(
        "Allocations and allocated bytes above the floor, which drops the document and answers with the same bytes from memory."
    );
    println!("The mean of {REQUESTS}, in {JSON_TURNS} turns.\n");
    println!("| | with its length | chunked |\n|---|---:|---:|");
    let modes = ["json_floor", "json_plain", "json_pooled", "json_dropped", "json_arena"];
    let names = [
        "the floor",
        "axum `Json`, values that own their strings",
        "`PooledJson`, the same values",
        "the same document parsed into the arena and sent while the one that comes is dropped",
        "`PooledBody` into the arena, `PooledJson` out",
    ];
    let known = spent(modes, &document, Framing::Length, JSON_TURNS)?;
    let chunked = spent(modes, &document, Framing::Chunked, JSON_TURNS)?;
    let (all, nothing) =
        ((0..JSON_TURNS).collect::<Vec<_>>(), vec![Spent { allocations: 0.0, bytes: 0.0 }; JSON_TURNS]);
    for (mode, name) in names.into_iter().enumerate() {
        let cell = |series: &[Vec<Spent>]| {
            mean_above(&series[mode], if mode == 0 { &nothing } else { &series[0] }, &all).cell()
        };
        println!("| {name} | {} | {} |", cell(&known), cell(&chunked));
    }
    for (series, framing) in [(&known, Framing::Length), (&chunked, Framing::Chunked)] {
        let [floor, .., arena] = series;
        // The mean: hyper takes a larger read buffer for one request in some, on either side.
        let above = Figure::of(JSON_TURNS, |turns| mean_above(arena, floor, turns).bytes / 1e3);
        let promise = format!("JSON in and out, into the arena, {}: KB above the floor", framing.name());
        bars.at_most(promise, JSON_BAR / 1e3, above);
    }
    Ok(())
}
