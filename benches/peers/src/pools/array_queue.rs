//! A bare `crossbeam_queue::ArrayQueue` of boxes.

use super::KEPT;
use crate::book::Book;
use crate::peer::{Lossy, Peer};
use crate::values::{Object, Table, Value};
use crossbeam_queue::ArrayQueue;

pub(crate) const NAME: &str = "`ArrayQueue` of boxes";

struct Queue<V>(ArrayQueue<Box<V>>);

impl<V> Queue<V> {
    fn new() -> Self {
        Self(ArrayQueue::new(KEPT))
    }
}

impl<V: Value> Peer for Queue<V> {
    type Lease<'p> = Box<V>;

    #[inline]
    fn take(&self) -> Box<V> {
        self.0.pop().unwrap_or_else(Box::make)
    }
    #[inline]
    fn work(lease: &mut Box<V>) {
        lease.work();
    }
    #[inline]
    fn give(&self, mut lease: Box<V>) {
        lease.clean();
        // A full queue gives the box back, and it is freed.
        let _ = self.0.push(lease);
    }
}

impl<V: Value> Lossy for Queue<V> {
    fn lose(lease: Box<V>) {
        drop(lease);
    }
}

pub(super) fn enter(book: &mut Book) {
    book.vectors(NAME, Queue::<Vec<u8>>::new);
    book.starved(NAME, Queue::<Vec<u8>>::new);
    book.cross(NAME, Queue::<Vec<u8>>::new);
    book.objects(NAME, Queue::<Object>::new);
    book.costly(NAME, Queue::<Table>::new);
}
