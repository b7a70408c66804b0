//! A small server. `after` is `before` with the lines of the README's section, and nothing else.

use axum::Router;
use axum::routing::{get, post};

async fn shout(text: String) -> String {
    text.to_uppercase()
}

async fn length(text: String) -> String {
    text.len().to_string()
}

pub(crate) fn app() -> Router {
    Router::new()
        .route("/shout", post(shout))
        .route("/length", post(length))
        .route("/health", get(|| async { "up and about, as it should be" }))
}
