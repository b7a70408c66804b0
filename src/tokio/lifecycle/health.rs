//! Whether a server is ready, and the checks that it depends on.

use core::fmt;
use core::future::Future;
use core::time::Duration;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often something is asked whether it is well, and how long it may take to answer. Default: every 10 seconds, for
/// 2 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    period: Duration,
    timeout: Duration,
}

impl Default for Check {
    fn default() -> Self {
        Self { period: Duration::from_secs(10), timeout: Duration::from_secs(2) }
    }
}

impl Check {
    /// For what is slow to ask and slow to change, such as a backlog: every 30 seconds, for 5 seconds.
    #[must_use]
    pub fn backlog() -> Self {
        Self { period: Duration::from_secs(30), timeout: Duration::from_secs(5) }
    }

    /// Asks once every `period`; zero counts as a millisecond.
    #[must_use]
    pub fn period(mut self, period: Duration) -> Self {
        self.period = period.max(Duration::from_millis(1));
        self
    }

    /// Waits for an answer for `timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Asks for ever.
    pub(super) async fn repeat<F, E>(self, ask: impl Fn() -> F, asked: Asked)
    where
        F: Future<Output = Result<(), E>>,
        E: fmt::Display,
    {
        let mut ticks = interval(self.period);
        // After a slow answer the next question comes a period later, not at once.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            asked.answer(match timeout(self.timeout, ask()).await {
                Ok(Ok(())) => Health::Well,
                Ok(Err(error)) => Health::Failed(error.to_string()),
                Err(_) => Health::Silent,
            });
        }
    }
}

/// What a check has found last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It has not been asked yet.
    Unknown,
    /// It is well.
    Well,
    /// It said why it is not.
    Failed(String),
    /// It did not answer in time.
    Silent,
    /// The check has panicked, or was stopped: nobody asks any more.
    Gone,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("not asked yet"),
            Self::Well => f.write_str("well"),
            Self::Failed(error) => f.write_str(error),
            Self::Silent => f.write_str("no answer in time"),
            Self::Gone => f.write_str("the check is gone"),
        }
    }
}

/// Whether a server is ready: it has started, it is not stopping, and all its checks are well. Cloning gives another
/// handle. It prints as a table of the checks.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    is_running: bool,
    checks: Vec<(&'static str, Health)>,
}

impl Readiness {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { is_running: false, checks: Vec::new() })))
    }

    /// Whether to send requests here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let state = self.0.lock();
        state.is_running && state.checks.iter().all(|(_, health)| *health == Health::Well)
    }

    /// What each check has found last, by its tag.
    #[must_use]
    pub fn checks(&self) -> Vec<(&'static str, Health)> {
        self.0.lock().checks.clone()
    }

    pub(super) fn add(&self, tag: &'static str) -> Asked {
        let mut state = self.0.lock();
        state.checks.push((tag, Health::Unknown));
        Asked { readiness: self.clone(), at: state.checks.len() - 1 }
    }

    pub(super) fn start(&self) {
        self.0.lock().is_running = true;
    }

    pub(super) fn stop(&self) {
        self.0.lock().is_running = false;
    }

    /// Stops it when dropped.
    pub(super) fn stops(&self) -> impl Drop + Send + use<> {
        Stops(self.clone())
    }
}

struct Stops(Readiness);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_ready() { "ready" } else { "not ready" })?;
        let checks = self.checks();
        let width = checks.iter().map(|(tag, _)| tag.chars().count()).max().unwrap_or(0);
        checks.iter().try_for_each(|(tag, health)| write!(f, "\n{tag:width$}  {health}"))
    }
}

/// One check's place in the readiness. What nobody asks any more is not well.
pub(super) struct Asked {
    readiness: Readiness,
    at: usize,
}

impl Asked {
    fn answer(&self, health: Health) {
        if let Some((_, found)) = self.readiness.0.lock().checks.get_mut(self.at) {
            *found = health;
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.answer(Health::Gone);
    }
}
