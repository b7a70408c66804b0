//! The balance of single requests: what a request took under a tag is back when it has ended, or else it is named.

use super::books;
use super::registry;
use crate::raw::audit::{Audits, Out, Receipt, Ticket};
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicU64;
use parking_lot::Mutex;
use std::sync::OnceLock;

static AUDITS: OnceLock<Audits> = OnceLock::new();
/// How to find the request that is current on this thread; set by whoever knows of requests.
static CURRENT: OnceLock<Current> = OnceLock::new();
/// Values that a request took and for which there was no room.
static UNAUDITED: AtomicU64 = AtomicU64::new(0);
/// The kinds of imbalance that were seen: the first `KINDS` of them.
static SEEN: Mutex<Vec<Imbalance>> = Mutex::new(Vec::new());
const KINDS: usize = 64;

/// What requests left out when they had ended, under one tag and of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imbalance {
    /// The tag under which they had taken it.
    pub tag: &'static str,
    /// The pool that it came from; nothing if that has ended by then.
    pub pool: &'static str,
    /// For a size class of a buffer pool, the size of its buffers in bytes; else 0.
    pub class_bytes: u64,
    /// Requests that left something out.
    pub requests: u64,
    /// Values that they left out. Some may have come back since.
    pub values: u64,
}

/// The ticket of the request that is current on this thread, which begins its audit here if need be.
pub(crate) type Current = fn() -> Option<Ticket>;

/// Says how to find the current request.
pub(crate) fn find_by(current: Current) {
    // The first one stays: there is but one kind of request.
    let _ = CURRENT.set(current);
}

#[inline]
fn audits() -> &'static Audits {
    AUDITS.get_or_init(Audits::new)
}

/// Begins the audit of a request that is about to take its first value under a tag. `None` when there is no room: the value is
/// not audited.
pub(crate) fn begin_audit() -> Option<Ticket> {
    audits().begin().or_else(unaudited_one)
}

/// Ends the audit of a request, and names what is still out.
#[inline]
pub(crate) fn end_audit(ticket: Ticket) {
    let mut counted = Counted::default();
    audits().end(ticket, |out| {
        if counted.is_new(out.tag) {
            books::count_imbalance(out.tag);
        }
        remember(out);
    });
}

#[cold]
fn unaudited_one<R>() -> Option<R> {
    UNAUDITED.fetch_add(1, Relaxed);
    None
}

/// The tags that were counted already for one request.
#[derive(Default)]
struct Counted {
    tags: [u16; 8],
    len: usize,
}

impl Counted {
    fn is_new(&mut self, tag: u16) -> bool {
        let is_new = !self.tags[..self.len].contains(&tag);
        if is_new && self.len < self.tags.len() {
            self.tags[self.len] = tag;
            self.len += 1;
        }
        is_new
    }
}

fn remember(Out { tag, pool, values }: Out) {
    let tag = books::name_of(tag);
    let (pool, class_bytes) = registry::name_of(pool).unwrap_or_default();
    let mut seen = SEEN.lock();
    let known = seen.iter().position(|seen| (seen.tag, seen.pool, seen.class_bytes) == (tag, pool, class_bytes));
    match known {
        Some(at) => {
            seen[at].requests += 1;
            seen[at].values += values;
        }
        None if seen.len() < KINDS => {
            // All of the list at once: from then on it allocates nothing.
            seen.reserve_exact(KINDS);
            seen.push(Imbalance { tag, pool, class_bytes, requests: 1, values });
        }
        None => {}
    }
}

/// Counts a value that this thread takes for the request that is current, if there is one.
#[inline]
pub(super) fn taken(tag: u16, pool: u32) -> Option<Receipt> {
    let ticket = CURRENT.get()?()?;
    audits().take(ticket, tag, pool).or_else(unaudited_one)
}

/// Counts that such a value is back, or gone for good.
#[inline]
pub(super) fn back(receipt: Receipt) {
    // It is there, since it gave the receipt.
    if let Some(audits) = AUDITS.get() {
        audits.back(receipt);
    }
}

/// Hands each kind of imbalance to `look`.
pub(crate) fn each_imbalance(mut look: impl FnMut(&Imbalance)) {
    let mut at = 0;
    // No code of a user runs under the lock. The list only grows.
    while let Some(imbalance) = { SEEN.lock().get(at).copied() } {
        look(&imbalance);
        at += 1;
    }
}

/// Values of requests for which there was no room in the audit.
pub(crate) fn unaudited() -> u64 {
    UNAUDITED.load(Relaxed)
}
