//! ebbtide, with default settings.

use crate::book::Book;
use crate::peer::{Lossy, Peer};
use crate::values::{Object, Table, Value};
use ebbtide::{Pool, Pooled, Reset};

pub(crate) const NAME: &str = "ebbtide";

struct Ebbtide<V: Send + 'static>(Pool<V>);

impl<V: Value + Reset> Ebbtide<V> {
    fn new() -> Self {
        Self(Pool::new(V::make))
    }
}

impl<V: Value + Reset> Peer for Ebbtide<V> {
    type Lease<'p> = Pooled<V>;

    #[inline]
    fn take(&self) -> Pooled<V> {
        self.0.get()
    }
    #[inline]
    fn work(lease: &mut Pooled<V>) {
        lease.work();
    }
    #[inline]
    fn give(&self, lease: Pooled<V>) {
        drop(lease);
    }
}

impl<V: Value + Reset> Lossy for Ebbtide<V> {
    fn lose(lease: Pooled<V>) {
        drop(Pooled::detach(lease));
    }
}

pub(super) fn enter(book: &mut Book) {
    book.vectors(NAME, Ebbtide::<Vec<u8>>::new);
    book.starved(NAME, Ebbtide::<Vec<u8>>::new);
    book.cross(NAME, Ebbtide::<Vec<u8>>::new);
    book.objects(NAME, Ebbtide::<Object>::new);
    book.costly(NAME, Ebbtide::<Table>::new);
}
