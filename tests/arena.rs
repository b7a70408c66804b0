//! The arena's surface, as its docs promise it.

use ebbtide::arena::{ArenaFull, Refused};
use ebbtide::{BufferPool, Scope, Scopes, arena_format};
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A request of its own, with a quota.
fn within<R>(quota: usize, f: impl FnOnce(&Scope) -> R) -> R {
    let scopes = Scopes::builder().quota(quota).build();
    let request = scopes.begin();
    f(&request.scope())
}

fn roomy<R>(f: impl FnOnce(&Scope) -> R) -> R {
    within(64 << 20, f)
}

/// Counts its drops.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn alloc_passes_the_quota_and_raises_the_flag() {
    within(10_000, |scope| {
        let mut arena = scope.arena();
        arena.alloc_slice_copy(&[1_u8; 4000]);
        assert!(!scope.is_over_quota());
        let large = arena.alloc_slice_copy(&[2_u8; 20_000]);
        assert!(scope.is_over_quota());
        assert_eq!((large.len(), large[19_999]), (20_000, 2));
        // What finds room in a block that is there is not refused; what does not is.
        assert_eq!(arena.try_alloc_slice_copy(&[3_u8; 40_000]).unwrap_err(), ArenaFull::Quota);
        arena.alloc_slice_copy(&[3_u8; 40_000]);
    });
}

#[test]
fn a_refused_call_does_not_raise_the_flag() {
    within(10_000, |scope| {
        scope.arena().try_alloc_slice_copy(&[1_u8; 20_000]).unwrap_err();
        assert!(!scope.is_over_quota());
        scope.arena().try_alloc_slice_copy(&[1_u8; 2000]).unwrap();
    });
}

#[test]
fn the_quota_is_one_for_all_cursors_of_a_request() {
    const QUOTA: usize = 1 << 20;
    within(QUOTA, |scope| {
        let taken = AtomicUsize::new(0);
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    let mut arena = scope.arena();
                    while arena.try_alloc_slice_copy(&[7_u8; 1000]).is_ok() {
                        taken.fetch_add(1000, Relaxed);
                    }
                });
            }
        });
        let taken = taken.into_inner();
        assert!(taken <= QUOTA, "{taken} bytes");
        // Each lane may have less than a block of 1000 bytes, with what it is rounded up to, left.
        assert!(taken > QUOTA - 4 * (2 * 1000 + 4096), "{taken} bytes");
        assert!(!scope.is_over_quota());
    });
}

#[test]
fn more_cursors_than_lanes_share_the_quota() {
    within(100_000, |scope| {
        let mut cursors: Vec<_> = (0..20).map(|_| scope.arena()).collect();
        let taken = cursors.iter_mut().filter_map(|arena| arena.try_alloc([0_u8; 10_000]).ok()).count();
        assert!((5..=9).contains(&taken), "{taken} of 10,000 bytes in 100,000");
    });
}

#[test]
fn each_request_has_the_whole_quota() {
    let scopes = Scopes::builder().quota(10_000).retain_bytes(1 << 20).build();
    for round in 0..4 {
        let request = scopes.begin();
        let scope = request.scope();
        assert!(!scope.is_over_quota(), "round {round}");
        assert!(scope.arena().try_alloc([0_u8; 9000]).is_err(), "a block is rounded up, round {round}");
        scope.arena().try_alloc([0_u8; 4000]).unwrap();
        // Far more than the quota: were it kept for the next request, that would begin beyond its own.
        scope.arena().alloc_slice_fill_with(100_000, |_| 1_u8);
        assert!(scope.is_over_quota(), "round {round}");
    }
}

