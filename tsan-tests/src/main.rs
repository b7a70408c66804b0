//! A hammer on pools and requests for ThreadSanitizer: README.md says what it can show.
//!
//! The values are plain memory, which each holder writes, reads and leaves to the next. The threads share nothing else but
//! pools, scopes, roads that order one way only, and a flag that orders nothing: what else is ordered is ordered by the crate.

mod count;
mod road;

use ebbtide::{BufferPool, DropReason, Pool, PoolStats, Pooled, PooledBytes, Reset, ScopeHandle, Scopes, Verdict};
use road::Road;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// What the pools lend.
struct Page {
    words: [u64; 6],
    more: Vec<u64>,
}

impl Page {
    fn new() -> Self {
        Self { words: [0; 6], more: Vec::with_capacity(1) }
    }

    fn write(&mut self, mark: u64) {
        assert!(self.words == [0; 6] && self.more.is_empty());
        self.words = [mark; 6];
        self.more.push(mark);
    }

    fn read(&self) {
        assert!(self.words == [self.more[0]; 6]);
    }
}

impl Reset for Page {
    fn reset(&mut self) -> Verdict {
        self.words = [0; 6];
        self.more.clear();
        Verdict::Keep
    }
}

/// A pool that is about to end, and something out of it.
type Ending = (Pool<Page>, Vec<Pooled<Page>>);

/// A request that is about to end, and bytes of it.
type Request = (ScopeHandle, PooledBytes);

/// What the threads share.
struct Yard {
    pools: [Pool<Page>; 2],
    away: Road<Pooled<Page>>,
    ending: Road<Ending>,
    scopes: Scopes,
    buffers: BufferPool,
    requests: Road<Request>,
    stop: AtomicBool,
}

