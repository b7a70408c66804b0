//! The pin that a request's code works with, and the handle that does not pin.

use super::boxed::ScopeBox;
use super::cleanup::Cleanup;
use super::content::Content;
use super::current;
use super::ended::Ended;
use super::ending::Ending;
use super::local::{LocalBusy, LocalRef};
use super::roll::{Enrolled, Kind, Tag};
use crate::arena::Arena;
use crate::buffer::BufferPool;
use crate::pool::{Node, Pool, Pooled, Reset};
use crate::raw::held::Held;
use crate::raw::parcels::Finish;
use crate::raw::slot::{Handle, Lent, Pin};
use crate::sync::Arc;
use core::fmt;
use std::time::Instant;

/// A strong pin to one request's memory. What is borrowed from it lives as long as it does, and
/// no longer: the compiler refuses to let it out of the request.
///
/// A scope that outlives its request is sound: it keeps the request's memory, and is counted as late. Its drop
/// reclaims then. `mem::forget` loses the request's slot.
///
/// With the http layer it is an axum extractor, and [`Scope::current`] finds it everywhere below the layer.
///
/// # Examples
///
/// ```
/// use ebbtide::{Pool, Scopes};
///
/// let scopes = Scopes::new();
/// let parsers = Pool::new(Vec::<u32>::new);
/// let request = scopes.begin();
/// let scope = request.scope();
/// let tokens = scope.lease(&parsers); // goes back when the request ends
/// tokens.push(1);
/// let mut arena = scope.arena();
/// let text = arena.alloc_str("lives as long as the scope");
/// assert_eq!((tokens.len(), text.len()), (1, 26));
/// ```
///
/// A task that outlives the request cannot borrow from it:
///
/// ```compile_fail,E0597
/// let scopes = ebbtide::Scopes::new();
/// let request = scopes.begin();
/// let scope = request.scope();
/// let text = scope.arena().alloc_str("short-lived");
/// std::thread::spawn(move || println!("{text}"));
/// ```
pub struct Scope {
    /// Goes before the pin, so that it sees whether the pin is late.
    tag: Option<Arc<Tag>>,
    pin: Pin<Content>,
}

impl Scope {
    #[inline]
    pub(super) fn from_pin(pin: Option<Pin<Content>>) -> Self {
        // The state word counts to half a billion. Only forgetting scopes in a loop leads here.
        Self::entered(pin.expect("fewer than half a billion scopes of one request"))
    }

    /// What a view or a handle has let in.
    #[inline]
    pub(super) fn entered(pin: Pin<Content>) -> Self {
        Self { tag: None, pin }
    }

    /// Notes a task of this request under a name.
    #[allow(dead_code)] // Only a runtime spawns.
    pub(crate) fn enroll(&self, tag: &'static str) -> Enrolled {
        Enrolled::new(&self.pin.shared, tag, Kind::Task)
    }

    pub(super) fn into_parts(self) -> (Option<Arc<Tag>>, Pin<Content>) {
        (self.tag, self.pin)
    }

    /// The scope of the request that is being polled on this thread, set by the http layer around each poll and in
    /// the drops of what it wraps. `None` elsewhere, in spawned and blocking tasks, and after the end.
    ///
    /// **Cost**: a thread-local and one pin.
    #[must_use]
    #[inline]
    pub fn current() -> Option<Self> {
        current::scope()
    }

