//! The response body, which owns the request until it is through.
//!
//! | what happens | the request ends as |
//! |---|---|
//! | polled to `None` | finished, there |
//! | polled to an error | aborted, there |
//! | dropped when nothing is left, or when the response has no body | finished |
//! | dropped before that | aborted |
//! | a poll panics | panicked, when the body is dropped |
//!
//! Servers drop a body of known length when its last byte is written, and any other after its trailers, without polling it
//! to the end.

use crate::request::{RequestGuard, ScopeHandle, with_current};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A response body that carries its request's guard. Frames, size and trailers are those of the body inside.
    ///
    /// Its drop ends the request, unless its end was reached before.
    pub struct ScopeBody<B> {
        // `None` once it was through, or dropped.
        #[pin]
        inner: Option<B>,
        guard: Option<RequestGuard>,
        handle: Option<ScopeHandle>,
        // Nothing is left that anybody would poll for.
        through: bool,
        // Set around each poll. Found set in the drop, the poll has unwound.
        polling: bool,
    }

    impl<B> PinnedDrop for ScopeBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(guard) = this.guard {
                if *this.polling {
                    guard.poison();
                } else if !*this.through {
                    guard.abort();
                }
            }
            // The inner body may look for its scope in its own drop.
            with_current(this.handle, || this.inner.set(None));
        }
    }
}

impl<B: Body> ScopeBody<B> {
    pub(super) fn new(inner: B, guard: Option<RequestGuard>, handle: Option<ScopeHandle>, is_sent: bool) -> Self {
        let through = !is_sent || nothing_left(&inner);
        Self { inner: Some(inner), guard, handle, through, polling: false }
    }
}

impl<B> ScopeBody<B> {
    /// The empty body of no request.
    pub(super) fn none() -> Self {
        Self { inner: None, guard: None, handle: None, through: true, polling: false }
    }
}

fn nothing_left(body: &impl Body) -> bool {
    body.is_end_stream() || body.size_hint().exact() == Some(0)
}

impl<B: Body> Body for ScopeBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        *this.polling = true;
        let polled = with_current(this.handle, || {
            let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
            let frame = ready!(inner.as_mut().poll_frame(context));
            match &frame {
                Some(Ok(frame)) => *this.through = frame.is_trailers() || nothing_left(&*inner),
                // Whoever polls once more finds the end, not a body outside of its request.
                Some(Err(_)) | None => this.inner.set(None),
            }
            Poll::Ready(frame)
        });
        *this.polling = false;
        let frame = ready!(polled);
        match &frame {
            Some(Ok(_)) => {}
            Some(Err(_)) => {
                if let Some(guard) = this.guard.take() {
                    guard.abort();
                }
            }
            None => *this.guard = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// The body of no request.
impl<B: Default> Default for ScopeBody<B> {
    fn default() -> Self {
        Self { inner: Some(B::default()), guard: None, handle: None, through: true, polling: false }
    }
}

impl<B> core::fmt::Debug for ScopeBody<B> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ScopeBody").field("guard", &self.guard).field("through", &self.through).finish_non_exhaustive()
    }
}
