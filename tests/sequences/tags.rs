//! The books by tag against a slow model that keeps every value in a list, with who has it and who left it idle.
//!
//! The model does not foretell which idle value a pool hands out, or which ones it frees: it sees them by name. It checks that
//! after every step the books say of each tag what the list says.

use super::script::Script;
use ebbtide::observe::{LeakScope, Ledger, tagged};
use ebbtide::{Pool, Pooled, Reset, Verdict};
use std::collections::BTreeMap;
use std::mem::take;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

/// Values that are leased at once.
const MOST: usize = 12;
const TAGS: [&str; 3] = ["sequence: first", "sequence: second", "sequence: third"];

/// One step; the numbers are places and sizes, reduced to what is there when the step runs.
#[derive(Debug, Clone, Copy)]
enum Op {
    /// Under a tag, or under none.
    Get {
        tag: Option<usize>,
        elsewhere: bool,
    },
    /// Under no tag, on record, and back at once.
    Recorded {
        grows: bool,
    },
    Fill {
        at: usize,
        size: usize,
    },
    Shrink {
        at: usize,
    },
    Spoil {
        at: usize,
    },
    Return {
        at: usize,
        elsewhere: bool,
    },
    ReturnInPanic {
        at: usize,
    },
    Detach {
        at: usize,
    },
    Trim,
    Clear,
    Renew,
}

fn next(script: &mut Script<'_>) -> Option<Op> {
    let byte = script.next()?;
    Some(match byte % 32 {
        number @ 0..=11 => {
            let tag = usize::from(number % 4);
            Op::Get { tag: (tag < TAGS.len()).then_some(tag), elsewhere: byte >= 192 }
        }
        12 => Op::Recorded { grows: byte >= 128 },
        13..=15 => Op::Fill { at: script.place(MOST)?, size: script.size()? },
        16 => Op::Shrink { at: script.place(MOST)? },
        17 => Op::Spoil { at: script.place(MOST)? },
        18..=25 => Op::Return { at: script.place(MOST)?, elsewhere: byte >= 192 },
        26 => Op::ReturnInPanic { at: script.place(MOST)? },
        27 | 28 => Op::Detach { at: script.place(MOST)? },
        29 => Op::Trim,
        30 => Op::Clear,
        _ => Op::Renew,
    })
}

/// What all values of a script share: the next one's name, and the names of those that are gone.
#[derive(Debug, Default)]
struct Register {
    next: AtomicU64,
    gone: Mutex<Vec<u64>>,
}

#[derive(Debug)]
struct Value {
    name: u64,
    bytes: Vec<u8>,
    spoilt: bool,
    register: Arc<Register>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.register.gone.lock().unwrap().push(self.name);
    }
}

impl Reset for Value {
    fn reset(&mut self) -> Verdict {
        if self.spoilt { Verdict::Discard } else { self.bytes.reset() }
    }
    fn retained_bytes(&self) -> usize {
        self.bytes.retained_bytes()
    }
    fn used_bytes(&self) -> usize {
        self.bytes.used_bytes()
    }
}

fn build(register: &Arc<Register>, idle: usize, bytes: usize, thread_idle: usize) -> Pool<Value> {
    let register = Arc::clone(register);
    let builder = Pool::builder().max_idle(idle).max_idle_bytes(bytes).max_thread_idle(thread_idle);
    builder.build(move || Value {
        name: register.next.fetch_add(1, Ordering::Relaxed),
        bytes: Vec::new(),
        spoilt: false,
        register: Arc::clone(&register),
    })
}

/// Bytes that a pool charges for an idle value besides what that has on the heap.
fn node_bytes() -> u64 {
    static BYTES: OnceLock<u64> = OnceLock::new();
    *BYTES.get_or_init(|| {
        let pool = build(&Arc::default(), 1, 1 << 20, 1);
        drop(pool.get());
        pool.stats().charged_bytes
    })
}

/// What is written down of a value that lives in the pool.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// The tag that it is on lease under, and the bytes that it was taken with.
    lease: Option<(usize, u64)>,
    /// The tag that it is idle of, or was when it was lent under none.
    kept_by: Option<usize>,
    /// What it is charged.
    bytes: u64,
}

/// What the books say of one tag, or are to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Said {
    outstanding: (u64, u64),
    idle: (u64, u64),
    taken: u64,
    escaped: u64,
}

fn said() -> [Said; TAGS.len()] {
    let mut all = [Said::default(); TAGS.len()];
    Ledger::process().each_tag(|entry| {
        if let Some(tag) = TAGS.iter().position(|&tag| tag == entry.tag) {
            let outstanding = (entry.outstanding, entry.outstanding_bytes);
            let idle = (entry.idle, entry.idle_bytes);
            all[tag] = Said { outstanding, idle, taken: entry.taken, escaped: entry.escaped };
            assert_eq!(entry.retained_bytes(), entry.outstanding_bytes + entry.idle_bytes);
        }
    });
    all
}

struct Model {
    pool: Pool<Value>,
    bounds: (usize, usize, usize),
    register: Arc<Register>,
    leased: Vec<Pooled<Value>>,
    values: BTreeMap<u64, Entry>,
    /// Of each tag, since the process began.
    taken: [u64; TAGS.len()],
    escaped: [u64; TAGS.len()],
}

