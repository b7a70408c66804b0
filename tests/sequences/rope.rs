//! `PooledRope` and `RopeBytes` against flat vectors.
//!
//! Each rope stands beside a `Vec<u8>` that had the same operations. They must hold the same bytes at every step, a rope
//! that is written must hold no more memory than its docs say, and no two writes of a script use the same bytes.

use super::script::Script;
use bytes::Buf;
use ebbtide::{BufferPool, PooledRope, RopeBytes};
use std::io::{IoSlice, Write};

/// Bytes that one rope holds at most in a script.
const LONGEST: usize = 128 << 10;
/// Ropes that are written at once, and as many that are read.
const MOST: usize = 4;
/// The smallest segment that a rope takes by itself, in bytes.
const SEGMENT: usize = 4 << 10;

#[derive(Debug, Clone, Copy)]
enum Op {
    New,
    WithCapacity { bytes: usize },
    Extend { at: usize, size: usize },
    Write { at: usize, size: usize },
    Repeat { at: usize, size: usize },
    Freeze { at: usize },
    Drop { at: usize },
    Clone { at: usize },
    Advance { at: usize, size: usize },
    CopyToBytes { at: usize, size: usize },
    Pop { at: usize },
    Gather { at: usize },
    IntoContiguous { at: usize },
    IntoSegments { at: usize },
    ClosePool,
}

fn next(script: &mut Script<'_>) -> Option<Op> {
    let op = script.next()?;
    Some(match op % 32 {
        0..=2 => Op::New,
        3 => Op::WithCapacity { bytes: script.size()? },
        4..=8 => Op::Extend { at: script.place(MOST)?, size: script.size()? },
        9..=11 => Op::Write { at: script.place(MOST)?, size: script.size()? },
        12..=15 => Op::Repeat { at: script.place(MOST)?, size: script.size()? },
        16..=18 => Op::Freeze { at: script.place(MOST)? },
        19 => Op::Drop { at: script.place(MOST)? },
        20 => Op::Clone { at: script.place(MOST)? },
        21..=23 => Op::Advance { at: script.place(MOST)?, size: script.size()? },
        24 | 25 => Op::CopyToBytes { at: script.place(MOST)?, size: script.size()? },
        26 | 27 => Op::Pop { at: script.place(MOST)? },
        28 => Op::Gather { at: script.place(MOST)? },
        29 => Op::IntoContiguous { at: script.place(MOST)? },
        30 => Op::IntoSegments { at: script.place(MOST)? },
        // Few scripts close, since nothing is kept afterwards.
        _ if script.next()? == 0 => Op::ClosePool,
        _ => Op::New,
    })
}

/// A rope that is written, what it must hold, and how much room may be left in it.
struct Written {
    rope: PooledRope,
    model: Vec<u8>,
    spare: usize,
}

struct Model {
    pool: BufferPool,
    writing: Vec<Written>,
    reading: Vec<(RopeBytes, Vec<u8>)>,
    /// Of the next byte to be written.
    fresh: u64,
    /// Bytes that the pool must say it gathered.
    gathered: u64,
}

/// Runs a script; panics where a rope and its model differ.
pub(crate) fn run(script: &[u8]) {
    let mut script = Script::new(script);
    let pool = BufferPool::new();
    let mut model = Model { pool, writing: Vec::new(), reading: Vec::new(), fresh: 0, gathered: 0 };
    while let Some(op) = next(&mut script) {
        model.step(op);
        model.check(op);
    }
    let Model { pool, writing, reading, .. } = model;
    drop((writing, reading));
    assert_eq!(pool.stats().outstanding(), 0, "all segments are back");
}

impl Model {
    fn bytes(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(size + 8);
        while bytes.len() < size {
            self.fresh += 1;
            bytes.extend_from_slice(&self.fresh.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        }
        bytes.truncate(size);
        bytes
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::New | Op::WithCapacity { .. } if self.writing.len() == MOST => {}
            Op::New => self.begin(PooledRope::new(&self.pool)),
            Op::WithCapacity { bytes } => self.begin(PooledRope::with_capacity(&self.pool, bytes)),
            Op::Extend { at, size } => self.write(at, size, 1, |rope, bytes| rope.extend_from_slice(bytes)),
            Op::Write { at, size } => self.write(at, size, 1, |rope, bytes| rope.write_all(bytes).unwrap()),
            Op::Repeat { at, size } => self.write(at, size, 16, |rope, bytes| rope.extend_from_slice(bytes)),
            Op::Freeze { at } if at < self.writing.len() && self.reading.len() < MOST => {
                let Written { rope, model, .. } = self.writing.swap_remove(at);
                self.reading.push((rope.freeze(), model));
            }
            Op::Drop { at } if at < self.writing.len() => drop(self.writing.swap_remove(at)),
            Op::ClosePool => self.pool.close(),
            _ => self.read(op),
        }
    }

