//! How a pool is made, and what it keeps at most.

use super::Pool;
use super::budget::Budget;
use super::home::{Bounds, Home, Hooks, OwnHooks};
use super::reset::{Reset, Verdict};
use crate::sync::Arc;

/// Settings of a [`Pool`]. Every bound is finite by default.
///
/// # Examples
///
/// ```
/// use ebbtide::{DropReason, Pool};
///
/// let pool = Pool::builder().max_value_bytes(1024).build(Vec::<u8>::new);
/// pool.get().reserve(1 << 20); // dropped when it comes back
/// assert_eq!(pool.stats().drops(DropReason::Oversize), 1);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct PoolBuilder {
    max_idle: usize,
    max_idle_bytes: usize,
    max_value_bytes: usize,
}

impl Default for PoolBuilder {
    fn default() -> Self {
        Self { max_idle: 1024, max_idle_bytes: 64 << 20, max_value_bytes: 4 << 20 }
    }
}

impl PoolBuilder {
    /// Values that may wait at once. Default: 1,024. The pool allocates two words for each.
    pub fn max_idle(mut self, values: usize) -> Self {
        self.max_idle = values;
        self
    }

    /// Bytes that waiting values may keep together, as [`Reset::retained_bytes`] tells, and
    /// their own size. Default: 64 MiB.
    pub fn max_idle_bytes(mut self, bytes: usize) -> Self {
        self.max_idle_bytes = bytes;
        self
    }

    /// Bytes that one value may keep. A larger one is dropped when it comes back. Default: 4 MiB.
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// A pool of values that know how to reset themselves.
    pub fn build<T, F>(self, factory: F) -> Pool<T>
    where
        T: Reset + Send + 'static,
        F: Fn() -> T + Send + Sync + 'static,
    {
        self.build_with_hooks(factory, OwnHooks)
    }

    /// A pool of values of a foreign type; see [`Pool::with_reset`].
    pub fn build_with_reset<T, F, R, V>(self, factory: F, reset: R) -> Pool<T>
    where
        T: Send + 'static,
        F: Fn() -> T + Send + Sync + 'static,
        R: Fn(&mut T) -> V + Send + Sync + 'static,
        V: Into<Verdict>,
    {
        self.build_with_hooks(factory, ResetBy(move |value: &mut T| reset(value).into()))
    }

    fn build_with_hooks<T, F>(self, factory: F, hooks: impl Hooks<T> + 'static) -> Pool<T>
    where
        T: Send + 'static,
        F: Fn() -> T + Send + Sync + 'static,
    {
        let bounds = Bounds { values: self.max_idle, value_bytes: self.max_value_bytes };
        let bytes = Arc::new(Budget::new(self.max_idle_bytes));
        Pool::from_parts(Home::new(hooks, bounds, bytes), Box::new(factory))
    }
}

/// Hooks of a foreign type: a closure resets it, and what it keeps on the heap is not known.
struct ResetBy<R>(R);

impl<T, R: Fn(&mut T) -> Verdict + Send + Sync> Hooks<T> for ResetBy<R> {
    fn reset(&self, value: &mut T) -> Verdict {
        (self.0)(value)
    }
    fn retained_bytes(&self, _: &T) -> usize {
        0
    }
}
