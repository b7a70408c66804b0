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

use crate::request::{Carried, Hold};
use core::pin::Pin;
use core::task::{Context, Poll};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A response body that carries its request's guard. Frames, size and trailers are those of the body inside.
    ///
    /// Its drop ends the request, unless its end was reached before.
    pub struct ScopeBody<B> {
        // The body inside, until it was through or dropped. The hold beside it is marked when nothing is left that anybody
        // would poll for.
        #[pin]
        inner: Carried<B>,
    }

    impl<B> PinnedDrop for ScopeBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let inner = this.project().inner;
            let hold = inner.hold();
            if !hold.is_marked() {
                hold.give_up();
            }
            // It may look for its scope in its own drop.
            inner.give_up(|hold, value| hold.within(|| drop(value)));
        }
    }
}

impl<B: Body> ScopeBody<B> {
    #[inline]
    pub(super) fn new(inner: B, mut hold: Hold, is_sent: bool) -> Self {
        hold.mark(!is_sent || nothing_left(&inner));
        Self { inner: Carried::new(inner, hold) }
    }
}

impl<B> ScopeBody<B> {
    /// The empty body of no request.
    pub(super) fn none() -> Self {
        Self { inner: Carried::none() }
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
        let mut carried = self.project().inner;
        let (hold, inner) = carried.as_mut().parts();
        let mut is_through = hold.is_marked();
        let mut is_end = false;
        // One way out of here, so that the frame is made where it goes.
        let polled = match inner {
            None => Poll::Ready(None),
            Some(mut inner) => hold.polling(|| {
                let polled = inner.as_mut().poll_frame(context);
                match &polled {
                    Poll::Pending => {}
                    Poll::Ready(Some(Ok(frame))) => {
                        is_through = frame.is_trailers() || nothing_left(&*inner);
                        is_end = is_through && inner.is_end_stream();
                    }
                    Poll::Ready(Some(Err(_)) | None) => is_end = true,
                }
                polled
            }),
        };
        carried.as_mut().mark(is_through);
        if is_end {
            // Whoever polls once more finds the end, not a body outside of its request.
            carried.as_mut().give_up(|hold, value| hold.polling(|| drop(value)));
        }
        match &polled {
            Poll::Pending | Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(_))) => carried.take_hold().give_up(),
            Poll::Ready(None) => drop(carried.take_hold()),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.value().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.value().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// The body of no request.
impl<B: Default> Default for ScopeBody<B> {
    fn default() -> Self {
        Self { inner: Carried::new(B::default(), Hold::none()) }
    }
}

impl<B> core::fmt::Debug for ScopeBody<B> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ScopeBody").field("hold", self.inner.hold()).finish_non_exhaustive()
    }
}