    fn begin(&mut self, rope: PooledRope) {
        let spare = rope.capacity();
        self.writing.push(Written { rope, model: Vec::new(), spare });
    }

    fn write(&mut self, at: usize, size: usize, times: usize, write: impl Fn(&mut PooledRope, &[u8])) {
        for _ in 0..times {
            let bytes = self.bytes(size);
            let Some(Written { rope, model, spare }) = self.writing.get_mut(at) else { return };
            if model.len() + size > LONGEST {
                return;
            }
            let before = rope.capacity();
            write(rope, &bytes);
            model.extend_from_slice(&bytes);
            if rope.capacity() > before {
                *spare = SEGMENT.max(model.len() / 12).max(size / 4);
            }
        }
    }

    fn read(&mut self, op: Op) {
        let (Op::Clone { at }
        | Op::Advance { at, .. }
        | Op::CopyToBytes { at, .. }
        | Op::Pop { at }
        | Op::Gather { at }
        | Op::IntoContiguous { at }
        | Op::IntoSegments { at }) = op
        else {
            return;
        };
        let full = self.reading.len() == MOST;
        let Some((rope, model)) = self.reading.get_mut(at) else { return };
        match op {
            Op::Clone { .. } if !full => {
                let twin = (rope.clone(), model.clone());
                self.reading.push(twin);
            }
            Op::Advance { size, .. } => {
                let size = size.min(model.len());
                rope.advance(size);
                model.drain(..size);
            }
            Op::CopyToBytes { size, .. } => {
                let size = size.min(model.len());
                self.gathered += if size > rope.chunk().len() { size as u64 } else { 0 };
                let copied = rope.copy_to_bytes(size);
                assert!(model[..size] == copied[..], "copied bytes differ");
                model.drain(..size);
            }
            Op::Pop { .. } => match rope.pop_segment() {
                Some(segment) => {
                    assert!(model[..segment.len()] == segment[..], "the first segment differs");
                    model.drain(..segment.len());
                }
                None => assert!(model.is_empty()),
            },
            Op::Gather { .. } => {
                self.gathered += if rope.as_slice().is_none() { model.len() as u64 } else { 0 };
                assert!(rope.make_contiguous() == &model[..]);
                assert!(rope.as_slice().is_some());
            }
            Op::IntoContiguous { at } => {
                let (rope, model) = self.reading.swap_remove(at);
                self.gathered += if rope.as_slice().is_none() { model.len() as u64 } else { 0 };
                assert!(rope.into_contiguous()[..] == model[..]);
            }
            Op::IntoSegments { at } => {
                let (rope, model) = self.reading.swap_remove(at);
                let mut all = Vec::with_capacity(model.len());
                rope.into_iter().for_each(|segment| all.extend_from_slice(&segment));
                assert!(all == model);
            }
            _ => {}
        }
    }

    fn check(&self, op: Op) {
        for Written { rope, model, spare } in &self.writing {
            assert_eq!((rope.len(), rope.is_empty()), (model.len(), model.is_empty()), "after {op:?}");
            let left = rope.capacity() - rope.len();
            assert!(left <= *spare, "{left} bytes of room, {spare} allowed, {} written, after {op:?}", rope.len());
        }
        for (rope, model) in &self.reading {
            assert_eq!((rope.len(), rope.remaining()), (model.len(), model.len()), "after {op:?}");
            let mut rest = &model[..];
            for segment in rope.segments() {
                assert!(!segment.is_empty(), "an empty segment after {op:?}");
                let (here, there) = rest.split_at(segment.len());
                assert!(here == segment, "bytes differ after {op:?}");
                rest = there;
            }
            assert!(rest.is_empty(), "segments are short after {op:?}");
            let mut slices = [IoSlice::new(&[]); 3];
            let filled = rope.chunks_vectored(&mut slices);
            let seen = slices[..filled].iter().map(|slice| &slice[..]).collect::<Vec<_>>().concat();
            assert!(model.starts_with(&seen) && filled == rope.segments().count().min(3), "slices after {op:?}");
            assert!(model.starts_with(rope.chunk()) && rope.chunk().is_empty() == model.is_empty(), "after {op:?}");
        }
        assert_eq!(self.pool.gathered_bytes(), self.gathered, "after {op:?}");
    }
}