#[test]
fn every_form_that_may_fail_tells_the_quota_and_gives_its_input_back() {
    within(0, |scope| {
        let drops = Arc::new(AtomicUsize::new(0));
        let mut arena = scope.arena();
        assert_eq!(arena.try_alloc(7).unwrap_err().into_value(), 7);
        let make = arena.try_alloc_with(|| panic!("called without a place for it") as u8);
        assert_eq!(make.unwrap_err().reason(), ArenaFull::Quota);
        let refused = arena.try_alloc_with_drop(Counted(Arc::clone(&drops))).unwrap_err();
        assert_eq!(drops.load(Relaxed), 0);
        drop(refused.into_value());
        assert_eq!(drops.load(Relaxed), 1);
        let full = Some(ArenaFull::Quota);
        assert_eq!(arena.try_alloc_str("text").err(), full);
        assert_eq!(arena.try_alloc_str_lossy(b"text").err(), full);
        assert_eq!(arena.try_alloc_str_lossy(b"te\xffxt").err(), full);
        assert_eq!(arena.try_alloc_fmt(format_args!("{}", 7)).err(), full);
        assert_eq!(arena.try_alloc_slice_copy(&[1]).err(), full);
        assert_eq!(arena.try_alloc_slice_clone(&[1]).err(), full);
        assert_eq!(arena.try_alloc_slice_fill_with(1, |_| panic!("called") as u8).err(), full);
        assert_eq!(arena.try_alloc_iter([1, 2]).err(), full);
        assert_eq!(arena.try_vec::<u8>(1).err(), full);
        assert_eq!(arena.try_string(1).err(), full);
        let mut list = arena.try_vec::<u32>(0).unwrap();
        assert_eq!(list.try_push(7).unwrap_err().into_value(), 7);
        assert_eq!(list.try_extend([1]).err(), full);
        assert_eq!(list.try_extend_from_slice(&[1]).err(), full);
        assert!(list.is_empty());
        drop(list);
        let mut text = arena.try_string(0).unwrap();
        assert_eq!(
            (text.try_push('x').err(), text.try_push_str("x").err(), text.try_reserve(1).err()),
            (full, full, full)
        );
        drop(text);
        // What takes no memory is never refused.
        assert!(arena.try_alloc(()).is_ok() && arena.try_alloc_str("").is_ok() && arena.try_vec::<()>(9).is_ok());
        assert!(!scope.is_over_quota());
    });
}

#[test]
fn every_form_that_may_fail_does_what_its_twin_does() {
    roomy(|scope| {
        let drops = Arc::new(AtomicUsize::new(0));
        let mut arena = scope.arena();
        assert_eq!(arena.try_alloc(7).unwrap(), &7);
        assert_eq!(arena.try_alloc_with(|| 7).unwrap(), &7);
        assert_eq!(arena.alloc_with(|| [7; 100]), &[7; 100]);
        arena.try_alloc_with_drop(Counted(Arc::clone(&drops))).unwrap();
        assert_eq!(arena.try_alloc_str("text").unwrap(), "text");
        assert_eq!(arena.try_alloc_str_lossy(b"te\xffxt").unwrap(), "te\u{FFFD}xt");
        assert_eq!(arena.try_alloc_fmt(format_args!("{}", 7)).unwrap(), "7");
        assert_eq!(arena.try_alloc_slice_copy(&[1, 2]).unwrap(), [1, 2]);
        assert_eq!(arena.try_alloc_slice_clone(&[1, 2]).unwrap(), [1, 2]);
        assert_eq!(arena.alloc_slice_clone(&[3, 4]), [3, 4]);
        assert_eq!(arena.try_alloc_slice_fill_with(3, |at| at * 2).unwrap(), [0, 2, 4]);
        assert_eq!(arena.try_alloc_iter((0..5).filter(|n| n % 2 == 0)).unwrap(), [0, 2, 4]);
        assert_eq!(arena.alloc_iter("a b c".split(' ')), ["a", "b", "c"]);
        let mut text = arena.try_string(1).unwrap();
        text.try_push('ä').unwrap();
        text.try_push_str("bc").unwrap();
        assert_eq!(text.into_str(), "äbc");
        let mut list = arena.try_vec(1).unwrap();
        list.try_push(1).unwrap();
        list.try_extend_from_slice(&[2, 3]).unwrap();
        list.try_extend(4..6).unwrap();
        assert_eq!(list.into_slice(), [1, 2, 3, 4, 5]);
        assert_eq!(drops.load(Relaxed), 0);
        fn plain(refused: Refused<u8>) -> Result<(), ArenaFull> {
            Err(refused)?
        }
        let refused = within(0, |scope| scope.arena().try_alloc(1_u8).unwrap_err());
        assert_eq!(plain(refused), Err(ArenaFull::Quota), "`?` keeps the reason");
    });
}

