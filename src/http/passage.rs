//! What a layer lets requests pass through: a chain of interceptors, or nothing.

use crate::intercept::{Links, Run, Runner};
use crate::request::Scope;
use core::convert::Infallible;
use core::ops::ControlFlow;

/// `()` or a [`Runner`]. Not to be implemented by others.
pub trait Passage<Req, Res>: Clone {
    /// One request's way through.
    type Passing: Passing<Res>;

    #[doc(hidden)]
    fn enter(&self, scope: impl FnOnce() -> Scope) -> Self::Passing;
    #[doc(hidden)]
    fn before(passing: &mut Self::Passing, request: &mut Req) -> ControlFlow<<Self::Passing as Passing<Res>>::Answer>;
}

/// One request's way through a [`Passage`]. Not to be implemented by others.
pub trait Passing<Res> {
    /// What an interceptor may answer with. A type of its own, so that no room is kept for an answer that cannot come.
    type Answer;

    #[doc(hidden)]
    fn answered(answer: Self::Answer) -> Res;
    #[doc(hidden)]
    fn after(&mut self, response: &mut Res);
}

impl<Req, Res> Passage<Req, Res> for () {
    type Passing = ();

    fn enter(&self, _: impl FnOnce() -> Scope) {}
    fn before(_: &mut (), _: &mut Req) -> ControlFlow<Infallible> {
        ControlFlow::Continue(())
    }
}

impl<Res> Passing<Res> for () {
    type Answer = Infallible;

    fn answered(answer: Infallible) -> Res {
        match answer {}
    }
    fn after(&mut self, _: &mut Res) {}
}

impl<L: Links<Req, Res>, Req: 'static, Res: 'static> Passage<Req, Res> for Runner<L, Req, Res> {
    type Passing = Run<L, Req, Res>;

    fn enter(&self, scope: impl FnOnce() -> Scope) -> Self::Passing {
        Runner::enter(self, scope())
    }
    fn before(passing: &mut Self::Passing, request: &mut Req) -> ControlFlow<Res> {
        passing.before(request)
    }
}

impl<L: Links<Req, Res>, Req: 'static, Res: 'static> Passing<Res> for Run<L, Req, Res> {
    type Answer = Res;

    fn answered(answer: Res) -> Res {
        answer
    }
    fn after(&mut self, response: &mut Res) {
        Run::after(self, response);
    }
}
