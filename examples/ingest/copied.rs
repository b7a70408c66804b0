//! How the mode `plain` takes a body: each frame is copied at once, by hand, into a vector of the request's own.
//!
//! That is the cure for trickled uploads that needs no pool.

use crate::answer::Problem;
use crate::interceptors::{Request, refusal};
use crate::serve::too_large;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::FromRequest;
use axum::http::StatusCode;
use axum::response::Response;
use http_body_util::BodyExt;
use std::ops::Deref;

/// A whole body: the one frame that it came in, or a copy of several.
pub enum Copied {
    Frame(Bytes),
    Bytes(Vec<u8>),
}

impl Deref for Copied {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Frame(frame) => frame,
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl FromRequest<usize> for Copied {
    type Rejection = Response;

    async fn from_request(request: Request, limit: &usize) -> Result<Self, Response> {
        collect(request.into_body(), *limit).await
    }
}

/// Bytes reserved on a client's word alone.
const AHEAD: usize = 64 << 10;
/// How many times what has arrived may be reserved, once that is more than `AHEAD`.
const FACTOR: usize = 4;

/// Collects a body of at most `limit` bytes.
///
/// A frame is a slice of hyper's read buffer, which cannot be read into again while the frame is held: hyper makes a new
/// one, of up to 417,792 bytes. So frames are copied into one vector as they arrive, but for one that is the whole body.
/// With the `Content-Length` known the vector is made once, at its length.
async fn collect(mut body: Body, limit: usize) -> Result<Copied, Response> {
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| refusal(StatusCode::BAD_REQUEST, &Problem::new("the body could not be read")))?;
        let Ok(data) = frame.into_data() else { continue };
        let arrived = bytes.len() + data.len();
        if arrived > limit {
            return Err(too_large());
        }
        if bytes.is_empty() && body.is_end_stream() {
            return Ok(Copied::Frame(data));
        }
        if arrived > bytes.capacity() {
            let claimed = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX).saturating_add(arrived);
            let room = claimed.min(AHEAD.max(FACTOR * arrived)) - bytes.len();
            // Without a length only growth by doubling keeps the copies few.
            if claimed > arrived { bytes.reserve_exact(room) } else { bytes.reserve(room) }
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Copied::Bytes(bytes))
}
