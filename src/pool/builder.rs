//! How a pool is made, and what it keeps at most.

use super::Pool;
use super::debug::PoolDebug;
use super::home::{Home, Settings};
use super::hooks::{Hooks, OwnHooks, ResetBy};
use super::registry;
use super::reset::{Reset, Verdict};
use crate::raw::budget::Budget;
use std::sync::Arc;
use std::time::Duration;

/// Time between two steps of ageing, unless another is set.
pub(crate) const AGE_EVERY: Duration = Duration::from_secs(30);

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
    max_thread_idle: usize,
    age_every: Duration,
    full_fence: bool,
    debug: PoolDebug,
    name: Option<&'static str>,
}

impl Default for PoolBuilder {
    fn default() -> Self {
        Self {
            max_idle: 1024,
            max_idle_bytes: 64 << 20,
            max_value_bytes: 4 << 20,
            max_thread_idle: 128,
            age_every: AGE_EVERY,
            full_fence: false,
            debug: PoolDebug::none(),
            name: None,
        }
    }
}

impl PoolBuilder {
    /// Values that may wait at once. Default: 1,024. The pool allocates room for chains of them when it begins: 9 KiB by
    /// default, some 1.5 MiB at most.
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

    /// Bytes that one value may keep, its own size included. A larger one is dropped when it comes back. Default: 4 MiB.
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// Values that one thread has at hand, of those that may wait; at least one, also where 0 is said. Default: 128. More make
    /// shared operations rarer, fewer leave less with threads that sleep. Beyond 256 a thread fetches what a
    /// [trim](Pool::trim) took from it by 256 at a time.
    pub fn max_thread_idle(mut self, values: usize) -> Self {
        self.max_thread_idle = values;
        self
    }

    /// Time between two steps of ageing by [`Pool::trim_at`]. Default: 30 seconds.
    pub fn age_every(mut self, time: Duration) -> Self {
        self.age_every = time;
        self
    }

    /// What the pool is called where it is reported. Default: the type of its values.
    pub fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Does without Linux' `membarrier`: every `get` and every drop passes a full fence. It is what happens anyway where
    /// that call is not to be had. A process that forbids the call (a seccomp filter) only when it has pools already needs it
    /// for those: else they can neither trim nor free on [`close`](Pool::close) what threads have at hand, and who waits for
    /// their end asks again and again. Default: `false`.
    pub fn full_fence(mut self, full: bool) -> Self {
        self.full_fence = full;
        self
    }

    /// Switches for a search for faults, beside those of the environment. Default: [`PoolDebug::none`].
    pub fn debug(mut self, switches: PoolDebug) -> Self {
        self.debug = switches;
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

    /// A pool of values of a foreign type; see [`Pool::with_reset`], also for what the bounds in bytes do not see.
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
        let settings = Settings {
            name: self.name.unwrap_or_else(core::any::type_name::<T>),
            class_bytes: 0,
            values: self.max_idle,
            value_bytes: self.max_value_bytes,
            thread_values: self.max_thread_idle,
            age_every: self.age_every,
            full_fence: self.full_fence,
            debug: self.debug,
        };
        registry::finish();
        let bytes = Arc::new(Budget::of_process(self.max_idle_bytes));
        Pool::from_parts(Home::new(hooks, settings, bytes), Box::new(factory))
    }
}
