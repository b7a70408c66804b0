//! opool: an `ArrayQueue` with guards, which resets when a value is taken.

use super::KEPT;
use crate::book::Book;
use crate::peer::{Lossy, Peer};
use crate::values::{Object, Table, Value};
use opool::{Pool, PoolAllocator, RefGuard};

const NAME: &str = "opool";

struct Make;

impl<V: Value> PoolAllocator<V> for Make {
    #[inline]
    fn reset(&self, value: &mut V) {
        value.clean();
    }
    #[inline]
    fn allocate(&self) -> V {
        V::make()
    }
}

struct Opool<V: Value>(Pool<Make, V>);

impl<V: Value> Opool<V> {
    fn new() -> Self {
        Self(Pool::new(KEPT, Make))
    }
}

impl<V: Value> Peer for Opool<V> {
    type Lease<'p> = RefGuard<'p, Make, V>;

    #[inline]
    fn take(&self) -> Self::Lease<'_> {
        self.0.get()
    }
    #[inline]
    fn work(lease: &mut Self::Lease<'_>) {
        lease.work();
    }
    #[inline]
    fn give<'p>(&'p self, lease: Self::Lease<'p>) {
        drop(lease);
    }
}

impl<V: Value> Lossy for Opool<V> {
    fn lose(lease: Self::Lease<'_>) {
        drop(lease.into_inner());
    }
}

pub(super) fn enter(book: &mut Book) {
    book.vectors(NAME, Opool::<Vec<u8>>::new);
    book.starved(NAME, Opool::<Vec<u8>>::new);
    book.cross(NAME, Opool::<Vec<u8>>::new);
    book.objects(NAME, Opool::<Box<Object>>::new);
    book.costly(NAME, Opool::<Box<Table>>::new);
}
