//! Interceptors that wait: code around a handler that is a future, with the rest of the chain in its hands.

use super::Interceptor;
use super::chain::{Chain, Link, LinkStates, Reached, private};
use super::order::{Description, Order, OrderError};
use super::states::{States, Travelled};
use crate::pool::tagged::{PolledUnder, under};
use crate::pool::{self, Pool, Reset};
use crate::raw::unwind::caught;
use crate::raw::watch::{self, Switch, Tag, UNTAGGED, scoped};
use crate::request::{Ending, Scope};
use core::fmt;
use core::future::Future;
use core::ops::ControlFlow;

/// Code around a handler that may wait, answer without it, or give it up.
///
/// What calls [`next.run`](Next::run) goes on inwards; what returns without it has answered. Dropping the future of `next.run` gives
/// the handler up, as a timeout does.
///
/// It stands in a chain by [`Chain::with_around`], beside ordinary [`Interceptor`]s.
///
/// # Examples
///
/// ```
/// use ebbtide::{Around, Chain, Scope, Scopes, intercept::Next};
///
/// /// Answers from its memory what it has seen before.
/// #[derive(Default)]
/// struct Cache(std::sync::Mutex<std::collections::HashMap<u32, String>>);
///
/// impl Around<u32, String> for Cache {
///     type State = ();
///
///     async fn around<N: Next<u32, String>>(
///         &self,
///         _: &mut (),
///         _: &Scope,
///         request: u32,
///         next: N,
///     ) -> Result<String, N::Error> {
///         if let Some(known) = self.0.lock().unwrap().get(&request) {
///             return Ok(format!("{known}, as before"));
///         }
///         let response = next.run(request).await?;
///         self.0.lock().unwrap().insert(request, response.clone());
///         Ok(response)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let runner = Chain::new().with_around(Cache::default()).around_runner();
/// let scopes = Scopes::new();
/// for answer in ["got 7", "got 7, as before"] {
///     let request = scopes.begin();
///     let handler = |number: u32| async move { Ok::<_, std::convert::Infallible>(format!("got {number}")) };
///     assert_eq!(runner.run(request.scope(), 7, handler).await.unwrap(), answer);
/// }
/// # }
/// ```
pub trait Around<Req, Res>: Send + Sync + 'static {
    /// What it needs for one request. As good as new when `around` is called. `()` for nothing.
    type State: Reset + Default + Send + 'static;

    /// See [`Interceptor::name`].
    fn name(&self) -> &'static str {
        core::any::type_name::<Self>()
    }

    /// See [`Interceptor::order`].
    fn order(&self, order: &mut Order) {
        let _ = order;
    }

    /// Answers `request`, with or without what is inside.
    ///
    /// # Errors
    ///
    /// Those of what is inside; it has none of its own.
    fn around<N: Next<Req, Res>>(
        &self,
        state: &mut Self::State,
        scope: &Scope,
        request: Req,
        next: N,
    ) -> impl Future<Output = Result<Res, N::Error>> + Send;

    /// Hears how the request ended. A panic here is caught, and costs the state.
    fn ended(&self, state: &mut Self::State, ending: &Ending) {
        let _ = (state, ending);
    }
}

/// What is inside of an interceptor: others, and the handler.
pub trait Next<Req, Res>: Send {
    /// What the handler may fail with. No interceptor makes one; they hand it on.
    type Error: Send;

    /// Goes on inwards.
    ///
    /// # Errors
    ///
    /// The handler's.
    fn run(self, request: Req) -> impl Future<Output = Result<Res, Self::Error>> + Send;
}

/// A handler.
impl<Req: Send, Res, H, F, E> Next<Req, Res> for H
where
    H: FnOnce(Req) -> F + Send,
    F: Future<Output = Result<Res, E>> + Send,
    E: Send,
{
    type Error = E;

    fn run(self, request: Req) -> impl Future<Output = Result<Res, E>> + Send {
        self(request)
    }
}

impl<L> Chain<L> {
    /// Adds an interceptor that waits, inside of those that are there. From then on the chain runs by
    /// [`around_runner`](Self::around_runner).
    pub fn with_around<I>(self, interceptor: I) -> Chain<AroundLink<L, I>> {
        Chain { links: AroundLink { outer: self.links, interceptor, tag: &UNTAGGED } }
    }

