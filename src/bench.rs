//! Measuring: what the heap does, and how one way to do a thing compares with another.
//!
//! - [`CountingAllocator`] counts allocations, for benchmarks and for tests that pin a number of them with
//!   [`assert_allocs!`](crate::assert_allocs). A program that wants to count installs it as its global allocator. Where none
//!   is installed every count is zero, so the macro checks first that one is, and comparisons say that nothing was counted.
//! - [`compare`] runs two closures by turns and tells times, allocations and memory of both; [`compare_async`] does so with
//!   async handlers, `compare_services` (feature `http`) with whole `tower` services. [`Plan`] says for how long.
//! - `Allocations` and `AllocatedBytes` (feature `criterion`) let `cargo bench` measure these instead of time.
//!
//! # Examples
//!
//! ```
//! use ebbtide::bench::{CountingAllocator, Plan};
//! use ebbtide::Pool;
//!
//! #[global_allocator]
//! static ALLOCATOR: CountingAllocator = CountingAllocator::new();
//!
//! let pool = Pool::new(String::new);
//! let plan = Plan::quick(); // `ebbtide::bench::compare` takes a second or two instead
//! let comparison = plan.compare("fresh", || format!("{:>200}", 7), "pooled", || {
//!     use std::fmt::Write;
//!     let mut text = pool.get();
//!     write!(text, "{:>200}", 7)
//! });
//! println!("{comparison}"); // or `.markdown()`, or `.json()`
//! assert_eq!(comparison.second().allocations(), Some(0.0));
//! ```

mod comparison;
mod interval;
mod plan;
mod process;
mod render;
mod report;
mod turns;

#[cfg(feature = "criterion")]
mod measurements;
#[cfg(feature = "http")]
mod services;

pub use crate::raw::counting::{CountingAllocator, live, peak, reset_peak};
pub use comparison::{Comparison, Side};
pub use interval::{Interval, median, percentile};
#[cfg(feature = "criterion")]
pub use measurements::{AllocatedBytes, Allocations, Counted, bench_or_zero};
pub use plan::{Plan, compare, compare_async};
pub use process::{processor_time, resident_bytes};
pub use report::{AllocReport, is_counting, of_this_thread, totals};
#[cfg(feature = "http")]
pub use services::{ServiceError, compare_services};
