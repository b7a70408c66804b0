//! The life of a request: who hears of its end, names, cleanups that can be called off, boxed futures, shutdown.

use ebbtide::request::{Cleanup, Ended, ShuttingDown};
use ebbtide::{Outcome, Pool, Scope, ScopeBox, ScopeEnded, ScopeHandle, Scopes};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Panics when it is woken.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("in a waker");
    }
}

fn woken() -> (Arc<Woken>, Waker) {
    let woken = Arc::<Woken>::default();
    (Arc::clone(&woken), Waker::from(woken))
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Notes its drop.
struct Noted(Arc<Mutex<Vec<&'static str>>>, &'static str);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(self.1);
    }
}

#[test]
fn ended_resolves_with_the_guard_whatever_late_scopes_remain() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let (scope, handle) = (request.scope(), request.handle());
    let (mut ended, (woken, waker)) = (handle.ended(), woken());
    assert!(poll(&mut ended, &waker).is_pending() && !handle.is_ended());
    drop(request);
    assert_eq!(woken.0.load(SeqCst), 1);
    assert!(poll(&mut ended, &waker).is_ready() && handle.is_ended());
    assert_eq!(scopes.stats().open(), 1, "the scope is late");
    drop(scope);
}

#[test]
fn ended_resolves_at_once_for_a_stale_handle() {
    let scopes = Scopes::new();
    let stale = scopes.begin().handle();
    let next = scopes.begin(); // in the same slot
    assert_eq!(scopes.stats().idle, 0);
    let (_, waker) = woken();
    assert!(poll(&mut stale.ended(), &waker).is_ready() && stale.is_ended());
    assert!(poll(&mut next.handle().ended(), &waker).is_pending());
}

#[test]
fn cancelling_a_wait_forgets_its_waker_at_once() {
    let request = Scopes::new().begin();
    let (mut ended, (woken, waker)) = (request.handle().ended(), woken());
    assert!(poll(&mut ended, &waker).is_pending());
    assert!(poll(&mut ended, &waker).is_pending());
    assert_eq!(Arc::strong_count(&woken), 3, "one in the list, however often it is polled");
    drop(ended);
    assert_eq!(Arc::strong_count(&woken), 2);
    drop(request);
    assert_eq!(woken.0.load(SeqCst), 0);
}

#[test]
fn the_waker_of_the_last_poll_is_woken() {
    let request = Scopes::new().begin();
    let mut ended = request.handle().ended();
    let ((first, first_waker), (last, last_waker)) = (woken(), woken());
    assert!(poll(&mut ended, &first_waker).is_pending());
    assert!(poll(&mut ended, &last_waker).is_pending());
    drop(request);
    assert_eq!((first.0.load(SeqCst), last.0.load(SeqCst)), (0, 1));
}

#[test]
fn a_waker_that_panics_loses_only_itself() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let bombs = [(); 2].map(|()| Waker::from(Arc::new(Bomb)));
    let (woken, waker) = woken();
    let mut waits = [(); 3].map(|()| request.handle().ended());
    for (wait, waker) in waits.iter_mut().zip([&bombs[0], &waker, &bombs[1]]) {
        assert!(poll(wait, waker).is_pending());
    }
    drop(request);
    assert_eq!(woken.0.load(SeqCst), 1);
    assert_eq!((scopes.stats().open(), scopes.stats().poisoned, scopes.stats().idle), (0, 0, 1));
}

/// Waits for the same request when it is woken and when it is dropped.
struct Again(ScopeHandle, Arc<AtomicUsize>);

impl Again {
    fn again(&self) {
        let _ = poll(&mut self.0.ended(), Waker::noop());
        self.1.fetch_add(1, SeqCst);
    }
}

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        self.again();
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        self.again();
    }
}

#[test]
fn wakers_are_woken_and_dropped_outside_of_the_lock() {
    let request = Scopes::new().begin();
    let calls = Arc::<AtomicUsize>::default();
    let waker = || Waker::from(Arc::new(Again(request.handle(), Arc::clone(&calls))));
    let (mut replaced, mut cancelled, mut woken) =
        (request.handle().ended(), request.handle().ended(), request.handle().ended());
    assert!(poll(&mut replaced, &waker()).is_pending());
    assert!(poll(&mut replaced, Waker::noop()).is_pending());
    assert!(poll(&mut cancelled, &waker()).is_pending());
    drop(cancelled);
    assert!(poll(&mut woken, &waker()).is_pending());
    assert_eq!(calls.load(SeqCst), 2, "the replaced one and the cancelled one are dropped");
    drop(request);
    assert_eq!(calls.load(SeqCst), 4, "the last one is woken, then dropped");
}

