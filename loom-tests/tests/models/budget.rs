//! Models of the budget: what is reserved never passes the bound, and what is given back is lost to nobody.

use ebbtide::raw::budget::Budget;
use loom::sync::Arc;
use loom::thread;
use loom_tests::model;

/// What a budget has in these models, and an amount that fits into it once.
const ALL: usize = 10;
const MOST: usize = 6;

/// The budget of a process in one execution. It is leaked, as the real one is never freed.
fn process(limit: usize) -> &'static Budget {
    Box::leak(Box::new(Budget::over(limit, None)))
}

#[test]
fn one_of_two_finds_room() {
    model("budget::one_of_two_finds_room", &["first", "second"], 3, |outcomes| {
        let budget = Arc::new(Budget::over(ALL, None));
        let first = {
            let budget = Arc::clone(&budget);
            thread::spawn(move || budget.reserve(MOST))
        };
        let second = budget.reserve(MOST);
        let first = first.join().unwrap();
        assert!(first || second, "there was room for one");
        assert!(!(first && second), "there was no room for both");
        assert_eq!(budget.used(), MOST);
        outcomes.note(if first { "first" } else { "second" });
    });
}

#[test]
fn all_who_fit_find_room() {
    // One outcome of many executions: none of the two is lost, or refused because of the other's write.
    model("budget::all_who_fit_find_room", &["both"], 3, |outcomes| {
        let budget = Arc::new(Budget::over(ALL, None));
        let first = {
            let budget = Arc::clone(&budget);
            thread::spawn(move || budget.reserve(MOST))
        };
        let second = budget.reserve(ALL - MOST);
        assert!(first.join().unwrap() && second, "there was room for both");
        assert_eq!(budget.used(), ALL);
        outcomes.note("both");
    });
}

#[test]
fn a_give_back_against_a_reserve() {
    model("budget::a_give_back_against_a_reserve", &["room", "refused"], 3, |outcomes| {
        let budget = Arc::new(Budget::over(ALL, None));
        assert!(budget.reserve(ALL - MOST));
        let reserving = {
            let budget = Arc::clone(&budget);
            // The first fits beside what is given back, the second only in its place.
            thread::spawn(move || (budget.reserve(MOST), budget.reserve(ALL - MOST)))
        };
        budget.release(ALL - MOST);
        let (fits, room) = reserving.join().unwrap();
        assert!(fits, "there was room all the while");
        assert_eq!(budget.used(), if room { ALL } else { MOST }, "nothing is lost");
        assert!(room || budget.reserve(ALL - MOST), "what was given back can be reserved");
        outcomes.note(if room { "room" } else { "refused" });
    });
}

#[test]
fn two_give_backs_count_both() {
    // One outcome again: what is given back is worth as much in any order.
    model("budget::two_give_backs_count_both", &["free"], 3, |outcomes| {
        let process = process(ALL);
        let budget = Arc::new(Budget::over(ALL, Some(process)));
        assert!(budget.reserve(ALL));
        let giving = {
            let budget = Arc::clone(&budget);
            thread::spawn(move || budget.release(MOST))
        };
        budget.release(ALL - MOST);
        giving.join().unwrap();
        assert_eq!((budget.used(), process.used()), (0, 0));
        outcomes.note("free");
    });
}

#[test]
fn two_pools_keep_to_the_limit_of_the_process() {
    model("budget::two_pools_keep_to_the_limit_of_the_process", &["first", "second"], 3, |outcomes| {
        let process = process(ALL);
        let first = thread::spawn(move || {
            let pool = Budget::over(ALL, Some(process));
            (pool.reserve(MOST), pool)
        });
        let pool = Budget::over(ALL, Some(process));
        let second = pool.reserve(MOST);
        let (first, other) = first.join().unwrap();
        assert!(first || second, "there was room for one");
        assert!(!(first && second), "there was no room for both");
        assert_eq!(process.used(), MOST);
        assert_eq!(pool.used() + other.used(), MOST, "the pools have what the process has");
        outcomes.note(if first { "first" } else { "second" });
    });
}

#[test]
fn two_pools_give_back_to_the_process() {
    model("budget::two_pools_give_back_to_the_process", &["room", "refused"], 3, |outcomes| {
        let process = process(ALL);
        let pool = Budget::over(ALL, Some(process));
        assert!(pool.reserve(MOST));
        let other = thread::spawn(move || {
            let other = Budget::over(ALL, Some(process));
            (other.reserve(MOST), other)
        });
        pool.release(MOST);
        let (room, other) = other.join().unwrap();
        assert_eq!((pool.used(), other.used()), (0, if room { MOST } else { 0 }));
        assert_eq!(process.used(), other.used(), "nothing is lost");
        outcomes.note(if room { "room" } else { "refused" });
    });
}

#[test]
fn an_attempt_that_fails_leaves_nothing_reserved() {
    let expected = &["room", "held up"];
    model("budget::an_attempt_that_fails_leaves_nothing_reserved", expected, 3, |outcomes| {
        let process = process(ALL);
        let failing = thread::spawn(move || {
            let small = Budget::over(MOST - 1, Some(process));
            (small.reserve(MOST), small.used())
        });
        let pool = Budget::over(ALL, Some(process));
        let room = pool.reserve(MOST);
        assert_eq!(failing.join().unwrap(), (false, 0), "its own limit refuses it");
        assert_eq!(process.used(), pool.used(), "what the other held for a moment is given back");
        assert!(room || pool.reserve(MOST), "and can be reserved");
        outcomes.note(if room { "room" } else { "held up" });
    });
}

#[test]
fn who_cannot_be_refused_is_counted() {
    model("budget::who_cannot_be_refused_is_counted", &["before it", "held up"], 3, |outcomes| {
        let budget = Arc::new(Budget::over(ALL, None));
        let going_on = {
            let budget = Arc::clone(&budget);
            thread::spawn(move || budget.reserve_up_to(MOST, usize::MAX))
        };
        let room = budget.reserve(MOST);
        assert!(going_on.join().unwrap(), "it has a limit of its own");
        assert_eq!(budget.used(), if room { 2 * MOST } else { MOST });
        outcomes.note(if room { "before it" } else { "held up" });
    });
}
