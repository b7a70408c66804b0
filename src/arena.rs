//! The bump arena of a request, seen through a cursor.
//!
//! [`Scope::arena`](crate::Scope::arena) claims a bump allocator of the request with one atomic; from then on
//! an allocation is a pointer moved, without atomics or locks. What is allocated lives as long as
//! the scope that the cursor was made from, not as long as the cursor: many results live side by side, the
//! cursor can be handed to async callees as `&mut Arena`, and the future stays `Send`.
//!
//! | you want | take |
//! |---|---|
//! | one value, a text, a slice | [`alloc`](Arena::alloc), [`alloc_str`](Arena::alloc_str), [`alloc_slice_copy`](Arena::alloc_slice_copy) |
//! | what is made piece by piece | [`vec`](Arena::vec), [`string`](Arena::string), [`alloc_iter`](Arena::alloc_iter), [`arena_format!`](crate::arena_format) |
//! | a value that needs `Drop` | [`alloc_with_drop`](Arena::alloc_with_drop) |
//! | an error instead of more memory than the request's quota | the `try_` form |
//! | a map, or another collection | `Arena::allocator` (feature `allocator-api2`) |
//!
//! # Holding memory across `.await`
//!
//! Take the cursor where the work is, and let the results, not the cursor, go through the rest of the handler.
//! A callee takes `&mut Arena<'s>` and returns something of `'s`; the borrow of the cursor ends with the call:
//!
//! ```
//! use ebbtide::{Arena, Scope, Scopes};
//!
//! async fn shelf<'s>(arena: &mut Arena<'s>, number: u32) -> &'s str {
//!     std::future::ready(()).await; // the cursor is held here, and the future is `Send`
//!     ebbtide::arena_format!(arena, "shelf {number}")
//! }
//!
//! async fn handler(scope: Scope) -> usize {
//!     let mut arena = scope.arena();
//!     let first = shelf(&mut arena, 1).await;
//!     let second = shelf(&mut arena, 20).await; // `first` is still there
//!     let both = arena.alloc_slice_copy(&[first, second]);
//!     both.iter().map(|text| text.len()).sum()
//! }
//!
//! fn spawned<F: Future<Output = usize> + Send + 'static>(future: F) -> F {
//!     future
//! }
//! let request = Scopes::new().begin();
//! let future = spawned(handler(request.scope())); // what `tokio::spawn` asks for
//! # let mut future = std::pin::pin!(future);
//! # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
//! # assert_eq!(future.as_mut().poll(&mut context), std::task::Poll::Ready(15));
//! ```
//!
//! Two branches that run at once take a cursor each, which is what the second call of `scope.arena()` gives. One cursor
//! cannot serve both:
//!
//! ```compile_fail,E0499
//! # use ebbtide::{Arena, Scopes};
//! # async fn shelf<'s>(arena: &mut Arena<'s>, number: u32) -> &'s str { arena.alloc_str("") }
//! # let request = Scopes::new().begin();
//! # let scope = request.scope();
//! let mut arena = scope.arena();
//! let both = (shelf(&mut arena, 1), shelf(&mut arena, 2));
//! # drop(both);
//! ```
//!
//! ```
//! # use ebbtide::{Arena, Scopes};
//! # async fn shelf<'s>(arena: &mut Arena<'s>, number: u32) -> &'s str { arena.alloc_str("") }
//! # let request = Scopes::new().begin();
//! # let scope = request.scope();
//! let (mut left, mut right) = (scope.arena(), scope.arena());
//! let both = (shelf(&mut left, 1), shelf(&mut right, 2));
//! # drop(both);
//! ```
//!
//! A task outlives the handler that spawned it, so it cannot borrow from its scope:
//!
//! ```compile_fail,E0597
//! # use ebbtide::Scopes;
//! # fn spawn<F: Future + Send + 'static>(future: F) -> F { future }
//! # let request = Scopes::new().begin();
//! let scope = request.scope();
//! let name: &str = scope.arena().alloc_str("ada");
//! spawn(async move { name.len() });
//! ```
//!
//! It takes a scope, or a [`handle`](crate::Scope::handle) that does not keep the request, and makes its
//! own; or it takes a copy:
//!
//! ```
//! # use ebbtide::Scopes;
//! # fn spawn<F: Future + Send + 'static>(future: F) -> F { future }
//! # let request = Scopes::new().begin();
//! let scope = request.scope();
//! let name = scope.arena().alloc_str("ada").to_owned();
//! let handle = scope.handle();
//! let task = spawn(async move {
//!     let Ok(scope) = handle.enter() else { return 0 }; // the request has ended meanwhile
//!     scope.arena().alloc_str(&name).len()
//! });
//! # drop(task);
//! ```
//!
//! A growing [`ArenaVec`] may stay over an `.await` too; it borrows its cursor until it is done. A collection on
//! `Arena::allocator` may not: it is not `Send`.