#[test]
fn run_until_ended_drops_the_future_with_the_request() {
    let log = Arc::<Mutex<Vec<_>>>::default();
    let noted = |name| Noted(Arc::clone(&log), name);
    let request = Scopes::new().begin();
    let handle = request.handle();
    let inner = noted("inner");
    let mut running = Box::pin(handle.run_until_ended(async move {
        let _inner = inner;
        std::future::pending::<()>().await;
    }));
    let (woken, waker) = woken();
    assert!(poll(&mut running, &waker).is_pending());
    drop(request);
    assert_eq!(woken.0.load(SeqCst), 1);
    assert_eq!(poll(&mut running, &waker), Poll::Ready(Err(ScopeEnded)));
    assert_eq!(*log.lock().unwrap(), ["inner"], "dropped before the result is there");
    let mut never = Box::pin(handle.run_until_ended(async { panic!("polled after the end") }));
    assert_eq!(poll::<Pin<Box<_>>>(&mut never, &waker), Poll::Ready(Err::<(), _>(ScopeEnded)));
}

#[test]
fn a_cleanup_is_cancelled_or_called_early_each_once_and_the_others_stay_in_order() {
    let log = Arc::<Mutex<Vec<_>>>::default();
    let scopes = Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let on_end = |name| {
        let noted = Noted(Arc::clone(&log), "dropped");
        scope.on_end(move |ending| {
            let name = if ending.outcome() == Outcome::Running { "early" } else { name };
            noted.0.lock().unwrap().push(name);
        })
    };
    on_end("first");
    let (cancelled, early) = (on_end("cancelled"), on_end("early"));
    on_end("second");
    early.run_now();
    assert_eq!(*log.lock().unwrap(), ["early", "dropped"]);
    cancelled.cancel();
    assert_eq!(*log.lock().unwrap(), ["early", "dropped", "dropped"], "a cancelled one is dropped at once");
    on_end("third").cancel();
    on_end("fourth");
    log.lock().unwrap().clear();
    drop((scope, request));
    let log = log.lock().unwrap();
    assert_eq!(*log, ["fourth", "dropped", "second", "dropped", "first", "dropped"]);
}

#[test]
fn cleanups_that_panic_when_they_are_cancelled_or_called_early_are_counted() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in the drop of a cleanup");
        }
    }
    let scopes = Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let bomb = Bomb;
    scope.on_end(|_| panic!("early")).run_now();
    scope
        .on_end(move |_| {
            let _bomb = &bomb;
        })
        .cancel();
    assert_eq!(scopes.stats().hook_panics, 2);
    drop((scope, request));
    assert_eq!((scopes.stats().hook_panics, scopes.stats().idle), (2, 1), "each once, and the request is fine");
}

#[test]
fn many_cancelled_cleanups_leave_no_places_behind() {
    let request = Scopes::new().begin();
    let scope = request.scope();
    let places = |scope: &Scope| format!("{:?}", scope.on_end(|_| ()));
    let first = places(&scope);
    for _ in 0..1000 {
        let (one, two) = (scope.on_end(|_| ()), scope.on_end(|_| ()));
        one.cancel();
        two.cancel();
    }
    let kept: Cleanup<'_> = scope.on_end(|_| ());
    assert_ne!(first, format!("{kept:?}"));
    assert!(format!("{kept:?}").contains("index: 1"), "{kept:?}");
}

#[test]
fn cleanups_are_called_off_from_several_threads() {
    let scopes = Scopes::new();
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let request = scopes.begin();
    let scope = request.scope();
    std::thread::scope(|threads| {
        for thread in 0..4 {
            let scope = &scope;
            threads.spawn(move || {
                for round in 0..200 {
                    let cleanup = scope.on_end(|_| {
                        CALLS.fetch_add(1, SeqCst);
                    });
                    match (round + thread) % 3 {
                        0 => cleanup.cancel(),
                        1 => cleanup.run_now(),
                        _ => {}
                    }
                }
            });
        }
    });
    drop((scope, request));
    let cancelled = (0..4).flat_map(|thread| (0..200).map(move |round| (round + thread) % 3)).filter(|way| *way == 0);
    assert_eq!(CALLS.load(SeqCst), 800 - cancelled.count());
}

