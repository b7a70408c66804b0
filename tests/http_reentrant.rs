//! A request that is worked on within another one, or by code that panics, moves things or looks around where hardly anybody does:
//! each ends once, as what it was, and nothing of it reaches the next one.

use bytes::Bytes;
use ebbtide::http::{ScopeBody, ScopeLayer, wrap, wrap_body};
use ebbtide::{Outcome, RequestGuard, Scope, ScopeHandle, Scopes, request::with_current};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use tower::{Layer, Service, service_fn};

type Told = Arc<Mutex<Vec<Outcome>>>;
type Polled = Poll<Option<Result<Frame<Bytes>, &'static str>>>;

/// A request that tells its outcome when it ends, and has taken something.
fn begin(scopes: &Scopes, told: &Told) -> RequestGuard {
    let request = scopes.begin();
    tell(&request.scope(), told);
    request
}

fn tell(scope: &Scope, told: &Told) {
    let told = Arc::clone(told);
    scope.on_end(move |ending| told.lock().unwrap().push(ending.outcome()));
}

fn told(told: &Told) -> Vec<Outcome> {
    std::mem::take(&mut told.lock().unwrap())
}

/// The next request is clean, whatever the last one was.
fn next_is_clean(scopes: &Scopes, tells: &Told) {
    let poisoned = scopes.stats().poisoned;
    drop(begin(scopes, tells));
    assert_eq!((told(tells), scopes.stats().poisoned, scopes.stats().open()), (vec![Outcome::Finished], poisoned, 0));
}

fn data() -> Polled {
    Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data")))))
}

type Act = Box<dyn FnMut(&mut Context<'_>) -> Polled + Send>;

/// A body of what is to happen at each poll, and in its drop.
struct Script {
    polls: Vec<Act>,
    at_drop: Box<dyn FnMut() + Send>,
    /// Whether it says that its end is reached with the last of `polls`.
    says_end: bool,
    /// Where it was polled, which is where it is dropped.
    place: usize,
}

impl Script {
    fn new<const N: usize>(polls: [Act; N], says_end: bool, at_drop: impl FnMut() + Send + 'static) -> Self {
        Self { polls: polls.into_iter().rev().collect(), at_drop: Box::new(at_drop), says_end, place: 0 }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        self.place = &raw const *self as usize;
        self.polls.pop().map_or(Poll::Ready(None), |mut act| act(context))
    }

    fn is_end_stream(&self) -> bool {
        self.says_end && self.polls.is_empty()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        assert!(self.place == 0 || self.place == &raw const *self as usize, "a pinned body has moved");
        (self.at_drop)();
    }
}

fn act(act: impl FnMut(&mut Context<'_>) -> Polled + Send + 'static) -> Act {
    Box::new(act)
}

fn poll(body: &mut Pin<Box<ScopeBody<Script>>>) -> Option<Polled> {
    let polled = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()))));
    assert!(Scope::current().is_none(), "what was current before is so again");
    polled.ok()
}

#[test]
fn a_poll_that_unwound_and_is_polled_again_to_its_end_has_panicked() {
    let (scopes, tells) = (Scopes::new(), Told::default());
    for says_end in [false, true] {
        let polls = [act(|_| panic!("in a poll")), act(|_| data()), act(|_| data())];
        let mut body = Box::pin(wrap_body(Script::new(polls, says_end, || ()), begin(&scopes, &tells)));
        assert!(poll(&mut body).is_none());
        assert!(matches!(poll(&mut body), Some(Poll::Ready(Some(Ok(_))))));
        assert!(matches!(poll(&mut body), Some(Poll::Ready(Some(Ok(_))))));
        assert!(matches!(poll(&mut body), Some(Poll::Ready(None))));
        assert_eq!(told(&tells), [Outcome::Panicked]);
        assert!(matches!(poll(&mut body), Some(Poll::Ready(None))));
        drop(body);
        assert_eq!(told(&tells), []);
        next_is_clean(&scopes, &tells);
    }
}

/// What the polls say, whether the last of them is said to be the end, and whether the body is dropped by the poll.
type Way = (Vec<fn() -> Polled>, bool, bool);

