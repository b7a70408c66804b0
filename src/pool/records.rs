//! Leases that are looked at closely: a sample of them, or all of a thread, a scope, or the process.
//!
//! A record is found by where its node lies, under a lock: one lease in many is sampled, and what is exact is for tests.

use crate::raw::exit::at_exit;
use crate::raw::{sample, watch};
use crate::sync::Ordering::Relaxed;
use crate::sync::count::{AtomicU64, AtomicUsize};
use core::cell::{Cell, RefCell};
use core::fmt;
use core::panic::Location;
use core::time::Duration;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Sampled leases that are on record at once.
const SAMPLES: usize = 1024;
/// Words that a lease remembers: the last ones.
const CRUMBS: usize = 4;
/// How a process ends that had leases out.
const LEAKED: i32 = 86;

static RECORDS: Mutex<Option<HashMap<usize, Record>>> = Mutex::new(None);
static SAMPLED: AtomicUsize = AtomicUsize::new(0);
/// Leases that were to be sampled and found no room.
static UNRECORDED: AtomicU64 = AtomicU64::new(0);
static BACKTRACES: AtomicUsize = AtomicUsize::new(0);
static NEXT_SCOPE: AtomicU64 = AtomicU64::new(WHOLE_PROCESS + 1);
const WHOLE_PROCESS: u64 = 1;

thread_local! {
    /// The scope of this thread in which all leases are on record; 0 for none. The last one of `SCOPES`.
    static SCOPE: Cell<u64> = const { Cell::new(0) };
    /// Those that this thread has entered. They may be left in another order.
    static SCOPES: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    /// How often what is taken now was said to stay out.
    static FORGIVEN: Cell<usize> = const { Cell::new(0) };
}

/// The records, under their lock: the standard library's, which allocates nothing where threads wait for each other, while somebody counts
/// allocations. No code of a user runs under it, so that whoever poisoned it left it whole.
fn records() -> MutexGuard<'static, Option<HashMap<usize, Record>>> {
    RECORDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lease on record.
#[derive(Clone, Debug)]
pub struct LeaseRecord {
    pool: &'static str,
    class_bytes: u64,
    bytes: u64,
    tag: &'static str,
    site: &'static Location<'static>,
    crumbs: [Option<&'static str>; CRUMBS],
    /// When it was first seen, by whoever asks for ages.
    since: Option<Instant>,
    age: Duration,
    is_told: bool,
    is_sampled: bool,
    /// In which it is on record, and since when; 0 for none.
    scope: u64,
    entered: Option<Instant>,
    backtrace: Option<Arc<Backtrace>>,
}

type Record = LeaseRecord;

/// What a record begins with.
pub(super) struct Taken {
    pub(super) pool: (&'static str, u64),
    pub(super) bytes: usize,
    pub(super) tag: &'static str,
    pub(super) site: &'static Location<'static>,
}

impl LeaseRecord {
    fn new(Taken { pool, bytes, tag, site }: Taken, Why { scope, is_sampled }: Why) -> Self {
        Self {
            pool: pool.0,
            class_bytes: pool.1,
            bytes: bytes as u64,
            tag,
            site,
            crumbs: [None; CRUMBS],
            // A sample is seen by the clock of whoever asks, which may be any.
            since: None,
            age: Duration::ZERO,
            is_told: false,
            is_sampled,
            scope,
            entered: (scope != 0).then(Instant::now),
            backtrace: (BACKTRACES.load(Relaxed) > 0).then(|| Arc::new(Backtrace::force_capture())),
        }
    }

    /// What the lease's pool is called.
    #[must_use]
    pub fn pool(&self) -> &'static str {
        self.pool
    }

    /// For a buffer of a size class, its size in bytes; else 0.
    #[must_use]
    pub fn class_bytes(&self) -> u64 {
        self.class_bytes
    }

    /// The bytes that it was charged with when it was taken.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The tag under which it was taken; nothing if there was none.
    #[must_use]
    pub fn tag(&self) -> &'static str {
        self.tag
    }

    /// Where it was taken. Of a buffer that grew, where the crate made it grow.
    #[must_use]
    pub fn site(&self) -> &'static Location<'static> {
        self.site
    }

