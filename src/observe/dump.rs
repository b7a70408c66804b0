//! Who holds memory, as a table: taken without an allocation, so that it can be taken when memory is short.

use super::ledger::{Ledger, PoolEntry, TagEntry};
use crate::pool::TAGS;
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicU64;
use core::cmp::Reverse;
use core::fmt;
use core::time::Duration;
use std::time::Instant;

/// Pools that a dump tells apart; what further ones hold is in one row.
const POOLS: usize = 512;
const OTHERS: &str = "(others)";
/// Time between two dumps by [`Dump::take_at`], unless it is set.
const EVERY: Duration = Duration::from_secs(10);

/// Dumps taken so far.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Who holds memory at one moment: a row for each tag and each pool that holds some, the largest first.
///
/// It has room for all of them from the beginning, some 200 KB: taking and printing it allocates nothing.
///
/// # Examples
///
/// ```
/// use ebbtide::{BufferPool, observe::{Dump, DumpDiff, tagged}};
///
/// let buffers = BufferPool::new();
/// let (mut before, mut after) = (Dump::new(), Dump::new());
/// before.take();
/// let held: Vec<_> = (0..10).map(|_| tagged("thumbnails", || buffers.get(4096))).collect();
/// after.take();
/// assert!(after.to_string().contains("thumbnails"));
///
/// let mut diff = DumpDiff::new();
/// diff.take(&before, &after);
/// assert_eq!((diff.tags()[0].name, diff.tags()[0].values), ("thumbnails", 10));
/// # drop(held);
/// ```
#[derive(Debug)]
pub struct Dump {
    tags: Vec<TagEntry>,
    pools: Vec<PoolEntry>,
    /// Which one of all that were taken it is, from 1 on.
    serial: u64,
    every: Duration,
    last: Option<Instant>,
    withheld: u64,
}

impl Dump {
    /// A dump with nothing in it.
    ///
    /// **Cost**: its memory.
    #[must_use]
    pub fn new() -> Self {
        let (tags, pools) = (Vec::with_capacity(TAGS), Vec::with_capacity(POOLS));
        Self { tags, pools, serial: 0, every: EVERY, last: None, withheld: 0 }
    }

    /// The same with another time between two dumps by [`take_at`](Self::take_at). Default: 10 seconds.
    #[must_use]
    pub fn every(mut self, time: Duration) -> Self {
        self.every = time;
        self
    }

    /// Reads the books of the process.
    ///
    /// **Cost**: a look at each thread's counters for each tag and each pool, and a sort. No allocation.
    pub fn take(&mut self) {
        self.tags.clear();
        self.pools.clear();
        // Relaxed: it tells which is the earlier one to whoever has both.
        self.serial = TAKEN.fetch_add(1, Relaxed) + 1;
        let ledger = Ledger::process();
        ledger.each_tag(|entry| {
            if self.tags.len() < TAGS {
                self.tags.push(*entry);
            }
        });
        ledger.each_pool(|entry| self.add_pool(entry));
        self.tags.sort_unstable_by_key(|tag| (Reverse(tag.outstanding_bytes), tag.tag));
        self.pools.sort_unstable_by_key(|pool| (Reverse(pool.retained_bytes()), pool.pool, pool.class_bytes));
    }

    fn add_pool(&mut self, entry: &PoolEntry) {
        if self.pools.len() < POOLS {
            self.pools.push(*entry);
        } else if let Some(last) = self.pools.last_mut() {
            last.pool = OTHERS;
            last.class_bytes = 0;
            last.stats += entry.stats;
        }
    }

    /// Reads the books if the time since the last one by this call has passed, and says whether it did. The clock is the
    /// caller's.
    pub fn take_at(&mut self, now: Instant) -> bool {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < self.every) {
            self.withheld += 1;
            return false;
        }
        self.last = Some(now);
        self.take();
        true
    }

    /// Calls of [`take_at`](Self::take_at) that came too early.
    #[must_use]
    pub fn withheld(&self) -> u64 {
        self.withheld
    }

    /// The tags, the one with the most bytes on lease first.
    #[must_use]
    pub fn tags(&self) -> &[TagEntry] {
        &self.tags
    }

    /// The pools, the one with the most bytes first.
    #[must_use]
    pub fn pools(&self) -> &[PoolEntry] {
        &self.pools
    }
}

impl Default for Dump {
    fn default() -> Self {
        Self::new()
    }
}

/// Columns of numbers.
const NUMBERS: usize = 14;

/// The width of the column of names.
fn width<'a>(head: &str, names: impl Iterator<Item = &'a str>) -> usize {
    names.map(|name| name.chars().count()).fold(head.len(), usize::max)
}

/// A row: a name, and numbers.
fn row<N: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    width: usize,
    name: impl fmt::Display,
    numbers: &[N],
) -> fmt::Result {
    write!(f, "{name:width$}")?;
    for number in numbers {
        write!(f, " {number:>NUMBERS$}")?;
    }
    writeln!(f)
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = width("tag", self.tags.iter().map(|tag| tag.tag));
        row(f, head, "tag", &["on lease", "bytes", "idle", "idle bytes", "escaped", "imbalances", "tasks"])?;
        for tag in &self.tags {
            let &TagEntry { outstanding, outstanding_bytes, idle, idle_bytes, escaped, imbalances, tasks, .. } = tag;
            row(f, head, tag.tag, &[outstanding, outstanding_bytes, idle, idle_bytes, escaped, imbalances, tasks])?;
        }
        writeln!(f)?;
        let head = width("pool", self.pools.iter().map(|pool| pool.pool));
        row(f, head, "pool", &["class bytes", "on lease", "bytes", "idle", "idle bytes", "escaped"])?;
        for pool in &self.pools {
            let (leased, idle) = (pool.stats.outstanding(), pool.stats.idle);
            let (leased_bytes, escaped) = (pool.outstanding_bytes(), pool.stats.escaped());
            let numbers = [pool.class_bytes, leased, leased_bytes, idle, pool.idle_bytes(), escaped];
            row(f, head, pool.pool, &numbers)?;
        }
        Ok(())
    }
}

