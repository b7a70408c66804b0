//! Basement: every unsafe line of the crate, each behind a safe type with its invariants written down.
//!
//! | file | what it makes safe |
//! |---|---|
//! | `slot`, `held`, `boxed` | who owns a request's content: owner, pins, or nobody; values that own a pin |
//! | `gate` | a gate that is shut once, with a count of those inside |
//! | `mask`, `lanes`, `cursor`, `place`, `grow` | bump allocation across `.await`, by one cursor a lane |
//! | `quota` | what all lanes of a request may take together |
//! | `allocator` | a cursor lent to collections through the allocator API |
//! | `parcels`, `store` | what a request owes an ending: drops, leases, cleanups |
//! | `chain`, `tally`, `magazine`, `magazines`, `depot`, `tiers` | a pool's idle nodes, near each thread and shared; closing that loses none |
//! | `budget`, `census` | bounds that hold under threads: what is reserved; which values exist, have a place, and are the last |
//! | `waiters` | who waits for the end of a pool, woken by it |
//! | `shell` | a node whose value was taken out, to be filled again |
//! | `barrier`, `threads` | a fence that costs one side only; dense numbers for threads |
//! | `watch`, `sample` | whether a thread's takes are watched, and which of them are looked at |
//! | `exit` | what is done when the process ends |
//! | `audit` | what single requests have out, in a table of words |
//! | `counts` | what threads count of the values under a tag, added up so that no sum is negative |
//! | `lease` | the one owner of a node that is lent |
//! | `shared`, `view` | a reference count inside a pooled node; parts of the bytes of one |
//! | `segment`, `room` | bytes of which only written ones show; room filled |
//! | `pages` | advice to the system about the pages of a block |
//! | `impls`, `counting` | the unsafe trait impls: `BufMut`, `Counted`, `Holds`, `GlobalAlloc` |
//! | `ring` | `sync`'s queue for models |
//! | `unwind` | panics of user code that must go no further |

// Items are `pub` so that the loom models, a crate of their own, reach them; the module itself is private.
#![allow(unreachable_pub, unsafe_code, missing_docs)]

#[cfg(feature = "allocator-api2")]
pub mod allocator;
pub mod audit;
pub mod barrier;
pub mod boxed;
pub mod budget;
pub mod census;
pub mod chain;
#[cfg(feature = "bench")]
pub mod counting;
pub mod counts;
pub mod cursor;
pub mod depot;
pub mod exit;
pub mod gate;
pub mod grow;
pub mod held;
pub mod impls;
pub mod lanes;
pub mod lease;
pub mod magazine;
pub mod magazines;
pub mod mask;
pub mod pages;
pub mod parcels;
pub mod place;
pub mod quota;
pub mod room;
pub mod sample;
pub mod segment;
pub mod shared;
pub mod shell;
pub mod slot;
pub mod store;
pub mod tally;
pub mod threads;
pub mod tiers;
pub mod unwind;
pub mod view;
pub mod waiters;
pub mod watch;
