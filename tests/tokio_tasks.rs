//! Background tasks by tag, and the end of a server that waits for them.

mod common;

use axum::Router;
use axum::routing::get;
use ebbtide::http::ScopeLayer;
use ebbtide::tokio::Stopped;
use ebbtide::{Scope, Scopes};
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(20)
}

fn late() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Tells when it is dropped.
struct Tells(Option<oneshot::Sender<()>>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.take().map(|tell| tell.send(()));
    }
}

#[tokio::test]
async fn a_task_of_a_request_is_dropped_when_the_request_ends() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let (tell, told) = oneshot::channel();
    let tells = Tells(Some(tell));
    let task = request.handle().spawn("watch", async move {
        let _tells = tells;
        pending::<()>().await;
    });
    tokio::task::yield_now().await;
    assert_eq!((scopes.tags()[0].tag, scopes.tags()[0].tasks, scopes.tags()[0].scopes), ("watch", 1, 0));
    drop(request);
    assert_eq!(task.await.unwrap(), Err(Stopped::Ended));
    told.await.unwrap();
    assert!(scopes.tags().is_empty());
    assert_eq!(scopes.stats().late, 0, "it held no pin");
}

#[tokio::test]
async fn a_task_of_a_request_stops_at_its_deadline() {
    let request = Scopes::new().begin().with_deadline(soon());
    let watch = request.handle().spawn("watch", pending::<()>());
    let stopped = tokio::time::timeout(Duration::from_secs(5), watch).await.expect("stopped at its deadline");
    assert_eq!(stopped.unwrap(), Err(Stopped::Deadline));
    assert_eq!(request.handle().spawn("quick", async { 7 }).await.unwrap(), Ok(7), "past the deadline, but ready");
    assert_eq!(Stopped::Deadline.to_string(), "the deadline of the task's request passed");
}

#[tokio::test]
async fn a_task_of_an_ended_request_is_never_polled() {
    let scopes = Scopes::new();
    let handle = scopes.begin().handle();
    let task = handle.spawn("too late", async { panic!("polled after the end") });
    assert_eq!(task.await.unwrap(), Err::<(), _>(Stopped::Ended));
}

#[tokio::test]
async fn a_task_is_off_the_roll_however_it_ends() {
    let scopes = Scopes::new();
    let tasks = scopes.tasks();
    let task = tasks.spawn("ready", async { 1 });
    assert_eq!(scopes.tags()[0].tasks, 1, "on the roll before it is polled");
    assert_eq!(task.await.unwrap(), 1);
    assert!(tasks.spawn("panics", async { panic!("in a task") }).await.unwrap_err().is_panic());
    let aborted = tasks.spawn("aborted", pending::<()>());
    aborted.abort();
    assert!(aborted.await.unwrap_err().is_cancelled());
    let request = scopes.begin();
    let task = request.handle().spawn("panics", async { panic!("in a task of a request") });
    assert!(task.await.unwrap_err().is_panic());
    assert!(scopes.tags().is_empty());
    let lost = tokio::task::spawn_blocking({
        let tasks = tasks.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async { drop(tasks.spawn("runtime goes away", pending::<()>())) });
        }
    });
    lost.await.unwrap();
    assert!(scopes.tags().is_empty());
}

#[tokio::test]
async fn live_tasks_are_counted_by_tag() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let stop = Arc::new(Notify::new());
    let wait = || {
        let stop = Arc::clone(&stop);
        async move { stop.notified().await }
    };
    let mail = [(); 3].map(|()| scopes.tasks().spawn("mail", wait()));
    let price = request.handle().spawn("price", wait());
    let counted: Vec<_> = scopes.tags().iter().map(|tagged| (tagged.tag, tagged.tasks)).collect();
    assert_eq!(counted, [("mail", 3), ("price", 1)]);
    tokio::task::yield_now().await;
    stop.notify_waiters();
    for task in mail {
        task.await.unwrap();
    }
    assert_eq!(price.await.unwrap(), Ok(()));
    assert!(scopes.tags().is_empty());
}

