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

/// What makes so many allocations of this kind in this way.
pub(crate) fn allocations<'w>(way: &'w str, what: &'w str) -> Box<dyn FnMut(u64) + 'w> {
    let (scopes, mut bump) = (Scopes::new(), Bump::new());
    let mut chunk = move || {
        if way == "bump" {
            in_bump(what, &bump);
            bump.reset();
            return;
        }
        let request = scopes.begin();
        let scope = request.scope();
        let mut arena = scope.arena();
        if way == "try" { tried(what, &mut arena) } else { in_arena(what, &mut arena) }
    };
    Box::new(move |count| (0..count / CHUNK as u64).for_each(|_| chunk()))
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut word = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (way, what) = (word("arena"), word("value"));
    allocations(&way, &what)(word("10000").parse().expect("a number of allocations"));
}
