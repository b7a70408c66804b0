//! How long to compare: [`Plan`], and the comparison of closures and of async handlers.

use super::comparison::Comparison;
use super::turns::{Counting, Way, take_turns};
use std::convert::Infallible;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Compares two closures, by the usual [`Plan`]: see [`Plan::compare`].
pub fn compare<A, B>(first: &str, a: impl FnMut() -> A, second: &str, b: impl FnMut() -> B) -> Comparison {
    Plan::new().compare(first, a, second, b)
}

/// Compares two async handlers, by the usual [`Plan`]: see [`Plan::compare_async`].
pub async fn compare_async<A, B>(
    first: &str,
    a: impl AsyncFnMut() -> A,
    second: &str,
    b: impl AsyncFnMut() -> B,
) -> Comparison {
    Plan::new().compare_async(first, a, second, b).await
}

/// For how long two ways are compared: a warm-up of each, then rounds in which each gets its turn, the other way round in
/// every second one.
///
/// # Examples
///
/// ```
/// use ebbtide::bench::Plan;
///
/// let comparison = Plan::quick().rounds(5).compare("sum", || (0..1000u64).sum::<u64>(), "nothing", || ());
/// assert!(comparison.ratio().median < 1.0);
/// assert_eq!(comparison.second().allocations(), None, "no CountingAllocator is installed here");
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) rounds: usize,
    pub(super) span: Duration,
    pub(super) warm_up: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

impl Plan {
    /// 31 rounds in which each way gets 25 milliseconds, after 200 milliseconds of warm-up each: two seconds in all.
    #[must_use]
    pub fn new() -> Self {
        Self { rounds: 31, span: Duration::from_millis(25), warm_up: Duration::from_millis(200) }
    }

    /// 15 rounds of 2 milliseconds, after 20: enough for allocations, and for large differences in time.
    #[must_use]
    pub fn quick() -> Self {
        Self { rounds: 15, span: Duration::from_millis(2), warm_up: Duration::from_millis(20) }
    }

    /// So many rounds, of which there is one at least. Fewer than fifteen say little about time.
    #[must_use]
    pub fn rounds(self, rounds: usize) -> Self {
        Self { rounds: rounds.max(1), ..self }
    }

    /// So long for each way in each round; one sample at least.
    #[must_use]
    pub fn span(self, span: Duration) -> Self {
        Self { span, ..self }
    }

    /// So long for each way before the first round.
    #[must_use]
    pub fn warm_up(self, warm_up: Duration) -> Self {
        Self { warm_up, ..self }
    }

    /// Compares two closures: time, and this thread's allocations and peak of memory.
    ///
    /// What they return is dropped within the measured time. Calls that take less than 20 microseconds are timed several at
    /// once, and percentiles are of the mean of these.
    ///
    /// **Cost**: `rounds` times `span` for each way, and the warm-up. Counting makes each allocation some nanoseconds dearer, so
    /// times that decide should be taken without a [`CountingAllocator`](super::CountingAllocator).
    pub fn compare<A, B>(&self, first: &str, a: impl FnMut() -> A, second: &str, b: impl FnMut() -> B) -> Comparison {
        let (mut a, mut b) = (Closure(a), Closure(b));
        let Ok(comparison) = at_once(take_turns(self, Counting::Thread, [first, second], &mut a, &mut b));
        comparison
    }

    /// Compares two async handlers, one call after the other: time, and what all threads of the process allocate meanwhile.
    ///
    /// Runs on whatever runtime it is awaited on. A future that is dropped half-way has measured nothing.
    ///
    /// **Cost**: as [`compare`](Self::compare).
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use ebbtide::bench::Plan;
    ///
    /// async fn handler(name: &str) -> String {
    ///     tokio::task::yield_now().await;
    ///     format!("hello, {name}")
    /// }
    ///
    /// let comparison = Plan::quick()
    ///     .compare_async("once", async || handler("world").await, "twice", async || (handler("a").await, handler("b").await))
    ///     .await;
    /// println!("{comparison}");
    /// # });
    /// ```
    pub async fn compare_async<A, B>(
        &self,
        first: &str,
        a: impl AsyncFnMut() -> A,
        second: &str,
        b: impl AsyncFnMut() -> B,
    ) -> Comparison {
        let (mut a, mut b) = (Handler(a), Handler(b));
        let Ok(comparison) = take_turns(self, Counting::Process, [first, second], &mut a, &mut b).await;
        comparison
    }
}

struct Closure<F>(F);

impl<R, F: FnMut() -> R> Way for Closure<F> {
    type Input = usize;
    type Error = Infallible;

    fn prepare(&mut self, calls: usize) -> usize {
        calls
    }

    async fn run(&mut self, calls: usize) -> Result<(), Infallible> {
        (0..calls).for_each(|_| drop(black_box((self.0)())));
        Ok(())
    }
}

struct Handler<F>(F);

impl<R, F: AsyncFnMut() -> R> Way for Handler<F> {
    type Input = usize;
    type Error = Infallible;

    fn prepare(&mut self, calls: usize) -> usize {
        calls
    }

    async fn run(&mut self, calls: usize) -> Result<(), Infallible> {
        for _ in 0..calls {
            drop(black_box((self.0)().await));
        }
        Ok(())
    }
}

/// Runs a future that never waits: that of two closures.
fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}
