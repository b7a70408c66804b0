//! One buffer taken, filled and dropped, over and over, for counting instructions; `empty` leaves out the filling, and `stack` is
//! a thread-local stack of vectors. `pair` does so for a vector, and says how to count.

use ebbtide::BufferPool;
use std::cell::RefCell;
use std::hint::black_box;

const SIZE: usize = 512;

thread_local! {
    static STACK: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn stacked(bytes: &[u8]) {
    let mut buffer = STACK.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(black_box(SIZE)));
    buffer.extend_from_slice(black_box(bytes));
    black_box(&mut buffer).clear();
    STACK.with_borrow_mut(|stack| stack.push(buffer));
}

/// What does so many pairs in this way.
pub(crate) fn pairs(way: &str) -> Box<dyn FnMut(u64)> {
    let (pool, bytes) = (BufferPool::new(), [7; SIZE]);
    match way {
        "stack" => Box::new(move |pairs| (0..pairs).for_each(|_| stacked(&bytes))),
        "empty" => Box::new(move |pairs| (0..pairs).for_each(|_| drop(black_box(pool.get(black_box(SIZE)))))),
        _ => Box::new(move |pairs| {
            (0..pairs).for_each(|_| {
                let mut buffer = pool.get(black_box(SIZE));
                buffer.extend_from_slice(black_box(&bytes));
                drop(black_box(buffer));
            });
        }),
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().unwrap_or_else(|| "fill".to_owned());
    pairs(&way)(arguments.next().and_then(|pairs| pairs.parse().ok()).unwrap_or(1000));
}
