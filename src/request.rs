//! What one request owns.
//!
//! [`Scopes`] hands out one recyclable slot a request. Its [`RequestGuard`] owns the request; [`Scope`]s pin it
//! while code works with it, [`ScopeHandle`]s refer to it without keeping it. When the guard is dropped, all
//! that the request took goes back at once.
//!
//! Which right a token stands for, and who owns the content in which state, is in the tables of `raw/slot.rs`.

mod boxed;
mod builder;
mod cleanup;
mod content;
mod current;
mod ended;
mod ending;
mod guard;
#[cfg(feature = "http")]
mod hold;
mod local;
mod roll;
mod scope;
mod scopes;
mod shutdown;
mod stats;
mod usage;

pub use boxed::ScopeBox;
pub use builder::ScopesBuilder;
pub use cleanup::Cleanup;
pub use current::with_current;
pub use ended::Ended;
pub use ending::{Ending, Outcome};
pub use guard::RequestGuard;
pub use local::{LocalBusy, LocalRef};
pub use roll::Tagged;
pub use scope::{Scope, ScopeEnded, ScopeHandle};
pub use scopes::Scopes;
pub use shutdown::{ShuttingDown, Survivors};
pub use stats::ScopeStats;

#[cfg(feature = "http")]
pub(crate) use crate::raw::slot::Step;
pub(crate) use content::Content;
#[cfg(feature = "http")]
pub(crate) use hold::{Carried, Hold};
#[cfg(feature = "tokio")]
pub(crate) use shutdown::LOOK_EVERY;
