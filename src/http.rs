//! The porch: scopes and pooled bodies for tower, hyper and axum.
//!
//! [`ScopeLayer`] gives each request a scope. The guard is made in the service's `call`, moves into the response
//! future and from there into the [`ScopeBody`], so that the request lasts until its response is sent, or given
//! up. [`wrap`] does the same for a server without tower. [`collect`] reads a body into pooled memory,
//! [`BufferBodyLayer`] does so for any service.

#[cfg(feature = "tracing")]
mod access_log;
mod around_layer;
#[cfg(feature = "axum")]
mod axum;
mod body;
mod buffer_body;
mod collect;
#[cfg(feature = "compress")]
mod compress;
mod future;
mod interceptor_layer;
mod layer;
mod passage;
mod retry;
mod service;
mod wrap;

#[cfg(feature = "tracing")]
pub use access_log::{AccessLog, Entry as AccessEntry, RequestId};
pub use around_layer::{AroundLayer, AroundService};
#[cfg(feature = "axum")]
pub use axum::{BodyRejection, JsonError, JsonRejection, Local, MissingScope, PooledBody, PooledJson};
pub use body::ScopeBody;
pub use buffer_body::{BufferBodyFuture, BufferBodyLayer, BufferBodyService};
pub use collect::{BodyBudget, CollectError, Collected, Limits, collect};
#[cfg(feature = "spill")]
pub use collect::{Spill, Spilled, Stored, collect_or_spill};
#[cfg(feature = "compress")]
pub use compress::{Accepted as AcceptedEncoding, CompressBody, Compression};
pub use future::ResponseFuture;
pub use interceptor_layer::InterceptorLayer;
pub use layer::ScopeLayer;
pub use passage::{Passage, Passing};
pub use service::ScopeService;
pub use wrap::{wrap, wrap_body};
