//! What is pooled: a vector with room for 4 KiB, a boxed object of 1 KiB, and a table that is costly to make.

use ebbtide::{Reset, Verdict};
use std::hint::black_box;

/// Bytes of room in a vector.
pub(crate) const ROOM: usize = 4096;
/// What a use writes.
pub(crate) const WRITTEN: [u8; 64] = [7; 64];

/// A value that every pool makes, uses and cleans in the same way.
pub(crate) trait Value: Send + Sync + 'static {
    fn make() -> Self;

    /// The use: 64 bytes are written, behind a `&mut` that the compiler cannot see through.
    fn work(&mut self);

    /// What a peer without a reset of its own does when the value comes back.
    fn clean(&mut self);
}

impl Value for Vec<u8> {
    fn make() -> Self {
        Self::with_capacity(ROOM)
    }
    #[inline]
    fn work(&mut self) {
        black_box(&mut *self).extend_from_slice(&WRITTEN);
        black_box(self);
    }
    #[inline]
    fn clean(&mut self) {
        self.clear();
    }
}

/// A plain object of 1 KiB.
pub(crate) struct Object {
    used: usize,
    bytes: [u8; 1016],
}

impl Value for Object {
    fn make() -> Self {
        Self { used: 0, bytes: [0; 1016] }
    }
    #[inline]
    fn work(&mut self) {
        let object = black_box(self);
        object.bytes[..WRITTEN.len()].copy_from_slice(&WRITTEN);
        object.used = WRITTEN.len();
        black_box(object);
    }
    #[inline]
    fn clean(&mut self) {
        self.used = 0;
    }
}

impl Reset for Object {
    fn reset(&mut self) -> Verdict {
        self.clean();
        Verdict::Keep
    }
}

/// The four tables of a CRC-32 that takes four bytes a step, 4 KiB, of which a use reads one word.
pub(crate) struct Table([[u32; 256]; 4]);

impl Value for Table {
    fn make() -> Self {
        let mut table = [[0; 256]; 4];
        table[0] = std::array::from_fn(|byte| (0..8).fold(black_box(byte as u32), |rest, _| step(rest)));
        for slice in 1..4 {
            table[slice] = std::array::from_fn(|byte| {
                let before = table[slice - 1][byte];
                before >> 8 ^ table[0][(before & 0xFF) as usize]
            });
        }
        Self(table)
    }
    #[inline]
    fn work(&mut self) {
        black_box(black_box(self).0[3][7]);
    }
    #[inline]
    fn clean(&mut self) {}
}

/// One bit of the checksum.
fn step(rest: u32) -> u32 {
    if rest & 1 == 1 { rest >> 1 ^ 0xEDB8_8320 } else { rest >> 1 }
}

impl Reset for Table {
    fn reset(&mut self) -> Verdict {
        Verdict::Keep
    }
}

/// For pools that move a value on each way: one word instead of the whole.
impl<V: Value> Value for Box<V> {
    fn make() -> Self {
        Self::new(V::make())
    }
    #[inline]
    fn work(&mut self) {
        (**self).work();
    }
    #[inline]
    fn clean(&mut self) {
        (**self).clean();
    }
}
