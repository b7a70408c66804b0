//! Requests and the books against a slow model: what is out, taken and escaped under each name, and what each request left out.
//!
//! Names nest, and so do requests that are current. Values are taken, frozen, detached and given back under any of them, here
//! and on other threads, by panics too, in requests that end in any order and late, from pools that end while values are out.
//! The books are the process's: the model looks at what a script adds to them.

#[path = "tally.rs"]
mod tally;

use super::script::Script;
use bytes::Bytes;
use ebbtide::observe::tagged;
use ebbtide::request::with_current;
use ebbtide::{BufferPool, Pool, Pooled, PooledBuf, PooledBytes, RequestGuard, Scope, ScopeHandle, Scopes};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use tally::{Entry, TAGS, Tally};

/// Values that are out at once, without those of the requests themselves.
const MOST: usize = 12;
/// Requests that are open at once.
const OPEN: usize = 4;
/// Names and requests within each other.
const DEEPEST: usize = 6;
const TEXTS: [&str; 2] = ["texts of a script", "lines of a script"];
const BUFFERS: &str = "buffers of a script";
/// Bytes of a buffer that is kept, and of one that is not.
const SIZES: [usize; 2] = [1000, 5000];
const MAX_BUFFER: usize = 4096;
/// Bytes that a value is charged with at most besides what it holds.
const NODE: usize = 400;

/// The payload of a panic that is part of the script.
struct Left;

/// What holds a lease.
enum Value {
    Text(Pooled<Vec<u8>>),
    Buffer(PooledBuf),
    Frozen(PooledBytes),
    Bytes { _held: Bytes },
}

struct Request {
    guard: Option<RequestGuard>,
    handle: ScopeHandle,
    pins: Vec<Scope>,
    /// What it gives back itself.
    leases: Vec<Entry>,
    /// Whether something was taken for it under a name before it closed.
    is_named: bool,
}

/// A pool, and its number in the tally. A pool that takes the place of another has a number of its own.
struct Numbered {
    pool: Pool<Vec<u8>>,
    number: usize,
}

struct Model {
    scopes: Scopes,
    pools: [Numbered; 2],
    buffers: BufferPool,
    leases: Vec<(Value, Entry)>,
    requests: Vec<Request>,
    tally: Tally,
    /// The name and the request that the script is under.
    under: Option<usize>,
    current: Option<usize>,
}

/// Runs the script that `bytes` spell. Panics where the books and the model part.
pub(crate) fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let buffers = BufferPool::builder().name(BUFFERS).max_buffer_bytes(MAX_BUFFER).build();
    let mut tally = Tally::new([(BUFFERS, buffers.capacity_for(SIZES[0]) as u64), (BUFFERS, 0)]);
    let pools = TEXTS.map(|name| Numbered::new(name, &mut tally));
    let (leases, requests) = (Vec::new(), Vec::new());
    let mut model =
        Model { scopes: Scopes::new(), pools, buffers, leases, requests, tally, under: None, current: None };
    // What ends it early is no failure: there is nothing to leave.
    while model.level(&mut script, 0).is_some() {}
    model.end();
}

impl Numbered {
    fn new(name: &'static str, tally: &mut Tally) -> Self {
        let pool = Pool::builder().name(name).max_idle(3).build(|| Vec::with_capacity(100));
        Self { pool, number: tally.pool(name, 0) }
    }
}

impl Model {
    /// Steps until a name or a request is left, by a panic or not; `None` when the script ends.
    fn level(&mut self, script: &mut Script<'_>, depth: usize) -> Option<bool> {
        loop {
            let op = script.next()?;
            let place = usize::from(script.next()?);
            match op % 32 {
                27..=29 if depth < DEEPEST => self.under(place, script, depth + 1)?,
                30 if depth < DEEPEST => self.within(place, script, depth + 1)?,
                31 => return Some(place % 4 == 0),
                op => self.step(op, place),
            }
            self.tally.compare();
        }
    }

