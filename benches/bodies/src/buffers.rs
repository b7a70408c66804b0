//! `buffers`: buffers without a server, on each allocator, and what a copy costs by where it goes.

use crate::bars::{self, Bars, size};
use crate::child::{Heap, Worker};
use crate::cli::Wish;
use crate::figures::{Figure, median};
use crate::offsets;
use crate::work::Sample;
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const HELP: &str = "\
buffers [one] [alive] [mixed] [paced] [freeze] [offsets] [--quick] [--check] [--rounds N]

Buffers that are taken, filled and dropped, ebbtide's beside vectors on each allocator and beside a bare
copy into vectors that the thread keeps; all take turns in each of 21 rounds, each in a new process:
  one      one at a time
  alive    32 alive at once
  mixed    mixed sizes, 8 alive
  paced    32 at once, then 20 ms of nothing: allocators hand pages back
  freeze   filled, frozen, cloned, both dropped, beside `Vec` to `Bytes` and `BytesMut`
  offsets  a copy by the page offsets of its ends (only if named): why small blocks differ
Without a name all but the last. On one thread and on two. --rounds: at least 15. --check: the exit code tells
whether a bar is missed. --quick: fewer rounds and sizes, none above 1 MiB. About 10 minutes in full on two quiet
cores, 3 with --quick.
";

const ROUNDS: usize = 21;
/// Times of one sample; of a paced one, bursts.
const SAMPLE: f64 = 1e6;
const BURSTS: usize = 2;
/// How long a child works before it is measured, at least once.
const WARM_UP: Duration = Duration::from_millis(5);
/// How long samples are taken until a disturbed one counts.
const TRYING: Duration = Duration::from_millis(15);

const HEAPS: [Heap; 4] = [Heap::Glibc, Heap::Raised, Heap::Mimalloc, Heap::Jemalloc];

pub fn main() -> ExitCode {
    bars::run(HELP, tables)
}

fn tables(wish: &Wish, bars: &mut Bars) -> io::Result<()> {
    if wish.names("offsets") {
        offsets::table(wish);
    }
    let heaps = Heap::built(&HEAPS);
    let titles = [
        ("one", "One at a time"),
        ("alive", "32 alive at once"),
        ("mixed", "Mixed sizes up to this one, 8 alive"),
        ("paced", "32 at once, then 20 ms of nothing"),
    ];
    for (pattern, title) in titles {
        if wish.wants(pattern) {
            for threads in [1, 2] {
                filled(wish, bars, &heaps, (pattern, title, threads))?;
            }
        }
    }
    if wish.wants("freeze") {
        frozen(wish, bars, &heaps)?;
    }
    Ok(())
}

fn sizes(wish: &Wish, pattern: &str) -> Vec<usize> {
    let all = [512, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20];
    let wanted = |size: &usize| match pattern {
        // What a gap changes, it changes for large ones.
        "paced" if *size < 64 << 10 => false,
        _ if wish.quick => [512, 4 << 10, 256 << 10, 1 << 20].contains(size),
        _ => true,
    };
    all.into_iter().filter(wanted).collect()
}

// ---------------------------------------------------------------------------------------------------------------------

/// What one child did in all rounds.
struct Series {
    heap: Heap,
    who: &'static str,
    nanos: Vec<f64>,
    /// Page faults by buffer, in the median round.
    faults: f64,
    disturbed: usize,
}

/// The children of one cell of each table side by side, in rounds.
struct Column(Vec<Series>);

