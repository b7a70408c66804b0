//! One request, over and over, for counting instructions.
//!
//! Two runs of different length under callgrind; their difference, by the difference of the lengths, is what a request takes:
//!
//! ```sh
//! cargo build --release --example request
//! for way in nothing empty scope small mixed bump block heap; do for requests in 1000 2000; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/request $way $requests 2>&1 | grep Collected
//! done; done
//! ```

#[path = "../benches/mixed/mod.rs"]
mod mixed;

use ebbtide::{Pool, Scopes};
use mixed::Mixed;
use std::hint::black_box;

/// Begins, enters by a handle, allocates ten values, leases one, notes a cleanup, and ends.
fn small(scopes: &Scopes, pool: &Pool<String>) {
    let request = scopes.begin();
    let scope = request.handle().enter().expect("not ended");
    let mut arena = scope.arena();
    (0..10_u64).for_each(|i| _ = black_box(arena.alloc([i; 4])));
    scope.lease(pool).push('x');
    scope.on_end(|ending| _ = black_box(ending.outcome()));
}

/// What does so many requests in this way.
pub(crate) fn requests(way: &str) -> Box<dyn FnMut(u64)> {
    let (scopes, pool, mixed) = (Scopes::new(), Pool::new(String::new), Mixed::new());
    let one: Box<dyn Fn()> = match way {
        // What the counting itself takes.
        "nothing" => Box::new(move || _ = black_box(&scopes)),
        "empty" => Box::new(move || drop(black_box(scopes.begin()))),
        "scope" => Box::new(move || drop(black_box(scopes.begin()).scope())),
        "small" => Box::new(move || small(&scopes, &pool)),
        "mixed" => Box::new(move || mixed.in_scope(&scopes)),
        "bump" => Box::new(move || mixed.in_kept_bump()),
        "block" => Box::new(move || mixed.in_fixed_block()),
        _ => Box::new(move || mixed.on_heap()),
    };
    Box::new(move |requests| (0..requests).for_each(|_| one()))
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().unwrap_or_else(|| "empty".to_owned());
    requests(&way)(arguments.next().and_then(|requests| requests.parse().ok()).unwrap_or(1000));
}