#[test]
fn a_body_whose_drop_panics_is_dropped_once_wherever_it_goes() {
    let ways: [Way; 4] = [
        (vec![], false, true),
        (vec![|| Poll::Ready(Some(Err("failed")))], false, true),
        (vec![data], true, true),
        (vec![data], false, false),
    ];
    for (polls, says_end, in_poll) in ways {
        let (scopes, tells, drops) = (Scopes::new(), Told::default(), Arc::new(Mutex::new(0)));
        let counted = Arc::clone(&drops);
        let mut script = Script::new([], says_end, move || {
            assert!(Scope::current().is_some(), "it is dropped in its request");
            *counted.lock().unwrap() += 1;
            panic!("in the drop");
        });
        script.polls = polls.into_iter().map(|poll| act(move |_| poll())).collect();
        let mut body = Box::pin(wrap_body(script, begin(&scopes, &tells)));
        assert_eq!(poll(&mut body).is_none(), in_poll);
        assert_eq!((*drops.lock().unwrap(), told(&tells)), (i32::from(in_poll), vec![]));
        if in_poll {
            assert!(matches!(poll(&mut body), Some(Poll::Ready(None))));
            assert!(body.is_end_stream() && body.size_hint().exact() == Some(0));
        }
        assert_eq!(catch_unwind(AssertUnwindSafe(|| drop(body))).is_ok(), in_poll);
        assert_eq!((*drops.lock().unwrap(), told(&tells)), (1, vec![Outcome::Panicked]));
        next_is_clean(&scopes, &tells);
    }
}

#[test]
fn bodies_that_change_places_between_polls_end_their_own_requests() {
    let (scopes, first_tells, second_tells) = (Scopes::new(), Told::default(), Told::default());
    let of = |tells| wrap_body("text".to_owned(), begin(&scopes, tells));
    let (mut first, mut second) = (of(&first_tells), of(&second_tells));
    std::mem::swap(&mut first, &mut second);
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut first).poll_frame(&mut context).is_ready());
    std::mem::swap(&mut first, &mut second);
    assert!(matches!(Pin::new(&mut second).poll_frame(&mut context), Poll::Ready(None)));
    assert_eq!((told(&first_tells), told(&second_tells)), (vec![], vec![Outcome::Finished]));
    let given_up = std::mem::replace(&mut first, second);
    drop(given_up);
    assert_eq!((told(&first_tells), told(&second_tells)), (vec![Outcome::Aborted], vec![]));
    drop(std::mem::take(&mut first));
    drop(first);
    assert_eq!(scopes.stats().open(), 0);
}

#[test]
fn a_body_of_no_request_is_its_inner_one_and_hides_the_current_request() {
    #[derive(Default)]
    struct Looks(Option<bool>);
    impl Body for Looks {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            assert!(Scope::current().is_none());
            match self.0.replace(true) {
                None => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data"))))),
                Some(_) => Poll::Ready(None),
            }
        }
        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(if self.0.is_none() { 4 } else { 0 })
        }
    }
    let request = Scopes::new().begin();
    with_current(&mut Some(request.handle()), || {
        let mut body = Box::pin(ScopeBody::<Looks>::default());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!((body.is_end_stream(), body.size_hint().exact()), (false, Some(4)));
        assert!(matches!(body.as_mut().poll_frame(&mut context), Poll::Ready(Some(Ok(_)))));
        assert!(matches!(body.as_mut().poll_frame(&mut context), Poll::Ready(None)));
        assert!(Scope::current().is_some());
        drop(ScopeBody::<Looks>::default());
    });
}

/// A waker that ends what it is given when it is woken.
struct Ends(Mutex<Vec<Box<dyn Send>>>);

impl Wake for Ends {
    fn wake(self: Arc<Self>) {
        let ends = std::mem::take(&mut *self.0.lock().unwrap());
        drop(ends);
    }
}

