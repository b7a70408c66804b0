//! A field that has no reset must say what becomes of it; the error is at its type.

use std::time::Instant;

#[derive(ebbtide::Reset)]
struct Parser {
    tokens: Vec<u32>,
    started: Instant,
}

#[derive(ebbtide::Reset)]
struct Pair<T>(Vec<T>, std::rc::Rc<str>);

fn main() {}
