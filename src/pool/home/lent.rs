//! A value on its way: the payload of a node, and the node's way back into its home.

use super::Home;
use super::marked::Mark;
use crate::pool::books::Event;
use crate::pool::hooks::{Hooks, Judged};
use crate::pool::stats::DropReason;
use crate::raw::chain::{self, Chain};
use crate::raw::lease::{GoHome, Lease};
use crate::raw::magazines::Magazines;
use crate::raw::parcels::Finish;
use crate::raw::shell::emptied;
use crate::raw::store::Disposal;
use crate::raw::tiers::Tiers;
use crate::raw::unwind::caught;
use core::fmt;
use core::mem::MaybeUninit;
use std::sync::Arc;

/// The charge of a node that has no place in its pool. A charged one has its own size at least.
pub(super) const UNCHARGED: usize = 0;

/// A value with its way home. The value comes last: what a return looks at lies together, in front of it.
#[repr(C)]
pub(crate) struct Lent<T, V = T> {
    /// The bytes that are reserved for it, with its own node at least; 0 when it has no place in the pool yet. With
    /// [`MARK`](super::marked::MARK) on a lease that is watched.
    pub(super) charge: usize,
    home: Arc<Home<T>>,
    /// How often in a row the value was far larger than its use.
    pub(super) strikes: u8,
    /// Of a lease that is watched, and of a value that came back from one.
    pub(super) mark: Mark,
    value: V,
}

/// What is left of a value that was taken out for good: box, place and charge, for the next one.
pub(crate) type Shell<T> = Lent<T, MaybeUninit<T>>;

/// What moves between a pool and a lease.
pub(crate) type Node<T> = chain::Node<Lent<T>>;

impl<T> Lent<T> {
    /// The judgement of the pool's hooks, whose panic goes no further.
    #[inline(always)]
    fn judged(&mut self, judge: impl FnOnce(&dyn Hooks<T>, &mut T, &mut u8) -> Judged) -> Judged {
        let Self { home, value, strikes, .. } = self;
        caught(|| judge(&**home.judging.hooks, value, strikes)).unwrap_or(Judged::drop(DropReason::Panicked))
    }

    pub(super) fn new(home: Arc<Home<T>>, value: T) -> Self {
        Self { charge: UNCHARGED, home, strikes: 0, mark: Mark::default(), value }
    }
}

impl<T, V> Lent<T, V> {
    pub(crate) fn value(&self) -> &V {
        &self.value
    }

    pub(crate) fn value_mut(&mut self) -> &mut V {
        &mut self.value
    }

    /// The bytes that are reserved for it, if it has a place in the pool and no mark. One look for both: a marked charge is
    /// negative, and `UNCHARGED` is 0.
    #[inline(always)]
    pub(crate) fn charged(&self) -> Option<usize> {
        ((self.charge as isize) > 0).then_some(self.charge)
    }

    pub(crate) fn home(&self) -> &Home<T> {
        &self.home
    }
}

/// Takes the value of a node out of the pool for good. A shell that a new value would fit into is kept.
pub(crate) fn take_out<T: Send + 'static>(mut node: Box<Node<T>>) -> T {
    node.payload.end(Event::Escaped);
    let (value, shell) = emptied(node);
    let is_wanted = shell.payload.home.shells.want(shell.payload.charge);
    if let Err(shell) = if is_wanted { Magazines::put_here(shell) } else { Err(shell) } {
        free_shell(shell);
    }
    value
}

#[cold]
fn free_shell<T: Send + 'static>(shell: Box<chain::Node<Shell<T>>>) {
    let home = Arc::clone(&shell.payload.home);
    home.free_shells([Chain::of(shell)]);
}

/// Ends a node as its request ended.
pub(crate) fn dispose<T: Send + 'static>(node: Box<Node<T>>, disposal: Disposal) {
    match disposal {
        Disposal::Reuse => drop(Lease::new(node)),
        Disposal::Discard => discard(node, DropReason::Panicked),
    }
}

/// What is called last on a way home is of the ABI "C", as the way is: so it is a jump, with no unwinding to prepare for.
#[cold]
extern "C" fn put_slow<T: Send + 'static>(node: Box<Node<T>>) {
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

/// Gives back a value whose judgement is not that it keeps its charge: it has another one, or a mark, which is settled first.
#[cold]
extern "C" fn put_recharged<T: Send + 'static>(mut node: Box<Node<T>>, judged: Judged) {
    if node.payload.is_marked() {
        node.payload.settle_back();
        return keep(node, judged);
    }
    let before = node.payload.charge;
    let Lent { charge, home, .. } = &mut node.payload;
    match home.recharge(charge, judged) {
        Ok(()) => {
            node.payload.recount(before);
            put(node);
        }
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
    #[inline]
    fn go_home(self: Box<Self>, in_panic: bool) {
        // What a panic goes through may be half done, and a second panic would abort the process.
        if in_panic {
            return discard(self, DropReason::Panicked);
        }
        (self.payload.home.judging.end_by)(self);
    }
}

/// Resets, measures and charges a value that came back, and puts it back. Whatever is rare is called last, with the node as its
/// own: so nothing is kept across a call.
#[inline(always)]
pub(crate) fn returned<T: Send + 'static>(
    mut node: Box<Node<T>>,
    judge: impl FnOnce(&dyn Hooks<T>, &mut T, &mut u8) -> Judged,
) {
    let judged = node.payload.judged(judge);
    keep(node, judged);
}

/// Puts a judged node back.
#[inline(always)]
fn keep<T: Send + 'static>(node: Box<Node<T>>, judged: Judged) {
    if judged == Judged::of_charge(node.payload.charge) { put(node) } else { put_recharged(node, judged) }
}

/// Gives a node back whose value is as good as new already, and is judged so. No code of a user runs.
#[inline(always)]
pub(crate) fn give_back<T: Send + 'static>(node: Box<Node<T>>, judged: Judged) {
    keep(node, judged);
}

/// Gives a node back whose value is as good as new already, and costs what it is charged for ever. Nobody else judges it.
#[inline(always)]
pub(crate) fn give_back_fixed<T: Send + 'static>(node: Box<Node<T>>) {
    if node.payload.charged().is_some() { put(node) } else { give_back_slow(node) }
}

/// What is as good as new is so in a panic too. Once a mark is settled, a node with a place has nothing else to settle.
#[cold]
fn give_back_slow<T: Send + 'static>(mut node: Box<Node<T>>) {
    if node.payload.settle_short() { put(node) } else { give_back_judged(node) }
}

#[cold]
fn give_back_judged<T: Send + 'static>(node: Box<Node<T>>) {
    node.go_home(false);
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
