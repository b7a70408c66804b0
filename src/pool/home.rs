//! The home of a pool's nodes, and their way back into it.
//!
//! A value is boxed once, in a node; what moves between the pool and a lease is the box. Each node holds a
//! strong count on its home for its whole life, so a lease needs none. The circle home -> idle node ->
//! home is broken by closing: the last handle of the pool closes its home, which frees what is idle, and a
//! node that comes back later is freed at once.
//!
//! User code (reset, drop, the factory) runs when no lock is held and the node is in nobody's reach but the
//! caller's: it may use the same pool, and it may panic.

use super::budget::Budget;
use super::reset::{Reset, Verdict};
use super::stats::{Counts, DropReason, PoolStats};
use crate::raw::depot::{Depot, Push};
use crate::raw::lease::{GoHome, Lease};
use crate::raw::parcels::Finish;
use crate::raw::store::Disposal;
use crate::raw::unwind::caught;
use crate::sync::Arc;
use core::fmt;
use core::mem::size_of;
use std::thread::panicking;

/// How values of one pool are made as good as new and measured.
pub(crate) trait Hooks<T>: Send + Sync {
    fn reset(&self, value: &mut T) -> Verdict;
    fn retained_bytes(&self, value: &T) -> usize;
}

/// The hooks of a type that knows itself.
pub(crate) struct OwnHooks;

impl<T: Reset> Hooks<T> for OwnHooks {
    fn reset(&self, value: &mut T) -> Verdict {
        value.reset()
    }
    fn retained_bytes(&self, value: &T) -> usize {
        value.retained_bytes()
    }
}

/// What a pool keeps at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) values: usize,
    pub(crate) value_bytes: usize,
}

pub(crate) struct Home<T> {
    idle: Depot<Box<Node<T>>>,
    hooks: Box<dyn Hooks<T>>,
    /// Nodes that may be idle at once; a leased node keeps its place.
    places: Budget,
    /// Their bytes; the size classes of a buffer pool share one budget.
    bytes: Arc<Budget>,
    max_value_bytes: usize,
    counts: Counts,
}

