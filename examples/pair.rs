//! One get and drop of a 4 KiB vector, over and over, for counting instructions.
//!
//! Two runs of different length under callgrind; their difference, by the difference of the lengths, is what a pair takes:
//!
//! ```sh
//! cargo build --release --example pair
//! for way in stack pool full_fence; do for pairs in 1000 2000; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/pair $way $pairs 2>&1 | grep Collected
//! done; done
//! ```

use ebbtide::Pool;
use std::cell::RefCell;
use std::hint::black_box;

const ROOM: usize = 4096;

thread_local! {
    static STACK: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// The use, through `&mut` as a guard gives it.
fn write(value: &mut Vec<u8>) {
    black_box(value).extend_from_slice(&[1; 64]);
}

fn stacked() {
    let mut value = STACK.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(ROOM));
    write(&mut value);
    value.clear();
    STACK.with_borrow_mut(|stack| stack.push(value));
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().unwrap_or_else(|| "pool".to_owned());
    let pairs: u64 = arguments.next().and_then(|pairs| pairs.parse().ok()).unwrap_or(1000);
    let pool = Pool::builder().full_fence(way == "full_fence").build(|| Vec::with_capacity(ROOM));
    for _ in 0..pairs {
        if way == "stack" { stacked() } else { write(&mut pool.get()) }
    }
}
