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
use core::convert::Infallible;
use core::fmt;
use core::time::Duration;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use tokio::runtime::Handle;

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

/// Trims `pool` once every `period`, on a thread of its own, until the returned handle is dropped.
///
/// A pool without traffic shrinks to nothing in three periods. The thread stands in the current runtime, for values whose drop wants
/// one. A step that has much to do is done in pieces, and ends between two of them when the returned handle is dropped. That one
/// keeps a handle of the pool, so with the last of both all values go, there and then; only a step that just runs keeps them for
/// its length.
///
/// Why not a task: a runtime in which a timer waits arms one of the system's whenever it sleeps, and small requests pay for that.
/// The thread sleeps; requests do not see it.
///
/// # Panics
///
/// Outside of a tokio runtime, when `period` is zero, and when the system has no thread to give.
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
    assert!(!period.is_zero(), "a pool cannot be trimmed every zero seconds");
    let (runtime, (stop, stopped)) = (Handle::current(), mpsc::channel());
    let kept: Arc<Mutex<dyn Trim>> = Arc::new(Mutex::new(pool));
    // Not the thread's while it sleeps: nobody waits for the thread, so what it dropped last might go late, or never.
    let pool = Arc::downgrade(&kept);
    let trimming = move || {
        let _entered = runtime.enter();
        let goes_on = |wait| stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout);
        while goes_on(period) {
            let Some(pool) = pool.upgrade() else { return };
            let pool = pool.lock();
            while !pool.trim() && goes_on(Duration::ZERO) {}
        }
    };
    let thread = thread::Builder::new().name("ebbtide-trim".to_owned()).spawn(trimming);
    Trimming { thread: thread.expect("the system gives a thread"), _stop: stop, _pool: kept }
}

/// Keeps [`trim_every`] going. Its drop stops it, and waits for nothing.
pub struct Trimming {
    thread: JoinHandle<()>,
    /// Never used: the thread sees that it is gone.
    _stop: Sender<Infallible>,
    /// Only kept. It goes last: a step that just runs has heard of the end by then. The lock is there since a `Trim` need not be
    /// `Sync`: only the thread takes it, so that a value's drop, which runs under it, can wait for nobody.
    _pool: Arc<Mutex<dyn Trim>>,
}

impl fmt::Debug for Trimming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trimming").field("is_finished", &self.thread.is_finished()).finish()
    }
}
