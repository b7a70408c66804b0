//! Time limits, and the queue for a budget: what needs tokio.
//!
//! A timer is armed when a body has nothing for us, never for one that is all there; it is not moved for each frame, but
//! looks when it fires whether bytes have come since.

use super::budget::{BodyBudget, Permit};
use super::collecting::Admitting;
use super::error::Refusal;
use super::limits::Limits;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// A time as far away as no server runs: tokio's own cap for a deadline that does not fit.
const FAR: Duration = Duration::from_secs(86400 * 365 * 30);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    idle: Option<Duration>,
    total: Option<Duration>,
    wait: Option<Duration>,
}

impl Limits {
    /// Time without a byte after which a body is given up: [`CollectError::Stalled`](super::CollectError::Stalled), 408. Empty frames are no progress. Default:
    /// none. Needs the feature `tokio`, and a runtime with its timer on, as [`tokio::time::sleep`] does.
    ///
    /// **Cost**: two looks at the clock for each time that the body has nothing ready, and one small allocation at the first; none
    /// for a body that is all there.
    #[must_use]
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.times.idle = Some(time);
        self
    }

    /// Gives up a body that is not complete so long after its first poll, which comes after the wait for a budget:
    /// [`CollectError::TooSlow`](super::CollectError::TooSlow), 408. Default: none. As [`idle_timeout`](Self::idle_timeout) otherwise.
    #[must_use]
    pub fn total_timeout(mut self, time: Duration) -> Self {
        self.times.total = Some(time);
        self
    }

    /// How long a body may wait for room in its [`budget`](Self::budget), before its first byte is read; first come, first
    /// served. Default: not at all. Needs the feature `tokio`.
    ///
    /// Bodies that are under way and grow, and those that do not wait, go before those that wait. Dropping the future leaves
    /// the queue.
    #[must_use]
    pub fn wait(mut self, time: Duration) -> Self {
        self.times.wait = Some(time);
        self
    }
}

impl Times {
    /// A permit for `bytes` now, or who waits for one, for the time to wait.
    pub(super) fn admit(self, budget: &BodyBudget, bytes: usize) -> Result<Option<Permit>, Admitting> {
        let Some(time) = self.wait else { return Ok(budget.permit(bytes)) };
        let budget = budget.clone();
        Err(Box::pin(async move { timeout(time, budget.queue().admit(&budget, bytes)).await.ok() }))
    }
}

/// Who waits for a budget.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Held by the first in line; tokio hands it on in the order of arrival.
    turn: Mutex<()>,
    /// Tells the first in line that bytes went back. Kept for the next one if nobody listens.
    freed: Notify,
}

impl Queue {
    pub(super) fn freed(&self) {
        self.freed.notify_one();
    }

    async fn admit(&self, budget: &BodyBudget, bytes: usize) -> Permit {
        let _turn = self.turn.lock().await;
        loop {
            if let Some(permit) = budget.permit(bytes) {
                return permit;
            }
            // What was freed since the look is kept in `freed`, and ends this at once.
            self.freed.notified().await;
        }
    }
}

/// Watches the time of one body.
#[derive(Default)]
pub(super) struct Watch {
    begun: Option<Instant>,
    /// Whether bytes came since it was asked.
    fresh: bool,
    moved: Option<Instant>,
    /// Boxed, so that a body without times does not carry the room for it.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    /// The body is admitted.
    pub(super) fn begin(&mut self, times: Times) {
        self.begun = times.total.map(|_| Instant::now());
    }

    /// Bytes have come.
    pub(super) fn moved(&mut self) {
        self.fresh = true;
    }

    /// Asked when the body has nothing ready: ready with a refusal when its time is over, else the task is woken then.
    pub(super) fn poll(&mut self, times: Times, context: &mut Context<'_>) -> Poll<Refusal> {
        if times.idle.is_none() && times.total.is_none() {
            return Poll::Pending;
        }
        self.refusal(times, context).map_or(Poll::Pending, Poll::Ready)
    }

    fn refusal(&mut self, times: Times, context: &mut Context<'_>) -> Option<Refusal> {
        let (now, fresh) = (Instant::now(), mem::take(&mut self.fresh));
        let moved = *self.moved.insert(self.moved.filter(|_| !fresh).unwrap_or(now));
        let idle = times.idle.map(|after| (later(moved, after), Refusal::Stalled { after }));
        let total = self.begun.zip(times.total).map(|(begun, after)| (later(begun, after), Refusal::TooSlow { after }));
        let (deadline, refusal) = idle.into_iter().chain(total).min_by_key(|(deadline, _)| *deadline)?;
        if now >= deadline {
            return Some(refusal);
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        // A deadline only moves away, so the timer never fires too late: if it has fired, it is set anew.
        if sleep.as_mut().poll(context).is_ready() {
            sleep.as_mut().reset(deadline);
            if sleep.as_mut().poll(context).is_ready() {
                return Some(refusal);
            }
        }
        None
    }
}

fn later(from: Instant, after: Duration) -> Instant {
    from.checked_add(after.min(FAR)).unwrap_or(from)
}
