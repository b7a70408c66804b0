//! The depot: idle nodes of one pool, shared by all threads, and the rule that closing it loses none.
//!
//! A bounded lock-free queue (Dmitry Vyukov's array queue, as `crossbeam_queue::ArrayQueue` has it) and
//! one flag. Pushing and closing are the two sides of Dekker's handshake: each writes its own word, passes
//! a `SeqCst` fence and reads the other's, so at least one of them sees the other.
//!
//! | state | who frees what is queued |
//! |---|---|
//! | open | nobody: `pop` hands it out |
//! | closed, a push began before | the closer, or the pusher if the closer's drain came too early |
//! | closed | nobody pushes any more |
//!
//! Nodes age in two steps, as in a victim cache: what waits through one step is old, what waits through two is
//! taken out. Taking prefers the younger.

use crate::sync::{AtomicBool, Mutex, Ordering, Queue, fence};
use core::fmt;

/// Idle nodes of one pool: those that came in since the last ageing, and those that were there before it.
pub struct Depot<N> {
    fresh: Queue<N>,
    old: Queue<N>,
    /// Once true, never false again.
    closed: AtomicBool,
    ageing: Mutex<Step>,
}

/// What takes longer to free the more there is in it, and can be divided.
pub trait Load {
    /// How much there is in it; never nothing.
    fn load(&self) -> usize;

    /// Takes out as much as `load` says, less than all.
    fn split_off(&mut self, load: usize) -> Self;
}

/// What is left of one ageing step.
#[derive(Clone, Copy, Default)]
struct Step {
    to_free: usize,
    to_move: usize,
}

/// What became of a node that was pushed.
#[derive(Debug)]
#[must_use = "a refused node is still the caller's, and `Late` asks for a drain"]
pub enum Push<N> {
    /// It is in the depot.
    Kept,
    /// It is in the depot, which was closed meanwhile: the caller drains.
    Late,
    /// There is no room.
    Full(N),
    /// The depot is closed.
    Closed(N),
}

impl<N> Depot<N> {
    /// A depot for at most `capacity` nodes (at least one) of each age.
    pub fn new(capacity: usize) -> Self {
        let queue = || Queue::new(capacity.max(1));
        Self { fresh: queue(), old: queue(), closed: AtomicBool::new(false), ageing: Mutex::new(Step::default()) }
    }

    /// Takes a node out: of the younger ones, the one that waits longest. The queue's own Release and Acquire make
    /// all that was done to the node before its push visible here.
    pub fn pop(&self) -> Option<N> {
        self.pop_fresh().or_else(|| self.pop_old())
    }

    /// Takes one of the younger ones out.
    pub fn pop_fresh(&self) -> Option<N> {
        self.fresh.pop()
    }

    /// Takes one of the older ones out.
    pub fn pop_old(&self) -> Option<N> {
        self.old.pop()
    }

    /// Puts a node in.
    pub fn push(&self, node: N) -> Push<N> {
        self.push_to(&self.fresh, node)
    }

    /// Puts a node in that has waited through one step elsewhere.
    pub fn push_old(&self, node: N) -> Push<N> {
        self.push_to(&self.old, node)
    }

    fn push_to(&self, queue: &Queue<N>, node: N) -> Push<N> {
        if self.is_closed() {
            return Push::Closed(node);
        }
        if let Err(node) = queue.push(node) {
            return Push::Full(node);
        }
        if self.closed_after_push() { Push::Late } else { Push::Kept }
    }

    /// Whether the depot was closed, asked after a push.
    fn closed_after_push(&self) -> bool {
        // Pairs with the fence in `close`: either this load sees the flag, or the closer's drain sees
        // the node. Both may happen; `pop` gives each node to one of them only.
        fence(Ordering::SeqCst);
        // Relaxed: the fence orders it, and the flag publishes nothing.
        self.closed.load(Ordering::Relaxed)
    }

    /// Goes on with an ageing step, or begins one: what was old when it began is taken out, then what was fresh
    /// becomes old. Takes out a load of `most` at most, in which one that becomes old counts as one; `free` gets what was
    /// taken out. Says whether the step is done.
    pub fn age(&self, most: usize, mut free: impl FnMut(N)) -> bool
    where
        N: Load,
    {
        let (out, done) = self.age_locked(most);
        out.into_iter().for_each(&mut free);
        // A node that was moved has been pushed, so a close that came meanwhile may have missed it.
        if self.closed_after_push() {
            core::iter::from_fn(|| self.pop()).for_each(free);
        }
        done
    }

    /// The part of `age` under the lock, where no code of a user may run.
    fn age_locked(&self, most: usize) -> (Vec<N>, bool)
    where
        N: Load,
    {
        let mut step = self.ageing.lock();
        if step.to_free + step.to_move == 0 {
            *step = Step { to_free: self.old.len(), to_move: self.fresh.len() };
        }
        let mut out = Vec::new();
        // Both queues are first in, first out: what is moved now comes behind what is to be freed.
        let left = self.take_old(&mut step, most, &mut out);
        self.move_fresh(&mut step, left, &mut out);
        (out, step.to_free + step.to_move == 0)
    }

    /// Takes old nodes out as long as there is something `left`, and says how much of it remains.
    fn take_old(&self, step: &mut Step, mut left: usize, out: &mut Vec<N>) -> usize
    where
        N: Load,
    {
        while step.to_free > 0 && left > 0 {
            let Some(mut node) = self.old.pop() else {
                step.to_free = 0;
                break;
            };
            if node.load() > left {
                let first = node.split_off(left);
                // What remains goes behind the others, where a later call of this step finds it, or a taker.
                match self.old.push(core::mem::replace(&mut node, first)) {
                    Ok(()) => step.to_free += 1,
                    // Somebody took its place: there is no other for it.
                    Err(rest) => out.push(rest),
                }
            }
            step.to_free -= 1;
            left = left.saturating_sub(node.load());
            out.push(node);
        }
        left
    }

