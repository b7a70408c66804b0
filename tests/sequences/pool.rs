//! `Pool` against a slow model that keeps every idle value in a list.
//!
//! The model knows which values exist, what each of them has on the heap and who holds it. It does not know
//! which of the idle ones a pool hands out next, nor which it drops when its bounds are reached: those are
//! the pool's to choose. It checks that the choice was a lawful one.

use super::script::Script;
use ebbtide::{DropReason, Pool, PoolStats, Pooled, Reset, Verdict};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Values that are leased at once, and as many detached ones.
const MOST: usize = 12;

/// One step; the numbers are places and sizes, reduced to what is there when the step runs.
#[derive(Debug, Clone, Copy)]
enum Op {
    Get,
    TryGet,
    Put { size: usize },
    Fill { at: usize, size: usize },
    Shrink { at: usize },
    Spoil { at: usize },
    Bomb { at: usize },
    Return { at: usize },
    Detach { at: usize },
    PutDetached,
    Clear,
    Close,
}

fn next(script: &mut Script<'_>) -> Option<Op> {
    let op = script.next()?;
    Some(match op % 32 {
        0..=6 => Op::Get,
        7 | 8 => Op::TryGet,
        9 | 10 => Op::Put { size: script.size()? },
        11..=14 => Op::Fill { at: script.place(MOST)?, size: script.size()? },
        15 => Op::Shrink { at: script.place(MOST)? },
        16 => Op::Spoil { at: script.place(MOST)? },
        17 => Op::Bomb { at: script.place(MOST)? },
        18..=25 => Op::Return { at: script.place(MOST)? },
        26..=28 => Op::Detach { at: script.place(MOST)? },
        29 => Op::PutDetached,
        30 => Op::Clear,
        // Few scripts close, since nothing is kept afterwards.
        _ if script.next()? == 0 => Op::Close,
        _ => Op::Clear,
    })
}

/// A value that knows how many of its kind are alive, and that can ask to be thrown away.
#[derive(Debug)]
struct Value {
    bytes: Vec<u8>,
    spoilt: bool,
    bomb: bool,
    alive: Arc<AtomicUsize>,
}

impl Value {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self { bytes: Vec::new(), spoilt: false, bomb: false, alive: Arc::clone(alive) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
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
}

/// Bounds of the pool, small enough for scripts to reach.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    idle: usize,
    idle_bytes: usize,
    value_bytes: usize,
}

struct Model {
    pool: Pool<Value>,
    bounds: Bounds,
    alive: Arc<AtomicUsize>,
    /// Leases, and the bytes that each had on the heap when it was idle last.
    leased: Vec<(Pooled<Value>, usize)>,
    detached: Vec<Value>,
    /// Bytes that each idle value has on the heap, in no order.
    idle: Vec<usize>,
    made: u64,
    /// Values dropped so far, by reason.
    drops: [u64; REASONS.len()],
    closed: bool,
}

const REASONS: [DropReason; 6] = [
    DropReason::Oversize,
    DropReason::Full,
    DropReason::Budget,
    DropReason::Verdict,
    DropReason::Panicked,
    DropReason::Closed,
];

/// Bytes of a value and of what the pool puts around it, at most.
const BOX: usize = size_of::<Value>() + 64;

fn dropped(stats: &PoolStats) -> [u64; REASONS.len()] {
    REASONS.map(|reason| stats.drops(reason))
}

/// Runs the script that `bytes` spell. Panics where the pool does what no pool may.
pub(crate) fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let (Some(idle), Some(idle_bytes), Some(value_bytes)) = (script.next(), script.size(), script.size()) else {
        return;
    };
    let bounds = Bounds { idle: usize::from(idle % 8), idle_bytes: 4 * idle_bytes, value_bytes };
    let alive = Arc::new(AtomicUsize::new(0));
    let factory = {
        let alive = Arc::clone(&alive);
        move || Value::new(&alive)
    };
    let pool = Pool::builder()
        .max_idle(bounds.idle)
        .max_idle_bytes(bounds.idle_bytes)
        .max_value_bytes(bounds.value_bytes)
        .build(factory);
    let mut model = Model {
        pool,
        bounds,
        alive,
        leased: Vec::new(),
        detached: Vec::new(),
        idle: Vec::new(),
        made: 0,
        drops: [0; REASONS.len()],
        closed: false,
    };
    while let Some(op) = next(&mut script) {
        model.step(op);
        model.compare(op);
    }
    model.end();
}

impl Model {
    fn step(&mut self, op: Op) {
        match op {
            Op::Get if self.leased.len() < MOST => {
                let value = self.pool.get();
                self.took(value, op);
            }
            Op::TryGet if self.leased.len() < MOST => match self.pool.try_get() {
                Some(value) => {
                    assert!(!self.idle.is_empty(), "{op:?} gave {value:?} out of nothing");
                    self.took(value, op);
                }
                None => assert_eq!(self.idle, [0; 0], "{op:?} gave nothing"),
            },
            Op::Put { size } => {
                let mut value = Value::new(&self.alive);
                value.bytes = vec![7; size];
                self.put(value, op);
            }
            Op::PutDetached => {
                if let Some(value) = self.detached.pop() {
                    self.put(value, op);
                }
            }
            Op::Clear => {
                self.pool.clear();
                self.emptied();
            }
            Op::Close => {
                self.pool.close();
                self.closed = true;
                self.emptied();
            }
            Op::Get | Op::TryGet => {}
            Op::Fill { at, .. }
            | Op::Shrink { at }
            | Op::Spoil { at }
            | Op::Bomb { at }
            | Op::Return { at }
            | Op::Detach { at } => self.use_lease(op, at),
        }
    }

