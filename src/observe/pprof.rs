//! The books as a pprof profile (feature `observe`): `go tool pprof` and flame-graph viewers open it.
//!
//! Within one sample type every value and byte stands once, so that the shares of `-top` add up.

mod calls;
mod wire;

use super::ledger::PoolEntry;
use super::snapshot::Snapshot;
use crate::pool::records::LeaseRecord;
use calls::{Call, calls};
use core::panic::Location;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::BTreeMap;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};
use wire::Message;

/// What each sample has a number of, and its unit.
const TYPES: [(&str, &str); 8] = [
    ("outstanding_objects", "count"),
    ("outstanding_bytes", "bytes"),
    ("idle_bytes", "bytes"),
    ("pool_outstanding_objects", "count"),
    ("pool_outstanding_bytes", "bytes"),
    ("pool_idle_bytes", "bytes"),
    ("allocated_bytes", "bytes"),
    ("tasks", "count"),
];
/// The type that viewers show first.
const SHOWN: &str = "outstanding_bytes";
/// Where that is counted which was taken under no tag.
const NO_TAG: &str = "(no tag)";

/// A profile of what is held, by tag, call site and pool, in the format of pprof.
///
/// | sample type | by | labels |
/// |---|---|---|
/// | `outstanding_objects`, `outstanding_bytes` (shown first) | tag, then call site where leases were sampled | `tag` |
/// | `idle_bytes` | tag that left it idle | `tag` |
/// | `pool_outstanding_objects`, `pool_outstanding_bytes` | pool, size class of buffers, call site as above | `pool`, `class_bytes` |
/// | `pool_idle_bytes`, `allocated_bytes` (since the process began) | pool, size class of buffers | `pool`, `class_bytes` |
/// | `tasks` that are alive | tag | `tag` |
///
/// What pools have lent under no tag, and what is idle of none, stands under `(no tag)`. The numbers of a tag and of a pool are those of
/// the ledger, except that tags share what is idle in all pools where they tell of more: some of theirs is lent under no name then. Call
/// sites share the numbers in proportion to the leases that were sampled at each, and where none was sampled there is none. Where the
/// [calls were captured](super::LeakDetector::with_backtraces) that led there, they stand in its place, by name, file and line as far as the program has
/// symbols; the crate's own at their inner end are left out.
///
/// `docs/profiles.md` in the repository shows what to ask of it.
///
/// # Examples
///
/// ```
/// use ebbtide::{Pool, observe::{Ledger, Profile, Snapshot}};
/// use std::time::SystemTime;
///
/// let pool = Pool::builder().name("parsers").build(Vec::<u8>::new);
/// let lease = pool.get();
/// let mut snapshot = Snapshot::new();
/// snapshot.take(&Ledger::process());
///
/// let mut file = Vec::new(); // or a file: then `go tool pprof -top FILE`
/// Profile::new(&snapshot).write(SystemTime::now(), &mut file)?;
/// assert_eq!(file[..2], [0x1f, 0x8b], "it is compressed by gzip");
/// # drop(lease);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Profile<'a> {
    snapshot: &'a Snapshot,
    /// What was sampled of each owner, by call site, or by the calls that led there, innermost first.
    sites: BTreeMap<Owner<'a>, BTreeMap<Vec<Call>, Sampled>>,
}