impl<T: Send + 'static> Home<T> {
    pub(crate) fn new(hooks: impl Hooks<T> + 'static, bounds: Bounds, bytes: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            idle: Depot::new(bounds.values),
            hooks: Box::new(hooks),
            places: Budget::new(bounds.values),
            bytes,
            max_value_bytes: bounds.value_bytes,
            counts: Counts::default(),
        })
    }

    /// An idle node.
    pub(crate) fn take(&self) -> Option<Lease<Node<T>>> {
        self.idle.pop().map(Lease::new)
    }

    /// A node around a value that `get` had to make.
    #[cold]
    pub(crate) fn lease_new(home: &Arc<Self>, value: T) -> Lease<Node<T>> {
        home.counts.made();
        let mut node = Node::new(home, value);
        // A panic while measuring, or no room: the node stays uncharged and must find room when it returns.
        if let Some(bytes) = caught(|| home.measure(&node.value)).filter(|&bytes| bytes <= home.max_value_bytes) {
            let _ = home.charge(&mut node.charge, bytes);
        }
        Lease::new(node)
    }

    /// Takes in a value from outside, on the terms on which a lease comes back.
    pub(crate) fn adopt(home: &Arc<Self>, value: T) {
        home.counts.adopted();
        Node::new(home, value).go_home();
    }

    /// Bytes that `value` costs while it is idle.
    fn measure(&self, value: &T) -> usize {
        size_of::<Node<T>>().saturating_add(self.hooks.retained_bytes(value))
    }

    /// Makes `charge` equal to `bytes`, if the bounds allow it.
    fn charge(&self, charge: &mut Option<usize>, bytes: usize) -> Result<(), DropReason> {
        match *charge {
            Some(old) if old >= bytes => self.bytes.release(old - bytes),
            Some(old) if !self.bytes.reserve(bytes - old) => return Err(DropReason::Budget),
            Some(_) => {}
            None if !self.places.reserve(1) => return Err(DropReason::Full),
            None if !self.bytes.reserve(bytes) => {
                self.places.release(1);
                return Err(DropReason::Budget);
            }
            None => {}
        }
        *charge = Some(bytes);
        Ok(())
    }

    fn discharge(&self, charge: Option<usize>) {
        if let Some(bytes) = charge {
            self.bytes.release(bytes);
            self.places.release(1);
        }
    }

    /// Resets, measures and charges a node that came back.
    fn readmit(&self, node: &mut Node<T>) -> Result<(), DropReason> {
        if self.idle.is_closed() {
            return Err(DropReason::Closed);
        }
        // What a panic goes through may be half done, and a second panic would abort the process.
        if panicking() {
            return Err(DropReason::Panicked);
        }
        let value = &mut node.value;
        let judged = caught(|| match self.hooks.reset(value) {
            Verdict::Keep => Some(self.measure(value)),
            Verdict::Discard => None,
        });
        let bytes = judged.ok_or(DropReason::Panicked)?.ok_or(DropReason::Verdict)?;
        if bytes > self.max_value_bytes {
            return Err(DropReason::Oversize);
        }
        self.charge(&mut node.charge, bytes)
    }

    fn keep(&self, node: Box<Node<T>>) {
        match self.idle.push(node) {
            Push::Kept => {}
            Push::Late => self.drain(),
            Push::Full(node) => self.discard(node, DropReason::Full),
            Push::Closed(node) => self.discard(node, DropReason::Closed),
        }
    }

    /// Frees a node. The value's own drop may panic: it goes no further.
    fn discard(&self, node: Box<Node<T>>, reason: DropReason) {
        self.discharge(node.charge);
        self.counts.dropped(reason);
        caught(|| drop(node));
    }

    /// Frees what is idle now; what comes back meanwhile is left alone.
    pub(crate) fn clear(&self) {
        for node in (0..self.idle.len()).map_while(|_| self.idle.pop()) {
            self.discard(node, DropReason::Closed);
        }
    }

    /// Frees what is idle until nothing is: ends, since a closed depot takes in nothing new.
    fn drain(&self) {
        while let Some(node) = self.idle.pop() {
            self.discard(node, DropReason::Closed);
        }
    }

    /// Closes for good: what is idle is freed now, what is leased when it comes back. Never blocks.
    pub(crate) fn close(&self) {
        self.idle.close();
        self.drain();
    }

    pub(crate) fn stats(&self) -> PoolStats {
        self.counts.snapshot(self.idle.len(), self.bytes.used())
    }
}

impl<T> fmt::Debug for Home<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").field("idle", &self.idle.len()).finish_non_exhaustive()
    }
}

/// A boxed value with its way home.
pub(crate) struct Node<T> {
    value: T,
    /// The bytes that are reserved for it; `None` when it has no place in the pool yet.
    charge: Option<usize>,
    home: Arc<Home<T>>,
}

impl<T: Send + 'static> Node<T> {
    fn new(home: &Arc<Home<T>>, value: T) -> Box<Self> {
        Box::new(Self { value, charge: None, home: Arc::clone(home) })
    }

    pub(crate) fn value(&self) -> &T {
        &self.value
    }

    pub(crate) fn value_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// Takes the value out of the pool for good.
    pub(crate) fn into_value(self) -> T {
        self.home.discharge(self.charge);
        self.home.counts.detached();
        self.value
    }

    /// Ends the node as its request ended.
    pub(crate) fn dispose(self: Box<Self>, disposal: Disposal) {
        match disposal {
            Disposal::Reuse => self.go_home(),
            Disposal::Discard => {
                let home = Arc::clone(&self.home);
                home.discard(self, DropReason::Panicked);
            }
        }
    }
}

impl<T: Send + 'static> GoHome for Node<T> {
    fn go_home(mut self: Box<Self>) {
        // The node may be freed by another thread as soon as it is pushed, and its home with it: this
        // count keeps the home for the rest of the call.
        let home = Arc::clone(&self.home);
        match home.readmit(&mut self) {
            Ok(()) => home.keep(self),
            Err(reason) => home.discard(self, reason),
        }
    }
}

impl<T: Send + 'static> Finish<Disposal> for Node<T> {
    fn finish(self: Box<Self>, disposal: &Disposal) {
        self.dispose(*disposal);
    }
}

impl<T: fmt::Debug> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
