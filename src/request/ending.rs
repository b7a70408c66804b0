//! How a request ended.

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It came to its end.
    Finished,
    /// It was given up: the client went away, or a layer dropped the future.
    Aborted,
    /// Its handler, or somebody who held a [`Scope`](crate::Scope) of it, panicked.
    Panicked,
    /// It has not ended: a cleanup is called early, by [`Cleanup::run_now`](super::Cleanup::run_now).
    Running,
}

/// What a cleanup is told. It is not a [`Scope`](crate::Scope): nothing of the request may be taken any more.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Ending {
    outcome: Outcome,
}

impl Ending {
    pub(super) fn new(outcome: Outcome) -> Self {
        Self { outcome }
    }

    /// How the request ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}
