//! The states of a chain in one pooled object, from the request's entry to its end.

use crate::pool::{Node, Pool, Pooled, Reset, Verdict, dispose};
use crate::raw::held::Held;
use crate::raw::parcels::Finish;
use crate::raw::store::Disposal;
use crate::raw::watch::{Switch, scoped};
use crate::request::{Content, Ending, Outcome, Scope};
use crate::sync::Arc;
use std::panic::resume_unwind;

/// The states of all interceptors, and the interceptors, so that the request's ending finds both.
pub(super) struct States<L, S> {
    pub(super) links: Arc<L>,
    pub(super) states: S,
    /// Calls `ended` of those that were reached, and returns how many panicked.
    ended: Hear<L, S>,
}

/// Calls `ended`, each under its tag.
type Hear<L, S> = fn(&L, &Switch, &mut S, &Ending) -> usize;

/// The states on loan to one request.
pub(super) type Lent<L, S> = Held<Content, Node<States<L, S>>>;

impl<L: Send + Sync + 'static, S: Reset + Send + 'static> States<L, S> {
    /// A pool of the states that `make` makes.
    pub(super) fn pool(links: L, make: fn(&L) -> S, ended: Hear<L, S>) -> Pool<Self> {
        let links = Arc::new(links);
        // By the name of its type, which spells out the whole chain, nobody would know it in a table.
        let builder = Pool::builder().name("interceptor states");
        builder.build(move || Self { states: make(&links), links: Arc::clone(&links), ended })
    }

    /// Takes states for a request, until it ends.
    pub(super) fn lend(pool: &Pool<Self>, scope: &Scope) -> Lent<L, S> {
        scope.hold(Pooled::into_node(pool.get_unwatched()))
    }
}

impl<L, S: Reset> Reset for States<L, S> {
    fn reset(&mut self) -> Verdict {
        self.states.reset()
    }
    fn retained_bytes(&self) -> usize {
        self.states.retained_bytes()
    }
    fn used_bytes(&self) -> usize {
        self.states.used_bytes()
    }
}

/// The end of the request: every interceptor that was reached hears of it, then the states go back.
impl<L: Send + Sync + 'static, S: Reset + Send + 'static> Finish<Ending> for Node<States<L, S>> {
    fn finish(mut self: Box<Self>, ending: &Ending) {
        let States { links, states, ended } = self.payload.value_mut();
        let panics = scoped(|tags| ended(links, tags, states, ending));
        let panicked = panics > 0 || ending.outcome() == Outcome::Panicked;
        dispose(self, if panicked { Disposal::Discard } else { Disposal::Reuse });
        if panics > 0 {
            // Told to whoever ends the request, who counts it. The panic hook has spoken already.
            resume_unwind(Box::new("an interceptor panicked in `ended`"));
        }
    }
}
