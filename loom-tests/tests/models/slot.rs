//! Models of the slot: who gets the content, and what they see of those before.

use ebbtide::raw::slot::{Free, Owner, Recycle};
use loom::sync::Mutex;
use loom::thread;
use loom_tests::{Outcomes, Tally, Watched, model};
use std::sync::Arc;
use std::task::{Wake, Waker};

/// What a request holds: one number for each right to it, so that those who share it do not race.
struct Content {
    owner: Watched,
    pins: [Watched; 2],
    notes: Arc<Notes>,
}

/// What the recycler saw in one execution.
#[derive(Default)]
struct Notes {
    recycled: Tally,
    poisoned: Tally,
    late: Tally,
    outlived: Tally,
    sum: Tally,
}

impl Content {
    fn new(notes: &Arc<Notes>) -> Self {
        let pins = [Watched::new(0), Watched::new(0)];
        Self { owner: Watched::new(0), pins, notes: Arc::clone(notes) }
    }
}

impl Recycle for Content {
    fn outlived(&self) {
        self.notes.outlived.add();
    }

    /// Reads all that was written, and writes: whatever is not ordered before is found here.
    fn recycle(free: Free<Self>) {
        let notes = &free.notes;
        notes.recycled.add();
        for _ in 0..free.owner.get() + free.pins[0].get() + free.pins[1].get() {
            notes.sum.add();
        }
        if free.is_poisoned() {
            notes.poisoned.add();
        }
        if free.was_late() {
            notes.late.add();
        }
        for number in free.pins.iter().chain([&free.owner]) {
            number.set(0);
        }
    }
}

fn who(notes: &Notes) -> &'static str {
    if notes.late.get() == 1 { "the last pin recycled" } else { "the owner recycled" }
}

#[test]
fn enter_against_close() {
    let expected = &["entered: the last pin recycled", "entered: the owner recycled", "refused: the owner recycled"];
    model("slot::enter_against_close", expected, 3, |outcomes| {
        let notes = Arc::new(Notes::default());
        let owner = Owner::new(Content::new(&notes));
        let handle = owner.handle();
        let entering = thread::spawn(move || {
            let Some(pin) = handle.enter() else { return "refused" };
            assert_eq!(pin.owner.get(), 0, "the content was recycled under a pin");
            pin.pins[0].set(1);
            "entered"
        });
        drop(owner);
        let entered = entering.join().unwrap();
        assert_eq!(notes.recycled.get(), 1, "recycled once");
        assert_eq!(notes.sum.get(), usize::from(entered == "entered"), "the recycler saw the pin's write");
        assert!(notes.outlived.get() >= notes.late.get(), "outlived, and not told before");
        outcomes.note(format!("{entered}: {}", who(&notes)));
    });
}

#[test]
fn the_last_right_sees_all_writes() {
    model("slot::the_last_right_sees_all_writes", &["the last pin recycled", "the owner recycled"], 3, |outcomes| {
        let notes = Arc::new(Notes::default());
        let owner = Owner::new(Content::new(&notes));
        let threads = [0, 1].map(|i| {
            let pin = owner.pin().unwrap();
            thread::spawn(move || pin.pins[i].set(1))
        });
        owner.owner.set(1);
        drop(owner);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((notes.recycled.get(), notes.sum.get()), (1, 3), "recycled once, with three writes seen");
        outcomes.note(who(&notes));
    });
}

#[test]
fn poison_reaches_the_last_right() {
    let expected = &["the last pin recycled", "the owner recycled"];
    model("slot::poison_reaches_the_last_right", expected, 3, |outcomes| {
        let notes = Arc::new(Notes::default());
        let owner = Owner::new(Content::new(&notes));
        let threads = [owner.pin().unwrap(), owner.pin().unwrap()].map(|pin| thread::spawn(move || drop(pin)));
        owner.poison();
        drop(owner);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((notes.recycled.get(), notes.poisoned.get()), (1, 1), "recycled once, poisoned");
        outcomes.note(who(&notes));
    });
}

#[test]
fn a_late_pin_can_be_doubled() {
    let expected = &["the last pin recycled", "the owner recycled"];
    model("slot::a_late_pin_can_be_doubled", expected, 3, |outcomes| {
        let notes = Arc::new(Notes::default());
        let owner = Owner::new(Content::new(&notes));
        let first = owner.pin().unwrap();
        let doubling = thread::spawn(move || {
            let second = first.another().unwrap();
            drop(first);
            second.pins[0].set(1);
        });
        drop(owner);
        doubling.join().unwrap();
        assert_eq!((notes.recycled.get(), notes.sum.get()), (1, 1), "recycled once, with the write seen");
        outcomes.note(who(&notes));
    });
}

/// A content whose `Free` token goes home, so that the slot can be opened again.
struct Homing {
    /// Written by whoever holds the `Free` token.
    generation: Watched,
    home: Home,
}

type Home = loom::sync::Arc<Mutex<Option<Free<Homing>>>>;

impl Recycle for Homing {
    fn recycle(free: Free<Self>) {
        let home = Home::clone(&free.home);
        *home.lock().unwrap() = Some(free);
    }
}