#[cfg(feature = "allocator-api2")]
mod allocator;
mod fallible;
mod string;
mod vec;

pub use fallible::Refused;
pub use string::ArenaString;
pub use vec::{ArenaVec, IntoIter};

#[cfg(feature = "allocator-api2")]
pub use crate::raw::allocator::ArenaAlloc;
pub use crate::raw::quota::ArenaFull;

use crate::raw::cursor::Cursor;
use core::fmt::{self, Write};

/// A cursor into a request's memory. Its drop gives the claim back; what was allocated stays until the
/// request ends. `mem::forget` keeps the claim taken until then; that of a ninth cursor at once loses its memory.
///
/// The forms without `try_` never refuse: beyond the request's
/// [`quota`](crate::request::ScopesBuilder::quota) they go on, and [`Scope::is_over_quota`](crate::Scope::is_over_quota)
/// says so. They panic when the allocator has no memory, and abort nothing.
///
/// # Examples
///
/// ```
/// let scopes = ebbtide::Scopes::new();
/// let request = scopes.begin();
/// let scope = request.scope();
/// let mut arena = scope.arena();
/// let name = arena.alloc_str("ada");
/// let numbers = arena.alloc_slice_copy(&[1, 2, 3]);
/// numbers[0] = 7;
/// assert_eq!((&*name, &*numbers), ("ada", &[7, 2, 3][..]));
/// ```
///
/// What is allocated cannot outlive the scope:
///
/// ```compile_fail,E0505
/// let scopes = ebbtide::Scopes::new();
/// let request = scopes.begin();
/// let scope = request.scope();
/// let name = scope.arena().alloc_str("ada");
/// drop(scope);
/// println!("{name}");
/// ```
pub struct Arena<'s>(Cursor<'s>);

impl<'s> Arena<'s> {
    pub(crate) fn new(cursor: Cursor<'s>) -> Self {
        Self(cursor)
    }

