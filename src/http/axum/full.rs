//! A request that was refused memory, as a response.

use crate::arena::{ArenaFull, Refused};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

/// 413 where the request's quota is used up, since another of the same size would fare no better; 503 where the
/// machine is out of memory.
impl IntoResponse for ArenaFull {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Quota => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Memory => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, self.to_string()).into_response()
    }
}

/// As its reason.
impl<T> IntoResponse for Refused<T> {
    fn into_response(self) -> Response {
        self.reason().into_response()
    }
}
