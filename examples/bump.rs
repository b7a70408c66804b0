//! Allocations in a request's arena, in a plain bump, over and over, for counting instructions.
//!
//! Two runs of different length under callgrind; their difference, by the difference of the lengths, is what an allocation
//! takes:
//!
//! ```sh
//! cargo build --release --example bump
//! for what in value text; do for way in bump arena try; do for count in 10000 20000; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/bump $way $what $count 2>&1 | grep Collected
//! done; done; done
//! ```

use bumpalo::Bump;
use ebbtide::{Arena, Scopes};
use std::hint::black_box;

type Value = [u64; 4];

const TEXT: &str = "application/json";
/// Allocations between two resets.
const CHUNK: usize = 1000;

fn in_bump(what: &str, bump: &Bump) {
    match what {
        "text" => (0..CHUNK).for_each(|_| _ = black_box(bump.alloc_str(black_box(TEXT)))),
        _ => (0..CHUNK).for_each(|_| _ = black_box(bump.alloc::<Value>(black_box([7; 4])))),
    }
}

fn in_arena(what: &str, arena: &mut Arena<'_>) {
    match what {
        "text" => (0..CHUNK).for_each(|_| _ = black_box(arena.alloc_str(black_box(TEXT)))),
        _ => (0..CHUNK).for_each(|_| _ = black_box(arena.alloc::<Value>(black_box([7; 4])))),
    }
}

fn tried(what: &str, arena: &mut Arena<'_>) {
    match what {
        "text" => (0..CHUNK).for_each(|_| _ = black_box(arena.try_alloc_str(black_box(TEXT)))),
        _ => (0..CHUNK).for_each(|_| _ = black_box(arena.try_alloc::<Value>(black_box([7; 4])))),
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().unwrap_or_else(|| "arena".to_owned());
    let what = arguments.next().unwrap_or_else(|| "value".to_owned());
    let count: usize = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(10_000);
    let (scopes, mut bump) = (Scopes::new(), Bump::new());
    for _ in 0..count / CHUNK {
        if way == "bump" {
            in_bump(&what, &bump);
            bump.reset();
            continue;
        }
        let request = scopes.begin();
        let scope = request.scope();
        let mut arena = scope.arena();
        if way == "try" { tried(&what, &mut arena) } else { in_arena(&what, &mut arena) }
    }
}
