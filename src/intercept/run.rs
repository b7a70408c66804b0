//! Running a chain: its states come from a pool when a request enters, and go back when the request ends.

use super::chain::Links;
use super::states::{Lent, States};
use crate::pool::Pool;
use crate::raw::watch::scoped;
use crate::request::{Ending, Scope};
use core::fmt;
use core::ops::ControlFlow;

/// A chain that is ready to run. Cloning gives another handle to the same chain and the same pool of states.
pub struct Runner<L: Links<Req, Res>, Req: 'static, Res: 'static> {
    pool: Pool<States<L, L::States>>,
}

impl<L: Links<Req, Res>, Req: 'static, Res: 'static> Runner<L, Req, Res> {
    pub(super) fn new(links: L) -> Self {
        Self { pool: States::pool(links, L::states, Self::ended) }
    }

    fn ended(links: &L, states: &mut L::States, is_through: bool, ending: &Ending) -> usize {
        // Looked at outside, so that nothing is left of hooks that do nothing.
        if is_through {
            scoped(|tags| links.ended::<true>(tags, states, ending))
        } else {
            scoped(|tags| links.ended::<false>(tags, states, ending))
        }
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
        Run { states: States::lend(&self.pool, &scope), scope }
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
    states: Lent<L, L::States>,
    scope: Scope,
}

impl<L: Links<Req, Res>, Req, Res> Run<L, Req, Res> {
    pub(crate) fn before(&mut self, request: &mut Req) -> ControlFlow<Res> {
        let States { links, states, is_through, .. } = self.states.payload.value_mut();
        scoped(|tags| links.before(tags, states, &self.scope, request))?;
        *is_through = true;
        ControlFlow::Continue(())
    }

    /// Lets the response pass those that let the request pass.
    pub(crate) fn after(&mut self, response: &mut Res) {
        let States { links, states, is_through, .. } = self.states.payload.value_mut();
        if *is_through {
            scoped(|tags| links.after::<true>(tags, states, &self.scope, response));
        } else {
            scoped(|tags| links.after::<false>(tags, states, &self.scope, response));
        }
    }
}

impl<L: Links<Req, Res>, Req, Res> fmt::Debug for Run<L, Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}
