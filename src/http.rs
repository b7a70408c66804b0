//! The porch: scopes and pooled bodies for tower, hyper and axum.
//!
//! [`ScopeLayer`] gives each request a scope. The guard is made in the service's `call`, moves into the response
//! future and from there into the [`ScopeBody`], so that the request lasts until its response is sent, or given
//! up. [`collect`] reads a body into pooled memory, [`BufferBodyLayer`] does so for any service.

#[cfg(feature = "axum")]
mod axum;
mod body;
mod buffer_body;
mod collect;
mod future;
mod layer;
mod passage;
mod retry;
mod service;

#[cfg(feature = "axum")]
pub use axum::{BodyRejection, JsonError, JsonRejection, Local, MissingScope, PooledBody, PooledJson};
pub use body::ScopeBody;
pub use buffer_body::{BufferBodyFuture, BufferBodyLayer, BufferBodyService};
pub use collect::{BodyBudget, CollectError, Collected, Limits, collect};
#[cfg(feature = "spill")]
pub use collect::{Spill, Spilled, Stored, collect_or_spill};
pub use future::ResponseFuture;
pub use layer::ScopeLayer;
pub use passage::{Passage, Passing};
pub use service::ScopeService;
