//! `PooledJson` and `PooledBody` beside axum's own `Json` and `Bytes`: the same requests, the same answers.

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest};
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use ebbtide::BufferPool;
use ebbtide::http::{BodyBudget, BodyRejection, JsonRejection, Limits, PooledBody, PooledJson, collect};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;
use tower::ServiceExt;
use tower_http::limit::RequestBodyLimitLayer;

#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
struct Point {
    x: i32,
    y: i32,
}

#[derive(Debug, Deserialize, Serialize)]
struct Shape {
    name: String,
    points: Vec<Point>,
    #[serde(default)]
    tags: BTreeMap<String, u8>,
}

const SHAPE: &str = r#"{"name":"triangle","points":[{"x":1,"y":2},{"x":3,"y":4},{"x":5,"y":6}]}"#;

/// The handlers of both, one path each, under the same layers.
fn routes() -> Router {
    Router::new()
        .route("/ours", post(|PooledJson(shape): PooledJson<Shape>| async { PooledJson(shape) }))
        .route("/axums", post(|Json(shape): Json<Shape>| async { Json(shape) }))
        .route("/ours/option", post(|shape: Option<PooledJson<Shape>>| async move { shape.is_some().to_string() }))
        .route("/axums/option", post(|shape: Option<Json<Shape>>| async move { shape.is_some().to_string() }))
        .route("/ours/bytes", post(|body: PooledBody| async { body.into_bytes() }))
        .route("/axums/bytes", post(|body: Bytes| async { body }))
}

#[derive(Debug, PartialEq)]
struct Answer {
    status: StatusCode,
    content_type: Option<String>,
    content_length: Option<String>,
    text: String,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (content_type, content_length) = (header(header::CONTENT_TYPE), header(header::CONTENT_LENGTH));
        let status = response.status();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        Self { status, content_type, content_length, text: String::from_utf8(text.to_vec()).unwrap() }
    }

    /// What is the same whoever says it: a refusal opens with a sentence of its own, and its length depends on that.
    fn shared(&self) -> (StatusCode, Option<&str>, &str) {
        let text = match self.text.split_once(": ") {
            _ if self.status.is_success() => &self.text,
            Some((_, detail)) => detail,
            None => "",
        };
        (self.status, self.content_type.as_deref(), text)
    }
}

/// Sends the same request to both and returns both answers, which agree; ours first.
async fn both(app: &Router, tail: &str, content_type: Option<&[u8]>, body: impl Fn() -> Body) -> [Answer; 2] {
    let mut answers = Vec::new();
    for whose in ["/ours", "/axums"] {
        let mut request = Request::post(format!("{whose}{tail}"));
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request = request.body(body()).unwrap();
        answers.push(Answer::of(app.clone().oneshot(request).await.unwrap()).await);
    }
    answers.try_into().unwrap()
}

