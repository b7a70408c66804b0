//! The home of a pool's nodes, and their way back into it.
//!
//! A value is boxed once, in a node; what moves between the pool and a lease is the box. Each node holds a
//! strong count on its home for its whole life, so a lease touches none. The circle home -> idle node ->
//! home is broken by closing: the last handle of the pool closes its home, which frees what is idle, and a
//! node that comes back later is freed at once.
//!
//! User code (reset, drop, the factory) runs when no lock is held, no magazine is busy and the node is in nobody's
//! reach but the caller's: it may use the same pool, and it may panic.

mod closing;
mod lent;
mod marked;
mod shells;

pub(crate) use closing::Ending;
use lent::UNCHARGED;
pub(crate) use lent::{Lent, Node, Shell, dispose, give_back, give_back_fixed, returned, take_out};
use shells::Shells;

use super::books::Event;
use super::debug::PoolDebug;
use super::hooks::{EndBy, Hooks, Judged, cost};
use super::reclaims::timed_trim;
use super::registry;
use super::stats::{Counts, DropReason, PoolStats};
use super::watched::watched;
use crate::raw::budget::Budget;
use crate::raw::census::Census;
use crate::raw::chain::Chain;
use crate::raw::lease::Lease;
use crate::raw::magazines::Magazines;
use crate::raw::tiers::Tiers;
use crate::raw::unwind::{Quiet, caught};
use crate::raw::waiters::Waiters;
use crate::raw::{sample, watch};
use crate::sync::Ordering;
use crate::sync::count::{AtomicBool, AtomicUsize};
use core::fmt;
use core::mem::size_of;
use core::panic::Location;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Values that one ageing call frees at most, or chains that it lets age: some tens of microseconds. What it does to threads'
/// magazines and shells is bounded by [`WALK`](crate::raw::chain::WALK).
const VALUES_A_TRIM: usize = 256;
/// Bytes of the buffers that one call frees at most, or a larger one: the system takes a third of a microsecond for each page of
/// theirs, or more.
const BYTES_A_TRIM: usize = 1 << 20;
/// Values made beyond the bounds before the magazines of other threads are shared out, which costs some microseconds.
const STARVED_PER_SHARE: usize = 64;

/// What a pool is called, and what it keeps at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) name: &'static str,
    /// What each value keeps on the heap, in bytes, where all keep the same and share a budget with others; else 0.
    pub(crate) class_bytes: usize,
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

impl Settings {
    fn values_a_trim(&self) -> usize {
        BYTES_A_TRIM.checked_div(self.class_bytes).map_or(VALUES_A_TRIM, |values| values.clamp(1, VALUES_A_TRIM))
    }
}

pub(crate) struct Home<T> {
    tiers: Tiers<Lent<T>>,
    /// What values left behind that were taken out for good.
    shells: Shells<T>,
    judging: Judging<T>,
    /// The nodes. A leased one keeps its place.
    census: Census,
    /// The bytes of those that have a place; the size classes of a buffer pool share one budget.
    bytes: Arc<Budget>,
    settings: Settings,
    /// Its number in the registry.
    id: u32,
    counts: Counts,
    waiters: Waiters,
    /// Whether a close has still to be finished.
    unfinished: AtomicBool,
    /// Values made beyond the bounds.
    starved: AtomicUsize,
    ageing: Mutex<Ageing>,
}

/// What judges values that come back. Each return of any thread reads it, so it has a cache line that nobody writes.
#[repr(align(64))]
struct Judging<T> {
    end_by: EndBy<T>,
    hooks: Quiet<Box<dyn Hooks<T>>>,
}

/// How far the ageing has come.
#[derive(Clone, Copy, Debug, Default)]
struct Ageing {
    /// When the last step of `trim_at` began.
    began: Option<Instant>,
    /// Whether the last step had more to do than one call may.
    unfinished: bool,
}

