//! A ready-made interceptor: responses compressed by pooled encoders (feature `compress`).

mod accept;
mod body;
mod encoder;

pub use body::CompressBody;

use crate::buffer::BufferPool;
use crate::pool::{PoolStats, Reset, Verdict};
use accept::Encoding;
use encoder::Encoders;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body::Body;

/// Compresses responses with gzip or zstd, as the client likes it best. As an interceptor it stands in a chain of
/// axum's (feature `axum`); for other bodies there is [`apply`](Self::apply).
///
/// An encoder is costly to make, half a megabyte that is zeroed or filled anew: this is where a pool pays most. The
/// encoders of all clones are in one pool.
///
/// Left alone are responses that are encoded already, partial, without a body, under 256 bytes, forbidden to
/// transform, or of a type that compresses badly (images other than SVG, audio, video, archives) or streams events. A response
/// that varies with `accept-encoding` says so; a strong `etag` becomes weak, since it names other bytes.
///
/// **Security**: secrets and what an attacker chooses should not be compressed into one response over TLS (BREACH).
///
/// # Examples
///
/// ```
/// use ebbtide::{Chain, http::{Compression, ScopeLayer}};
///
/// let app: axum::Router = axum::Router::new()
///     .route("/", axum::routing::get(|| async { "so much to say ".repeat(100) }))
///     .layer(ScopeLayer::new().chain(Chain::new().with(Compression::new())));
/// # let _ = app;
/// ```
#[derive(Clone, Debug)]
pub struct Compression {
    encoders: Encoders,
    smallest: u64,
}

impl Compression {
    /// Gzip at level 6 and zstd at level 3, for bodies from 256 bytes on.
    #[must_use]
    pub fn new() -> Self {
        Self::with_levels(6, 3)
    }

    /// With other levels: gzip 0 to 9, zstd 1 to 22 and below 0 for speed. The nearest possible one is taken.
    /// Windows stay within the 8 MiB that browsers decode.
    ///
    /// The higher the level, the larger a zstd encoder; one of the highest takes more than the 64 MiB that idle encoders may keep
    /// together, and is made anew each time.
    #[must_use]
    pub fn with_levels(gzip: u32, zstd: i32) -> Self {
        Self { encoders: Encoders::new(gzip.min(9), zstd), smallest: 256 }
    }

    /// Leaves bodies of a known length under `bytes` alone. Default: 256.
    #[must_use]
    pub fn smallest(mut self, bytes: u64) -> Self {
        self.smallest = bytes;
        self
    }

    /// The numbers of the gzip encoders.
    #[must_use]
    pub fn gzip_stats(&self) -> PoolStats {
        self.encoders.stats(Encoding::Gzip)
    }

    /// The numbers of the zstd encoders.
    #[must_use]
    pub fn zstd_stats(&self) -> PoolStats {
        self.encoders.stats(Encoding::Zstd)
    }

    /// Compresses one response to a request with these headers, in memory from `buffers`. What is to be left alone comes
    /// back.
    ///
    /// # Errors
    ///
    /// The response, unchanged, if it is not to be compressed.
    pub fn apply<B: Body>(
        &self,
        request: &HeaderMap,
        response: Response<B>,
        buffers: &BufferPool,
    ) -> Result<Response<CompressBody<B>>, Response<B>> {
        self.compress(Encoding::accepted(request), response, buffers)
    }

    fn compress<B: Body>(
        &self,
        accepted: Option<Encoding>,
        mut response: Response<B>,
        buffers: &BufferPool,
    ) -> Result<Response<CompressBody<B>>, Response<B>> {
        if !self.is_worth_it(&response) {
            return Err(response);
        }
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
        let Some(encoding) = accepted else { return Err(response) };
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::ACCEPT_RANGES);
        weaken(headers);
        Ok(response.map(|body| CompressBody::new(body, encoding, self.encoders.clone(), buffers.clone())))
    }

    fn is_worth_it<B: Body>(&self, response: &Response<B>) -> bool {
        let headers = response.headers();
        let has_body = response.status() != StatusCode::PARTIAL_CONTENT
            && response.status() != StatusCode::NO_CONTENT
            && response.status() != StatusCode::NOT_MODIFIED
            && !response.status().is_informational();
        let is_plain = !headers.contains_key(header::CONTENT_ENCODING) && !headers.contains_key(header::CONTENT_RANGE);
        let is_large = response.body().size_hint().exact().is_none_or(|bytes| bytes >= self.smallest.max(1));
        has_body && is_plain && is_large && may_transform(headers) && compresses(headers)
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::new()
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn may_transform(headers: &HeaderMap) -> bool {
    !text(headers, &header::CACHE_CONTROL).split(',').any(|part| part.trim().eq_ignore_ascii_case("no-transform"))
}

/// Whether a type is known to compress, or not known not to.
fn compresses(headers: &HeaderMap) -> bool {
    let essence =
        text(headers, &header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("image", subtype)) => subtype == "svg+xml",
        Some(("audio" | "video", _)) => false,
        Some(("application", "zip" | "gzip" | "zstd" | "x-7z-compressed" | "x-bzip2" | "x-xz")) => false,
        // Their frames are compressed by themselves, or must go out one by one.
        Some(("application", subtype)) => !subtype.starts_with("grpc"),
        Some(("text", "event-stream")) => false,
        _ => true,
    }
}

fn weaken(headers: &mut HeaderMap) {
    let weak = headers.get(header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\"")).map(|tag| {
        let bytes = [b"W/", tag.as_bytes()].concat();
        HeaderValue::from_bytes(&bytes)
    });
    if let Some(Ok(weak)) = weak {
        headers.insert(header::ETAG, weak);
    }
}

/// What the client of one request accepts.
#[derive(Debug, Default)]
pub struct Accepted(Option<Encoding>);

impl Reset for Accepted {
    fn reset(&mut self) -> Verdict {
        self.0 = None;
        Verdict::Keep
    }
}

#[cfg(feature = "axum")]
mod interceptor {
    use super::{Accepted, Compression, Encoding};
    use crate::intercept::Interceptor;
    use crate::request::Scope;
    use axum_core::body::Body;
    use core::ops::ControlFlow;
    use http::{Request, Response};

    impl<A> Interceptor<Request<A>, Response<Body>> for Compression {
        type State = Accepted;

        fn before(&self, accepted: &mut Accepted, _: &Scope, request: &mut Request<A>) -> ControlFlow<Response<Body>> {
            accepted.0 = Encoding::accepted(request.headers());
            ControlFlow::Continue(())
        }

        fn after(&self, accepted: &mut Accepted, scope: &Scope, response: &mut Response<Body>) {
            let plain = core::mem::take(response);
            *response = match self.compress(accepted.0, plain, scope.buffers()) {
                Ok(compressed) => compressed.map(Body::new),
                Err(plain) => plain,
            };
        }
    }
}
