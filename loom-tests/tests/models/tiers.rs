//! Models of a pool's tiers: each node is one thread's at a time and is freed once, and the pool's memory lasts
//! as long as anybody touches it.
//!
//! A thread here is a number: what a model does under one number happens in one thread, or in several with a
//! happens-before between them. `main` frees memory through an allocator that overwrites it first, so that a touch
//! of a pool that is gone does not go unnoticed.

use ebbtide::raw::chain::{Chain, Node};
use ebbtide::raw::threads::EndingThread;
use ebbtide::raw::tiers::{Homed, Tiers};
use loom::sync::{Arc, Mutex};
use loom::thread;
use loom_tests::{Outcomes, Tally, Watched, model};

/// The numbers of two threads.
const OWN: usize = 0;
const OTHER: usize = 1;

/// What a pool is besides its tiers: something that ends.
struct Home {
    tiers: Tiers<Item>,
    ended: Tally,
}

impl Drop for Home {
    fn drop(&mut self) {
        self.ended.add();
    }
}

/// A value on its way, which keeps its home.
struct Item {
    content: Watched,
    freed: Tally,
    home: Arc<Home>,
}

// SAFETY: the count on the home is held as long as the item exists.
unsafe impl Homed for Item {
    fn tiers(&self) -> &Tiers<Self> {
        &self.home.tiers
    }
    fn spill(&self, chain: Chain<Self>) {
        drop(chain);
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        // Whoever frees comes after all who used it.
        self.content.set(0);
        self.freed.add();
    }
}

type Boxed = Box<Node<Item>>;

/// One pool and what became of it.
struct Pool {
    home: Arc<Home>,
    freed: Tally,
    ended: Tally,
}

impl Pool {
    fn new(depth: usize, full_fence: bool) -> Self {
        let ended = Tally::default();
        let home = Home { tiers: Tiers::new(2, depth, full_fence), ended: ended.clone() };
        Self { home: Arc::new(home), freed: Tally::default(), ended }
    }

    /// A node that was never in the pool.
    fn node(&self, content: u32) -> Boxed {
        let content = Watched::new(content);
        Node::new(Item { content, freed: self.freed.clone(), home: Arc::clone(&self.home) })
    }

    /// A node that thread `number` has taken out of its magazine.
    fn leased(&self, content: u32, number: usize) -> Boxed {
        assert_eq!(put(self.node(content), number), "kept");
        take(&self.home, number).expect("it was just put in")
    }

    /// Ends the pool's only handle, as the pool does: closes, and again later if an owner was busy.
    fn close(self, meanwhile: thread::JoinHandle<&'static str>) -> (String, Tally, Tally) {
        let Self { home, freed, ended } = self;
        let complete = home.tiers.close(drop);
        let unfinished = if complete {
            drop(home);
            None
        } else {
            Some(home)
        };
        let did = meanwhile.join().unwrap();
        let close = if complete { "closed" } else { "closed in two calls" };
        if let Some(home) = unfinished {
            assert!(home.tiers.close(drop), "nobody is busy any more");
            assert_eq!(home.tiers.idle(), 0);
        }
        (format!("{did}, {close}"), freed, ended)
    }

    /// `close`, which must leave nothing behind of `nodes`.
    fn ends(self, nodes: usize, meanwhile: thread::JoinHandle<&'static str>) -> String {
        let (outcome, freed, ended) = self.close(meanwhile);
        assert_eq!((freed.get(), ended.get()), (nodes, 1), "each node and the pool freed once, after `{outcome}`");
        outcome
    }
}

fn at_hand(home: &Home, number: usize) -> Option<Boxed> {
    // SAFETY: see the top.
    unsafe { home.tiers.take_at_hand(number) }
}

fn from_depot(home: &Home, number: usize) -> Option<Boxed> {
    // SAFETY: see the top.
    unsafe { home.tiers.take_slow(number) }
}

fn take(home: &Home, number: usize) -> Option<Boxed> {
    at_hand(home, number).or_else(|| from_depot(home, number))
}

