//! Leases that do not come back: a sample of them in production, all of them in tests.

use crate::pool::records::{self, LeaseRecord};
use crate::raw::unwind::caught;
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use pin_project_lite::pin_project;
use std::thread::panicking;
use std::time::Instant;

/// One lease in so many is looked at, unless it is set.
const EVERY: usize = 1024;
/// A lease that is older is suspected, unless it is set.
const AGE: Duration = Duration::from_secs(60);

/// Looks at one lease in many, and remembers where it was taken, under which tag, and what was done with it, until it is
/// back. One that is out for long is suspected.
///
/// There is one of it in a process; a later one changes the settings of the first. Its drop ends the sampling; what is on
/// record stays until it is back.
///
/// Somebody has to ask it: [`poll`](Self::poll) from a timer, or a `Monitor` (feature `observe`) that it is given to by `MonitorBuilder::leaks`.
///
/// **Cost**: three instructions for each lease, with a detector or without; with one, some thousands for one lease in 1,024. It looks at
/// 1,024 leases at once; while so many are out, none is added ([`unrecorded`](Self::unrecorded)).
///
/// # Examples
///
/// ```
/// use ebbtide::{Pool, observe::LeakDetector};
/// use std::time::{Duration, Instant};
///
/// let leaks = LeakDetector::new().with_sampling(256).with_age(Duration::from_secs(30));
/// let pool = Pool::builder().name("sessions").build(String::new);
/// let held: Vec<_> = (0..1000).map(|_| pool.get()).collect();
/// let line = line!() - 1;
///
/// let now = Instant::now(); // The caller's clock: a timer, or a test.
/// leaks.poll(now, |_| unreachable!("seen for the first time"));
/// let mut sites = Vec::new();
/// leaks.poll(now + Duration::from_secs(31), |lease| sites.push((lease.pool(), lease.site().line())));
/// assert!(sites.contains(&("sessions", line)));
/// # drop(held);
/// ```
#[derive(Debug)]
#[must_use = "it samples until it is dropped"]
pub struct LeakDetector {
    age: Duration,
}

impl LeakDetector {
    /// Begins to sample one lease in 1,024; those that are out for more than 60 seconds are suspected.
    pub fn new() -> Self {
        records::sample(EVERY);
        Self { age: AGE }
    }

    /// The same with one lease in `leases`, rounded up to a multiple of 256; none for 0.
    pub fn with_sampling(self, leases: usize) -> Self {
        records::sample(leases);
        self
    }

    /// The same with another age at which a lease is suspected.
    pub fn with_age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// The same, with the calls that led to each lease that is looked at. In a `Profile` (feature `observe`) they are its stack.
    ///
    /// **Cost**: a backtrace for each of them, some hundred microseconds, and its memory. Names are looked up when somebody reads it; std
    /// does one thing at a time, so a lease that is to get a backtrace waits while those of another one are.
    pub fn with_backtraces(self) -> Self {
        records::capture_backtraces(true);
        self
    }

    /// The age at which a lease is suspected.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.age
    }

    /// Hands leases that have become older than the age to `alarm`, each once, and returns how many are so old. The clock is
    /// the caller's. A lease's age counts from the first call that sees it, so it is never told too early, and at most one
    /// call too late.
    ///
    /// **Cost**: a lock, and a look at each lease on record.
    pub fn poll(&self, now: Instant, mut alarm: impl FnMut(&LeaseRecord)) -> usize {
        let (new, all) = records::newly_old(now, self.age);
        new.iter().for_each(&mut alarm);
        all
    }

    /// The leases on record, the oldest first, with their ages at `now`.
    #[must_use]
    pub fn leases(&self, now: Instant) -> Vec<LeaseRecord> {
        let mut leases = records::samples(now);
        leases.sort_by_key(|lease| core::cmp::Reverse(lease.age()));
        leases
    }

    /// Leases that were chosen and found no room.
    #[must_use]
    pub fn unrecorded(&self) -> u64 {
        records::unrecorded()
    }
}

