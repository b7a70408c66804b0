//! Whether the values that this thread takes are watched, at no cost where they are not.
//!
//! The short way of a take reads one word: the thread's number. While the thread's takes are watched, the word is the
//! address of a place instead, in which a [`Tag`] stands, and which is no number; so the short way fails as it does for a
//! thread without a number, and the long way finds the tag. Switching from tag to tag is a store into the place.
//!
//! Tags are switched within a closure, [`scoped`], in whose frame the place is; whatever was in the word comes back at its
//! end, so that tags nest and survive panics. What is said of `LocalKey::with` holds here too: a closure ends on the thread
//! on which it began.

use super::sample;
use super::threads::{self, NONE, THREADS, UNKNOWN};
use crate::sync::Ordering::Relaxed;
use crate::sync::count::AtomicBool;
use core::cell::Cell;
use core::fmt;
use core::ptr::without_provenance;

/// A name under which takes are counted.
#[derive(PartialEq, Eq)]
pub struct Tag {
    name: &'static str,
    number: u16,
}

/// What stands for no name: where a take is watched for another reason.
pub static UNTAGGED: Tag = Tag::new("", 0);

/// Where a tag stands.
type Place = Cell<&'static Tag>;

/// The place of [`UNTAGGED`]; nobody writes to it.
struct Fixed(Place);
// SAFETY: it is read only, as no `&Place` of it is handed out.
unsafe impl Sync for Fixed {}
static NOWHERE: Fixed = Fixed(Cell::new(&UNTAGGED));

/// Whether all threads are watched.
static PROCESS: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// # Invariants
    ///
    /// (a) It is this thread's own number, or not below `THREADS`.
    /// (b) From `THREADS` up to `NONE` it is the address of a place that lives: of `NOWHERE`, or of one in the frame of a
    ///     `scoped` that runs. (Nothing lies in the first bytes of memory, or in the last.)
    static SHORT: Cell<*const Place> = const { Cell::new(without_provenance(UNKNOWN)) };
    /// How many reasons there are to watch all that this thread takes.
    static ALWAYS: Cell<usize> = const { Cell::new(0) };
}

impl Tag {
    pub const fn new(name: &'static str, number: u16) -> Self {
        Self { name, number }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its place in the books; 0 for [`UNTAGGED`].
    pub fn number(&self) -> u16 {
        self.number
    }

    pub fn is_named(&self) -> bool {
        self.number != 0
    }
}

/// The number by which the short way takes; none of a thread while its takes are watched. One load.
#[inline(always)]
pub fn number_to_take() -> usize {
    SHORT.get().addr()
}

/// Whether the short way is open to this thread: it has a number, and its takes are not watched.
#[inline]
pub fn is_open() -> bool {
    number_to_take() < THREADS
}

/// The tag under which this thread takes, if its takes are watched.
#[inline]
pub fn tag() -> Option<&'static Tag> {
    let short = SHORT.get();
    // SAFETY: by (b).
    (THREADS..NONE).contains(&short.addr()).then(|| unsafe { &*short }.get())
}

/// The tag that this thread is under, if it has a name.
#[inline]
pub fn named() -> Option<&'static Tag> {
    tag().filter(|tag| tag.is_named())
}

/// The same, if there is no other reason to watch what it takes.
#[inline]
pub fn only_named() -> Option<&'static Tag> {
    named().filter(|_| !is_close())
}

/// Runs `f`, which switches to tags; afterwards it is as before, also when `f` panics.
#[inline(always)]
pub fn scoped<R>(f: impl FnOnce(&Switch) -> R) -> R {
    let switch = Switch(Cell::new(&UNTAGGED));
    let _back = Back(SHORT.replace(&raw const switch.0));
    f(&switch)
}

/// Runs `f` under no tag.
pub fn apart<R>(f: impl FnOnce() -> R) -> R {
    let _back = Back(SHORT.replace(resting()));
    f()
}

/// Switches tags, within a [`scoped`].
pub struct Switch(Place);

impl Switch {
    #[inline(always)]
    pub fn to(&self, tag: &'static Tag) {
        self.0.set(tag);
    }
}

/// Puts back what was in the word. It keeps (a): the number that a thread once has only changes at its end, when no
/// closure runs any more. It keeps (b): what was there is of a closure around this one.
struct Back(*const Place);

impl Drop for Back {
    #[inline(always)]
    fn drop(&mut self) {
        SHORT.set(self.0);
    }
}

/// Watches the next take of this thread, unless it is watched already.
pub fn watch_next() {
    if is_open() {
        SHORT.set(&raw const NOWHERE.0);
    }
}

/// Watches all that this thread takes from now on, until `unwatch`. They nest.
pub fn watch() {
    ALWAYS.set(ALWAYS.get() + 1);
    rest();
}

/// Ends a `watch`.
pub fn unwatch() {
    ALWAYS.set(ALWAYS.get().saturating_sub(1));
    rest();
}

/// Watches all that is taken from now on, by threads that have taken nothing before.
pub fn watch_process() {
    // Relaxed: who sees it late is watched late.
    PROCESS.store(true, Relaxed);
}

/// Whether all threads are watched.
#[inline]
pub fn is_process() -> bool {
    PROCESS.load(Relaxed)
}

/// Opens the short way, unless there is a reason not to. For the long way, after each take without a name.
pub fn rest() {
    if named().is_none() {
        SHORT.set(resting());
    }
}

/// What the word is when there is no tag.
fn resting() -> *const Place {
    if is_close() { &raw const NOWHERE.0 } else { without_provenance(threads::number_so_far()) }
}

/// Whether takes of this thread are watched, tag or not.
#[inline]
fn is_close() -> bool {
    ALWAYS.get() > 0 || sample::is_near() || is_process()
}

/// Notes that this thread's number is another one. A tag that it is under stays.
pub(super) fn renumbered() {
    rest();
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tag").field(&self.name).finish()
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switch").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::raw::unwind::caught;

    static A: Tag = Tag::new("a", 1);
    static B: Tag = Tag::new("b", 2);

    #[test]
    fn tags_nest_and_come_back_after_a_panic() {
        let number = threads::number();
        assert_eq!((number_to_take(), tag()), (number, None));
        scoped(|outer| {
            outer.to(&A);
            assert!(number_to_take() >= THREADS);
            caught(|| {
                scoped(|inner| {
                    inner.to(&B);
                    assert_eq!(tag(), Some(&B));
                    panic!("under b");
                })
            });
            assert_eq!(tag(), Some(&A));
        });
        assert_eq!((number_to_take(), tag()), (number, None));
    }

    #[test]
    fn a_number_that_comes_under_a_tag_is_known_after_the_next_take() {
        std::thread::spawn(|| {
            scoped(|switch| {
                switch.to(&A);
                threads::number();
                assert_eq!(tag(), Some(&A));
            });
            rest();
            assert_eq!(number_to_take(), threads::number());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_is_watched_is_under_no_name() {
        threads::number();
        watch();
        rest();
        assert_eq!(tag(), Some(&UNTAGGED));
        unwatch();
        assert_eq!(tag(), None);
    }
}