/// Gives a node back, as the pool does.
fn put(node: Boxed, number: usize) -> &'static str {
    // SAFETY: see the top.
    let Err(node) = (unsafe { Tiers::put_at_hand(node, number) }) else { return "kept" };
    // SAFETY: see the top.
    let Err(node) = (unsafe { Tiers::put_slow(node, number) }) else { return "kept" };
    let home = Arc::clone(&node.payload.home);
    home.tiers.put_shared(node, drop);
    "refused"
}

/// Frees what is still idle at the end of a model without a close of its own.
fn finish(pool: Pool, nodes: usize) {
    assert!(pool.home.tiers.close(drop));
    assert_eq!(pool.home.tiers.idle(), 0);
    drop(pool.home);
    assert_eq!((pool.freed.get(), pool.ended.get()), (nodes, 1), "each node and the pool freed once");
}

#[test]
fn a_put_against_close() {
    let expected = &["kept, closed", "kept, closed in two calls", "refused, closed", "refused, closed in two calls"];
    model("tiers::a_put_against_close", expected, 3, |outcomes| put_against_close(false, outcomes));
    model("tiers::a_put_against_close, full fences", expected, 3, |outcomes| put_against_close(true, outcomes));
}

fn put_against_close(full_fence: bool, outcomes: &Outcomes) {
    let pool = Pool::new(2, full_fence);
    let node = pool.leased(0, OWN);
    let owner = thread::spawn(move || {
        node.payload.content.set(1);
        put(node, OWN)
    });
    outcomes.note(pool.ends(1, owner));
}

#[test]
fn a_take_and_a_put_against_close() {
    let expected = &[
        "kept, closed",
        "kept, closed in two calls",
        "nothing there, closed",
        "nothing there, closed in two calls",
        "refused, closed",
        "refused, closed in two calls",
    ];
    let name = "tiers::a_take_and_a_put_against_close";
    model(name, expected, 3, |outcomes| take_and_put_against_close(false, outcomes));
    model(&format!("{name}, full fences"), expected, 3, |outcomes| take_and_put_against_close(true, outcomes));
}

fn take_and_put_against_close(full_fence: bool, outcomes: &Outcomes) {
    let pool = Pool::new(2, full_fence);
    assert_eq!(put(pool.node(0), OWN), "kept");
    let home = Arc::clone(&pool.home);
    let owner = thread::spawn(move || {
        let Some(node) = take(&home, OWN) else { return "nothing there" };
        drop(home);
        node.payload.content.set(1);
        put(node, OWN)
    });
    outcomes.note(pool.ends(1, owner));
}

#[test]
fn an_owner_against_reclaim() {
    let expected = &["taken, kept", "taken, refused", "missed, kept", "missed, refused"];
    model("tiers::an_owner_against_reclaim", expected, 3, |outcomes| owner_against_reclaim(false, outcomes));
    let name = "tiers::an_owner_against_reclaim, full fences";
    model(name, expected, 3, |outcomes| owner_against_reclaim(true, outcomes));
}

/// The owner takes one node and gives another one back, while its magazine is seized and opened again.
fn owner_against_reclaim(full_fence: bool, outcomes: &Outcomes) {
    let pool = Pool::new(2, full_fence);
    let second = pool.leased(2, OWN);
    assert_eq!(put(pool.node(1), OWN), "kept");
    // The first call notes how much was taken so far, or the magazine would not count as idle.
    pool.home.tiers.reclaim(|_| unreachable!());
    let home = Arc::clone(&pool.home);
    let owner = thread::spawn(move || {
        let first = take(&home, OWN);
        if let Some(first) = &first {
            assert_eq!(first.payload.content.get(), 1);
            first.payload.content.set(3);
        }
        second.payload.content.set(4);
        (first, put(second, OWN))
    });
    pool.home.tiers.reclaim(|_| unreachable!("there is room"));
    let moved = from_depot(&pool.home, OTHER);
    let content = moved.as_ref().map(|node| node.payload.content.get());
    let (first, put) = owner.join().unwrap();
    let held = usize::from(first.is_some()) + usize::from(moved.is_some());
    assert_eq!((pool.freed.get(), pool.home.tiers.idle()), (0, 2 - held), "nothing lost");
    // A second node of the same chain is in the other thread's magazine.
    assert!(matches!(content, None | Some(1 | 4)), "as it was left");
    outcomes.note(format!("{}, {put}", if first.is_some() { "taken" } else { "missed" }));
    drop((first, moved));
    finish(pool, 2);
}

