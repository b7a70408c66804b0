//! `Pool` against a slow model that keeps every value in a list, and its own books.
//!
//! The model knows which values exist, what each of them has on the heap, who holds it, what is charged for it, and for what
//! reason one that comes back is dropped. It does not know which of the idle ones a pool hands out next, nor how far a trim
//! goes with those that wait at the thread's hand: those are the pool's to choose. It checks that the choice was a lawful one.

#[path = "books.rs"]
mod books;

use super::script::Script;
use books::{Back, Books, Bounds, Entry, REASONS, STEP};
use ebbtide::{Pool, PoolDebug, Pooled, Reset, Verdict};
use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Values of a pool that are leased at once, and detached ones.
const MOST: usize = 12;
/// Values made by one prefill, at most.
const PREFILL: usize = 4;

/// One step; the numbers are places and sizes, reduced to what is there when the step runs.
#[derive(Debug, Clone, Copy)]
enum Op {
    Get,
    TryGet,
    Put { size: usize },
    PutDetached,
    Prefill { values: usize },
    Fill { at: usize, size: usize },
    Shrink { at: usize },
    Spoil { at: usize },
    Bomb { at: usize },
    Return { at: usize },
    Detach { at: usize },
    ReturnOrphan { at: usize },
    Trim,
    TrimAt { seconds: u64 },
    Wait,
    Clear,
    Close,
    Renew,
}

/// The next step, and which of the two pools it is for.
fn next(script: &mut Script<'_>) -> Option<(Op, usize)> {
    let byte = script.next()?;
    let op = match byte % 32 {
        0..=5 => Op::Get,
        6 | 7 => Op::TryGet,
        8 => Op::Put { size: script.size()? },
        9 => Op::PutDetached,
        10 => Op::Prefill { values: script.place(PREFILL)? },
        11..=13 => Op::Fill { at: script.place(MOST)?, size: script.size()? },
        14 => Op::Shrink { at: script.place(MOST)? },
        15 => Op::Spoil { at: script.place(MOST)? },
        16 => Op::Bomb { at: script.place(MOST)? },
        17..=22 => Op::Return { at: script.place(MOST)? },
        23 => Op::Detach { at: script.place(MOST)? },
        24 => Op::ReturnOrphan { at: script.place(MOST)? },
        25 | 26 => Op::Trim,
        27 | 28 => Op::TrimAt { seconds: u64::from(script.next()? % 16) },
        29 => Op::Wait,
        30 => Op::Clear,
        // Few close, since nothing is kept afterwards.
        _ if script.next()? % 4 == 0 => Op::Close,
        _ => Op::Renew,
    };
    Some((op, usize::from(byte / 32 % 2)))
}

/// What all values of a script share: the next one's name, and the names of those that are gone.
#[derive(Debug, Default)]
struct Register {
    next: AtomicU64,
    gone: Mutex<Vec<u64>>,
}

impl Register {
    fn gone(&self) -> Vec<u64> {
        let mut gone = take(&mut *self.gone.lock().unwrap());
        gone.sort_unstable();
        gone
    }
}

/// A value that has a name, and that can ask to be thrown away.
#[derive(Debug)]
struct Value {
    name: u64,
    bytes: Vec<u8>,
    spoilt: bool,
    bomb: bool,
    register: Arc<Register>,
}

