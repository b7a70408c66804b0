//! The books of the tags' model, written as plainly as can be: a list of what is out, and sums.

use ebbtide::observe::{Ledger, TagEntry};
use std::collections::BTreeMap;
use std::ops::Range;

pub(super) const TAGS: [&str; 4] = ["one of a script", "two of a script", "three of a script", "four of a script"];
/// Pairs of tag and pool that are told apart in one request.
const PAIRS: usize = 8;

/// A value that is out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    tag: Option<usize>,
    bytes: u64,
    pool: usize,
    /// The request that answers for it.
    request: Option<usize>,
}

/// What the books say of one tag, but for what is not this model's.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sums {
    outstanding: [u64; 2],
    taken: [u64; 2],
    escaped: [u64; 2],
    imbalances: u64,
}

/// Requests and values, by the name of the tag, that of the pool, and its class in bytes.
type Kinds = BTreeMap<(&'static str, &'static str, u64), [u64; 2]>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Reading {
    tags: [Sums; TAGS.len()],
    kinds: Kinds,
    unaudited: u64,
}

pub(super) struct Tally {
    /// What the books said before the script, with what it should have added since.
    foretold: Reading,
    /// Name and class of each pool that ever was.
    pools: Vec<(&'static str, u64)>,
    /// What each request has out, by tag and pool; `None` once it has ended.
    requests: Vec<Option<BTreeMap<(usize, usize), u64>>>,
}

impl Sums {
    fn of(entry: &TagEntry) -> Self {
        Self {
            outstanding: [entry.outstanding, entry.outstanding_bytes],
            taken: [entry.taken, entry.taken_bytes],
            escaped: [entry.escaped, entry.escaped_bytes],
            imbalances: entry.imbalances,
        }
    }
}

impl Reading {
    fn now() -> Self {
        let ledger = Ledger::process();
        let (mut tags, mut kinds) = ([Sums::default(); TAGS.len()], Kinds::new());
        ledger.each_tag(|entry| {
            if let Some(at) = TAGS.iter().position(|tag| *tag == entry.tag) {
                tags[at] = Sums::of(entry);
            }
        });
        ledger.each_imbalance(|kind| {
            let sums = kinds.insert((kind.tag, kind.pool, kind.class_bytes), [kind.requests, kind.values]);
            assert_eq!(sums, None, "{kind:?} has one line");
        });
        Self { tags, kinds, unaudited: ledger.unaudited() }
    }
}

fn add(sums: &mut [u64; 2], bytes: u64) {
    *sums = [sums[0] + 1, sums[1] + bytes];
}

impl Tally {
    pub(super) fn new(pools: impl Into<Vec<(&'static str, u64)>>) -> Self {
        Self { foretold: Reading::now(), pools: pools.into(), requests: Vec::new() }
    }

    /// A pool begins; its number.
    pub(super) fn pool(&mut self, name: &'static str, class_bytes: u64) -> usize {
        self.pools.push((name, class_bytes));
        self.pools.len() - 1
    }

    /// A request begins.
    pub(super) fn request(&mut self) {
        self.requests.push(Some(BTreeMap::new()));
    }

    /// A value was taken. How many bytes it is charged with the books say, which may choose within `bytes`.
    pub(super) fn took(
        &mut self,
        tag: Option<usize>,
        pool: usize,
        request: Option<usize>,
        bytes: Range<usize>,
    ) -> Entry {
        let Some(tag) = tag else { return Entry { tag, bytes: 0, pool, request: None } };
        let sums = &mut self.foretold.tags[tag];
        let charged = Reading::now().tags[tag].taken[1] - sums.taken[1];
        assert!(bytes.contains(&(charged as usize)), "{charged} charged for {bytes:?}");
        add(&mut sums.taken, charged);
        add(&mut sums.outstanding, charged);
        let request = request.filter(|&request| self.answers(request, (tag, pool)));
        Entry { tag: Some(tag), bytes: charged, pool, request }
    }

    /// Whether there is room for one more in what the request has out.
    fn answers(&mut self, request: usize, pair: (usize, usize)) -> bool {
        let out = self.requests[request].as_mut().expect("a request that has not ended");
        let is_full = out.len() == PAIRS && !out.contains_key(&pair);
        if is_full {
            self.foretold.unaudited += 1;
        } else {
            *out.entry(pair).or_default() += 1;
        }
        !is_full
    }

    /// A value is out no longer.
    pub(super) fn came_back(&mut self, entry: Entry) {
        let Entry { tag: Some(tag), bytes, pool, request } = entry else { return };
        let [values, sum] = &mut self.foretold.tags[tag].outstanding;
        (*values, *sum) = (*values - 1, *sum - bytes);
        // What comes back late changes nothing.
        if let Some(out) = request.and_then(|request| self.requests[request].as_mut()) {
            *out.get_mut(&(tag, pool)).expect("it was taken") -= 1;
        }
    }

    /// A value has left its pool for good.
    pub(super) fn escaped(&mut self, entry: Entry) {
        self.came_back(entry);
        if let Some(tag) = entry.tag {
            add(&mut self.foretold.tags[tag].escaped, entry.bytes);
        }
    }

    /// A request has given back what it owns.
    pub(super) fn ended(&mut self, request: usize) {
        let out = self.requests[request].take().expect("it ends once");
        let mut is_counted = [false; TAGS.len()];
        for ((tag, pool), values) in out.into_iter().filter(|(_, values)| *values > 0) {
            let (name, class_bytes) = self.pools[pool];
            let kind = self.foretold.kinds.entry((TAGS[tag], name, class_bytes)).or_default();
            *kind = [kind[0] + 1, kind[1] + values];
            self.foretold.tags[tag].imbalances += u64::from(!is_counted[tag]);
            is_counted[tag] = true;
        }
    }

    pub(super) fn compare(&self) {
        assert_eq!(Reading::now(), self.foretold, "the books, and what the model foretells");
    }
}
