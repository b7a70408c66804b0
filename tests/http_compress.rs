//! Compressed responses, as the docs of `Compression` promise them.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use bytes::Bytes;
use ebbtide::http::{Compression, ScopeLayer};
use ebbtide::{BufferPool, Chain, Scopes};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use std::io::Read;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tower::ServiceExt;

/// JSON as servers send it: much alike, not all the same.
fn json(bytes: usize) -> Vec<u8> {
    let mut text = String::from("[");
    let mut number = 1_u32;
    while text.len() < bytes {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text += &format!(r#"{{"id":{number},"name":"item {}","ok":{}}},"#, number % 97, number % 2 == 0);
    }
    text.truncate(bytes);
    text.into_bytes()
}

fn decoded(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    match encoding {
        "gzip" => {
            let mut plain = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(bytes);
            decoder.read_to_end(&mut plain).expect("gzip");
            assert!(decoder.into_inner().is_empty(), "nothing follows");
            plain
        }
        "zstd" => {
            let mut plain = vec![0; 4 << 20];
            let length = zstd_safe::decompress(&mut plain[..], bytes).expect("zstd");
            plain.truncate(length);
            plain
        }
        other => panic!("{other}"),
    }
}

fn accepting(encoding: &'static str) -> HeaderMap {
    [(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding))].into_iter().collect()
}

fn response(bytes: &[u8]) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(bytes)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

const SIZES: [usize; 8] = [256, 257, 4_095, 4_096, 16_384, 65_536, 100_003, 300_000];

#[tokio::test]
async fn what_is_compressed_is_what_was_sent_and_encoders_are_used_again() {
    let (compression, buffers) = (Compression::new(), BufferPool::new());
    for encoding in ["gzip", "zstd"] {
        for size in SIZES {
            let plain = json(size);
            let compressed = compression.apply(&accepting(encoding), response(&plain), &buffers).unwrap();
            assert_eq!(compressed.headers()[header::CONTENT_ENCODING], encoding);
            assert_eq!(compressed.headers()[header::VARY], "accept-encoding");
            let bytes = compressed.into_body().collect().await.unwrap().to_bytes();
            assert!(bytes.len() < size, "{size} became {} by {encoding}", bytes.len());
            assert!(decoded(encoding, &bytes) == plain, "{size}, {encoding}");
            drop(bytes);
            assert_eq!(buffers.stats().outstanding(), 0);
        }
    }
    for stats in [compression.gzip_stats(), compression.zstd_stats()] {
        assert_eq!((stats.outstanding(), stats.live), (0, 1), "one encoder for all of them");
        assert!(stats.charged_bytes > 100_000, "{stats:?}");
    }
}

#[tokio::test]
async fn at_every_level_a_browser_can_decode() {
    for level in [-7, 1, 12, 19, 22, 99] {
        let (compression, buffers) = (Compression::with_levels(99, level), BufferPool::new());
        for _ in 0..2 {
            let plain = json(300_000);
            let frames =
                plain.chunks(50_000).map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::copy_from_slice(piece))));
            let response = Response::new(StreamBody::new(stream(frames.collect::<Vec<_>>())));
            let compressed = compression.apply(&accepting("zstd"), response, &buffers).unwrap();
            let bytes = compressed.into_body().collect().await.unwrap().to_bytes();
            let mut decoder = zstd_safe::DCtx::create();
            decoder.set_parameter(zstd_safe::DParameter::WindowLogMax(23)).unwrap();
            let mut decoded = vec![0; 400_000];
            let mut out = zstd_safe::OutBuffer::around(&mut decoded[..]);
            let left = decoder.decompress_stream(&mut out, &mut zstd_safe::InBuffer::around(&bytes));
            assert_eq!(left.map_err(zstd_safe::get_error_name), Ok(0), "level {level}");
            assert!(out.as_slice() == plain);
        }
        // From about level 17 on an encoder takes more than a pool keeps altogether, 64 MiB.
        assert_eq!(compression.zstd_stats().live, u64::from(level < 17), "level {level}");
    }
}

