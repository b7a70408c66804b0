//! What the heap did over some time: [`AllocReport`], of one thread or of all.

use crate::raw::counting::{self, Counts, PeakOfThread};

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
    /// Bytes by which what is allocated and not freed has grown; negative where more was freed.
    pub live: i64,
    /// Bytes of the most that was live at once, above what was live at the begin.
    pub peak: i64,
}

impl AllocReport {
    /// Runs `f` and reports what this thread did meanwhile.
    ///
    /// **Cost**: two copies of the thread's counts, beside what [`CountingAllocator`](super::CountingAllocator) costs.
    pub fn of<R>(f: impl FnOnce() -> R) -> (R, Self) {
        let _stretch = PeakOfThread::begin();
        let before = of_this_thread();
        let result = f();
        (result, of_this_thread().since(before))
    }

    /// What happened after `earlier` was read. The peak counts from where [`reset_peak`](super::reset_peak), or
    /// [`of`](Self::of), last let it begin anew.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            allocations: self.allocations - earlier.allocations,
            reallocations: self.reallocations - earlier.reallocations,
            deallocations: self.deallocations - earlier.deallocations,
            bytes: self.bytes - earlier.bytes,
            live: self.live - earlier.live,
            peak: self.peak - earlier.live,
        }
    }

    /// How often the allocator was asked for memory: allocations and reallocations.
    #[must_use]
    pub fn calls(self) -> u64 {
        self.allocations + self.reallocations
    }
}

impl From<Counts> for AllocReport {
    fn from(counts: Counts) -> Self {
        let Counts { allocations, reallocations, deallocations, bytes, live, peak } = counts;
        Self { allocations, reallocations, deallocations, bytes, live, peak }
    }
}

/// What all threads together did since the program began. Its `peak` is that of [`peak`](super::peak).
#[must_use]
pub fn totals() -> AllocReport {
    counting::of_all_threads().into()
}

/// What this thread did since it began.
#[must_use]
pub fn of_this_thread() -> AllocReport {
    counting::of_this_thread().into()
}

/// Whether a [`CountingAllocator`](super::CountingAllocator) is this program's global allocator.
#[must_use]
pub fn is_counting() -> bool {
    AllocReport::of(|| std::hint::black_box(Box::new(0u8))).1.allocations > 0
}

/// Runs a block and asserts how many allocations and reallocations this thread did in it. Returns the block's
/// value.
///
/// # Panics
///
/// When the number is another one, or when no [`CountingAllocator`](crate::bench::CountingAllocator) is installed.
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
        assert_eq!(report.calls(), expected, "allocations: {report:?}");
        value
    }};
}
