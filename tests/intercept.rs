//! The static chain, as its docs promise it.

use ebbtide::intercept::Runner;
use ebbtide::{Chain, Ending, Interceptor, Outcome, Reset, Scope, ScopeHandle, Scopes, Verdict};
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

fn three() -> (Log, Scopes, Runner<impl ebbtide::intercept::Links<Request, String>, Request, String>) {
    let log = Log::default();
    let named = |name| Named(name, Arc::clone(&log));
    let chain = Chain::new().with(named("a")).with(named("b")).with(named("c"));
    (Arc::clone(&log), Scopes::new(), chain.runner())
}

fn notes(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.lock().unwrap())
}

#[test]
fn onion_order_and_clean_states_each_time() {
    let (log, scopes, runner) = three();
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

#[test]
fn what_an_aborted_chain_never_reached_is_never_touched() {
    let (log, scopes, runner) = three();
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

#[test]
fn a_panic_reaches_ended_and_its_states_are_not_reused() {
    let (log, scopes, runner) = three();
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

#[test]
fn a_panic_in_ended_is_counted_and_stops_none_of_the_others() {
    let (log, scopes, runner) = three();
    let guard = scopes.begin();
    runner.run(&guard.scope(), Request { panics_in_ended: "b", ..Request::default() }, |_| String::new());
    drop(guard);
    let last = notes(&log).pop().unwrap();
    assert!(last.starts_with("a finished"), "{last}");
    assert_eq!((scopes.stats().hook_panics, scopes.stats().open()), (1, 0));
}

#[test]
fn a_run_may_outlive_the_runner() {
    let (log, scopes, runner) = three();
    let guard = scopes.begin();
    runner.run(&guard.scope(), Request::default(), |_| String::new());
    drop(runner);
    drop(guard);
    assert_eq!(notes(&log).len(), 9);
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
