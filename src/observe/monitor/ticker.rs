//! Samples from a tokio runtime (feature `tokio`).

use super::Monitor;
use core::fmt;
use core::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

impl Monitor {
    /// Takes a sample every `period`, on the current runtime, until the returned handle is dropped. Ticks that are missed are not
    /// made up for.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, and when `period` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use ebbtide::observe::Monitor;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let monitor = Monitor::new();
    /// let _sampling = monitor.sample_every(Monitor::PERIOD);
    /// # }
    /// ```
    #[must_use = "the sampling stops when its handle is dropped"]
    pub fn sample_every(&self, period: Duration) -> Sampling {
        let monitor = self.clone();
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let task = tokio::spawn(async move {
            loop {
                ticks.tick().await;
                monitor.sample_at(Instant::now().into_std());
            }
        });
        Sampling(task.abort_handle())
    }
}

/// Keeps [`Monitor::sample_every`] going. Its drop stops it.
pub struct Sampling(AbortHandle);

impl Drop for Sampling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampling").field("is_finished", &self.0.is_finished()).finish()
    }
}
