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
    pub(super) retain_bytes: usize,
    retain_total_bytes: usize,
    age_every: Duration,
    pub(super) buffers: Option<BufferPool>,
}

impl Default for ScopesBuilder {
    fn default() -> Self {
        Self {
            max_idle: 4096,
            retain_bytes: 256 << 10,
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
}