#[tokio::test]
async fn frames_of_any_size_and_trailers_pass() {
    let (compression, buffers) = (Compression::new(), BufferPool::new());
    let trailers: HeaderMap = [(header::ETAG, HeaderValue::from_static("t"))].into_iter().collect();
    for encoding in ["gzip", "zstd"] {
        for piece in [1, 7, 4096, 300_000] {
            let plain = json(50_000);
            let data = plain.chunks(piece).map(|piece| Frame::data(Bytes::copy_from_slice(piece)));
            let frames: Vec<_> = data.chain([Frame::trailers(trailers.clone())]).map(Ok::<_, std::io::Error>).collect();
            let response = Response::new(StreamBody::new(stream(frames)));
            let compressed = compression.apply(&accepting(encoding), response, &buffers).unwrap();
            let collected = compressed.into_body().collect().await.unwrap();
            assert_eq!(collected.trailers(), Some(&trailers));
            assert!(decoded(encoding, &collected.to_bytes()) == plain, "{piece}, {encoding}");
        }
    }
}

#[tokio::test]
async fn a_large_frame_goes_out_in_pieces() {
    let mut number = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        number.to_be_bytes()[0]
    })
    .take(300_000)
    .collect();
    for encoding in ["gzip", "zstd"] {
        let compressed = Compression::new().apply(&accepting(encoding), response(&noise), &BufferPool::new()).unwrap();
        let (mut body, mut whole) = (compressed.into_body(), Vec::new());
        while let Some(frame) = body.frame().await {
            let bytes = frame.unwrap().into_data().unwrap();
            // A zstd encoder hands its blocks on whole, of 128 KiB.
            assert!(bytes.len() < if encoding == "gzip" { 64 << 10 } else { 160 << 10 }, "{} bytes", bytes.len());
            whole.extend_from_slice(&bytes);
        }
        assert!(decoded(encoding, &whole) == noise, "{encoding}");
    }
}

fn stream<T>(items: Vec<T>) -> futures_util::stream::Iter<std::vec::IntoIter<T>> {
    futures_util::stream::iter(items)
}

#[test]
fn what_is_there_goes_out_while_more_is_waited_for() {
    let (compression, buffers) = (Compression::new(), BufferPool::new());
    for encoding in ["gzip", "zstd"] {
        let (mut sender, body) = http_body_util::channel::Channel::<Bytes, std::io::Error>::new(4);
        let compressed = compression.apply(&accepting(encoding), Response::new(body), &buffers).unwrap();
        let mut body = pin!(compressed.into_body());
        let mut context = Context::from_waker(Waker::noop());
        assert!(http_body::Body::poll_frame(body.as_mut(), &mut context).is_pending());
        sender.try_send(Frame::data(Bytes::from_static(b"first news"))).unwrap();
        let Poll::Ready(Some(Ok(frame))) = http_body::Body::poll_frame(body.as_mut(), &mut context) else {
            panic!("{encoding}: nothing came");
        };
        let bytes = frame.into_data().unwrap();
        if encoding == "gzip" {
            let mut seen = [0; 10];
            flate2::read::GzDecoder::new(&bytes[..]).read_exact(&mut seen).unwrap();
            assert_eq!(&seen, b"first news");
        } else {
            assert!(bytes.windows(10).any(|window| window == b"first news"), "a raw block");
        }
        assert!(http_body::Body::poll_frame(body.as_mut(), &mut context).is_pending(), "nothing twice");
    }
    assert_eq!(buffers.stats().outstanding(), 0, "a body that is given up gives all back");
    assert_eq!(compression.gzip_stats().outstanding() + compression.zstd_stats().outstanding(), 0);
}

#[tokio::test]
async fn a_body_that_fails_fails() {
    let (compression, buffers) = (Compression::new(), BufferPool::new());
    let frames = vec![Ok(Frame::data(Bytes::from_static(b"so far"))), Err(std::io::Error::other("so good"))];
    let response = Response::new(StreamBody::new(stream(frames)));
    let compressed = compression.apply(&accepting("gzip"), response, &buffers).unwrap();
    assert_eq!(compressed.into_body().collect().await.unwrap_err().to_string(), "so good");
    assert_eq!((buffers.stats().outstanding(), compression.gzip_stats().outstanding()), (0, 0));
    // The encoder was left in the middle of a stream: the next one is whole.
    let next = compression.apply(&accepting("gzip"), self::response(&json(1000)), &buffers).unwrap();
    assert!(decoded("gzip", &next.into_body().collect().await.unwrap().to_bytes()) == json(1000));
    assert_eq!(compression.gzip_stats().live, 1);
}

