//! `BufferPool`, `PooledBuf` and `PooledBytes` against flat vectors.
//!
//! Each buffer stands beside a `Vec<u8>` that had the same operations. They must hold the same bytes at every
//! step, so a byte of an earlier user, or one that another buffer wrote, shows at once: no two writes of a
//! script use the same bytes.

use super::script::Script;
use bytes::{Buf, BufMut, Bytes};
use ebbtide::{BufferPool, PooledBuf, PooledBytes};
use std::collections::BTreeSet;
use std::io::Write;

/// Bytes that the pool keeps at most.
const MAX_IDLE_BYTES: usize = 32 << 10;
/// Bytes of the largest buffer that it keeps: scripts go beyond.
const MAX_BUFFER_BYTES: usize = 4 << 10;
/// Bytes that one buffer holds at most in a script.
const LONGEST: usize = 32 << 10;
/// Buffers that are alive at once, and as many frozen ones.
const MOST: usize = 8;

/// One step; the numbers are places, sizes and positions, reduced to what is there when the step runs.
#[derive(Debug, Clone, Copy)]
enum Op {
    Get { min: usize },
    Extend { at: usize, size: usize },
    Write { at: usize, size: usize },
    PutSlice { at: usize, size: usize },
    PutNumber { at: usize },
    PutBytes { at: usize, size: usize },
    Lend { at: usize, size: usize },
    Resize { at: usize, len: usize },
    Change { at: usize, byte: usize },
    Truncate { at: usize, len: usize },
    Clear { at: usize },
    Reserve { at: usize, size: usize },
    Drop { at: usize },
    Freeze { at: usize },
    Clone { at: usize },
    Slice { at: usize, from: usize, size: usize },
    Advance { at: usize, size: usize },
    SplitTo { at: usize, size: usize },
    SplitOff { at: usize, size: usize },
    Shorten { at: usize, len: usize },
    SliceRef { at: usize, from: usize, size: usize },
    CopyToBytes { at: usize, size: usize },
    IntoMut { at: usize },
    Detach { at: usize, threshold: usize },
    IntoBytes { at: usize, size: usize },
    DropFrozen { at: usize },
    ClearPool,
    ClosePool,
}

fn next(script: &mut Script<'_>) -> Option<Op> {
    let op = script.next()?;
    Some(match op % 48 {
        0..=3 => Op::Get { min: script.size()? },
        4 | 5 => Op::Extend { at: script.place(MOST)?, size: script.size()? },
        6 | 7 => Op::Write { at: script.place(MOST)?, size: script.size()? },
        8 | 9 => Op::PutSlice { at: script.place(MOST)?, size: script.size()? },
        10 => Op::PutNumber { at: script.place(MOST)? },
        11 | 12 => Op::PutBytes { at: script.place(MOST)?, size: script.size()? },
        13 => Op::Change { at: script.place(MOST)?, byte: script.size()? },
        14 | 15 => Op::Truncate { at: script.place(MOST)?, len: script.size()? },
        16 => Op::Clear { at: script.place(MOST)? },
        17 => Op::Reserve { at: script.place(MOST)?, size: script.size()? },
        18 | 19 => Op::Drop { at: script.place(MOST)? },
        20 | 21 => Op::Freeze { at: script.place(MOST)? },
        22 => Op::Clone { at: script.place(MOST)? },
        23 | 24 => Op::Slice { at: script.place(MOST)?, from: script.size()?, size: script.size()? },
        25 | 26 => Op::Advance { at: script.place(MOST)?, size: script.size()? },
        27 => Op::IntoBytes { at: script.place(MOST)?, size: script.size()? },
        28 | 29 => Op::DropFrozen { at: script.place(MOST)? },
        30 => Op::ClearPool,
        31 | 32 => Op::Lend { at: script.place(MOST)?, size: script.size()? },
        33 => Op::Resize { at: script.place(MOST)?, len: script.size()? },
        34 | 35 => Op::SplitTo { at: script.place(MOST)?, size: script.size()? },
        36 | 37 => Op::SplitOff { at: script.place(MOST)?, size: script.size()? },
        38 => Op::Shorten { at: script.place(MOST)?, len: script.size()? },
        39 => Op::SliceRef { at: script.place(MOST)?, from: script.size()?, size: script.size()? },
        40 => Op::CopyToBytes { at: script.place(MOST)?, size: script.size()? },
        41..=43 => Op::IntoMut { at: script.place(MOST)? },
        44 => Op::Detach { at: script.place(MOST)?, threshold: script.size()? },
        45 | 46 => Op::Freeze { at: script.place(MOST)? },
        // Few scripts close, since nothing is kept afterwards.
        _ if script.next()? == 0 => Op::ClosePool,
        _ => Op::ClearPool,
    })
}

