//! The span that a spawned task carries (feature `tracing`).

use core::future::Future;
use tracing::Instrument;

/// Runs `future` in the span that is current now.
pub(super) fn carried<F: Future>(future: F) -> impl Future<Output = F::Output> {
    future.in_current_span()
}
