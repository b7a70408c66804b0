//! Interceptors and background tasks take under their own names, handlers do not.

use ebbtide::intercept::Next;
use ebbtide::observe::{Ledger, tagged};
use ebbtide::{Around, Chain, DynAroundChain, DynChain, Ending, Interceptor, Pool, Pooled, Scope, Scopes};
use std::convert::Infallible;
use std::future::pending;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

/// How often values were taken under a name.
fn taken(tag: &str) -> u64 {
    let mut taken = 0;
    Ledger::process().each_tag(|entry| {
        if entry.tag == tag {
            taken = entry.taken;
        }
    });
    taken
}

/// Takes one value in each of its hooks, and one in each poll around `next`.
struct Taking(&'static str, Pool<String>);

impl Interceptor<u32, u32> for Taking {
    type State = Vec<u8>;

    fn name(&self) -> &'static str {
        self.0
    }
    fn before(&self, _: &mut Vec<u8>, _: &Scope, _: &mut u32) -> ControlFlow<u32> {
        drop(self.1.get());
        ControlFlow::Continue(())
    }
    fn after(&self, _: &mut Vec<u8>, _: &Scope, _: &mut u32) {
        drop(self.1.get());
    }
    fn ended(&self, _: &mut Vec<u8>, _: &Ending) {
        drop(self.1.get());
    }
}

impl Around<u32, u32> for Taking {
    type State = Vec<u8>;

    fn name(&self) -> &'static str {
        self.0
    }
    async fn around<N: Next<u32, u32>>(
        &self,
        _: &mut Vec<u8>,
        _: &Scope,
        request: u32,
        next: N,
    ) -> Result<u32, N::Error> {
        drop(self.1.get());
        let response = next.run(request).await?;
        drop(self.1.get());
        Ok(response)
    }
    fn ended(&self, _: &mut Vec<u8>, _: &Ending) {
        drop(self.1.get());
    }
}

#[test]
fn each_hook_of_a_chain_is_under_its_interceptor_and_the_handler_is_not() {
    let pool = Pool::new(String::new);
    let scopes = Scopes::new();
    let runner = Chain::new().with(Taking("chain a", pool.clone())).with(Taking("chain b", pool.clone())).runner();
    tagged("around the chain", || {
        let request = scopes.begin();
        runner.run(&request.scope(), 7, |number| {
            drop(pool.get());
            number
        });
    });
    assert_eq!([taken("chain a"), taken("chain b"), taken("around the chain")], [3, 3, 1]);
}

#[test]
fn each_hook_of_a_dynamic_chain_is_under_its_interceptor() {
    let pool = Pool::new(String::new);
    let mut chain = DynChain::default();
    chain.push(Taking("dyn a", pool.clone())).push(Taking("dyn b", pool.clone()));
    let chain = chain.with(Taking("dyn c", pool.clone()));
    let request = Scopes::new().begin();
    chain.runner().run(&request.scope(), 7, |number| number);
    drop(request);
    assert_eq!([taken("dyn a"), taken("dyn b"), taken("dyn c")], [3, 3, 3]);
}

/// Panics while it has a value.
struct Panics(Pool<String>);

impl Interceptor<u32, u32> for Panics {
    type State = ();

    fn name(&self) -> &'static str {
        "panics"
    }
    fn before(&self, (): &mut (), _: &Scope, _: &mut u32) -> ControlFlow<u32> {
        let _value = self.0.get();
        panic!("in `before`");
    }
}

#[test]
fn a_panic_in_a_hook_leaves_no_tag_behind() {
    let pool = Pool::new(String::new);
    let runner = Chain::new().with(Panics(pool.clone())).runner::<u32, u32>();
    let request = Scopes::new().begin();
    let scope = request.scope();
    let run = std::panic::AssertUnwindSafe(|| runner.run(&scope, 7, |number| number));
    assert!(std::panic::catch_unwind(run).is_err());
    drop(pool.get());
    assert_eq!(taken("panics"), 1);
}

#[tokio::test]
async fn each_poll_of_an_interceptor_that_waits_is_under_its_name_and_the_handlers_are_not() {
    let pool = Pool::new(String::new);
    let chain = Chain::new().with_around(Taking("waits a", pool.clone())).with(Taking("waits b", pool.clone()));
    let runner = chain.with_around(Taking("waits c", pool.clone())).around_runner();
    let scopes = Scopes::new();
    let request = scopes.begin();
    let handler = |number| {
        let pool = pool.clone();
        async move {
            let first = pool.get();
            tokio::task::yield_now().await;
            drop((first, pool.get()));
            Ok::<u32, Infallible>(number)
        }
    };
    let name = "around all that wait";
    ebbtide::observe::tagged_future(name, runner.run(request.scope(), 7, handler)).await.unwrap();
    drop(request);
    assert_eq!([taken("waits a"), taken("waits b"), taken("waits c"), taken(name)], [3, 3, 3, 2]);
}

#[tokio::test]
async fn interceptors_chosen_at_run_time_are_under_their_names_where_some_wait() {
    let pool = Pool::new(String::new);
    let mut chain = DynAroundChain::default();
    chain.push(Taking("dyn waits a", pool.clone())).push_around(Taking("dyn waits b", pool.clone()));
    chain.push(Taking("dyn waits c", pool.clone()));
    let request = Scopes::new().begin();
    let handler = |number| {
        let pool = pool.clone();
        async move {
            tokio::task::yield_now().await;
            drop(pool.get());
            Ok::<u32, Infallible>(number)
        }
    };
    chain.around_runner().run(request.scope(), 7, handler).await.unwrap();
    drop(request);
    assert_eq!(["dyn waits a", "dyn waits b", "dyn waits c"].map(taken), [3, 3, 3]);
}

/// Takes a value when it is dropped.
struct InDrop(Pool<String>, Arc<Mutex<Option<Pooled<String>>>>);

impl Drop for InDrop {
    fn drop(&mut self) {
        *self.1.lock().unwrap() = Some(self.0.get());
    }
}

#[test]
fn the_drop_of_a_handler_that_is_given_up_is_under_no_interceptor() {
    let (pool, kept) = (Pool::new(String::new), Arc::default());
    let runner = Chain::new().with_around(Taking("gives up", pool.clone())).around_runner();
    let request = Scopes::new().begin();
    let in_drop = InDrop(pool.clone(), Arc::clone(&kept));
    let handler = async move |_: u32| {
        let _in_drop = in_drop;
        pending::<Result<u32, Infallible>>().await
    };
    let mut run = Box::pin(runner.run(request.scope(), 7, handler));
    assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(run);
    assert!(kept.lock().unwrap().is_some());
    assert_eq!(taken("gives up"), 1, "its own, before the handler");
}

#[tokio::test]
async fn a_background_task_takes_under_its_tag() {
    let pool = Pool::new(String::new);
    let scopes = Scopes::new();
    let request = scopes.begin();
    let takes = |pool: Pool<String>| async move {
        tokio::task::yield_now().await;
        drop(pool.get());
    };
    scopes.tasks().spawn("task of the server", takes(pool.clone())).await.unwrap();
    request.handle().spawn("task of a request", takes(pool)).await.unwrap().unwrap();
    assert_eq!([taken("task of the server"), taken("task of a request")], [1, 1]);
}