/// Frozen bytes, what they must hold, and the number of the memory that they share.
struct Frozen {
    bytes: PooledBytes,
    model: Vec<u8>,
    memory: usize,
}

struct Model {
    pool: BufferPool,
    writing: Vec<(PooledBuf, Vec<u8>)>,
    frozen: Vec<Frozen>,
    /// Of the next byte to be written.
    fresh: u64,
    memories: usize,
    closed: bool,
}

/// Runs the script that `bytes` spell. Panics where the pool and the model part.
pub(crate) fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    // Half of the scripts write secrets: what is wiped must not be missed.
    let secret = bytes.first().is_some_and(|first| first % 2 == 1);
    let pool = BufferPool::builder()
        .max_idle_bytes(MAX_IDLE_BYTES)
        .max_buffer_bytes(MAX_BUFFER_BYTES)
        .zero_on_return(secret)
        .build();
    let mut model = Model { pool, writing: Vec::new(), frozen: Vec::new(), fresh: 0, memories: 0, closed: false };
    while let Some(op) = next(&mut script) {
        model.step(op);
        model.compare(op);
    }
    model.end();
}

/// Goes by `chunk_mut` and `advance_mut`, as a reader does; one half of what fits is counted as written.
fn lend(buffer: &mut PooledBuf, model: &mut Vec<u8>, fresh: &[u8]) {
    let room = buffer.chunk_mut();
    assert!(room.len() > 0);
    let fitting = fresh.len().min(room.len());
    room[..fitting].copy_from_slice(&fresh[..fitting]);
    advance(buffer, fitting / 2);
    model.extend_from_slice(&fresh[..fitting / 2]);
}

/// Counts bytes of the room as written, which `lend` has just initialised.
#[allow(unsafe_code)]
fn advance(buffer: &mut PooledBuf, bytes: usize) {
    // SAFETY: the caller wrote them.
    unsafe { buffer.advance_mut(bytes) };
}

impl Model {
    fn step(&mut self, op: Op) {
        match op {
            Op::Get { min } if self.writing.len() < MOST => {
                let buffer = self.pool.get(min);
                assert!(buffer.is_empty() && buffer.capacity() >= min, "{op:?} gave {buffer:?}");
                self.writing.push((buffer, Vec::new()));
            }
            Op::Freeze { at } if at < self.writing.len() && self.frozen.len() < MOST => {
                let (buffer, model) = self.writing.swap_remove(at);
                self.memories += 1;
                self.frozen.push(Frozen { bytes: buffer.freeze(), model, memory: self.memories });
            }
            Op::Drop { at } if at < self.writing.len() => drop(self.writing.swap_remove(at)),
            Op::ClearPool => self.pool.clear(),
            Op::ClosePool => {
                self.pool.close();
                self.closed = true;
            }
            Op::Get { .. } | Op::Freeze { .. } | Op::Drop { .. } => {}
            Op::IntoMut { at } if at < self.frozen.len() && self.writing.len() < MOST => self.thaw(at),
            Op::IntoMut { .. } => {}
            Op::SplitTo { at, size } | Op::SplitOff { at, size } => self.split(op, at, size),
            Op::Shorten { .. }
            | Op::SliceRef { .. }
            | Op::CopyToBytes { .. }
            | Op::Detach { .. }
            | Op::Clone { .. }
            | Op::Slice { .. }
            | Op::Advance { .. }
            | Op::IntoBytes { .. }
            | Op::DropFrozen { .. } => self.read(op),
            _ => self.write(op),
        }
    }

