//! The dynamic chain: interceptors that are chosen at run time, say by a configuration.

use super::Interceptor;
use super::chain::{Chain, Links, Reached, private};
use super::order::{Description, Order};
use super::states::Travelled;
use crate::pool::{self, Reset, Verdict, both};
use crate::raw::unwind::caught;
use crate::raw::watch::{Switch, Tag, UNTAGGED};
use crate::request::{Ending, Scope};
use core::any::Any;
use core::fmt;
use core::ops::ControlFlow;

/// Interceptors in a row, chosen at run time: a [`Chain`] to [`push`](Chain::push) to. The same interceptors as in a static one,
/// in the same order, with the same states; [`with`](Chain::with) adds static ones inside of them.
///
/// **Cost** beside the static chain: a virtual call and a look at the state's type for each interceptor
/// and hook. No heap allocation for a request in steady state.
///
/// # Examples
///
/// ```
/// use ebbtide::{DynChain, Interceptor, Scope, Scopes};
/// use std::ops::ControlFlow;
///
/// struct Add(u32);
/// impl Interceptor<u32, u32> for Add {
///     type State = ();
///     fn before(&self, _: &mut (), _: &Scope, request: &mut u32) -> ControlFlow<u32> {
///         *request += self.0;
///         ControlFlow::Continue(())
///     }
/// }
///
/// let mut chain = DynChain::default();
/// for number in [1, 2, 3] {
///     chain.push(Add(number));
/// }
/// let request = Scopes::new().begin();
/// assert_eq!(chain.runner().run(&request.scope(), 4, |sum| sum), 10);
/// ```
pub type DynChain<Req, Res> = Chain<DynLinks<Req, Res>>;

impl<Req: 'static, Res: 'static> DynChain<Req, Res> {
    /// Adds an interceptor inside of those that are there.
    pub fn push<I: Interceptor<Req, Res>>(&mut self, interceptor: I) -> &mut Self {
        self.links.0.push((Box::new(interceptor), &UNTAGGED));
        self
    }
}

/// What a [`DynChain`] consists of.
pub struct DynLinks<Req, Res>(Vec<Entry<Req, Res>>);

/// An interceptor, and the tag under which it runs.
type Entry<Req, Res> = (Box<dyn Erased<Req, Res>>, &'static Tag);

impl<Req, Res> Default for DynLinks<Req, Res> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<Req, Res> private::Sealed for DynLinks<Req, Res> {}

/// An interceptor whose state has lost its type.
pub(super) trait Erased<Req, Res>: Send + Sync {
    fn state(&self) -> Box<dyn State>;
    fn name(&self) -> &'static str;
    fn describe(&self, description: &mut Description);
    fn before(&self, state: &mut dyn State, scope: &Scope, request: &mut Req) -> ControlFlow<Res>;
    fn after(&self, state: &mut dyn State, scope: &Scope, response: &mut Res);
    fn ended(&self, state: &mut dyn State, ending: &Ending);
}

/// A state of any type.
pub(super) trait State: Reset + Any + Send {
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<S: Reset + Send + 'static> State for S {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// The state with its type. `DynLinks` never mixes them up, so that this is always `Some`.
pub(super) fn own<S: 'static>(state: &mut dyn State) -> Option<&mut S> {
    state.as_any().downcast_mut()
}

impl<Req, Res, I: Interceptor<Req, Res>> Erased<Req, Res> for I {
    fn state(&self) -> Box<dyn State> {
        Box::new(I::State::default())
    }

    fn name(&self) -> &'static str {
        Interceptor::name(self)
    }

    fn describe(&self, description: &mut Description) {
        let mut order = Order::default();
        self.order(&mut order);
        description.push::<I>(Interceptor::name(self), size_of::<I::State>(), order);
    }

    fn before(&self, state: &mut dyn State, scope: &Scope, request: &mut Req) -> ControlFlow<Res> {
        own(state).map_or(ControlFlow::Continue(()), |state| Interceptor::before(self, state, scope, request))
    }

    fn after(&self, state: &mut dyn State, scope: &Scope, response: &mut Res) {
        if let Some(state) = own(state) {
            Interceptor::after(self, state, scope, response);
        }
    }

    fn ended(&self, state: &mut dyn State, ending: &Ending) {
        if let Some(state) = own(state) {
            Interceptor::ended(self, state, ending);
        }
    }
}

