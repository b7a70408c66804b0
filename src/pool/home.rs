//! The home of a pool's nodes, and their way back into it.
//!
//! A value is boxed once, in a node; what moves between the pool and a lease is the box. Each node holds a
//! strong count on its home for its whole life, so a lease touches none. The circle home -> idle node ->
//! home is broken by closing: the last handle of the pool closes its home, which frees what is idle, and a
//! node that comes back later is freed at once.
//!
//! User code (reset, drop, the factory) runs when no lock is held, no magazine is busy and the node is in nobody's
//! reach but the caller's: it may use the same pool, and it may panic.

use super::budget::Budget;
use super::ended::{Outstanding, Waiters};
use super::hooks::{Hooks, Judged};
use super::registry;
use super::stats::{Counts, DropReason, PoolStats};
use crate::raw::chain::{self, Chain};
use crate::raw::lease::{GoHome, Lease};
use crate::raw::parcels::Finish;
use crate::raw::store::Disposal;
use crate::raw::threads::EndingThread;
use crate::raw::tiers::Tiers;
use crate::raw::unwind::caught;
use crate::sync::count::{AtomicBool, AtomicUsize};
use crate::sync::{Ordering, fence};
use core::fmt;
use core::mem::size_of;
use core::task::Waker;
use parking_lot::Mutex;
use std::sync::Arc;
use std::thread::{panicking, sleep};
use std::time::{Duration, Instant};

/// Chains that one ageing call handles at most: some tens of microseconds.
const CHAINS_A_TRIM: usize = 256;
/// Time between two looks at a close that is not finished.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// Values made beyond the bounds before the magazines of other threads are shared out, which costs some microseconds.
const STARVED_PER_SHARE: usize = 64;

/// What a pool is called, and what it keeps at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) name: &'static str,
    pub(crate) values: usize,
    pub(crate) value_bytes: usize,
    /// Values that one thread has at hand.
    pub(crate) thread_values: usize,
    /// Time between two steps of ageing by `trim_at`.
    pub(crate) age_every: Duration,
    /// Whether to do without the system's asymmetric fence.
    pub(crate) full_fence: bool,
}

pub(crate) struct Home<T> {
    tiers: Tiers<Lent<T>>,
    hooks: Box<dyn Hooks<T>>,
    /// Nodes that may be idle at once; a leased node keeps its place.
    places: Budget,
    /// Their bytes; the size classes of a buffer pool share one budget.
    bytes: Arc<Budget>,
    settings: Settings,
    counts: Counts,
    waiters: Waiters,
    /// Whether a close has still to be finished.
    unfinished: AtomicBool,
    /// Values made beyond the bounds.
    starved: AtomicUsize,
    ageing: Mutex<Ageing>,
}

/// How far the ageing has come.
#[derive(Clone, Copy, Debug, Default)]
struct Ageing {
    /// When the last step of `trim_at` began.
    began: Option<Instant>,
    /// Whether the last step had more to do than one call may.
    unfinished: bool,
}

/// The charge of a node that has no place in its pool. A charged one has its own size at least.
const UNCHARGED: usize = 0;

/// A value with its way home.
pub(crate) struct Lent<T> {
    value: T,
    /// How often in a row the value was far larger than its use.
    strikes: u8,
    /// The bytes that are reserved for it, with its own node at least; 0 when it has no place in the pool yet.
    charge: usize,
    home: Arc<Home<T>>,
}

/// What moves between a pool and a lease.
pub(crate) type Node<T> = chain::Node<Lent<T>>;

