//! Collecting a body into memory that is bounded by what has arrived.
//!
//! A frame of hyper's is a slice of its read buffer, and pins all of it for as long as it is held: a client that
//! trickles a body makes a server that holds the frames allocate a read buffer for each. So a frame is held here
//! only if the body says that it is the whole of it: it is passed on uncopied. Else every frame is copied
//! as it arrives, and dropped: into one buffer for the whole body where its claim is believed, else into a rope.
//!
//! A claim is believed as far as the pool's bound for all claims goes, which what has not arrived is charged to.

mod arriving;
mod budget;
mod collected;
mod collecting;
mod error;
mod limits;
#[cfg(feature = "tokio")]
mod read;
#[cfg(feature = "spill")]
mod spill;
#[cfg(feature = "spill")]
mod spilled;
#[cfg(not(feature = "tokio"))]
#[path = "collect/no_times.rs"]
mod times;
#[cfg(feature = "tokio")]
mod times;

pub use budget::BodyBudget;
pub use collected::Collected;
pub use error::CollectError;
pub use limits::Limits;
#[cfg(feature = "spill")]
pub use {
    spill::{Spill, Stored, collect_or_spill},
    spilled::Spilled,
};

pub(in crate::http) use collecting::Collecting;

use crate::buffer::BufferPool;
use core::future::Future;
use http_body::Body;

/// Collects `body` into memory from `buffers`. Dropping the future gives the memory back.
///
/// A body of one frame is passed on uncopied. Of others each frame is copied and dropped as it arrives: into one buffer for what
/// the body claims, if it claims at most 16 KiB, or at most [`Limits::contiguous`] while the pool has room for it in
/// [`max_ahead_bytes`](crate::buffer::BufferPoolBuilder::max_ahead_bytes); else into segments that grow with what has arrived.
///
/// **Memory**: for a claim that is believed one buffer for it; else at most a twelfth more than has arrived, or 4 KiB. Without a claim and
/// a budget, what lies idle in the pool goes before what is new: a segment of up to four times the room. **Cost**: one copy of each byte, none for a body of one frame.
///
/// A body that says it has [ended](http_body::Body::is_end_stream) is not polled again.
///
/// # Errors
///
/// [`CollectError::TooLarge`] at once when the body claims more than the limit, else when it has passed
/// the limit; [`CollectError::Body`] when the body fails; [`CollectError::NoMemory`] where there is none for its bytes; the others
/// by the settings of [`Limits`].
///
/// # Examples
///
/// ```
/// use ebbtide::{BufferPool, http::{Limits, collect}};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let buffers = BufferPool::new();
/// let body = http_body_util::Full::new(&b"hello"[..]);
/// let mut collected = collect(body, &buffers, Limits::new(100)).await.unwrap();
/// assert_eq!(collected.contiguous(), b"hello");
///
/// let body = http_body_util::Full::new(&b"hello"[..]);
/// let error = collect(body, &buffers, Limits::new(4)).await.unwrap_err();
/// assert_eq!(error.status(), 413);
/// # }
/// ```
pub fn collect<B: Body>(
    body: B,
    buffers: &BufferPool,
    limits: Limits,
) -> impl Future<Output = Result<Collected, CollectError<B::Error>>> {
    let claimed = body.size_hint().lower();
    Collecting::new(body, claimed, buffers, limits)
}