    /// A cursor into the request's arena.
    ///
    /// **Cost**: one atomic read-modify-write, and one more when it is dropped. The first of a request may also allocate a
    /// block, under the lock of the request's quota, where the slot kept none; the ninth at once takes a lock.
    // Worth it: a cursor is five words, which stay in registers.
    #[must_use]
    #[inline]
    pub fn arena(&self) -> Arena<'_> {
        Arena::new(self.pin.store.cursor())
    }

    /// Whether the arena took more than the request's [`quota`](crate::request::ScopesBuilder::quota), by way of calls
    /// that do not refuse.
    ///
    /// **Cost**: a lock of this request.
    #[must_use]
    pub fn is_over_quota(&self) -> bool {
        self.pin.store.is_over_quota()
    }

    /// Keeps bytes until the request ends, so that what is parsed from them may borrow from them: [`PooledBytes`],
    /// a `PooledBody`, `Bytes`, a `Vec`.
    ///
    /// **Cost**: that of [`Arena::alloc_with_drop`]; the bytes are not copied.
    ///
    /// # Examples
    ///
    /// ```
    /// let scopes = ebbtide::Scopes::new();
    /// let request = scopes.begin();
    /// let scope = request.scope();
    /// let mut body = scope.buffers().get(16);
    /// body.extend_from_slice(b"key=value");
    /// let body: &[u8] = scope.adopt(body.freeze());
    /// let key: &[u8] = body.split(|byte| *byte == b'=').next().unwrap_or_default();
    /// assert_eq!(key, b"key");
    /// ```
    ///
    /// [`PooledBytes`]: crate::PooledBytes
    pub fn adopt<B: AsRef<[u8]> + Send + 'static>(&self, bytes: B) -> &[u8] {
        let bytes: &B = self.arena().alloc_with_drop(bytes);
        bytes.as_ref()
    }

    /// Leases a value for the rest of the request.
    ///
    /// # Panics
    ///
    /// Only if the pool's factory does.
    #[allow(clippy::mut_from_ref)] // Each call lends another value.
    #[track_caller]
    pub fn lease<T: Send + 'static>(&self, pool: &Pool<T>) -> &mut T {
        self.pin.store.lease(Pooled::into_node(pool.get())).payload.value_mut()
    }

    /// This request's own `S`, made by `default` when a request first asks for the type, reset when the
    /// request ends.
    ///
    /// # Errors
    ///
    /// [`LocalBusy`] while another [`LocalRef`] of the same type is alive.
    pub fn local<S: Reset + Default + Send + 'static>(&self) -> Result<LocalRef<'_, S>, LocalBusy> {
        self.pin.locals.get()
    }

    /// Calls `cleanup` when the request ends, before anything is taken back; last in first out. What is returned may be
    /// ignored; it [cancels](Cleanup::cancel) the cleanup, or [calls it early](Cleanup::run_now).
    ///
    /// **Cost**: the closure moved into the arena and one push under a lock; no heap allocation in steady state.
    pub fn on_end(&self, cleanup: impl FnOnce(&Ending) + Send + 'static) -> Cleanup<'_> {
        Cleanup::new(self.pin.store.on_end(cleanup), &self.pin.shared)
    }

    /// Moves `future` into the request's arena, pinned, with a strong pin of its own.
    ///
    /// **Cost**: the future moved, a claim of the arena, one pin; no heap allocation in steady state.
    ///
    /// # Panics
    ///
    /// When half a billion scopes of one request are alive or forgotten.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let request = ebbtide::Scopes::new().begin();
    /// let boxed = request.scope().boxed(async { 7 });
    /// assert_eq!(tokio::spawn(boxed).await.unwrap(), 7);
    /// # }
    /// ```
    pub fn boxed<F: Future + Send + 'static>(&self, future: F) -> ScopeBox<F> {
        ScopeBox::new(self.clone(), future)
    }

    /// Gives this scope a name, which its clones and boxes keep. While it lives it is in [`Scopes::tags`](crate::Scopes::tags) with its
    /// age; if it outlives its request, [`Scopes::late_tags`](crate::Scopes::late_tags) counts it.
    ///
    /// **Cost**: one small allocation and two short locks, and a reference count for each clone. A scope without a tag pays
    /// nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// let scopes = ebbtide::Scopes::new();
    /// let request = scopes.begin();
    /// let audit = request.scope().tag("audit");
    /// drop(request);
    /// assert_eq!((scopes.tags()[0].tag, scopes.tags()[0].scopes), ("audit", 1));
    /// drop(audit);
    /// assert_eq!(scopes.late_tags(), [("audit", 1)]);
    /// ```
    #[must_use = "the tag belongs to the scope that is returned"]
    pub fn tag(self, name: &'static str) -> Self {
        let tag = Arc::new(Tag::new(&self.pin.shared, name, self.pin.handle()));
        Self { tag: Some(tag), pin: self.pin }
    }

    /// When the request should be answered, if its guard has said so.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        *self.pin.deadline.lock()
    }

    /// Copies chosen values out of the request, for work that may outlive it: what `copy` returns borrows nothing of the
    /// request. Counted in [`ScopeStats::detached`](crate::ScopeStats::detached).
    ///
    /// # Examples
    ///
    /// ```
    /// let request = ebbtide::Scopes::new().begin();
    /// let scope = request.scope();
    /// let user: &str = scope.arena().alloc_str("ada");
    /// let context = scope.detach(|_| user.to_owned());
    /// drop((scope, request));
    /// assert_eq!(context, "ada");
    /// ```
    pub fn detach<V: Send + 'static>(&self, copy: impl FnOnce(&Self) -> V) -> V {
        let values = copy(self);
        self.pin.shared.counts.note_detached();
        values
    }

    /// The pool for this request's bodies.
    #[must_use]
    pub fn buffers(&self) -> &BufferPool {
        self.pin.shared.buffers()
    }

    /// A weak handle to the request.
    #[must_use]
    pub fn handle(&self) -> ScopeHandle {
        ScopeHandle(self.pin.handle())
    }

    /// Lends a node until the request ends, with a pin of its own; then the node is finished as a cleanup.
    pub(crate) fn hold<T>(&self, node: Box<Node<T>>) -> Held<Content, Node<T>>
    where
        T: Send + 'static,
        Node<T>: Finish<Ending>,
    {
        let another = self.clone();
        Held::new(another.pin, |content| content.store.attend(node))
    }
}