    /// The last four words that it was [touched](crate::Pooled::touch) with, the oldest first.
    pub fn crumbs(&self) -> impl Iterator<Item = &'static str> {
        self.crumbs.into_iter().flatten()
    }

    /// How long it has been out, at least: since the first look at it by the clock of
    /// [`LeakDetector::poll`](crate::observe::LeakDetector::poll).
    #[must_use]
    pub fn age(&self) -> Duration {
        self.age
    }

    /// The calls that led to it, where [they are captured](crate::observe::LeakDetector::with_backtraces).
    #[must_use]
    pub fn backtrace(&self) -> Option<&Backtrace> {
        self.backtrace.as_deref().filter(|trace| trace.status() == BacktraceStatus::Captured)
    }
}

impl fmt::Display for LeaseRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, bytes, tag, site, age, .. } = self;
        write!(f, "{bytes} bytes of `{pool}`")?;
        if !tag.is_empty() {
            write!(f, " under `{tag}`")?;
        }
        write!(f, ", taken at {site}, out for {age:?}")?;
        for (at, crumb) in self.crumbs().enumerate() {
            write!(f, "{} `{crumb}`", if at == 0 { ", touched:" } else { "," })?;
        }
        Ok(())
    }
}

/// Why a lease comes on record: in a scope, if that is not 0, or as a sample, or both.
#[derive(Clone, Copy)]
pub(super) struct Why {
    scope: u64,
    is_sampled: bool,
}

/// Whether the lease that was just taken the long way comes on record. To be asked once for each.
pub(super) fn wanted() -> Option<Why> {
    let is_sampled = sample::is_this();
    if FORGIVEN.get() > 0 {
        return None;
    }
    let scope = match SCOPE.get() {
        0 if watch::is_process() => WHOLE_PROCESS,
        scope => scope,
    };
    (scope != 0 || is_sampled).then_some(Why { scope, is_sampled })
}

/// Puts the lease whose node lies at `address` on record, if there is room.
#[cold]
pub(super) fn add(address: usize, why: Why, taken: Taken) -> bool {
    let why = Why { is_sampled: why.is_sampled && has_room(), ..why };
    if why.scope == 0 && !why.is_sampled {
        return false;
    }
    let record = Record::new(taken, why);
    records().get_or_insert_with(room).insert(address, record);
    true
}

/// Counts one more sample, if there is room.
fn has_room() -> bool {
    let has_room = SAMPLED.fetch_add(1, Relaxed) < SAMPLES;
    if !has_room {
        SAMPLED.fetch_sub(1, Relaxed);
        UNRECORDED.fetch_add(1, Relaxed);
    }
    has_room
}

/// Twice what samples take, so that they never make it grow.
fn room() -> HashMap<usize, Record> {
    HashMap::with_capacity(2 * SAMPLES)
}

/// Strikes a lease off.
#[cold]
pub(super) fn remove(address: usize) {
    let removed = records().as_mut().and_then(|records| {
        let removed = records.remove(&address);
        // Whoever looks passes all places, those of many leases that are gone too.
        if records.capacity() > 8 * records.len().max(SAMPLES) {
            records.shrink_to(2 * records.len().max(SAMPLES));
        }
        removed
    });
    if removed.is_some_and(|removed| removed.is_sampled) {
        SAMPLED.fetch_sub(1, Relaxed);
    }
}

/// Notes a word.
#[cold]
pub(super) fn touch(address: usize, crumb: &'static str) {
    if let Some(record) = records().as_mut().and_then(|records| records.get_mut(&address)) {
        if record.crumbs[CRUMBS - 1].is_some() {
            record.crumbs.rotate_left(1);
            record.crumbs[CRUMBS - 1] = None;
        }
        if let Some(free) = record.crumbs.iter_mut().find(|crumb| crumb.is_none()) {
            *free = Some(crumb);
        }
    }
}

/// Switches sampling: one lease in `every`, none for 0.
pub(crate) fn sample(every: usize) {
    if every > 0 {
        records().get_or_insert_with(room);
    }
    sample::set_every(every as u64);
}

