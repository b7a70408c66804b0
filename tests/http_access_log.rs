//! The access log: one event a request, whatever becomes of it.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, http};
use ebbtide::http::{AccessLog, RequestId, ScopeLayer};
use ebbtide::{Chain, Interceptor, Scope};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::ServiceExt;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

type Fields = BTreeMap<&'static str, String>;

/// Keeps the fields of every event of the access log.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Fields>>>);

impl Events {
    fn take(&self) -> Vec<Fields> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// The one event, without what differs each time.
    fn one(&self) -> Fields {
        let mut events = self.take();
        assert_eq!(events.len(), 1, "{events:?}");
        let mut fields = events.remove(0);
        assert!(fields.remove("micros").unwrap().parse::<u64>().is_ok());
        fields
    }
}

struct Visitor(Fields);

impl Visit for Visitor {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "ebbtide::access"
    }
    fn event(&self, event: &Event<'_>) {
        let mut visitor = Visitor(Fields::new());
        event.record(&mut visitor);
        self.0.lock().unwrap().push(visitor.0);
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Refuses `/refused`, inside of the log.
struct Refuse;

impl Interceptor<Request, Response> for Refuse {
    type State = ();
    fn before(&self, (): &mut (), _: &Scope, request: &mut Request) -> ControlFlow<Response> {
        if request.uri().path() == "/refused" { Break(StatusCode::FORBIDDEN.into_response()) } else { Continue(()) }
    }
}

fn app(log: AccessLog) -> Router {
    let id = |scope: Scope| async move { scope.local::<RequestId>().unwrap().as_str().to_owned() };
    Router::new()
        .route("/id", get(id))
        .route("/pending", get(std::future::pending::<()>))
        .route("/panic", get(|| async { assert!(Scope::current().is_none(), "in the handler") }))
        .layer(ScopeLayer::new().chain(Chain::new().with(log).with(Refuse)))
}

async fn call(app: &Router, path: &str, offered: Option<&str>) -> (http::HeaderMap, String) {
    let mut request = Request::get(path);
    if let Some(offered) = offered {
        request = request.header("x-request-id", offered);
    }
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    (head.headers, String::from_utf8(to_bytes(body, 1000).await.unwrap().to_vec()).unwrap())
}

fn fields<const N: usize>(fields: [(&'static str, &str); N]) -> Fields {
    fields.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

#[tokio::test]
async fn one_event_tells_of_a_request_and_its_id_is_everywhere_the_same() {
    let events = Events::default();
    let _default = tracing::subscriber::set_default(events.clone());
    let app = app(AccessLog::new());
    let mut ids = HashSet::new();
    for _ in 0..3 {
        let (headers, id) = call(&app, "/id?secret=1", Some("offered")).await;
        assert_eq!((headers["x-request-id"].to_str().unwrap(), id.len()), (&*id, 16));
        let expected = [("id", &*id), ("method", "GET"), ("path", "/id"), ("status", "200"), ("outcome", "finished")];
        assert_eq!(events.one(), fields(expected).into_iter().chain(fields([("message", "request")])).collect());
        assert!(ids.insert(id), "ids differ");
    }
}

#[tokio::test]
async fn an_offered_id_is_taken_only_if_asked_for_and_sane() {
    let events = Events::default();
    let _default = tracing::subscriber::set_default(events.clone());
    let app = app(AccessLog::new().take_ids());
    let longest = "x".repeat(64);
    for sane in ["from-the-proxy", "7", &longest] {
        assert_eq!(call(&app, "/id", Some(sane)).await.1, sane);
    }
    for insane in ["", "with blank", "tab\there", &"x".repeat(65)] {
        assert_eq!(call(&app, "/id", Some(insane)).await.1.len(), 16, "{insane}");
    }
    assert_eq!(call(&app, "/id", None).await.1.len(), 16);
    assert_eq!(events.take().len(), 8);
}

#[tokio::test]
async fn refused_aborted_and_panicked_requests_are_told_of() {
    let events = Events::default();
    let _default = tracing::subscriber::set_default(events.clone());
    let app = app(AccessLog::new());
    call(&app, "/refused", None).await;
    let event = events.one();
    assert_eq!((&*event["status"], &*event["outcome"]), ("403", "finished"));
    let request = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let pending = app.clone().oneshot(request("/pending"));
    assert!(tokio::time::timeout(Duration::from_millis(5), pending).await.is_err());
    let event = events.one();
    assert_eq!((event.get("status"), &*event["outcome"]), (None, "aborted"));
    // On this thread, whose subscriber it is.
    let local = tokio::task::LocalSet::new();
    let panicked = local.run_until(async { tokio::task::spawn_local(app.clone().oneshot(request("/panic"))).await });
    assert!(panicked.await.is_err());
    let event = events.one();
    assert_eq!((event.get("status"), &*event["outcome"], &*event["path"]), (None, "panicked", "/panic"));
}
