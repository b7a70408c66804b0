//! Models of the gate: who passes is counted.

use ebbtide::raw::gate::Gate;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use loom_tests::model;

/// A count of those inside, with a ghost as the crate's own atomics have.
#[derive(Default)]
struct Count {
    inside: AtomicUsize,
    ghost: AtomicUsize,
}

impl Count {
    fn enter(&self) {
        self.ghost.fetch_add(0, Relaxed);
        self.inside.store(1, Relaxed);
    }

    fn get(&self) -> usize {
        self.ghost.fetch_add(0, Relaxed);
        self.inside.load(Relaxed)
    }
}

#[test]
fn who_passes_is_counted() {
    let expected = &["passed and counted", "refused and counted", "refused"];
    model("gate::who_passes_is_counted", expected, 3, |outcomes| {
        let shared = Arc::new((Gate::default(), Count::default()));
        let entering = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (gate, count) = &*shared;
                count.enter();
                gate.passes()
            })
        };
        let (gate, count) = &*shared;
        gate.shut();
        assert!(gate.settles());
        let counted = count.get() == 1;
        let passed = entering.join().unwrap();
        assert!(counted || !passed, "somebody passed unseen");
        outcomes.note(match (passed, counted) {
            (true, _) => "passed and counted",
            (false, true) => "refused and counted",
            (false, false) => "refused",
        });
        assert!(!gate.passes(), "shut for good");
    });
}
