//! object-pool: a mutex around a vector. It has no reset.

use crate::book::Book;
use crate::peer::{Lossy, Peer};
use crate::values::{Object, Table, Value};
use object_pool::{Pool, Reusable};

const NAME: &str = "object-pool";

struct ObjectPool<V>(Pool<V>);

impl<V: Value> ObjectPool<V> {
    fn new() -> Self {
        Self(Pool::new(0, V::make))
    }
}

impl<V: Value> Peer for ObjectPool<V> {
    type Lease<'p> = Reusable<'p, V>;

    #[inline]
    fn take(&self) -> Reusable<'_, V> {
        self.0.pull(V::make)
    }
    #[inline]
    fn work(lease: &mut Reusable<'_, V>) {
        lease.work();
    }
    #[inline]
    fn give<'p>(&'p self, mut lease: Reusable<'p, V>) {
        lease.clean();
    }
}

impl<V: Value> Lossy for ObjectPool<V> {
    fn lose(lease: Reusable<'_, V>) {
        drop(lease.detach());
    }
}

pub(super) fn enter(book: &mut Book) {
    book.vectors(NAME, ObjectPool::<Vec<u8>>::new);
    book.starved(NAME, ObjectPool::<Vec<u8>>::new);
    book.cross(NAME, ObjectPool::<Vec<u8>>::new);
    book.objects(NAME, ObjectPool::<Box<Object>>::new);
    book.costly(NAME, ObjectPool::<Box<Table>>::new);
}
