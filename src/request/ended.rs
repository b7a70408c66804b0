//! Waiting for the end of a request, and work that lasts no longer.

use super::content::Content;
use super::scope::{ScopeEnded, ScopeHandle};
use crate::raw::slot::Wait;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

/// Resolves when its request has ended: see [`ScopeHandle::ended`]. Its drop forgets the waker at once.
#[must_use = "futures do nothing unless polled"]
pub struct Ended(Wait<Content>);

impl Ended {
    pub(super) fn new(wait: Wait<Content>) -> Self {
        Self(wait)
    }
}

impl Future for Ended {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0.poll(context.waker()) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ended").field(&self.0).finish()
    }
}

impl ScopeHandle {
    /// Runs `future` for no longer than the request: when the request ends, the future is dropped where it is. It is not
    /// polled at all if the request has ended already. Cancelling this drops it too.
    ///
    /// **Cost**: as for [`ended`](Self::ended), and one load before each poll.
    ///
    /// # Errors
    ///
    /// [`ScopeEnded`] if the request ended first.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use ebbtide::{ScopeEnded, Scopes};
    ///
    /// let request = Scopes::new().begin();
    /// let handle = request.handle();
    /// assert_eq!(handle.run_until_ended(async { 7 }).await, Ok(7));
    /// let waiting = tokio::spawn(handle.run_until_ended(std::future::pending::<u8>()));
    /// tokio::task::yield_now().await;
    /// drop(request);
    /// assert_eq!(waiting.await.unwrap(), Err(ScopeEnded));
    /// # }
    /// ```
    pub fn run_until_ended<F: Future>(
        &self,
        future: F,
    ) -> impl Future<Output = Result<F::Output, ScopeEnded>> + use<F> {
        let mut ended = self.ended();
        async move {
            let mut future = pin!(future);
            poll_fn(|context| {
                if Pin::new(&mut ended).poll(context).is_ready() {
                    return Poll::Ready(Err(ScopeEnded));
                }
                future.as_mut().poll(context).map(Ok)
            })
            .await
        }
    }
}