    fn step(&mut self, op: u8, place: usize) {
        match op {
            0..=4 => self.take_text(place),
            5..=7 => self.take_buffer(place),
            8 => self.take_elsewhere(place),
            9 | 10 => self.lease(place),
            11..=14 => self.give_back(place, drop),
            15 => self.give_back(place, |value| thread::scope(|threads| drop(threads.spawn(|| drop(value)).join()))),
            16 => self.give_back(place, drop_by_panic),
            17 => self.detach(place),
            18 | 19 => self.freeze(place),
            20 | 21 => self.begin(),
            22 => self.finish(place, false),
            23 => self.finish(place, true),
            24 => self.pin(place),
            25 => self.unpin(place),
            _ => self.renew(place),
        }
    }

    /// Goes on under a name.
    fn under(&mut self, place: usize, script: &mut Script<'_>, depth: usize) -> Option<()> {
        let tag = place % TAGS.len();
        let before = self.under.replace(tag);
        let ended = caught(|| tagged(TAGS[tag], || leave(self.level(script, depth))));
        self.under = before;
        ended
    }

    /// Goes on within a request, which may have ended, or end meanwhile.
    fn within(&mut self, place: usize, script: &mut Script<'_>, depth: usize) -> Option<()> {
        let at = place.checked_rem(self.requests.len());
        let mut handle = at.map(|at| self.requests[at].handle.clone());
        let before = std::mem::replace(&mut self.current, at);
        let ended = caught(|| with_current(&mut handle, || leave(self.level(script, depth))));
        self.current = before;
        ended
    }

    /// The request that a take is audited for: one that is open, or that a scope keeps, if something was taken for it under a name before
    /// it closed.
    fn audited(&mut self, request: Option<usize>, is_named: bool) -> Option<usize> {
        let at = request?;
        let request = &mut self.requests[at];
        if request.guard.is_some() {
            request.is_named |= is_named;
            return Some(at);
        }
        (request.is_named && !request.pins.is_empty()).then_some(at)
    }

    fn took(&mut self, value: Value, pool: usize, capacity: usize) {
        let request = self.audited(self.current, self.under.is_some());
        let entry = self.tally.took(self.under, pool, request, capacity..capacity + NODE);
        self.leases.push((value, entry));
    }

    fn take_text(&mut self, place: usize) {
        if self.leases.len() < MOST {
            let Numbered { pool, number } = &self.pools[place % 2];
            let (mut text, number) = (pool.get(), *number);
            let capacity = text.capacity();
            // It may grow: it comes back with what it was taken with.
            text.resize(place * 2, 7);
            self.took(Value::Text(text), number, capacity);
        }
    }

    fn take_buffer(&mut self, place: usize) {
        if self.leases.len() < MOST {
            let buffer = self.buffers.get(SIZES[place % 2]);
            let capacity = buffer.capacity();
            self.took(Value::Buffer(buffer), place % 2, capacity);
        }
    }

    /// Neither name nor request reach another thread; it has its own.
    fn take_elsewhere(&mut self, place: usize) {
        if self.leases.len() == MOST {
            return;
        }
        let Numbered { pool, number } = &self.pools[place % 2];
        let (tag, number) = ((place % 3 > 0).then_some(place % TAGS.len()), *number);
        let request = (place / 2).checked_rem(self.requests.len());
        let mut handle = request.map(|at| self.requests[at].handle.clone());
        let mut take = || with_current(&mut handle, || pool.get());
        let take = || if let Some(tag) = tag { tagged(TAGS[tag], take) } else { take() };
        let text = thread::scope(|threads| threads.spawn(take).join()).expect("a thread that takes");
        let capacity = text.capacity();
        let request = self.audited(request, tag.is_some());
        let entry = self.tally.took(tag, number, request, capacity..capacity + NODE);
        self.leases.push((Value::Text(text), entry));
    }

    /// A value that goes back with the request that its scope is of, whichever is current.
    fn lease(&mut self, place: usize) {
        let Some(at) = place.checked_rem(self.requests.len()) else { return };
        let Some(scope) = self.requests[at].pins.last() else { return };
        let Numbered { pool, number } = &self.pools[place % 2];
        let (capacity, number) = (scope.lease(pool).capacity(), *number);
        let request = self.audited(self.current, self.under.is_some());
        let entry = self.tally.took(self.under, number, request, capacity..capacity + NODE);
        self.requests[at].leases.push(entry);
    }

