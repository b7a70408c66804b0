//! Leases that somebody watches: taken under a tag, or looked at by the leak detector.
//!
//! A watched lease carries a mark, which stands in its charge too: so no judgement is that the charge stays as it is, and the way
//! on, which is rare, settles the mark. The drop of a lease that nobody watches does not even look whether it is watched.
//!
//! A value that a lease under a tag gave back is kept by that tag, as its idle one, and its mark remembers by which. A lease under
//! no tag changes nothing of that, so it has nothing to do.
//!
//! # Invariants
//!
//! (a) A node is `MARKED` only on lease; whoever ends a lease settles that before anything else looks at the charge.
//! (b) A `KEPT` node counts in the books as idle of its tag, with the bytes of its charge. Whoever changes the charge recounts it;
//!     whoever takes it under a tag, or ends it, counts it as gone.

use super::Home;
use super::lent::{Lent, Node, UNCHARGED};
use crate::pool::audit;
use crate::pool::books::{self, Event};
use crate::pool::records::{self, Taken, Why};
use crate::raw::audit::Receipt;
use crate::raw::lease::Lease;
use crate::raw::unwind::caught;
use crate::raw::watch::{self, Tag};
use core::mem::size_of;
use core::panic::Location;

/// The bit in the charge of a marked node: whoever takes a charge for granted sees one look that something is to be settled.
pub(super) const MARK: usize = 1 << (usize::BITS - 1);
/// The bit beside it, where the node has no place in its pool: the rest is what it was measured to be.
const UNPLACED: usize = MARK >> 1;
const BITS: usize = MARK | UNPLACED;

/// What is to be settled when the lease ends, or the node. Without alignment: it lies where a node had no use for its bytes.
///
/// | flags | tag |
/// |---|---|
/// | `KEPT` | the last lease under this tag gave the value back; it is idle, or lent under no tag |
/// | `MARKED` | the lease has this tag, or 0: none |
/// | `MARKED`, `KEPT` | the lease has none; the value is kept by this one |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    flags: u8,
    tag: [u8; 2],
    audit: [u8; 4],
}

const MARKED: u8 = 1;
/// Beside `MARKED`: the leak detector has the lease on record.
const RECORDED: u8 = 2;
const KEPT: u8 = 4;

impl Mark {
    fn is_set(self) -> bool {
        self.flags != 0
    }

    #[inline]
    fn kept(tag: u16) -> Self {
        Self { flags: KEPT, tag: tag.to_ne_bytes(), ..Self::default() }
    }

    #[inline]
    fn tag(self) -> u16 {
        u16::from_ne_bytes(self.tag)
    }

    /// The tag that keeps it.
    #[inline]
    fn kept_by(self) -> Option<u16> {
        (self.flags & KEPT != 0).then(|| self.tag())
    }
}

impl<T: Send + 'static> Home<T> {
    /// An idle node that this thread has at hand, where it takes under a name and is watched for nothing else: the short way
    /// of those.
    #[inline]
    pub(crate) fn take_under(&self, tag: &Tag) -> Option<Lease<Node<T>>> {
        let mut lease = Lease::new(self.tiers.take_at_hand_here()?);
        self.mark(&mut lease.payload, Some(tag), |_, _| false);
        Some(lease)
    }

    /// Marks a lease that this thread has taken while its takes are watched.
    #[cold]
    pub(crate) fn noted(&self, mut lease: Lease<Node<T>>, site: &'static Location<'static>) -> Lease<Node<T>> {
        let (tag, why) = (watch::named(), records::wanted());
        if tag.is_some() || why.is_some() {
            let name = tag.map_or("", Tag::name);
            self.mark(&mut lease.payload, tag, |lent, bytes| {
                why.is_some_and(|why| self.record(lent, why, bytes, name, site))
            });
        }
        watch::rest();
        lease
    }

    /// Marks a lease. `record` puts it on record, if it is to be there, and is told its bytes.
    #[inline]
    fn mark(&self, lent: &mut Lent<T>, tag: Option<&Tag>, record: impl FnOnce(&Lent<T>, usize) -> bool) {
        let has_place = lent.charge != UNCHARGED && lent.charge & BITS == 0;
        if !has_place && !self.mark_unplaced(lent) {
            return;
        }
        let bytes = lent.charge & !BITS;
        let mut mark = lent.mark;
        if let Some(tag) = tag {
            books::take(tag.number(), mark.kept_by(), bytes);
            let audit = audit::taken(tag.number(), self.id).map_or(0, Receipt::word).to_ne_bytes();
            mark = Mark { flags: 0, tag: tag.number().to_ne_bytes(), audit };
        }
        mark.flags |= MARKED;
        if record(lent, bytes) {
            mark.flags |= RECORDED;
        }
        lent.charge |= MARK;
        lent.mark = mark;
    }

    /// Measures what has no place, whose charge says nothing. `false` where there is no room for a mark: in a charge of a
    /// quarter of the address space.
    #[cold]
    fn mark_unplaced(&self, lent: &mut Lent<T>) -> bool {
        if lent.charge != UNCHARGED {
            return false;
        }
        // A panic while measuring leaves the node itself.
        let bytes = caught(|| self.measure(lent.value())).unwrap_or(size_of::<Node<T>>());
        lent.charge = UNPLACED | bytes.min(!BITS);
        true
    }

    /// Puts a lease on record, if there is room.
    #[cold]
    fn record(
        &self,
        lent: &Lent<T>,
        why: Why,
        bytes: usize,
        tag: &'static str,
        site: &'static Location<'static>,
    ) -> bool {
        let pool = (self.settings.name, self.settings.class_bytes as u64);
        records::add(lent.address(), why, Taken { pool, bytes, tag, site })
    }
}