#[tokio::test]
async fn a_content_type_is_json_where_axum_says_so() {
    let types: &[(&[u8], u16)] = &[
        (b"application/json", 200),
        (b"application/json; charset=utf-8", 200),
        (b"application/json;charset=UTF-8", 200),
        (b"application/json ; charset=utf-8", 415),
        (b"application/json; charset=\"utf-8\"", 200),
        (b"APPLICATION/JSON", 200),
        (b"Application/Json; Charset=Utf-8", 200),
        (b"application/vnd.api+json", 200),
        (b"application/vnd.api+JSON; v=1", 200),
        (b"application/problem+json", 200),
        (b"application/cloudevents+xml", 415),
        (b"application/x+y+json", 200),
        (b"application/json+xml", 200),
        (b"application/jsonp", 415),
        (b"application/x-json", 415),
        (b"text/json", 415),
        (b"text/plain", 415),
        (b"application", 415),
        (b"application/", 415),
        (b"json", 415),
        (b"*/*", 415),
        (b"", 415),
        (b"application/json\xff", 415),
        (b"application/json;", 200),
        (b"application/json; charset", 415),
        (b"application/json, text/plain", 415),
        (b"application/+json", 415),
        (b" application/json", 415),
        (b"application/json ", 415),
        (b"application/json; charset=", 200),
        (b"application/a b+json", 415),
        (b"application/json; a=b;", 200),
        (b"application/json; a=b; c=d", 200),
        (b"application/json; a=b c=d", 415),
        (b"application/json;a=\"b", 415),
        (b"application/json; a=\"b\"; c=d", 200),
        (b"application/json; a=\"b\" ;c=d", 200),
        (b"application/json; a=\"b;c\"", 200),
        (b"application/json; a=\"b\"c", 415),
        (b"application/json; a=; c=d", 415),
        (b"application/json; =d", 415),
        (b"application/json; a =d", 415),
        (b"application/json; a= d", 415),
        (b"application/json;;", 415),
        (b"application/json;   a=b", 200),
        (b"application/x+json+y", 415),
        (b"application/json+", 200),
        (b"application/x/json", 415),
        (b"application/json\t", 415),
    ];
    let mut wrong = Vec::new();
    for (content_type, status) in types {
        let [ours, axums] = both(&routes(), "", Some(content_type), || Body::from(SHAPE)).await;
        if ours.shared() != axums.shared() || ours.status != *status {
            wrong.push((content_type.escape_ascii().to_string(), ours.status, axums.status, *status));
        }
    }
    assert!(wrong.is_empty(), "type, ours, axum's, expected: {wrong:#?}");
    let [ours, axums] = both(&routes(), "", None, || Body::from(SHAPE)).await;
    assert_eq!((ours.shared(), ours.status.as_u16()), (axums.shared(), 415));
}

