//! Without the feature `tokio` there is no timer: nothing times out, and nobody waits.

use super::budget::{BodyBudget, Permit};
use super::error::Refusal;
use core::task::Context;

/// No times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {}

impl Times {
    pub(super) async fn admit(self, budget: &BodyBudget, bytes: usize) -> Option<Permit> {
        budget.queue().admit(budget, bytes)
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
pub(super) struct Watch;

impl Watch {
    pub(super) fn new(_: Times) -> Self {
        Self
    }

    pub(super) fn poll(&mut self, _: &mut Context<'_>, _: bool) -> Option<Refusal> {
        None
    }
}
