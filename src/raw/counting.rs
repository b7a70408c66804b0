//! A global allocator that counts: `GlobalAlloc` for [`CountingAllocator`].
//!
//! Totals are relaxed atomics, shared by all threads; a thread's own counts are cells in a thread-local
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
    static LOCAL: Cell<Counts> = const {
        Cell::new(Counts { allocations: 0, reallocations: 0, deallocations: 0, bytes: 0 })
    };
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
    });
}

fn freed(bytes: usize) {
    TOTALS.deallocations.fetch_add(1, Relaxed);
    TOTALS.live.fetch_sub(bytes as u64, Relaxed);
    local(|counts| counts.deallocations += 1);
}

/// Only growth counts as allocated bytes: what a reallocation keeps was counted before.
fn reallocated(old: usize, new: usize) {
    TOTALS.reallocations.fetch_add(1, Relaxed);
    let growth = new.saturating_sub(old) as u64;
    TOTALS.bytes.fetch_add(growth, Relaxed);
    grow_live(growth);
    TOTALS.live.fetch_sub(old.saturating_sub(new) as u64, Relaxed);
    local(|counts| {
        counts.reallocations += 1;
        counts.bytes += growth;
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