impl<T> Lent<T> {
    /// Ends what a mark began, as the node ends.
    #[inline]
    pub(super) fn end(&mut self, event: Event) {
        if self.mark.is_set() {
            self.end_marked(event);
        }
    }

    #[cold]
    fn end_marked(&mut self, event: Event) {
        if self.mark.flags & MARKED != 0 {
            self.settle(event);
        }
        // By (b).
        if let Some(tag) = core::mem::take(&mut self.mark).kept_by() {
            books::count(tag, Event::Gone, self.charge);
        }
    }

    #[inline(always)]
    pub(super) fn is_marked(&self) -> bool {
        self.charge & MARK != 0
    }

    /// Ends what a mark began, as the value comes back.
    #[inline]
    pub(super) fn settle_back(&mut self) {
        if !self.settle_short() {
            self.settle(Event::Back);
        }
    }

    /// Ends what a mark began, where a value with a place comes back from a lease that has a tag and is not on record. `false`
    /// where it is otherwise, or this thread has not counted the tag before: nothing is changed then. It calls nobody.
    #[inline(always)]
    pub(super) fn settle_short(&mut self) -> bool {
        let mark = self.mark;
        let Some(counters) = books::at_hand(mark.tag()) else { return false };
        if mark.flags != MARKED || mark.tag() == 0 || self.charge & UNPLACED != 0 {
            return false;
        }
        self.mark = Mark::kept(mark.tag());
        self.charge &= !BITS;
        counters.count(Event::Back, self.charge);
        if let Some(receipt) = Receipt::from_word(u32::from_ne_bytes(mark.audit)) {
            audit::back(receipt);
        }
        true
    }

    #[cold]
    pub(super) fn settle(&mut self, event: Event) {
        let mark = core::mem::take(&mut self.mark);
        let bytes = self.charge & !BITS;
        self.charge = if self.charge & UNPLACED == 0 { bytes } else { UNCHARGED };
        if mark.flags & RECORDED != 0 {
            records::remove(self.address());
        }
        let tag = mark.tag();
        if mark.flags & KEPT != 0 {
            self.mark = Mark::kept(tag);
            return;
        }
        if tag == 0 {
            return;
        }
        books::count(tag, event, bytes);
        if event == Event::Back {
            self.mark = Mark::kept(tag);
            if self.charge == UNCHARGED {
                books::recount(tag, bytes, UNCHARGED);
            }
        }
        if let Some(receipt) = Receipt::from_word(u32::from_ne_bytes(mark.audit)) {
            audit::back(receipt);
        }
    }

    /// Tells the books that a kept value had another charge `before`.
    #[inline]
    pub(super) fn recount(&self, before: usize) {
        if let Some(tag) = self.mark.kept_by().filter(|_| before != self.charge) {
            books::recount(tag, before, self.charge);
        }
    }

    /// Notes a word, if the lease is on record.
    #[inline]
    pub(crate) fn touch(&self, crumb: &'static str) {
        if self.mark.flags & RECORDED != 0 {
            records::touch(self.address(), crumb);
        }
    }

    /// Where it lies: the same as long as its node does.
    fn address(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }
}
