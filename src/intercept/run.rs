//! Running a chain: its states come from a pool when a request enters, and go back when the request ends.

use super::chain::Links;
use crate::pool::{Node, Pool, Pooled, Reset, Verdict, dispose};
use crate::raw::held::Held;
use crate::raw::parcels::Finish;
use crate::raw::store::Disposal;
use crate::request::{Content, Ending, Outcome, Scope};
use crate::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::ops::ControlFlow;
use std::panic::resume_unwind;

/// A chain that is ready to run. Cloning gives another handle to the same chain and the same pool of states.
pub struct Runner<L: Links<Req, Res>, Req: 'static, Res: 'static> {
    pool: Pool<States<L, Req, Res>>,
}

/// The states of all interceptors, and the interceptors, so that the request's ending finds both.
struct States<L: Links<Req, Res>, Req, Res> {
    links: Arc<L>,
    states: L::States,
    _types: PhantomData<fn(Req) -> Res>,
}

impl<L: Links<Req, Res>, Req, Res> Reset for States<L, Req, Res> {
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

impl<L: Links<Req, Res>, Req: 'static, Res: 'static> Runner<L, Req, Res> {
    pub(super) fn new(links: L) -> Self {
        let links = Arc::new(links);
        let make = move || States { states: links.states(), links: Arc::clone(&links), _types: PhantomData };
        Self { pool: Pool::new(make) }
    }

    /// Runs a request through the chain and `handler`, in onion order. An interceptor that breaks answers
    /// itself: what is inside of it is never reached.
    pub fn run(&self, scope: &Scope, mut request: Req, handler: impl FnOnce(Req) -> Res) -> Res {
        let mut run = self.enter(scope.clone());
        let mut response = match run.before(&mut request) {
            ControlFlow::Continue(()) => handler(request),
            ControlFlow::Break(response) => response,
        };
        run.after(&mut response);
        response
    }

    /// Takes states for a request, until it ends.
    pub(crate) fn enter(&self, scope: Scope) -> Run<L, Req, Res> {
        Run { states: scope.hold(Pooled::into_node(self.pool.get())), scope }
    }
}

impl<L: Links<Req, Res>, Req, Res> Clone for Runner<L, Req, Res> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone() }
    }
}

impl<L: Links<Req, Res>, Req, Res> fmt::Debug for Runner<L, Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("states", &self.pool.stats()).finish()
    }
}

/// One request's way through a chain.
pub struct Run<L: Links<Req, Res>, Req: 'static, Res: 'static> {
    states: Held<Content, Node<States<L, Req, Res>>>,
    scope: Scope,
}

impl<L: Links<Req, Res>, Req, Res> Run<L, Req, Res> {
    pub(crate) fn before(&mut self, request: &mut Req) -> ControlFlow<Res> {
        let States { links, states, .. } = self.states.payload.value_mut();
        links.before(states, &self.scope, request)
    }

    /// Lets the response pass those that let the request pass.
    pub(crate) fn after(&mut self, response: &mut Res) {
        let States { links, states, .. } = self.states.payload.value_mut();
        links.after(states, &self.scope, response);
    }
}

impl<L: Links<Req, Res>, Req, Res> fmt::Debug for Run<L, Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

/// The end of the request: every interceptor that was reached hears of it, then the states go back.
impl<L: Links<Req, Res>, Req: 'static, Res: 'static> Finish<Ending> for Node<States<L, Req, Res>> {
    fn finish(mut self: Box<Self>, ending: &Ending) {
        let States { links, states, .. } = self.payload.value_mut();
        let panics = links.ended(states, ending);
        let panicked = panics > 0 || ending.outcome() == Outcome::Panicked;
        dispose(self, if panicked { Disposal::Discard } else { Disposal::Reuse });
        if panics > 0 {
            // Told to whoever ends the request, who counts it. The panic hook has spoken already.
            resume_unwind(Box::new("an interceptor panicked in `ended`"));
        }
    }
}