#[test]
fn sizes_beyond_any_memory_are_refused_by_every_form_with_a_size() {
    within(usize::MAX, |scope| {
        let mut arena = scope.arena();
        for len in [isize::MAX as usize, isize::MAX as usize + 1, usize::MAX] {
            assert_eq!(arena.try_vec::<u8>(len).err(), Some(ArenaFull::Memory), "{len}");
            assert_eq!(arena.try_string(len).err(), Some(ArenaFull::Memory), "{len}");
            let none = arena.try_alloc_slice_fill_with(len, |_| 0_u8);
            assert_eq!(none.err(), Some(ArenaFull::Memory), "{len}");
            assert_eq!(arena.try_vec::<u64>(len).err(), Some(ArenaFull::Memory), "{len}");
            assert!(catch_unwind(AssertUnwindSafe(|| drop(arena.vec::<u8>(len)))).is_err(), "{len}");
        }
        assert_eq!(arena.alloc_str("still of use"), "still of use");
    });
    // A finite quota is what refuses first.
    roomy(|scope| assert_eq!(scope.arena().try_vec::<u8>(1 << 40).err(), Some(ArenaFull::Quota)));
}

#[test]
fn an_iterator_that_lies_about_its_length_is_an_error() {
    struct Liar;
    impl Iterator for Liar {
        type Item = u8;
        fn next(&mut self) -> Option<u8> {
            None
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (usize::MAX, None)
        }
    }
    roomy(|scope| assert_eq!(scope.arena().try_alloc_iter(Liar).err(), Some(ArenaFull::Memory)));
}

#[test]
fn values_at_the_edge_of_a_block_are_whole_and_aligned() {
    #[repr(align(4096))]
    #[derive(Clone, Copy)]
    struct Page([u8; 4096]);
    // The first block has 448 bytes; the next are about twice as large each.
    for size in (430..470).chain(950..980).chain([4000, 4016, 4032, 4096, 8191]) {
        for quota in [usize::MAX, 100_000] {
            within(quota, |scope| {
                let mut arena = scope.arena();
                let one = arena.try_alloc_slice_fill_with(size, |at| at as u8).unwrap();
                let two = arena.alloc_slice_fill_with(size, |at| !(at as u8));
                let word = arena.try_alloc(u64::MAX).unwrap();
                let page = arena.try_alloc(Page([9; 4096])).unwrap();
                assert_eq!(std::ptr::from_ref(word).addr() % align_of::<u64>(), 0);
                assert_eq!(std::ptr::from_ref(page).addr() % 4096, 0);
                assert!(one.iter().enumerate().all(|(at, byte)| *byte == at as u8), "{size}");
                assert!(two.iter().enumerate().all(|(at, byte)| *byte == !(at as u8)), "{size}");
                assert!(*word == u64::MAX && page.0 == [9; 4096]);
            });
        }
    }
}

#[test]
fn addresses_repeat_with_every_builder_after_the_reset() {
    let scopes = Scopes::new();
    let addresses = || {
        let request = scopes.begin();
        let scope = request.scope();
        let mut arena = scope.arena();
        (0..100)
            .flat_map(|i| {
                let text = arena_format!(arena, "{i} of a hundred").as_ptr().addr();
                let list = arena.alloc_iter((0..i).filter(|n| n % 3 > 0)).as_ptr().addr();
                [text, list]
            })
            .collect::<Vec<_>>()
    };
    // A block that is full at the end of a request is followed by a larger one; that one stays.
    (0..4).for_each(|_| drop(addresses()));
    assert!(addresses() == addresses());
}

