//! The mixed request: 40 values of 16 to 512 bytes, 4 strings, and a vector that grows to 4 KiB.

// Not every program that mounts this file uses every way.
#![allow(dead_code, unreachable_pub)]

use bumpalo::Bump;
use ebbtide::Scopes;
use std::cell::RefCell;
use std::hint::black_box;

/// The vector grows to this many bytes, from a quarter of it, by 64 at a time.
const VECTOR: usize = 4096;
const STEP: [u8; 64] = [7; 64];
/// Room for the whole request, without any check for more than this block.
const BLOCK: usize = 32 << 10;

thread_local! {
    static KEPT: RefCell<Bump> = RefCell::new(Bump::new());
    static BLOCK_KEPT: RefCell<Vec<u8>> = RefCell::new(vec![0; BLOCK]);
}

/// What a request allocates.
pub struct Mixed {
    values: Vec<Vec<u8>>,
    strings: [&'static str; 4],
}

impl Mixed {
    pub fn new() -> Self {
        let values = (0..40).map(|i| vec![7; 16 + i * 137 % 497]).collect();
        Self { values, strings: ["id", "content-type", "application/json", "a path with some words in it"] }
    }

    pub fn on_heap(&self) {
        let values: Vec<Box<[u8]>> = self.values.iter().map(|value| value[..].into()).collect();
        let strings = self.strings.map(str::to_owned);
        let mut vector = Vec::with_capacity(VECTOR / 4);
        (0..VECTOR / STEP.len()).for_each(|_| vector.extend_from_slice(&STEP));
        black_box((values, strings, vector));
    }

    pub fn in_bump(&self, bump: &Bump) {
        for value in &self.values {
            black_box(bump.alloc_slice_copy(value));
        }
        black_box(self.strings.map(|text| bump.alloc_str(text)));
        let mut vector = bumpalo::collections::Vec::with_capacity_in(VECTOR / 4, bump);
        (0..VECTOR / STEP.len()).for_each(|_| vector.extend_from_slice_copy(&STEP));
        black_box(vector.into_bump_slice());
    }

    /// A bump allocator that the thread keeps.
    pub fn in_kept_bump(&self) {
        KEPT.with_borrow_mut(|bump| {
            self.in_bump(bump);
            bump.reset();
        });
    }

    /// A block that the thread keeps, and a bare bump pointer: the least that the work itself costs.
    pub fn in_fixed_block(&self) {
        BLOCK_KEPT.with_borrow_mut(|block| {
            let mut block = Block { left: block };
            for value in &self.values {
                black_box(block.alloc_slice_copy(value));
            }
            black_box(self.strings.map(|text| block.alloc_slice_copy(text.as_bytes())));
            // The vector comes last, so it grows where it is.
            for _ in 0..VECTOR / STEP.len() {
                black_box(block.alloc_slice_copy(&STEP));
            }
        });
    }

    pub fn in_scope(&self, scopes: &Scopes) {
        let request = scopes.begin();
        let scope = request.scope();
        let mut arena = scope.arena();
        for value in &self.values {
            black_box(arena.alloc_slice_copy(value));
        }
        black_box(self.strings.map(|text| arena.alloc_str(text)));
        let mut vector = arena.vec(VECTOR / 4);
        (0..VECTOR / STEP.len()).for_each(|_| vector.extend_from_slice(&STEP));
        black_box(vector.into_slice());
    }
}

/// What is left of a block.
struct Block<'b> {
    left: &'b mut [u8],
}

impl<'b> Block<'b> {
    fn alloc_slice_copy(&mut self, bytes: &[u8]) -> &'b mut [u8] {
        let (taken, left) = std::mem::take(&mut self.left).split_at_mut(bytes.len());
        self.left = left;
        taken.copy_from_slice(bytes);
        taken
    }
}
