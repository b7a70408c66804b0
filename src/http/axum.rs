//! Extractors and responses for axum.

mod full;
mod json;
mod pooled_body;
mod scope;

pub use json::{JsonRejection, PooledJson};
pub use pooled_body::{BodyRejection, PooledBody};
pub use scope::{Local, MissingScope};