impl<T: Send + 'static> Home<T> {
    pub(crate) fn new(hooks: impl Hooks<T> + 'static, settings: Settings, bytes: Arc<Budget>) -> Arc<Self> {
        let home = Arc::new(Self {
            tiers: Tiers::new(settings.values, settings.thread_values, settings.full_fence),
            hooks: Box::new(hooks),
            places: Budget::new(settings.values),
            bytes,
            settings,
            counts: Counts::default(),
            waiters: Waiters::default(),
            unfinished: AtomicBool::new(false),
            starved: AtomicUsize::new(0),
            ageing: Mutex::default(),
        });
        registry::add(&home);
        home
    }

    pub(crate) fn tiers(&self) -> &Tiers<Lent<T>> {
        &self.tiers
    }

    /// An idle node that this thread has at hand.
    #[inline(always)]
    pub(crate) fn take_at_hand(&self) -> Option<Lease<Node<T>>> {
        self.tiers.take_here().map(Lease::new)
    }

    /// An idle node.
    #[inline]
    pub(crate) fn take(&self) -> Option<Lease<Node<T>>> {
        self.take_at_hand().or_else(|| self.tiers.take_slow_here().map(Lease::new))
    }

    /// A node around a value that `get` had to make.
    #[cold]
    pub(crate) fn lease_new(home: &Arc<Self>, value: T) -> Lease<Node<T>> {
        home.counts.made();
        let mut node = Self::node(home, value);
        // A panic while measuring, or no room: the node stays uncharged and must find room when it returns.
        let lent = &mut node.payload;
        let bytes = caught(|| home.measure(&lent.value)).filter(|&bytes| bytes <= home.settings.value_bytes);
        if bytes.is_some_and(|bytes| home.charge(&mut lent.charge, bytes).is_err()) {
            home.starve();
        }
        Lease::new(node)
    }

    /// Notes that a value was made beyond the bounds. Where that goes on, others may hold what they do not use: from time to
    /// time their magazines are shared out.
    fn starve(&self) {
        // Relaxed: it paces a remedy and publishes nothing.
        if self.starved.fetch_add(1, Ordering::Relaxed) % STARVED_PER_SHARE == STARVED_PER_SHARE - 1 {
            self.tiers.share_out(|chain| self.spill(chain));
        }
    }

    /// Takes in a value from outside, on the terms on which a lease comes back.
    pub(crate) fn adopt(home: &Arc<Self>, value: T) {
        home.counts.came();
        Self::node(home, value).go_home();
    }

    fn node(home: &Arc<Self>, value: T) -> Box<Node<T>> {
        let mut node = Node::new(Lent { value, strikes: 0, charge: UNCHARGED, home: Arc::clone(home) });
        Tiers::settle(&mut node);
        node
    }

    /// Bytes that `value` costs while it is idle.
    fn measure(&self, value: &T) -> usize {
        size_of::<Node<T>>().saturating_add(self.hooks.retained_bytes(value))
    }

    /// Makes `charge` equal to `bytes`, if the bounds allow it.
    fn charge(&self, charge: &mut usize, bytes: usize) -> Result<(), DropReason> {
        let had_place = *charge != UNCHARGED;
        if !had_place && !self.places.reserve(1) {
            return Err(DropReason::Full);
        }
        if bytes <= *charge {
            self.bytes.release(*charge - bytes);
        } else if !self.bytes.reserve(bytes - *charge) {
            self.places.release(usize::from(!had_place));
            return Err(DropReason::Budget);
        }
        *charge = bytes;
        Ok(())
    }

    fn discharge(&self, charge: usize) {
        if charge != UNCHARGED {
            self.bytes.release(charge);
            self.places.release(1);
        }
    }

    /// Resets, measures and charges a value that came back.
    #[inline]
    fn readmit(lent: &mut Lent<T>) -> Result<(), DropReason> {
        let Lent { value, strikes, charge, home } = lent;
        // What a panic goes through may be half done, and a second panic would abort the process.
        if panicking() {
            return Err(DropReason::Panicked);
        }
        let judged = caught(|| home.hooks.judge(value, strikes)).unwrap_or(Judged::drop(DropReason::Panicked));
        if judged == Judged::of_charge(*charge) { Ok(()) } else { home.recharge(charge, judged) }
    }

    #[cold]
    fn recharge(&self, charge: &mut usize, judged: Judged) -> Result<(), DropReason> {
        let bytes = judged.bytes()?;
        if bytes > self.settings.value_bytes {
            return Err(DropReason::Oversize);
        }
        self.charge(charge, bytes)
    }

    /// Frees nodes for which the tiers have no room, or that came after the close.
    pub(crate) fn spill(&self, chain: Chain<Lent<T>>) {
        let reason = if self.tiers.is_closed() { DropReason::Closed } else { DropReason::Full };
        self.discard_all(chain, reason);
    }

    fn discard_all(&self, mut chain: Chain<Lent<T>>, reason: DropReason) {
        while let Some(node) = chain.pop() {
            self.discard(node, reason);
        }
    }

    /// Frees a node. The value's own drop may panic: it goes no further.
    #[cold]
    fn discard(&self, node: Box<Node<T>>, reason: DropReason) {
        self.discharge(node.payload.charge);
        self.counts.dropped(reason);
        caught(|| drop(node));
        self.one_is_gone();
    }

    /// Tells those who wait for the end when the last value is gone.
    fn one_is_gone(&self) {
        let was_last = self.counts.gone();
        // Pairs with the fence of the depot's close: either this sees that the pool is closed, or the closer sees
        // that the last value is gone.
        fence(Ordering::SeqCst);
        if was_last && self.tiers.is_closed() {
            self.waiters.wake();
        }
    }

    /// Whether the pool is closed and no value of it is left.
    fn has_ended(&self) -> bool {
        self.tiers.is_closed() && self.counts.live() == 0
    }

    /// Whether the last close found an owner busy all the while: it was put off its processor there, and will leave a
    /// node behind. Whoever waits for the end looks again, since nobody else may.
    fn is_unfinished(&self) -> bool {
        // Acquire: pairs with the Release in `close`, so that the next look finds this home noted.
        self.unfinished.load(Ordering::Acquire)
    }

    /// Whether the pool has ended; if not, `waker` is woken when it has.
    pub(crate) fn poll_ended(&self, waker: &Waker) -> bool {
        registry::finish();
        let ended = self.waiters.note(waker, || self.has_ended());
        if !ended && self.is_unfinished() {
            waker.wake_by_ref();
        }
        ended
    }

    /// Blocks until the pool has ended, or until `deadline`.
    pub(crate) fn wait_ended(&self, deadline: Instant) -> Result<(), Outstanding> {
        loop {
            registry::finish();
            let woken = self.waiters.block(deadline, || self.has_ended() || self.is_unfinished());
            if self.has_ended() {
                return Ok(());
            }
            if !woken || Instant::now() >= deadline {
                break;
            }
            sleep(LOOK_AGAIN);
        }
        let values = self.stats().outstanding();
        Err(Outstanding { pool: self.settings.name, values, is_closed: self.tiers.is_closed() })
    }

    /// Frees what is idle in the shared tier and in threads that take nothing.
    pub(crate) fn clear(&self) {
        self.tiers.clear(|chain| self.discard_all(chain, DropReason::Closed));
    }

    /// Ages what is idle by one step, or goes on with one: see [`Pool::trim`](crate::Pool::trim).
    pub(crate) fn trim(&self) -> bool {
        registry::finish();
        let done = self.tiers.age(CHAINS_A_TRIM, |chain| self.discard_all(chain, DropReason::Aged));
        if done {
            self.tiers.reclaim(|chain| self.spill(chain));
        }
        self.ageing.lock().unfinished = !done;
        done
    }

    /// Trims if a step is not done yet, or is due at `now`.
    pub(crate) fn trim_at(&self, now: Instant) -> bool {
        {
            let mut ageing = self.ageing.lock();
            let is_due =
                ageing.began.is_none_or(|began| now.saturating_duration_since(began) >= self.settings.age_every);
            if !ageing.unfinished {
                if !is_due {
                    return true;
                }
                ageing.began = Some(now);
            }
        }
        self.trim()
    }

    /// Closes for good: what is idle is freed now, what is leased when it comes back.
    pub(crate) fn close(self: &Arc<Self>) {
        if !registry::Idle::close(&**self) {
            registry::finish_later(self);
            self.unfinished.store(true, Ordering::Release);
        }
        if self.has_ended() || self.is_unfinished() {
            self.waiters.wake();
        }
    }

    pub(crate) fn stats(&self) -> PoolStats {
        self.counts.snapshot(self.tiers.idle(), self.tiers.takes(), self.bytes.used())
    }
}

