//! The object pool.
//!
//! Values are made once and lent again and again: [`Pool::get`] takes an idle value or makes one, the drop of
//! the lease [resets](Reset) it and gives it back. What waits is bounded in count and in bytes.
//!
//! **Contract**: giving a value back happens-before the `get` that returns it.
//!
//! **How**: each thread has a magazine of idle values at hand and works with it without atomic read-modify-writes. A magazine
//! that runs empty or full exchanges a whole chain of values with a depot that all threads share. A thread that ends gives
//! its magazine back. [`Pool::trim`] ages what nobody uses, also the hoard of a thread that sleeps.
//!
//! **Not for** small plain buffers on one thread: a modern allocator is as fast there. A pool wins on values
//! that are costly to build or to grow, and where memory must stay bounded.
//!
//! # A limit on leases
//!
//! A pool bounds what waits, not what is out: `get` never waits for others. Where only so many may be out at once, a
//! permit of tokio's `Semaphore` goes with each lease. The permit is taken first and dropped last (locals are dropped in
//! reverse order, fields in order), so a lease is back before the next is out. It limits leases, not values: one
//! that came back may wait at its thread's hand while another thread makes its own.
//!
//! ```
//! use ebbtide::{Pool, Pooled};
//! use std::sync::Arc;
//! use tokio::sync::{OwnedSemaphorePermit, Semaphore};
//!
//! struct Limited {
//!     pool: Pool<Vec<u8>>,
//!     permits: Arc<Semaphore>,
//! }
//!
//! impl Limited {
//!     /// Waits until fewer than the limit are out. A caller that is cancelled while it waits holds nothing.
//!     async fn get(&self) -> (Pooled<Vec<u8>>, OwnedSemaphorePermit) {
//!         let permit = Arc::clone(&self.permits).acquire_owned().await.expect("nobody closes the semaphore");
//!         (self.pool.get(), permit)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let limited = Limited { pool: Pool::new(Vec::new), permits: Arc::new(Semaphore::new(2)) };
//! let first = limited.get().await;
//! let (mut buffer, _permit) = limited.get().await;
//! buffer.push(1);
//! assert_eq!(limited.permits.available_permits(), 0); // a third would wait
//! drop(first); // the lease goes back, then its permit
//! assert_eq!(limited.permits.available_permits(), 1);
//! let _third = limited.get().await;
//! assert_eq!(limited.pool.stats().made, 2);
//! # }
//! ```
//!
//! # When a value is suspected
//!
//! A pool hides faults: memory that is used after it went back is still there, and a field that a reset forgets shows up with
//! somebody else. Three switches bring them to light, in the build that is shipped: [`PoolDebug`] for a pool, or
//! `EBBTIDE_POOLS=poison,verify` in the environment for all pools of the process.
//!
//! | switch | what it does | what it finds |
//! |---|---|---|
//! | `no-pool` | frees each value when it comes back, after its reset | by AddressSanitizer or valgrind: a use after the return |
//! | `poison` | fills what a value keeps but does not show with [`PoolDebug::POISON`], when it comes back | a read of room that was never written: it gets that byte, not a neighbour's secret |
//! | `verify` | asks [`Reset::is_clean`] before a value is lent again | a change while it waited, and what a reset forgot |
//!
//! `poison` and `verify` together also find a write into a buffer after its return: its poison is not whole. The room of a
//! `Vec` is poisoned, but not looked at afterwards. A value that fails is never lent: it is dropped as
//! [`DropReason::Damaged`] and named on stderr; the next one is taken. A type that is reset by a closure is neither poisoned nor
//! looked at. The switches do not reach the memory of a request, which is no value of a pool.
//!
//! ```
//! use ebbtide::{DropReason, Pool, PoolDebug, Reset, Verdict};
//!
//! struct Visitor {
//!     name: String,
//! }
//!
//! impl Reset for Visitor {
//!     fn reset(&mut self) -> Verdict {
//!         Verdict::Keep // forgets the name
//!     }
//!     fn is_clean(&self) -> bool {
//!         self.name.is_clean()
//!     }
//! }
//!
//! let pool = Pool::builder().debug(PoolDebug::none().verify()).build(|| Visitor { name: String::new() });
//! pool.get().name.push_str("Alice");
//! assert_eq!(pool.get().name, ""); // made anew
//! assert_eq!(pool.stats().drops(DropReason::Damaged), 1);
//! ```

mod audit;
mod books;
mod budget;
mod builder;
mod collections;
mod debug;
mod ended;
mod guard;
mod home;
mod hooks;
mod plain;
mod reclaims;
pub(crate) mod records;
mod registry;
mod reset;
mod stats;
pub(crate) mod tagged;
mod watched;

pub use audit::Imbalance;
pub use budget::{process_bytes, set_process_limit};
pub use builder::PoolBuilder;
pub use debug::PoolDebug;
#[cfg(feature = "derive")]
#[doc(inline)]
pub use ebbtide_derive::Reset;
pub use ended::Outstanding;
pub use guard::Pooled;
pub use reclaims::{Reclaims, Times};
pub use reset::{Reset, Verdict};
pub(crate) use stats::part_of;
pub use stats::{DropReason, PoolStats};

