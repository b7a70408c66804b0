//! A future in a request's memory.

use super::content::Content;
use super::roll::Tag;
use super::scope::Scope;
use crate::raw::boxed::Boxed;
use crate::sync::Arc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

/// A pinned future in the arena of its request, with a strong pin of its own: see [`Scope::boxed`].
///
/// Its drop drops the future in place, and gives up the pin; a panic in it goes no further, but the request's memory is
/// not used again. The memory comes back when the request ends, which waits for this box. `mem::forget` loses the
/// request's slot, and never resets it.
#[must_use = "futures do nothing unless polled"]
pub struct ScopeBox<F: ?Sized> {
    /// Goes before the pin, as in a scope.
    tag: Option<Arc<Tag>>,
    future: Boxed<Content, F>,
}

impl<F: Send + 'static> ScopeBox<F> {
    pub(super) fn new(scope: Scope, future: F) -> Self {
        let (tag, pin) = scope.into_parts();
        Self { tag, future: Boxed::new(pin, future, |content, future| content.store.place(future)) }
    }
}

impl<F: Future + Send + 'static> ScopeBox<F> {
    /// The same box, which has forgotten the type of its future.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use ebbtide::{ScopeBox, Scopes};
    ///
    /// let request = Scopes::new().begin();
    /// let scope = request.scope();
    /// let steps: [ScopeBox<dyn Future<Output = u32> + Send>; 2] =
    ///     [scope.boxed(async { 1 }).erased(), scope.boxed(std::future::ready(2)).erased()];
    /// let mut sum = 0;
    /// for step in steps {
    ///     sum += step.await;
    /// }
    /// assert_eq!(sum, 3);
    /// # }
    /// ```
    pub fn erased(self) -> ScopeBox<dyn Future<Output = F::Output> + Send> {
        ScopeBox { tag: self.tag, future: self.future.erased() }
    }
}

impl<F: Future + ?Sized> Future for ScopeBox<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.future.as_mut().poll(context)
    }
}

impl<F: ?Sized> fmt::Debug for ScopeBox<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopeBox").field(&self.future).finish()
    }
}
