//! Two ways by turns: warm-up, rounds, and the measuring of one batch of calls. What comes out is a [`Comparison`].

use super::comparison::{Comparison, Round};
use super::plan::Plan;
use super::report::{AllocReport, is_counting, of_this_thread, totals};
use crate::raw::counting::{PeakOfThread, reset_peak};
use std::time::{Duration, Instant};

/// A batch of calls takes at least so long: the clock, some dozen nanoseconds, must not show.
const BATCH: Duration = Duration::from_micros(20);
/// Calls that take next to no time are not put together without end.
const MOST_CALLS: usize = 1 << 20;

/// One of two ways to do a thing.
pub(super) trait Way {
    /// What so many calls need, made outside of the measured time.
    type Input;
    type Error;

    fn prepare(&mut self, calls: usize) -> Self::Input;
    async fn run(&mut self, input: Self::Input) -> Result<(), Self::Error>;
}

/// Whose allocations count.
#[derive(Clone, Copy)]
pub(super) enum Counting {
    /// This thread's: what runs at once, beside other tests perhaps.
    Thread,
    /// All threads': what a runtime may move about.
    Process,
}

/// Counts from its begin to its end, with a peak of its own.
struct Meter {
    begun: AllocReport,
    thread: Option<PeakOfThread>,
}

impl Meter {
    fn begin(counting: Counting) -> Self {
        match counting {
            Counting::Thread => {
                let thread = Some(PeakOfThread::begin());
                Self { begun: of_this_thread(), thread }
            }
            Counting::Process => {
                reset_peak();
                Self { begun: totals(), thread: None }
            }
        }
    }

    fn end(self) -> AllocReport {
        let now = if self.thread.is_some() { of_this_thread() } else { totals() };
        now.since(self.begun)
    }
}

/// Warms both up, then lets them take turns.
pub(super) async fn take_turns<A: Way, B: Way<Error = A::Error>>(
    plan: &Plan,
    counting: Counting,
    names: [&str; 2],
    a: &mut A,
    b: &mut B,
) -> Result<Comparison, A::Error> {
    let calls = [warm_up(plan, a).await?, warm_up(plan, b).await?];
    let mut rounds = [Vec::with_capacity(plan.rounds), Vec::with_capacity(plan.rounds)];
    for number in 0..plan.rounds {
        // The other way round in every second round: who comes second finds other caches.
        if number % 2 == 0 {
            rounds[0].push(round(plan, counting, calls[0], a).await?);
            rounds[1].push(round(plan, counting, calls[1], b).await?);
        } else {
            rounds[1].push(round(plan, counting, calls[1], b).await?);
            rounds[0].push(round(plan, counting, calls[0], a).await?);
        }
    }
    Ok(Comparison::of(names, rounds, is_counting()))
}

/// Runs `way` until it is warm. Gives how many calls make a batch.
async fn warm_up<W: Way>(plan: &Plan, way: &mut W) -> Result<usize, W::Error> {
    let began = Instant::now();
    let mut calls = 1;
    loop {
        let input = way.prepare(calls);
        let batch = Instant::now();
        way.run(input).await?;
        if batch.elapsed() < BATCH && calls < MOST_CALLS {
            calls *= 2;
        } else if began.elapsed() >= plan.warm_up {
            return Ok(calls);
        }
    }
}

async fn round<W: Way>(plan: &Plan, counting: Counting, calls: usize, way: &mut W) -> Result<Round, W::Error> {
    let began = Instant::now();
    let mut round = Round::default();
    loop {
        let input = way.prepare(calls);
        let meter = Meter::begin(counting);
        let batch = Instant::now();
        way.run(input).await?;
        let took = batch.elapsed();
        let report = meter.end();
        round.add(calls, took, report);
        if began.elapsed() >= plan.span {
            return Ok(round);
        }
    }
}
