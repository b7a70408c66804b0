//! The shells of a pool: what is left of values that were taken out for good, for the next ones that are made.
//!
//! To make a value and to lose one costs a box, a count on the home, and the counters of the bounds, which all threads
//! share. A shell keeps all of these for the next value that its thread makes. It stands in the bounds, but its place is
//! nobody's: who finds no room [sheds](Home::shed) the shells first. So they keep no value out.

use super::Home;
use super::lent::{Lent, Node, Shell, UNCHARGED};
use crate::raw::chain::Chain;
use crate::raw::magazine::Magazine;
use crate::raw::magazines::{Magazines, Part};
use crate::raw::shell::filled;
use crate::raw::threads::EndingThread;
use crate::raw::tiers::Tiers;
use crate::sync::Ordering::Relaxed;
use crate::sync::count::{AtomicU64, AtomicUsize};

/// Shells that one thread keeps at most.
const THREAD_SHELLS: usize = 64;
/// Bytes that one shell stands for at most: with 64 on a thread, half a MiB of the bounds.
const SHELL_BYTES: usize = 8 << 10;
/// The charge of shells as long as no value was made that is worth one. No value has it.
const NONE: usize = usize::MAX;

/// # Invariants
///
/// (a) All shells that wait have the charge `charge`, which is set once, before.
pub(super) struct Shells<T> {
    waiting: Magazines<Shell<T>>,
    charge: AtomicUsize,
    /// Shells that a value from outside was put into.
    adopting: AtomicU64,
}

impl<T: Send + 'static> Shells<T> {
    pub(super) fn new(thread_values: usize, full_fence: bool) -> Self {
        let waiting = Magazines::new(thread_values.min(THREAD_SHELLS), full_fence);
        Self { waiting, charge: AtomicUsize::new(NONE), adopting: AtomicU64::new(0) }
    }

    pub(super) fn magazines(&self) -> &Magazines<Shell<T>> {
        &self.waiting
    }

    /// Whether a shell with this charge is worth keeping: a value that is made is like to need as much as the first one.
    #[inline]
    pub(super) fn want(&self, charge: usize) -> bool {
        charge == self.charge.load(Relaxed)
    }

    /// Notes what a new value was charged.
    pub(super) fn note_new(&self, charge: usize) {
        if charge != UNCHARGED && charge <= SHELL_BYTES && self.want(NONE) {
            // Whoever comes first decides.
            let _ = self.charge.compare_exchange(NONE, charge, Relaxed, Relaxed);
        }
    }

    /// A node around `value`, of a shell that this thread has at hand. It begins with the shell's charge, and gets its own
    /// when it comes back.
    #[inline]
    pub(super) fn fill(&self, value: T) -> Result<Box<Node<T>>, T> {
        let Some(shell) = self.waiting.take_here() else { return Err(value) };
        let mut node = filled::<Lent<T>>(shell, value);
        node.payload.strikes = 0;
        Tiers::settle(&mut node);
        Ok(node)
    }

    /// As `fill`, for a value that the pool did not make.
    pub(super) fn adopt(&self, value: T) -> Result<Box<Node<T>>, T> {
        let node = self.fill(value)?;
        self.adopting.fetch_add(1, Relaxed);
        Ok(node)
    }

    /// Shells that wait.
    pub(super) fn count(&self) -> u64 {
        self.waiting.waiting() as u64
    }

    /// Bytes that they stand for.
    pub(super) fn bytes(&self) -> u64 {
        self.count().saturating_mul(self.charge.load(Relaxed) as u64)
    }

    /// Values that were made for a shell.
    pub(super) fn made(&self) -> u64 {
        self.waiting.takes().saturating_sub(self.adopting.load(Relaxed))
    }

    /// Bytes of these: each cost as much as its shell, or is charged more when it comes back.
    pub(super) fn made_bytes(&self) -> u64 {
        self.made().saturating_mul(self.charge.load(Relaxed) as u64)
    }
}

impl<T: Send + 'static> Home<T> {
    /// Frees all shells, and says whether there was one.
    #[cold]
    pub(super) fn shed(&self) -> bool {
        let chains = self.shells.waiting.seize();
        let any = !chains.is_empty();
        self.free_shells(chains);
        any
    }

    /// Frees the shells of some threads, and with the next call those of others; `true` when it has come to all.
    pub(super) fn shed_some(&self) -> bool {
        let part = |shells: &Magazine<Shell<T>>| Part { keep: 0, costs: shells.waiting() };
        let (chains, done) = self.shells.waiting.seize_part(part);
        self.free_shells(chains);
        done
    }

    /// Whether `shed_some` was called and is to be called again.
    pub(super) fn is_shedding(&self) -> bool {
        self.shells.waiting.is_in_round()
    }

    /// Frees all shells for good. `false` if a thread was busy with its own all the while.
    pub(super) fn shed_for_good(&self) -> bool {
        let (chains, complete) = self.shells.waiting.shut();
        self.free_shells(chains);
        complete
    }

    /// Frees what a thread that ends has at hand.
    pub(super) fn shed_here(&self, thread: &EndingThread) {
        self.free_shells([self.shells.waiting.flush(thread)]);
    }

    /// Whether `reserve` finds room, if need be that of the shells.
    pub(super) fn has_room(&self, reserve: impl Fn() -> bool) -> bool {
        reserve() || (self.shed() && reserve())
    }

    /// No code of a user runs: a shell has no value.
    pub(super) fn free_shells(&self, chains: impl IntoIterator<Item = Chain<Shell<T>>>) {
        for mut chain in chains {
            while let Some(shell) = chain.pop() {
                let charge = shell.payload.charge;
                drop(shell);
                self.gone(charge);
            }
        }
    }
}