#[test]
fn what_should_not_be_compressed_is_left_alone() {
    let (compression, buffers) = (Compression::new(), BufferPool::new());
    let left = |name, value: &'static str, status| {
        let mut response = response(&json(1000));
        *response.status_mut() = status;
        response.headers_mut().insert(name, HeaderValue::from_static(value));
        let before = response.headers().clone();
        let left = compression.apply(&accepting("gzip"), response, &buffers);
        left.is_err_and(|left| left.headers() == &before)
    };
    let ok = StatusCode::OK;
    for kind in ["image/png", "video/mp4", "application/zip", "application/grpc", "application/grpc+proto"] {
        assert!(left(header::CONTENT_TYPE, kind, ok), "{kind}");
    }
    for kind in ["image/svg+xml", "text/html; charset=utf-8", "application/vnd.api+json", "unheard/of"] {
        assert!(!left(header::CONTENT_TYPE, kind, ok), "{kind}");
    }
    assert!(left(header::CONTENT_TYPE, "text/event-stream", ok));
    assert!(left(header::CONTENT_ENCODING, "br", ok));
    assert!(left(header::CONTENT_RANGE, "bytes 0-9/20", ok));
    assert!(left(header::CACHE_CONTROL, "public, No-Transform", ok));
    for status in [206, 204, 304] {
        assert!(left(header::SERVER, "test", StatusCode::from_u16(status).unwrap()), "{status}");
    }
    for size in [0, 255] {
        assert!(compression.apply(&accepting("gzip"), response(&json(size)), &buffers).is_err());
    }
    // It varies, though this client gets it plain.
    let plain = compression.apply(&accepting("br"), response(&json(1000)), &buffers).unwrap_err();
    assert_eq!(plain.headers()[header::VARY], "accept-encoding");
    assert!(compression.smallest(2000).apply(&accepting("gzip"), response(&json(1000)), &buffers).is_err());
}

#[test]
fn headers_tell_of_the_new_bytes() {
    let mut response = response(&json(1000));
    response.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"v1\""));
    response.headers_mut().insert(header::CONTENT_LENGTH, 1000.into());
    response.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    for digest in ["content-digest", "repr-digest", "digest", "content-md5"] {
        response.headers_mut().insert(digest, HeaderValue::from_static("of other bytes"));
    }
    let compressed = Compression::new().apply(&accepting("zstd"), response, &BufferPool::new()).unwrap();
    assert_eq!(compressed.headers()[header::ETAG], "W/\"v1\"");
    assert!(!compressed.headers().contains_key(header::CONTENT_LENGTH));
    assert!(!compressed.headers().contains_key(header::ACCEPT_RANGES));
    assert!(!compressed.headers().keys().any(|name| name.as_str().contains("digest") || name == "content-md5"));
}

#[test]
fn tags_that_are_weak_stay_as_they_are_and_digests_of_a_plain_response_too() {
    let mut response = response(&json(1000));
    response.headers_mut().insert(header::ETAG, HeaderValue::from_static("W/\"v1\""));
    response.headers_mut().insert("content-digest", HeaderValue::from_static("of these bytes"));
    let (compression, buffers) = (Compression::new(), BufferPool::new());
    let plain = compression.apply(&accepting("identity"), response, &buffers).unwrap_err();
    assert_eq!(plain.headers()["content-digest"], "of these bytes");
    let compressed = compression.apply(&accepting("gzip"), plain, &buffers).unwrap();
    assert_eq!(compressed.headers()[header::ETAG], "W/\"v1\"");
}