#[test]
fn formatted_text_is_what_format_gives() {
    roomy(|scope| {
        let mut arena = scope.arena();
        let word = "captured";
        assert_eq!(*arena_format!(arena, "{word} {:>5} {:?}", 7, "x"), *format!("{word} {:>5} {:?}", 7, "x"));
        assert_eq!(arena_format!(arena, "plain"), "plain");
        assert_eq!(arena_format!(scope.arena(), "{}", "of a cursor that is gone"), "of a cursor that is gone");
        let through = &mut arena;
        assert_eq!(arena_format!(through, "{}", 1), "1");
    });
}

/// Writes a part, fails, and goes on all the same.
struct Failing;

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("until here")?;
        Err(fmt::Error)
    }
}

#[test]
fn an_argument_that_fails_ends_the_text_there() {
    roomy(|scope| {
        assert_eq!(arena_format!(scope.arena(), "a {Failing} b"), "a until here");
        assert_eq!(scope.arena().try_alloc_fmt(format_args!("a {Failing} b")).unwrap(), "a until here");
    });
}

#[test]
fn a_text_that_outgrows_the_quota_says_why() {
    within(2000, |scope| {
        let long = "x".repeat(3000);
        assert_eq!(scope.arena().try_alloc_fmt(format_args!("{} {long}", 1)).err(), Some(ArenaFull::Quota));
        assert_eq!(scope.arena().try_alloc_fmt(format_args!("{} {}", 1, 2)).unwrap(), "1 2");
    });
}

/// Takes no notice of errors.
struct Stubborn<'a>(&'a str);

impl fmt::Display for Stubborn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f.write_str(self.0);
        let _ = f.write_str("and on");
        Ok(())
    }
}

#[test]
fn an_argument_that_goes_on_after_an_error_does_not_hide_it() {
    within(2000, |scope| {
        let long = "x".repeat(3000);
        assert_eq!(scope.arena().try_alloc_fmt(format_args!("{}", Stubborn(&long))).err(), Some(ArenaFull::Quota));
    });
}

#[test]
fn growing_passes_the_quota_and_raises_the_flag() {
    for grow in [
        (|arena| assert_eq!(arena.alloc_iter((0..1000).filter(|n| n % 2 == 0)).len(), 500))
            as fn(&mut ebbtide::Arena<'_>),
        |arena| drop(arena.vec::<u8>(5000)),
        |arena| (0..1000).for_each(|_| arena.vec::<u64>(0).extend_from_slice(&[1; 1000])),
        |arena| arena.string(0).push_str(&"x".repeat(5000)),
        |arena| assert_eq!(arena_format!(arena, "{:>5000}", 1).len(), 5000),
    ] {
        within(1000, |scope| {
            let mut arena = scope.arena();
            arena.alloc(1);
            assert!(!scope.is_over_quota());
            grow(&mut arena);
            assert!(scope.is_over_quota());
        });
    }
}

#[test]
fn a_vector_that_may_not_double_grows_by_what_is_asked_for() {
    // Blocks of 4,032 and 8,128 bytes, and then nothing is left to double in.
    within(12_200, |scope| {
        let mut arena = scope.arena();
        arena.try_alloc([0_u8; 4000]).unwrap();
        let mut list = arena.try_vec::<u8>(4100).unwrap();
        list.try_extend_from_slice(&[7; 4100]).unwrap();
        list.try_reserve(3900).unwrap();
        assert_eq!((list.capacity(), list.len(), list[4099]), (8000, 4100, 7));
        assert_eq!(list.try_reserve(4100).err(), Some(ArenaFull::Quota));
        assert!(!scope.is_over_quota());
    });
}

#[test]
fn a_panic_while_a_slice_is_filled_leaves_the_arena_of_use() {
    roomy(|scope| {
        let mut arena = scope.arena();
        let filled = catch_unwind(AssertUnwindSafe(|| {
            arena.alloc_slice_fill_with(10, |at| if at == 5 { panic!("halfway") } else { at });
        }));
        assert!(filled.is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| *arena.alloc_with(|| panic!("made") as u8))).is_err());
        assert_eq!(arena.alloc_slice_fill_with(3, |at| at), [0, 1, 2]);
    });
}

