//! The tiers of a pool: a magazine for each thread, and a depot of whole chains between them.
//!
//! A node is taken from the magazine of the calling thread and goes back into it. A magazine that runs empty takes
//! a whole chain from the depot, one that runs full hands its chain over: one shared operation for as many
//! nodes as a magazine holds. (Jeff Bonwick and Jonathan Adams, "Magazines and Vmem", 2001, with one magazine a
//! thread, and chains that move instead of magazines.)
//!
//! A thread that gives back what others took would hoard a whole magazine of them before the takers see one
//! again. So it hands on foreign nodes in batches of one, two, four and so on: few are held back at
//! first, and soon it is one shared operation for many.
//!
//! Nodes keep their pool alive, and the pool's memory holds the magazines. So whoever gives a node back may touch
//! the pool only as long as the node is still in hand: see [`Tiers::put_here`].

mod closing;

use super::chain::{Chain, Node, WALK};
use super::depot::{Depot, Load, Push};
use super::magazine::Magazine;
use super::magazines::{Magazines, all_in, exchanged, try_push, try_push_short};
use super::threads::{self, EndingThread};
use super::watch;
use crate::sync::{Ordering, count};
use core::fmt;
use core::ptr::NonNull;

/// How often a chain is merged with another one for lack of room before its nodes are freed.
const MERGES: usize = 8;
/// Chains that the depot has room for, however few nodes there may be.
const CHAINS: usize = 64;
/// Chains that it has room for at most, however many nodes there may be: they get longer instead.
const MOST_CHAINS: usize = 1 << 15;

/// A payload that keeps its pool alive.
///
/// # Safety
///
/// The tiers that `tiers` returns stay valid for as long as the payload exists, wherever it is moved, and
/// are the same each time.
pub unsafe trait Homed: Sized {
    fn tiers(&self) -> &Tiers<Self>;

    /// Frees nodes for which there is no room, or no pool any more.
    fn spill(&self, chain: Chain<Self>);
}

/// See the head of this file.
pub struct Tiers<P> {
    magazines: Magazines<P>,
    depot: Depot<Chain<P>>,
    /// Nodes in the depot, for statistics.
    in_depot: count::AtomicUsize,
    /// Chains taken from the depot by threads that wanted a node, for statistics.
    fetches: count::AtomicU64,
}

impl<P> Tiers<P> {
    /// Tiers for about `capacity` nodes, of which `depth` in each magazine. The bound on nodes is the pool's: the depot
    /// has room for some chains, of any length.
    pub fn new(capacity: usize, depth: usize, full_fence: bool) -> Self {
        Self {
            magazines: Magazines::new(depth, full_fence),
            depot: Depot::new(capacity.min(CHAINS + capacity / 8).min(MOST_CHAINS)),
            in_depot: count::AtomicUsize::new(0),
            fetches: count::AtomicU64::new(0),
        }
    }

    /// Takes an idle node that this thread has at hand, on the short way, which is shut while the thread's takes are watched. If
    /// there is none, `take_slow_here` may still find one.
    #[inline(always)]
    pub fn take_here(&self) -> Option<Box<Node<P>>>
    where
        P: Homed,
    {
        // SAFETY: it is this thread's number, or none, by (a) of `watch`.
        unsafe { self.take_at_hand(watch::number_to_take()) }
    }

    /// As `take_here`, where the short way is shut.
    #[inline]
    pub fn take_at_hand_here(&self) -> Option<Box<Node<P>>>
    where
        P: Homed,
    {
        // SAFETY: it is this thread's number, or none.
        unsafe { self.take_at_hand(threads::number_so_far()) }
    }

    /// Takes an idle node, wherever this thread can find one without asking others, after `take_here` found none.
    #[inline]
    pub fn take_slow_here(&self) -> Option<Box<Node<P>>>
    where
        P: Homed,
    {
        if !self.magazines.has_full_fence() && self.in_depot() == 0 {
            // The short way was open: there is nothing, and no reason to ask the shared queues for it.
            return None;
        }
        // SAFETY: it is this thread's number.
        unsafe { self.take_slow(threads::number()) }
    }

    /// Takes a node out of the magazine of thread `number`.
    ///
    /// # Safety
    ///
    /// `number` is the calling thread's own, or not below [`THREADS`].
    #[inline(always)]
    pub unsafe fn take_at_hand(&self, number: usize) -> Option<Box<Node<P>>> {
        // SAFETY: the caller's promise, passed on.
        unsafe { self.magazines.take_light(number) }
    }

