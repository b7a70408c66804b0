//! A session: one scope's work in the arena, with a copy of all that it holds on the heap.

use ebbtide::{Arena, Outcome, Pool, Reset, Scope, Verdict, arena_format};
use std::sync::{Arc, Mutex};

/// What a request did when it ended; the numbers are those of the things that were to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Cleaned(u32, Outcome),
    Dropped(u32),
    /// A lease came back to its pool and was reset for the next.
    Reset(u32),
    /// A lease was thrown away, as one of a request that panicked.
    Discarded(u32),
}

/// The quota of each request, in bytes: several sessions come near it, and some go beyond.
pub(super) const QUOTA: usize = 32 << 10;

pub(super) type Log = Arc<Mutex<Vec<Event>>>;

/// A value of the arena that writes down its drop.
#[derive(Debug)]
pub(super) struct Logged {
    number: u32,
    log: Log,
}

impl Drop for Logged {
    fn drop(&mut self) {
        self.log.lock().unwrap().push(Event::Dropped(self.number));
    }
}

/// A pooled value that writes down how its lease ends.
#[derive(Debug, Default)]
pub(super) struct Leased {
    values: Vec<u64>,
    lease: Option<(u32, Log)>,
}

impl Reset for Leased {
    fn reset(&mut self) -> Verdict {
        if let Some((number, log)) = self.lease.take() {
            log.lock().unwrap().push(Event::Reset(number));
        }
        self.values.reset()
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        if let Some((number, log)) = self.lease.take() {
            log.lock().unwrap().push(Event::Discarded(number));
        }
    }
}

/// Aligned beyond what a heap gives by itself.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Wide(u32);

