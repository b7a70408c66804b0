//! The slots of one server: where requests begin.

use super::builder::ScopesBuilder;
use super::content::Seat;
use super::current;
use super::guard::RequestGuard;
use super::roll::Roll;
use super::stats::{Counts, ScopeStats};
use super::usage::Usage;
use crate::buffer::BufferPool;
use crate::pool::{Pool, find_by};
use crate::raw::gate::Gate;
use crate::sync::Arc;
use core::fmt;
use std::time::Instant;

/// Request scopes of one server: recyclable slots, each with an arena. Cloning gives another handle.
///
/// Users of the http layer never see it. When the last handle is dropped, idle slots are freed, and open
/// ones when their request ends, on whatever thread: each takes care of itself.
///
/// **Where slots are.** Idle slots lie in a [`Pool`](crate::Pool): some at the hand of each thread, the others shared. A
/// request that ends on another thread than it began on leaves its slot there, and foreign slots are handed on in growing
/// batches. A thread that ends gives its slots to the others.
///
/// **What slots keep.** After each request a slot keeps memory for a typical one: what 49 of 50 recent requests used, at most
/// twice that, and never more than [`retain_bytes`](ScopesBuilder::retain_bytes). A larger request pays for its own blocks,
/// which are freed when it ends. All slots together keep at most
/// [`retain_total_bytes`](ScopesBuilder::retain_total_bytes), which also counts against
/// [`pool::set_process_limit`](crate::pool::set_process_limit). [`trim`](Self::trim) frees slots that nobody uses.
///
/// # Examples
///
/// ```
/// use ebbtide::Scopes;
///
/// let scopes = Scopes::builder().retain_bytes(64 << 10).build();
/// let request = scopes.begin();
/// let scope = request.scope();
/// scope.on_end(|ending| assert_eq!(ending.outcome(), ebbtide::Outcome::Finished));
/// drop(scope);
/// drop(request); // everything goes back, once
/// assert_eq!(scopes.stats().open(), 0);
/// ```
#[derive(Clone)]
pub struct Scopes(Arc<Slots>);

/// What the handles share. With the last one the pool's only handle goes, which closes the pool.
struct Slots {
    seats: Pool<Seat>,
    shared: Arc<Shared>,
}

/// What slots and handles share. Each slot holds a count on it for its whole life; it refers to no slot.
pub(super) struct Shared {
    settings: ScopesBuilder,
    pub(super) counts: Counts,
    usage: Usage,
    pub(super) gate: Gate,
    pub(super) roll: Roll,
}

impl Scopes {
    /// Scopes with default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Settings for scopes.
    pub fn builder() -> ScopesBuilder {
        ScopesBuilder::default()
    }

    pub(super) fn of(settings: ScopesBuilder) -> Self {
        let seats = settings.pool().build(Seat::default);
        Self(Arc::new(Slots { seats, shared: Arc::new(Shared::new(settings)) }))
    }

    /// Begins a request.
    ///
    /// **Cost**: that of [`Pool::get`](crate::Pool::get); without an idle slot, one is allocated. With the end of a request
    /// that took nothing, some two hundred instructions and one locked one; no heap allocation in steady state.
    #[must_use = "the request ends when its guard is dropped"]
    pub fn begin(&self) -> RequestGuard {
        self.begin_here()
    }

    /// `begin`, in its caller's place: some thirty instructions with an idle slot; what is rare is called.
    #[inline(always)]
    pub(super) fn begin_here(&self) -> RequestGuard {
        let Slots { seats, shared } = &*self.0;
        RequestGuard::new(Seat::open(seats.get_unwatched(), shared))
    }

    /// Ages idle slots by one step: what has waited through one step is freed by the next, and threads that began nothing
    /// since the last step lose what they have at hand. Call it from a timer, or let `tokio::trim_every` do so: without
    /// traffic all slots are freed in three steps.
    ///
    /// **Cost**: at most some tens of microseconds, and freeing at most 256 slots; `false` says that this step is not done, and another call
    /// goes on with it.
    pub fn trim(&self) -> bool {
        self.0.seats.trim()
    }

    /// Trims if a step is due at `now`, or not done yet: see [`age_every`](ScopesBuilder::age_every). The clock is the
    /// caller's.
    pub fn trim_at(&self, now: Instant) -> bool {
        self.0.seats.trim_at(now)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// A snapshot of the numbers.
    ///
    /// **Cost**: a lock, and a look at each thread's slots.
    #[must_use]
    pub fn stats(&self) -> ScopeStats {
        let Slots { seats, shared } = &*self.0;
        shared.counts.snapshot(seats.stats(), shared.usage.snapshot())
    }
}

impl Default for Scopes {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scopes").field("stats", &self.stats()).finish()
    }
}

impl Shared {
    pub(super) fn new(settings: ScopesBuilder) -> Self {
        find_by(current::ticket);
        Self {
            usage: Usage::new(settings.retained_at_most()),
            settings,
            counts: Counts::default(),
            gate: Gate::default(),
            roll: Roll::default(),
        }
    }

    pub(super) fn buffers(&self) -> &BufferPool {
        self.settings.buffers.as_ref().unwrap_or_else(|| BufferPool::global())
    }

    pub(super) fn quota(&self) -> usize {
        self.settings.quota
    }

    pub(super) fn retain_bytes(&self) -> usize {
        self.settings.retained_at_most()
    }

    pub(super) fn usage(&self) -> &Usage {
        &self.usage
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_has_used_all_generations_is_retired() {
        let scopes = Scopes::new();
        scopes.begin().scope().arena().alloc(1);
        let mut seat = scopes.0.seats.get();
        seat.slot.as_mut().expect("a slot").set_generation(u32::MAX - 1);
        drop(seat);
        let last = scopes.begin();
        let handle = last.handle();
        assert!(handle.enter().is_ok());
        drop(last);
        let next = scopes.begin();
        assert!(handle.enter().is_err());
        let new = next.handle();
        assert!(new.enter().is_ok());
        drop(next);
        assert!(new.enter().is_err() && handle.enter().is_err());
        // One get was the test's own.
        assert_eq!((scopes.stats().begun, scopes.stats().ended, scopes.stats().idle), (3 + 1, 3 + 1, 1));
    }
}
