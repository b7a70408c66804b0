//! Each step of a request's life, cut short: its future dropped after every number of polls, and a panic in every user hook,
//! with the panic caught outside, inside or nowhere. Each time nothing is outstanding, and the next request is fine.

use bytes::Bytes;
use ebbtide::http::{ScopeBody, ScopeLayer};
use ebbtide::{Chain, Ending, Interceptor, Outcome, Pool, Reset, Scope, ScopeHandle, Scopes, Verdict};
use http::{Request, Response};
use http_body::{Body, Frame};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use tower::{Layer, Service, service_fn};

thread_local! {
    /// Hooks that still pass before one panics; none does at zero.
    static FUSE: Cell<u32> = const { Cell::new(0) };
    /// Hooks that have been called.
    static STEPS: Cell<u32> = const { Cell::new(0) };
}

/// Stands in every hook of the user's: the one at which the fuse burns down panics.
fn step() {
    STEPS.set(STEPS.get() + 1);
    let left = FUSE.get();
    FUSE.set(left.saturating_sub(1));
    assert!(left != 1, "the fuse burns down");
}

async fn pause() {
    let mut polled = false;
    poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// A value whose making, reset and drop are hooks, and which is empty when a request gets it.
#[derive(Debug)]
struct Value(Vec<u8>);

impl Default for Value {
    fn default() -> Self {
        step();
        Self(Vec::new())
    }
}

impl Value {
    fn use_it(&mut self) {
        assert!(self.0.is_empty(), "of an earlier request");
        self.0.push(1);
    }
}

impl Reset for Value {
    fn reset(&mut self) -> Verdict {
        step();
        self.0.reset()
    }
}

/// A hook in a drop.
struct Drops(#[allow(dead_code)] Arc<()>);

impl Drop for Drops {
    fn drop(&mut self) {
        step();
    }
}

/// A hook in a waker.
struct Wakes(#[allow(dead_code)] Arc<()>);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        step();
    }
}

/// A hook in each place of an interceptor.
struct Hooked;

impl Interceptor<Request<()>, Response<Pieces>> for Hooked {
    type State = Value;

    fn before(&self, state: &mut Value, _: &Scope, _: &mut Request<()>) -> ControlFlow<Response<Pieces>> {
        state.use_it();
        step();
        ControlFlow::Continue(())
    }

    fn after(&self, _: &mut Value, _: &Scope, _: &mut Response<Pieces>) {
        step();
    }

    fn ended(&self, _: &mut Value, _: &Ending) {
        step();
    }
}

/// A body of two pieces.
struct Pieces(u32);

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        step();
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(None) };
        self.0 = left;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"piece")))))
    }
}

#[derive(Clone)]
struct World {
    scopes: Scopes,
    pool: Pool<Value>,
    /// Held by each hook, so that one that is neither called nor dropped is found.
    alive: Arc<()>,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
}

impl World {
    fn new() -> Self {
        let (alive, outcomes) = (Arc::default(), Arc::default());
        Self { scopes: Scopes::new(), pool: Pool::new(Value::default), alive, outcomes }
    }

    /// Everything that a request may take, with pauses in between.
    async fn handler(self) -> Response<Pieces> {
        let scope = Scope::current().expect("below the layer").tag("handler");
        let outcomes = Arc::clone(&self.outcomes);
        scope.on_end(move |ending| outcomes.lock().unwrap().push(ending.outcome()));
        pause().await;
        scope.lease(&self.pool).use_it();
        pause().await;
        let mut arena = scope.arena();
        let text = arena.alloc_str("text");
        arena.alloc_with_drop(Drops(Arc::clone(&self.alive)));
        pause().await;
        scope.local::<Value>().unwrap().use_it();
        pause().await;
        let hook = || {
            let alive = Arc::clone(&self.alive);
            move |_: &Ending| {
                let _alive = &alive;
                step();
            }
        };
        scope.on_end(hook());
        let (early, never) = (scope.on_end(hook()), scope.on_end(hook()));
        pause().await;
        early.run_now();
        never.cancel();
        let drops = Drops(Arc::clone(&self.alive));
        let boxed = scope.boxed(async move {
            let _drops = drops;
            step();
            pause().await;
            step();
        });
        boxed.erased().await;
        let _ = scope.handle().run_until_ended(pause()).await;
        step();
        assert_eq!(scope.detach(|_| text.to_owned()), "text");
        let waits = self.wait(scope.handle());
        pause().await;
        drop(waits);
        Response::new(Pieces(2))
    }

    /// Waits for the end with a waker that is a hook.
    fn wait(&self, handle: ScopeHandle) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let waker = Waker::from(Arc::new(Wakes(Arc::clone(&self.alive))));
        let mut ended = Box::pin(handle.ended());
        assert!(ended.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        ended
    }

    /// Nothing is out, and each hook was called or dropped.
    fn is_at_rest(&self, what: &str) {
        let stats = self.scopes.stats();
        assert_eq!((stats.open(), stats.late), (0, 0), "{what}: requests");
        assert_eq!(self.pool.stats().outstanding(), 0, "{what}: leases");
        assert!(self.scopes.tags().is_empty(), "{what}: tags");
        assert_eq!(Arc::strong_count(&self.alive), 1, "{what}: hooks");
    }

    fn take_outcomes(&self) -> Vec<Outcome> {
        std::mem::take(&mut *self.outcomes.lock().unwrap())
    }
}

