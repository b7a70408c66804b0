//! The orderly life of a server: start, readiness, background loops, the way from a signal to the last memory given back.

mod health;
mod hooks;
mod report;

pub use health::{Check, Health, Readiness};
pub use report::{Report, StartError};

use crate::buffer::BufferPool;
use crate::pool::Pool;
use crate::request::{LOOK_EVERY, Scopes};
use core::error::Error;
use core::fmt;
use core::future::Future;
use core::pin::{Pin, pin};
use core::time::Duration;
use hooks::Hooks;
use std::io;
use std::time::Instant;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long requests, tasks and loops may take to end after the signal.
const PATIENCE: Duration = Duration::from_secs(30);
/// What loops, and each stop hook, have at least: a slow connection is not to cost them their end.
const LEAST: Duration = Duration::from_secs(1);
/// As long as any server lives; further off, clocks overflow.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A server's life, from its start hooks to the report of what outlived it.
///
/// [`run`](Self::run) goes through these steps:
///
/// | step | what happens |
/// |---|---|
/// | start | [`on_start`](Self::on_start) hooks run in the order in which they were given; the first that fails ends it |
/// | running | [`background`](Self::background) loops and [`check`](Self::check)s run; [`Readiness`] follows the checks |
/// | signal | readiness turns false; for [`notice`](Self::notice) the server goes on, so that load balancers can see it |
/// | drain | [`stopping`](Self::stopping) is ready: the server accepts nothing new, requests in flight finish |
/// | loops | background loops are told to stop, and waited for with all other tasks of the scopes |
/// | stop | [`on_stop`](Self::on_stop) hooks run in the reverse order |
/// | memory | pools given by [`closes`](Self::closes) close |
/// | report | what did not end is named by its tag: [`Report`] |
///
/// Drain takes at most [`patience`](Self::patience), loops what is left of it, and at least a second. A further signal changes nothing.
/// Dropping the future of `run` turns readiness false and tells the loops to stop, and runs no hooks.
///
/// # Examples
///
/// ```
/// use ebbtide::{Pool, Scopes, tokio::Lifecycle};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scopes = Scopes::new(); // Given to `ScopeLayer::with`.
/// let sessions = Pool::new(Vec::<u8>::new);
/// let lifecycle = Lifecycle::new(&scopes)
///     .on_start("migrate", async { Ok(()) })
///     .background("sweep", |stop| async move {
///         while stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(60))).await.is_some() {}
///     })
///     .closes("sessions", &sessions);
///
/// // With axum: `axum::serve(listener, app).with_graceful_shutdown(lifecycle.stopping())`.
/// let stopping = lifecycle.stopping();
/// let server = async move {
///     stopping.await;
///     Ok(())
/// };
/// let signal = tokio::time::sleep(Duration::from_millis(5)); // A server passes `ebbtide::tokio::terminated()`.
/// let report = lifecycle.run(signal, server).await?;
/// assert!(report.is_clean(), "{report}");
/// # Ok(()) }
/// ```
#[must_use = "nothing happens until it runs"]
pub struct Lifecycle {
    scopes: Scopes,
    readiness: Readiness,
    /// The server's: nothing new is accepted.
    stopping: CancellationToken,
    /// The loops'.
    loops_stop: CancellationToken,
    loops: Vec<(&'static str, Boxed<()>)>,
    hooks: Hooks,
    pools: Vec<(&'static str, Box<dyn Close>)>,
    notice: Duration,
    patience: Duration,
}

impl Lifecycle {
    /// The life of the server whose requests begin in `scopes`.
    pub fn new(scopes: &Scopes) -> Self {
        Self {
            scopes: scopes.clone(),
            readiness: Readiness::new(),
            stopping: CancellationToken::new(),
            loops_stop: CancellationToken::new(),
            loops: Vec::new(),
            hooks: Hooks::default(),
            pools: Vec::new(),
            notice: Duration::ZERO,
            patience: PATIENCE,
        }
    }

    /// Runs `hook` before the server is ready, after the hooks that were given before it.
    pub fn on_start(
        mut self,
        tag: &'static str,
        hook: impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'static,
    ) -> Self {
        self.hooks.on_start(tag, hook);
        self
    }

    /// Runs `hook` at the end, before those that were given before it. If the start fails, only those given before the failing
    /// start hook run.
    pub fn on_stop(mut self, tag: &'static str, hook: impl Future<Output = ()> + Send + 'static) -> Self {
        self.hooks.on_stop(tag, hook);
        self
    }

    /// Runs a loop in the background from the start on, until the token that it is given is cancelled. It ends then
    /// by itself; one that does not is named by its tag, and aborted. One that panics is named too.
    pub fn background<F>(mut self, tag: &'static str, make: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let future = make(self.loops_stop.clone());
        self.loops.push((tag, Box::pin(future)));
        self
    }

    /// Asks `ask` again and again whether something that the server needs is well. While it is not, the server is not ready.
    pub fn check<F, E>(self, tag: &'static str, check: Check, ask: impl Fn() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send,
        E: fmt::Display,
    {
        let health = self.readiness.add(tag);
        self.background(tag, |stop| async move {
            let _ = stop.run_until_cancelled(check.repeat(ask, health)).await;
        })
    }

    /// Closes `pool` at the end, and names it by `tag` if something of it is still out then.
    pub fn closes(mut self, tag: &'static str, pool: &(impl Close + Clone)) -> Self {
        self.pools.push((tag, Box::new(pool.clone())));
        self
    }

    /// How long the server goes on after the signal, no longer ready. Default: zero. As long as load balancers need to see it.
    pub fn notice(mut self, notice: Duration) -> Self {
        self.notice = notice;
        self
    }

    /// How long requests, tasks and loops may take to end. Default: 30 seconds. Loops have what is left of it, and at least a
    /// second; so has each stop hook.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience.min(FOR_EVER);
        self
    }

    /// Whether the server is ready, for its health endpoint.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Ready when the server is to accept nothing new: what `with_graceful_shutdown` waits for.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        self.stopping.clone().cancelled_owned()
    }

    /// Lives the server's life until `signal` is ready, or `server` ends by itself, and then to its end.
    ///
    /// # Errors
    ///
    /// [`StartError`] when a start hook failed or panicked; the stop hooks given before it have run.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn run(
        mut self,
        signal: impl Future<Output = ()>,
        server: impl Future<Output = io::Result<()>>,
    ) -> Result<Report, StartError> {
        // On the heap, so that it can be dropped before the stop hooks run.
        let (mut signal, mut server) = (pin!(signal), Box::pin(server));
        let mut report = Report::default();
        // Dropped with this future, too.
        let _stops = (self.loops_stop.clone().drop_guard(), self.stopping.clone().drop_guard());
        let _not_ready = self.readiness.stops();
        let is_started = tokio::select! {
            started = self.hooks.start() => match started {
                Ok(()) => true,
                Err(error) => {
                    self.hooks.stop(Instant::now() + self.patience, &mut report).await;
                    return Err(error);
                }
            },
            () = &mut signal => false,
        };
        let loops = if is_started { self.spawn_loops() } else { Vec::new() };
        if is_started {
            self.readiness.start();
            tokio::select! {
                served = &mut server => report.served(served),
                () = signal => {}
            }
            self.readiness.stop();
            self.drain(server, &mut report).await;
        }
        // Whoever waits for it elsewhere hears of a signal during the start as well.
        self.stopping.cancel();
        let deadline = Instant::now() + self.patience.saturating_sub(report.drained_in);
        self.end_tasks(loops, deadline, &mut report).await;
        self.hooks.stop(deadline, &mut report).await;
        self.close_pools(&mut report);
        Ok(report)
    }