#[tokio::test]
async fn a_document_at_fault_is_refused_with_axums_words_and_path() {
    let deep = "[".repeat(200);
    let documents = [
        (SHAPE, 200, ""),
        (" \n{\"name\":\"\",\"points\":[]}\n ", 200, ""),
        ("", 400, "EOF while parsing a value at line 1 column 0"),
        ("   ", 400, "EOF while parsing a value at line 1 column 3"),
        (&SHAPE[..40], 400, "points[0].y: EOF while parsing a value at line 1 column 40"),
        ("{\n  \"name\": oops", 400, "name: expected value at line 2 column 11"),
        ("not json", 400, "expected ident at line 1 column 2"),
        ("{\"name\":\"a\",\"points\":[]} x", 400, "trailing characters at line 1 column 26"),
        ("{\"name\":\"a\",\"points\":[]}{}", 400, "trailing characters at line 1 column 25"),
        ("{\"name\":\"a\",\"points\":[],}", 400, "trailing comma"),
        ("{\"name\":\"\u{1}\",\"points\":[]}", 400, "name: control character"),
        (r#"{"name":"\ud800","points":[]}"#, 400, "name: unexpected end of hex escape"),
        ("{}", 422, "missing field `name` at line 1 column 2"),
        ("null", 422, "invalid type: null, expected struct Shape"),
        (r#"{"name":7,"points":[]}"#, 422, "name: invalid type: integer `7`, expected a string at line 1 column 9"),
        (r#"{"name":"a","points":[{"x":1,"y":2},{"x":"1"}]}"#, 422, "points[1].x: invalid type: string \"1\""),
        (r#"{"name":"a","points":[{"x":1,"y":2},{"x":1}]}"#, 422, "points[1]: missing field `y`"),
        (r#"{"name":"a","points":[{"x":1,"y":9999999999}]}"#, 422, "points[0].y: invalid value: integer `9999999999`"),
        (r#"{"name":"a","points":[],"tags":{"b":1,"c":-1}}"#, 422, "tags.c: invalid value: integer `-1`"),
        (r#"{"name":"a","name":"b","points":[]}"#, 422, "duplicate field `name` at line 1 column 18"),
        (&format!("{{\"name\":\"a\",\"points\":[],\"other\":{deep}"), 400, "other: EOF while parsing a list"),
    ];
    for (document, status, says) in documents {
        let [ours, axums] = both(&routes(), "", Some(b"application/json"), || Body::from(document.to_owned())).await;
        assert_eq!(ours.shared(), axums.shared(), "for {document:?}");
        assert_eq!(ours.status, status, "for {document:?}: {}", ours.text);
        assert!(ours.shared().2.contains(says), "for {document:?}: {}", ours.text);
        if status == 200 {
            assert_eq!(ours, axums, "to the letter");
        }
    }
    // What is not text at all.
    let [ours, axums] = both(&routes(), "", Some(b"application/json"), || Body::from(&b"{\"name\":\"\xff\""[..])).await;
    assert_eq!((ours.shared(), ours.status.as_u16()), (axums.shared(), 400));
}

#[tokio::test]
async fn an_option_is_none_without_a_content_type_only() {
    for (content_type, body, status, says) in [
        (Some(&b"application/json"[..]), SHAPE, 200, "true"),
        (Some(b"application/json"), "", 400, ""),
        (Some(b"application/json"), "{}", 422, ""),
        (Some(b"text/plain"), SHAPE, 415, ""),
        (Some(b""), SHAPE, 415, ""),
        (None, SHAPE, 200, "false"),
        (None, "", 200, "false"),
    ] {
        let [ours, axums] = both(&routes(), "/option", content_type, || Body::from(body)).await;
        assert_eq!(ours.shared(), axums.shared(), "{content_type:?} {body:?}");
        assert_eq!(ours.status, status, "{content_type:?} {body:?}");
        assert!(says.is_empty() || ours.text == says, "{content_type:?} {body:?}: {}", ours.text);
    }
}

/// A body of `pieces` pieces that says nothing of its length, and may break off.
fn streamed(pieces: usize, piece: &'static str, breaks_off: bool) -> Body {
    let whole = (0..pieces).map(move |_| Ok(piece));
    let end = breaks_off.then(|| Err(std::io::Error::other("the line is dead")));
    Body::from_stream(futures_util::stream::iter(whole.chain(end)))
}

#[tokio::test]
async fn limits_of_every_layer_are_kept_as_axum_keeps_them() {
    const TEN: &str = "0123456789";
    let default = routes();
    let hundred = routes().layer(DefaultBodyLimit::max(100));
    let none = routes().layer(DefaultBodyLimit::disable());
    let foreign = routes().layer(DefaultBodyLimit::disable()).layer(RequestBodyLimitLayer::new(100));
    let both_layers = routes().layer(DefaultBodyLimit::max(50)).layer(RequestBodyLimitLayer::new(100));
    let cases = [
        ("default", &default, 209_715, 200),
        ("default", &default, 209_716, 413),
        ("hundred", &hundred, 10, 200),
        ("hundred", &hundred, 11, 413),
        ("none", &none, 300_000, 200),
        ("foreign", &foreign, 10, 200),
        ("foreign", &foreign, 11, 413),
        ("both", &both_layers, 5, 200),
        ("both", &both_layers, 6, 413),
    ];
    for (name, app, tens, status) in cases {
        let whole = TEN.repeat(tens);
        for way in ["claimed", "streamed"] {
            let body = || if way == "claimed" { Body::from(whole.clone()) } else { streamed(tens, TEN, false) };
            let [ours, axums] = both(app, "/bytes", None, body).await;
            assert_eq!((ours.status, axums.status), (status.try_into().unwrap(), axums.status), "{name} {tens} {way}");
            assert_eq!((ours.status, &ours.content_type), (axums.status, &axums.content_type), "{name} {tens} {way}");
            assert!(status != 200 || ours.text == axums.text && ours.text == whole, "{name} {tens} {way}");
            // JSON is read through the same limits, before it is parsed.
            let [ours, axums] = both(app, "", Some(b"application/json"), body).await;
            assert_eq!((ours.status, &ours.content_type), (axums.status, &axums.content_type), "{name} {tens} {way}");
            assert_eq!(ours.status == 413, status == 413, "{name} {tens} {way}");
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused_with_its_reason() {
    for (tail, content_type) in [("", Some(&b"application/json"[..])), ("/bytes", None)] {
        let [ours, axums] = both(&routes(), tail, content_type, || streamed(2, "  ", true)).await;
        assert_eq!(ours.shared(), axums.shared());
        assert_eq!((ours.status.as_u16(), ours.shared().2), (400, "the line is dead"));
    }
}

/// What will not be JSON.
struct Unserializable;

impl Serialize for Unserializable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}

/// What both send, to the letter.
async fn sent(method: &str, ours: impl Handler<((),), ()>, axums: impl Handler<((),), ()>) -> Answer {
    let app = Router::new().route("/ours", get(ours)).route("/axums", get(axums));
    let mut answers = Vec::new();
    for path in ["/ours", "/axums"] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        answers.push(Answer::of(app.clone().oneshot(request).await.unwrap()).await);
    }
    assert_eq!(answers[0], answers[1]);
    answers.remove(0)
}

#[tokio::test]
async fn responses_are_axums_to_the_letter() {
    let point = || Point { x: 1, y: 2 };
    let answer = sent("GET", move || async move { PooledJson(point()) }, move || async move { Json(point()) }).await;
    assert_eq!(answer.content_type.as_deref(), Some("application/json"));
    assert_eq!((answer.status.as_u16(), &*answer.text), (200, r#"{"x":1,"y":2}"#));
    assert_eq!(answer.content_length.as_deref(), Some("13"));
    let head = sent("HEAD", move || async move { PooledJson(point()) }, move || async move { Json(point()) }).await;
    assert_eq!((head.content_length.as_deref(), &*head.text), (Some("13"), ""));
    let empty = sent("GET", || async { PooledJson("") }, || async { Json("") }).await;
    assert_eq!(empty.text, r#""""#);
    let large = "x".repeat(100_000);
    let large = &*Box::leak(large.into_boxed_str());
    let answer = sent("GET", move || async move { PooledJson(large) }, move || async move { Json(large) }).await;
    assert_eq!(answer.text.len(), 100_002);
    let created = || StatusCode::CREATED;
    let answer = sent(
        "GET",
        move || async move { (created(), PooledJson(point())) },
        move || async move { (created(), Json(point())) },
    );
    assert_eq!(answer.await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn what_will_not_be_json_answers_500_in_plain_text() {
    let answer = sent("GET", || async { PooledJson(Unserializable) }, || async { Json(Unserializable) }).await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (500, "not today"));
    assert_eq!(answer.content_type.as_deref(), Some("text/plain; charset=utf-8"));
}

#[tokio::test]
async fn written_and_frozen_bytes_are_responses_as_axums_bytes_are() {
    let buffers = BufferPool::new();
    let written = |text: &str| {
        let mut buffer = buffers.get(text.len());
        buffer.extend_from_slice(text.as_bytes());
        buffer
    };
    for text in ["", "some bytes"] {
        let axums = Answer::of(Bytes::from(text.to_owned()).into_response()).await;
        assert_eq!(Answer::of(written(text).into_response()).await, axums);
        assert_eq!(Answer::of(written(text).freeze().into_response()).await, axums);
        assert_eq!(axums.content_type.as_deref(), Some("application/octet-stream"));
    }
    assert_eq!((buffers.stats().outstanding(), buffers.stats().idle > 0), (0, true));
}

#[tokio::test]
async fn json_is_dereferenced_made_and_parsed_as_axums_is() {
    let mut json = PooledJson::from(Point::default());
    json.x = 7;
    assert_eq!(*json, Point { x: 7, y: 0 });
    let parsed = PooledJson::<Point>::from_bytes(br#"{"x":1,"y":2}"#).unwrap();
    assert_eq!(*parsed, Json::<Point>::from_bytes(br#"{"x":1,"y":2}"#).unwrap().0);
    for (document, is_data) in [(&b"{"[..], false), (b"{}", true), (b"{\"x\":1,\"y\":2} ]", false)] {
        let error = PooledJson::<Point>::from_bytes(document).unwrap_err();
        let axums = Json::<Point>::from_bytes(document).unwrap_err();
        assert_eq!((error.status(), matches!(error, JsonRejection::Data(_))), (axums.status(), is_data));
        let source = std::error::Error::source(&error).expect("what serde_json says").to_string();
        assert!(axums.body_text().ends_with(&source), "{source}");
    }
}

#[tokio::test]
async fn rejections_tell_their_status_without_a_response() {
    let request = Request::post("/").header("content-length", "3000000").body(streamed(1, "x", true)).unwrap();
    let refused = PooledBody::from_request(request, &()).await.unwrap_err();
    assert!(matches!(refused, BodyRejection::Unreadable(_)), "a header is not the body's own claim: {refused:?}");
    assert_eq!(refused.status(), 400);
    let large = Request::post("/").body(Body::from("x".repeat(2_097_153))).unwrap();
    let refused = PooledBody::from_request(large, &()).await.unwrap_err();
    assert!(matches!(refused, BodyRejection::TooLarge), "{refused:?}");
    assert_eq!(
        (refused.status(), refused.into_response().status()),
        (StatusCode::PAYLOAD_TOO_LARGE, StatusCode::PAYLOAD_TOO_LARGE)
    );
}

#[tokio::test(start_paused = true)]
async fn limits_among_the_extensions_hold_for_both_extractors() {
    let second = Duration::from_secs(1);
    let stuck = || Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>());
    let slowly = || {
        let ticks = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ()))
        });
        Body::from_stream(ticks)
    };
    let out = BodyBudget::new(20_000);
    let held = collect(Body::from(vec![0; 9000]), BufferPool::global(), Limits::default().budget(&out)).await.unwrap();
    let cases: [(_, Limits, &dyn Fn() -> Body, _, _); 6] = [
        ("bytes", Limits::new(99), &|| Body::from("x".repeat(100)), 413, "request body is too large"),
        ("frames", Limits::new(99).max_frames(2), &|| streamed(3, "x", false), 413, "request body is too large"),
        ("a stall", Limits::new(99).idle_timeout(second), &stuck, 408, "request body came too slowly"),
        ("time", Limits::new(99).total_timeout(second), &slowly, 408, "request body came too slowly"),
        (
            "budget",
            Limits::default().budget(&out),
            &|| Body::from("x".repeat(8000)),
            503,
            "no room for the request body now",
        ),
        (
            "bytes of axum's",
            Limits::new(usize::MAX),
            &|| Body::from("x".repeat(3 << 20)),
            413,
            "request body is too large",
        ),
    ];
    for (what, limits, body, status, says) in cases {
        let app = routes().layer(Extension(limits));
        for path in ["/ours", "/ours/bytes"] {
            let request = Request::post(path).header(header::CONTENT_TYPE, "application/json").body(body()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            let retry = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(retry.as_deref(), (status == 503).then_some("1"), "{path}: {what}");
            let answer = Answer::of(response).await;
            assert_eq!((answer.status.as_u16(), &*answer.text), (status, says), "{path}: {what}");
        }
    }
    drop(held);
    let app = routes().layer(Extension(Limits::default().budget(&out)));
    let request = Request::post("/ours/bytes").body(Body::from("x".repeat(8000))).unwrap();
    assert_eq!(app.oneshot(request).await.unwrap().status(), 200);
    assert_eq!(out.used_bytes(), 0);
}
