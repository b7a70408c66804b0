//! A magazine: the idle nodes of one pool that one thread has at hand, without atomic read-modify-writes.
//!
//! Its owner, the thread with its number, works with it alone. From time to time somebody else takes
//! its nodes away: who closes the pool, or who trims an idle thread's hoard. The two sides meet by an asymmetric
//! Dekker handshake ([`barrier`]): the owner raises `busy`, passes the light fence and looks at the gate; the
//! other shuts the gate, passes the heavy fence and looks at `busy`. At least one of them sees the other.
//!
//! | gate | busy | the chain belongs to | next |
//! |---|---|---|---|
//! | open | no | the owner | busy; or seized or closed |
//! | open | yes | the owner | not busy; or seized or closed |
//! | seized, closed | yes | the owner, if it saw the gate open; else nobody for a moment | not busy |
//! | seized | no | whoever seized it | open |
//! | closed | no | whoever closed it, for good | |
//!
//! An owner that finds the gate shut leaves at once and goes to the shared tier. One that is seen busy keeps its
//! nodes: a trim leaves them, a close looks again. No code of a user runs while `busy` is raised.
//!
//! After it has lowered `busy` the owner does not touch the magazine again: by then its nodes may be gone, and
//! the pool with them.

use super::barrier;
use super::chain::{Chain, List};
use super::depot::Load;
use super::tally::Tally;
use super::threads;
use crate::sync::count::{self, AtomicU64};
use crate::sync::{AtomicBool, AtomicU32, Ordering, UnsafeCell};
use core::fmt;
use core::mem::offset_of;
use core::ptr::NonNull;

const OPEN: u32 = 0;
const SEIZED: u32 = 1;
const CLOSED: u32 = 2;
/// Open, where the light fence does not reach: the owner passes a full one and looks again.
const OPEN_BEHIND_FENCE: u32 = 3;

/// The number of the thread that owns a magazine, in front of it: so that a pointer to a magazine may be one to [`NOBODY`].
///
/// Who drops a node on another thread reads it each time, so it has a cache line that nobody writes: beside what the owner writes
/// with each take, it would call that line away from the owner (`docs/decisions/0042`).
#[derive(Debug)]
#[repr(align(64))]
pub struct Owner(usize);

/// Stands for the magazine of a node that came from none. No thread finds its own number here, so none takes it for more
/// than its owner.
pub static NOBODY: Owner = Owner(threads::NOBODY);

impl Owner {
    pub fn number(&self) -> usize {
        self.0
    }
}

/// # Invariants
///
/// (a) `list` is touched by the owner between raising and lowering `busy`, having seen the gate open in between; or
///     by the one who shut the gate, passed the heavy fence and then saw `busy` lowered.
/// (b) `owner` comes first, so that a pointer to it is one to the magazine, and nothing else is on its cache line.
#[repr(C, align(64))]
pub struct Magazine<P> {
    owner: Owner,
    busy: AtomicBool,
    gate: AtomicU32,
    /// What the gate is when it is open.
    open: u32,
    list: UnsafeCell<List<P>>,
    /// The nodes of `list`, by number.
    tally: Tally,
    /// What the owner had taken at the last look of a trim.
    takes_seen: AtomicU64,
    /// What the owner had taken when it last told `sample`. Only the owner's.
    takes_told: AtomicU64,
    /// Nodes of other threads' magazines that the owner gathers before it hands them on. Only the owner's.
    batch: count::AtomicUsize,
}

const _: () = assert!(offset_of!(Magazine<u8>, busy) >= 64, "the second half of (b)");

// SAFETY: the chain moves between threads under (a).
unsafe impl<P: Send> Send for Magazine<P> {}
// SAFETY: `&Magazine` reaches the chain under (a) only, one thread at a time; no `&P` is shared.
unsafe impl<P: Send> Sync for Magazine<P> {}

impl<P> Magazine<P> {
    pub fn new(owner: usize, depth: usize, full_fence: bool) -> Self {
        let open = if full_fence { OPEN_BEHIND_FENCE } else { OPEN };
        Self {
            busy: AtomicBool::new(false),
            gate: AtomicU32::new(open),
            owner: Owner(owner),
            open,
            list: UnsafeCell::new(List::new()),
            tally: Tally::new(depth),
            takes_seen: AtomicU64::new(0),
            takes_told: AtomicU64::new(0),
            batch: count::AtomicUsize::new(1),
        }
    }

    pub fn depth(&self) -> usize {
        self.tally.depth()
    }

    /// Lets the owner work with its nodes and their tally; gives `input` back when the gate is not open, or is open
    /// only behind a full fence.
    ///
    /// It takes a pointer, not a reference: the magazine may be freed by another thread as soon as `busy` is
    /// lowered, and a reference has to stay valid until the call returns.
    ///
    /// # Safety
    ///
    /// - The calling thread is the owner, and is not inside of another call of this magazine;
    /// - the magazine is valid at least until `busy` is lowered, which is the last that is done with it;
    /// - `work` keeps the tally true, does not panic and runs no code of a user.
    #[inline(always)]
    pub unsafe fn with_light<I, R>(
        this: NonNull<Self>,
        input: I,
        work: impl FnOnce(&mut List<P>, &Tally, I) -> R,
    ) -> Result<R, I> {
        // SAFETY: valid by the caller's promise. It is looked at in models only, where a gate that wants a full fence
        // must get none here.
        let reaches = unsafe { (*this.as_ptr()).open } == OPEN;
        // SAFETY: the caller's promise, passed on.
        unsafe { Self::with_fence(this, || barrier::light(reaches), OPEN, input, work) }
    }