pub(crate) fn capture_backtraces(yes: bool) {
    BACKTRACES.store(usize::from(yes), Relaxed);
}

/// Samples for which there was no room.
pub(crate) fn unrecorded() -> u64 {
    UNRECORDED.load(Relaxed)
}

/// The samples that are on record, with their ages at `now`. One that is seen for the first time begins to age.
pub(crate) fn samples(now: Instant) -> Vec<LeaseRecord> {
    let mut records = records();
    let samples = records.iter_mut().flat_map(HashMap::values_mut).filter(|record| record.is_sampled);
    samples.map(|record| record.aged(now).clone()).collect()
}

/// Shows `look` the samples that are older than `age` at `now`. It runs under the lock, and takes nothing from a pool.
pub(crate) fn each_old(now: Instant, age: Duration, mut look: impl FnMut(&mut LeaseRecord)) {
    for record in records().iter_mut().flat_map(HashMap::values_mut).filter(|record| record.is_sampled) {
        if record.aged(now).age > age {
            look(record);
        }
    }
}

/// The samples that are older than `age` at `now`, each once; and how many are so old.
pub(crate) fn newly_old(now: Instant, age: Duration) -> (Vec<LeaseRecord>, usize) {
    let (mut new, mut all) = (Vec::new(), 0);
    each_old(now, age, |record| {
        all += 1;
        if !core::mem::replace(&mut record.is_told, true) {
            new.push(record.clone());
        }
    });
    (new, all)
}

impl LeaseRecord {
    /// The record, with its age at `now`. A clock that goes back makes nothing younger.
    fn aged(&mut self, now: Instant) -> &mut Self {
        let since = *self.since.get_or_insert(now);
        self.age = self.age.max(now.saturating_duration_since(since));
        self
    }
}

/// Puts all that this thread takes on record, in a new scope or one that is there, until `leave`. Returns the scope.
pub(crate) fn enter(scope: Option<u64>) -> u64 {
    let scope = scope.unwrap_or_else(|| NEXT_SCOPE.fetch_add(1, Relaxed));
    watch::watch();
    // In the destructors of a thread there may be no list any more.
    let _ = SCOPES.try_with(|scopes| scopes.borrow_mut().push(scope));
    SCOPE.set(scope);
    scope
}

pub(crate) fn leave(scope: u64) {
    let last = SCOPES.try_with(|scopes| {
        let mut scopes = scopes.borrow_mut();
        if let Some(at) = scopes.iter().rposition(|&entered| entered == scope) {
            scopes.remove(at);
        }
        scopes.last().copied()
    });
    SCOPE.set(last.ok().flatten().unwrap_or(0));
    watch::unwatch();
}

/// Takes what is still on record of a scope, oldest first.
pub(crate) fn left_in(scope: u64) -> Vec<LeaseRecord> {
    let now = Instant::now();
    let mut left = Vec::new();
    if let Some(records) = records().as_mut() {
        records.retain(|_, record| {
            let is_left = record.scope == scope;
            if is_left {
                record.scope = 0;
                let age = record.entered.map_or(Duration::ZERO, |entered| now.saturating_duration_since(entered));
                left.push(Record { age, ..record.clone() });
            }
            record.is_sampled || !is_left
        });
    }
    left.sort_by_key(|record| record.entered);
    left
}

/// Runs `f`, whose leases come on no record.
pub(crate) fn forgiven<R>(f: impl FnOnce() -> R) -> R {
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            FORGIVEN.set(FORGIVEN.get() - 1);
        }
    }
    FORGIVEN.set(FORGIVEN.get() + 1);
    let _back = Back;
    f()
}

/// Puts all leases of the process on record from now on, and names what is out when it ends; it ends badly then.
pub(super) fn watch_process() {
    // Before anything is taken, so that the process's own counts of allocations do not see it.
    records().get_or_insert_with(room);
    watch::watch_process();
    at_exit(|| {
        let left = left_in(WHOLE_PROCESS);
        let mut stderr = std::io::stderr();
        for record in &left {
            // A process whose stderr is gone ends all the same.
            let _ = writeln!(stderr, "ebbtide: leaked: {record}");
        }
        if left.is_empty() { None } else { Some(LEAKED) }
    });
}