    /// Takes a node out of the magazine, where that wants a full fence; else a chain out of the depot, of which it leaves
    /// what it does not need in the magazine.
    ///
    /// # Safety
    ///
    /// As for `take_at_hand`.
    #[inline(never)]
    pub unsafe fn take_slow(&self, number: usize) -> Option<Box<Node<P>>>
    where
        P: Homed,
    {
        // SAFETY: the caller's promise, passed on.
        if let Some(node) = unsafe { self.magazines.take(number) } {
            return Some(node);
        }
        let magazine = self.magazines.begun(number).map(NonNull::from);
        let Fetched { mut chain, most, push, pop } = self.fetch()?;
        let node = chain.pop()?;
        self.fetches.fetch_add(1, Ordering::Relaxed);
        node.came_from(magazine);
        if let Some(magazine) = self.magazines.magazine(number) {
            self.magazines.sample(magazine);
        }
        if chain.len() > most {
            let kept = chain.split_off(most.min(WALK));
            let rest = core::mem::replace(&mut chain, kept);
            self.hand_over_by(push, pop, rest, |chain| node.payload.spill(chain));
        }
        let rest = match magazine {
            // SAFETY: the caller's promise, as above. Should the magazine not be empty, its nodes are handed over.
            Some(magazine) => unsafe { Magazine::with(magazine, chain, exchanged) }.unwrap_or_else(|chain| chain),
            None => chain,
        };
        self.hand_over(rest, |chain| node.payload.spill(chain));
        Some(node)
    }

    /// Makes this thread the one that a new node was taken by.
    pub fn settle(node: &mut Node<P>)
    where
        P: Homed,
    {
        let magazine = node.payload.tiers().magazines.begun(threads::number()).map(NonNull::from);
        node.came_from(magazine);
    }

    /// Gives a node back to the magazine that it was taken from, if it can. Else the node goes to `put_slow_here`.
    ///
    /// There is no `&self`: as soon as the node is in a magazine, the pool may close on another thread, and be gone.
    #[inline(always)]
    pub fn put_here(node: Box<Node<P>>) -> Result<(), Box<Node<P>>>
    where
        P: Homed,
    {
        // SAFETY: it is this thread's number, or none.
        unsafe { Self::put_at_hand(node, threads::number_so_far()) }
    }

    /// The long way of `put_here`. `Err` when the gate is shut, or the thread has no number: the caller then makes
    /// sure that the pool stays, and calls `put_shared`.
    pub fn put_slow_here(node: Box<Node<P>>) -> Result<(), Box<Node<P>>>
    where
        P: Homed,
    {
        // SAFETY: it is this thread's number.
        unsafe { Self::put_slow(node, threads::number()) }
    }

    /// Gives a node back to the magazine that it was taken from, if that is the thread's, open, and not full.
    ///
    /// # Safety
    ///
    /// `number` is the calling thread's own, or what `threads` says of one that has none.
    #[inline(always)]
    pub unsafe fn put_at_hand(node: Box<Node<P>>, number: usize) -> Result<(), Box<Node<P>>>
    where
        P: Homed,
    {
        // SAFETY: by `Homed` the node in hand keeps the tiers, and by (a) they keep the magazine; the caller's promise.
        let Some(home) = (unsafe { node.home_of(number) }) else { return Err(node) };
        // SAFETY: the caller's promise; the node keeps the magazine until `busy` is lowered, as nobody else
        // can reach the list before that.
        all_in(unsafe { Magazine::with_light(home, node, try_push_short) })
    }

    /// Gives a node back to the thread's magazine, which hands its chain over if it is full, or has gathered a
    /// batch of foreign nodes.
    ///
    /// # Safety
    ///
    /// As for `take_at_hand`.
    pub unsafe fn put_slow(node: Box<Node<P>>, number: usize) -> Result<(), Box<Node<P>>>
    where
        P: Homed,
    {
        let Some(magazine) = node.payload.tiers().magazines.begun(number) else { return Err(node) };
        let this = NonNull::from(magazine);
        let is_foreign = !node.is_from(this);
        let limit = if is_foreign { magazine.batch() } else { magazine.depth() };
        if !is_foreign && magazine.is_step() {
            node.payload.tiers().magazines.sample(magazine);
        }
        // SAFETY: the caller's promise, and as in `put_at_hand`.
        let put = unsafe {
            Magazine::with(
                this,
                node,
                |list, tally, node| {
                    if tally.len() < limit { try_push(list, tally, node) } else { Some(node) }
                },
            )
        };
        let Some(node) = put? else { return Ok(()) };
        if is_foreign {
            // SAFETY: the node in hand keeps the magazine.
            unsafe { this.as_ref() }.grow_batch();
        }
        // SAFETY: the caller's promise.
        unsafe { Self::put_full(this, node) }
    }