impl<T: Send + 'static> Home<T> {
    pub(crate) fn new(hooks: impl Hooks<T> + 'static, settings: Settings, bytes: Arc<Budget>) -> Arc<Self> {
        let debug = settings.debug.or_of_process();
        let settings = Settings { debug, ..settings };
        let hooks = watched(hooks, debug, settings.name);
        let home = Arc::new(Self {
            // Behind a full fence nothing is taken on the short way, so `verify` sees all that is taken.
            tiers: Tiers::new(settings.values, settings.thread_values, settings.full_fence || debug.has_verify()),
            shells: Shells::new(settings.thread_values, settings.full_fence),
            judging: Judging { end_by: hooks.end_by(), hooks: Quiet::new(hooks) },
            census: Census::new(settings.values),
            bytes,
            settings,
            id: registry::next_id(),
            counts: Counts::default(),
            waiters: Waiters::default(),
            unfinished: AtomicBool::new(false),
            starved: AtomicUsize::new(0),
            ageing: Mutex::default(),
        });
        registry::add(&home);
        home
    }

    pub(crate) fn shells(&self) -> &Magazines<Shell<T>> {
        self.shells.magazines()
    }

    /// Whether somebody looks for faults in what comes back.
    pub(crate) fn is_watched(&self) -> bool {
        self.settings.debug != PoolDebug::none()
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
    #[track_caller]
    pub(crate) fn take(&self) -> Option<Lease<Node<T>>> {
        match self.take_at_hand() {
            None => self.take_beyond(),
            lease => lease,
        }
    }

    #[cold]
    #[track_caller]
    fn take_beyond(&self) -> Option<Lease<Node<T>>> {
        // No closure around the last call: it is told of its caller, which a closure would be.
        match watch::only_named().and_then(|tag| self.take_under(tag)) {
            None => self.take_beyond_or(|| Err(())).ok(),
            lease => lease,
        }
    }

    /// An idle node that this thread does not have at hand, or on the short way, or else what `make` makes.
    #[cold]
    #[track_caller]
    pub(crate) fn take_beyond_or<E>(
        &self,
        make: impl FnOnce() -> Result<Lease<Node<T>>, E>,
    ) -> Result<Lease<Node<T>>, E> {
        // Asked once: it counts.
        if !self.is_take_watched() {
            return self.take_slow().map_or_else(make, Ok);
        }
        let lease = self.take_watched().map_or_else(make, Ok)?;
        Ok(self.noted(lease, Location::caller()))
    }

    /// Whether the take that found the short way shut or nothing there is watched.
    #[inline]
    pub(crate) fn is_take_watched(&self) -> bool {
        !watch::is_open() || sample::is_due_beyond()
    }

    /// An idle node that this thread does not have at hand, or not on the short way.
    #[inline]
    pub(crate) fn take_slow(&self) -> Option<Lease<Node<T>>> {
        let node = self.tiers.take_slow_here()?;
        if self.settings.debug.has_verify() { self.first_clean(node) } else { Some(Lease::new(node)) }
    }

    /// An idle node, where the take is watched.
    pub(crate) fn take_watched(&self) -> Option<Lease<Node<T>>> {
        self.tiers.take_at_hand_here().map(Lease::new).or_else(|| {
            // What this thread has at hand counts when it comes back.
            sample::is_due_beyond();
            self.take_slow()
        })
    }

    /// This node, or one after it: the first that was not changed while it waited.
    #[cold]
    fn first_clean(&self, mut node: Box<Node<T>>) -> Option<Lease<Node<T>>> {
        while !self.judging.hooks.is_clean(node.payload.value()) {
            self.discard(node, DropReason::Damaged);
            node = self.tiers.take_slow_here()?;
        }
        Some(Lease::new(node))
    }

    /// A node around a value that `get` had to make: in a shell, on whose terms it begins, or in a new box.
    #[inline]
    pub(crate) fn lease_new(home: &Arc<Self>, value: T) -> Lease<Node<T>> {
        match home.shells.fill(value) {
            Ok(node) => Lease::new(node),
            Err(value) => Self::lease_boxed(home, value),
        }
    }

    /// A node of its own around a value that `get` had to make.
    #[cold]
    fn lease_boxed(home: &Arc<Self>, value: T) -> Lease<Node<T>> {
        let mut node = Self::node(home, value);
        // A panic while measuring, or no room: the node stays uncharged and must find room when it returns.
        let lent = &mut node.payload;
        let bytes = caught(|| home.measure(lent.value()));
        home.counts.made(bytes.unwrap_or(size_of::<Node<T>>()));
        match bytes.filter(|&bytes| bytes <= home.settings.value_bytes) {
            Some(bytes) => {
                lent.charge = home.charge_new(bytes);
                home.shells.note_new(lent.charge);
            }
            None => home.census.come(),
        }
        Lease::new(node)
    }

    /// Counts a new node and reserves its place and bytes, if the bounds allow it. Returns the charge.
    fn charge_new(&self, bytes: usize) -> usize {
        let has_bytes = self.has_room(|| self.bytes.reserve(bytes));
        if !has_bytes {
            self.census.come();
        } else if self.census.come_with_place() || (self.shed() && self.census.take_place()) {
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
        home.counts.adopted();
        let node = home.shells.adopt(value).unwrap_or_else(|value| {
            home.census.come();
            Self::node(home, value)
        });
        drop(Lease::new(node));
    }

    fn node(home: &Arc<Self>, value: T) -> Box<Node<T>> {
        let mut node = Node::new(Lent::new(Arc::clone(home), value));
        Tiers::settle(&mut node);
        node
    }

    /// Bytes that `value` costs while it is idle: as it will be judged, so that no charge looks like a mark.
    fn measure(&self, value: &T) -> usize {
        cost::<T>(self.judging.hooks.retained_bytes(value))
    }

    /// Makes `charge` equal to `bytes`, if the bounds allow it.
    fn charge(&self, charge: &mut usize, bytes: usize) -> Result<(), DropReason> {
        let had_place = *charge != UNCHARGED;
        if !had_place && !self.has_room(|| self.census.take_place()) {
            return Err(DropReason::Full);
        }
        if bytes <= *charge {
            self.bytes.release(*charge - bytes);
        } else if !self.has_room(|| self.bytes.reserve(bytes - *charge)) {
            if !had_place {
                self.census.give_place();
            }
            return Err(DropReason::Budget);
        } else if had_place {
            self.counts.grew(bytes - *charge);
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
        // For want of room others are in use, and the allocator is asked for the same again: it may keep those as they are.
        let is_given_up = matches!(reason, DropReason::Aged | DropReason::Closed);
        while let Some(mut node) = chain.pop() {
            if is_given_up {
                self.judging.hooks.give_up(node.payload.value_mut());
            }
            self.discard(node, reason);
        }
    }

    /// Frees a node. The value's own drop may panic: it goes no further.
    #[cold]
    fn discard(&self, mut node: Box<Node<T>>, reason: DropReason) {
        node.payload.end(Event::Back);
        let charge = node.payload.charge;
        self.counts.dropped(reason);
        caught(|| drop(node));
        self.gone(charge);
    }

    /// Frees what is idle in the shared tier and in threads that take nothing.
    pub(crate) fn clear(&self) {
        self.tiers.clear(|chain| self.discard_all(chain, DropReason::Closed));
        self.shed();
    }

    /// Ages what is idle by one step, or goes on with one: see [`Pool::trim`](crate::Pool::trim).
    pub(crate) fn trim(&self) -> bool {
        timed_trim(|| self.trim_untimed())
    }

    fn trim_untimed(&self) -> bool {
        registry::finish();
        let done = self.age_some();
        self.ageing.lock().unfinished = !done;
        done
    }

    /// A piece of a step of ageing: what is old goes, then what threads have at hand becomes old, then their shells go. Each goes
    /// on where the last call left it.
    fn age_some(&self) -> bool {
        let is_shedding = self.is_shedding();
        let aged = is_shedding
            || self.tiers.is_reclaiming()
            || self.tiers.age(self.settings.values_a_trim(), |chain| self.discard_all(chain, DropReason::Aged));
        let reclaimed = is_shedding || (aged && self.tiers.reclaim(|chain| self.spill(chain)));
        reclaimed && self.shed_some()
    }

    /// Whether a step of ageing has begun and is not done.
    pub(crate) fn is_ageing(&self) -> bool {
        self.ageing.lock().unfinished
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

    /// The numbers, with all bytes of the budget, which others may share.
    pub(crate) fn stats(&self) -> PoolStats {
        self.stats_with(self.bytes.used())
    }

    /// The numbers, with the bytes of this home alone.
    fn stats_alone(&self) -> PoolStats {
        self.stats_with(match self.settings {
            Settings { values: 0, .. } => 0,
            Settings { class_bytes: 0, .. } => self.bytes.used(),
            Settings { class_bytes, .. } => self.census.placed() * (size_of::<Node<T>>() + class_bytes),
        })
    }

    fn stats_with(&self, charged_bytes: usize) -> PoolStats {
        let mut stats = self.counts.snapshot(&self.census, &self.tiers, charged_bytes);
        stats.live = stats.live.saturating_sub(self.shells.count());
        stats.charged_bytes = stats.charged_bytes.saturating_sub(self.shells.bytes());
        stats.made += self.shells.made();
        stats.made_bytes = stats.made_bytes.wrapping_add(self.shells.made_bytes());
        stats
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
