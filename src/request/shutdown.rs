//! The end of a server: no new requests, the open ones and the tasks are waited for, who is left is named.

use super::guard::RequestGuard;
use super::roll::{Enrolled, Kind, Tagged};
use super::scopes::Scopes;
use core::fmt;
use core::time::Duration;
use std::time::Instant;

/// How often a wait looks. Looking costs whoever waits, not the requests: nobody is woken by them.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(2);

impl Scopes {
    /// Begins a request, unless [`refuse_new`](Self::refuse_new) was called: what the http layer uses.
    ///
    /// **Cost**: as [`begin`](Self::begin), and two loads.
    ///
    /// # Errors
    ///
    /// [`ShuttingDown`] after `refuse_new`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ebbtide::{ScopeEnded, Scopes, request::ShuttingDown};
    ///
    /// let scopes = Scopes::new();
    /// assert!(scopes.try_begin().is_ok());
    /// scopes.refuse_new();
    /// assert_eq!(scopes.try_begin().unwrap_err(), ShuttingDown);
    /// assert!(scopes.wait_idle(std::time::Instant::now()).is_ok());
    /// ```
    // In the place of its one caller in this crate, the porch, which has the frame already.
    #[inline(always)]
    pub fn try_begin(&self) -> Result<RequestGuard, ShuttingDown> {
        let gate = &self.shared().gate;
        if !gate.is_open() {
            return Err(ShuttingDown);
        }
        // Counted first, asked then: whoever shuts the gate sees this request, or this request sees the gate.
        let request = self.begin_here();
        if gate.passes() { Ok(request) } else { Err(refuse(request)) }
    }

    /// From now on [`try_begin`](Self::try_begin) refuses, and with it the http layer, which answers 503. `begin` goes on, for
    /// those who need a request in order to end another.
    pub fn refuse_new(&self) {
        self.shared().gate.shut();
    }

    /// Whether new requests are refused.
    #[must_use]
    pub fn is_refusing(&self) -> bool {
        !self.shared().gate.is_open()
    }

    /// What is alive under a tag, the oldest first: scopes with a [`tag`](crate::Scope::tag), and spawned tasks.
    ///
    /// **Cost**: a lock while all of them are counted.
    #[must_use]
    pub fn tags(&self) -> Vec<Tagged> {
        self.shared().roll.tags()
    }

    /// How many scopes of each tag outlived their request, by tag. A scope and its clones count once, with the last.
    /// The first 64 tags are told apart; further ones count as `(others)`.
    #[must_use]
    pub fn late_tags(&self) -> Vec<(&'static str, u64)> {
        self.shared().roll.late()
    }

    /// Blocks until no request is open and no task alive, or until `deadline`. For threads; with a runtime there is
    /// `shutdown` (feature `tokio`). It looks every 2 milliseconds. It does not refuse new requests by itself.
    ///
    /// # Errors
    ///
    /// [`Survivors`] if there are some at the deadline.
    pub fn wait_idle(&self, deadline: Instant) -> Result<(), Survivors> {
        while !self.is_idle() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.survivors());
            }
            std::thread::sleep(left.min(LOOK_EVERY));
        }
        Ok(())
    }

    /// Notes a task of no request under a name.
    #[allow(dead_code)] // Only a runtime spawns.
    pub(crate) fn enroll(&self, tag: &'static str) -> Enrolled {
        Enrolled::new(self.shared(), tag, Kind::Task)
    }

    /// Whether nothing is open or alive. Looked at twice, with a fence of all threads in between: a request that had
    /// ended at the first look has left its tasks in the roll, where the second finds them.
    pub(crate) fn is_idle(&self) -> bool {
        let shared = self.shared();
        let is_empty = || self.stats().open() == 0 && shared.roll.is_empty();
        shared.gate.settles() && is_empty() && shared.gate.settles() && is_empty()
    }

    pub(crate) fn survivors(&self) -> Survivors {
        Survivors { requests: self.stats().open(), tags: self.tags() }
    }
}

/// Ends a request that began while the gate was shut.
#[cold]
fn refuse(request: RequestGuard) -> ShuttingDown {
    drop(request);
    ShuttingDown
}

/// The server shuts down: no new requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShuttingDown;

impl fmt::Display for ShuttingDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server is shutting down")
    }
}

impl core::error::Error for ShuttingDown {}

/// Who was left at the deadline of a shutdown. Shown as a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Survivors {
    /// Requests that are open, or held open by a scope.
    pub requests: u64,
    /// Scopes and tasks that have a tag, the oldest first.
    pub tags: Vec<Tagged>,
}

impl fmt::Display for Survivors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests are open", self.requests)?;
        if self.tags.is_empty() {
            return Ok(());
        }
        let width = self.tags.iter().map(|tagged| tagged.tag.chars().count()).fold(3, usize::max);
        write!(f, "\n{:width$}  {:>6}  {:>5}  {:>10}", "tag", "scopes", "tasks", "oldest")?;
        for Tagged { tag, scopes, tasks, oldest } in &self.tags {
            write!(f, "\n{tag:width$}  {scopes:>6}  {tasks:>5}  {:>9.3}s", oldest.as_secs_f64())?;
        }
        Ok(())
    }
}

impl core::error::Error for Survivors {}
