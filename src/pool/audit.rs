//! The balance of single requests: what a request took under a tag is back when it has ended, or else it is named.

use super::books;
use super::registry;
use crate::raw::audit::{Audits, Out, Ticket};
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

/// Hands the account of the current request on, if there is one; it does not end meanwhile.
pub(crate) type Current = fn(&mut dyn FnMut(&Account));

/// Says how to find the current request.
pub(crate) fn find_by(current: Current) {
    // The first one stays: there is but one kind of request.
    let _ = CURRENT.set(current);
}

fn audits() -> &'static Audits {
    AUDITS.get_or_init(Audits::new)
}

/// What one request has out under tags. It stands in the request's slot.
#[derive(Debug, Default)]
pub(crate) struct Account(AtomicU64);

impl Account {
    fn ticket(&self) -> Option<Ticket> {
        let of = |word: u64| Ticket::from_word(word as u32);
        of(self.0.load(Relaxed)).or_else(|| {
            let ticket = audits().begin()?;
            match self.0.compare_exchange(0, u64::from(ticket.word()), Relaxed, Relaxed) {
                Ok(_) => Some(ticket),
                // Another thread of the same request was first.
                Err(first) => {
                    audits().end(ticket, |_| ());
                    of(first)
                }
            }
        })
    }

    /// Ends the account of a request, and names what is still out.
    #[cold]
    pub(crate) fn end(&mut self) {
        let Some(ticket) = Ticket::from_word(core::mem::take(self.0.get_mut()) as u32) else { return };
        let mut counted = Counted::default();
        audits().end(ticket, |out| {
            if counted.is_new(out.tag) {
                books::count_imbalance(out.tag);
            }
            remember(out);
        });
    }
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
pub(super) fn taken(tag: u16, pool: u32) -> Option<Ticket> {
    let mut taken = None;
    CURRENT.get()?(&mut |account| {
        taken = account.ticket().filter(|&ticket| audits().take(ticket, tag, pool));
        if taken.is_none() {
            UNAUDITED.fetch_add(1, Relaxed);
        }
    });
    taken
}

/// Counts that such a value is back, or gone for good.
pub(super) fn back(ticket: Ticket, tag: u16, pool: u32) {
    audits().back(ticket, tag, pool);
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
