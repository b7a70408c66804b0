//! Reading the books: an entry for each tag and each pool, handed to a closure, so that reading allocates nothing.

use crate::pool::{Imbalance, PoolStats, TagBooks, each_imbalance, each_pool, each_tag, part_of, unaudited};

/// What the process's pools have lent and keep, by tag and by pool.
///
/// # Examples
///
/// ```
/// use ebbtide::{Pool, observe::Ledger};
///
/// let pool = Pool::builder().name("parsers").build(Vec::<u8>::new);
/// let lease = pool.get();
/// let mut outstanding = 0;
/// Ledger::process().each_pool(|entry| {
///     if entry.pool == "parsers" {
///         outstanding = entry.stats.outstanding();
///     }
/// });
/// assert_eq!(outstanding, 1);
/// # drop(lease);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Ledger(());

/// What one tag holds. A tag is an interceptor, a background task, or what a user named so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TagEntry {
    /// The name that was given.
    pub tag: &'static str,
    /// Values that are on lease, taken under this tag.
    pub outstanding: u64,
    /// Bytes of these, by the capacity that they were charged with when they were taken.
    pub outstanding_bytes: u64,
    /// Values that a lease under this tag gave back, the last one of those with a tag, and that their pools still have: idle ones, and
    /// those that are lent under no name meanwhile.
    pub idle: u64,
    /// Bytes of these, by the capacity that they are charged with.
    pub idle_bytes: u64,
    /// Values taken since the process began.
    pub taken: u64,
    /// Bytes of these.
    pub taken_bytes: u64,
    /// Values taken out of their pool for good since the process began.
    pub escaped: u64,
    /// Bytes of these.
    pub escaped_bytes: u64,
    /// Requests that ended while values that they had taken under this tag were still out, since the process began.
    pub imbalances: u64,
    /// Background tasks that are alive.
    pub tasks: u64,
}

/// What one pool lends and keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolEntry {
    /// What the pool is called.
    pub pool: &'static str,
    /// For a size class of a buffer pool, the size of its buffers in bytes; else 0.
    pub class_bytes: u64,
    /// Its numbers. The charged bytes of a size class are its own, not those of the bound that all classes share.
    pub stats: PoolStats,
}

impl PoolEntry {
    /// Bytes of what is idle: of buffers of a size class their size, of other values the mean of what is charged.
    #[must_use]
    pub fn idle_bytes(&self) -> u64 {
        self.of_class(self.stats.idle).unwrap_or_else(|| self.stats.idle_bytes())
    }

    /// Bytes charged to the pool's bound: of what is idle, and of leased values as they were when they were last idle.
    #[must_use]
    pub fn retained_bytes(&self) -> u64 {
        self.stats.charged_bytes
    }

    /// Bytes of what is on lease, as [`idle_bytes`](Self::idle_bytes) counts them. So a buffer of a size class counts also beyond
    /// the pool's bounds, and another value not before it is charged.
    #[must_use]
    pub fn outstanding_bytes(&self) -> u64 {
        self.of_class(self.stats.outstanding()).unwrap_or_else(|| self.stats.outstanding_bytes())
    }

    /// Bytes of what was taken out for good since the pool began: of values without a size class the mean of those that were made.
    #[must_use]
    pub fn escaped_bytes(&self) -> u64 {
        let escaped = self.stats.escaped();
        self.of_class(escaped).unwrap_or_else(|| part_of(self.stats.made_bytes, escaped, self.stats.made))
    }

    /// Bytes of so many buffers, in the entry of a size class.
    fn of_class(&self, values: u64) -> Option<u64> {
        (self.class_bytes != 0).then(|| self.class_bytes.saturating_mul(values))
    }
}

impl TagEntry {
    fn of(books: &TagBooks) -> Self {
        let &TagBooks { name, taken, escaped, outstanding, idle, imbalances, tasks } = books;
        Self {
            tag: name,
            outstanding: outstanding.values,
            outstanding_bytes: outstanding.bytes,
            idle: idle.values,
            idle_bytes: idle.bytes,
            taken: taken.values,
            taken_bytes: taken.bytes,
            escaped: escaped.values,
            escaped_bytes: escaped.bytes,
            imbalances,
            tasks,
        }
    }

    /// Bytes of what is on lease under this tag, and of what it left idle.
    #[must_use]
    pub fn retained_bytes(&self) -> u64 {
        self.outstanding_bytes.saturating_add(self.idle_bytes)
    }
}

impl Ledger {
    /// The books of this process.
    #[must_use]
    pub fn process() -> Self {
        Self(())
    }

    /// Hands the entry of each tag to `look`, in the order in which tags were first seen.
    ///
    /// **Cost**: a look at each thread's counters for each tag; no allocation.
    pub fn each_tag(&self, mut look: impl FnMut(&TagEntry)) {
        each_tag(|books| look(&TagEntry::of(&books)));
    }

    /// Hands what requests left out when they had ended to `look`: a line for each tag and pool, the first 64 that were seen.
    /// [`TagEntry::imbalances`] counts all.
    ///
    /// A request is audited for what it takes under tags while it is [current](crate::request::with_current), as it is in
    /// all that the http layer polls. What still is with a scope that outlived its guard is not out: it is looked at when
    /// everything that the request owns was given back. A response frame that the server has not written yet is out. What such a late scope's
    /// request takes under a tag is audited if it had taken something under one before its guard was gone.
    pub fn each_imbalance(&self, look: impl FnMut(&Imbalance)) {
        each_imbalance(look);
    }

    /// Values that requests took under a tag and that were not audited, for lack of room: it is there for 1,024 requests at once
    /// that take something under a tag, and for 8 pairs of tag and pool in each.
    #[must_use]
    pub fn unaudited(&self) -> u64 {
        unaudited()
    }

    /// Hands the entry of each pool to `look`, in no order; of a buffer pool, one for each size class that it has used, and one for
    /// buffers that it does not keep.
    ///
    /// **Cost**: a lock for each pool, and a look at each thread's values; no allocation.
    pub fn each_pool(&self, mut look: impl FnMut(&PoolEntry)) {
        each_pool(|pool, class_bytes, stats| look(&PoolEntry { pool, class_bytes, stats }));
    }
}