impl Value {
    fn new(register: &Arc<Register>) -> Self {
        let name = register.next.fetch_add(1, Ordering::Relaxed);
        Self { name, bytes: Vec::new(), spoilt: false, bomb: false, register: Arc::clone(register) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.register.gone.lock().unwrap().push(self.name);
    }
}

impl Reset for Value {
    fn reset(&mut self) -> Verdict {
        // Not `panic!`: a hook would print it, or stop a fuzzer, for a panic that is part of the script.
        if self.bomb {
            std::panic::resume_unwind(Box::new("a reset that panics"));
        }
        if self.spoilt {
            return Verdict::Discard;
        }
        self.bytes.reset()
    }
    fn retained_bytes(&self) -> usize {
        self.bytes.retained_bytes()
    }
    fn used_bytes(&self) -> usize {
        self.bytes.used_bytes()
    }
    fn poison(&mut self) {
        self.bytes.poison();
    }
    fn is_clean(&self) -> bool {
        self.bytes.is_clean() && !self.spoilt && !self.bomb
    }
}

/// A value as its pool is about to find it.
fn back(value: &Value) -> Back {
    let Value { bytes, spoilt, bomb, .. } = value;
    Back { bytes: bytes.capacity(), used: bytes.len(), spoilt: *spoilt, bomb: *bomb }
}

/// Bytes that a pool charges for an idle value besides what that has on the heap.
fn node_bytes() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| {
        let register = Arc::default();
        let pool = Pool::new(move || Value::new(&register));
        drop(pool.get());
        pool.stats().charged_bytes as usize
    })
}

fn bounds(script: &mut Script<'_>) -> Option<Bounds> {
    let (idle, switches) = (script.next()?, script.next()?);
    // Most pools have none.
    let is_on = |bit: u8| switches >= 192 && switches >> bit & 1 == 1;
    Some(Bounds {
        idle: usize::from(idle % 8),
        thread_idle: usize::from(idle / 8 % 4) + 1,
        idle_bytes: 4 * script.size()?,
        value_bytes: script.size()?,
        no_pool: is_on(0) && is_on(3),
        poison: is_on(1),
        verify: is_on(2),
        node_bytes: node_bytes(),
    })
}

fn build(bounds: Bounds, register: &Arc<Register>) -> Pool<Value> {
    let none = PoolDebug::none();
    let switched = if bounds.no_pool { none.no_pool() } else { none };
    let switched = if bounds.poison { switched.poison() } else { switched };
    let switched = if bounds.verify { switched.verify() } else { switched };
    let register = Arc::clone(register);
    Pool::builder()
        .max_idle(bounds.idle)
        .max_idle_bytes(bounds.idle_bytes)
        .max_value_bytes(bounds.value_bytes)
        .max_thread_idle(bounds.thread_idle)
        .age_every(Duration::from_secs(STEP))
        .debug(switched)
        .build(move || Value::new(&register))
}

/// A pool, its books, and what is out of it.
struct Model {
    pool: Pool<Value>,
    books: Books,
    leased: Vec<(Pooled<Value>, Entry)>,
    register: Arc<Register>,
}

/// What belongs to no pool.
struct Outside {
    detached: Vec<Value>,
    /// Leases whose pools are gone.
    orphans: Vec<Pooled<Value>>,
    begin: Instant,
    /// Seconds that the injected clock has gone since it began.
    seconds: u64,
}

/// Runs the script that `bytes` spell, with two pools. Panics where a pool does what no pool may.
pub(crate) fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let Some(bounds) = bounds(&mut script) else { return };
    let register = Arc::new(Register::default());
    let mut models = [(); 2].map(|()| Model::new(bounds, &register));
    let mut outside = Outside { detached: Vec::new(), orphans: Vec::new(), begin: Instant::now(), seconds: 0 };
    while let Some((op, of)) = next(&mut script) {
        outside.step(op, &register);
        models[of].step(op, &mut outside);
        models.iter().for_each(|model| model.compare(op));
        let mut gone: Vec<_> = models.iter_mut().flat_map(|model| take(&mut model.books.gone)).collect();
        gone.sort_unstable();
        assert_eq!(register.gone(), gone, "values that are gone after {op:?}");
    }
    end(models, outside, &register);
}