    /// Bytes that no earlier write used; a longer run than 65,536 would repeat itself.
    fn fresh(&mut self, size: usize) -> Vec<u8> {
        (0..size)
            .map(|_| {
                self.fresh += 1;
                (self.fresh ^ (self.fresh >> 8)) as u8
            })
            .collect()
    }

    fn write(&mut self, op: Op) {
        let fresh = match op {
            Op::Extend { size, .. } | Op::Write { size, .. } | Op::PutSlice { size, .. } | Op::Lend { size, .. } => {
                self.fresh(size)
            }
            _ => self.fresh(8),
        };
        let (Op::Extend { at, .. }
        | Op::Write { at, .. }
        | Op::PutSlice { at, .. }
        | Op::PutNumber { at }
        | Op::PutBytes { at, .. }
        | Op::Lend { at, .. }
        | Op::Resize { at, .. }
        | Op::Change { at, .. }
        | Op::Truncate { at, .. }
        | Op::Clear { at }
        | Op::Reserve { at, .. }) = op
        else {
            return;
        };
        let Some((buffer, model)) = self.writing.get_mut(at) else { return };
        match op {
            Op::Truncate { len, .. } => {
                buffer.truncate(len);
                model.truncate(len);
            }
            Op::Clear { .. } => {
                buffer.clear();
                model.clear();
            }
            Op::Change { byte, .. } if !model.is_empty() => {
                let byte = byte % model.len();
                buffer[byte] = fresh[0];
                model[byte] = fresh[0];
            }
            Op::Reserve { size, .. } => {
                buffer.reserve(size);
                assert!(buffer.capacity() - buffer.len() >= size, "{op:?} left {buffer:?}");
            }
            _ if model.len() > LONGEST => {}
            Op::Extend { .. } => {
                buffer.extend_from_slice(&fresh);
                model.extend_from_slice(&fresh);
            }
            Op::Write { .. } => {
                buffer.write_all(&fresh).expect("a write into memory");
                model.extend_from_slice(&fresh);
            }
            Op::PutSlice { .. } => {
                buffer.put(&fresh[..]);
                model.put(&fresh[..]);
            }
            Op::PutNumber { .. } => {
                let number = u64::from_le_bytes(fresh.try_into().expect("eight bytes"));
                buffer.put_u64(number);
                model.put_u64(number);
            }
            Op::Lend { .. } => lend(buffer, model, &fresh),
            Op::Resize { len, .. } => {
                buffer.resize(len, fresh[0]);
                model.resize(len, fresh[0]);
            }
            Op::PutBytes { size, .. } => {
                buffer.put_bytes(fresh[0], size);
                model.put_bytes(fresh[0], size);
            }
            _ => {}
        }
    }

    /// A buffer of frozen bytes again, which is granted to the only share of a memory.
    fn thaw(&mut self, at: usize) {
        let Frozen { bytes, model, memory } = self.frozen.swap_remove(at);
        let is_shared = self.frozen.iter().any(|other| other.memory == memory && !other.model.is_empty());
        assert_eq!(bytes.is_unique(), !is_shared && !model.is_empty());
        match bytes.try_into_mut() {
            Ok(buffer) => {
                assert!(!is_shared && !model.is_empty());
                self.writing.push((buffer, model));
            }
            Err(bytes) => {
                assert!(is_shared || model.is_empty());
                self.frozen.push(Frozen { bytes, model, memory });
            }
        }
    }

    fn split(&mut self, op: Op, at: usize, size: usize) {
        if self.frozen.len() >= MOST {
            return;
        }
        let Some(Frozen { bytes, model, memory }) = self.frozen.get_mut(at) else { return };
        let size = size.min(model.len());
        let tail = model.split_off(size);
        let (bytes, model) = if matches!(op, Op::SplitTo { .. }) {
            (bytes.split_to(size), core::mem::replace(model, tail))
        } else {
            (bytes.split_off(size), tail)
        };
        let memory = *memory;
        self.frozen.push(Frozen { bytes, model, memory });
    }

