//! zeropool, which holds bytes. Its buffers are taken uninitialised, since it would zero them otherwise, and with as
//! many bytes at hand by thread as ebbtide: its defaults keep 2 and 32 on this machine.

use super::KEPT;
use crate::book::Book;
use crate::peer::{Lossy, Peer};
use crate::values::WRITTEN;
use std::hint::black_box;
use std::mem::MaybeUninit;
use zeropool::{BufUninit, ZeroPool};

pub(super) const NAME: &str = "zeropool";

/// Buffers by thread, and how many move at once.
const AT_HAND: usize = 32;

struct Zero(ZeroPool);

impl Zero {
    fn new() -> Self {
        Self(ZeroPool::new().max_buffers_per_class(KEPT).tls_cache_size(AT_HAND))
    }
}

impl Peer for Zero {
    type Lease<'p> = BufUninit<'p>;

    #[inline]
    fn take(&self) -> BufUninit<'_> {
        self.0.alloc_uninit(WRITTEN.len())
    }
    #[inline]
    fn work(lease: &mut BufUninit<'_>) {
        let room: &mut [_; WRITTEN.len()] =
            black_box(&mut *lease).as_uninit_mut().try_into().expect("as long as taken");
        *room = WRITTEN.map(MaybeUninit::new);
        black_box(lease);
    }
    #[inline]
    fn give<'p>(&'p self, lease: BufUninit<'p>) {
        drop(lease);
    }
}

impl Lossy for Zero {
    fn lose(lease: BufUninit<'_>) {
        drop(lease.write_from_slice(&WRITTEN).into_vec());
    }
}

pub(super) fn enter(book: &mut Book) {
    book.vectors(NAME, Zero::new);
    book.starved(NAME, Zero::new);
    book.cross(NAME, Zero::new);
}
