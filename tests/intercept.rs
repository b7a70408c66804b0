//! The chains, as their docs promise them.

use ebbtide::intercept::{Links, Order, Runner};
use ebbtide::{Chain, DynChain, Ending, Interceptor, Outcome, Reset, Scope, ScopeHandle, Scopes, Verdict};
use std::cell::Cell;
use std::ops::ControlFlow::{self, Break, Continue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

type Log = Arc<Mutex<Vec<String>>>;

/// Notes what it is asked, and does as the request says.
struct Named(&'static str, Log);

#[derive(Default)]
struct Seen(Vec<&'static str>);

impl Reset for Seen {
    fn reset(&mut self) -> Verdict {
        self.0.reset()
    }
}

impl Named {
    fn note(&self, what: &str, seen: &Seen) {
        self.1.lock().unwrap().push(format!("{} {what} {:?}", self.0, seen.0));
    }
}

/// A request says who is to do what.
#[derive(Clone, Copy, Default)]
struct Request {
    breaks: &'static str,
    panics: &'static str,
    panics_in_ended: &'static str,
}

impl Interceptor<Request, String> for Named {
    type State = Seen;

    fn before(&self, seen: &mut Seen, scope: &Scope, request: &mut Request) -> ControlFlow<String> {
        self.note("before", seen);
        seen.0.push("before");
        assert_ne!(request.panics, self.0);
        if request.panics_in_ended == self.0 {
            seen.0.push("doomed");
        }
        scope.local::<String>().unwrap().push_str(self.0);
        if request.breaks == self.0 { Break(format!("{} breaks", self.0)) } else { Continue(()) }
    }

    fn after(&self, seen: &mut Seen, _: &Scope, response: &mut String) {
        self.note("after", seen);
        seen.0.push("after");
        response.push_str(self.0);
    }

    fn ended(&self, seen: &mut Seen, ending: &Ending) {
        self.note(if ending.outcome() == Outcome::Finished { "finished" } else { "failed" }, seen);
        assert!(!seen.0.contains(&"doomed"), "as the request said");
    }
}

type Three<L> = (Log, Scopes, Runner<L, Request, String>);

fn fixed() -> Three<impl Links<Request, String>> {
    let log = Log::default();
    let named = |name| Named(name, Arc::clone(&log));
    let chain = Chain::new().with(named("a")).with(named("b")).with(named("c"));
    (Arc::clone(&log), Scopes::new(), chain.runner())
}

fn dynamic() -> Three<impl Links<Request, String>> {
    let log = Log::default();
    let mut chain = DynChain::default();
    for name in ["a", "b", "c"] {
        chain.push(Named(name, Arc::clone(&log)));
    }
    (log, Scopes::new(), chain.runner())
}

/// What holds for the static chain holds for the dynamic one.
macro_rules! on_each_chain {
    ($($test:ident)*) => {
        mod on_each_chain {
            $(mod $test {
                #[test]
                fn fixed() {
                    crate::$test(crate::fixed());
                }
                #[test]
                fn dynamic() {
                    crate::$test(crate::dynamic());
                }
            })*
        }
    };
}

on_each_chain! {
    onion_order_and_clean_states_each_time
    what_an_aborted_chain_never_reached_is_never_touched
    a_panic_reaches_ended_and_its_states_are_not_reused
    a_panic_in_ended_is_counted_and_stops_none_of_the_others
    a_run_may_outlive_the_runner
}

fn notes(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.lock().unwrap())
}

fn onion_order_and_clean_states_each_time((log, scopes, runner): Three<impl Links<Request, String>>) {
    for _ in 0..3 {
        let guard = scopes.begin();
        let scope = guard.scope();
        let response = runner.run(&scope, Request::default(), |_| {
            assert_eq!(*scope.local::<String>().unwrap(), "abc");
            String::from("handled ")
        });
        assert_eq!(response, "handled cba");
        drop((scope, guard));
        assert_eq!(
            notes(&log),
            [
                r#"a before []"#,
                r#"b before []"#,
                r#"c before []"#,
                r#"c after ["before"]"#,
                r#"b after ["before"]"#,
                r#"a after ["before"]"#,
                r#"c finished ["before", "after"]"#,
                r#"b finished ["before", "after"]"#,
                r#"a finished ["before", "after"]"#,
            ]
        );
    }
}

fn what_an_aborted_chain_never_reached_is_never_touched((log, scopes, runner): Three<impl Links<Request, String>>) {
    let guard = scopes.begin();
    let request = Request { breaks: "b", ..Request::default() };
    let response = runner.run(&guard.scope(), request, |_| unreachable!("the handler is not reached"));
    assert_eq!(response, "b breaksa");
    drop(guard);
    assert_eq!(
        notes(&log),
        [
            r#"a before []"#,
            r#"b before []"#,
            r#"a after ["before"]"#,
            r#"b finished ["before"]"#,
            r#"a finished ["before", "after"]"#,
        ]
    );
}

fn a_panic_reaches_ended_and_its_states_are_not_reused((log, scopes, runner): Three<impl Links<Request, String>>) {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let guard = scopes.begin();
        runner.run(&guard.scope(), Request { panics: "b", ..Request::default() }, |_| String::new())
    }));
    assert!(caught.is_err());
    assert_eq!(notes(&log), [r#"a before []"#, r#"b before []"#, r#"b failed ["before"]"#, r#"a failed ["before"]"#]);
    let guard = scopes.begin();
    runner.run(&guard.scope(), Request::default(), |_| String::new());
    assert_eq!(notes(&log)[..3], ["a before []", "b before []", "c before []"]);
}

fn a_panic_in_ended_is_counted_and_stops_none_of_the_others((log, scopes, runner): Three<impl Links<Request, String>>) {
    let guard = scopes.begin();
    runner.run(&guard.scope(), Request { panics_in_ended: "b", ..Request::default() }, |_| String::new());
    drop(guard);
    let last = notes(&log).pop().unwrap();
    assert!(last.starts_with("a finished"), "{last}");
    assert_eq!((scopes.stats().hook_panics, scopes.stats().open()), (1, 0));
}

fn a_run_may_outlive_the_runner((log, scopes, runner): Three<impl Links<Request, String>>) {
    let guard = scopes.begin();
    runner.run(&guard.scope(), Request::default(), |_| String::new());
    drop(runner);
    drop(guard);
    assert_eq!(notes(&log).len(), 9);
}

thread_local! {
    /// How many states were made and reset on this thread.
    static MADE_AND_RESET: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
}

struct Counted;

impl Default for Counted {
    fn default() -> Self {
        let (made, reset) = MADE_AND_RESET.get();
        MADE_AND_RESET.set((made + 1, reset));
        Self
    }
}

impl Reset for Counted {
    fn reset(&mut self) -> Verdict {
        let (made, reset) = MADE_AND_RESET.get();
        MADE_AND_RESET.set((made, reset + 1));
        Verdict::Keep
    }
}

/// Answers a request for 0.
struct Counts;

impl Interceptor<u32, u32> for Counts {
    type State = Counted;

    fn before(&self, _: &mut Counted, _: &Scope, request: &mut u32) -> ControlFlow<u32> {
        if *request == 0 { Break(0) } else { Continue(()) }
    }
}

fn states_are_reset_if_reached_and_freed_after_a_panic(runner: Runner<impl Links<u32, u32>, u32, u32>) {
    let scopes = Scopes::new();
    let run = |request| {
        let guard = scopes.begin();
        if request == 9 {
            // As a layer does where somebody above has caught the panic: nothing unwinds.
            guard.poison();
        }
        runner.run(&guard.scope(), request, |request| request);
        drop(guard);
        MADE_AND_RESET.get()
    };
    assert_eq!([0, 1, 9, 1].map(run), [(2, 1), (2, 3), (2, 3), (4, 5)]);
}

#[test]
fn states_of_a_static_chain_are_reset_if_reached_and_freed_after_a_panic() {
    states_are_reset_if_reached_and_freed_after_a_panic(Chain::new().with(Counts).with(Counts).runner());
}

#[test]
fn states_of_a_dynamic_chain_are_reset_if_reached_and_freed_after_a_panic() {
    let mut chain = DynChain::default();
    chain.push(Counts).push(Counts);
    states_are_reset_if_reached_and_freed_after_a_panic(chain.runner());
}

/// Lets a handle of each request escape.
struct Leaky(Arc<Mutex<Vec<ScopeHandle>>>);

#[derive(Default)]
struct Nothing;

impl Reset for Nothing {
    fn reset(&mut self) -> Verdict {
        Verdict::Keep
    }
}

impl Interceptor<Request, String> for Leaky {
    type State = Nothing;

    fn before(&self, _: &mut Nothing, scope: &Scope, _: &mut Request) -> ControlFlow<String> {
        self.0.lock().unwrap().push(scope.handle());
        Continue(())
    }
}

#[test]
fn a_handle_that_an_interceptor_lets_escape_fails_with_the_documented_error() {
    let escaped = Arc::new(Mutex::new(Vec::new()));
    let (scopes, runner) = (Scopes::new(), Chain::new().with(Leaky(Arc::clone(&escaped))).runner());
    for _ in 0..2 {
        let guard = scopes.begin();
        runner.run(&guard.scope(), Request::default(), |_| {
            assert!(escaped.lock().unwrap().last().unwrap().enter().is_ok(), "good while the request runs");
            String::new()
        });
    }
    // A loop that nobody stops would find this, also when the slot serves another request.
    let _next = scopes.begin();
    for handle in escaped.lock().unwrap().drain(..) {
        let error = std::thread::spawn(move || handle.enter().map(drop)).join().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "request scope used after the request ended");
    }
}

