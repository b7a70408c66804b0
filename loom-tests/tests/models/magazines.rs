//! Models of a pool's magazines without a depot, as the shells of lost values wait in: each is freed once, and the pool's
//! memory lasts as long as anybody touches it. How a magazine is seized and closed is modelled in `tiers`, which puts
//! nodes in on another way.

use ebbtide::raw::chain::{Chain, Node};
use ebbtide::raw::magazines::{Housed, Magazines};
use loom::sync::Arc;
use loom::thread;
use loom_tests::{Tally, Watched, model};

/// The number of the thread that is no other's.
const OWN: usize = 0;

/// What a pool is besides its magazines: something that ends.
struct Home {
    magazines: Magazines<Shell>,
    ended: Tally,
}

impl Drop for Home {
    fn drop(&mut self) {
        self.ended.add();
    }
}

/// What keeps its home.
struct Shell {
    content: Watched,
    freed: Tally,
    home: Arc<Home>,
}

// SAFETY: the count on the home is held as long as the shell exists.
unsafe impl Housed for Shell {
    fn magazines(&self) -> &Magazines<Self> {
        &self.home.magazines
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Whoever frees comes after all who used it.
        self.content.set(0);
        self.freed.add();
    }
}

fn pool(ended: &Tally) -> Arc<Home> {
    Arc::new(Home { magazines: Magazines::new(1, false), ended: ended.clone() })
}

fn shell(home: &Arc<Home>, freed: &Tally) -> Box<Node<Shell>> {
    Node::new(Shell { content: Watched::new(1), freed: freed.clone(), home: Arc::clone(home) })
}

/// Keeps a shell, or frees it.
fn keep(shell: Box<Node<Shell>>) -> &'static str {
    // SAFETY: one thread has this number.
    if unsafe { Magazines::put(shell, OWN) }.is_ok() { "kept" } else { "freed" }
}

fn take(home: &Home) -> Option<Box<Node<Shell>>> {
    // SAFETY: one thread has this number.
    unsafe { home.magazines.take_light(OWN) }
}

#[test]
fn a_put_against_close() {
    let expected = &["kept, closed", "kept, closed in two calls", "freed, closed", "freed, closed in two calls"];
    model("magazines::a_put_against_close", expected, 3, |outcomes| {
        let (freed, ended) = (Tally::default(), Tally::default());
        let home = pool(&ended);
        let last = shell(&home, &freed);
        let owner = thread::spawn(move || {
            last.payload.content.set(2);
            keep(last)
        });
        let (chains, complete) = home.magazines.shut();
        drop(chains);
        // As the pool does: only a close that is not complete keeps the home.
        let unfinished = if complete {
            drop(home);
            None
        } else {
            Some(home)
        };
        let did = owner.join().unwrap();
        if let Some(home) = unfinished {
            let (chains, complete) = home.magazines.shut();
            assert!(complete, "nobody is busy any more");
            drop(chains);
        }
        assert_eq!((freed.get(), ended.get()), (1, 1), "the shell and the pool freed once");
        outcomes.note(format!("{did}, {}", if complete { "closed" } else { "closed in two calls" }));
    });
}

#[test]
fn an_owner_against_seizing() {
    let expected = &["taken, kept", "taken, freed", "missed, kept", "missed, freed"];
    model("magazines::an_owner_against_seizing", expected, 3, |outcomes| {
        let (freed, ended) = (Tally::default(), Tally::default());
        let home = pool(&ended);
        assert_eq!(keep(shell(&home, &freed)), "kept");
        let owner = thread::spawn({
            let (home, next) = (Arc::clone(&home), shell(&home, &freed));
            move || {
                let taken = take(&home);
                if let Some(taken) = &taken {
                    assert_eq!(taken.payload.content.get(), 1);
                    taken.payload.content.set(2);
                }
                (taken, keep(next))
            }
        });
        let seized: usize = home.magazines.seize().iter().map(Chain::len).sum();
        let (taken, did) = owner.join().unwrap();
        assert!(seized + usize::from(taken.is_some()) + home.magazines.waiting() + usize::from(did == "freed") == 2);
        outcomes.note(format!("{}, {did}", if taken.is_some() { "taken" } else { "missed" }));
        drop(taken);
        let (chains, complete) = home.magazines.shut();
        assert!(complete, "nobody is busy");
        drop((chains, home));
        assert_eq!((freed.get(), ended.get()), (2, 1), "each shell and the pool freed once");
    });
}