pub(crate) use audit::{begin_audit, each_imbalance, end_audit, find_by, unaudited};
pub(crate) use books::{LiveTask, TAGS, TagBooks, each_tag, tag};
pub(crate) use builder::AGE_EVERY;
pub(crate) use home::{Home, Lent, Node, Settings, Shell, dispose, give_back, give_back_fixed};
pub(crate) use hooks::{Fixed, FixedHooks, Judged, LARGE};
pub(crate) use reclaims::request_took;
pub(crate) use registry::each_pool;
pub(crate) use reset::both;

pub(crate) use crate::raw::budget::Budget;

use crate::raw::lease::Lease;
use crate::raw::unwind::Quiet;
use crate::raw::watch::{self, Tag};
use core::fmt;
use core::future::poll_fn;
use core::panic::Location;
use std::sync::Arc;
use std::time::Instant;

/// A pool of resettable values, lock-free but for what is rare: a thread's first `get`, closing, trimming, and sharing out
/// what sleeping threads hold. Cloning gives another handle to the same pool.
///
/// When the last handle is dropped, idle values are freed, and leased ones when they come back. A value that
/// itself holds a handle of its own pool keeps it alive until [`close`](Self::close).
///
/// # Examples
///
/// ```
/// use ebbtide::Pool;
///
/// let pool = Pool::new(|| Vec::<u64>::with_capacity(1000));
/// {
///     let mut numbers = pool.get();
///     numbers.extend(1..=10);
/// } // cleared, and back in the pool
/// let numbers = pool.get();
/// assert!(numbers.is_empty());
/// assert_eq!(pool.stats().made, 1);
/// ```
pub struct Pool<T: Send + 'static> {
    home: Arc<Home<T>>,
    handle: Arc<Handle<T>>,
}

/// What the handles of a pool share; its drop closes the pool.
struct Handle<T: Send + 'static> {
    home: Arc<Home<T>>,
    make: Quiet<Box<dyn Fn() -> T + Send + Sync>>,
}

impl<T: Send + 'static> Drop for Handle<T> {
    fn drop(&mut self) {
        self.home.close();
    }
}

impl Pool<()> {
    /// Settings for a pool of any type: see [`PoolBuilder`].
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }
}