    fn give_back(&mut self, place: usize, how: fn(Value)) {
        if let Some(at) = place.checked_rem(self.leases.len()) {
            let (value, entry) = self.leases.swap_remove(at);
            how(value);
            self.tally.came_back(entry);
        }
    }

    fn detach(&mut self, place: usize) {
        let Some(at) = place.checked_rem(self.leases.len()) else { return };
        match self.leases.swap_remove(at) {
            (Value::Text(text), entry) => {
                Pooled::detach(text);
                self.tally.escaped(entry);
            }
            other => self.leases.push(other),
        }
    }

    /// A buffer becomes bytes, and these become others: the lease is the same.
    fn freeze(&mut self, place: usize) {
        let Some(at) = place.checked_rem(self.leases.len()) else { return };
        let (value, entry) = self.leases.swap_remove(at);
        let value = match value {
            Value::Buffer(mut buffer) => {
                buffer.extend_from_slice(b"some");
                Value::Frozen(buffer.freeze())
            }
            Value::Frozen(frozen) if place % 2 == 0 => Value::Frozen(frozen.slice(..1)),
            Value::Frozen(frozen) => Value::Bytes { _held: frozen.into_bytes() },
            other => other,
        };
        self.leases.push((value, entry));
    }

    fn begin(&mut self) {
        let open = self.requests.iter().filter(|request| request.guard.is_some()).count();
        if open < OPEN {
            let guard = self.scopes.begin();
            let (handle, pins, leases) = (guard.handle(), Vec::new(), Vec::new());
            self.requests.push(Request { handle, guard: Some(guard), pins, leases, is_named: false });
            self.tally.request();
        }
    }

    fn finish(&mut self, place: usize, poisoned: bool) {
        let Some(at) = place.checked_rem(self.requests.len()) else { return };
        let Some(guard) = self.requests[at].guard.take() else { return };
        if poisoned {
            guard.poison();
        }
        drop(guard);
        self.ended_if_last(at);
    }

    fn pin(&mut self, place: usize) {
        let Some(at) = place.checked_rem(self.requests.len()) else { return };
        let request = &mut self.requests[at];
        if let Some(guard) = request.guard.as_ref().filter(|_| request.pins.len() < 2) {
            request.pins.push(guard.scope());
        }
    }

    fn unpin(&mut self, place: usize) {
        let Some(at) = place.checked_rem(self.requests.len()) else { return };
        if let Some(scope) = self.requests[at].pins.pop() {
            drop(scope);
            self.ended_if_last(at);
        }
    }

    /// A request gives back what it owns, and then it is looked at.
    fn ended_if_last(&mut self, at: usize) {
        let request = &mut self.requests[at];
        if request.guard.is_none() && request.pins.is_empty() {
            request.leases.drain(..).for_each(|entry| self.tally.came_back(entry));
            self.tally.ended(at);
        }
    }

    /// The last handle of a pool goes, while values are out, and another one of its name comes.
    fn renew(&mut self, place: usize) {
        let at = place % 2;
        self.pools[at] = Numbered::new(TEXTS[at], &mut self.tally);
    }

    fn end(mut self) {
        (0..self.requests.len()).for_each(|at| {
            self.finish(at, false);
            (0..2).for_each(|_| self.unpin(at));
        });
        self.tally.compare();
        while !self.leases.is_empty() {
            self.give_back(0, drop);
        }
        self.tally.compare();
        assert_eq!(self.pools.each_ref().map(|numbered| numbered.pool.stats().outstanding()), [0; 2]);
    }
}

/// Leaves by a panic where the script says so. Not `panic!`: a hook would print it, or stop a fuzzer.
fn leave(left: Option<bool>) -> Option<()> {
    left.map(|by_panic| {
        if by_panic {
            resume_unwind(Box::new(Left))
        }
    })
}

/// Catches what is part of the script, and nothing else.
fn caught(f: impl FnOnce() -> Option<()>) -> Option<()> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Err(payload) if payload.is::<Left>() => Some(()),
        Err(payload) => resume_unwind(payload),
        Ok(ended) => ended,
    }
}

fn drop_by_panic(value: Value) {
    let _ = caught(move || {
        let _value = value;
        resume_unwind(Box::new(Left))
    });
}