/// Whose values are shared out among call sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner<'a> {
    Tag(&'a str),
    /// By name and size class.
    Pool(&'a str, u64),
}

/// Leases that were sampled at one place.
#[derive(Clone, Copy, Debug, Default)]
struct Sampled {
    objects: u64,
    bytes: u64,
}

impl<'a> Profile<'a> {
    /// A profile of what a snapshot says.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, sites: BTreeMap::new() }
    }

    /// Adds leases that were sampled, by [`LeakDetector::leases`](super::LeakDetector::leases).
    pub fn add_leases(&mut self, leases: &'a [LeaseRecord]) {
        for lease in leases {
            let calls = calls(lease.site(), lease.backtrace());
            self.add(lease.tag(), (lease.pool(), lease.class_bytes()), calls, lease.bytes());
        }
    }

    /// Adds a sampled lease: `bytes` that were taken at `site`, under `tag` (nothing if there was none), from a pool by name and
    /// size class (0 if it has none).
    pub fn add_lease(&mut self, tag: &'a str, (pool, class_bytes): (&'a str, u64), site: &'a Location<'_>, bytes: u64) {
        self.add(tag, (pool, class_bytes), calls(site, None), bytes);
    }

    fn add(&mut self, tag: &'a str, (pool, class_bytes): (&'a str, u64), calls: Vec<Call>, bytes: u64) {
        let tag = if tag.is_empty() { NO_TAG } else { tag };
        for owner in [Owner::Tag(tag), Owner::Pool(pool, class_bytes)] {
            let sampled = self.sites.entry(owner).or_default().entry(calls.clone()).or_default();
            sampled.objects += 1;
            sampled.bytes = sampled.bytes.saturating_add(bytes);
        }
    }

    /// Writes the profile, compressed by gzip.
    ///
    /// **Cost**: it allocates for the whole profile, some 100 bytes an entry of the snapshot, and for the calls that led to sampled leases.
    ///
    /// # Errors
    ///
    /// Only what `out` answers.
    pub fn write(&self, now: SystemTime, out: impl io::Write) -> io::Result<()> {
        let mut out = GzEncoder::new(out, Compression::fast());
        io::Write::write_all(&mut out, self.encode(now).as_bytes())?;
        out.finish().map(drop)
    }

    fn encode(&self, now: SystemTime) -> Message {
        let mut tables = Tables::default();
        tables.string(""); // the first string has to be this one
        for (name, unit) in TYPES {
            let kind = tables.value_type(name, unit);
            tables.add(1, &kind);
        }
        // One mapping, with functions, files and lines: so a viewer looks for no binary to find them in.
        let mapping = Message::new().number(1, 1).number(5, tables.string("ebbtide"));
        tables.add(3, &mapping.number(7, 1).number(8, 1).number(9, 1));
        self.tags(&mut tables);
        self.pools(&mut tables);
        let nanos = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let shown = tables.string(SHOWN);
        let kind = tables.value_type("space", "bytes");
        let message = tables.finish();
        message.number(9, u64::try_from(nanos).unwrap_or(0)).message(11, &kind).number(12, 1).number(14, shown)
    }

    fn tags(&self, tables: &mut Tables) {
        let sum = |of: fn(&PoolEntry) -> u64| self.snapshot.sum(of);
        let mut objects = sum(|pool| pool.stats.outstanding());
        let (mut bytes, mut idle) = (sum(PoolEntry::outstanding_bytes), sum(PoolEntry::idle_bytes));
        let mut kept: u128 = self.snapshot.tags().iter().map(|tag| u128::from(tag.idle_bytes)).sum();
        for entry in self.snapshot.tags() {
            objects = objects.saturating_sub(entry.outstanding);
            bytes = bytes.saturating_sub(entry.outstanding_bytes);
            self.tag(tables, entry.tag, entry.outstanding, entry.outstanding_bytes);
            // All of it, unless there is less in the pools than the tags have left there.
            let mine = share(idle, entry.idle_bytes, kept.max(idle.into()));
            (idle, kept) = (idle - mine, kept - u128::from(entry.idle_bytes));
            tables.sample(&[Call::named(entry.tag)], &[("tag", entry.tag)], [0, 0, mine, 0, 0, 0, 0, entry.tasks]);
        }
        self.tag(tables, NO_TAG, objects, bytes);
        tables.sample(&[Call::named(NO_TAG)], &[("tag", NO_TAG)], [0, 0, idle, 0, 0, 0, 0, 0]);
    }

    fn tag(&self, tables: &mut Tables, tag: &'a str, objects: u64, bytes: u64) {
        self.shared_out(Owner::Tag(tag), objects, bytes, |calls, objects, bytes| {
            let stack = [calls, &[Call::named(tag)]].concat();
            tables.sample(&stack, &[("tag", tag)], [objects, bytes, 0, 0, 0, 0, 0, 0]);
        });
    }

    fn pools(&self, tables: &mut Tables) {
        for entry in self.snapshot.pools() {
            let stats = &entry.stats;
            let class = (entry.class_bytes != 0).then(|| format!("{} bytes", entry.class_bytes));
            let class = class.as_deref();
            let frames: Vec<_> = class.into_iter().chain([entry.pool]).map(Call::named).collect();
            let labels: Vec<_> =
                class.map(|class| ("class_bytes", class)).into_iter().chain([("pool", entry.pool)]).collect();
            tables.sample(&frames, &labels, [0, 0, 0, 0, 0, entry.idle_bytes(), stats.made_bytes, 0]);
            let owner = Owner::Pool(entry.pool, entry.class_bytes);
            self.shared_out(owner, stats.outstanding(), entry.outstanding_bytes(), |calls, objects, bytes| {
                let stack = [calls, &frames].concat();
                tables.sample(&stack, &labels, [0, 0, 0, objects, bytes, 0, 0, 0]);
            });
        }
    }

    /// Shares out what an owner has among the places where its leases were sampled; whole, and without a place, if none was.
    fn shared_out(&self, owner: Owner<'a>, mut objects: u64, mut bytes: u64, mut put: impl FnMut(&[Call], u64, u64)) {
        let Some(sites) = self.sites.get(&owner) else { return put(&[], objects, bytes) };
        let sum = |of: fn(&Sampled) -> u64| sites.values().map(|site| u128::from(of(site))).sum::<u128>();
        let (mut sampled_objects, mut sampled_bytes) = (sum(|site| site.objects), sum(|site| site.bytes));
        for (calls, site) in sites {
            // Of what is left, so that the last place gets all the rest and nothing is lost by rounding.
            let (mine, mine_bytes) =
                (share(objects, site.objects, sampled_objects), share(bytes, site.bytes, sampled_bytes));
            put(calls, mine, mine_bytes);
            (objects, bytes) = (objects - mine, bytes - mine_bytes);
            sampled_objects -= u128::from(site.objects);
            sampled_bytes -= u128::from(site.bytes);
        }
    }
}

