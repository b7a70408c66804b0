//! Models of the depot: closing loses no node, and a node's content travels with it.

use ebbtide::raw::depot::{Depot, Push};
use loom::sync::Arc;
use loom::thread;
use loom_tests::{Tally, Watched, model};

/// An idle node.
#[derive(Debug)]
struct Node {
    content: Watched,
    freed: Tally,
}

impl Node {
    fn new(content: u32, freed: &Tally) -> Self {
        Self { content: Watched::new(content), freed: freed.clone() }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.freed.add();
    }
}

fn drain(depot: &Depot<Node>) {
    while depot.pop().is_some() {}
}

/// Pushes as the pool does: whoever is late drains.
fn push_or_free(depot: &Depot<Node>, node: Node) -> &'static str {
    match depot.push(node) {
        Push::Kept => "kept",
        Push::Late => {
            drain(depot);
            "late"
        }
        Push::Full(_) => "full",
        Push::Closed(_) => "closed",
    }
}

#[test]
fn closing_loses_no_node() {
    model("depot::closing_loses_no_node", &["kept", "late", "closed"], 3, |outcomes| {
        let (depot, freed) = (Arc::new(Depot::new(2)), Tally::default());
        let pushing = {
            let (depot, node) = (Arc::clone(&depot), Node::new(1, &freed));
            thread::spawn(move || push_or_free(&depot, node))
        };
        assert!(depot.close());
        drain(&depot);
        let pushed = pushing.join().unwrap();
        // Before the depot itself is dropped, which would hide a node left behind.
        assert_eq!((freed.get(), depot.len()), (1, 0), "freed once, after `{pushed}`");
        outcomes.note(pushed);
    });
}

#[test]
fn closing_loses_no_node_of_two_pushers() {
    let expected = &[
        "closed, closed",
        "closed, kept",
        "closed, late",
        "kept, closed",
        "kept, kept",
        "kept, late",
        "late, closed",
        "late, kept",
        "late, late",
    ];
    model("depot::closing_loses_no_node_of_two_pushers", expected, 2, |outcomes| {
        let (depot, freed) = (Arc::new(Depot::new(2)), Tally::default());
        let pushing = [1, 2].map(|content| {
            let (depot, node) = (Arc::clone(&depot), Node::new(content, &freed));
            thread::spawn(move || push_or_free(&depot, node))
        });
        assert!(depot.close());
        drain(&depot);
        let [first, second] = pushing.map(|thread| thread.join().unwrap());
        assert_eq!((freed.get(), depot.len()), (2, 0), "each freed once, after `{first}`, `{second}`");
        outcomes.note(format!("{first}, {second}"));
    });
}

#[test]
fn one_close_is_the_first() {
    model("depot::one_close_is_the_first", &["this one", "the other one"], 3, |outcomes| {
        let depot = Arc::new(Depot::<Node>::new(1));
        let other = {
            let depot = Arc::clone(&depot);
            thread::spawn(move || depot.close())
        };
        let this = depot.close();
        assert_ne!(this, other.join().unwrap(), "exactly one close is the first");
        outcomes.note(if this { "this one" } else { "the other one" });
    });
}

#[test]
fn a_push_is_seen_by_its_pop() {
    model("depot::a_push_is_seen_by_its_pop", &["popped", "too early"], 3, |outcomes| {
        let (depot, freed) = (Arc::new(Depot::new(1)), Tally::default());
        let pushing = {
            let (depot, node) = (Arc::clone(&depot), Node::new(0, &freed));
            thread::spawn(move || {
                node.content.set(7);
                push_or_free(&depot, node)
            })
        };
        let outcome = match depot.pop() {
            Some(node) => {
                assert_eq!(node.content.get(), 7);
                node.content.set(8);
                "popped"
            }
            None => "too early",
        };
        assert_eq!(pushing.join().unwrap(), "kept");
        outcomes.note(outcome);
    });
}

#[test]
fn two_pops_get_two_nodes() {
    model("depot::two_pops_get_two_nodes", &["1 and 2", "2 and 1"], 3, |outcomes| {
        let (depot, freed) = (Arc::new(Depot::new(2)), Tally::default());
        for content in [1, 2] {
            assert_eq!(push_or_free(&depot, Node::new(content, &freed)), "kept");
        }
        let other = {
            let depot = Arc::clone(&depot);
            thread::spawn(move || depot.pop().unwrap().content.get())
        };
        let this = depot.pop().unwrap().content.get();
        outcomes.note(format!("{this} and {}", other.join().unwrap()));
        assert_eq!(freed.get(), 2);
    });
}

#[test]
fn a_full_depot_gives_the_node_back() {
    model("depot::a_full_depot_gives_the_node_back", &["full", "kept"], 3, |outcomes| {
        let (depot, freed) = (Arc::new(Depot::new(1)), Tally::default());
        assert_eq!(push_or_free(&depot, Node::new(1, &freed)), "kept");
        let pushing = {
            let (depot, node) = (Arc::clone(&depot), Node::new(2, &freed));
            thread::spawn(move || push_or_free(&depot, node))
        };
        assert_eq!(depot.pop().expect("nobody else pops").content.get(), 1);
        let pushed = pushing.join().unwrap();
        assert_eq!(freed.get(), 1 + usize::from(pushed == "full"));
        assert_eq!(depot.pop().map(|node| node.content.get()), (pushed == "kept").then_some(2));
        outcomes.note(pushed);
    });
}