    fn use_lease(&mut self, op: Op, at: usize) {
        let Some((value, _)) = self.leased.get_mut(at) else { return };
        match op {
            Op::Fill { size, .. } => value.bytes.extend(std::iter::repeat_n(9, size)),
            Op::Shrink { .. } => value.bytes.shrink_to_fit(),
            Op::Spoil { .. } => value.spoilt = true,
            Op::Bomb { .. } => value.bomb = true,
            Op::Return { .. } => {
                let (value, _) = self.leased.swap_remove(at);
                let (bytes, broken) = (value.bytes.capacity(), value.spoilt || value.bomb);
                drop(value);
                self.came_back(bytes, broken, op);
            }
            Op::Detach { .. } if self.detached.len() < MOST => {
                let (bytes, spoilt) = (value.bytes.clone(), value.spoilt);
                let value = Pooled::detach(self.leased.swap_remove(at).0);
                assert_eq!((&value.bytes, value.spoilt), (&bytes, spoilt), "{op:?} changed the value");
                self.detached.push(value);
            }
            _ => {}
        }
    }

    /// A lease: of an idle value, if there is one, as good as new.
    fn took(&mut self, value: Pooled<Value>, op: Op) {
        assert!(value.bytes.is_empty() && !value.spoilt && !value.bomb, "{op:?} gave {value:?}");
        if self.idle.is_empty() {
            self.made += 1;
            assert_eq!(value.bytes.capacity(), 0, "{op:?} gave a value that the factory did not make");
        } else {
            let same = self.idle.iter().position(|bytes| *bytes == value.bytes.capacity());
            self.idle.swap_remove(same.unwrap_or_else(|| panic!("{op:?} gave {value:?}, idle: {:?}", self.idle)));
        }
        let bytes = value.bytes.capacity();
        self.leased.push((value, bytes));
    }

    fn put(&mut self, value: Value, op: Op) {
        let (bytes, broken) = (value.bytes.capacity(), value.spoilt || value.bomb);
        self.pool.put(value);
        self.came_back(bytes, broken, op);
    }

    /// A value came back: it waits now, or it was dropped for a reason that holds.
    fn came_back(&mut self, bytes: usize, broken: bool, op: Op) {
        let Bounds { idle, idle_bytes, value_bytes } = self.bounds;
        let stats = self.pool.stats();
        let drops = dropped(&stats);
        let reason = (0..REASONS.len()).find(|at| drops[*at] > self.drops[*at]).map(|at| REASONS[at]);
        let holds = match reason {
            None => !broken && !self.closed && bytes <= value_bytes,
            Some(DropReason::Oversize) => bytes + BOX > value_bytes,
            // A leased value keeps its place.
            Some(DropReason::Full) => self.idle.len() + self.leased.len() >= idle,
            Some(DropReason::Budget) => stats.charged_bytes as usize + bytes + BOX > idle_bytes,
            Some(DropReason::Verdict | DropReason::Panicked) => broken,
            Some(_) => self.closed,
        };
        assert!(holds, "{op:?}: {bytes} bytes were kept or dropped ({reason:?}), {:?}, {stats:?}", self.bounds);
        match reason {
            None => self.idle.push(bytes),
            Some(reason) => self.drops[reason as usize] += 1,
        }
    }

    /// All idle values were dropped.
    fn emptied(&mut self) {
        self.drops[DropReason::Closed as usize] += self.idle.len() as u64;
        self.idle.clear();
    }

    fn compare(&self, op: Op) {
        let Self { bounds, idle, .. } = self;
        let stats = self.pool.stats();
        let out = self.leased.len();
        assert_eq!(stats.outstanding() as usize, out, "out after {op:?}");
        assert_eq!(stats.idle as usize, idle.len(), "idle after {op:?}");
        assert_eq!(stats.live as usize, idle.len() + out, "live after {op:?}");
        assert_eq!(stats.made, self.made, "made after {op:?}");
        assert_eq!(dropped(&stats), self.drops, "dropped after {op:?}");
        let alive = self.alive.load(Ordering::Relaxed);
        assert_eq!(alive, idle.len() + out + self.detached.len(), "values that exist after {op:?}");
        assert!(idle.len() <= bounds.idle, "{idle:?} idle after {op:?}, {bounds:?}");
        let charged = stats.charged_bytes as usize;
        let least: usize = idle.iter().sum();
        let most = least + self.leased.iter().map(|(_, bytes)| bytes).sum::<usize>() + BOX * (idle.len() + out);
        assert!(least <= charged && charged <= most, "{charged} charged, {least} to {most} kept after {op:?}");
        assert!(charged <= bounds.idle_bytes, "{charged} charged after {op:?}, {bounds:?}");
    }

    /// Everything is freed: with the pool, or when it comes back after the pool is gone.
    fn end(self) {
        let Self { pool, alive, leased, detached, idle, .. } = self;
        let (out, kept) = (leased.len(), detached.len());
        drop(pool);
        assert_eq!(alive.load(Ordering::Relaxed), out + kept, "{idle:?} were idle when the pool went");
        drop((leased, detached));
        assert_eq!(alive.load(Ordering::Relaxed), 0, "at the end");
    }
}
