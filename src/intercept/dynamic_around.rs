//! The chain of interceptors that are chosen at run time, where some of them wait.

use super::chain::{Chain, Reached, private};
use super::dynamic::{DynStates, Erased, State, own};
use super::order::{Description, Order};
use super::{Around, AroundLinks, Interceptor, Next};
use crate::pool;
use crate::pool::tagged::{PolledUnder, under};
use crate::raw::unwind::caught;
use crate::raw::watch::{Switch, Tag};
use crate::request::{Ending, Scope};
use core::fmt;
use core::future::{Future, pending};
use core::ops::ControlFlow;
use core::pin::Pin;

/// Interceptors in a row, chosen at run time, of both kinds: as [`DynChain`](super::DynChain), for those that wait too. It runs by
/// [`around_runner`](Chain::around_runner).
///
/// **Cost** beside a static chain: a heap allocation for the future of each interceptor that waits and is reached, and one for
/// the handler's; a virtual call and a look at the state's type for each interceptor.
///
/// # Examples
///
/// ```
/// use ebbtide::{Around, DynAroundChain, Scope, Scopes, intercept::Next};
///
/// struct Retry(u32);
///
/// impl Around<u32, u32> for Retry {
///     type State = ();
///
///     async fn around<N: Next<u32, u32>>(&self, _: &mut (), _: &Scope, request: u32, next: N) -> Result<u32, N::Error> {
///         next.run(request + self.0).await
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let mut chain = DynAroundChain::default();
/// for number in [1, 2, 3] {
///     chain.push_around(Retry(number));
/// }
/// let request = Scopes::new().begin();
/// let handler = |sum| async move { Ok::<_, std::convert::Infallible>(sum) };
/// assert_eq!(chain.around_runner().run(request.scope(), 4, handler).await.unwrap(), 10);
/// # }
/// ```
pub type DynAroundChain<Req, Res> = Chain<DynAroundLinks<Req, Res>>;

impl<Req: Send + 'static, Res: Send + 'static> DynAroundChain<Req, Res> {
    /// Adds an interceptor inside of those that are there.
    pub fn push<I: Interceptor<Req, Res>>(&mut self, interceptor: I) -> &mut Self {
        let tag = pool::tag(interceptor.name());
        self.links.0.push(Named { tag, link: Link::Passing(Box::new(interceptor)) });
        self
    }

    /// Adds an interceptor that waits, inside of those that are there.
    pub fn push_around<I: Around<Req, Res>>(&mut self, interceptor: I) -> &mut Self {
        let tag = pool::tag(interceptor.name());
        self.links.0.push(Named { tag, link: Link::Waiting(Box::new(interceptor)) });
        self
    }
}

/// What a [`DynAroundChain`] consists of.
pub struct DynAroundLinks<Req, Res>(Vec<Named<Req, Res>>);

/// An interceptor, and the tag that it runs under.
struct Named<Req, Res> {
    tag: &'static Tag,
    link: Link<Req, Res>,
}

enum Link<Req, Res> {
    Passing(Box<dyn Erased<Req, Res>>),
    Waiting(Box<dyn ErasedAround<Req, Res>>),
}

impl<Req, Res> Default for DynAroundLinks<Req, Res> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<Req, Res> private::Sealed for DynAroundLinks<Req, Res> {}

/// The handler has failed, and its error waits in [`Last`]: an error that any handler's can stand in for.
struct Failed;

/// The future of what is inside of an interceptor.
type Answer<'a, Res> = Pin<Box<dyn Future<Output = Result<Res, Failed>> + Send + 'a>>;

/// An interceptor that waits, and whose state has lost its type.
trait ErasedAround<Req, Res>: Send + Sync {
    fn state(&self) -> Box<dyn State>;
    fn describe(&self, description: &mut Description);
    fn around<'a>(
        &'a self,
        state: &'a mut dyn State,
        scope: &'a Scope,
        request: Req,
        next: Rest<'a, Req, Res>,
    ) -> Answer<'a, Res>;
    fn ended(&self, state: &mut dyn State, ending: &Ending);
}

impl<Req: Send + 'static, Res: Send + 'static, I: Around<Req, Res>> ErasedAround<Req, Res> for I {
    fn state(&self) -> Box<dyn State> {
        Box::new(I::State::default())
    }

    fn describe(&self, description: &mut Description) {
        let mut order = Order::default();
        self.order(&mut order);
        description.push::<I>(self.name(), size_of::<I::State>(), order);
    }

    fn around<'a>(
        &'a self,
        state: &'a mut dyn State,
        scope: &'a Scope,
        request: Req,
        next: Rest<'a, Req, Res>,
    ) -> Answer<'a, Res> {
        match own(state) {
            Some(state) => Box::pin(Around::around(self, state, scope, request, next)),
            None => Box::pin(next.run(request)),
        }
    }

    fn ended(&self, state: &mut dyn State, ending: &Ending) {
        if let Some(state) = own(state) {
            Around::ended(self, state, ending);
        }
    }
}

