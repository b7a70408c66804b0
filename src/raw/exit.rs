//! What is done when the process ends, after `main` and the destructors of its thread.

use super::unwind::caught;
use std::sync::OnceLock;

/// What is done last, and how the process ends then, if not as it would.
type Last = fn() -> Option<i32>;

static LAST: OnceLock<Last> = OnceLock::new();

/// Calls `last` when the process ends by itself: not when it is killed, or aborts. The first one that is given.
pub fn at_exit(last: Last) {
    if LAST.set(last).is_ok() {
        // SAFETY: a function of the right kind, which unwinds into nobody.
        unsafe { libc::atexit(ends) };
    }
}

extern "C" fn ends() {
    let code = LAST.get().and_then(caught).flatten();
    if let Some(code) = code {
        // SAFETY: nothing of this process runs after it.
        unsafe { libc::_exit(code) }
    }
}
