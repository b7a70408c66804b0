//! What is dropped before its end: it finds its request in its own drop; and a panic that somebody above has caught is not
//! forgotten, though nothing unwinds any more then, and no scope of the handler's has seen it.

use bytes::Bytes;
use ebbtide::http::{ScopeBody, ScopeLayer, wrap, wrap_body};
use ebbtide::{Outcome, Scope, Scopes};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tower::{Layer, Service, service_fn};

/// A body whose polls panic.
struct Panics;

impl Body for Panics {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("in the body")
    }
}

/// Where the outcome of the current request will stand.
fn outcome_of(scope: &Scope) -> Arc<Mutex<Option<Outcome>>> {
    let told = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&told);
    scope.on_end(move |ending| *tell.lock().unwrap() = Some(ending.outcome()));
    told
}

/// Catches the panic of a poll.
fn unwinds<T: ?Sized, R>(polled: &mut Pin<Box<T>>, poll: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<R>) {
    let mut context = Context::from_waker(Waker::noop());
    let caught = catch_unwind(AssertUnwindSafe(|| poll(polled.as_mut(), &mut context).is_ready()));
    assert!(caught.is_err());
    assert!(Scope::current().is_none(), "what was current before is so again");
}

#[test]
fn a_request_whose_handler_panicked_has_panicked_when_its_future_is_dropped_later() {
    let (scopes, mut told) = (Scopes::new(), None);
    let handler = |_: Request<()>| {
        told = Scope::current().as_ref().map(outcome_of);
        async {
            if told_nothing() { Ok::<_, Infallible>(Response::new(String::new())) } else { panic!("in the handler") }
        }
    };
    let mut future = Box::pin(wrap(&scopes, Request::new(()), handler));
    unwinds(&mut future, Future::poll);
    let told = told.expect("wrapped");
    assert_eq!(*told.lock().unwrap(), None);
    drop(future);
    assert_eq!((*told.lock().unwrap(), scopes.stats().poisoned), (Some(Outcome::Panicked), 1));
}

/// False; the compiler does not know.
fn told_nothing() -> bool {
    std::hint::black_box(false)
}

#[test]
fn a_request_whose_body_panicked_has_panicked_when_the_body_is_dropped_later() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let told = outcome_of(&request.scope());
    let mut body: Pin<Box<ScopeBody<Panics>>> = Box::pin(wrap_body(Panics, request));
    unwinds(&mut body, Body::poll_frame);
    assert_eq!(*told.lock().unwrap(), None);
    drop(body);
    assert_eq!((*told.lock().unwrap(), scopes.stats().poisoned), (Some(Outcome::Panicked), 1));
}

/// Notes in its drop whether there is a current request.
struct Looks(Arc<Mutex<Vec<bool>>>);

impl Drop for Looks {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(Scope::current().is_some());
    }
}

impl Body for Looks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"more")))))
    }
}

#[test]
fn a_future_and_a_body_that_are_given_up_find_their_request_in_their_drops() {
    let (scopes, seen) = (Scopes::new(), Arc::new(Mutex::new(Vec::new())));
    let looks = Looks(Arc::clone(&seen));
    let handler = |_: Request<()>| async move {
        let _looks = looks;
        std::future::pending::<Result<Response<String>, Infallible>>().await
    };
    let mut context = Context::from_waker(Waker::noop());
    let mut future = Box::pin(wrap(&scopes, Request::new(()), handler));
    assert!(future.as_mut().poll(&mut context).is_pending());
    drop(future);
    assert_eq!(*seen.lock().unwrap(), [true]);

    let mut body = Box::pin(wrap_body(Looks(Arc::clone(&seen)), scopes.begin()));
    assert!(body.as_mut().poll_frame(&mut context).is_ready());
    drop(body);
    assert_eq!((&**seen.lock().unwrap(), scopes.stats().open()), (&[true, true][..], 0));
}

/// Answers at once, and lets go of nothing by itself.
struct Answers {
    _looks: Looks,
}

impl Future for Answers {
    type Output = Result<Response<String>, Infallible>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(Response::new("answer".to_owned())))
    }
}

#[test]
fn the_inner_future_goes_with_the_answer_and_finds_its_request_in_its_drop() {
    let (scopes, seen) = (Scopes::new(), Arc::new(Mutex::new(Vec::new())));
    let looks = Looks(Arc::clone(&seen));
    let mut future = Box::pin(wrap(&scopes, Request::new(()), |_: Request<()>| Answers { _looks: looks }));
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it answers at once");
    };
    assert_eq!((&**seen.lock().unwrap(), scopes.stats().open()), (&[true][..], 1));
    drop((future, response));
    assert_eq!(scopes.stats().open(), 0);
}

