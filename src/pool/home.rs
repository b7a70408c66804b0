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
use super::census::Census;
use super::debug::PoolDebug;
use super::ended::{Outstanding, Ticket, Waiters};
use super::hooks::{Hooks, JudgeBy, Judged};
use super::registry;
use super::stats::{Counts, DropReason, PoolStats};
use super::watched::watched;
use crate::raw::chain::{self, Chain};
use crate::raw::lease::{GoHome, Lease};
use crate::raw::parcels::Finish;
use crate::raw::store::Disposal;
use crate::raw::threads::EndingThread;
use crate::raw::tiers::Tiers;
use crate::raw::unwind::{Quiet, caught};
use crate::sync::Ordering;
use crate::sync::count::{AtomicBool, AtomicUsize};
use core::fmt;
use core::mem::size_of;
use core::task::{Poll, Waker};
use parking_lot::Mutex;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Values that one ageing call frees at most, or chains that it lets age: some tens of microseconds.
const VALUES_A_TRIM: usize = 256;
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
    pub(crate) debug: PoolDebug,
}

pub(crate) struct Home<T> {
    tiers: Tiers<Lent<T>>,
    hooks: Quiet<Box<dyn Hooks<T>>>,
    /// The nodes. A leased one keeps its place.
    census: Census,
    /// The bytes of those that have a place; the size classes of a buffer pool share one budget.
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

/// A value with its way home. The value comes last: what a return looks at lies together, in front of it.
#[repr(C)]
pub(crate) struct Lent<T> {
    judge: JudgeBy<T>,
    /// The bytes that are reserved for it, with its own node at least; 0 when it has no place in the pool yet.
    charge: usize,
    home: Arc<Home<T>>,
    /// How often in a row the value was far larger than its use.
    strikes: u8,
    value: T,
}

/// What moves between a pool and a lease.
pub(crate) type Node<T> = chain::Node<Lent<T>>;

impl<T: Send + 'static> Home<T> {
    pub(crate) fn new(hooks: impl Hooks<T> + 'static, settings: Settings, bytes: Arc<Budget>) -> Arc<Self> {
        let debug = settings.debug.or_of_process();
        let settings = Settings { debug, ..settings };
        let home = Arc::new(Self {
            // Behind a full fence nothing is taken on the short way, so `verify` sees all that is taken.
            tiers: Tiers::new(settings.values, settings.thread_values, settings.full_fence || debug.has_verify()),
            hooks: Quiet::new(watched(hooks, debug, settings.name)),
            census: Census::new(settings.values),
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
        self.take_at_hand().or_else(|| self.take_slow())
    }

    /// An idle node that this thread does not have at hand, or not on the short way.
    #[inline]
    pub(crate) fn take_slow(&self) -> Option<Lease<Node<T>>> {
        let node = self.tiers.take_slow_here()?;
        if self.settings.debug.has_verify() { self.first_clean(node) } else { Some(Lease::new(node)) }
    }

    /// This node, or one after it: the first that was not changed while it waited.
    #[cold]
    fn first_clean(&self, mut node: Box<Node<T>>) -> Option<Lease<Node<T>>> {
        while !self.hooks.is_clean(&node.payload.value) {
            self.discard(node, DropReason::Damaged);
            node = self.tiers.take_slow_here()?;
        }
        Some(Lease::new(node))
    }

    /// A node around a value that `get` had to make.
    #[cold]
    pub(crate) fn lease_new(home: &Arc<Self>, value: T) -> Lease<Node<T>> {
        home.counts.made();
        let mut node = Self::node(home, value);
        // A panic while measuring, or no room: the node stays uncharged and must find room when it returns.
        let lent = &mut node.payload;
        match caught(|| home.measure(&lent.value)).filter(|&bytes| bytes <= home.settings.value_bytes) {
            Some(bytes) => lent.charge = home.charge_new(bytes),
            None => home.census.come(),
        }
        Lease::new(node)
    }

    /// Counts a new node and reserves its place and bytes, if the bounds allow it. Returns the charge.
    fn charge_new(&self, bytes: usize) -> usize {
        let has_bytes = self.bytes.reserve(bytes);
        if !has_bytes {
            self.census.come();
        } else if self.census.come_with_place() {
            return bytes;
        } else {
            self.bytes.release(bytes);
        }
        self.starve();
        UNCHARGED
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
        home.census.come();
        drop(Lease::new(Self::node(home, value)));
    }

    fn node(home: &Arc<Self>, value: T) -> Box<Node<T>> {
        let mut node = Node::new(Lent {
            judge: home.hooks.judge_by(),
            charge: UNCHARGED,
            home: Arc::clone(home),
            strikes: 0,
            value,
        });
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
        if !had_place && !self.census.take_place() {
            return Err(DropReason::Full);
        }
        if bytes <= *charge {
            self.bytes.release(*charge - bytes);
        } else if !self.bytes.reserve(bytes - *charge) {
            if !had_place {
                self.census.give_place();
            }
            return Err(DropReason::Budget);
        }
        *charge = bytes;
        Ok(())
    }

    /// Gives up the bytes of a node that ends, counts it out, and tells those who wait for the end when it was the last.
    fn gone(&self, charge: usize) {
        if charge != UNCHARGED {
            self.bytes.release(charge);
        }
        if self.census.go(charge != UNCHARGED) {
            self.waiters.wake();
        }
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
        let charge = node.payload.charge;
        self.counts.dropped(reason);
        caught(|| drop(node));
        self.gone(charge);
    }

    /// Whether the last close found an owner busy all the while: it was put off its processor there, and will leave a
    /// node behind. Whoever waits for the end looks again, since nobody else may.
    fn is_unfinished(&self) -> bool {
        // Acquire: pairs with the Release in `close`, so that the next look finds this home noted.
        self.unfinished.load(Ordering::Acquire)
    }

    /// Whether the pool has ended; if not, `waker` is woken when it has.
    fn poll_ended(&self, ticket: &mut Option<Ticket>, waker: &Waker) -> bool {
        registry::finish();
        let ended = self.waiters.note(ticket, waker, || self.census.has_ended());
        if !ended && self.is_unfinished() {
            waker.wake_by_ref();
        }
        ended
    }

    /// Blocks until the pool has ended, or until `deadline`.
    pub(crate) fn wait_ended(&self, deadline: Instant) -> Result<(), Outstanding> {
        loop {
            registry::finish();
            let woken = self.waiters.block(deadline, || self.census.has_ended() || self.is_unfinished());
            if self.census.has_ended() {
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
        let done = self.tiers.age(VALUES_A_TRIM, |chain| self.discard_all(chain, DropReason::Aged));
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
        // After the gates: who finds that the pool has ended finds them shut.
        if self.census.close() || self.is_unfinished() {
            self.waiters.wake();
        }
    }

    pub(crate) fn stats(&self) -> PoolStats {
        self.counts.snapshot(&self.census, &self.tiers, self.bytes.used())
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

impl<T> Drop for Home<T> {
    fn drop(&mut self) {
        registry::forget(self);
    }
}

impl<T> fmt::Debug for Home<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").field("tiers", &self.tiers).finish_non_exhaustive()
    }
}

/// A future that waits for the end of a pool. Its drop forgets the waker.
pub(super) struct Ending<'a, T: Send + 'static> {
    home: &'a Home<T>,
    ticket: Option<Ticket>,
}

impl<'a, T: Send + 'static> Ending<'a, T> {
    pub(super) fn of(home: &'a Home<T>) -> Self {
        Self { home, ticket: None }
    }

    pub(super) fn poll(&mut self, waker: &Waker) -> Poll<()> {
        if self.home.poll_ended(&mut self.ticket, waker) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<T: Send + 'static> Drop for Ending<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.home.waiters.forget(ticket);
        }
    }
}

impl<T> Lent<T> {
    /// The judgement of the pool's hooks, whose panic goes no further.
    #[inline(always)]
    pub(super) fn judged(&mut self, judge: impl FnOnce(&dyn Hooks<T>, &mut T, &mut u8) -> Judged) -> Judged {
        let Self { home, value, strikes, .. } = self;
        caught(|| judge(&**home.hooks, value, strikes)).unwrap_or(Judged::drop(DropReason::Panicked))
    }

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
        self.home.gone(self.charge);
        self.value
    }
}

/// Ends a node as its request ended.
pub(crate) fn dispose<T: Send + 'static>(node: Box<Node<T>>, disposal: Disposal) {
    match disposal {
        Disposal::Reuse => drop(Lease::new(node)),
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

/// Gives back a value whose judgement is not that it keeps its charge.
#[cold]
fn put_recharged<T: Send + 'static>(mut node: Box<Node<T>>, judged: Judged) {
    let Lent { charge, home, .. } = &mut node.payload;
    match home.recharge(charge, judged) {
        Ok(()) => put(node),
        Err(reason) => discard(node, reason),
    }
}

/// From here on the node may be another thread's at any moment, and its home with it.
#[inline(always)]
fn put<T: Send + 'static>(node: Box<Node<T>>) {
    if let Err(node) = Tiers::put_here(node) {
        put_slow(node);
    }
}

impl<T: Send + 'static> GoHome for Node<T> {
    /// Resets, measures and charges the value, and puts it back. Whatever is rare is called last, with the node as its own:
    /// so nothing is kept across a call.
    #[inline]
    fn go_home(mut self: Box<Self>, in_panic: bool) {
        // What a panic goes through may be half done, and a second panic would abort the process.
        if in_panic {
            return discard(self, DropReason::Panicked);
        }
        let judged = (self.payload.judge)(&mut self.payload);
        if judged != Judged::of_charge(self.payload.charge) {
            return put_recharged(self, judged);
        }
        put(self);
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