struct Auth;
impl Interceptor<u32, u32> for Auth {
    type State = ();
    fn name(&self) -> &'static str {
        "auth"
    }
}

/// Stands after [`Auth`].
struct Quota;
impl Interceptor<u32, u32> for Quota {
    type State = [u64; 3];
    fn order(&self, order: &mut Order) {
        order.after::<Auth>();
    }
}

#[test]
fn a_chain_in_the_wrong_order_is_not_made_and_the_error_names_both() {
    let says = |chain: Result<(), ebbtide::intercept::OrderError>| chain.unwrap_err().to_string();
    let lacking = says(Chain::new().with(Quota).try_runner::<u32, u32>().map(drop));
    assert_eq!(lacking, "interceptor `intercept::Quota` must stand after `intercept::Auth`, which is not in the chain");
    let inverted = "interceptor `intercept::Quota` must stand after `intercept::Auth`, which stands inside of it";
    assert_eq!(says(Chain::new().with(Quota).with(Auth).try_runner::<u32, u32>().map(drop)), inverted);
    let mut chain = DynChain::<u32, u32>::default();
    chain.push(Quota).push(Auth);
    assert_eq!(says(chain.try_runner::<u32, u32>().map(drop)), inverted);
    assert!(Chain::new().with(Auth).with(Auth).with(Quota).try_runner::<u32, u32>().is_ok());
}

#[test]
#[should_panic = "must stand after `intercept::Auth`"]
fn a_runner_of_a_chain_in_the_wrong_order_panics_with_the_error() {
    let _ = Chain::new().with(Quota).runner::<u32, u32>();
}

#[test]
fn static_interceptors_stand_inside_of_dynamic_ones() {
    let mut chain = DynChain::<u32, u32>::default();
    chain.push(Auth);
    let described = chain.with(Quota).describe::<u32, u32>();
    assert_eq!(described.iter().collect::<Vec<_>>(), [("auth", 0), ("intercept::Quota", 24)]);
    assert_eq!(described.to_string(), "interceptor       state in bytes\nauth              0\nintercept::Quota  24\n");
}
