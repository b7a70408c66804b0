//! The arena where the heap fails: each form that may fail, at each of its heap allocations. A process of its own, since
//! its global allocator fails on demand and counts what is live.
#![allow(unsafe_code)]

use ebbtide::arena::ArenaFull;
use ebbtide::{Arena, Scopes};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Once};

/// Fails, on a thread that asked for it, from the allocation with a certain number on.
struct Failing;

thread_local! {
    /// Allocations that still succeed, and how many fail then.
    static PLAN: Cell<Option<(u32, u32)>> = const { Cell::new(None) };
    static FAILED: Cell<u32> = const { Cell::new(0) };
    /// Bytes that this thread has allocated and not freed.
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn fails() -> bool {
    let Some((good, bad)) = PLAN.get() else { return false };
    if good > 0 {
        PLAN.set(Some((good - 1, bad)));
        return false;
    }
    if bad > 0 {
        PLAN.set(Some((0, bad - 1)));
        FAILED.set(FAILED.get() + 1);
    }
    bad > 0
}

// SAFETY: the system's allocator, or nothing.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails() {
            return std::ptr::null_mut();
        }
        LIVE.set(LIVE.get() + layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;

/// Runs `f` while `bad` allocations fail after `good` ones, and says whether one did.
fn failing<R>(good: u32, bad: u32, f: impl FnOnce() -> R) -> (R, bool) {
    FAILED.set(0);
    PLAN.set(Some((good, bad)));
    let result = f();
    PLAN.set(None);
    (result, FAILED.get() > 0)
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Lets each panic of this process end its thread's plan: what a panic itself allocates must be there.
fn panics_have_memory() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PLAN.set(None);
            before(panic);
        }));
    });
}

fn comes_through(f: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_ok()
}

