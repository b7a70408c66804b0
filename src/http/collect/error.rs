//! Why a body was not collected.

use crate::buffer::NoBuffer;
use core::convert::Infallible;
use core::fmt;
use core::time::Duration;
use http::StatusCode;
use std::io;

/// Why a body was not collected. What had arrived is dropped, and its memory is back in the pool.
#[derive(Debug)]
#[non_exhaustive]
pub enum CollectError<E> {
    /// It is larger than the limit, or claims to be. 413.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// It claims to need more than the budget of all bodies, so that it would never fit in. 413.
    BeyondBudget {
        /// The bytes of the whole budget.
        budget: usize,
    },
    /// It came in more frames than it may. 413.
    TooManyFrames {
        /// The limit.
        limit: u64,
    },
    /// No byte came for so long. 408.
    Stalled {
        /// The time without a byte.
        after: Duration,
    },
    /// It was not complete after so long. 408.
    TooSlow {
        /// The time for all of it.
        after: Duration,
    },
    /// The budget of all bodies was used up. 503: it may fare better later.
    NoBudget,
    /// There was no memory for it. 503: it may fare better later.
    NoMemory,
    /// The file for it could not be made or written (feature `spill`). 503.
    Spill(io::Error),
    /// The body itself failed. 400.
    Body(E),
}

impl<E> CollectError<E> {
    /// The status that tells the client.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } | Self::BeyondBudget { .. } | Self::TooManyFrames { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Stalled { .. } | Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::NoBudget | Self::NoMemory | Self::Spill(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Body(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl<E: fmt::Display> fmt::Display for CollectError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => write!(f, "body is larger than {limit} bytes"),
            Self::BeyondBudget { budget } => {
                write!(f, "body needs more than the {budget} bytes of the budget of all bodies")
            }
            Self::TooManyFrames { limit } => write!(f, "body came in more than {limit} frames"),
            Self::Stalled { after } => write!(f, "no byte of the body came for {after:?}"),
            Self::TooSlow { after } => write!(f, "body was not complete after {after:?}"),
            Self::NoBudget => f.write_str("no room for the body now"),
            Self::NoMemory => f.write_str("no memory for the body"),
            Self::Spill(error) => write!(f, "body could not be stored: {error}"),
            Self::Body(error) => write!(f, "body failed: {error}"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for CollectError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Spill(error) => Some(error),
            Self::Body(error) => Some(error),
            _ => None,
        }
    }
}

/// A limit that a body ran into, whatever its own error is.
pub(super) type Refusal = CollectError<Infallible>;

impl Refusal {
    /// The same, of a body with errors of its own.
    pub(in crate::http) fn widen<E>(self) -> CollectError<E> {
        match self {
            Self::TooLarge { limit } => CollectError::TooLarge { limit },
            Self::BeyondBudget { budget } => CollectError::BeyondBudget { budget },
            Self::TooManyFrames { limit } => CollectError::TooManyFrames { limit },
            Self::Stalled { after } => CollectError::Stalled { after },
            Self::TooSlow { after } => CollectError::TooSlow { after },
            Self::NoBudget => CollectError::NoBudget,
            Self::NoMemory => CollectError::NoMemory,
            Self::Spill(error) => CollectError::Spill(error),
            Self::Body(never) => match never {},
        }
    }
}

impl From<NoBuffer> for Refusal {
    fn from(_: NoBuffer) -> Self {
        Self::NoMemory
    }
}
