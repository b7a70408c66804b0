//! The slots of one server, and how many requests have gone through them.

use super::content::Content;
use super::guard::RequestGuard;
use super::roll::Roll;
use crate::buffer::BufferPool;
use crate::raw::depot::{Depot, Push};
use crate::raw::gate::Gate;
use crate::raw::slot::{Free, Owner};
use crate::sync::Arc;
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicU64;
use core::fmt;

/// Request scopes of one server: recyclable slots, each with an arena. Cloning gives another handle.
///
/// Users of the http layer never see it. When the last handle is dropped, idle slots are freed, and open
/// ones when their request ends.
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
pub struct Scopes(Arc<Handle>);

/// What the handles share; its drop closes the depot of slots.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.idle.close();
        while self.0.idle.pop().is_some() {}
    }
}

/// What slots and handles share. Each slot holds a count on it; the circle through idle slots is broken by
/// closing the depot.
pub(super) struct Shared {
    idle: Depot<Free<Content>>,
    settings: ScopesBuilder,
    counts: Counts,
    pub(super) gate: Gate,
    pub(super) roll: Roll,
}

/// They publish nothing, hence Relaxed throughout.
#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
    late: AtomicU64,
    poisoned: AtomicU64,
    hook_panics: AtomicU64,
    detached: AtomicU64,
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

    /// Begins a request.
    ///
    /// **Cost**: one pop from a lock-free queue; without an idle slot, one is allocated.
    #[must_use = "the request ends when its guard is dropped"]
    pub fn begin(&self) -> RequestGuard {
        let shared = &self.0.0;
        shared.counts.begun.fetch_add(1, Relaxed);
        // A slot that has used all its generations does not open, and is dropped.
        let owner = shared.idle.pop().and_then(Free::open);
        RequestGuard::new(owner.unwrap_or_else(|| Owner::new(Content::new(shared))))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// A snapshot of the numbers.
    #[must_use]
    pub fn stats(&self) -> ScopeStats {
        let Shared { idle, counts, .. } = &*self.0.0;
        // `ended` first: a request that begins and ends meanwhile must not look ended before it began.
        let ended = counts.ended.load(Relaxed);
        ScopeStats {
            begun: counts.begun.load(Relaxed),
            ended,
            late: counts.late.load(Relaxed),
            poisoned: counts.poisoned.load(Relaxed),
            hook_panics: counts.hook_panics.load(Relaxed),
            detached: counts.detached.load(Relaxed),
            idle: idle.len() as u64,
        }
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
    pub(super) fn buffers(&self) -> &BufferPool {
        self.settings.buffers.as_ref().unwrap_or_else(|| BufferPool::global())
    }

    pub(super) fn retain_bytes(&self) -> usize {
        self.settings.retain_bytes
    }

    /// Counts an ended request and keeps its slot, unless it is poisoned, one too many, or comes after the close.
    pub(super) fn take_back(&self, free: Free<Content>, panics: usize) {
        self.counts.ended.fetch_add(1, Relaxed);
        self.counts.late.fetch_add(u64::from(free.was_late()), Relaxed);
        self.count_panics(panics);
        if free.is_poisoned() {
            self.counts.poisoned.fetch_add(1, Relaxed);
            return;
        }
        if self.settings.max_idle == 0 {
            return;
        }
        match self.idle.push(free) {
            Push::Kept => {}
            Push::Late => while self.idle.pop().is_some() {},
            Push::Full(slot) | Push::Closed(slot) => drop(slot),
        }
    }
}

impl Shared {
    pub(super) fn count_panics(&self, panics: usize) {
        self.counts.hook_panics.fetch_add(panics as u64, Relaxed);
    }

    pub(super) fn count_detached(&self) {
        self.counts.detached.fetch_add(1, Relaxed);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A snapshot of the numbers of [`Scopes`], exact at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScopeStats {
    /// Requests begun.
    pub begun: u64,
    /// Requests whose memory has been reclaimed.
    pub ended: u64,
    /// Of these, requests that a scope outlived: reclaimed by the drop of the scope, not of the guard.
    pub late: u64,
    /// Requests that ended in a panic: what they held was freed, not reused.
    pub poisoned: u64,
    /// Cleanups, drops and resets that panicked when a request ended.
    pub hook_panics: u64,
    /// Times that values were copied out by [`Scope::detach`](crate::Scope::detach).
    pub detached: u64,
    /// Slots that wait for a request.
    pub idle: u64,
}

impl ScopeStats {
    /// Requests that are open now, or held open by a scope.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.begun.saturating_sub(self.ended)
    }
}

/// Settings of [`Scopes`]. Every bound is finite by default.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ScopesBuilder {
    max_idle: usize,
    retain_bytes: usize,
    buffers: Option<BufferPool>,
}

impl Default for ScopesBuilder {
    fn default() -> Self {
        Self { max_idle: 256, retain_bytes: 256 << 10, buffers: None }
    }
}

impl ScopesBuilder {
    /// Slots that may wait at once; more requests than that may be open. Default: 256.
    pub fn max_idle(mut self, slots: usize) -> Self {
        self.max_idle = slots;
        self
    }

    /// Bytes of arena and locals that an idle slot keeps. What a request needed beyond that is freed when it ends.
    /// Default: 256 KiB.
    pub fn retain_bytes(mut self, bytes: usize) -> Self {
        self.retain_bytes = bytes;
        self
    }

    /// The pool that [`Scope::buffers`](crate::Scope::buffers) gives. Default: [`BufferPool::global`].
    pub fn buffers(mut self, pool: BufferPool) -> Self {
        self.buffers = Some(pool);
        self
    }

    /// Makes the scopes.
    #[must_use]
    pub fn build(self) -> Scopes {
        let idle = Depot::new(self.max_idle);
        let (counts, gate, roll) = (Counts::default(), Gate::default(), Roll::default());
        Scopes(Arc::new(Handle(Arc::new(Shared { idle, settings: self, counts, gate, roll }))))
    }
}