#[test]
fn an_owner_goes_on_after_reclaim() {
    let expected = &["taken back", "taken from the depot", "in between"];
    model("tiers::an_owner_goes_on_after_reclaim", expected, 3, |outcomes| {
        let pool = Pool::new(2, false);
        assert_eq!(put(pool.node(1), OWN), "kept");
        let home = Arc::clone(&pool.home);
        let trimming = {
            let home = Arc::clone(&pool.home);
            thread::spawn(move || home.tiers.reclaim(|_| unreachable!("there is room")))
        };
        let outcome = match at_hand(&home, OWN) {
            Some(node) => {
                node.payload.content.set(2);
                put(node, OWN);
                "taken back"
            }
            None => match from_depot(&home, OWN) {
                Some(node) => {
                    assert_eq!(node.payload.content.get(), 1);
                    put(node, OWN);
                    "taken from the depot"
                }
                None => "in between",
            },
        };
        trimming.join().unwrap();
        assert_eq!((pool.freed.get(), pool.home.tiers.idle()), (0, 1), "nothing lost");
        outcomes.note(outcome);
        drop(home);
        finish(pool, 1);
    });
}

#[test]
fn a_put_against_clear() {
    let expected = &[
        "kept, 0 freed",
        "kept, 1 freed",
        "kept, 2 freed",
        "refused, 0 freed",
        "refused, 1 freed",
        "refused, 2 freed",
    ];
    model("tiers::a_put_against_clear", expected, 3, |outcomes| {
        let pool = Pool::new(2, false);
        let node = pool.leased(2, OWN);
        assert_eq!(put(pool.node(1), OWN), "kept");
        let owner = thread::spawn(move || {
            node.payload.content.set(3);
            put(node, OWN)
        });
        pool.home.tiers.clear(drop);
        let put = owner.join().unwrap();
        assert_eq!(pool.freed.get() + pool.home.tiers.idle(), 2, "nothing lost");
        outcomes.note(format!("{put}, {} freed", pool.freed.get()));
        finish(pool, 2);
    });
}

#[test]
fn two_closes_free_each_node_once() {
    let expected = &["0 and 2", "1 and 1", "2 and 0"];
    model("tiers::two_closes_free_each_node_once", expected, 3, |outcomes| {
        let pool = Pool::new(2, false);
        assert_eq!(put(pool.node(1), OWN), "kept");
        pool.home.tiers.put_shared(pool.node(2), drop);
        let closing = {
            let home = Arc::clone(&pool.home);
            thread::spawn(move || close_counted(&home))
        };
        let this = close_counted(&pool.home);
        outcomes.note(format!("{this} and {}", closing.join().unwrap()));
        finish(pool, 2);
    });
}

fn close_counted(home: &Home) -> usize {
    let mut freed = 0;
    assert!(home.tiers.close(|chain| freed += chain.len()), "nobody is busy");
    freed
}

#[test]
fn a_first_put_against_close() {
    let expected = &["kept, closed", "kept, closed in two calls", "refused, closed", "refused, closed in two calls"];
    model("tiers::a_first_put_against_close", expected, 3, |outcomes| {
        let pool = Pool::new(2, false);
        let node = pool.node(1);
        outcomes.note(pool.ends(1, thread::spawn(move || put(node, OWN))));
    });
}

