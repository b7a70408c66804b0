//! Hooks at the start and at the end, each in a task of its own, so that one that panics or hangs takes nobody along.

use super::report::{Report, StartError};
use super::{Boxed, LEAST};
use core::error::Error;
use core::fmt;
use core::future::Future;
use std::collections::VecDeque;
use std::time::Instant;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout_at;

type Started = Result<(), Box<dyn Error + Send + Sync>>;

enum Hook {
    Start(&'static str, Boxed<Started>),
    Stop(&'static str, Boxed<()>),
}

/// The hooks that are to come, and the stop hooks whose turn came.
#[derive(Default)]
pub(super) struct Hooks {
    coming: VecDeque<Hook>,
    stops: Vec<(&'static str, Boxed<()>)>,
}

impl Hooks {
    pub(super) fn on_start(&mut self, tag: &'static str, hook: impl Future<Output = Started> + Send + 'static) {
        self.coming.push_back(Hook::Start(tag, Box::pin(hook)));
    }

    pub(super) fn on_stop(&mut self, tag: &'static str, hook: impl Future<Output = ()> + Send + 'static) {
        self.coming.push_back(Hook::Stop(tag, Box::pin(hook)));
    }

    /// Runs the start hooks in order, until one fails.
    pub(super) async fn start(&mut self) -> Result<(), StartError> {
        while let Some(hook) = self.coming.pop_front() {
            match hook {
                Hook::Stop(tag, hook) => self.stops.push((tag, hook)),
                Hook::Start(tag, hook) => {
                    let outcome = alone(hook).await.unwrap_or_else(|error| Err(error.into()));
                    outcome.map_err(|source| StartError { tag, source })?;
                }
            }
        }
        Ok(())
    }

    /// Runs the stop hooks whose turn came, the last one first.
    pub(super) async fn stop(&mut self, deadline: Instant, report: &mut Report) {
        while let Some((tag, hook)) = self.stops.pop() {
            let deadline = deadline.max(Instant::now() + LEAST);
            match timeout_at(deadline.into(), alone(hook)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => report.panicked.push(tag),
                Err(_) => report.late.push(tag),
            }
        }
    }
}

/// Runs `hook` in a task of its own, which is aborted when this is dropped.
async fn alone<T: Send + 'static>(hook: Boxed<T>) -> Result<T, JoinError> {
    let mut tasks = JoinSet::new();
    tasks.spawn(hook);
    loop {
        if let Some(outcome) = tasks.join_next().await {
            return outcome;
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags = self.coming.iter().map(|hook| match hook {
            Hook::Start(tag, _) | Hook::Stop(tag, _) => tag,
        });
        f.debug_list().entries(tags).finish()
    }
}