/// Runs the script that `bytes` spell. Panics where the books are wrong.
pub(crate) fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let Some(mut model) = Model::new(&mut script) else { return };
    model.compare("the beginning");
    while let Some(op) = next(&mut script) {
        model.step(op);
        model.compare(op);
    }
    // What is out comes back to a pool that is gone.
    model.step(Op::Renew);
    model.leased.clear();
    model.forget_gone();
    assert!(model.values.is_empty(), "{:?} are left", model.values);
    model.compare("the end");
}

impl Model {
    fn new(script: &mut Script<'_>) -> Option<Self> {
        let (idle, bytes) = (script.next()?, 4 * script.size()?);
        let bounds = (usize::from(idle % 8), bytes, usize::from(idle / 8 % 4) + 1);
        let register = Arc::default();
        let pool = build(&register, bounds.0, bounds.1, bounds.2);
        let so_far = said();
        let (taken, escaped) = (so_far.map(|said| said.taken), so_far.map(|said| said.escaped));
        Some(Self { pool, bounds, register, leased: Vec::new(), values: BTreeMap::new(), taken, escaped })
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Get { tag, elsewhere } if self.leased.len() < MOST => {
                let pool = &self.pool;
                let get = || tag.map_or_else(|| pool.get(), |tag| tagged(TAGS[tag], || pool.get()));
                let value = if elsewhere { on_another_thread(get) } else { get() };
                self.took(&value, tag);
                self.leased.push(value);
            }
            Op::Recorded { grows } => {
                let leaks = LeakScope::enter();
                let mut value = self.pool.get();
                self.took(&value, None);
                if grows {
                    value.bytes.reserve(600);
                }
                self.back(value, drop);
                leaks.check();
            }
            Op::Trim => assert!(self.pool.trim(), "there is little to do"),
            Op::Clear => self.pool.clear(),
            Op::Renew => {
                // What is out comes back to a pool that is closed.
                let (idle, bytes, thread_idle) = self.bounds;
                self.pool = build(&self.register, idle, bytes, thread_idle);
            }
            Op::Get { .. } => {}
            Op::Fill { at, .. }
            | Op::Shrink { at }
            | Op::Spoil { at }
            | Op::Return { at, .. }
            | Op::ReturnInPanic { at }
            | Op::Detach { at } => self.use_lease(op, at),
        }
        self.forget_gone();
    }

    fn forget_gone(&mut self) {
        for name in take(&mut *self.register.gone.lock().unwrap()) {
            self.values.remove(&name);
        }
    }

    fn use_lease(&mut self, op: Op, at: usize) {
        let Some(value) = self.leased.get_mut(at) else { return };
        match op {
            Op::Fill { size, .. } => value.bytes.extend(std::iter::repeat_n(9, size)),
            Op::Shrink { .. } => value.bytes.shrink_to_fit(),
            Op::Spoil { .. } => value.spoilt = true,
            Op::Return { elsewhere, .. } => {
                let value = self.leased.swap_remove(at);
                self.back(value, |value| if elsewhere { on_another_thread(|| drop(value)) } else { drop(value) });
            }
            Op::ReturnInPanic { .. } => {
                let value = self.leased.swap_remove(at);
                self.back(value, |value| {
                    // Not `panic!`: a hook would print it.
                    let panicking = AssertUnwindSafe(move || {
                        let _value = value;
                        resume_unwind(Box::new("with a lease"));
                    });
                    assert!(catch_unwind(panicking).is_err());
                });
            }
            Op::Detach { .. } => {
                let value = self.leased.swap_remove(at);
                let entry = self.values.remove(&value.name).expect("it was taken");
                if let Some((tag, _)) = entry.lease {
                    self.escaped[tag] += 1;
                }
                drop(Pooled::detach(value));
            }
            _ => {}
        }
    }

    fn took(&mut self, value: &Value, tag: Option<usize>) {
        let bytes = node_bytes() + value.bytes.capacity() as u64;
        let entry = self.values.entry(value.name).or_insert(Entry { bytes, ..Entry::default() });
        assert_eq!(entry.bytes, bytes, "it is as it came back");
        if let Some(tag) = tag {
            self.taken[tag] += 1;
            *entry = Entry { lease: Some((tag, bytes)), kept_by: None, bytes };
        }
    }

    fn back(&mut self, value: Pooled<Value>, give_back: impl FnOnce(Pooled<Value>)) {
        let entry = self.values.get_mut(&value.name).expect("it was taken");
        entry.bytes = node_bytes() + value.bytes.capacity() as u64;
        if let Some((tag, _)) = entry.lease.take() {
            entry.kept_by = Some(tag);
        }
        give_back(value);
    }

    fn compare(&self, after: impl std::fmt::Debug) {
        let mut expected: [Said; TAGS.len()] =
            std::array::from_fn(|tag| Said { taken: self.taken[tag], escaped: self.escaped[tag], ..Said::default() });
        for entry in self.values.values() {
            if let Some((tag, bytes)) = entry.lease {
                add(&mut expected[tag].outstanding, bytes);
            }
            if let Some(tag) = entry.kept_by {
                add(&mut expected[tag].idle, entry.bytes);
            }
        }
        assert_eq!(said(), expected, "after {after:?}: {:?}", self.values);
    }
}

fn add((values, bytes): &mut (u64, u64), more: u64) {
    *values += 1;
    *bytes += more;
}

fn on_another_thread<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|threads| threads.spawn(f).join().unwrap())
}
