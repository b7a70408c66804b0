//! The table of auto traits: what may move between threads and what may be shared, both ways.

use ebbtide::arena::{ArenaAlloc, ArenaFull, ArenaString, ArenaVec, IntoIter, Refused};
use ebbtide::buffer::Ahead;
use ebbtide::http::{BodyBudget, Collected, Limits, PooledBody, ScopeBody, ScopeLayer, Spill, Spilled, Stored};
use ebbtide::intercept::Runner;
use ebbtide::request::{Cleanup, Ended, LocalBusy, LocalRef};
use ebbtide::{
    Arena, BufferPool, Chain, Pool, PoolStats, Pooled, PooledBuf, PooledBytes, PooledRope, RequestGuard, RopeBytes,
    Scope, ScopeBox, ScopeEnded, ScopeHandle, Scopes,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};
use std::cell::Cell;
use std::fmt::Debug;
use std::panic::UnwindSafe;
use std::rc::Rc;

/// `Send`, and not `Sync`.
type Sending = Cell<u32>;
/// `Sync`, and not `Send`.
type Sharing = std::sync::MutexGuard<'static, u32>;
/// Neither.
type Neither = Rc<u32>;

// A pool is shared whatever its values are: it never lends one to two.
assert_impl_all!(Pool<Sending>: Send, Sync, Clone, Debug);
assert_impl_all!(Pool<u32>: Send, Sync);

// A lease is what its value is.
assert_impl_all!(Pooled<u32>: Send, Sync);
assert_impl_all!(Pooled<Sending>: Send);
assert_not_impl_any!(Pooled<Sending>: Sync);
assert_not_impl_any!(Pooled<u32>: Clone, Copy);

assert_impl_all!(BufferPool: Send, Sync, Clone);
assert_impl_all!(PooledBuf: Send, Sync, std::panic::UnwindSafe, std::panic::RefUnwindSafe);
assert_not_impl_any!(PooledBuf: Clone);
assert_impl_all!(PooledBytes: Send, Sync, Clone, std::panic::UnwindSafe, std::panic::RefUnwindSafe);
assert_impl_all!(PooledRope: Send, Sync, std::io::Write);
assert_not_impl_any!(PooledRope: Clone);
assert_impl_all!(RopeBytes: Send, Sync, Clone, bytes::Buf);
assert_impl_all!(Ahead<'static>: Send, Sync);
assert_not_impl_any!(Ahead<'static>: Clone);

assert_impl_all!(Scopes: Send, Sync, Clone);
assert_impl_all!(RequestGuard: Send, Sync);
assert_not_impl_any!(RequestGuard: Clone);
assert_impl_all!(Scope: Send, Sync, Clone);
assert_impl_all!(ScopeHandle: Send, Sync, Clone);
assert_impl_all!(Ended: Send, Sync, Unpin);
assert_impl_all!(Cleanup<'static>: Send, Sync);
assert_not_impl_any!(Cleanup<'static>: Clone);
// A box is what its future is, but moves without moving it.
assert_impl_all!(ScopeBox<u32>: Send, Sync, Unpin);
assert_impl_all!(ScopeBox<Sending>: Send, Unpin);
assert_not_impl_any!(ScopeBox<Sending>: Sync);
assert_not_impl_any!(ScopeBox<Sharing>: Send);
assert_impl_all!(ScopeBox<std::marker::PhantomPinned>: Unpin);

// A cursor moves between threads with its future, and is used by one at a time.
assert_impl_all!(Arena<'static>: Send);
assert_not_impl_any!(Arena<'static>: Sync, Clone);
assert_impl_all!(ArenaVec<'static, 'static, u32>: Send, Sync);
assert_not_impl_any!(ArenaVec<'static, 'static, Sending>: Sync);
assert_not_impl_any!(ArenaVec<'static, 'static, Sharing>: Send);
assert_not_impl_any!(ArenaVec<'static, 'static, Neither>: Send, Sync);
assert_impl_all!(ArenaString<'static, 'static>: Send, Sync);
assert_impl_all!(IntoIter<'static, u32>: Send, Sync, ExactSizeIterator);
assert_not_impl_any!(IntoIter<'static, Neither>: Send, Sync);
assert_impl_all!(ArenaFull: std::error::Error, Send, Sync, Copy);
assert_impl_all!(Refused<u32>: std::error::Error, Send, Sync);
assert_not_impl_any!(Refused<Neither>: Send, Sync);
// Copies of an allocator share a cursor without a lock.
assert_impl_all!(ArenaAlloc<'static, 'static>: Copy, Debug);
assert_not_impl_any!(ArenaAlloc<'static, 'static>: Send, Sync);

// A local is not to be held across an `.await`.
assert_not_impl_any!(LocalRef<'static, u32>: Send);

assert_impl_all!(Runner<(), (), ()>: Send, Sync, Clone);
// The types of requests and responses do not matter: a runner holds none.
assert_impl_all!(Runner<(), Neither, Neither>: Send, Sync);
assert_impl_all!(Chain: Send, Sync);
assert_impl_all!(ScopeLayer: Send, Sync, Clone);
assert_impl_all!(ScopeBody<u32>: Send, Sync, Unpin);
assert_not_impl_any!(ScopeBody<Neither>: Send, Sync);
assert_impl_all!(Collected: Send, Sync, Clone, Unpin);
assert_impl_all!(Limits: Send, Sync, Clone);
assert_impl_all!(BodyBudget: Send, Sync, Clone);
assert_impl_all!(Spill: Send, Sync, Clone);
assert_impl_all!(Stored: Send, Sync, Clone, Unpin);
assert_impl_all!(Spilled: Send, Sync, Clone, Unpin);
assert_impl_all!(PooledBody: Send, Sync);

assert_impl_all!(PoolStats: Copy, Debug, UnwindSafe);
assert_impl_all!(ScopeEnded: std::error::Error, Send, Sync);
assert_impl_all!(LocalBusy: std::error::Error, Send, Sync);

#[test]
fn guards_are_one_word() {
    assert_eq!(size_of::<Pooled<[u8; 1000]>>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Pooled<u8>>>(), size_of::<usize>());
    assert_eq!(size_of::<PooledBuf>(), size_of::<usize>());
    // The pin, and its tag.
    assert_eq!(size_of::<Scope>(), 2 * size_of::<usize>());
}
