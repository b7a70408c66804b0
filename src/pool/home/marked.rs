//! Leases that somebody watches: taken under a tag, or looked at by the leak detector.
//!
//! A watched lease carries a mark, and its judge is [`by_mark`], which settles the mark before it calls the pool's own. So the
//! drop of a lease that nobody watches does not even look whether it is watched.
//!
//! # Invariants
//!
//! (a) A node has a mark only on lease; whoever ends a lease settles the mark before anything else looks at the charge.

use super::Home;
use super::lent::{Lent, Node, UNCHARGED};
use crate::pool::audit;
use crate::pool::books::{self, Event};
use crate::pool::hooks::Judged;
use crate::raw::audit::Ticket;
use crate::raw::lease::Lease;
use crate::raw::unwind::caught;
use crate::raw::watch::{self, Tag};
use core::mem::size_of;

/// The bit in the charge of a marked node: whoever takes a charge for granted sees one look that something is to be settled.
pub(super) const MARK: usize = 1 << (usize::BITS - 1);
/// The bit beside it, where the node has no place in its pool: the rest is what it was measured to be.
const UNPLACED: usize = MARK >> 1;
const BITS: usize = MARK | UNPLACED;

/// What is to be settled when the lease ends. Without alignment: it lies where a node had no use for its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    flags: u8,
    tag: [u8; 2],
    audit: [u8; 4],
}

const MARKED: u8 = 1;

impl Mark {
    pub(super) fn is_set(self) -> bool {
        self.flags != 0
    }
}

/// Settles the mark, then judges as the pool does.
extern "C" fn by_mark<T>(lent: &mut Lent<T>) -> Judged {
    lent.settle(Event::Back);
    (lent.judge)(lent)
}

impl<T: Send + 'static> Home<T> {
    /// Marks a lease that this thread has taken while its takes are watched.
    #[cold]
    pub(crate) fn noted(&self, mut lease: Lease<Node<T>>) -> Lease<Node<T>> {
        if let Some(tag) = watch::tag() {
            self.mark(&mut lease, tag);
        }
        watch::rest();
        lease
    }

    fn mark(&self, node: &mut Node<T>, tag: &'static Tag) {
        let lent = &mut node.payload;
        // A charge of a quarter of the address space has no room for a mark.
        if !tag.is_named() || lent.charge & BITS != 0 {
            return;
        }
        if lent.charge == UNCHARGED {
            // The charge of what has no place says nothing. A panic while measuring leaves the node itself.
            let bytes = caught(|| self.measure(lent.value())).unwrap_or(size_of::<Node<T>>());
            lent.charge = UNPLACED | bytes.min(!BITS);
        }
        books::count(tag.number(), Event::Taken, lent.charge & !BITS);
        lent.charge |= MARK;
        let audit = audit::taken(tag.number(), self.id).map_or(0, Ticket::word);
        lent.mark = Mark { flags: MARKED, tag: tag.number().to_ne_bytes(), audit: audit.to_ne_bytes() };
        lent.judge = by_mark;
    }
}

impl<T> Lent<T> {
    /// Ends what a mark began, if there is one.
    #[inline]
    pub(super) fn settle_if_marked(&mut self, event: Event) {
        if self.mark.is_set() {
            self.settle(event);
        }
    }

    #[cold]
    fn settle(&mut self, event: Event) {
        let mark = core::mem::take(&mut self.mark);
        self.judge = self.judge_of_home();
        let bytes = self.charge & !BITS;
        self.charge = if self.charge & UNPLACED == 0 { bytes } else { UNCHARGED };
        let tag = u16::from_ne_bytes(mark.tag);
        books::count(tag, event, bytes);
        if let Some(ticket) = Ticket::from_word(u32::from_ne_bytes(mark.audit)) {
            audit::back(ticket, tag, self.home().id);
        }
    }
}
