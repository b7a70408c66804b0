//! The side of the tiers that takes nodes away from their threads: closing, trimming, clearing.
//!
//! All of it holds the lock, shuts gates, passes the heavy fence and then looks whether an owner is busy: see the
//! table in `magazine`. No code of a user runs under the lock.

use super::super::chain::{Chain, WALK};
use super::super::depot::Depot;
use super::super::magazine::Magazine;
use super::super::magazines::Part;
use super::Tiers;
use crate::sync::Ordering;

impl<P> Tiers<P> {
    /// Closes for good and frees what is idle. `false` if an owner was busy all the while: its nodes are
    /// freed by another call.
    pub fn close(&self, mut free: impl FnMut(Chain<P>)) -> bool {
        // First, so that an owner who finds its gate shut keeps nothing there.
        self.depot.close();
        let (chains, complete) = self.magazines.shut();
        chains.into_iter().for_each(&mut free);
        self.drain(free);
        complete
    }

    /// Moves what threads have at hand into the depot, where other threads find it: all, of those that have taken nothing since
    /// the last round; of the others the half that has lain longest, or all but [`WALK`] nodes if that is more, which they fetch
    /// back if they need it. It counts as old there: it has waited through one step.
    ///
    /// A round takes as many calls as it needs with less than two `WALK`s of nodes left to magazines in each. `true` when it is
    /// done.
    pub fn reclaim(&self, mut free: impl FnMut(Chain<P>)) -> bool {
        let part = |magazine: &Magazine<P>| {
            let keep = if magazine.is_idle() { 0 } else { magazine.waiting().div_ceil(2).min(WALK) };
            Part { keep, costs: keep }
        };
        let (chains, done) = self.magazines.seize_part(part);
        for chain in chains {
            self.hand_over_by(Depot::push_old, Depot::pop_old, chain, &mut free);
        }
        done
    }

    /// Whether a round of `reclaim` has begun and is not done.
    pub fn is_reclaiming(&self) -> bool {
        self.magazines.is_in_round()
    }

    /// Moves the chains of all threads into the depot, for a thread that finds nothing there.
    pub fn share_out(&self, mut free: impl FnMut(Chain<P>)) {
        for chain in self.magazines.seize() {
            self.hand_over(chain, &mut free);
        }
    }

    /// Frees what is idle now. A thread that is just at its magazine keeps it.
    pub fn clear(&self, mut free: impl FnMut(Chain<P>)) {
        self.magazines.seize().into_iter().for_each(&mut free);
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
