//! An asymmetric fence: nearly free on the side that runs often, dear on the side that runs seldom.
//!
//! Two threads that each write one word and then read the other's (Dekker's handshake) need a full fence between
//! write and read on both sides. Linux can put one into every running thread of the process at once
//! (`membarrier`, private expedited), so that the frequent side only has to keep the compiler from
//! reordering. Where that is not to be had (another system, a seccomp filter) both sides use a full fence.
//!
//! In models both sides are `SeqCst` fences: what is checked is the protocol above, not the kernel's promise.

use crate::sync::count::AtomicBool;
use crate::sync::{MODELLED, Ordering, compiler_fence, fence};
use std::sync::OnceLock;

/// The light side, if the heavy one `reaches` other threads. Where it does not, this is no fence, in models too: use
/// [`full`].
#[inline(always)]
pub fn light(reaches: bool) {
    if MODELLED {
        if reaches {
            fence(Ordering::SeqCst);
        }
    } else {
        // The processor may still delay the store behind the load: the heavy side's interrupt drains it.
        compiler_fence(Ordering::SeqCst);
    }
}

/// The light side where the heavy one does not reach.
#[inline]
pub fn full() {
    fence(Ordering::SeqCst);
}

/// The heavy side. `full` says that the light side uses `full`, so that this thread's own fence is enough. `false` if it could not reach other threads:
/// nothing may be concluded then from what is read after it.
#[must_use]
pub fn heavy(full: bool) -> bool {
    fence(Ordering::SeqCst);
    full || MODELLED || system::fence_all() || lost()
}

/// Set once the heavy side has failed: a filter came after the registration.
static LOST: AtomicBool = AtomicBool::new(false);

#[cold]
fn lost() -> bool {
    // Relaxed: whoever does not know it yet finds out in the same way.
    LOST.store(true, Ordering::Relaxed);
    false
}

/// Whether light fences must be full from here on. Asked of the system once, and known when it has broken its word.
pub fn must_be_full() -> bool {
    static FULL: OnceLock<bool> = OnceLock::new();
    !MODELLED && (LOST.load(Ordering::Relaxed) || *FULL.get_or_init(|| !system::register()))
}

#[cfg(all(target_os = "linux", not(miri)))]
mod system {
    // Of `linux/membarrier.h`.
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: the call takes numbers only and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    /// Makes the process ready for `fence_all`; `false` where the kernel, or a filter, refuses.
    pub(super) fn register() -> bool {
        membarrier(REGISTER_PRIVATE_EXPEDITED)
    }

    /// A full fence in every running thread of the process.
    pub(super) fn fence_all() -> bool {
        membarrier(PRIVATE_EXPEDITED)
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod system {
    pub(super) fn register() -> bool {
        false
    }

    pub(super) fn fence_all() -> bool {
        false
    }
}
