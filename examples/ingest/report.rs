//! What the demonstration prints: conduct, table, scene, ledger, verdict.

use crate::child::Report;
use crate::client::Framing;
use crate::conduct::{ABORTED, Answers, Refusal};
use crate::documents::Document;
use crate::load::Measured;
use crate::serve::Mode;
use crate::trickle::{self, Scene};
use axum::http::StatusCode;
use ebbtide::bench::{Interval, median, percentile};
use std::collections::BTreeMap;
use std::time::Duration;

/// A p99 that differs by less is noise.
const NOTABLE: f64 = 1.1;

/// Folders up to this many files are listed file by file.
const LISTED: usize = 40;

/// The measured figures of one mode.
pub struct Figures {
    pub mode: Mode,
    per_second: Vec<f64>,
    requests: u64,
    p50: Duration,
    p99: Duration,
    allocations: f64,
    bytes: f64,
    peak: u64,
    resident: Option<u64>,
    processor: Option<f64>,
    statuses: BTreeMap<StatusCode, u64>,
    unexpected: u64,
}

impl Figures {
    pub fn new(mode: Mode, mut measured: Measured, before: &Report, after: &Report, idle: &Report) -> Self {
        measured.latencies.sort_unstable();
        let requests = measured.requests.max(1) as f64;
        Self {
            mode,
            requests: measured.requests,
            p50: percentile(&measured.latencies, 0.50).unwrap_or_default(),
            p99: percentile(&measured.latencies, 0.99).unwrap_or_default(),
            allocations: (after.allocations - before.allocations) as f64 / requests,
            bytes: (after.bytes - before.bytes) as f64 / requests,
            peak: after.peak,
            resident: idle.resident,
            processor: Option::zip(before.processor, after.processor)
                .map(|(before, after)| (after - before) / requests),
            per_second: measured.per_second,
            statuses: measured.statuses,
            unexpected: measured.unexpected,
        }
    }
}

fn of(figures: &[Figures], mode: Mode) -> &Figures {
    figures.iter().find(|figures| figures.mode == mode).expect("every mode was measured")
}

fn counted(statuses: &BTreeMap<StatusCode, u64>) -> String {
    let counted: Vec<String> =
        statuses.iter().map(|(status, count)| format!("{count} x {}", status.as_u16())).collect();
    counted.join(", ")
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

/// Two texts under a heading for every row, the rest aligned to the right.
fn row(name: &str, cells: [&str; 4]) {
    println!("{name:<38}{:>12}{:>12}{:>12}{:>16}", cells[0], cells[1], cells[2], cells[3]);
}

// ---------------------------------------------------------------------------------------------------------------------

/// What was answered to each document. False if something else was expected.
pub fn answers(answers: &[(Mode, Answers)], documents: &[Document]) -> bool {
    for (mode, answers) in answers {
        println!("{:<8} {}", mode.name(), counted(&answers.statuses));
    }
    let answering: Vec<_> = answers.iter().filter(|(mode, _)| *mode != Mode::Floor).collect();
    let mut right = true;
    for (number, document) in documents.iter().enumerate() {
        let mut got = Vec::new();
        let mut as_expected = true;
        for (mode, answers) in &answering {
            for (framing, answer) in Framing::BOTH.iter().zip(&answers.bodies[2 * number..]) {
                let status = answer.as_ref().map(|(status, _)| *status);
                as_expected &= status.unwrap_or(StatusCode::PAYLOAD_TOO_LARGE) == document.expected;
                let status = status.map_or("cut".to_owned(), |status| status.as_u16().to_string());
                got.push(format!("{} {} {status}", mode.name(), describe(*framing)));
            }
        }
        let same = agree(&answering, number);
        right &= as_expected && same;
        if documents.len() <= LISTED || !as_expected || !same {
            let note = if same { "" } else { ", and the bodies differ" };
            let verdict = if as_expected && same { "ok" } else { "WRONG" };
            let (name, length, expected) = (&document.name, document.bytes.len(), document.expected.as_u16());
            println!("{verdict:<6}{name}, {length} bytes: expected {expected}, got {}{note}", got.join(", "));
        }
    }
    if answering.iter().any(|(_, answers)| answers.bodies.iter().any(Option::is_none)) {
        println!("cut: the service refused the body and closed the connection before the client had read why");
    }
    let verdict = if right { "as expected, with the same bodies from plain and ebbtide" } else { "NOT as expected" };
    println!("answers to {} documents, each with and without Content-Length: {verdict}\n", documents.len());
    right
}

fn describe(framing: Framing) -> &'static str {
    match framing {
        Framing::Known => "with length",
        Framing::Chunked => "chunked",
    }
}