/// Opens the next generation if the slot has come home.
fn open_again(home: &Home) -> Option<Owner<Homing>> {
    let free = home.lock().unwrap().take()?;
    free.generation.set(2);
    free.open(|_| ()).ok()
}

#[test]
fn a_stale_handle_never_enters_the_next_generation() {
    let expected = &["entered the first: reopened later", "entered the first: reopened", "refused: reopened"];
    model("slot::a_stale_handle_never_enters_the_next_generation", expected, 3, stale_handle);
}

fn stale_handle(outcomes: &Outcomes) {
    let home = Home::new(Mutex::new(None));
    let owner = Owner::new(Homing { generation: Watched::new(1), home: Home::clone(&home) });
    let stale = owner.handle();
    let entering = thread::spawn(move || {
        let Some(pin) = stale.enter() else { return "refused" };
        assert_eq!(pin.generation.get(), 1, "a stale handle entered");
        "entered the first"
    });
    drop(owner);
    let second = open_again(&home);
    let reopened = if second.is_some() { "reopened" } else { "reopened later" };
    let entered = entering.join().unwrap();
    // The slot always comes home: from the owner's close, or from the late pin. Each use of it ends by
    // taking the token out, or the content would keep itself alive.
    let second = second.or_else(|| open_again(&home)).expect("the slot never came home");
    drop(second);
    drop(home.lock().unwrap().take().expect("the slot never came home again"));
    outcomes.note(format!("{entered}: {reopened}"));
}

/// A waker that counts.
#[derive(Default)]
struct Woken(Tally);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.add();
    }
}

fn waker() -> (Arc<Woken>, Waker) {
    let woken = Arc::new(Woken::default());
    (Arc::clone(&woken), Waker::from(woken))
}

/// Takes the slot home for good, or the content would keep itself alive.
fn end(home: &Home) {
    drop(home.lock().unwrap().take());
}

#[test]
fn a_wait_against_close() {
    model("slot::a_wait_against_close", &["ended", "woken"], 3, |outcomes| {
        let home = Home::new(Mutex::new(None));
        let owner = Owner::new(Homing { generation: Watched::new(1), home: Home::clone(&home) });
        let done = loom::sync::Arc::new(Watched::new(0));
        let (mut wait, (woken, waker)) = (owner.handle().wait(), waker());
        let waiting = {
            let done = loom::sync::Arc::clone(&done);
            thread::spawn(move || {
                let ended = wait.poll(&waker);
                if ended {
                    assert_eq!(done.get(), 1, "it sees what the owner did");
                }
                (ended, wait, waker)
            })
        };
        done.set(1);
        drop(owner);
        // The waiter may see the next generation in place of the close.
        let next = open_again(&home);
        let (ended, mut wait, waker) = waiting.join().unwrap();
        assert_eq!(woken.0.get(), usize::from(!ended), "who is told to wait is woken, once");
        assert!(wait.poll(&waker), "ended for good");
        drop(next);
        end(&home);
        outcomes.note(if ended { "ended" } else { "woken" });
    });
}

#[test]
fn a_late_close_leaves_the_next_generation_alone() {
    let expected = &["waits in the next", "too early"];
    model("slot::a_late_close_leaves_the_next_generation_alone", expected, 3, |outcomes| {
        let home = Home::new(Mutex::new(None));
        let owner = Owner::new(Homing { generation: Watched::new(1), home: Home::clone(&home) });
        let (mut first, (first_woken, first_waker)) = (owner.handle().wait(), waker());
        assert!(!first.poll(&first_waker));
        let (next_woken, next_waker) = waker();
        let reopening = {
            let home = Home::clone(&home);
            thread::spawn(move || {
                let owner = open_again(&home)?;
                let mut wait = owner.handle().wait();
                assert!(!wait.poll(&next_waker), "the next generation has not ended");
                Some((owner, wait))
            })
        };
        drop(owner);
        let next = reopening.join().unwrap();
        assert_eq!((first_woken.0.get(), next_woken.0.get()), (1, 0), "the close of the first generation");
        outcomes.note(if next.is_some() { "waits in the next" } else { "too early" });
        if let Some((owner, wait)) = next {
            drop(owner);
            assert_eq!(next_woken.0.get(), 1, "the close of the next generation");
            drop(wait);
        }
        end(&home);
    });
}

#[test]
fn a_cancelled_wait_forgets_its_waker() {
    let expected = &["ended", "cancelled", "woken"];
    model("slot::a_cancelled_wait_forgets_its_waker", expected, 3, |outcomes| {
        let notes = Arc::new(Notes::default());
        let owner = Owner::new(Content::new(&notes));
        let (mut wait, (woken, waker)) = (owner.handle().wait(), waker());
        let waiting = thread::spawn(move || {
            let ended = wait.poll(&waker);
            // Polled again, the same waker keeps its place.
            let ended = ended || wait.poll(&waker);
            drop(wait);
            ended
        });
        let handle = owner.handle();
        drop(owner);
        let ended = waiting.join().unwrap();
        assert_eq!(Arc::strong_count(&woken), 1, "nobody keeps the waker");
        assert!(woken.0.get() <= 1);
        drop(handle);
        outcomes.note(match (ended, woken.0.get()) {
            (true, _) => "ended",
            (false, 0) => "cancelled",
            (false, _) => "woken",
        });
    });
}
