//! Without the feature `tokio` there is no timer: nothing times out, and nobody waits.

use super::budget::{BodyBudget, Permit};
use super::collecting::Admitting;
use super::error::Refusal;
use core::task::{Context, Poll};

/// No times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {}

impl Times {
    pub(super) fn admit(self, budget: &BodyBudget, bytes: usize) -> Result<Option<Permit>, Admitting> {
        Ok(budget.queue().admit(budget, bytes))
    }
}

/// Nobody waits in it.
#[derive(Debug, Default)]
pub(super) struct Queue {}

impl Queue {
    pub(super) fn freed(&self) {}

    fn admit(&self, budget: &BodyBudget, bytes: usize) -> Option<Permit> {
        budget.permit(bytes)
    }
}

/// Watches nothing.
#[derive(Default)]
pub(super) struct Watch;

impl Watch {
    pub(super) fn begin(&mut self, _: Times) {}

    pub(super) fn moved(&mut self) {}

    pub(super) fn poll(&mut self, _: Times, _: &mut Context<'_>) -> Poll<Refusal> {
        Poll::Pending
    }
}
