//! regex-automata's pool: one value for the thread that came first, stacks behind locks for all others. It has no
//! reset.

use crate::book::Book;
use crate::peer::Peer;
use crate::values::{Object, Table, Value};
use regex_automata::util::pool::{Pool, PoolGuard};

pub(super) const NAME: &str = "regex-automata";

struct Regex<V>(Pool<V, fn() -> V>);

impl<V: Value> Regex<V> {
    fn new() -> Self {
        Self(Pool::new(V::make))
    }
}

impl<V: Value> Peer for Regex<V> {
    type Lease<'p> = PoolGuard<'p, V, fn() -> V>;

    #[inline]
    fn take(&self) -> Self::Lease<'_> {
        self.0.get()
    }
    #[inline]
    fn work(lease: &mut Self::Lease<'_>) {
        lease.work();
    }
    #[inline]
    fn give<'p>(&'p self, mut lease: Self::Lease<'p>) {
        lease.clean();
    }
}

pub(super) fn enter(book: &mut Book) {
    book.vectors(NAME, Regex::<Vec<u8>>::new);
    book.objects(NAME, Regex::<Object>::new);
    book.costly(NAME, Regex::<Table>::new);
}
