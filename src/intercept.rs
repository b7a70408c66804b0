//! Interceptors: code around a handler, each with a resettable state of its own.
//!
//! An [`Interceptor`] declares what it needs per request as its `State`. The states of a [`Chain`] live in one
//! pooled object; a request gets a clean one when it enters, and it goes back, reset, when the request
//! has ended. So an interceptor keeps no map by request, and nothing of one request can be seen in the next.

mod around;
mod chain;
mod dynamic;
mod dynamic_around;
mod order;
mod run;
mod states;

pub use around::{Around, AroundLink, AroundLinks, AroundRunner, Next};
pub use chain::{Chain, Link, LinkStates, Links};
pub use dynamic::{DynChain, DynLinks, DynStates};
pub use dynamic_around::{DynAroundChain, DynAroundLinks};
pub use order::{Description, Order, OrderError};
pub use run::{Run, Runner};

use crate::pool::Reset;
use crate::request::{Ending, Scope};
use core::ops::ControlFlow;

/// Code around a handler.
///
/// For one request, `before` runs from the outside in, `after` from the inside out, `ended` once the response is
/// through or given up. An interceptor whose `before` breaks is the last one reached: its own
/// `after` does not run, those outside of it see its response in theirs.
///
/// | outcome of `before` | `after` | `ended` |
/// |---|---|---|
/// | not called | no | no, and the state is untouched |
/// | `Break(response)` | no | yes |
/// | `Continue` | yes, unless the handler panicked or was dropped | yes |
/// | panic | no | yes |
pub trait Interceptor<Req, Res>: Send + Sync + 'static {
    /// What it needs for one request. As good as new when `before` is called. `()` for nothing.
    type State: Reset + Default + Send + 'static;

    /// What it is called in a [`Description`] and in errors. Default: the name of its type.
    fn name(&self) -> &'static str {
        core::any::type_name::<Self>()
    }

    /// Asks for what must stand outside of it. Checked once, when the chain is made ready to run.
    ///
    /// # Examples
    ///
    /// ```
    /// use ebbtide::{Chain, Interceptor, intercept::Order};
    ///
    /// struct Auth;
    /// impl Interceptor<u32, u32> for Auth {
    ///     type State = ();
    /// }
    ///
    /// /// Counts requests by client, so it must know who asks.
    /// struct Quota;
    /// impl Interceptor<u32, u32> for Quota {
    ///     type State = ();
    ///     fn order(&self, order: &mut Order) {
    ///         order.after::<Auth>();
    ///     }
    /// }
    ///
    /// assert!(Chain::new().with(Auth).with(Quota).try_runner::<u32, u32>().is_ok());
    /// assert!(Chain::new().with(Quota).with(Auth).try_runner::<u32, u32>().is_err());
    /// ```
    fn order(&self, order: &mut Order) {
        let _ = order;
    }

    /// Sees the request first. `Break` answers it without the handler.
    fn before(&self, state: &mut Self::State, scope: &Scope, request: &mut Req) -> ControlFlow<Res> {
        let _ = (state, scope, request);
        ControlFlow::Continue(())
    }

    /// Sees the response.
    fn after(&self, state: &mut Self::State, scope: &Scope, response: &mut Res) {
        let _ = (state, scope, response);
    }

    /// Hears how the request ended. A panic here is caught, and costs the state.
    fn ended(&self, state: &mut Self::State, ending: &Ending) {
        let _ = (state, ending);
    }
}
