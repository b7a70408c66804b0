//! A global allocator that counts: `GlobalAlloc` for [`CountingAllocator`].
//!
//! Totals are relaxed atomics, shared by all threads; a thread's own counts are a cell in a thread-local
//! without a destructor, so that an allocation in a dying thread is counted too.

use core::cell::Cell;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What was counted since the start, of one thread or of all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub allocations: u64,
    pub reallocations: u64,
    pub deallocations: u64,
    pub bytes: u64,
    /// Allocated and not freed. A thread that frees what others allocated goes below zero.
    pub live: i64,
    /// The most that `live` was since the peak was last begun anew.
    pub peak: i64,
}

impl Counts {
    const NONE: Self = Self { allocations: 0, reallocations: 0, deallocations: 0, bytes: 0, live: 0, peak: 0 };

    fn grow_live(&mut self, bytes: u64) {
        self.live += bytes as i64;
        self.peak = self.peak.max(self.live);
    }
}

struct Totals {
    allocations: AtomicU64,
    reallocations: AtomicU64,
    deallocations: AtomicU64,
    bytes: AtomicU64,
    live: AtomicU64,
    peak: AtomicU64,
}

static TOTALS: Totals = Totals {
    allocations: AtomicU64::new(0),
    reallocations: AtomicU64::new(0),
    deallocations: AtomicU64::new(0),
    bytes: AtomicU64::new(0),
    live: AtomicU64::new(0),
    peak: AtomicU64::new(0),
};

thread_local! {
    static LOCAL: Cell<Counts> = const { Cell::new(Counts::NONE) };
}

fn local(change: impl FnOnce(&mut Counts)) {
    // A const cell without a destructor can be reached at any time in a thread's life.
    let _ = LOCAL.try_with(|cell| {
        let mut counts = cell.get();
        change(&mut counts);
        cell.set(counts);
    });
}

fn grow_live(bytes: u64) {
    let live = TOTALS.live.fetch_add(bytes, Relaxed) + bytes;
    if live > TOTALS.peak.load(Relaxed) {
        TOTALS.peak.fetch_max(live, Relaxed);
    }
}

fn allocated(bytes: usize) {
    let bytes = bytes as u64;
    TOTALS.allocations.fetch_add(1, Relaxed);
    TOTALS.bytes.fetch_add(bytes, Relaxed);
    grow_live(bytes);
    local(|counts| {
        counts.allocations += 1;
        counts.bytes += bytes;
        counts.grow_live(bytes);
    });
}

fn freed(bytes: usize) {
    TOTALS.deallocations.fetch_add(1, Relaxed);
    TOTALS.live.fetch_sub(bytes as u64, Relaxed);
    local(|counts| {
        counts.deallocations += 1;
        counts.live -= bytes as i64;
    });
}

/// Only growth counts as allocated bytes: what a reallocation keeps was counted before.
fn reallocated(old: usize, new: usize) {
    TOTALS.reallocations.fetch_add(1, Relaxed);
    let growth = new.saturating_sub(old) as u64;
    TOTALS.bytes.fetch_add(growth, Relaxed);
    let shrinkage = old.saturating_sub(new) as u64;
    grow_live(growth);
    TOTALS.live.fetch_sub(shrinkage, Relaxed);
    local(|counts| {
        counts.reallocations += 1;
        counts.bytes += growth;
        counts.grow_live(growth);
        counts.live -= shrinkage as i64;
    });
}

/// Counts of this thread.
pub fn of_this_thread() -> Counts {
    LOCAL.try_with(Cell::get).unwrap_or_default()
}

/// Counts of all threads.
pub fn of_all_threads() -> Counts {
    Counts {
        allocations: TOTALS.allocations.load(Relaxed),
        reallocations: TOTALS.reallocations.load(Relaxed),
        deallocations: TOTALS.deallocations.load(Relaxed),
        bytes: TOTALS.bytes.load(Relaxed),
        live: live() as i64,
        peak: peak() as i64,
    }
}

/// A stretch of this thread's time with a peak of its own. Its drop gives the surrounding stretch its peak back.
pub struct PeakOfThread {
    outer: i64,
}

impl PeakOfThread {
    pub fn begin() -> Self {
        let mut outer = 0;
        local(|counts| outer = std::mem::replace(&mut counts.peak, counts.live));
        Self { outer }
    }
}

impl Drop for PeakOfThread {
    fn drop(&mut self) {
        local(|counts| counts.peak = counts.peak.max(self.outer));
    }
}

/// Bytes allocated and not yet freed.
pub fn live() -> u64 {
    TOTALS.live.load(Relaxed)
}

/// The most that `live` has been since the start or the last `reset_peak`.
pub fn peak() -> u64 {
    TOTALS.peak.load(Relaxed)
}

/// Lets the peak start again from what is live now.
pub fn reset_peak() {
    TOTALS.peak.store(live(), Relaxed);
}

/// A global allocator that counts what goes through it and leaves the work to another.
///
/// **Cost**: a handful of relaxed atomic additions an allocation. All instances share one set of counters, as
/// a program has one global allocator.
///
/// # Examples
///
/// ```
/// use ebbtide::bench::{AllocReport, CountingAllocator};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator::new();
///
/// let (text, report) = AllocReport::of(|| String::from("on the heap"));
/// assert_eq!(report.allocations, 1);
/// assert_eq!(report.bytes, text.len() as u64);
/// ```
#[derive(Debug, Default)]
pub struct CountingAllocator<A = System> {
    inner: A,
}

impl CountingAllocator {
    /// Counts in front of the system's allocator.
    pub const fn new() -> Self {
        Self { inner: System }
    }
}

impl<A> CountingAllocator<A> {
    /// Counts in front of `inner`.
    pub const fn over(inner: A) -> Self {
        Self { inner }
    }
}

// SAFETY: every call goes to `inner` unchanged, and counting allocates nothing.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        let block = unsafe { self.inner.alloc(layout) };
        if !block.is_null() {
            allocated(layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        let block = unsafe { self.inner.alloc_zeroed(layout) };
        if !block.is_null() {
            allocated(layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { self.inner.dealloc(block, layout) };
        freed(layout.size());
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        let moved = unsafe { self.inner.realloc(block, layout, new_size) };
        if !moved.is_null() {
            reallocated(layout.size(), new_size);
        }
        moved
    }
}
