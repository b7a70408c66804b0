//! `memory`: what bodies hold, by a counting allocator in a process per mode, over real sockets.

use crate::bars::{self, Bars, bytes, size};
use crate::child::{Heap, Server};
use crate::cli::Wish;
use crate::figures::{Figure, median};
use crate::upload::{Connection, Framing};
use crate::{spent, trickle, upload_h2};
use std::io;
use std::process::ExitCode;

const HELP: &str = "\
memory [peak] [trickle] [retained] [allocated] [json] [--quick] [--check]

What request bodies hold, over real sockets, by a counting allocator in one process per mode:
  peak       the peak of one upload in small pieces, beside reading and dropping it
  trickle    200 clients that upload 1 MiB each at once, a segment at a time
  retained   what is kept after one large body and many small ones
  allocated  bytes and allocations of a request above the floor
  json       the same for a document of 64 KiB, in and out
Without a name all of them. --check: the exit code tells whether a bar is missed. --quick leaves out
the slow halves. About 2 minutes in full on two cores, 50 seconds with --quick.
";

/// What a mode may hold above the floor and still hold nothing for the body: the handler's larger future and the like.
pub(crate) const SLACK: u64 = 2048;
const WARM_UPS: usize = 3;
/// Measured ones, where all comes in one burst.
const BURSTS: usize = 25;
const FEWEST_BURSTS: usize = 15;

pub fn main() -> ExitCode {
    bars::run(HELP, tables)
}

fn tables(wish: &Wish, bars: &mut Bars) -> io::Result<()> {
    if wish.wants("peak") {
        peaks(wish, bars)?;
    }
    if wish.wants("trickle") {
        trickle::table(wish, bars)?;
    }
    if wish.wants("retained") {
        spent::retained(wish, bars)?;
    }
    if wish.wants("allocated") {
        spent::allocated(wish, bars)?;
    }
    if wish.wants("json") {
        spent::json(wish, bars)?;
    }
    Ok(())
}

/// An upload, and the pieces in which it comes.
struct Upload {
    length: usize,
    /// More than the length: in one burst.
    piece: usize,
    /// Too slow for a quick run.
    slow: bool,
}

const UPLOADS: [Upload; 5] = [
    Upload { length: 16 << 10, piece: 16, slow: false },
    Upload { length: 64 << 10, piece: 1400, slow: false },
    Upload { length: 1 << 20, piece: 1400, slow: false },
    Upload { length: 1 << 20, piece: 64, slow: true },
    Upload { length: 4 << 20, piece: usize::MAX, slow: false },
];

impl Upload {
    fn is_burst(&self) -> bool {
        self.piece > self.length
    }

    fn name(&self) -> String {
        if self.is_burst() {
            return format!("{} in one burst", size(self.length));
        }
        format!("{} in {}-byte reads", size(self.length), self.piece)
    }
}

const MODES: [&str; 4] = ["drain", "pooled", "collect", "bytes"];

fn peaks(wish: &Wish, bars: &mut Bars) -> io::Result<()> {
    println!("\n### The peak of one upload above the idle connection\n");
    println!("After some of the same, so that the pooled buffer itself is there. In brackets: times the body.");
    println!("Of bursts, {BURSTS} by turns: the median, and the most. {FEWEST_BURSTS} with --quick.\n");
    println!("| upload | | frames | read and dropped | ebbtide `PooledBody` | `collect().to_bytes()` | axum `Bytes` |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    for upload in UPLOADS.iter().filter(|upload| !(wish.quick && upload.slow)) {
        for way in [Way::One(Framing::Length), Way::One(Framing::Chunked), Way::Two] {
            let rounds = match upload.is_burst() {
                false => 1,
                true if wish.quick => FEWEST_BURSTS,
                true => BURSTS,
            };
            let all = measure(upload, way, rounds)?;
            let (name, way) = (upload.name(), way.name());
            let cells = all.iter().map(|mode| mode.cell(upload)).collect::<Vec<_>>().join(" | ");
            let [floor, pooled, ..] = &all[..] else { return Err(io::Error::other("a mode is missing")) };
            println!("| {name} | {way} | {} | {cells} |", pooled.frames);
            if upload.is_burst() {
                bars.at_most(
                    format!("{name}, {way}: peak beyond the pooled buffer above the floor's, mean of {rounds}, KB"),
                    SLACK as f64 / 1e3,
                    pooled.above(floor),
                );
            } else {
                bars.counted(
                    format!("{name}, {way}: peak beyond the pooled buffer, at most the floor's and {SLACK} B"),
                    format!("{} / {}", bytes(pooled.most()), bytes(floor.most())),
                    pooled.most() <= floor.most() + SLACK,
                );
            }
        }
    }
    Ok(())
}

