//! Counting what the heap does: for benchmarks, and for tests that pin a number of allocations.
//!
//! A program that wants to count installs [`CountingAllocator`] as its global allocator. Where none is
//! installed every count is zero, so [`assert_allocs!`](crate::assert_allocs) checks first that one is.

pub use crate::raw::counting::{CountingAllocator, live, peak, reset_peak};

use crate::raw::counting::{Counts, of_all_threads, of_this_thread};

/// What the heap did over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocReport {
    /// Blocks allocated.
    pub allocations: u64,
    /// Blocks that grew or shrank.
    pub reallocations: u64,
    /// Blocks freed.
    pub deallocations: u64,
    /// Bytes of the allocated blocks, and by which reallocated ones grew.
    pub bytes: u64,
}

impl AllocReport {
    /// Runs `f` and reports what this thread did meanwhile.
    pub fn of<R>(f: impl FnOnce() -> R) -> (R, Self) {
        let before = Self::from(of_this_thread());
        let result = f();
        (result, Self::from(of_this_thread()).since(before))
    }

    /// What happened after `earlier` was read.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            allocations: self.allocations - earlier.allocations,
            reallocations: self.reallocations - earlier.reallocations,
            deallocations: self.deallocations - earlier.deallocations,
            bytes: self.bytes - earlier.bytes,
        }
    }
}

impl From<Counts> for AllocReport {
    fn from(counts: Counts) -> Self {
        let Counts { allocations, reallocations, deallocations, bytes } = counts;
        Self { allocations, reallocations, deallocations, bytes }
    }
}

/// What all threads together did since the program began.
#[must_use]
pub fn totals() -> AllocReport {
    of_all_threads().into()
}

/// Whether a [`CountingAllocator`] is this program's global allocator.
#[must_use]
pub fn is_counting() -> bool {
    AllocReport::of(|| std::hint::black_box(Box::new(0u8))).1.allocations > 0
}

/// Runs a block and asserts how many allocations and reallocations this thread did in it. Returns the block's
/// value.
///
/// # Panics
///
/// When the number is another one, or when no [`CountingAllocator`] is installed.
///
/// # Examples
///
/// ```
/// use ebbtide::{Pool, assert_allocs, bench::CountingAllocator};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator::new();
///
/// let pool = Pool::new(|| Vec::<u8>::with_capacity(100));
/// drop(pool.get());
/// assert_allocs!(0, { pool.get().push(1) });
/// ```
#[macro_export]
macro_rules! assert_allocs {
    ($expected:expr, $block:block) => {{
        assert!($crate::bench::is_counting(), "no CountingAllocator is the global allocator");
        let (value, report) = $crate::bench::AllocReport::of(|| $block);
        let expected: u64 = $expected;
        assert_eq!(report.allocations + report.reallocations, expected, "allocations: {report:?}");
        value
    }};
}
