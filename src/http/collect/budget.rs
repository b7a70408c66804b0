//! What all bodies of a server may hold together.

use super::times::Queue;
use crate::pool::Budget;
use core::{fmt, mem};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Bytes that bodies in collection and collected ones may hold together. Cloning gives another handle to the same
/// budget: one for a server, in the [`Limits`](super::Limits) of each request.
///
/// A body that claims a size is charged for it, and a quarter for rounding, before its first byte is read: once it is
/// admitted it does not fail for lack of budget. A body of unknown size is charged as it grows, and fails when the budget
/// is out ([`CollectError::NoBudget`](super::CollectError::NoBudget), 503). A body in segments that is gathered into one piece
/// is charged for both while that lasts, and may fail there ([`Collected::try_contiguous`](super::Collected::try_contiguous)). Nobody waits for budget while holding some: waiting, if asked for
/// (`Limits::wait`, feature `tokio`), comes before the first byte.
///
/// What is asked for by a call that cannot fail is charged also beyond the bound, and refuses others
/// meanwhile: [`Collected::contiguous`](super::Collected::contiguous), and the copies of `copy_to_bytes`.
/// A body of one frame that is passed on uncopied is charged its length; what else of hyper's memory it pins is not known.
///
/// **Cost**: one shared atomic operation to admit, for each segment, and for the release.
///
/// # Examples
///
/// ```
/// use ebbtide::{BufferPool, http::{BodyBudget, Limits, collect}};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let (buffers, budget) = (BufferPool::new(), BodyBudget::new(16_000));
/// let limits = Limits::new(20_000).budget(&budget);
/// let body = http_body_util::Full::new(&[7; 6000][..]);
/// let collected = collect(body.clone(), &buffers, limits.clone()).await.unwrap();
/// assert_eq!(budget.used_bytes(), 6000);
/// let refused = collect(body, &buffers, limits).await.unwrap_err();
/// assert_eq!(refused.status(), 503);
/// drop(collected);
/// assert_eq!(budget.used_bytes(), 0);
/// # }
/// ```
#[derive(Clone)]
pub struct BodyBudget(Arc<Shared>);

struct Shared {
    bytes: Budget,
    max_bytes: usize,
    queue: Queue,
}

impl BodyBudget {
    /// A budget of `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self(Arc::new(Shared { bytes: Budget::over(max_bytes, None), max_bytes, queue: Queue::default() }))
    }

    /// Bytes that are charged now.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.0.bytes.used()
    }

    /// Bytes that may be charged.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.0.max_bytes
    }

    /// A permit for `bytes`, if they are free now.
    pub(super) fn permit(&self, bytes: usize) -> Option<Permit> {
        self.0.bytes.reserve(bytes).then(|| Permit { budget: self.clone(), bytes })
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.0.queue
    }

    fn release(&self, bytes: usize) {
        if bytes > 0 {
            self.0.bytes.release(bytes);
            // It runs the waker of whoever waits, and this is called by drops: a panic there goes no further, nor one in
            // the drop of its payload, which is lost then.
            let told = catch_unwind(AssertUnwindSafe(|| self.0.queue.freed()));
            if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(told))) {
                mem::forget(second);
            }
        }
    }
}

impl fmt::Debug for BodyBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyBudget").field("used", &self.used_bytes()).field("max", &self.max_bytes()).finish()
    }
}

/// Bytes of a budget that one body holds. They go back when this is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    budget: BodyBudget,
    bytes: usize,
}

impl Permit {
    /// Takes what is missing to `bytes`; `false` if the budget does not have it.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.bytes);
        let grown = missing == 0 || self.budget.0.bytes.reserve(missing);
        if grown {
            self.bytes += missing;
        }
        grown
    }

    /// A permit for `bytes` of the same budget, if they are free now.
    pub(super) fn beside(&self, bytes: usize) -> Option<Self> {
        self.budget.permit(bytes)
    }

    /// A permit for `bytes` of the same budget, also if they are not free.
    pub(super) fn overdrawn(&self, bytes: usize) -> Self {
        // Only a sum beyond `usize` is not charged.
        let bytes = if self.budget.0.bytes.reserve_up_to(bytes, usize::MAX) { bytes } else { 0 };
        Self { budget: self.budget.clone(), bytes }
    }

    /// Gives back what is beyond `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        let beyond = self.bytes.saturating_sub(bytes);
        self.bytes -= beyond;
        self.budget.release(beyond);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}