/// References into one request's memory, each beside a copy.
pub(super) struct Session<'s> {
    scope: &'s Scope,
    cursors: Vec<Arena<'s>>,
    texts: Vec<(&'s mut str, String)>,
    slices: Vec<(&'s mut [u32], Vec<u32>)>,
    wide: Vec<(&'s mut Wide, u32)>,
    values: Vec<(&'s mut Logged, u32)>,
    leases: Vec<(&'s mut Leased, Vec<u64>)>,
    adopted: Vec<(&'s [u8], Vec<u8>)>,
    over_quota: bool,
}

impl<'s> Session<'s> {
    pub(super) fn new(scope: &'s Scope) -> Self {
        Self {
            scope,
            cursors: Vec::new(),
            texts: Vec::new(),
            slices: Vec::new(),
            wide: Vec::new(),
            values: Vec::new(),
            leases: Vec::new(),
            adopted: Vec::new(),
            over_quota: false,
        }
    }

    /// One of the cursors that are claimed; more of them than a request has without a lock.
    fn cursor(&mut self, number: u32) -> &mut Arena<'s> {
        if self.cursors.is_empty() {
            self.cursors.push(self.scope.arena());
        }
        let at = number as usize % self.cursors.len();
        &mut self.cursors[at]
    }

    pub(super) fn value(&mut self, number: u32, log: &Log) {
        let value = Logged { number, log: Arc::clone(log) };
        let value = self.cursor(number).alloc_with_drop(value);
        self.values.push((value, number));
    }

    pub(super) fn lease(&mut self, pool: &Pool<Leased>, number: u32, log: &Log) {
        let value = self.scope.lease(pool);
        assert!(value.values.is_empty() && value.lease.is_none(), "a lease of {value:?}");
        value.lease = Some((number, Arc::clone(log)));
        self.leases.push((value, Vec::new()));
    }

    pub(super) fn allocate(&mut self, op: u8, size: usize, number: u32) {
        let numbers: Vec<u32> = (0..size as u32 / 4).map(|at| number.wrapping_mul(65_537).wrapping_add(at)).collect();
        match op % 16 {
            0 if self.cursors.len() < 12 => self.cursors.push(self.scope.arena()),
            1 => drop(self.cursors.pop()),
            2 | 3 => {
                let model = format!("{number:>size$}", size = size.min(1000));
                let arena = self.cursor(number);
                let text = match number % 4 {
                    0 => arena.try_alloc_str(&model).ok(),
                    1 => arena.try_alloc_fmt(format_args!("{model:>1}")).ok(),
                    2 => Some(arena_format!(arena, "{}{}", &model[..1], &model[1..])),
                    _ => Some(arena.alloc_str(&model)),
                };
                self.texts.extend(text.map(|text| (text, model)));
            }
            4 => {
                let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
                let model = String::from_utf8_lossy(&bytes).into_owned();
                let arena = self.cursor(number);
                let text = if number % 2 == 0 {
                    Some(arena.alloc_str_lossy(&bytes))
                } else {
                    arena.try_alloc_str_lossy(&bytes).ok()
                };
                self.texts.extend(text.map(|text| (text, model)));
            }
            5 | 6 => {
                let arena = self.cursor(number);
                let slice = match number % 6 {
                    0 => arena.try_alloc_slice_copy(&numbers).ok(),
                    1 => arena.try_alloc_slice_fill_with(numbers.len(), |at| numbers[at]).ok(),
                    2 => arena.try_alloc_iter(numbers.iter().copied()).ok(),
                    3 => Some(arena.alloc_slice_fill_with(numbers.len(), |at| numbers[at])),
                    4 => Some(arena.alloc_iter(numbers.iter().filter(|_| true).copied())),
                    _ => Some(arena.alloc_slice_copy(&numbers)),
                };
                self.slices.extend(slice.map(|slice| (slice, numbers)));
            }
            7 => {
                let arena = self.cursor(number);
                let wide = match number % 2 {
                    0 => Some(arena.alloc(Wide(number))),
                    _ => arena.try_alloc(Wide(number)).ok(),
                };
                self.wide.extend(wide.map(|wide| (wide, number)));
            }
            8 | 9 => self.grow(number, numbers),
            10 if number % 2 == 0 => assert_eq!(self.cursor(number).alloc_slice_copy(&vec![(); size]).len(), size),
            10 => {
                let model = vec![number as u8; size];
                self.adopted.push((self.scope.adopt(model.clone()), model));
            }
            11 | 12 => self.change(number),
            _ => {
                for (value, model) in &mut self.leases {
                    value.values.push(u64::from(number));
                    model.push(u64::from(number));
                }
            }
        }
    }

    /// A vector that grows while the others have long been allocated, and now and then is given up.
    fn grow(&mut self, number: u32, numbers: Vec<u32>) {
        let mut growing = self.cursor(number).vec(number as usize % 8);
        let (mut model, middle) = (Vec::new(), numbers.len() / 2);
        for part in [&numbers[..middle], &numbers[middle..]] {
            if number % 3 > 0 || growing.try_extend(part.iter().copied()).is_err() {
                growing.truncate(model.len());
                growing.extend(part.iter().copied());
            }
            model.extend(part);
        }
        if growing.try_push(number).is_ok() {
            assert_eq!((growing.len(), growing.pop()), (model.len() + 1, Some(number)));
        }
        growing.insert(middle, number);
        growing.extend_from_slice(&numbers);
        assert_eq!((growing[middle], growing.remove(middle)), (number, number));
        growing.truncate(numbers.len());
        assert_eq!((&*growing, &model), (&*numbers, &numbers));
        if number % 4 > 0 {
            let slice = growing.into_slice();
            self.slices.push((slice, numbers));
        }
    }

    fn change(&mut self, number: u32) {
        if let Some((slice, model)) = self.slices.last_mut() {
            slice.fill(number);
            model.fill(number);
        }
        if let Some((wide, model)) = self.wide.last_mut() {
            wide.0 = number;
            *model = number;
        }
    }

    /// Bytes of all that this session put into the arena and still refers to.
    fn placed(&self) -> usize {
        let texts: usize = self.texts.iter().map(|(text, _)| text.len()).sum();
        let slices: usize = self.slices.iter().map(|(slice, _)| size_of_val(&**slice)).sum();
        texts + slices + self.wide.len() * size_of::<Wide>() + self.values.len() * size_of::<Logged>()
    }

    pub(super) fn compare(&mut self, op: u8) {
        let was_over = std::mem::replace(&mut self.over_quota, self.scope.is_over_quota());
        assert!(self.over_quota || !was_over, "the flag of the quota was lowered by step {op}");
        assert!(self.over_quota || self.placed() <= QUOTA, "beyond the quota without a flag after step {op}");
        assert!(self.adopted.iter().all(|(bytes, model)| bytes == model), "adopted bytes differ after step {op}");
        assert!(self.texts.iter().all(|(text, model)| **text == **model), "a text differs after step {op}");
        assert!(self.slices.iter().all(|(slice, model)| **slice == **model), "a slice differs after step {op}");
        assert!(self.leases.iter().all(|(value, model)| value.values == *model), "a lease differs after step {op}");
        assert!(self.values.iter().all(|(value, number)| value.number == *number), "a value differs after step {op}");
        let aligned = |wide: &Wide| std::ptr::from_ref(wide).addr() % align_of::<Wide>() == 0;
        assert!(self.wide.iter().all(|(wide, model)| wide.0 == *model && aligned(wide)), "differs after step {op}");
    }
}