/// The states of the interceptors of a [`DynChain`] or a [`DynAroundChain`](super::DynAroundChain), and how far the request came.
pub struct DynStates(pub(super) Vec<(Box<dyn State>, Reached)>);

impl Reset for DynStates {
    /// Resets only what the request touched.
    fn reset(&mut self) -> Verdict {
        let mut verdict = Verdict::Keep;
        for (state, reached) in &mut self.0 {
            if core::mem::take(reached) != Reached::No {
                verdict = both(verdict, state.reset());
            }
        }
        verdict
    }

    /// A box tells the size of its value too.
    fn retained_bytes(&self) -> usize {
        sum(self.0.iter().map(|(state, _)| state.retained_bytes()))
    }

    fn used_bytes(&self) -> usize {
        sum(self.0.iter().map(|(state, _)| state.used_bytes()))
    }
}

/// Each has its note of how far the request came, whether it came through or not.
impl Travelled for DynStates {
    fn note_passed(&mut self) {}

    fn reset_all(&mut self) -> Verdict {
        self.reset()
    }
}

/// States tell what they like; a sum that is too large stays too large.
fn sum(bytes: impl Iterator<Item = usize>) -> usize {
    bytes.fold(0, usize::saturating_add)
}

impl<Req: 'static, Res: 'static> Links<Req, Res> for DynLinks<Req, Res> {
    type States = DynStates;

    fn states(&self) -> DynStates {
        DynStates(self.0.iter().map(|(link, _)| (link.state(), Reached::No)).collect())
    }

    fn describe(&self, description: &mut Description) {
        self.0.iter().for_each(|(link, _)| link.describe(description));
    }

    fn find_tags(&mut self) {
        self.0.iter_mut().for_each(|(link, tag)| *tag = pool::tag(link.name()));
    }

    fn before(&self, tags: &Switch, states: &mut DynStates, scope: &Scope, request: &mut Req) -> ControlFlow<Res> {
        for ((link, tag), (state, reached)) in self.0.iter().zip(&mut states.0) {
            // Noted first: a `before` that panics has touched its state.
            *reached = Reached::Entered;
            tags.to(tag);
            link.before(&mut **state, scope, request)?;
            *reached = Reached::Passed;
        }
        ControlFlow::Continue(())
    }

    fn after<const ALL: bool>(&self, tags: &Switch, states: &mut DynStates, scope: &Scope, response: &mut Res) {
        for ((link, tag), (state, reached)) in self.0.iter().zip(&mut states.0).rev() {
            if *reached == Reached::Passed {
                tags.to(tag);
                link.after(&mut **state, scope, response);
            }
        }
    }

    fn ended<const ALL: bool>(&self, tags: &Switch, states: &mut DynStates, ending: &Ending) -> usize {
        let mut panics = 0;
        for ((link, tag), (state, reached)) in self.0.iter().zip(&mut states.0).rev() {
            let hear = || {
                tags.to(tag);
                link.ended(&mut **state, ending);
            };
            if *reached != Reached::No && caught(hear).is_none() {
                panics += 1;
            }
        }
        panics
    }
}

impl<Req, Res> fmt::Debug for DynLinks<Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynLinks({})", self.0.len())
    }
}

impl fmt::Debug for DynStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynStates({})", self.0.len())
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
        let one = DynStates(vec![(Box::new(Vec::<u64>::new()), Reached::No)]);
        assert_eq!((one.retained_bytes(), one.used_bytes()), (size_of::<Vec<u64>>(), size_of::<Vec<u64>>()));
        let states = DynStates(vec![
            (Box::new([1_u64]), Reached::No),
            (Box::new(Boastful), Reached::No),
            (Box::new(Boastful), Reached::No),
        ]);
        assert_eq!((states.retained_bytes(), states.used_bytes()), (usize::MAX, usize::MAX));
    }
}