impl<T: Send + 'static> Pool<T> {
    /// A pool with default bounds of values that `factory` makes.
    pub fn new(factory: impl Fn() -> T + Send + Sync + 'static) -> Self
    where
        T: Reset,
    {
        PoolBuilder::default().build(factory)
    }

    /// A pool of values of a foreign type, which `reset` makes as good as new. A closure that returns `()`
    /// means [`Verdict::Keep`].
    ///
    /// What such a value keeps on the heap is not known: the pool's bounds in bytes count its own size and nothing else, and none is
    /// dropped for being far larger than its uses. Where it can grow, `reset` says [`Verdict::Discard`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ebbtide::{Pool, Verdict};
    /// use std::path::PathBuf;
    ///
    /// let paths = Pool::with_reset(PathBuf::new, |path| path.clear());
    /// let short = Pool::with_reset(PathBuf::new, |path| {
    ///     path.clear();
    ///     if path.capacity() > 256 { Verdict::Discard } else { Verdict::Keep }
    /// });
    /// # drop((paths.get(), short.get()));
    /// ```
    pub fn with_reset<V: Into<Verdict>>(
        factory: impl Fn() -> T + Send + Sync + 'static,
        reset: impl Fn(&mut T) -> V + Send + Sync + 'static,
    ) -> Self {
        PoolBuilder::default().build_with_reset(factory, reset)
    }

    fn from_parts(home: Arc<Home<T>>, make: Box<dyn Fn() -> T + Send + Sync>) -> Self {
        Self { home: Arc::clone(&home), handle: Arc::new(Handle { home, make: Quiet::new(make) }) }
    }

    /// Lends an idle value, or one that the factory makes.
    ///
    /// **Cost**: some twenty instructions, no locked one, when this thread has an idle value at hand; one shared operation for
    /// a chain of values when others have given some back; without an idle value, the factory and one box, or that of a
    /// value that this thread has [detached](Pooled::detach). Where Linux'
    /// `membarrier` is not to be had, a full fence comes on top.
    ///
    /// # Panics
    ///
    /// Only if the factory does; the pool is whole then.
    #[must_use]
    #[track_caller]
    pub fn get(&self) -> Pooled<T> {
        match self.home.take_at_hand() {
            Some(lease) => Pooled::new(lease),
            None => self.get_slow(),
        }
    }

    #[cold]
    #[track_caller]
    fn get_slow(&self) -> Pooled<T> {
        match watch::only_named() {
            Some(tag) => self.get_tagged(tag),
            None => self.get_beyond(),
        }
    }

    /// As `get`, under a name.
    #[inline(never)]
    #[track_caller]
    fn get_tagged(&self, tag: &Tag) -> Pooled<T> {
        match self.home.take_under(tag) {
            Some(lease) => Pooled::new(lease),
            None => self.get_watched(),
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn get_beyond(&self) -> Pooled<T> {
        if self.home.is_take_watched() {
            return self.get_watched();
        }
        Pooled::new(self.home.take_slow().unwrap_or_else(|| self.make()))
    }

    fn make(&self) -> Lease<Node<T>> {
        Home::lease_new(&self.home, (self.handle.make)())
    }

    /// As `get`, where the short way is shut.
    #[cold]
    #[track_caller]
    fn get_watched(&self) -> Pooled<T> {
        let lease = self.home.take_watched().unwrap_or_else(|| self.make());
        Pooled::new(self.home.noted(lease, Location::caller()))
    }

    /// As `get`, for what is the crate's own, and taken for nobody in particular.
    #[inline]
    pub(crate) fn get_unwatched(&self) -> Pooled<T> {
        match self.home.take_at_hand() {
            Some(lease) => Pooled::new(lease),
            None => self.get_unwatched_slow(),
        }
    }

    #[cold]
    fn get_unwatched_slow(&self) -> Pooled<T> {
        let taken = if self.home.is_take_watched() { self.home.take_watched() } else { self.home.take_slow() };
        let lease = taken.unwrap_or_else(|| self.make());
        watch::rest();
        Pooled::new(lease)
    }

    /// Lends an idle value, if there is one.
    #[must_use]
    #[track_caller]
    pub fn try_get(&self) -> Option<Pooled<T>> {
        self.home.take().map(Pooled::new)
    }

    /// Gives the pool a value from outside. It is reset and subject to the same bounds as one that comes back.
    pub fn put(&self, value: T) {
        Home::adopt(&self.home, value);
    }

    /// Frees the values that are idle now, and what detached ones left.
    ///
    /// **Cost**: all of it in one call, which is the longer the more there is; [`trim`](Self::trim) does it in pieces.
    pub fn clear(&self) {
        self.home.clear();
    }

    /// Ages what is idle by one step: what has waited through one step is freed by the next. Threads that took nothing
    /// since the last step lose what they have at hand to this ageing, others the half of it that has lain longest, or all but 256
    /// values where that is more. Call it from a timer: a pool without traffic shrinks to nothing in three steps.
    ///
    /// **Cost**: however many wait, a call frees at most 256 values and the boxes of at most 319 that were detached, and walks
    /// over at most 511 that it leaves to threads, whose magazines are shut as long: some tens of microseconds where the values' own
    /// drops are short. `false` says that this step is not done, and another call goes on with it. One thing is not capped: where
    /// the depot is full of short chains, those that come from threads are joined to others, and the shorter of each two is walked.
    pub fn trim(&self) -> bool {
        self.home.trim()
    }

    /// Trims if a step is due at `now`, or not done yet. The clock is the caller's: a timer, or a test.
    ///
    /// # Examples
    ///
    /// ```
    /// use ebbtide::Pool;
    /// use std::time::{Duration, Instant};
    ///
    /// let pool = Pool::new(String::new);
    /// drop((0..100).map(|_| pool.get()).collect::<Vec<_>>());
    /// let begin = Instant::now();
    /// for step in 0..4 {
    ///     while !pool.trim_at(begin + Duration::from_secs(30 * step)) {}
    /// }
    /// assert_eq!(pool.stats().live, 0);
    /// ```
    pub fn trim_at(&self, now: Instant) -> bool {
        self.home.trim_at(now)
    }

    /// Makes `values` values and lets them wait, as far as the bounds allow.
    ///
    /// # Panics
    ///
    /// Only if the factory does.
    pub fn prefill(&self, values: usize) {
        (0..values).for_each(|_| self.put((self.handle.make)()));
    }

    /// Closes the pool for all handles: idle values are freed now, leased ones when they come back. `get`
    /// still works, with values that are not kept. It waits for nobody's lease; for a thread that is just
    /// at its values it looks again a few times: what a thread that is put off its processor in the midst
    /// of a `get` or drop has at hand is freed by the next trim, wait, end of a thread or beginning of a `Pool`.
    pub fn close(&self) {
        self.home.close();
    }

    /// Waits until the pool is closed and has everything back. It does not close the pool. Dropping the future
    /// stops waiting, and nothing else.
    pub async fn closed(&self) {
        let mut ending = home::Ending::of(&self.home);
        poll_fn(|context| ending.poll(context.waker())).await;
    }

    /// Blocks until the pool is closed and has everything back, or until `deadline`. It does not close the pool.
    ///
    /// # Errors
    ///
    /// [`Outstanding`] says how many values of which pool are still out. Under which tags values are out, of all pools together, is in
    /// the [`Ledger`](crate::observe::Ledger); where they were taken, as far as leases are sampled, with a
    /// [`LeakDetector`](crate::observe::LeakDetector).
    pub fn wait_closed(&self, deadline: Instant) -> Result<(), Outstanding> {
        self.home.wait_ended(deadline)
    }

    /// A snapshot of the pool's numbers.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        self.home.stats()
    }
}

impl<T: Send + 'static> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self { home: Arc::clone(&self.home), handle: Arc::clone(&self.handle) }
    }
}

impl<T: Send + 'static> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("stats", &self.stats()).finish()
    }
}