/// What one thread does until the end; it says how often it met what it is there for.
type Work = fn(&'static Yard) -> u64;

impl Yard {
    /// Does `round` until the end; says how often it did something.
    fn until_stop(&self, mut round: impl FnMut(u64) -> bool) -> u64 {
        (1..).take_while(|_| !self.stop.load(Relaxed)).filter(|&number| round(number)).count() as u64
    }
}

fn written(pool: &Pool<Page>, mark: u64) -> Pooled<Page> {
    let mut page = pool.get();
    page.write(mark);
    page
}

/// Takes and gives back on one thread, one by one and in bursts beyond what a thread has at hand.
fn at_hand(yard: &'static Yard) -> u64 {
    yard.until_stop(|round| {
        for pool in &yard.pools {
            written(pool, round).read();
            let burst: Vec<_> = (0..round % 300).map(|_| written(pool, round)).collect();
            burst.iter().for_each(|page| page.read());
        }
        true
    })
}

/// Takes what another thread gives back.
fn give_away(yard: &'static Yard) -> u64 {
    yard.until_stop(|round| {
        let page = written(&yard.pools[round as usize % 2], round);
        yard.away.give(page).is_ok()
    })
}

/// Gives back what another thread took.
fn take_in(yard: &'static Yard) -> u64 {
    yard.until_stop(|_| yard.away.take().map(|page| page.read()).is_some())
}

/// Threads that begin, leave something in their magazines, and end.
fn pass(yard: &'static Yard) -> u64 {
    yard.until_stop(|round| {
        let passing = spawn(move || {
            for pool in &yard.pools {
                let pages: Vec<_> = (0..40).map(|_| written(pool, round)).collect();
                pages.iter().for_each(|page| page.read());
            }
        });
        passing.join().is_ok()
    })
}

/// Trims, clears and counts.
fn trim(yard: &'static Yard) -> u64 {
    yard.until_stop(|round| {
        for pool in &yard.pools {
            match round % 8 {
                0 => pool.clear(),
                _ => while !pool.trim() {},
            }
            _ = pool.stats();
        }
        sleep(Duration::from_micros(300));
        true
    })
}

/// Begins pools and closes them while another thread takes, and has something out.
fn close(yard: &'static Yard) -> u64 {
    yard.until_stop(|round| {
        let pool = Pool::new(Page::new);
        let out = (0..3).map(|_| written(&pool, round)).collect();
        let given = yard.ending.give((pool.clone(), out)).is_ok();
        for _ in 0..9 {
            written(&pool, round).read();
            // Looks at the other thread's magazine, which may just begin, without the pool's lock.
            _ = pool.stats();
        }
        if round % 2 == 0 {
            pool.close();
        }
        given
    })
}

/// Takes from pools that are about to end, and gives back late.
fn outlive(yard: &'static Yard) -> u64 {
    yard.until_stop(|round| {
        let Some((pool, out)) = yard.ending.take() else { return false };
        (0..9).for_each(|_| written(&pool, round).read());
        drop(pool);
        out.iter().for_each(|page| page.read());
        true
    })
}

/// Begins requests that another thread enters, and bytes that it reads.
fn begin(yard: &'static Yard) -> u64 {
    yard.until_stop(|round| {
        let request = yard.scopes.begin();
        let scope = request.scope();
        let mut buffer = yard.buffers.get(600);
        buffer.extend_from_slice(&[round as u8; 300]);
        let bytes = buffer.freeze();
        let given = yard.requests.give((request.handle(), bytes.clone())).is_ok();
        let words = scope.arena().alloc_slice_copy(&[round; 20]);
        scope.lease(&yard.pools[0]).write(round);
        assert!(words.iter().all(|&word| word == round) && bytes.iter().all(|&byte| byte == round as u8));
        given
    })
}

/// Enters requests of another thread, unless they have ended.
fn enter(yard: &'static Yard) -> u64 {
    yard.until_stop(|round| {
        let Some((handle, bytes)) = yard.requests.take() else { return false };
        assert!(bytes.iter().all(|&byte| byte == bytes[0]));
        let Ok(scope) = handle.enter() else { return false };
        let words = scope.arena().alloc_slice_copy(&[round; 20]);
        scope.lease(&yard.pools[0]).write(round);
        words.iter().all(|&word| word == round)
    })
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let fenced = Pool::builder().full_fence(true).build(Page::new);
    let yard: &'static Yard = Box::leak(Box::new(Yard {
        pools: [Pool::new(Page::new), fenced],
        away: Road::new(),
        ending: Road::new(),
        scopes: Scopes::new(),
        buffers: BufferPool::new(),
        requests: Road::new(),
        stop: AtomicBool::new(false),
    }));
    // What begins once begins here: std's own locks order it for who comes later, out of the sanitizer's sight.
    yard.pools.iter().for_each(|pool| written(pool, 1).read());

    let threads: [(&str, Work); 9] = [
        ("taken and given back at hand", at_hand),
        ("taken for another thread", give_away),
        ("given back by another thread", take_in),
        ("threads ended", pass),
        ("trims", trim),
        ("pools begun for another thread", close),
        ("pools ended by another thread", outlive),
        ("requests begun for another thread", begin),
        ("requests entered by another thread", enter),
    ];
    let running = threads.map(|(name, work)| (name, spawn(move || work(yard))));
    sleep(Duration::from_secs(seconds));
    yard.stop.store(true, Relaxed);
    for (name, thread) in running {
        met(name, joined(thread));
    }
    while yard.away.take().is_some() || yard.ending.take().is_some() || yard.requests.take().is_some() {}

    let stats: Vec<PoolStats> = yard.pools.iter().map(Pool::stats).collect();
    let sum = |of: fn(&PoolStats) -> u64| stats.iter().map(of).sum();
    met("chains fetched", sum(|stats| stats.fetches));
    met("values aged out", sum(|stats| stats.drops(DropReason::Aged)));
    met("values cleared", sum(|stats| stats.drops(DropReason::Closed)));
    for pool in &yard.pools {
        pool.close();
        pool.wait_closed(Instant::now()).expect("all is back");
    }
}

fn joined(thread: JoinHandle<u64>) -> u64 {
    thread.join().expect("no panic")
}

/// Prints how often something was met; never is too seldom.
fn met(what: &str, times: u64) {
    println!("{times:>9} {what}");
    assert!(times > 0, "{what}: never met");
}
