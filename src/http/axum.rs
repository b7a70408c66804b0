//! Extractors and responses for axum.

mod content_type;
mod full;
mod json;
mod json_error;
mod pooled_body;
mod scope;

pub use json::{JsonRejection, PooledJson};
pub use json_error::JsonError;
pub use pooled_body::{BodyRejection, PooledBody};
pub use scope::{Local, MissingScope};