#[test]
fn a_poll_may_end_other_requests_and_stays_in_its_own() {
    let (scopes, tells, others_tell) = (Scopes::new(), Told::default(), Told::default());
    let request = begin(&scopes, &tells);
    let stays: ScopeHandle = request.handle();
    let looks = {
        let stays = stays.clone();
        // Within the other body's drop its own request is current, and after it that of the poll.
        move || assert!(Scope::current().is_some() && stays.enter().is_ok())
    };
    let other = wrap_body(Script::new([act(|_| data())], false, looks), begin(&scopes, &others_tell));
    let waker = Waker::from(Arc::new(Ends(Mutex::new(vec![Box::new(other)]))));
    let polls = [act(|context: &mut Context<'_>| {
        let before = Scope::current().map(|scope| scope.arena().alloc_str("before").len());
        context.waker().wake_by_ref();
        assert_eq!(before, Scope::current().map(|scope| scope.arena().alloc_str("after.").len()));
        Poll::Pending
    })];
    let mut body = Box::pin(wrap_body(Script::new(polls, false, || ()), request));
    assert!(body.as_mut().poll_frame(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!((told(&others_tell), told(&tells)), (vec![Outcome::Aborted], vec![]));
    assert!(matches!(poll(&mut body), Some(Poll::Ready(None))));
    assert_eq!((told(&tells), stays.enter().is_err(), scopes.stats().open()), (vec![Outcome::Finished], true, 0));
}

#[test]
fn a_scope_that_a_dying_body_has_taken_ends_its_request_late() {
    let (scopes, tells, kept) = (Scopes::new(), Told::default(), Arc::new(Mutex::new(None)));
    for is_polled in [false, true] {
        let keeps = Arc::clone(&kept);
        let script = Script::new([], false, move || *keeps.lock().unwrap() = Scope::current());
        let mut body = Box::pin(wrap_body(script, begin(&scopes, &tells)));
        if is_polled {
            assert!(matches!(poll(&mut body), Some(Poll::Ready(None))));
        }
        drop(body);
        assert_eq!((told(&tells), scopes.stats().late_open, scopes.stats().open()), (vec![], 1, 1));
        drop(kept.lock().unwrap().take().expect("kept"));
        assert_eq!(told(&tells), [if is_polled { Outcome::Finished } else { Outcome::Aborted }]);
        assert_eq!((scopes.stats().late_open, scopes.stats().open()), (0, 0));
        next_is_clean(&scopes, &tells);
    }
}

#[test]
fn a_panic_through_nested_layers_poisons_each_request_and_no_other() {
    let (outer, inner, tells) = (Scopes::new(), Scopes::new(), Told::default());
    let tell_it = Arc::clone(&tells);
    let answer = service_fn(move |_: Request<()>| {
        tell(&Scope::current().expect("in the inner layer"), &tell_it);
        std::future::poll_fn(|_| -> Poll<Result<Response<String>, Infallible>> { panic!("in the handler") })
    });
    let mut layers = ScopeLayer::with(outer.clone()).layer(ScopeLayer::with(inner.clone()).layer(answer));
    let around = Scopes::new().begin();
    with_current(&mut Some(around.handle()), || {
        let mut future = Box::pin(layers.call(Request::new(())));
        let polled =
            catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()));
        assert!(polled.is_err() && told(&tells).is_empty() && Scope::current().is_some());
        drop(future);
    });
    assert_eq!(told(&tells), [Outcome::Panicked]);
    assert_eq!((outer.stats().poisoned, inner.stats().poisoned), (1, 1));
    next_is_clean(&outer, &tells);
    next_is_clean(&inner, &tells);
    drop(around);
}

#[test]
fn a_body_that_panics_when_it_is_asked_what_is_left_ends_its_request_once() {
    struct Unsure(Arc<Mutex<u32>>);
    impl Body for Unsure {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(None)
        }
        fn is_end_stream(&self) -> bool {
            panic!("who knows")
        }
    }
    impl Drop for Unsure {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let (scopes, tells, drops) = (Scopes::new(), Told::default(), Arc::new(Mutex::new(0)));
    let handler = |_: Request<()>| {
        tell(&Scope::current().expect("wrapped"), &tells);
        std::future::ready(Ok::<_, Infallible>(Response::new(Unsure(Arc::clone(&drops)))))
    };
    let mut future = Box::pin(wrap(&scopes, Request::new(()), handler));
    let polled =
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()));
    assert!(polled.is_err());
    assert_eq!((told(&tells), *drops.lock().unwrap()), (vec![Outcome::Panicked], 1));
    drop(future);
    assert_eq!((told(&tells), *drops.lock().unwrap()), (vec![], 1));
    next_is_clean(&scopes, &tells);
}

#[test]
fn a_body_that_is_dropped_while_another_panic_unwinds_poisons_its_own_request_only() {
    let (scopes, tells, others_tell) = (Scopes::new(), Told::default(), Told::default());
    let other = wrap_body("text".to_owned(), begin(&scopes, &others_tell));
    let mut body = Box::pin(wrap_body(Script::new([act(|_| data())], false, || ()), begin(&scopes, &tells)));
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _other = other;
        panic!("of somebody else");
    }));
    assert!(unwound.is_err());
    assert_eq!((told(&others_tell), told(&tells)), (vec![Outcome::Panicked], vec![]));
    assert!(poll(&mut body).is_some() && matches!(poll(&mut body), Some(Poll::Ready(None))));
    assert_eq!((told(&tells), scopes.stats().poisoned), (vec![Outcome::Finished], 1));
    next_is_clean(&scopes, &tells);
}

#[test]
fn an_outcome_of_a_request_that_took_nothing_does_not_reach_the_next_one_of_its_slot() {
    let (scopes, tells) = (Scopes::new(), Told::default());
    for round in 0..100 {
        let bare = || wrap_body("text".to_owned(), scopes.begin());
        match round % 4 {
            0 => drop(bare()),
            1 => drop(scopes.begin().scope()),
            2 => {
                let late = scopes.begin();
                let scope = late.scope();
                drop(late);
                drop(scope);
            }
            _ => {
                let mut body =
                    Box::pin(wrap_body(Script::new([act(|_| panic!("bare"))], false, || ()), scopes.begin()));
                assert!(poll(&mut body).is_none());
            }
        }
        next_is_clean(&scopes, &tells);
    }
    let stats = scopes.stats();
    assert_eq!((stats.begun, stats.ended, stats.poisoned, stats.late, stats.late_open), (200, 200, 25, 25, 0));
}