    /// Makes fresh nodes old as long as there is something `left`: all that was old is out then.
    fn move_fresh(&self, step: &mut Step, left: usize, out: &mut Vec<N>) {
        let moving = step.to_move.min(left);
        let moved = (0..moving)
            .map_while(|_| self.fresh.pop())
            .map(|node| self.old.push(node).unwrap_or_else(|node| out.push(node)))
            .count();
        step.to_move = if moved < moving { 0 } else { step.to_move - moving };
    }

    /// Closes for good and says whether this call was the one that did. The caller then drains with `pop`.
    pub fn close(&self) -> bool {
        // Relaxed: ordered against the drain by the fence below; the flag publishes nothing.
        let first = !self.closed.swap(true, Ordering::Relaxed);
        // Pairs with the fence in `push`.
        fence(Ordering::SeqCst);
        first
    }

    /// Says whether `close` was called. A hint: it may be so an instant later.
    pub fn is_closed(&self) -> bool {
        // Relaxed: a late answer is caught by the fence in `push`.
        self.closed.load(Ordering::Relaxed)
    }

    /// Nodes waiting, exact while nobody pushes or pops.
    pub fn len(&self) -> usize {
        self.fresh.len() + self.old.len()
    }
}

impl<N> fmt::Debug for Depot<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Depot").field("fresh", &self.fresh.len()).field("old", &self.old.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    impl Load for u32 {
        fn load(&self) -> usize {
            1
        }
        fn split_off(&mut self, _: usize) -> Self {
            unreachable!("less than one is nothing")
        }
    }

    impl Load for Vec<u32> {
        fn load(&self) -> usize {
            self.len()
        }
        fn split_off(&mut self, load: usize) -> Self {
            self.drain(..load).collect()
        }
    }

    /// One call of `age`, and what it took out.
    fn age<N: Load>(depot: &Depot<N>, most: usize) -> (Vec<N>, bool) {
        let mut out = Vec::new();
        let done = depot.age(most, |node| out.push(node));
        (out, done)
    }

    #[test]
    fn two_steps_take_out_what_waits_and_one_does_not() {
        let depot = Depot::new(10);
        (0..3).for_each(|node| assert!(matches!(depot.push(node), Push::Kept)));
        assert_eq!(age(&depot, 10), (vec![], true));
        assert!(matches!(depot.push(9), Push::Kept));
        assert_eq!(depot.pop(), Some(9), "the younger one first");
        assert_eq!(age(&depot, 10), (vec![0, 1, 2], true));
        assert_eq!(depot.len(), 0);
    }

    #[test]
    fn a_step_in_parts_takes_out_no_more_than_a_whole_one() {
        let depot = Depot::new(10);
        (0..5).for_each(|node| assert!(matches!(depot.push(node), Push::Kept)));
        assert_eq!(age(&depot, 3), (vec![], false));
        assert_eq!(age(&depot, 3), (vec![], true));
        assert_eq!(age(&depot, 3), (vec![0, 1, 2], false));
        assert_eq!(age(&depot, 3), (vec![3, 4], true));
        assert_eq!(age(&depot, 3), (vec![], true));
    }

    #[test]
    fn an_old_one_makes_room_for_an_old_one() {
        let depot = Depot::new(2);
        (0..2).for_each(|node| assert!(matches!(depot.push_old(vec![node]), Push::Kept)));
        assert!(matches!(depot.push(vec![9]), Push::Kept));
        assert!(matches!(depot.push_old(vec![2]), Push::Full(_)));
        assert_eq!(depot.pop_old(), Some(vec![0]), "the one that waits longest");
        assert_eq!((depot.pop(), depot.pop()), (Some(vec![9]), Some(vec![1])));
    }

    #[test]
    fn a_call_takes_out_no_more_than_it_may_and_the_step_goes_on_with_the_rest() {
        let depot = Depot::new(3);
        for node in [vec![1, 2, 3, 4, 5], vec![6], vec![7, 8]] {
            assert!(matches!(depot.push(node), Push::Kept));
        }
        assert_eq!(age(&depot, 3), (vec![], true));
        assert!(matches!(depot.push(vec![9; 9]), Push::Kept));
        assert_eq!(age(&depot, 3), (vec![vec![1, 2, 3]], false));
        assert_eq!(depot.len(), 4);
        assert_eq!(age(&depot, 3), (vec![vec![6], vec![7, 8]], false));
        // What was left of the first, then the fresh one becomes old: one more.
        assert_eq!(age(&depot, 3), (vec![vec![4, 5]], true));
        assert_eq!(age(&depot, 9), (vec![vec![9; 9]], true));
        assert_eq!(depot.len(), 0);
    }

    #[test]
    fn what_is_left_of_a_node_can_be_taken() {
        let depot = Depot::new(1);
        assert!(matches!(depot.push(vec![1, 2, 3]), Push::Kept));
        assert_eq!(age(&depot, 1), (vec![], true));
        assert_eq!(age(&depot, 1), (vec![vec![1]], false));
        assert_eq!(depot.pop(), Some(vec![2, 3]));
        assert_eq!(age(&depot, 1), (vec![], true));
    }
}
