//! The life of a server, as the docs of `Lifecycle` promise it.

mod common;

use common::until;
use ebbtide::tokio::{Check, Health, Lifecycle, terminated};
use ebbtide::{Pool, Scopes};
use std::future::{Future, pending};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::sleep;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn push(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    fn seen(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }

    /// A future that notes `what`.
    fn note(&self, what: &'static str) -> impl Future<Output = ()> + Send + 'static {
        let log = self.clone();
        async move { log.push(what) }
    }
}

const MILLI: Duration = Duration::from_millis(1);

async fn well(future: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    future.await;
    Ok(())
}

/// A server that runs until it is to stop.
fn server(lifecycle: &Lifecycle, log: &Log) -> impl Future<Output = io::Result<()>> + Send + 'static {
    let (stopping, log) = (lifecycle.stopping(), log.clone());
    async move {
        log.push("serving");
        stopping.await;
        log.push("served");
        Ok(())
    }
}

#[tokio::test]
async fn a_life_goes_through_its_steps_in_order() {
    let (log, scopes) = (Log::default(), Scopes::new());
    let pool = Pool::new(Vec::<u8>::new);
    let lifecycle = Lifecycle::new(&scopes)
        .on_start("a", well(log.note("start a")))
        .on_stop("a", log.note("stop a"))
        .on_start("b", well(log.note("start b")))
        .on_stop("b", log.note("stop b"))
        .background("loop", |stop| {
            let log = log.clone();
            async move {
                stop.cancelled().await;
                log.push("loop stops");
            }
        })
        .closes("pool", &pool);
    let (readiness, server) = (lifecycle.readiness(), server(&lifecycle, &log));
    let (send, signal) = oneshot::channel::<()>();
    let life = tokio::spawn(lifecycle.run(async { drop(signal.await) }, server));
    until("it is ready", || readiness.is_ready()).await;
    assert_eq!(scopes.tags()[0].tag, "loop");
    send.send(()).unwrap();
    let report = life.await.unwrap().unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(log.seen(), ["start a", "start b", "serving", "served", "loop stops", "stop b", "stop a"]);
    assert!(!readiness.is_ready() && scopes.is_refusing());
    drop(pool.get());
    assert_eq!(pool.stats().idle, 0, "a closed pool keeps nothing");
}

#[tokio::test]
async fn a_start_hook_that_fails_or_panics_ends_the_start() {
    for panics in [false, true] {
        let (log, scopes) = (Log::default(), Scopes::new());
        let lifecycle = Lifecycle::new(&scopes)
            .on_stop("before", log.note("stopped"))
            .on_start("database", async move {
                assert!(!panics, "in the hook");
                Err("no route to host".into())
            })
            .on_stop("after", log.note("never"))
            .on_start("later", well(log.note("never")))
            .background("loop", |_| log.note("never"));
        let server = server(&lifecycle, &log);
        let error = lifecycle.run(pending(), server).await.unwrap_err();
        assert_eq!(error.tag(), "database");
        assert!(panics || error.to_string() == "start hook database failed: no route to host", "{error}");
        assert_eq!(log.seen(), ["stopped"]);
        assert!(scopes.tags().is_empty());
    }
}

#[tokio::test]
async fn a_signal_during_the_start_stops_what_has_started() {
    let log = Log::default();
    let lifecycle = Lifecycle::new(&Scopes::new())
        .on_start("first", well(log.note("first")))
        .on_stop("first", log.note("stop first"))
        .on_start("hangs", pending())
        .on_stop("hangs", log.note("never"));
    let (server, elsewhere) = (server(&lifecycle, &log), tokio::spawn(lifecycle.stopping()));
    let report = lifecycle.run(sleep(10 * MILLI), server).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(log.seen(), ["first", "stop first"]);
    tokio::time::timeout(Duration::from_secs(10), elsewhere).await.expect("a second server hears of it").unwrap();
}

