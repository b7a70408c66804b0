//! Help from a tokio runtime: pools and request slots that are trimmed while nobody uses them, reads into pooled memory,
//! background tasks by tag, the end of a server.

mod lifecycle;
mod read;
#[cfg(not(feature = "tracing"))]
#[path = "tokio/no_span.rs"]
mod span;
#[cfg(feature = "tracing")]
mod span;
mod tasks;

pub use lifecycle::{Check, Close, Health, Lifecycle, Readiness, Report, StartError, terminated};
pub use read::read_pooled;
pub use tasks::{Stopped, Tasks};

use crate::buffer::BufferPool;
use crate::pool::Pool;
use crate::request::Scopes;
use core::fmt;
use core::time::Duration;
use tokio::task::AbortHandle;

/// A pool, or the slots of [`Scopes`], that can be trimmed.
pub trait Trim: Send + 'static {
    /// Does a bounded piece of one ageing step, and says whether the step is done.
    fn trim(&self) -> bool;
}

impl<T: Send + 'static> Trim for Pool<T> {
    fn trim(&self) -> bool {
        self.trim()
    }
}

impl Trim for BufferPool {
    fn trim(&self) -> bool {
        self.trim()
    }
}

impl Trim for Scopes {
    fn trim(&self) -> bool {
        self.trim()
    }
}

/// Trims `pool` once every `period`, on the current runtime, until the returned handle is dropped.
///
/// A pool without traffic shrinks to nothing in three periods. The task keeps a handle of the pool. A step that has
/// much to do is done in pieces, and the task yields between them.
///
/// The cost: a runtime with a timer arms one of the system's whenever it sleeps. Where nothing else in it waits for a time, requests
/// of some ten microseconds may lose some percent to that; a thread that sleeps and calls `trim` arms nothing there.
///
/// # Panics
///
/// Outside of a tokio runtime, and when `period` is zero.
///
/// # Examples
///
/// ```
/// use ebbtide::{BufferPool, tokio::trim_every};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let _trimming = trim_every(BufferPool::global().clone(), Duration::from_secs(30));
/// # }
/// ```
#[must_use = "the trimming stops when its handle is dropped"]
pub fn trim_every(pool: impl Trim, period: Duration) -> Trimming {
    let mut ticks = tokio::time::interval(period);
    let task = tokio::spawn(async move {
        loop {
            ticks.tick().await;
            while !pool.trim() {
                tokio::task::yield_now().await;
            }
        }
    });
    Trimming(task.abort_handle())
}

/// Keeps [`trim_every`] going. Its drop stops it.
pub struct Trimming(AbortHandle);

impl Drop for Trimming {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Trimming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trimming").field("is_finished", &self.0.is_finished()).finish()
    }
}
