//! Models of the shared box: one reference is the last, or the only one, and it sees what the others did.

use ebbtide::raw::shared::{Count, Counted, Shared};
use loom::thread;
use loom_tests::{Tally, Watched, model};

/// A frozen node: one number for each reference, and what the last one makes of it.
struct Node {
    count: Count,
    read_by_all: Watched,
    own: [Watched; 2],
    freed: Tally,
}

// SAFETY: always the one field.
unsafe impl Counted for Node {
    fn count(&self) -> &Count {
        &self.count
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.freed.add();
    }
}

fn node(freed: &Tally) -> Box<Node> {
    let own = [Watched::new(0), Watched::new(0)];
    Box::new(Node { count: Count::default(), read_by_all: Watched::new(3), own, freed: freed.clone() })
}

/// Reads, writes the number `own` and lets go. The last one writes over all that was read and sums up.
fn let_go(shared: Shared<Node>, own: usize) -> Option<u32> {
    assert_eq!(shared.read_by_all.get(), 3, "used after the last reference");
    shared.own[own].set(1);
    let node = shared.into_last()?;
    node.read_by_all.set(0);
    Some(node.own[0].get() + node.own[1].get())
}

#[test]
fn one_reference_is_the_last() {
    model("shared::one_reference_is_the_last", &["this one", "the other one"], 3, |outcomes| {
        let freed = Tally::default();
        let this = Shared::new(node(&freed));
        let other = this.clone();
        let other = thread::spawn(move || let_go(other, 1));
        let (this, other) = (let_go(this, 0), other.join().unwrap());
        assert_eq!(freed.get(), 1, "freed once");
        assert_eq!(this.or(other), Some(2), "the last one sees both writes");
        outcomes.note(if this.is_some() { "this one" } else { "the other one" });
    });
}

#[test]
fn a_clone_keeps_the_box() {
    model("shared::a_clone_keeps_the_box", &["this one", "the clone"], 3, |outcomes| {
        let freed = Tally::default();
        let this = Shared::new(node(&freed));
        let other = this.clone();
        let cloning = thread::spawn(move || {
            let clone = other.clone();
            assert!(other.into_last().is_none(), "the clone is still there");
            let_go(clone, 1)
        });
        let (this, clone) = (let_go(this, 0), cloning.join().unwrap());
        assert_eq!(freed.get(), 1, "freed once");
        assert_eq!(this.or(clone), Some(2), "the last one sees both writes");
        outcomes.note(if this.is_some() { "this one" } else { "the clone" });
    });
}

/// A buffer is made of frozen bytes again while the other share goes away: it is theirs alone, or still shared.
#[test]
fn the_only_reference_sees_what_the_others_did() {
    model("shared::the_only_reference_sees_what_the_others_did", &["the only one", "shared"], 3, |outcomes| {
        let freed = Tally::default();
        let this = Shared::new(node(&freed));
        let other = this.clone();
        let other = thread::spawn(move || let_go(other, 1));
        match this.into_unique() {
            Ok(node) => {
                node.read_by_all.set(0);
                assert_eq!(node.own[1].get(), 1, "the only one sees the other's write");
                assert_eq!(other.join().unwrap(), None);
                outcomes.note("the only one");
            }
            Err(this) => {
                assert!(let_go(this, 0).or(other.join().unwrap()).is_some());
                outcomes.note("shared");
            }
        }
        assert_eq!(freed.get(), 1, "freed once");
    });
}
