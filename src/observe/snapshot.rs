//! One reading of the books, merged by name (and size class) and kept for several looks: what every export reads.
//!
//! # Invariants
//!
//! (a) Entries are sorted by name, and no two have the same one: a series that appears twice is an error to Prometheus.
//! (b) A name once seen keeps its entry, with zeros while nothing stands under it, and there are at most [`NAMES`] of
//!     them. So a series neither moves to another name nor vanishes between two scrapes.
//! (c) Bytes that are there now add up to the most there is at most; bytes counted since the beginning wrap, as their counters
//!     do: so what is between two readings is right.

use super::ledger::{Ledger, PoolEntry, TagEntry};
use crate::pool::records::LeaseRecord;
use crate::pool::{Reclaims, process_bytes};
use core::time::Duration;

/// Names of tags, and of pools, that have an entry of their own.
const NAMES: usize = 1024;
/// The name that all further ones stand under.
const OTHERS: &str = "(others)";

/// The books at one moment: an entry for each tag, and for each name of a pool and size class of buffers, sorted by name.
///
/// Pools of one name stand in one entry, with their sums. 1,024 tags and 1,024 names and classes of pools have entries of their own, in
/// the order in which this snapshot first saw them; all others stand together under `(others)`. A name that was seen
/// stays, with zeros. Keep one snapshot and [`take`](Self::take) it again: its memory is reused.
///
/// Where several pools of one name live and one of them ends, its counters go out of the sum, which looks to Prometheus as if
/// the process had restarted.
///
/// # Examples
///
/// ```
/// use ebbtide::{Pool, observe::{Ledger, Snapshot}};
///
/// let pool = Pool::builder().name("parsers").build(Vec::<u8>::new);
/// let lease = pool.get();
/// let mut snapshot = Snapshot::new();
/// snapshot.take(&Ledger::process());
///
/// let mut text = String::new();
/// snapshot.write_prometheus(&mut text)?;
/// assert!(text.contains("ebbtide_pool_outstanding{pool=\"parsers\"} 1\n"));
/// # drop(lease);
/// # Ok::<(), std::fmt::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    tags: Vec<TagEntry>,
    pools: Vec<PoolEntry>,
    retained_bytes: u64,
    unaudited: u64,
    oldest_lease: Duration,
    reclaims: Reclaims,
}

impl Snapshot {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the books anew.
    ///
    /// **Cost**: that of [`Ledger::each_tag`] and [`Ledger::each_pool`], and a search by name for each entry. It allocates for names
    /// that it has not seen yet, and then no more.
    pub fn take(&mut self, ledger: &Ledger) {
        for entry in &mut self.tags {
            *entry = TagEntry { tag: entry.tag, ..TagEntry::default() };
        }
        for entry in &mut self.pools {
            *entry = PoolEntry { pool: entry.pool, class_bytes: entry.class_bytes, ..PoolEntry::default() };
        }
        self.retained_bytes = process_bytes() as u64;
        self.unaudited = ledger.unaudited();
        self.oldest_lease = Duration::ZERO;
        self.reclaims = Reclaims::of_process();
        ledger.each_tag(|entry| self.add_tag(entry));
        ledger.each_pool(|entry| self.add_pool(entry));
    }

    /// Adds an entry to that of its tag: [`take`](Self::take) does so with each tag of the ledger.
    pub fn add_tag(&mut self, entry: &TagEntry) {
        let new = |tag| TagEntry { tag, ..TagEntry::default() };
        let mine = slot(&mut self.tags, entry.tag, OTHERS, |mine| mine.tag, new);
        mine.outstanding += entry.outstanding;
        mine.outstanding_bytes = mine.outstanding_bytes.saturating_add(entry.outstanding_bytes);
        mine.idle += entry.idle;
        mine.idle_bytes = mine.idle_bytes.saturating_add(entry.idle_bytes);
        mine.taken += entry.taken;
        mine.taken_bytes = mine.taken_bytes.wrapping_add(entry.taken_bytes);
        mine.escaped += entry.escaped;
        mine.escaped_bytes = mine.escaped_bytes.wrapping_add(entry.escaped_bytes);
        mine.imbalances += entry.imbalances;
        mine.tasks += entry.tasks;
    }

    /// Adds an entry to that of its pool: [`take`](Self::take) does so with each pool of the ledger.
    pub fn add_pool(&mut self, entry: &PoolEntry) {
        let new = |(pool, class_bytes)| PoolEntry { pool, class_bytes, ..PoolEntry::default() };
        let name = (entry.pool, entry.class_bytes);
        let mine = slot(&mut self.pools, name, (OTHERS, 0), |mine| (mine.pool, mine.class_bytes), new);
        mine.stats += entry.stats;
    }

