//! The advice that comes with a 503.

use http::{HeaderValue, Response, StatusCode, header};

/// Tells the client of a 503 to come again in a second: room comes back as soon as some body is through, and nobody can
/// know when.
pub(super) fn advise_retry<B>(response: &mut Response<B>) {
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
}