/// Ends or fails at its first poll, and may not be polled again.
struct Ends {
    end: Option<Result<Frame<Bytes>, &'static str>>,
    is_polled: bool,
    _looks: Looks,
}

impl Body for Ends {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        assert!(!std::mem::replace(&mut self.is_polled, true), "polled past its end");
        Poll::Ready(self.end.take())
    }

    fn is_end_stream(&self) -> bool {
        self.is_polled
    }
}

#[test]
fn a_body_at_its_end_goes_inside_of_its_request_and_is_polled_no_more() {
    let mut context = Context::from_waker(Waker::noop());
    for end in [None, Some(Err("no more")), Some(Ok(Frame::data(Bytes::from_static(b"last"))))] {
        let (scopes, seen) = (Scopes::new(), Arc::new(Mutex::new(Vec::new())));
        let is_last_frame = matches!(end, Some(Ok(_)));
        let ends = Ends { end, is_polled: false, _looks: Looks(Arc::clone(&seen)) };
        let mut body = Box::pin(wrap_body(ends, scopes.begin()));
        assert!(body.as_mut().poll_frame(&mut context).is_ready());
        assert_eq!(*seen.lock().unwrap(), [true]);
        // A last frame is still to be sent.
        assert_eq!(scopes.stats().open(), u64::from(is_last_frame));
        assert!(body.is_end_stream());
        assert!(matches!(body.as_mut().poll_frame(&mut context), Poll::Ready(None)));
        assert_eq!(scopes.stats().open(), 0);
    }
}

#[test]
fn a_body_that_no_server_sends_is_not_given_up_when_it_is_dropped_unread() {
    for (method, status, outcome) in [
        ("GET", 101, Outcome::Finished),
        ("GET", 204, Outcome::Finished),
        ("GET", 304, Outcome::Finished),
        ("HEAD", 200, Outcome::Finished),
        ("GET", 200, Outcome::Aborted),
    ] {
        let (scopes, mut told) = (Scopes::new(), None);
        let handler = |_: Request<()>| {
            told = Scope::current().as_ref().map(outcome_of);
            let response = Response::builder().status(status).body("unread".to_owned()).expect("a response");
            std::future::ready(Ok::<_, Infallible>(response))
        };
        let request = Request::builder().method(method).body(()).expect("a request");
        let mut future = Box::pin(wrap(&scopes, request, handler));
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        assert_eq!(*told.expect("wrapped").lock().unwrap(), Some(outcome), "{method}, {status}");
    }
}

/// Knows how much data is left, and does not say whether trailers are.
struct Counted(Vec<Frame<Bytes>>);

impl Body for Counted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop().map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum())
    }
}

#[test]
fn after_the_last_data_a_body_may_be_dropped_or_asked_for_its_trailers() {
    let mut context = Context::from_waker(Waker::noop());
    for asks in [false, true] {
        let scopes = Scopes::new();
        let request = scopes.begin();
        let told = outcome_of(&request.scope());
        let frames = vec![Frame::trailers(HeaderMap::new()), Frame::data(Bytes::from_static(b"all"))];
        let mut body = Box::pin(wrap_body(Counted(frames), request));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert!(body.as_mut().poll_frame(&mut context).is_ready());
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(0), false));
        if asks {
            let frame = body.as_mut().poll_frame(&mut context);
            assert!(matches!(frame, Poll::Ready(Some(Ok(frame))) if frame.is_trailers()));
        }
        drop(body);
        assert_eq!(*told.lock().unwrap(), Some(Outcome::Finished), "trailers asked for: {asks}");
    }
}

#[test]
fn a_body_that_is_dropped_unread_is_given_up() {
    let scopes = Scopes::new();
    let request = scopes.begin();
    let told = outcome_of(&request.scope());
    drop(wrap_body("unread".to_owned(), request));
    assert_eq!(*told.lock().unwrap(), Some(Outcome::Aborted));
}

#[test]
fn a_layer_within_another_one_begins_a_request_of_its_own() {
    let (outer, inner) = (Scopes::new(), Scopes::new());
    let open = [outer.clone(), inner.clone()];
    let answer = service_fn(move |_: Request<()>| {
        let open = open.iter().map(|scopes| scopes.stats().open().to_string()).collect::<String>();
        std::future::ready(Ok::<_, Infallible>(Response::new(open)))
    });
    let mut layers = ScopeLayer::with(outer).layer(ScopeLayer::with(inner).layer(answer));
    let mut future = Box::pin(layers.call(Request::new(())));
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it answers at once");
    };
    let mut body = Box::pin(response.into_body());
    let frame = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(frame, Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(|open| open == "11")));
}
