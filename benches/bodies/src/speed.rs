//! `speed`: requests a second through axum over the loopback, by the size of their bodies.

use crate::bars::{self, Bars, size};
use crate::child::{Heap, Server};
use crate::cli::Wish;
use crate::figures::{Figure, median};
use crate::load::Load;
use crate::upload::Framing;
use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const HELP: &str = "\
speed [SIZE ..] [--quick] [--check] [--rounds N]

Requests a second through axum over the loopback: ebbtide's `PooledBody` by axum's `Bytes`, on each allocator,
each in a process of its own; the load comes from this one, on four connections. All take turns in each of 21
rounds. Then 5 seconds of rest, and the resident sets. SIZE is one of 1K 16K 64K 256K 1M 4M; all of them if none.
--rounds: at least 15. --check: the exit code tells whether a bar is missed. --quick: shorter rounds and rest.
About 4 minutes in full on two cores, 50 s with --quick.
";

const ROUNDS: usize = 21;
const CONNECTIONS: usize = 4;
/// Threads of a server.
const THREADS: usize = 2;
const SIZES: [(&str, usize); 6] =
    [("1K", 1 << 10), ("16K", 16 << 10), ("64K", 64 << 10), ("256K", 256 << 10), ("1M", 1 << 20), ("4M", 4 << 20)];
const HEAPS: [Heap; 3] = [Heap::Glibc, Heap::Mimalloc, Heap::Jemalloc];

/// From here on ebbtide must be ahead, not only not behind.
const LARGE: usize = 4 << 20;
/// What "no higher" may be off, in bytes: the resident set of two runs of the same server differs by as much.
const NOISE: u64 = 1 << 20;

pub fn main() -> ExitCode {
    bars::run(HELP, tables)
}

fn tables(wish: &Wish, bars: &mut Bars) -> io::Result<()> {
    println!("\n### Requests a second, ebbtide `PooledBody` / axum `Bytes`, and the resident sets in MB\n");
    println!(
        "Ratios are ebbtide's by axum's: of requests/s **above 1 ebbtide is ahead**, of the server's processor time below 1.\n"
    );
    println!(
        "| body | allocator | requests/s | ratio | processor time, us | ratio | resident after rest | resident at most |\n|---:|---|---:|---:|---:|---:|---:|---:|"
    );
    let heaps = Heap::built(&HEAPS);
    for (name, bytes) in SIZES.into_iter().filter(|(name, _)| wish.wants(name)) {
        let request = Framing::Length.request(&vec![7; bytes]);
        for mut pair in measure(wish, &heaps, &request)? {
            print(bars, bytes, &mut pair)?;
        }
        eprintln!("{name} is done");
    }
    Ok(())
}

/// A server under load, and what came of it.
struct Driven {
    server: Server,
    load: Load,
    per_second: Vec<f64>,
    /// Nanoseconds of processor time that the server took for a request.
    processor: Vec<f64>,
}

impl Driven {
    fn start(heap: Heap, mode: &str) -> io::Result<Self> {
        let server = Server::bare(heap, mode, THREADS)?;
        let load = Load::open(server.address, CONNECTIONS)?;
        Ok(Self { server, load, per_second: Vec::new(), processor: Vec::new() })
    }

    fn round(&mut self, request: &[u8], span: Duration, counts: bool) -> io::Result<()> {
        let before = self.server.report()?.processor;
        let (sent, time) = self.load.round(request, span)?;
        let processor = self.server.report()?.processor - before;
        if counts {
            self.per_second.push(sent as f64 / time.as_secs_f64());
            self.processor.push(processor as f64 / sent as f64);
        }
        Ok(())
    }
}

/// Both ways on one allocator.
struct Pair {
    heap: Heap,
    pooled: Driven,
    plain: Driven,
}

fn measure(wish: &Wish, heaps: &[Heap], request: &[u8]) -> io::Result<Vec<Pair>> {
    let pair = |&heap| Ok(Pair { heap, pooled: Driven::start(heap, "trimmed")?, plain: Driven::start(heap, "bytes")? });
    let mut pairs = heaps.iter().map(pair).collect::<io::Result<Vec<Pair>>>()?;
    let (span, rest) = if wish.quick { (50, 1) } else { (200, 5) };
    // The first round is the warm-up.
    for round in 0..=wish.rounds(ROUNDS) {
        for Pair { pooled, plain, .. } in &mut pairs {
            let turns = if round % 2 == 0 { [pooled, plain] } else { [plain, pooled] };
            for driven in turns {
                driven.round(request, Duration::from_millis(span), round > 0)?;
            }
        }
    }
    thread::sleep(Duration::from_secs(rest));
    Ok(pairs)
}

fn print(bars: &mut Bars, bytes: usize, pair: &mut Pair) -> io::Result<()> {
    let Pair { heap, pooled, plain } = pair;
    let (after, plain_after) = (pooled.server.report()?, plain.server.report()?);
    let ratio = Figure::of_ratio(&pooled.per_second, &plain.per_second);
    let processor = Figure::of_ratio(&pooled.processor, &plain.processor);
    let middle = |series: &[f64]| median(series.iter().copied());
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let (name, title) = (heap.name(), size(bytes));
    println!(
        "| {title} | {name} | {:.0} / {:.0} | {ratio} | {:.1} / {:.1} | {processor} | {:.1} / {:.1} | {:.1} / {:.1} |",
        middle(&pooled.per_second),
        middle(&plain.per_second),
        middle(&pooled.processor) / 1000.0,
        middle(&plain.processor) / 1000.0,
        megabytes(after.resident),
        megabytes(plain_after.resident),
        megabytes(after.most_resident),
        megabytes(plain_after.most_resident),
    );
    if bytes >= LARGE {
        bars.wholly_above(format!("{title}, {name}: requests/s by axum's"), 1.0, ratio);
    } else {
        bars.at_least(format!("{title}, {name}: requests/s by axum's"), 1.0, ratio);
    }
    bars.counted(
        format!("{title}, {name}: resident set after rest no higher"),
        format!("{:.1} / {:.1} MB", megabytes(after.resident), megabytes(plain_after.resident)),
        after.resident <= plain_after.resident + NOISE,
    );
    Ok(())
}
