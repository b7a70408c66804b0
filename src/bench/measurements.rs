//! Allocations and allocated bytes as measurements of criterion.

use super::report::{AllocReport, totals};
use criterion::measurement::{Measurement, ValueFormatter};
use criterion::{Criterion, Throughput};
use std::hint::black_box;

/// A measurement that reads the heap's counts.
pub trait Counted: Measurement {
    /// What it counts, as a word for the table of zeros.
    const UNIT: &'static str;

    /// Its part of a report.
    fn part(report: AllocReport) -> u64;
}

/// Measures allocations and reallocations of all threads instead of time: `cargo bench` then has criterion's statistics,
/// plots and baselines for them.
///
/// Needs a [`CountingAllocator`](super::CountingAllocator) as the global allocator. criterion makes no estimate of what is
/// zero in a sample: [`bench_or_zero`] does.
///
/// # Examples
///
/// A bench of its own, since counting makes times dearer:
///
/// ```no_run
/// use criterion::{Criterion, criterion_group, criterion_main};
/// use ebbtide::bench::{Allocations, CountingAllocator, bench_or_zero};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator::new();
///
/// fn texts(c: &mut Criterion<Allocations>) {
///     bench_or_zero(c, "texts/format", || format!("{:>200}", 7));
///     bench_or_zero(c, "texts/sum", || 3 + 4);
/// }
///
/// criterion_group! { name = benches; config = Criterion::default().with_measurement(Allocations); targets = texts }
/// criterion_main!(benches);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Allocations;

/// Measures bytes that all threads allocate instead of time, as [`Allocations`] does the number of allocations.
#[derive(Clone, Copy, Debug)]
pub struct AllocatedBytes;

impl Counted for Allocations {
    const UNIT: &'static str = "allocations";

    fn part(report: AllocReport) -> u64 {
        report.calls()
    }
}

impl Counted for AllocatedBytes {
    const UNIT: &'static str = "B";

    fn part(report: AllocReport) -> u64 {
        report.bytes
    }
}

/// Calls before anything is counted: pools and arenas fill.
const WARM_UP: usize = 1000;
/// Calls in which nothing must be allocated to pass for zero.
const CALLS: usize = 1000;

/// Benches `routine` under the name `id`, unless it allocates nothing once it is warm: then its line says zero, and criterion
/// is not asked, which makes no estimate of it. True if criterion was asked.
///
/// **Cost**: 2,000 calls of `routine`, beside criterion's.
pub fn bench_or_zero<M: Counted + 'static, R>(c: &mut Criterion<M>, id: &str, mut routine: impl FnMut() -> R) -> bool {
    (0..WARM_UP).for_each(|_| drop(black_box(routine())));
    let before = totals();
    (0..CALLS).for_each(|_| drop(black_box(routine())));
    if M::part(totals().since(before)) == 0 {
        println!("{id}\n{:24}none:   [0 {} in each of {CALLS} calls]", "", M::UNIT);
        return false;
    }
    c.bench_function(id, |bencher| bencher.iter(&mut routine));
    true
}

impl Measurement for Allocations {
    type Intermediate = u64;
    type Value = u64;

    fn start(&self) -> u64 {
        Self::part(totals())
    }

    fn end(&self, began: u64) -> u64 {
        Self::part(totals()) - began
    }

    fn add(&self, a: &u64, b: &u64) -> u64 {
        a + b
    }

    fn zero(&self) -> u64 {
        0
    }

    fn to_f64(&self, value: &u64) -> f64 {
        *value as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &Unit(Self::UNIT)
    }
}

impl Measurement for AllocatedBytes {
    type Intermediate = u64;
    type Value = u64;

    fn start(&self) -> u64 {
        Self::part(totals())
    }

    fn end(&self, began: u64) -> u64 {
        Self::part(totals()) - began
    }

    fn add(&self, a: &u64, b: &u64) -> u64 {
        a + b
    }

    fn zero(&self) -> u64 {
        0
    }

    fn to_f64(&self, value: &u64) -> f64 {
        *value as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &Unit(Self::UNIT)
    }
}

/// Counts are shown as they are, in this unit.
struct Unit(&'static str);

impl ValueFormatter for Unit {
    fn scale_values(&self, _: f64, _: &mut [f64]) -> &'static str {
        self.0
    }

    /// By byte, or by element.
    fn scale_throughputs(&self, _: f64, throughput: &Throughput, values: &mut [f64]) -> &'static str {
        let (by, unit) = match *throughput {
            Throughput::Elements(elements) | Throughput::ElementsAndBytes { elements, .. } => (elements, "an element"),
            Throughput::Bits(bits) => (bits, "a bit"),
            Throughput::Bytes(bytes) | Throughput::BytesDecimal(bytes) => (bytes, "a byte"),
        };
        values.iter_mut().for_each(|value| *value /= by as f64);
        unit
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_shown_as_they_are_and_by_element() {
        let formatter = Allocations.formatter();
        assert_eq!(formatter.format_value(12.0), "12.000 allocations");
        let mut values = [12.0, 24.0];
        assert_eq!(formatter.scale_throughputs(12.0, &Throughput::Elements(4), &mut values), "an element");
        assert_eq!((values, AllocatedBytes.to_f64(&7)), ([3.0, 6.0], 7.0));
    }
}