impl<T: Send + 'static> registry::Idle for Home<T> {
    fn thread_ends(&self, thread: &EndingThread) {
        self.tiers.flush(thread, |chain| self.spill(chain));
    }

    fn close(&self) -> bool {
        let complete = self.tiers.close(|chain| self.discard_all(chain, DropReason::Closed));
        if complete {
            // Relaxed: it only ends the looks.
            self.unfinished.store(false, Ordering::Relaxed);
        }
        complete
    }
}

impl<T> fmt::Debug for Home<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").field("tiers", &self.tiers).finish_non_exhaustive()
    }
}

impl<T> Lent<T> {
    pub(crate) fn value(&self) -> &T {
        &self.value
    }

    pub(crate) fn value_mut(&mut self) -> &mut T {
        &mut self.value
    }

    pub(crate) fn home(&self) -> &Home<T> {
        &self.home
    }
}

impl<T: Send + 'static> Lent<T> {
    /// Takes the value out of the pool for good.
    pub(crate) fn into_value(self) -> T {
        self.home.discharge(self.charge);
        self.home.one_is_gone();
        self.value
    }
}

/// Ends a node as its request ended.
pub(crate) fn dispose<T: Send + 'static>(node: Box<Node<T>>, disposal: Disposal) {
    match disposal {
        Disposal::Reuse => node.go_home(),
        Disposal::Discard => discard(node, DropReason::Panicked),
    }
}