#[test]
fn a_vector_does_what_the_one_on_the_heap_does() {
    roomy(|scope| {
        let mut arena = scope.arena();
        let (mut ours, mut theirs) = (arena.vec::<u32>(0), Vec::new());
        for number in 0..200_u32 {
            let at = number as usize * 7 % (theirs.len() + 1);
            ours.insert(at, number);
            theirs.insert(at, number);
            if number % 3 == 0 {
                let at = number as usize * 5 % theirs.len();
                assert_eq!(ours.remove(at), theirs.remove(at));
            }
            if number % 5 == 0 && !theirs.is_empty() {
                let at = number as usize * 3 % theirs.len();
                assert_eq!(ours.swap_remove(at), theirs.swap_remove(at));
            }
            assert_eq!(ours, theirs);
        }
        ours.retain(|number| *number % 2 == 0);
        theirs.retain(|number| *number % 2 == 0);
        ours.extend(&[1, 2]);
        theirs.extend(&[1, 2]);
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs);
        assert_eq!((&ours).into_iter().sum::<u32>(), theirs.iter().sum::<u32>());
        for number in &mut ours {
            *number += 1;
        }
        let back: Vec<u32> = ours.into_iter().rev().map(|number| number - 1).collect();
        theirs.reverse();
        assert_eq!(back, theirs);
    });
}

#[test]
fn a_vector_is_deduplicated_as_the_one_on_the_heap_is() {
    roomy(|scope| {
        let mut arena = scope.arena();
        for numbers in [&[][..], &[7], &[7, 7], &[1, 1, 2, 2, 2, 1, 3, 3], &[10, 11, 12, 25, 26, 13]] {
            let mut ours = arena.vec::<i32>(0);
            ours.extend(numbers);
            let mut theirs = numbers.to_vec();
            ours.dedup_by_key(|number| *number / 10);
            theirs.dedup_by_key(|number| *number / 10);
            assert_eq!(ours, theirs);
            ours.clear();
            theirs.clear();
            ours.extend(numbers);
            theirs.extend(numbers);
            ours.dedup();
            theirs.dedup();
            assert_eq!(ours, theirs);
            let (mut pairs, mut same) = (Vec::new(), Vec::new());
            ours.dedup_by(|item, before| (pairs.push((*item, *before)), *item < *before).1);
            theirs.dedup_by(|item, before| (same.push((*item, *before)), *item < *before).1);
            assert_eq!((&*ours, pairs), (&*theirs, same));
        }
    });
}

#[test]
fn a_string_takes_characters_of_every_length() {
    roomy(|scope| {
        let mut arena = scope.arena();
        let (mut ours, mut theirs) = (arena.string(0), String::new());
        for number in 0..2_000_u32 {
            for character in ['a', '\x7f', '\u{80}', '\u{ff}', '\u{100}', '\u{800}', '\u{10ffff}'] {
                let character = if number % 7 == 0 { character } else { 'x' };
                ours.push(character);
                theirs.push(character);
            }
        }
        assert_eq!(ours, theirs);
        ours.extend("\u{e4}\u{20ac}b".chars());
        theirs.push_str("\u{e4}\u{20ac}b");
        assert_eq!(&*ours.into_str(), theirs);
    });
}

