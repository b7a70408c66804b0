//! Request memory that flows back.
//!
//! A pool of objects and buffers, and a bump arena per request, whose memory goes back in bulk when the
//! request's guard is dropped.
//!
//! ```no_run
//! use axum::{Router, routing::post};
//! use ebbtide::{Scope, http::{PooledBody, ScopeLayer}};
//!
//! async fn shout(scope: Scope, body: PooledBody) -> String {
//!     let mut arena = scope.arena();             // this request's memory
//!     let text = arena.alloc_str_lossy(&body);   // no malloc
//!     tokio::task::yield_now().await;            // still Send
//!     text.to_uppercase()
//! }                                              // response sent: everything flows back
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let app = Router::new().route("/", post(shout)).layer(ScopeLayer::new());
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).await
//! }
//! ```
//!
//! The [guide] has a chapter for each subject, and [one](guide::when_not_to) on when not to use it.
//!
//! # What to take
//!
//! | you want | take |
//! |---|---|
//! | values that are costly to build or grow | `Pool<T>`: `get()`, and the drop gives back |
//! | request bodies collected in front of any service | `http::BufferBodyLayer`: limits, a budget, 408, 413 and 503 |
//! | sockets that hold no buffer while idle | `tokio::read_pooled` (feature `tokio`) |
//! | byte buffers, and bodies made of them | `BufferPool`: `get(n)`, write, `freeze()` |
//! | small bodies that are kept, without the read buffer that they are slices of | `BufferPool::detach(bytes, threshold)` |
//! | buffers that hold secrets | `BufferPool::builder().zero_on_return(true)` |
//! | a struct of your own in a pool | `#[derive(Reset)]` (feature `derive`): it forgets no field |
//! | memory for one request, across `.await` | `Scope::arena()`; its `try_` forms keep to the request's quota |
//! | a map or another collection in it | `Arena::allocator()` (feature `allocator-api2`), for `hashbrown` and others |
//! | parsed values that borrow from the body | `Scope::adopt(body)` |
//! | a pooled value for the rest of the request | `Scope::lease(&pool)` |
//! | work that stops when its request ends | `ScopeHandle::spawn(tag, future)` (feature `tokio`), or `run_until_ended` |
//! | background work, named when a shutdown waits for it | `Scopes::tasks().spawn(tag, future)`, `Scopes::shutdown(deadline)` (feature `tokio`) |
//! | a request's body, whatever the client does | `http::collect(body, &buffers, Limits)`: bytes, frames and time bounded, a `BodyBudget` for all bodies together; `collect_or_spill` to a file (feature `spill`) |
//! | a boxed future without malloc | `Scope::boxed(future)` |
//! | state per request for middleware | `Interceptor` in a `Chain`, or in a `DynChain` made at run time; `Around` if it waits (`DynAroundChain`); `Scope::local::<S>()` |
//! | an access log, compressed responses | `http::AccessLog` (feature `tracing`), `http::Compression` (feature `compress`), in the chain |
//! | to see who holds memory, by name | `observe::Console` (feature `console`) on a private port: charts, alarms, oldest leases, pprof profiles |
//! | the same in Prometheus, or through the `metrics` facade | `observe::Snapshot` |
//! | figures of one's own handler | `bench::compare_services` (feature `bench`) |
//! | a server that starts, drains and ends in order | `tokio::Lifecycle`: hooks, background loops, readiness, a report of what outlived it |
//!
//! # The house
//!
//! | floor | modules | knows |
//! |---|---|---|
//! | porch | [`http`] (feature `http`; extractors with `axum`) | tower, hyper, axum |
//! | hall | [`request`], [`intercept`] | what one request owns, and who is handed what |
//! | rooms | [`pool`], [`buffer`], [`arena`] | memory; each usable on its own |
//! | basement | `raw`, private | every unsafe line |
//! | ground | `sync`, private | std or loom, decided once |
//!
//! Beside the stair stand [`observe`], which says who holds memory, [`bench`](mod@bench) (feature `bench`), which counts what the
//! heap does and compares two ways, and [`tokio`](mod@tokio) (feature `tokio`), which trims pools from a runtime, keeps background
//! tasks by tag, and waits for a server's end; with the feature `tracing`, tasks carry the current span.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod arena;
#[cfg(feature = "bench")]
pub mod bench;
pub mod buffer;
#[cfg(any(doc, doctest))]
pub mod guide;
#[cfg(feature = "http")]
pub mod http;
pub mod intercept;
pub mod observe;
pub mod pool;
pub mod request;
mod sync;
#[cfg(feature = "tokio")]
pub mod tokio;

#[cfg(not(all(loom, feature = "loom")))]
mod raw;
#[cfg(all(loom, feature = "loom"))]
#[doc(hidden)]
pub mod raw;

pub use arena::{Arena, ArenaFull};
pub use buffer::{BufferPool, PooledBuf, PooledBytes, PooledRope, RopeBytes};
pub use intercept::{Around, Chain, DynAroundChain, DynChain, Interceptor};
pub use pool::{DropReason, Pool, PoolBuilder, PoolDebug, PoolStats, Pooled, Reset, Verdict};
pub use request::{Ending, Outcome, RequestGuard, Scope, ScopeBox, ScopeEnded, ScopeHandle, ScopeStats, Scopes};