/// What is inside of an interceptor: the other links, and the handler.
struct Rest<'a, Req, Res> {
    links: &'a [Named<Req, Res>],
    states: &'a mut [(Box<dyn State>, Reached)],
    scope: &'a Scope,
    last: &'a mut (dyn ErasedLast<Req, Res> + 'a),
}

impl<Req: Send + 'static, Res: Send + 'static> Next<Req, Res> for Rest<'_, Req, Res> {
    type Error = Failed;

    /// Passes those that do not wait, then hands the request to the first one that does, or to the handler.
    async fn run(self, mut request: Req) -> Result<Res, Failed> {
        let Self { links, states, scope, last } = self;
        let waiting = links.iter().position(|named| matches!(named.link, Link::Waiting(_))).unwrap_or(links.len());
        let (outer, inner) = links.split_at(waiting);
        let (outer_states, inner_states) = states.split_at_mut(waiting);
        let mut answer = None;
        for (Named { tag, link }, (state, reached)) in outer.iter().zip(&mut *outer_states) {
            let Link::Passing(link) = link else { continue };
            // Noted first: a `before` that panics has touched its state.
            *reached = Reached::Entered;
            let before = under(Some(tag), || link.before(&mut **state, scope, &mut request));
            if let ControlFlow::Break(response) = before {
                answer = Some(response);
                break;
            }
            *reached = Reached::Passed;
        }
        let mut response = match (answer, inner.split_first(), inner_states.split_first_mut()) {
            (Some(response), ..) => response,
            (None, Some((Named { tag, link: Link::Waiting(link) }, links)), Some(((state, reached), states))) => {
                *reached = Reached::Entered;
                let (tag, rest) = (Some(*tag), Rest { links, states, scope, last });
                PolledUnder::new(tag, under(tag, || link.around(&mut **state, scope, request, rest))).await?
            }
            _ => last.run(request).await?,
        };
        for (Named { tag, link }, (state, reached)) in outer.iter().zip(outer_states).rev() {
            if let (Link::Passing(link), Reached::Passed) = (link, reached) {
                under(Some(tag), || link.after(&mut **state, scope, &mut response));
            }
        }
        Ok(response)
    }
}

/// A handler of any type.
trait ErasedLast<Req, Res>: Send {
    fn run(&mut self, request: Req) -> Answer<'_, Res>;
}

/// The handler until it is called, and its error.
struct Last<N, E> {
    next: Option<N>,
    error: Option<E>,
}

impl<Req: Send + 'static, Res: 'static, N: Next<Req, Res>> ErasedLast<Req, Res> for Last<N, N::Error> {
    fn run(&mut self, request: Req) -> Answer<'_, Res> {
        Box::pin(async move {
            // It is there: whoever calls this has the only `Rest` without links, and gives it up.
            let Some(next) = self.next.take() else { return pending().await };
            next.run(request).await.map_err(|error| {
                self.error = Some(error);
                Failed
            })
        })
    }
}

impl<Req: Send + 'static, Res: Send + 'static> AroundLinks<Req, Res> for DynAroundLinks<Req, Res> {
    type States = DynStates;

    fn states(&self) -> DynStates {
        let state = |named: &Named<Req, Res>| match &named.link {
            Link::Passing(link) => link.state(),
            Link::Waiting(link) => link.state(),
        };
        DynStates(self.0.iter().map(|named| (state(named), Reached::No)).collect())
    }

    fn describe(&self, description: &mut Description) {
        for Named { link, .. } in &self.0 {
            match link {
                Link::Passing(link) => link.describe(description),
                Link::Waiting(link) => link.describe(description),
            }
        }
    }

    /// They are found when an interceptor is added.
    fn find_tags(&mut self) {}

    async fn around<N: Next<Req, Res>>(
        &self,
        states: &mut DynStates,
        scope: &Scope,
        request: Req,
        next: N,
    ) -> Result<Res, N::Error> {
        let mut last = Last { next: Some(next), error: None };
        let rest = Rest { links: &self.0, states: &mut states.0, scope, last: &mut last };
        let answer = rest.run(request).await;
        match (answer, last.error) {
            (Ok(response), _) => Ok(response),
            (Err(Failed), Some(error)) => Err(error),
            // Nobody else can make a `Failed`, and it never leaves the future of its request.
            (Err(Failed), None) => pending().await,
        }
    }

    fn ended(&self, tags: &Switch, states: &mut DynStates, ending: &Ending) -> usize {
        let tell = |link: &Link<Req, Res>, state: &mut dyn State| match link {
            Link::Passing(link) => link.ended(state, ending),
            Link::Waiting(link) => link.ended(state, ending),
        };
        let mut panics = 0;
        for (Named { tag, link }, (state, reached)) in self.0.iter().zip(&mut states.0).rev() {
            tags.to(tag);
            if *reached != Reached::No && caught(|| tell(link, &mut **state)).is_none() {
                panics += 1;
            }
        }
        panics
    }
}

impl<Req, Res> fmt::Debug for DynAroundLinks<Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynAroundLinks({})", self.0.len())
    }
}