#[test]
fn a_chain_is_handed_over_whole() {
    model("tiers::a_chain_is_handed_over_whole", &["both", "too early"], 3, |outcomes| {
        let pool = Pool::new(2, false);
        let nodes = [1, 2, 3].map(|content| pool.node(content));
        // As if they had been taken out of the magazine, which is too small for them all.
        let mut nodes = nodes.map(|node| {
            put(node, OWN);
            at_hand(&pool.home, OWN).unwrap()
        });
        let giving = thread::spawn(move || {
            for node in &mut nodes {
                node.payload.content.set(node.payload.content.get() + 10);
            }
            nodes.map(|node| put(node, OWN))
        });
        let outcome = match take(&pool.home, OTHER) {
            None => "too early",
            Some(second) => {
                let first = at_hand(&pool.home, OTHER).expect("the rest of the chain");
                assert_eq!((first.payload.content.get(), second.payload.content.get()), (11, 12));
                "both"
            }
        };
        assert_eq!(giving.join().unwrap(), ["kept"; 3]);
        outcomes.note(outcome);
        finish(pool, 3);
    });
}

#[test]
fn a_foreign_put_against_close() {
    let expected = &["kept, closed", "kept, closed in two calls", "refused, closed", "refused, closed in two calls"];
    model("tiers::a_foreign_put_against_close", expected, 3, |outcomes| {
        let pool = Pool::new(2, false);
        let node = pool.leased(1, OTHER);
        drop(pool.leased(2, OWN)); // Its magazine has begun.
        let giving = thread::spawn(move || {
            node.payload.content.set(2);
            put(node, OWN)
        });
        outcomes.note(pool.ends(2, giving));
    });
}

#[test]
fn a_batch_handed_on_against_close() {
    let expected = &["kept, closed", "kept, closed in two calls", "refused, closed", "refused, closed in two calls"];
    model("tiers::a_batch_handed_on_against_close", expected, 3, |outcomes| {
        let pool = Pool::new(2, false);
        let node = pool.leased(1, OTHER);
        assert_eq!(put(pool.node(2), OWN), "kept");
        let giving = thread::spawn(move || {
            node.payload.content.set(2);
            put(node, OWN)
        });
        outcomes.note(pool.ends(2, giving));
    });
}

#[test]
fn late_nodes_free_themselves_and_the_last_one_the_pool() {
    let expected = &["this one", "the other one"];
    model("tiers::late_nodes_free_themselves_and_the_last_one_the_pool", expected, 3, |outcomes| {
        let pool = Pool::new(2, false);
        let nodes = [pool.leased(1, OWN), pool.leased(2, OTHER)];
        assert!(pool.home.tiers.close(drop));
        let Pool { home, freed, ended } = pool;
        drop(home);
        let [this, other] = nodes;
        let late = {
            let ended = ended.clone();
            thread::spawn(move || {
                assert_eq!(put(other, OTHER), "refused");
                ended.get()
            })
        };
        assert_eq!(put(this, OWN), "refused");
        let this = ended.get();
        let other = late.join().unwrap();
        assert_eq!((freed.get(), ended.get()), (2, 1));
        assert_eq!(this + other, 1, "seen after one of the puts");
        outcomes.note(if this == 1 { "this one" } else { "the other one" });
    });
}

/// Ends the thread with number `OWN`.
fn end_thread(home: &Home) {
    // SAFETY: see the top.
    let thread = unsafe { EndingThread::of(OWN) };
    home.tiers.flush(&thread, drop);
}

#[test]
fn a_thread_ends_against_close() {
    let expected = &["kept, closed", "freed, closed", "left to the close, closed"];
    model("tiers::a_thread_ends_against_close", expected, 3, |outcomes| {
        let pool = Pool::new(2, false);
        assert_eq!(put(pool.node(1), OWN), "kept");
        let home = Arc::clone(&pool.home);
        let ending = thread::spawn(move || {
            // SAFETY: see the top.
            let thread = unsafe { EndingThread::of(OWN) };
            let waiting = home.tiers.idle();
            let mut freed = false;
            home.tiers.flush(&thread, |_| freed = true);
            match (freed, waiting) {
                (true, _) => "freed",
                (false, 1) => "kept",
                (false, _) => "left to the close",
            }
        });
        outcomes.note(pool.ends(1, ending));
    });
}

