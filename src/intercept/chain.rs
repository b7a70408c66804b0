//! The static chain: a list of interceptors as a type, and their states as another.

use super::Interceptor;
use super::order::{Description, Order, OrderError};
use super::run::Runner;
use super::states::Travelled;
use crate::pool::{self, Reset, Verdict, both};
use crate::raw::unwind::caught;
use crate::raw::watch::{Switch, Tag, UNTAGGED};
use crate::request::{Ending, Scope};
use core::ops::ControlFlow;

/// Interceptors in a row, known at compile time. The first is the outermost: it sees the request first and
/// the response last.
///
/// # Examples
///
/// ```
/// use ebbtide::{Chain, Interceptor, Scope, Scopes};
/// use std::ops::ControlFlow;
///
/// struct Deny;
/// impl Interceptor<u32, String> for Deny {
///     type State = ();
///     fn before(&self, _: &mut (), _: &Scope, request: &mut u32) -> ControlFlow<String> {
///         if *request > 9 { ControlFlow::Break("too much".into()) } else { ControlFlow::Continue(()) }
///     }
/// }
///
/// struct Count;
/// impl Interceptor<u32, String> for Count {
///     type State = Vec<u32>; // pooled, and empty when a request begins
///     fn before(&self, seen: &mut Vec<u32>, _: &Scope, request: &mut u32) -> ControlFlow<String> {
///         seen.push(*request);
///         ControlFlow::Continue(())
///     }
///     fn after(&self, seen: &mut Vec<u32>, _: &Scope, response: &mut String) {
///         response.push_str(&format!(", {} seen", seen.len()));
///     }
/// }
///
/// let scopes = Scopes::new();
/// let runner = Chain::new().with(Deny).with(Count).runner();
/// let answer = |number| {
///     let request = scopes.begin();
///     runner.run(&request.scope(), number, |number| format!("got {number}"))
/// };
/// assert_eq!(answer(3), "got 3, 1 seen");
/// assert_eq!(answer(4), "got 4, 1 seen");
/// assert_eq!(answer(10), "too much");
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a chain does nothing until it runs"]
pub struct Chain<L = ()> {
    pub(super) links: L,
}

impl Chain {
    /// A chain without interceptors.
    pub fn new() -> Self {
        Self { links: () }
    }
}

impl<L> Chain<L> {
    /// Adds an interceptor inside of those that are there.
    pub fn with<I>(self, interceptor: I) -> Chain<Link<L, I>> {
        Chain { links: Link { outer: self.links, interceptor, tag: &UNTAGGED } }
    }

    /// Makes the chain ready to run, with a pool for its states.
    ///
    /// # Panics
    ///
    /// When the order is not what an interceptor [asks for](Interceptor::order): a fault of the program, found
    /// as it starts.
    #[track_caller]
    pub fn runner<Req: 'static, Res: 'static>(self) -> Runner<L, Req, Res>
    where
        L: Links<Req, Res>,
    {
        self.try_runner().unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`runner`](Self::runner), with an error.
    ///
    /// # Errors
    ///
    /// [`OrderError`] names an interceptor, and what it must stand after.
    pub fn try_runner<Req: 'static, Res: 'static>(mut self) -> Result<Runner<L, Req, Res>, OrderError>
    where
        L: Links<Req, Res>,
    {
        self.describe().check()?;
        self.links.find_tags();
        Ok(Runner::new(self.links))
    }

    /// The interceptors from the outside in, and the sizes of their states.
    pub fn describe<Req, Res>(&self) -> Description
    where
        L: Links<Req, Res>,
    {
        let mut description = Description::default();
        self.links.describe(&mut description);
        description
    }
}

/// One interceptor and those outside of it.
#[derive(Clone, Copy, Debug)]
pub struct Link<L, I> {
    pub(super) outer: L,
    pub(super) interceptor: I,
    /// Under which it runs; found when the chain is made ready.
    pub(super) tag: &'static Tag,
}

/// What a [`Chain`] consists of: `()` or [`Link`], or the [`DynLinks`](super::DynLinks) of a [`DynChain`](super::DynChain). Not to be implemented by others.
pub trait Links<Req, Res>: private::Sealed + Send + Sync + 'static {
    /// The states of all interceptors together.
    type States: Travelled;

    /// New states, for a request that finds none in the pool.
    #[doc(hidden)]
    fn states(&self) -> Self::States;

    /// Tells what stands in the chain, from the outside in.
    #[doc(hidden)]
    fn describe(&self, description: &mut Description);

    /// Finds the tag of each interceptor, by its name.
    #[doc(hidden)]
    fn find_tags(&mut self);

    /// Calls `before` from the outside in, each under its tag, until one breaks. If one does, or panics, the states note how far
    /// the request came; else they note nothing, and what follows is called with `ALL`.
    #[doc(hidden)]
    fn before(&self, tags: &Switch, states: &mut Self::States, scope: &Scope, request: &mut Req) -> ControlFlow<Res>;

    /// Calls `after` from the inside out, for those whose `before` let the request pass: for `ALL`, or as noted.
    #[doc(hidden)]
    fn after<const ALL: bool>(&self, tags: &Switch, states: &mut Self::States, scope: &Scope, response: &mut Res);

    /// Calls `ended` from the inside out, for those whose `before` was called: for `ALL`, or as noted. Returns how many
    /// panicked.
    #[doc(hidden)]
    fn ended<const ALL: bool>(&self, tags: &Switch, states: &mut Self::States, ending: &Ending) -> usize;
}

