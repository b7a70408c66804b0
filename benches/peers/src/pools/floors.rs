//! What the pools are measured against: a stack of the thread's own, no pool at all, and the channel without a pool.

use super::KEPT;
use crate::book::Book;
use crate::peer::{Lossy, Peer};
use crate::values::{Object, Table, Value};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::LocalKey;

pub(crate) const STACK: &str = "thread-local stack of boxes";
pub(crate) const BY_VALUE: &str = "thread-local stack of vectors";
const FRESH: &str = "fresh each time";
pub(crate) const CHANNEL: &str = "the channel alone, with a number";
pub(crate) const RING: &str = "the channel and 256 vectors in turn";

/// Not pools: they take no rank.
pub(crate) const FLOORS: [&str; 5] = [STACK, BY_VALUE, FRESH, CHANNEL, RING];

/// A value with cache lines of its own: small boxes of one thread may lie beside another's, and a floor is no place for
/// that. Padded instead of aligned, which would make allocation slow.
struct Line<V>(V, #[allow(dead_code)] [u64; 16]);

impl<V: Value> Value for Line<V> {
    fn make() -> Self {
        Self(V::make(), [0; 16])
    }
    #[inline]
    fn work(&mut self) {
        self.0.work();
    }
    #[inline]
    fn clean(&mut self) {
        self.0.clean();
    }
}

/// A value that has a stack on each thread.
trait Local: Value {
    fn stack() -> &'static LocalKey<RefCell<Vec<Self>>>
    where
        Self: Sized;
}

/// A stack that is on cache lines of its own too, as it does not grow.
fn stack<V>() -> RefCell<Vec<V>> {
    RefCell::new(Vec::with_capacity(KEPT))
}

thread_local! {
    static VECTORS: RefCell<Vec<Vec<u8>>> = stack();
    #[allow(clippy::vec_box)] // the box is what moves
    static BOXED: RefCell<Vec<Box<Line<Vec<u8>>>>> = stack();
    #[allow(clippy::vec_box)] // as above
    static OBJECTS: RefCell<Vec<Box<Object>>> = stack();
    static TABLES: RefCell<Vec<Box<Table>>> = stack();
}

impl Local for Vec<u8> {
    fn stack() -> &'static LocalKey<RefCell<Vec<Self>>> {
        &VECTORS
    }
}

impl Local for Box<Line<Vec<u8>>> {
    fn stack() -> &'static LocalKey<RefCell<Vec<Self>>> {
        &BOXED
    }
}

impl Local for Box<Object> {
    fn stack() -> &'static LocalKey<RefCell<Vec<Self>>> {
        &OBJECTS
    }
}

impl Local for Box<Table> {
    fn stack() -> &'static LocalKey<RefCell<Vec<Self>>> {
        &TABLES
    }
}

/// The plain pool: a stack of one thread.
struct Stack<V>(PhantomData<fn() -> V>);

impl<V> Stack<V> {
    fn new() -> Self {
        Self(PhantomData)
    }
}

impl<V: Local> Peer for Stack<V> {
    type Lease<'p> = V;

    #[inline]
    fn take(&self) -> V {
        V::stack().with_borrow_mut(Vec::pop).unwrap_or_else(V::make)
    }
    #[inline]
    fn work(lease: &mut V) {
        lease.work();
    }
    #[inline]
    fn give(&self, mut lease: V) {
        lease.clean();
        V::stack().with_borrow_mut(|stack| stack.push(lease));
    }
}

impl<V: Local> Lossy for Stack<V> {
    fn lose(lease: V) {
        drop(lease);
    }
}

/// No pool: a new value each time.
struct Fresh<V>(PhantomData<fn() -> V>);

impl<V> Fresh<V> {
    fn new() -> Self {
        Self(PhantomData)
    }
}

impl<V: Value> Peer for Fresh<V> {
    type Lease<'p> = V;

    #[inline]
    fn take(&self) -> V {
        V::make()
    }
    #[inline]
    fn work(lease: &mut V) {
        lease.work();
    }
    #[inline]
    fn give(&self, lease: V) {
        drop(lease);
    }
}

impl<V: Value> Lossy for Fresh<V> {
    fn lose(lease: V) {
        drop(lease);
    }
}

/// Nothing but a word, for the channel alone.
struct Nothing;

impl Peer for Nothing {
    type Lease<'p> = usize;

    #[inline]
    fn take(&self) -> usize {
        7
    }
    #[inline]
    fn work(lease: &mut usize) {
        std::hint::black_box(lease);
    }
    #[inline]
    fn give(&self, _: usize) {}
}

/// Vectors that the taking thread uses in turn, and that come back by themselves: what a channel costs whose messages
/// point to memory that both threads write. There are more than can be under way.
struct Ring {
    vectors: Vec<Mutex<Vec<u8>>>,
    next: AtomicUsize,
}

impl Ring {
    fn new() -> Self {
        Self { vectors: (0..256).map(|_| Mutex::new(Value::make())).collect(), next: AtomicUsize::new(0) }
    }
}

impl Peer for Ring {
    type Lease<'p> = &'p Mutex<Vec<u8>>;

    #[inline]
    fn take(&self) -> Self::Lease<'_> {
        // Relaxed: one thread takes.
        let next = self.next.load(Ordering::Relaxed);
        self.next.store(next + 1, Ordering::Relaxed);
        &self.vectors[next % 256]
    }
    #[inline]
    fn work(lease: &mut Self::Lease<'_>) {
        lease.lock().work();
    }
    #[inline]
    fn give<'p>(&'p self, lease: Self::Lease<'p>) {
        lease.lock().clean();
    }
}

pub(super) fn enter(book: &mut Book) {
    book.vectors(STACK, Stack::<Box<Line<Vec<u8>>>>::new);
    book.starved(STACK, Stack::<Box<Line<Vec<u8>>>>::new);
    book.objects(STACK, Stack::<Box<Object>>::new);
    book.costly(STACK, Stack::<Box<Table>>::new);
    book.vectors(BY_VALUE, Stack::<Vec<u8>>::new);
    book.starved(BY_VALUE, Stack::<Vec<u8>>::new);
    book.vectors(FRESH, Fresh::<Vec<u8>>::new);
    book.starved(FRESH, Fresh::<Vec<u8>>::new);
    book.cross(FRESH, Fresh::<Vec<u8>>::new);
    book.objects(FRESH, Fresh::<Box<Object>>::new);
    book.costly(FRESH, Fresh::<Box<Table>>::new);
    book.cross(CHANNEL, || Nothing);
    book.cross(RING, Ring::new);
}