#[test]
fn a_thread_that_ends_leaves_nothing_at_hand() {
    let expected = &["handed over", "reclaimed before"];
    model("tiers::a_thread_that_ends_leaves_nothing_at_hand", expected, 3, |outcomes| {
        let pool = Pool::new(2, false);
        assert_eq!(put(pool.node(1), OWN), "kept");
        let trimming = {
            let home = Arc::clone(&pool.home);
            thread::spawn(move || home.tiers.reclaim(|_| unreachable!("there is room")))
        };
        end_thread(&pool.home);
        trimming.join().unwrap();
        // What was reclaimed counts as old, and one step frees it.
        assert!(pool.home.tiers.age(4, drop));
        let node = from_depot(&pool.home, OTHER);
        outcomes.note(if node.is_some() { "handed over" } else { "reclaimed before" });
        assert_eq!(pool.freed.get(), usize::from(node.is_none()), "found by other threads");
        drop(node);
        finish(pool, 1);
    });
}

#[test]
fn a_number_is_handed_on() {
    model("tiers::a_number_is_handed_on", &["handed on", "too early"], 3, |outcomes| {
        let pool = Pool::new(2, false);
        let nodes = [pool.leased(1, OWN), pool.leased(2, OWN)];
        let free = Arc::new(Mutex::new(None));
        let ending = {
            let (home, free) = (Arc::clone(&pool.home), Arc::clone(&free));
            thread::spawn(move || {
                for node in nodes {
                    node.payload.content.set(7);
                    assert_eq!(put(node, OWN), "kept");
                }
                end_thread(&home);
                drop(home);
                *free.lock().unwrap() = Some(OWN);
            })
        };
        let number = free.lock().unwrap().take();
        outcomes.note(match number {
            None => "too early",
            Some(number) => {
                let nodes = [take(&pool.home, number).unwrap(), at_hand(&pool.home, number).unwrap()];
                assert!(nodes.iter().all(|node| node.payload.content.get() == 7));
                for node in nodes {
                    assert_eq!(put(node, number), "kept");
                }
                "handed on"
            }
        });
        ending.join().unwrap();
        assert_eq!(pool.home.tiers.idle(), 2);
        finish(pool, 2);
    });
}

#[test]
fn a_new_magazine_is_seen_whole() {
    model("tiers::a_new_magazine_is_seen_whole", &["0 idle", "1 idle"], 3, |outcomes| {
        let pool = Pool::new(2, false);
        let node = pool.node(1);
        let putting = thread::spawn(move || put(node, OWN));
        outcomes.note(format!("{} idle", pool.home.tiers.idle()));
        assert_eq!(putting.join().unwrap(), "kept");
        finish(pool, 1);
    });
}

#[test]
fn an_owner_against_a_foreign_put() {
    model("tiers::an_owner_against_a_foreign_put", &["1 idle", "2 idle"], 3, |outcomes| {
        let pool = Pool::new(2, false);
        let nodes = [1, 2].map(|content| pool.leased(content, OTHER));
        let [foreign, own] = nodes;
        let giving = thread::spawn(move || put(foreign, OWN));
        assert_eq!(put(own, OTHER), "kept");
        let again = at_hand(&pool.home, OTHER).expect("it is nobody else's");
        assert_eq!(put(again, OTHER), "kept");
        outcomes.note(format!("{} idle", pool.home.tiers.idle()));
        assert_eq!(giving.join().unwrap(), "kept");
        assert_eq!(pool.home.tiers.idle(), 2);
        finish(pool, 2);
    });
}

