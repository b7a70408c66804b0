//! Whose request a response belongs to: what its future and its body carry.

use crate::request::{RequestGuard, ScopeHandle, with_view};

/// A response's hold on a request.
#[derive(Debug, Default)]
pub(super) enum Hold {
    /// None: it was given on or has ended, or there was no request.
    #[default]
    None,
    /// It ends the request.
    Own(RequestGuard),
    /// A layer further out ends the request.
    Joined(ScopeHandle),
}

impl Hold {
    /// Runs `f` with the request as the current one, or with none.
    #[inline]
    pub(super) fn within<R>(&self, f: impl FnOnce() -> R) -> R {
        let view = match self {
            Self::None => None,
            Self::Own(guard) => Some(guard.view()),
            Self::Joined(handle) => Some(handle.view()),
        };
        with_view(view.as_ref(), f)
    }

    /// Takes note that the response is given up: by a panic of what was polled, or else by its reader.
    pub(super) fn give_up(&self, has_panicked: bool) {
        match self {
            Self::Own(guard) if has_panicked => guard.poison(),
            Self::Own(guard) => guard.abort(),
            Self::None | Self::Joined(_) => {}
        }
    }

    /// Whether there is a request.
    pub(super) fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }
}
