//! An arena reference cannot enter a static.

use std::sync::{Mutex, OnceLock};

static FIRST: OnceLock<&'static str> = OnceLock::new();
static LAST: Mutex<Option<&'static str>> = Mutex::new(None);

fn first(scope: ebbtide::Scope) {
    let _ = FIRST.set(scope.arena().alloc_str("for ever?"));
}

fn last(scope: ebbtide::Scope) {
    *LAST.lock().unwrap() = Some(scope.arena().alloc_str("for ever?"));
}

fn main() {
    let request = ebbtide::Scopes::new().begin();
    first(request.scope());
    last(request.scope());
}
