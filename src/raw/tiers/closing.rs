//! The side of the tiers that takes nodes away from their threads: closing, trimming, clearing.
//!
//! All of it holds the lock, shuts gates, passes the heavy fence and then looks whether an owner is busy: see the
//! table in `magazine`. No code of a user runs under the lock.

use super::super::barrier;
use super::super::chain::Chain;
use super::super::depot::Depot;
use super::super::magazine::Magazine;
use super::Tiers;
use crate::sync::{MODELLED, Ordering, yield_now};

/// How often a close looks again at a magazine whose owner is busy, giving up the processor in between.
const LOOKS: usize = if MODELLED { 1 } else { 100 };

impl<P> Tiers<P> {
    /// Closes for good and frees what is idle. `false` if an owner was busy all the while: its nodes are
    /// freed by another call.
    pub fn close(&self, mut free: impl FnMut(Chain<P>)) -> bool {
        let (chains, complete) = self.shut();
        chains.into_iter().for_each(&mut free);
        self.drain(free);
        complete
    }

    /// Shuts all gates and takes the chains out. No code of a user runs under the lock.
    fn shut(&self) -> (Vec<Chain<P>>, bool) {
        let mut closed = self.closed.lock();
        *closed = true;
        self.depot.close();
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

    /// Moves what threads have at hand into the depot, where other threads find it: all, of those that have taken nothing since
    /// the last call; of the others the half that has lain longest, which they fetch back if they need it. It counts as
    /// old there: it has waited through one step.
    pub fn reclaim(&self, mut free: impl FnMut(Chain<P>)) {
        let keep = |magazine: &Magazine<P>| if magazine.is_idle() { 0 } else { magazine.waiting().div_ceil(2) };
        for chain in self.seize(keep) {
            self.hand_over_by(Depot::push_old, Depot::pop_old, chain, &mut free);
        }
    }

    /// Moves the chains of all threads into the depot, for a thread that finds nothing there.
    pub fn share_out(&self, mut free: impl FnMut(Chain<P>)) {
        for chain in self.seize(|_| 0) {
            self.hand_over(chain, &mut free);
        }
    }

    /// Takes the chains of all magazines, but the nodes that `keep` leaves to each.
    fn seize(&self, keep: impl Fn(&Magazine<P>) -> usize) -> Vec<Chain<P>> {
        // Held until the gates are open again, so that no close comes in between.
        let closed = self.closed.lock();
        let picked = self.all().map(|magazine| (magazine, keep(magazine)));
        let picked: Vec<_> = picked.filter(|&(magazine, keep)| magazine.waiting() > keep).collect();
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

    /// Frees what is idle now. A thread that is just at its magazine keeps it.
    pub fn clear(&self, mut free: impl FnMut(Chain<P>)) {
        self.seize(|_| 0).into_iter().for_each(&mut free);
        // What comes back meanwhile is left alone.
        (0..self.depot.len()).map_while(|_| self.pop()).for_each(free);
    }

    /// Ages what waits in the depot by one step and gives what is too old to `free`, at most `most` nodes, in which a chain
    /// that becomes old counts as one. `false` if there was more to do.
    pub fn age(&self, most: usize, mut free: impl FnMut(Chain<P>)) -> bool {
        self.depot.age(most, |chain| {
            self.in_depot.fetch_sub(chain.len(), Ordering::Relaxed);
            free(chain);
        })
    }
}
