//! Where the monitor reads.

use super::event::Subject;
use crate::observe::{Ledger, PoolEntry, Reclaims};
use crate::pool::PoolStats;
use core::time::Duration;

/// What the monitor reads in each sample. Any closure that hands out values is one, so that rules can be tried on a
/// series without pools.
///
/// # Examples
///
/// ```
/// use ebbtide::observe::{Monitor, Subject};
/// use std::time::{Duration, Instant};
///
/// let mut leaked = 0;
/// let monitor = Monitor::builder().build_on(move |note: &mut dyn FnMut(Subject, u64)| {
///     leaked += 400_000;
///     note(Subject::Tag("sessions"), leaked);
/// })?;
/// let begin = Instant::now();
/// (0..400).for_each(|second| monitor.sample_at(begin + Duration::from_secs(second)));
/// assert_eq!(monitor.alarms()[0].subject, Subject::Tag("sessions"));
/// # Ok::<(), ebbtide::observe::BadRule>(())
/// ```
pub trait Source: Send {
    /// Hands out the bytes of each subject. What is not handed out is missing in this sample; what is handed out several times
    /// is added up. A value beyond `i64::MAX` is a counter that went below zero, and counts as missing.
    fn read(&mut self, note: &mut dyn FnMut(Subject, u64));

    /// The 99th percentile of reclaim pauses since it was asked last, once a window: of the single trims or of the
    /// request reclaims, whichever is longer. Default: none.
    fn pause(&mut self) -> Duration {
        Duration::ZERO
    }
}

impl<F: FnMut(&mut dyn FnMut(Subject, u64)) + Send> Source for F {
    fn read(&mut self, note: &mut dyn FnMut(Subject, u64)) {
        self(note);
    }
}

/// The books of this process: each tag's bytes on lease, each pool's bytes, all pools' bytes, and how long trims and requests'
/// reclaims took.
#[derive(Debug)]
pub(super) struct Process {
    reclaims: Reclaims,
}

impl Process {
    pub(super) fn new() -> Self {
        Self { reclaims: Reclaims::of_process() }
    }
}

impl Source for Process {
    fn read(&mut self, note: &mut dyn FnMut(Subject, u64)) {
        let ledger = Ledger::process();
        ledger.each_tag(|entry| note(Subject::Tag(entry.tag), entry.outstanding_bytes));
        let mut all = 0_u64;
        ledger.each_pool(|entry| {
            let bytes = bytes(entry);
            note(Subject::Pool(entry.pool), bytes);
            all = all.saturating_add(bytes);
        });
        note(Subject::Process, all);
    }

    fn pause(&mut self) -> Duration {
        let now = Reclaims::of_process();
        let recent = now.since(&core::mem::replace(&mut self.reclaims, now));
        recent.trims.percentile(99).max(recent.requests.percentile(99))
    }
}

/// What a pool lends and keeps, in bytes. Leases beyond its bounds are not charged to it: they count as buffers of their class, or
/// as values are on the average when they are made.
fn bytes(entry: &PoolEntry) -> u64 {
    let PoolStats { live, charged_bytes, made, made_bytes, .. } = entry.stats;
    let each = if entry.class_bytes > 0 { entry.class_bytes } else { made_bytes / made.max(1) };
    live.saturating_mul(each).max(charged_bytes)
}
