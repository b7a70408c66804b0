//! One get and drop of a 4 KiB vector, or of a 1 KiB object, over and over, for counting instructions.
//!
//! Two runs of different length under callgrind; their difference, by the difference of the lengths, is what a pair takes:
//!
//! ```sh
//! cargo build --release --example pair
//! for way in stack pool full_fence object_stack object starved; do for pairs in 1000 2000; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/pair $way $pairs 2>&1 | grep Collected
//! done; done
//! ```
//!
//! `starved` is not a pair: a hundred are taken, of which a third is detached.
//!
//! `pair crossing 1000000` takes the vectors here and drops them on another thread, and prints how many fetched a chain from
//! the tier that threads share.

use ebbtide::{Pool, Pooled, Reset, Verdict};
use std::cell::RefCell;
use std::hint::black_box;
use std::sync::mpsc;
use std::thread;

const ROOM: usize = 4096;

/// An object of 1 KiB that remembers how much of it is in use.
struct Object {
    used: usize,
    bytes: [u8; 1016],
}

impl Object {
    fn new() -> Self {
        Self { used: 0, bytes: [0; 1016] }
    }
}

impl Reset for Object {
    fn reset(&mut self) -> Verdict {
        self.used = 0;
        Verdict::Keep
    }
}

thread_local! {
    static STACK: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    #[allow(clippy::vec_box)] // the box is what moves
    static OBJECTS: RefCell<Vec<Box<Object>>> = const { RefCell::new(Vec::new()) };
}

/// The use, through `&mut` as a guard gives it.
fn write(value: &mut Vec<u8>) {
    black_box(value).extend_from_slice(&[1; 64]);
}

/// As above.
fn mark(object: &mut Object) {
    let object = black_box(object);
    object.bytes[..64].copy_from_slice(&[1; 64]);
    object.used = 64;
}

fn stacked() {
    let mut value = STACK.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(ROOM));
    write(&mut value);
    value.clear();
    STACK.with_borrow_mut(|stack| stack.push(value));
}

fn object_stacked() {
    let mut object = OBJECTS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Box::new(Object::new()));
    mark(&mut object);
    black_box(&mut object).reset();
    OBJECTS.with_borrow_mut(|stack| stack.push(object));
}

/// Takes here, drops there.
fn crossed(pool: &Pool<Vec<u8>>, pairs: u64) {
    let (send, receive) = mpsc::sync_channel(64);
    thread::scope(|scope| {
        scope.spawn(move || receive.into_iter().for_each(drop));
        for _ in 0..pairs {
            let mut value = pool.get();
            write(&mut value);
            send.send(value).expect("the receiver takes all");
        }
        drop(send);
    });
    println!("{:?}", pool.stats());
}

/// A hundred at once, of which a third never comes back.
fn starved(pool: &Pool<Vec<u8>>, out: &mut Vec<Pooled<Vec<u8>>>) {
    out.extend((0..100).map(|_| pool.get()));
    out.iter_mut().for_each(|value| write(value));
    out.drain(67..).for_each(|value| drop(Pooled::detach(value)));
    out.clear();
}

/// What does so many pairs in this way.
pub(crate) fn pairs(way: &str) -> Box<dyn FnMut(u64)> {
    let pool = Pool::builder().full_fence(way == "full_fence").build(|| Vec::with_capacity(ROOM));
    let objects = Pool::new(Object::new);
    match way {
        "stack" => Box::new(|pairs| (0..pairs).for_each(|_| stacked())),
        "object_stack" => Box::new(|pairs| (0..pairs).for_each(|_| object_stacked())),
        "crossing" => Box::new(move |pairs| crossed(&pool, pairs)),
        "starved" => {
            let mut out = Vec::with_capacity(100);
            Box::new(move |pairs| (0..pairs).for_each(|_| starved(&pool, &mut out)))
        }
        "object" => Box::new(move |pairs| (0..pairs).for_each(|_| mark(&mut objects.get()))),
        _ => Box::new(move |pairs| (0..pairs).for_each(|_| write(&mut pool.get()))),
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().unwrap_or_else(|| "pool".to_owned());
    pairs(&way)(arguments.next().and_then(|pairs| pairs.parse().ok()).unwrap_or(1000));
}
