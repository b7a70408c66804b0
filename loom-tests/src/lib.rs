//! Harness of the models: counts executions, collects outcomes, and refuses a model that showed too few.
//!
//! Without `--cfg loom` this crate is empty, and one ignored test says that no model ran.

#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::model::Builder;
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// Branches in one execution. More than any model here needs: reaching it means that a loop does not end.
const MAX_BRANCHES: usize = 10_000;

/// What the executions of one model led to. It lives outside of loom, so that noting an outcome is no event of
/// the model.
#[derive(Clone, Default)]
pub struct Outcomes(Arc<Mutex<BTreeSet<String>>>);

impl Outcomes {
    /// Notes how this execution ended.
    pub fn note(&self, outcome: impl Into<String>) {
        self.0.lock().unwrap().insert(outcome.into());
    }

    fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().cloned().collect()
    }
}

/// Runs every execution of `run` with at most `preemptions` forced switches (`LOOM_MAX_PREEMPTIONS` goes
/// first) and checks that they had all the `expected` outcomes, each noted at least once, and no others.
///
/// One execution means that loom found nothing to reorder: it fails. The line printed at the end is what
/// `.ci/run` counts.
pub fn model<F>(name: &str, expected: &[&str], preemptions: usize, run: F)
where
    F: Fn(&Outcomes) + Send + Sync + 'static,
{
    let (outcomes, executions) = (Outcomes::default(), Arc::new(AtomicUsize::new(0)));
    let mut builder = Builder::new();
    builder.max_branches = MAX_BRANCHES;
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check({
        let (outcomes, executions) = (outcomes.clone(), Arc::clone(&executions));
        move || {
            executions.fetch_add(1, Relaxed);
            run(&outcomes);
        }
    });
    report(name, expected, &outcomes.seen(), executions.load(Relaxed));
}

fn report(name: &str, expected: &[&str], seen: &[String], executions: usize) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(seen, expected, "model {name}: outcomes seen, and outcomes expected");
    assert!(executions >= 2, "model {name}: one execution checks nothing");
    // libtest has begun a line of its own.
    println!("\nmodel {name}: {executions} executions, outcomes {}", seen.join(" | "));
}

/// A number that loom watches: a read and a write, or two writes, that nothing orders end the model.
#[derive(Debug)]
pub struct Watched(UnsafeCell<u32>);

// SAFETY: loom runs one thread at a time and reports unordered accesses instead of letting them race.
unsafe impl Sync for Watched {}

impl Watched {
    pub fn new(value: u32) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub fn get(&self) -> u32 {
        // SAFETY: as for `Sync`.
        self.0.with(|value| unsafe { *value })
    }

    pub fn set(&self, value: u32) {
        // SAFETY: as for `Sync`.
        self.0.with_mut(|place| unsafe { *place = value });
    }
}

/// A count that is no event of the model: how often something happened in this execution.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<AtomicUsize>);

impl Tally {
    pub fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// An allocator that overwrites what is freed, so that a touch of it finds no loom object and ends the model.
#[derive(Debug)]
pub struct Overwriting;

// SAFETY: the system's allocator does the work, with the same arguments.
unsafe impl GlobalAlloc for Overwriting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is still the caller's, and as large as its layout says.
        unsafe { block.write_bytes(0xEB, layout.size()) };
        // Else the compiler leaves out what nobody reads before it is freed.
        let block = std::hint::black_box(block);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) };
    }
}