/// Whether all modes answered alike to one document. An answer that was cut off disagrees with none.
fn agree(answers: &[&(Mode, Answers)], number: usize) -> bool {
    let mut given = answers.iter().flat_map(|(_, answers)| answers.bodies[2 * number..][..2].iter().flatten());
    match given.next() {
        Some(first) => given.all(|other| other == first),
        None => true,
    }
}

/// What was refused, and how. False if something was not.
pub fn refusals(refusals: &[(Mode, Vec<Refusal>)]) -> bool {
    let mut right = true;
    for (mode, refusals) in refusals {
        let told: Vec<String> = refusals.iter().map(told).collect();
        println!("{:<8} {}", mode.name(), told.join("; "));
        right &= refusals.iter().all(Refusal::is_right);
    }
    println!();
    right
}

fn told(refusal: &Refusal) -> String {
    let got = refusal.got.map_or("no answer".to_owned(), |got| got.to_string());
    match refusal {
        _ if refusal.is_right() => format!("{} {got}", refusal.what),
        _ if refusal.said => format!("{} {got} INSTEAD OF {}", refusal.what, refusal.expected),
        _ => format!("{} {got} WITHOUT SAYING {}", refusal.what, refusal.says),
    }
}

/// Tells of answers under load that were not expected. False if there were any.
pub fn unexpected(figures: &[Figures]) -> bool {
    for figures in figures.iter().filter(|figures| figures.unexpected > 0) {
        println!("{}: {} answers under load were NOT expected", figures.mode.name(), figures.unexpected);
    }
    figures.iter().all(|figures| figures.unexpected == 0)
}

// ---------------------------------------------------------------------------------------------------------------------

/// The table of the three modes.
pub fn table(figures: &[Figures], connections: usize) {
    let rounds = figures.first().map_or(0, |figures| figures.per_second.len());
    let [floor, plain, ebbtide] = Mode::ALL.map(|mode| of(figures, mode));
    println!("{rounds} interleaved rounds, {connections} connections; ratios are ebbtide to plain");
    row("", ["floor", "plain", "ebbtide", "ratio"]);
    let compared = |name: &str, places: usize, figure: &dyn Fn(&Figures) -> f64| {
        let [floor, plain, ebbtide] = [floor, plain, ebbtide].map(figure);
        let [floor_cell, plain_cell, ebbtide_cell] = [floor, plain, ebbtide].map(|value| format!("{value:.places$}"));
        row(name, [&floor_cell, &plain_cell, &ebbtide_cell, &times(ebbtide, plain)]);
    };
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    compared("requests/s, median of the rounds", 0, &|mode| median(&mode.per_second));
    compared("latency p50, us", 0, &|mode| micros(mode.p50));
    compared("latency p99, us", 0, &|mode| micros(mode.p99));
    if figures.iter().all(|figures| figures.processor.is_some()) {
        compared("server's processor time a request, us", 1, &|mode| mode.processor.unwrap_or(0.0) * 1e6);
    }
    compared("heap allocations a request", 1, &|mode| mode.allocations);
    compared("  above the floor", 1, &|mode| mode.allocations - floor.allocations);
    compared("heap bytes a request", 0, &|mode| mode.bytes);
    compared("  above the floor", 0, &|mode| mode.bytes - floor.bytes);
    // Each mode answered another number of requests in its time.
    compared("allocated in all for 100,000, MB", 1, &|mode| mode.bytes * 1e5 / 1e6);
    compared("peak live heap, MB", 2, &|mode| mode.peak as f64 / 1e6);
    if figures.iter().all(|figures| figures.resident.is_some()) {
        compared("RSS after idle seconds, MB", 1, &|mode| mode.resident.unwrap_or(0) as f64 / 1e6);
    }
    for figures in [floor, plain, ebbtide] {
        let Interval { median, low, high } = Interval::of(&figures.per_second);
        let (name, requests, statuses) = (figures.mode.name(), figures.requests, counted(&figures.statuses));
        println!("{name:<8} {median:.0} requests/s [{low:.0}, {high:.0}], {requests} requests: {statuses}");
    }
    let Interval { median, low, high } = speed(figures);
    println!("requests/s, ebbtide to plain, round by round: {median:.3} [{low:.3}, {high:.3}] (95 %, bootstrap)\n");
}