#[test]
fn a_vector_out_of_range_panics_and_stays_whole() {
    roomy(|scope| {
        let mut arena = scope.arena();
        let mut list = arena.vec(2);
        list.extend([1, 2, 3]);
        assert!(catch_unwind(AssertUnwindSafe(|| list.remove(3))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| list.swap_remove(3))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| list.insert(4, 9))).is_err());
        let seen = catch_unwind(AssertUnwindSafe(|| {
            list.retain(|number| if *number == 3 { panic!("in the middle") } else { *number == 2 });
        }));
        assert!(seen.is_err());
        let seen = catch_unwind(AssertUnwindSafe(|| {
            list.dedup_by(|number, _| if *number == 3 { panic!("in the middle") } else { true });
        }));
        assert!(seen.is_err());
        list.sort_unstable();
        assert_eq!(list, [1, 2, 3]);
        list.clear();
        assert!(list.is_empty() && list.capacity() >= 3);
        assert!(catch_unwind(AssertUnwindSafe(|| list.swap_remove(0))).is_err(), "empty");
        assert_eq!(list.pop(), None);
    });
}

#[test]
fn a_vector_of_bytes_is_a_writer() {
    use std::io::Write as _;
    roomy(|scope| {
        let mut arena = scope.arena();
        let mut body = arena.vec::<u8>(0);
        write!(body, "{}-", 1).unwrap();
        assert_eq!(body.write(b"two").unwrap(), 3);
        body.flush().unwrap();
        assert_eq!(body.into_slice(), b"1-two");
    });
}

#[test]
fn a_string_does_what_the_one_on_the_heap_does() {
    roomy(|scope| {
        let mut arena = scope.arena();
        let (mut ours, mut theirs) = (arena.string(0), String::new());
        for character in "aä€😀".chars().cycle().take(100) {
            ours.push(character);
            theirs.push(character);
            write!(ours, "{character}-").unwrap();
            write!(theirs, "{character}-").unwrap();
            assert_eq!((ours.pop(), ours.pop()), (theirs.pop(), theirs.pop()));
        }
        assert_eq!(ours, theirs);
        assert_eq!(ours.to_string(), theirs);
        ours.extend(["x", "y"]);
        ours.extend(['z']);
        ours.make_ascii_uppercase();
        assert!(ours.ends_with("XYZ"));
        assert!(catch_unwind(AssertUnwindSafe(|| ours.truncate(2))).is_err(), "inside of ä");
        ours.truncate(3);
        ours.truncate(9);
        assert_eq!(ours, "Aä");
        ours.clear();
        assert_eq!((ours.pop(), ours.capacity() > 100), (None, true));
        assert_eq!(ours.into_str(), "");
    });
}

#[test]
fn adopted_bytes_are_kept_until_the_request_ends() {
    let buffers = BufferPool::new();
    let scopes = Scopes::builder().buffers(buffers.clone()).build();
    let request = scopes.begin();
    let scope = request.scope();
    let mut body = scope.buffers().get(100);
    body.extend_from_slice(b"key=value");
    let (frozen, address) = (body.freeze(), |bytes: &[u8]| bytes.as_ptr().addr());
    let before = address(&frozen);
    let adopted = scope.adopt(frozen);
    assert_eq!((adopted, address(adopted)), (&b"key=value"[..], before), "not copied");
    let more: [&[u8]; 2] = [scope.adopt(vec![1_u8; 3]), scope.adopt(bytes::Bytes::from_static(b"bytes"))];
    assert_eq!(more, [&[1, 1, 1][..], b"bytes"]);
    drop(request);
    assert_eq!((adopted, buffers.stats().outstanding()), (&b"key=value"[..], 1), "a late scope keeps it");
    drop(scope);
    assert_eq!(buffers.stats().outstanding(), 0);
}