impl Default for LeakDetector {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for LeakDetector {
    fn drop(&mut self) {
        records::sample(0);
        records::capture_backtraces(false);
    }
}

/// Runs `f`, whose leases are not missed: for a test that leaks on purpose, and for what is meant to stay out for long, such as the
/// buffer of a websocket, so that no [`LeakDetector`] suspects it.
///
/// # Examples
///
/// ```
/// use ebbtide::{Pool, observe::{LeakScope, leaked_on_purpose}};
///
/// let leaks = LeakScope::enter();
/// let pool = Pool::new(String::new);
/// std::mem::forget(leaked_on_purpose(|| pool.get()));
/// leaks.check();
/// ```
pub fn leaked_on_purpose<R>(f: impl FnOnce() -> R) -> R {
    records::forgiven(f)
}

/// For tests: all that this thread takes from pools while it is there must be back at its end, or it panics with
/// where each of them was taken, under which tag, and how long ago.
///
/// It counts what its own thread takes, and threads and futures that [enter](LeakHandle::enter) it: so tests that run
/// side by side have each their own. Where what was taken is given back does not matter.
///
/// With `EBBTIDE_POOLS=leaks` in the environment the whole process is such a scope: what is out when it ends is named on
/// stderr, and it ends with the code 86.
///
/// # Panics
///
/// Its drop does, unless the thread panics already; then it prints instead.
///
/// # Examples
///
/// ```should_panic
/// use ebbtide::{Pool, observe::LeakScope};
///
/// let pool = Pool::new(String::new);
/// let leaks = LeakScope::enter();
/// std::mem::forget(pool.get());
/// drop(leaks); // 1 lease is out: 112 bytes of `alloc::string::String`, taken at src/observe/leaks.rs:6:18, ..
/// ```
#[derive(Debug)]
#[must_use = "it looks at what is taken until it is dropped"]
pub struct LeakScope {
    entered: Entered,
}

impl LeakScope {
    /// Begins here. Within code that runs under a [tag](super::tagged), it ends there too.
    pub fn enter() -> Self {
        Self { entered: Entered::new(None) }
    }

    /// For other threads, and futures, to enter it.
    #[must_use]
    pub fn handle(&self) -> LeakHandle {
        LeakHandle { scope: self.entered.scope }
    }

    /// Ends it: as its drop, in words.
    ///
    /// # Panics
    ///
    /// If something is out.
    #[track_caller]
    pub fn check(self) {
        drop(self);
    }
}

impl Drop for LeakScope {
    #[track_caller]
    fn drop(&mut self) {
        let left = records::left_in(self.entered.scope);
        if left.is_empty() {
            return;
        }
        let mut text = format!("{} {} out:", left.len(), if left.len() == 1 { "lease is" } else { "leases are" });
        left.iter().for_each(|lease| text += &format!("\n  {lease}"));
        if panicking() {
            // A stderr that is full must not make it a second panic.
            caught(|| eprintln!("{text}"));
        } else {
            panic!("{text}");
        }
    }
}

/// Lets others take part in a [`LeakScope`].
#[derive(Clone, Debug)]
pub struct LeakHandle {
    scope: u64,
}

impl LeakHandle {
    /// This thread's leases count too, as long as what is returned is there.
    pub fn enter(&self) -> LeakEntered {
        LeakEntered { _entered: Entered::new(Some(self.scope)) }
    }

    /// A future whose leases count too, on whatever thread it is polled.
    pub fn within<F: Future>(&self, future: F) -> LeakFuture<F> {
        LeakFuture { future, handle: self.clone() }
    }
}

/// See [`LeakHandle::enter`]. It stays on its thread.
#[derive(Debug)]
#[must_use = "it counts until it is dropped"]
pub struct LeakEntered {
    _entered: Entered,
}

/// A thread's part in a scope.
struct Entered {
    scope: u64,
    _here: PhantomData<*const ()>,
}

impl Entered {
    fn new(scope: Option<u64>) -> Self {
        Self { scope: records::enter(scope), _here: PhantomData }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        records::leave(self.scope);
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").field("scope", &self.scope).finish_non_exhaustive()
    }
}

pin_project! {
    /// See [`LeakHandle::within`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct LeakFuture<F> {
        #[pin]
        future: F,
        handle: LeakHandle,
    }
}

impl<F: Future> Future for LeakFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.handle.enter();
        this.future.poll(context)
    }
}
