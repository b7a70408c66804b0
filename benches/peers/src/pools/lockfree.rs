//! lockfree-object-pool: its list of pages, of which values never leave.

use crate::book::Book;
use crate::peer::Peer;
use crate::values::{Object, Table, Value};
use lockfree_object_pool::{LinearObjectPool, LinearReusable};

pub(super) const NAME: &str = "lockfree-object-pool";

struct Linear<V>(LinearObjectPool<V>);

impl<V: Value> Linear<V> {
    fn new() -> Self {
        Self(LinearObjectPool::new(V::make, V::clean))
    }
}

impl<V: Value> Peer for Linear<V> {
    type Lease<'p> = LinearReusable<'p, V>;

    #[inline]
    fn take(&self) -> LinearReusable<'_, V> {
        self.0.pull()
    }
    #[inline]
    fn work(lease: &mut LinearReusable<'_, V>) {
        lease.work();
    }
    #[inline]
    fn give<'p>(&'p self, lease: LinearReusable<'p, V>) {
        drop(lease);
    }
}

pub(super) fn enter(book: &mut Book) {
    book.vectors(NAME, Linear::<Vec<u8>>::new);
    book.cross(NAME, Linear::<Vec<u8>>::new);
    book.objects(NAME, Linear::<Object>::new);
    book.costly(NAME, Linear::<Table>::new);
}
