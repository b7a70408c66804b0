//! The bytes that all pools of the process may keep together.

use crate::raw::budget::Budget;
use std::sync::LazyLock;

/// Bytes that all pools of the process may keep together, unless somebody sets another limit.
const PROCESS_BYTES: usize = 1 << 30;

/// The budget of all pools together. Each pool has a reference to it, so only who makes a pool, or asks here, finds it by the lock.
static PROCESS: LazyLock<Budget> = LazyLock::new(|| Budget::over(PROCESS_BYTES, None));

/// Sets how many bytes all pools of the process may keep together. Default: 1 GiB. What is kept already stays: it is
/// given up by trimming, or when it comes back from a lease larger than before.
pub fn set_process_limit(bytes: usize) {
    PROCESS.set_limit(bytes);
}

/// Bytes that all pools of the process keep, or keep places for: those of leased values, and those that
/// [detached](crate::Pooled::detach) ones leave to the next.
#[must_use]
pub fn process_bytes() -> usize {
    PROCESS.used()
}

impl Budget {
    /// A budget within that of the process, for bytes.
    pub(crate) fn of_process(limit: usize) -> Self {
        Self::over(limit, Some(&PROCESS))
    }
}
