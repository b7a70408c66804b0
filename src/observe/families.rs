//! What is exported under which name: the one table that the Prometheus text and the `metrics` facade are made from.
//!
//! Names follow the rules of Prometheus: prefix, base unit, `_total` on what only grows.

use super::ledger::{PoolEntry, TagEntry};
use super::snapshot::Snapshot;
use crate::pool::Times;

/// How a number may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Up and down.
    Gauge,
    /// Up, until the process ends.
    Counter,
}

/// A number of every entry, under one name.
#[derive(Debug)]
pub(super) struct Family<E> {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) of: fn(&E) -> u64,
}

const fn gauge<E>(name: &'static str, help: &'static str, of: fn(&E) -> u64) -> Family<E> {
    Family { name, kind: Kind::Gauge, help, of }
}

const fn counter<E>(name: &'static str, help: &'static str, of: fn(&E) -> u64) -> Family<E> {
    Family { name, kind: Kind::Counter, help, of }
}

/// Of the process: no label.
pub(super) const PROCESS: [Family<Snapshot>; 6] = [
    gauge("ebbtide_in_use_bytes", "Bytes that are on lease from all pools.", |all| {
        all.sum(PoolEntry::outstanding_bytes)
    }),
    gauge("ebbtide_idle_bytes", "Bytes that wait in all pools.", |all| all.sum(PoolEntry::idle_bytes)),
    gauge(
        "ebbtide_retained_bytes",
        "Bytes that stand in the budget of the process: idle ones, and those of leased values.",
        Snapshot::retained_bytes,
    ),
    counter(
        "ebbtide_allocated_bytes_total",
        "Bytes that all pools allocated; its rate is the allocation rate.",
        |all| all.total(|entry| entry.stats.made_bytes),
    ),
    gauge("ebbtide_oldest_lease_seconds", "Age of the oldest lease that a leak detector has on record.", |all| {
        all.oldest_lease().as_secs()
    }),
    counter(
        "ebbtide_unaudited_total",
        "Values that requests took under a tag, and that were not audited for lack of room.",
        Snapshot::unaudited,
    ),
];

/// Of each tag: label `tag`.
pub(super) const TAG: [Family<TagEntry>; 11] = [
    gauge("ebbtide_tag_in_use_bytes", "Bytes on lease that were taken under this tag.", |tag| tag.outstanding_bytes),
    gauge(
        "ebbtide_tag_idle_bytes",
        "Bytes of values that leases under this tag gave back, and that are kept.",
        |tag| tag.idle_bytes,
    ),
    gauge("ebbtide_tag_retained_bytes", "Bytes in use and idle of this tag.", TagEntry::retained_bytes),
    gauge("ebbtide_tag_outstanding", "Values on lease that were taken under this tag.", |tag| tag.outstanding),
    gauge("ebbtide_tag_idle", "Values that leases under this tag gave back, and that are kept.", |tag| tag.idle),
    gauge("ebbtide_tag_tasks", "Background tasks of this tag that are alive.", |tag| tag.tasks),
    counter("ebbtide_tag_taken_total", "Values taken under this tag.", |tag| tag.taken),
    counter("ebbtide_tag_taken_bytes_total", "Bytes taken under this tag.", |tag| tag.taken_bytes),
    counter("ebbtide_tag_escaped_total", "Values taken out of their pool for good under this tag.", |tag| tag.escaped),
    counter("ebbtide_tag_escaped_bytes_total", "Bytes of values taken out of their pool for good.", |tag| {
        tag.escaped_bytes
    }),
    counter("ebbtide_tag_imbalances_total", "Requests that ended while values of this tag were still out.", |tag| {
        tag.imbalances
    }),
];

/// Of each pool: label `pool`, and of a size class of buffers `class_bytes`. What has escaped is what is left of other numbers that are read one after
/// the other, and so may fall by some for a moment: no counter.
pub(super) const POOL: [Family<PoolEntry>; 12] = [
    gauge("ebbtide_pool_in_use_bytes", "Bytes on lease from this pool.", |pool| pool.outstanding_bytes()),
    gauge("ebbtide_pool_idle_bytes", "Bytes that wait in this pool.", |pool| pool.idle_bytes()),
    gauge("ebbtide_pool_retained_bytes", "Bytes charged to this pool's bound.", PoolEntry::retained_bytes),
    gauge("ebbtide_pool_outstanding", "Values on lease from this pool.", |pool| pool.stats.outstanding()),
    gauge("ebbtide_pool_idle", "Values that wait in this pool.", |pool| pool.stats.idle),
    gauge("ebbtide_pool_escaped", "Values taken out of this pool for good so far.", |pool| pool.stats.escaped()),
    gauge("ebbtide_pool_escaped_bytes", "Bytes of these.", PoolEntry::escaped_bytes),
    gauge("ebbtide_pool_peak_live", "The most values of this pool that existed at once.", |pool| pool.stats.peak_live),
    counter("ebbtide_pool_hits_total", "Values that were found waiting.", |pool| pool.stats.hits),
    counter("ebbtide_pool_misses_total", "Values that had to be made.", |pool| pool.stats.made),
    counter("ebbtide_pool_fetches_total", "Chains of values fetched from the tier that threads share.", |pool| {
        pool.stats.fetches
    }),
    counter(
        "ebbtide_pool_allocated_bytes_total",
        "Bytes of values made, and of their growth seen on return.",
        |pool| pool.stats.made_bytes,
    ),
];

/// Of each pool and [reason](crate::DropReason): labels as of each pool, and `reason`.
pub(super) const DROPS: (&str, &str) = ("ebbtide_pool_drops_total", "Values that were dropped instead of kept.");

/// Of each [kind](kinds) of reclaim, in seconds: label `kind`.
pub(super) const RECLAIMS: (&str, &str) =
    ("ebbtide_reclaim_seconds", "How long memory took to go back: calls of trim, and a sample of requests' ends.");

/// The kinds of reclaims, by name.
pub(super) fn kinds(snapshot: &Snapshot) -> [(&'static str, &Times); 2] {
    let reclaims = snapshot.reclaims();
    [("trim", &reclaims.trims), ("request", &reclaims.requests)]
}
