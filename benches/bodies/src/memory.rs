//! `memory`: what bodies hold, by a counting allocator in a process per mode, over real sockets.

use crate::bars::{self, Bars, bytes, size};
use crate::child::{Heap, Server};
use crate::cli::Wish;
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
const BURSTS: usize = 8;

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

/// What one upload held above the idle connection, and in how many frames it came.
struct Peak {
    bytes: u64,
    frames: u64,
}

fn peaks(wish: &Wish, bars: &mut Bars) -> io::Result<()> {
    println!("\n### The peak of one upload above the idle connection\n");
    println!("After some of the same, so that the pooled buffer itself is there. In brackets: times the body.\n");
    println!("| upload | | frames | read and dropped | ebbtide `PooledBody` | `collect().to_bytes()` | axum `Bytes` |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    for upload in UPLOADS.iter().filter(|upload| !(wish.quick && upload.slow)) {
        for way in [Way::One(Framing::Length), Way::One(Framing::Chunked), Way::Two] {
            let of = |mode| peak(mode, upload, way);
            let (floor, pooled, collected, plain) = (of("drain")?, of("pooled")?, of("collect")?, of("bytes")?);
            let cell = |peak: &Peak| format!("{} ({:.2})", bytes(peak.bytes), peak.bytes as f64 / upload.length as f64);
            let (name, way) = (upload.name(), way.name());
            let cells = [&floor, &pooled, &collected, &plain].map(cell).join(" | ");
            println!("| {name} | {way} | {} | {cells} |", pooled.frames);
            bars.counted(
                format!("{name}, {way}: peak beyond the pooled buffer, at most the floor's and {SLACK} B"),
                format!("{} / {}", bytes(pooled.bytes), bytes(floor.bytes)),
                pooled.bytes <= floor.bytes + SLACK,
            );
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

fn peak(mode: &str, upload: &Upload, way: Way) -> io::Result<Peak> {
    // With one thread, since a buffer that another thread has at hand would be made anew.
    let mut server = Server::watched(Heap::Counting, mode, 1)?;
    let mut client = Client::open(&server, way)?;
    let body = vec![7; upload.length];
    for _ in 0..if upload.slow { 1 } else { WARM_UPS } {
        client.send(&mut server, upload, &body)?;
    }
    let mut peak = Peak { bytes: 0, frames: 0 };
    // How large hyper's own buffer grows in a burst is a matter of who was quicker: the largest of some.
    for _ in 0..if upload.is_burst() { BURSTS } else { 1 } {
        let idle = server.rested()?;
        client.send(&mut server, upload, &body)?;
        let after = server.report()?;
        peak.bytes = peak.bytes.max(after.peak.saturating_sub(idle.live));
        peak.frames = after.frames - idle.frames;
    }
    Ok(peak)
}
