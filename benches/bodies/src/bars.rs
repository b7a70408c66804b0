//! The bars: what is promised, what came out, and whether it is met.

use crate::cli::Wish;
use crate::figures::Figure;
use std::io;
use std::process::ExitCode;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Met,
    Missed,
    /// The interval holds the bar. It does not count as missed.
    Open,
}

/// The bars of one run.
#[derive(Default)]
pub(crate) struct Bars(Vec<(String, String, Verdict)>);

impl Bars {
    /// Missed only when the whole interval lies above `bound`.
    pub(crate) fn at_most(&mut self, promise: impl Into<String>, bound: f64, figure: Figure) {
        let verdict = match figure {
            Figure { low, .. } if low > bound => Verdict::Missed,
            Figure { high, .. } if high <= bound => Verdict::Met,
            _ => Verdict::Open,
        };
        self.0.push((format!("{}: at most {bound:.2}", promise.into()), figure.to_string(), verdict));
    }

    /// Missed only when the whole interval lies below `bound`.
    pub(crate) fn at_least(&mut self, promise: impl Into<String>, bound: f64, figure: Figure) {
        let verdict = match figure {
            Figure { high, .. } if high < bound => Verdict::Missed,
            Figure { low, .. } if low >= bound => Verdict::Met,
            _ => Verdict::Open,
        };
        self.0.push((format!("{}: at least {bound:.2}", promise.into()), figure.to_string(), verdict));
    }

    /// Met only when the whole interval lies above `bound`.
    pub(crate) fn wholly_above(&mut self, promise: impl Into<String>, bound: f64, figure: Figure) {
        let verdict = if figure.low > bound { Verdict::Met } else { Verdict::Missed };
        self.0.push((format!("{}: interval above {bound:.2}", promise.into()), figure.to_string(), verdict));
    }

    /// For what is counted, not timed.
    pub(crate) fn counted(&mut self, promise: impl Into<String>, measured: impl Into<String>, met: bool) {
        self.0.push((promise.into(), measured.into(), if met { Verdict::Met } else { Verdict::Missed }));
    }

    /// Prints them all. The exit code tells of a miss if it was asked for, and so does a run without any bar.
    pub(crate) fn settle(&self, wish: &Wish) -> ExitCode {
        println!("\n| promise | measured | |\n|---|---:|---|");
        for (promise, measured, verdict) in &self.0 {
            let verdict = match verdict {
                Verdict::Met => "met",
                Verdict::Missed => "**missed**",
                Verdict::Open => "open: the interval holds the bar",
            };
            println!("| {promise} | {measured} | {verdict} |");
        }
        let missed = self.0.iter().filter(|(_, _, verdict)| *verdict == Verdict::Missed).count();
        println!("\n{} bars, {missed} missed.", self.0.len());
        if wish.check && (missed > 0 || self.0.is_empty()) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// Runs a program: reads its command line, lets `tables` print and enter bars, and settles them.
pub(crate) fn run(help: &str, tables: impl FnOnce(&Wish, &mut Bars) -> io::Result<()>) -> ExitCode {
    let outcome = Wish::read(help).and_then(|wish| {
        let Some(wish) = wish else { return Ok(ExitCode::SUCCESS) };
        let mut bars = Bars::default();
        let before = load();
        tables(&wish, &mut bars)?;
        let code = bars.settle(&wish);
        println!("Load of the machine: {before} at the begin, {} at the end.", load());
        Ok(code)
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(2)
    })
}

/// The machine's load, where it tells.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// Bytes in a form that fits a table.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A size that is a power of two.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(enter: impl FnOnce(&mut Bars)) -> Verdict {
        let mut bars = Bars::default();
        enter(&mut bars);
        bars.0[0].2
    }

    #[test]
    fn a_bar_is_missed_only_when_the_whole_interval_lies_beyond_it() {
        let figure = |low, high| Figure { median: (low + high) / 2.0, low, high };
        for (low, high, at_most, at_least) in [
            (0.8, 0.9, Verdict::Met, Verdict::Missed),
            (0.9, 1.1, Verdict::Open, Verdict::Open),
            (1.1, 1.2, Verdict::Missed, Verdict::Met),
        ] {
            assert!(verdict(|bars| bars.at_most("", 1.0, figure(low, high))) == at_most);
            assert!(verdict(|bars| bars.at_least("", 1.0, figure(low, high))) == at_least);
            let wholly = if low > 1.0 { Verdict::Met } else { Verdict::Missed };
            assert!(verdict(|bars| bars.wholly_above("", 1.0, figure(low, high))) == wholly);
        }
    }

    #[test]
    fn a_check_fails_on_a_miss_and_on_nothing_measured() {
        let checking = Wish::checking();
        let mut bars = Bars::default();
        assert_eq!(bars.settle(&checking), ExitCode::FAILURE);
        bars.counted("", "", true);
        assert_eq!(bars.settle(&checking), ExitCode::SUCCESS);
        bars.counted("", "", false);
        assert_eq!(bars.settle(&checking), ExitCode::FAILURE);
        assert_eq!(bars.settle(&Wish::default()), ExitCode::SUCCESS);
    }
}
