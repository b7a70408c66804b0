//! The book of all that is to be run: which pool, in which pattern, on how many threads.

use crate::patterns::{Blocking, Channel, Crossing, Pattern, Polled, Tokio, burst, costly, hundred, pair, starved};
use crate::peer::{Lossy, Peer};

/// The part of one thread, which has a number, in so many iterations.
type Part = Box<dyn Fn(usize, usize) + Send + Sync>;

/// One pool in one pattern.
pub(crate) struct Entry {
    pub(crate) pool: &'static str,
    pub(crate) pattern: Pattern,
    pub(crate) threads: usize,
    pub(crate) part: Part,
}

#[derive(Default)]
pub(crate) struct Book(pub(crate) Vec<Entry>);

/// Pools live as long as the program: leases of several crates borrow them, and the threads stay.
fn leak<P>(pool: P) -> &'static P {
    Box::leak(Box::new(pool))
}

impl Book {
    /// A pattern that each thread follows alone, with one pool for all threads.
    fn alone<P: Peer>(
        &mut self,
        pool: &'static str,
        pattern: Pattern,
        make: impl Fn() -> P,
        part: fn(&'static P, usize),
    ) {
        for &threads in pattern.threads() {
            let peer = leak(make());
            let part = Box::new(move |_, iterations| part(peer, iterations));
            self.0.push(Entry { pool, pattern, threads, part });
        }
    }

    /// Vectors that are taken and given back on one thread.
    pub(crate) fn vectors<P: Peer>(&mut self, pool: &'static str, make: impl Fn() -> P) {
        self.alone(pool, Pattern::Pair, &make, pair);
        self.alone(pool, Pattern::Burst, &make, burst);
        self.alone(pool, Pattern::Hundred, &make, hundred);
    }

    /// Vectors of which some do not come back.
    pub(crate) fn starved<P: Lossy>(&mut self, pool: &'static str, make: impl Fn() -> P) {
        self.alone(pool, Pattern::Starved, make, starved);
    }

    /// Objects of 1 KiB.
    pub(crate) fn objects<P: Peer>(&mut self, pool: &'static str, make: impl Fn() -> P) {
        self.alone(pool, Pattern::Object, make, pair);
    }

    /// Tables that are costly to make.
    pub(crate) fn costly<P: Peer>(&mut self, pool: &'static str, make: impl Fn() -> P) {
        self.alone(pool, Pattern::Costly, make, costly);
    }

    /// Vectors that are dropped on another thread.
    pub(crate) fn cross<P: Peer<Lease<'static>: Send>>(&mut self, pool: &'static str, make: impl Fn() -> P) {
        self.through::<P, Blocking<_>>(pool, Pattern::Cross, leak(make()));
        self.through::<P, Polled<_>>(pool, Pattern::Polled, leak(make()));
        self.through::<P, Tokio<_>>(pool, Pattern::Tasks, leak(make()));
    }

    fn through<P: Peer, C: Channel<P::Lease<'static>>>(
        &mut self,
        pool: &'static str,
        pattern: Pattern,
        peer: &'static P,
    ) {
        let crossing = Crossing::<P, C>::new(peer);
        let part = Box::new(move |thread, iterations| crossing.run(thread, iterations));
        self.0.push(Entry { pool, pattern, threads: 2, part });
    }
}