#[test]
fn reclaim_against_close() {
    let expected = &["freed by the close", "freed by the trim"];
    model("tiers::reclaim_against_close", expected, 3, |outcomes| {
        let pool = Pool::new(2, false);
        assert_eq!(put(pool.node(1), OWN), "kept");
        let trimming = {
            let home = Arc::clone(&pool.home);
            thread::spawn(move || {
                let mut freed = 0;
                home.tiers.reclaim(|chain| freed += chain.len());
                freed
            })
        };
        let by_close = close_counted(&pool.home);
        assert_eq!(trimming.join().unwrap() + by_close, 1);
        assert_eq!((pool.freed.get(), pool.home.tiers.idle()), (1, 0), "nothing left behind");
        assert_eq!(put(pool.node(2), OWN), "refused");
        outcomes.note(if by_close == 1 { "freed by the close" } else { "freed by the trim" });
        finish(pool, 2);
    });
}

#[test]
fn a_trim_opens_nothing_that_was_closed() {
    let expected = &["kept, closed", "kept, to be closed", "refused, closed", "refused, to be closed"];
    model("tiers::a_trim_opens_nothing_that_was_closed", expected, 3, |outcomes| {
        let pool = Pool::new(2, false);
        let nodes = [pool.leased(1, OWN), pool.leased(2, OWN)];
        let [first, second] = nodes;
        let owner = thread::spawn(move || put(first, OWN));
        let complete = pool.home.tiers.close(drop);
        let did = owner.join().unwrap();
        for _ in 0..2 {
            pool.home.tiers.reclaim(drop);
        }
        assert_eq!(put(second, OWN), "refused");
        outcomes.note(format!("{did}, {}", if complete { "closed" } else { "to be closed" }));
        finish(pool, 2);
    });
}

/// A pool whose depot is full, with one node in each chain.
fn full_pool() -> Pool {
    let pool = Pool::new(2, false);
    for content in [1, 2] {
        pool.home.tiers.put_shared(pool.node(content), |_| unreachable!("there is room"));
    }
    pool
}

#[test]
fn a_chain_that_finds_no_room_against_a_take() {
    let expected = &["1 taken, 2 idle", "2 taken, 2 idle"];
    model("tiers::a_chain_that_finds_no_room_against_a_take", expected, 3, |outcomes| {
        let pool = full_pool();
        let node = pool.node(3);
        let pushing = thread::spawn(move || put(node, usize::MAX));
        let taken = from_depot(&pool.home, usize::MAX);
        pushing.join().unwrap();
        let idle = pool.home.tiers.idle();
        assert_eq!((idle + usize::from(taken.is_some()), pool.freed.get()), (3, 0), "nothing lost");
        let content = taken.as_ref().map_or("none".into(), |node| node.payload.content.get().to_string());
        outcomes.note(format!("{content} taken, {idle} idle"));
        drop(taken);
        finish(pool, 3);
    });
}

#[test]
fn a_chain_that_finds_no_room_against_close() {
    let expected = &["1 freed late", "2 freed late", "3 freed late", "none freed late"];
    model("tiers::a_chain_that_finds_no_room_against_close", expected, 2, |outcomes| {
        let pool = full_pool();
        let node = pool.node(3);
        let pushing = thread::spawn(move || put(node, usize::MAX));
        let by_close = close_counted(&pool.home);
        pushing.join().unwrap();
        assert_eq!((pool.freed.get(), pool.home.tiers.idle()), (3, 0), "nothing left behind");
        outcomes.note(if by_close == 3 { "none freed late".into() } else { format!("{} freed late", 3 - by_close) });
        finish(pool, 3);
    });
}

#[test]
fn ageing_against_a_push() {
    model("tiers::ageing_against_a_push", &["1 freed", "2 freed"], 3, |outcomes| {
        let pool = Pool::new(2, false);
        pool.home.tiers.put_shared(pool.node(1), drop);
        let node = pool.node(2);
        let pushing = thread::spawn(move || put(node, usize::MAX));
        let done = [(); 2].map(|()| pool.home.tiers.age(4, drop));
        assert_eq!((done, pushing.join().unwrap()), ([true; 2], "refused"));
        assert_eq!(pool.freed.get() + pool.home.tiers.idle(), 2, "nothing lost");
        outcomes.note(format!("{} freed", pool.freed.get()));
        finish(pool, 2);
    });
}

