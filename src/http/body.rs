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

use crate::request::Hold;
use core::pin::Pin;
use core::task::{Context, Poll};
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
        // Marked when nothing is left that anybody would poll for.
        hold: Hold,
    }

    impl<B> PinnedDrop for ScopeBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if !this.hold.is_marked() {
                this.hold.give_up();
            }
            if this.inner.is_some() {
                // It may look for its scope in its own drop.
                this.hold.within(|| this.inner.set(None));
            }
        }
    }
}

impl<B: Body> ScopeBody<B> {
    #[inline]
    pub(super) fn new(inner: B, hold: Hold, is_sent: bool) -> Self {
        let mut body = Self::bare(inner);
        body.take_on(hold, is_sent);
        body
    }

    /// A body that takes a request on as soon as it stands in its place: a response is large, and moved as little as can be.
    #[inline]
    pub(super) fn bare(inner: B) -> Self {
        Self { inner: Some(inner), hold: Hold::none() }
    }

    #[inline]
    pub(super) fn take_on(&mut self, mut hold: Hold, is_sent: bool) {
        hold.mark(!is_sent || self.inner.as_ref().is_none_or(nothing_left));
        // A bare body has none, so nothing is forgotten; it spares a look.
        core::mem::forget(core::mem::replace(&mut self.hold, hold));
    }
}

impl<B> ScopeBody<B> {
    /// The empty body of no request.
    pub(super) fn none() -> Self {
        Self { inner: None, hold: Hold::none() }
    }
}

#[inline]
fn nothing_left(body: &impl Body) -> bool {
    body.is_end_stream() || body.size_hint().exact() == Some(0)
}

impl<B: Body> Body for ScopeBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    // Worth it: a server that sees what a frame is, such as of a body in one piece, leaves out what cannot come.
    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let mut is_through = false;
        let polled = this.hold.polling(|| {
            let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
            let polled = inner.as_mut().poll_frame(context);
            let is_end = match &polled {
                Poll::Pending => false,
                Poll::Ready(Some(Ok(frame))) => {
                    is_through = frame.is_trailers() || nothing_left(&*inner);
                    is_through && inner.is_end_stream()
                }
                Poll::Ready(Some(Err(_)) | None) => true,
            };
            if is_end {
                // Whoever polls once more finds the end, not a body outside of its request.
                this.inner.set(None);
            }
            polled
        });
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(_))) => this.hold.mark(is_through),
            Poll::Ready(Some(Err(_))) => this.hold.take().give_up(),
            Poll::Ready(None) => drop(this.hold.take()),
        }
        polled
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
        Self { inner: Some(B::default()), hold: Hold::none() }
    }
}

impl<B> core::fmt::Debug for ScopeBody<B> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ScopeBody").field("hold", &self.hold).finish_non_exhaustive()
    }
}