type Form = fn(&mut Arena<'_>, &Arc<AtomicUsize>) -> Result<(), ArenaFull>;

const TEXT: &str = "some text of which each piece of memory here is made up from beginning to end, ";

/// Each form that may fail, each with a need for several blocks.
const FORMS: &[(&str, Form)] = &[
    ("try_alloc", |arena, _| {
        assert_eq!(arena.try_alloc([7_u8; 3000])?, &[7; 3000]);
        Ok(())
    }),
    ("try_alloc_with", |arena, _| {
        let made = arena.try_alloc_with(|| [7_u8; 3000]).map_err(|refused| refused.reason())?;
        assert_eq!(made, &[7; 3000]);
        Ok(())
    }),
    ("try_alloc_with_drop", |arena, drops| {
        for _ in 0..40 {
            arena.try_alloc_with_drop((Counted(Arc::clone(drops)), [0_u8; 300])).map_err(|refused| refused.reason())?;
        }
        Ok(())
    }),
    ("try_alloc_str", |arena, _| {
        for _ in 0..40 {
            assert_eq!(arena.try_alloc_str(TEXT)?, TEXT);
        }
        Ok(())
    }),
    ("try_alloc_str_lossy", |arena, _| {
        let text = arena.try_alloc_str_lossy(&[b'\xff'; 1000])?;
        assert!(text.chars().all(|character| character == '\u{FFFD}'));
        Ok(())
    }),
    ("try_alloc_fmt", |arena, _| {
        let text = arena.try_alloc_fmt(format_args!("{TEXT}{TEXT}{TEXT}{TEXT}{TEXT}{TEXT}{TEXT}{TEXT}{TEXT}"))?;
        assert_eq!(text.len(), 9 * TEXT.len());
        Ok(())
    }),
    ("try_alloc_slice_copy", |arena, _| {
        assert_eq!(arena.try_alloc_slice_copy(&[3_u32; 1000])?, [3; 1000]);
        Ok(())
    }),
    ("try_alloc_slice_clone", |arena, _| {
        assert_eq!(arena.try_alloc_slice_clone(&[3_u32; 1000])?, [3; 1000]);
        Ok(())
    }),
    ("try_alloc_slice_fill_with", |arena, _| {
        let filled = arena.try_alloc_slice_fill_with(1000, |at| at)?;
        assert!(filled.iter().enumerate().all(|(at, value)| at == *value));
        Ok(())
    }),
    ("try_alloc_iter", |arena, _| {
        let list = arena.try_alloc_iter((0..1000_u32).filter(|number| number % 2 == 0))?;
        assert!(list.iter().enumerate().all(|(at, number)| at * 2 == *number as usize));
        Ok(())
    }),
    ("try_vec and its forms", |arena, _| {
        let mut list = arena.try_vec::<u32>(100)?;
        for number in 0..300 {
            list.try_push(number).map_err(|refused| refused.reason())?;
        }
        list.try_extend(300..600)?;
        list.try_extend_from_slice(&[1; 1000])?;
        list.try_reserve(5000)?;
        assert_eq!((list.len(), list[599], list[1599]), (1600, 599, 1));
        Ok(())
    }),
    ("try_string and its forms", |arena, _| {
        let mut text = arena.try_string(100)?;
        for _ in 0..40 {
            text.try_push('-')?;
            text.try_push_str(TEXT)?;
        }
        text.try_reserve(5000)?;
        assert_eq!(text.len(), 40 * (1 + TEXT.len()));
        Ok(())
    }),
];

/// One request whose form meets the failures. Returns whether there were any, and whether the form was refused, after
/// it has seen that the request ended whole.
fn request(name: &str, form: Form, good: u32, bad: u32) -> (bool, bool) {
    let scopes = Scopes::new();
    let drops = Arc::new(AtomicUsize::new(0));
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    let before = arena.alloc_str("before");
    let (outcome, failed) = failing(good, bad, || form(&mut arena, &drops));
    // Without an error all went well: a smaller block was to be had, or what there was sufficed without room to spare.
    if let Err(full) = outcome {
        assert!(failed && full == ArenaFull::Memory, "{name} after {good}: {full:?}");
    }
    let after = arena.alloc_str("after");
    assert_eq!((&*before, &*after, scope.is_over_quota()), ("before", "after", false));
    drop(arena);
    drop((scope, request));
    assert_eq!((scopes.stats().open(), scopes.stats().hook_panics), (0, 0));
    assert_eq!(Arc::strong_count(&drops), 1, "{name} after {good}: each value was dropped, once");
    // The next request in the same slot has all that it wants.
    let request = scopes.begin();
    let scope = request.scope();
    form(&mut scope.arena(), &drops).unwrap();
    (failed, outcome.is_err())
}

#[test]
fn each_form_survives_the_failure_of_each_of_its_allocations() {
    for (name, form) in FORMS {
        for bad in [1, 2, u32::MAX] {
            // Twice: whatever the process allocates once only is there then.
            request(name, *form, 0, 0);
            let live = LIVE.get();
            let (mut failures, mut refusals) = (0, 0);
            for good in 0.. {
                let (failed, refused) = request(name, *form, good, bad);
                refusals += u32::from(refused);
                failures += u32::from(failed);
                if !failed {
                    break;
                }
            }
            assert!(failures > 0 && (refusals > 0 || bad < u32::MAX), "{name}: {refusals} refusals of {failures}");
            assert_eq!(LIVE.get(), live, "{name} leaves nothing behind");
        }
    }
}

#[test]
fn a_call_that_cannot_fail_panics_and_the_next_request_is_fine() {
    panics_have_memory();
    let scopes = Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    // Of one call all attempts fail.
    assert!(!comes_through(|| _ = failing(0, 2, || arena.alloc_slice_fill_with(1 << 20, |_| 0_u8).len())));
    PLAN.set(None);
    assert_eq!(arena.alloc([1_u8; 1000]), &[1; 1000]);
    drop(arena);
    drop((scope, request));
    assert_eq!(scopes.stats().open(), 0);
}

#[test]
fn a_value_that_cannot_be_noted_for_its_drop_is_dropped_by_the_panic() {
    panics_have_memory();
    let mut panics = 0;
    for good in 0.. {
        let scopes = Scopes::new();
        let drops = Arc::new(AtomicUsize::new(0));
        let request = scopes.begin();
        let scope = request.scope();
        let mut arena = scope.arena();
        let mut value = || _ = arena.alloc_with_drop((Counted(Arc::clone(&drops)), [0_u8; 300]));
        let (made, failed) = failing(good, u32::MAX, || (0..40).take_while(|_| comes_through(&mut value)).count());
        panics += u32::from(made < 40);
        drop(arena);
        drop((scope, request));
        assert_eq!((Arc::strong_count(&drops), scopes.stats().hook_panics), (1, 0), "each value was dropped, once");
        assert_eq!(drops.load(Relaxed), (made + 1).min(40));
        if !failed {
            break;
        }
    }
    assert!(panics > 6, "at each block, and each time that the list grows: {panics}");
}