#[test]
fn a_late_scope_is_named_by_its_tag_and_so_are_its_clones() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let audit = request.scope().tag("audit");
    let clone = audit.clone();
    drop(request.scope().tag("in time"));
    assert!(format!("{clone:?}").contains("audit"));
    drop(audit);
    let text = clone.arena().alloc_str("still here");
    drop(request);
    assert_eq!((text, scopes.tags()[0].scopes, scopes.tags()[0].tasks), (&mut *String::from("still here"), 1, 0));
    drop(clone);
    assert!(scopes.tags().is_empty());
    assert_eq!((scopes.late_tags(), scopes.stats().late), (vec![("audit", 1)], 1));
}

#[test]
fn late_tags_are_bounded() {
    // A hundred beginnings of one text, each a name of its own.
    const NAMES: &str = concat!(
        "a text that is a hundred letters long, so that there is a name of each length: this one, ",
        "and so on and on"
    );
    let scopes = Scopes::new();
    for number in 0..100 {
        let request = scopes.begin();
        let scope = request.scope().tag(&NAMES[..number]);
        drop(request);
        drop(scope);
    }
    let late = scopes.late_tags();
    assert_eq!((late.len(), late.iter().find(|(tag, _)| *tag == "(others)")), (65, Some(&("(others)", 36))));
}

#[test]
fn a_deadline_is_carried_and_is_of_one_request() {
    let scopes = Scopes::new();
    let deadline = Instant::now() + Duration::from_secs(1);
    let request = scopes.begin().with_deadline(deadline);
    let handle = request.handle();
    assert_eq!((handle.deadline(), request.scope().deadline()), (Some(deadline), Some(deadline)));
    request.set_deadline(deadline + Duration::from_secs(1));
    assert_eq!(handle.deadline(), Some(deadline + Duration::from_secs(1)));
    drop(request);
    assert_eq!(handle.deadline(), None);
    assert_eq!(scopes.begin().handle().deadline(), None, "the same slot");
    assert_eq!(scopes.stats().idle, 1);
}

#[test]
fn values_that_are_detached_are_counted() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let text: &str = scope.arena().alloc_str("text");
    let owned: (String, usize) = scope.detach(|_| (text.to_owned(), text.len()));
    drop((scope, request));
    assert_eq!((owned, scopes.stats().detached), ((String::from("text"), 4), 1));
}

/// Pending a few times; not to be moved once it was polled.
struct Steps {
    left: u32,
    at: Option<usize>,
    _noted: Noted,
    _pinned: std::marker::PhantomPinned,
}

impl Steps {
    fn run(left: u32, noted: Noted) -> impl Future<Output = u32> + Send {
        let mut steps = Self { left, at: None, _noted: noted, _pinned: std::marker::PhantomPinned };
        async move {
            let steps = &mut steps;
            poll_fn(move |context| {
                let here = std::ptr::from_ref::<Self>(steps).addr();
                assert_eq!(*steps.at.get_or_insert(here), here, "moved");
                context.waker().wake_by_ref();
                steps.left = steps.left.saturating_sub(1);
                if steps.left == 0 { Poll::Ready(7) } else { Poll::Pending }
            })
            .await
        }
    }
}

#[test]
fn a_boxed_future_stays_in_place_and_keeps_the_request() {
    let log = Arc::<Mutex<Vec<_>>>::default();
    let scopes = Scopes::new();
    let request = scopes.begin();
    let mut boxed: ScopeBox<dyn Future<Output = u32> + Send> =
        request.scope().boxed(Steps::run(3, Noted(Arc::clone(&log), "future"))).erased();
    assert!(poll(&mut boxed, Waker::noop()).is_pending());
    drop(request);
    assert_eq!(scopes.stats().open(), 1, "the box has a pin");
    let mut boxed = std::thread::spawn(move || {
        assert!(poll(&mut boxed, Waker::noop()).is_pending());
        boxed
    })
    .join()
    .unwrap();
    assert_eq!(poll(&mut boxed, Waker::noop()), Poll::Ready(7));
    assert!(log.lock().unwrap().is_empty() || scopes.stats().open() == 1);
    drop(boxed);
    assert_eq!(*log.lock().unwrap(), ["future"], "dropped once");
    assert_eq!((scopes.stats().open(), scopes.stats().late, scopes.stats().idle), (0, 1, 1));
}

