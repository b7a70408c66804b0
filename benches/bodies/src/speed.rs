//! `speed`: requests a second through axum over the loopback, by the size of their bodies.

use crate::bars::{self, Bars, size};
use crate::child::{Heap, Server};
use crate::cli::Wish;
use crate::figures::{Figure, median};
use crate::load::Load;
use crate::upload::Framing;
use std::io;
use std::ops::AddAssign;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

const HELP: &str = "\
speed [SIZE ..] [--quick] [--check] [--rounds N]

Requests a second through axum over the loopback: ebbtide's `PooledBody` by axum's `Bytes`, on each allocator,
each in a process of its own; the load comes from this one, on four connections. All take turns in each of 15
rounds, each in new processes: of two that do the same one may be a fifth faster than the other as long as they live.
After each third round 5 seconds of rest, and the resident sets. mimalloc runs twice, the second time without the huge
pages that it asks for, each of which counts as resident whole. SIZE is one of 1K 16K 64K 256K 1M 4M; all of them if none.
--rounds: at least 15. --check: the exit code tells whether a bar is missed. --quick: shorter rounds and rest.
About 9 minutes in full on two cores.
";

const ROUNDS: usize = 15;
/// One of so many rounds is followed by a rest.
const RESTING: usize = 3;
const CONNECTIONS: usize = 4;
/// Threads of a server.
const THREADS: usize = 2;
const SIZES: [(&str, usize); 6] =
    [("1K", 1 << 10), ("16K", 16 << 10), ("64K", 64 << 10), ("256K", 256 << 10), ("1M", 1 << 20), ("4M", 4 << 20)];
const HEAPS: [Heap; 4] = [Heap::Glibc, Heap::Mimalloc, Heap::SmallPages, Heap::Jemalloc];

/// From here on ebbtide must be ahead, not only not behind.
const LARGE: usize = 4 << 20;
/// What "no higher" may be off, in bytes: the resident set of two runs of the same server differs by as much.
const NOISE: f64 = (1 << 20) as f64;

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
        for pair in measure(wish, &heaps, &request)? {
            print(bars, bytes, &pair);
        }
        eprintln!("{name} is done");
    }
    Ok(())
}

/// What came of a server in all rounds.
#[derive(Default)]
struct Outcome {
    per_second: Vec<f64>,
    /// Nanoseconds of processor time that the server took for a request.
    processor: Vec<f64>,
    /// Bytes, in the rounds with a rest.
    resident: Vec<f64>,
    most_resident: Vec<f64>,
}

/// Both ways on one allocator.
struct Pair {
    heap: Heap,
    pooled: Outcome,
    plain: Outcome,
}

const MODES: [&str; 2] = ["trimmed", "bytes"];

fn measure(wish: &Wish, heaps: &[Heap], request: &[u8]) -> io::Result<Vec<Pair>> {
    let pair = |&heap| Pair { heap, pooled: Outcome::default(), plain: Outcome::default() };
    let mut pairs: Vec<Pair> = heaps.iter().map(pair).collect();
    let (span, rest) = if wish.quick { (50, 1) } else { (150, 5) };
    for round in 0..wish.rounds(ROUNDS) {
        let started = pairs.iter().map(|pair| start(pair.heap)).collect::<io::Result<Vec<_>>>();
        let mut servers = started?;
        for (pair, [pooled, plain]) in pairs.iter_mut().zip(&mut servers) {
            let span = Duration::from_millis(span);
            for warm_up in [&mut *pooled, plain] {
                warm_up.turn(request, span)?;
            }
            let mut turns = [pooled.turn(request, span)?, plain.turn(request, span)?];
            // The other way round, so that none is always the first.
            turns[1] += plain.turn(request, span)?;
            turns[0] += pooled.turn(request, span)?;
            let [of_pooled, of_plain] = turns;
            pair.pooled.count(of_pooled);
            pair.plain.count(of_plain);
        }
        if round % RESTING == 0 {
            thread::sleep(Duration::from_secs(rest));
            for (pair, [pooled, plain]) in pairs.iter_mut().zip(&mut servers) {
                pair.pooled.look(pooled)?;
                pair.plain.look(plain)?;
            }
        }
    }
    Ok(pairs)
}

/// A new server for each way, under no load yet.
fn start(heap: Heap) -> io::Result<[Driven; 2]> {
    let [pooled, plain] = MODES.map(|mode| {
        let server = Server::bare(heap, mode, THREADS)?;
        let load = Load::open(server.address, CONNECTIONS)?;
        io::Result::Ok(Driven { server, load })
    });
    Ok([pooled?, plain?])
}

/// A server under load.
struct Driven {
    server: Server,
    load: Load,
}

/// Requests, the seconds that they took, and the nanoseconds of processor time.
#[derive(Clone, Copy)]
struct Turn {
    sent: f64,
    seconds: f64,
    processor: f64,
}

impl AddAssign for Turn {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.seconds += other.seconds;
        self.processor += other.processor;
    }
}

impl Driven {
    fn turn(&mut self, request: &[u8], span: Duration) -> io::Result<Turn> {
        let before = self.server.report()?.processor;
        let (sent, time) = self.load.round(request, span)?;
        let processor = (self.server.report()?.processor - before) as f64;
        Ok(Turn { sent: sent as f64, seconds: time.as_secs_f64(), processor })
    }
}

impl Outcome {
    fn count(&mut self, turn: Turn) {
        self.per_second.push(turn.sent / turn.seconds);
        self.processor.push(turn.processor / turn.sent);
    }

    fn look(&mut self, driven: &mut Driven) -> io::Result<()> {
        let report = driven.server.report()?;
        self.resident.push(report.resident as f64);
        self.most_resident.push(report.most_resident as f64);
        Ok(())
    }
}

fn print(bars: &mut Bars, bytes: usize, pair: &Pair) {
    let Pair { heap, pooled, plain } = pair;
    let ratio = Figure::of_ratio(&pooled.per_second, &plain.per_second);
    let processor = Figure::of_ratio(&pooled.processor, &plain.processor);
    let middle = |series: &[f64]| median(series.iter().copied());
    let megabytes = |series: &[f64]| middle(series) / 1e6;
    let (name, title) = (heap.name(), size(bytes));
    let resident = format!("{:.1} / {:.1}", megabytes(&pooled.resident), megabytes(&plain.resident));
    println!(
        "| {title} | {name} | {:.0} / {:.0} | {ratio} | {:.1} / {:.1} | {processor} | {resident} | {:.1} / {:.1} |",
        middle(&pooled.per_second),
        middle(&plain.per_second),
        middle(&pooled.processor) / 1000.0,
        middle(&plain.processor) / 1000.0,
        megabytes(&pooled.most_resident),
        megabytes(&plain.most_resident),
    );
    if bytes >= LARGE {
        bars.wholly_above(format!("{title}, {name}: requests/s by axum's"), 1.0, ratio);
    } else {
        bars.at_least(format!("{title}, {name}: requests/s by axum's"), 1.0, ratio);
    }
    bars.counted(
        format!("{title}, {name}: resident set after rest no higher"),
        format!("{resident} MB"),
        middle(&pooled.resident) <= middle(&plain.resident) + NOISE,
    );
}
