//! Background tasks by tag, and the end of a server that waits for them.
//!
//! A task is in the roll of its scopes from before it is spawned until its future is dropped, also when it is
//! aborted, panics, or its runtime goes away. Nothing else is kept of it.

use super::span::carried;
use crate::pool::tagged::tagged_future;
use crate::request::{LOOK_EVERY, ScopeEnded, ScopeHandle, Scopes, Survivors};
use core::fmt;
use core::future::Future;
use std::time::Instant;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout_at};

/// Spawns background tasks that outlive their request, by tag: see [`Scopes::tasks`].
#[derive(Clone, Debug)]
pub struct Tasks {
    scopes: Scopes,
}

impl Tasks {
    /// Spawns a task of no request, on the current runtime. It gets what it needs by value:
    /// [`Scope::detach`](crate::Scope::detach) copies it out of a request. [`Scopes::shutdown`] waits for it, and names it by
    /// its tag if it does not end; what it takes from pools is counted under the tag ([`observe`](crate::observe)). With the feature `tracing` it carries the current span.
    ///
    /// **Cost**: that of `tokio::spawn`, and two short locks.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let scopes = ebbtide::Scopes::new();
    /// let request = scopes.begin();
    /// let scope = request.scope();
    /// let user: &str = scope.arena().alloc_str("ada");
    /// let user = scope.detach(|_| user.to_owned());
    /// let mail = scopes.tasks().spawn("mail", async move { format!("to {user}") });
    /// assert_eq!(scopes.tags()[0].tasks, 1);
    /// drop((scope, request));
    /// assert_eq!(mail.await.unwrap(), "to ada");
    /// assert!(scopes.tags().is_empty());
    /// # }
    /// ```
    pub fn spawn<F>(&self, tag: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let enrolled = self.scopes.enroll(tag);
        let future = tagged_future(tag, future);
        tokio::spawn(carried(async move {
            let output = future.await;
            drop(enrolled);
            output
        }))
    }
}

impl ScopeHandle {
    /// Spawns a task of this request, on the current runtime: it is dropped when the request ends, or at the request's
    /// [deadline](Self::deadline), which is read here. It keeps nothing of the request from ending; it may
    /// [enter](Self::enter) for a while. With the feature `tracing` it carries the current span.
    ///
    /// **Cost**: that of `tokio::spawn`, two short locks, and [`ended`](Self::ended).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use ebbtide::tokio::Stopped;
    ///
    /// let scopes = ebbtide::Scopes::new();
    /// let request = scopes.begin();
    /// let done = request.handle().spawn("price", async { 7 });
    /// let never = request.handle().spawn("watch", std::future::pending::<()>());
    /// assert_eq!(done.await.unwrap(), Ok(7));
    /// drop(request);
    /// assert_eq!(never.await.unwrap(), Err(Stopped::Ended));
    /// # }
    /// ```
    pub fn spawn<F>(&self, tag: &'static str, future: F) -> JoinHandle<Result<F::Output, Stopped>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // After the end the future is dropped at its first poll, and nobody needs to know of it.
        let (enrolled, deadline) = match self.enter() {
            Ok(scope) => (Some(scope.enroll(tag)), scope.deadline()),
            Err(ScopeEnded) => (None, None),
        };
        let future = self.run_until_ended(tagged_future(tag, future));
        tokio::spawn(carried(async move {
            let output = match deadline {
                Some(deadline) => timeout_at(deadline.into(), future).await.map_err(|_| Stopped::Deadline),
                None => Ok(future.await),
            };
            drop(enrolled);
            output?.map_err(|ScopeEnded| Stopped::Ended)
        }))
    }
}

impl Scopes {
    /// The background tasks of these scopes.
    #[must_use]
    pub fn tasks(&self) -> Tasks {
        Tasks { scopes: self.clone() }
    }

    /// Refuses new requests, then waits until none is open and no task alive, or until `deadline`. The http layer answers 503
    /// from now on. Tasks are waited for, not stopped: those of a request end with it. Cancelling this stops the waiting,
    /// not the refusing.
    ///
    /// It looks every 2 milliseconds; requests pay nothing for it.
    ///
    /// # Errors
    ///
    /// [`Survivors`], by tag and age, if there are some at the deadline.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::time::{Duration, Instant};
    ///
    /// let scopes = ebbtide::Scopes::new();
    /// let stuck = scopes.tasks().spawn("mail", std::future::pending::<()>());
    /// let survivors = scopes.shutdown(Instant::now() + Duration::from_millis(10)).await.unwrap_err();
    /// assert!(survivors.to_string().contains("mail"));
    /// stuck.abort();
    /// assert!(scopes.shutdown(Instant::now() + Duration::from_secs(5)).await.is_ok());
    /// # }
    /// ```
    pub async fn shutdown(&self, deadline: Instant) -> Result<(), Survivors> {
        self.refuse_new();
        let idle = async {
            while !self.is_idle() {
                sleep(LOOK_EVERY).await;
            }
        };
        timeout_at(deadline.into(), idle).await.map_err(|_| self.survivors())
    }
}

/// Why a task of a request was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// The request ended.
    Ended,
    /// The request's deadline passed.
    Deadline,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "the task's request ended first",
            Self::Deadline => "the deadline of the task's request passed",
        })
    }
}

impl core::error::Error for Stopped {}