#[tokio::test]
async fn readiness_turns_false_before_the_server_stops() {
    let log = Log::default();
    let lifecycle = Lifecycle::new(&Scopes::new()).notice(50 * MILLI);
    let (readiness, server) = (lifecycle.readiness(), server(&lifecycle, &log));
    assert!(!readiness.is_ready(), "it has not started");
    let (send, signal) = oneshot::channel::<()>();
    let life = tokio::spawn(lifecycle.run(async { drop(signal.await) }, server));
    until("it is ready", || readiness.is_ready()).await;
    send.send(()).unwrap();
    until("it is not ready", || !readiness.is_ready()).await;
    assert_eq!(log.seen(), ["serving"], "it goes on");
    assert!(life.await.unwrap().unwrap().is_clean());
    assert_eq!(log.seen(), ["serving", "served"]);
}

#[tokio::test]
async fn a_check_that_is_not_well_makes_the_server_not_ready() {
    let check = Check::default().period(MILLI).timeout(20 * MILLI);
    let mood = Arc::new(AtomicU32::new(0));
    let ask = {
        let mood = Arc::clone(&mood);
        move || {
            let mood = mood.load(SeqCst);
            async move {
                match mood {
                    0 => Ok(()),
                    1 => Err("connection refused"),
                    2 => pending().await,
                    _ => panic!("in the check"),
                }
            }
        }
    };
    let lifecycle = Lifecycle::new(&Scopes::new()).check("database", check, ask);
    let (readiness, server) = (lifecycle.readiness(), server(&lifecycle, &Log::default()));
    assert_eq!(readiness.checks(), [("database", Health::Unknown)]);
    let (send, signal) = oneshot::channel::<()>();
    let life = tokio::spawn(lifecycle.run(async { drop(signal.await) }, server));
    let refused = Health::Failed("connection refused".into());
    let moods = [Health::Well, refused, Health::Well, Health::Silent, Health::Well, Health::Gone];
    for (number, health) in [0, 1, 0, 2, 0, 3].into_iter().zip(moods) {
        mood.store(number, SeqCst);
        until("the check has seen it", || readiness.checks()[0].1 == health).await;
        assert_eq!(readiness.is_ready(), health == Health::Well, "{readiness}");
    }
    assert_eq!(readiness.to_string(), "not ready\ndatabase  the check is gone");
    send.send(()).unwrap();
    assert_eq!(life.await.unwrap().unwrap().panicked, ["database"]);
}

#[tokio::test]
async fn the_defaults_of_checks_are_the_documented_ones() {
    let seconds = Duration::from_secs;
    assert_eq!(Check::default(), Check::backlog().period(seconds(10)).timeout(seconds(2)));
    assert_eq!(Check::backlog(), Check::default().period(seconds(30)).timeout(seconds(5)));
}

