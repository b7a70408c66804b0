//! One magazine for each thread, of the same pool: begun with a thread's first use, shut and emptied together.
//!
//! The pool's memory holds the magazines, and its nodes keep the pool alive. So whoever puts a node in may touch the pool
//! only as long as the node is still in hand.

use super::barrier;
use super::chain::{Chain, List, Node, WALK};
use super::magazine::Magazine;
use super::sample;
use super::tally::Tally;
use super::threads::{self, EndingThread, THREADS};
use crate::sync::count;
use crate::sync::{AtomicPtr, AtomicUsize, MODELLED, Mutex, Ordering, yield_now};
use core::fmt;
use core::ptr::{NonNull, null_mut};

/// How often a close looks again at a magazine whose owner is busy, giving up the processor in between.
const LOOKS: usize = if MODELLED { 1 } else { 100 };

/// A payload that keeps the magazines alive in which it may wait.
///
/// # Safety
///
/// The magazines that `magazines` returns stay valid for as long as the payload exists, wherever it is moved, and
/// are the same each time.
pub unsafe trait Housed: Sized {
    fn magazines(&self) -> &Magazines<Self>;
}

/// # Invariants
///
/// (a) `magazines[n]` is null or a box of this pool's, with owner `n`, freed only with all of them.
/// (b) `closed` is set before the gates are shut, and a magazine begins under its lock: one that begins later
///     begins closed.
pub struct Magazines<P> {
    magazines: [AtomicPtr<Magazine<P>>; THREADS],
    /// Held by who begins a magazine, trims or closes. `true` once closed.
    closed: Mutex<bool>,
    /// Magazines from here on never began: numbers are given out small first. Changed under the lock.
    reached: AtomicUsize,
    /// Where the next call of `seize_part` goes on; 0 between two rounds. Changed under the lock.
    next: count::AtomicUsize,
    /// Nodes that one magazine holds at most.
    depth: usize,
    full_fence: bool,
}

// SAFETY: nodes move between threads, so `P: Send`; no `&P` is shared.
unsafe impl<P: Send> Send for Magazines<P> {}
// SAFETY: as above; the magazines are `Sync` under the same bound.
unsafe impl<P: Send> Sync for Magazines<P> {}

impl<P> Magazines<P> {
    /// Magazines of `depth` nodes each, of one at least.
    pub fn new(depth: usize, full_fence: bool) -> Self {
        Self {
            magazines: core::array::from_fn(|_| AtomicPtr::new(null_mut())),
            closed: Mutex::new(false),
            reached: AtomicUsize::new(0),
            next: count::AtomicUsize::new(0),
            depth: depth.max(1),
            full_fence: full_fence || barrier::must_be_full(),
        }
    }

    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Whether an owner passes a full fence, so that nothing is taken on the short way.
    pub fn has_full_fence(&self) -> bool {
        self.full_fence
    }

    /// The magazine of thread `number`, if it has begun.
    #[inline(always)]
    pub fn magazine(&self, number: usize) -> Option<&Magazine<P>> {
        // Acquire: sees the magazine's fields, from the Release in `begin`.
        let magazine = self.magazines.get(number)?.load(Ordering::Acquire);
        // SAFETY: by (a).
        unsafe { magazine.as_ref() }
    }

    /// The magazine of thread `number`, begun if need be; `None` for a thread without a number.
    #[inline]
    pub fn begun(&self, number: usize) -> Option<&Magazine<P>> {
        match self.magazine(number) {
            None if number < THREADS => Some(self.begin(number)),
            magazine => magazine,
        }
    }

    #[cold]
    fn begin(&self, number: usize) -> &Magazine<P> {
        let closed = self.closed.lock();
        // Looked up again under the lock: numbers are used by one thread after the other, so nobody else begins
        // this one, but the model of that is not this type's.
        if let Some(magazine) = self.magazine(number) {
            return magazine;
        }
        let magazine = Magazine::new(number, self.depth, self.full_fence);
        if *closed {
            magazine.close();
        }
        let magazine = Box::leak(Box::new(magazine));
        // Release: publishes the magazine to the Acquire in `magazine`.
        self.magazines[number].store(magazine, Ordering::Release);
        // Relaxed: who needs all magazines has the lock, for others it is a hint.
        let reached = self.reached.load(Ordering::Relaxed).max(number + 1);
        self.reached.store(reached, Ordering::Relaxed);
        magazine
    }

    /// All that have begun; under the lock, or else as far as it is known here.
    fn all(&self) -> impl Iterator<Item = &Magazine<P>> {
        (0..self.reached.load(Ordering::Relaxed)).filter_map(|number| self.magazine(number))
    }