/// The protocol that an upload goes by.
#[derive(Clone, Copy)]
enum Way {
    One(Framing),
    Two,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::One(framing) => framing.name(),
            Self::Two => "HTTP/2, with its length",
        }
    }
}

/// A client of either protocol.
enum Client {
    One(Connection, Framing),
    Two(upload_h2::Connection),
}

impl Client {
    fn open(server: &Server, way: Way) -> io::Result<Self> {
        Ok(match way {
            Way::One(framing) => Self::One(Connection::open(server.address)?, framing),
            Way::Two => Self::Two(upload_h2::Connection::open(server.address)?),
        })
    }

    fn send(&mut self, server: &mut Server, upload: &Upload, body: &[u8]) -> io::Result<()> {
        match self {
            Self::One(connection, framing) if upload.is_burst() => connection.send(&framing.request(body)).map(drop),
            Self::One(connection, framing) => connection.upload(server, body, upload.piece, *framing).map(drop),
            Self::Two(connection) => connection.upload(server, body, upload.piece),
        }
    }
}

/// One mode's server, its client, and what each upload held above the idle connection.
struct Held {
    server: Server,
    client: Client,
    peaks: Vec<u64>,
    /// In which the last one came.
    frames: u64,
}

impl Held {
    fn start(mode: &str, way: Way) -> io::Result<Self> {
        // With one thread, since a buffer that another thread has at hand would be made anew.
        let server = Server::watched(Heap::Counting, mode, 1)?;
        let client = Client::open(&server, way)?;
        Ok(Self { server, client, peaks: Vec::new(), frames: 0 })
    }

    fn round(&mut self, upload: &Upload, body: &[u8]) -> io::Result<()> {
        let idle = self.server.rested()?;
        self.client.send(&mut self.server, upload, body)?;
        let after = self.server.report()?;
        self.peaks.push(after.peak.saturating_sub(idle.live));
        self.frames = after.frames - idle.frames;
        Ok(())
    }

    fn most(&self) -> u64 {
        self.peaks.iter().copied().max().unwrap_or(0)
    }

    fn cell(&self, upload: &Upload) -> String {
        let middle = median(self.peaks.iter().map(|&peak| peak as f64));
        let cell = format!("{} ({:.2})", bytes(middle as u64), middle / upload.length as f64);
        if self.peaks.len() > 1 { format!("{cell}, {}", bytes(self.most())) } else { cell }
    }

    /// How much more than `floor` in the mean, in KB. Not the median: where a read finds much it takes a larger buffer, which some rounds of
    /// either side do, and half of them or a few more is a matter of chance.
    fn above(&self, floor: &Self) -> Figure {
        let more = |round: &usize| self.peaks[*round] as f64 - floor.peaks[*round] as f64;
        Figure::of(self.peaks.len(), |rounds| rounds.iter().map(more).sum::<f64>() / rounds.len() as f64 / 1e3)
    }
}

/// All modes by turns.
fn measure(upload: &Upload, way: Way, rounds: usize) -> io::Result<Vec<Held>> {
    let mut all = MODES.into_iter().map(|mode| Held::start(mode, way)).collect::<io::Result<Vec<_>>>()?;
    let body = vec![7; upload.length];
    for held in &mut all {
        for _ in 0..if upload.slow { 1 } else { WARM_UPS } {
            held.client.send(&mut held.server, upload, &body)?;
        }
    }
    for round in 0..rounds {
        let modes = all.len();
        for turn in 0..modes {
            all[(turn + round) % modes].round(upload, &body)?;
        }
    }
    Ok(all)
}