#[tokio::test]
async fn shutdown_waits_for_requests_and_tasks_and_names_survivors() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let task = scopes.tasks().spawn("mail", async move { stopped.notified().await });
    let pin = request.scope().tag("audit");
    let survivors = scopes.shutdown(soon()).await.unwrap_err();
    let named: Vec<_> = survivors.tags.iter().map(|tagged| (tagged.tag, tagged.scopes, tagged.tasks)).collect();
    assert_eq!((survivors.requests, named), (1, vec![("mail", 0, 1), ("audit", 1, 0)]));
    assert!(survivors.tags.iter().all(|tagged| tagged.oldest >= Duration::from_millis(15)), "{survivors}");
    assert!(scopes.try_begin().is_err());
    drop((request, pin));
    assert_eq!(scopes.shutdown(soon()).await.unwrap_err().requests, 0);
    let waiting = {
        let scopes = scopes.clone();
        tokio::spawn(async move { scopes.shutdown(late()).await })
    };
    stop.notify_one();
    task.await.unwrap();
    assert_eq!(waiting.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn the_layer_answers_503_while_the_server_shuts_down() {
    let scopes = Scopes::new();
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let handler = || async move {
        let scope = Scope::current().unwrap();
        released.notified().await;
        scope.arena().alloc_str("through").to_owned()
    };
    let app = Router::new()
        .route("/", get(handler))
        .route("/quick", get(|| async { "quick" }))
        .layer(ScopeLayer::with(scopes.clone()));
    let address = common::serve(app).await;
    assert!(common::get(address, "/quick").await.ends_with("quick"));
    let open = tokio::spawn(async move { common::get(address, "/").await });
    common::until("the request is open", || scopes.stats().open() == 1).await;
    let shutdown = {
        let scopes = scopes.clone();
        tokio::spawn(async move { scopes.shutdown(late()).await })
    };
    common::until("new requests are refused", || scopes.is_refusing()).await;
    let refused = common::get(address, "/quick").await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("content-length: 0"), "{refused}");
    assert!(!shutdown.is_finished());
    release.notify_one();
    assert!(open.await.unwrap().ends_with("through"), "what was open is answered");
    assert_eq!(shutdown.await.unwrap(), Ok(()));
    assert_eq!(scopes.stats().begun, 2);
}

/// A subscriber that knows one span at a time.
mod spans {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};
    use tracing_core::span::Current;

    #[derive(Default)]
    pub(super) struct One {
        pub(super) entered: AtomicU64,
        pub(super) events_inside: AtomicU64,
        span: OnceLock<&'static Metadata<'static>>,
    }

    pub(super) struct Shared(pub(super) std::sync::Arc<One>);

    impl Subscriber for Shared {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, span: &Attributes<'_>) -> Id {
            let _ = self.0.span.set(span.metadata());
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            if self.0.entered.load(SeqCst) > 0 {
                self.0.events_inside.fetch_add(1, SeqCst);
            }
        }
        fn enter(&self, _: &Id) {
            self.0.entered.fetch_add(1, SeqCst);
        }
        fn exit(&self, _: &Id) {
            self.0.entered.fetch_sub(1, SeqCst);
        }
        fn current_span(&self) -> Current {
            match self.0.span.get() {
                Some(span) if self.0.entered.load(SeqCst) > 0 => Current::new(Id::from_u64(1), span),
                _ => Current::none(),
            }
        }
    }
}

#[tokio::test]
async fn spawned_tasks_carry_the_current_span() {
    use std::sync::atomic::Ordering::SeqCst;
    let one = Arc::<spans::One>::default();
    let _default = tracing::subscriber::set_default(spans::Shared(Arc::clone(&one)));
    let scopes = Scopes::new();
    let request = scopes.begin();
    let tasks = {
        let _inside = tracing::info_span!("handler").entered();
        let mine = scopes.tasks().spawn("mail", async { tracing::info!("in the background") });
        (mine, request.handle().spawn("price", async { tracing::info!("in the request") }))
    };
    tracing::info!("outside");
    assert_eq!(one.entered.load(SeqCst), 0);
    tasks.0.await.unwrap();
    tasks.1.await.unwrap().unwrap();
    assert_eq!(one.events_inside.load(SeqCst), 2, "one event in each task, none outside");
}