impl Column {
    fn measure(
        wish: &Wish,
        members: &[(Heap, &'static str)],
        (pattern, size, threads): (&str, usize, usize),
    ) -> io::Result<Self> {
        let start = |(heap, who)| Worker::start(heap, who, pattern, size, threads);
        let mut iterations = vec![BURSTS; members.len()];
        if pattern != "paced" {
            for (iterations, &member) in iterations.iter_mut().zip(members) {
                *iterations = calibrate(&mut start(member)?)?;
            }
        }
        let new = |&(heap, who)| Series { heap, who, nanos: Vec::new(), faults: 0.0, disturbed: 0 };
        let mut all: Vec<Series> = members.iter().map(new).collect();
        let mut faults = vec![Vec::new(); members.len()];
        for round in 0..wish.rounds(ROUNDS) {
            for turn in 0..members.len() {
                let index = (turn + round) % members.len();
                // Anew in each round: where its blocks happen to lie is luck that belongs into the interval.
                let mut worker = start(members[index])?;
                warm_up(&mut worker, iterations[index])?;
                let sample = undisturbed(&mut worker, iterations[index])?;
                all[index].nanos.push(sample.nanos_each());
                all[index].disturbed += usize::from(sample.is_disturbed());
                faults[index].push(sample.faults as f64 / (sample.buffers * threads as u64) as f64);
            }
        }
        for (series, faults) in all.iter_mut().zip(faults) {
            series.faults = median(faults.into_iter());
        }
        Ok(Self(all))
    }

    fn series(&self, heap: Heap, who: &str) -> Option<&Series> {
        self.0.iter().find(|series| series.heap == heap && series.who == who)
    }

    /// The first one's time by the other's.
    fn ratio(&self, (heap, who): (Heap, &str), (other_heap, other): (Heap, &str)) -> Option<Figure> {
        Some(Figure::of_ratio(&self.series(heap, who)?.nanos, &self.series(other_heap, other)?.nanos))
    }

    fn disturbed(&self) -> usize {
        self.0.iter().map(|series| series.disturbed).sum()
    }
}

/// Fills the pool, with all that all threads will have out at once, and teaches the allocator.
fn warm_up(worker: &mut Worker, iterations: usize) -> io::Result<()> {
    worker.sample(0)?;
    let began = Instant::now();
    loop {
        worker.sample(iterations)?;
        if began.elapsed() > WARM_UP {
            return Ok(());
        }
    }
}

/// A sample that other programs disturbed little, or the last of some tries.
fn undisturbed(worker: &mut Worker, iterations: usize) -> io::Result<Sample> {
    let began = Instant::now();
    loop {
        let sample = worker.sample(iterations)?;
        if !sample.is_disturbed() || began.elapsed() > TRYING {
            return Ok(sample);
        }
    }
}

/// Iterations that take about as long as a sample is to be. The quickest of some runs counts.
fn calibrate(worker: &mut Worker) -> io::Result<usize> {
    let mut iterations = 1;
    loop {
        let mut least = u64::MAX;
        for _ in 0..3 {
            least = least.min(worker.sample(iterations)?.nanos);
        }
        if least as f64 > SAMPLE / 4.0 {
            return Ok(((iterations as f64 * SAMPLE / least as f64) as usize).max(1));
        }
        iterations *= 2;
    }
}

// ---------------------------------------------------------------------------------------------------------------------

type Pattern<'a> = (&'a str, &'a str, usize);

fn filled(wish: &Wish, bars: &mut Bars, heaps: &[Heap], (pattern, title, threads): Pattern<'_>) -> io::Result<()> {
    let at_once = if threads == 1 { "one thread" } else { "two threads" };
    println!("\n### {title}, {at_once}\n");
    println!("ebbtide's nanoseconds / a vector's, and ebbtide's by the vector's; in braces page faults a buffer.\n");
    let names: Vec<&str> = heaps.iter().map(|heap| heap.name()).collect();
    println!("| bytes | {} | by a bare copy (glibc) |", names.join(" | "));
    println!("|---:|{}", "---:|".repeat(heaps.len() + 1));
    let mut members: Vec<_> = heaps.iter().flat_map(|&heap| [(heap, "ebbtide"), (heap, "vec")]).collect();
    members.push((Heap::Glibc, "block"));
    let mut disturbed = 0;
    for bytes in sizes(wish, pattern) {
        let column = Column::measure(wish, &members, (pattern, bytes, threads))?;
        let cells: Vec<_> = heaps.iter().filter_map(|&heap| cell(&column, heap)).collect();
        let bare = column.ratio((Heap::Glibc, "ebbtide"), (Heap::Glibc, "block"));
        let bare = bare.map_or(String::new(), |figure| figure.to_string());
        println!("| {} | {} | {bare} |", size(bytes), cells.join(" | "));
        disturbed += column.disturbed();
        enter(bars, &column, (pattern, title, threads), bytes);
    }
    println!("\n{disturbed} samples were disturbed by other programs, again and again.");
    Ok(())
}

fn cell(column: &Column, heap: Heap) -> Option<String> {
    let (ours, theirs) = (column.series(heap, "ebbtide")?, column.series(heap, "vec")?);
    let nanos = |series: &Series| median(series.nanos.iter().copied());
    let ratio = column.ratio((heap, "ebbtide"), (heap, "vec"))?;
    let faults = if ours.faults + theirs.faults < 0.005 {
        String::new()
    } else {
        format!(" {{{:.2} / {:.2}}}", ours.faults, theirs.faults)
    };
    Some(format!("{:.0} / {:.0} {ratio}{faults}", nanos(ours), nanos(theirs)))
}

/// "Level", in a ratio: what this kind of machine can tell.
const LEVEL: f64 = 1.1;
/// Faults a buffer: the reading of the counts makes some, a single new buffer of 64 KiB made 16.
const NO_FAULTS: f64 = 0.05;

fn enter(bars: &mut Bars, column: &Column, (pattern, title, threads): Pattern<'_>, bytes: usize) {
    let what = format!("{title}, {}, {threads} thread(s)", size(bytes));
    let ours = (Heap::Glibc, "ebbtide");
    if pattern == "one" {
        if let (512 | 4096, Some(figure)) = (bytes, column.ratio(ours, (Heap::Mimalloc, "vec"))) {
            bars.at_most(format!("{what}: ebbtide on glibc by a vector on mimalloc"), LEVEL, figure);
        }
        if let (512 | 4096, Some(figure)) = (bytes, column.ratio((Heap::Mimalloc, "ebbtide"), (Heap::Mimalloc, "vec")))
        {
            bars.at_most(format!("{what}: ebbtide on mimalloc by a vector there"), LEVEL, figure);
        }
        if let (65536.., Some(figure)) = (bytes, column.ratio(ours, (Heap::Glibc, "block"))) {
            bars.at_most(format!("{what}: by the bare copy"), LEVEL, figure);
        }
        return;
    }
    if bytes < 64 << 10 {
        return;
    }
    for series in column.0.iter().filter(|series| series.who == "ebbtide") {
        let faults = format!("{:.3} a buffer", series.faults);
        bars.counted(format!("{what}, {}: no page faults", series.heap.name()), faults, series.faults <= NO_FAULTS);
    }
    let by = |heap: Heap| column.ratio((heap, "vec"), (heap, "ebbtide"));
    if let (0x10_0000.., Some(figure)) = (bytes, by(Heap::Glibc)) {
        bars.at_least(format!("{what}: times ahead of glibc"), 2.0, figure);
    }
    let of_jemalloc = bytes >= 4 << 20 || (pattern == "paced" && bytes == 256 << 10);
    if let (true, Some(figure)) = (of_jemalloc, by(Heap::Jemalloc)) {
        bars.at_least(format!("{what}: times ahead of jemalloc"), 2.0, figure);
    }
    if let Some(figure) = column.ratio((Heap::Mimalloc, "ebbtide"), (Heap::Mimalloc, "vec")) {
        bars.at_most(format!("{what}: level with mimalloc"), LEVEL, figure);
    }
}

fn frozen(wish: &Wish, bars: &mut Bars, heaps: &[Heap]) -> io::Result<()> {
    println!("\n### Filled, frozen, cloned once, both dropped\n");
    println!("Nanoseconds of the whole cycle, and ebbtide's by the other's.\n");
    println!(
        "| bytes | allocator | ebbtide | `Vec` to `Bytes` | | `BytesMut` | |\n|---:|---|---:|---:|---:|---:|---:|"
    );
    let kinds = ["frozen", "vec_to_bytes", "bytes_mut"];
    let members: Vec<_> = heaps.iter().flat_map(|&heap| kinds.map(|who| (heap, who))).collect();
    for bytes in [512, 4096] {
        let column = Column::measure(wish, &members, ("one", bytes, 1))?;
        for &heap in heaps {
            let nanos =
                kinds.map(|who| column.series(heap, who).map_or(0.0, |series| median(series.nanos.iter().copied())));
            let ratios = ["vec_to_bytes", "bytes_mut"].map(|who| column.ratio((heap, "frozen"), (heap, who)));
            let [Some(by_vec), Some(by_bytes)] = ratios else { continue };
            let [ours, vec, bytes_mut] = nanos;
            let (name, title) = (heap.name(), size(bytes));
            println!("| {title} | {name} | {ours:.1} | {vec:.1} | {by_vec} | {bytes_mut:.1} | {by_bytes} |");
            bars.at_most(format!("freeze cycle, {title}, {name}: by `Vec` to `Bytes`"), 1.0, by_vec);
            bars.at_most(format!("freeze cycle, {title}, {name}: by `BytesMut`"), 1.0, by_bytes);
        }
    }
    Ok(())
}
