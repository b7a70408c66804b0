//! An arena reference cannot be returned from a handler.

async fn handler(scope: ebbtide::Scope) -> &'static str {
    scope.arena().alloc_str("for the response")
}

fn main() {
    let request = ebbtide::Scopes::new().begin();
    drop(handler(request.scope()));
}
