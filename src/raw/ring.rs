//! A bounded queue for models: Dmitry Vyukov's array queue, as `crossbeam_queue::ArrayQueue` has it.
//!
//! It checks this port and everything around it, not crossbeam's own source. Each slot has a stamp: `lap +
//! index` when it waits for a push, one more when it holds a value. Indices start a lap before they wrap
//! in no model, since capacities are tiny; there is no padding and no fast division. It belongs to `sync`, which
//! takes it in by path, and stands here because it has unsafe code.

#![allow(unsafe_code)]

use super::modelled::{AtomicUsize, fence};
use loom::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering;

#[derive(Debug)]
struct Cell<T> {
    stamp: AtomicUsize,
    /// Written by the thread that moved `tail` over it, read by the one that moved `head`.
    value: UnsafeCell<MaybeUninit<T>>,
}

/// The model's stand-in for `ArrayQueue`.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    head: AtomicUsize,
    tail: AtomicUsize,
    cells: Box<[Cell<T>]>,
    one_lap: usize,
}

// SAFETY: a value is moved in by one thread and out by one other; no `&T` is ever handed out.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above; the cells are reached only by the thread that won `head` or `tail`.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let cells = (0..capacity)
            .map(|i| Cell { stamp: AtomicUsize::new(i), value: UnsafeCell::new(MaybeUninit::uninit()) })
            .collect();
        Self {
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            cells,
            one_lap: (capacity + 1).next_power_of_two(),
        }
    }

    /// The position after `at`: the next cell, or the first one of the next lap.
    fn after(&self, at: usize) -> usize {
        let index = at & (self.one_lap - 1);
        let lap = at & !(self.one_lap - 1);
        if index + 1 < self.cells.len() { at + 1 } else { lap + self.one_lap }
    }

    pub(crate) fn push(&self, value: T) -> Result<(), T> {
        let mut tail = self.tail.load(Ordering::Relaxed);
        loop {
            let cell = &self.cells[tail & (self.one_lap - 1)];
            // Acquire: sees the cell emptied by the Release in `pop`.
            let stamp = cell.stamp.load(Ordering::Acquire);
            if stamp == tail {
                match self.tail.compare_exchange_weak(tail, self.after(tail), Ordering::SeqCst, Ordering::Relaxed) {
                    Ok(_) => {
                        // SAFETY: this thread moved `tail` over the cell, so it is the only one in it.
                        cell.value.with_mut(|slot| unsafe { (*slot).write(value) });
                        // Release: publishes the value to the Acquire in `pop`.
                        cell.stamp.store(tail + 1, Ordering::Release);
                        return Ok(());
                    }
                    Err(now) => tail = now,
                }
            } else {
                if stamp + self.one_lap == tail + 1 {
                    fence(Ordering::SeqCst);
                    if self.head.load(Ordering::Relaxed) + self.one_lap == tail {
                        return Err(value);
                    }
                }
                loom::thread::yield_now();
                tail = self.tail.load(Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn pop(&self) -> Option<T> {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let cell = &self.cells[head & (self.one_lap - 1)];
            // Acquire: sees the value from the Release in `push`.
            let stamp = cell.stamp.load(Ordering::Acquire);
            if stamp == head + 1 {
                match self.head.compare_exchange_weak(head, self.after(head), Ordering::SeqCst, Ordering::Relaxed) {
                    Ok(_) => {
                        // SAFETY: this thread moved `head` over a full cell, so the value is its own.
                        let value = cell.value.with_mut(|slot| unsafe { (*slot).assume_init_read() });
                        // Release: hands the empty cell to the next lap's `push`.
                        cell.stamp.store(head + self.one_lap, Ordering::Release);
                        return Some(value);
                    }
                    Err(now) => head = now,
                }
            } else {
                if stamp == head {
                    fence(Ordering::SeqCst);
                    if self.tail.load(Ordering::Relaxed) == head {
                        return None;
                    }
                }
                loom::thread::yield_now();
                head = self.head.load(Ordering::Relaxed);
            }
        }
    }

    /// Nodes waiting, exact while nobody pushes or pops.
    pub(crate) fn len(&self) -> usize {
        let (head, tail) = (self.head.load(Ordering::SeqCst), self.tail.load(Ordering::SeqCst));
        let laps = (tail / self.one_lap) - (head / self.one_lap);
        laps * self.cells.len() + (tail & (self.one_lap - 1)) - (head & (self.one_lap - 1))
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}