#[test]
fn forgetting_a_boxed_future_loses_the_slot_and_never_resets_it() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let mut boxed = request.scope().boxed(std::future::pending::<()>());
    assert!(poll(&mut boxed, Waker::noop()).is_pending());
    std::mem::forget(boxed);
    drop(request);
    drop(scopes.begin());
    assert_eq!((scopes.stats().open(), scopes.stats().idle), (1, 1));
}

#[test]
fn a_boxed_future_whose_drop_panics_costs_its_request_only() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in the drop of a future");
        }
    }
    let scopes = Scopes::new();
    let request = scopes.begin();
    let bomb = Bomb;
    drop(request.scope().boxed(async move {
        let _bomb = &bomb;
    }));
    drop(request);
    let stats = scopes.stats();
    assert_eq!((stats.open(), stats.poisoned, stats.idle), (0, 1, 0), "not reused");
}

#[test]
fn boxes_of_one_request_side_by_side() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut boxes: Vec<_> = (0..100_usize)
        .map(|number| {
            let text = format!("{number}");
            scope.boxed(async move { text.len() + number })
        })
        .collect();
    for (number, boxed) in boxes.iter_mut().enumerate() {
        assert_eq!(poll(boxed, Waker::noop()), Poll::Ready(number.to_string().len() + number));
    }
}

#[test]
fn after_refuse_new_only_begin_goes_on() {
    let scopes = Scopes::new();
    let open = scopes.try_begin().unwrap();
    assert!(!scopes.is_refusing());
    scopes.refuse_new();
    assert!(scopes.is_refusing());
    assert_eq!(scopes.try_begin().unwrap_err(), ShuttingDown);
    drop(scopes.begin());
    assert_eq!((scopes.stats().begun, scopes.stats().open()), (2, 1), "a refused one is not begun");
    let survivors = scopes.wait_idle(Instant::now() + Duration::from_millis(5)).unwrap_err();
    assert_eq!((survivors.requests, survivors.to_string().as_str()), (1, "1 requests are open"));
    drop(open);
    assert_eq!(scopes.wait_idle(Instant::now()), Ok(()));
}

#[test]
fn survivors_are_a_table_of_tags_and_ages() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let (_one, _two) = (request.scope().tag("a longer name"), request.scope().tag("x"));
    std::thread::sleep(Duration::from_millis(2));
    let survivors = scopes.wait_idle(Instant::now()).unwrap_err();
    assert!(survivors.tags.iter().all(|tagged| tagged.oldest >= Duration::from_millis(2)));
    let shown = survivors.to_string();
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[0], "1 requests are open");
    assert_eq!(lines[1], "tag            scopes  tasks      oldest");
    assert!(lines[2].starts_with("a longer name       1      0      0."), "{shown}");
    assert!(lines[3].starts_with("x                   1      0      0."), "{shown}");
}

#[test]
fn waiting_threads_hear_of_the_last_request() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    scopes.refuse_new();
    let waiting = {
        let scopes = scopes.clone();
        std::thread::spawn(move || scopes.wait_idle(Instant::now() + Duration::from_secs(60)))
    };
    std::thread::sleep(Duration::from_millis(5));
    assert!(!waiting.is_finished());
    drop(request);
    assert_eq!(waiting.join().unwrap(), Ok(()));
}

#[test]
fn a_panic_while_scopes_are_tagged_and_boxed_leaves_nothing() {
    let scopes = Scopes::new();
    let pool = Pool::new(Vec::<u8>::new);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let request = scopes.begin();
        let scope = request.scope().tag("panics");
        scope.lease(&pool).push(1);
        let _wait: Ended = request.handle().ended();
        let _boxed = scope.boxed(async {});
        scope.on_end(|_| ()).cancel();
        panic!("in the handler");
    }));
    assert!(caught.is_err());
    assert_eq!((scopes.stats().open(), scopes.stats().poisoned, pool.stats().outstanding()), (0, 1, 0));
    assert!(scopes.tags().is_empty());
}

#[test]
fn a_box_that_outlives_its_request_is_named_by_its_scopes_tag() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let boxed = request.scope().tag("upload").boxed(std::future::pending::<()>()).erased();
    drop(request);
    let tags: Vec<_> = scopes.tags().iter().map(|tagged| tagged.tag).collect();
    assert_eq!(tags, ["upload"]);
    drop(boxed);
    assert_eq!((scopes.tags().len(), scopes.late_tags()), (0, vec![("upload", 1)]));
}
