//! The patterns: what one thread does again and again with a pool.

use crate::peer::{Lossy, Peer};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// A pattern, and what its table is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Pair,
    Object,
    Burst,
    Hundred,
    Starved,
    Costly,
    Cross,
}

/// Values that are out at once.
const BURST: usize = 64;
const HUNDRED: usize = 100;
const COSTLY: usize = 8;
/// Of a hundred, those that come back when the pool is starved.
const GIVEN_BACK: usize = 67;
/// Values under way between the two threads.
const CHANNEL: usize = 64;

impl Pattern {
    pub(crate) const ALL: [Self; 7] =
        [Self::Pair, Self::Object, Self::Burst, Self::Hundred, Self::Starved, Self::Costly, Self::Cross];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Pair => "pair: a vector",
            Self::Object => "pair: a boxed object of 1 KiB",
            Self::Burst => "burst of 64",
            Self::Hundred => "100 put, 100 taken",
            Self::Starved => "67 put, 100 taken",
            Self::Costly => "8 costly tables",
            Self::Cross => "taken here, dropped there",
        }
    }

    /// Values that pass in one iteration.
    pub(crate) fn values(self) -> usize {
        match self {
            Self::Pair | Self::Object | Self::Cross => 1,
            Self::Burst => BURST,
            Self::Hundred | Self::Starved => HUNDRED,
            Self::Costly => COSTLY,
        }
    }

    /// The numbers of threads it is measured with.
    pub(crate) fn threads(self) -> &'static [usize] {
        if self == Self::Cross { &[2] } else { &[1, 2] }
    }
}

/// One value at a time.
pub(crate) fn pair<P: Peer>(pool: &'static P, iterations: usize) {
    for _ in 0..iterations {
        let mut lease = pool.take();
        P::work(&mut lease);
        pool.give(lease);
    }
}

/// `N` values at once.
fn many<P: Peer, const N: usize>(pool: &'static P, iterations: usize) {
    let mut out = Vec::with_capacity(N);
    for _ in 0..iterations {
        out.extend((0..N).map(|_| pool.take()));
        out.iter_mut().for_each(P::work);
        out.drain(..).for_each(|lease| pool.give(lease));
    }
}

pub(crate) fn burst<P: Peer>(pool: &'static P, iterations: usize) {
    many::<P, BURST>(pool, iterations);
}

pub(crate) fn hundred<P: Peer>(pool: &'static P, iterations: usize) {
    many::<P, HUNDRED>(pool, iterations);
}

pub(crate) fn costly<P: Peer>(pool: &'static P, iterations: usize) {
    many::<P, COSTLY>(pool, iterations);
}

/// A hundred values at once, of which a third never comes back.
pub(crate) fn starved<P: Lossy>(pool: &'static P, iterations: usize) {
    let mut out = Vec::with_capacity(HUNDRED);
    for _ in 0..iterations {
        out.extend((0..HUNDRED).map(|_| pool.take()));
        out.iter_mut().for_each(P::work);
        out.drain(GIVEN_BACK..).for_each(P::lose);
        out.drain(..).for_each(|lease| pool.give(lease));
    }
}

/// One thread takes, the other gives back.
pub(crate) struct Crossing<P: Peer> {
    pool: &'static P,
    out: SyncSender<P::Lease<'static>>,
    back: Mutex<Receiver<P::Lease<'static>>>,
}

impl<P: Peer> Crossing<P> {
    pub(crate) fn new(pool: &'static P) -> Self {
        let (out, back) = sync_channel(CHANNEL);
        Self { pool, out, back: Mutex::new(back) }
    }

    /// The part of one of the two threads.
    pub(crate) fn run(&self, thread: usize, iterations: usize) {
        if thread == 0 { self.take(iterations) } else { self.give(iterations) }
    }

    fn take(&self, iterations: usize) {
        for _ in 0..iterations {
            let mut lease = self.pool.take();
            P::work(&mut lease);
            self.out.send(lease).expect("the receiver is in the same struct");
        }
    }

    fn give(&self, iterations: usize) {
        let back = self.back.lock().expect("no panic here");
        back.iter().take(iterations).for_each(|lease| self.pool.give(lease));
    }
}
