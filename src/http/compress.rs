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
/// that varies with `accept-encoding` says so, once; a strong `etag` becomes weak and a digest goes, since they name other bytes. A
/// response to HEAD gets the head that GET would get.
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
        self.compress(&Accepted::by(request, false), response, buffers)
    }

    /// As [`apply`](Self::apply), for the response to a HEAD request: its head becomes what it would be for GET, also where its
    /// body was taken away already. Its length is what `content-length` says, if it says so.
    ///
    /// # Errors
    ///
    /// The response, unchanged, if it is not to be compressed.
    pub fn apply_to_head<B: Body>(
        &self,
        request: &HeaderMap,
        response: Response<B>,
        buffers: &BufferPool,
    ) -> Result<Response<CompressBody<B>>, Response<B>> {
        self.compress(&Accepted::by(request, true), response, buffers)
    }

    fn compress<B: Body>(
        &self,
        accepted: &Accepted,
        mut response: Response<B>,
        buffers: &BufferPool,
    ) -> Result<Response<CompressBody<B>>, Response<B>> {
        let of_body = response.body().size_hint().exact();
        let length = if accepted.is_head {
            // The body may have been taken away already.
            text(response.headers(), &header::CONTENT_LENGTH).parse().ok().or(of_body.filter(|&bytes| bytes > 0))
        } else {
            of_body
        };
        if !self.is_worth_it(&response, length) {
            return Err(response);
        }
        let headers = response.headers_mut();
        vary(headers);
        let Some(encoding) = accepted.encoding else { return Err(response) };
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::ACCEPT_RANGES);
        DIGESTS.into_iter().for_each(|name| _ = headers.remove(name));
        weaken(headers);
        Ok(response.map(|body| CompressBody::new(body, encoding, self.encoders.clone(), buffers.clone())))
    }

    fn is_worth_it<B>(&self, response: &Response<B>, length: Option<u64>) -> bool {
        let headers = response.headers();
        let has_body = response.status() != StatusCode::PARTIAL_CONTENT
            && response.status() != StatusCode::NO_CONTENT
            && response.status() != StatusCode::NOT_MODIFIED
            && !response.status().is_informational();
        let is_plain = !headers.contains_key(header::CONTENT_ENCODING) && !headers.contains_key(header::CONTENT_RANGE);
        let is_large = length.is_none_or(|bytes| bytes >= self.smallest.max(1));
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

/// The members of a list, in one header or several.
fn listed<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn may_transform(headers: &HeaderMap) -> bool {
    !listed(headers, &header::CACHE_CONTROL).any(|part| part.eq_ignore_ascii_case("no-transform"))
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

/// Digests of the bytes as they were, before they were encoded (RFC 9530, and what it replaces).
const DIGESTS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// Says that the response varies with what the client accepts, unless it says so already.
fn vary(headers: &mut HeaderMap) {
    if !listed(headers, &header::VARY).any(|name| name == "*" || name.eq_ignore_ascii_case("accept-encoding")) {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// Makes a strong tag weak.
fn weaken(headers: &mut HeaderMap) {
    let weak = headers.get(header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\"")).map(|tag| {
        let bytes = [b"W/", tag.as_bytes()].concat();
        HeaderValue::from_bytes(&bytes)
    });
    if let Some(Ok(weak)) = weak {
        headers.insert(header::ETAG, weak);
    }
}

/// What one request asks for.
#[derive(Debug, Default)]
pub struct Accepted {
    encoding: Option<Encoding>,
    is_head: bool,
}

impl Accepted {
    fn by(headers: &HeaderMap, is_head: bool) -> Self {
        Self { encoding: Encoding::accepted(headers), is_head }
    }
}

impl Reset for Accepted {
    fn reset(&mut self) -> Verdict {
        *self = Self::default();
        Verdict::Keep
    }
}

#[cfg(feature = "axum")]
mod interceptor {
    use super::{Accepted, Compression};
    use crate::intercept::Interceptor;
    use crate::request::Scope;
    use axum_core::body::Body;
    use core::ops::ControlFlow;
    use http::{Method, Request, Response};

    impl<A> Interceptor<Request<A>, Response<Body>> for Compression {
        type State = Accepted;

        fn before(&self, accepted: &mut Accepted, _: &Scope, request: &mut Request<A>) -> ControlFlow<Response<Body>> {
            *accepted = Accepted::by(request.headers(), request.method() == Method::HEAD);
            ControlFlow::Continue(())
        }

        fn after(&self, accepted: &mut Accepted, scope: &Scope, response: &mut Response<Body>) {
            let plain = core::mem::take(response);
            *response = match self.compress(accepted, plain, scope.buffers()) {
                Ok(compressed) => compressed.map(Body::new),
                Err(plain) => plain,
            };
        }
    }
}
