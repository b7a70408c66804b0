//! Two threads that stay from the first sample to the last, so that what pools know of threads stays true. Each has a
//! processor of its own, so that two at once are two at once.

use crate::book::Entry;
use std::fs::read_to_string;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// One sample's part for one thread.
struct Job {
    entry: &'static Entry,
    iterations: usize,
    start: Arc<Start>,
}

/// A line at which the threads of a sample wait for each other, spinning, again and again.
struct Start {
    threads: usize,
    came: AtomicUsize,
}

impl Start {
    fn wait(&self) {
        // AcqRel and Acquire: all go on after the last has come.
        let before = self.came.fetch_add(1, Ordering::AcqRel);
        let all = (before / self.threads + 1) * self.threads;
        for looks in 0_u32.. {
            if self.came.load(Ordering::Acquire) >= all {
                return;
            }
            if looks < 1000 { spin_loop() } else { thread::yield_now() }
        }
    }
}

/// When a sample ran.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    begin: Instant,
    end: Instant,
    /// The time in which a thread could have run and had no processor.
    delayed: Duration,
}

impl Sample {
    pub(crate) fn time(self) -> Duration {
        self.end - self.begin
    }

    /// Whether other programs had more than a twentieth of it. Where two threads take part, they then did not meet.
    pub(crate) fn is_disturbed(self) -> bool {
        self.delayed > self.time() / 20
    }

    /// The sample of both threads, from the first begin to the last end.
    fn and(self, other: Self) -> Self {
        Self {
            begin: self.begin.min(other.begin),
            end: self.end.max(other.end),
            delayed: self.delayed.max(other.delayed),
        }
    }
}

pub(crate) struct Workers {
    jobs: [Sender<Job>; 2],
    done: Receiver<Sample>,
}

impl Workers {
    pub(crate) fn start() -> Self {
        let (finished, done) = channel();
        let jobs = [0, 1].map(|number| {
            let (jobs, todo) = channel();
            let finished = finished.clone();
            thread::spawn(move || work(number, &todo, &finished));
            jobs
        });
        Self { jobs, done }
    }

    /// Runs until the last of the entry's threads has done its part.
    pub(crate) fn run(&self, entry: &'static Entry, iterations: usize) -> Sample {
        let start = Arc::new(Start { threads: entry.threads, came: AtomicUsize::new(0) });
        for jobs in &self.jobs[..entry.threads] {
            jobs.send(Job { entry, iterations, start: Arc::clone(&start) }).expect("the thread waits for jobs");
        }
        let samples = self.done.iter().take(entry.threads);
        samples.reduce(Sample::and).expect("at least one thread")
    }
}

/// Binds the thread to a processor, where there are enough and the system lets it.
fn settle(number: usize) {
    let processors = core_affinity::get_core_ids().unwrap_or_default();
    if processors.len() > 1 {
        core_affinity::set_for_current(processors[number]);
    }
}

fn work(number: usize, jobs: &Receiver<Job>, done: &Sender<Sample>) {
    settle(number);
    for Job { entry, iterations, start } in jobs {
        start.wait();
        let delayed = delay();
        start.wait();
        let begin = Instant::now();
        (entry.part)(number, iterations);
        let end = Instant::now();
        if done.send(Sample { begin, end, delayed: delay().saturating_sub(delayed) }).is_err() {
            return;
        }
    }
}

/// The time that this thread has waited for a processor so far, as Linux counts it; nothing elsewhere.
fn delay() -> Duration {
    let statistics = read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = statistics.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}