#[cold]
fn put_slow<T: Send + 'static>(node: Box<Node<T>>) {
    if let Err(node) = Tiers::put_slow_here(node) {
        let home = Arc::clone(&node.payload.home);
        home.tiers.put_shared(node, |chain| home.spill(chain));
    }
}

#[cold]
fn discard<T: Send + 'static>(node: Box<Node<T>>, reason: DropReason) {
    let home = Arc::clone(&node.payload.home);
    home.discard(node, reason);
}

impl<T: Send + 'static> GoHome for Node<T> {
    #[inline]
    fn go_home(mut self: Box<Self>) {
        if let Err(reason) = Home::readmit(&mut self.payload) {
            return discard(self, reason);
        }
        put(self);
    }
}

/// Gives a node back whose value is as good as new already, and keeps `retained` bytes. No code of a user runs.
#[inline]
pub(crate) fn give_back<T: Send + 'static>(mut node: Box<Node<T>>, retained: usize) {
    let Lent { charge, home, .. } = &mut node.payload;
    let judged = Judged::keep::<T>(retained);
    if judged != Judged::of_charge(*charge) {
        if let Err(reason) = home.recharge(charge, judged) {
            return discard(node, reason);
        }
    }
    put(node);
}

#[inline(always)]
fn put<T: Send + 'static>(node: Box<Node<T>>) {
    // From here on the node may be another thread's at any moment, and its home with it.
    if let Err(node) = Tiers::put_here(node) {
        put_slow(node);
    }
}

impl<T: Send + 'static> Finish<Disposal> for Node<T> {
    fn finish(self: Box<Self>, disposal: &Disposal) {
        dispose(self, *disposal);
    }
}

impl<T: fmt::Debug> fmt::Debug for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
