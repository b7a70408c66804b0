//! dynamic-pool: an old `ArrayQueue` with guards that hold a weak reference.

use super::KEPT;
use crate::book::Book;
use crate::peer::{Lossy, Peer};
use crate::values::{Object, Table, Value};
use dynamic_pool::{DynamicPool, DynamicPoolItem, DynamicReset};

const NAME: &str = "dynamic-pool";

/// A value with dynamic-pool's own reset.
struct Clean<V>(V);

impl<V: Value> DynamicReset for Clean<V> {
    #[inline]
    fn reset(&mut self) {
        self.0.clean();
    }
}

struct Dynamic<V: Value>(DynamicPool<Clean<V>>);

impl<V: Value> Dynamic<V> {
    fn new() -> Self {
        Self(DynamicPool::new(0, KEPT, || Clean(V::make())))
    }
}

impl<V: Value> Peer for Dynamic<V> {
    type Lease<'p> = DynamicPoolItem<Clean<V>>;

    #[inline]
    fn take(&self) -> Self::Lease<'_> {
        self.0.take()
    }
    #[inline]
    fn work(lease: &mut Self::Lease<'_>) {
        lease.0.work();
    }
    #[inline]
    fn give<'p>(&'p self, lease: Self::Lease<'p>) {
        drop(lease);
    }
}

impl<V: Value> Lossy for Dynamic<V> {
    fn lose(lease: Self::Lease<'_>) {
        drop(lease.detach());
    }
}

pub(super) fn enter(book: &mut Book) {
    book.vectors(NAME, Dynamic::<Vec<u8>>::new);
    book.starved(NAME, Dynamic::<Vec<u8>>::new);
    book.cross(NAME, Dynamic::<Vec<u8>>::new);
    book.objects(NAME, Dynamic::<Box<Object>>::new);
    book.costly(NAME, Dynamic::<Box<Table>>::new);
}