/// Everything is freed: with its pool, or when it comes back after the pool is gone.
fn end(models: [Model; 2], outside: Outside, register: &Register) {
    for Model { pool, books, leased, .. } in models {
        let mut idle: Vec<_> = books.idle.iter().map(|entry| entry.name).collect();
        idle.sort_unstable();
        drop(pool);
        assert_eq!(register.gone(), idle, "what was idle goes with its pool, and nothing else");
        let out = leased.len();
        drop(leased);
        assert_eq!(register.gone().len(), out, "what was out goes when it comes back");
    }
    let kept = outside.detached.len() + outside.orphans.len();
    drop(outside);
    assert_eq!(register.gone().len(), kept);
}

impl Outside {
    /// What a step does to what is in no pool.
    fn step(&mut self, op: Op, register: &Register) {
        match op {
            Op::ReturnOrphan { at } if at < self.orphans.len() => {
                let orphan = self.orphans.swap_remove(at);
                let name = orphan.name;
                drop(orphan);
                assert_eq!(register.gone(), [name], "freed when it came back");
            }
            Op::TrimAt { seconds } => self.seconds += seconds,
            _ => {}
        }
    }
}

impl Model {
    fn new(bounds: Bounds, register: &Arc<Register>) -> Self {
        let (pool, register) = (build(bounds, register), Arc::clone(register));
        Self { pool, books: Books::new(bounds), leased: Vec::new(), register }
    }

    fn step(&mut self, op: Op, outside: &mut Outside) {
        let Self { pool, books, .. } = self;
        match op {
            Op::Get if self.leased.len() < MOST => {
                let value = pool.get();
                self.took(value, op);
            }
            Op::TryGet if self.leased.len() < MOST => match pool.try_get() {
                Some(value) => {
                    assert!(!books.idle.is_empty(), "{op:?} gave {value:?} out of nothing");
                    self.took(value, op);
                }
                None => assert!(books.idle.is_empty(), "{op:?} gave nothing of {:?}", books.idle),
            },
            Op::Put { size } => {
                let mut value = Value::new(&self.register);
                value.bytes = vec![7; size];
                self.put(value);
            }
            Op::PutDetached => {
                if let Some(value) = outside.detached.pop() {
                    self.put(value);
                }
            }
            Op::Prefill { values } => self.prefill(values),
            Op::Trim => {
                let pool = self.pool.clone();
                self.trimmed(op, || pool.trim());
            }
            Op::TrimAt { .. } if books.is_due(outside.seconds) => {
                let (pool, now) = (self.pool.clone(), outside.begin + Duration::from_secs(outside.seconds));
                self.trimmed(op, || pool.trim_at(now));
            }
            Op::TrimAt { seconds } => {
                assert!(pool.trim_at(outside.begin + Duration::from_secs(outside.seconds)), "{seconds}");
            }
            Op::Wait => self.wait(op),
            Op::Clear => {
                pool.clear();
                books.emptied();
            }
            Op::Close => {
                pool.close();
                books.closed = true;
                books.emptied();
            }
            Op::Renew => self.renew(outside, op),
            Op::Get | Op::TryGet | Op::ReturnOrphan { .. } => {}
            Op::Fill { at, .. }
            | Op::Shrink { at }
            | Op::Spoil { at }
            | Op::Bomb { at }
            | Op::Return { at }
            | Op::Detach { at } => self.use_lease(op, at, outside),
        }
    }

    fn use_lease(&mut self, op: Op, at: usize, outside: &mut Outside) {
        let Some((value, _)) = self.leased.get_mut(at) else { return };
        match op {
            Op::Fill { size, .. } => value.bytes.extend(std::iter::repeat_n(9, size)),
            Op::Shrink { .. } => value.bytes.shrink_to_fit(),
            Op::Spoil { .. } => value.spoilt = true,
            Op::Bomb { .. } => value.bomb = true,
            Op::Return { .. } => {
                let (value, entry) = self.leased.swap_remove(at);
                self.books.came_back(entry, back(&value));
            }
            Op::Detach { .. } if outside.detached.len() < MOST => {
                let (value, entry) = self.leased.swap_remove(at);
                let (bytes, spoilt) = (value.bytes.clone(), value.spoilt);
                let value = Pooled::detach(value);
                assert_eq!((&value.bytes, value.spoilt), (&bytes, spoilt), "{op:?} changed the value");
                self.books.detached(entry);
                outside.detached.push(value);
            }
            _ => {}
        }
    }

