//! Ground: the one place that decides between std and loom.
//!
//! Everything above takes its atomics, its `Arc` and its queue from here. In a model run (`--cfg loom`
//! with the feature `loom`) they are loom's, so that a model sees every access; `crossbeam-queue`
//! cannot be seen by loom and gives way to a small port of the same algorithm. Statistics use std's
//! atomics everywhere: they publish nothing and would only multiply the executions of a model.

#[cfg(all(loom, feature = "loom"))]
mod modelled;
#[cfg(all(loom, feature = "loom"))]
#[path = "raw/ring.rs"]
mod ring;

#[cfg(all(loom, feature = "loom"))]
pub(crate) use {
    loom::sync::Arc,
    modelled::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, fence},
    ring::Ring as Queue,
};

#[cfg(not(all(loom, feature = "loom")))]
pub(crate) use {
    crossbeam_queue::ArrayQueue as Queue,
    std::sync::Arc,
    std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, fence},
};

pub(crate) use std::sync::atomic::Ordering;

/// Atomics that count and never publish: std's, in models too.
pub(crate) mod count {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
}
