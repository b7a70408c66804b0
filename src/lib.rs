//! Request memory that flows back.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(loom, feature = "loom"))]
#[doc(hidden)]
pub mod raw;
#[cfg(not(all(loom, feature = "loom")))]
mod raw;
mod sync;