    /// Allocates `value`. A type that needs `Drop` does not compile here: see
    /// [`alloc_with_drop`](Self::alloc_with_drop).
    ///
    /// **Cost**: a pointer moved and the value written; a new block when the current one is full.
    #[inline]
    pub fn alloc<T>(&mut self, value: T) -> &'s mut T {
        self.0.alloc(value)
    }

    /// Allocates what `make` makes, once there is a place for it.
    ///
    /// **Cost**: that of `alloc`; a large value may be made in its place instead of being moved there.
    #[inline]
    pub fn alloc_with<T>(&mut self, make: impl FnOnce() -> T) -> &'s mut T {
        self.0.alloc_with(make)
    }

    /// Allocates `value` and drops it when the request ends, last in first out.
    ///
    /// **Cost**: that of `alloc`, and one push under a lock for a type that needs `Drop`.
    pub fn alloc_with_drop<T: Send + 'static>(&mut self, value: T) -> &'s mut T {
        self.0.alloc_with_drop(value)
    }

    /// Copies `text` into the arena.
    #[inline]
    pub fn alloc_str(&mut self, text: &str) -> &'s mut str {
        self.0.alloc_str(text)
    }

    /// Copies `bytes` into the arena as text; what is not UTF-8 becomes U+FFFD, as in
    /// [`String::from_utf8_lossy`].
    pub fn alloc_str_lossy(&mut self, bytes: &[u8]) -> &'s mut str {
        if let Ok(text) = core::str::from_utf8(bytes) {
            return self.alloc_str(text);
        }
        let mut text = self.string(bytes.len());
        for part in parts(bytes) {
            text.push_str(part);
        }
        text.into_str()
    }

    /// Writes formatted text into the arena: what [`arena_format!`](crate::arena_format) calls. If an argument's own
    /// formatting fails, the text ends there.
    ///
    /// **Cost**: that of a growing [`string`](Self::string); for a text without arguments, of `alloc_str`.
    pub fn alloc_fmt(&mut self, arguments: fmt::Arguments<'_>) -> &'s mut str {
        if let Some(text) = arguments.as_str() {
            return self.alloc_str(text);
        }
        let mut text = self.string(0);
        // The string itself never fails.
        let _ = text.write_fmt(arguments);
        text.into_str()
    }

    /// Copies `items` into the arena.
    pub fn alloc_slice_copy<T: Copy>(&mut self, items: &[T]) -> &'s mut [T] {
        self.0.alloc_slice_copy(items)
    }

    /// Clones `items` into the arena. A type that needs `Drop` does not compile here.
    pub fn alloc_slice_clone<T: Clone>(&mut self, items: &[T]) -> &'s mut [T] {
        self.alloc_slice_fill_with(items.len(), |at| items[at].clone())
    }

    /// Allocates `len` values that `fill` makes from their indices.
    #[inline]
    pub fn alloc_slice_fill_with<T>(&mut self, len: usize, fill: impl FnMut(usize) -> T) -> &'s mut [T] {
        self.0.alloc_slice_fill_with(len, fill)
    }

    /// Allocates what an iterator gives, however much that is.
    ///
    /// **Cost**: that of a growing [`vec`](Self::vec), which begins with the least that the iterator promises.
    pub fn alloc_iter<I: IntoIterator>(&mut self, items: I) -> &'s mut [I::Item] {
        let mut list = self.vec(0);
        list.extend(items);
        list.into_slice()
    }

    /// A growing vector with room for `capacity` items. While it grows, the cursor is borrowed; another cursor
    /// of the same scope serves a second one.
    pub fn vec<T>(&mut self, capacity: usize) -> ArenaVec<'_, 's, T> {
        let mut list = ArenaVec(self.0.vec());
        list.reserve(capacity);
        list
    }

    /// A growing string with room for `capacity` bytes; see [`vec`](Self::vec).
    pub fn string(&mut self, capacity: usize) -> ArenaString<'_, 's> {
        let mut text = ArenaString(self.0.string());
        text.reserve(capacity);
        text
    }
}

/// What of `bytes` is text, with a U+FFFD for each piece in between that is not.
fn parts(bytes: &[u8]) -> impl Iterator<Item = &str> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let replacement = if chunk.invalid().is_empty() { "" } else { "\u{FFFD}" };
        [chunk.valid(), replacement]
    })
}

impl fmt::Debug for Arena<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").finish_non_exhaustive()
    }
}

/// Formats into an arena, as `format!` does into a `String`, and gives a `&mut str` that lives as long as the scope.
///
/// # Examples
///
/// ```
/// let scopes = ebbtide::Scopes::new();
/// let request = scopes.begin();
/// let scope = request.scope();
/// let mut arena = scope.arena();
/// let text = ebbtide::arena_format!(arena, "{} of {count}", 3, count = 7);
/// assert_eq!(text, "3 of 7");
/// ```
#[macro_export]
macro_rules! arena_format {
    ($arena:expr, $($argument:tt)*) => {
        $arena.alloc_fmt(::core::format_args!($($argument)*))
    };
}