/// Another pin to the same request.
///
/// # Panics
///
/// When half a billion scopes of one request are alive or forgotten.
impl Clone for Scope {
    fn clone(&self) -> Self {
        Self { tag: self.tag.clone(), ..Self::from_pin(self.pin.another()) }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("tag", &self.tag.as_ref().map(|tag| tag.name())).finish_non_exhaustive()
    }
}

/// A weak handle to one request: what goes into extensions, tasks and statics. It keeps nothing of the request
/// from ending.
///
/// # Examples
///
/// ```
/// let scopes = ebbtide::Scopes::new();
/// let request = scopes.begin();
/// let handle = request.handle();
/// assert!(handle.enter().is_ok());
/// drop(request);
/// assert_eq!(handle.enter().unwrap_err(), ebbtide::ScopeEnded);
/// ```
#[derive(Clone)]
pub struct ScopeHandle(Handle<Content>);

impl ScopeHandle {
    pub(super) fn new(handle: Handle<Content>) -> Self {
        Self(handle)
    }

    /// Lends a handle, if there is one, to the spot that says which request is current.
    #[inline]
    pub(super) fn lent(handle: Option<&Self>) -> Lent<'_, Content> {
        Lent::of(handle.map(|handle| &handle.0))
    }

    /// What it is made of, for a hold.
    #[allow(dead_code)] // Only a porch holds.
    pub(super) fn into_raw(self) -> Handle<Content> {
        self.0
    }

    /// Pins the request if it still runs.
    ///
    /// **Cost**: two atomic read-modify-writes.
    ///
    /// # Errors
    ///
    /// [`ScopeEnded`] after the guard's drop, also while a late scope is still alive.
    pub fn enter(&self) -> Result<Scope, ScopeEnded> {
        self.0.enter().map(Scope::entered).ok_or(ScopeEnded)
    }

    /// The request's deadline; `None` if it has none, or has ended.
    ///
    /// **Cost**: that of `enter`, and a lock.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.enter().ok()?.deadline()
    }

    /// Whether the guard was dropped: nobody enters any more. A `false` may be out of date when it arrives.
    ///
    /// **Cost**: one load.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.0.is_closed()
    }

    /// Resolves when the guard was dropped, whatever late scopes remain; at once if it was. What the guard's
    /// owner did before happens-before. Cancelling it forgets its waker at once.
    ///
    /// **Cost**: one load when the request has ended; else a lock when it is first polled, and with each change of waker. A
    /// request that nobody waits for pays nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let scopes = ebbtide::Scopes::new();
    /// let request = scopes.begin();
    /// let ended = request.handle().ended();
    /// let waiting = tokio::spawn(ended);
    /// drop(request);
    /// waiting.await.unwrap();
    /// # }
    /// ```
    pub fn ended(&self) -> Ended {
        Ended::new(self.0.wait())
    }
}

impl fmt::Debug for ScopeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopeHandle").field(&self.0).finish()
    }
}

/// The request has ended: its memory may serve another one already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeEnded;

impl fmt::Display for ScopeEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("request scope used after the request ended")
    }
}

impl core::error::Error for ScopeEnded {}