    fn spawn_loops(&mut self) -> Vec<(&'static str, JoinHandle<()>)> {
        let tasks = self.scopes.tasks();
        self.loops.drain(..).map(|(tag, future)| (tag, tasks.spawn(tag, future))).collect()
    }

    /// Lets the server finish what is in flight, unless it has ended by itself.
    // `&mut` here and below: hooks and loops are `Send` and not `Sync`, and the future of `run` is to be `Send`.
    async fn drain(&mut self, mut server: Pin<Box<impl Future<Output = io::Result<()>>>>, report: &mut Report) {
        if !report.has_served && !self.notice.is_zero() {
            if let Ok(served) = timeout(self.notice, &mut server).await {
                report.served(served);
            }
        }
        self.stopping.cancel();
        let began = Instant::now();
        let deadline = began + self.patience;
        if !report.has_served {
            match timeout_at(deadline.into(), server).await {
                Ok(served) => report.served(served),
                Err(_) => report.is_cut_off = true,
            }
        }
        self.scopes.refuse_new();
        while self.scopes.stats().open() > 0 && Instant::now() < deadline {
            sleep(LOOK_EVERY).await;
        }
        report.drained_in = began.elapsed();
    }

    /// Stops the loops, and waits for them and all other tasks.
    async fn end_tasks(&mut self, loops: Vec<(&'static str, JoinHandle<()>)>, deadline: Instant, report: &mut Report) {
        self.loops_stop.cancel();
        report.survivors = self.scopes.shutdown(deadline.max(Instant::now() + LEAST)).await.err();
        for (tag, task) in loops {
            task.abort();
            // One that blocks its thread does not hear of it; it is among the survivors.
            if let Ok(Err(error)) = timeout(LEAST, task).await {
                report.panicked.extend(error.is_panic().then_some(tag));
            }
        }
    }

    fn close_pools(&self, report: &mut Report) {
        for (tag, pool) in &self.pools {
            pool.close();
            match pool.outstanding() {
                0 => {}
                out => report.outstanding.push((tag, out)),
            }
        }
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle")
            .field("readiness", &self.readiness)
            .field("hooks", &self.hooks)
            .field("loops", &self.loops.iter().map(|(tag, _)| tag).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A pool that can be closed.
pub trait Close: Send + 'static {
    /// Closes it.
    fn close(&self);
    /// Values that are out.
    fn outstanding(&self) -> u64;
}

impl<T: Send + 'static> Close for Pool<T> {
    fn close(&self) {
        self.close();
    }
    fn outstanding(&self) -> u64 {
        self.stats().outstanding()
    }
}

impl Close for BufferPool {
    fn close(&self) {
        self.close();
    }
    fn outstanding(&self) -> u64 {
        self.stats().outstanding()
    }
}

/// Ready when the process is asked to end: by SIGTERM or Ctrl-C.
///
/// # Panics
///
/// Outside of a tokio runtime with I/O, at the first poll.
pub async fn terminated() {
    let interrupt = async {
        // What cannot be heard does not end the process.
        if tokio::signal::ctrl_c().await.is_err() {
            core::future::pending().await
        }
    };
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            () = interrupt => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    interrupt.await;
}