    fn read(&mut self, op: Op) {
        let (Op::Clone { at }
        | Op::Shorten { at, .. }
        | Op::SliceRef { at, .. }
        | Op::CopyToBytes { at, .. }
        | Op::Detach { at, .. }
        | Op::Slice { at, .. }
        | Op::Advance { at, .. }
        | Op::IntoBytes { at, .. }
        | Op::DropFrozen { at }) = op
        else {
            return;
        };
        let room = self.frozen.len() < MOST;
        let Some(Frozen { bytes, model, memory }) = self.frozen.get_mut(at) else { return };
        let memory = *memory;
        match op {
            Op::Clone { .. } if room => {
                let frozen = Frozen { bytes: bytes.clone(), model: model.clone(), memory };
                self.frozen.push(frozen);
            }
            Op::Slice { from, size, .. } if room => {
                let from = from % (model.len() + 1);
                let to = (from + size).min(model.len());
                let frozen = Frozen { bytes: bytes.slice(from..to), model: model[from..to].to_vec(), memory };
                self.frozen.push(frozen);
            }
            Op::SliceRef { from, size, .. } if room => {
                let from = from % (model.len() + 1);
                let to = (from + size).min(model.len());
                let frozen =
                    Frozen { bytes: bytes.slice_ref(&bytes[from..to]), model: model[from..to].to_vec(), memory };
                self.frozen.push(frozen);
            }
            Op::Advance { size, .. } => {
                let size = size.min(model.len());
                bytes.advance(size);
                model.drain(..size);
            }
            Op::CopyToBytes { size, .. } => {
                let size = size.min(model.len());
                assert_eq!(bytes.copy_to_bytes(size), model[..size]);
                model.drain(..size);
            }
            Op::Shorten { len, .. } => {
                bytes.truncate(len);
                model.truncate(len);
            }
            Op::Detach { threshold, .. } => {
                let Frozen { bytes, model, .. } = self.frozen.swap_remove(at);
                assert_eq!(self.pool.detach(bytes.into_bytes(), threshold), model);
            }
            Op::IntoBytes { size, .. } => {
                let Frozen { bytes, model, .. } = self.frozen.swap_remove(at);
                let size = size.min(model.len());
                let mut bytes: Bytes = bytes.into_bytes();
                assert_eq!(&bytes.split_to(size)[..], &model[..size]);
                assert_eq!(&bytes[..], &model[size..]);
            }
            Op::DropFrozen { .. } => drop(self.frozen.swap_remove(at)),
            _ => {}
        }
    }

    fn compare(&self, op: Op) {
        for (buffer, model) in &self.writing {
            assert!(buffer[..] == model[..], "a buffer differs after {op:?}");
            assert_eq!(buffer.len(), model.len());
        }
        for Frozen { bytes, model, .. } in &self.frozen {
            assert!(bytes[..] == model[..], "frozen bytes differ after {op:?}");
            assert_eq!(bytes.remaining(), model.len());
        }
        let held = |some: fn(&Frozen) -> bool| -> usize {
            self.frozen.iter().filter(|frozen| some(frozen)).map(|frozen| frozen.memory).collect::<BTreeSet<_>>().len()
        };
        // No bytes hold no memory.
        let holding = self.writing.len() + held(|frozen| !frozen.model.is_empty());
        let stats = self.pool.stats();
        assert_eq!(stats.outstanding() as usize, holding, "out and held, after {op:?}");
        assert!(stats.charged_bytes as usize <= MAX_IDLE_BYTES, "{stats:?} after {op:?}");
        assert!(!self.closed || stats.idle == 0, "{stats:?} after {op:?}, closed");
    }

    /// Everything comes home: to an empty house, or after the last handle of the pool is gone.
    fn end(self) {
        let Self { pool, writing, frozen, fresh, .. } = self;
        if fresh % 2 == 1 {
            drop(pool);
            for (buffer, model) in &writing {
                assert!(buffer[..] == model[..], "a buffer differs after its pool is gone");
            }
            for Frozen { bytes, model, .. } in &frozen {
                assert!(bytes[..] == model[..], "frozen bytes differ after their pool is gone");
            }
            return;
        }
        drop((writing, frozen));
        pool.clear();
        let stats = pool.stats();
        assert_eq!((stats.live, stats.outstanding(), stats.charged_bytes), (0, 0, 0), "{stats:?} at the end");
    }
}