#[test]
fn ageing_against_a_take() {
    model("tiers::ageing_against_a_take", &["taken", "missed"], 3, |outcomes| {
        let pool = Pool::new(2, false);
        pool.home.tiers.put_shared(pool.node(1), drop);
        let ageing = {
            let home = Arc::clone(&pool.home);
            thread::spawn(move || assert!(home.tiers.age(4, drop)))
        };
        let node = from_depot(&pool.home, usize::MAX);
        ageing.join().unwrap();
        assert_eq!((pool.freed.get(), pool.home.tiers.idle()), (0, usize::from(node.is_none())), "nothing lost");
        outcomes.note(if node.is_some() { "taken" } else { "missed" });
        drop(node);
        finish(pool, 1);
    });
}

#[test]
fn ageing_against_reclaim() {
    let expected = &["0 freed", "1 freed"];
    model("tiers::ageing_against_reclaim", expected, 2, |outcomes| {
        let pool = full_pool();
        assert_eq!(put(pool.node(3), OWN), "kept");
        let trimming = {
            let home = Arc::clone(&pool.home);
            thread::spawn(move || home.tiers.reclaim(drop))
        };
        assert!(pool.home.tiers.age(4, drop));
        trimming.join().unwrap();
        // Two become old, and there is room for two.
        assert_eq!(pool.freed.get() + pool.home.tiers.idle(), 3, "nothing lost");
        outcomes.note(format!("{} freed", pool.freed.get()));
        finish(pool, 3);
    });
}

#[test]
fn ageing_against_close() {
    let expected = &["freed by the close", "freed by the ageing"];
    model("tiers::ageing_against_close", expected, 3, |outcomes| {
        let pool = Pool::new(2, false);
        pool.home.tiers.put_shared(pool.node(1), drop);
        let ageing = {
            let home = Arc::clone(&pool.home);
            thread::spawn(move || {
                let mut freed = 0;
                assert!(home.tiers.age(4, |chain| freed += chain.len()));
                freed
            })
        };
        let by_close = close_counted(&pool.home);
        assert_eq!(ageing.join().unwrap() + by_close, 1);
        assert_eq!((pool.freed.get(), pool.home.tiers.idle()), (1, 0), "nothing left behind");
        outcomes.note(if by_close == 1 { "freed by the close" } else { "freed by the ageing" });
        finish(pool, 1);
    });
}

/// A pool with a chain of two old nodes in its depot, and a third at the first thread's hand.
fn old_pair() -> Pool {
    old_chain([1, 2, 3])
}

/// A pool with a chain of old nodes in its depot, and the last one at the first thread's hand.
fn old_chain<const NODES: usize>(nodes: [u32; NODES]) -> Pool {
    let pool = Pool::new(NODES - 1, false);
    let nodes = nodes.map(|content| pool.leased(content, OWN));
    assert_eq!(nodes.map(|node| put(node, OWN)), ["kept"; NODES]);
    assert!(pool.home.tiers.age(4, |_| unreachable!("none is old")));
    pool
}

/// Ages with room for less than there is, in a thread of its own. How many nodes it freed.
fn age_in_part(pool: &Pool) -> thread::JoinHandle<usize> {
    let home = Arc::clone(&pool.home);
    thread::spawn(move || {
        let mut freed = 0;
        home.tiers.age(1, |chain| freed += chain.len());
        freed
    })
}

#[test]
fn ageing_in_parts_against_a_take() {
    let expected = &["taken before", "taken after", "missed"];
    model("tiers::ageing_in_parts_against_a_take", expected, 3, |outcomes| {
        let pool = old_pair();
        let ageing = age_in_part(&pool);
        let node = from_depot(&pool.home, OTHER);
        let freed = ageing.join().unwrap();
        let out = usize::from(node.is_some());
        assert_eq!((pool.freed.get(), pool.home.tiers.idle()), (freed, 3 - freed - out), "nothing lost");
        outcomes.note(match (freed, out) {
            (0, 1) => "taken before",
            (1, 1) => "taken after",
            (1, 0) => "missed",
            _ => unreachable!("{freed} freed, {out} out"),
        });
        drop(node);
        finish(pool, 3);
    });
}