#[test]
fn it_says_once_that_it_varies() {
    let (compression, buffers) = (Compression::new(), BufferPool::new());
    for (values, expected) in [
        (&["Accept-Encoding"][..], &["Accept-Encoding"][..]),
        (&["origin, accept-encoding"], &["origin, accept-encoding"]),
        (&["origin", "ACCEPT-ENCODING"], &["origin", "ACCEPT-ENCODING"]),
        (&["*"], &["*"]),
        (&["origin"], &["origin", "accept-encoding"]),
        (&["x-accept-encoding"], &["x-accept-encoding", "accept-encoding"]),
    ] {
        let mut response = response(&json(1000));
        for value in values {
            response.headers_mut().append(header::VARY, HeaderValue::from_static(value));
        }
        let compressed = compression.apply(&accepting("gzip"), response, &buffers).unwrap();
        let told: Vec<_> = compressed.headers().get_all(header::VARY).iter().collect();
        assert_eq!(told, expected);
    }
}

#[test]
fn a_transformation_is_forbidden_by_any_of_several_headers() {
    let mut response = response(&json(1000));
    for value in ["public", "max-age=3, no-transform"] {
        response.headers_mut().append(header::CACHE_CONTROL, HeaderValue::from_static(value));
    }
    assert!(Compression::new().apply(&accepting("gzip"), response, &BufferPool::new()).is_err());
}

/// Also where the router has taken the body away, as axum does.
#[tokio::test]
async fn a_response_to_head_has_the_head_that_get_gets() {
    let layer = ScopeLayer::new().chain(Chain::new().with(Compression::new()));
    let tagged = |bytes| async move { ([(header::ETAG, "\"v1\"")], String::from_utf8(json(bytes)).unwrap()) };
    let app = Router::new()
        .route("/large", get(move || tagged(20_000)))
        .route("/small", get(move || tagged(100)))
        .route(
            "/stream",
            get(|| async {
                Body::new(StreamBody::new(stream(vec![Ok::<_, axum::Error>(Frame::data(Bytes::from(json(999))))])))
            }),
        )
        .layer(layer);
    for (path, accepts, is_encoded) in
        [("/large", "gzip", true), ("/large", "identity", false), ("/small", "gzip", false), ("/stream", "zstd", true)]
    {
        let [of_get, of_head] = ["GET", "HEAD"].map(|method| {
            let request = Request::builder().method(method).uri(path).header("accept-encoding", accepts);
            app.clone().oneshot(request.body(Body::empty()).unwrap())
        });
        let (of_get, of_head) = (of_get.await.unwrap(), of_head.await.unwrap());
        assert_eq!(of_head.headers(), of_get.headers(), "{path}, {accepts}");
        assert_eq!(of_head.headers().contains_key(header::CONTENT_ENCODING), is_encoded, "{path}, {accepts}");
    }
    let mut response = response(&[]);
    response.headers_mut().insert(header::CONTENT_LENGTH, 1000.into());
    let (compression, buffers) = (Compression::new(), BufferPool::new());
    let response = compression.apply(&accepting("gzip"), response, &buffers).unwrap_err();
    assert!(compression.apply_to_head(&accepting("gzip"), response, &buffers).is_ok());
}

#[tokio::test]
async fn in_a_chain_it_compresses_for_whom_it_may() {
    let (compression, scopes) = (Compression::new(), Scopes::new());
    let text = || async { String::from_utf8(json(20_000)).unwrap() };
    let layer = ScopeLayer::with(scopes.clone()).chain(Chain::new().with(compression.clone()));
    let app = Router::new().route("/", get(text)).layer(layer);
    for accepts in ["gzip", "zstd, gzip", "identity"] {
        for _ in 0..3 {
            let request = Request::get("/").header("accept-encoding", accepts).body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            let encoding = response.headers().get(header::CONTENT_ENCODING).map(|it| it.to_str().unwrap().to_owned());
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            match encoding {
                Some(encoding) => assert!(decoded(&encoding, &bytes) == json(20_000) && bytes.len() < 10_000),
                None => assert!(accepts == "identity" && bytes == json(20_000)),
            }
        }
    }
    assert_eq!((compression.gzip_stats().live, compression.zstd_stats().live, scopes.stats().open()), (1, 1, 0));
}