    /// The entry of each tag, sorted by name.
    #[must_use]
    pub fn tags(&self) -> &[TagEntry] {
        &self.tags
    }

    /// The entry of each name of a pool and size class of buffers, sorted by name and size.
    #[must_use]
    pub fn pools(&self) -> &[PoolEntry] {
        &self.pools
    }

    /// What is there now, of all pools together, by (c).
    pub(super) fn sum(&self, of: impl Fn(&PoolEntry) -> u64) -> u64 {
        self.pools.iter().map(of).fold(0, u64::saturating_add)
    }

    /// What was counted since the beginning, of all pools together, by (c).
    pub(super) fn total(&self, of: impl Fn(&PoolEntry) -> u64) -> u64 {
        self.pools.iter().map(of).fold(0, u64::wrapping_add)
    }

    /// Bytes that all pools of the process keep: see [`process_bytes`].
    #[must_use]
    pub fn retained_bytes(&self) -> u64 {
        self.retained_bytes
    }

    /// Values that requests took under a tag and that were not audited: see [`Ledger::unaudited`].
    #[must_use]
    pub fn unaudited(&self) -> u64 {
        self.unaudited
    }

    /// Notes the age of the oldest of these leases, such as [`LeakDetector::leases`](super::LeakDetector::leases) tells. To be
    /// called after [`take`](Self::take), which forgets it.
    pub fn note_leases(&mut self, leases: &[LeaseRecord]) {
        self.oldest_lease = leases.iter().map(LeaseRecord::age).fold(self.oldest_lease, Duration::max);
    }

    /// The age of the oldest lease that was noted; zero if there is none.
    #[must_use]
    pub fn oldest_lease(&self) -> Duration {
        self.oldest_lease
    }

    /// How long memory took to go back.
    #[must_use]
    pub fn reclaims(&self) -> &Reclaims {
        &self.reclaims
    }
}

/// The entry of a name, or of all others if there are too many names.
fn slot<E, N: Copy + Ord>(
    entries: &mut Vec<E>,
    mut name: N,
    others: N,
    of: impl Fn(&E) -> N,
    new: impl FnOnce(N) -> E,
) -> &mut E {
    let mut found = entries.binary_search_by_key(&name, &of);
    if found.is_err() && entries.len() >= NAMES {
        name = others;
        found = entries.binary_search_by_key(&name, &of);
    }
    let at = found.unwrap_or_else(|at| {
        entries.insert(at, new(name));
        at
    });
    &mut entries[at]
}

#[cfg(test)]
mod tests {
    use super::{NAMES, OTHERS, Snapshot};
    use crate::observe::{Ledger, PoolEntry, TagEntry};

    fn tag(tag: &'static str, outstanding: u64) -> TagEntry {
        TagEntry { tag, outstanding, ..TagEntry::default() }
    }

    #[test]
    fn entries_of_one_name_are_one_and_names_are_sorted() {
        let mut snapshot = Snapshot::new();
        for (name, values) in [("b", 1), ("a", 2), ("b", 4)] {
            snapshot.add_tag(&tag(name, values));
            snapshot.add_pool(&PoolEntry { pool: name, ..PoolEntry::default() });
        }
        assert_eq!(snapshot.tags(), [tag("a", 2), tag("b", 5)]);
        assert_eq!(snapshot.pools().iter().map(|entry| entry.pool).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn names_beyond_the_limit_stand_together_and_known_ones_stay_where_they_are() {
        let names: Vec<&'static str> = (0..NAMES + 10).map(|name| &*format!("tag {name:04}").leak()).collect();
        let mut snapshot = Snapshot::new();
        // Backwards, so that the late ones would come first.
        names.iter().rev().for_each(|name| snapshot.add_tag(&tag(name, 1)));
        let of = |snapshot: &Snapshot, name| snapshot.tags().iter().find(|entry| entry.tag == name).copied();
        assert_eq!((snapshot.tags().len(), of(&snapshot, OTHERS)), (NAMES + 1, Some(tag(OTHERS, 10))));
        names.iter().for_each(|name| snapshot.add_tag(&tag(name, 1)));
        assert_eq!((snapshot.tags().len(), of(&snapshot, OTHERS)), (NAMES + 1, Some(tag(OTHERS, 20))));
        assert_eq!(of(&snapshot, names[NAMES + 9]), Some(tag(names[NAMES + 9], 2)));
    }

    #[test]
    fn a_name_that_is_gone_stays_with_zeros() {
        let mut snapshot = Snapshot::new();
        snapshot.add_tag(&tag("nobody takes under this", 3));
        snapshot.take(&Ledger::process());
        assert!(snapshot.tags().contains(&tag("nobody takes under this", 0)));
    }
}
