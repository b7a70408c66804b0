//! Without the feature `tracing` a spawned task carries no span.

use core::future::Future;

pub(super) fn carried<F: Future>(future: F) -> F {
    future
}