    /// Takes a node out of the magazine of thread `number`, if that wants no full fence.
    ///
    /// # Safety
    ///
    /// `number` is the calling thread's own, or not below [`THREADS`].
    #[inline(always)]
    pub unsafe fn take_light(&self, number: usize) -> Option<Box<Node<P>>> {
        let magazine = self.magazine(number)?;
        let this = NonNull::from(magazine);
        // SAFETY: the caller's promise; `self` keeps the magazine; `pop` neither panics nor runs a user's code.
        let node = unsafe { Magazine::with_light(this, (), |list, tally, ()| pop(list, tally)) }.ok().flatten()?;
        node.came_from(Some(this));
        Some(node)
    }

    /// Takes a node out of the magazine of thread `number`.
    ///
    /// # Safety
    ///
    /// As for `take_light`.
    pub unsafe fn take(&self, number: usize) -> Option<Box<Node<P>>> {
        let magazine = self.magazine(number)?;
        let this = NonNull::from(magazine);
        // SAFETY: as in `take_light`.
        let node = unsafe { Magazine::with(this, (), |list, tally, ()| pop(list, tally)) }.ok().flatten()?;
        node.came_from(Some(this));
        Some(node)
    }

    /// Tells `sample` what was taken out of the magazine of the calling thread. Behind a full fence nothing is taken on the
    /// short way, and each take is counted by itself.
    pub fn sample(&self, magazine: &Magazine<P>) {
        if !self.full_fence {
            sample::tick(magazine.new_takes());
        }
    }

    /// Takes a node out of the calling thread's magazine, if that wants no full fence.
    #[inline]
    pub fn take_here(&self) -> Option<Box<Node<P>>> {
        // SAFETY: it is this thread's number, or none.
        unsafe { self.take_light(threads::number_so_far()) }
    }

    /// Puts a node into the calling thread's magazine. `Err` when that is full or shut or wants a full fence, or the thread
    /// has no number.
    ///
    /// There is no `&self`: as soon as the node is in, the pool may close on another thread, and be gone.
    #[inline]
    pub fn put_here(node: Box<Node<P>>) -> Result<(), Box<Node<P>>>
    where
        P: Housed,
    {
        // SAFETY: it is this thread's number, or none.
        unsafe { Self::put(node, threads::number()) }
    }

    /// Puts a node into the magazine of thread `number`.
    ///
    /// # Safety
    ///
    /// As for `take_light`.
    #[inline]
    pub unsafe fn put(node: Box<Node<P>>, number: usize) -> Result<(), Box<Node<P>>>
    where
        P: Housed,
    {
        let Some(magazine) = node.payload.magazines().begun(number) else { return Err(node) };
        let this = NonNull::from(magazine);
        // SAFETY: the caller's promise; by `Housed` the node keeps the magazine until `busy` is lowered, as nobody else
        // can reach the list before that.
        all_in(unsafe { Magazine::with_light(this, node, try_push) })
    }

    /// Takes what a thread that ends has at hand. The caller keeps the pool.
    pub fn flush(&self, thread: &EndingThread) -> Chain<P> {
        let Some(magazine) = self.magazine(thread.number()).map(NonNull::from) else { return Chain::new() };
        // The lock keeps trims away: one that has the gate shut would leave the nodes behind, since it sees an owner
        // busy, and so would the owner, who sees the gate shut.
        let closed = self.closed.lock();
        // SAFETY: the number is still the calling thread's; `self` keeps the magazine.
        let flushed = unsafe { Magazine::with(magazine, Chain::new(), exchanged) };
        drop(closed);
        // `Err` after a close, which has taken the nodes: nobody was busy here.
        flushed.unwrap_or_default()
    }

    /// Shuts all gates for good and takes the chains out. `false` if an owner was busy all the while: its nodes are taken
    /// by another call. All of this block shuts gates under the lock, passes the heavy fence and then looks whether
    /// an owner is busy: see the table in `magazine`. No code of a user runs under the lock.
    pub fn shut(&self) -> (Vec<Chain<P>>, bool) {
        let mut closed = self.closed.lock();
        *closed = true;
        self.all().for_each(Magazine::close);
        let mut waiting: Vec<_> = self.all().collect();
        let mut chains = Vec::new();
        if barrier::heavy(self.full_fence) {
            for _ in 0..LOOKS {
                waiting.retain(|magazine| {
                    // SAFETY: shut and fenced above, under the lock.
                    unsafe { magazine.seized(0) }.map(|chain| chains.push(chain)).is_none()
                });
                if waiting.is_empty() {
                    break;
                }
                yield_now();
            }
        }
        (chains, waiting.is_empty())
    }

    /// Takes the chains of all magazines. A thread that is just at its magazine keeps it.
    pub fn seize(&self) -> Vec<Chain<P>> {
        self.seize_picked(|| self.all().map(|magazine| (magazine, 0)).filter(is_worth_it).collect())
    }