    /// Hands the owner's whole chain over and begins a new one with `node`.
    ///
    /// # Safety
    ///
    /// As for `take_at_hand`; `magazine` is that thread's in the node's pool.
    unsafe fn put_full(magazine: NonNull<Magazine<P>>, node: Box<Node<P>>) -> Result<(), Box<Node<P>>>
    where
        P: Homed,
    {
        // SAFETY: the caller's promise; the node in hand keeps the magazine.
        if let Ok(chain) = unsafe { Magazine::with(magazine, Chain::new(), exchanged) } {
            node.payload.tiers().hand_over(chain, |chain| node.payload.spill(chain));
        }
        // SAFETY: as in `put_at_hand`. Code of a user may have filled it again meanwhile.
        all_in(unsafe { Magazine::with(magazine, node, try_push) })
    }

    /// Puts a node into the depot, in a chain of its own. The caller keeps the pool.
    pub fn put_shared(&self, node: Box<Node<P>>, free: impl FnMut(Chain<P>)) {
        self.hand_over(Chain::of(node), free);
    }

    /// Hands the chain of a thread that ends over to the others. The caller keeps the pool.
    pub fn flush(&self, thread: &EndingThread, free: impl FnMut(Chain<P>)) {
        self.hand_over(self.magazines.flush(thread), free);
    }

    fn pop(&self) -> Option<Chain<P>> {
        self.counted_out(self.depot.pop())
    }

    fn counted_out(&self, chain: Option<Chain<P>>) -> Option<Chain<P>> {
        let chain = chain?;
        self.in_depot.fetch_sub(chain.len(), Ordering::Relaxed);
        Some(chain)
    }

    /// A chain for a thread that wants a node.
    fn fetch(&self) -> Option<Fetched<P>> {
        let most = self.magazines.depth();
        if let Some(chain) = self.counted_out(self.depot.pop_fresh()) {
            // Longer only if several became one for lack of room: the others find what this thread may not have at hand.
            return Some(Fetched { chain, most, push: Depot::push, pop: Depot::pop });
        }
        let chain = self.counted_out(self.depot.pop_old())?;
        // What a trim took from a large hoard, this thread's perhaps: what is not wanted now goes on ageing.
        Some(Fetched { chain, most: most.min(WALK), push: Depot::push_old, pop: Depot::pop_old })
    }

    /// Puts a chain into the depot; `free` gets what finds no room.
    fn hand_over(&self, chain: Chain<P>, free: impl FnMut(Chain<P>)) {
        self.hand_over_by(Depot::push, Depot::pop, chain, free);
    }

    /// Puts a chain into the depot by `push`. Where that finds no room, `pop` makes some.
    fn hand_over_by(&self, push: PushFn<P>, pop: PopFn<P>, mut chain: Chain<P>, mut free: impl FnMut(Chain<P>)) {
        if chain.is_empty() {
            return;
        }
        self.in_depot.fetch_add(chain.len(), Ordering::Relaxed);
        for _ in 0..MERGES {
            match push(&self.depot, chain) {
                Push::Kept => return,
                Push::Late => return self.drain(free),
                Push::Closed(refused) => {
                    chain = refused;
                    break;
                }
                // Many short chains fill it. Two that become one make room.
                Push::Full(refused) => chain = refused.merged(pop(&self.depot)),
            }
        }
        self.in_depot.fetch_sub(chain.len(), Ordering::Relaxed);
        free(chain);
    }

    fn drain(&self, mut free: impl FnMut(Chain<P>)) {
        while let Some(chain) = self.pop() {
            free(chain);
        }
    }

    /// Says whether `close` was called. A hint: it may be so an instant later.
    pub fn is_closed(&self) -> bool {
        self.depot.is_closed()
    }

    /// Nodes taken since the beginning.
    pub fn takes(&self) -> u64 {
        // The first node of each chain went to who fetched it.
        self.fetches() + self.magazines.takes()
    }

    /// Chains fetched from the depot since the beginning.
    pub fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::Relaxed)
    }

    /// Idle nodes in all tiers, exact at rest.
    pub fn idle(&self) -> usize {
        // Twice, and the smaller number: a chain on its way between the two is rather not counted than counted twice.
        let before = self.in_depot();
        let at_hand = self.magazines.waiting();
        before.min(self.in_depot()) + at_hand
    }

    /// Nodes in the depot, or just on their way. Relaxed: who gave a node back before this take, in the order of threads,
    /// has counted it before; a later one may be missed.
    fn in_depot(&self) -> usize {
        self.in_depot.load(Ordering::Relaxed)
    }
}

/// A chain from the depot.
struct Fetched<P> {
    chain: Chain<P>,
    /// Nodes of it that may come to a magazine in one piece.
    most: usize,
    /// Where it came from, for the rest.
    push: PushFn<P>,
    pop: PopFn<P>,
}

type PushFn<P> = fn(&Depot<Chain<P>>, Chain<P>) -> Push<Chain<P>>;
type PopFn<P> = fn(&Depot<Chain<P>>) -> Option<Chain<P>>;

impl<P> fmt::Debug for Tiers<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiers").field("idle", &self.idle()).finish_non_exhaustive()
    }
}
