//! A longer request cannot keep an arena reference of a shorter one.

use std::cell::Cell;

fn main() {
    let scopes = ebbtide::Scopes::new();
    let (long, short) = (scopes.begin(), scopes.begin());
    let long = long.scope();
    let kept = long.arena().alloc(Cell::new(""));
    {
        let short = short.scope();
        kept.set(short.arena().alloc_str("of the shorter request"));
    }
    println!("{}", kept.get());
}
