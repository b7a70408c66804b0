//! How scopes are made, and what they keep at most.

use super::scopes::Scopes;
use crate::buffer::BufferPool;
use crate::pool::{AGE_EVERY, Pool, PoolBuilder};
use std::time::Duration;

/// Settings of [`Scopes`]. Every bound is finite by default.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ScopesBuilder {
    max_idle: usize,
    retain_bytes: usize,
    pub(super) quota: usize,
    retain_total_bytes: usize,
    age_every: Duration,
    pub(super) buffers: Option<BufferPool>,
}

impl Default for ScopesBuilder {
    fn default() -> Self {
        Self {
            max_idle: 4096,
            retain_bytes: 256 << 10,
            quota: 64 << 20,
            retain_total_bytes: 64 << 20,
            age_every: AGE_EVERY,
            buffers: None,
        }
    }
}

impl ScopesBuilder {
    /// Slots that are kept, those in use included; more requests than that may be open. Default: 4,096.
    pub fn max_idle(mut self, slots: usize) -> Self {
        self.max_idle = slots;
        self
    }

    /// Bytes of arena and locals that an idle slot keeps at most, however much its requests need. Default: 256 KiB.
    pub fn retain_bytes(mut self, bytes: usize) -> Self {
        self.retain_bytes = bytes;
        self
    }

    /// Bytes that all slots together keep between requests, the slots themselves included. A slot for which there is no
    /// room is freed when its request ends. Default: 64 MiB.
    pub fn retain_total_bytes(mut self, bytes: usize) -> Self {
        self.retain_total_bytes = bytes;
        self
    }

    /// Time between two steps of ageing by [`Scopes::trim_at`]. Default: 30 seconds.
    pub fn age_every(mut self, time: Duration) -> Self {
        self.age_every = time;
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
        Scopes::of(self)
    }

    /// The settings of the pool in which the slots wait.
    pub(super) fn pool(&self) -> PoolBuilder {
        Pool::builder()
            .name("request slots")
            .max_idle(self.max_idle)
            .max_idle_bytes(self.retain_total_bytes)
            .max_value_bytes(usize::MAX)
            .age_every(self.age_every)
    }

    /// What the arena kept counts in the next request's quota, and must leave room in it.
    pub(super) fn retained_at_most(&self) -> usize {
        self.retain_bytes.min(self.quota)
    }
}
