//! Models of the audit of single requests: each value is back in time or out, and no request is charged with another's.

use ebbtide::raw::audit::{Audits, Ticket};
use ebbtide::raw::slot::{Free, Owner, Recycle};
use loom::sync::Arc;
use loom::thread;
use loom_tests::model;

const TAG: u16 = 3;
const POOL: u32 = 7;

/// Values that are out when the request ends.
fn ended(audits: &Audits, ticket: Ticket) -> u64 {
    let mut values = 0;
    audits.end(ticket, |out| {
        assert_eq!(out.tag, TAG);
        assert!([POOL, POOL + 1].contains(&out.pool));
        values += out.values;
    });
    values
}

#[test]
fn a_return_against_the_end() {
    model("audit::a_return_against_the_end", &["in time", "out"], 3, |outcomes| {
        let audits = Arc::new(Audits::new());
        let ticket = audits.begin().unwrap();
        let receipt = audits.take(ticket, TAG, POOL).unwrap();
        let back = {
            let audits = Arc::clone(&audits);
            thread::spawn(move || audits.back(receipt))
        };
        let out = ended(&audits, ticket);
        let in_time = back.join().unwrap();
        assert_eq!(out, u64::from(!in_time), "back in time, or out");
        outcomes.note(if in_time { "in time" } else { "out" });
    });
}

#[test]
fn a_late_return_leaves_the_next_request_alone() {
    model("audit::a_late_return_leaves_the_next_request_alone", &["in time", "late"], 3, |outcomes| {
        let audits = Arc::new(Audits::new());
        let first = audits.begin().unwrap();
        let receipt = audits.take(first, TAG, POOL).unwrap();
        let back = {
            let audits = Arc::clone(&audits);
            thread::spawn(move || audits.back(receipt))
        };
        ended(&audits, first);
        let next = audits.begin().expect("the only block is free again");
        assert!(audits.take(next, TAG, POOL).is_some());
        assert_eq!(ended(&audits, next), 1, "its own is out");
        outcomes.note(if back.join().unwrap() { "in time" } else { "late" });
    });
}

#[test]
fn a_late_take_leaves_the_next_request_alone() {
    model("audit::a_late_take_leaves_the_next_request_alone", &["in time", "late", "refused"], 3, |outcomes| {
        let audits = Arc::new(Audits::new());
        let first = audits.begin().unwrap();
        let take = {
            let audits = Arc::clone(&audits);
            thread::spawn(move || audits.take(first, TAG, POOL))
        };
        let out_in_time = ended(&audits, first);
        let next = audits.begin().expect("the only block is free again");
        let receipt = audits.take(next, TAG, POOL).expect("what came late makes room");
        assert!(audits.take(next, TAG, POOL + 1).is_some(), "and leaves all of it");
        assert!(audits.back(receipt), "one of its own");
        assert_eq!(ended(&audits, next), 1, "the other one is out");
        let late = take.join().unwrap();
        assert!(out_in_time == 0 || late.is_some(), "who is told as out has a receipt");
        outcomes.note(match (out_in_time, late) {
            (0, None) => "refused",
            (0, Some(_)) => "late",
            _ => "in time",
        });
    });
}

#[test]
fn two_threads_of_a_request_count_together() {
    model("audit::two_threads_of_a_request_count_together", &["both"], 3, |outcomes| {
        let audits = Arc::new(Audits::new());
        let ticket = audits.begin().unwrap();
        let take = move |audits: &Audits| audits.take(ticket, TAG, POOL).expect("there is room").word();
        // So that the two change what is there, at once.
        let first = take(&audits);
        let other = {
            let audits = Arc::clone(&audits);
            thread::spawn(move || take(&audits))
        };
        assert_eq!([take(&audits), other.join().unwrap()], [first; 2], "in one entry");
        assert_eq!(ended(&audits, ticket), 3);
        outcomes.note("both");
    });
}

#[test]
fn two_returns_of_a_request_count_both() {
    model("audit::two_returns_of_a_request_count_both", &["both"], 3, |outcomes| {
        let audits = Arc::new(Audits::new());
        let ticket = audits.begin().unwrap();
        let [here, there, _stays] = [(); 3].map(|()| audits.take(ticket, TAG, POOL).unwrap());
        let other = {
            let audits = Arc::clone(&audits);
            thread::spawn(move || audits.back(there))
        };
        assert!(audits.back(here) && other.join().unwrap());
        assert_eq!(ended(&audits, ticket), 1);
        outcomes.note("both");
    });
}

#[test]
fn a_block_is_one_requests_at_a_time() {
    model("audit::a_block_is_one_requests_at_a_time", &["this", "the other"], 3, |outcomes| {
        let audits = Arc::new(Audits::new());
        let other = {
            let audits = Arc::clone(&audits);
            thread::spawn(move || audits.begin().is_some())
        };
        let this = audits.begin().is_some();
        assert!(this != other.join().unwrap(), "one of them");
        outcomes.note(if this { "this" } else { "the other" });
    });
}

#[test]
fn the_next_request_of_a_block_finds_it_empty() {
    model("audit::the_next_request_of_a_block_finds_it_empty", &["busy", "next"], 3, |outcomes| {
        let audits = Arc::new(Audits::new());
        let first = audits.begin().unwrap();
        let receipt = audits.take(first, TAG, POOL).unwrap();
        let other = {
            let audits = Arc::clone(&audits);
            thread::spawn(move || {
                let next = audits.begin()?;
                audits.take(next, TAG, POOL).unwrap();
                Some(ended(&audits, next))
            })
        };
        assert!(audits.back(receipt));
        assert_eq!(ended(&audits, first), 0);
        let out = other.join().unwrap();
        assert!(out.is_none_or(|out| out == 1), "its own is out");
        outcomes.note(if out.is_none() { "busy" } else { "next" });
    });
}

struct Nothing;

impl Recycle for Nothing {
    fn recycle(_: Free<Self>) {}
}

#[test]
fn who_finds_a_ticket_at_the_slot_finds_its_block_empty() {
    model("audit::who_finds_a_ticket_at_the_slot_finds_its_block_empty", &["none yet", "counted"], 3, |outcomes| {
        let audits = Arc::new(Audits::new());
        let owner = Owner::new(Nothing);
        let first = audits.begin().unwrap();
        let receipt = audits.take(first, TAG, POOL).unwrap();
        let other = {
            let (audits, handle) = (Arc::clone(&audits), owner.handle());
            thread::spawn(move || {
                let found = Ticket::from_word(handle.note());
                found.map(|ticket| audits.take(ticket, TAG, POOL).expect("there is room"))
            })
        };
        assert!(audits.back(receipt));
        assert_eq!(ended(&audits, first), 0);
        let next = audits.begin().expect("the only block is free again");
        let pin = owner.pin().unwrap();
        pin.leave_note(next.word());
        let taken = other.join().unwrap();
        assert_eq!(ended(&audits, next), u64::from(taken.is_some()), "its own is out");
        outcomes.note(if taken.is_none() { "none yet" } else { "counted" });
        drop((pin, owner));
    });
}
