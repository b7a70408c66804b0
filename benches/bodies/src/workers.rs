//! The threads of a child that works on buffers: they stay from the first sample to the last, so that what pools and
//! allocators know of threads stays true, and each has a processor of its own.

use crate::work::Player;
use std::fs::read_to_string;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

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

/// Nanoseconds, nanoseconds without a processor, page faults.
type Part = (u64, u64, u64);

pub(crate) struct Workers {
    jobs: Vec<Sender<usize>>,
    done: Receiver<Option<Part>>,
}

impl Workers {
    /// Each thread makes its own player; `None` is told at the first sample.
    pub(crate) fn start(threads: usize, player: impl Fn() -> Option<Player> + Clone + Send + 'static) -> Self {
        let start = Arc::new(Start { threads, came: AtomicUsize::new(0) });
        let (finished, done) = channel();
        let jobs = (0..threads).map(|number| {
            let (jobs, todo) = channel();
            let (start, finished, player) = (Arc::clone(&start), finished.clone(), player.clone());
            thread::spawn(move || {
                settle(number);
                let mut player = player();
                for iterations in todo {
                    let part = player.as_mut().map(|player| part(player, &start, iterations));
                    if finished.send(part).is_err() {
                        return;
                    }
                }
            });
            jobs
        });
        Self { jobs: jobs.collect(), done }
    }

    /// Runs until the last thread has done its part: the longest times, and the faults of all.
    pub(crate) fn run(&self, iterations: usize) -> Option<Part> {
        let _ = self.jobs.iter().try_for_each(|jobs| jobs.send(iterations));
        let mut sum = (0, 0, 0);
        for _ in &self.jobs {
            let (nanos, delayed, faults) = self.done.recv().ok()??;
            sum = (sum.0.max(nanos), sum.1.max(delayed), sum.2 + faults);
        }
        Some(sum)
    }
}

fn part(player: &mut Player, start: &Start, iterations: usize) -> Part {
    start.wait();
    let (delayed, faults) = (delay(), faults());
    start.wait();
    let time = player(iterations);
    let (delayed, faults) = (delay().saturating_sub(delayed), self::faults().saturating_sub(faults));
    // With no iterations, each thread holds now what the pattern has out at most.
    start.wait();
    (time.as_nanos() as u64, delayed, faults)
}

/// Binds the thread to a processor, where there are enough and the system lets it.
fn settle(number: usize) {
    let processors = core_affinity::get_core_ids().unwrap_or_default();
    if processors.len() > 1 {
        core_affinity::set_for_current(processors[number % processors.len()]);
    }
}

/// Nanoseconds that this thread has waited for a processor so far, as Linux counts it; nothing elsewhere.
fn delay() -> u64 {
    let statistics = read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    statistics.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

/// Minor page faults of this thread so far, as Linux counts it; nothing elsewhere.
fn faults() -> u64 {
    let statistics = read_to_string("/proc/thread-self/stat").unwrap_or_default();
    // The name in parentheses may hold blanks. After it, they are the 8th field.
    let fields = statistics.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().nth(7).and_then(|faults| faults.parse().ok()).unwrap_or(0)
}
