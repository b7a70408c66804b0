//! `Scopes` and all that hangs on a request, against a slow model of each request.
//!
//! Requests begin and end in any order, scopes outlive their guards, sessions of one request nest in those of
//! others. Each session holds references into the arena and compares them, at every step, with copies on the
//! heap. What runs at the end of a request writes to a log, which must be the log that the model foretells.

mod session;

use super::script::Script;
use ebbtide::{Outcome, Pool, RequestGuard, Scope, ScopeEnded, ScopeHandle, Scopes};
use session::{Event, Leased, Log, QUOTA, Session};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Requests that are open at once, and scopes outside of sessions.
const MOST: usize = 6;
/// Sessions within sessions.
const DEEPEST: usize = 4;
/// Slots that wait at most.
const MAX_IDLE: usize = 2;

/// What the model knows of one request.
struct Request {
    guard: Option<RequestGuard>,
    handle: ScopeHandle,
    pins: usize,
    outcome: Outcome,
    late: bool,
    ended: bool,
    /// Numbers of the cleanups, and whether they panic.
    cleanups: Vec<(u32, bool)>,
    drops: Vec<u32>,
    leases: Vec<u32>,
    local: Vec<u8>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    begun: u64,
    ended: u64,
    late: u64,
    poisoned: u64,
    hook_panics: u64,
}

struct Model {
    scopes: Scopes,
    pool: Pool<Leased>,
    requests: Vec<Request>,
    /// Scopes outside of sessions, and the places of their requests.
    free: Vec<(usize, Scope)>,
    log: Log,
    foretold: Vec<Event>,
    counts: Counts,
    /// Of the next thing that has one.
    number: u32,
}

/// Runs the script that `bytes` spell. Panics where a request and the model part.
pub(crate) fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let Some(orphans) = script.next().map(|byte| byte % 2 == 1) else { return };
    let mut model = Model {
        scopes: Scopes::builder().max_idle(MAX_IDLE).retain_bytes(4 << 10).quota(QUOTA).build(),
        pool: Pool::new(Leased::default),
        requests: Vec::new(),
        free: Vec::new(),
        log: Log::default(),
        foretold: Vec::new(),
        counts: Counts::default(),
        number: 0,
    };
    while let Some(op) = script.next() {
        if model.step(op, &mut script, 0).is_none() {
            break;
        }
        model.compare(op);
    }
    model.end(orphans);
}

impl Model {
    /// One step outside of the arena; `None` when the script ends.
    fn step(&mut self, op: u8, script: &mut Script<'_>, depth: usize) -> Option<()> {
        let place = script.place(MOST)?;
        match op % 16 {
            0 | 1 => self.begin(),
            2 => self.finish(place, |_| Outcome::Finished),
            3 => self.finish(place, |guard| {
                guard.abort();
                Outcome::Aborted
            }),
            4 => self.finish(place, |guard| {
                guard.poison();
                Outcome::Panicked
            }),
            5 => self.end_by_panic(place),
            6 | 7 => self.pin(place),
            8 => self.enter(usize::from(script.next()?)),
            9 => self.another(place),
            10 => self.unpin(place),
            11 => self.unpin_by_panic(place),
            12 => self.on_end(place, script.next()? % 8 == 0),
            13 => self.local(place),
            _ if depth < DEEPEST => self.session(place, script, depth + 1)?,
            _ => {}
        }
        Some(())
    }

