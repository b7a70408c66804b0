//! Interceptors that wait, as their docs promise them.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ebbtide::http::{AroundLayer, ScopeLayer};
use ebbtide::intercept::{AroundLinks, AroundRunner, Next, Order};
use ebbtide::{Around, Chain, DynAroundChain, Ending, Interceptor, Scope, ScopeHandle, Scopes};
use std::convert::Infallible;
use std::future::{Future, pending};
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;
use tower::ServiceExt;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn push(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Waits before and after, and uses its state across both.
struct Waits(&'static str, Log);

impl<Req: Send, Res: Send> Around<Req, Res> for Waits {
    type State = Vec<u8>;

    fn name(&self) -> &'static str {
        self.0
    }

    async fn around<N: Next<Req, Res>>(
        &self,
        state: &mut Vec<u8>,
        scope: &Scope,
        request: Req,
        next: N,
    ) -> Result<Res, N::Error> {
        assert!(state.is_empty(), "a state of an earlier request");
        state.push(1);
        let mut arena = scope.arena();
        let noted = arena.alloc_str(self.0);
        self.1.push(format!("{noted} in"));
        yield_once().await;
        let response = next.run(request).await?;
        yield_once().await;
        self.1.push(format!("{noted} out {state:?}"));
        Ok(response)
    }

    fn ended(&self, state: &mut Vec<u8>, ending: &Ending) {
        self.1.push(format!("{} {:?} {state:?}", self.0, ending.outcome()));
    }
}

/// An ordinary interceptor, which stands in the same chain.
struct Plain(Log);

impl Interceptor<u32, u32> for Plain {
    type State = Vec<u8>;
    fn before(&self, _: &mut Vec<u8>, _: &Scope, request: &mut u32) -> ControlFlow<u32> {
        self.0.push("plain before");
        if *request == 0 { Break(99) } else { Continue(()) }
    }
    fn after(&self, _: &mut Vec<u8>, _: &Scope, response: &mut u32) {
        self.0.push("plain after");
        *response += 1;
    }
    fn ended(&self, _: &mut Vec<u8>, ending: &Ending) {
        self.0.push(format!("plain {:?}", ending.outcome()));
    }
}

/// Pending once, ready then.
async fn yield_once() {
    let mut is_first = true;
    std::future::poll_fn(|context| {
        if std::mem::take(&mut is_first) {
            context.waker().wake_by_ref();
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(())
    })
    .await;
}

type Three<L> = (Log, Scopes, AroundRunner<L, u32, u32>);

fn fixed() -> Three<impl AroundLinks<u32, u32>> {
    let log = Log::default();
    let (outer, inner) = (Waits("outer", log.clone()), Waits("inner", log.clone()));
    let chain = Chain::new().with_around(outer).with(Plain(log.clone())).with_around(inner);
    (log, Scopes::new(), chain.around_runner())
}

fn dynamic() -> Three<impl AroundLinks<u32, u32>> {
    let log = Log::default();
    let mut chain = DynAroundChain::default();
    chain.push_around(Waits("outer", log.clone())).push(Plain(log.clone())).push_around(Waits("inner", log.clone()));
    (log, Scopes::new(), chain.around_runner())
}

/// What holds for the static chain holds for the dynamic one.
macro_rules! on_each_chain {
    ($($test:ident)*) => {
        mod on_each_chain {
            $(mod $test {
                #[tokio::test]
                async fn fixed() {
                    crate::$test(crate::fixed()).await;
                }
                #[tokio::test]
                async fn dynamic() {
                    crate::$test(crate::dynamic()).await;
                }
            })*
        }
    };
}

on_each_chain! {
    onion_order_with_interceptors_of_both_kinds
    what_is_inside_of_one_that_answers_is_never_reached
    an_error_of_the_handler_passes_everybody
    dropped_at_any_poll_everybody_reached_hears_of_it_and_the_next_request_is_clean
    a_panic_in_the_handler_costs_the_states_and_nothing_else
}

async fn double(number: u32) -> Result<u32, Infallible> {
    yield_once().await;
    Ok(2 * number)
}

async fn onion_order_with_interceptors_of_both_kinds((log, scopes, runner): Three<impl AroundLinks<u32, u32>>) {
    for _ in 0..3 {
        let request = scopes.begin();
        // `Send`, whatever the chain.
        let answer = tokio::spawn(runner.run(request.scope(), 4, double)).await.unwrap();
        assert_eq!(answer, Ok(9));
        drop(request);
        assert_eq!(
            log.take(),
            [
                "outer in",
                "plain before",
                "inner in",
                "inner out [1]",
                "plain after",
                "outer out [1]",
                "inner Finished [1]",
                "plain Finished",
                "outer Finished [1]",
            ]
        );
    }
    assert_eq!(scopes.stats().open(), 0);
}

async fn what_is_inside_of_one_that_answers_is_never_reached((log, scopes, runner): Three<impl AroundLinks<u32, u32>>) {
    let request = scopes.begin();
    assert_eq!(runner.run(request.scope(), 0, double).await, Ok(99));
    drop(request);
    assert_eq!(log.take(), ["outer in", "plain before", "outer out [1]", "plain Finished", "outer Finished [1]"]);
}

async fn an_error_of_the_handler_passes_everybody((log, scopes, runner): Three<impl AroundLinks<u32, u32>>) {
    let request = scopes.begin();
    assert_eq!(runner.run(request.scope(), 4, |_| async { Err("no database") }).await, Err("no database"));
    drop(request);
    assert_eq!(log.take()[3..], ["inner Finished [1]", "plain Finished", "outer Finished [1]"]);
}

async fn dropped_at_any_poll_everybody_reached_hears_of_it_and_the_next_request_is_clean(
    (log, scopes, runner): Three<impl AroundLinks<u32, u32>>,
) {
    let mut context = Context::from_waker(Waker::noop());
    let mut is_done = false;
    for polls in 0..20 {
        let request = scopes.begin();
        let mut run: Pin<Box<dyn Future<Output = _>>> = Box::pin(runner.run(request.scope(), 4, double));
        for _ in 0..polls {
            is_done = run.as_mut().poll(&mut context).is_ready();
        }
        assert!(!is_done || polls > 4, "{polls}");
        drop(run);
        if !is_done {
            request.abort();
        }
        drop(request);
        let seen = log.take();
        for name in ["outer", "inner"] {
            let entered = seen.contains(&format!("{name} in"));
            let told = seen
                .iter()
                .filter(|entry| entry.starts_with(&format!("{name} A")) || entry.starts_with(&format!("{name} F")));
            assert_eq!(told.count(), usize::from(entered), "{polls} polls: {seen:?}");
        }
        assert_eq!(scopes.stats().open(), 0);
        if is_done {
            return;
        }
    }
    panic!("never done");
}

async fn a_panic_in_the_handler_costs_the_states_and_nothing_else(
    (log, scopes, runner): Three<impl AroundLinks<u32, u32>>,
) {
    let request = scopes.begin();
    let run = runner.run(request.scope(), 4, |number| async move {
        assert_eq!(number, 5, "in the handler");
        Ok::<_, Infallible>(number)
    });
    assert!(tokio::spawn(run).await.unwrap_err().is_panic());
    drop(request);
    assert_eq!(log.take()[3..], ["inner Panicked [1]", "plain Panicked", "outer Panicked [1]"]);
    let request = scopes.begin();
    assert_eq!(runner.run(request.scope(), 4, double).await, Ok(9));
}

struct Auth;
impl Around<u32, u32> for Auth {
    type State = ();
    async fn around<N: Next<u32, u32>>(&self, _: &mut (), _: &Scope, it: u32, next: N) -> Result<u32, N::Error> {
        next.run(it).await
    }
}

struct Quota;
impl Around<u32, u32> for Quota {
    type State = ();
    fn order(&self, order: &mut Order) {
        order.after::<Auth>();
    }
    async fn around<N: Next<u32, u32>>(&self, _: &mut (), _: &Scope, it: u32, next: N) -> Result<u32, N::Error> {
        next.run(it).await
    }
}

#[test]
fn the_order_is_checked_here_too() {
    assert!(Chain::new().with_around(Auth).with_around(Quota).try_around_runner().is_ok());
    let mut inverted = DynAroundChain::default();
    inverted.push_around(Quota).push_around(Auth);
    for error in [
        Chain::new().with_around(Quota).with_around(Auth).try_around_runner().map(drop).unwrap_err(),
        inverted.try_around_runner().map(drop).unwrap_err(),
    ] {
        assert!(
            error.to_string().ends_with("must stand after `intercept_around::Auth`, which stands inside of it"),
            "{error}"
        );
    }
}

/// Notes its name on both ways, and answers a request for it.
struct Noted(u32, Log);

impl Interceptor<u32, u32> for Noted {
    type State = ();
    fn before(&self, _: &mut (), _: &Scope, request: &mut u32) -> ControlFlow<u32> {
        self.1.push(format!("{} before", self.0));
        if *request == self.0 { Break(100) } else { Continue(()) }
    }
    fn after(&self, _: &mut (), _: &Scope, response: &mut u32) {
        self.1.push(format!("{} after", self.0));
        *response += 1;
    }
    fn ended(&self, _: &mut (), _: &Ending) {
        self.1.push(format!("{} ended", self.0));
    }
}

#[tokio::test]
async fn a_dynamic_chain_is_as_long_as_it_was_made_and_of_what_it_was_made_of() {
    let (log, scopes) = (Log::default(), Scopes::new());
    let request = scopes.begin();
    let empty = DynAroundChain::default().around_runner();
    assert_eq!(empty.run(request.scope(), 4, double).await, Ok(8));
    let mut chain = DynAroundChain::default();
    for number in [1, 2, 3] {
        chain.push(Noted(number, log.clone()));
    }
    let runner = chain.around_runner();
    drop(request);
    for (sent, answer, told) in [
        (
            4,
            11,
            &["1 before", "2 before", "3 before", "3 after", "2 after", "1 after", "3 ended", "2 ended", "1 ended"][..],
        ),
        (2, 101, &["1 before", "2 before", "1 after", "2 ended", "1 ended"]),
        (1, 100, &["1 before", "1 ended"]),
    ] {
        let request = scopes.begin();
        assert_eq!(runner.run(request.scope(), sent, double).await, Ok(answer));
        drop(request);
        assert_eq!(log.take(), told, "{sent}");
    }
}

#[tokio::test]
async fn static_interceptors_stand_inside_of_dynamic_ones() {
    let (log, scopes) = (Log::default(), Scopes::new());
    let mut chain = DynAroundChain::default();
    chain.push(Noted(1, log.clone())).push_around(Auth);
    let runner = chain.with(Noted(2, log.clone())).with_around(Quota).around_runner();
    let request = scopes.begin();
    assert_eq!(runner.run(request.scope(), 4, double).await, Ok(10));
    assert_eq!(log.take(), ["1 before", "2 before", "2 after", "1 after"]);
}

/// Gives up what takes too long.
struct Patience(Log);

impl Around<Request, Response> for Patience {
    type State = ();

    async fn around<N: Next<Request, Response>>(
        &self,
        _: &mut Self::State,
        scope: &Scope,
        request: Request,
        next: N,
    ) -> Result<Response, N::Error> {
        assert!(Scope::current().is_some(), "polled inside of its request");
        scope.local::<Vec<u8>>().unwrap().push(1);
        match tokio::time::timeout(Duration::from_millis(10), next.run(request)).await {
            Ok(response) => response,
            Err(_) => Ok(StatusCode::GATEWAY_TIMEOUT.into_response()),
        }
    }

    fn ended(&self, _: &mut Self::State, ending: &Ending) {
        self.0.push(format!("{:?}", ending.outcome()));
    }
}

async fn call(app: &Router, path: &str) -> (StatusCode, Vec<u8>) {
    let response = app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    (response.status(), to_bytes(response.into_body(), 100).await.unwrap().to_vec())
}

#[tokio::test]
async fn as_a_layer_it_gives_a_handler_up_and_its_request_finishes() {
    let (log, scopes) = (Log::default(), Scopes::new());
    let handles = Arc::new(Mutex::new(Vec::<ScopeHandle>::new()));
    let kept = Arc::clone(&handles);
    let slow = move |scope: Scope| async move {
        kept.lock().unwrap().push(scope.handle());
        drop(scope);
        pending::<()>().await;
    };
    let quick = |scope: Scope| async move { scope.local::<Vec<u8>>().unwrap().len().to_string() };
    let router = Router::new().route("/slow", get(slow)).route("/quick", get(quick));
    let outer =
        router.clone().layer(ScopeLayer::with(scopes.clone()).around(Chain::new().with_around(Patience(log.clone()))));
    let joined = router.layer(AroundLayer::new(Patience(log.clone()))).layer(ScopeLayer::with(scopes.clone()));
    for app in [outer, joined] {
        assert_eq!(call(&app, "/slow").await.0, 504);
        assert_eq!(call(&app, "/quick").await, (StatusCode::OK, b"1".to_vec()));
        assert_eq!(log.take(), ["Finished", "Finished"]);
        let ended = handles.lock().unwrap().pop().unwrap().enter().is_err();
        assert!(ended && scopes.stats().open() == 0);
    }
    assert_eq!(scopes.stats().begun, 4, "those that join begin none");
}

#[tokio::test]
async fn alone_it_begins_a_request_of_its_own() {
    let log = Log::default();
    let quick = || async { Scope::current().map_or("none", |_| "some") };
    let app = Router::new().route("/", get(quick)).layer(AroundLayer::new(Patience(log.clone())));
    assert_eq!(call(&app, "/").await, (StatusCode::OK, b"some".to_vec()));
    assert_eq!(log.take(), ["Finished"]);
}
