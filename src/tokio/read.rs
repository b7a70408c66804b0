//! Reading into pooled memory that is held only once there is something to read.
//!
//! `AsyncRead` takes a buffer to be polled at all, so each poll leases one. A poll that finds nothing gives it back
//! before it returns: what sleeps has none, and a thousand idle connections share the few that are in use.

use crate::buffer::{BufferPool, PooledBuf};
use bytes::BufMut;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, ready};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Reads what is there, at least one byte and at most `max`, into a buffer from `buffers`; `None` at the end.
///
/// While it waits it holds no buffer. Dropping the future loses nothing: a buffer with bytes in it is returned from the
/// poll that has read them. A `max` of 0 counts as 1, since reading nothing looks like the end.
///
/// **Memory**: a buffer of the size class of `max`, from the bytes' arrival to the drop of what is returned. **Cost**: a buffer taken
/// for each poll, given back by one that finds nothing; and the read itself, into memory that is not zeroed. No copy.
///
/// # Errors
///
/// Those of the reader, whose buffer is back in the pool; [`OutOfMemory`](io::ErrorKind::OutOfMemory) where no buffer can be had.
///
/// # Examples
///
/// ```
/// use ebbtide::{BufferPool, tokio::read_pooled};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// let buffers = BufferPool::new();
/// let mut reader = &b"as much as there is"[..];
/// let mut total = 0;
/// while let Some(chunk) = read_pooled(&mut reader, &buffers, 8).await? {
///     assert!(chunk.len() <= 8);
///     total += chunk.len();
/// }
/// assert_eq!((total, buffers.stats().outstanding()), (19, 0));
/// # Ok(()) }
/// ```
pub async fn read_pooled<R>(reader: &mut R, buffers: &BufferPool, max: usize) -> io::Result<Option<PooledBuf>>
where
    R: AsyncRead + Unpin + ?Sized,
{
    poll_fn(|context| poll_read(reader, buffers, max.max(1), context)).await
}

fn poll_read<R>(
    mut reader: &mut R,
    buffers: &BufferPool,
    max: usize,
    context: &mut Context<'_>,
) -> Poll<io::Result<Option<PooledBuf>>>
where
    R: AsyncRead + Unpin + ?Sized,
{
    let mut buffer = buffers.try_get(max)?;
    let mut room = (&mut buffer).limit(max);
    // This future keeps nothing between polls, so that a new one for each poll is as good.
    // Of the reference, since older versions of tokio want a reader of known size.
    let read = ready!(pin!(AsyncReadExt::read_buf(&mut reader, &mut room)).poll(context))?;
    Poll::Ready(Ok((read > 0).then_some(buffer)))
}
