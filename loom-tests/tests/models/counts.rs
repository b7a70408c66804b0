//! Models of the books: who reads what came back sees that it was taken, and who reads what is gone that it came back.

use ebbtide::raw::counts::{Counters, Sums};
use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::{Acquire, Release};
use loom::thread;
use loom_tests::model;

const BYTES: usize = 8;

/// The counters of two threads, and a flag that stands for the pool through which a value goes from one to the other.
#[derive(Default)]
struct Both {
    counters: [Counters; 2],
    handed_on: AtomicBool,
}

impl Both {
    /// Reads as the ledger does: what is out, and what is idle. Neither is negative.
    fn read(&self) -> (u64, u64) {
        let sums = Sums::of(|look| self.counters.iter().for_each(look));
        let Sums { taken, back, gone, .. } = sums;
        assert!(taken.values >= back.values && taken.bytes >= back.bytes, "more came back than was taken: {sums:?}");
        assert!(back.values >= gone.values && back.bytes >= gone.bytes, "more is gone than came back: {sums:?}");
        (sums.outstanding().values, sums.idle().values)
    }
}

#[test]
fn what_came_back_elsewhere_was_taken() {
    let expected = ["0 out, 0 idle", "0 out, 1 idle", "1 out, 0 idle"];
    model("counts::what_came_back_elsewhere_was_taken", &expected, 3, |outcomes| {
        let both = Arc::new(Both::default());
        let taker = {
            let both = Arc::clone(&both);
            thread::spawn(move || {
                both.counters[0].taken.add(BYTES, true);
                both.handed_on.store(true, Release);
            })
        };
        let giver = {
            let both = Arc::clone(&both);
            thread::spawn(move || {
                if both.handed_on.load(Acquire) {
                    both.counters[1].back.add(BYTES, true);
                }
            })
        };
        let (out, idle) = both.read();
        outcomes.note(format!("{out} out, {idle} idle"));
        taker.join().unwrap();
        giver.join().unwrap();
    });
}

#[test]
fn what_is_gone_came_back() {
    let expected = ["0 out, 0 idle", "0 out, 1 idle", "1 out, 0 idle"];
    model("counts::what_is_gone_came_back", &expected, 3, |outcomes| {
        let both = Arc::new(Both::default());
        both.counters[0].taken.add(BYTES, true);
        let giver = {
            let both = Arc::clone(&both);
            thread::spawn(move || {
                both.counters[0].back.add(BYTES, true);
                both.handed_on.store(true, Release);
            })
        };
        let freeing = {
            let both = Arc::clone(&both);
            thread::spawn(move || {
                if both.handed_on.load(Acquire) {
                    both.counters[1].gone.add(BYTES, true);
                }
            })
        };
        let (out, idle) = both.read();
        outcomes.note(format!("{out} out, {idle} idle"));
        giver.join().unwrap();
        freeing.join().unwrap();
    });
}

#[test]
fn threads_without_a_number_count_together() {
    let expected = ["0 out, 0 idle", "0 out, 1 idle", "0 out, 2 idle", "1 out, 0 idle", "1 out, 1 idle", "2 out, 0 idle"];
    model("counts::threads_without_a_number_count_together", &expected, 2, |outcomes| {
        let both = Arc::new(Both::default());
        let one = || {
            let both = Arc::clone(&both);
            thread::spawn(move || {
                both.counters[0].taken.add(BYTES, false);
                both.counters[0].back.add(BYTES, false);
            })
        };
        let threads = [one(), one()];
        let (out, idle) = both.read();
        outcomes.note(format!("{out} out, {idle} idle"));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(both.read(), (0, 2), "none of them is lost");
    });
}
