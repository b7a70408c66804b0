//! Models of the census and of who waits for the end of a pool: places are bounded, exactly one finds the end, and who is told of it
//! sees what came before it.

use ebbtide::raw::census::Census;
use ebbtide::raw::waiters::Waiters;
use loom::sync::Arc;
use loom::thread;
use loom_tests::{Tally, Watched, model};
use std::task::{Wake, Waker};
use std::time::Instant;

/// What a home has of this: values that leave a mark where they end, the mark of its close, and those who wait.
struct Home {
    census: Census,
    waiters: Waiters,
    ends: [Watched; 2],
    gates: Watched,
}

impl Home {
    /// With so many values, none of which has a place.
    fn with(values: usize) -> Arc<Self> {
        let census = Census::new(0);
        (0..values).for_each(|_| census.come());
        let marks = || Watched::new(0);
        Arc::new(Self { census, waiters: Waiters::default(), ends: [marks(), marks()], gates: marks() })
    }

    /// Closes as a home does. Says whether it was the end.
    fn close(&self) -> bool {
        self.gates.set(1);
        self.tell(self.census.close())
    }

    /// One value ends. Says whether it was the last.
    fn go(&self, value: usize) -> bool {
        self.ends[value].set(1);
        self.tell(self.census.go(false))
    }

    fn tell(&self, ended: bool) -> bool {
        if ended {
            self.waiters.wake();
        }
        ended
    }

    /// What who finds the end must see.
    fn assert_seen(&self, values: usize) {
        assert_eq!(self.gates.get(), 1, "the gates are shut");
        self.ends.iter().take(values).for_each(|end| assert_eq!(end.get(), 1, "the value has ended"));
    }
}

/// A waker that counts.
#[derive(Default)]
struct Woken(Tally);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.add();
    }
}

#[test]
fn one_of_two_gets_the_place() {
    model("census::one_of_two_gets_the_place", &["first", "second"], 3, |outcomes| {
        let census = Arc::new(Census::new(1));
        let first = {
            let census = Arc::clone(&census);
            thread::spawn(move || census.come_with_place())
        };
        census.come();
        let second = census.take_place();
        let first = first.join().unwrap();
        assert!(first || second, "there was a place for one");
        assert!(!(first && second), "there was no place for both");
        assert_eq!((census.values(), census.placed()), (2, 1));
        outcomes.note(if first { "first" } else { "second" });
    });
}

#[test]
fn two_values_that_begin_are_counted() {
    let expected = &["first", "second"];
    model("census::two_values_that_begin_are_counted", expected, 3, |outcomes| {
        let census = Arc::new(Census::new(1));
        let first = {
            let census = Arc::clone(&census);
            thread::spawn(move || census.come_with_place())
        };
        let second = census.come_with_place();
        let first = first.join().unwrap();
        assert!(first != second, "one of them has the place");
        assert_eq!((census.values(), census.placed()), (2, 1));
        assert_eq!(census.peak(), 2, "at once they were two");
        outcomes.note(if first { "first" } else { "second" });
    });
}

#[test]
fn the_peak_is_never_lowered() {
    // One outcome of many executions: both existed at once, whoever came first.
    model("census::the_peak_is_never_lowered", &["2"], 3, |outcomes| {
        let census = Arc::new(Census::new(0));
        let other = {
            let census = Arc::clone(&census);
            thread::spawn(move || census.come())
        };
        census.come();
        other.join().unwrap();
        assert_eq!(census.values(), 2);
        outcomes.note(census.peak().to_string());
    });
}

#[test]
fn a_place_given_back_against_one_wanted() {
    let expected = &["taken, gone with it", "refused, gone with it", "taken, given", "refused, given"];
    model("census::a_place_given_back_against_one_wanted", expected, 3, |outcomes| {
        for ends in [true, false] {
            let census = Arc::new(Census::new(1));
            assert!(census.come_with_place());
            let wanting = {
                let census = Arc::clone(&census);
                thread::spawn(move || {
                    census.come();
                    census.take_place()
                })
            };
            if ends {
                assert!(!census.go(true), "the pool is open");
            } else {
                census.give_place();
            }
            let taken = wanting.join().unwrap();
            assert_eq!(census.values(), if ends { 1 } else { 2 });
            assert_eq!(census.placed(), usize::from(taken), "a place is lost to nobody");
            assert!(taken || census.take_place(), "what was given back can be taken");
            let how = if ends { "gone with it" } else { "given" };
            outcomes.note(format!("{}, {how}", if taken { "taken" } else { "refused" }));
        }
    });
}

#[test]
fn the_last_value_against_close() {
    model("census::the_last_value_against_close", &["value", "close"], 3, |outcomes| {
        let home = Home::with(1);
        let value = {
            let home = Arc::clone(&home);
            thread::spawn(move || home.go(0))
        };
        let close = home.close();
        let value = value.join().unwrap();
        assert!(value != close, "exactly one finds the end");
        assert!(home.census.has_ended());
        outcomes.note(if value { "value" } else { "close" });
    });
}