    /// Takes chains, but the nodes that `part` leaves to each magazine, as long as their costs, which it tells as well, are below
    /// [`WALK`] together. The next call goes on with the others; `true` when this one was the last of its round.
    pub fn seize_part(&self, part: impl Fn(&Magazine<P>) -> Part) -> (Vec<Chain<P>>, bool) {
        let mut done = false;
        let chains = self.seize_picked(|| {
            let picked = self.pick_part(part);
            done = !self.is_in_round();
            picked
        });
        (chains, done)
    }

    /// Whether a round of `seize_part` has begun and is not done.
    pub fn is_in_round(&self) -> bool {
        // Relaxed: it publishes nothing.
        self.next.load(Ordering::Relaxed) != 0
    }

    /// The magazines of one part, and how many nodes each keeps.
    fn pick_part(&self, part: impl Fn(&Magazine<P>) -> Part) -> Vec<(&Magazine<P>, usize)> {
        // Relaxed, here and below: under the lock.
        let reached = self.reached.load(Ordering::Relaxed);
        let mut number = self.next.load(Ordering::Relaxed);
        let (mut picked, mut costs) = (Vec::new(), 0);
        while number < reached && costs < WALK {
            let magazine = self.magazine(number);
            number += 1;
            let Some((magazine, part)) = magazine.map(|magazine| (magazine, part(magazine))) else { continue };
            if is_worth_it(&(magazine, part.keep)) {
                costs += part.costs;
                picked.push((magazine, part.keep));
            }
        }
        self.next.store(if number < reached { number } else { 0 }, Ordering::Relaxed);
        picked
    }

    /// Takes the chains of the magazines that `pick` names, but the nodes that each keeps.
    fn seize_picked<'m>(&'m self, pick: impl FnOnce() -> Vec<(&'m Magazine<P>, usize)>) -> Vec<Chain<P>> {
        // Held until the gates are open again, so that no close comes in between.
        let closed = self.closed.lock();
        let picked = pick();
        if *closed || picked.is_empty() {
            return Vec::new();
        }
        picked.iter().for_each(|(magazine, _)| magazine.seize());
        let chains = if barrier::heavy(self.full_fence) {
            // SAFETY: shut and fenced, under the lock. A busy owner keeps its nodes.
            picked.iter().filter_map(|&(magazine, keep)| unsafe { magazine.seized(keep) }).collect()
        } else {
            Vec::new()
        };
        picked.iter().for_each(|(magazine, _)| magazine.reopen());
        chains
    }

    /// Nodes taken since the beginning.
    pub fn takes(&self) -> u64 {
        self.all().map(Magazine::takes).sum()
    }

    /// Nodes waiting, exact at rest.
    pub fn waiting(&self) -> usize {
        self.all().map(Magazine::waiting).sum()
    }
}

/// What becomes of one magazine in a round.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Nodes that are left to it.
    pub keep: usize,
    /// What that costs, or what is done with the others: in nodes.
    pub costs: usize,
}

/// Whether a magazine has more than it keeps.
fn is_worth_it<P>(&(magazine, keep): &(&Magazine<P>, usize)) -> bool {
    magazine.waiting() > keep
}

// What is done inside of a magazine.

#[inline(always)]
fn pop<P>(list: &mut List<P>, tally: &Tally) -> Option<Box<Node<P>>> {
    let node = list.pop()?;
    tally.take();
    Some(node)
}

/// Puts `node` in if there is room, or gives it back.
#[inline(always)]
pub fn try_push<P>(list: &mut List<P>, tally: &Tally, node: Box<Node<P>>) -> Option<Box<Node<P>>> {
    if !tally.try_put() {
        return Some(node);
    }
    list.push(node);
    None
}

/// Whether `try_push` has put the node in: it comes back when there was no room, or the gate was shut.
#[inline(always)]
pub fn all_in<N>(pushed: Result<Option<N>, N>) -> Result<(), N> {
    match pushed {
        Ok(None) => Ok(()),
        Ok(Some(node)) | Err(node) => Err(node),
    }
}

/// As `try_push`, for the short way.
#[inline(always)]
pub fn try_push_short<P>(list: &mut List<P>, tally: &Tally, node: Box<Node<P>>) -> Option<Box<Node<P>>> {
    if !tally.try_put_short() {
        return Some(node);
    }
    list.push(node);
    None
}

/// Puts `chain` in and gives what was there.
pub fn exchanged<P>(list: &mut List<P>, tally: &Tally, mut chain: Chain<P>) -> Chain<P> {
    let len = chain.exchange(list, tally.len());
    tally.set_len(len);
    chain
}

impl<P> Drop for Magazines<P> {
    fn drop(&mut self) {
        for magazine in &mut self.magazines {
            // Relaxed: `&mut` is the only user.
            if let Some(magazine) = NonNull::new(magazine.load(Ordering::Relaxed)) {
                // SAFETY: by (a) a box of this pool's; nobody uses the magazines any more.
                drop(unsafe { Box::from_raw(magazine.as_ptr()) });
            }
        }
    }
}

impl<P> fmt::Debug for Magazines<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Magazines").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}
