//! byte-pool: vectors of a fixed length, not cleared, in an unbounded queue. Its users overwrite what they need.

use crate::book::Book;
use crate::peer::Peer;
use crate::values::{ROOM, WRITTEN};
use byte_pool::{Block, BytePool};
use std::hint::black_box;

pub(super) const NAME: &str = "byte-pool";

struct Bytes(BytePool<Vec<u8>>);

impl Bytes {
    fn new() -> Self {
        Self(BytePool::new())
    }
}

impl Peer for Bytes {
    type Lease<'p> = Block<'p, Vec<u8>>;

    #[inline]
    fn take(&self) -> Self::Lease<'_> {
        self.0.alloc(ROOM)
    }
    #[inline]
    fn work(lease: &mut Self::Lease<'_>) {
        let vector: &mut Vec<u8> = lease;
        black_box(&mut *vector)[..WRITTEN.len()].copy_from_slice(&WRITTEN);
        black_box(vector);
    }
    #[inline]
    fn give<'p>(&'p self, lease: Self::Lease<'p>) {
        drop(lease);
    }
}

pub(super) fn enter(book: &mut Book) {
    book.vectors(NAME, Bytes::new);
    book.cross(NAME, Bytes::new);
}