#[test]
fn maps_and_vectors_grow_through_the_allocator() {
    use allocator_api2::{boxed::Box, vec::Vec};
    use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
    let drops = Arc::new(AtomicUsize::new(0));
    roomy(|scope| {
        let mut arena = scope.arena();
        let before = arena.alloc_str("before");
        {
            let memory = arena.allocator();
            let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), memory);
            let mut set = HashSet::with_hasher_in(DefaultHashBuilder::default(), memory);
            let mut lists = Vec::new_in(memory);
            for number in 0..1000_u32 {
                map.insert(number, number * 2);
                set.insert(number % 10);
                if number % 100 == 0 {
                    lists.push(Vec::new_in(memory));
                }
                let last = lists.len() - 1;
                lists[last].push(Box::new_in(Counted(Arc::clone(&drops)), memory));
            }
            assert!((0..1000).all(|number| map[&number] == number * 2));
            assert_eq!((set.len(), lists.iter().map(|list| list.len()).sum::<usize>()), (10, 1000));
            map.shrink_to_fit();
            lists.truncate(9);
            assert_eq!(drops.load(Relaxed), 100, "values are dropped by their collection");
        }
        assert_eq!(drops.load(Relaxed), 1000);
        let after = arena.alloc_str("after");
        assert_eq!((&*before, &*after), ("before", "after"));
    });
    assert_eq!(drops.load(Relaxed), 1000);
}

#[test]
fn a_forgotten_collection_drops_nothing_and_keeps_nobody_waiting() {
    let drops = Arc::new(AtomicUsize::new(0));
    let scopes = Scopes::new();
    for round in 0..3 {
        let request = scopes.begin();
        let scope = request.scope();
        let mut arena = scope.arena();
        let mut list = allocator_api2::vec::Vec::new_in(arena.allocator());
        list.push(Counted(Arc::clone(&drops)));
        std::mem::forget(list);
        let after = arena.alloc([round; 100]);
        assert_eq!(after, &[round; 100]);
    }
    assert_eq!((drops.load(Relaxed), scopes.stats().open(), scopes.stats().idle), (0, 0, 1));
}

#[test]
fn the_allocator_zeroes_aligns_and_reuses_the_last_place() {
    use allocator_api2::alloc::{Allocator, Layout};
    roomy(|scope| {
        let mut arena = scope.arena();
        let memory = arena.allocator();
        let list = allocator_api2::vec::from_elem_in(0_u8, 5000, memory);
        assert!(list.iter().all(|byte| *byte == 0));
        let layout = Layout::from_size_align(64, 4096).unwrap();
        let page = memory.allocate_zeroed(layout).unwrap();
        assert_eq!(page.cast::<u8>().addr().get() % 4096, 0);
        let mut growing = allocator_api2::vec::Vec::with_capacity_in(10, memory);
        growing.extend(0..10_u8);
        let copy = memory;
        drop(growing);
        let again = allocator_api2::vec::Vec::<u8, _>::with_capacity_in(10, copy);
        assert!(again.capacity() >= 10);
    });
}

#[test]
fn an_allocator_passes_the_quota_and_raises_the_flag() {
    within(1000, |scope| {
        let mut arena = scope.arena();
        let mut list = allocator_api2::vec::Vec::new_in(arena.allocator());
        list.extend(0..10_u32);
        assert!(!scope.is_over_quota());
        list.extend(0..10_000_u32);
        assert!(scope.is_over_quota() && list.len() == 10_010);
    });
}

#[test]
fn an_allocator_stays_within_the_quota_while_it_can() {
    within(100_000, |scope| {
        let mut arena = scope.arena();
        let memory = arena.allocator();
        let _first = allocator_api2::vec::Vec::<u8, _>::with_capacity_in(60_000, memory);
        // A block twice as large as the last one would pass the quota; one that is just large enough does not.
        let _second = allocator_api2::vec::Vec::<u8, _>::with_capacity_in(30_000, memory);
        assert!(!scope.is_over_quota());
    });
}

#[test]
fn an_arena_that_is_full_answers_413_and_without_memory_503() {
    use axum::response::IntoResponse;
    let status = |full: ArenaFull| full.into_response().status().as_u16();
    assert_eq!((status(ArenaFull::Quota), status(ArenaFull::Memory)), (413, 503));
    let refused = within(0, |scope| scope.arena().try_alloc(1_u8).unwrap_err());
    assert_eq!(refused.into_response().status().as_u16(), 413);
    assert_eq!(ArenaFull::Quota.to_string(), "the request has used up its memory quota");
}
