//! sharded-slab's pool. A value stays in it under its key when the guard is gone, until it is cleared. The plain guard
//! stays on its thread; one that may cross holds a reference to the pool.

use crate::book::Book;
use crate::peer::Peer;
use crate::values::{Object, Table, Value};
use sharded_slab::pool::{OwnedRefMut, RefMut};
use sharded_slab::{Clear, Pool};
use std::sync::Arc;

pub(super) const NAME: &str = "sharded-slab";

/// A value with sharded-slab's own reset.
struct Clean<V>(V);

impl<V: Value> Default for Clean<V> {
    fn default() -> Self {
        Self(V::make())
    }
}

impl<V: Value> Clear for Clean<V> {
    #[inline]
    fn clear(&mut self) {
        self.0.clean();
    }
}

struct Slab<V: Value>(Pool<Clean<V>>);

impl<V: Value> Slab<V> {
    fn new() -> Self {
        Self(Pool::new())
    }
}

impl<V: Value> Peer for Slab<V> {
    type Lease<'p> = RefMut<'p, Clean<V>>;

    #[inline]
    fn take(&self) -> Self::Lease<'_> {
        self.0.create().expect("the slab has room")
    }
    #[inline]
    fn work(lease: &mut Self::Lease<'_>) {
        lease.0.work();
    }
    #[inline]
    fn give<'p>(&'p self, lease: Self::Lease<'p>) {
        let key = lease.key();
        drop(lease);
        self.0.clear(key);
    }
}

struct Crossing(Arc<Pool<Clean<Vec<u8>>>>);

impl Crossing {
    fn new() -> Self {
        Self(Arc::new(Pool::new()))
    }
}

impl Peer for Crossing {
    type Lease<'p> = OwnedRefMut<Clean<Vec<u8>>>;

    #[inline]
    fn take(&self) -> Self::Lease<'_> {
        Arc::clone(&self.0).create_owned().expect("the slab has room")
    }
    #[inline]
    fn work(lease: &mut Self::Lease<'_>) {
        lease.0.work();
    }
    #[inline]
    fn give<'p>(&'p self, lease: Self::Lease<'p>) {
        let key = lease.key();
        drop(lease);
        self.0.clear(key);
    }
}

pub(super) fn enter(book: &mut Book) {
    book.vectors(NAME, Slab::<Vec<u8>>::new);
    book.cross(NAME, Crossing::new);
    book.objects(NAME, Slab::<Object>::new);
    book.costly(NAME, Slab::<Table>::new);
}
