//! A `parking_lot::Mutex` around a vector of boxes.

use crate::book::Book;
use crate::peer::{Lossy, Peer};
use crate::values::{Object, Table, Value};
use parking_lot::Mutex;

const NAME: &str = "`Mutex<Vec>` of boxes";

#[allow(clippy::vec_box)] // the box is what moves
struct Stack<V>(Mutex<Vec<Box<V>>>);

impl<V> Stack<V> {
    fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<V: Value> Peer for Stack<V> {
    type Lease<'p> = Box<V>;

    #[inline]
    fn take(&self) -> Box<V> {
        let idle = self.0.lock().pop();
        idle.unwrap_or_else(Box::make)
    }
    #[inline]
    fn work(lease: &mut Box<V>) {
        lease.work();
    }
    #[inline]
    fn give(&self, mut lease: Box<V>) {
        lease.clean();
        self.0.lock().push(lease);
    }
}

impl<V: Value> Lossy for Stack<V> {
    fn lose(lease: Box<V>) {
        drop(lease);
    }
}

pub(super) fn enter(book: &mut Book) {
    book.vectors(NAME, Stack::<Vec<u8>>::new);
    book.starved(NAME, Stack::<Vec<u8>>::new);
    book.cross(NAME, Stack::<Vec<u8>>::new);
    book.objects(NAME, Stack::<Object>::new);
    book.costly(NAME, Stack::<Table>::new);
}
