//! The books of the pool's model: what a pool keeps, charges and drops, and why, without a pool.

use ebbtide::DropReason;

/// From here on, in bytes, a value has to earn its keep: the rule of `DropReason::Underused`.
const LARGE: usize = 4096;
/// Uses in a row below a quarter that a large value survives.
const STRIKES: u8 = 3;
/// Seconds between two steps of `trim_at`.
pub(super) const STEP: u64 = 10;

pub(super) const REASONS: [DropReason; 10] = [
    DropReason::Oversize,
    DropReason::Full,
    DropReason::Budget,
    DropReason::Verdict,
    DropReason::Panicked,
    DropReason::Closed,
    DropReason::Underused,
    DropReason::Aged,
    DropReason::NotPooled,
    DropReason::Damaged,
];

/// What a pool keeps at most, and how it is built otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) idle: usize,
    pub(super) idle_bytes: usize,
    pub(super) value_bytes: usize,
    pub(super) thread_idle: usize,
    pub(super) no_pool: bool,
    pub(super) poison: bool,
    pub(super) verify: bool,
    /// Bytes that are charged for a value besides what it has on the heap.
    pub(super) node_bytes: usize,
}

/// What is written down of a value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry {
    pub(super) name: u64,
    /// Bytes that it has on the heap.
    pub(super) bytes: usize,
    /// Bytes charged for it; 0 when it has no place.
    charge: usize,
    strikes: u8,
    /// Steps of ageing through which it has waited.
    waited: usize,
}

impl Entry {
    /// A value that the pool has not seen before.
    pub(super) fn new(name: u64) -> Self {
        Self { name, ..Self::default() }
    }
}

/// A value as it comes back, before its reset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Back {
    pub(super) bytes: usize,
    pub(super) used: usize,
    pub(super) spoilt: bool,
    pub(super) bomb: bool,
}

#[derive(Debug)]
pub(super) struct Books {
    pub(super) bounds: Bounds,
    pub(super) idle: Vec<Entry>,
    pub(super) charged: usize,
    pub(super) hits: u64,
    pub(super) made: u64,
    pub(super) drops: [u64; REASONS.len()],
    pub(super) closed: bool,
    /// Values dropped in this step of the script.
    pub(super) gone: Vec<u64>,
    places: usize,
    /// When the last step of `trim_at` began, in seconds.
    began: Option<u64>,
    /// Steps of ageing since a value was taken out.
    quiet: usize,
}

impl Books {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            idle: Vec::new(),
            charged: 0,
            hits: 0,
            made: 0,
            drops: [0; REASONS.len()],
            closed: false,
            gone: Vec::new(),
            places: 0,
            began: None,
            quiet: 0,
        }
    }

    /// An idle value is lent; `None` if none of that name is idle.
    pub(super) fn lend(&mut self, name: u64) -> Option<Entry> {
        let at = self.idle.iter().position(|entry| entry.name == name)?;
        (self.hits, self.quiet) = (self.hits + 1, 0);
        Some(self.idle.swap_remove(at))
    }

    /// A value is made and lent. It has its place from the beginning, if there is one.
    pub(super) fn make(&mut self, name: u64) -> Entry {
        self.made += 1;
        let mut entry = Entry::new(name);
        if self.bounds.node_bytes <= self.bounds.value_bytes {
            let _ = self.charge(&mut entry, self.bounds.node_bytes);
        }
        entry
    }

    fn charge(&mut self, entry: &mut Entry, bytes: usize) -> Result<(), DropReason> {
        let place = usize::from(entry.charge == 0);
        if self.places + place > self.bounds.idle {
            return Err(DropReason::Full);
        }
        if bytes > entry.charge && self.charged - entry.charge + bytes > self.bounds.idle_bytes {
            return Err(DropReason::Budget);
        }
        (self.places, self.charged) = (self.places + place, self.charged - entry.charge + bytes);
        entry.charge = bytes;
        Ok(())
    }

    fn discharge(&mut self, entry: Entry) {
        self.places -= usize::from(entry.charge != 0);
        self.charged -= entry.charge;
    }

    /// A value leaves the pool for good.
    pub(super) fn detached(&mut self, entry: Entry) {
        self.discharge(entry);
    }

    fn dropped(&mut self, entry: Entry, reason: DropReason) {
        self.discharge(entry);
        self.drops[reason as usize] += 1;
        self.gone.push(entry.name);
    }

    /// A value comes back: it waits now, or it is dropped.
    pub(super) fn came_back(&mut self, mut entry: Entry, back: Back) {
        match self.readmit(&mut entry, back) {
            Err(reason) => self.dropped(entry, reason),
            Ok(()) if self.closed => self.dropped(entry, DropReason::Closed),
            Ok(()) => self.idle.push(Entry { bytes: back.bytes, waited: 0, ..entry }),
        }
    }

    fn readmit(&mut self, entry: &mut Entry, back: Back) -> Result<(), DropReason> {
        let Back { bytes, used, spoilt, bomb } = back;
        if bomb || spoilt {
            return Err(if bomb { DropReason::Panicked } else { DropReason::Verdict });
        }
        if bytes > LARGE {
            entry.strikes = if used >= bytes / 4 { 0 } else { entry.strikes + 1 };
            if entry.strikes > STRIKES {
                return Err(DropReason::Underused);
            }
        }
        if self.bounds.no_pool {
            return Err(DropReason::NotPooled);
        }
        let bytes = self.bounds.node_bytes + bytes;
        if bytes == entry.charge {
            return Ok(());
        }
        if bytes > self.bounds.value_bytes { Err(DropReason::Oversize) } else { self.charge(entry, bytes) }
    }

    /// All idle values are dropped.
    pub(super) fn emptied(&mut self) {
        for entry in std::mem::take(&mut self.idle) {
            self.dropped(entry, DropReason::Closed);
        }
    }

    /// Whether a step of `trim_at` is due, which then begins.
    pub(super) fn is_due(&mut self, now: u64) -> bool {
        let due = self.began.is_none_or(|began| now - began >= STEP);
        self.began = if due { Some(now) } else { self.began };
        due
    }

    /// A step of ageing took away what has these names: only what had waited through a step. Without a take, three steps
    /// leave nothing behind that has waited through them.
    pub(super) fn aged(&mut self, names: &[u64]) {
        self.quiet += 1;
        for entry in std::mem::take(&mut self.idle) {
            if names.contains(&entry.name) {
                assert!(entry.waited >= 1, "{entry:?} went too early");
                self.dropped(entry, DropReason::Aged);
            } else {
                let entry = Entry { waited: entry.waited + 1, ..entry };
                assert!(self.quiet < 3 || entry.waited < 3, "{entry:?} stays for ever, {self:?}");
                self.idle.push(entry);
            }
        }
    }
}