#[test]
fn who_finds_the_end_sees_all_before_it() {
    let expected = &["ended", "not yet"];
    model("census::who_finds_the_end_sees_all_before_it", expected, 2, |outcomes| {
        let home = Home::with(1);
        let value = {
            let home = Arc::clone(&home);
            thread::spawn(move || home.go(0))
        };
        let close = {
            let home = Arc::clone(&home);
            thread::spawn(move || home.close())
        };
        let ended = home.census.has_ended();
        if ended {
            home.assert_seen(1);
        }
        assert!(value.join().unwrap() != close.join().unwrap(), "exactly one finds the end");
        outcomes.note(if ended { "ended" } else { "not yet" });
    });
}

#[test]
fn the_end_is_that_of_all_values() {
    let expected = &["ended", "not yet"];
    model("census::the_end_is_that_of_all_values", expected, 2, |outcomes| {
        let home = Home::with(2);
        assert!(!home.close());
        let values = [0, 1].map(|value| {
            let home = Arc::clone(&home);
            thread::spawn(move || home.go(value))
        });
        let ended = home.census.has_ended();
        if ended {
            home.assert_seen(2);
        }
        let told = values.map(|value| value.join().unwrap());
        assert!(told[0] != told[1], "exactly one is the last");
        outcomes.note(if ended { "ended" } else { "not yet" });
    });
}

#[test]
fn a_value_made_after_the_close_is_waited_for() {
    let expected = &["told once", "told twice"];
    model("census::a_value_made_after_the_close_is_waited_for", expected, 3, |outcomes| {
        let home = Home::with(1);
        assert!(!home.close());
        let late = {
            let home = Arc::clone(&home);
            thread::spawn(move || {
                home.census.come();
                assert!(!home.census.has_ended(), "its own value is there");
                home.go(1)
            })
        };
        let first = home.go(0);
        let late = late.join().unwrap();
        assert!(first || late, "the end is found by somebody");
        assert!(home.census.has_ended());
        home.assert_seen(2);
        outcomes.note(if first && late { "told twice" } else { "told once" });
    });
}

#[test]
fn a_future_against_the_last_value() {
    model("census::a_future_against_the_last_value", &["ended", "woken"], 3, |outcomes| {
        let home = Home::with(1);
        assert!(!home.close());
        let woken = std::sync::Arc::new(Woken::default());
        let waiting = {
            let (home, waker) = (Arc::clone(&home), Waker::from(std::sync::Arc::clone(&woken)));
            thread::spawn(move || {
                let mut ticket = None;
                let ended = home.waiters.note(&mut ticket, &waker, || home.census.has_ended());
                if ended {
                    home.assert_seen(1);
                }
                ended
            })
        };
        assert!(home.go(0), "the last one");
        let ended = waiting.join().unwrap();
        assert_eq!(woken.0.get(), usize::from(!ended), "who is told to wait is woken, once");
        outcomes.note(if ended { "ended" } else { "woken" });
    });
}

#[test]
fn a_future_that_is_dropped_leaves_no_waker() {
    let expected = &["ended", "dropped", "woken"];
    model("census::a_future_that_is_dropped_leaves_no_waker", expected, 3, |outcomes| {
        let home = Home::with(1);
        assert!(!home.close());
        let woken = std::sync::Arc::new(Woken::default());
        let waiting = {
            let (home, waker) = (Arc::clone(&home), Waker::from(std::sync::Arc::clone(&woken)));
            thread::spawn(move || {
                let mut ticket = None;
                let ended = home.waiters.note(&mut ticket, &waker, || home.census.has_ended());
                ticket.into_iter().for_each(|ticket| home.waiters.forget(ticket));
                ended
            })
        };
        assert!(home.go(0), "the last one");
        let ended = waiting.join().unwrap();
        assert_eq!(std::sync::Arc::strong_count(&woken), 1, "nobody keeps the waker");
        outcomes.note(match (ended, woken.0.get()) {
            (true, 0) => "ended",
            (false, 0) => "dropped",
            (false, 1) => "woken",
            _ => "woken in vain",
        });
    });
}

#[test]
fn a_thread_that_blocks_against_the_last_value() {
    let expected = &["at once", "woken"];
    model("census::a_thread_that_blocks_against_the_last_value", expected, 3, |outcomes| {
        let home = Home::with(1);
        assert!(!home.close());
        let waiting = {
            let home = Arc::clone(&home);
            thread::spawn(move || {
                let looks = Tally::default();
                let ended = home.waiters.block(Instant::now(), || {
                    looks.add();
                    home.census.has_ended()
                });
                assert!(ended, "no deadline comes in a model");
                home.assert_seen(1);
                looks.get()
            })
        };
        assert!(home.go(0), "the last one");
        // Who is never woken is a deadlock, which loom reports.
        outcomes.note(if waiting.join().unwrap() == 1 { "at once" } else { "woken" });
    });
}
