//! The books by tag and the audit of requests while threads hand values on: nothing is left over, and nobody is named wrongly.

use ebbtide::observe::{Ledger, TagEntry, tagged};
use ebbtide::request::with_current;
use ebbtide::{BufferPool, Pool, Pooled, PooledBuf, Scopes};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Barrier, mpsc};
use std::thread;

const TAGS: [&str; 4] = ["stress: a", "stress: b", "stress: c", "stress: d"];
const THREADS: usize = 4;
const REQUESTS: u64 = if cfg!(debug_assertions) { 4_000 } else { 40_000 };

fn books_of(tags: &[&str]) -> Vec<TagEntry> {
    let mut found = Vec::new();
    Ledger::process().each_tag(|entry| {
        if tags.contains(&entry.tag) {
            found.push(*entry);
        }
    });
    found
}

fn books() -> Vec<TagEntry> {
    books_of(&TAGS)
}

/// Marsaglia's xorshift.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

enum Value {
    Vector(Pooled<Vec<u8>>),
    Buffer(PooledBuf),
}

fn take(chance: &mut Chance, vectors: &Pool<Vec<u8>>, buffers: &BufferPool) -> Value {
    if chance.below(2) == 0 {
        let mut vector = vectors.get();
        if chance.below(4) == 0 {
            vector.resize(chance.below(9000) as usize, 0);
        }
        Value::Vector(vector)
    } else {
        let size = if chance.below(64) == 0 { 3 << 20 } else { chance.below(10_000) as usize };
        let mut buffer = buffers.get(size);
        if chance.below(4) == 0 {
            buffer.reserve(size + 1);
        }
        Value::Buffer(buffer)
    }
}

fn end(chance: &mut Chance, value: Value) {
    match value {
        Value::Vector(vector) if chance.below(8) == 0 => drop(Pooled::detach(vector)),
        Value::Buffer(buffer) if chance.below(4) == 0 => drop(buffer.freeze().slice(..0)),
        value => drop(value),
    }
}

#[test]
fn what_threads_hand_on_within_requests_leaves_nothing_in_the_books() {
    let scopes = Scopes::new();
    let vectors = Pool::builder().name("stress vectors").max_idle(40).build(|| Vec::with_capacity(100));
    let buffers = BufferPool::builder().name("stress buffers").build();
    let done = AtomicBool::new(false);
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..THREADS).map(|_| mpsc::sync_channel::<(Value, mpsc::Sender<()>)>(64)).unzip();
    thread::scope(|threads| {
        // Ends what others took, and says so.
        for (number, receiver) in receivers.into_iter().enumerate() {
            threads.spawn(move || {
                let mut chance = Chance(77 + number as u64);
                for (value, back) in receiver {
                    end(&mut chance, value);
                    let _ = back.send(());
                }
            });
        }
        let workers: Vec<_> = senders
            .into_iter()
            .enumerate()
            .map(|(number, sender)| {
                let (scopes, vectors, buffers) = (&scopes, &vectors, &buffers);
                threads.spawn(move || {
                    let mut chance = Chance(0x9E37_79B9 + number as u64);
                    for _ in 0..REQUESTS {
                        let request = scopes.begin();
                        let (back, returned) = mpsc::channel();
                        with_current(&mut Some(request.handle()), || {
                            for _ in 0..chance.below(6) {
                                let tag = TAGS.get(chance.below(5) as usize).copied();
                                let value = match tag {
                                    Some(tag) => tagged(tag, || take(&mut chance, vectors, buffers)),
                                    None => take(&mut chance, vectors, buffers),
                                };
                                match chance.below(4) {
                                    0 => sender.send((value, back.clone())).unwrap(),
                                    1 => tagged(TAGS[0], || drop(value)),
                                    _ => end(&mut chance, value),
                                }
                            }
                            if let Some(tag) = TAGS.get(chance.below(5) as usize) {
                                tagged(tag, || request.scope().lease(vectors).push(1));
                            }
                        });
                        drop(back);
                        returned.into_iter().for_each(drop);
                        drop(request);
                    }
                })
            })
            .collect();
        let looks = threads.spawn(|| {
            while !done.load(Relaxed) {
                vectors.trim();
                buffers.trim();
                for entry in books() {
                    assert!(entry.outstanding < 1000 && entry.idle < 10_000, "{entry:?}");
                    assert!(entry.idle_bytes < 1 << 32 && entry.outstanding_bytes < 1 << 32, "{entry:?}");
                }
                thread::yield_now();
            }
        });
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        done.store(true, Relaxed);
        looks.join().unwrap();
    });
    for entry in books() {
        assert_eq!((entry.outstanding, entry.outstanding_bytes, entry.imbalances), (0, 0, 0), "{entry:?}");
    }
    let idle = books().iter().map(|entry| entry.idle).sum::<u64>();
    assert!(idle <= vectors.stats().idle + buffers.stats().idle);
    drop((vectors, buffers, scopes));
    for entry in books() {
        assert_eq!((entry.idle, entry.idle_bytes), (0, 0), "{entry:?}");
    }
}

#[test]
fn threads_without_a_number_count_as_others_do() {
    let (pool, scopes) = (Pool::new(|| Vec::<u8>::with_capacity(10)), Scopes::new());
    // There are numbers for 128.
    let together = Barrier::new(200);
    thread::scope(|threads| {
        for _ in 0..200 {
            threads.spawn(|| {
                for round in 0..20 {
                    let request = scopes.begin();
                    let take = || tagged("crowd", || (pool.get(), pool.get()));
                    let (first, second) = with_current(&mut Some(request.handle()), take);
                    drop(Pooled::detach(first));
                    tagged("crowd", || drop((pool.get(), second)));
                    drop(request);
                    if round == 10 {
                        together.wait();
                    }
                }
            });
        }
    });
    let crowd = || books_of(&["crowd"])[0];
    assert_eq!((crowd().outstanding, crowd().outstanding_bytes, crowd().imbalances), (0, 0, 0));
    assert_eq!((crowd().taken, crowd().escaped, crowd().idle), (3 * 4000, 4000, pool.stats().idle));
    drop(pool);
    assert_eq!((crowd().idle, crowd().idle_bytes), (0, 0));
}