#[test]
fn ageing_in_parts_against_close() {
    let expected = &["0 freed by the ageing", "1 freed by the ageing", "2 freed by the ageing"];
    model("tiers::ageing_in_parts_against_close", expected, 3, |outcomes| {
        let pool = old_pair();
        let ageing = age_in_part(&pool);
        let by_close = close_counted(&pool.home);
        let by_ageing = ageing.join().unwrap();
        assert_eq!((by_ageing + by_close, pool.freed.get(), pool.home.tiers.idle()), (3, 3, 0), "nothing left behind");
        outcomes.note(format!("{by_ageing} freed by the ageing"));
        finish(pool, 3);
    });
}

// Of a chain of old nodes a thread fetches one, and one more, since `WALK` is 1 here.

#[test]
fn a_fetch_in_parts_against_ageing() {
    let expected = &["missed, 3 freed", "taken, 0 freed", "taken, 1 freed"];
    model("tiers::a_fetch_in_parts_against_ageing", expected, 3, |outcomes| {
        let pool = old_chain([1, 2, 3, 4]);
        let ageing = {
            let home = Arc::clone(&pool.home);
            thread::spawn(move || assert!(home.tiers.age(4, drop)))
        };
        let node = from_depot(&pool.home, OTHER);
        ageing.join().unwrap();
        let (freed, out) = (pool.freed.get(), usize::from(node.is_some()));
        assert_eq!(freed + pool.home.tiers.idle() + out, 4, "nothing lost");
        outcomes.note(format!("{}, {freed} freed", if out == 1 { "taken" } else { "missed" }));
        assert!(pool.home.tiers.age(4, drop));
        assert_eq!(pool.home.tiers.idle(), 1 + out, "what is left stays old");
        drop(node);
        finish(pool, 4);
    });
}

#[test]
fn a_fetch_in_parts_against_close() {
    let expected = &[
        "kept, closed",
        "kept, closed in two calls",
        "missed, closed",
        "refused, closed",
        "refused, closed in two calls",
    ];
    model("tiers::a_fetch_in_parts_against_close", expected, 2, |outcomes| {
        let pool = old_chain([1, 2, 3, 4]);
        let home = Arc::clone(&pool.home);
        let taking = thread::spawn(move || {
            let Some(node) = from_depot(&home, OTHER) else { return "missed" };
            drop(home);
            put(node, OTHER)
        });
        outcomes.note(pool.ends(4, taking));
    });
}

#[test]
fn two_trims_share_a_round() {
    let expected = &["this one ends it", "the other one ends it"];
    model("tiers::two_trims_share_a_round", expected, 3, |outcomes| {
        let pool = Pool::new(2, false);
        for number in [OWN, OTHER] {
            let nodes = [1, 2].map(|content| pool.leased(content, number));
            assert_eq!(nodes.map(|node| put(node, number)), ["kept"; 2]);
        }
        let trimming = {
            let home = Arc::clone(&pool.home);
            thread::spawn(move || home.tiers.reclaim(|_| unreachable!("there is room")))
        };
        let done = pool.home.tiers.reclaim(|_| unreachable!("there is room"));
        assert_ne!(trimming.join().unwrap(), done, "each comes to one magazine");
        assert!(!pool.home.tiers.is_reclaiming());
        let left = [OWN, OTHER].map(|number| at_hand(&pool.home, number));
        assert!(left.iter().all(Option::is_some), "each was come to once, and half is left");
        assert!([OWN, OTHER].iter().all(|&number| at_hand(&pool.home, number).is_none()));
        assert_eq!(pool.home.tiers.idle(), 2, "nothing lost");
        outcomes.note(if done { "this one ends it" } else { "the other one ends it" });
        drop(left);
        finish(pool, 4);
    });
}