    /// A lease: of an idle value, if there is one, as good as new.
    fn took(&mut self, value: Pooled<Value>, op: Op) {
        assert!(value.bytes.is_empty() && !value.spoilt && !value.bomb, "{op:?} gave {value:?}");
        let entry = if self.books.idle.is_empty() {
            self.books.make(value.name)
        } else {
            let entry = self.books.lend(value.name);
            entry.unwrap_or_else(|| panic!("{op:?} gave {value:?}, idle: {:?}", self.books.idle))
        };
        assert_eq!(value.bytes.capacity(), entry.bytes, "{op:?} gave {value:?}");
        self.leased.push((value, entry));
    }

    fn put(&mut self, value: Value) {
        self.books.came_back(Entry::new(value.name), back(&value));
        self.pool.put(value);
    }

    /// The factory's values are put one after the other, and count as no misses.
    fn prefill(&mut self, values: usize) {
        let first = self.register.next.load(Ordering::Relaxed);
        self.pool.prefill(values);
        for name in (first..).take(values) {
            let fresh = Back { bytes: 0, used: 0, spoilt: false, bomb: false };
            self.books.came_back(Entry::new(name), fresh);
        }
        assert_eq!(self.register.next.load(Ordering::Relaxed), first + values as u64);
    }

    /// One step of ageing, which is done in one call, since there is little to do.
    fn trimmed(&mut self, op: Op, trim: impl FnOnce() -> bool) {
        assert!(trim(), "{op:?} is not done");
        let gone = self.register.gone();
        self.books.aged(&gone);
        self.register.gone.lock().unwrap().extend(gone);
    }

    /// A wait that ends at once says whether the pool has ended, and if not, what is out.
    fn wait(&self, op: Op) {
        let ended = self.pool.wait_closed(Instant::now());
        let out = self.leased.len() as u64;
        match ended {
            Ok(()) => assert!(self.books.closed && out == 0, "{op:?} found an end with {out} out"),
            Err(left) => assert_eq!((left.values, left.is_closed), (out, self.books.closed), "{op:?}"),
        }
    }

    /// The last handle goes, while leases are out, and a new pool begins.
    fn renew(&mut self, outside: &mut Outside, op: Op) {
        let next = Self::new(self.books.bounds, &self.register);
        drop(self.pool.clone());
        self.compare(op);
        let Self { pool, mut books, leased, .. } = std::mem::replace(self, next);
        drop(pool);
        books.emptied();
        books.gone.sort_unstable();
        assert_eq!(self.register.gone(), books.gone, "freed with the last handle");
        outside.orphans.extend(leased.into_iter().map(|(value, _)| value));
    }

    fn compare(&self, op: Op) {
        let stats = self.pool.stats();
        let books = &self.books;
        let (out, idle) = (self.leased.len(), books.idle.len());
        assert_eq!((stats.outstanding() as usize, stats.idle as usize), (out, idle), "out and idle after {op:?}");
        assert_eq!(stats.live as usize, idle + out, "live after {op:?}");
        assert_eq!((stats.hits, stats.made), (books.hits, books.made), "hits and made after {op:?}");
        assert_eq!(REASONS.map(|reason| stats.drops(reason)), books.drops, "dropped after {op:?}, {books:?}");
        assert_eq!(stats.charged_bytes as usize, books.charged, "charged after {op:?}, {books:?}");
        assert!(idle <= books.bounds.idle && books.charged <= books.bounds.idle_bytes, "{books:?} after {op:?}");
    }
}