/// How much one tag or pool has grown between two dumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Growth {
    /// The tag, or the pool.
    pub name: &'static str,
    /// For a size class of a buffer pool, the size of its buffers in bytes; else 0.
    pub class_bytes: u64,
    /// Values on lease, more than before.
    pub values: i64,
    /// Bytes: of a tag, on lease; of a pool, on lease and idle. More than before.
    pub bytes: i64,
    /// Bytes that are idle, more than before.
    pub idle_bytes: i64,
}

/// The difference of two dumps, what has grown most first: a tag by what it has on lease, then by what it left idle, since what is on
/// lease is what leaks. What has not changed is not in it.
///
/// It has room for all rows from the beginning: taking and printing it allocates nothing. See [`Dump`].
#[derive(Debug)]
pub struct DumpDiff {
    tags: Vec<Growth>,
    pools: Vec<Growth>,
}

fn more(after: u64, before: u64) -> i64 {
    // What there is lies below 2^63; what values claim to keep may not.
    let most = i64::MAX as u64;
    if after >= before { (after - before).min(most) as i64 } else { -((before - after).min(most) as i64) }
}

fn sort(rows: &mut Vec<Growth>) {
    rows.retain(|row| (row.values, row.bytes, row.idle_bytes) != (0, 0, 0));
    rows.sort_unstable_by_key(|row| (Reverse(row.bytes), Reverse(row.idle_bytes), Reverse(row.values), row.name));
}

impl DumpDiff {
    /// A difference with nothing in it.
    ///
    /// **Cost**: its memory.
    #[must_use]
    pub fn new() -> Self {
        Self { tags: Vec::with_capacity(TAGS), pools: Vec::with_capacity(2 * POOLS) }
    }

    /// Compares two dumps: what has grown since the one that was taken first, in whatever order they are handed over.
    ///
    /// **Cost**: each row of one is looked for in the other. No allocation.
    pub fn take(&mut self, before: &Dump, after: &Dump) {
        let (before, after) = if before.serial <= after.serial { (before, after) } else { (after, before) };
        self.tags.clear();
        // A tag is never forgotten, so that each of the earlier ones is in the later dump.
        self.tags.extend(after.tags.iter().map(|tag| {
            let before = before.tags.iter().find(|before| before.tag == tag.tag).copied().unwrap_or_default();
            Growth {
                name: tag.tag,
                class_bytes: 0,
                values: more(tag.outstanding, before.outstanding),
                bytes: more(tag.outstanding_bytes, before.outstanding_bytes),
                idle_bytes: more(tag.idle_bytes, before.idle_bytes),
            }
        }));
        self.pools.clear();
        after.pools.iter().for_each(|pool| self.add(pool, 1));
        before.pools.iter().for_each(|pool| self.add(pool, -1));
        sort(&mut self.tags);
        sort(&mut self.pools);
    }

    /// Adds what a pool holds, or takes it away. Pools of one name are one here.
    fn add(&mut self, pool: &PoolEntry, times: i64) {
        let of = |number| more(number, 0) * times;
        let [values, bytes, idle_bytes] = [pool.stats.outstanding(), pool.retained_bytes(), pool.idle_bytes()].map(of);
        let is_same = |row: &&mut Growth| (row.name, row.class_bytes) == (pool.pool, pool.class_bytes);
        if let Some(row) = self.pools.iter_mut().find(is_same) {
            row.values += values;
            row.bytes = row.bytes.saturating_add(bytes);
            row.idle_bytes = row.idle_bytes.saturating_add(idle_bytes);
        } else if self.pools.len() < 2 * POOLS {
            self.pools.push(Growth { name: pool.pool, class_bytes: pool.class_bytes, values, bytes, idle_bytes });
        }
    }

    /// The tags that have changed, the one that has grown most first.
    #[must_use]
    pub fn tags(&self) -> &[Growth] {
        &self.tags
    }

    /// The pools that have changed, the one that has grown most first. Pools of one name count together.
    #[must_use]
    pub fn pools(&self) -> &[Growth] {
        &self.pools
    }
}

impl Default for DumpDiff {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for DumpDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = width("tag", self.tags.iter().map(|row| row.name));
        row(f, head, "tag", &["on lease", "bytes", "idle bytes"])?;
        for tag in &self.tags {
            row(f, head, tag.name, &[tag.values, tag.bytes, tag.idle_bytes].map(Signed))?;
        }
        writeln!(f)?;
        let head = width("pool", self.pools.iter().map(|row| row.name));
        row(f, head, "pool", &["class bytes", "on lease", "bytes", "idle bytes"])?;
        for pool in &self.pools {
            write!(f, "{:head$} {:>NUMBERS$}", pool.name, pool.class_bytes)?;
            row(f, 0, "", &[pool.values, pool.bytes, pool.idle_bytes].map(Signed))?;
        }
        Ok(())
    }
}

/// A number that shows its sign, also a plus.
struct Signed(i64);

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>+NUMBERS$}", self.0)
    }
}
