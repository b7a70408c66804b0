//! What runs in a process of its own, and the parent's end of it.
//!
//! The parent starts one of the programs `on_ALLOCATOR`, which lie beside its own, and talks to it by lines. When its input
//! ends, the child stops, so that none is left behind by a parent that was killed.

use crate::serve::{self, Report};
use crate::work::{self, Sample};
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{self, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

/// The child: `serve MODE THREADS watched|bare`, or `work WHO PATTERN SIZE THREADS`.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["serve", mode, threads, watched] => serve::run(mode, threads.parse().unwrap_or(1), watched == "watched"),
        ["work", who, pattern, size, threads] => work::run(who, pattern, size, threads),
        _ => Err(io::Error::other("this is a child of `memory`, `speed` and `buffers`: start those")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", arguments.join(" "));
            ExitCode::FAILURE
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------

/// What a child runs on: its program's name, and what it finds in its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heap {
    Counting,
    Glibc,
    /// glibc that hands nothing back.
    Raised,
    Mimalloc,
    /// mimalloc that does not ask for huge pages, of which each counts as resident whole.
    SmallPages,
    Jemalloc,
}

impl Heap {
    const RAISED: &str = "glibc.malloc.trim_threshold=1073741824:glibc.malloc.mmap_threshold=1073741824";

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Counting => "counting",
            Self::Glibc => "glibc",
            Self::Raised => "glibc, raised",
            Self::Mimalloc => "mimalloc",
            Self::SmallPages => "mimalloc, small pages",
            Self::Jemalloc => "jemalloc",
        }
    }

    fn program(self) -> io::Result<PathBuf> {
        let name = match self {
            Self::Raised => Self::Glibc.name(),
            Self::SmallPages => Self::Mimalloc.name(),
            other => other.name(),
        };
        Ok(std::env::current_exe()?.with_file_name(format!("on_{name}{}", std::env::consts::EXE_SUFFIX)))
    }

    /// Those of `heaps` whose programs were built; tells of the others.
    pub(crate) fn built(heaps: &[Self]) -> Vec<Self> {
        let is_there = |heap: &Self| heap.program().is_ok_and(|program| program.exists());
        let (built, missing): (Vec<Self>, Vec<Self>) = heaps.iter().partition(|heap| is_there(heap));
        for heap in missing {
            eprintln!("{} is left out: build with `--all-features` first", heap.name());
        }
        built
    }
}

/// A child, as its parent sees it. Killed when dropped.
pub(crate) struct Child {
    process: process::Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Child {
    fn start(heap: Heap, arguments: &[&str]) -> io::Result<Self> {
        let program = heap.program()?;
        let mut command = Command::new(&program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        match heap {
            Heap::Raised => drop(command.env("GLIBC_TUNABLES", Heap::RAISED)),
            Heap::SmallPages => drop(command.env("MIMALLOC_ALLOW_THP", "0")),
            _ => {}
        }
        let missing = |error| io::Error::other(format!("{}: {error}; build all programs first", program.display()));
        let mut process = command.spawn().map_err(missing)?;
        match (process.stdin.take(), process.stdout.take()) {
            (Some(input), Some(output)) => Ok(Self { process, input, output: BufReader::new(output) }),
            _ => Err(io::Error::other("the child has no pipes")),
        }
    }

    fn next_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the child ended early"));
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        self.input.write_all(format!("{question}\n").as_bytes())?;
        self.next_line()
    }
}

/// A server in a child.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Server {
    /// One whose handlers' bodies are counted as they come, so that a client can wait for each piece.
    pub(crate) fn watched(heap: Heap, mode: &str, threads: usize) -> io::Result<Self> {
        Self::start(heap, mode, threads, "watched")
    }

    pub(crate) fn bare(heap: Heap, mode: &str, threads: usize) -> io::Result<Self> {
        Self::start(heap, mode, threads, "bare")
    }

    fn start(heap: Heap, mode: &str, threads: usize, watched: &str) -> io::Result<Self> {
        let mut child = Child::start(heap, &["serve", mode, &threads.to_string(), watched])?;
        let address = child.next_line()?.parse().map_err(io::Error::other)?;
        Ok(Self { address, child })
    }

    pub(crate) fn report(&mut self) -> io::Result<Report> {
        self.asked("report")
    }

    /// A report with the peak begun anew, when the server has had time to end what it was at.
    pub(crate) fn rested(&mut self) -> io::Result<Report> {
        std::thread::sleep(Duration::from_millis(50));
        self.asked("reset")
    }

    /// Waits until the handlers were given `bytes` in all since the begin.
    pub(crate) fn await_seen(&mut self, bytes: u64) -> io::Result<Report> {
        self.asked(&bytes.to_string())
    }

    fn asked(&mut self, question: &str) -> io::Result<Report> {
        let line = self.child.ask(question)?;
        Report::read(&line).ok_or_else(|| io::Error::other(format!("not a report: {line}")))
    }
}

/// Buffers in a child.
pub(crate) struct Worker(Child);

impl Worker {
    pub(crate) fn start(heap: Heap, who: &str, pattern: &str, size: usize, threads: usize) -> io::Result<Self> {
        Child::start(heap, &["work", who, pattern, &size.to_string(), &threads.to_string()]).map(Self)
    }

    pub(crate) fn sample(&mut self, iterations: usize) -> io::Result<Sample> {
        let line = self.0.ask(&iterations.to_string())?;
        Sample::read(&line).ok_or_else(|| io::Error::other(format!("not a sample: {line}")))
    }
}