    /// As `with_light`, also where the gate wants a full fence.
    ///
    /// # Safety
    ///
    /// As for `with_light`.
    pub unsafe fn with<I, R>(
        this: NonNull<Self>,
        input: I,
        work: impl FnOnce(&mut List<P>, &Tally, I) -> R,
    ) -> Result<R, I> {
        // SAFETY: valid by the caller's promise.
        if unsafe { (*this.as_ptr()).open } == OPEN {
            // SAFETY: the caller's promise, passed on.
            unsafe { Self::with_fence(this, || barrier::light(true), OPEN, input, work) }
        } else {
            // SAFETY: the caller's promise, passed on.
            unsafe { Self::with_fence(this, barrier::full, OPEN_BEHIND_FENCE, input, work) }
        }
    }

    /// The owner's side of the handshake.
    ///
    /// # Safety
    ///
    /// As for `with_light`; `fence` is the one that a gate which reads `open` wants.
    #[inline(always)]
    unsafe fn with_fence<I, R>(
        this: NonNull<Self>,
        fence: impl FnOnce(),
        open: u32,
        input: I,
        work: impl FnOnce(&mut List<P>, &Tally, I) -> R,
    ) -> Result<R, I> {
        let this = this.as_ptr();
        // SAFETY: valid by the caller's promise; here and below a place is borrowed for one operation.
        let busy = unsafe { &(*this).busy };
        // Relaxed: ordered before the load of the gate by the fence; it publishes nothing.
        busy.store(true, Ordering::Relaxed);
        fence();
        // Acquire: sees the nodes as a trim has left them, from the Release in `reopen`.
        // SAFETY: as above.
        if unsafe { (*this).gate.load(Ordering::Acquire) } != open {
            // Release: nothing was touched here, but `seized` may see this store instead of the one of the call before,
            // whose nodes it then has to publish. (A later store of the same thread does not go on with a release
            // sequence.)
            busy.store(false, Ordering::Release);
            return Err(input);
        }
        // SAFETY: as above.
        let tally = unsafe { &(*this).tally };
        // SAFETY: as above.
        let list = unsafe { &(*this).list };
        let result = list.with_mut(|list| {
            // SAFETY: by (a), first half.
            work(unsafe { &mut *list }, tally, input)
        });
        // Release: publishes the nodes to the Acquire in `seized`.
        busy.store(false, Ordering::Release);
        Ok(result)
    }

    /// Whether the next node that the owner puts in is the last of a step.
    #[inline(always)]
    pub fn is_step(&self) -> bool {
        self.tally.is_step()
    }

    /// Nodes taken out by the owner since the beginning.
    pub fn takes(&self) -> u64 {
        self.tally.takes()
    }

    /// Nodes taken out since the last call. For the owner.
    pub fn new_takes(&self) -> u64 {
        let takes = self.takes();
        let told = self.takes_told.load(Ordering::Relaxed);
        self.takes_told.store(takes, Ordering::Relaxed);
        takes - told
    }

    /// Nodes waiting, as far as can be told from outside.
    pub fn waiting(&self) -> usize {
        self.tally.len()
    }

    /// Whether nothing was taken since the last call. For one trimmer at a time.
    pub fn is_idle(&self) -> bool {
        let takes = self.takes();
        self.takes_seen.load(Ordering::Relaxed) == takes || {
            self.takes_seen.store(takes, Ordering::Relaxed);
            false
        }
    }

    /// How many nodes the owner gathers before it hands foreign ones on.
    pub fn batch(&self) -> usize {
        self.batch.load(Ordering::Relaxed)
    }

    /// Doubles the batch, up to what the magazine holds.
    pub fn grow_batch(&self) {
        self.batch.store((self.batch() * 2).min(self.depth()), Ordering::Relaxed);
    }

    /// Shuts the gate until `reopen`. For the one who holds the pool's lock, as the rest of this block.
    pub fn seize(&self) {
        // Relaxed: ordered before the load of `busy` by the heavy fence; it publishes nothing.
        self.gate.store(SEIZED, Ordering::Relaxed);
    }

    /// Shuts the gate for good.
    pub fn close(&self) {
        // Relaxed: as in `seize`.
        self.gate.store(CLOSED, Ordering::Relaxed);
    }

    /// Takes all but the `keep` nodes that came last out of a magazine whose gate was shut before a heavy fence; `None` while
    /// the owner is busy. Takes the longer the more are kept, however many are taken.
    ///
    /// # Safety
    ///
    /// - The caller has shut the gate and then passed `barrier::heavy`, which said `true`;
    /// - nobody else does so meanwhile (the pool's lock).
    pub unsafe fn seized(&self, keep: usize) -> Option<Chain<P>> {
        // Acquire: sees the chain as the owner left it, from the Release in `with`.
        if self.busy.load(Ordering::Acquire) {
            return None;
        }
        let mut chain = Chain::new();
        self.list.with_mut(|list| {
            // SAFETY: by (a), second half.
            let list = unsafe { &mut *list };
            chain.exchange(list, self.tally.len());
            let mut kept = chain.split_off(keep);
            self.tally.set_len(kept.exchange(list, 0));
        });
        Some(chain)
    }

    /// Opens the gate again.
    pub fn reopen(&self) {
        // Release: publishes the nodes as they were left to the Acquire in `with`.
        self.gate.store(self.open, Ordering::Release);
    }
}

impl<P> fmt::Debug for Magazine<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Magazine")
            .field("owner", &self.owner.0)
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
