//! The states of a chain in one pooled object, from the request's entry to its end.

use crate::pool::{LARGE, Node, Pool, Pooled, Reset, Verdict, dispose};
use crate::raw::held::Held;
use crate::raw::parcels::Finish;
use crate::raw::store::Disposal;
use crate::request::{Content, Ending, Outcome, Scope};
use crate::sync::Arc;
use std::panic::resume_unwind;

/// The states of a chain, which know how far a request came. Not to be implemented by others.
pub trait Travelled: Reset + Send + 'static {
    /// Notes that the request passed all of them, for what is inside did not let it pass.
    #[doc(hidden)]
    fn note_passed(&mut self);

    /// As `reset`, without a look at each, for a request that passed all of them.
    #[doc(hidden)]
    fn reset_all(&mut self) -> Verdict;
}

impl Travelled for () {
    fn note_passed(&mut self) {}

    fn reset_all(&mut self) -> Verdict {
        Verdict::Keep
    }
}

/// The states of all interceptors, and the interceptors, so that the request's ending finds both.
pub(super) struct States<L, S> {
    pub(super) links: Arc<L>,
    pub(super) states: S,
    /// Whether the request passed all of them, of which they have noted nothing then.
    pub(super) is_through: bool,
    /// Calls `ended` of those that were reached, and returns how many panicked.
    ended: Hear<L, S>,
}

/// Calls `ended`, each under its tag: of all of them, or as they have noted.
type Hear<L, S> = fn(&L, &mut S, bool, &Ending) -> usize;

/// The states on loan to one request.
pub(super) type Lent<L, S> = Held<Content, Node<States<L, S>>>;

impl<L: Send + Sync + 'static, S: Travelled> States<L, S> {
    /// A pool of the states that `make` makes.
    pub(super) fn pool(links: L, make: fn(&L) -> S, ended: Hear<L, S>) -> Pool<Self> {
        let links = Arc::new(links);
        // By the name of its type, which spells out the whole chain, nobody would know it in a table.
        let builder = Pool::builder().name("interceptor states");
        builder.build(move || Self { states: make(&links), links: Arc::clone(&links), is_through: false, ended })
    }

    /// Takes states for a request, until it ends.
    pub(super) fn lend(pool: &Pool<Self>, scope: &Scope) -> Lent<L, S> {
        scope.hold(Pooled::into_node(pool.get_unwatched()))
    }
}

impl<L, S: Travelled> Reset for States<L, S> {
    fn reset(&mut self) -> Verdict {
        if core::mem::take(&mut self.is_through) { self.states.reset_all() } else { self.states.reset() }
    }

    fn retained_bytes(&self) -> usize {
        self.states.retained_bytes()
    }

    /// Each state is asked only where a pool wants to know; of little, all is used.
    fn used_bytes(&self) -> usize {
        let retained = self.states.retained_bytes();
        if retained <= LARGE { retained } else { self.states.used_bytes() }
    }
}

/// The end of the request: every interceptor that was reached hears of it, then the states go back.
impl<L: Send + Sync + 'static, S: Travelled> Finish<Ending> for Node<States<L, S>> {
    fn finish(mut self: Box<Self>, ending: &Ending) {
        let States { links, states, is_through, ended } = self.payload.value_mut();
        let panics = ended(links, states, *is_through, ending);
        let panicked = panics > 0 || ending.outcome() == Outcome::Panicked;
        dispose(self, if panicked { Disposal::Discard } else { Disposal::Reuse });
        if panics > 0 {
            // Told to whoever ends the request, who counts it. The panic hook has spoken already.
            resume_unwind(Box::new("an interceptor panicked in `ended`"));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::intercept::LinkStates;

    #[test]
    fn of_little_all_counts_as_used_and_of_much_what_is() {
        let states = |capacity| {
            let mut own = Vec::<u8>::with_capacity(capacity);
            own.push(1);
            States { links: Arc::new(()), states: LinkStates::new((), own), is_through: false, ended: |_, _, _, _| 0 }
        };
        let (little, much) = (states(LARGE), states(LARGE + 1));
        assert_eq!((little.used_bytes(), little.retained_bytes()), (LARGE, LARGE));
        assert_eq!((much.used_bytes(), much.retained_bytes()), (1, LARGE + 1));
    }
}
