//! Code under a name: what it takes from pools is counted under that name.

use super::books::tag;
use crate::raw::watch::{Tag, apart, scoped};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use pin_project_lite::pin_project;

/// Runs `f` under a name: values that it takes from pools are counted under it until they come back, wherever that is, and as
/// idle under it until they are taken under a name again, or leave their pool.
/// Names nest, the innermost counts. It ends with `f`, also by a panic, and reaches neither other threads nor spawned tasks.
///
/// The process keeps 1,022 names apart; what comes later is counted together, as `(others)`. A name that is itself `(others)` is
/// counted as `(others), by name`.
///
/// **Cost**: some twenty instructions, and some 260 for each value that is taken in a request and given back: it is counted, and
/// its request audited for it, which takes some 200 more with the first one of a request. Values that are taken under no name
/// cost nothing more for it.
///
/// # Examples
///
/// ```
/// use ebbtide::{Pool, observe::{Ledger, tagged}};
///
/// let pool = Pool::new(Vec::<u8>::new);
/// let lease = tagged("parsing", || pool.get());
/// let mut outstanding = 0;
/// Ledger::process().each_tag(|entry| {
///     if entry.tag == "parsing" {
///         outstanding = entry.outstanding;
///     }
/// });
/// assert_eq!(outstanding, 1);
/// # drop(lease);
/// ```
#[inline]
pub fn tagged<R>(name: &'static str, f: impl FnOnce() -> R) -> R {
    under(Some(tag(name)), f)
}

/// Runs `f` under a tag, or under none.
#[inline]
pub(crate) fn under<R>(tag: Option<&'static Tag>, f: impl FnOnce() -> R) -> R {
    let Some(tag) = tag else { return apart(f) };
    scoped(|switch| {
        switch.to(tag);
        f()
    })
}

pin_project! {
    /// A future that is polled under a tag, or under none. It is dropped under whatever is current then.
    pub(crate) struct PolledUnder<F> {
        #[pin]
        future: F,
        tag: Option<&'static Tag>,
    }
}

impl<F> PolledUnder<F> {
    #[inline]
    pub(crate) fn new(tag: Option<&'static Tag>, future: F) -> Self {
        Self { future, tag }
    }
}

impl<F: Future> Future for PolledUnder<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        under(*this.tag, || this.future.poll(context))
    }
}

pin_project! {
    /// A future under a name: see [`tagged_future`]. Its drop drops the future, under the name too.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct TaggedFuture<F> {
        // None once it is dropped.
        #[pin]
        future: Option<F>,
        tag: &'static Tag,
    }

    impl<F> PinnedDrop for TaggedFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            under(Some(this.tag), || this.future.set(None));
        }
    }
}

/// Polls and drops `future` under a name, as [`tagged`] does, whatever thread it is polled on.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use ebbtide::{BufferPool, observe::tagged_future};
///
/// let buffers = BufferPool::new();
/// let buffer = tagged_future("upload", async { buffers.get(4096) }).await;
/// # drop(buffer);
/// # }
/// ```
pub fn tagged_future<F: Future>(name: &'static str, future: F) -> TaggedFuture<F> {
    TaggedFuture { future: Some(future), tag: tag(name) }
}

impl<F: Future> Future for TaggedFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let future = this.future.as_pin_mut().expect("the future is there until the drop");
        under(Some(this.tag), || future.poll(context))
    }
}