pub(super) mod private {
    pub trait Sealed {}
    impl Sealed for () {}
    impl<L, I> Sealed for super::Link<L, I> {}
}

impl<Req, Res> Links<Req, Res> for () {
    type States = ();

    fn states(&self) {}
    fn describe(&self, _: &mut Description) {}
    fn find_tags(&mut self) {}
    fn before(&self, _: &Switch, _: &mut (), _: &Scope, _: &mut Req) -> ControlFlow<Res> {
        ControlFlow::Continue(())
    }
    fn after<const ALL: bool>(&self, _: &Switch, _: &mut (), _: &Scope, _: &mut Res) {}
    fn ended<const ALL: bool>(&self, _: &Switch, _: &mut (), _: &Ending) -> usize {
        0
    }
}

/// How far a request came at one interceptor, where it did not pass them all: a chain whose interceptors do not wait notes it
/// only then, so that most requests pay nothing for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reached {
    /// Its `before` was not called: the state is untouched.
    #[default]
    No,
    /// Its `before` was called, and has not let the request pass.
    Entered,
    /// Its `before` let the request pass.
    Passed,
}

/// The state of one interceptor, and those of the interceptors outside of it.
#[derive(Debug, Default)]
pub struct LinkStates<O, S> {
    pub(super) outer: O,
    pub(super) own: S,
    pub(super) reached: Reached,
}

impl<O, S> LinkStates<O, S> {
    pub(super) fn new(outer: O, own: S) -> Self {
        Self { outer, own, reached: Reached::No }
    }
}

impl<O: Travelled, S: Reset + Send + 'static> Travelled for LinkStates<O, S> {
    fn note_passed(&mut self) {
        self.outer.note_passed();
        self.reached = Reached::Passed;
    }

    fn reset_all(&mut self) -> Verdict {
        both(self.outer.reset_all(), self.own.reset())
    }
}

impl<O: Reset, S: Reset> Reset for LinkStates<O, S> {
    /// Resets only what the request touched.
    fn reset(&mut self) -> Verdict {
        let outer = self.outer.reset();
        match core::mem::take(&mut self.reached) {
            Reached::No => outer,
            Reached::Entered | Reached::Passed => both(outer, self.own.reset()),
        }
    }

    fn retained_bytes(&self) -> usize {
        self.outer.retained_bytes().saturating_add(self.own.retained_bytes())
    }

    fn used_bytes(&self) -> usize {
        self.outer.used_bytes().saturating_add(self.own.used_bytes())
    }
}

impl<Req, Res, L, I> Links<Req, Res> for Link<L, I>
where
    L: Links<Req, Res>,
    I: Interceptor<Req, Res>,
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

    // It has one caller, and a call would cost as much as an interceptor does.
    #[inline(always)]
    fn before(&self, tags: &Switch, states: &mut Self::States, scope: &Scope, request: &mut Req) -> ControlFlow<Res> {
        self.outer.before(tags, &mut states.outer, scope, request)?;
        tags.to(self.tag);
        let stop = Stop(states);
        self.interceptor.before(&mut stop.0.own, scope, request)?;
        core::mem::forget(stop);
        ControlFlow::Continue(())
    }

    fn after<const ALL: bool>(&self, tags: &Switch, states: &mut Self::States, scope: &Scope, response: &mut Res) {
        if ALL || states.reached == Reached::Passed {
            tags.to(self.tag);
            self.interceptor.after(&mut states.own, scope, response);
        }
        self.outer.after::<ALL>(tags, &mut states.outer, scope, response);
    }

    fn ended<const ALL: bool>(&self, tags: &Switch, states: &mut Self::States, ending: &Ending) -> usize {
        let hear = || {
            tags.to(self.tag);
            self.interceptor.ended(&mut states.own, ending);
        };
        let own = (ALL || states.reached != Reached::No) && caught(hear).is_none();
        usize::from(own) + self.outer.ended::<ALL>(tags, &mut states.outer, ending)
    }
}

/// Notes, when it is dropped, that a request went no further than to this interceptor: it broke, or panicked.
struct Stop<'a, O: Travelled, S>(&'a mut LinkStates<O, S>);

impl<O: Travelled, S> Drop for Stop<'_, O, S> {
    #[cold]
    fn drop(&mut self) {
        self.0.outer.note_passed();
        self.0.reached = Reached::Entered;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Tells of more bytes than there are.
    #[derive(Default)]
    struct Boastful;

    impl Reset for Boastful {
        fn reset(&mut self) -> Verdict {
            Verdict::Keep
        }
        fn retained_bytes(&self) -> usize {
            usize::MAX
        }
    }

    #[test]
    fn the_bytes_of_states_that_tell_too_many_stay_too_many() {
        let states = LinkStates::new(LinkStates::new((), Boastful), Boastful);
        assert_eq!((states.retained_bytes(), states.used_bytes()), (usize::MAX, usize::MAX));
    }
}