/// Where a panic is caught.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Caught {
    /// Around each poll; the future is dropped afterwards.
    Outside,
    /// Around the handler, inside of the layer, as well.
    Inside,
    /// Above all of it: the panic drops the future.
    Nowhere,
}

/// A request that has been served to its end, or what is left of it after some polls.
enum Served {
    Through,
    #[allow(dead_code)] // Kept for its drop.
    CutShort(Box<dyn std::any::Any>),
}

/// Runs a request for at most `polls` polls of future and body.
fn serve(world: &World, caught: Caught, polls: u32) -> Served {
    let inner = {
        let world = world.clone();
        service_fn(move |_: Request<()>| {
            let mut handler = Box::pin(world.clone().handler());
            poll_fn(move |context| {
                if caught != Caught::Inside {
                    return handler.as_mut().poll(context).map(Ok::<_, std::convert::Infallible>);
                }
                catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context)))
                    .unwrap_or_else(|_| Poll::Ready(Response::new(Pieces(0))))
                    .map(Ok)
            })
        })
    };
    let mut service = ScopeLayer::with(world.scopes.clone()).chain(Chain::new().with(Hooked).with(Hooked)).layer(inner);
    let mut left = polls;
    let mut response = Box::pin(service.call(Request::new(())));
    let mut context = Context::from_waker(Waker::noop());
    let response = loop {
        let Some(next) = left.checked_sub(1) else { return Served::CutShort(Box::new(response)) };
        left = next;
        let polled = match caught {
            Caught::Nowhere => response.as_mut().poll(&mut context),
            _ => match catch_unwind(AssertUnwindSafe(|| response.as_mut().poll(&mut context))) {
                Ok(polled) => polled,
                Err(_) => return Served::CutShort(Box::new(response)),
            },
        };
        if let Poll::Ready(Ok(response)) = polled {
            break response;
        }
    };
    // The handler is through; so is its future, which is dropped before the body is sent.
    let mut body: Pin<Box<ScopeBody<Pieces>>> = Box::pin(response.into_body());
    loop {
        let Some(next) = left.checked_sub(1) else { return Served::CutShort(Box::new(body)) };
        left = next;
        let polled = match caught {
            Caught::Nowhere => body.as_mut().poll_frame(&mut context),
            _ => match catch_unwind(AssertUnwindSafe(|| body.as_mut().poll_frame(&mut context))) {
                Ok(polled) => polled,
                Err(_) => return Served::CutShort(Box::new(body)),
            },
        };
        if let Poll::Ready(None) = polled {
            return Served::Through;
        }
    }
}

#[test]
fn a_request_is_cancelled_after_every_number_of_polls() {
    let world = World::new();
    for polls in 0.. {
        let served = serve(&world, Caught::Nowhere, polls);
        let through = matches!(served, Served::Through);
        drop(served);
        world.is_at_rest(&format!("after {polls} polls"));
        let outcome = if through { Outcome::Finished } else { Outcome::Aborted };
        assert!(world.take_outcomes().iter().all(|told| *told == outcome), "after {polls} polls");
        let stats = world.scopes.stats();
        assert_eq!((stats.poisoned, stats.hook_panics, stats.idle), (0, 0, 1), "after {polls} polls");
        if through {
            assert!(polls > 10, "only {polls} polls: nothing was cut short");
            return;
        }
    }
}

#[test]
fn a_bare_future_is_cancelled_after_every_number_of_polls() {
    let world = World::new();
    for polls in 0.. {
        let request = world.scopes.begin();
        let mut handle = Some(request.handle());
        let mut through = false;
        {
            let mut future = pin!(world.clone().handler());
            for _ in 0..polls {
                let mut context = Context::from_waker(Waker::noop());
                through |=
                    ebbtide::request::with_current(&mut handle, || future.as_mut().poll(&mut context).is_ready());
            }
        }
        drop(request);
        world.is_at_rest(&format!("after {polls} polls"));
        if through {
            assert!(polls > 8, "only {polls} polls: nothing was cut short");
            return;
        }
    }
}

/// Lets the hook of each number panic, until a request comes through without.
fn panic_in_every_hook(caught: Caught) {
    for fuse in 1.. {
        // Fresh, so that factories are among the hooks.
        let world = World::new();
        FUSE.set(fuse);
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let waits = world.scopes.begin();
            let wait = world.wait(waits.handle());
            drop(waits);
            drop(wait);
            drop(serve(&world, caught, u32::MAX));
        }));
        let burnt = FUSE.replace(0) == 0;
        let what = format!("{caught:?}, hook {fuse}");
        world.is_at_rest(&what);
        assert!(world.take_outcomes().len() <= 1, "{what}: told once");

        // The next request is served, by whatever was kept.
        assert!(matches!(serve(&world, caught, u32::MAX), Served::Through), "{what}: the next request");
        world.is_at_rest(&format!("{what}, the next request"));
        assert_eq!(world.take_outcomes(), [Outcome::Finished], "{what}: the next request");
        if !burnt {
            assert!(fuse > 20, "only {fuse} hooks");
            return;
        }
    }
}

#[test]
fn a_panic_in_every_hook_caught_outside() {
    panic_in_every_hook(Caught::Outside);
}

#[test]
fn a_panic_in_every_hook_caught_inside() {
    panic_in_every_hook(Caught::Inside);
}

#[test]
fn a_panic_in_every_hook_caught_nowhere() {
    panic_in_every_hook(Caught::Nowhere);
}