    /// Makes a chain ready to run whose interceptors wait: see [`runner`](Self::runner).
    ///
    /// # Panics
    ///
    /// When the order is not what an interceptor asks for.
    #[track_caller]
    pub fn around_runner<Req: 'static, Res: 'static>(self) -> AroundRunner<L, Req, Res>
    where
        L: AroundLinks<Req, Res>,
    {
        self.try_around_runner().unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`around_runner`](Self::around_runner), with an error.
    ///
    /// # Errors
    ///
    /// [`OrderError`] names an interceptor, and what it must stand after.
    pub fn try_around_runner<Req: 'static, Res: 'static>(mut self) -> Result<AroundRunner<L, Req, Res>, OrderError>
    where
        L: AroundLinks<Req, Res>,
    {
        let mut description = Description::default();
        self.links.describe(&mut description);
        description.check()?;
        self.links.find_tags();
        // The states have noted how far the request came.
        let ended =
            |links: &L, states: &mut L::States, _, ending: &Ending| scoped(|tags| links.ended(tags, states, ending));
        Ok(AroundRunner { pool: States::pool(self.links, L::states, ended) })
    }
}

/// What a [`Chain`] consists of whose interceptors are [`Around`]. Not to be implemented by others.
pub trait AroundLinks<Req, Res>: private::Sealed + Send + Sync + 'static {
    /// The states of all interceptors together.
    type States: Travelled;

    #[doc(hidden)]
    fn states(&self) -> Self::States;

    #[doc(hidden)]
    fn describe(&self, description: &mut Description);

    #[doc(hidden)]
    fn find_tags(&mut self);

    /// Runs the request through all of them, and what is inside.
    #[doc(hidden)]
    fn around<N: Next<Req, Res>>(
        &self,
        states: &mut Self::States,
        scope: &Scope,
        request: Req,
        next: N,
    ) -> impl Future<Output = Result<Res, N::Error>> + Send;

    /// Calls `ended` from the inside out, for those that were reached. Returns how many panicked.
    #[doc(hidden)]
    fn ended(&self, tags: &Switch, states: &mut Self::States, ending: &Ending) -> usize;
}

impl<Req: Send, Res> AroundLinks<Req, Res> for () {
    type States = ();

    fn states(&self) {}
    fn describe(&self, _: &mut Description) {}
    fn find_tags(&mut self) {}
    fn around<N: Next<Req, Res>>(
        &self,
        _: &mut (),
        _: &Scope,
        request: Req,
        next: N,
    ) -> impl Future<Output = Result<Res, N::Error>> + Send {
        next.run(request)
    }
    fn ended(&self, _: &Switch, _: &mut (), _: &Ending) -> usize {
        0
    }
}

/// One interceptor that waits, and those outside of it.
#[derive(Clone, Copy, Debug)]
pub struct AroundLink<L, I> {
    outer: L,
    interceptor: I,
    /// Under which it runs; found when the chain is made ready.
    tag: &'static Tag,
}

impl<L, I> private::Sealed for AroundLink<L, I> {}

/// The links of both kinds, which differ in how they call their interceptor: by `$inside`.
macro_rules! links {
    ($link:ident, $interceptor:ident, $inside:ident) => {
        impl<Req: Send, Res: Send, L, I> AroundLinks<Req, Res> for $link<L, I>
        where
            L: AroundLinks<Req, Res>,
            I: $interceptor<Req, Res>,
        {
            type States = LinkStates<L::States, I::State>;

            fn states(&self) -> Self::States {
                LinkStates::new(self.outer.states(), I::State::default())
            }

            fn describe(&self, description: &mut Description) {
                self.outer.describe(description);
                let mut order = Order::default();
                self.interceptor.order(&mut order);
                description.push::<I>(self.interceptor.name(), size_of::<I::State>(), order);
            }

            fn find_tags(&mut self) {
                self.outer.find_tags();
                self.tag = pool::tag(self.interceptor.name());
            }

            async fn around<N: Next<Req, Res>>(
                &self,
                states: &mut Self::States,
                scope: &Scope,
                request: Req,
                next: N,
            ) -> Result<Res, N::Error> {
                let LinkStates { outer, own, reached } = states;
                let next = $inside(Inside { interceptor: &self.interceptor, tag: self.tag, own, reached, scope, next });
                self.outer.around(outer, scope, request, next).await
            }

            fn ended(&self, tags: &Switch, states: &mut Self::States, ending: &Ending) -> usize {
                let hear = || {
                    tags.to(self.tag);
                    self.interceptor.ended(&mut states.own, ending);
                };
                let own = states.reached != Reached::No && caught(hear).is_none();
                usize::from(own) + self.outer.ended(tags, &mut states.outer, ending)
            }
        }
    };
}

