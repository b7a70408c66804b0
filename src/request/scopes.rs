//! The slots of one server, and how many requests have gone through them.

use super::content::Content;
use super::guard::RequestGuard;
use crate::buffer::BufferPool;
use crate::raw::depot::{Depot, Push};
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
}

/// They publish nothing, hence Relaxed throughout.
#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
    late: AtomicU64,
    poisoned: AtomicU64,
    hook_panics: AtomicU64,
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

    pub(super) fn quota(&self) -> usize {
        self.settings.quota
    }

    pub(super) fn retain_bytes(&self) -> usize {
        // What the arena kept counts in the next request's quota, and must leave room in it.
        self.settings.retain_bytes.min(self.settings.quota)
    }

    /// Counts an ended request and keeps its slot, unless it is poisoned, one too many, or comes after the close.
    pub(super) fn take_back(&self, free: Free<Content>, panics: usize) {
        self.counts.ended.fetch_add(1, Relaxed);
        self.counts.late.fetch_add(u64::from(free.was_late()), Relaxed);
        self.counts.hook_panics.fetch_add(panics as u64, Relaxed);
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
    quota: usize,
    buffers: Option<BufferPool>,
}

impl Default for ScopesBuilder {
    fn default() -> Self {
        Self { max_idle: 256, retain_bytes: 256 << 10, quota: 64 << 20, buffers: None }
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

    /// Bytes that one request may take in its arena, over all its cursors together: the `try_` forms fail beyond
    /// that, the others go on and are told of by [`Scope::is_over_quota`](crate::Scope::is_over_quota). Default: 64 MiB,
    /// 32 times the largest body that axum admits by default: no sane request comes near, and a runaway one is
    /// stopped before it fills a machine.
    ///
    /// It counts blocks, which are never more than the quota by way of the `try_` forms, whatever threads do at once; a
    /// block is 448 bytes at least, so that a `try_` form may fail with less than that, or less than twice its own
    /// size and a page, left. What an idle slot kept counts too; so it keeps no more than the quota.
    ///
    /// **Cost**: none but when a block is full; then a lock of this request.
    pub fn quota(mut self, bytes: usize) -> Self {
        self.quota = bytes;
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
        Scopes(Arc::new(Handle(Arc::new(Shared { idle, settings: self, counts: Counts::default() }))))
    }
}
