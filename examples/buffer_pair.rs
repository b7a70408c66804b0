//! One buffer taken, filled and dropped, over and over, for counting instructions; `empty` leaves out the filling. `pair` does so for a vector, and says how to count.

use ebbtide::BufferPool;
use std::hint::black_box;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().unwrap_or_else(|| "fill".to_owned());
    let pairs: u64 = arguments.next().and_then(|pairs| pairs.parse().ok()).unwrap_or(1000);
    let pool = BufferPool::new();
    let bytes = [7; 512];
    match way.as_str() {
        "empty" => (0..pairs).for_each(|_| drop(black_box(pool.get(black_box(512))))),
        _ => (0..pairs).for_each(|_| {
            let mut buffer = pool.get(black_box(512));
            buffer.extend_from_slice(black_box(&bytes));
            drop(black_box(buffer));
        }),
    }
}