links!(AroundLink, Around, Waiting);
links!(Link, Interceptor, Passing);

/// One interceptor, and what is inside of it.
struct Inside<'a, I, S, N> {
    interceptor: &'a I,
    tag: &'static Tag,
    own: &'a mut S,
    reached: &'a mut Reached,
    scope: &'a Scope,
    next: N,
}

/// One that waits.
struct Waiting<'a, I, S, N>(Inside<'a, I, S, N>);

impl<Req: Send, Res: Send, I: Around<Req, Res>, N: Next<Req, Res>> Next<Req, Res> for Waiting<'_, I, I::State, N> {
    type Error = N::Error;

    fn run(self, request: Req) -> impl Future<Output = Result<Res, N::Error>> + Send {
        let Inside { interceptor, tag, own, reached, scope, next } = self.0;
        // Noted first: whatever becomes of the call, the state is no longer as new.
        *reached = Reached::Entered;
        let tag = Some(tag);
        PolledUnder::new(tag, under(tag, || interceptor.around(own, scope, request, next)))
    }
}

/// One that does not.
struct Passing<'a, I, S, N>(Inside<'a, I, S, N>);

impl<Req: Send, Res: Send, I: Interceptor<Req, Res>, N: Next<Req, Res>> Next<Req, Res> for Passing<'_, I, I::State, N> {
    type Error = N::Error;

    async fn run(self, mut request: Req) -> Result<Res, N::Error> {
        let Inside { interceptor, tag, own, reached, scope, next } = self.0;
        *reached = Reached::Entered;
        if let ControlFlow::Break(response) = under(Some(tag), || interceptor.before(own, scope, &mut request)) {
            return Ok(response);
        }
        let mut response = next.run(request).await?;
        under(Some(tag), || interceptor.after(own, scope, &mut response));
        Ok(response)
    }
}

/// The handler: under the tag that was there before the chain, not under that of the interceptor around it.
struct Handler<N>(N, Option<&'static Tag>);

impl<Req: Send, Res, N: Next<Req, Res>> Next<Req, Res> for Handler<N> {
    type Error = N::Error;

    fn run(self, request: Req) -> impl Future<Output = Result<Res, N::Error>> + Send {
        let Self(next, tag) = self;
        PolledUnder::new(tag, under(tag, || next.run(request)))
    }
}

/// A chain of interceptors that wait, ready to run. Cloning gives another handle to the same chain and the same pool of
/// states.
pub struct AroundRunner<L: AroundLinks<Req, Res>, Req: 'static, Res: 'static> {
    pool: Pool<States<L, L::States>>,
}

impl<L: AroundLinks<Req, Res>, Req: Send + 'static, Res: 'static> AroundRunner<L, Req, Res> {
    /// Runs a request through the chain and `next`, most often a closure that makes the handler's future. Dropping the future
    /// gives the request up.
    ///
    /// **Cost**: the states come from a pool; the futures of all interceptors are one. No heap allocation in steady state.
    ///
    /// # Errors
    ///
    /// Those of `next`.
    pub fn run<N: Next<Req, Res>>(
        &self,
        scope: Scope,
        request: Req,
        next: N,
    ) -> impl Future<Output = Result<Res, N::Error>> + Send + use<L, Req, Res, N> {
        let mut lent = States::lend(&self.pool, &scope);
        async move {
            let States { links, states, .. } = lent.payload.value_mut();
            links.around(states, &scope, request, Handler(next, watch::named())).await
        }
    }
}

impl<L: AroundLinks<Req, Res>, Req, Res> Clone for AroundRunner<L, Req, Res> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone() }
    }
}

impl<L: AroundLinks<Req, Res>, Req, Res> fmt::Debug for AroundRunner<L, Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AroundRunner").field("states", &self.pool.stats()).finish()
    }
}
