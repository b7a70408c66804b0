//! The patterns: what one thread does again and again with a pool.

use crate::peer::{Lossy, Peer};
use crossbeam_queue::ArrayQueue;
use std::hint::spin_loop;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::mpsc;

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
    Polled,
    Tasks,
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
    pub(crate) const ALL: [Self; 9] = [
        Self::Pair,
        Self::Object,
        Self::Burst,
        Self::Hundred,
        Self::Starved,
        Self::Costly,
        Self::Cross,
        Self::Polled,
        Self::Tasks,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Pair => "pair: a vector",
            Self::Object => "pair: a boxed object of 1 KiB",
            Self::Burst => "burst of 64",
            Self::Hundred => "100 put, 100 taken",
            Self::Starved => "67 put, 100 taken",
            Self::Costly => "8 costly tables",
            Self::Cross => "taken here, dropped there, blocking channel",
            Self::Polled => "taken here, dropped there, polled channel",
            Self::Tasks => "taken here, dropped there, tokio's channel",
        }
    }

    /// Values that pass in one iteration.
    pub(crate) fn values(self) -> usize {
        match self {
            Self::Pair | Self::Object | Self::Cross | Self::Polled | Self::Tasks => 1,
            Self::Burst => BURST,
            Self::Hundred | Self::Starved => HUNDRED,
            Self::Costly => COSTLY,
        }
    }

    /// The numbers of threads it is measured with.
    pub(crate) fn threads(self) -> &'static [usize] {
        if self.crosses() { &[2] } else { &[1, 2] }
    }

    /// Whether values go from one thread to another.
    pub(crate) fn crosses(self) -> bool {
        matches!(self, Self::Cross | Self::Polled | Self::Tasks)
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

/// A channel for at most [`CHANNEL`] values.
pub(crate) trait Channel<L>: Send + Sync + 'static {
    fn new() -> Self;
    fn send(&self, lease: L);
    /// Gives `back` so many values. For one thread.
    fn receive(&self, values: usize, back: impl FnMut(L));
}

/// The standard library's, whose threads sleep and wake each other.
pub(crate) struct Blocking<L>(SyncSender<L>, Mutex<Receiver<L>>);

impl<L: Send + 'static> Channel<L> for Blocking<L> {
    fn new() -> Self {
        let (sender, receiver) = sync_channel(CHANNEL);
        Self(sender, Mutex::new(receiver))
    }
    fn send(&self, lease: L) {
        self.0.send(lease).expect("the receiver is in the same struct");
    }
    fn receive(&self, values: usize, back: impl FnMut(L)) {
        self.1.lock().expect("no panic here").iter().take(values).for_each(back);
    }
}

/// A queue that both threads poll: who waits spins.
pub(crate) struct Polled<L>(ArrayQueue<L>);

impl<L: Send + 'static> Channel<L> for Polled<L> {
    fn new() -> Self {
        Self(ArrayQueue::new(CHANNEL))
    }
    fn send(&self, mut lease: L) {
        while let Err(refused) = self.0.push(lease) {
            lease = refused;
            spin_loop();
        }
    }
    fn receive(&self, values: usize, mut back: impl FnMut(L)) {
        for _ in 0..values {
            back(loop {
                match self.0.pop() {
                    Some(lease) => break lease,
                    None => spin_loop(),
                }
            });
        }
    }
}

/// What tasks of a server pass values by, polled as above: no thread sleeps, so none is woken.
pub(crate) struct Tokio<L>(mpsc::Sender<L>, Mutex<mpsc::Receiver<L>>);

impl<L: Send + 'static> Channel<L> for Tokio<L> {
    fn new() -> Self {
        let (sender, receiver) = mpsc::channel(CHANNEL);
        Self(sender, Mutex::new(receiver))
    }
    fn send(&self, mut lease: L) {
        while let Err(refused) = self.0.try_send(lease) {
            lease = refused.into_inner();
            spin_loop();
        }
    }
    fn receive(&self, values: usize, mut back: impl FnMut(L)) {
        let mut receiver = self.1.lock().expect("no panic here");
        for _ in 0..values {
            back(loop {
                match receiver.try_recv() {
                    Ok(lease) => break lease,
                    Err(_) => spin_loop(),
                }
            });
        }
    }
}

/// One thread takes, the other gives back.
pub(crate) struct Crossing<P: Peer, C> {
    pool: &'static P,
    channel: C,
}

impl<P: Peer, C: Channel<P::Lease<'static>>> Crossing<P, C> {
    pub(crate) fn new(pool: &'static P) -> Self {
        Self { pool, channel: C::new() }
    }

    /// The part of one of the two threads.
    pub(crate) fn run(&self, thread: usize, iterations: usize) {
        if thread == 0 {
            self.take(iterations)
        } else {
            self.channel.receive(iterations, |lease| self.pool.give(lease))
        }
    }

    fn take(&self, iterations: usize) {
        for _ in 0..iterations {
            let mut lease = self.pool.take();
            P::work(&mut lease);
            self.channel.send(lease);
        }
    }
}