    fn number(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    /// The place of the `place`th open request.
    fn open(&self, place: usize) -> Option<usize> {
        (0..self.requests.len()).filter(|at| self.requests[*at].guard.is_some()).nth(place)
    }

    fn begin(&mut self) {
        if self.open(MOST - 1).is_some() {
            return;
        }
        let guard = self.scopes.begin();
        self.counts.begun += 1;
        self.requests.push(Request {
            handle: guard.handle(),
            guard: Some(guard),
            pins: 0,
            outcome: Outcome::Finished,
            late: false,
            ended: false,
            cleanups: Vec::new(),
            drops: Vec::new(),
            leases: Vec::new(),
            local: Vec::new(),
        });
    }

    /// Drops a guard, after something was done with it.
    fn finish(&mut self, place: usize, before: fn(&RequestGuard) -> Outcome) {
        let Some(at) = self.open(place) else { return };
        let Some(guard) = self.requests[at].guard.take() else { return };
        let outcome = before(&guard);
        drop(guard);
        self.closed(at, outcome);
    }

    fn end_by_panic(&mut self, place: usize) {
        let Some(at) = self.open(place) else { return };
        drop_by_panic(self.requests[at].guard.take());
        self.closed(at, Outcome::Panicked);
    }

    fn closed(&mut self, at: usize, outcome: Outcome) {
        let request = &mut self.requests[at];
        request.late = request.pins > 0;
        if request.outcome != Outcome::Panicked {
            request.outcome = outcome;
        }
        self.reclaim_if_last(at);
    }

    fn pin(&mut self, place: usize) {
        let Some(at) = self.open(place).filter(|_| self.free.len() < MOST) else { return };
        if let Some(guard) = &self.requests[at].guard {
            self.free.push((at, guard.scope()));
            self.requests[at].pins += 1;
        }
    }

    /// Enters any request that ever was.
    fn enter(&mut self, number: usize) {
        let at = number % self.requests.len().max(1);
        let Some(request) = self.requests.get_mut(at) else { return };
        let entered = request.handle.clone().enter();
        assert_eq!(entered.is_ok(), request.guard.is_some(), "request {at} entered as {entered:?}");
        match entered {
            Ok(scope) if self.free.len() < MOST => {
                self.free.push((at, scope));
                request.pins += 1;
            }
            Ok(scope) => drop(scope),
            Err(error) => assert_eq!(error, ScopeEnded),
        }
    }

    fn another(&mut self, place: usize) {
        let Some((at, scope)) = self.free.get(place).filter(|_| self.free.len() < MOST) else { return };
        self.requests[*at].pins += 1;
        let another = (*at, scope.clone());
        self.free.push(another);
    }

    fn unpin(&mut self, place: usize) {
        if place < self.free.len() {
            let (at, scope) = self.free.swap_remove(place);
            drop(scope);
            self.unpinned(at);
        }
    }

    fn unpin_by_panic(&mut self, place: usize) {
        if place < self.free.len() {
            let (at, scope) = self.free.swap_remove(place);
            drop_by_panic(scope);
            self.requests[at].outcome = Outcome::Panicked;
            self.unpinned(at);
        }
    }

    fn unpinned(&mut self, at: usize) {
        self.requests[at].pins -= 1;
        self.reclaim_if_last(at);
    }

    /// What a request gives back, and in which order.
    fn reclaim_if_last(&mut self, at: usize) {
        let request = &mut self.requests[at];
        if request.guard.is_some() || request.pins > 0 || request.ended {
            return;
        }
        request.ended = true;
        self.counts.ended += 1;
        self.counts.late += u64::from(request.late);
        self.counts.poisoned += u64::from(request.outcome == Outcome::Panicked);
        for (number, panics) in request.cleanups.drain(..).rev() {
            self.foretold.push(Event::Cleaned(number, request.outcome));
            self.counts.hook_panics += u64::from(panics);
        }
        self.foretold.extend(request.drops.drain(..).rev().map(Event::Dropped));
        let lease = if request.outcome == Outcome::Panicked { Event::Discarded } else { Event::Reset };
        self.foretold.extend(request.leases.drain(..).rev().map(lease));
    }

    fn on_end(&mut self, place: usize, panics: bool) {
        let number = self.number();
        let Some((at, scope)) = self.free.get(place) else { return };
        let log = Arc::clone(&self.log);
        scope.on_end(move |ending| {
            log.lock().unwrap().push(Event::Cleaned(number, ending.outcome()));
            if panics {
                resume_unwind(Box::new("a cleanup that panics"));
            }
        });
        self.requests[*at].cleanups.push((number, panics));
    }

    fn local(&mut self, place: usize) {
        let number = self.number() as u8;
        let Some((at, scope)) = self.free.get(place) else { return };
        let model = &mut self.requests[*at].local;
        let mut local = scope.local::<Vec<u8>>().expect("lent to nobody");
        assert_eq!(*local, *model, "the local of request {at}");
        assert!(scope.local::<Vec<u8>>().is_err(), "lent twice");
        local.push(number);
        model.push(number);
    }

    /// A session: works in the arena of one scope, while other things go on.
    fn session(&mut self, place: usize, script: &mut Script<'_>, depth: usize) -> Option<()> {
        if place >= self.free.len() {
            return Some(());
        }
        let (at, scope) = self.free.swap_remove(place);
        let outcome = self.work(at, &scope, script, depth);
        self.free.push((at, scope));
        outcome
    }

    fn work(&mut self, at: usize, scope: &Scope, script: &mut Script<'_>, depth: usize) -> Option<()> {
        let mut session = Session::new(scope);
        while let Some(op) = script.next() {
            match op % 32 {
                0 => return Some(()),
                1..=12 => {
                    self.step(op, script, depth)?;
                    self.compare(op);
                }
                13 | 14 => {
                    let number = self.number();
                    session.value(number, &self.log);
                    self.requests[at].drops.push(number);
                }
                15 => {
                    let number = self.number();
                    session.lease(&self.pool, number, &self.log);
                    self.requests[at].leases.push(number);
                }
                _ => {
                    let number = self.number();
                    session.allocate(op, script.size()?, number);
                }
            }
            session.compare(op);
        }
        None
    }

    fn compare(&self, op: u8) {
        assert_eq!(*self.log.lock().unwrap(), self.foretold, "the log after step {op}");
        let stats = self.scopes.stats();
        let counts = Counts {
            begun: stats.begun,
            ended: stats.ended,
            late: stats.late,
            poisoned: stats.poisoned,
            hook_panics: stats.hook_panics,
        };
        assert_eq!(counts, self.counts, "after step {op}");
        assert!(stats.idle as usize <= MAX_IDLE, "{stats:?} after step {op}");
        let leases: usize = self.requests.iter().map(|request| request.leases.len()).sum();
        assert_eq!(self.pool.stats().outstanding() as usize, leases, "leases after step {op}");
    }

    /// Everything ends, in the order in which it began: before or after the last handle of the scopes is gone.
    fn end(mut self, orphans: bool) {
        while !orphans && self.open(0).is_some() {
            self.finish(0, |_| Outcome::Finished);
        }
        while !orphans && !self.free.is_empty() {
            self.unpin(0);
        }
        self.compare(0);
        if !orphans {
            assert_eq!(self.scopes.stats().open(), 0);
        }
        // The scopes, which are the first field, go first.
        let (pool, log) = (self.pool.clone(), Arc::clone(&self.log));
        let owed = |request: &Request| request.cleanups.len() + request.drops.len() + request.leases.len();
        let left: usize = self.requests.iter().map(owed).sum();
        let length = self.foretold.len() + left;
        drop(self);
        assert_eq!(log.lock().unwrap().len(), length, "things that were ended, at the end");
        assert_eq!(pool.stats().outstanding(), 0, "leases at the end");
    }
}

fn drop_by_panic<T>(value: T) {
    // Not `panic!`: a hook would print it, or stop a fuzzer, for a panic that is part of the script.
    let caught = catch_unwind(AssertUnwindSafe(move || {
        let _value = value;
        resume_unwind(Box::new("a panic in the handler"));
    }));
    assert!(caught.is_err());
}