fn times(value: f64, to: f64) -> String {
    if to == 0.0 { "-".to_owned() } else { format!("{:.2}", value / to) }
}

/// Requests/s of ebbtide to plain, each round with its own neighbour: what slows the machine slows both.
fn speed(figures: &[Figures]) -> Interval {
    let (plain, ebbtide) = (of(figures, Mode::Plain), of(figures, Mode::Ebbtide));
    Interval::of_ratios(&ebbtide.per_second, &plain.per_second)
}

/// How many times fewer bytes ebbtide allocates than plain: above the floor, and with it.
fn fewer_bytes(figures: &[Figures]) -> (f64, f64) {
    let [floor, plain, ebbtide] = Mode::ALL.map(|mode| of(figures, mode).bytes);
    // What is left above the floor may be as small as the floor is uncertain.
    ((plain - floor) / (ebbtide - floor).max(1.0), plain / ebbtide)
}

// ---------------------------------------------------------------------------------------------------------------------

/// The trickling clients. False if one was not answered as it should.
pub fn scenes(scenes: &[(Mode, Scene)], document: &Document) -> bool {
    let (clients, piece, pace) = (trickle::CLIENTS, trickle::PIECE, trickle::PACE.as_millis());
    let (name, length) = (&document.name, document.bytes.len());
    println!("\n{clients} clients, each sends {name} ({length} bytes) in pieces of {piece} bytes, one in {pace} ms:");
    for (mode, scene) in scenes {
        println!(
            "{:<8} peak live heap {:>6} MB above the {} MB of idle connections, RSS {} MB in the quiet after it; \
             {} x 200, then {} x 429 over the quota",
            mode.name(),
            megabytes(scene.peak),
            megabytes(scene.idle),
            scene.resident.map_or("?".to_owned(), megabytes),
            scene.answered,
            scene.refused,
        );
    }
    println!("{}", TRICKLE_NOTE);
    scenes.iter().all(|(_, scene)| scene.answered == clients && scene.refused == clients)
}

const TRICKLE_NOTE: &str = "\
(`keeping` takes bodies as axum's `Bytes` does: it keeps every frame, and with it a read buffer of hyper's, until the body is
whole. Plain copies each frame at once into a `Vec`, by hand: that is the cure, with a pool or without. The pool adds that
the large allocation is not made anew for each request, and keeps some memory for it.)
";

fn peak_of(scenes: &[(Mode, Scene)], wanted: Mode) -> u64 {
    scenes.iter().find(|(mode, _)| *mode == wanted).map_or(0, |(_, scene)| scene.peak)
}

/// How many times as much as ebbtide `mode` holds at most.
fn ratio_of(scenes: &[(Mode, Scene)], mode: Mode) -> f64 {
    peak_of(scenes, mode) as f64 / peak_of(scenes, Mode::Ebbtide).max(1) as f64
}

// ---------------------------------------------------------------------------------------------------------------------

