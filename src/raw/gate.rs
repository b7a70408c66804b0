//! A gate that is shut once, and a shutter who then counts who is inside.
//!
//! Whoever comes first adds itself to a count of its caller's, then asks the gate; whoever shuts it shuts first and reads the
//! counts then. With a fence between the two steps on both sides, at least one sees the other: who passes is counted.
//! The fence is the one of `barrier`, nearly free for those who pass.

use super::barrier;
use crate::sync::{AtomicBool, Ordering};

/// Open at first, shut once.
#[derive(Debug)]
pub struct Gate {
    shut: AtomicBool,
    full_fence: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self { shut: AtomicBool::new(false), full_fence: barrier::must_be_full() }
    }
}

impl Gate {
    /// Whether the gate was open. Who was added to a count before this call, and is told `true`, is in what
    /// [`shut`](Self::shut) lets its caller read.
    #[inline]
    pub fn passes(&self) -> bool {
        if self.full_fence {
            barrier::full();
        } else {
            barrier::light(true);
        }
        self.is_open()
    }

    /// Whether the gate is open: a hint.
    #[inline]
    pub fn is_open(&self) -> bool {
        // Relaxed: nothing is published by the gate; after a fence the order with the count is what matters.
        !self.shut.load(Ordering::Relaxed)
    }

    /// Shuts the gate.
    pub fn shut(&self) {
        // Relaxed: `settles` orders it with the counts.
        self.shut.store(true, Ordering::Relaxed);
    }

    /// After `shut`, and before the counts are read: what other threads did before they passed is seen from here on.
    /// `false` if the system failed; then nothing may be concluded from the counts.
    #[must_use]
    pub fn settles(&self) -> bool {
        barrier::heavy(self.full_fence)
    }
}
