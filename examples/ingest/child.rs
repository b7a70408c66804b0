//! One mode in a process of its own, and the parent's end of it.
//!
//! The parent starts this very program with `--child MODE` and talks to it by lines: the child says where it listens,
//! then answers `reset` (peak starts anew), `report` and `stop` with one line of JSON each. When its input ends, the
//! child stops too, so that none is left behind by a parent that was killed.

use crate::serve::{self, Mode, Outstanding, Settings};
use ebbtide::bench::{live, peak, processor_time, reset_peak, resident_bytes, totals};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// What a child counts. Allocations and bytes since its start; a reallocation counts with the bytes it grew by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub allocations: u64,
    pub bytes: u64,
    pub live: u64,
    pub peak: u64,
    /// Bytes in main memory, where the system tells.
    pub resident: Option<u64>,
    /// Seconds of processor time, where the system tells.
    pub processor: Option<f64>,
    pub outstanding: Vec<Outstanding>,
}

impl Report {
    fn now(ledger: &serve::Ledger) -> Self {
        let totals = totals();
        Self {
            allocations: totals.calls(),
            bytes: totals.bytes,
            live: live(),
            peak: peak(),
            resident: resident_bytes(),
            processor: processor_time().map(|time| time.as_secs_f64()),
            outstanding: ledger.outstanding(),
        }
    }

    pub fn is_clear(&self) -> bool {
        self.outstanding.iter().all(|number| number.out == 0)
    }
}

// ---------------------------------------------------------------------------------------------------------------------

/// The child: serves `mode` on a free port of the loopback until its parent has had enough.
pub async fn run(mode: Mode, settings: &Settings) -> io::Result<()> {
    let (router, ledger) = serve::router(mode, settings);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&listener.local_addr()?.to_string())?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let talking = std::thread::spawn({
        let ledger = ledger.clone();
        move || {
            let talked = talk(&ledger);
            drop(stop);
            talked
        }
    });
    serve::run(listener, router, &ledger, async { drop(stopped.await) }).await?;
    talking.join().unwrap_or_else(|_| Err(io::Error::other("the thread that talks to the parent panicked")))?;
    tell(&Report::now(&ledger))
}

/// Answers the parent's lines, up to `stop` or the end.
fn talk(ledger: &serve::Ledger) -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        match line?.as_str() {
            "reset" => reset_peak(),
            "report" => {}
            _ => break,
        }
        tell(&Report::now(ledger))?;
    }
    Ok(())
}

fn tell(report: &Report) -> io::Result<()> {
    say(&serde_json::to_string(report)?)
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

// ---------------------------------------------------------------------------------------------------------------------

/// A child, as its parent sees it. Killed when dropped without `stop`.
pub struct Served {
    pub mode: Mode,
    pub address: SocketAddr,
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Served {
    pub async fn start(mode: Mode, settings: &Settings) -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--child", mode.name(), "--token", &settings.token])
            .args(["--body-limit", &settings.body_limit.to_string(), "--quota", &settings.quota.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("the child has no pipes"));
        };
        let mut output = BufReader::new(output).lines();
        let address = next_line(&mut output).await?.parse().map_err(io::Error::other)?;
        Ok(Self { mode, address, process, input, output })
    }

    /// Lets the peak start anew from what is live now.
    pub async fn reset(&mut self) -> io::Result<Report> {
        self.ask("reset").await
    }

    pub async fn report(&mut self) -> io::Result<Report> {
        self.ask("report").await
    }

    /// Stops the child in order: its last report, made when its server was gone.
    pub async fn stop(mut self) -> io::Result<Report> {
        let report = self.ask("stop").await?;
        let ended = self.process.wait().await?;
        if ended.success() { Ok(report) } else { Err(io::Error::other(format!("the child ended with {ended}"))) }
    }

    async fn ask(&mut self, question: &str) -> io::Result<Report> {
        self.input.write_all(format!("{question}\n").as_bytes()).await?;
        Ok(serde_json::from_str(&next_line(&mut self.output).await?)?)
    }
}

async fn next_line(output: &mut Lines<BufReader<ChildStdout>>) -> io::Result<String> {
    output.next_line().await?.ok_or_else(|| io::Error::other("the child ended early"))
}
