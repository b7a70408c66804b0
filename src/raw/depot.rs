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

use crate::sync::{AtomicBool, Ordering, Queue, fence};

/// Idle nodes of one pool.
#[derive(Debug)]
pub struct Depot<N> {
    queue: Queue<N>,
    /// Once true, never false again.
    closed: AtomicBool,
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
    /// A depot for at most `capacity` nodes (at least one).
    pub fn new(capacity: usize) -> Self {
        Self { queue: Queue::new(capacity.max(1)), closed: AtomicBool::new(false) }
    }

    /// Takes a node out, the one that waits longest. The queue's own Release and Acquire make all
    /// that was done to the node before its push visible here.
    pub fn pop(&self) -> Option<N> {
        self.queue.pop()
    }

    /// Puts a node in.
    pub fn push(&self, node: N) -> Push<N> {
        if self.is_closed() {
            return Push::Closed(node);
        }
        if let Err(node) = self.queue.push(node) {
            return Push::Full(node);
        }
        // Pairs with the fence in `close`: either this load sees the flag, or the closer's drain sees
        // the node. Both may happen; `pop` gives each node to one of them only.
        fence(Ordering::SeqCst);
        // Relaxed: the fence orders it, and the flag publishes nothing.
        if self.closed.load(Ordering::Relaxed) { Push::Late } else { Push::Kept }
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
        self.queue.len()
    }
}