/// The part of `all` that falls to `some` of `sum`.
fn share(all: u64, some: u64, sum: u128) -> u64 {
    let share = u128::from(all) * u128::from(some) / sum.max(1);
    u64::try_from(share).unwrap_or(all)
}

/// The profile as it grows: what is named by number, and what has been written.
#[derive(Debug, Default)]
struct Tables {
    strings: BTreeMap<String, u64>,
    /// By the numbers of name and file.
    functions: BTreeMap<(u64, u64), u64>,
    /// By the function's number, and the line.
    locations: BTreeMap<(u64, u32), u64>,
    written: Message,
}

impl Tables {
    fn add(&mut self, field: u64, message: &Message) {
        self.written = core::mem::take(&mut self.written).message(field, message);
    }

    fn string(&mut self, text: &str) -> u64 {
        if let Some(&number) = self.strings.get(text) {
            return number;
        }
        let number = self.strings.len() as u64;
        self.strings.insert(text.to_owned(), number);
        number
    }

    fn value_type(&mut self, name: &str, unit: &str) -> Message {
        Message::new().number(1, self.string(name)).number(2, self.string(unit))
    }

    fn function(&mut self, call: &Call) -> u64 {
        let (name, file) = (self.string(&call.name), self.string(&call.file));
        let next = self.functions.len() as u64 + 1; // 0 would mean none
        let number = *self.functions.entry((name, file)).or_insert(next);
        if number == next {
            self.add(5, &Message::new().number(1, number).number(2, name).number(4, file));
        }
        number
    }

    fn location(&mut self, call: &Call) -> u64 {
        let function = self.function(call);
        let next = self.locations.len() as u64 + 1; // 0 would mean none
        let number = *self.locations.entry((function, call.line)).or_insert(next);
        if number == next {
            let line = Message::new().number(1, function).number(2, call.line.into());
            self.add(4, &Message::new().number(1, number).number(2, 1).message(4, &line));
        }
        number
    }

    /// A sample, unless all its numbers are zero. The innermost frame comes first.
    fn sample(&mut self, stack: &[Call], labels: &[(&str, &str)], values: [u64; TYPES.len()]) {
        if values == [0; TYPES.len()] {
            return;
        }
        // To who reads them they have a sign.
        let values = values.map(|value| value.min(i64::MAX as u64));
        let stack: Vec<_> = stack.iter().map(|call| self.location(call)).collect();
        let mut sample = Message::new().numbers(1, &stack).numbers(2, &values);
        for (key, value) in labels {
            sample = sample.message(3, &Message::new().number(1, self.string(key)).number(2, self.string(value)));
        }
        self.add(2, &sample);
    }

    fn finish(self) -> Message {
        let mut strings: Vec<_> = self.strings.into_iter().collect();
        strings.sort_unstable_by_key(|&(_, number)| number);
        strings.iter().fold(self.written, |written, (text, _)| written.bytes(6, text.as_bytes()))
    }
}
