//! One interceptor as a tower layer, as its docs promise it.

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, body};
use ebbtide::http::{InterceptorLayer, ScopeLayer};
use ebbtide::{Ending, Interceptor, Scope, Scopes};
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::{Arc, Mutex};
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

/// Notes what it sees, and leaves its name with the request.
struct Noted(&'static str, Log);

impl Interceptor<Request, Response> for Noted {
    type State = Vec<u8>;

    fn before(&self, state: &mut Vec<u8>, scope: &Scope, request: &mut Request) -> ControlFlow<Response> {
        assert!(state.is_empty(), "a state of an earlier request");
        state.push(1);
        let mut names = scope.local::<Vec<&'static str>>().unwrap();
        names.push(self.0);
        self.1.push(format!("{} sees {names:?}", self.0));
        if request.uri().path() == "/refused" { Break(StatusCode::FORBIDDEN.into_response()) } else { Continue(()) }
    }

    fn after(&self, _: &mut Vec<u8>, _: &Scope, _: &mut Response) {
        self.1.push(format!("{} after", self.0));
    }

    fn ended(&self, _: &mut Vec<u8>, ending: &Ending) {
        self.1.push(format!("{} {:?}", self.0, ending.outcome()));
    }
}

async fn whole(app: &Router, path: &str, log: &Log) -> StatusCode {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    log.push("sent");
    body::to_bytes(response.into_body(), 100).await.unwrap();
    status
}

fn app(log: &Log) -> Router {
    let noted = |name| InterceptorLayer::new(Noted(name, log.clone()));
    let handler = || async { Scope::current().map_or("none", |_| "some") };
    let router = Router::new().route("/", get(handler)).route("/refused", get(handler));
    router.layer(noted("inner")).layer(noted("outer"))
}

#[tokio::test]
async fn below_a_scope_layer_it_works_in_that_request() {
    let (log, scopes) = (Log::default(), Scopes::new());
    let app = app(&log).layer(ScopeLayer::with(scopes.clone()));
    for round in 1..=2 {
        assert_eq!(whole(&app, "/", &log).await, 200);
        assert_eq!(
            log.take(),
            [
                r#"outer sees ["outer"]"#,
                r#"inner sees ["outer", "inner"]"#,
                "inner after",
                "outer after",
                "sent",
                "inner Finished",
                "outer Finished"
            ]
        );
        assert_eq!((scopes.stats().begun, scopes.stats().open()), (round, 0), "one request for all of them");
    }
}

#[tokio::test]
async fn without_one_the_outermost_begins_a_request() {
    let log = Log::default();
    assert_eq!(whole(&app(&log), "/", &log).await, 200);
    let seen = log.take();
    assert_eq!(seen[..2], [r#"outer sees ["outer"]"#, r#"inner sees ["outer", "inner"]"#]);
    assert_eq!(seen[4..], ["sent", "inner Finished", "outer Finished"]);
}

#[tokio::test]
async fn one_that_breaks_keeps_those_inside_of_it_out() {
    let log = Log::default();
    let app = app(&log).layer(ScopeLayer::new());
    assert_eq!(whole(&app, "/refused", &log).await, 403);
    assert_eq!(log.take(), [r#"outer sees ["outer"]"#, "sent", "outer Finished"]);
}

#[tokio::test]
async fn a_future_that_is_dropped_or_panics_ends_the_request_around_it_so() {
    let (log, scopes) = (Log::default(), Scopes::new());
    let noted = InterceptorLayer::new(Noted("a", log.clone()));
    let pending = get(std::future::pending::<()>);
    let panics = get(|| async { assert!(Scope::current().is_none(), "in the handler") });
    let app = Router::new().route("/pending", pending).route("/panic", panics);
    let app = app.layer(noted).layer(ScopeLayer::with(scopes.clone()));
    let call = |path: &str| app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());
    assert!(tokio::time::timeout(std::time::Duration::from_millis(10), call("/pending")).await.is_err());
    assert!(tokio::spawn(call("/panic")).await.unwrap_err().is_panic());
    assert_eq!(log.take(), [r#"a sees ["a"]"#, "a Aborted", r#"a sees ["a"]"#, "a Panicked"]);
    assert_eq!((scopes.stats().open(), scopes.stats().poisoned), (0, 1));
}