#[tokio::test]
async fn what_outlives_patience_is_named_and_loops_are_aborted() {
    let (log, scopes) = (Log::default(), Scopes::new());
    let pool = Pool::new(Vec::<u8>::new);
    let dropped = Arc::new(AtomicBool::new(false));
    struct OnDrop(Arc<AtomicBool>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    let guard = OnDrop(Arc::clone(&dropped));
    let lifecycle = Lifecycle::new(&scopes)
        .patience(30 * MILLI)
        .background("deaf", |_| async move {
            let _guard = guard;
            pending().await
        })
        .on_stop("last", log.note("last"))
        .on_stop("hangs", pending())
        .on_stop("panics", async { panic!("in the hook") })
        .closes("sessions", &pool);
    let (_request, _session) = (scopes.begin(), pool.get());
    let hanging = async {
        pending::<()>().await;
        Ok(())
    };
    let report = lifecycle.run(sleep(MILLI), hanging).await.unwrap();
    let survivors = report.survivors.as_ref().unwrap();
    assert_eq!((survivors.requests, survivors.tags[0].tag), (1, "deaf"));
    assert!(report.is_cut_off && !report.is_clean() && dropped.load(SeqCst));
    assert_eq!((&report.panicked[..], &report.late[..]), (&["panics"][..], &["hangs"][..]));
    assert_eq!((&report.outstanding[..], log.seen()), (&[("sessions", 1)][..], vec!["last"]));
    for part in ["the server did not end", "panics panicked", "hangs did not", "1 of sessions", "1 requests", "deaf"] {
        assert!(report.to_string().contains(part), "{report}");
    }
}

#[tokio::test]
async fn a_server_that_ends_by_itself_ends_the_life() {
    let log = Log::default();
    let lifecycle = Lifecycle::new(&Scopes::new()).on_stop("hook", log.note("stopped"));
    let report = lifecycle.run(pending(), async { Err(io::Error::other("no more sockets")) }).await.unwrap();
    assert!(report.to_string().contains("no more sockets") && !report.is_clean());
    assert_eq!(log.seen(), ["stopped"]);
}

#[tokio::test]
async fn a_life_that_is_dropped_stops_its_loops() {
    let (log, scopes) = (Log::default(), Scopes::new());
    let lifecycle = Lifecycle::new(&scopes).background("loop", |stop| async move { stop.cancelled().await });
    let (server, readiness) = (server(&lifecycle, &log), lifecycle.readiness());
    let life = tokio::time::timeout(20 * MILLI, lifecycle.run(pending(), server));
    assert!(life.await.is_err());
    assert!(!readiness.is_ready(), "nobody serves any more");
    assert_eq!(log.seen(), ["serving"]);
    until("the loop has ended", || scopes.tags().is_empty()).await;
}

#[tokio::test]
async fn a_loop_that_heeds_its_token_ends_by_itself_although_patience_is_spent() {
    let (log, scopes) = (Log::default(), Scopes::new());
    let lifecycle = Lifecycle::new(&scopes).patience(Duration::ZERO).background("flush", |stop| {
        let log = log.clone();
        async move {
            stop.cancelled().await;
            sleep(5 * MILLI).await;
            log.push("flushed");
        }
    });
    let report = lifecycle.run(sleep(5 * MILLI), async { pending().await }).await.unwrap();
    assert!(report.is_cut_off && report.survivors.is_none(), "{report}");
    assert_eq!(log.seen(), ["flushed"]);
}

#[tokio::test]
async fn a_server_that_does_not_end_is_dropped_before_the_stop_hooks_run() {
    struct Noted(Log);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.push("server dropped");
        }
    }
    let log = Log::default();
    let lifecycle = Lifecycle::new(&Scopes::new()).patience(Duration::ZERO).on_stop("hook", log.note("stopped"));
    let held = Noted(log.clone());
    let server = async move {
        let _held = held;
        pending().await
    };
    assert!(lifecycle.run(sleep(MILLI), server).await.unwrap().is_cut_off);
    assert_eq!(log.seen(), ["server dropped", "stopped"]);
}

#[tokio::test]
async fn patience_may_be_without_end() {
    let lifecycle = Lifecycle::new(&Scopes::new()).patience(Duration::MAX).notice(Duration::MAX);
    let server = async {
        sleep(5 * MILLI).await;
        Ok(())
    };
    assert!(lifecycle.run(sleep(MILLI), server).await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_blocks_its_thread_is_named_and_not_waited_for() {
    let (free, freed) = std::sync::mpsc::channel::<()>();
    let blocks = |_| async move { _ = freed.recv() };
    let lifecycle = Lifecycle::new(&Scopes::new()).patience(10 * MILLI).background("blocks", blocks);
    let life = lifecycle.run(sleep(5 * MILLI), async { pending().await });
    let report = tokio::time::timeout(Duration::from_secs(10), life).await;
    drop(free);
    let survivors = report.expect("it ends").unwrap().survivors.unwrap();
    assert_eq!(survivors.tags[0].tag, "blocks");
}

#[tokio::test(start_paused = true)]
async fn stop_hooks_have_patience_after_a_start_that_failed() {
    let log = Log::default();
    let slow = log.clone();
    let lifecycle = Lifecycle::new(&Scopes::new())
        .on_stop("slow", async move {
            sleep(Duration::from_secs(5)).await;
            slow.push("stopped");
        })
        .on_start("fails", async { Err("no".into()) });
    let server = server(&lifecycle, &log);
    assert!(lifecycle.run(pending(), server).await.is_err());
    assert_eq!(log.seen(), ["stopped"]);
}

#[cfg(unix)]
#[tokio::test]
async fn sigterm_is_a_signal_to_stop() {
    let signalled = tokio::spawn(terminated());
    // The handler is there once the future was polled.
    sleep(20 * MILLI).await;
    assert!(!signalled.is_finished());
    let kill = std::process::Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status();
    assert!(kill.unwrap().success());
    tokio::time::timeout(Duration::from_secs(10), signalled).await.unwrap().unwrap();
}
