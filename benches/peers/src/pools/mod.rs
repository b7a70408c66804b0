//! The adapters, one file a pool, each with the patterns that the pool can follow.

mod array_queue;
mod byte_pool;
mod dynamic_pool;
mod ebbtide;
mod floors;
mod lockfree;
mod mutex;
mod object_pool;
mod opool;
mod regex;
mod slab;
mod zeropool;

pub(crate) use array_queue::NAME as ARRAY_QUEUE;
pub(crate) use ebbtide::NAME as EBBTIDE;
pub(crate) use floors::{BY_VALUE, CHANNEL, FLOORS, RING, STACK};

use crate::book::Book;
use crate::patterns::Pattern;

/// Values that a bounded pool keeps, ebbtide's default. No pattern needs more.
const KEPT: usize = 1024;

pub(crate) fn enter_all(book: &mut Book) {
    ebbtide::enter(book);
    array_queue::enter(book);
    mutex::enter(book);
    object_pool::enter(book);
    opool::enter(book);
    dynamic_pool::enter(book);
    lockfree::enter(book);
    slab::enter(book);
    regex::enter(book);
    zeropool::enter(book);
    byte_pool::enter(book);
    floors::enter(book);
}

/// Why a pool is not in a table.
pub(crate) fn why_absent(pool: &str, pattern: Pattern) -> &'static str {
    match (pattern, pool) {
        (_, regex::NAME) if pattern.crosses() => "the thread that drops hoards them all",
        _ if pattern.crosses() => "what is dropped on another thread is lost to the one that takes",
        (Pattern::Starved, byte_pool::NAME | lockfree::NAME | regex::NAME | slab::NAME) => {
            "a value cannot be taken out for good"
        }
        (_, byte_pool::NAME | zeropool::NAME) => "holds bytes only",
        _ => "not measured",
    }
}