/// What is still out. False if anything is.
pub fn ledger(last: &[(Mode, Report)], scenes: &[(Mode, Scene)]) -> bool {
    println!("ledger, after {ABORTED} uploads to each mode were cut off half-way and the services have stopped:");
    let loaded = last.iter().map(|(mode, report)| (*mode, "load", report));
    let trickled = scenes.iter().map(|(mode, scene)| (*mode, "trickle", &scene.last));
    let mut clear = true;
    for (mode, scene, report) in loaded.chain(trickled).filter(|(mode, ..)| *mode == Mode::Ebbtide) {
        clear &= report.is_clear();
        let out: Vec<String> =
            report.outstanding.iter().map(|number| format!("{} {}", number.out, number.what)).collect();
        println!("{:<8} after {scene}: {}", mode.name(), out.join(", "));
    }
    println!("{}\n", if clear { "nothing is out" } else { "SOMETHING IS STILL OUT" });
    clear
}

/// One sentence, with what is lost in it.
pub fn verdict(figures: &[Figures], scenes: &[(Mode, Scene)], clear: bool, right: bool) {
    let speed = speed(figures);
    let pace = match speed {
        Interval { low, .. } if low > 1.0 => format!("answers {:.1} % more requests", (speed.median - 1.0) * 100.0),
        Interval { high, .. } if high < 1.0 => format!("answers {:.1} % fewer requests", (1.0 - speed.median) * 100.0),
        _ => "answers as many requests (the interval holds 1)".to_owned(),
    };
    let (above, with) = fewer_bytes(figures);
    println!(
        "Verdict: beside the best plain version, ebbtide {pace}, allocates {} bytes above the floor ({} with it), and \
         needs {} memory for clients that trickle ({} than frames that are kept); what it loses: {}.{}",
        compare(above, "fewer", "more"),
        compare(with, "fewer", "more"),
        compare(ratio_of(scenes, Mode::Plain), "less", "more"),
        compare(ratio_of(scenes, Mode::Keeping), "less", "more"),
        losses(figures, scenes),
        if clear && right { "" } else { " AND IT FAILED: see above." },
    );
}

/// In words: `times` times less, or the other way round.
fn compare(times: f64, less: &str, more: &str) -> String {
    if times >= 1.0 { format!("{times:.1} times {less}") } else { format!("{:.1} times {more}", 1.0 / times) }
}

/// Where ebbtide is behind, as far as it was seen in this run.
fn losses(figures: &[Figures], scenes: &[(Mode, Scene)]) -> String {
    let (plain, ebbtide) = (of(figures, Mode::Plain), of(figures, Mode::Ebbtide));
    let mut losses = Vec::new();
    if speed(figures).high < 1.0 {
        losses.push("requests/s".to_owned());
    }
    if let (Some(ours), Some(theirs)) = (ebbtide.processor, plain.processor) {
        if ours > theirs {
            losses.push(format!("{:.1} us of processor time a request", (ours - theirs) * 1e6));
        }
    }
    if ebbtide.bytes > plain.bytes {
        losses.push("allocated bytes".to_owned());
    }
    if ebbtide.p99 > plain.p99.mul_f64(NOTABLE) {
        losses.push("the p99".to_owned());
    }
    if ebbtide.peak > plain.peak {
        losses.push(format!("{} MB of live heap at the peak under load", megabytes(ebbtide.peak - plain.peak)));
    }
    if let (Some(ours), Some(theirs)) = (ebbtide.resident, plain.resident) {
        if ours > theirs {
            losses.push(format!("{} MB of RSS when idle, which its pools and arenas keep", megabytes(ours - theirs)));
        }
    }
    let (theirs, ours) = (peak_of(scenes, Mode::Plain), peak_of(scenes, Mode::Ebbtide));
    if ours > theirs {
        losses.push(format!("{} MB for trickling clients", megabytes(ours - theirs)));
    }
    if losses.is_empty() { "nowhere in this run".to_owned() } else { losses.join(", ") }
}
